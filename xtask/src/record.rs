//! `cargo xtask record`: how `examples/webserver.csv` came to be.
//!
//! A real nginx serves real files from a real disk to a load generator in this process, and one
//! line is written for every second of it. In between, faults are made on purpose: other processes
//! take its core, its disk slows to a crawl, it is stopped and started again, clients that never
//! finish their requests take its connections. When each began and ended is written beside the
//! series, so that what a detector says of it can be held against what really happened.
//!
//! It needs Linux, root, and of Debian `nginx`, `util-linux` and `procps`: root to slow nginx's disk
//! and to go ahead of everything else on the machine, so that a build beside a recording is not
//! seen in it. Nothing leaves the machine: everything listens on and connects to 127.0.0.1.

mod faults;
mod load;
mod random;
mod server;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::json;

use crate::realtime;
use faults::{Fault, Stage};
use load::{Load, Tally};
use server::{Server, Usage};

/// What `cargo xtask record` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// How long to record; the faults are spread over it.
    #[arg(long, default_value_t = 72)]
    minutes: u64,
    /// Where to write the series; the labels go beside it, as NAME.labels.json.
    #[arg(long, default_value = "examples/webserver.csv")]
    out: PathBuf,
    /// What the load and the order of the faults are drawn from.
    #[arg(long, default_value_t = 20261121)]
    seed: u64,
    /// The core nginx and the CPU hog share; the load generator takes any.
    #[arg(long, default_value_t = 1)]
    core: usize,
}

/// The header of the series.
const COLUMNS: &str = "timestamp,latency_ms,requests,cpu_percent,memory_mb";

/// Records the series and its labels.
pub(crate) fn run(args: &Args) -> Result<()> {
    let version = server::version()?;
    let stop = stop_on_interrupt()?;
    if !realtime::enter() {
        say("warning: no real-time priority (needs root); other load on the machine will show in the series");
    }

    let seconds = args.minutes * 60;
    let plan = faults::plan(seconds, args.seed);
    for fault in &plan {
        say(&format!("planned: {} at {} s for {} s", fault.kind.name(), fault.at, fault.lasts));
    }

    let place = tempdir()?;
    let mut server = Server::start(&place.0, args.core)?;
    let load = Load::start(server.address(), args.seed, Arc::clone(&stop));
    let mut csv = File::create(&args.out).with_context(|| format!("cannot write {}", args.out.display()))?;
    writeln!(csv, "{COLUMNS}")?;

    let mut stage = Stage::new(plan, args.core, args.seed);
    let mut usage = server.usage();
    // The first, partial second is nobody's reading.
    let mut second = sleep_until_next_second();
    load.take();
    let (began, first) = (Instant::now(), second);

    while second - first < seconds {
        stage.step(second - first, second, &mut server)?;
        let ended = sleep_until_next_second();
        if stop.load(Ordering::Relaxed) {
            // Ctrl-C reaches nginx too: what it did in this second is no reading of anything.
            break;
        }
        let now = server.usage();
        let row = reading(second, &load.take(), &usage, &now);
        // One write a row: a recording that is killed loses nothing but the second it died in.
        writeln!(csv, "{row}")?;
        if (second - first).is_multiple_of(60) {
            say(&format!("{:>3} min  {row}  {}", began.elapsed().as_secs() / 60, stage.now()));
        }
        usage = now;
        second = ended;
    }

    stage.clear(second, &mut server)?;
    stop.store(true, Ordering::Relaxed);
    server.stop();
    let labels = labels(args, &version, stage.done());
    let path = labels_path(&args.out);
    fs::write(&path, format!("{labels:#}\n")).with_context(|| format!("cannot write {}", path.display()))?;
    say(&format!("wrote {} and {}", args.out.display(), path.display()));
    Ok(())
}

/// One line of the series: what happened in the second that began at `second`.
fn reading(second: u64, tally: &Tally, before: &Usage, after: &Usage) -> String {
    format!(
        "{},{:.1},{},{:.1},{:.2}",
        rfc3339(second),
        tally.latency_ms(),
        tally.succeeded(),
        after.cpu_percent_since(before),
        after.memory_mb
    )
}

fn labels(args: &Args, nginx: &str, faults: &[Fault]) -> serde_json::Value {
    let faults: Vec<_> = faults
        .iter()
        .map(|f| json!({"kind": f.kind.name(), "start": rfc3339(f.start), "end": rfc3339(f.end), "what": f.what}))
        .collect();
    json!({
        "series": "webserver",
        "recorded": {
            "how": "cargo xtask record",
            "minutes": args.minutes,
            "seed": args.seed,
            "server": nginx,
            "kernel": kernel(),
            "setup": server::SETUP,
            "load": load::LOAD,
            "columns": {
                "timestamp": "the second the reading is of, UTC",
                "latency_ms": load::LATENCY,
                "requests": "requests answered in full in that second",
                "cpu_percent": "processor time of nginx's processes, in percent of one core",
                "memory_mb": "resident memory of nginx's processes, MiB",
            },
        },
        "faults": faults,
    })
}

/// `examples/webserver.csv` -> `examples/webserver.labels.json`.
fn labels_path(series: &Path) -> PathBuf {
    series.with_extension("labels.json")
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // Only the version: what follows the first dash names a machine, not a kernel.
    format!("Linux {}", release.trim().split('-').next().unwrap_or_default())
}

fn stop_on_interrupt() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;
    Ok(stop)
}

/// Sleeps to the next whole second of the clock and names it.
fn sleep_until_next_second() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let next = now.as_secs() + 1;
    pause(Duration::from_secs(next).saturating_sub(now));
    next
}

fn rfc3339(second: u64) -> String {
    i64::try_from(second)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok())
        .map(|t| t.to_string())
        .unwrap_or_default()
}

/// A folder of our own, removed with everything in it at the end.
struct TempDir(PathBuf);

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tempdir() -> Result<TempDir> {
    let path = std::env::temp_dir().join(format!("anomaly-record-{}", std::process::id()));
    fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(TempDir(path))
}

#[expect(
    clippy::disallowed_methods,
    reason = "load has a rhythm and a reading its second: time is the matter here"
)]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

fn say(line: &str) {
    eprintln!("record: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lie_beside_the_series() {
        assert_eq!(labels_path(Path::new("a/web.csv")), Path::new("a/web.labels.json"));
    }

    #[test]
    fn seconds_are_written_as_utc() {
        assert_eq!(rfc3339(1_795_231_207), "2026-11-21T03:20:07Z");
    }
}
