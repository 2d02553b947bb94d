//! Kinesis records that the producer library has put together.

use base64_simd::STANDARD;
use expect_test::expect;
use md5::{Digest, Md5};
use prost::Message;
use serde_json::Value;

use crate::house::{changed, check, check_reply, event, lines, read};

const KINESIS: &str = event!("kinesis");
const AGGREGATED: &str = event!("kinesis-aggregated");

#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<Part>,
}

#[derive(Clone, PartialEq, Message)]
struct Part {
    #[prost(uint64, required, tag = "1")]
    partition_key_index: u64,
    #[prost(bytes = "vec", required, tag = "3")]
    data: Vec<u8>,
}

/// A record's data with these parts.
fn aggregate(parts: &[&[u8]]) -> Vec<u8> {
    let records = parts.iter().map(|part| Part { partition_key_index: 0, data: part.to_vec() }).collect();
    let message = AggregatedRecord { partition_key_table: vec!["web".to_owned()], records }.encode_to_vec();
    [&[0xF3, 0x89, 0x9A, 0xC2], &message[..], &Md5::digest(&message)].concat()
}

/// The first two records of `events/kinesis.json`, the first with this data.
fn event_of(data: &[u8]) -> String {
    changed(KINESIS, |event| {
        event["Records"].as_array_mut().expect("records").truncate(2);
        event["Records"][0]["kinesis"]["data"] = STANDARD.encode_to_string(data).into();
    })
}

const WEB: &str = r#"{"series":"web","timestamp":"2026-11-21T04:10:48Z","latency_ms":1,"requests":2,"cpu_percent":3,"memory_mb":4}"#;

/// All of an aggregate share its sequence number; their readings are counted through, those of a part that holds
/// several among them.
#[test]
fn readings_are_counted_through_the_aggregate() {
    let two = format!("[{WEB},{WEB}]");
    let event = event_of(&aggregate(&[WEB.as_bytes(), two.as_bytes(), b"", b"no JSON", WEB.as_bytes()]));
    check(
        &event,
        expect![[r#"
        kinesis
        records/shardId-000000000000
          49600000000000000000000000000000000000000000000000002074 | 2026-11-21T04:10:48.25Z 49600000000000000000000000000000000000000000000000002074.0 web [1.0, 2.0, 3.0, 4.0] | 2026-11-21T04:10:48.25Z 49600000000000000000000000000000000000000000000000002074.1 web [1.0, 2.0, 3.0, 4.0] | 2026-11-21T04:10:48.25Z 49600000000000000000000000000000000000000000000000002074.2 web [1.0, 2.0, 3.0, 4.0] | 2026-11-21T04:10:48.25Z 49600000000000000000000000000000000000000000000000002074.3 rejected: not a JSON reading: it is empty | 2026-11-21T04:10:48.25Z 49600000000000000000000000000000000000000000000000002074.4 rejected: not a JSON reading: neither JSON nor CSV that names a field: it begins "no JSON" | 2026-11-21T04:10:48.25Z 49600000000000000000000000000000000000000000000000002074.5 web [1.0, 2.0, 3.0, 4.0]
          49600000000000000000000000000000000000000000000000002075 | 2026-11-21T04:10:49.25Z 49600000000000000000000000000000000000000000000000002075.0 webserver [6.1, 102.0, 27.9, 13.58]
    "#]],
    );
}

/// What the producer library's own users made: see the file.
#[test]
fn an_aggregate_comes_again_as_a_whole() {
    check(
        AGGREGATED,
        expect![[r#"
        kinesis
        records/shardId-000000000000
          49600000000000000000000000000000000000000000000000002074 | 2026-11-21T04:10:48.25Z 49600000000000000000000000000000000000000000000000002074.0 webserver [6.0, 79.0, 21.9, 13.58] | 2026-11-21T04:10:48.25Z 49600000000000000000000000000000000000000000000000002074.1 database [6.0, 79.0, 21.9, 13.58] | 2026-11-21T04:10:48.25Z 49600000000000000000000000000000000000000000000000002074.2 webserver [6.1, 102.0, 27.9, 13.58]
          49600000000000000000000000000000000000000000000000002075 | 2026-11-21T04:10:49.25Z 49600000000000000000000000000000000000000000000000002075.0 webserver [7.9, 96.0, 29.6, 13.58] | 2026-11-21T04:10:49.25Z 49600000000000000000000000000000000000000000000000002075.1 rejected: not a JSON reading: neither JSON nor CSV that names a field: it begins "not JSON" | 2026-11-21T04:10:49.25Z 49600000000000000000000000000000000000000000000000002075.2 webserver [5.7, 95.0, 24.2, 13.58]
          49600000000000000000000000000000000000000000000000002076 | 2026-11-21T04:10:50.25Z 49600000000000000000000000000000000000000000000000002076.0 webserver [6.1, 86.0, 21.7, 13.58]
    "#]],
    );
    check_reply(
        AGGREGATED,
        &[Some(1)],
        expect![[
            r#"{"batchItemFailures":[{"itemIdentifier":"49600000000000000000000000000000000000000000000000002075"}]}"#
        ]],
    );
}

#[test]
fn one_that_only_looks_so_is_a_plain_record() {
    let mut corrupt = aggregate(&[WEB.as_bytes()]);
    corrupt[20] ^= 1;
    check(
        &event_of(&corrupt),
        expect![[r#"
        kinesis
        records/shardId-000000000000
          49600000000000000000000000000000000000000000000000002074 | 2026-11-21T04:10:48.25Z 49600000000000000000000000000000000000000000000000002074.0 rejected: not a JSON reading: neither JSON nor CSV that names a field: it begins "��  web q   m{\"serhes\":\"web\",\"timestam"
          49600000000000000000000000000000000000000000000000002075 | 2026-11-21T04:10:49.25Z 49600000000000000000000000000000000000000000000000002075.0 webserver [6.1, 102.0, 27.9, 13.58]
    "#]],
    );
}

#[test]
fn an_aggregate_of_nothing_is_done() {
    check(
        &event_of(&aggregate(&[])),
        expect![[r#"
        kinesis
        records/shardId-000000000000
          49600000000000000000000000000000000000000000000000002074 | nothing
          49600000000000000000000000000000000000000000000000002075 | 2026-11-21T04:10:49.25Z 49600000000000000000000000000000000000000000000000002075.0 webserver [6.1, 102.0, 27.9, 13.58]
    "#]],
    );
}

/// Within an aggregate nothing is taken apart once more.
#[test]
fn an_aggregate_within_an_aggregate_is_plain() {
    let inner = aggregate(&[WEB.as_bytes()]);
    let batch = event_of(&aggregate(&[&inner, WEB.as_bytes()]));
    let batch = read(&batch).expect("an event");
    let shown = lines(&batch);
    assert!(shown.contains(".0 rejected: ") && shown.contains(".1 web "), "{shown}");
}

#[test]
fn no_aggregate_holds_more_readings_than_any_record() {
    let limit = crate::house::intake().decoder.readings_max();
    let parts = vec![WEB.as_bytes(); limit + 5];
    let event = event_of(&aggregate(&parts));
    let batch = read(&event).expect("an event");
    let entries = batch.partitions[0].records.iter().next().expect("a record");
    assert_eq!(entries.len(), limit + 1);
    let anomaly_core::records::Decoded::Rejected(rest) = &entries[limit] else { panic!("a reject") };
    assert_eq!((rest.reject.as_str(), rest.sub as usize), ("readings", limit));
    assert_eq!(rest.bytes as usize, 5 * WEB.len() + 4, "all that was left");
}

#[test]
fn the_tolerant_way_takes_them_apart_too() {
    let fast = event_of(&aggregate(&[WEB.as_bytes(), WEB.as_bytes()]));
    let tolerant = changed(&fast, |event| {
        event["Records"][1]["eventVersion"] = Value::Array(vec![]);
    });
    assert_eq!(lines(&read(&fast).expect("an event")), lines(&read(&tolerant).expect("an event")));
}
