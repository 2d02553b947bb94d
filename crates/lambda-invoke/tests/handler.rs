//! The handler on event files, over ports in memory.

use std::time::Duration;

use anomaly_aws::event::EventError;
use anomaly_aws::source::{Intake, Reply};
use anomaly_core::config::Config;
use anomaly_core::decode::Decoder;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::records::Records;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, ChunkV1};
use anomaly_fakes::failing::{Failing, Failure};
use anomaly_fakes::memory::{MemoryQueue, SkippingTimer, SumScorer};
use anomaly_pipeline::invoke::{Driver, Limits, RetryPolicy};
use anomaly_pipeline::ports::{Queue, Scorer};
use expect_test::{Expect, expect};
use lambda_invoke::handle;

const KINESIS: &str = include_str!("../../../events/kinesis.json");
const BAD: &str = include_str!("../../../events/kinesis-bad.json");
const MINUTE: Duration = Duration::from_secs(60);

/// Five rows a request, and nothing is asked twice.
fn driver<S: Scorer>(scorer: Option<S>) -> Driver<S, SkippingTimer> {
    let retry = RetryPolicy { attempts_max: 1, ..RetryPolicy::USUAL };
    Driver::new(scorer, SkippingTimer::default(), Limits { rows_max: 5, retry, ..Limits::default() }, 0)
}

fn intake() -> Intake {
    let config = Config::from_toml(include_str!("../../../events/anomaly.toml")).expect("a valid file");
    Intake::new(Decoder::new(&config.input).expect("a valid input"))
}

/// Handles `event` a minute after the events were made.
async fn run<S: Scorer>(scorer: Option<S>, queue: &impl Queue, event: &str) -> Result<Reply, EventError> {
    let now = Timestamp::parse("2026-11-21T04:11:48Z").expect("a time");
    handle(&driver(scorer).turn(MINUTE), queue, &intake(), event, now).await
}

fn chunks(queue: &MemoryQueue) -> Vec<ChunkV1> {
    let read = |body: &str| wire::read(body).expect("its own message");
    queue.chunks().iter().map(|chunk| read(&chunk.body)).collect()
}

fn check(response: &Reply, expected: Expect) {
    expected.assert_eq(&serde_json::to_string(response).expect("plain data"));
}

#[tokio::test]
async fn a_batch_is_scored_and_queued() {
    let queue = MemoryQueue::default();
    let response = run(Some(SumScorer), &queue, KINESIS).await.expect("handled");
    check(&response, expect![[r#"{"batchItemFailures":[]}"#]]);
    let [chunk] = &chunks(&queue)[..] else { panic!("one chunk") };
    assert_eq!((chunk.partition.as_str(), chunk.rows.len()), ("records/shardId-000000000000", 12));
    for row in &chunk.rows {
        assert_eq!(row.score, Some(row.features.iter().sum()), "each row has its own score");
    }
}

#[tokio::test]
async fn without_a_model_rows_have_no_score() {
    let queue = MemoryQueue::default();
    let response = run(None::<SumScorer>, &queue, KINESIS).await;
    assert_eq!(response, Ok(Reply::Items(Default::default())));
    assert!(chunks(&queue)[0].rows.iter().all(|row| row.score.is_none()));
}

#[tokio::test]
async fn what_was_seen_of_the_fields_is_kept_from_batch_to_batch() {
    let (queue, intake, driver) = (MemoryQueue::default(), intake(), driver(Some(SumScorer)));
    let now = Timestamp::parse("2026-11-21T04:11:48Z").expect("a time");
    let read = |record: &str| {
        let mut records = Records::default();
        let position = Position { partition: "p".into(), sequence: Sequence::from(1), sub: 0, arrived: now };
        intake.decoder.record(record.as_bytes(), &position, &mut records);
        records
    };
    handle(&driver.turn(MINUTE), &queue, &intake, KINESIS, now).await.expect("handled");
    let drift = intake.drift.compare([&read(r#"{"no_such_field":1}"#)]);
    assert_eq!((drift.unknown, drift.vanished > 0), (1, true), "{drift}");
    assert!(intake.clone().drift.compare([&read(r#"{"no_such_field":1}"#)]).is_none(), "told once");
}

#[tokio::test]
async fn records_at_fault_never_fail_the_batch() {
    let queue = MemoryQueue::default();
    let response = run(Some(SumScorer), &queue, BAD).await.expect("handled");
    check(&response, expect![[r#"{"batchItemFailures":[]}"#]]);
    let [chunk] = &chunks(&queue)[..] else { panic!("one chunk") };
    let rejects: Vec<_> = chunk.rejects.iter().map(|r| (r.sequence.to_string(), r.reject.as_str())).collect();
    let ends: Vec<_> = rejects.iter().map(|(sequence, reason)| (&sequence[52..], *reason)).collect();
    assert_eq!(
        ends,
        [
            ("2075", "base64"),
            ("2076", "json"),
            ("2077", "not-finite"),
            ("2078", "too-large"),
            ("2079", "envelope"),
            ("2080", "envelope"),
            ("2081", "envelope"),
            ("2082", "not-a-number"),
            ("2083", "json"),
        ]
    );
    assert_eq!(chunk.rows.len(), 2);
}

#[tokio::test]
async fn a_failing_endpoint_stops_it_at_the_first_row_not_scored() {
    let queue = MemoryQueue::default();
    let scorer = Failing::new(SumScorer, &[(1, Failure::Before)]);
    let response = run(Some(scorer), &queue, KINESIS).await.expect("handled");
    check(
        &response,
        expect![[
            r#"{"batchItemFailures":[{"itemIdentifier":"49600000000000000000000000000000000000000000000000002079"}]}"#
        ]],
    );
    assert_eq!(chunks(&queue)[0].rows.len(), 5);
}

#[tokio::test]
async fn a_queue_that_refuses_keeps_all_of_it_even_the_rejects() {
    let queue = Failing::new(MemoryQueue::default(), &[(0, Failure::After)]);
    let response = run(Some(SumScorer), &queue, BAD).await.expect("handled");
    check(
        &response,
        expect![[
            r#"{"batchItemFailures":[{"itemIdentifier":"49600000000000000000000000000000000000000000000000002074"}]}"#
        ]],
    );
}

#[tokio::test]
async fn a_failure_that_cannot_be_named_is_the_whole_batch() {
    let event = r#"{"Records":[{"eventSource":"aws:kinesis"}]}"#;
    let queue = Failing::new(MemoryQueue::default(), &[(0, Failure::Before)]);
    let error = run(Some(SumScorer), &queue, event).await.expect_err("no name");
    expect!["all of the batch is wanted again: the first record wanted again has no sequence number, nor has any before it"]
        .assert_eq(&error.to_string());
}

/// A batch of several shards cannot happen, by Lambda's word. If it does, nothing may be lost.
#[tokio::test]
async fn shards_in_one_batch_are_done_together_or_not_at_all() {
    let second = KINESIS.rfind("shardId-000000000000").expect("a shard");
    let event = format!("{}shardId-000000000001{}", &KINESIS[..second], &KINESIS[second + 20..]);
    let queue = MemoryQueue::default();
    let response = run(Some(SumScorer), &queue, &event).await;
    assert_eq!(response, Ok(Reply::Items(Default::default())));
    assert_eq!(queue.chunks().len(), 2);

    for call in 0..2 {
        let queue = Failing::new(MemoryQueue::default(), &[(call, Failure::Before)]);
        let error = run(Some(SumScorer), &queue, &event).await.expect_err("two shards");
        expect![
            "all of the batch is wanted again: it mixes shards, whose sequence numbers have no common order"
        ]
        .assert_eq(&error.to_string());
    }
}

#[tokio::test]
async fn another_functions_event_is_refused() {
    let sweep = include_str!("../../../events/sweep.json");
    let queue = MemoryQueue::default();
    let error = run(Some(SumScorer), &queue, sweep).await.expect_err("no records");
    expect!["this function takes records of Kinesis, SQS, Kafka, a DynamoDB stream, SNS, EventBridge or Firehose, or an HTTP request of payload format 2.0, and the event has sweep"].assert_eq(&error.to_string());
}
