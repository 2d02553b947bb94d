//! Messages of an SNS topic, delivered to the function itself: each one a record.
//!
//! A topic promises no order and brings a message alone. There is no partial answer: an error makes Lambda bring
//! the message again (AWS Lambda developer guide, "Using AWS Lambda with Amazon SNS").

use anomaly_core::decode::Decoder;
use anomaly_core::position::Sequence;
use anomaly_core::time::Timestamp;
use serde_json::value::RawValue;

use super::UNKNOWN;
use super::loose::{self, Loose};
use super::partition::Partition;
use super::record::{self, Content, Record};
use crate::event::EventError;

/// The `EventSource` of the records.
pub(super) const SOURCE: &str = "aws:sns";

const POINTERS: [&str; 5] =
    ["/EventSource", "/Sns/TopicArn", "/Sns/MessageId", "/Sns/Timestamp", "/Sns/Message"];
const ARN_SLOT: usize = 1;
const ID_SLOT: usize = 2;
const TIME_SLOT: usize = 3;
const MESSAGE_SLOT: usize = 4;

/// Reads the messages of an event. `now` stands for the time of one that does not say when it was sent.
///
/// # Errors
/// [`EventError::Unknown`] if a record is of another source.
pub(super) fn read<'a>(
    records: &[&'a RawValue],
    decoder: &Decoder,
    now: Timestamp,
) -> Result<Vec<Partition<'a>>, EventError> {
    let messages = loose::all(records, POINTERS, SOURCE)?;
    let mut records: Vec<Record<'a>> = messages.iter().map(|message| record(message, now)).collect();
    records.sort_by(|a, b| a.sequence.cmp(&b.sequence));
    Ok(record::unpack(records, decoder))
}

fn record<'a>(message: &Loose<'a>, now: Timestamp) -> Record<'a> {
    let topic = message.text(ARN_SLOT).and_then(|arn| arn.rsplit(':').next()).filter(|name| !name.is_empty());
    let arrived = message.text(TIME_SLOT).and_then(Timestamp::parse).unwrap_or(now);
    let name = message.name(ID_SLOT);
    Record {
        raw: message.raw,
        partition: topic.unwrap_or(UNKNOWN).into(),
        sequence: name.as_deref().map(|id| Sequence::of_message(arrived, 0, id)).ok_or("no MessageId"),
        arrived,
        name,
        content: message.owned(MESSAGE_SLOT).map(Content::Text).ok_or("no Message"),
    }
}
