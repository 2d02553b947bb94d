//! An event of an EventBridge bus, delivered to the function itself: its detail is the record.
//!
//! A bus promises no order and brings an event alone. There is no partial answer: an error makes Lambda bring the
//! event again (AWS Lambda developer guide, "Asynchronous invocation").

use std::borrow::Cow;

use anomaly_core::decode::Decoder;
use anomaly_core::position::Sequence;
use anomaly_core::time::Timestamp;

use super::UNKNOWN;
use super::partition::Partition;
use super::record::{self, Content, Record};
use crate::event::Object;

/// Reads the fields of `event`, which has a `detail` and a `detail-type`.
///
/// `now` stands for the time of an event that does not say when it was. EventBridge's times are whole seconds, and
/// the events of one second are numbered at random within it.
pub(super) fn read<'a>(
    event: &'a str,
    fields: &Object<'a>,
    decoder: &Decoder,
    now: Timestamp,
) -> Vec<Partition<'a>> {
    let source = fields.text("source").filter(|source| !source.is_empty());
    let arrived = fields.text("time").and_then(|time| Timestamp::parse(&time)).unwrap_or(now);
    let name = fields.text("id").filter(|id| !id.is_empty());
    let record = Record {
        raw: event,
        partition: source.unwrap_or(Cow::Borrowed(UNKNOWN)).into(),
        sequence: name.as_deref().map(|id| Sequence::of_message(arrived, 0, id)).ok_or("no id"),
        arrived,
        name,
        content: fields.raw("detail").map(|detail| Content::Text(Cow::Borrowed(detail))).ok_or("no detail"),
    };
    record::unpack([record], decoder)
}
