//! Kinesis events to readings and rejects, record by record.
//!
//! A record that the Kinesis Producer Library has put together holds several of its user's; all of them share its
//! sequence number, and their readings are counted through.
//!
//! Two ways through. The fast one reads the whole envelope in one pass, borrowed; it takes what Lambda writes
//! and nothing else. Whatever it stumbles over goes the tolerant way, in which each record is looked at alone,
//! so that a broken one becomes a reject and its neighbours readings.

mod aggregate;
mod cursor;
mod stencil;

use std::borrow::Cow;

use anomaly_core::decode::Decoder;
use anomaly_core::fields::Fields;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reject::Reject;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::RejectV1;
use serde_json::value::RawValue;
use smol_str::{SmolStr, format_smolstr};

use crate::event::{EventError, check_source, records};
use crate::source::Partition;
use crate::source::loose::Loose;
use cursor::Cursor;
use stencil::Stencil;

const EXPECTED: &str = "an event of a Kinesis stream";
/// The `eventSource` of the records.
pub(crate) const SOURCE: &str = "aws:kinesis";
/// About how long a record of an event is, in bytes: 500 of envelope, and a little data.
const RECORD_BYTES: usize = 600;
/// The longest sequence number, in digits (Kinesis API reference, `SequenceNumber`: `0|([1-9]\d{0,128})`).
const SEQUENCE_DIGITS_MAX: usize = 129;

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
        None => read_tolerantly(&records(event, EXPECTED)?, decoder),
    }
}

/// The event, if all of its envelope is as Lambda makes it.
pub(crate) fn read_fast<'a>(event: &'a str, decoder: &Decoder) -> Option<Vec<Partition<'a>>> {
    let mut sorting = Sorting::new(decoder, event.len() / RECORD_BYTES);
    let (mut before, mut stencil) = (None, None);
    Cursor::new(event).object(|cursor, key| match key {
        b"Records" => cursor.array(|cursor| {
            let record = Record::read_like(&mut stencil, cursor)?;
            let place = Place::of(&record, record.arrived(), before.as_ref()).ok()?;
            sorting.add(&place, Cow::Borrowed(place.sequence), record.data?);
            before = Some(place);
            Some(())
        }),
        _ => None,
    })?;
    Some(sorting.partitions)
}

/// The records of an event, each looked at alone.
///
/// # Errors
/// [`EventError::Unknown`] if one is of another source.
pub(crate) fn read_tolerantly<'a>(
    records: &[&'a RawValue],
    decoder: &Decoder,
) -> Result<Vec<Partition<'a>>, EventError> {
    // The pointers are constants, and valid.
    let fields = Fields::new(POINTERS).unwrap_or_default();
    let mut loose = Vec::new();
    for raw in records {
        let record = Loose::new(raw.get(), &fields);
        check_source(record.text(SOURCE_SLOT), SOURCE, EXPECTED)?;
        loose.push(LooseRecord(record));
    }
    // A batch is of one shard: what one record does not say, the others do.
    let home = loose.iter().find_map(LooseRecord::partition).unwrap_or(("unknown", "unknown"));
    let mut sorting = Sorting::new(decoder, loose.len());
    for record in &loose {
        match record.place() {
            Ok((place, data)) => sorting.add(&place, Cow::Owned(place.sequence.to_owned()), data),
            Err(why) => sorting.add_broken(record, home, why),
        }
    }
    Ok(sorting.partitions)
}

/// What of a record's envelope matters, and the partition key; empty where it is not there.
#[derive(Clone, Copy, Default)]
struct Record<'r> {
    source: &'r str,
    event_id: &'r str,
    arn: &'r str,
    key: &'r str,
    sequence: &'r str,
    arrived: &'r str,
    data: Option<&'r str>,
}

impl<'r> Record<'r> {
    /// Reads a record, by the `stencil` of the one before if it fits.
    fn read_like(stencil: &mut Option<Stencil<'r>>, cursor: &mut Cursor<'r>) -> Option<Self> {
        if let Some(record) = stencil.as_ref().and_then(|stencil| stencil.read(cursor)) {
            return Some(record);
        }
        let from = *cursor;
        let record = Record::read(cursor)?;
        *stencil = Stencil::of(cursor.since(from), record);
        Some(record)
    }

    fn arrived(&self) -> Option<Timestamp> {
        self.arrived.parse().ok().and_then(Timestamp::from_epoch)
    }

    fn read(cursor: &mut Cursor<'r>) -> Option<Self> {
        let mut record = Record::default();
        cursor.object(|cursor, key| {
            match key {
                b"kinesis" => cursor.object(|cursor, key| {
                    match key {
                        b"data" => record.data = Some(cursor.text()?),
                        b"sequenceNumber" => record.sequence = cursor.text()?,
                        b"partitionKey" => record.key = cursor.text()?,
                        b"approximateArrivalTimestamp" => record.arrived = cursor.word()?,
                        _ => cursor.scalar()?,
                    }
                    Some(())
                })?,
                b"eventSource" => record.source = cursor.text()?,
                b"eventID" => record.event_id = cursor.text()?,
                b"eventSourceARN" => record.arn = cursor.text()?,
                _ => cursor.scalar()?,
            }
            Some(())
        })?;
        Some(record)
    }
}

/// Where a record stood.
struct Place<'r> {
    arn: &'r str,
    stream: &'r str,
    shard: &'r str,
    sequence: &'r str,
    arrived: Timestamp,
}

impl<'r> Place<'r> {
    /// The place of `record`, which is nearly always in the stream of the one `before`.
    fn of(
        record: &Record<'r>,
        arrived: Option<Timestamp>,
        before: Option<&Place<'r>>,
    ) -> Result<Self, &'static str> {
        if record.source != SOURCE {
            return Err("no Kinesis event source");
        }
        let stream = match before {
            Some(before) if before.arn == record.arn => Some(before.stream),
            _ => stream_of(record.arn),
        };
        Ok(Place {
            arn: record.arn,
            stream: stream.ok_or("no stream in eventSourceARN")?,
            shard: shard_of(record.event_id).ok_or("no shard in eventID")?.0,
            sequence: number(record.sequence).ok_or("no usable sequenceNumber")?,
            arrived: arrived.ok_or("no usable approximateArrivalTimestamp")?,
        })
    }

    fn position(&self, partition: &SmolStr) -> Position {
        Position {
            partition: partition.clone(),
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

/// A sequence number of Kinesis.
pub(crate) fn number(text: &str) -> Option<&str> {
    // Without a way out half through, so that it is done many bytes at a time.
    let is_digits = text.bytes().fold(true, |so_far, b| so_far & b.is_ascii_digit());
    (is_digits && (1..=SEQUENCE_DIGITS_MAX).contains(&text.len())).then_some(text)
}

/// Records on their way into partitions.
struct Sorting<'d, 'a> {
    decoder: &'d Decoder,
    partitions: Vec<Partition<'a>>,
    payload: Vec<u8>,
    /// About how many there are.
    records: usize,
}

impl<'d, 'a> Sorting<'d, 'a> {
    fn new(decoder: &'d Decoder, records: usize) -> Self {
        Sorting { decoder, partitions: Vec::new(), payload: Vec::new(), records }
    }

    fn add(&mut self, place: &Place<'_>, name: Cow<'a, str>, data: &str) {
        let partition = self.partition(place.stream, place.shard);
        let partition = &mut self.partitions[partition];
        let position = place.position(&partition.name);
        self.payload.clear();
        if base64_simd::STANDARD.decode_append(data, &mut self.payload).is_err() {
            partition.reject(RejectV1::new(Reject::Base64, &position, data.as_bytes()), Some(name));
        } else if let Some(parts) = aggregate::parts(&self.payload) {
            partition.decode_parts(self.decoder, &parts, position, Some(name));
        } else {
            partition.decode(self.decoder, &self.payload, &position, Some(name));
        }
    }

    /// A record whose envelope is broken. It stands where its source had it, or with its neighbours.
    fn add_broken(&mut self, record: &LooseRecord<'a>, home: (&str, &str), why: &str) {
        let (stream, shard) = record.partition().unwrap_or(home);
        let partition = self.partition(stream, shard);
        let name = record.name().map(|name| Cow::Owned(name.to_owned()));
        let arrived = record.0.number(ARRIVED_SLOT).and_then(Timestamp::from_epoch).unwrap_or_default();
        let sequence = name.as_deref().map(Sequence::new);
        self.partitions[partition].broken(record.0.raw, why, sequence, arrived, name);
    }

    /// The index of the partition, which is nearly always the last one.
    fn partition(&mut self, stream: &str, shard: &str) -> usize {
        let is_it = |p: &Partition<'_>| {
            p.name.strip_prefix(stream).and_then(|rest| rest.strip_prefix('/')) == Some(shard)
        };
        self.partitions.iter().rposition(is_it).unwrap_or_else(|| {
            self.partitions.push(Partition::new(format_smolstr!("{stream}/{shard}"), self.records));
            self.partitions.len() - 1
        })
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
struct LooseRecord<'a>(Loose<'a>);

impl<'a> LooseRecord<'a> {
    fn place(&self) -> Result<(Place<'_>, &str), &'static str> {
        let LooseRecord(loose) = self;
        let record = Record {
            source: loose.text(SOURCE_SLOT).unwrap_or(SOURCE),
            event_id: loose.text(EVENT_ID_SLOT).unwrap_or_default(),
            arn: loose.text(ARN_SLOT).unwrap_or_default(),
            sequence: loose.text(SEQUENCE_SLOT).unwrap_or_default(),
            data: loose.text(DATA_SLOT),
            ..Record::default()
        };
        let arrived = loose.number(ARRIVED_SLOT).and_then(Timestamp::from_epoch);
        Ok((Place::of(&record, arrived, None)?, record.data.ok_or("no data")?))
    }

    /// Stream and shard.
    fn partition(&self) -> Option<(&str, &str)> {
        let (shard, _) = shard_of(self.0.text(EVENT_ID_SLOT)?)?;
        Some((stream_of(self.0.text(ARN_SLOT)?)?, shard))
    }

    /// The sequence number by which Lambda knows it.
    fn name(&self) -> Option<&str> {
        let in_event_id = || number(shard_of(self.0.text(EVENT_ID_SLOT)?)?.1);
        self.0.text(SEQUENCE_SLOT).and_then(number).or_else(in_event_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anomaly_core::config::Input;
    use anomaly_core::records::Decoded;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    const GOOD: &str = r#"{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"k","sequenceNumber":"SEQ","data":"eyJzIjoieCIsImEiOjF9","approximateArrivalTimestamp":1795231793.5},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000000:SEQ","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::123456789012:role/r","awsRegion":"eu-west-1","eventSourceARN":"arn:aws:kinesis:eu-west-1:123456789012:stream/clicks"}"#;

    fn decoder() -> Decoder {
        let input = Input {
            series: "/s".to_owned(),
            features: vec!["/a".to_owned()],
            record_bytes_max: 40,
            ..Input::default()
        };
        Decoder::new(&input).expect("valid input")
    }

    fn good(sequence: u32) -> String {
        GOOD.replace("SEQ", &sequence.to_string())
    }

    fn event(records: &[String]) -> String {
        format!(r#"{{"Records":[{}]}}"#, records.join(","))
    }

    /// One line a record: partition, name, and what it is.
    fn lines(partitions: &[Partition<'_>]) -> String {
        let mut lines = String::new();
        for Partition { name, records, names } in partitions {
            assert_eq!(records.len(), names.len());
            for (record, id) in records.entries().iter().zip(names) {
                let what = match record {
                    Decoded::Reading(r) => format!("{} {:?} at {}", r.series, r.features, r.at),
                    Decoded::Rejected(r) => format!("{} as {}: {}", r.reject.as_str(), r.sequence, r.reject),
                };
                lines += &format!("{name} {}: {what}\n", id.as_deref().unwrap_or("-"));
            }
        }
        lines
    }

    fn check(records: &[String], expected: Expect) {
        let event = event(records);
        expected.assert_eq(&lines(&read(&event, &decoder()).expect("a Kinesis event")));
    }

    #[test]
    fn real_events_go_the_fast_way_and_both_ways_agree() {
        let event = event(&[good(1), good(2).replace("eyJz", "????"), good(3)]);
        let fast = read_fast(&event, &decoder()).expect("nothing to stumble over");
        assert_eq!(
            Ok(&fast),
            read_tolerantly(&records(&event, EXPECTED).expect("records"), &decoder()).as_ref()
        );
        let pretty = event.replace(',', " ,\n  ").replace("\":", "\" : ");
        assert_eq!(read_fast(&pretty, &decoder()), Some(fast));
        expect![[r#"
            clicks/shardId-000000000000 1: x [1.0] at 2026-11-21T03:29:53.5Z
            clicks/shardId-000000000000 2: base64 as 2: the data is not Base64
            clicks/shardId-000000000000 3: x [1.0] at 2026-11-21T03:29:53.5Z
        "#]]
        .assert_eq(&lines(&read(&event, &decoder()).expect("a Kinesis event")));
    }

    /// A record that differs from others in its values, and, as `kind` says, in what is between them.
    fn like_others(kind: u8, sequence: u32, key: &str, arrived: &str, data: &str) -> String {
        let record = good(sequence)
            .replace(r#""partitionKey":"k""#, &format!(r#""partitionKey":"{key}""#))
            .replace("1795231793.5", arrived)
            .replace(r#""eyJz"#, &format!(r#""{data}eyJz"#));
        match kind {
            0 => record.replace(r#""eventVersion":"1.0","#, ""),
            1 => record.replace("shardId-000000000000", "shardId-000000000001"),
            2 => record.replace("\":", "\" : "),
            3 => record.replace(r#""kinesis":{"#, r#""kinesis":{"data":"?","#),
            4 => record.replace(r#""eventVersion":"1.0","#, r#""eventVersion":"\n","#),
            5 => record.replace(arrived, "null"),
            _ => record,
        }
    }

    proptest! {
        #[test]
        fn what_a_stencil_passes_over_is_the_same_in_both_records(
            like in proptest::collection::vec(
                (0..16_u8, 1..9_u32, r#"[a-z\\"]{0,2}"#, r"17952317[0-9]{2}(\.[0-9]{1,3})?", "(|eyJ9)"),
                0..8,
            )
        ) {
            let like: Vec<String> =
                like.iter().map(|(kind, n, key, at, data)| like_others(*kind, *n, key, at, data)).collect();
            let event = event(&like);
            if let Some(fast) = read_fast(&event, &decoder()) {
                // What is no JSON may have been read all the same: the runtime has seen to it that it is.
                if let Ok(records) = records(&event, EXPECTED) {
                    prop_assert_eq!(Ok(fast), read_tolerantly(&records, &decoder()));
                }
            }
        }
    }

    #[test]
    fn a_broken_record_leaves_its_neighbours_alone() {
        let without = |field: &str| {
            let record = good(2);
            let start = record.find(field).expect("it is there");
            let value = start + record[start..].find(':').expect("a value") + 1;
            let end = value + record[value..].find([',', '}']).expect("an end");
            format!("{}null{}", &record[..value], &record[end..])
        };
        check(
            &[
                good(1),
                without("\"data\""),
                without("\"sequenceNumber\""),
                without("\"sequenceNumber\"").replace("shardId-000000000000:2", "shardId-000000000000:"),
                without("\"eventID\""),
                without("\"eventSourceARN\""),
                without("\"approximateArrival"),
                good(2).replace("\"sequenceNumber\":\"2\"", "\"sequenceNumber\":2"),
                good(2).replace("\"2\"", "\"two\""),
                r#"{"kinesis":null}"#.to_owned(),
                "null".to_owned(),
                "7".to_owned(),
                good(2).replace("\"eventVersion\":\"1.0\"", "\"eventVersion\":{\"a\":[]}"),
                good(2).replace("clicks", "cli\\u0063ks"),
                good(3),
            ],
            expect![[r#"
                clicks/shardId-000000000000 1: x [1.0] at 2026-11-21T03:29:53.5Z
                clicks/shardId-000000000000 2: envelope as 2: the source's envelope is broken: no data
                clicks/shardId-000000000000 2: envelope as 2: the source's envelope is broken: no usable sequenceNumber
                clicks/shardId-000000000000 -: envelope as unnamed-b9c90736da8b18e7: the source's envelope is broken: no usable sequenceNumber
                clicks/shardId-000000000000 2: envelope as 2: the source's envelope is broken: no shard in eventID
                clicks/shardId-000000000000 2: envelope as 2: the source's envelope is broken: no stream in eventSourceARN
                clicks/shardId-000000000000 2: envelope as 2: the source's envelope is broken: no usable approximateArrivalTimestamp
                clicks/shardId-000000000000 2: envelope as 2: the source's envelope is broken: no usable sequenceNumber
                clicks/shardId-000000000000 2: envelope as 2: the source's envelope is broken: no usable sequenceNumber
                clicks/shardId-000000000000 -: envelope as unnamed-858b968027deaa9f: the source's envelope is broken: no stream in eventSourceARN
                clicks/shardId-000000000000 -: envelope as unnamed-74234e98afe7498f: the source's envelope is broken: no stream in eventSourceARN
                clicks/shardId-000000000000 -: envelope as unnamed-7902699be42c8a8e: the source's envelope is broken: no stream in eventSourceARN
                clicks/shardId-000000000000 2: x [1.0] at 2026-11-21T03:29:53.5Z
                clicks/shardId-000000000000 2: x [1.0] at 2026-11-21T03:29:53.5Z
                clicks/shardId-000000000000 3: x [1.0] at 2026-11-21T03:29:53.5Z
            "#]],
        );
    }

    #[test]
    fn partitions_are_kept_apart() {
        let other = |sequence| good(sequence).replace("shardId-000000000000", "shardId-000000000001");
        let event = event(&[good(1), other(2), good(3)]);
        let partitions = read(&event, &decoder()).expect("a Kinesis event");
        let shown: Vec<_> = partitions.iter().map(|p| (p.name.as_str(), p.names.len())).collect();
        assert_eq!(shown, [("clicks/shardId-000000000000", 2), ("clicks/shardId-000000000001", 1)]);
    }

    #[test]
    fn deep_nesting_is_no_overflow() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        check(
            &[good(1).replace("\"1.0\",\"partitionKey\"", &format!("{deep},\"partitionKey\"")), good(2)],
            expect![[r#"
                clicks/shardId-000000000000 1: x [1.0] at 2026-11-21T03:29:53.5Z
                clicks/shardId-000000000000 2: x [1.0] at 2026-11-21T03:29:53.5Z
            "#]],
        );
    }

    #[test]
    fn other_events_are_told_what_is_expected() {
        let error = |event: &str| read(event, &decoder()).expect_err("no Kinesis event").to_string();
        expect!["this function takes an event of a Kinesis stream, and the event has no Records"]
            .assert_eq(&error(r#"{"sweep":true}"#));
        expect![[
            r#"this function takes an event of a Kinesis stream, and the event has records of "aws:sqs""#
        ]]
        .assert_eq(&error(r#"{"Records":[{"eventSource":"aws:sqs","body":"{}"}]}"#));
        assert!(error(r#"{"Records":7}"#).contains("has no list of Records"));
        assert!(error("[").contains("has no list of Records"));
        assert_eq!(read(r#"{"Records":[]}"#, &decoder()), Ok(Vec::new()));
    }

    #[test]
    fn streams_of_other_partitions_and_with_consumers_have_names() {
        assert_eq!(stream_of("arn:aws-cn:kinesis:cn-north-1:1:stream/s"), Some("s"));
        assert_eq!(stream_of("arn:aws:kinesis:eu-west-1:1:stream/s/consumer/c:1"), Some("s"));
        assert_eq!((stream_of("arn:aws:kinesis:eu-west-1:1:stream/"), stream_of("s")), (None, None));
    }
}
