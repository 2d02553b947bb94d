//! The readings that both sides judge, as lines: `series,time,partition,sequence,score,value`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::{Reading, Scored, SeriesId};
use anomaly_core::time::Timestamp;
use anomaly_detect::{Detector, Forest, ForestOptions};
use anyhow::{Context, Result, ensure};

/// How many series take turns.
const SERIES_IN_TURN: usize = 1_000;
/// How many readings each of them has.
const READINGS_EACH: usize = 400;
/// The time of a series' first reading, in milliseconds since 1970, and from one reading to the next.
const FIRST_MS: i64 = 1_795_000_000_000;
const STEP_MS: i64 = 300_000;
/// The series that is made where there are no data: about as long as all of NAB's public half.
const MADE_READINGS: u32 = 180_000;

/// A value and its score by the default detector.
type Point = (f64, Option<f64>);

/// Writes both files into `folder`; of the series under `data`, or of one that is made if that is `-`.
pub(crate) fn write(data: &str, folder: &Path) -> Result<()> {
    let series = match data {
        "-" => vec![scored((0..MADE_READINGS).map(made))?],
        data => files_under(Path::new(data))?.iter().map(|file| of_file(file)).collect::<Result<_>>()?,
    };
    ensure!(!series.is_empty(), "no CSV file under {data}");
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    fs::write(folder.join("series.csv"), one_after_another(&series))?;
    Ok(fs::write(folder.join("turns.csv"), in_turn(&series))?)
}

/// The reading that a line of these files is.
pub(crate) fn parse(line: &str) -> Result<Scored> {
    fields(line).with_context(|| format!("no reading: {line:?}"))
}

fn fields(line: &str) -> Option<Scored> {
    let [series, at, partition, sequence, score, value] =
        line.split(',').collect::<Vec<_>>().try_into().ok()?;
    let at = Timestamp::from_ms(at.parse().ok()?)?;
    let position =
        Position { partition: partition.into(), sequence: Sequence::new(sequence), sub: 0, arrived: at };
    let reading = Reading {
        series: SeriesId::new(series).ok()?,
        at,
        features: vec![value.parse().ok()?],
        filled: Vec::new(),
        position,
    };
    let score = if score.is_empty() { None } else { Some(score.parse().ok()?) };
    Some(Scored { reading, score })
}

fn one_after_another(series: &[Vec<Point>]) -> String {
    let (mut text, mut number) = (String::new(), 0);
    for (index, points) in series.iter().enumerate() {
        for (row, point) in points.iter().enumerate() {
            number += 1;
            line(&mut text, &format!("device-{index}"), row, number, *point);
        }
    }
    text
}

/// Each series a stretch of its own of some of the points.
fn in_turn(series: &[Vec<Point>]) -> String {
    let points: Vec<Point> = series.concat();
    let (mut text, mut number) = (String::new(), 0);
    for row in 0..READINGS_EACH {
        for index in 0..SERIES_IN_TURN {
            number += 1;
            let point = points[(index * points.len() / SERIES_IN_TURN + row) % points.len()];
            line(&mut text, &format!("device-{index}"), row, number, point);
        }
    }
    text
}

/// A sequence number has as many digits as Kinesis gives it.
fn line(text: &mut String, series: &str, row: usize, number: u64, (value, score): Point) {
    let at = FIRST_MS + row as i64 * STEP_MS;
    let score = score.map(|score| score.to_string()).unwrap_or_default();
    let _ = writeln!(
        text,
        "{series},{at},shardId-000000000000,495903382714902566085596925385{number:026},{score},{value}"
    );
}

/// A daily wave with noise, and a fault now and then.
fn made(n: u32) -> f64 {
    let wave = (f64::from(n) * std::f64::consts::TAU / 288.0).sin();
    let noise = f64::from(n.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
    let fault = if n % 6_000 > 5_990 { 60.0 } else { 0.0 };
    20.0 + wave + noise + fault
}

fn of_file(file: &Path) -> Result<Vec<Point>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let value = |line: &str| {
        let (_, value) = line.split_once(',')?;
        value.trim().parse::<f64>().ok()
    };
    let values = text.lines().skip(1).map(|line| value(line).with_context(|| format!("no value: {line:?}")));
    scored(values.collect::<Result<Vec<_>>>()?.into_iter())
}

fn scored(values: impl Iterator<Item = f64>) -> Result<Vec<Point>> {
    let mut forest = Forest::new(ForestOptions::default())?;
    let point = |value| {
        let score = forest.score(&[value])?;
        forest.learn(&[value])?;
        Ok((value, score))
    };
    values.map(point).collect()
}

/// The CSV files, in order.
fn files_under(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(files_under(&path)?),
            false if path.extension().is_some_and(|extension| extension == "csv") => found.push(path),
            false => {}
        }
    }
    found.sort_unstable();
    Ok(found)
}
