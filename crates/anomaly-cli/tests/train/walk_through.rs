//! SageMaker's walk-through of its Random Cut Forest, by our own commands: half-hours of taxi passengers in rows of a day
//! (48 readings), a forest of 50 trees of 512, and what lies above the mean score by three deviations.
//!
//! Source: Amazon SageMaker examples, `random_cut_forest.ipynb`; there the anomalies are a marathon's night with the end of
//! summer time, Thanksgiving, Christmas, New Year and a snow storm.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::Bench;

const HALF_HOURS: u32 = 48;

/// What becomes of a half-hour's demand.
type Happening = fn(f64, u32) -> f64;

/// Days, counted from the first one, and what happens then.
const EVENTS: [(u32, Happening); 4] = [
    // The night before a marathon, when the clocks are put back.
    (47, |demand, half_hour| if half_hour < 6 { demand + 22_000.0 } else { demand }),
    // A holiday, on a weekday.
    (74, |demand, _| 0.35 * demand),
    // A new year.
    (103, |demand, half_hour| if half_hour < 4 { 30_000.0 } else { 0.6 * demand }),
    // A storm.
    (131, |_, _| 600.0),
];

/// Days there are.
const DAYS: u32 = 150;

/// Demand for taxis: mornings, evenings, weekends with long nights, weather, and noise.
fn taxi() -> String {
    let demand = |n: u32| {
        let (day, half_hour) = (n / HALF_HOURS, n % HALF_HOURS);
        let hour = f64::from(half_hour) / 2.0;
        let weekend = day % 7 >= 5;
        let bump = |at: f64, width: f64| (-((hour - at) / width).powi(2)).exp();
        let night = if weekend { 14_000.0 * bump(0.5, 2.5) } else { 4_000.0 * bump(0.0, 1.5) };
        let morning = if weekend { 0.0 } else { 9_000.0 * bump(8.5, 1.8) };
        let usual = 3_000.0 + night + morning + 9_000.0 * bump(14.0, 5.0) + 14_000.0 * bump(19.5, 3.0);
        // Evenly from -0.5 to 0.5.
        let dice = |n: u32| f64::from(n.wrapping_mul(2_654_435_761) >> 12 & 0x3ff) / 1024.0 - 0.5;
        let noisy = usual * (1.0 + 0.2 * dice(day + 7) + 0.08 * dice(n));
        let event = EVENTS.iter().find(|(at, _)| *at == day);
        event.map_or(noisy, |(_, happen)| happen(noisy, half_hour)).round()
    };
    // Days of 2026 as dates of the calendar.
    let date = |day: u32| match day {
        0..31 => (1, day + 1),
        31..59 => (2, day - 30),
        59..90 => (3, day - 58),
        90..120 => (4, day - 89),
        _ => (5, day - 119),
    };
    let row = |n: u32| {
        let ((month, day), half_hour) = (date(n / HALF_HOURS), n % HALF_HOURS);
        let (hour, minute) = (half_hour / 2, half_hour % 2 * 30);
        format!("2026-{month:02}-{day:02} {hour:02}:{minute:02}:00,{}\n", demand(n))
    };
    "timestamp,value\n".to_owned() + &(0..DAYS * HALF_HOURS).map(row).collect::<String>()
}

/// Trains on `series`, scores it, and gives the cut-off of its calibration and each row's score, if it has one.
fn walk(bench: &Bench, series: &Path) -> (f64, Vec<(String, Option<f64>)>) {
    let series = series.display();
    let trained = bench
        .anomaly(&format!("train {series} -o model.tar.gz --shingle 48 --trees 50 --sample-size 512 --json"));
    let summary: serde_json::Value = serde_json::from_str(&trained.stdout).expect("JSON");
    let cutoff = summary["score_cutoff"].as_f64().expect("a number");
    let said = bench.anomaly(&format!(
        "detect {series} --model model.tar.gz --rule sigma:k=3,calibrated=true --scores scores.csv \
         --findings findings.jsonl --quiet"
    ));
    assert_eq!(said.code, 1, "{}", said.stderr);
    let scores = String::from_utf8(bench.get("scores.csv")).expect("text");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[0].to_owned(), cells[4].parse().ok())
    };
    let rows: Vec<(String, Option<f64>)> = scores.lines().skip(1).map(row).collect();
    // The rule says the same as the arithmetic.
    let findings = String::from_utf8(bench.get("findings.jsonl")).expect("text");
    let called = findings.lines().filter(|line| line.contains("\"anomalous\":true")).count();
    assert_eq!(called, rows.iter().filter(|(_, score)| score.is_some_and(|s| s > cutoff)).count());
    (cutoff, rows)
}

#[test]
fn on_taxis_of_a_made_up_town() {
    let bench = Bench::new();
    let series = bench.put("taxi.csv", taxi());
    let (cutoff, rows) = walk(&bench, &series);
    assert_eq!(
        rows.iter().filter(|(_, score)| score.is_none()).count(),
        47,
        "the first day is not whole yet"
    );
    let day = |row_idx: usize| row_idx as u32 / HALF_HOURS;
    // A row is a day long: what happens reaches into the next one.
    let event = |row_idx: usize| EVENTS.iter().position(|(at, _)| (*at..at + 2).contains(&day(row_idx)));
    let mut highest: BTreeMap<Option<usize>, f64> = BTreeMap::new();
    let (mut right, mut wrong) = (0, 0);
    for (row_idx, (_, score)) in rows.iter().enumerate() {
        let Some(score) = score else { continue };
        let highest = highest.entry(event(row_idx)).or_default();
        *highest = highest.max(*score);
        match event(row_idx) {
            _ if *score <= cutoff => {}
            Some(_) => right += 1,
            None => wrong += 1,
        }
    }
    let usual = highest.remove(&None).expect("most are");
    let told = format!(
        "cut-off {cutoff}; usual days up to {usual}, events {highest:?}; {right} right, {wrong} wrong"
    );
    assert_eq!(highest.len(), EVENTS.len());
    assert!(highest.values().all(|score| *score > usual), "the events are the strangest of all: {told}");
    let found = highest.values().filter(|score| **score > cutoff).count();
    // The forest has learned them too, and their scores have raised the line: the mildest may lie below it.
    assert!(found >= 3, "{told}");
    assert!(right > 0 && wrong == 0, "nothing else is: {told}");
}

/// The real ones, where they lie beside the project: Numenta's copy of the New York City Taxi and Limousine Commission's
/// counts.
#[test]
fn on_the_taxis_of_new_york() {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1);
    let place = |folder: &Path| folder.join("shared/nab");
    let Some(nab) =
        above.find_map(|folder| Some(place(folder)).filter(|nab| nab.join("windows.json").exists()))
    else {
        let _ = writeln!(std::io::stderr(), "skipped: the labelled series are not there");
        return;
    };
    let name = PathBuf::from("realKnownCause/nyc_taxi.csv");
    let windows = fs::read_to_string(nab.join("windows.json")).expect("there");
    let windows: serde_json::Value = serde_json::from_str(&windows).expect("JSON");
    let windows: Vec<(String, String)> =
        serde_json::from_value(windows[name.to_str().expect("plain")].clone()).expect("windows");
    let bench = Bench::new();
    let (cutoff, rows) = walk(&bench, &nab.join("data").join(name));
    let window = |at: &str| windows.iter().position(|(from, to)| from[..19] <= *at && *at <= to[..19]);
    let over: Vec<Option<usize>> = rows
        .iter()
        .filter(|(_, score)| score.is_some_and(|score| score > cutoff))
        .map(|(at, _)| window(at))
        .collect();
    let right = over.iter().flatten().count();
    let mut found: Vec<usize> = over.iter().copied().flatten().collect();
    found.dedup();
    let told = format!("cut-off {cutoff}; {} rows above it, {right} in the windows {found:?}", over.len());
    // The marathon's night, Christmas and the snow storm, and next to nothing else.
    assert!(found.contains(&0) && found.contains(&2) && found.contains(&4), "{told}");
    assert!(right * 20 >= over.len() * 19, "nineteen of twenty are in a window: {told}");
}
