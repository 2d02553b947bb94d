//! Readings out of order: judged as if they had come in order, or told why not.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};

use crate::{Bench, FIXED, HEADER, rows};

const EVENT_TIME: &str =
    "[input]\ntime = \"/timestamp\"\n[input.event_time]\nlate = \"16s\"\nout_of_order = \"5s\"\n";

/// Slow enough to be killed in the middle of a run.
const FOREST: &str = "[model]\nkind = \"forest\"\n";

/// Every four rows in the opposite order: none lies more than 5 s before the newest.
fn shuffled(n: u32, faults: &[u32]) -> String {
    let rows = rows(0..n, faults);
    let reversed: Vec<String> = rows.chunks(4).flat_map(|four| four.iter().rev().cloned()).collect();
    HEADER.to_owned() + &reversed.concat()
}

fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    lines.sort_unstable();
    lines
}

const ARGS: &str = "web.csv --config c.toml --alerts alerts.jsonl --scores scores.csv";

#[test]
fn the_detector_learns_and_the_rules_judge_in_order() {
    let faults = [250, 330];
    let (ordered, bench) = (Bench::new(), Bench::new());
    ordered.put("web.csv", HEADER.to_owned() + &rows(0..420, &faults).concat());
    bench.put("web.csv", shuffled(420, &faults));
    for bench in [&ordered, &bench] {
        bench.put("c.toml", EVENT_TIME);
        let said = bench.detect(ARGS);
        assert_eq!(said.code, 1, "{}", said.stderr);
        assert!(said.stderr.contains("420 readings of 1 series"), "{}", said.stderr);
    }
    assert_eq!(bench.get("alerts.jsonl"), ordered.get("alerts.jsonl"));
    let (got, expected) = (bench.get("scores.csv"), ordered.get("scores.csv"));
    assert_eq!(sorted_lines(&got), sorted_lines(&expected), "the same scores");
    let times = |text: &str| text.lines().map(|l| l.split(',').next().map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(times(&got), times(&bench.get("web.csv")), "in the order of the rows");

    bench.put("c.toml", "");
    bench.detect(ARGS);
    assert_ne!(sorted_lines(&bench.get("scores.csv")), sorted_lines(&expected), "which matters");
}

#[test]
fn what_is_too_far_back_is_moved_or_rejected() {
    let bench = Bench::new();
    let mut lines = rows(0..30, &[]);
    let straggler = lines.remove(5).replace(",2", ",9");
    lines.insert(20, straggler);
    bench.put("web.csv", HEADER.to_owned() + &lines.concat());
    let adjust = format!("{EVENT_TIME}{FIXED}");
    bench.put("c.toml", &adjust);
    let args = "web.csv --config c.toml --scores scores.csv --rejects rejects.jsonl";
    let said = bench.detect(args);
    let line = "moved or dropped by event time: 1 out of order, 0 late, 0 early";
    assert!(said.stderr.contains(line) && said.stderr.contains("30 readings"), "{}", said.stderr);

    bench.put("c.toml", adjust.replace("out_of_order", "policy = \"drop\"\nout_of_order"));
    let said = bench.detect(args);
    assert!(said.stderr.contains(line) && said.stderr.contains("29 readings"), "{}", said.stderr);
    assert!(
        said.stderr.contains(
            "1 out-of-order-event, first web.csv row 21: 15 s behind the newest of its series, and 5 s are allowed"
        ),
        "{}",
        said.stderr
    );
    assert!(bench.get("rejects.jsonl").contains(r#""reason":"out-of-order-event""#));
    assert_eq!(bench.get("scores.csv").lines().count(), 31, "a line for each row");
}

/// Readings wait when the run is killed, and rows of scores with them.
#[test]
fn a_killed_run_goes_on_with_what_waited() {
    let faults: Vec<u32> = (1..20).map(|n| n * 1500).collect();
    let (whole, bench) = (Bench::new(), Bench::new());
    for bench in [&whole, &bench] {
        bench.put("web.csv", shuffled(30_000, &faults));
        bench.put("c.toml", EVENT_TIME.to_owned() + FOREST);
    }
    let args = format!("{ARGS} --value latency_ms");
    assert_eq!(whole.detect(&args).code, 1);
    let args = format!("{args} --state state");
    let mut child = Command::new(crate::anomaly())
        .current_dir(bench.dir.path())
        .arg("detect")
        .args(args.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("an alert");
    child.kill().expect("still running");
    child.wait().expect("ended");
    assert_eq!(rows_that_wait(&bench), 1, "saved before it was killed, with rows that wait");
    let said = bench.detect(&args);
    assert!(!said.stderr.contains("30000 readings"), "{}", said.stderr);
    assert_eq!(bench.get("alerts.jsonl"), whole.get("alerts.jsonl"));
    assert_eq!(bench.get("scores.csv"), whole.get("scores.csv"));
}

/// A state is saved each thousand rows, here right before the end of the input has the last readings judged.
#[test]
fn what_is_judged_at_the_end_is_saved_even_right_behind_a_save() {
    let bench = Bench::new();
    bench.put("web.csv", HEADER.to_owned() + &rows(0..1_000, &[997]).concat());
    bench.put("c.toml", [EVENT_TIME, FIXED].concat());
    let said = bench.detect("web.csv --config c.toml --state state");
    assert!(said.stdout.starts_with("CRITICAL web: slow"), "{}", said.stdout);
    let again = bench.detect("web.csv --config c.toml --state state");
    assert_eq!(again.stdout, "", "it was told");
    assert!(again.stderr.contains("0 readings; 1 series in the state"), "{}", again.stderr);
}

/// How many inputs have rows that wait, by the state in `state`.
fn rows_that_wait(bench: &Bench) -> u64 {
    let copy = bench.path("copy");
    fs::copy(bench.path("state/state"), &copy).expect("there");
    let store = Database::open(copy).expect("a store");
    let reading = store.begin_read().expect("reads");
    let waiting = TableDefinition::<&str, &[u8]>::new("waiting");
    reading.open_table(waiting).expect("there").len().expect("counted")
}

/// A series that fell silent long ago holds up its own readings, and not the scores of others for ever.
#[test]
fn the_end_of_an_input_releases_all_of_its_series() {
    let bench = Bench::new();
    let mut text = "timestamp,host,latency_ms\n".to_owned();
    text += "2026-01-01T00:00:00Z,silent,900\n";
    for second in 0..30 {
        text += &format!("2026-01-01T00:00:{second:02}Z,busy,20\n");
    }
    bench.put("web.csv", &text);
    bench.put("c.toml", EVENT_TIME.replace("[input]", "[input]\nseries = \"/host\"") + FIXED);
    let said = bench.detect("web.csv --config c.toml --scores scores.csv");
    assert!(
        said.stdout.starts_with("WARNING silent: slow") || said.stdout.contains("silent: slow"),
        "{}",
        said.stdout
    );
    assert!(said.stderr.contains("31 readings of 2 series"), "{}", said.stderr);
    let scores = bench.get("scores.csv");
    assert!(
        scores.lines().nth(1).is_some_and(|line| line.starts_with("2026-01-01T00:00:00Z,900,")),
        "{scores}"
    );
    assert_eq!(scores.lines().count(), 32);
    let piped = bench.pipe("- --config c.toml", text);
    assert!(piped.stdout.contains("silent: slow"), "a pipe's end too");
}
