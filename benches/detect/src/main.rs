//! Detectors over labelled series, and how fast they are.
//!
//! `bench-detect run DETECTOR DATA RESULTS` reads every CSV file (`timestamp,value`) under a folder and
//! writes what the detector says of each row, for a judge: `timestamp,value,anomaly_score`. A detector sees a
//! row, answers, and only then sees the next one. `bench-detect rules SCORES DATA RESULTS` does the same for the
//! rules on a detector's scores, a folder each ([`rules`]). `bench-detect speed` prints readings a second and bytes of
//! state, as JSON; `bench-detect several` what is found in series of several features ([`several`]), and
//! `bench-detect nothing` how often there is an alarm where nothing happens ([`nothing`]).

mod dice;
mod nothing;
mod rivals;
mod rules;
mod several;
mod speed;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anomaly_core::time::Timestamp;
use anyhow::{Context, Result, bail};

use rivals::Rival;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", rival, data, results] => run(rival, Path::new(data), Path::new(results)),
        ["rules", what, data, results] => {
            let told = rules::run(what, Path::new(data), Path::new(results))?;
            Ok(writeln!(std::io::stdout(), "{}", told.join("\n"))?)
        }
        ["several"] => {
            Ok(writeln!(std::io::stdout(), "{}", several::measure(&[2, 3, 4, 8, 20])?.trim_end())?)
        }
        ["nothing"] => Ok(writeln!(std::io::stdout(), "{}", nothing::measure()?.trim_end())?),
        ["speed"] => Ok(writeln!(std::io::stdout(), "{}", speed::measure()?)?),
        _ => {
            bail!("usage: bench-detect run|rules DETECTOR DATA RESULTS | bench-detect several|nothing|speed")
        }
    }
}

fn run(name: &str, data: &Path, results: &Path) -> Result<()> {
    for series in series_under(data)? {
        let scored = score(&series, rivals::named(name)?).with_context(|| series.display().to_string())?;
        let to = results.join(series.strip_prefix(data)?);
        fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
        fs::write(&to, scored).with_context(|| to.display().to_string())?;
    }
    Ok(())
}

fn score(series: &Path, mut rival: Box<dyn Rival>) -> Result<String> {
    let text = fs::read_to_string(series)?;
    let mut scored = String::from("timestamp,value,anomaly_score\n");
    for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
        let (at, value) = line.split_once(',').with_context(|| format!("no comma in {line:?}"))?;
        let at = Timestamp::parse(at).with_context(|| format!("no time in {line:?}"))?;
        let score =
            rival.judge(at, value.trim().parse().with_context(|| format!("no number in {line:?}"))?)?;
        scored.push_str(&format!("{line},{score}\n"));
    }
    Ok(scored)
}

/// The CSV files, in order.
fn series_under(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(series_under(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}
