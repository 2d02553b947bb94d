//! `anomaly train` as people run it: command lines in, models, stdout, stderr and exit codes out.

mod container;
mod document;
mod empty_root;
mod left_out;
mod places;
mod serve;
mod walk_through;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// A folder to run in.
struct Bench {
    dir: TempDir,
}

/// What a run said.
#[derive(Debug)]
struct Said {
    stdout: String,
    stderr: String,
    code: i32,
}

impl Bench {
    fn new() -> Self {
        Bench { dir: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("in the folder")).expect("made");
        fs::write(&path, content).expect("written");
        path
    }

    fn get(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The names of what is in the folder, sorted.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).expect("a folder");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<String> =
            entries.map(|entry| name(entry).into_string().expect("a plain name")).collect();
        names.sort();
        names
    }

    /// Runs `anomaly train` with `args` (by blanks) in the folder, with a small forest.
    fn train(&self, args: &str) -> Said {
        self.pipe(args, "")
    }

    /// The same with something on stdin.
    fn pipe(&self, args: &str, stdin: impl Into<Vec<u8>>) -> Said {
        self.run(&format!("train --trees 10 --sample-size 32 {args}"), stdin.into())
    }

    fn anomaly(&self, args: &str) -> Said {
        self.run(args, Vec::new())
    }

    fn run(&self, args: &str, stdin: Vec<u8>) -> Said {
        let mut command = Command::new(anomaly());
        command.current_dir(self.dir.path()).args(args.split_whitespace());
        let output = command.write_stdin(stdin).output().expect("runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Said {
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            code: output.status.code().expect("no signal"),
        }
    }
}

fn anomaly() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_anomaly"))
}

/// So many minutes of a machine from midnight of 2026-01-01 UTC on, without a fault.
fn csv(rows: u32) -> String {
    let row = |n: u32| {
        let (day, hour, minute) = (1 + n / 1440, n / 60 % 24, n % 60);
        let noise = n.wrapping_mul(2_654_435_761) >> 16 & 0xff;
        format!("2026-01-{day:02}T{hour:02}:{minute:02}:00Z,{},{}\n", 20 + n % 7, noise)
    };
    "timestamp,cpu,memory\n".to_owned() + &(0..rows).map(row).collect::<String>()
}
