//! Labelled series as they would be had they begun later, or been read half as often: how much of a detector's figure
//! is luck.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Rows that are left out at the beginning of every series.
pub(super) const STARTS: [usize; 6] = [0, 17, 53, 131, 211, 307];

/// Readings of which one is made: their mean, at the time of the first.
pub(super) const PACES: [usize; 2] = [1, 2];

/// The labelled windows of each series: first and last time.
type Windows = BTreeMap<String, Vec<[String; 2]>>;

/// Writes the series and windows of `nab` into `to`, without their first `start` rows and with `pace` readings as one.
///
/// # Errors
/// If a window does not lie on rows of its series, or one cannot be read or written.
pub(super) fn write(nab: &Path, to: &Path, start: usize, pace: usize) -> Result<()> {
    let windows: Windows = serde_json::from_str(&fs::read_to_string(nab.join("windows.json"))?)?;
    let mut moved = Windows::new();
    for (series, windows) in windows {
        let text = fs::read_to_string(nab.join("data").join(&series)).with_context(|| series.clone())?;
        let (rows, windows) = varied(&text, &windows, start, pace).with_context(|| series.clone())?;
        let file: PathBuf = to.join("data").join(&series);
        fs::create_dir_all(file.parent().context("a file lies in a folder")?)?;
        fs::write(&file, rows)?;
        moved.insert(series, windows);
    }
    Ok(fs::write(to.join("windows.json"), serde_json::to_string(&moved)?)?)
}

/// The rows of a file and its windows. A window that is cut off begins with the first row; one that is gone is none.
fn varied(
    text: &str,
    windows: &[[String; 2]],
    start: usize,
    pace: usize,
) -> Result<(String, Vec<[String; 2]>)> {
    let rows = text.lines().skip(1).filter(|line| !line.is_empty());
    let rows: Vec<(&str, f64)> = rows
        .map(|row| {
            let (at, value) = row.split_once(',').with_context(|| format!("no comma in {row:?}"))?;
            Ok((at, value.trim().parse().with_context(|| format!("no number in {row:?}"))?))
        })
        .collect::<Result<_>>()?;
    let place = |time: &str| {
        let second = time.split('.').next().unwrap_or(time);
        rows.iter().position(|(at, _)| *at == second).with_context(|| format!("no row of {time}"))
    };
    let kept = rows.get(start..).unwrap_or_default();
    let time = |place: usize| {
        kept.get(place.saturating_sub(start) / pace * pace).map(|(at, _)| (*at).to_owned()).context("no row")
    };
    let mut moved = Vec::new();
    for [first, last] in windows {
        let last = place(last)?;
        if last >= start {
            moved.push([time(place(first)?)?, time(last)?]);
        }
    }
    let mut varied = String::from("timestamp,value\n");
    for readings in kept.chunks(pace) {
        let mean = readings.iter().map(|(_, value)| value).sum::<f64>() / readings.len() as f64;
        varied.push_str(&format!("{},{mean}\n", readings[0].0));
    }
    Ok((varied, moved))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: &str = "timestamp,value\n2014-04-01 00:00:00,1\n2014-04-01 00:05:00,2\n\
                          2014-04-01 00:10:00,3\n2014-04-01 00:15:00,4\n2014-04-01 00:20:00,5\n";

    fn windows(windows: &[[&str; 2]]) -> Vec<[String; 2]> {
        windows.iter().map(|window| window.map(|at| format!("2014-04-01 00:{at}:00"))).collect()
    }

    #[test]
    fn a_later_start_leaves_rows_and_windows_out() {
        let labelled = windows(&[["00", "05"], ["05", "15"]]);
        let (rows, moved) = varied(SERIES, &labelled, 2, 1).unwrap();
        assert_eq!(
            rows,
            "timestamp,value\n2014-04-01 00:10:00,3\n2014-04-01 00:15:00,4\n2014-04-01 00:20:00,5\n"
        );
        assert_eq!(moved, windows(&[["10", "15"]]));
    }

    #[test]
    fn two_readings_are_one_and_a_window_lies_on_its_rows() {
        let (rows, moved) = varied(SERIES, &windows(&[["15", "20"]]), 0, 2).unwrap();
        assert_eq!(
            rows,
            "timestamp,value\n2014-04-01 00:00:00,1.5\n2014-04-01 00:10:00,3.5\n2014-04-01 00:20:00,5\n"
        );
        assert_eq!(moved, windows(&[["10", "20"]]));
    }
}
