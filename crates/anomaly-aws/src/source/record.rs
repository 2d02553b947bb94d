//! A record out of its envelope, on its way into a partition.

use std::borrow::Cow;

use anomaly_core::decode::Decoder;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::time::Timestamp;
use smol_str::SmolStr;

use super::partition::Partition;

/// A record, as far as its envelope says what it is.
#[derive(Clone, Debug)]
pub(super) struct Record<'a> {
    /// The envelope's text.
    pub(super) raw: &'a str,
    /// The partition it stands in.
    pub(super) partition: SmolStr,
    /// Its number there, or why it has none.
    pub(super) sequence: Result<Sequence, &'static str>,
    /// When the source took it.
    pub(super) arrived: Timestamp,
    /// The name by which the source knows it.
    pub(super) name: Option<Cow<'a, str>>,
    /// What is in it, or why it cannot be told.
    pub(super) content: Result<Content<'a>, &'static str>,
}

/// What is in a record.
#[derive(Clone, Debug)]
pub(super) enum Content<'a> {
    /// Bytes that were text in the event.
    Text(Cow<'a, str>),
    /// Bytes that are Base64 in the event.
    Base64(Cow<'a, str>),
    /// Nothing to read, such as the deletion of an item.
    Nothing,
}

impl<'a> Record<'a> {
    /// Decodes the record into `partition`, which is its own.
    fn unpack(self, decoder: &Decoder, partition: &mut Partition<'a>) {
        let Record { raw, partition: name_of_partition, sequence, arrived, name, content } = self;
        match (sequence, content) {
            (Ok(sequence), Ok(content)) => {
                let position = Position { partition: name_of_partition, sequence, sub: 0, arrived };
                match content {
                    Content::Text(text) => partition.decode(decoder, text.as_bytes(), &position, name),
                    Content::Base64(data) => partition.decode_base64(decoder, &data, &position, name),
                    Content::Nothing => partition.nothing(name),
                }
            }
            (Ok(sequence), Err(why)) => partition.broken(raw, why, Some(sequence), arrived, name),
            (Err(why), _) => partition.broken(raw, why, None, arrived, name),
        }
    }
}

/// Decodes `records` into their partitions, which come in the order of their first records.
pub(super) fn unpack<'a>(
    records: impl IntoIterator<Item = Record<'a>>,
    decoder: &Decoder,
) -> Vec<Partition<'a>> {
    let mut partitions: Vec<Partition<'a>> = Vec::new();
    for record in records {
        let is_its = |partition: &Partition<'_>| partition.name == record.partition;
        let index = partitions.iter().rposition(is_its).unwrap_or_else(|| {
            partitions.push(Partition::new(record.partition.clone(), 0));
            partitions.len() - 1
        });
        record.unpack(decoder, &mut partitions[index]);
    }
    partitions
}
