//! What is fuzzed: every reader of what others wrote.
//!
//! Each target takes bytes and has a reader make something of them. A panic is a finding, and so is a promise that the
//! target sees broken. `cargo xtask fuzz` has cargo-fuzz look for inputs and keeps those that reach something new
//! in `fuzz/corpus`; the test beside this file runs every target over them in every `cargo test`.

use std::hint::black_box;
use std::sync::LazyLock;

use anomaly_aws::event::EventError;
use anomaly_aws::{dynamodb, source, sqs};
use anomaly_core::classify::SeriesState;
use anomaly_core::config::{Config, Model};
use anomaly_core::decode::Decoder;
use anomaly_core::exchange::{Reader, recordio};
use anomaly_core::position::{Position, Sequence};
use anomaly_core::records::{Decoded, Records};
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, ChunkV1, RejectV1, TransitionV1};
use anomaly_detect::{Detector, Streaming};
use sha2::{Digest, Sha256};

/// A target: its name, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 9] = [
    ("answer", answer),
    ("artifact", artifact),
    ("config", config),
    ("detector", detector),
    ("event", event),
    ("record", record),
    ("recordio", recordio),
    ("state", state),
    ("wire", wire),
];

/// Runs the target of that name.
///
/// # Panics
/// If there is none, or a promise is broken.
pub fn run(name: &str, bytes: &[u8]) {
    let found = TARGETS.iter().find(|(other, _)| *other == name);
    let (_, target) = found.unwrap_or_else(|| panic!("no target {name}"));
    target(bytes);
}

/// How many readings a detector that was read is given.
const DETECTOR_READINGS: u32 = 300;

/// `[input]` in forms that go different ways through the decoder.
const INPUTS: [&str; 7] = [
    "series = '/s'\ntime = '/t'\nfeatures = ['/a', '/b/0']",
    "series = 'one'\nfeatures = ['/a']\ntext_numbers = true\nmissing = 0.0\nnull = 2.0\nnot_finite = 1.5\nwidth = 'previous'",
    "format = 'csv'\nseries = '/s'\ntime = '/t'\nfeatures = ['/a', '/b']",
    "format = 'csv'\nseries = '/0'\nfeatures = ['/2']\nheader = false\ndelimiter = ';'\nwidth = 0.0",
    "series = '/s'\nfeatures = ['/a']\nencoding = 'base64'",
    "series = '/s'\nfeatures = ['/a']\ncompression = 'gzip'\nexpanded_bytes_max = 100000",
    "series = '/s'\nfeatures = ['/a']\nexpanded_bytes_max = 100000\ndepth_max = 3\nfields_max = 4\nreadings_max = 5",
];

/// `[model]` in forms whose answers are read differently.
const MODELS: [&str; 5] = [
    "",
    "accept = 'application/jsonlines'",
    "accept = 'application/x-recordio-protobuf'",
    "response = 'csv'",
    "response = '/predictions/*/score'\ndirection = 'lower-is-anomalous'\nscale = [0.0, 1.0]",
];

static DECODERS: LazyLock<Vec<Decoder>> = LazyLock::new(|| {
    let decoder = |input: &&str| {
        let config = Config::from_toml(&format!("[input]\n{input}\n[model]\nkind = 'none'"))
            .expect("a valid configuration");
        Decoder::new(&config.input).expect("a valid input")
    };
    INPUTS.iter().map(decoder).collect()
});

static ANSWERS: LazyLock<Vec<Reader>> = LazyLock::new(|| {
    let reader = |model: &&str| {
        let toml = format!(
            "[input]\nseries = 's'\nfeatures = ['/a']\n[model]\nkind = 'endpoint'\nendpoint = 'e'\n{model}"
        );
        let model: Model = Config::from_toml(&toml).expect("a valid configuration").model;
        Reader::new(&model).expect("a valid model")
    };
    MODELS.iter().map(reader).collect()
});

/// One of `choices` by the first byte, and the rest.
fn choose<'c, 'b, T>(choices: &'c [T], bytes: &'b [u8]) -> Option<(&'c T, &'b [u8])> {
    let (first, rest) = bytes.split_first()?;
    Some((choices.get(usize::from(*first) % choices.len())?, rest))
}

/// A record of a source, by one of several configurations.
fn record(bytes: &[u8]) {
    let Some((decoder, bytes)) = choose(&DECODERS, bytes) else { return };
    let position = Position {
        partition: "p".into(),
        sequence: Sequence::from(1),
        sub: 0,
        arrived: Timestamp::default(),
    };
    let mut records = Records::default();
    decoder.record(bytes, &position, &mut records);
    assert_eq!(records.len(), 1, "one record went in");
    let mut places = Vec::new();
    for entry in records.entries() {
        places.push(match entry {
            Decoded::Reading(reading) => {
                assert!(reading.features.iter().all(|value| value.is_finite()), "a reading is finite");
                reading.position.sub
            }
            Decoded::Rejected(reject) => {
                let json = wire::write(reject);
                assert!(json.len() < wire::CHUNK_BYTES_MAX, "a reject fits into a chunk");
                assert_eq!(wire::read::<RejectV1>(&json).as_ref(), Ok(&**reject), "and comes back");
                reject.sub
            }
        });
    }
    assert!(places.is_sorted_by(|a, b| a < b), "each entry of a record has a place of its own, in order");
}

/// An event that calls `invoke`, and the answers to it.
fn event(bytes: &[u8]) {
    let Some((decoder, bytes)) = choose(&DECODERS, bytes) else { return };
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let reader = source::Intake::new(decoder.clone());
    let Ok(batch) = reader.read(text, Timestamp::default()) else { return };
    for failed in [None, Some(0)] {
        let resume_at: Vec<Option<usize>> =
            batch.partitions.iter().map(|p| failed.filter(|_| !p.records.is_empty())).collect();
        match batch.reply(&resume_at) {
            Ok(reply) => drop(black_box(reply)),
            Err(error) => assert!(!matches!(error, EventError::Unknown { .. }), "it was known a moment ago"),
        }
    }
}

/// An event that calls `classify`, or `publish`.
fn wire(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    drop(black_box(sqs::read(text)));
    drop(black_box(dynamodb::stream::read(text)));
    drop(black_box(wire::read::<TransitionV1>(text)));
    if let Ok(chunk) = wire::read::<ChunkV1>(text) {
        assert_eq!(wire::read(&wire::write(&chunk)), Ok(chunk), "a chunk comes back");
    }
}

/// An endpoint's answer, by one of several configurations.
fn answer(bytes: &[u8]) {
    let Some((reader, body)) = choose(&ANSWERS, bytes) else { return };
    for content_type in [None, Some("application/json"), Some("application/jsonlines"), Some("text/csv")] {
        for rows in [1, 3] {
            if let Ok(scores) = reader.read(content_type, body, rows) {
                assert!(
                    scores.len() == rows && scores.iter().all(|score| score.is_finite()),
                    "one score a row"
                );
            }
        }
    }
}

/// A body of RecordIO, as a request and as an answer.
fn recordio(bytes: &[u8]) {
    drop(black_box((recordio::rows(bytes), recordio::examples(bytes, 3), recordio::scores(bytes))));
}

/// A series' state.
fn state(bytes: &[u8]) {
    if let Ok(state) = SeriesState::decode(bytes) {
        // By their bytes: a number that is none is not equal to itself.
        let again = SeriesState::decode(&state.encode()).map(|again| again.encode());
        assert_eq!(again, Ok(state.encode()), "a state comes back");
    }
}

/// What the streaming detector remembers, in each form it has had, behind its version and checksum, which no chance
/// would get right.
fn detector(body: &[u8]) {
    for version in [1, 2] {
        let mut sealed = vec![version];
        sealed.extend_from_slice(&Sha256::digest(body)[..8]);
        sealed.extend_from_slice(body);
        if let Ok(detector) = Streaming::load(&sealed) {
            goes_on(detector);
        }
    }
}

fn goes_on(mut detector: Streaming) {
    assert_eq!(
        Streaming::load(&detector.save()).map(|again| again.save()),
        Ok(detector.save()),
        "it comes back"
    );
    let width = detector.expected().map_or(1, |expected| expected.len());
    for n in 0..DETECTOR_READINGS {
        let reading: Vec<f64> = (0..width).map(|feature| f64::from(n * 37 % 101) + feature as f64).collect();
        detector.pass(Timestamp::from_ms(i64::from(n) * 1000).expect("in range"));
        let Ok(score) = detector.score(&reading) else { return };
        assert!(score.is_none_or(f64::is_finite), "{score:?}");
        detector.learn(&reading).expect("what is scored is learned");
    }
    assert!(Streaming::load(&detector.save()).is_ok(), "what it becomes comes back");
}

/// A configuration.
fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(config) = Config::from_toml(text) {
        assert_eq!(Config::from_json(&config.to_json()).as_ref(), Ok(&config), "a configuration comes back");
    }
    drop(black_box(Config::from_json(text)));
}

/// A model's artifact.
fn artifact(bytes: &[u8]) {
    drop(black_box(anomaly_detect::Model::read(bytes)));
}
