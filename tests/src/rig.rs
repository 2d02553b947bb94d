//! Which tools there are: what `cargo xtask test` prepared, or nothing.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

/// The folder `cargo xtask test` put the tools in; without it the tests that need them are skipped.
const FOLDER: &str = "ANOMALY_RIG";
/// Set by `cargo xtask test`: a missing tool is then a failure, not a reason to skip.
const REQUIRED: &str = "ANOMALY_RIG_REQUIRED";

/// The tools that are not Rust.
#[derive(Clone, Debug)]
pub struct Rig {
    folder: PathBuf,
}

impl Rig {
    /// The rig, or `None` after saying on standard error that `test` is skipped.
    ///
    /// # Errors
    /// When the rig is required and not there.
    pub fn find(test: &str) -> Result<Option<Rig>> {
        let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
            if std::env::var_os(REQUIRED).is_some() {
                bail!("{test} needs the rig, and {FOLDER} is not set");
            }
            skip(test, "`cargo xtask test` brings what it needs");
            return Ok(None);
        };
        let rig = Rig { folder };
        for tool in [rig.python(), rig.ministack(), rig.cfn_lint()] {
            ensure!(tool.exists(), "{FOLDER} is set, and there is no {}", tool.display());
        }
        Ok(Some(rig))
    }

    /// The Python interpreter that has boto3.
    pub fn python(&self) -> PathBuf {
        self.tool("python")
    }

    /// The cloud on this machine.
    pub fn ministack(&self) -> PathBuf {
        self.tool("ministack")
    }

    /// The strict reader of CloudFormation templates.
    pub fn cfn_lint(&self) -> PathBuf {
        self.tool("cfn-lint")
    }

    /// AWS's own emulator of a function's runtime, if it could be had for this machine.
    pub fn runtime_interface_emulator(&self) -> Option<PathBuf> {
        let path = self.folder.join("rie/samcli/local/rapid/aws-lambda-rie-x86_64");
        (cfg!(target_arch = "x86_64") && path.exists()).then_some(path)
    }

    /// Where the cloud's log of the running test is kept, for when it fails.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn log(&self) -> Result<PathBuf> {
        let folder = self.folder.join("ministack-logs");
        std::fs::create_dir_all(&folder)?;
        // The harness names the thread of a test after the test.
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("unnamed").replace("::", "-");
        Ok(folder.join(format!("{test}.log")))
    }

    fn tool(&self, name: &str) -> PathBuf {
        self.folder.join("venv-ministack/bin").join(name)
    }
}

/// Says that a test is skipped and why, past the test harness, which would swallow it.
pub fn skip(test: &str, why: &str) {
    // Nothing depends on this line being seen.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
