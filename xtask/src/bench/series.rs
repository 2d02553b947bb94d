//! `cargo xtask bench series`: many series on several cores, by the command as people run it.
//!
//! Readings of ten thousand series, in turn as a stream has them and one series behind the other as a history may, go
//! through `anomaly detect` with one thread and with as many as there are cores, without a state, with one, and with one
//! and room in memory for a tenth of the series. All must print the same alerts. Runs have priority over whatever else the
//! machine does, and the quickest of several turns counts, as that only ever makes one slower.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};

use super::{build, detect, place, say};
use crate::realtime;

/// What `cargo xtask bench series` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// How many series.
    #[arg(long, default_value_t = 10_000)]
    series: u32,
    /// How many readings of each.
    #[arg(long, default_value_t = 1_000)]
    readings: u32,
    /// Only without a state.
    #[arg(long)]
    without_state: bool,
    /// Only readings in this order.
    #[arg(long)]
    order: Option<Order>,
    /// How many turns each way of running has.
    #[arg(long, default_value_t = 3)]
    turns: usize,
}

/// In which order readings come.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// One of each series, then the next of each, as a stream has them.
    InTurn,
    /// All of a series, then all of the next.
    Behind,
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Order::InTurn => "in turn",
            Order::Behind => "one behind the other",
        }
    }
}

/// What a series of one feature is taken to need in memory, in bytes: 4 KB for its detector, 8 for all else. What
/// `--memory` counts by.
const SERIES_BYTES: u32 = 12 << 10;
/// How often it is looked how much memory a run takes.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A way of running.
struct Way {
    threads: usize,
    /// With a state, and the memory there is for series if it is told.
    state: Option<Option<u64>>,
}

/// What a turn took.
#[derive(Clone, Copy, Debug)]
struct Took {
    time: Duration,
    cpu: Duration,
    peak_kb: u64,
}

/// Measures and prints.
pub(crate) fn run(args: &Args) -> Result<()> {
    let (program, place) = (build::anomaly()?, place()?.join("series"));
    detect::emptied(&place)?;
    fs::create_dir_all(&place)?;
    let cores = available_parallelism()?.get();
    let tenth = u64::from(args.series / 10) * u64::from(SERIES_BYTES);
    let mut ways = vec![
        Way { threads: 1, state: None },
        Way { threads: cores, state: None },
        Way { threads: 1, state: Some(None) },
        Way { threads: cores, state: Some(None) },
        Way { threads: 1, state: Some(Some(tenth)) },
        Way { threads: cores, state: Some(Some(tenth)) },
    ];
    ways.truncate(if args.without_state { 2 } else { ways.len() });
    if !realtime::enter() {
        say("warning: no real-time priority (needs root); other load on the machine will show in the times");
    }
    println!(
        "| {} series of {} readings | threads | readings/s | ratio | CPU | peak |",
        args.series, args.readings
    );
    println!("|---|---|---|---|---|---|");
    let orders = [Order::InTurn, Order::Behind].into_iter();
    for order in orders.filter(|order| args.order.is_none_or(|only| only == *order)) {
        let (name, input) = (order.name(), place.join("series.csv"));
        say(&format!("writing {} readings, {name}", u64::from(args.series) * u64::from(args.readings)));
        write(&input, args, order)?;
        measure(&program, &place, &input, &ways, args, name)?;
    }
    detect::emptied(&place)
}

fn measure(program: &Path, place: &Path, input: &Path, ways: &[Way], args: &Args, name: &str) -> Result<()> {
    let mut took: Vec<Option<Took>> = vec![None; ways.len()];
    let mut said: Option<Vec<u8>> = None;
    for turn in 0..args.turns {
        for (way, took) in ways.iter().zip(&mut took) {
            say(&format!("{name}, turn {}: {}", turn + 1, way.describe()));
            let (this, alerts) = way.run(program, place, input)?;
            ensure!(*said.get_or_insert(alerts.clone()) == alerts, "{}: other alerts", way.describe());
            let is_quicker = took.is_none_or(|before| this.time < before.time);
            *took = if is_quicker { Some(this) } else { *took };
        }
    }
    let readings = f64::from(args.series) * f64::from(args.readings);
    let mut one = None;
    for (way, took) in ways.iter().zip(took) {
        let Took { time, cpu, peak_kb } = took.context("--turns must be 1 or more")?;
        let rate = readings / time.as_secs_f64();
        // Beside one thread of the same way, which comes before.
        let ratio = if way.threads == 1 { 1.0 } else { rate / one.unwrap_or(rate) };
        one = if way.threads == 1 { Some(rate) } else { one };
        println!(
            "| {name}{} | {} | {:.0} k | {ratio:.2}x | {:.1} s | {:.0} MiB |",
            way.with(),
            way.threads,
            rate / 1e3,
            cpu.as_secs_f64(),
            peak_kb as f64 / 1024.0,
        );
    }
    Ok(())
}

impl Way {
    fn with(&self) -> &'static str {
        match self.state {
            None => "",
            Some(None) => ", `--state`",
            Some(Some(_)) => ", `--state`, room for a tenth",
        }
    }

    fn describe(&self) -> String {
        format!("{} threads{}", self.threads, self.with())
    }

    /// One turn, from nothing. Gives back what it took, and what it printed.
    fn run(&self, program: &Path, place: &Path, input: &Path) -> Result<(Took, Vec<u8>)> {
        let (state, printed) = (place.join("state"), place.join("alerts"));
        detect::emptied(&state)?;
        let mut command = Command::new(program);
        command.arg("detect").arg(input).arg("--quiet").arg("--threads").arg(self.threads.to_string());
        if let Some(memory) = self.state {
            command.arg("--state").arg(&state);
            command.args(memory.map(|bytes| format!("--memory={bytes}")));
        }
        command.stdin(Stdio::null()).stdout(File::create(&printed)?);
        let took = timed(&mut command)?;
        detect::emptied(&state)?;
        Ok((took, fs::read(&printed)?))
    }
}

/// Runs `command` to its end.
fn timed(command: &mut Command) -> Result<Took> {
    let began = Instant::now();
    let mut child =
        command.stderr(Stdio::piped()).spawn().with_context(|| format!("cannot start {command:?}"))?;
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    let mut stderr = child.stderr.take().context("not piped")?;
    let (sender, ended) = channel();
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        // Nobody waits any more if this cannot be sent.
        let _ = stderr.read_to_string(&mut said).map(|_| sender.send(()));
        said
    });
    let mut peak_kb = 0;
    while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        peak_kb = peak_kb.max(peak(&process).unwrap_or(0));
    }
    let time = began.elapsed();
    // What has ended and was not waited for still says what time it took.
    let cpu = cpu(&process)?;
    let code = child.wait()?.code();
    let said = reader.join().unwrap_or_default();
    // 1: something is anomalous.
    ensure!(code == Some(0) || code == Some(1), "{command:?} ended with {code:?}: {said}");
    Ok(Took { time, cpu, peak_kb })
}

/// The processor time of a process so far, of all threads that are or were.
fn cpu(process: &Path) -> Result<Duration> {
    let stat = fs::read_to_string(process.join("stat"))?;
    // The name, in parentheses, may hold anything; what follows it is numbers.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok()).context("no times in /proc");
    // Fields 14 and 15 of proc(5), in hundredths of a second on every Linux there is.
    Ok(Duration::from_millis(10 * (ticks(11)? + ticks(12)?)))
}

/// The most memory that was ever resident, in kB.
fn peak(process: &Path) -> Option<u64> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// A number from 0 to 1, the same for the same `number`: SplitMix64 (Steele, Lea, Flood, 2014).
fn noise(number: u64) -> f64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ bits >> 31) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Writes readings a minute apart: a wave of half a day, noise, and now and then a fault.
fn write(path: &Path, args: &Args, order: Order) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(file, "timestamp,series,value")?;
    let begin: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let times: Vec<String> =
        (0..i64::from(args.readings)).map(|n| (begin + SignedDuration::from_mins(n)).to_string()).collect();
    let mut row = |series: u32, reading: u32| {
        let noise = noise(u64::from(reading) << 32 | u64::from(series));
        let wave = (f64::from(reading + series % 720) * std::f64::consts::TAU / 720.0).sin();
        let is_fault = (reading + 7 * series) % 900 == 899;
        let value = if is_fault { 120.0 } else { 50.0 + 10.0 * wave + 4.0 * noise };
        writeln!(file, "{},series-{series:05},{value:.3}", times[reading as usize])
    };
    match order {
        Order::InTurn => (0..args.readings).try_for_each(|r| (0..args.series).try_for_each(|s| row(s, r)))?,
        Order::Behind => (0..args.series).try_for_each(|s| (0..args.readings).try_for_each(|r| row(s, r)))?,
    }
    file.flush()?;
    Ok(())
}
