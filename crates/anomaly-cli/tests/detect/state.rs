//! Stopping and starting again: the alerts are those of one run.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Bench, FIXED, HEADER, csv, rows};

const FAULTS: [u32; 2] = [250, 600];
const ROWS: u32 = 700;

/// What one run over everything writes.
fn at_once() -> (String, String) {
    let bench = Bench::new();
    bench.put("web.csv", csv(ROWS, &FAULTS));
    let said = bench.detect("web.csv --alerts alerts.jsonl --scores scores.csv");
    assert_eq!(said.code, 1, "{}", said.stderr);
    (bench.get("alerts.jsonl"), bench.get("scores.csv"))
}

fn carry_on(bench: &Bench) -> crate::Said {
    bench.detect("web.csv --state state --alerts alerts.jsonl --scores scores.csv")
}

#[test]
fn a_file_that_grows_is_carried_on() {
    let expected = at_once();
    assert!(expected.0.lines().count() >= 2, "{}", expected.0);
    let lines = rows(0..ROWS, &FAULTS);
    for stops in [&[1, 2, 64][..], &[100, 165, 200], &[251, 252, 260], &[601, 699]] {
        let bench = Bench::new();
        let path = bench.put("web.csv", HEADER);
        let mut file = OpenOptions::new().append(true).open(path).expect("there");
        let mut from = 0;
        for &stop in stops.iter().chain([&(ROWS as usize)]) {
            file.write_all(lines[from..stop].concat().as_bytes()).expect("written");
            assert_ne!(carry_on(&bench).code, 2);
            from = stop;
        }
        assert_eq!(bench.get("alerts.jsonl"), expected.0, "stopped at {stops:?}");
        assert_eq!(bench.get("scores.csv"), expected.1, "stopped at {stops:?}");
        let again = carry_on(&bench);
        assert!(again.stderr.contains("0 readings; 1 series in the state"), "{}", again.stderr);
        assert_eq!((again.stdout.as_str(), again.code), ("", 0));
        assert_eq!(bench.get("alerts.jsonl"), expected.0);
    }
}

#[test]
fn a_row_that_is_half_written_is_not_taken_for_a_whole_one() {
    let expected = at_once();
    let whole = csv(ROWS, &FAULTS);
    let fault = whole.find(",9").expect("the first fault's latency");
    for cut in [whole.len() / 2, fault + 2, fault + 4, whole.len() - 1] {
        let bench = Bench::new();
        bench.put("web.csv", &whole[..cut]);
        carry_on(&bench);
        bench.put("web.csv", &whole);
        carry_on(&bench);
        assert_eq!(bench.get("alerts.jsonl"), expected.0, "cut at byte {cut}");
        assert_eq!(bench.get("scores.csv"), expected.1, "cut at byte {cut}");
    }
}

#[test]
fn a_last_row_without_a_line_end_is_judged() {
    let bench = Bench::new();
    let text = csv(21, &[20]);
    bench.put("web.csv", text.trim_end());
    bench.put("fixed.toml", FIXED);
    for _ in 0..2 {
        let said = bench.detect("web.csv --config fixed.toml --state state --alerts alerts.jsonl");
        assert_eq!(said.code, 1, "{}", said.stderr);
        assert_eq!(bench.get("alerts.jsonl").lines().count(), 1);
    }
}

#[test]
fn another_file_of_the_same_name_is_read_from_its_beginning() {
    let bench = Bench::new();
    bench.put("web.csv", csv(50, &[]));
    assert_eq!(carry_on(&bench).code, 0);
    bench.put("web.csv", HEADER.to_owned() + &rows(100..200, &[]).concat());
    let said = carry_on(&bench);
    assert!(
        said.stderr.contains("note: web.csv: it is not the file that was read before"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("100 readings; 1 series in the state"), "{}", said.stderr);
    assert_eq!(bench.get("scores.csv").lines().count(), 101);
}

/// It fired in an earlier run, and goes on: that is not nothing.
#[test]
fn an_alert_that_is_still_open_is_told_by_the_exit_code() {
    let bench = Bench::new();
    bench.put("c.toml", FIXED);
    let mut codes = Vec::new();
    for rows in [45, 55, 60, 60, 120, 130] {
        bench.put("web.csv", csv(rows, &[50]));
        codes.push(bench.detect("web.csv -c c.toml --state state").code);
    }
    assert_eq!(codes, [0, 1, 1, 0, 0, 0], "before it, in it twice, nothing new, its end, after it");
}

#[test]
fn a_killed_run_is_carried_on_without_losing_or_doubling_an_alert() {
    let faults: Vec<u32> = (1..20).map(|n| n * 1500).collect();
    let text = csv(30_000, &faults);
    let config = FIXED.replace("\"none\"", "\"forest\"");
    let whole = Bench::new();
    whole.put("web.csv", &text);
    whole.put("c.toml", &config);
    let args = "web.csv -c c.toml --value latency_ms --alerts alerts.jsonl --scores scores.csv";
    assert_eq!(whole.detect(args).code, 1);

    let bench = Bench::new();
    bench.put("web.csv", &text);
    bench.put("c.toml", &config);
    let args = format!("{args} --state state");
    let mut child = Command::new(crate::anomaly())
        .current_dir(bench.dir.path())
        .arg("detect")
        .args(args.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    // The first alert comes after the first save, and far from the end.
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("an alert");
    child.kill().expect("still running");
    assert_eq!(child.wait().expect("ended").signal(), Some(9), "killed before its end");
    assert!(fs::metadata(bench.path("state/state")).is_ok(), "saved before it was killed");

    let said = bench.detect(&args);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(!said.stderr.contains("30000 readings"), "{}", said.stderr);
    assert_eq!(bench.get("alerts.jsonl"), whole.get("alerts.jsonl"));
    assert_eq!(bench.get("scores.csv"), whole.get("scores.csv"));
}

#[test]
fn a_state_that_cannot_be_used_is_refused() {
    let bench = Bench::new();
    bench.put("web.csv", csv(50, &[]));
    bench.put("a.toml", "[model]\nkind = \"forest\"\n");
    assert_eq!(carry_on(&bench).code, 0);
    let said = bench.detect("web.csv --state state --config a.toml");
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("was learned with a streaming detector"), "{}", said.stderr);
    let mut newer = of_release(1);
    newer[13] = 99;
    bench.put("state/state", &newer);
    assert!(carry_on(&bench).stderr.contains("has version 99, this release reads up to 4"));
    bench.put("state/state", &newer[..40]);
    assert_eq!(carry_on(&bench).code, 2);
    bench.put("file", "");
    assert!(bench.detect("web.csv --state file").stderr.contains("cannot be written"));
}

/// What a run of an earlier release left, in the format of that version, after a pipe had begun a fault (1) or while
/// readings waited (2).
pub(crate) fn of_release(version: u8) -> Vec<u8> {
    let states = Path::new(env!("CARGO_MANIFEST_DIR")).join("../anomaly-local/tests/states");
    fs::read(states.join(format!("version-{version}"))).expect("it is there")
}

#[test]
fn what_an_earlier_release_left_is_carried_on() {
    let bench = Bench::new();
    bench.put("fixed.toml", FIXED);
    bench.put("state/state", of_release(1));
    let rest = HEADER.to_owned() + &rows(21..40, &[20]).concat();
    let said = bench.pipe("- --config fixed.toml --state state", rest);
    let ends = "RESOLVED stdin: slow at 2026-01-01T00:00:34Z\n  lasted 14 s, 12 anomalous readings\n";
    assert!(said.stdout.starts_with(ends), "{}", said.stdout);
    assert!(said.stdout.contains("alert f10791a5c2a28229 transition 2"), "{}", said.stdout);

    let time = "[input]\ntime = \"/timestamp\"\n";
    let event_time = "[input.event_time]\nlate = \"16s\"\nout_of_order = \"5s\"\n";
    bench.put("by_time.toml", [time, event_time, FIXED].concat());
    bench.put("state/state", of_release(2));
    let rest = HEADER.to_owned() + &rows(22..30, &[]).concat();
    let said = bench.pipe("- --config by_time.toml --state state", rest);
    assert!(said.stderr.contains("10 readings; 1 series in the state"), "two had waited: {}", said.stderr);
}

#[test]
fn several_files_and_a_shared_series_are_carried_on() {
    let bench = Bench::new();
    bench.put("c.toml", format!("[input]\nseries = \"web\"\n{FIXED}"));
    bench.put("monday.csv", csv(40, &[35]));
    let args = "--config c.toml --state state --alerts alerts.jsonl";
    assert_eq!(bench.detect(&format!("monday.csv {args}")).code, 1);
    bench.put("tuesday.csv", HEADER.to_owned() + &rows(40..80, &[35]).concat());
    let said = bench.detect(&format!("monday.csv tuesday.csv {args}"));
    assert!(said.stdout.starts_with("RESOLVED web"), "{}", said.stdout);
    assert_eq!(said.code, 0, "nothing new fired: {}", said.stderr);
    let steps: Vec<bool> = bench.get("alerts.jsonl").lines().map(|l| l.contains("\"fired\"")).collect();
    assert_eq!(steps, [true, false]);
}

/// Of a pipe nobody knows where it stopped: what it says again is another row, unless times must not go back.
#[test]
fn a_pipe_that_says_all_again_is_judged_again_unless_late_rows_are_dropped() {
    let drop = "[input.event_time]\nlate = \"24h\"\npolicy = \"drop\"\n";
    for (more, alerts) in [("", 2), (drop, 1)] {
        let bench = Bench::new();
        bench.put("c.toml", FIXED.to_owned() + more);
        let rows = csv(50, &[20]);
        let fired = |_| {
            let said = bench.pipe("- --config c.toml --state .anomaly --json", rows.clone());
            said.stdout.lines().filter(|line| line.contains(r#""step":"fired""#)).count()
        };
        assert_eq!((0..2).map(fired).sum::<usize>(), alerts, "{more}");
    }
}
