//! Changes of a DynamoDB table, from its stream: the item as it is after each change is a record.
//!
//! An event does not say which shard it is of, so that the table is one partition. Items of one partition key
//! are in order; a series should be one.

use std::borrow::Cow;

use anomaly_core::decode::Decoder;
use anomaly_core::position::Sequence;
use anomaly_core::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::UNKNOWN;
use super::image;
use super::loose::{self, Loose};
use super::partition::Partition;
use super::record::{self, Content, Record};
use crate::event::EventError;

/// The `eventSource` of the records.
pub(super) const SOURCE: &str = "aws:dynamodb";

const POINTERS: [&str; 5] = [
    "/eventSource",
    "/eventSourceARN",
    "/eventName",
    "/dynamodb/SequenceNumber",
    "/dynamodb/ApproximateCreationDateTime",
];
const ARN_SLOT: usize = 1;
const KIND_SLOT: usize = 2;
const SEQUENCE_SLOT: usize = 3;
const CREATED_SLOT: usize = 4;

/// The longest sequence number, in digits (DynamoDB Streams API reference, `SequenceNumber`).
const SEQUENCE_DIGITS_MAX: usize = 40;

/// Reads the changes of an event. `now` stands for the time of one that does not say when it was.
///
/// # Errors
/// [`EventError::Unknown`] if a record is of another source.
pub(super) fn read<'a>(
    records: &[&'a RawValue],
    decoder: &Decoder,
    now: Timestamp,
) -> Result<Vec<Partition<'a>>, EventError> {
    let changes = loose::all(records, POINTERS, SOURCE)?;
    // A batch is of one table.
    let table = changes.iter().find_map(table_of).unwrap_or(UNKNOWN);
    Ok(record::unpack(changes.iter().map(|change| record(change, table, now)), decoder))
}

/// `readings` of `arn:aws:dynamodb:eu-west-1:123456789012:table/readings/stream/2026-11-21T03:29:53.831`.
fn table_of<'c>(change: &'c Loose<'_>) -> Option<&'c str> {
    let (_, after) = change.text(ARN_SLOT)?.split_once(":table/")?;
    after.split('/').next().filter(|table| !table.is_empty())
}

fn record<'a>(change: &Loose<'a>, table: &str, now: Timestamp) -> Record<'a> {
    let is_number = |text: &Cow<'_, str>| {
        (1..=SEQUENCE_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let name = change.name(SEQUENCE_SLOT).filter(is_number);
    Record {
        raw: change.raw,
        partition: table.into(),
        sequence: name.as_deref().map(Sequence::new).ok_or("no usable SequenceNumber"),
        arrived: change.number(CREATED_SLOT).and_then(Timestamp::from_epoch).unwrap_or(now),
        name,
        content: content(change),
    }
}

fn content<'a>(change: &Loose<'a>) -> Result<Content<'a>, &'static str> {
    if change.text(KIND_SLOT) == Some("REMOVE") {
        return Ok(Content::Nothing);
    }
    let image =
        new_image(change.raw).ok_or("no NewImage; let the stream show NEW_IMAGE or NEW_AND_OLD_IMAGES")?;
    image::plain(image.get()).map(|json| Content::Text(Cow::Owned(json)))
}

fn new_image(record: &str) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct Record<'a> {
        #[serde(borrow)]
        dynamodb: Change<'a>,
    }
    #[derive(Deserialize)]
    struct Change<'a> {
        #[serde(borrow, rename = "NewImage")]
        new_image: Option<&'a RawValue>,
    }
    let record: Record<'_> = serde_json::from_str(record).ok()?;
    record.dynamodb.new_image
}
