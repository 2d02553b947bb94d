//! Reading an answer takes no more memory than promised, whatever its bytes.
//!
//! The counter is the process's: this file has one test.

use std::fmt::Write as _;

use anomaly_core::config::Model;
use anomaly_core::exchange::{READ_FACTOR, Reader, recordio};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What reading takes that does not grow with the body: quotes and sentences of errors, pointers.
const FIXED_BYTES: usize = 4_096;

/// How much more memory `work` held at a time than before.
fn peak<T>(work: impl FnOnce() -> T) -> usize {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = work();
    let peak = MEMORY.peak_usage();
    drop(result);
    peak.saturating_sub(before)
}

/// A RecordIO frame.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut body = vec![0x0a, 0x23, 0xd7, 0xce];
    body.extend((payload.len() as u32).to_le_bytes());
    body.extend(payload);
    body.resize(body.len().next_multiple_of(4), 0);
    body
}

/// A field of a protobuf message, of at most 2 MiB.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    let varint = [length as u8 | 128, (length >> 7) as u8 | 128, (length >> 14) as u8 & 127];
    [&[tag][..], &varint, bytes].concat()
}

/// A record whose label has thousands of names, each with `value`.
fn many_names(value: &[u8]) -> Vec<u8> {
    let name =
        |number: u8, letter: u8| [&[0x12, 4 + value.len() as u8, 0x0a, 2, number, letter], value].concat();
    let names = (b'!'..=b'~').flat_map(|first| (b'!'..=b'~').map(move |second| (first, second)));
    frame(&names.flat_map(|(first, second)| name(first, second)).collect::<Vec<u8>>())
}

/// A record whose label is a score of very many small numbers: `tag` is the tensor's, `list` the list's.
fn many_numbers(tag: u8, list: u8) -> Vec<u8> {
    let tensor = field(tag, &field(list, &[1; 400_000]));
    frame(&field(0x12, &[b"\x0a\x05score".to_vec(), field(0x12, &tensor)].concat()))
}

/// Bodies that become as much as possible, and how they are read.
fn hostile() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    const JSON: &str = "application/json";
    const RECORD_IO: &str = "application/x-recordio-protobuf";
    let mut names = "{".to_owned();
    for name in 0..100_000 {
        let _ = write!(names, "\"{name}\":{{}},");
    }
    names.push_str("\"scores\":[]}");
    let json = [
        names,
        format!("[{}", "[".repeat(500_000)),
        format!("{{\"scores\":{}", "[".repeat(500_000)),
        format!("{{\"a\":{}", "[".repeat(500_000)),
        format!("\"{}", "\\u0041".repeat(100_000)),
        format!("{{\"{}\":1}}", "\\n".repeat(200_000)),
    ];
    let numbers = [
        format!("[{}1]", "1,".repeat(500_000)),
        format!("[{}[]]", "[1],".repeat(200_000)),
        format!("[{}NaN]", "NaN,".repeat(200_000)),
        format!("[{}NaN]", "1,".repeat(400_000)),
    ];
    let record_io = [
        frame(&[]).repeat(50_000),
        many_names(&[]),
        many_names(&[0x12, 0]),
        many_names(&[0x12, 2, 0x12, 0]),
        many_names(&[0x12, 2, 0x3a, 0]),
        many_numbers(0x3a, 0x0a),
        many_numbers(0x3a, 0x12),
        many_numbers(0x12, 0x12),
    ];
    let mut all = vec![
        ("csv", "text/csv", b"1\n".repeat(500_000)),
        ("csv", "text/csv", b"1,".repeat(500_000)),
        ("csv", "text/csv", vec![0xff; 500_000]),
        ("/*", "application/jsonlines", b"[1]\n".repeat(200_000)),
    ];
    all.extend(json.map(|body| ("rcf", JSON, body.into_bytes())));
    all.extend(numbers.map(|body| ("/*", JSON, body.into_bytes())));
    all.extend(record_io.map(|body| ("rcf", RECORD_IO, body)));
    all
}

#[test]
fn reading_takes_a_bounded_multiple_of_the_body() {
    let mut worst = 0;
    for (response, content_type, body) in hostile() {
        let model = Model { response: response.to_owned(), ..Model::default() };
        let reader = Reader::new(&model).expect("valid");
        let bound = FIXED_BYTES + READ_FACTOR * body.len();
        let shown = body[..30.min(body.len())].escape_ascii();
        for taken in [peak(|| reader.read(Some(content_type), &body, 1)), peak(|| recordio::rows(&body))] {
            assert!(taken <= bound, "{response} {content_type} {shown}: {taken} bytes for {}", body.len());
            worst = worst.max(taken / body.len());
        }
    }
    assert!(worst >= 8, "the bodies are not hostile enough: at most {worst} times");
}
