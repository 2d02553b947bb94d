//! Every form a record can have, and what is wrong with it: one line an entry.

use std::io::Write;

use expect_test::{Expect, expect};
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::drift::Schema;
use super::*;
use crate::config::{Compression, Encoding};
use crate::position::Sequence;
use crate::records::Decoded;
use crate::time::TimeUnit;
use crate::wire::{Data, RejectV1};

fn input() -> Input {
    Input {
        series: "/id".to_owned(),
        time: Some("/ts".to_owned()),
        features: vec!["/a".to_owned(), "/b".to_owned()],
        ..Input::default()
    }
}

fn by_position() -> Input {
    let [time, a, b] = ["/0", "/1", "/2"].map(str::to_owned);
    Input { series: "web".to_owned(), time: Some(time), features: vec![a, b], ..Input::default() }
}

fn position() -> Position {
    let arrived = Timestamp::from_ms(0).expect("in range");
    Position { partition: "p".into(), sequence: Sequence::from(1), sub: 0, arrived }
}

fn decode(input: &Input, record: &[u8]) -> Records {
    let mut records = Records::default();
    Decoder::new(input).expect("a valid input").record(record, &position(), &mut records);
    assert_eq!(records.len(), 1, "one record, whatever it holds");
    records
}

fn kept(reject: &RejectV1) -> String {
    match &reject.data {
        Data::Text(text) if text.len() <= 60 => format!("{text:?}"),
        Data::Text(text) => format!("{} bytes", text.len()),
        Data::Hex(_) => format!("{} bytes, no text", reject.bytes),
    }
}

/// A line an entry: its number, and what it is; of a reject also what is kept of it.
fn lines(records: &Records) -> String {
    let line = |entry: &Decoded| match entry {
        Decoded::Reading(Reading { series, at, features, filled, position }) => {
            let fill = |f: &Filled| format!(" [{}: {} -> {:?}]", f.feature, f.gap.as_str(), f.with);
            let filled: String = filled.iter().map(fill).collect();
            format!("{} {series} {} {features:?}{filled}", position.sub, at.as_ms())
        }
        Decoded::Rejected(r) => format!("{} {}: {}; {}", r.sub, r.reject.as_str(), r.reject, kept(r)),
    };
    records.entries().iter().map(line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check_with(input: &Input, record: &[u8], expected: Expect) {
    expected.assert_eq(&lines(&decode(input, record)));
}

#[track_caller]
fn check(record: &str, expected: Expect) {
    check_with(&input(), record.as_bytes(), expected);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::best());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

const ONE: &str = r#"{"id":"x","ts":1,"a":1,"b":2}"#;

#[test]
fn objects_alone_back_to_back_and_line_by_line() {
    check(ONE, expect!["0 x 1000 [1.0, 2.0]"]);
    check(&format!(" \r\n{ONE}\r\n"), expect!["0 x 1000 [1.0, 2.0]"]);
    check(&format!("\u{feff}{ONE}"), expect!["0 x 1000 [1.0, 2.0]"]);
    check(
        &format!("{ONE}{ONE} {ONE}"),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 1000 [1.0, 2.0]
        2 x 1000 [1.0, 2.0]"#]],
    );
    check(
        &format!("{ONE}\n\n{ONE}\r\n[{ONE}]\n"),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 1000 [1.0, 2.0]
        2 x 1000 [1.0, 2.0]"#]],
    );
    check("{\n  \"id\": \"x\",\n  \"ts\": 1,\n  \"a\": 1,\n  \"b\": 2\n}\n", expect!["0 x 1000 [1.0, 2.0]"]);
}

#[test]
fn arrays_of_objects() {
    check("[]", expect![[""]]);
    check(
        &format!("[{ONE},\n {ONE}]"),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 1000 [1.0, 2.0]"#]],
    );
    check(
        &format!("[{ONE},7,\"x\",null,[{ONE}],{{}},{ONE}]"),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 json: not a JSON reading: a number stands where an object is expected; "7"
        2 json: not a JSON reading: text stands where an object is expected; "\"x\""
        3 json: not a JSON reading: null stands where an object is expected; "null"
        4 json: not a JSON reading: an array stands where an object is expected; "[{\"id\":\"x\",\"ts\":1,\"a\":1,\"b\":2}]"
        5 missing: id is missing; "{}"
        6 x 1000 [1.0, 2.0]"#]],
    );
}

#[test]
fn a_broken_element_leaves_its_neighbours_alone() {
    check(
        &format!("[{ONE},{{\"a\":,}},{ONE}]"),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 json: not a JSON reading: a value is expected at byte 36; "{\"a\":,}"
        2 x 1000 [1.0, 2.0]"#]],
    );
    check(
        &format!("[{ONE},nonsense,{ONE} {ONE},{ONE}]"),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 json: not a JSON reading: a value is expected at byte 31; "nonsense"
        2 json: not a JSON reading: `,` or `]` is expected at byte 70; "{\"id\":\"x\",\"ts\":1,\"a\":1,\"b\":2} {\"id\":\"x\",\"ts\":1,\"a\":1,\"b\":2}"
        3 x 1000 [1.0, 2.0]"#]],
    );
    check(
        &format!("[{ONE},{{\"id\":\"}},{ONE}]"),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 json: not a JSON reading: `,` or `}` is expected at byte 42; "{\"id\":\"},{\"id\":\"x\",\"ts\":1,\"a\":1,\"b\":2}]""#]],
    );
    check(
        &format!("[\n{ONE},\n{{\"id\":\n{ONE}\n]"),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 json: not a JSON reading: `,` or `}` is expected at byte 70; "{\"id\":"
        2 x 1000 [1.0, 2.0]"#]],
    );
    check(
        &format!("[{ONE},{ONE}"),
        expect![[r#"
            0 x 1000 [1.0, 2.0]
            1 x 1000 [1.0, 2.0]
            2 json: not a JSON reading: the array is cut off at byte 60; """#]],
    );
    check(
        &format!("[{ONE},]"),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 json: not a JSON reading: a value is expected at byte 31; "]""#]],
    );
    check(
        &format!("[{}]{ONE}", ONE.replace("\"x\"", "\"\u{7}\"")),
        expect![[r#"
        0 json: not a JSON reading: a control character stands in text at byte 8; "{\"id\":\"\u{7}\",\"ts\":1,\"a\":1,\"b\":2}"
        1 x 1000 [1.0, 2.0]"#]],
    );
}

#[test]
fn a_broken_line_leaves_its_neighbours_alone() {
    check(
        &format!("{ONE}\n{{\"id\":\"x\",\"ts\n{ONE}\n"),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 json: not a JSON reading: a control character stands in text at byte 43; "{\"id\":\"x\",\"ts"
        2 x 1000 [1.0, 2.0]"#]],
    );
    check(
        &format!("{ONE}\n{ONE}x\n{ONE}\nwords\n{ONE}"),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 json: not a JSON reading: it goes on behind its end at byte 59; "{\"id\":\"x\",\"ts\":1,\"a\":1,\"b\":2}x"
        2 x 1000 [1.0, 2.0]
        3 json: not a JSON reading: a value is expected at byte 91; "words"
        4 x 1000 [1.0, 2.0]"#]],
    );
    check(
        &format!("{ONE}}}\n{ONE}"),
        expect![[r#"
        0 json: not a JSON reading: it goes on behind its end at byte 29; "{\"id\":\"x\",\"ts\":1,\"a\":1,\"b\":2}}"
        1 x 1000 [1.0, 2.0]"#]],
    );
    let not_utf8 =
        [ONE.as_bytes(), b"\n{\"id\":\"\xff\",\"ts\":1,\"a\":1,\"b\":2}\n", ONE.as_bytes()].concat();
    check_with(
        &input(),
        &not_utf8,
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 json: not a JSON reading: text is not UTF-8 at byte 37; 29 bytes, no text
        2 x 1000 [1.0, 2.0]"#]],
    );
}

#[test]
fn the_first_thing_wrong_is_told() {
    check(
        r#"{"ts":"soon","a":null}"#,
        expect![[r#"0 missing: id is missing; "{\"ts\":\"soon\",\"a\":null}""#]],
    );
    check(
        r#"{"id":"x","ts":"soon","a":null}"#,
        expect![[r#"0 time: not a time: "soon"; "{\"id\":\"x\",\"ts\":\"soon\",\"a\":null}""#]],
    );
    check(
        r#"{"id":"x","ts":1,"a":null,"b":"?"}"#,
        expect![[r#"0 missing: a is missing; "{\"id\":\"x\",\"ts\":1,\"a\":null,\"b\":\"?\"}""#]],
    );
    check(
        r#"{"id":"x","ts":1,"a":1,"b":"?"}"#,
        expect![[r#"0 not-a-number: b is not a number: "?"; "{\"id\":\"x\",\"ts\":1,\"a\":1,\"b\":\"?\"}""#]],
    );
    check(
        r#"{"id":9007199254740993,"ts":1,"a":1,"b":2}"#,
        expect![[
            r#"0 series: the name of the series is a number of more than 15 digits; write it as text; "{\"id\":9007199254740993,\"ts\":1,\"a\":1,\"b\":2}""#
        ]],
    );
    check("", expect![[r#"0 json: not a JSON reading: it is empty; """#]]);
    check(" \n", expect![[r#"0 json: not a JSON reading: it is empty; " \n""#]]);
    check(
        "hello",
        expect![[
            r#"0 json: not a JSON reading: neither JSON nor CSV that names a field: it begins "hello"; "hello""#
        ]],
    );
    check_with(
        &input(),
        b"\x00\x01\xff",
        expect![[
            r#"0 json: not a JSON reading: neither JSON nor CSV that names a field: it begins "  �"; 3 bytes, no text"#
        ]],
    );
    check_with(
        &Input { format: Format::Json, ..input() },
        b"id,ts,a,b\nx,1,1,2",
        expect![[r#"
        0 json: not a JSON reading: a value is expected at byte 0; "id,ts,a,b"
        1 json: not a JSON reading: a value is expected at byte 10; "x,1,1,2""#]],
    );
}

#[test]
fn csv_with_a_header() {
    check(
        "id,ts,a,b\nx,1,1,2\ny,2,-3e1,4.5\n",
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 y 2000 [-30.0, 4.5]"#]],
    );
    check(
        "\u{feff}b;a;ts;id;more\r\n2;1;1;x;y\r\n\r\n2;1;2;x;y",
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 2000 [1.0, 2.0]"#]],
    );
    check("id,ts,a,b\n\"a \"\"b\"\", c\",\"1\",1,2\n", expect![[r#"0 a "b", c 1000 [1.0, 2.0]"#]]);
    check(
        "id,ts,a,b\n\"two\nlines\",1,1,2\nx,2,1,2\n",
        expect![[r#"
        0 series: the name of the series holds a control character; "id,ts,a,b\n\"two\nlines\",1,1,2"
        1 x 2000 [1.0, 2.0]"#]],
    );
    check(
        "id,ts,a,b\nx,1,1\nx,2,1,2,3\nx,,1,2\nx,4,one,2\nx,5,NaN,2\nx,6,1,2",
        expect![[r#"
            0 columns: 3 columns where there should be 4; "id,ts,a,b\nx,1,1"
            1 columns: 5 columns where there should be 4; "id,ts,a,b\nx,2,1,2,3"
            2 missing: ts is missing; "id,ts,a,b\nx,,1,2"
            3 not-a-number: a is not a number: "one"; "id,ts,a,b\nx,4,one,2"
            4 not-finite: a is not a finite number; "id,ts,a,b\nx,5,NaN,2"
            5 x 6000 [1.0, 2.0]"#]],
    );
    check("id,ts,a\nx,1,1\n", expect![[r#"0 missing: b is missing; "id,ts,a\nx,1,1""#]]);
    check("id,ts,a,b\n", expect![[""]]);
    check(
        "id,ts,a,b\n\"x,1,1,2\nx,1,1,2\n",
        expect![[r#"0 columns: 1 column where there should be 4; "id,ts,a,b\n\"x,1,1,2\nx,1,1,2""#]],
    );
    check_with(
        &input(),
        b"id,ts,a,b\n\xff,1,1,2\nx,2,\xff,2",
        expect![[r#"
        0 series: the name of the series is no UTF-8; 17 bytes, no text
        1 not-a-number: a is not a number: no UTF-8; 17 bytes, no text"#]],
    );
    check_with(
        &Input { format: Format::Csv, ..input() },
        b"",
        expect![[r#"0 json: not a JSON reading: it is empty; """#]],
    );
    let tilde = Input { delimiter: Some("~".to_owned()), ..input() };
    check_with(&tilde, b"id~ts~a~b\nx~1~1~2", expect!["0 x 1000 [1.0, 2.0]"]);
}

#[test]
fn csv_by_position() {
    check_with(
        &by_position(),
        b"1,2,3\n2,4,5\r\n3,4",
        expect![[r#"
            0 web 1000 [2.0, 3.0]
            1 web 2000 [4.0, 5.0]
            2 columns: 2 columns where there should be 3; "3,4""#]],
    );
    check_with(
        &Input { header: Some(true), ..by_position() },
        b"when,x,y\n1,2,3\n",
        expect!["0 web 1000 [2.0, 3.0]"],
    );
    check_with(
        &by_position(),
        b"[1,2,3]\n[2,4,5]",
        expect![[r#"
        0 web 1000 [2.0, 3.0]
        1 web 2000 [4.0, 5.0]"#]],
    );
    check_with(
        &by_position(),
        b"[[1,2,3],[2,4],{\"0\":3,\"1\":6,\"2\":7}]",
        expect![[r#"
        0 web 1000 [2.0, 3.0]
        1 missing: 2 is missing; "[2,4]"
        2 web 3000 [6.0, 7.0]"#]],
    );
}

#[test]
fn compressed_and_encoded() {
    let two = format!("{ONE}\n{ONE}");
    let (gzipped, zstded) = (gzip(two.as_bytes()), zstd(two.as_bytes()));
    check_with(
        &input(),
        &gzipped,
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 1000 [1.0, 2.0]"#]],
    );
    check_with(
        &input(),
        &zstded,
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 1000 [1.0, 2.0]"#]],
    );
    check_with(
        &input(),
        &[gzipped.clone(), gzip(b"\n[]")].concat(),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 1000 [1.0, 2.0]"#]],
    );
    check_with(
        &input(),
        &[zstded.clone(), zstd(b"\n[]")].concat(),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 1000 [1.0, 2.0]"#]],
    );
    check_with(&input(), &gzip(b"id,ts,a,b\nx,1,1,2"), expect!["0 x 1000 [1.0, 2.0]"]);
    check_with(
        &input(),
        &gzipped[..gzipped.len() - 9],
        expect!["0 compressed: cannot be expanded: gzip: incomplete deflate stream; 53 bytes, no text"],
    );
    check_with(
        &input(),
        &zstded[..zstded.len() - 9],
        expect!["0 compressed: cannot be expanded: zstd: it is cut off or damaged; 53 bytes, no text"],
    );
    let mut corrupt = gzipped.clone();
    corrupt[gzipped.len() - 6] ^= 1;
    check_with(
        &input(),
        &corrupt,
        expect![
            "0 compressed: cannot be expanded: gzip: corrupt gzip stream does not have a matching checksum; 62 bytes, no text"
        ],
    );
    let mut corrupt = zstded.clone();
    corrupt[zstded.len() - 1] ^= 1;
    check_with(
        &input(),
        &corrupt,
        expect!["0 compressed: cannot be expanded: zstd: the checksum is another; 62 bytes, no text"],
    );

    let only = |compression| Input { compression, ..input() };
    check_with(
        &only(Compression::Gzip),
        &zstded,
        expect![
            "0 compressed: cannot be expanded: gzip: the record does not begin as one does; 62 bytes, no text"
        ],
    );
    check_with(
        &only(Compression::Zstd),
        &zstded,
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 1000 [1.0, 2.0]"#]],
    );
    check_with(
        &only(Compression::Gzip),
        ONE.as_bytes(),
        expect![[
            r#"0 compressed: cannot be expanded: gzip: the record does not begin as one does; "{\"id\":\"x\",\"ts\":1,\"a\":1,\"b\":2}""#
        ]],
    );
    check_with(
        &only(Compression::None),
        &gzipped,
        expect![[
            r#"0 json: not a JSON reading: neither JSON nor CSV that names a field: it begins " �       �}ɡ    EA� O׀��@0h $ ��t��3�"; 62 bytes, no text"#
        ]],
    );

    let base64 = Input { encoding: Encoding::Base64, ..input() };
    let encoded = base64_simd::STANDARD.encode_to_string(ONE);
    check_with(&base64, format!("{encoded}\n").as_bytes(), expect!["0 x 1000 [1.0, 2.0]"]);
    check_with(&base64, encoded.trim_end_matches('=').as_bytes(), expect!["0 x 1000 [1.0, 2.0]"]);
    check_with(
        &base64,
        base64_simd::URL_SAFE.encode_to_string(&gzipped).as_bytes(),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 1000 [1.0, 2.0]"#]],
    );
    check_with(&base64, ONE.as_bytes(), expect!["0 x 1000 [1.0, 2.0]"]);
    check_with(&base64, b"id,ts", expect![[r#"0 base64: the data is not Base64; "id,ts""#]]);
}

#[test]
fn what_expands_without_end_is_cut_off() {
    let small = Input { expanded_bytes_max: 1 << 20, ..input() };
    let bomb = vec![b' '; 20 << 20];
    check_with(
        &small,
        &gzip(&bomb),
        expect!["0 expanded: expands to more than the limit of 1048576 bytes; 20393 bytes, no text"],
    );
    check_with(
        &small,
        &zstd(&bomb),
        expect!["0 expanded: expands to more than the limit of 1048576 bytes; 653 bytes, no text"],
    );
    let many = zstd(&vec![b' '; 1 << 20]).repeat(20);
    check_with(
        &small,
        &many,
        expect!["0 expanded: expands to more than the limit of 1048576 bytes; 900 bytes, no text"],
    );
    let exact = [ONE.as_bytes(), &vec![b' '; (1 << 20) - ONE.len()]].concat();
    check_with(&small, &gzip(&exact), expect!["0 x 1000 [1.0, 2.0]"]);
    check_with(&small, &zstd(&exact), expect!["0 x 1000 [1.0, 2.0]"]);
    // A frame of a few bytes that asks for a window of a gigabyte (RFC 8878, section 3.1.1.1.2).
    check_with(
        &small,
        b"\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00",
        expect!["0 expanded: expands to more than the limit of 1048576 bytes; 9 bytes, no text"],
    );
}

#[test]
fn limits_have_reasons_of_their_own() {
    let deep = |levels: usize| {
        format!(
            "{{\"id\":\"x\",\"ts\":1,\"a\":1,\"b\":2,\"c\":{}{}}}",
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    check(
        &format!("[{},{},{ONE}]", deep(127), deep(128)),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 depth: nested deeper than the limit of 128 levels; 290 bytes
        2 x 1000 [1.0, 2.0]"#]],
    );
    check(&deep(100_000), expect!["0 depth: nested deeper than the limit of 128 levels; 65536 bytes"]);
    check(
        &"[".repeat(1_000_000),
        expect!["0 depth: nested deeper than the limit of 128 levels; 65536 bytes"],
    );
    check(
        &"{\"a\":".repeat(200_000),
        expect!["0 depth: nested deeper than the limit of 128 levels; 65536 bytes"],
    );

    let few = Input { fields_max: 5, ..input() };
    let six = ONE.replace('}', ",\"c\":{\"d\":0}}");
    check_with(
        &few,
        format!("[{six},{ONE}]").as_bytes(),
        expect![[r#"
        0 fields: more fields than the limit of 5; "{\"id\":\"x\",\"ts\":1,\"a\":1,\"b\":2,\"c\":{\"d\":0}}"
        1 x 1000 [1.0, 2.0]"#]],
    );
    check_with(
        &few,
        b"id,ts,a,b,c\nx,1,1,2,3\nx,2,1,2,3,4\nx,3,1,2,3",
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 fields: more fields than the limit of 5; "id,ts,a,b,c\nx,2,1,2,3,4"
        2 x 3000 [1.0, 2.0]"#]],
    );
    check_with(
        &few,
        b"id,ts,a,b,c,d\nx,1,1,2,3,4",
        expect![[r#"0 fields: more fields than the limit of 5; "id,ts,a,b,c,d\nx,1,1,2,3,4""#]],
    );

    let two = Input { readings_max: 2, ..input() };
    check_with(
        &two,
        format!("[{ONE},{ONE}]").as_bytes(),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 1000 [1.0, 2.0]"#]],
    );
    check_with(
        &two,
        format!("[{ONE},{ONE},{ONE}, {ONE}]").as_bytes(),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 1000 [1.0, 2.0]
        2 readings: more readings than the limit of 2; 61 bytes"#]],
    );
    check_with(
        &two,
        format!("{ONE}\n{ONE}\n{ONE}\n{ONE}").as_bytes(),
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 1000 [1.0, 2.0]
        2 readings: more readings than the limit of 2; "{\"id\":\"x\",\"ts\":1,\"a\":1,\"b\":2}\n{\"id\":\"x\",\"ts\":1,\"a\":1,\"b\":2}""#]],
    );
    check_with(
        &two,
        b"id,ts,a,b\nx,1,1,2\nx,2,1,2\nx,3,1,2\nx,4,1,2",
        expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 2000 [1.0, 2.0]
        2 readings: more readings than the limit of 2; "id,ts,a,b\nx,3,1,2\nx,4,1,2""#]],
    );
    check_with(
        &Input { record_bytes_max: 10, ..input() },
        ONE.as_bytes(),
        expect![[
            r#"0 too-large: 29 bytes, more than the limit of 10; "{\"id\":\"x\",\"ts\":1,\"a\":1,\"b\":2}""#
        ]],
    );
}

#[test]
fn features_that_are_not_there_are_filled_in_as_the_user_says() {
    let holes =
        r#"[{"id":"x","ts":1,"b":2},{"id":"x","ts":1,"a":null,"b":NaN},{"id":"x","ts":1,"a":1e999,"b":"?"}]"#;
    check(
        holes,
        expect![[r#"
        0 missing: a is missing; "{\"id\":\"x\",\"ts\":1,\"b\":2}"
        1 missing: a is missing; "{\"id\":\"x\",\"ts\":1,\"a\":null,\"b\":NaN}"
        2 not-finite: a is not a finite number; "{\"id\":\"x\",\"ts\":1,\"a\":1e999,\"b\":\"?\"}""#]],
    );
    let filled = Input {
        missing: Fill::Constant(-1.0),
        null: Fill::Previous,
        not_finite: Fill::Constant(0.5),
        ..input()
    };
    check_with(
        &filled,
        holes.as_bytes(),
        expect![[r#"
        0 x 1000 [-1.0, 2.0] [0: missing -> Constant]
        1 x 1000 [0.0, 0.5] [0: null -> Previous] [1: not finite -> Constant]
        2 not-a-number: b is not a number: "?"; "{\"id\":\"x\",\"ts\":1,\"a\":1e999,\"b\":\"?\"}""#]],
    );
    check_with(
        &filled,
        b"id,ts,a,b\nx,1,,inf\nx,2,1\n",
        expect![[r#"
            0 x 1000 [0.0, 0.5] [0: null -> Previous] [1: not finite -> Constant]
            1 columns: 3 columns where there should be 4; "id,ts,a,b\nx,2,1""#]],
    );
    check_with(
        &filled,
        b"id,ts,a\nx,1,NaN\n",
        expect!["0 x 1000 [0.5, -1.0] [0: not finite -> Constant] [1: missing -> Constant]"],
    );

    let array = Input { features: vec!["/v/0".to_owned(), "/v/2".to_owned()], ..input() };
    let vectors = r#"[{"id":"x","ts":1,"v":[1,2,3,4]},{"id":"x","ts":1,"v":[1,2]},{"id":"x","ts":1,"v":7}]"#;
    check_with(
        &array,
        vectors.as_bytes(),
        expect![[r#"
        0 x 1000 [1.0, 3.0]
        1 missing: v/2 is missing; "{\"id\":\"x\",\"ts\":1,\"v\":[1,2]}"
        2 missing: v/0 is missing; "{\"id\":\"x\",\"ts\":1,\"v\":7}""#]],
    );
    let padded = Input { width: Fill::Constant(0.0), ..array };
    check_with(
        &padded,
        vectors.as_bytes(),
        expect![[r#"
        0 x 1000 [1.0, 3.0]
        1 x 1000 [1.0, 0.0] [1: cut short -> Constant]
        2 missing: v/0 is missing; "{\"id\":\"x\",\"ts\":1,\"v\":7}""#]],
    );
    let padded = Input { width: Fill::Constant(0.0), ..input() };
    check_with(
        &padded,
        b"id,ts,a,b\nx,1,1\nx,2,1,2,3\nx,3,1,2",
        expect![[r#"
        0 x 1000 [1.0, 0.0] [1: cut short -> Constant]
        1 x 2000 [1.0, 2.0]
        2 x 3000 [1.0, 2.0]"#]],
    );
    check_with(
        &Input { width: Fill::Previous, ..by_position() },
        b"1,2,3\n2,4",
        expect![[r#"
        0 web 1000 [2.0, 3.0]
        1 web 2000 [4.0, 0.0] [1: cut short -> Previous]"#]],
    );
}

#[test]
fn numbers_in_text_and_units_of_time_as_the_user_says() {
    let text = r#"[{"id":"x","ts":"1","a":"1.5","b":" -2e1 "},{"id":"x","ts":1,"a":"","b":1},{"id":"x","ts":1,"a":"NaN","b":1}]"#;
    check(
        text,
        expect![[r#"
        0 not-a-number: a is not a number: "1.5"; "{\"id\":\"x\",\"ts\":\"1\",\"a\":\"1.5\",\"b\":\" -2e1 \"}"
        1 not-a-number: a is not a number: ""; "{\"id\":\"x\",\"ts\":1,\"a\":\"\",\"b\":1}"
        2 not-finite: a is not a finite number; "{\"id\":\"x\",\"ts\":1,\"a\":\"NaN\",\"b\":1}""#]],
    );
    check_with(
        &Input { text_numbers: true, ..input() },
        text.as_bytes(),
        expect![[r#"
        0 x 1000 [1.5, -20.0]
        1 not-a-number: a is not a number: ""; "{\"id\":\"x\",\"ts\":1,\"a\":\"\",\"b\":1}"
        2 not-finite: a is not a finite number; "{\"id\":\"x\",\"ts\":1,\"a\":\"NaN\",\"b\":1}""#]],
    );
    let times = r#"[{"id":"x","ts":1400000000.5,"a":1,"b":2},{"id":"x","ts":"1400000000500","a":1,"b":2},{"id":"x","ts":true,"a":1,"b":2}]"#;
    check(
        times,
        expect![[r#"
        0 x 1400000000500 [1.0, 2.0]
        1 x 1400000000500 [1.0, 2.0]
        2 time: not a time: a boolean; "{\"id\":\"x\",\"ts\":true,\"a\":1,\"b\":2}""#]],
    );
    check_with(
        &Input { time_unit: TimeUnit::Milliseconds, ..input() },
        times.as_bytes(),
        expect![[r#"
        0 x 1400000000 [1.0, 2.0]
        1 x 1400000000500 [1.0, 2.0]
        2 time: not a time: a boolean; "{\"id\":\"x\",\"ts\":true,\"a\":1,\"b\":2}""#]],
    );
}

#[test]
fn parts_of_a_record_are_numbered_through() {
    let decoder = Decoder::new(&input()).expect("a valid input");
    let mut records = Records::default();
    let mut place = position();
    for part in [format!("[{ONE},{ONE}]"), "[]".to_owned(), "?".to_owned(), ONE.to_owned()] {
        place.sub = decoder.part(part.as_bytes(), &place, &mut records);
    }
    records.end_record();
    assert_eq!((records.len(), place.sub), (1, 4));
    expect![[r#"
        0 x 1000 [1.0, 2.0]
        1 x 1000 [1.0, 2.0]
        2 json: not a JSON reading: neither JSON nor CSV that names a field: it begins "?"; "?"
        3 x 1000 [1.0, 2.0]"#]]
    .assert_eq(&lines(&records));
}

#[test]
fn what_is_kept_of_a_reject_can_be_decoded_again() {
    let record = b"id,ts,a,b\nx,1,1,2\nx,2,?,2\n";
    let records = decode(&input(), record);
    let Some(Decoded::Rejected(reject)) = records.entries().last() else {
        panic!("the last row is rejected")
    };
    let Data::Text(kept) = &reject.data else { panic!("it is text") };
    assert_eq!(kept, "id,ts,a,b\nx,2,?,2");
    check(&kept.replace('?', "1"), expect!["0 x 2000 [1.0, 2.0]"]);
}

#[test]
fn drift_is_told_once() {
    let mut schema = Schema::default();
    let mut told = |records: &str| {
        let drift = schema.compare([&decode(&input(), records.as_bytes())]);
        format!("{}/{}/{} {drift}", drift.unknown, drift.vanished, drift.retyped)
    };
    assert_eq!(told(ONE), "0/0/0 ", "the first one is what is usual");
    assert_eq!(told(r#"{"id":"x","ts":null,"a":1,"c":{}}"#), "1/1/0 new c, gone b");
    assert_eq!(told(r#"{"id":"x","ts":"2026","a":"1","b":2,"c":null}"#), "0/0/2 retyped ts, retyped a");
    assert_eq!(told(r#"{"id":"x","ts":1,"a":"1"}"#), "0/0/0 ", "b and c were not always there");
    assert_eq!(told("id,ts,a,b,d\nx,1,1,2,\n"), "1/0/0 new d");
    assert_eq!(told("[7]"), "0/0/0 ");
    let wide: String = (0..1000).map(|i| format!("\"f{i}\":1,")).collect();
    assert!(
        told(&format!("{{{wide}\"id\":1}}")).starts_with("250/0/0 "),
        "no more than 256 names are remembered"
    );
    let every = |count: usize| decode(&input(), ONE.repeat(count).as_bytes()).shapes().len();
    assert_eq!([every(1), every(64), every(65)], [1, 1, 2]);
}

/// Text around which forms break.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        Just(ONE.as_bytes().to_vec()),
        Just(b"id,ts,a,b\nx,1,1,2\n".to_vec()),
        "[\\[\\]{},:\"\n \\\\ax1]{0,6}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(fragment, 0..12).prop_map(|fragments| fragments.concat())
}

/// The readings among `records`.
fn readings(records: &Records) -> Vec<&Reading> {
    fn reading(entry: &Decoded) -> Option<&Reading> {
        match entry {
            Decoded::Reading(reading) => Some(reading),
            Decoded::Rejected(_) => None,
        }
    }
    records.entries().iter().filter_map(reading).collect()
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_within_the_limits(record in fragments(), packed in 0..3) {
        let input = Input { readings_max: 5, depth_max: 4, fields_max: 6, ..input() };
        let record = match packed { 0 => record, 1 => gzip(&record), _ => zstd(&record) };
        let records = decode(&input, &record);
        prop_assert!(records.entries().len() <= 6);
        for (entry, sub) in records.entries().iter().zip(0..) {
            match entry {
                Decoded::Reading(reading) => prop_assert_eq!(reading.position.sub, sub),
                Decoded::Rejected(reject) => prop_assert_eq!(reject.sub, sub),
            }
        }
    }

    #[test]
    fn whole_lines_survive_any_broken_line_between_them(garbage in "[^\n]{0,40}", times in 1..5_usize) {
        // A line that begins as a value does not swallow the next one, which does too.
        let record = format!("{ONE}\n{garbage}\n").repeat(times) + ONE;
        let records = decode(&Input { format: Format::Json, ..input() }, record.as_bytes());
        let read = readings(&records).iter().filter(|r| r.features == [1.0, 2.0]).count();
        prop_assert!(read > times, "{}", lines(&records));
    }

    #[test]
    fn every_form_gives_the_same_readings(
        rows in proptest::collection::vec(("[a-z]{1,8}", 0_i64..4_000_000_000_000, any::<(f32, f32)>()), 1..8)
    ) {
        let rows: Vec<_> = rows.into_iter().filter(|(.., (a, b))| a.is_finite() && b.is_finite()).collect();
        prop_assume!(!rows.is_empty());
        let input = Input { time_unit: TimeUnit::Milliseconds, ..input() };
        let object = |(id, ts, (a, b)): &(String, i64, (f32, f32))| {
            format!("{{\"b\":{b:?},\"id\":\"{id}\",\"a\":{a:?},\"ts\":{ts}}}")
        };
        let objects: Vec<String> = rows.iter().map(object).collect();
        let row = |(id, ts, (a, b)): &(String, i64, (f32, f32))| format!("{a},{ts},\"{id}\",{b}\r\n");
        let csv: String = std::iter::once("a,ts,id,b\r\n".to_owned()).chain(rows.iter().map(row)).collect();
        let forms = [objects.join("\n"), objects.concat(), format!("[{}]", objects.join(",")), csv];
        let expected = decode(&input, forms[0].as_bytes());
        prop_assert_eq!(readings(&expected).len(), rows.len());
        for form in &forms {
            for packed in [form.clone().into_bytes(), gzip(form.as_bytes()), zstd(form.as_bytes())] {
                let records = decode(&input, &packed);
                prop_assert_eq!(readings(&records), readings(&expected));
            }
        }
    }
}
