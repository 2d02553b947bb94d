//! Messages of an SQS queue, each one a record.
//!
//! A FIFO queue gives each group's messages in order, numbered; a group is a partition. A standard queue promises
//! no order: the queue is one partition, and its messages are sorted and numbered by when they were sent.

use anomaly_core::decode::Decoder;
use anomaly_core::position::Sequence;
use anomaly_core::time::Timestamp;
use serde_json::value::RawValue;
use smol_str::format_smolstr;

use super::UNKNOWN;
use super::loose::{self, Loose};
use super::partition::Partition;
use super::record::{self, Content, Record};
use crate::event::EventError;

/// The `eventSource` of the records.
pub(super) const SOURCE: &str = "aws:sqs";

const POINTERS: [&str; 7] = [
    "/eventSource",
    "/eventSourceARN",
    "/messageId",
    "/body",
    "/attributes/SentTimestamp",
    "/attributes/MessageGroupId",
    "/attributes/SequenceNumber",
];
const ARN_SLOT: usize = 1;
const ID_SLOT: usize = 2;
const BODY_SLOT: usize = 3;
const SENT_SLOT: usize = 4;
const GROUP_SLOT: usize = 5;
const NUMBER_SLOT: usize = 6;

/// The most digits of a sequence number: it is of 128 bits (SQS API reference, `SendMessage`).
const NUMBER_DIGITS_MAX: usize = 39;

/// Reads the messages of an event. `now` stands for the time of one that does not say when it was sent.
///
/// A message without an id cannot be returned as a failure: it is read, and if it is wanted again, so is all of
/// the batch.
///
/// # Errors
/// [`EventError::Unknown`] if a record is of another source.
pub(super) fn read<'a>(
    records: &[&'a RawValue],
    decoder: &Decoder,
    now: Timestamp,
) -> Result<Vec<Partition<'a>>, EventError> {
    let messages = loose::all(records, POINTERS, SOURCE)?;
    // A batch is of one queue.
    let queue = messages.iter().find_map(queue_of).unwrap_or(UNKNOWN);
    let mut records: Vec<Record<'a>> = messages.iter().map(|message| record(message, queue, now)).collect();
    if !is_fifo(queue) {
        records.sort_by(|a, b| a.sequence.cmp(&b.sequence));
    }
    Ok(record::unpack(records, decoder))
}

/// The queue's name: what is behind the last colon of its ARN.
fn queue_of<'m>(message: &'m Loose<'_>) -> Option<&'m str> {
    message.text(ARN_SLOT)?.rsplit(':').next().filter(|queue| !queue.is_empty())
}

/// A standard queue may have message groups too (for fairness), but its name never ends so (SQS developer guide,
/// "FIFO queue names").
fn is_fifo(queue: &str) -> bool {
    queue.ends_with(".fifo")
}

fn record<'a>(message: &Loose<'a>, queue: &str, now: Timestamp) -> Record<'a> {
    let arrived = message.instant_ms(SENT_SLOT).unwrap_or(now);
    let name = message.name(ID_SLOT);
    let (partition, sequence) = if is_fifo(queue) {
        let group = message.text(GROUP_SLOT);
        let partition = group.map_or_else(|| queue.into(), |group| format_smolstr!("{queue}/{group}"));
        (partition, number(message).filter(|_| group.is_some()).ok_or("no group or no number in it"))
    } else {
        (queue.into(), name.as_ref().map(|id| Sequence::of_message(arrived, 0, id)).ok_or("no messageId"))
    };
    let content = message.owned(BODY_SLOT).map(Content::Text);
    Record { raw: message.raw, partition, sequence, arrived, name, content: content.ok_or("no body") }
}

/// The number that a FIFO queue gave it within its group.
fn number(message: &Loose<'_>) -> Option<Sequence> {
    let is_number = |text: &&str| {
        (1..=NUMBER_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    message.text(NUMBER_SLOT).filter(is_number).map(Sequence::new)
}
