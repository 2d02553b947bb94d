//! `cargo xtask test`: everything that must hold, from formatting to the house deployed.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::{cargo, lint, python};

/// What `cargo xtask test` is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out formatting and lints.
    #[arg(long)]
    no_lint: bool,
    /// Passed on to the tests, as after `cargo test --`.
    #[arg(last = true)]
    rest: Vec<String>,
}

/// One resolution of features for the programs and their tests, so that no dependency is built twice.
const WHOLE_HOUSE: [&str; 3] = ["--workspace", "--features", "anomaly-cli/aws"];

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut summary = Summary::default();
    let rig = summary.timed("tools", python::prepare)?;
    let mut build = cargo::command();
    build.arg("build").args(WHOLE_HOUSE).args(["--bins", "--tests"]);
    summary.timed("build", || cargo::run("build", &mut build))?;

    let logs = rig.join("ministack-logs").display().to_string();
    let mut tests = cargo::command();
    tests
        .args(["test", "--no-fail-fast"])
        .args(WHOLE_HOUSE)
        .arg("--")
        .args(&args.rest)
        .env("ANOMALY_BIN", cargo::programs()?)
        .env("ANOMALY_RIG", rig)
        .env("ANOMALY_RIG_REQUIRED", "1");
    let mut counts = Counts::default();
    let passed =
        summary.timed("tests", || cargo::run_reading("test", &mut tests, |line| counts.read(line)))?;
    // Last, for the tests say more; and in any case, so that one run tells all there is to mend.
    let linted = if args.no_lint { Ok(()) } else { summary.timed("lint", || lint::run(&lint::Args {})) };
    summary.print(&counts);
    ensure!(passed, "some tests failed; what the cloud on this machine wrote is in {logs}");
    linted
}

/// What took how long.
#[derive(Default)]
struct Summary {
    steps: Vec<(&'static str, Duration)>,
}

impl Summary {
    fn timed<T>(&mut self, step: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let begun = Instant::now();
        let done = work()?;
        self.steps.push((step, begun.elapsed()));
        Ok(done)
    }

    fn print(&self, counts: &Counts) {
        let steps = self.steps.iter().map(|(step, took)| format!("{step} {} s", took.as_secs()));
        eprintln!("── {} passed, {} failed, {} ignored", counts.passed, counts.failed, counts.ignored);
        eprintln!("   {}", steps.collect::<Vec<_>>().join(", "));
    }
}

/// The sums of what the test programs report.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Counts {
    /// Adds a line such as `test result: ok. 12 passed; 0 failed; 0 ignored; …`; others say nothing.
    fn read(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let words: Vec<&str> = result.split([' ', ';']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let count = || pair[0].parse().unwrap_or(0);
            match pair[1] {
                "passed" => self.passed += count(),
                "failed" => self.failed += count(),
                "ignored" => self.ignored += count(),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn results_are_added_up() {
        let mut counts = Counts::default();
        counts.read("running 3 tests");
        counts.read("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        counts.read("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!(counts, Counts { passed: 7, failed: 2, ignored: 1 });
    }
}
