//! `cargo xtask bench`: our `invoke` beside a Python function of the same job, in one run; `cargo xtask bench detect`:
//! the detectors ([`detect`]); `cargo xtask bench classify`: judging alone ([`classify`]);
//! `cargo xtask bench rules`: the methods of rules ([`rules`]); `cargo xtask bench series`: many series on several cores
//! ([`series`]).
//!
//! Both run as Lambda would run them: a fresh process with Lambda's environment that polls a Runtime API,
//! here ours on loopback, and calls SageMaker and SQS over TLS, here `benches/endpoint`. Runs alternate, ahead
//! of whatever else the machine does, and medians are printed. Only the ratios carry over to another machine,
//! and nothing is asserted: a time is not a test.
//!
//! Left out, for both: making the sandbox, fetching the code, the network.

mod build;
mod classify;
mod detect;
mod endpoint;
mod event;
mod function;
mod python;
mod rules;
mod runtime_api;
mod series;
mod starts;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{cargo, realtime};
use build::Decoded;
use endpoint::Endpoint;
use function::Function;
use python::Python;
use table::{Row, Unit};

/// What `cargo xtask bench` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Print JSON, not a table.
    #[arg(long)]
    json: bool,
    /// How many fresh processes of each function.
    #[arg(long, default_value_t = 15)]
    starts: usize,
    /// How many warm batches for each figure of processor time; it is taken five times.
    #[arg(long, default_value_t = 100)]
    batches: u32,
    /// Measure only the Python function.
    #[arg(long)]
    python_only: bool,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// How right and how quick the detectors are.
    Detect(detect::Args),
    /// How quick judging is, beside Python.
    Classify(classify::Args),
    /// How right each method of a rule is.
    Rules(rules::Args),
    /// How quick many series are on several cores.
    Series(series::Args),
}

/// The series of processor times, whose median is printed.
const ROUNDS: usize = 5;

/// Measures and prints.
pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.what {
        Some(What::Detect(args)) => return detect::run(args),
        Some(What::Classify(args)) => return classify::run(args),
        Some(What::Rules(args)) => return rules::run(args),
        Some(What::Series(args)) => return series::run(args),
        None => {}
    }
    let place = place()?;
    let event = event::kinesis_batch();
    let event_path = place.join("event.json");
    std::fs::write(&event_path, &event)?;

    // All that is built is built before anything is measured.
    let python = Python::prepare(&place)?;
    let endpoint_program = build::endpoint()?;
    let ours_programs = if args.python_only { None } else { Some((build::invoke()?, build::decode()?)) };
    if !realtime::enter() {
        say("warning: no real-time priority (needs root); other load on the machine will show in the times");
    }

    let endpoint = Endpoint::start(&endpoint_program, &place)?;
    let peer = endpoint.function(&place, "python", &python.interpreter(), &[python::bootstrap()]);
    let ours = ours_programs.as_ref().map(|(invoke, _)| endpoint.function(&place, "ours", invoke, &[]));
    let peer_and_ours: Vec<&Function> = [Some(&peer), ours.as_ref()].into_iter().flatten().collect();
    let mut measured = measure(&peer_and_ours, &event, args)?.into_iter();
    let peer_measured = measured.next().context("nothing was measured")?;
    let ours_measured = measured.next();
    let (peer_zip, ours_zip) = (python.zip()?, ours.as_ref().map(|f| python.zip_of(&f.program)).transpose()?);
    say("decoding");
    let peer_decode = python.decode(&event_path)?;
    let ours_decode = ours_programs.map(|(_, decode)| Decoded::measure(&decode, &event_path)).transpose()?;

    let rows = rows(ours_measured, &peer_measured, ours_zip, peer_zip, ours_decode, peer_decode);
    let rendered = if args.json { table::json(&rows) } else { table::text(&rows) };
    println!("{rendered}");
    Ok(())
}

/// What was measured of one function.
#[derive(Debug)]
struct Measured {
    start: Duration,
    start_and_first: Duration,
    batch: Duration,
    peak_kb: u64,
}

fn measure(functions: &[&Function], event: &[u8], args: &Args) -> Result<Vec<Measured>> {
    say(&format!("{} fresh processes of each function", args.starts));
    let (mut starts, mut firsts) = (vec![Vec::new(); functions.len()], vec![Vec::new(); functions.len()]);
    for _ in 0..args.starts {
        for (i, function) in functions.iter().enumerate() {
            let mut process = function.start()?;
            starts[i].push(process.started_after);
            process.invoke(event)?;
            firsts[i].push(process.age());
        }
    }

    say(&format!("{ROUNDS} times {} warm batches of each", args.batches));
    let mut processes = functions.iter().map(|f| f.start()).collect::<Result<Vec<_>>>()?;
    let mut batches = vec![Vec::new(); functions.len()];
    for process in &mut processes {
        process.invoke(event)?;
    }
    for _ in 0..ROUNDS {
        for (i, process) in processes.iter_mut().enumerate() {
            let before = process.cpu()?;
            for _ in 0..args.batches {
                process.invoke(event)?;
            }
            batches[i].push((process.cpu()? - before) / args.batches);
        }
    }
    let peaks = processes.iter().map(|p| p.peak_kb()).collect::<Result<Vec<_>>>()?;

    let each = starts.into_iter().zip(firsts).zip(batches).zip(peaks);
    let measured = |(((start, first), batch), peak_kb)| {
        Ok(Measured {
            start: median(start)?,
            start_and_first: median(first)?,
            batch: median(batch)?,
            peak_kb,
        })
    };
    each.map(measured).collect()
}

fn rows(
    ours: Option<Measured>,
    peer: &Measured,
    ours_zip: Option<u64>,
    peer_zip: u64,
    ours_decode: Option<Decoded>,
    peer_decode: f64,
) -> Vec<Row> {
    let row = |measure, unit, pick: fn(&Measured) -> f64, expected| {
        Row::new(measure, unit, ours.as_ref().map(pick), pick(peer), expected)
    };
    let mut rows = vec![
        row("start-up to the first poll", Unit::Milliseconds, |m| ms(m.start), ">= 70x"),
        row("start-up and first batch, TLS", Unit::Milliseconds, |m| ms(m.start_and_first), ">= 25x"),
        row("CPU time, warm batch of 500", Unit::Milliseconds, |m| ms(m.batch), ""),
        row("peak memory", Unit::Mebibytes, |m| m.peak_kb as f64 / 1024.0, "<= 12 MiB"),
        Row::new("zip", Unit::Megabytes, ours_zip.map(|b| b as f64 / 1e6), peer_zip as f64 / 1e6, "<= 3 MB"),
        Row::new("decode", Unit::RecordsPerSecond, ours_decode.map(|d| d.ours), peer_decode, ">= 10x"),
    ];
    if let Some(decoded) = ours_decode {
        // The one row whose right side is not Python.
        let beside = "decode, beside aws_lambda_events";
        rows.push(Row::new(beside, Unit::RecordsPerSecond, Some(decoded.ours), decoded.stock, ">= 3x"));
    }
    rows
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied().context("--starts must be 1 or more")
}

/// Where everything of a run lies.
fn place() -> Result<PathBuf> {
    let place = cargo::target()?.join("bench");
    std::fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    Ok(place)
}

fn say(line: &str) {
    eprintln!("bench: {line}");
}
