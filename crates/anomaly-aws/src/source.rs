//! Every source through one contract: an event is partitions of records, each record has a position and the
//! name by which its source knows it, and each source has its own way of being told what to bring again.
//!
//! [`Intake::read`] tells the source by the event itself, so that a function needs no word about it, and an
//! event of something else is refused in clear words. Data never makes it fail: a record whose envelope is
//! broken is a reject among its neighbours.

mod bus;
mod firehose;
mod http;
mod image;
mod kafka;
pub(crate) mod loose;
mod partition;
mod queue;
mod record;
mod reply;
mod table;
mod topic;

use anomaly_core::decode::Decoder;
use anomaly_core::fields::{Fields, Found};
use anomaly_core::time::Timestamp;
use serde_json::value::RawValue;

pub use firehose::{Outcome, Transformed, TransformedRecord};
pub use http::{HttpReply, Secrets};
pub use partition::Partition;
pub use reply::{OffsetFailure, OffsetResponse, RecordOffset, Reply};

use crate::drift::DriftWatch;
use crate::event::{BatchResponse, EventError, Object};
use crate::kinesis;

/// What is expected of an event.
const EXPECTED: &str = "records of Kinesis, SQS, Kafka, a DynamoDB stream, SNS, EventBridge or Firehose, or an HTTP request of payload format 2.0";
/// Stands for what a record does not say and its neighbours do not either.
const UNKNOWN: &str = "unknown";

/// How events are read.
#[derive(Clone, Debug)]
pub struct Intake {
    /// How records become readings.
    pub decoder: Decoder,
    /// What opens the door to HTTP requests whose caller AWS has not checked; none: nothing does.
    pub secrets: Secrets,
    /// What was seen of the records' fields.
    pub drift: DriftWatch,
}

/// The records of an event, and how its source is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<'a> {
    /// The source, in one word, for logs.
    pub source: &'static str,
    /// The records. The partitions have nothing to do with one another.
    pub partitions: Vec<Partition<'a>>,
    recall: Recall<'a>,
}

/// How a source is told what to bring again.
#[derive(Clone, Debug, PartialEq)]
enum Recall<'a> {
    /// A stream resumes at one record, and brings everything from there on again.
    Resume,
    /// A queue brings again the messages that are named.
    Each,
    /// Kafka resumes each partition at an offset.
    Offsets,
    /// All of the event or nothing.
    Whole,
    /// All of the event or nothing; otherwise every record is sent back, with what became of it.
    Transform(Vec<firehose::Echo<'a>>),
    /// A status code.
    Status,
    /// It was replied to before its body was read.
    Replied(HttpReply),
}

impl Intake {
    /// Events whose records are decoded by `decoder`. No secret opens the door to HTTP requests.
    pub fn new(decoder: Decoder) -> Self {
        Intake { decoder, secrets: Secrets::default(), drift: DriftWatch::default() }
    }

    /// Reads `event`, whichever source it is of. `now` stands for times that records do not carry.
    ///
    /// # Errors
    /// [`EventError::Unknown`] if it is of none that this function takes.
    pub fn read<'a>(&self, event: &'a str, now: Timestamp) -> Result<Batch<'a>, EventError> {
        if let Some(partitions) = kinesis::read_fast(event, &self.decoder).filter(|p| !p.is_empty()) {
            return Ok(Batch { source: "kinesis", partitions, recall: Recall::Resume });
        }
        let unknown = |found: String| EventError::Unknown { expected: EXPECTED, found };
        if let Ok(records) = serde_json::from_str::<Vec<&'a RawValue>>(event) {
            return self.flat(&records, now);
        }
        let fields = Object::new(event).ok_or_else(|| unknown("is no JSON object".to_owned()))?;
        if let Some(records) = fields.list("Records") {
            return self.records(&records, now);
        }
        if fields.text("eventSource").is_some_and(|source| kafka::is_source(&source)) {
            let partitions = kafka::read(fields.raw("records").unwrap_or("{}"), &self.decoder, now);
            return Ok(Batch { source: "kafka", partitions, recall: Recall::Offsets });
        }
        if let (Some(_), Some(records)) = (fields.raw("deliveryStreamArn"), fields.list("records")) {
            let (partitions, echoes) = firehose::read(&fields, &records, &self.decoder, now);
            return Ok(Batch { source: "firehose", partitions, recall: Recall::Transform(echoes) });
        }
        if let (Some(_), Some(_)) = (fields.raw("detail-type"), fields.raw("detail")) {
            let partitions = bus::read(event, &fields, &self.decoder, now);
            return Ok(Batch { source: "eventbridge", partitions, recall: Recall::Whole });
        }
        if fields.raw("requestContext").is_some() {
            return self.request(event, now);
        }
        let names: Vec<&str> = fields.names().take(8).collect();
        Err(unknown(match names.as_slice() {
            [] => "is empty".to_owned(),
            names => format!("has {}", names.join(", ")),
        }))
    }

    /// The records of an event that has a list of them, all of one source.
    fn records<'a>(&self, records: &[&'a RawValue], now: Timestamp) -> Result<Batch<'a>, EventError> {
        let decoder = &self.decoder;
        let (source, partitions, recall) = match source_of(records).as_deref() {
            Some(kinesis::SOURCE) => ("kinesis", kinesis::read_tolerantly(records, decoder)?, Recall::Resume),
            Some(table::SOURCE) => ("dynamodb", table::read(records, decoder, now)?, Recall::Resume),
            Some(queue::SOURCE) => ("sqs", queue::read(records, decoder, now)?, Recall::Each),
            Some(topic::SOURCE) => ("sns", topic::read(records, decoder, now)?, Recall::Whole),
            None if records.is_empty() => ("none", Vec::new(), Recall::Whole),
            source => {
                let found = match source {
                    Some(source) => format!("has records of {source:?}"),
                    None => "has records that do not say their eventSource".to_owned(),
                };
                return Err(EventError::Unknown { expected: EXPECTED, found });
            }
        };
        Ok(Batch { source, partitions, recall })
    }

    /// A bare list of records is what EventBridge Pipes hands over; of its sources Kafka is ours.
    fn flat<'a>(&self, records: &[&'a RawValue], now: Timestamp) -> Result<Batch<'a>, EventError> {
        match source_of(records) {
            Some(source) if kafka::is_source(&source) => {
                let partitions = kafka::read_flat(records, &self.decoder, now);
                Ok(Batch { source: "kafka", partitions, recall: Recall::Whole })
            }
            source => {
                let source = source.unwrap_or_else(|| "no eventSource".to_owned());
                let found = format!(
                    "is a bare list of records of {source}, and of EventBridge Pipes only Kafka's are read"
                );
                Err(EventError::Unknown { expected: EXPECTED, found })
            }
        }
    }

    fn request<'a>(&self, event: &'a str, now: Timestamp) -> Result<Batch<'a>, EventError> {
        let (partitions, recall) = match http::read(event, &self.decoder, &self.secrets, now) {
            Ok(Ok(partition)) => (vec![partition], Recall::Status),
            Ok(Err(reply)) => (Vec::new(), Recall::Replied(reply)),
            Err(error) => {
                let found = format!("is an HTTP request of another payload format: {error}");
                return Err(EventError::Unknown { expected: EXPECTED, found });
            }
        };
        Ok(Batch { source: "http", partitions, recall })
    }
}

/// The source that the first of `records` names which names one; SNS spells the field with a capital.
fn source_of(records: &[&RawValue]) -> Option<String> {
    // The pointers are constants, and valid.
    let fields = Fields::new(["/eventSource", "/EventSource"]).unwrap_or_default();
    records.iter().find_map(|raw| {
        let found = fields.pick(raw.get().as_bytes()).unwrap_or_default();
        found.into_iter().find_map(|field| match field {
            Found::Text(source) => Some(source.into_owned()),
            _ => None,
        })
    })
}

impl Batch<'_> {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.partitions.iter().map(|partition| partition.records.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a partition is worth trying after another one failed: whether the source takes that one alone
    /// back.
    pub fn is_worth_going_on(&self) -> bool {
        matches!(self.recall, Recall::Each | Recall::Offsets)
    }

    /// What the source is told, where `resume_at` has for each partition the index of the first record that is
    /// wanted again, with everything behind it.
    ///
    /// # Errors
    /// [`EventError::WholeBatch`] if what is wanted again cannot be named.
    pub fn reply(&self, resume_at: &[Option<usize>]) -> Result<Reply, EventError> {
        let wanted = self.partitions.iter().zip(resume_at);
        let wanted: Vec<_> = wanted.filter_map(|(partition, at)| Some((partition, (*at)?))).collect();
        let whole = |why: &str| EventError::WholeBatch { why: why.to_owned() };
        match (&self.recall, wanted.as_slice()) {
            (Recall::Replied(reply), _) => Ok(Reply::Http(reply.clone())),
            (Recall::Status, []) => Ok(Reply::Http(HttpReply::accepted(&self.partitions))),
            (Recall::Status, _) => Ok(Reply::Http(HttpReply::unavailable())),
            (Recall::Transform(echoes), []) => {
                Ok(Reply::Transformed(firehose::transformed(&self.partitions, echoes)))
            }
            (_, []) => Ok(Reply::Items(BatchResponse::default())),
            (Recall::Resume, [(partition, index)]) if self.partitions.len() == 1 => {
                BatchResponse::resume(&partition.names, *index).map(Reply::Items)
            }
            (Recall::Resume, _) => Err(whole("it mixes shards, whose sequence numbers have no common order")),
            (Recall::Each, wanted) => reply::each(wanted).map(Reply::Items),
            (Recall::Offsets, wanted) => reply::offsets(wanted).map(Reply::Offsets),
            (Recall::Whole | Recall::Transform(_), _) => Err(whole("its source takes no part of it back")),
        }
    }
}
