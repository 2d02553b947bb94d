//! Input that cannot be read, or not all of it: a clear answer, and nothing lost.

use std::io::Write;

use expect_test::{Expect, expect};
use flate2::write::GzEncoder;

use crate::{Bench, FIXED, HEADER, csv, rows};

fn check(content: impl AsRef<[u8]>, args: &str, expected: Expect) {
    let bench = Bench::new();
    bench.put("web.csv", content);
    bench.put("fixed.toml", FIXED);
    let said = bench.detect(&format!("web.csv {args}"));
    assert_eq!(said.stdout, "");
    expected.assert_eq(&said.transcript());
}

#[test]
fn what_holds_no_readings() {
    check(
        "",
        "",
        expect![[r#"
        --- stderr
        error: web.csv: it is empty
        --- exit 2
    "#]],
    );
    check(
        HEADER,
        "",
        expect![[r#"
        --- stderr
        error: web.csv: it has a header and no rows
        --- exit 2
    "#]],
    );
    check(
        "time,note\n1,x\n",
        "",
        expect![[r#"
        --- stderr
        error: web.csv: no column holds numbers; there are: time, note
        --- exit 2
    "#]],
    );
    check(
        "1,2\n3,4\n",
        "",
        expect![[r#"
        --- stderr
        error: web.csv: it has no header; its first line is: 1, 2
        hint: (echo timestamp,value; cat 'web.csv') | anomaly detect -
        --- exit 2
    "#]],
    );
}

#[test]
fn what_is_no_text() {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(csv(9, &[]).as_bytes()).expect("in memory");
    check(
        gzip.finish().expect("in memory"),
        "",
        expect![[r#"
        --- stderr
        error: web.csv: it is compressed by gzip
        hint: gunzip -c 'web.csv' | anomaly detect -
        --- exit 2
    "#]],
    );
    let utf16: Vec<u8> = "\u{feff}ts,v\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check(
        utf16,
        "",
        expect![[r#"
        --- stderr
        error: web.csv: it is UTF-16 text
        hint: iconv -f UTF-16 -t UTF-8 'web.csv' | anomaly detect -
        --- exit 2
    "#]],
    );
    let garbage: Vec<u8> = (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    check(
        garbage,
        "",
        expect![[r#"
        --- stderr
        error: web.csv: it is not text (it holds zero bytes)
        hint: CSV with a header or JSON lines are read; write the readings out as one of them
        --- exit 2
    "#]],
    );
    check(
        "[{\"ts\":1,\"v\":2}]",
        "",
        expect![[r#"
        --- stderr
        error: web.csv: it is a JSON array, and JSON is read as one object a line
        hint: jq -c '.[]' 'web.csv' | anomaly detect -
        --- exit 2
    "#]],
    );
}

#[test]
fn a_column_that_is_not_there() {
    check(
        csv(9, &[]),
        "--value latency --time when",
        expect![[r#"
            --- stderr
            error: web.csv: no column "when"; no column "latency" (the nearest is "latency_ms"); there are: timestamp, latency_ms, requests
            --- exit 2
        "#]],
    );
}

#[test]
fn a_configuration_with_mistakes() {
    let bench = Bench::new();
    bench.put("web.csv", csv(9, &[]));
    bench.put("a.toml", "[modle]\nkind = \"none\"\n[input]\nfeature = []\n");
    expect![[r#"
        --- stderr
        error: a.toml: the configuration has 2 problems:
          line 1: unknown key `modle`; the nearest is `model`
          line 4: unknown key `input.feature`; the nearest is `features`
        --- exit 2
    "#]]
    .assert_eq(&bench.detect("web.csv --config a.toml").transcript());
    bench.put("b.toml", "[model]\nkind = \"endpoint\"\nendpoint = \"e\"\n");
    expect![[r#"
        --- stderr
        error: model.kind = "endpoint": `detect` scores in process and calls no endpoint
        hint: --model M scores with a trained model; [model] kind = "embedded" learns as it goes
        --- exit 2
    "#]]
    .assert_eq(&bench.detect("web.csv --config b.toml").transcript());
    expect![[r#"
        --- stderr
        error: c.toml cannot be read: No such file or directory (os error 2)
        --- exit 2
    "#]]
    .assert_eq(&bench.detect("web.csv --config c.toml").transcript());
    bench.put("d.toml", "[[rule]]\non = \"cpu\"\n");
    expect![[r#"
        --- stderr
        error: web.csv: a rule judges cpu, and the features are latency_ms, requests
        --- exit 2
    "#]]
    .assert_eq(&bench.detect("web.csv --config d.toml").transcript());
}

#[test]
fn rows_at_fault_are_counted_and_kept() {
    let bench = Bench::new();
    bench.put("fixed.toml", FIXED);
    let mut lines = rows(0..40, &[20]);
    let faulty = [
        "2026-01-01T00:00:05Z,abc,1\n",
        "2026-01-01T00:00:05Z,NaN,1\n",
        "2026-01-01T00:00:05Z,-inf,1\n",
        "2026-01-01T00:00:05Z,,1\n",
        "yesterday,1,1\n",
        "2026-01-01T00:00:05Z,1\n",
        "\u{1}\u{2}garbage\u{3}\n",
    ];
    lines.splice(5..5, faulty.map(str::to_owned));
    let late = lines.remove(30);
    lines.insert(33, late);
    bench.put("web.csv", HEADER.to_owned() + &lines.concat());
    let said = bench.detect("web.csv --config fixed.toml --rejects rejects.jsonl");
    assert_eq!(said.stdout.matches("CRITICAL").count(), 1, "the alert is not lost");
    let closing = said.transcript().split_once("--- stderr\n").expect("there").1.to_owned();
    expect![[r#"
        web.csv: time timestamp; series web; features latency_ms, requests
        40 readings of 1 series, 1 alert (1 resolved), 7 rejects, N s
          2 columns, first web.csv row 11: 2 columns where there should be 3
          1 missing, first web.csv row 9: latency_ms is missing
          1 not-a-number, first web.csv row 6: latency_ms is not a number: "abc"
          2 not-finite, first web.csv row 7: latency_ms is not a finite number
          1 time, first web.csv row 10: not a time: "yesterday"
          1 reading with a time before the one before
        --- exit 1
    "#]]
    .assert_eq(&closing);
    let rejects = bench.get("rejects.jsonl");
    let kept: Vec<&str> = faulty.iter().map(|f| f.trim_end()).collect();
    for (line, row) in rejects.lines().zip(kept) {
        let reject: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(reject["data"]["text"], row);
    }
    assert_eq!(rejects.lines().count(), faulty.len());
}

#[test]
fn when_no_row_can_be_judged_it_is_an_error() {
    check(
        "ts,latency_ms\nsoon,1\nlater,2\n",
        "",
        expect![[r#"
            --- stderr
            error: web.csv: "ts" is to be the time, and "soon" is none that is read
            hint: write times as 2026-11-21T10:00:00Z or as seconds since 1970; --time names another column
            --- exit 2
        "#]],
    );
}

#[test]
fn a_line_without_end_is_one_reject() {
    let bench = Bench::new();
    bench.put("fixed.toml", FIXED);
    let long = format!("2026-01-01T00:00:05Z,{},1\n", "9".repeat(5_000_000));
    bench.put("web.csv", csv(20, &[]) + &long + &rows(20..40, &[30]).concat());
    let said = bench.detect("web.csv --config fixed.toml --rejects rejects.jsonl");
    assert!(said.stdout.starts_with("CRITICAL web: slow at 2026-01-01T00:00:30Z"), "{}", said.stdout);
    assert!(
        said.stderr.contains("  1 too-large, first web.csv row 21: 5000023 bytes, more than"),
        "{}",
        said.stderr
    );
    let reject: serde_json::Value = serde_json::from_str(&bench.get("rejects.jsonl")).expect("JSON");
    assert_eq!(
        (reject["bytes"].as_u64(), reject["data"]["text"].as_str().map(str::len)),
        (Some(5_000_023), Some(65_536))
    );
}

#[test]
fn forms_that_editors_leave_are_read() {
    let bench = Bench::new();
    bench.put("fixed.toml", FIXED);
    let plain = bench.put("web.csv", csv(40, &[20]));
    let expected = bench.detect("web.csv --config fixed.toml --json").stdout;
    assert_eq!(expected.lines().count(), 2);
    let windows = format!("\u{feff}{}", csv(40, &[20]).replace('\n', "\r\n"));
    let semicolons = csv(40, &[20]).replace(',', ";");
    let noted = csv(40, &[20]).replace('\n', ",\"two\nlines\"\n").replacen("\"two\nlines\"", "note", 1);
    for other in [windows, semicolons, noted] {
        std::fs::write(&plain, other).expect("written");
        let said = bench.detect("web.csv --config fixed.toml --json");
        assert_eq!(said.stdout, expected, "{}", said.stderr);
    }
}

#[test]
fn one_bad_file_does_not_hide_another() {
    let bench = Bench::new();
    bench.put("fixed.toml", FIXED);
    bench.put("a.csv", "");
    bench.put("b.csv", csv(40, &[20]));
    bench.put("c/x.csv", "");
    let said = bench.detect("a.csv b.csv c d.csv b.csv --config fixed.toml");
    assert!(said.stdout.starts_with("CRITICAL b: slow"), "{}", said.stdout);
    let closing = said.transcript().split_once("--- stderr\n").expect("there").1.to_owned();
    expect![[r#"
        error: a.csv: it is empty
        error: c: it is a directory
        hint: give the files in it: anomaly detect c/*.csv
        error: d.csv: cannot be opened: No such file or directory (os error 2)
        error: b.csv: it is given twice
        40 readings of 1 series, 1 alert (1 resolved), 0 rejects, N s
          4 inputs could not be read
        --- exit 2
    "#]]
    .assert_eq(&closing);
}

#[test]
fn inputs_are_not_written_over() {
    let bench = Bench::new();
    bench.put("web.csv", csv(9, &[]));
    for args in ["web.csv --scores web.csv", "./web.csv --alerts web.csv", "web.csv --alerts x --rejects x"] {
        let said = bench.detect(args);
        assert_eq!(said.code, 2, "{args}");
        assert!(said.stderr.contains("would be written over"), "{}", said.stderr);
    }
    assert_eq!(bench.get("web.csv"), csv(9, &[]));
}

#[test]
fn a_series_keeps_its_features() {
    let bench = Bench::new();
    bench.put("one.toml", "[input]\nseries = \"one\"\n[model]\nkind = \"none\"\n");
    bench.put("a.csv", "ts,x\n1,2\n2,3\n");
    bench.put("b.csv", "ts,y\n3,4\n");
    expect![[r#"
        --- stderr
        error: b.csv: series one has the features x, and this input gives y
        hint: name the columns with --value, or keep the series apart with --series
        2 readings of 1 series, 0 alerts (0 resolved), 0 rejects, N s
          1 input could not be read
        --- exit 2
    "#]]
    .assert_eq(&bench.detect("a.csv b.csv --config one.toml").transcript());
}

/// Without a header the first row is data, be there a text in it.
#[test]
fn a_first_row_of_data_is_no_header() {
    check(
        "2026-01-01T00:00:00Z,web-1,5\n2026-01-01T00:00:01Z,web-2,6\n",
        "",
        expect![[r#"
        --- stderr
        error: web.csv: it has no header; its first line is: 2026-01-01T00:00:00Z, web-1, 5
        hint: (echo timestamp,series,value; cat 'web.csv') | anomaly detect -
        --- exit 2
    "#]],
    );
    check(
        "1;web-1;7,25\n2;web-2;7,5\n",
        "",
        expect![[r#"
        --- stderr
        error: web.csv: it has no header; its first line is: 1, web-1, 7,25
        hint: (echo 'value1;series;value2'; cat 'web.csv') | anomaly detect -
        --- exit 2
    "#]],
    );
    let named = "timestamp,2025,2026\n2026-01-01T00:00:00Z,1,2\n2026-01-01T00:00:01Z,2,3\n";
    let bench = Bench::new();
    bench.put("web.csv", named);
    let said = bench.detect("web.csv");
    assert!(said.code == 0 && said.stderr.contains("features 2025, 2026"), "{said:?}");
}

#[test]
fn what_is_written_in_another_country() {
    let bench = Bench::new();
    let row = |i: u32| {
        format!(
            "{:02}.11.2026 10:{:02};{};{},{}\n",
            21 + i / 60,
            i % 60,
            ["nord", "süd"][i as usize % 2],
            i % 7,
            25 + i % 5
        )
    };
    bench.put("web.csv", "time;region;v\n".to_owned() + &(0..200).map(row).collect::<String>());
    let said = bench.detect("web.csv --rule static:threshold=6.28,on=v --scores s.csv");
    let notes: Vec<&str> = said.stderr.lines().filter(|line| line.starts_with("note")).collect();
    assert_eq!(
        notes,
        [
            "note: web.csv: left out: region (no numbers)",
            "note: web.csv: all rows are one series; --series region tells several apart",
            "note: web.csv: numbers have decimal commas, such as 0,25 of column \"v\""
        ]
    );
    assert!(said.stderr.contains("200 readings of 1 series"), "{said:?}");
    let scores = std::fs::read_to_string(bench.path("s.csv")).expect("scores");
    assert!(
        scores.lines().nth(7).is_some_and(|line| line.starts_with("21.11.2026 10:06,\"6,26\",")),
        "{scores}"
    );

    check(
        "time;v\n2026-01-01;1,234\n2026-01-02;2,345\n",
        "",
        expect![[r#"
        --- stderr
        error: web.csv: the comma in 1,234 of column "v" may part thousands or decimals
        hint: if decimals: set decimal_comma = true under [input] in a file for --config; if thousands: write the numbers without
        --- exit 2
    "#]],
    );
    bench.put("comma.toml", "[input]\ndecimal_comma = true\n");
    bench.put("thousand.csv", "time;v\n2026-01-01;1,234\n2026-01-02;2,345\n");
    let said = bench.detect("thousand.csv --config comma.toml");
    assert!(said.code == 0 && said.stderr.contains("2 readings"), "{said:?}");
    check(
        "time,v\n21/11/2026 10:00,1\n22/11/2026 10:00,2\n",
        "",
        expect![[r#"
        --- stderr
        error: web.csv: "time" is to be the time, and "21/11/2026 10:00" is none that is read
        hint: if the day comes first: sed -E 's#([0-9]+)/([0-9]+)/([0-9]{4})#\3/\2/\1#' 'web.csv' | anomaly detect -   (if the month does: \3/\1/\2)
        --- exit 2
    "#]],
    );
    check(
        "time,v\nyesterday,1\ntoday,2\n",
        "",
        expect![[r#"
        --- stderr
        error: web.csv: "time" is to be the time, and "yesterday" is none that is read
        hint: write times as 2026-11-21T10:00:00Z or as seconds since 1970; --time names another column
        --- exit 2
    "#]],
    );
    check(
        b"time,gr\xf6\xdfe\n2026-01-01,1\n",
        "",
        expect![[r#"
        --- stderr
        error: web.csv: it is not UTF-8 (byte 0xf6 in line 1)
        hint: iconv -f WINDOWS-1252 -t UTF-8 'web.csv' | anomaly detect -
        --- exit 2
    "#]],
    );
}

#[test]
fn a_text_that_comes_again_may_tell_series_apart() {
    let bench = Bench::new();
    let row = |i: u32| {
        format!("2026-01-01T00:{:02}:{:02}Z,{},5\n", i / 60, i % 60, ["north", "south"][i as usize % 2])
    };
    bench.put("web.csv", "time,region,v\n".to_owned() + &(0..40).map(row).collect::<String>());
    let said = bench.detect("web.csv");
    assert!(
        said.stderr.contains("note: web.csv: all rows are one series; --series region tells several apart"),
        "{said:?}"
    );
    let said = bench.detect("web.csv --series region");
    assert!(said.stderr.contains("of 2 series") && !said.stderr.contains("note"), "{said:?}");
}
