//! Series that are put by when memory is short: what is found does not depend on it.

mod steps;

use std::fs;
use std::path::Path;

use anomaly_core::alert::Transition;
use anomaly_core::config::Config;
use anomaly_local::detect::{Options, detect};
use anomaly_local::input::{Source, Stop};

use steps::Steps;

const HOSTS: u32 = 9;

/// Rows of nine hosts in turn, but for one that falls silent for a while and one whose rows come late by some; each
/// host has a fault of its own time.
fn rows(seconds: std::ops::Range<u32>) -> String {
    let mut text = "timestamp,host,latency_ms,requests\n".to_owned();
    for second in seconds {
        for host in (0..HOSTS).filter(|host| *host != 3 || !(60..96).contains(&second)) {
            let noise = f64::from((second * 9 + host).wrapping_mul(2_654_435_761) >> 16 & 0xff) / 64.0;
            let broken = (40 + host * 7..46 + host * 7).contains(&second);
            let latency = if broken { 900.0 + noise } else { 20.0 + noise };
            let at = if host == 5 { second ^ 3 } else { second };
            let time = format!("2026-01-01T00:{:02}:{:02}Z", at / 60, at % 60);
            text += &format!("{time},host-{host},{latency:.2},{:.0}\n", 100.0 + f64::from(at % 7));
        }
    }
    text
}

const RULES: &str = "[[rule]]\nname = \"slow\"\non = \"latency_ms\"\nfor = \"2 of 2\"\n\
    method = { kind = \"static\", threshold = 100.0 }\nclear = { for = \"5 of 5\" }\n\
    [[rule]]\nname = \"quiet\"\nmethod = { kind = \"no-data\", after = \"30s\" }\n\
    [[rule]]\nname = \"strange\"\nfor = \"1 of 1\"\nmethod = { kind = \"sigma\", k = 2.0 }\n";

/// What was told, and what was written: scores and findings.
#[derive(Debug, PartialEq)]
struct Found {
    steps: Vec<Transition>,
    files: Vec<String>,
    firing: usize,
}

fn run(folder: &Path, config: &str, seconds: u32, memory_bytes: Option<usize>) -> Found {
    let options = |config: &str| Options {
        config: Config::from_toml(config).expect("a configuration"),
        state: memory_bytes.map(|_| folder.join("state")),
        memory_bytes,
        scores: Some(folder.join("scores.csv")),
        findings: Some(folder.join("findings.jsonl")),
        ..Options::default()
    };
    let mut steps = Steps::default();
    let mut firing = 0;
    // A state goes on after a while; without one it is one run.
    let ends = if memory_bytes.is_some() { vec![seconds * 3 / 5, seconds] } else { vec![seconds] };
    for end in ends {
        fs::write(folder.join("hosts.csv"), rows(0..end)).expect("written");
        let sources = Source::all(&[folder.join("hosts.csv")]);
        let summary = detect(&sources, options(config), &Stop::default(), &mut steps).expect("runs");
        assert_eq!(summary.series, HOSTS as usize);
        firing = summary.firing;
    }
    let text = |name: &str| fs::read_to_string(folder.join(name)).expect("written");
    Found { steps: steps.0, files: vec![text("scores.csv"), text("findings.jsonl")], firing }
}

/// With room for some, or for none: the same as with room for all (`usize::MAX`), or without a state (`None`).
fn check(config: &str, seconds: u32, all: Option<usize>, rooms: &[usize]) {
    let whole = run(tempfile::tempdir().expect("a folder").path(), config, seconds, all);
    assert!(whole.steps.len() >= 8, "{}", whole.steps.len());
    for room in rooms {
        let found = run(tempfile::tempdir().expect("a folder").path(), config, seconds, Some(*room));
        assert_eq!(found.firing, whole.firing, "{room}");
        assert!(found.files == whole.files, "room for {room} bytes changes scores or findings");
        assert!(found.steps == whole.steps, "room for {room} bytes changes what is told");
    }
}

#[test]
fn series_that_are_put_by_are_judged_as_if_they_had_stayed() {
    check(&format!("[model]\nkind = \"embedded\"\n{RULES}"), 150, None, &[usize::MAX, 120_000]);
}

#[test]
fn readings_wait_for_others_while_their_series_is_put_by() {
    let time = "[input]\ntime = \"/timestamp\"\nseries = \"/host\"\n";
    let by_time = "[input.event_time]\nlate = \"10s\"\nout_of_order = \"5s\"\n";
    check(
        &format!("{time}{by_time}[model]\nkind = \"embedded\"\n{RULES}"),
        100,
        Some(usize::MAX),
        &[120_000],
    );
}

#[test]
fn forests_that_are_put_by_score_as_if_they_had_stayed() {
    check(&format!("[model]\nkind = \"forest\"\nshingle = 2\n{RULES}"), 100, None, &[4_000_000]);
}
