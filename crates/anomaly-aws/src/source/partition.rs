//! The records of a partition, each with the name by which its source knows it.

use std::borrow::Cow;

use anomaly_core::decode::Decoder;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::Reading;
use anomaly_core::records::{Decoded, Records};
use anomaly_core::reject::Reject;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::RejectV1;
use smol_str::SmolStr;

/// The records of one partition, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Partition<'a> {
    /// Its name, the same at every delivery: `clicks/shardId-000000000000`.
    pub name: SmolStr,
    /// The records.
    pub records: Records,
    /// The name by which the source knows each record; `None` for a record without one.
    pub names: Vec<Option<Cow<'a, str>>>,
}

impl<'a> Partition<'a> {
    /// An empty partition with room for `records`.
    pub(crate) fn new(name: SmolStr, records: usize) -> Self {
        Partition { name, records: Records::with_capacity(records), names: Vec::with_capacity(records) }
    }

    /// Adds the record `bytes`.
    pub(crate) fn decode(
        &mut self,
        decoder: &Decoder,
        bytes: &[u8],
        position: &Position,
        name: Option<Cow<'a, str>>,
    ) {
        decoder.record(bytes, position, &mut self.records);
        self.names.push(name);
    }

    /// Adds a record whose bytes are the Base64 `data`.
    pub(crate) fn decode_base64(
        &mut self,
        decoder: &Decoder,
        data: &str,
        position: &Position,
        name: Option<Cow<'a, str>>,
    ) {
        match base64_simd::STANDARD.decode_to_vec(data) {
            Ok(bytes) => self.decode(decoder, &bytes, position, name),
            Err(_) => self.reject(RejectV1::new(Reject::Base64, position, data.as_bytes()), name),
        }
    }

    /// Adds a record that holds several records of a user's, `parts`. It has as many readings as any record may
    /// have; of what is beyond them one reject is made.
    pub(crate) fn decode_parts(
        &mut self,
        decoder: &Decoder,
        parts: &[&[u8]],
        mut position: Position,
        name: Option<Cow<'a, str>>,
    ) {
        let limit = decoder.readings_max();
        let first = self.records.entries().len();
        for (index, part) in parts.iter().enumerate() {
            if self.records.entries().len() - first >= limit {
                let reject = Reject::Readings { limit: limit as u64 };
                let rest = parts[index..].join(&b'\n');
                self.records.add(Decoded::Rejected(Box::new(RejectV1::new(reject, &position, &rest))));
                break;
            }
            position.sub = decoder.part(part, &position, &mut self.records);
        }
        self.records.end_record();
        self.names.push(name);
    }

    /// Adds a record that holds nothing to read, such as the deletion of an item.
    pub(crate) fn nothing(&mut self, name: Option<Cow<'a, str>>) {
        self.records.end_record();
        self.names.push(name);
    }

    /// Adds a record at fault.
    pub(crate) fn reject(&mut self, reject: RejectV1, name: Option<Cow<'a, str>>) {
        self.records.push(Decoded::Rejected(Box::new(reject)));
        self.names.push(name);
    }

    /// The reading at the position of `reject` turned out to be at fault.
    pub fn refuse(&mut self, reject: RejectV1) {
        let is_it = |entry: &Decoded| match entry {
            Decoded::Reading(Reading { position, .. }) => {
                position.sub == reject.sub && position.sequence == reject.sequence
            }
            Decoded::Rejected(_) => false,
        };
        if let Some(entry) = self.records.entries().iter().position(is_it) {
            self.records.reject(entry, Box::new(reject));
        }
    }

    /// Adds a record whose envelope `raw` is broken, `why` says how. One without a `sequence` number gets
    /// `unnamed-` and a hash in its place, which keeps it apart from others among the rejects.
    pub(crate) fn broken(
        &mut self,
        raw: &str,
        why: &str,
        sequence: Option<Sequence>,
        arrived: Timestamp,
        name: Option<Cow<'a, str>>,
    ) {
        let is_unnamed = sequence.is_none();
        let position = Position {
            partition: self.name.clone(),
            sequence: sequence.unwrap_or_default(),
            sub: 0,
            arrived,
        };
        let reject = Reject::Envelope { detail: why.to_owned() };
        let mut reject = RejectV1::new(reject, &position, raw.as_bytes());
        if is_unnamed {
            reject.sequence = Sequence::new(&format!("unnamed-{}", &reject.sha256[..16]));
        }
        self.reject(reject, name);
    }
}
