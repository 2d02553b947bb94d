//! `anomaly detect` as people run it: command lines in, stdout, stderr, files and exit codes out.

mod alerts;
mod bad_input;
#[path = "../bench/mod.rs"]
mod bench;
mod documents;
mod event_time;
mod files;
mod findings;
mod no_data;
mod rules;
mod state;
mod stream;
mod streaming;
mod threads;

use std::fs;

use bench::{Bench, Said, anomaly};

impl Bench {
    fn get(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Runs `anomaly detect` with `args` (by blanks) in the folder, with nothing on stdin.
    fn detect(&self, args: &str) -> Said {
        self.pipe(args, "")
    }

    fn pipe(&self, args: &str, stdin: impl Into<Vec<u8>>) -> Said {
        self.run(&format!("detect {args}"), stdin)
    }
}

impl Said {
    /// All of it, in one text to compare; the seconds, which differ, are cut out.
    fn transcript(&self) -> String {
        let stderr: Vec<String> = self.stderr.lines().map(without_seconds).collect();
        format!("{}--- stderr\n{}\n--- exit {}\n", self.stdout, stderr.join("\n"), self.code)
    }
}

fn without_seconds(line: &str) -> String {
    match line.rsplit_once(", ") {
        Some((head, tail)) if is_seconds(tail) => format!("{head}, N s"),
        _ => line.to_owned(),
    }
}

fn is_seconds(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && (text.ends_with(" s") || text.ends_with(" ms"))
}

/// A web server's latency and requests, one row a second from 2026-01-01 on, as rows of CSV without a header:
/// noise from a fixed generator, and a fault of 12 readings from each of `faults` on.
fn rows(range: std::ops::Range<u32>, faults: &[u32]) -> Vec<String> {
    range
        .map(|i| {
            let noise = f64::from(i.wrapping_mul(2_654_435_761) >> 16 & 0xff) / 256.0;
            let broken = faults.iter().any(|at| (*at..at + 12).contains(&i));
            let (latency, requests) =
                if broken { (900.0 + 50.0 * noise, 3.0) } else { (20.0 + 4.0 * noise, 100.0) };
            let (hour, minute, second) = (i / 3600, i / 60 % 60, i % 60);
            let wave = f64::from(i % 40) / 4.0;
            format!("2026-01-01T{hour:02}:{minute:02}:{second:02}Z,{latency:.2},{:.0}\n", requests + wave)
        })
        .collect()
}

const HEADER: &str = "timestamp,latency_ms,requests\n";

/// The same as a file.
fn csv(n: u32, faults: &[u32]) -> String {
    HEADER.to_owned() + &rows(0..n, faults).concat()
}

/// A rule that needs no learning: latency over 100, on every reading.
const FIXED: &str = r#"
[model]
kind = "none"
[[rule]]
name = "slow"
on = "latency_ms"
method = { kind = "static", threshold = 100.0 }
for = "1 of 1"
clear = { for = "3 of 3" }
"#;
