//! SQS: scored chunks out of events, and onto the queue.

use serde::Deserialize;

use anomaly_core::wire::{self, ChunkV1, WireError};

use crate::event::{EventError, check_source, records};

#[cfg(feature = "sqs")]
mod queue;
#[cfg(feature = "sqs")]
pub use queue::SqsQueue;

const EXPECTED: &str = "an event of an SQS queue";
const SOURCE: &str = "aws:sqs";

/// A message of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// The id by which Lambda knows it.
    pub id: String,
    /// The group within which messages are worked through in order; `None` on a queue that is not FIFO.
    pub group: Option<String>,
    /// What it says. A message that cannot be read is wanted again, until the queue gives it up to its
    /// dead-letter queue: a newer release may read it.
    pub chunk: Result<ChunkV1, WireError>,
}

/// Reads an event.
///
/// # Errors
/// [`EventError::Unknown`] if it is no event of an SQS queue, [`EventError::WholeBatch`] if a message has no
/// id: it could not be returned as a failure.
pub fn read(event: &str) -> Result<Vec<Incoming>, EventError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Record {
        event_source: Option<String>,
        message_id: Option<String>,
        body: Option<String>,
        attributes: Option<Attributes>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Attributes {
        message_group_id: Option<String>,
    }
    let mut messages = Vec::new();
    for raw in records(event, EXPECTED)? {
        let whole_batch = |why| EventError::WholeBatch { why };
        let record: Record = serde_json::from_str(raw.get())
            .map_err(|error| whole_batch(format!("a message of the queue cannot be read: {error}")))?;
        check_source(record.event_source.as_deref(), SOURCE, EXPECTED)?;
        let id = record.message_id.filter(|id| !id.is_empty());
        messages.push(Incoming {
            id: id.ok_or_else(|| whole_batch("a message of the queue has no messageId".to_owned()))?,
            group: record.attributes.and_then(|a| a.message_group_id),
            chunk: wire::read(&record.body.unwrap_or_default()),
        });
    }
    Ok(messages)
}
