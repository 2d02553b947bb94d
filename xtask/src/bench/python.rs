//! Python's interpreter and packages, in a virtual environment of their own: the function's, or another peer's.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::say;
use crate::cargo;

/// A virtual environment with what a script needs.
#[derive(Debug)]
pub(super) struct Python {
    place: PathBuf,
}

impl Python {
    /// Makes the function's environment, unless an earlier run did.
    pub(super) fn prepare(place: &Path) -> Result<Self> {
        Self::with(place, &peer("requirements.txt"))
    }

    /// Makes an environment in `place` with what `requirements`, a file, asks for, unless an earlier run did.
    pub(super) fn with(place: &Path, requirements: &Path) -> Result<Self> {
        let python = Self { place: place.to_owned() };
        // Named for what is in it: other requirements, another environment.
        let wanted = std::fs::read_to_string(requirements)?;
        let done = python.venv().join("done");
        if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
            return Ok(python);
        }
        say(&format!("a virtual environment with {}", wanted.trim()));
        let venv = python.venv();
        output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv)).context(
            "Python 3.10 or newer is needed to be measured beside: `apt-get install python3-venv`",
        )?;
        output(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "-r"]).arg(requirements))?;
        std::fs::write(done, wanted)?;
        Ok(python)
    }

    fn venv(&self) -> PathBuf {
        self.place.join("venv")
    }

    pub(super) fn interpreter(&self) -> PathBuf {
        self.venv().join("bin/python")
    }

    /// Records a second through `json` and `base64`.
    pub(super) fn decode(&self, event: &Path) -> Result<f64> {
        let out = self.run([peer("decode.py").as_os_str(), event.as_os_str(), OsStr::new("51")])?;
        let answer: serde_json::Value = serde_json::from_str(&out)?;
        answer["python"].as_f64().context("decode.py printed no figure")
    }

    /// Bytes of the function's zip: its packages and its handler.
    pub(super) fn zip(&self) -> Result<u64> {
        let packages =
            self.run(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"].map(OsStr::new))?;
        self.pack("python.zip", &[Path::new(packages.trim()), &peer("lambda_function.py")])
    }

    /// Bytes of the zip of one program.
    pub(super) fn zip_of(&self, program: &Path) -> Result<u64> {
        self.pack("ours.zip", &[program])
    }

    fn pack(&self, name: &str, paths: &[&Path]) -> Result<u64> {
        let (pack, zip) = (peer("pack.py"), self.place.join(name));
        let arguments = [pack.as_path(), &zip].into_iter().chain(paths.iter().copied()).map(Path::as_os_str);
        Ok(self.run(arguments)?.trim().parse()?)
    }

    /// What a script printed.
    pub(super) fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<String> {
        output(Command::new(self.interpreter()).args(arguments))
    }
}

/// The script that runs the function.
pub(super) fn bootstrap() -> PathBuf {
    peer("bootstrap.py")
}

fn peer(file: &str) -> PathBuf {
    cargo::root().join("benches/peer").join(file)
}

/// What a command printed, if it succeeded.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let out = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !out.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8(out.stdout)?)
}
