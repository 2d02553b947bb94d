//! Kinesis events to readings and rejects, record by record.
//!
//! Two ways through. The fast one parses the whole envelope at once, borrowed, with sonic-rs; it takes what
//! Kinesis sends and nothing else. Whatever it stumbles over goes the tolerant way, in which each record is
//! looked at alone, so that a broken one becomes a reject and its neighbours readings.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use anomaly_core::decode::Decoder;
use anomaly_core::fields::{Fields, Found};
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reject::Reject;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::RejectV1;
use anomaly_pipeline::invoke::Decoded;

use crate::event::{EventError, check_source, records};

const EXPECTED: &str = "an event of a Kinesis stream";
const SOURCE: &str = "aws:kinesis";
/// The longest sequence number, in digits (Kinesis API reference, `SequenceNumber`: `0|([1-9]\d{0,128})`).
const SEQUENCE_DIGITS_MAX: usize = 129;

/// The records of one shard, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Partition<'a> {
    /// `<stream>/<shard>`: `clicks/shardId-000000000000`.
    pub name: String,
    /// The records.
    pub records: Vec<Decoded>,
    /// Each record's sequence number as Lambda knows it; `None` for a record without one.
    pub names: Vec<Option<Cow<'a, str>>>,
}

impl<'a> Partition<'a> {
    fn push(&mut self, record: Decoded, name: Option<Cow<'a, str>>) {
        self.records.push(record);
        self.names.push(name);
    }
}

/// Reads an event. A real one has one partition: a batch never mixes shards (AWS Lambda developer guide,
/// "Using Lambda with Kinesis").
///
/// A record whose envelope is broken becomes a reject with the text of its envelope; one without a usable
/// sequence number is named by the number in its `eventID`, or, without that, `unnamed-` and a hash, which
/// keeps it apart from others among the rejects. Such a record cannot be returned as a failure: see
/// [`crate::event::BatchResponse::resume`].
///
/// # Errors
/// [`EventError::Unknown`] if it is no event of a Kinesis stream.
pub fn read<'a>(event: &'a str, decoder: &Decoder) -> Result<Vec<Partition<'a>>, EventError> {
    match read_fast(event, decoder) {
        Some(partitions) => Ok(partitions),
        None => read_tolerantly(event, decoder),
    }
}

/// The event, if all of its envelope is as Kinesis makes it.
fn read_fast<'a>(event: &'a str, decoder: &Decoder) -> Option<Vec<Partition<'a>>> {
    let event: Event<'a> = sonic_rs::from_str(event).ok()?;
    let mut sorting = Sorting::new(decoder);
    for record in event.records {
        let place = Place::of(&record.as_parts()).ok()?;
        sorting.add(&place, record.kinesis.sequence_number.clone(), &record.kinesis.data);
    }
    Some(sorting.partitions)
}

fn read_tolerantly<'a>(event: &'a str, decoder: &Decoder) -> Result<Vec<Partition<'a>>, EventError> {
    // The pointers are constants, and valid.
    let fields = Fields::new(POINTERS).unwrap_or_default();
    let mut loose = Vec::new();
    for raw in records(event, EXPECTED)? {
        let record = LooseRecord::new(raw.get(), &fields);
        check_source(record.text(SOURCE_SLOT), SOURCE, EXPECTED)?;
        loose.push(record);
    }
    // A batch is of one shard: what one record does not say, the others do.
    let home = loose.iter().find_map(LooseRecord::partition).unwrap_or(("unknown", "unknown"));
    let mut sorting = Sorting::new(decoder);
    for record in &loose {
        match record.place() {
            Ok((place, data)) => sorting.add(&place, Cow::Owned(place.sequence.to_owned()), data),
            Err(why) => sorting.add_broken(record, home, why),
        }
    }
    Ok(sorting.partitions)
}

/// What of a record's envelope matters.
struct Parts<'r> {
    source: &'r str,
    event_id: &'r str,
    arn: &'r str,
    sequence: &'r str,
    arrived: f64,
}

/// Where a record stood.
struct Place<'r> {
    stream: &'r str,
    shard: &'r str,
    sequence: &'r str,
    arrived: Timestamp,
}

impl<'r> Place<'r> {
    fn of(parts: &Parts<'r>) -> Result<Self, &'static str> {
        if parts.source != SOURCE {
            return Err("no Kinesis event source");
        }
        Ok(Place {
            stream: stream_of(parts.arn).ok_or("no stream in eventSourceARN")?,
            shard: shard_of(parts.event_id).ok_or("no shard in eventID")?.0,
            sequence: number(parts.sequence).ok_or("no usable sequenceNumber")?,
            arrived: Timestamp::from_epoch(parts.arrived).ok_or("no usable approximateArrivalTimestamp")?,
        })
    }

    fn position(&self, partition: &str) -> Position {
        Position {
            partition: partition.to_owned(),
            sequence: Sequence::new(self.sequence),
            sub: 0,
            arrived: self.arrived,
        }
    }
}

/// `clicks` of `arn:aws:kinesis:eu-west-1:123456789012:stream/clicks`, with or without a consumer behind it.
fn stream_of(arn: &str) -> Option<&str> {
    let (_, after) = arn.split_once(":stream/")?;
    after.split('/').next().filter(|stream| !stream.is_empty())
}

/// Shard and sequence number of `shardId-000000000000:4959…`.
fn shard_of(event_id: &str) -> Option<(&str, &str)> {
    event_id.split_once(':').filter(|(shard, _)| !shard.is_empty())
}

fn number(text: &str) -> Option<&str> {
    let fits = (1..=SEQUENCE_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fits.then_some(text)
}

/// Records on their way into partitions.
struct Sorting<'d, 'a> {
    decoder: &'d Decoder,
    partitions: Vec<Partition<'a>>,
    payload: Vec<u8>,
}

impl<'d, 'a> Sorting<'d, 'a> {
    fn new(decoder: &'d Decoder) -> Self {
        Sorting { decoder, partitions: Vec::new(), payload: Vec::new() }
    }

    fn add(&mut self, place: &Place<'_>, name: Cow<'a, str>, data: &str) {
        let partition = self.partition(place.stream, place.shard);
        self.payload.clear();
        let record = match base64_simd::STANDARD.decode_append(data, &mut self.payload) {
            Ok(()) => self.decoder.json(&self.payload, place.position(&self.partitions[partition].name)),
            Err(_) => Err(Reject::Base64),
        };
        let record = record.map(Decoded::Reading).unwrap_or_else(|reject| {
            let bytes = if reject == Reject::Base64 { data.as_bytes() } else { &self.payload };
            let position = place.position(&self.partitions[partition].name);
            Decoded::Rejected(Box::new(RejectV1::new(reject, &position, bytes)))
        });
        self.partitions[partition].push(record, Some(name));
    }

    /// A record whose envelope is broken. It stands where its source had it, or with its neighbours.
    fn add_broken(&mut self, record: &LooseRecord<'a>, home: (&str, &str), why: &str) {
        let (stream, shard) = record.partition().unwrap_or(home);
        let partition = self.partition(stream, shard);
        let name = record.name();
        let position = Position {
            partition: self.partitions[partition].name.clone(),
            sequence: Sequence::new(name.unwrap_or_default()),
            sub: 0,
            arrived: record.arrived().unwrap_or_default(),
        };
        let reject = Reject::Envelope { detail: why.to_owned() };
        let mut reject = RejectV1::new(reject, &position, record.raw.as_bytes());
        if name.is_none() {
            reject.sequence = Sequence::new(&format!("unnamed-{}", &reject.sha256[..16]));
        }
        let name = name.map(|name| Cow::Owned(name.to_owned()));
        self.partitions[partition].push(Decoded::Rejected(Box::new(reject)), name);
    }

    /// The index of the partition, which is nearly always the last one.
    fn partition(&mut self, stream: &str, shard: &str) -> usize {
        let is_it = |p: &Partition<'_>| {
            p.name.strip_prefix(stream).and_then(|rest| rest.strip_prefix('/')) == Some(shard)
        };
        self.partitions.iter().rposition(is_it).unwrap_or_else(|| {
            self.partitions.push(Partition { name: format!("{stream}/{shard}"), ..Partition::default() });
            self.partitions.len() - 1
        })
    }
}

/// What Lambda hands over, exactly (AWS Lambda developer guide, "Using Lambda with Kinesis", example event).
///
/// A field that is none of these, or a value of another type, ends the fast way. It must: sonic-rs skips an
/// unwanted value by recursion without a limit, so that nothing may be skipped that can be nested.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<Record<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Record<'a> {
    #[serde(borrow)]
    kinesis: Kinesis<'a>,
    #[serde(borrow)]
    event_source: Cow<'a, str>,
    #[serde(borrow, rename = "eventID")]
    event_id: Cow<'a, str>,
    #[serde(borrow, rename = "eventSourceARN")]
    event_source_arn: Cow<'a, str>,
    #[serde(default, rename = "eventVersion")]
    _event_version: Scalar,
    #[serde(default, rename = "eventName")]
    _event_name: Scalar,
    #[serde(default, rename = "invokeIdentityArn")]
    _invoke_identity_arn: Scalar,
    #[serde(default, rename = "awsRegion")]
    _aws_region: Scalar,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Kinesis<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    sequence_number: Cow<'a, str>,
    approximate_arrival_timestamp: f64,
    #[serde(default, rename = "kinesisSchemaVersion")]
    _kinesis_schema_version: Scalar,
    #[serde(default, rename = "partitionKey")]
    _partition_key: Scalar,
    #[serde(default, rename = "encryptionType")]
    _encryption_type: Scalar,
}

impl<'a> Record<'a> {
    fn as_parts(&self) -> Parts<'_> {
        Parts {
            source: &self.event_source,
            event_id: &self.event_id,
            arn: &self.event_source_arn,
            sequence: &self.kinesis.sequence_number,
            arrived: self.kinesis.approximate_arrival_timestamp,
        }
    }
}

/// A value that is not wanted and holds no others.
#[derive(Default)]
struct Scalar;

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Skip;
        impl Visitor<'_> for Skip {
            type Value = Scalar;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text, a number, true, false or null")
            }

            fn visit_str<E>(self, _: &str) -> Result<Scalar, E> {
                Ok(Scalar)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Scalar, E> {
                Ok(Scalar)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Scalar, E> {
                Ok(Scalar)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Scalar, E> {
                Ok(Scalar)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
                Ok(Scalar)
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar)
            }
        }
        deserializer.deserialize_any(Skip)
    }
}

/// What the tolerant way picks out of a record.
const POINTERS: [&str; 6] = [
    "/eventSource",
    "/eventID",
    "/eventSourceARN",
    "/kinesis/sequenceNumber",
    "/kinesis/data",
    "/kinesis/approximateArrivalTimestamp",
];
const SOURCE_SLOT: usize = 0;
const EVENT_ID_SLOT: usize = 1;
const ARN_SLOT: usize = 2;
const SEQUENCE_SLOT: usize = 3;
const DATA_SLOT: usize = 4;
const ARRIVED_SLOT: usize = 5;

/// A record of which nothing is taken for granted.
struct LooseRecord<'a> {
    raw: &'a str,
    found: Vec<Found<'a>>,
}

impl<'a> LooseRecord<'a> {
    /// A record that the picker cannot read has nothing in it.
    fn new(raw: &'a str, fields: &Fields) -> Self {
        LooseRecord { raw, found: fields.pick(raw.as_bytes()).unwrap_or_default() }
    }

    fn text(&self, slot: usize) -> Option<&str> {
        match self.found.get(slot) {
            Some(Found::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn place(&self) -> Result<(Place<'_>, &str), &'static str> {
        let arrived = match self.found.get(ARRIVED_SLOT) {
            Some(Found::Number(seconds)) => *seconds,
            _ => f64::NAN,
        };
        let place = Place::of(&Parts {
            source: self.text(SOURCE_SLOT).unwrap_or(SOURCE),
            event_id: self.text(EVENT_ID_SLOT).unwrap_or_default(),
            arn: self.text(ARN_SLOT).unwrap_or_default(),
            sequence: self.text(SEQUENCE_SLOT).unwrap_or_default(),
            arrived,
        })?;
        Ok((place, self.text(DATA_SLOT).ok_or("no data")?))
    }

    /// Stream and shard.
    fn partition(&self) -> Option<(&str, &str)> {
        let (shard, _) = shard_of(self.text(EVENT_ID_SLOT)?)?;
        Some((stream_of(self.text(ARN_SLOT)?)?, shard))
    }

    /// The sequence number by which Lambda knows it.
    fn name(&self) -> Option<&str> {
        let in_event_id = || number(shard_of(self.text(EVENT_ID_SLOT)?)?.1);
        self.text(SEQUENCE_SLOT).and_then(number).or_else(in_event_id)
    }

    fn arrived(&self) -> Option<Timestamp> {
        match self.found.get(ARRIVED_SLOT) {
            Some(Found::Number(seconds)) => Timestamp::from_epoch(*seconds),
            _ => None,
        }
    }
}
