//! What learns each series by default: the streaming detector, of four kilobytes.

use std::path::Path;

use serde_json::Value;

use crate::{Bench, csv};

/// From where to where the example's faults lie, in rows.
const FAULTS: [(usize, usize); 8] = [
    (779, 852),
    (1233, 1302),
    (1648, 1726),
    (2079, 2089),
    (2538, 2595),
    (2959, 3029),
    (3380, 3391),
    (3811, 3896),
];
/// The second processor hog, which is like the first of 22 minutes before: it is found at its end.
const AT_ITS_END: usize = 5;

#[test]
fn the_web_servers_faults_are_found_within_two_seconds_each_once() {
    let bench = Bench::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/webserver.csv");
    bench.put("web.csv", std::fs::read_to_string(example).expect("the example"));
    let said = bench.detect("web.csv --json");
    assert_eq!(said.code, 1, "{}", said.stderr);

    // A reading a second, from 03:36:14.
    let row_of = |at: u64| usize::try_from((at - 1_795_232_174_000) / 1000).expect("a row");
    let told = said.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let fired: Vec<usize> = told
        .filter(|transition| transition["step"] == "fired")
        .map(|transition| row_of(transition["at"].as_u64().expect("milliseconds")))
        .collect();
    assert_eq!(fired.len(), FAULTS.len(), "none is false: {fired:?}");
    for (index, (&row, (from, to))) in fired.iter().zip(FAULTS).enumerate() {
        let found_by = if index == AT_ITS_END { to + 1 } else { to.min(from + 2) };
        assert!((from..=found_by).contains(&row), "row {row} for the fault from {from} to {to}");
    }
}

#[test]
fn a_run_that_stopped_is_carried_on() {
    let faults = [250, 400];
    let run = |stops: &[u32]| {
        let bench = Bench::new();
        for &stop in stops {
            bench.put("web.csv", csv(stop, &faults));
            let said = bench.detect("web.csv --state state --alerts alerts.jsonl --scores scores.csv");
            assert_ne!(said.code, 2, "{}", said.stderr);
        }
        (bench.get("alerts.jsonl"), bench.get("scores.csv"))
    };
    let at_once = run(&[500]);
    assert!(at_once.0.lines().count() >= 2, "{}", at_once.0);
    assert_eq!(run(&[90, 251, 260, 399, 500]), at_once);
}

/// A pump runs for 40 of 400 minutes; the second time it does not, and no value is unusual.
#[test]
fn what_is_missing_from_a_season_is_seen_where_its_period_is_given() {
    let bench = Bench::new();
    let rows = (0..680_i64).map(|n| {
        let load = if (200..240).contains(&n) { 60.0 } else { 10.0 } + (n * 37 % 11) as f64 / 5.0;
        format!("{},{load}\n", 1_700_000_000 + 60 * n)
    });
    bench.put("pump.csv", format!("time,load\n{}", rows.collect::<String>()));
    bench.put("anomaly.toml", "[model]\nperiod = \"400m\"\n");
    let is_missed = |arguments: &str| {
        let said = bench.detect(&format!("pump.csv --json {arguments}"));
        let told = said.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let minutes =
            told.map(|step| (step["at"].as_i64().expect("milliseconds") / 1000 - 1_700_000_000) / 60);
        minutes.into_iter().any(|minute| (600..640).contains(&minute))
    };
    assert!(!is_missed(""), "one cycle does not show a period");
    for given in ["--period 400m", "--period 400readings", "--config anomaly.toml"] {
        assert!(is_missed(given), "{given}");
    }
    let said = bench.detect("pump.csv --period 1readings");
    assert!(said.code == 2 && said.stderr.contains("is not 2 to 1000000 readings"), "{}", said.stderr);
}
