//! What a source is told.

use serde::Serialize;

use super::firehose::Transformed;
use super::http::HttpReply;
use super::partition::Partition;
use crate::event::{BatchResponse, EventError};

/// The answer to an event, in the form its source reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To an event source mapping: what is wanted again, by name. Sources that read no answer get it too.
    Items(BatchResponse),
    /// To an event source mapping of Kafka: what is wanted again, by partition and offset.
    Offsets(OffsetResponse),
    /// To Firehose: every record, with what became of it.
    Transformed(Transformed),
    /// To an HTTP request.
    Http(HttpReply),
}

/// The answer to an event source mapping of Kafka with `ReportBatchItemFailures`.
///
/// The form is that of AWS' own Powertools for AWS Lambda (Python 3.37, `BatchProcessor` with `EventType.Kafka`).
/// Whether a mapping resumes at the lowest offset named or brings again each one, everything that is wanted again
/// is named, so that either way nothing is skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OffsetResponse {
    /// What is wanted again.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<OffsetFailure>,
}

/// One record of Kafka that is wanted again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OffsetFailure {
    /// Where it stands.
    #[serde(rename = "itemIdentifier")]
    pub id: RecordOffset,
}

/// Where a record of Kafka stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordOffset {
    /// Topic and partition: `records-0`.
    pub partition: String,
    /// The offset.
    pub offset: u64,
}

impl Reply {
    /// Whether nothing is wanted again, and no request was refused.
    pub fn is_complete(&self) -> bool {
        match self {
            Reply::Items(response) => response.failures.is_empty(),
            Reply::Offsets(response) => response.failures.is_empty(),
            Reply::Transformed(_) => true,
            Reply::Http(answer) => answer.status_code < 400,
        }
    }

    /// The status code, to an HTTP request.
    pub fn status(&self) -> Option<u16> {
        match self {
            Reply::Http(answer) => Some(answer.status_code),
            _ => None,
        }
    }
}

/// From each partition, the messages from an index on: a FIFO queue must see the first failure of a group and
/// everything behind it (AWS Lambda developer guide, "Using Lambda with Amazon SQS").
pub(super) fn each(wanted: &[(&Partition<'_>, usize)]) -> Result<BatchResponse, EventError> {
    let names = wanted.iter().flat_map(|(partition, index)| partition.names.iter().skip(*index));
    let names: Option<Vec<&str>> = names.map(|name| name.as_deref()).collect();
    let why = || "a message that is wanted again has no messageId".to_owned();
    names.map(BatchResponse::again).ok_or_else(|| EventError::WholeBatch { why: why() })
}

/// From each partition, the offsets from an index on.
pub(super) fn offsets(wanted: &[(&Partition<'_>, usize)]) -> Result<OffsetResponse, EventError> {
    let mut failures = Vec::new();
    for (partition, index) in wanted {
        for name in partition.names.iter().skip(*index) {
            let offset = name.as_deref().and_then(|name| name.parse().ok());
            let why = || "a record that is wanted again has no offset".to_owned();
            let offset = offset.ok_or_else(|| EventError::WholeBatch { why: why() })?;
            failures
                .push(OffsetFailure { id: RecordOffset { partition: partition.name.to_string(), offset } });
        }
    }
    Ok(OffsetResponse { failures })
}
