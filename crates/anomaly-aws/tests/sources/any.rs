//! Any event: told apart, refused in clear words, never a panic.

use anomaly_aws::source::Intake;
use expect_test::expect;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::house::{error, event, intake, now, read};

/// One event of each source.
const EVENTS: [(&str, &str); 19] = [
    ("kinesis", event!("kinesis")),
    ("kinesis", event!("kinesis-bad")),
    ("kinesis", event!("kinesis-aggregated")),
    ("sqs", event!("sqs-records")),
    ("sqs", event!("sqs-records-bad")),
    ("sqs", event!("sqs-fifo")),
    ("dynamodb", event!("dynamodb-images")),
    ("dynamodb", event!("dynamodb-images-bad")),
    ("kafka", event!("kafka")),
    ("kafka", event!("msk")),
    ("kafka", event!("event-hubs")),
    ("kafka", event!("kafka-bad")),
    ("kafka", event!("pipes-kafka")),
    ("sns", event!("sns")),
    ("eventbridge", event!("eventbridge")),
    ("firehose", event!("firehose")),
    ("firehose", event!("firehose-kinesis")),
    ("http", event!("http")),
    ("http", event!("http-array")),
];

#[test]
fn events_are_told_apart() {
    for (source, event) in EVENTS {
        assert_eq!(read(event).expect("an event of ours").source, source);
    }
    assert!(read(r#"{"Records":[]}"#).expect("nothing").is_empty());
}

#[test]
fn other_events_are_refused_in_clear_words() {
    expect!["this function takes records of Kinesis, SQS, Kafka, a DynamoDB stream, SNS, EventBridge or Firehose, or an HTTP request of payload format 2.0, and the event is empty"].assert_eq(&error("{}"));
    expect!["this function takes records of Kinesis, SQS, Kafka, a DynamoDB stream, SNS, EventBridge or Firehose, or an HTTP request of payload format 2.0, and the event has sweep"].assert_eq(&error(r#"{"sweep":true}"#));
    expect![[r#"this function takes records of Kinesis, SQS, Kafka, a DynamoDB stream, SNS, EventBridge or Firehose, or an HTTP request of payload format 2.0, and the event has records of "aws:s3""#]].assert_eq(&error(r#"{"Records":[{"eventSource":"aws:s3"}]}"#));
    expect!["this function takes records of Kinesis, SQS, Kafka, a DynamoDB stream, SNS, EventBridge or Firehose, or an HTTP request of payload format 2.0, and the event has records that do not say their eventSource"].assert_eq(&error(r#"{"Records":[7]}"#));
    for odd in [
        "",
        "null",
        "7",
        "\"text\"",
        "{",
        "[",
        "{]",
        "[7",
        r#"{"Records":7}"#,
        r#"{"eventSource":"aws:kafka2"}"#,
    ] {
        assert!(read(odd).is_err(), "{odd}");
    }
}

#[test]
fn depth_is_no_overflow() {
    let (open, close) = ("[".repeat(3_000), "]".repeat(3_000));
    let _ = read(&format!("{open}{close}"));
    let _ = read(&format!(r#"{{"Records":{open}{close}}}"#));
    for (_, event) in EVENTS {
        let value: Value = serde_json::from_str(event).expect("JSON");
        for path in paths(&value) {
            let deep =
                with(&value, &path, json!("DEEP")).to_string().replace("\"DEEP\"", &format!("{open}{close}"));
            let _ = read(&deep);
            let deep = with(&value, &path, json!("DEEP")).to_string().replace("\"DEEP\"", &open);
            let _ = read(&deep);
        }
    }
}

/// Every place in `value`, by its keys.
fn paths(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            fields.iter().map(|(k, v)| (k.replace('~', "~0").replace('/', "~1"), v)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect(),
        _ => Vec::new(),
    };
    let below = |(key, child): (String, &Value)| {
        let further = paths(child).into_iter().map(move |path| (key.clone(), path));
        further.map(|(key, path)| format!("/{key}{path}")).collect::<Vec<_>>()
    };
    std::iter::once(String::new()).chain(children.into_iter().flat_map(below)).collect()
}

fn with(value: &Value, path: &str, new: Value) -> Value {
    let mut changed = value.clone();
    *changed.pointer_mut(path).expect("a path of its own") = new;
    changed
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[{}]])),
        Just(json!({ "S": 1 })),
        Just(Value::from("9".repeat(200))),
    ]
}

/// Any JSON.
fn any_json() -> impl Strategy<Value = Value> {
    let keys = prop_oneof![
        proptest::sample::select(vec![
            "Records",
            "records",
            "eventSource",
            "EventSource",
            "kinesis",
            "dynamodb",
            "Sns",
            "body",
            "detail",
            "detail-type",
            "deliveryStreamArn",
            "requestContext",
            "http",
            "data",
            "headers",
            "value",
            "offset",
            "NewImage",
            "attributes",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,4}",
    ];
    let leaf = prop_oneof![
        odd_value(),
        proptest::sample::select(vec![
            "aws:kinesis",
            "aws:sqs",
            "aws:sns",
            "aws:dynamodb",
            "aws:kafka",
            "SelfManagedKafka"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(keys.clone(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// What is read of an event has as many names as records, and each reply can be made or is refused as a whole.
fn hold_together(intake: &Intake, event: &str) {
    let Ok(batch) = intake.read(event, now()) else { return };
    for partition in &batch.partitions {
        assert_eq!(partition.records.len(), partition.names.len());
        assert!(
            partition.names.iter().flatten().all(|name| !name.is_empty()),
            "an empty name fails a whole batch"
        );
    }
    let nothing = vec![None; batch.partitions.len()];
    assert!(batch.reply(&nothing).is_ok(), "what is done can be said");
    for (index, partition) in batch.partitions.iter().enumerate() {
        for at in 0..partition.records.len() {
            let mut resume_at = nothing.clone();
            resume_at[index] = Some(at);
            if let Ok(reply) = batch.reply(&resume_at) {
                assert!(!reply.is_complete(), "what is wanted again is not done: {reply:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_json_is_an_event_or_refused(event in any_json()) {
        hold_together(&intake(), &event.to_string());
    }

    #[test]
    fn any_event_with_any_change_is_read_or_refused(
        which in 0..EVENTS.len(),
        places in proptest::collection::vec((any::<proptest::sample::Index>(), odd_value()), 1..4),
    ) {
        let mut event: Value = serde_json::from_str(EVENTS[which].1).expect("JSON");
        for (place, new) in places {
            let paths = paths(&event);
            event = with(&event, &paths[place.index(paths.len())], new);
        }
        hold_together(&intake(), &event.to_string());
    }

    #[test]
    fn any_text_is_refused_or_read(text in "[\\[\\]{}\":,a0 \\\\Records]{0,60}") {
        hold_together(&intake(), &text);
    }
}
