//! Good input, and the files that come of it.

use anomaly_core::alert::Step;
use anomaly_core::wire::{self, TransitionV1};
use expect_test::expect;

use crate::{Bench, FIXED, csv, rows};

#[test]
fn a_fixed_rule_fires_and_resolves() {
    let bench = Bench::new();
    bench.put("web.csv", csv(60, &[30]));
    bench.put("fixed.toml", FIXED);
    expect![[r#"
        CRITICAL web: slow at 2026-01-01T00:00:30Z
          latency_ms 925 against 100 (fixed)
          since 2026-01-01T00:00:30Z
          latency_ms  925  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█
          requests     10  ███████████████████████▁
          alert 2057a0a9b6cd2ea9 transition 1

        RESOLVED web: slow at 2026-01-01T00:00:44Z
          lasted 14 s, 12 anomalous readings
          peak latency_ms 946.7 against 100 at 2026-01-01T00:00:32Z
          latency_ms  22.12  ▁▁▁▁▁▁▁▁▁████████████▁▁▁
          requests      101  █████████▁▂▂▂▂▂▂▂▂▂▁▁███
          alert 2057a0a9b6cd2ea9 transition 2
        --- stderr
        web.csv: time timestamp; series web; features latency_ms, requests
        60 readings of 1 series, 1 alert (1 resolved), 0 rejects, N s
        --- exit 1
    "#]]
    .assert_eq(&bench.detect("web.csv --config fixed.toml").transcript());
}

#[test]
fn nothing_has_to_be_said_or_trained() {
    let bench = Bench::new();
    bench.put("web.csv", csv(500, &[300]));
    let said = bench.detect("web.csv");
    assert_eq!(said.code, 1, "{}", said.stderr);
    let first = said.stdout.lines().next().unwrap_or_default();
    assert!(first.starts_with("CRITICAL web: too-strange at 2026-01-01T00:05:0"), "{first}");
    assert!(said.stdout.contains("\n  score "), "{}", said.stdout);
    assert!(said.stdout.contains("\n  latency_ms  "), "{}", said.stdout);
    assert!(said.stderr.contains("500 readings of 1 series, 1 alert ("), "{}", said.stderr);

    bench.put("calm.csv", csv(500, &[]));
    let calm = bench.detect("calm.csv --quiet");
    assert_eq!((calm.stdout.as_str(), calm.stderr.as_str(), calm.code), ("", "", 0));
}

#[test]
fn json_is_the_wire_format_and_the_same_as_the_file() {
    let bench = Bench::new();
    bench.put("web.csv", csv(60, &[30]));
    bench.put("fixed.toml", FIXED);
    let said = bench.detect("web.csv --config fixed.toml --json --alerts out/alerts.jsonl");
    assert_eq!(said.stdout, bench.get("out/alerts.jsonl"));
    let read = |line: &str| wire::read::<TransitionV1>(line).expect("the wire format").transition;
    let steps: Vec<_> = said.stdout.lines().map(read).map(|t| (t.step, t.series.to_string())).collect();
    assert_eq!(steps, [(Step::Fired, "web".to_owned()), (Step::Resolved, "web".to_owned())]);
}

#[test]
fn scores_have_a_row_for_each_row() {
    let bench = Bench::new();
    let mut lines = rows(0..400, &[300]);
    lines.insert(150, "2026-01-01T00:02:30Z,n/a,7\n".to_owned());
    lines.insert(151, "\"odd, quoted\",1,7\n".to_owned());
    bench.put("web.csv", crate::HEADER.to_owned() + &lines.concat());
    let said = bench.detect("web.csv --scores scores.csv --alerts alerts.jsonl --rejects rejects.jsonl");
    assert_eq!(said.code, 1, "{}", said.stderr);
    let scores = bench.get("scores.csv");
    let mut found = scores.lines();
    assert_eq!(found.next(), Some("timestamp,value,anomaly_score,alert,score,series"));
    let found: Vec<&str> = found.collect();
    assert_eq!(found.len(), lines.len());
    assert_eq!(found[0], format!("{},0,0,,web", first_two(&lines[0])));
    assert_eq!(found[150], "2026-01-01T00:02:30Z,n/a,0,0,,");
    assert_eq!(found[151], "\"odd, quoted\",1,0,0,,");
    let mut fired = 0;
    for (line, row) in found.iter().zip(&lines).skip(152) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[..2].join(","), first_two(row));
        let anomaly_score: f64 = cells[2].parse().expect("a number");
        assert!((0.0..=1.0).contains(&anomaly_score), "{line}");
        assert_eq!(cells[5], "web");
        assert!(cells[3] == "0" || anomaly_score >= 0.5, "{line}");
        fired += usize::from(cells[3] == "1");
    }
    assert_eq!(fired, 1);
    assert_eq!(bench.get("alerts.jsonl").matches("\"step\":\"fired\"").count(), fired);
    let rejects = bench.get("rejects.jsonl");
    assert_eq!(rejects.lines().count(), 2);
    assert!(rejects.contains("not-a-number") && rejects.contains("odd, quoted"), "{rejects}");
}

fn first_two(row: &str) -> String {
    row.trim_end().split(',').take(2).collect::<Vec<_>>().join(",")
}

#[test]
fn several_files_each_with_its_scores() {
    let bench = Bench::new();
    bench.put("data/a/web.csv", csv(60, &[30]));
    bench.put("data/b/web.csv", csv(60, &[20]));
    bench.put("fixed.toml", FIXED);
    let said = bench.detect("data/a/web.csv data/b/web.csv --config fixed.toml --scores out");
    assert_eq!(said.code, 1, "{}", said.stderr);
    let firsts: Vec<&str> = said.stdout.lines().filter(|l| l.starts_with("CRITICAL")).collect();
    assert_eq!(
        firsts,
        [
            "CRITICAL data/a/web: slow at 2026-01-01T00:00:30Z",
            "CRITICAL data/b/web: slow at 2026-01-01T00:00:20Z"
        ]
    );
    let alert_at = |scores: &str| scores.lines().position(|line| line.split(',').nth(3) == Some("1"));
    assert_eq!(alert_at(&bench.get("out/a/web.csv")), Some(31));
    assert_eq!(alert_at(&bench.get("out/b/web.csv")), Some(21));
}

#[test]
fn series_in_one_file_are_kept_apart() {
    let bench = Bench::new();
    let mut text = "host,ts,latency_ms\n".to_owned();
    for i in 0..50 {
        let slow = if i == 40 { 500 } else { 5 };
        text += &format!("a,{},{slow}\nb,{},7\n", 1_700_000_000 + i, 1_700_000_000 + i);
    }
    bench.put("web.csv", text);
    bench.put("fixed.toml", FIXED);
    expect![[r#"
        CRITICAL a: slow at 2023-11-14T22:14:00Z
          latency_ms 500 against 100 (fixed)
          since 2023-11-14T22:14:00Z
          latency_ms  500  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█
          alert f4aa63ca9553a923 transition 1

        RESOLVED a: slow at 2023-11-14T22:14:03Z
          lasted 3 s, 1 anomalous reading
          peak latency_ms 500 against 100 at 2023-11-14T22:14:00Z
          latency_ms  5  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█▁▁▁
          alert f4aa63ca9553a923 transition 2
        --- stderr
        web.csv: time ts; series by host; features latency_ms
        100 readings of 2 series, 1 alert (1 resolved), 0 rejects, N s
        --- exit 1
    "#]]
    .assert_eq(&bench.detect("web.csv --config fixed.toml").transcript());
}

#[test]
fn json_lines_with_nested_fields() {
    let bench = Bench::new();
    let line = |i: u32| {
        let slow = if i == 9 { 500 } else { 5 };
        format!(
            "{{\"meta\":{{\"at\":{}}},\"who\":\"h{}\",\"m\":{{\"ms\":{slow}}}}}\n",
            1_700_000_000 + i,
            i % 2
        )
    };
    bench.put("web.jsonl", (0..12).map(line).collect::<String>());
    bench.put("fixed.toml", FIXED.replace("\"latency_ms\"", "\"value\""));
    let said = bench.detect(
        "web.jsonl --config fixed.toml --time /meta/at --series who --value /m/ms --scores scores.csv",
    );
    assert!(said.stdout.starts_with("CRITICAL h1: slow at 2023-11-14T22:13:29Z\n"), "{}", said.stdout);
    assert_eq!(bench.get("scores.csv").lines().nth(10), Some("1700000009,500,0.8333333333333334,1,,h1"));
}

#[test]
fn the_configuration_names_the_columns() {
    let bench = Bench::new();
    bench.put("web.csv", csv(60, &[30]));
    let input = "[input]\nseries = \"shop\"\ntime = \"/timestamp\"\nfeatures = [\"/latency_ms\"]\n";
    bench.put("a.toml", format!("{input}{FIXED}"));
    let said = bench.detect("web.csv -c a.toml");
    assert!(said.stdout.starts_with("CRITICAL shop: slow"), "{}", said.stdout);
    assert!(said.stderr.starts_with("web.csv: time timestamp; series shop; features latency_ms\n"));
    let said = bench.detect("web.csv -c a.toml --value requests");
    assert_eq!(said.code, 2, "the rule judges latency_ms: {}", said.stderr);
}
