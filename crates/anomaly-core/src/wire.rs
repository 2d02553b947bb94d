//! Versioned messages between the stages: the scored chunk, the transition, the reject.
//!
//! Fields may be added to a version; a field that changes its meaning makes a new one. A reader refuses a
//! version it does not know, so that a message waits for the right release instead of being misread.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::alert::Transition;
use crate::group::Groups;
use crate::hash::{digest, fingerprint};
use crate::position::{Position, Sequence};
use crate::reading::{Filled, Reading, Scored, SeriesId};
use crate::reject::Reject;
use crate::time::Timestamp;

/// The largest scored chunk, in bytes: below SQS' 1 MiB with room for the attributes around it.
pub const CHUNK_BYTES_MAX: usize = 900_000;
/// The most series in a chunk: keeps what `classify` reads and writes for it far below the 100 items of a
/// DynamoDB batch or transaction.
pub const CHUNK_SERIES_MAX: usize = 40;
/// How much of a rejected record is kept; the rest is told by its length and its hash.
pub const REJECT_BYTES_KEPT: usize = 65_536;

/// A chunk of a source partition, scored: what `invoke` tells `classify`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChunkV1 {
    /// The version, 1.
    pub v: u32,
    /// The source partition; all rows and rejects are of it.
    pub partition: SmolStr,
    /// The group it is worked through in; that of messages from before there were groups is the partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What gave the scores.
    pub model: String,
    /// The scored readings, in the order of the source.
    pub rows: Vec<RowV1>,
    /// The records at fault, in the order of the source.
    pub rejects: Vec<RejectV1>,
}

/// A scored reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowV1 {
    /// Whose reading it is.
    pub series: SeriesId,
    /// The event's time, in milliseconds since 1970.
    pub at_ms: Timestamp,
    /// When the source took it, in milliseconds since 1970.
    pub arrived_ms: Timestamp,
    /// The record's number.
    pub sequence: Sequence,
    /// The reading's number within the record.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sub: u32,
    /// The features.
    pub features: Vec<f64>,
    /// Which of them the record did not give.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filled: Vec<Filled>,
    /// The score; absent without a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A rejected record: the reason, where it stood, and its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RejectV1 {
    /// The version, 1.
    pub v: u32,
    /// The source partition.
    pub partition: SmolStr,
    /// The record's number.
    pub sequence: Sequence,
    /// The reading's number within the record.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sub: u32,
    /// When the source took it, in milliseconds since 1970.
    pub arrived_ms: Timestamp,
    /// Why it was rejected.
    pub reject: Reject,
    /// By what; `None` in a reject of the time before it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<RejectedBy>,
    /// Its length in bytes.
    pub bytes: u64,
    /// The SHA-256 of all its bytes, in hexadecimal.
    pub sha256: String,
    /// Its first [`REJECT_BYTES_KEPT`] bytes, in hexadecimal where they are not text.
    pub data: Data,
}

/// By what a record was rejected: whether another try can end otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedBy {
    /// The version of the part of the configuration that decides ([`crate::rejects::Versions`]): 12 hexadecimal
    /// digits.
    pub configuration: String,
    /// The release of this software: `0.1.0`.
    pub release: String,
}

/// Bytes as text where they are text, else in hexadecimal: a person reads a reject more often than a
/// machine does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// UTF-8.
    Text(String),
    /// Two digits a byte.
    Hex(String),
}

impl Data {
    /// The first `limit` bytes of `bytes`, or up to three fewer so as not to cut a character.
    fn of(bytes: &[u8], limit: usize) -> Self {
        let cut = &bytes[..bytes.len().min(limit)];
        match std::str::from_utf8(cut) {
            Ok(text) => Data::Text(text.to_owned()),
            Err(error) if cut.len() < bytes.len() && cut.len() - error.valid_up_to() < 4 => {
                Data::Text(String::from_utf8_lossy(&cut[..error.valid_up_to()]).into_owned())
            }
            Err(_) => Data::Hex(cut.iter().map(|b| format!("{b:02x}")).collect()),
        }
    }
}

impl RejectV1 {
    /// The reject of the record `bytes` at `position`.
    pub fn new(reject: Reject, position: &Position, bytes: &[u8]) -> Self {
        RejectV1 {
            v: 1,
            partition: position.partition.clone(),
            sequence: position.sequence.clone(),
            sub: position.sub,
            arrived_ms: position.arrived,
            reject,
            by: None,
            bytes: bytes.len() as u64,
            sha256: digest(bytes),
            data: Data::of(bytes, REJECT_BYTES_KEPT),
        }
    }

    /// The reject of a `reading` that the model refuses, with what it `said`.
    pub fn refused(said: &str, reading: &Reading) -> Self {
        Self::of_reading(Reject::refused(said), reading)
    }

    /// The reject of a `reading` whose record's bytes are gone: what is kept is the reading, as the JSON of
    /// [`RowV1`].
    pub fn of_reading(reject: Reject, reading: &Reading) -> Self {
        let row = RowV1::new(&Scored { reading: reading.clone(), score: None });
        RejectV1::new(reject, &reading.position, to_json(&row).as_bytes())
    }
}

/// A transition on its way to people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransitionV1 {
    /// The version, 1.
    pub v: u32,
    /// The transition.
    #[serde(flatten)]
    pub transition: Transition,
}

impl TransitionV1 {
    /// The transition in its envelope.
    pub fn new(transition: Transition) -> Self {
        TransitionV1 { v: 1, transition }
    }
}

impl ChunkV1 {
    /// The name of what comes in order: the readings of its partition in its group.
    pub fn strand(&self) -> String {
        strand(self.group.as_deref(), &self.partition)
    }
}

/// The name of what comes in order: the readings of `partition` in `group`.
pub fn strand(group: Option<&str>, partition: &str) -> String {
    match group {
        Some(group) => format!("{group}/{partition}"),
        None => partition.to_owned(),
    }
}

impl RowV1 {
    /// The row of a scored reading.
    pub fn new(scored: &Scored) -> Self {
        let Scored { reading, score } = scored;
        RowV1 {
            series: reading.series.clone(),
            at_ms: reading.at,
            arrived_ms: reading.position.arrived,
            sequence: reading.position.sequence.clone(),
            sub: reading.position.sub,
            features: reading.features.clone(),
            filled: reading.filled.clone(),
            score: *score,
        }
    }

    /// The scored reading of the row, in `partition`.
    pub fn into_scored(self, partition: &SmolStr) -> Scored {
        let position = Position {
            partition: partition.clone(),
            sequence: self.sequence,
            sub: self.sub,
            arrived: self.arrived_ms,
        };
        let RowV1 { series, at_ms: at, features, filled, .. } = self;
        let reading = Reading { series, at, features, filled, position };
        Scored { reading, score: self.score }
    }
}

/// A message that is ready to be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The message: a [`ChunkV1`] as JSON, at most [`CHUNK_BYTES_MAX`] bytes.
    pub body: String,
    /// Chunks of a group are worked through in order.
    pub group: String,
    /// The same for the same rows by the same model: 64 hexadecimal digits.
    pub deduplication: String,
    /// Which of the entries given to [`chunks`] it holds, by index, in order; at least one.
    pub entries: Vec<usize>,
}

/// One entry of a chunk: a scored reading or a record at fault.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A scored reading.
    Row(RowV1),
    /// A record at fault.
    Reject(Box<RejectV1>),
}

/// Packs `entries`, which are of one partition and in order, into as few chunks as the limits allow. The
/// chunks come in the order of their first entries, so those of a group in order.
///
/// A reading goes to the group of its series, a record at fault, which has none, to that of the partition.
pub fn chunks(groups: Groups, partition: &str, model: &str, entries: &[Entry]) -> Vec<Chunk> {
    let mut packed: Vec<Chunk> = Vec::new();
    let mut open: BTreeMap<u32, Packing<'_>> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let (group, json) = match entry {
            Entry::Row(row) => (groups.number(row.series.as_str()), to_json(row)),
            Entry::Reject(reject) => (groups.number(partition), to_json(reject)),
        };
        let json = escape_noncharacters(json);
        let empty = || Packing::new(groups.name(group), partition, model);
        let packing = open.entry(group).or_insert_with(empty);
        if !packing.has_room(entry, &json) {
            packed.push(std::mem::replace(packing, empty()).close());
        }
        packing.add(index, entry, &json);
    }
    packed.extend(open.into_values().map(Packing::close));
    packed.sort_by_key(|chunk| chunk.entries.first().copied());
    packed
}

struct Packing<'a> {
    group: String,
    partition: &'a str,
    model: &'a str,
    rows: String,
    rejects: String,
    series: Vec<SeriesId>,
    entries: Vec<usize>,
    first: String,
    last: String,
}

impl<'a> Packing<'a> {
    fn new(group: String, partition: &'a str, model: &'a str) -> Self {
        Packing {
            group,
            partition,
            model,
            rows: String::new(),
            rejects: String::new(),
            series: Vec::new(),
            entries: Vec::new(),
            first: String::new(),
            last: String::new(),
        }
    }

    /// Whether `entry` fits beside what is there. A chunk of one always has room: no record is so large
    /// (a reject's kept bytes and the widest row both stay below the limit).
    fn has_room(&self, entry: &Entry, json: &str) -> bool {
        let envelope = 200 + self.partition.len() + self.model.len();
        let bytes = envelope + self.rows.len() + self.rejects.len() + json.len();
        let series = match entry {
            Entry::Row(row) => self.series.len() + usize::from(!self.series.contains(&row.series)),
            Entry::Reject(_) => self.series.len(),
        };
        self.entries.is_empty() || (bytes <= CHUNK_BYTES_MAX && series <= CHUNK_SERIES_MAX)
    }

    fn add(&mut self, index: usize, entry: &Entry, json: &str) {
        let (list, place) = match entry {
            Entry::Row(row) => {
                if !self.series.contains(&row.series) {
                    self.series.push(row.series.clone());
                }
                (&mut self.rows, format!("{}.{}", row.sequence, row.sub))
            }
            Entry::Reject(reject) => (&mut self.rejects, format!("{}.{}", reject.sequence, reject.sub)),
        };
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(json);
        if self.entries.is_empty() {
            self.first.clone_from(&place);
        }
        self.last = place;
        self.entries.push(index);
    }

    fn close(self) -> Chunk {
        let parts = [self.partition, &self.group, &self.first, &self.last, self.model].map(str::as_bytes);
        let deduplication = fingerprint(&parts, 32);
        let [partition, group, model] = [self.partition, &self.group, self.model].map(|text| to_json(&text));
        let body = format!(
            r#"{{"v":1,"partition":{partition},"group":{group},"model":{model},"rows":[{}],"rejects":[{}]}}"#,
            self.rows, self.rejects
        );
        Chunk { body, group: self.group, deduplication, entries: self.entries }
    }
}

fn to_json(value: &impl Serialize) -> String {
    // Strings, numbers and lists cannot fail to serialize into memory.
    serde_json::to_string(value).unwrap_or_default()
}

/// SQS refuses U+FFFE and U+FFFF (API reference, `SendMessage`); as JSON escapes they pass.
fn escape_noncharacters(json: String) -> String {
    if json.contains(['\u{fffe}', '\u{ffff}']) {
        json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    } else {
        json
    }
}

/// Why a message cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// It has a version this release does not know.
    Version {
        /// Its version.
        found: u32,
    },
    /// It is not the message it should be.
    Malformed {
        /// The parser's word.
        detail: String,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Version { found } => {
                write!(f, "message version {found}, and this release reads 1; deploy all functions together")
            }
            WireError::Malformed { detail } => write!(f, "malformed message: {detail}"),
        }
    }
}

impl std::error::Error for WireError {}

/// Reads a message of type `T` and version 1.
///
/// # Errors
/// [`WireError::Version`] for another version, else [`WireError::Malformed`].
pub fn read<T: for<'a> Deserialize<'a>>(json: &str) -> Result<T, WireError> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let malformed = |error: serde_json::Error| WireError::Malformed { detail: error.to_string() };
    match serde_json::from_str::<Version>(json).map_err(malformed)? {
        Version { v: 1 } => serde_json::from_str(json).map_err(malformed),
        Version { v } => Err(WireError::Version { found: v }),
    }
}

/// Writes a message.
pub fn write(message: &impl Serialize) -> String {
    to_json(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(i: u64, series: &str, features: Vec<f64>) -> RowV1 {
        RowV1 {
            series: SeriesId::new(series).expect("a name"),
            at_ms: Timestamp::default(),
            arrived_ms: Timestamp::default(),
            sequence: Sequence::from(i),
            sub: 0,
            features,
            filled: Vec::new(),
            score: Some(0.5),
        }
    }

    fn unpack(chunks: &[Chunk]) -> Vec<Entry> {
        let read = |chunk: &Chunk| read::<ChunkV1>(&chunk.body).expect("its own message");
        let entries = |chunk: ChunkV1| {
            let rows = chunk.rows.into_iter().map(Entry::Row);
            rows.chain(chunk.rejects.into_iter().map(|r| Entry::Reject(Box::new(r))))
        };
        chunks.iter().map(read).flat_map(entries).collect()
    }

    #[test]
    fn chunks_hold_the_limits_and_lose_nothing() {
        let wide: Vec<Entry> = (0..200).map(|i| Entry::Row(row(i, "s", vec![0.1; 3000]))).collect();
        let packed = chunks(Groups::ONE, "shard", "m", &wide);
        assert!(packed.len() > 1 && packed.iter().all(|c| c.body.len() <= CHUNK_BYTES_MAX));
        assert_eq!(unpack(&packed), wide);

        let many: Vec<Entry> = (0..100).map(|i| Entry::Row(row(i, &format!("s{i}"), vec![1.0]))).collect();
        let packed = chunks(Groups::ONE, "shard", "m", &many);
        assert_eq!(packed.iter().map(|c| c.entries.len()).collect::<Vec<_>>(), [40, 40, 20]);
        assert_eq!(unpack(&packed), many);
    }

    #[test]
    fn the_largest_reject_fits() {
        let position = Position {
            partition: "p".into(),
            sequence: Sequence::from(1),
            sub: 0,
            arrived: Timestamp::default(),
        };
        for bytes in [vec![1_u8; 1 << 20], vec![0xff; 1 << 20], "é".repeat(1 << 19).into_bytes()] {
            let reject = RejectV1::new(Reject::Base64, &position, &bytes);
            let packed = chunks(Groups::ONE, "p", "m", &[Entry::Reject(Box::new(reject))]);
            assert!(packed[0].body.len() < CHUNK_BYTES_MAX, "{}", packed[0].body.len());
        }
    }

    #[test]
    fn the_same_rows_have_the_same_deduplication() {
        let entries = [Entry::Row(row(1, "s", vec![1.0])), Entry::Row(row(2, "s", vec![1.0]))];
        let id = |model, entries| chunks(Groups::ONE, "p", model, entries).remove(0).deduplication;
        assert_eq!(id("m", &entries), id("m", &entries));
        assert_ne!(id("m", &entries), id("m", &entries[..1]));
        assert_ne!(id("m", &entries), id("n", &entries));
    }

    #[test]
    fn a_message_from_before_there_were_groups_is_read() {
        let before = r#"{"v":1,"partition":"p","model":"m","rows":[],"rejects":[]}"#;
        let chunk = read::<ChunkV1>(before).expect("a chunk");
        assert_eq!((chunk.group.as_deref(), write(&chunk).as_str()), (None, before));
        assert_eq!(chunk.strand(), "p");
        let packed = chunks(Groups::new(3), "p", "m", &[Entry::Row(row(1, "s", vec![1.0]))]);
        let chunk = read::<ChunkV1>(&packed[0].body).expect("its own message");
        assert_eq!(chunk.strand(), format!("{}/p", packed[0].group));
    }

    #[test]
    fn other_versions_wait() {
        let newer = r#"{"v":2,"partition":"p"}"#;
        assert_eq!(read::<ChunkV1>(newer), Err(WireError::Version { found: 2 }));
        assert!(matches!(read::<ChunkV1>("{}"), Err(WireError::Malformed { .. })));
        assert!(matches!(read::<ChunkV1>(r#"{"v":1}"#), Err(WireError::Malformed { .. })));
    }

    proptest! {
        /// Every entry is in one chunk, every series in one group, and within a group nothing is overtaken.
        #[test]
        fn groups_divide_series_and_keep_their_order(
            names in proptest::collection::vec(proptest::option::of("[a-z]"), 0..200),
            count in 1..6u32,
        ) {
            let position = |i: usize| Position {
                partition: "p".into(),
                sequence: Sequence::from(i as u64),
                sub: 0,
                arrived: Timestamp::default(),
            };
            let entry = |(i, name): (usize, &Option<String>)| match name {
                Some(name) => Entry::Row(row(i as u64, name, vec![1.0])),
                None => Entry::Reject(Box::new(RejectV1::new(Reject::Base64, &position(i), b"?"))),
            };
            let entries: Vec<Entry> = names.iter().enumerate().map(entry).collect();
            let packed = chunks(Groups::new(count), "p", "m", &entries);
            let mut held: Vec<usize> = packed.iter().flat_map(|chunk| chunk.entries.clone()).collect();
            let firsts: Vec<usize> = packed.iter().map(|chunk| chunk.entries[0]).collect();
            prop_assert!(firsts.is_sorted(), "sent in this order, a failure leaves the fewest to send again");
            held.sort_unstable();
            prop_assert_eq!(held, (0..entries.len()).collect::<Vec<_>>());
            let mut homes = BTreeMap::new();
            for chunk in &packed {
                prop_assert!(chunk.entries.is_sorted());
                for name in chunk.entries.iter().filter_map(|index| names[*index].as_ref()) {
                    prop_assert_eq!(homes.entry(name).or_insert(&chunk.group), &&chunk.group);
                }
            }
            for group in homes.values() {
                let of_group = packed.iter().filter(|chunk| chunk.group == **group);
                prop_assert!(of_group.flat_map(|chunk| chunk.entries.clone()).is_sorted());
            }
        }

        #[test]
        fn rows_come_back_to_the_bit(
            features in proptest::collection::vec(proptest::num::f64::NORMAL, 1..5),
            series in "[^\\p{Cc}]{1,20}",
            score in proptest::option::of(proptest::num::f64::NORMAL),
        ) {
            let entry = Entry::Row(RowV1 { score, ..row(7, &series, features) });
            let packed = chunks(Groups::ONE, "p", "m", std::slice::from_ref(&entry));
            let refused = packed[0].body.contains(['\u{fffe}', '\u{ffff}']);
            prop_assert!(!refused);
            prop_assert_eq!(unpack(&packed), vec![entry]);
        }
    }
}
