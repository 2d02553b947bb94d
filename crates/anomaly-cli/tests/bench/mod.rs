//! A folder in which `anomaly` is run as people run it.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// A folder to run in.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
}

/// What a run said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Bench { dir: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("in the folder")).expect("made");
        fs::write(&path, content).expect("written");
        path
    }

    /// Runs `anomaly` with `args` (by blanks) in the folder.
    pub(crate) fn run(&self, args: &str, stdin: impl Into<Vec<u8>>) -> Said {
        let mut command = Command::new(anomaly());
        command.current_dir(self.dir.path()).args(args.split_whitespace());
        let output = command.write_stdin(stdin.into()).output().expect("runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Said {
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            code: output.status.code().expect("no signal"),
        }
    }
}

pub(crate) fn anomaly() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_anomaly"))
}
