//! Records of Kafka topics: of Amazon MSK, of a cluster of one's own, of Azure Event Hubs' Kafka endpoint; brought
//! by an event source mapping or by EventBridge Pipes.
//!
//! A parser of our own, because the stock one gives up a batch for what real producers send: a partition written
//! as text, absent headers, header bytes above 127 (AMQP producers of Event Hubs make such). Headers and keys are
//! not looked at, so that nothing in them can do harm.

use std::borrow::Cow;

use anomaly_core::decode::Decoder;
use anomaly_core::fields::Fields;
use anomaly_core::position::Sequence;
use anomaly_core::time::Timestamp;
use serde_json::value::RawValue;
use smol_str::{SmolStr, format_smolstr};

use super::UNKNOWN;
use super::loose::Loose;
use super::partition::Partition;
use super::record::{self, Content, Record};
use crate::event::Object;

const POINTERS: [&str; 6] = ["/topic", "/partition", "/offset", "/timestamp", "/timestampType", "/value"];
const TOPIC_SLOT: usize = 0;
const PARTITION_SLOT: usize = 1;
const OFFSET_SLOT: usize = 2;
const TIME_SLOT: usize = 3;
const TIME_TYPE_SLOT: usize = 4;
const VALUE_SLOT: usize = 5;

/// Whether `source` is the `eventSource` of Kafka records: `aws:kafka` of MSK, and of other clusters
/// `SelfManagedKafka`, which some of AWS' texts write with `aws:` before it.
pub(super) fn is_source(source: &str) -> bool {
    matches!(source, "aws:kafka" | "SelfManagedKafka" | "aws:SelfManagedKafka")
}

/// Reads the `records` of an event source mapping's event: lists of records by `topic-partition`.
///
/// Each list is a partition. `now` stands for the time of a record that has none, or one that is yet to come.
pub(super) fn read<'a>(records: &'a str, decoder: &Decoder, now: Timestamp) -> Vec<Partition<'a>> {
    // The pointers are constants, and valid.
    let fields = Fields::new(POINTERS).unwrap_or_default();
    let mut unpacked = Vec::new();
    for (name, list) in Object::new(records).unwrap_or_default().into_fields() {
        match serde_json::from_str::<Option<Vec<&'a RawValue>>>(list.get()) {
            Ok(list) => {
                let loose = list.unwrap_or_default().into_iter().map(|raw| Loose::new(raw.get(), &fields));
                unpacked.extend(loose.map(|loose| record(&loose, name.clone().into(), now)));
            }
            // A record whose list is none: there is nothing in it that could be a name.
            Err(_) => unpacked.push(record(&Loose::new(list.get(), &fields), name.into(), now)),
        }
    }
    record::unpack(unpacked, decoder)
}

/// Reads the `records` that EventBridge Pipes hands over: a flat list, each record with its topic and partition.
pub(super) fn read_flat<'a>(
    records: &[&'a RawValue],
    decoder: &Decoder,
    now: Timestamp,
) -> Vec<Partition<'a>> {
    // The pointers are constants, and valid.
    let fields = Fields::new(POINTERS).unwrap_or_default();
    let loose = records.iter().map(|raw| Loose::new(raw.get(), &fields));
    record::unpack(loose.map(|loose| record(&loose, partition_of(&loose), now)), decoder)
}

/// `records-0`, as Lambda writes it.
fn partition_of(record: &Loose<'_>) -> SmolStr {
    let topic = record.text(TOPIC_SLOT).unwrap_or(UNKNOWN);
    match record.whole(PARTITION_SLOT) {
        Some(number) => format_smolstr!("{topic}-{number}"),
        None => topic.into(),
    }
}

fn record<'a>(record: &Loose<'a>, partition: SmolStr, now: Timestamp) -> Record<'a> {
    let offset = record.whole(OFFSET_SLOT);
    // A record without a value deletes its key: it is no reading, and none is missing.
    let content = match record.owned(VALUE_SLOT) {
        Some(value) => Ok(Content::Base64(value)),
        None if record.is_nothing(VALUE_SLOT) => Ok(Content::Nothing),
        None => Err("a value that is no text"),
    };
    Record {
        raw: record.raw,
        partition,
        sequence: offset.map(Sequence::from).ok_or("no usable offset"),
        arrived: arrived(record, now),
        name: offset.map(|offset| Cow::Owned(offset.to_string())),
        content,
    }
}

/// When the broker took it, if that is what its time is; else the producer's time, which cannot be later than
/// now, whatever its clock says. Not simply now: after an outage of ours all that waited would count as late.
fn arrived(record: &Loose<'_>, now: Timestamp) -> Timestamp {
    match (record.instant_ms(TIME_SLOT), record.text(TIME_TYPE_SLOT)) {
        (Some(time), Some("LOG_APPEND_TIME")) => time,
        (Some(time), _) => time.min(now),
        (None, _) => now,
    }
}
