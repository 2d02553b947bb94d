//! What is not learned: periods, labels; and that it is told.

use std::io::Read;

use expect_test::expect;

use super::{Bench, csv};

/// The same minutes with a column that is 1 from `faults` on for ten minutes, and another machine's values there.
fn labelled(rows: u32, faults: &[u32]) -> String {
    let is_fault = |n: usize| faults.iter().any(|at| (*at as usize..*at as usize + 10).contains(&n));
    let row = |(n, line): (usize, &str)| match line.rsplit_once(',') {
        Some((rest, memory)) if n > 0 => match is_fault(n - 1) {
            true => format!("{rest},9{memory}00,1\n"),
            false => format!("{line},0\n"),
        },
        _ => format!("{line},fault\n"),
    };
    csv(rows).lines().enumerate().map(row).collect()
}

#[test]
fn periods_are_left_out_in_the_zone_that_is_named() {
    let bench = Bench::new();
    bench.put("history.csv", csv(2880));
    bench.put("maintenance.txt", "# by hand\n2026-01-02T03:00Z..2026-01-02T03:59Z\n2026-01-09\n");
    let said = bench.train(
        "history.csv -o a.tar.gz --zone Europe/Berlin --exclude 2026-01-01T02:00..2026-01-01T02:29 \
         --exclude 2026-01-02T06:00[America/New_York]..2026-01-02T11:09Z --exclude-file maintenance.txt",
    );
    assert_eq!(said.code, 0, "{said:?}");
    let rows: Vec<&str> = said.stdout.lines().take(4).collect();
    expect![[r#"
        rows      2780 learned, 0 rejected, 100 excluded
        excluded  2026-01-01T01:00:00Z..2026-01-01T01:29:00Z: 30 readings
        excluded  2026-01-02T03:00:00Z..2026-01-02T03:59:00Z: 60 readings
        excluded  2026-01-02T11:00:00Z..2026-01-02T11:09:00Z: 10 readings"#]]
    .assert_eq(&rows.join("\n"));
    let note =
        "note: the period to exclude, 2026-01-08T23:00:00Z..2026-01-09T22:59:59.999Z, holds no reading";
    assert!(said.stderr.contains(note), "{said:?}");
    // It is the model of the rows that are left, but it says what is not in it.
    let said = bench.train("history.csv -o b.tar.gz --exclude 2026-01-03 --json");
    let summary: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!((&summary["rows_trained"], &summary["rows_excluded"]), (&2880.into(), &0.into()));
    let manifest = manifest(&bench, "a.tar.gz");
    assert_eq!(manifest["left_out"]["excluded"], 100);
    assert_eq!(manifest["left_out"]["periods"][2], "2026-01-02T11:00:00Z..2026-01-02T11:09:00Z");
    assert_eq!(manifest["left_out"]["sha256"].as_str().map(str::len), Some(64));
}

fn manifest(bench: &Bench, model: &str) -> serde_json::Value {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(bench.get(model).as_slice()).read_to_end(&mut bytes).expect("whole");
    // The first file of the archive: 512 bytes of header, then its bytes, with its size as octal digits at 124.
    let digits = std::str::from_utf8(&bytes[124..135]).expect("digits");
    let size = usize::from_str_radix(digits.trim_matches(['\0', ' ']), 8).expect("octal");
    serde_json::from_slice(&bytes[512..512 + size]).expect("JSON")
}

#[test]
fn rows_that_are_labelled_are_not_learned() {
    let bench = Bench::new();
    bench.put("labelled.csv", labelled(600, &[100, 300]));
    bench.put("plain.csv", csv(600));
    let windows = r#"{"sub/plain.csv": [["2026-01-01 02:00:00", "2026-01-01 02:09:00"]],
        "plain.csv": [["2026-01-01 01:40:00", "2026-01-01 01:49:00"], ["2026-01-01 05:00:00", "2026-01-01 05:09:00"]]}"#;
    bench.put("windows.json", windows);
    let by_column = bench.train("labelled.csv -o column.tar.gz --label-column fault --json");
    let by_file = bench.train("plain.csv -o file.tar.gz --labels windows.json --json");
    let json = |said: &super::Said| {
        assert_eq!(said.code, 0, "{said:?}");
        serde_json::from_str::<serde_json::Value>(&said.stdout).expect("JSON")
    };
    let (by_column, by_file) = (json(&by_column), json(&by_file));
    for summary in [&by_column, &by_file] {
        assert_eq!((&summary["rows_trained"], &summary["rows_labelled"]), (&580.into(), &20.into()));
        assert_eq!(summary["features"], serde_json::json!(["cpu", "memory"]));
    }
    // The values of the one are strange there, those of the other are like all others.
    assert_eq!(by_column["labelled_found"], 20);
    assert!(by_file["labelled_found"].as_u64().is_some_and(|n| n <= 2), "{by_file}");
    let text = bench.train("labelled.csv -o text.tar.gz --label-column fault --shingle 3").stdout;
    assert!(text.contains("\nfound     20 of 20 labelled rows lie above that\n"), "{text}");
    assert_eq!(by_column["history_sha256"], by_file["history_sha256"], "the same rows are left");
    assert_ne!(by_column["model_id"], by_file["model_id"], "but not the same were left out");
    // The example's own.
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let said = bench.train(&format!(
        "{examples}/webserver.csv -o server.tar.gz --labels {examples}/webserver.labels.json --json"
    ));
    assert_eq!(json(&said)["labelled"].as_array().map(Vec::len), Some(8), "eight faults");
    // What was asked of one feature is not asked of the label.
    let said = bench.train("labelled.csv -o one.tar.gz --label-column fault --value memory --json");
    assert_eq!(json(&said)["features"], serde_json::json!(["memory"]));
}

#[test]
fn labels_are_numbers_or_words_in_csv_and_json_and_from_a_pipe() {
    let bench = Bench::new();
    let with = |yes: &str, no: &str| {
        let row = |(n, line): (usize, &str)| match n {
            0 => format!("{line},meta\n"),
            n => format!("{line},{}\n", if (51..=60).contains(&n) { yes } else { no }),
        };
        csv(200).lines().enumerate().map(row).collect::<String>()
    };
    let json = |yes: &str, no: &str| {
        let row = |line: &str| match line.split(',').collect::<Vec<_>>()[..] {
            [at, cpu, memory, label] => {
                format!(
                    "{{\"timestamp\":\"{at}\",\"cpu\":{cpu},\"memory\":{memory},\"meta\":{{\"bad\":{label}}}}}\n"
                )
            }
            _ => panic!("four cells"),
        };
        with(yes, no).lines().skip(1).map(row).collect::<String>()
    };
    let mut ids = Vec::new();
    for (rows, label) in [
        (with("1", "0"), "meta"),
        (with("True", "False"), "meta"),
        (with("2.5", "-0.0"), "meta"),
        (with("yes", "no"), "meta"),
        (json("true", "false"), "/meta/bad"),
        (json("1", "0"), "/meta/bad"),
        (json("\"TRUE\"", "\"no\""), "/meta/bad"),
    ] {
        let said = bench.pipe(&format!("- -o m.tar.gz --json --label-column {label}"), rows);
        let summary: serde_json::Value =
            serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"));
        assert_eq!(
            (&summary["rows_labelled"], &summary["rows_rejected"]),
            (&10.into(), &0.into()),
            "{label}"
        );
        assert_eq!(summary["features"], serde_json::json!(["cpu", "memory"]));
        ids.push(summary["model_id"].clone());
    }
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    let said = bench.pipe("- -o m.tar.gz --label-column meta", with("maybe", "0").replacen(",0\n", ",\n", 1));
    expect![[r#"
        stdin: row 1 is left out: it has no label
        stdin: row 51 is left out: its label is "maybe", neither a number nor true or false
        stdin: row 52 is left out: its label is "maybe", neither a number nor true or false
        … and 8 more rows
    "#]]
    .assert_eq(&said.stderr);
}

#[test]
fn rows_of_several_readings_do_not_reach_over_what_is_left_out() {
    let bench = Bench::new();
    bench.put("history.csv", csv(600));
    let said = bench
        .train("history.csv -o m.tar.gz --shingle 3 --exclude 2026-01-01T05:00..2026-01-01T05:09 --json");
    let summary: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(summary["rows_trained"], 600 - 10 - 2 - 2, "two readings before each first row");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let bench = Bench::new();
    bench.put("history.csv", csv(100));
    bench.put("timeless.csv", "cpu,fault\n1,0\n2,1\n");
    bench.put("periods.txt", "2026-01-01..2026-01-02\nsoon\n");
    let stderr = |args: &str| bench.train(&format!("{args} -o m.tar.gz")).stderr;
    expect![[r#"
        error: --exclude: "yesterday" is no period: write FROM..TO, such as 2026-03-01T22:00+01:00..2026-03-02, or a date
        --exclude: 2026-01-02..2026-01-01 ends before it begins; is it 2026-01-01..2026-01-02?
        periods.txt: line 2: "soon" is no period: write FROM..TO, such as 2026-03-01T22:00+01:00..2026-03-02, or a date
        nowhere.json: cannot be read: No such file or directory (os error 2)
    "#]]
    .assert_eq(&stderr(
        "history.csv --exclude yesterday --exclude 2026-01-02..2026-01-01 --exclude-file periods.txt --labels nowhere.json",
    ));
    expect![[r#"
        error: --zone: "Europe/Berln" is no time zone of the IANA database; the nearest is "Europe/Berlin"
    "#]]
    .assert_eq(&stderr("history.csv --zone Europe/Berln"));
    expect![[r#"
        timeless.csv: no time column; the row number, in seconds, stands for it
        error: timeless.csv: it has no time column, and periods are to be left out
        hint: name the column with --time
    "#]]
    .assert_eq(&stderr("timeless.csv --exclude 2026-01-01"));
    expect![[r#"
        error: no row can be learned: 100 excluded
    "#]]
    .assert_eq(&stderr("history.csv --exclude 2026-01-01"));
    expect![[r#"
        error: history.csv: no column "fault"; there are: timestamp, cpu, memory
    "#]]
    .assert_eq(&stderr("history.csv --label-column fault"));
    assert_eq!(bench.names(), ["history.csv", "periods.txt", "timeless.csv"]);
}
