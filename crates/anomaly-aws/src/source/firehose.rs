//! Records of a Firehose stream that has them transformed: each is read and goes on to its destination as it came.
//!
//! Firehose brings a batch again three times if the function fails, and then takes all of it for unprocessed
//! (Firehose developer guide, "Transform source data"); there is no way to have one record brought again.

use std::borrow::Cow;

use anomaly_core::decode::Decoder;
use anomaly_core::fields::Fields;
use anomaly_core::position::Sequence;
use anomaly_core::settle::Fate;
use anomaly_core::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use smol_str::{SmolStr, format_smolstr};

use super::UNKNOWN;
use super::loose::Loose;
use super::partition::Partition;
use super::record::{self, Content, Record};
use crate::event::Object;

const POINTERS: [&str; 6] = [
    "/recordId",
    "/approximateArrivalTimestamp",
    "/data",
    "/kinesisRecordMetadata/shardId",
    "/kinesisRecordMetadata/sequenceNumber",
    "/kinesisRecordMetadata/subsequenceNumber",
];
const ID_SLOT: usize = 0;
const ARRIVED_SLOT: usize = 1;
const DATA_SLOT: usize = 2;
const SHARD_SLOT: usize = 3;
const SEQUENCE_SLOT: usize = 4;
const SUB_SLOT: usize = 5;

/// What Firehose is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transformed {
    /// Every record that came, in the order it came.
    pub records: Vec<TransformedRecord>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransformedRecord {
    /// The id by which Firehose knows it.
    pub record_id: String,
    /// What Firehose does with it.
    pub result: Outcome,
    /// Its data, as it came.
    pub data: String,
}

/// What Firehose does with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// Delivers it.
    Ok,
    /// Keeps it with those that could not be processed.
    ProcessingFailed,
}

/// A record as it is sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Echo<'a> {
    /// Its place in the event.
    place: usize,
    id: Cow<'a, str>,
    data: Cow<'a, str>,
    partition: SmolStr,
}

/// Reads the records of `event`. `now` stands for the time of one that does not say when it arrived.
///
/// From a Kinesis stream records come numbered, and a shard is a partition; else the Firehose stream is one.
pub(super) fn read<'a>(
    event: &Object<'a>,
    records: &[&'a RawValue],
    decoder: &Decoder,
    now: Timestamp,
) -> (Vec<Partition<'a>>, Vec<Echo<'a>>) {
    // The pointers are constants, and valid.
    let fields = Fields::new(POINTERS).unwrap_or_default();
    let last = |arn: Option<Cow<'a, str>>| {
        arn.and_then(|arn| Some(arn.rsplit('/').next()?.to_owned())).filter(|name| !name.is_empty())
    };
    let firehose = last(event.text("deliveryStreamArn")).unwrap_or_else(|| UNKNOWN.to_owned());
    let stream = last(event.text("sourceKinesisStreamArn")).unwrap_or_else(|| firehose.clone());
    let record = |(place, raw): (usize, &&'a RawValue)| {
        (place, record(&Loose::new(raw.get(), &fields), place, &firehose, &stream, now))
    };
    let mut records: Vec<(usize, Record<'a>)> = records.iter().enumerate().map(record).collect();
    records.sort_by(|(_, a), (_, b)| a.sequence.cmp(&b.sequence));
    let echoes = records.iter().map(|(place, record)| Echo::of(*place, record)).collect();
    (record::unpack(records.into_iter().map(|(_, record)| record), decoder), echoes)
}

fn record<'a>(record: &Loose<'a>, place: usize, firehose: &str, stream: &str, now: Timestamp) -> Record<'a> {
    let arrived = record.instant_ms(ARRIVED_SLOT).unwrap_or(now);
    let name = record.name(ID_SLOT);
    let (partition, sequence) = match (record.text(SHARD_SLOT), numbered(record)) {
        (Some(shard), Some(sequence)) => (format_smolstr!("{stream}/{shard}"), Ok(sequence)),
        _ => {
            // A batch comes again as it was, so that the place keeps the order within a millisecond.
            let place = u16::try_from(place).unwrap_or(u16::MAX);
            let sequence = name.as_deref().map(|id| Sequence::of_message(arrived, place, id));
            (firehose.into(), sequence.ok_or("no recordId"))
        }
    };
    let content = record.owned(DATA_SLOT).map(Content::Base64).ok_or("no data");
    Record { raw: record.raw, partition, sequence, arrived, name, content }
}

/// The number of a record from a Kinesis stream: its own, then ten digits of its number within an aggregate,
/// which Firehose takes apart. So the readings of one record can be counted from 0.
fn numbered(record: &Loose<'_>) -> Option<Sequence> {
    let sequence = record.text(SEQUENCE_SLOT).and_then(crate::kinesis::number)?;
    let sub = record.whole(SUB_SLOT).unwrap_or_default();
    Some(Sequence::new(&format!("{sequence}{sub:010}")))
}

impl<'a> Echo<'a> {
    fn of(place: usize, record: &Record<'a>) -> Self {
        let data = match &record.content {
            Ok(Content::Base64(data) | Content::Text(data)) => data.clone(),
            Ok(Content::Nothing) | Err(_) => Cow::Borrowed(""),
        };
        let id = record.name.clone().unwrap_or_default();
        Echo { place, id, data, partition: record.partition.clone() }
    }
}

/// What Firehose is told of records that were all handed on: one at fault counts as not processed, so that its
/// destination is spared it. `echoes` are in the order in which their records were added to the partitions.
pub(super) fn transformed(partitions: &[Partition<'_>], echoes: &[Echo<'_>]) -> Transformed {
    let fates = |partition: &Partition<'_>| partition.records.fates(|_| true).into_iter();
    let mut fates: Vec<_> = partitions.iter().map(|p| (p.name.as_str(), fates(p))).collect();
    let mut result = |echo: &Echo<'_>| {
        let its = fates.iter_mut().find(|(name, _)| *name == echo.partition);
        match its.and_then(|(_, fates)| fates.next()) {
            Some(Fate::Done) => Outcome::Ok,
            _ => Outcome::ProcessingFailed,
        }
    };
    let mut results: Vec<_> = echoes.iter().map(|echo| (echo, result(echo))).collect();
    results.sort_by_key(|(echo, _)| echo.place);
    let record = |(echo, result): (&Echo<'_>, Outcome)| TransformedRecord {
        record_id: echo.id.clone().into_owned(),
        result,
        data: echo.data.clone().into_owned(),
    };
    Transformed { records: results.into_iter().map(record).collect() }
}
