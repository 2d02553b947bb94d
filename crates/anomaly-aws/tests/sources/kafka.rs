//! Kafka: MSK, clusters of one's own, Event Hubs, EventBridge Pipes.

use expect_test::expect;

use crate::house::{changed, check, check_reply, event, read};

const MSK: &str = event!("msk");
const PIPES: &str = event!("pipes-kafka");

#[test]
fn each_partition_of_a_topic_is_one() {
    check(
        MSK,
        expect![[r#"
        kafka
        readings-0
          0 | 2026-11-21T04:10:48.25Z 0.0 webserver [6.0, 79.0, 21.9, 13.58]
          1 | 2026-11-21T04:10:49.25Z 1.0 webserver [6.1, 102.0, 27.9, 13.58]
          2 | 2026-11-21T04:10:50.25Z 2.0 webserver [7.9, 96.0, 29.6, 13.58]
        readings-1
          40 | 2026-11-21T04:11:28.25Z 40.0 database [6.0, 79.0, 21.9, 13.58]
          41 | 2026-11-21T04:11:29.25Z 41.0 database [6.1, 102.0, 27.9, 13.58]
    "#]],
    );
    check(
        event!("kafka"),
        expect![[r#"
        kafka
        readings-0
          15 | 2026-11-21T04:11:03.25Z 15.0 webserver [6.0, 79.0, 21.9, 13.58]
          16 | 2026-11-21T04:11:04.25Z 16.0 webserver [6.1, 102.0, 27.9, 13.58]
          17 | 2026-11-21T04:11:05.25Z 17.0 webserver [7.9, 96.0, 29.6, 13.58]
    "#]],
    );
}

/// Partition and offset as text, absent headers, AMQP's header bytes with and without a sign, null keys and
/// values, no time, and the other spelling of the source.
#[test]
fn what_event_hubs_sends_is_read() {
    check(
        event!("event-hubs"),
        expect![[r#"
        kafka
        readings-0
          7 | 2026-11-21T04:10:55.25Z 7.0 webserver [6.0, 79.0, 21.9, 13.58]
          8 | 2026-11-21T04:10:56.25Z 8.0 webserver [6.1, 102.0, 27.9, 13.58]
          9 | 2026-11-21T04:10:57.25Z 9.0 webserver [7.9, 96.0, 29.6, 13.58]
          10 | 2026-11-21T04:10:58.25Z 10.0 webserver [5.7, 95.0, 24.2, 13.58]
          11 | nothing
          12 | 2026-11-21T04:11:48Z 12.0 webserver [6.1, 86.0, 21.7, 13.58]
    "#]],
    );
}

#[test]
fn pipes_hand_over_a_flat_list() {
    check(
        PIPES,
        expect![[r#"
        kafka
        readings-0
          7 | 2026-11-21T04:10:55.25Z 7.0 webserver [6.0, 79.0, 21.9, 13.58]
          8 | 2026-11-21T04:10:56.25Z 8.0 webserver [6.1, 102.0, 27.9, 13.58]
        readings-1
          3 | 2026-11-21T04:10:51.25Z 3.0 database [6.0, 79.0, 21.9, 13.58]
    "#]],
    );
    check_reply(PIPES, &[None, None], expect![[r#"{"batchItemFailures":[]}"#]]);
    check_reply(
        PIPES,
        &[None, Some(0)],
        expect!["all of the batch is wanted again: its source takes no part of it back"],
    );
}

#[test]
fn records_at_fault_leave_their_neighbours_alone() {
    check(
        event!("kafka-bad"),
        expect![[r#"
            kafka
            readings-0
              15 | 2026-11-21T04:11:03.25Z 15.0 webserver [6.0, 79.0, 21.9, 13.58]
              16 | 2026-11-21T04:11:04.25Z 16.0 rejected: the data is not Base64
              17 | 2026-11-21T04:11:05.25Z 17.0 rejected: the source's envelope is broken: a value that is no text
              - | 2026-11-21T04:11:06.25Z unnamed-a7ed972a40738a61.0 rejected: the source's envelope is broken: no usable offset
              - | 2026-11-21T04:11:48Z unnamed-74234e98afe7498f.0 rejected: the source's envelope is broken: no usable offset
              20 | 2026-11-21T04:11:08.25Z 20.0 rejected: not a JSON reading: neither JSON nor CSV that names a field: it begins "not JSON"
              21 | 2026-11-21T04:11:09.25Z 21.0 webserver [4.5, 1.0, 0.0, 0.0]
            readings-1
              - | 2026-11-21T04:11:48Z unnamed-30a0924a3360be68.0 rejected: the source's envelope is broken: no usable offset
        "#]],
    );
}

#[test]
fn whatever_headers_hold_is_no_concern() {
    for headers in
        ["null", "7", "{}", "[null]", r#"[{"a":null}]"#, r#"[{"a":[300,-200,1.5,"x"]}]"#, r#"[[1]]"#]
    {
        let event = changed(MSK, |event| {
            event["records"]["readings-0"][0]["headers"] = serde_json::from_str(headers).expect("JSON");
            event["records"]["readings-0"][0]["key"] = serde_json::from_str(headers).expect("JSON");
        });
        assert_eq!(read(&event), read(MSK), "{headers}");
    }
}

#[test]
fn nothing_is_an_empty_batch() {
    for records in ["null", "{}", r#"{"readings-0":[]}"#, r#"{"readings-0":null}"#] {
        let event = changed(MSK, |event| event["records"] = serde_json::from_str(records).expect("JSON"));
        assert!(read(&event).expect("an event of Kafka").is_empty(), "{records}");
    }
}

/// Whether a mapping takes the lowest offset or every one, nothing is skipped.
#[test]
fn every_offset_wanted_again_is_named() {
    check_reply(MSK, &[None, None], expect![[r#"{"batchItemFailures":[]}"#]]);
    check_reply(
        MSK,
        &[Some(1), None],
        expect![[
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"readings-0","offset":1}},{"itemIdentifier":{"partition":"readings-0","offset":2}}]}"#
        ]],
    );
    check_reply(
        MSK,
        &[None, Some(0)],
        expect![[
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"readings-1","offset":40}},{"itemIdentifier":{"partition":"readings-1","offset":41}}]}"#
        ]],
    );
    assert!(read(MSK).expect("an event").is_worth_going_on(), "partitions fail alone");
    let unnamed = changed(MSK, |event| event["records"]["readings-0"][1]["offset"] = (-1).into());
    check_reply(
        &unnamed,
        &[Some(2), None],
        expect![[r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"readings-0","offset":2}}]}"#]],
    );
    check_reply(
        &unnamed,
        &[Some(1), None],
        expect!["all of the batch is wanted again: a record that is wanted again has no offset"],
    );
}

/// A producer's clock may be wrong; what it says is to come has arrived now.
#[test]
fn a_record_never_arrives_later_than_now() {
    let arrived = |kind: &str, ms: i64| {
        let event = changed(MSK, |event| {
            let record = &mut event["records"]["readings-0"][0];
            (record["timestamp"], record["timestampType"]) = (ms.into(), kind.into());
        });
        let batch = read(&event).expect("an event");
        let anomaly_core::records::Decoded::Reading(reading) = &batch.partitions[0].records.entries()[0]
        else {
            panic!("a reading");
        };
        reading.position.arrived.to_string()
    };
    assert_eq!(
        arrived("CREATE_TIME", 1_795_234_248_250),
        "2026-11-21T04:10:48.25Z",
        "and not now: a backlog is not late"
    );
    assert_eq!(arrived("CREATE_TIME", 1_895_234_248_250), "2026-11-21T04:11:48Z");
    assert_eq!(arrived("LOG_APPEND_TIME", 1_895_234_248_250), "2030-01-21T13:57:28.25Z");
    assert_eq!(arrived("CREATE_TIME", -1), "2026-11-21T04:11:48Z");
}
