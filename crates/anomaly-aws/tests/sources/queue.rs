//! SQS: standard queues and FIFO queues.

use expect_test::expect;

use crate::house::{changed, check, check_reply, error, event, lines, read};

const STANDARD: &str = event!("sqs-records");
const FIFO: &str = event!("sqs-fifo");

#[test]
fn a_standard_queue_is_one_partition_in_the_order_of_sending() {
    check(
        STANDARD,
        expect![[r#"
        sqs
        readings
          ced6bfe1-f650-f6b3-3859-4d37eb7850d2 | 2026-11-21T04:10:48.25Z 1795234248250000001801657985.0 webserver [6.0, 79.0, 21.9, 13.58]
          ae7be26c-daa7-42ca-1480-68d5ac90eaca | 2026-11-21T04:10:49.25Z 1795234249250000007361495759.0 webserver [6.1, 102.0, 27.9, 13.58]
          aaf2f899-9237-9705-dac8-44c0a2a1d45f | 2026-11-21T04:10:50.25Z 1795234250250000000999306788.0 webserver [7.9, 96.0, 29.6, 13.58]
          9678f7a7-939f-457f-a0d9-353761e189c7 | 2026-11-21T04:10:51.25Z 1795234251250000006555748706.0 webserver [5.7, 95.0, 24.2, 13.58]
          fd6b6fc9-220b-72d2-1683-ae8e4f50a210 | 2026-11-21T04:10:52.25Z 1795234252250000008573198657.0 webserver [6.1, 86.0, 21.7, 13.58]
    "#]],
    );
}

/// What comes again alone has the same number, so that it is recognised.
#[test]
fn a_message_has_the_same_number_in_every_batch() {
    let all = lines(&read(STANDARD).expect("an event"));
    let one = changed(STANDARD, |event| {
        let records = event["Records"].as_array_mut().expect("records");
        records.drain(1..);
        records[0]["attributes"]["ApproximateReceiveCount"] = "7".into();
        records[0]["receiptHandle"] = "another".into();
    });
    let one = lines(&read(&one).expect("an event"));
    let line = one.lines().nth(2).expect("a record");
    assert!(all.lines().any(|known| known == line), "{line}\n{all}");
}

#[test]
fn a_fifo_queue_has_a_partition_for_each_group() {
    check(
        FIFO,
        expect![[r#"
        sqs
        readings.fifo/web
          ced6bfe1-f650-f6b3-3859-4d37eb7850d2 | 2026-11-21T04:10:48.25Z 18849496460467696128.0 webserver [6.0, 79.0, 21.9, 13.58]
          aaf2f899-9237-9705-dac8-44c0a2a1d45f | 2026-11-21T04:10:49.25Z 18849496460467696640.0 webserver [6.1, 102.0, 27.9, 13.58]
          fd6b6fc9-220b-72d2-1683-ae8e4f50a210 | 2026-11-21T04:10:50.25Z 18849496460467697152.0 webserver [7.9, 96.0, 29.6, 13.58]
        readings.fifo/db
          ae7be26c-daa7-42ca-1480-68d5ac90eaca | 2026-11-21T04:10:48.35Z 18849496460467696384.0 database [6.1, 102.0, 27.9, 13.58]
          9678f7a7-939f-457f-a0d9-353761e189c7 | 2026-11-21T04:10:49.35Z 18849496460467696896.0 database [7.9, 96.0, 29.6, 13.58]
    "#]],
    );
}

/// Standard queues may have groups too, for fairness; they promise no order within them.
#[test]
fn a_group_makes_no_fifo_queue() {
    let fair = changed(STANDARD, |event| {
        event["Records"][0]["attributes"]["MessageGroupId"] = "tenant".into();
    });
    assert_eq!(read(&fair).expect("an event").partitions.len(), 1);
}

#[test]
fn messages_at_fault_leave_their_neighbours_alone() {
    check(
        event!("sqs-records-bad"),
        expect![[r#"
            sqs
            readings
              ced6bfe1-f650-f6b3-3859-4d37eb7850d2 | 2026-11-21T04:10:48.25Z 1795234248250000001801657985.0 webserver [6.0, 79.0, 21.9, 13.58]
              ae7be26c-daa7-42ca-1480-68d5ac90eaca | 2026-11-21T04:10:49.25Z 1795234249250000007361495759.0 rejected: not a JSON reading: it ends too early at byte 21
              aaf2f899-9237-9705-dac8-44c0a2a1d45f | 2026-11-21T04:10:50.25Z 1795234250250000000999306788.0 rejected: the source's envelope is broken: no body
              9678f7a7-939f-457f-a0d9-353761e189c7 | 2026-11-21T04:10:51.25Z 1795234251250000006555748706.0 rejected: not a JSON reading: it is empty
              7b1f6dff-14d8-c2df-eb7d-a9487be0612d | 2026-11-21T04:10:53.25Z 1795234253250000006985672971.0 webserver [4.5, 1.0, 0.0, 0.0]
              fd6b6fc9-220b-72d2-1683-ae8e4f50a210 | 2026-11-21T04:11:48Z 1795234308000000008573198657.0 webserver [6.1, 86.0, 21.7, 13.58]
        "#]],
    );
    let broken = changed(FIFO, |event| {
        event["Records"][0]["attributes"]["SequenceNumber"] = "first".into();
        event["Records"][1]["attributes"] = serde_json::Value::Null;
        event["Records"][2]["messageId"] = "".into();
        event["Records"][3] = 7.into();
    });
    check(
        &broken,
        expect![[r#"
        sqs
        readings.fifo/web
          ced6bfe1-f650-f6b3-3859-4d37eb7850d2 | 2026-11-21T04:10:48.25Z unnamed-58b95a1d2048d347.0 rejected: the source's envelope is broken: no group or no number in it
          - | 2026-11-21T04:10:49.25Z 18849496460467696640.0 webserver [6.1, 102.0, 27.9, 13.58]
          fd6b6fc9-220b-72d2-1683-ae8e4f50a210 | 2026-11-21T04:10:50.25Z 18849496460467697152.0 webserver [7.9, 96.0, 29.6, 13.58]
        readings.fifo
          ae7be26c-daa7-42ca-1480-68d5ac90eaca | 2026-11-21T04:11:48Z unnamed-47dc91d0f9869bc1.0 rejected: the source's envelope is broken: no group or no number in it
          - | 2026-11-21T04:11:48Z unnamed-7902699be42c8a8e.0 rejected: the source's envelope is broken: no group or no number in it
    "#]],
    );
}

#[test]
fn each_message_wanted_again_is_named() {
    check_reply(STANDARD, &[None], expect![[r#"{"batchItemFailures":[]}"#]]);
    check_reply(
        STANDARD,
        &[Some(3)],
        expect![[
            r#"{"batchItemFailures":[{"itemIdentifier":"9678f7a7-939f-457f-a0d9-353761e189c7"},{"itemIdentifier":"fd6b6fc9-220b-72d2-1683-ae8e4f50a210"}]}"#
        ]],
    );
    check_reply(
        STANDARD,
        &[Some(0)],
        expect![[
            r#"{"batchItemFailures":[{"itemIdentifier":"ced6bfe1-f650-f6b3-3859-4d37eb7850d2"},{"itemIdentifier":"ae7be26c-daa7-42ca-1480-68d5ac90eaca"},{"itemIdentifier":"aaf2f899-9237-9705-dac8-44c0a2a1d45f"},{"itemIdentifier":"9678f7a7-939f-457f-a0d9-353761e189c7"},{"itemIdentifier":"fd6b6fc9-220b-72d2-1683-ae8e4f50a210"}]}"#
        ]],
    );
}

#[test]
fn of_a_fifo_queue_the_first_failure_and_its_group_behind_it() {
    check_reply(
        FIFO,
        &[Some(1), None],
        expect![[
            r#"{"batchItemFailures":[{"itemIdentifier":"aaf2f899-9237-9705-dac8-44c0a2a1d45f"},{"itemIdentifier":"fd6b6fc9-220b-72d2-1683-ae8e4f50a210"}]}"#
        ]],
    );
    check_reply(
        FIFO,
        &[None, Some(0)],
        expect![[
            r#"{"batchItemFailures":[{"itemIdentifier":"ae7be26c-daa7-42ca-1480-68d5ac90eaca"},{"itemIdentifier":"9678f7a7-939f-457f-a0d9-353761e189c7"}]}"#
        ]],
    );
    check_reply(
        FIFO,
        &[Some(2), Some(1)],
        expect![[
            r#"{"batchItemFailures":[{"itemIdentifier":"fd6b6fc9-220b-72d2-1683-ae8e4f50a210"},{"itemIdentifier":"9678f7a7-939f-457f-a0d9-353761e189c7"}]}"#
        ]],
    );
    assert!(read(FIFO).expect("an event").is_worth_going_on(), "groups fail alone");
}

#[test]
fn a_message_without_a_name_takes_the_batch_with_it_only_if_it_is_wanted_again() {
    let unnamed = changed(FIFO, |event| event["Records"][2]["messageId"] = serde_json::Value::Null);
    check_reply(
        &unnamed,
        &[Some(2), None],
        expect![[r#"{"batchItemFailures":[{"itemIdentifier":"fd6b6fc9-220b-72d2-1683-ae8e4f50a210"}]}"#]],
    );
    check_reply(
        &unnamed,
        &[Some(1), None],
        expect!["all of the batch is wanted again: a message that is wanted again has no messageId"],
    );
    check_reply(
        &unnamed,
        &[Some(0), None],
        expect!["all of the batch is wanted again: a message that is wanted again has no messageId"],
    );
}

#[test]
fn a_batch_of_two_sources_is_refused() {
    let mixed = changed(STANDARD, |event| event["Records"][1]["eventSource"] = "aws:s3".into());
    assert!(error(&mixed).ends_with(r#"and the event has records of "aws:s3""#), "{}", error(&mixed));
}
