//! `cargo xtask bench detect`: how right and how quick the detectors are.
//!
//! How right: every detector goes over the public half of the Numenta Anomaly Benchmark, which lies beside
//! the project and is no part of it, reading by reading, with one configuration for all series and a
//! threshold of 0.5; the judge that lies there too makes the table. What it finds in series of several features, made
//! here, and how often there is an alarm where nothing happens. How quick: readings a second of one core, ours, `krcf`
//! and Python's `rrcf`, in one run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::python::{Python, output};
use super::{build, place, say, starts};
use crate::cargo::root;
use crate::realtime;

/// What `cargo xtask bench detect` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A folder with `data`, `windows.json`, `points.json` and `judge.py`; absent: `shared/nab`, in any
    /// folder above.
    #[arg(long)]
    nab: Option<PathBuf>,
    /// Only the judge's whole report of this detector.
    #[arg(long)]
    only: Option<String>,
}

const RIVALS: [(&str, &str); 5] = [
    ("streaming", "the default"),
    ("forest-sigma", "forest, mean + 3σ"),
    ("forest-sigma-quiet", "the same, 144 quiet"),
    ("range-quiet", "out of range, 144 quiet"),
    ("spike-and-dip", "spike-and-dip, 95 % of 120"),
];

/// How often the same alerts are moved in time, to tell luck.
const CHANCE_RUNS: &str = "20";

/// What is said where there is nothing to judge by.
pub(super) const ABSENT: &str =
    "the labelled series are not there: no folder above has shared/nab; --nab tells where they are";

/// Measures and prints.
pub(crate) fn run(args: &Args) -> Result<()> {
    let program = build::detect()?;
    match args.nab.clone().or_else(beside) {
        None => say(ABSENT),
        Some(nab) => how_right(&program, &nab, args.only.as_deref())?,
    }
    if args.only.is_none() {
        for of in ["several", "nothing"] {
            println!("{}", output(Command::new(&program).arg(of))?);
        }
        how_quick(&program)?;
    }
    Ok(())
}

/// The labelled series beside the project, where they are there.
pub(super) fn beside() -> Option<PathBuf> {
    let root = root().canonicalize().ok()?;
    root.ancestors().skip(1).map(|folder| folder.join("shared/nab")).find(|nab| nab.join("judge.py").exists())
}

fn how_right(program: &Path, nab: &Path, only: Option<&str>) -> Result<()> {
    let place = place()?.join("detect");
    if let Some(rival) = only {
        let (report, _) = judged(program, nab, &place, rival)?;
        println!("{report}");
        return Ok(());
    }
    println!(
        "| detector | standard / low FP / low FN | optimised | − chance | event F1 | recall | false/1000 | delay |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut default_report = String::new();
    for (rival, name) in RIVALS {
        let (report, judged) = judged(program, nab, &place, rival)?;
        println!("{}", row(name, &judged)?);
        if default_report.is_empty() {
            default_report = report;
        }
    }
    println!("\nthe default:\n{default_report}");
    how_lucky(program, nab, &place)
}

/// The default again, with later starts and at half the rate: the mean of what the judge says.
fn how_lucky(program: &Path, nab: &Path, place: &Path) -> Result<()> {
    let (varied, results) = (place.join("varied"), place.join("varied-results"));
    println!(
        "| the default, mean of {} starts | standard / low FP / low FN | event F1 | recall | false/1000 |",
        starts::STARTS.len()
    );
    println!("|---|---|---|---|---|");
    for (pace, name) in starts::PACES.into_iter().zip(["every reading", "two readings as one"]) {
        let mut sums = [0.0; LUCK.len()];
        for start in starts::STARTS {
            emptied(&varied)?;
            emptied(&results)?;
            starts::write(nab, &varied, start, pace)?;
            output(Command::new(program).args(["run", RIVALS[0].0]).arg(varied.join("data")).arg(&results))?;
            let (_, judged) = judge(nab, &varied, &results, &[])?;
            for (sum, path) in sums.iter_mut().zip(LUCK) {
                *sum += judged.pointer(path).and_then(Value::as_f64).with_context(|| path.to_owned())?;
            }
        }
        let [standard, low_fp, low_fn, f1, recall, false_alerts] =
            sums.map(|sum| sum / starts::STARTS.len() as f64);
        println!(
            "| {name} | {standard:.1} / {low_fp:.1} / {low_fn:.1} | {f1:.3} | {recall:.2} | {false_alerts:.2} |"
        );
    }
    println!();
    Ok(())
}

/// What is taken the mean of, in the judge's figures.
const LUCK: [&str; 6] = [
    "/fixed/standard",
    "/fixed/low_FP",
    "/fixed/low_FN",
    "/alerts/f1",
    "/alerts/recall",
    "/alerts/false_per_1000_rows",
];

/// The judge's report on a rival, and its figures.
fn judged(program: &Path, nab: &Path, place: &Path, rival: &str) -> Result<(String, Value)> {
    let results = place.join(rival);
    emptied(&results)?;
    output(Command::new(program).args(["run", rival]).arg(nab.join("data")).arg(&results))?;
    judge(nab, nab, &results, &["--chance", CHANCE_RUNS])
}

/// Removes the folder of an earlier run, if there is one.
pub(super) fn emptied(results: &Path) -> Result<()> {
    match results.exists() {
        true => std::fs::remove_dir_all(results).with_context(|| results.display().to_string()),
        false => Ok(()),
    }
}

/// The judge's report on a folder of results on the labelled series of another, and its figures.
pub(super) fn judge(nab: &Path, labelled: &Path, results: &Path, more: &[&str]) -> Result<(String, Value)> {
    let json = results.with_extension("json");
    let mut judge = Command::new("python3");
    judge.arg(nab.join("judge.py")).arg(results).arg("--json").arg(&json).args(more);
    for (option, file) in [("--labels", "windows.json"), ("--points", "points.json"), ("--data", "data")] {
        let file = labelled.join(file);
        // Instants are labelled only in the series as they are.
        if file.exists() {
            judge.arg(option).arg(file);
        }
    }
    let report = output(&mut judge)?;
    // Python writes what is no number as NaN, and what is no finite one as Infinity: neither is JSON.
    let figures = std::fs::read_to_string(&json)?;
    let figures = ["NaN", "-Infinity", "Infinity"].iter().fold(figures, |json, no| json.replace(no, "null"));
    Ok((report, serde_json::from_str(&figures)?))
}

fn row(name: &str, judged: &Value) -> Result<String> {
    let figure = |path: &str| judged.pointer(path).and_then(Value::as_f64).with_context(|| path.to_owned());
    let three = |of: &str, end: &str| -> Result<String> {
        let figures =
            ["standard", "low_FP", "low_FN"].map(|profile| figure(&format!("/{of}/{profile}{end}")));
        let figures = figures.into_iter().collect::<Result<Vec<f64>>>()?;
        Ok(figures.iter().map(|figure| format!("{figure:.1}")).collect::<Vec<_>>().join(" / "))
    };
    // Below 0 there is nothing that luck could explain.
    let lead = match figure("/fixed/standard")? {
        standard if standard > 0.0 => format!("{:.1}", standard - figure("/chance/standard")?),
        _ => String::new(),
    };
    Ok(format!(
        "| {name} | {} | {} | {lead} | {:.3} | {:.2} | {:.2} | {:.0} |",
        three("fixed", "")?,
        three("optimised", "/score")?,
        figure("/alerts/f1")?,
        figure("/alerts/recall")?,
        figure("/alerts/false_per_1000_rows")?,
        figure("/alerts/delay_after_label_median")?,
    ))
}

/// All take turns so many times, and of each its quickest turn is printed: what else the machine does only ever makes
/// one slower.
const TURNS: usize = 3;
/// Readings that Python's `rrcf` is measured on, after those that fill its trees.
const RRCF_READINGS: &str = "300";

fn how_quick(program: &Path) -> Result<()> {
    let bench = root().join("benches/detect");
    let python = Python::with(&place()?.join("rrcf"), &bench.join("requirements.txt"))?;
    if !realtime::enter() {
        say("warning: no real-time priority (needs root); other load on the machine will show in the times");
    }
    let mut turns: Vec<Value> = Vec::new();
    for _ in 0..TURNS {
        turns.push(serde_json::from_str(&output(Command::new(program).arg("speed"))?)?);
        let script = bench.join("rrcf_speed.py");
        turns.push(serde_json::from_str(&python.run([script.as_os_str(), OsStr::new(RRCF_READINGS)])?)?);
    }
    let figure = |name: &str| {
        let told = turns.iter().filter_map(|turn| turn[name].as_f64());
        told.max_by(f64::total_cmp).with_context(|| format!("no {name:?}"))
    };
    let (krcf, rrcf) = (figure("krcf")?, figure("rrcf")?);
    println!("| learn and score, one core | readings/s | beside krcf | beside rrcf | state |");
    println!("|---|---|---|---|---|");
    for (name, rate, bytes) in [
        ("the default", figure("streaming")?, format!("{} bytes", figure("streaming_bytes")?)),
        ("the default, each of four features", figure("four")?, format!("{} bytes", figure("four_bytes")?)),
        ("our forest, shingle 8", figure("forest")?, format!("{:.0} KB", figure("forest_bytes")? / 1e3)),
        ("krcf at its defaults, shingle 8", krcf, String::new()),
        ("Python's rrcf, the same trees", rrcf, String::new()),
    ] {
        let rates = format!("{} | {:.2}x | {:.0}x", in_thousands(rate), rate / krcf, rate / rrcf);
        println!("| {name} | {rates} | {bytes} |");
    }
    Ok(())
}

fn in_thousands(rate: f64) -> String {
    if rate < 10_000.0 { format!("{rate:.0}") } else { format!("{:.0} k", rate / 1e3) }
}
