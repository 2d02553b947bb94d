//! What each rule found of each reading, and why.

use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::{Bench, FIXED, csv};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Stream Analytics' own numbers, as the core's tests have them.
fn golden(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../anomaly-core/tests/golden/azure");
    let file = std::fs::File::open(folder.join(format!("{name}.csv.gz"))).expect("the file");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("a table");
    text
}

/// Runs one setting of a golden table through `anomaly detect`: every row as its engine has it.
fn check_parity(table: &str, setting: &str, method: &str) {
    let text = golden(table);
    let rows: Vec<Vec<&str>> =
        text.lines().filter(|line| line.starts_with(setting)).map(|line| line.split(',').collect()).collect();
    let bench = Bench::new();
    let from_end = |row: &[&str], n: usize| row[row.len() - n].to_owned();
    let second = |i: usize| format!("2026-01-01T00:{:02}:{:02}Z", i / 60, i % 60);
    let data: Vec<String> =
        rows.iter().enumerate().map(|(i, row)| format!("{},{}\n", second(i), from_end(row, 3))).collect();
    bench.put("x.csv", format!("timestamp,value\n{}", data.concat()));
    bench.put("a.toml", format!("[model]\nkind = \"none\"\n[[rule]]\non = \"value\"\nmethod = {method}\n"));
    let said = bench.detect("x.csv --config a.toml --quiet --findings f.jsonl");
    assert!(said.code <= 1, "{}", said.stderr);
    let found = lines(&bench.get("f.jsonl"));
    assert_eq!((found.len(), found.len() > 100), (rows.len(), true));
    for (found, row) in found.iter().zip(&rows) {
        let score: f64 = from_end(row, 1).parse().expect("a number");
        let ours = found["score"].as_f64().expect("a score on every row");
        assert!(ours == score || ((ours - score) / score).abs() <= 1e-9, "{row:?}: {found}");
        assert_eq!(found["anomalous"], from_end(row, 2) == "1", "{row:?}: {found}");
    }
}

#[test]
fn stream_analytics_numbers_come_out_of_the_command() {
    let spikes = r#"{ kind = "spike-and-dip", confidence = 95, history = 20, engine = "parity" }"#;
    check_parity("asa-engine-spikeanddip", "noise_spike_dip_level,spikesanddips,95.0,20,", spikes);
    let changes = r#"{ kind = "change-point", confidence = 95, history = 20, engine = "parity" }"#;
    check_parity("asa-engine-changepoint", "noise_spike_dip_level,95.0,20,", changes);
}

#[test]
fn there_is_a_line_for_each_reading_and_rule() {
    let bench = Bench::new();
    bench.put("web.csv", csv(20, &[5]));
    bench.put(
        "a.toml",
        format!("{FIXED}[[rule]]\nname = \"odd\"\non = \"requests\"\nmethod = {{ kind = \"robust\" }}\n"),
    );
    let said = bench.detect("web.csv --config a.toml --findings out/f.jsonl");
    assert_eq!(said.code, 1, "{}", said.stderr);
    let found = lines(&bench.get("out/f.jsonl"));
    assert_eq!(found.len(), 40);
    let [slow, odd] = [&found[10], &found[11]];
    assert_eq!((&slow["row"], &slow["rule"], &slow["on"]), (&6.into(), &"slow".into(), &"latency_ms".into()));
    assert_eq!((&slow["state"], &slow["anomalous"]), (&"anomalous".into(), &true.into()));
    assert_eq!(slow["alert"], "an alert fires");
    assert_eq!(
        (&odd["rule"], &odd["state"], &odd["because"]),
        (&"odd".into(), &"warming-up".into(), &"warming up 6/100".into())
    );
}

#[test]
fn findings_carry_on_where_a_state_was_saved() {
    let bench = Bench::new();
    let whole = csv(40, &[5, 30]);
    let half: usize = whole.lines().take(21).map(|line| line.len() + 1).sum();
    bench.put("a.toml", FIXED);
    bench.put("web.csv", &whole);
    bench.detect("web.csv --config a.toml --findings at_once.jsonl");
    bench.put("web.csv", &whole[..half]);
    bench.detect("web.csv --config a.toml --state s --findings f.jsonl");
    bench.put("web.csv", &whole);
    bench.detect("web.csv --config a.toml --state s --findings f.jsonl");
    assert_eq!(bench.get("f.jsonl"), bench.get("at_once.jsonl"));
    let said = bench.detect("web.csv --config a.toml --findings web.csv");
    assert!(said.stderr.contains("web.csv would be written over"), "{}", said.stderr);
}

#[test]
fn a_reading_is_explained() {
    let bench = Bench::new();
    bench.put("web.csv", csv(20, &[5]));
    bench.put("a.toml", FIXED);
    let at = lines_of_time(&bench, 6);
    let said = bench.detect(&format!("web.csv --config a.toml --quiet --explain web@{at}"));
    assert_eq!(said.code, 1, "{}", said.stderr);
    let head = format!("web at {at}, row 6\nslow on latency_ms: ");
    assert!(said.stdout.starts_with(&head), "{}", said.stdout);
    assert!(said.stdout.contains("normal up to 100\n  an alert fires\n"), "{}", said.stdout);
    assert!(!said.stdout.contains("transition"), "no alerts: {}", said.stdout);

    let said = bench.detect("web.csv --config a.toml --explain web@1999-01-01T00:00:00Z");
    let nearest = lines_of_time(&bench, 1);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains(&format!("hint: the nearest is web@{nearest}")), "{}", said.stderr);
    let said = bench.detect("web.csv --config a.toml --explain db@1999-01-01T00:00:00Z");
    assert!(said.stderr.contains("there is no reading of db"), "{}", said.stderr);
    let said = bench.detect("web.csv --explain web");
    assert!(said.stderr.contains("write SERIES@TIME"), "{}", said.stderr);
}

/// The time of a row, counting from 1.
fn lines_of_time(bench: &Bench, row: usize) -> String {
    let text = bench.get("web.csv");
    let line = text.lines().nth(row).expect("a row");
    line.split(',').next().expect("a time").to_owned()
}

#[test]
fn rules_in_a_few_words() {
    let bench = Bench::new();
    bench.put("web.csv", csv(60, &[50]));
    let rule = "--rule static:threshold=100,on=latency_ms,name=slow";
    let said = bench
        .detect(&format!("web.csv --json {rule} --rule robust:warmup=20,on=requests --findings f.jsonl"));
    let found = lines(&bench.get("f.jsonl"));
    let names: Vec<_> = found[..2].iter().map(|found| &found["rule"]).collect();
    assert_eq!(names, ["slow", "robust"], "in place of the default: {}", said.stderr);
    let said = bench.detect("web.csv --rule sigma:kk=2");
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("unknown key `rule.method.kk`; the nearest is `k`"), "{}", said.stderr);
    let said = bench.detect("web.csv --rule sigma:k=0 --rule sigma");
    assert!(said.stderr.contains("rule[0].method.k: 0 is not above 0"), "{}", said.stderr);
    assert!(said.stderr.contains("\"sigma\" is taken by a rule above"), "{}", said.stderr);
}
