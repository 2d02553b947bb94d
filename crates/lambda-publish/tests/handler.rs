//! The handler on event files, over ports in memory.

use anomaly_aws::event::BatchResponse;
use anomaly_core::alert::Transition;
use anomaly_core::classify::SeriesState;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, TransitionV1};
use anomaly_fakes::failing::{Failing, Failure};
use anomaly_fakes::memory::{MemoryTables, RecordingPublisher};
use anomaly_pipeline::ports::States;
use expect_test::{Expect, expect};
use lambda_publish::handle;
use serde_json::{Value, json};

const DYNAMODB: &str = include_str!("../../../events/dynamodb.json");
const SWEEP: &str = include_str!("../../../events/sweep.json");

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms).expect("in range")
}

/// The transition of the event file.
fn transition() -> Transition {
    let event: Value = serde_json::from_str(DYNAMODB).expect("JSON");
    let body = event["Records"][0]["dynamodb"]["NewImage"]["body"]["S"].as_str().expect("a body");
    wire::read::<TransitionV1>(body).expect("its own message").transition
}

/// The outbox as `classify` left it, with the first `steps` steps of the file's alert.
async fn outbox(steps: u32) -> MemoryTables {
    let tables = MemoryTables::default();
    let steps: Vec<Transition> = (1..=steps).map(|number| Transition { number, ..transition() }).collect();
    let series = transition().series;
    tables.save(&series, &SeriesState::default(), None, &steps, at(0)).await.expect("in memory");
    tables
}

/// The file's record for each change: the step's number, what happened, and the record's number.
fn event(changes: &[(u32, &str, Option<&str>)]) -> String {
    let file: Value = serde_json::from_str(DYNAMODB).expect("JSON");
    let record = |(number, what, name): &(u32, &str, Option<&str>)| {
        let mut record = file["Records"][0].clone();
        record["eventName"] = json!(what);
        record["dynamodb"]["Keys"]["transition"]["N"] = json!(number.to_string());
        record["dynamodb"]["SequenceNumber"] = json!(name);
        record
    };
    json!({ "Records": changes.iter().map(record).collect::<Vec<_>>() }).to_string()
}

fn check(response: BatchResponse, expected: Expect) {
    expected.assert_eq(&serde_json::to_string(&response).expect("plain data"));
}

#[tokio::test]
async fn a_new_row_is_told_once() {
    let (tables, people) = (outbox(1).await, RecordingPublisher::default());
    for _ in 0..2 {
        let response = handle(&tables, &people, DYNAMODB, at(0), at(9)).await.expect("handled");
        check(response, expect![[r#"{"batchItemFailures":[]}"#]]);
    }
    let [message] = &people.messages()[..] else { panic!("one message") };
    assert_eq!(message.subject, "[CRITICAL] webserver: slow");
}

#[tokio::test]
async fn a_topic_that_fails_is_resumed_at() {
    let tables = outbox(3).await;
    let people = Failing::new(RecordingPublisher::default(), &[(1, Failure::Before)]);
    let event = event(&[
        (1, "INSERT", Some("501")),
        (1, "MODIFY", Some("502")),
        (2, "INSERT", Some("503")),
        (3, "INSERT", Some("504")),
    ]);
    let response = handle(&tables, &people, &event, at(0), at(9)).await.expect("handled");
    check(response, expect![[r#"{"batchItemFailures":[{"itemIdentifier":"503"}]}"#]]);
}

#[tokio::test]
async fn what_cannot_be_named_is_resumed_at_what_can() {
    let tables = outbox(2).await;
    let people = Failing::new(RecordingPublisher::default(), &[(1, Failure::Before), (2, Failure::Before)]);
    let named = event(&[(1, "INSERT", Some("501")), (2, "INSERT", None)]);
    let response = handle(&tables, &people, &named, at(0), at(9)).await.expect("handled");
    check(response, expect![[r#"{"batchItemFailures":[{"itemIdentifier":"501"}]}"#]]);
    let nameless = event(&[(2, "INSERT", None)]);
    let error = handle(&tables, &people, &nameless, at(100), at(109)).await.expect_err("no name");
    assert!(error.to_string().starts_with("all of the batch is wanted again"), "{error}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_does_not_stop_the_stream() {
    let (tables, people) = (outbox(1).await, RecordingPublisher::default());
    let broken = r#"{"eventName":"INSERT","dynamodb":{"Keys":{"alert":{"N":"1"}},"SequenceNumber":"500"}}"#;
    let event = DYNAMODB.replacen("\"Records\": [", &format!("\"Records\": [{broken}, null, 7, "), 1);
    let response = handle(&tables, &people, &event, at(0), at(9)).await.expect("handled");
    check(response, expect![[r#"{"batchItemFailures":[]}"#]]);
    assert_eq!(people.messages().len(), 1, "its neighbour was told");
}

#[tokio::test]
async fn the_sweep_tells_what_was_left() {
    let (tables, people) = (outbox(2).await, RecordingPublisher::default());
    let early = handle(&tables, &people, SWEEP, at(60_000), at(61_000)).await.expect("handled");
    assert!(early.failures.is_empty() && people.messages().is_empty(), "too young: it is on its way");
    let response = handle(&tables, &people, SWEEP, at(60_001), at(61_000)).await.expect("handled");
    check(response, expect![[r#"{"batchItemFailures":[]}"#]]);
    assert_eq!(people.messages().len(), 2);
}

#[tokio::test]
async fn a_sweep_that_cannot_list_fails() {
    let tables = outbox(1).await;
    let failing = Failing::new(&tables, &[(0, Failure::Before)]);
    let people = RecordingPublisher::default();
    let error = handle(&failing, &people, SWEEP, at(100_000), at(101_000)).await.expect_err("no list");
    expect!["all of the batch is wanted again: a scripted call: failed as told"]
        .assert_eq(&error.to_string());
}

#[tokio::test]
async fn anything_else_is_refused() {
    let (tables, people) = (outbox(1).await, RecordingPublisher::default());
    let error = handle(&tables, &people, r#"{"sweep":false}"#, at(0), at(9)).await.expect_err("no event");
    expect![[r#"this function takes an event of the outbox's DynamoDB stream, or {"sweep":true}, and the event has no Records"#]]
        .assert_eq(&error.to_string());
    assert!(handle(&tables, &people, "[]", at(0), at(9)).await.is_err());
}
