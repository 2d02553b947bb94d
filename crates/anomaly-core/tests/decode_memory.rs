//! Decoding a record takes no more memory than promised, whatever its bytes.
//!
//! The counter is the process's: this file has one test.

use std::io::Write;

use anomaly_core::config::{Format, Input};
use anomaly_core::decode::Decoder;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::records::{Decoded, Records};
use anomaly_core::time::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;
use peak_alloc::PeakAlloc;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const EXPANDED_MAX: usize = 4 << 20;
const READINGS_MAX: usize = 2_000;

fn input() -> Input {
    Input {
        series: "/id".to_owned(),
        features: vec!["/a".to_owned()],
        expanded_bytes_max: EXPANDED_MAX,
        readings_max: READINGS_MAX,
        ..Input::default()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// Records that become as much as possible, and what each becomes when it is expanded, in bytes.
fn hostile() -> Vec<(&'static str, Vec<u8>, usize)> {
    let mib = |pattern: &str| pattern.repeat((1 << 20) / pattern.len()).into_bytes();
    let wide_row = [b"id,a".as_slice(), &mib(",x")[..(1 << 20) - 4]].concat();
    let texts = vec![
        ("brackets", mib("[")),
        ("objects that never end", mib("{\"a\":")),
        ("numbers", [b"[".as_slice(), &mib("1,")[..(1 << 20) - 1]].concat()),
        ("empty objects", mib("{}")),
        ("small readings", mib("{\"id\":1,\"a\":1}")),
        ("broken readings", mib("{\"id\":1,\"a\":}\n")),
        ("escapes", [b"{\"id\":\"".as_slice(), &mib("\\u00e9")[..(1 << 20) - 12], b"\"}"].concat()),
        ("a quote that never ends", [b"{\"id\":\"".as_slice(), &mib("x")[..(1 << 20) - 7]].concat()),
        ("short rows", [b"id,a\n".as_slice(), &mib("x\n")[..(1 << 20) - 6]].concat()),
        ("a wide header", wide_row),
        ("no text", vec![0xff; 1 << 20]),
    ];
    let mut all: Vec<_> = texts.into_iter().map(|(name, text)| (name, text.clone(), text.len())).collect();
    let bomb = vec![b'{'; 16 << 20];
    all.push(("a gzip bomb", gzip(&bomb), EXPANDED_MAX));
    all.push(("a zstd bomb", zstd(&bomb), EXPANDED_MAX));
    let many = mib("{\"id\":1,\"a\":1}\n").repeat(3);
    all.push(("readings in gzip", gzip(&many), many.len()));
    all.push(("readings in zstd", zstd(&many), many.len()));
    all.push(("a window of a gigabyte", b"\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00".to_vec(), 0));
    all.push(("frames of nothing", b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00".repeat(10_000), 0));
    all
}

#[test]
fn decoding_takes_no_more_memory_than_promised() {
    let decoder = Decoder::new(&input()).expect("a valid input");
    let csv = Decoder::new(&Input { format: Format::Csv, ..input() }).expect("a valid input");
    let position = Position {
        partition: "p".into(),
        sequence: Sequence::from(1),
        sub: 0,
        arrived: Timestamp::default(),
    };
    for (name, record, text) in hostile() {
        for decoder in [&decoder, &csv] {
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            let mut records = Records::default();
            decoder.record(&record, &position, &mut records);
            let peak = MEMORY.peak_usage().saturating_sub(before);
            let entries = records.entries();
            let own = |entry: &Decoded| match entry {
                Decoded::Reading(_) => 1_024,
                Decoded::Rejected(reject) => 1_024 + 2 * (reject.bytes as usize).min(65_536),
            };
            let added: usize = entries.iter().map(own).sum::<usize>();
            let promised = 256 * 1_024 + 5 * text + added;
            assert!(entries.len() <= READINGS_MAX + 1, "{name}: {} entries", entries.len());
            assert!(peak <= promised, "{name}: {peak} bytes, and {promised} were promised");
        }
    }
}
