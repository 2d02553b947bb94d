//! `cargo xtask bench classify`: judging alone, ours beside a Python function of the same job, in one run.
//!
//! Both judge the same readings by the same rules, a chunk at a time, and neither reading them nor making states is
//! counted. Both must find the same, to the bit: states, numbers, thresholds, alerts, their names and steps.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::python::output;
use super::table::{self, Row, Unit};
use super::{build, detect, place, say};
use crate::cargo::root;
use crate::realtime;

/// What `cargo xtask bench classify` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A folder with `data`, CSV files of series; absent: `shared/nab`, in any folder above, or else a made series.
    #[arg(long)]
    nab: Option<PathBuf>,
    /// Print JSON, not a table.
    #[arg(long)]
    json: bool,
}

/// What is measured: its name, the readings and the rules.
const MIXES: [(&str, &str, &str); 4] = [
    ("classify, default rule, one series after another", "series.csv", "default.json"),
    ("classify, default rule, 1,000 series in turn", "turns.csv", "default.json"),
    ("classify, three rules, one series after another", "series.csv", "three.json"),
    ("classify, three rules, 1,000 series in turn", "turns.csv", "three.json"),
];

/// Both take turns so many times, ahead of whatever else the machine does. Of each its quickest turn is printed: what
/// the machine does besides only ever makes one slower, and on a shared one seldom both alike.
const ROUNDS: usize = 3;
/// How often each judges all readings in a turn.
const SAMPLES: &str = "3";

/// Measures and prints.
pub(crate) fn run(args: &Args) -> Result<()> {
    let (program, place) = (build::classify()?, place()?.join("classify"));
    let data = match args.nab.clone().or_else(detect::beside) {
        Some(nab) => nab.join("data").display().to_string(),
        None => {
            say("the labelled series are not there, a made one is judged; --nab tells where they are");
            "-".to_owned()
        }
    };
    output(Command::new(&program).arg("readings").arg(data).arg(&place))?;
    if !realtime::enter() {
        say("warning: no real-time priority (needs root); other load on the machine will show in the times");
    }
    let rows = MIXES.iter().map(|mix| measure(&program, &place, *mix)).collect::<Result<Vec<_>>>()?;
    println!("{}", if args.json { table::json(&rows) } else { table::text(&rows) });
    Ok(())
}

fn measure(program: &Path, place: &Path, (name, readings, rules): (&'static str, &str, &str)) -> Result<Row> {
    say(name);
    let bench = root().join("benches/classify");
    let (readings, rules) = (place.join(readings), bench.join("rules").join(rules));
    let judge = |command: &mut Command| -> Result<Value> {
        Ok(serde_json::from_str(&output(command.args([&readings, &rules]).arg(SAMPLES))?)?)
    };
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(judge(Command::new(program).arg("judge"))?);
        peer.push(judge(Command::new("python3").arg(bench.join("classify.py")))?);
    }
    for found in ["findings", "transitions", "steps"] {
        let values: Vec<&Value> = ours.iter().chain(&peer).map(|told| &told[found]).collect();
        ensure!(values.iter().all(|value| *value == values[0]), "{name}: not the same {found}: {values:?}");
    }
    Ok(Row::new(name, Unit::ReadingsPerSecond, Some(quickest(&ours)?), quickest(&peer)?, ">= 50x"))
}

fn quickest(told: &[Value]) -> Result<f64> {
    let rates = told.iter().map(|told| told["rate"].as_f64()).collect::<Option<Vec<_>>>();
    let rates = rates.context("a rate is missing")?;
    rates.into_iter().max_by(f64::total_cmp).context("nothing was measured")
}
