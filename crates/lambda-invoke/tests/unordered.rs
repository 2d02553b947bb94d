//! Sources that promise no order and bring things twice: each reading is judged once, whatever comes when.

use std::collections::BTreeSet;
use std::time::Duration;

use anomaly_aws::source::Intake;
use anomaly_core::classify::Policy;
use anomaly_core::config::{Config, ModelKind, SourceKind};
use anomaly_core::decode::Decoder;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, ChunkV1};
use anomaly_fakes::memory::{MemoryQueue, MemoryTables, SkippingTimer, SumScorer};
use anomaly_pipeline::classify::{Classified, Tables, classify_chunk};
use anomaly_pipeline::invoke::{Driver, Limits};
use proptest::prelude::*;
use serde_json::{Value, json};

/// How many records there are.
const COUNT: usize = 6;

fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T04:11:48Z").expect("a time")
}

fn config(kind: SourceKind) -> Config {
    let text = include_str!("../../../events/anomaly.toml");
    let mut config = Config::from_toml(text).expect("a valid file");
    (config.source.kind, config.model.kind) = (kind, ModelKind::None);
    config
}

/// Brings each of `events` through both functions; what became of their readings, all in all.
async fn bring(kind: SourceKind, events: &[Value]) -> Classified {
    let config = config(kind);
    let intake = Intake::new(Decoder::new(&config.input).expect("a valid input"));
    let policy = Policy::new(&config, intake.decoder.feature_names());
    let driver = Driver::new(None::<SumScorer>, SkippingTimer::default(), Limits::default(), 0);
    let tables = MemoryTables::default();
    let mut all = Classified::default();
    for event in events {
        let (queue, turn) = (MemoryQueue::default(), driver.turn(Duration::from_secs(60)));
        let reply = lambda_invoke::handle(&turn, &queue, &intake, &event.to_string(), now()).await;
        assert!(reply.expect("an event of ours").is_complete());
        for chunk in queue.chunks() {
            let chunk: ChunkV1 = wire::read(&chunk.body).expect("its own message");
            let outcome = classify_chunk(Tables::new(&tables, &tables, &tables), &policy, chunk, now());
            let outcome = outcome.await.expect("no faults");
            all.received += outcome.received;
            all.judged += outcome.judged;
            all.late += outcome.late;
            all.duplicates += outcome.duplicates;
            all.rejects += outcome.rejects;
        }
    }
    all
}

/// Brings the records named in each of `deliveries` by `event`, and holds that each is judged once.
fn hold(kind: SourceKind, deliveries: &[Vec<usize>], event: impl Fn(&[usize]) -> Value) {
    let events: Vec<Value> = deliveries.iter().map(|records| event(records)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let all = runtime.block_on(bring(kind, &events));
    let distinct: BTreeSet<usize> = deliveries.iter().flatten().copied().collect();
    let received: usize = deliveries.iter().map(Vec::len).sum();
    let seen = (all.received, all.judged, all.late, all.duplicates, all.rejects);
    assert_eq!(seen, (received, distinct.len(), 0, received - distinct.len(), 0), "{kind:?} {deliveries:?}");
}

/// The data of record `index`; all are of one series.
fn data(index: usize) -> Value {
    json!({
        "series": "web", "timestamp": "2026-11-21T04:10:48Z",
        "latency_ms": index, "requests": 1, "cpu_percent": 1, "memory_mb": 1,
    })
}

/// When record `index` was sent: two in each half second, so that some have the same time.
fn sent_ms(index: usize) -> u64 {
    1_795_234_248_250 + 500 * (index as u64 / 2)
}

fn queue(records: &[usize]) -> Value {
    let record = |index: &usize| {
        json!({
            "messageId": format!("message-{index}"), "body": data(*index).to_string(), "eventSource": "aws:sqs",
            "attributes": { "SentTimestamp": sent_ms(*index).to_string() },
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:readings",
        })
    };
    json!({ "Records": records.iter().map(record).collect::<Vec<_>>() })
}

fn topic(index: usize) -> Value {
    let sent = Timestamp::from_ms(sent_ms(index) as i64).expect("in range").to_string();
    let sns = json!({
        "MessageId": format!("message-{index}"), "Message": data(index).to_string(), "Timestamp": sent,
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:readings",
    });
    json!({ "Records": [{ "EventSource": "aws:sns", "Sns": sns }] })
}

/// EventBridge's times are whole seconds.
fn bus(index: usize) -> Value {
    let time = Timestamp::from_ms(sent_ms(index) as i64 / 1_000 * 1_000).expect("in range").to_string();
    json!({
        "version": "0", "id": format!("event-{index}"), "detail-type": "reading", "source": "web", "time": time,
        "detail": data(index),
    })
}

fn request(index: usize) -> Value {
    json!({
        "version": "2.0", "headers": {}, "body": data(index).to_string(), "isBase64Encoded": false,
        "requestContext": {
            "http": { "method": "POST" }, "apiId": "url", "requestId": format!("request-{index}"),
            "timeEpoch": sent_ms(index), "authorizer": { "iam": {} },
        },
    })
}

/// A Firehose batch comes again as it was.
fn firehose(batch: usize) -> Value {
    let record = |index: usize| {
        json!({
            "recordId": format!("record-{index}"), "approximateArrivalTimestamp": sent_ms(index),
            "data": base64_simd::STANDARD.encode_to_string(data(index).to_string()),
        })
    };
    let records: Vec<Value> = [2 * batch + 1, 2 * batch].map(record).into();
    json!({ "deliveryStreamArn": "arn:aws:firehose:eu-central-1:1:deliverystream/web", "records": records })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_standard_queue(deliveries in proptest::collection::vec(
        proptest::sample::subsequence((0..COUNT).collect::<Vec<_>>(), 1..=3).prop_shuffle(), 1..8,
    )) {
        hold(SourceKind::Sqs, &deliveries, queue);
    }

    #[test]
    fn what_comes_one_by_one(order in proptest::collection::vec(0..COUNT, 1..12)) {
        let deliveries: Vec<Vec<usize>> = order.into_iter().map(|index| vec![index]).collect();
        hold(SourceKind::Sns, &deliveries, |records| topic(records[0]));
        hold(SourceKind::Eventbridge, &deliveries, |records| bus(records[0]));
        hold(SourceKind::Http, &deliveries, |records| request(records[0]));
    }

    #[test]
    fn batches_of_firehose(order in proptest::collection::vec(0..COUNT / 2, 1..8)) {
        let deliveries: Vec<Vec<usize>> =
            order.into_iter().map(|batch| vec![2 * batch, 2 * batch + 1]).collect();
        hold(SourceKind::Firehose, &deliveries, |records| firehose(records[0] / 2));
    }
}
