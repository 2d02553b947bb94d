//! Sources that call the function themselves: SNS, EventBridge, Firehose.

use expect_test::expect;

use crate::house::{changed, check, check_reply, error, event, read};

const SNS: &str = event!("sns");
const BUS: &str = event!("eventbridge");
const FIREHOSE: &str = event!("firehose");
const FROM_KINESIS: &str = event!("firehose-kinesis");

#[test]
fn a_message_of_a_topic_is_a_record() {
    check(
        SNS,
        expect![[r#"
        sns
        readings
          4e5dde22-d169-2eeb-1e4c-404221efd7ae | 2026-11-21T04:10:48.25Z 1795234248250000005466820574.0 webserver [6.0, 79.0, 21.9, 13.58]
    "#]],
    );
    let broken = changed(SNS, |event| {
        let sns = &mut event["Records"][0]["Sns"];
        (sns["Timestamp"], sns["TopicArn"]) = ("soon".into(), serde_json::Value::Null);
    });
    check(
        &broken,
        expect![[r#"
        sns
        unknown
          4e5dde22-d169-2eeb-1e4c-404221efd7ae | 2026-11-21T04:11:48Z 1795234308000000005466820574.0 webserver [6.0, 79.0, 21.9, 13.58]
    "#]],
    );
    check(
        &changed(SNS, |event| event["Records"][0]["Sns"] = 7.into()),
        expect![[r#"
        sns
        unknown
          - | 2026-11-21T04:11:48Z unnamed-d9a968c24f31ed78.0 rejected: the source's envelope is broken: no MessageId
    "#]],
    );
}

#[test]
fn the_detail_of_an_event_is_a_record() {
    check(
        BUS,
        expect![[r#"
        eventbridge
        com.example.web
          17793124-05d4-b198-2fde-7ededc63b103 | 2026-11-21T04:10:48Z 1795234248000000009067844282.0 webserver [6.0, 79.0, 21.9, 13.58]
    "#]],
    );
    check(
        &changed(BUS, |event| event["detail"] = "text".into()),
        expect![[r#"
            eventbridge
            com.example.web
              17793124-05d4-b198-2fde-7ededc63b103 | 2026-11-21T04:10:48Z 1795234248000000009067844282.0 rejected: not a JSON reading: neither JSON nor CSV that names a field: it begins "\"text\""
        "#]],
    );
    check(
        &changed(BUS, |event| event["id"] = 7.into()),
        expect![[r#"
        eventbridge
        com.example.web
          - | 2026-11-21T04:10:48Z unnamed-4a09fb23f619fe71.0 rejected: the source's envelope is broken: no id
    "#]],
    );
    let bare = changed(BUS, |event| {
        event
            .as_object_mut()
            .expect("an event")
            .retain(|field, _| !["source", "time"].contains(&field.as_str()));
    });
    check(
        &bare,
        expect![[r#"
        eventbridge
        unknown
          17793124-05d4-b198-2fde-7ededc63b103 | 2026-11-21T04:11:48Z 1795234308000000009067844282.0 webserver [6.0, 79.0, 21.9, 13.58]
    "#]],
    );
}

/// There is no partial answer to a push: an error has it brought again.
#[test]
fn a_push_is_done_or_comes_again_whole() {
    check_reply(SNS, &[None], expect![[r#"{"batchItemFailures":[]}"#]]);
    check_reply(
        SNS,
        &[Some(0)],
        expect!["all of the batch is wanted again: its source takes no part of it back"],
    );
    check_reply(
        BUS,
        &[Some(0)],
        expect!["all of the batch is wanted again: its source takes no part of it back"],
    );
    check_reply(
        FIREHOSE,
        &[Some(4)],
        expect!["all of the batch is wanted again: its source takes no part of it back"],
    );
}

#[test]
fn firehose_gets_every_record_back_with_what_became_of_it() {
    check(
        FIREHOSE,
        expect![[r#"
            firehose
            readings
              49546986683135544286507457936321625675700192471156785150000000 | 2026-11-21T04:10:48.25Z 1795234248250000008054104714.0 webserver [6.0, 79.0, 21.9, 13.58]
              49546986683135544286507457936321625675700192471156785151000000 | 2026-11-21T04:10:49.25Z 1795234249250000012977582736.0 webserver [6.1, 102.0, 27.9, 13.58]
              49546986683135544286507457936321625675700192471156785152000000 | 2026-11-21T04:10:50.25Z 1795234250250000025630851442.0 rejected: not a JSON reading: neither JSON nor CSV that names a field: it begins "not JSON"
              49546986683135544286507457936321625675700192471156785153000000 | 2026-11-21T04:10:51.25Z 1795234251250000034069559469.0 rejected: the data is not Base64
              49546986683135544286507457936321625675700192471156785154000000 | 2026-11-21T04:10:52.25Z 1795234252250000043293023365.0 webserver [6.1, 86.0, 21.7, 13.58]
        "#]],
    );
    let reply: serde_json::Value =
        serde_json::from_str(&crate::house::reply(FIREHOSE, &[None])).expect("JSON");
    let came: serde_json::Value = serde_json::from_str(FIREHOSE).expect("JSON");
    let (back, came) =
        (reply["records"].as_array().expect("records"), came["records"].as_array().expect("records"));
    assert_eq!(back.len(), came.len());
    for (back, came) in back.iter().zip(came) {
        assert_eq!(
            (&back["recordId"], &back["data"]),
            (&came["recordId"], &came["data"]),
            "in order, as it came"
        );
    }
    let results: Vec<_> = back.iter().map(|record| record["result"].as_str().expect("a result")).collect();
    assert_eq!(results, ["Ok", "Ok", "ProcessingFailed", "ProcessingFailed", "Ok"]);
}

#[test]
fn records_of_a_kinesis_stream_keep_their_shards_and_numbers() {
    check(
        FROM_KINESIS,
        expect![[r#"
        firehose
        records/shardId-000000000000
          49546986683135544286507457936321625675700192471156785150000000 | 2026-11-21T04:10:48.25Z 496000000000000000000000000000000000000000000000000020740000000000.0 webserver [6.0, 79.0, 21.9, 13.58]
          49546986683135544286507457936321625675700192471156785152000000 | 2026-11-21T04:10:50.25Z 496000000000000000000000000000000000000000000000000020750000000000.0 webserver [6.1, 102.0, 27.9, 13.58]
          49546986683135544286507457936321625675700192471156785153000000 | 2026-11-21T04:10:51.25Z 496000000000000000000000000000000000000000000000000020750000000001.0 webserver [7.9, 96.0, 29.6, 13.58]
        records/shardId-000000000001
          49546986683135544286507457936321625675700192471156785151000000 | 2026-11-21T04:10:49.25Z 496000000000000000000000000000000000000000000000000020740000000000.0 database [6.0, 79.0, 21.9, 13.58]
    "#]],
    );
}

/// Records of one millisecond keep the order in which Firehose brings them, and records that came out of order
/// are sorted, while the reply stays in the order of the event.
#[test]
fn firehose_records_are_in_the_order_of_their_arrival() {
    let shuffled = changed(FIREHOSE, |event| {
        let records = event["records"].as_array_mut().expect("records");
        records.swap(0, 4);
        let time = records[1]["approximateArrivalTimestamp"].clone();
        records[2]["approximateArrivalTimestamp"] = time;
    });
    check(
        &shuffled,
        expect![[r#"
            firehose
            readings
              49546986683135544286507457936321625675700192471156785150000000 | 2026-11-21T04:10:48.25Z 1795234248250000048054104714.0 webserver [6.0, 79.0, 21.9, 13.58]
              49546986683135544286507457936321625675700192471156785151000000 | 2026-11-21T04:10:49.25Z 1795234249250000012977582736.0 webserver [6.1, 102.0, 27.9, 13.58]
              49546986683135544286507457936321625675700192471156785152000000 | 2026-11-21T04:10:49.25Z 1795234249250000025630851442.0 rejected: not a JSON reading: neither JSON nor CSV that names a field: it begins "not JSON"
              49546986683135544286507457936321625675700192471156785153000000 | 2026-11-21T04:10:51.25Z 1795234251250000034069559469.0 rejected: the data is not Base64
              49546986683135544286507457936321625675700192471156785154000000 | 2026-11-21T04:10:52.25Z 1795234252250000003293023365.0 webserver [6.1, 86.0, 21.7, 13.58]
        "#]],
    );
    let reply: serde_json::Value =
        serde_json::from_str(&crate::house::reply(&shuffled, &[None])).expect("JSON");
    let results: Vec<_> = reply["records"]
        .as_array()
        .expect("records")
        .iter()
        .map(|record| record["result"].as_str().expect("a result"))
        .collect();
    assert_eq!(results, ["Ok", "Ok", "ProcessingFailed", "ProcessingFailed", "Ok"]);
}

#[test]
fn broken_firehose_records_are_rejects() {
    let broken = changed(FIREHOSE, |event| {
        event["records"][0] = serde_json::Value::Null;
        event["records"][1]["recordId"] = 7.into();
        event["records"][2]["data"] = serde_json::Value::Null;
        event["records"][4]["approximateArrivalTimestamp"] = (-1).into();
    });
    check(
        &broken,
        expect![[r#"
        firehose
        readings
          49546986683135544286507457936321625675700192471156785152000000 | 2026-11-21T04:10:50.25Z 1795234250250000025630851442.0 rejected: the source's envelope is broken: no data
          49546986683135544286507457936321625675700192471156785153000000 | 2026-11-21T04:10:51.25Z 1795234251250000034069559469.0 rejected: the data is not Base64
          49546986683135544286507457936321625675700192471156785154000000 | 2026-11-21T04:11:48Z 1795234308000000043293023365.0 webserver [6.1, 86.0, 21.7, 13.58]
          - | 2026-11-21T04:11:48Z unnamed-74234e98afe7498f.0 rejected: the source's envelope is broken: no recordId
          - | 2026-11-21T04:10:49.25Z unnamed-fd2a3243dfe72737.0 rejected: the source's envelope is broken: no recordId
    "#]],
    );
    check_reply(
        &broken,
        &[None],
        expect![[
            r#"{"records":[{"recordId":"","result":"ProcessingFailed","data":""},{"recordId":"","result":"ProcessingFailed","data":"eyJzZXJpZXMiOiAid2Vic2VydmVyIiwgInRpbWVzdGFtcCI6ICIyMDI2LTExLTIxVDA0OjEwOjQ5WiIsICJsYXRlbmN5X21zIjogNi4xLCAicmVxdWVzdHMiOiAxMDIsICJjcHVfcGVyY2VudCI6IDI3LjksICJtZW1vcnlfbWIiOiAxMy41OH0="},{"recordId":"49546986683135544286507457936321625675700192471156785152000000","result":"ProcessingFailed","data":""},{"recordId":"49546986683135544286507457936321625675700192471156785153000000","result":"ProcessingFailed","data":"eyJz*"},{"recordId":"49546986683135544286507457936321625675700192471156785154000000","result":"Ok","data":"eyJzZXJpZXMiOiAid2Vic2VydmVyIiwgInRpbWVzdGFtcCI6ICIyMDI2LTExLTIxVDA0OjEwOjUyWiIsICJsYXRlbmN5X21zIjogNi4xLCAicmVxdWVzdHMiOiA4NiwgImNwdV9wZXJjZW50IjogMjEuNywgIm1lbW9yeV9tYiI6IDEzLjU4fQ=="}]}"#
        ]],
    );
}

#[test]
fn other_pipes_are_refused() {
    let sqs = r#"[{"eventSource":"aws:sqs","body":"{}","messageId":"m"}]"#;
    expect!["this function takes records of Kinesis, SQS, Kafka, a DynamoDB stream, SNS, EventBridge or Firehose, or an HTTP request of payload format 2.0, and the event is a bare list of records of aws:sqs, and of EventBridge Pipes only Kafka's are read"].assert_eq(&error(sqs));
    expect!["this function takes records of Kinesis, SQS, Kafka, a DynamoDB stream, SNS, EventBridge or Firehose, or an HTTP request of payload format 2.0, and the event is a bare list of records of no eventSource, and of EventBridge Pipes only Kafka's are read"].assert_eq(&error("[]"));
    assert!(read("[7]").is_err());
}
