//! `anomaly train` as people run it: command lines in, models, stdout, stderr and exit codes out.

#[path = "../bench/mod.rs"]
mod bench;
mod container;
mod document;
mod empty_root;
mod left_out;
mod places;
mod serve;
mod walk_through;

use std::fs;

use bench::{Bench, Said, anomaly};

impl Bench {
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
        self.run(&format!("train --trees 10 --sample-size 32 {args}"), stdin)
    }

    fn anomaly(&self, args: &str) -> Said {
        self.run(args, "")
    }
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
