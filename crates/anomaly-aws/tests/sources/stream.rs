//! Kinesis and DynamoDB streams.

use expect_test::expect;

use crate::house::{changed, check, check_reply, event, read};

const KINESIS: &str = event!("kinesis");
const TABLE: &str = event!("dynamodb-images");

#[test]
fn a_shard_resumes_at_one_record() {
    check_reply(KINESIS, &[None], expect![[r#"{"batchItemFailures":[]}"#]]);
    check_reply(
        KINESIS,
        &[Some(5)],
        expect![[
            r#"{"batchItemFailures":[{"itemIdentifier":"49600000000000000000000000000000000000000000000000002079"}]}"#
        ]],
    );
    assert!(!read(KINESIS).expect("an event").is_worth_going_on());
}

#[test]
fn an_item_is_a_record_as_it_is_after_the_change() {
    check(
        TABLE,
        expect![[r#"
        dynamodb
        readings
          4421584500000000017450439091 | 2026-11-21T04:10:48Z 4421584500000000017450439091.0 webserver [6.0, 79.0, 21.9, 13.58]
          4421584500000000017450439092 | 2026-11-21T04:10:49Z 4421584500000000017450439092.0 webserver [6.1, 102.0, 27.9, 13.58]
          4421584500000000017450439093 | 2026-11-21T04:10:50Z 4421584500000000017450439093.0 webserver [7.9, 96.0, 29.6, 13.58]
          4421584500000000017450439094 | nothing
          4421584500000000017450439095 | 2026-11-21T04:10:52Z 4421584500000000017450439095.0 webserver [6.1, 86.0, 21.7, 13.58]
    "#]],
    );
}

#[test]
fn changes_at_fault_leave_their_neighbours_alone() {
    check(
        event!("dynamodb-images-bad"),
        expect![[r#"
        dynamodb
        readings
          4421584500000000017450439091 | 2026-11-21T04:10:48Z 4421584500000000017450439091.0 webserver [6.0, 79.0, 21.9, 13.58]
          4421584500000000017450439092 | 2026-11-21T04:10:49Z 4421584500000000017450439092.0 rejected: the source's envelope is broken: no NewImage; let the stream show NEW_IMAGE or NEW_AND_OLD_IMAGES
          4421584500000000017450439093 | 2026-11-21T04:10:50Z 4421584500000000017450439093.0 rejected: the source's envelope is broken: NewImage is no item of DynamoDB
          - | 2026-11-21T04:10:51Z unnamed-3d66e4f02a9950da.0 rejected: the source's envelope is broken: no usable SequenceNumber
          4421584500000000017450439095 | 2026-11-21T04:10:52Z 4421584500000000017450439095.0 rejected: requests is missing
          4421584500000000017450439096 | 2026-11-21T04:10:53Z 4421584500000000017450439096.0 webserver [4.5, 1.0, 0.0, 0.0]
    "#]],
    );
    let broken = changed(TABLE, |event| {
        event["Records"][0]["dynamodb"] = serde_json::Value::Null;
        event["Records"][1]["eventSourceARN"] = 7.into();
        event["Records"][2]["dynamodb"]["SequenceNumber"] = "9".repeat(41).into();
        event["Records"][4]["dynamodb"]["ApproximateCreationDateTime"] = "soon".into();
    });
    check(
        &broken,
        expect![[r#"
        dynamodb
        readings
          - | 2026-11-21T04:11:48Z unnamed-5b2071ae4ff793ac.0 rejected: the source's envelope is broken: no usable SequenceNumber
          4421584500000000017450439092 | 2026-11-21T04:10:49Z 4421584500000000017450439092.0 webserver [6.1, 102.0, 27.9, 13.58]
          - | 2026-11-21T04:10:50Z unnamed-5fc2c461a85d48d8.0 rejected: the source's envelope is broken: no usable SequenceNumber
          4421584500000000017450439094 | nothing
          4421584500000000017450439095 | 2026-11-21T04:11:48Z 4421584500000000017450439095.0 webserver [6.1, 86.0, 21.7, 13.58]
    "#]],
    );
}

#[test]
fn a_table_resumes_at_one_change() {
    check_reply(TABLE, &[None], expect![[r#"{"batchItemFailures":[]}"#]]);
    check_reply(
        TABLE,
        &[Some(3)],
        expect![[r#"{"batchItemFailures":[{"itemIdentifier":"4421584500000000017450439094"}]}"#]],
    );
    let unnamed = |index: usize| {
        changed(TABLE, |event| event["Records"][index]["dynamodb"]["SequenceNumber"] = "".into())
    };
    check_reply(
        &unnamed(3),
        &[Some(3)],
        expect![[r#"{"batchItemFailures":[{"itemIdentifier":"4421584500000000017450439093"}]}"#]],
    );
    check_reply(
        &unnamed(0),
        &[Some(0)],
        expect![
            "all of the batch is wanted again: the first record wanted again has no sequence number, nor has any before it"
        ],
    );
}
