//! The handler on event files, over ports in memory.

use std::time::Duration;

use anomaly_aws::event::BatchResponse;
use anomaly_core::alert::Step;
use anomaly_core::classify::Policy;
use anomaly_core::config::{Config, EventTime};
use anomaly_core::decode::Decoder;
use anomaly_core::time::Timestamp;
use anomaly_fakes::failing::{Failing, Failure};
use anomaly_fakes::memory::MemoryTables;
use anomaly_pipeline::classify::Tables;
use expect_test::expect;
use lambda_classify::handle;
use serde_json::{Value, json};

const SQS: &str = include_str!("../../../events/sqs.json");
const FLUSH: &str = include_str!("../../../events/flush.json");

fn policy() -> Policy {
    let config = Config::from_toml(include_str!("../../../events/anomaly.toml")).expect("a valid file");
    Policy::new(&config, Decoder::new(&config.input).expect("a valid input").feature_names())
}

fn now() -> Timestamp {
    Timestamp::from_ms(1_795_234_260_120).expect("in range")
}

fn ids(response: &BatchResponse) -> Vec<&str> {
    response.failures.iter().map(|failure| failure.id.as_str()).collect()
}

/// Messages of these ids, groups and bodies; `None` is the body of the event file.
fn event(messages: &[(&str, Option<&str>, Option<&str>)]) -> String {
    let file: Value = serde_json::from_str(SQS).expect("JSON");
    let message = |(id, group, body): &(&str, Option<&str>, Option<&str>)| {
        let mut message = file["Records"][0].clone();
        message["messageId"] = json!(id);
        message["attributes"]["MessageGroupId"] = json!(group);
        if let Some(body) = body {
            message["body"] = json!(body);
        }
        message
    };
    json!({ "Records": messages.iter().map(message).collect::<Vec<_>>() }).to_string()
}

#[tokio::test]
async fn a_chunk_becomes_a_state_and_a_transition() {
    let tables = MemoryTables::default();
    let response =
        handle(Tables::new(&tables, &tables, &tables), &policy(), SQS, now()).await.expect("handled");
    expect![[r#"{"batchItemFailures":[]}"#]]
        .assert_eq(&serde_json::to_string(&response).expect("plain data"));
    let [row] = &tables.outbox()[..] else { panic!("one transition") };
    let transition = &row.transition;
    assert_eq!((transition.rule.as_str(), transition.step), ("slow", Step::Fired));
    assert_eq!(transition.alert.as_str(), "f7ac214017d816f9", "the same for ever");
    assert_eq!(row.created, now());
}

#[tokio::test]
async fn what_comes_again_changes_nothing() {
    let tables = MemoryTables::default();
    handle(Tables::new(&tables, &tables, &tables), &policy(), SQS, now()).await.expect("handled");
    let once = tables.outbox();
    let response = handle(Tables::new(&tables, &tables, &tables), &policy(), SQS, Timestamp::default()).await;
    assert_eq!(response, Ok(BatchResponse::default()));
    assert_eq!(tables.outbox(), once);
}

#[tokio::test]
async fn rejects_are_kept() {
    let reject = r#"{"v":1,"partition":"p","sequence":"7","arrived_ms":0,"reject":{"reason":"base64"},"bytes":1,"sha256":"","data":{"text":"*"}}"#;
    let body = format!(r#"{{"v":1,"partition":"p","model":"m","rows":[],"rejects":[{reject}]}}"#);
    let tables = MemoryTables::default();
    let event = event(&[("a", Some("p"), Some(&body))]);
    let response = handle(Tables::new(&tables, &tables, &tables), &policy(), &event, now()).await;
    assert_eq!((response, tables.rejects().len()), (Ok(BatchResponse::default()), 1));
}

#[tokio::test]
async fn a_message_that_cannot_be_read_goes_back_with_its_group() {
    let tables = MemoryTables::default();
    let event = event(&[
        ("a", Some("one"), Some("{\"v\":99}")),
        ("b", Some("two"), None),
        ("c", Some("one"), None),
        ("d", None, Some("no chunk")),
        ("e", None, None),
    ]);
    let response =
        handle(Tables::new(&tables, &tables, &tables), &policy(), &event, now()).await.expect("handled");
    assert_eq!(ids(&response), ["a", "c", "d"]);
    assert_eq!(tables.outbox().len(), 1, "b was judged, and e found it judged");
}

#[tokio::test]
async fn a_table_that_fails_anywhere_sends_the_message_back_and_nothing_is_lost() {
    for call in 0..2 {
        for failure in [Failure::Before, Failure::After] {
            let tables = MemoryTables::default();
            let failing = Failing::new(&tables, &[(call, failure)]);
            let response = handle(Tables::new(&failing, &tables, &tables), &policy(), SQS, now())
                .await
                .expect("handled");
            assert_eq!(ids(&response), ["059f36b4-87a3-44ab-83d2-661975830a7d"], "call {call}, {failure:?}");
            let again = handle(Tables::new(&failing, &tables, &tables), &policy(), SQS, now()).await;
            assert_eq!((again, tables.outbox().len()), (Ok(BatchResponse::default()), 1));
        }
    }
}

#[tokio::test]
async fn messages_without_an_id_are_the_whole_batch() {
    let tables = MemoryTables::default();
    let error =
        handle(Tables::new(&tables, &tables, &tables), &policy(), &event(&[("", None, None)]), now()).await;
    expect!["all of the batch is wanted again: a message of the queue has no messageId"]
        .assert_eq(&error.expect_err("no name").to_string());
    let kinesis = include_str!("../../../events/kinesis.json");
    let error =
        handle(Tables::new(&tables, &tables, &tables), &policy(), kinesis, now()).await.expect_err("not SQS");
    expect![[r#"this function takes an event of an SQS queue, and the event has records of "aws:kinesis""#]]
        .assert_eq(&error.to_string());
}

/// The rules of [`policy`], with readings sorted within a minute.
fn by_event_time() -> Policy {
    let mut config = Config::from_toml(include_str!("../../../events/anomaly.toml")).expect("a valid file");
    let [late, out_of_order] = [3600, 60].map(Duration::from_secs);
    config.input.event_time = Some(EventTime { late, out_of_order, ..EventTime::default() });
    Policy::new(&config, Decoder::new(&config.input).expect("a valid input").feature_names())
}

#[tokio::test]
async fn the_schedule_releases_what_waits() {
    let tables = MemoryTables::default();
    handle(Tables::new(&tables, &tables, &tables), &by_event_time(), SQS, now()).await.expect("handled");
    assert_eq!(tables.outbox(), [], "it waits");
    let response = handle(Tables::new(&tables, &tables, &tables), &by_event_time(), FLUSH, now()).await;
    assert_eq!((response, tables.outbox().len()), (Ok(BatchResponse::default()), 0), "not an hour later yet");
    let later = Timestamp::from_ms(now().as_ms() + 3_600_000).expect("in range");
    let response = handle(Tables::new(&tables, &tables, &tables), &by_event_time(), FLUSH, later).await;
    assert_eq!(response, Ok(BatchResponse::default()));
    let [row] = &tables.outbox()[..] else { panic!("one transition") };
    assert_eq!(row.transition.alert.as_str(), "f7ac214017d816f9", "the same as without waiting");
    assert_eq!(row.created, later);
    handle(Tables::new(&tables, &tables, &tables), &by_event_time(), SQS, later).await.expect("handled");
    assert_eq!(tables.outbox().len(), 1, "what comes again changes nothing");
}

#[tokio::test]
async fn a_flush_that_cannot_find_what_is_due_fails() {
    let tables = MemoryTables::default();
    let failing = Failing::new(&tables, &[(0, Failure::Before)]);
    let error = handle(Tables::new(&failing, &tables, &tables), &by_event_time(), FLUSH, now())
        .await
        .expect_err("fails");
    expect!["all of the batch is wanted again: a scripted call: failed as told"]
        .assert_eq(&error.to_string());
    let error = handle(Tables::new(&tables, &tables, &tables), &policy(), r#"{"flush":false}"#, now()).await;
    assert!(error.is_err(), "no event of ours");
    let response = handle(Tables::new(&tables, &tables, &tables), &policy(), FLUSH, now()).await;
    assert_eq!(response, Ok(BatchResponse::default()), "nothing ever waits");
}
