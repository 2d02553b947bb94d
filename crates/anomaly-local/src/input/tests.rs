//! Whole inputs to rows.

use std::fs;
use std::io::Cursor;

use expect_test::{Expect, expect};

use super::*;

fn show(row: &Row) -> String {
    match &row.outcome {
        Ok(r) => format!("{} {} {} {:?}", row.number, r.series, r.at, r.features),
        Err(reject) => format!("{} {}: {}", row.number, reject.reject.as_str(), reject.reject),
    }
}

fn file(text: impl AsRef<[u8]>) -> (tempfile::TempDir, Source) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("web.csv");
    fs::write(&path, text).expect("written");
    let mut source = Source::all(&[path]).remove(0);
    source.name = "web.csv".to_owned();
    (dir, source)
}

fn check_with(input: &Input, text: impl AsRef<[u8]>, expected: Expect) {
    let (_dir, source) = file(text);
    let shown = match Rows::open(&source, input, &Stop::default()) {
        Ok(rows) => {
            let head = format!("{}; {}", describe(rows.input()), rows.notes().join("; "));
            let rows = rows.map(|row| row.map_or_else(|e| e.to_string(), |row| show(&row)));
            std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
        }
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&shown);
}

fn check(text: impl AsRef<[u8]>, expected: Expect) {
    check_with(&Input::default(), text, expected);
}

fn input(toml: &str) -> Input {
    anomaly_core::config::Config::from_toml(toml).expect("valid").input
}

#[test]
fn csv() {
    check(
        "\u{feff}ts;host;latency ms\r\n2026-01-01T00:00:00Z;a;1.5\r\n\r\n1767225601;b;2\r\n1767225602;b",
        expect![[r#"
            time ts; series by host; features latency ms; 
            1 a 2026-01-01T00:00:00Z [1.5]
            2 b 2026-01-01T00:00:01Z [2.0]
            3 columns: 2 columns where there should be 3"#]],
    );
    check(
        "time,a,b,note\n1,2,3,\"two\nlines\"\n2,x,3,\n3,NaN,3,\n4,,3,\nsoon,1,3,\n",
        expect![[r#"
            time time; series web; features a, b; left out: note (no numbers)
            1 web 1970-01-01T00:00:01Z [2.0, 3.0]
            2 not-a-number: a is not a number: "x"
            3 not-finite: a is not a finite number
            4 missing: a is missing
            5 time: not a time: "soon""#]],
    );
    check(
        "x\n5\n6\n",
        expect![[r#"
            time none; series web; features x; no time column; the row number, in seconds, stands for it
            1 web 1970-01-01T00:00:01Z [5.0]
            2 web 1970-01-01T00:00:02Z [6.0]"#]],
    );
}

#[test]
fn json_lines() {
    check(
        "{\"time\":\"2026-01-01T00:00:00Z\",\"b\":1,\"a\":2,\"tag\":\"x\"}\nnonsense\n{\"time\":3,\"a\":1}\n",
        expect![[r#"
            time time; series web; features b, a; left out: tag (no numbers)
            1 web 2026-01-01T00:00:00Z [1.0, 2.0]
            2 json: not a JSON reading: a value is expected at byte 0
            3 missing: b is missing"#]],
    );
    check_with(
        &input("[input]\nfeatures = [\"/m/a\"]\ntime = \"/tme\"\n"),
        "{\"time\":1,\"m\":{\"a\":2}}\n",
        expect![[r#"
            time tme; series web; features m/a; no field "tme" (the nearest is "time")
            1 missing: tme is missing"#]],
    );
    check(
        "{\"m\":{\"a\":2}}\n",
        expect![[r#"
            web.csv: no column holds numbers; there are: m
            hint: name nested fields by JSON pointers: --value /metrics/latency"#]],
    );
}

#[test]
fn what_cannot_be_read_says_so() {
    check("", expect!["web.csv: it is empty"]);
    check(" \n\n", expect!["web.csv: it has a header and no rows"]);
    check("timestamp,value\n", expect!["web.csv: it has a header and no rows"]);
    check(
        b"\x1f\x8b\x08\x00rest",
        expect![[r#"
            web.csv: it is compressed by gzip
            hint: gunzip -c 'web.csv' | anomaly detect -"#]],
    );
    check(
        b"\x01\x02\x03abc,\xff\xfe\n1,2\n",
        expect![[r#"
            web.csv: it is not UTF-8 (byte 0xff in line 1)
            hint: iconv -f WINDOWS-1252 -t UTF-8 'web.csv' | anomaly detect -"#]],
    );
    check(
        "2014-04-01 00:00:00,20.0\n2014-04-01 00:05:00,21\n",
        expect![[r#"
            web.csv: it has no header; its first line is: 2014-04-01 00:00:00, 20.0
            hint: (echo timestamp,value; cat 'web.csv') | anomaly detect -"#]],
    );
    check_with(
        &input("[input]\nfeatures = [\"/latency\"]\ntime = \"/tme\"\nseries = \"/nowhere\"\n"),
        "time,latency_ms\n1,2\n",
        expect![[
            r#"web.csv: no column "nowhere"; no column "tme" (the nearest is "time"); no column "latency" (the nearest is "latency_ms"); there are: time, latency_ms"#
        ]],
    );
    check_with(
        &input("[input]\nfeatures = [\"/a\"]\n"),
        "a,a\n1,2\n",
        expect![[r#"web.csv: more than one column is named "a"; there are: a, a"#]],
    );
}

#[test]
fn words_are_kept_as_they_stood() {
    let (_dir, source) = file("ts,v\n2014-04-01 00:05:00, 1.50\n2014-04-01 00:10:00,n/a\n");
    let rows = Rows::open(&source, &Input::default(), &Stop::default()).expect("readable");
    let words: Vec<_> = rows.map(|row| row.map(|r| (r.timestamp, r.value))).collect();
    let expected = [("2014-04-01 00:05:00", " 1.50"), ("2014-04-01 00:10:00", "n/a")];
    assert_eq!(words, expected.map(|(t, v)| Ok((t.to_owned(), v.to_owned()))));
}

#[test]
fn a_record_over_the_limit_is_one_reject() {
    let text = format!("ts,v\n1,1\n2,{}\n3,3\n", "9".repeat(500));
    let limited = input("[input]\nrecord_bytes_max = 100\n");
    check_with(
        &limited,
        text,
        expect![[r#"
            time ts; series web; features v; 
            1 web 1970-01-01T00:00:01Z [1.0]
            2 too-large: 502 bytes, more than the limit of 100
            3 web 1970-01-01T00:00:03Z [3.0]"#]],
    );
}

#[test]
fn a_grown_file_is_carried_on_and_another_one_is_not() {
    let (dir, source) = file("ts,v\r\n1,1\r\n2,2\r\n");
    let path = dir.path().join("web.csv");
    let mut rows = Rows::open(&source, &Input::default(), &Stop::default()).expect("readable");
    let (marks, input) = (rows.marks().expect("a file"), rows.input().clone());
    let mut mark = || marks.behind(&rows.next().expect("a row").expect("readable"));
    let (early, mark) = (mark(), mark());
    let rest = |mark| {
        let rows = Rows::resume(&source, &input, mark).expect("readable");
        rows.map(|rows| rows.map(|row| row.map_or_else(|e| e.to_string(), |r| show(&r))).collect::<Vec<_>>())
    };
    assert_eq!(rest(&mark), Some(vec![]));
    assert_eq!(rest(&early), Some(vec!["2 web 1970-01-01T00:00:02Z [2.0]".to_owned()]));
    fs::write(&path, "ts,v\r\n1,1\r\n2,2\r\n3,3\r\n").expect("written");
    assert_eq!(rest(&mark), Some(vec!["3 web 1970-01-01T00:00:03Z [3.0]".to_owned()]));
    fs::write(&path, "ts,v\r\n1,1\r\n2,7\r\n3,3\r\n").expect("written");
    assert_eq!(rest(&mark), None, "the last row read is another");
    fs::write(&path, "ts,v\r\n1,1\r\n").expect("written");
    assert_eq!(rest(&mark), None, "shorter");
}

#[test]
fn a_pipe_does_not_wait_to_see_more() {
    struct Once(Cursor<Vec<u8>>);
    impl Read for Once {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let n = self.0.read(into)?;
            assert!(n > 0, "asked for more than the first row");
            Ok(n)
        }
    }
    let source = Source::all(&["-".into()]).remove(0);
    let pipe = Once(Cursor::new(b"ts,v\n1,2\n".to_vec()));
    let mut rows = Rows::read(&source, pipe, &Input::default()).expect("readable");
    assert!(rows.next().is_some_and(|row| row.is_ok_and(|row| row.outcome.is_ok())));
}
