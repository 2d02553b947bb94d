//! The handler on an event of every source, with its ports failing at every call: whatever the source takes for
//! done was handed on.

use std::collections::BTreeSet;
use std::time::Duration;

use anomaly_aws::event::EventError;
use anomaly_aws::source::{Batch, Intake, Outcome, Reply};
use anomaly_core::config::Config;
use anomaly_core::decode::Decoder;
use anomaly_core::records::Decoded;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, ChunkV1};
use anomaly_fakes::failing::{Failing, Failure};
use anomaly_fakes::memory::{MemoryQueue, SkippingTimer, SumScorer};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::invoke::{Driver, Limits, RetryPolicy};
use anomaly_pipeline::ports::{Answer, Queue, Scorer};

macro_rules! events {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../events/", $name, ".json")))),*]
    };
}

const EVENTS: [(&str, &str); 25] = events![
    "kinesis",
    "kinesis-bad",
    "kinesis-aggregated",
    "sqs-records",
    "sqs-records-bad",
    "sqs-fifo",
    "dynamodb-images",
    "dynamodb-images-bad",
    "kafka",
    "kafka-bad",
    "msk",
    "event-hubs",
    "pipes-kafka",
    "sns",
    "eventbridge",
    "firehose",
    "firehose-kinesis",
    "http",
    "http-array",
    "http-bad",
    "http-base64",
    "http-large",
    "http-secret",
    "http-test",
    "sqs",
];

fn intake() -> Intake {
    let config = Config::from_toml(include_str!("../../../events/anomaly.toml")).expect("a valid file");
    Intake::new(Decoder::new(&config.input).expect("a valid input"))
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T04:11:48Z").expect("a time")
}

/// Two rows a request, and nothing is asked twice.
async fn run<S: Scorer>(scorer: S, queue: &impl Queue, event: &str) -> Result<Reply, EventError> {
    let retry = RetryPolicy { attempts_max: 1, ..RetryPolicy::USUAL };
    let limits = Limits { rows_max: 2, retry, ..Limits::default() };
    let driver = Driver::new(Some(scorer), SkippingTimer::default(), limits, 0);
    lambda_invoke::handle(&driver.turn(Duration::from_secs(60)), queue, &intake(), event, now()).await
}

/// Partition, number, number within the record.
type Place = (String, String, u32);

/// The places of what is in the queue.
fn handed_on(queue: &MemoryQueue) -> BTreeSet<Place> {
    let read = |body: &str| wire::read::<ChunkV1>(body).expect("its own message");
    let chunks: Vec<ChunkV1> = queue.chunks().iter().map(|chunk| read(&chunk.body)).collect();
    let places = |chunk: ChunkV1| {
        let place = |sequence: String, sub| (chunk.partition.to_string(), sequence, sub);
        let rows = chunk.rows.iter().map(|row| place(row.sequence.to_string(), row.sub));
        let rejects = chunk.rejects.iter().map(|reject| place(reject.sequence.to_string(), reject.sub));
        rows.chain(rejects).collect::<Vec<_>>()
    };
    chunks.into_iter().flat_map(places).collect()
}

/// The places of the records that their source takes for done, by what it is told.
fn done(batch: &Batch<'_>, reply: &Result<Reply, EventError>) -> BTreeSet<Place> {
    let mut done = BTreeSet::new();
    for partition in &batch.partitions {
        let is_stream = ["kinesis", "dynamodb"].contains(&batch.source);
        let is_named = |name: Option<&str>| match reply {
            Ok(Reply::Items(response)) => response.failures.iter().any(|failure| Some(&*failure.id) == name),
            Ok(Reply::Offsets(response)) => response.failures.iter().any(|failure| {
                failure.id.partition == partition.name && Some(&*failure.id.offset.to_string()) == name
            }),
            Ok(Reply::Transformed(_)) => false,
            Ok(Reply::Http(reply)) => reply.status_code >= 500,
            Err(_) => true,
        };
        let names = partition.names.iter().map(Option::as_deref);
        for (entries, name) in partition.records.iter().zip(names) {
            match is_named(name) {
                // From there on everything comes again.
                true if is_stream => break,
                true => continue,
                false => done.extend(entries.iter().map(|entry| match entry {
                    Decoded::Reading(reading) => {
                        let position = &reading.position;
                        (position.partition.to_string(), position.sequence.to_string(), position.sub)
                    }
                    Decoded::Rejected(reject) => {
                        (reject.partition.to_string(), reject.sequence.to_string(), reject.sub)
                    }
                })),
            }
        }
    }
    done
}

#[tokio::test]
async fn every_event_is_done_when_all_is_well() {
    for (name, event) in EVENTS {
        let queue = MemoryQueue::default();
        let reply = run(SumScorer, &queue, event).await;
        let status = reply.as_ref().ok().and_then(Reply::status).unwrap_or(200);
        let refused = [("http-bad", 400), ("http-secret", 401), ("http-large", 413)];
        let expected = refused.iter().find(|(other, _)| *other == name).map_or(200, |(_, status)| *status);
        assert_eq!(status, expected, "{name}");
        let intake = intake();
        let batch = intake.read(event, now()).expect("an event of ours");
        assert_eq!(done(&batch, &reply), handed_on(&queue), "{name}: {reply:?}");
    }
}

#[tokio::test]
async fn what_a_source_takes_for_done_was_handed_on_whatever_fails() {
    let intake = intake();
    let mut partly = 0;
    for (name, event) in EVENTS {
        let batch = intake.read(event, now()).expect("an event of ours");
        for failure in [Failure::Before, Failure::After] {
            for call in 0..8 {
                let queue = Failing::new(MemoryQueue::default(), &[(call, failure)]);
                let reply = run(SumScorer, &queue, event).await;
                let (done, handed_on) = (done(&batch, &reply), handed_on(queue.inner()));
                assert!(done.is_subset(&handed_on), "{name}, queue, {failure:?} {call}: {reply:?}");

                let queue = MemoryQueue::default();
                let scorer = Failing::new(SumScorer, &[(call, failure)]);
                let reply = run(scorer, &queue, event).await;
                let (done, handed_on) = (self::done(&batch, &reply), self::handed_on(&queue));
                assert!(done.is_subset(&handed_on), "{name}, scorer, {failure:?} {call}: {reply:?}");
                partly += usize::from(!done.is_empty() && reply.is_ok_and(|reply| !reply.is_complete()));
            }
        }
    }
    assert!(partly > 20, "parts of batches are done: {partly}");
}

/// Groups of a FIFO queue and partitions of a topic go on when one of them fails.
#[tokio::test]
async fn one_partition_does_not_hold_up_another() {
    for (name, event, expected) in [
        ("sqs-fifo", include_str!("../../../events/sqs-fifo.json"), "database"),
        ("msk", include_str!("../../../events/msk.json"), "database"),
    ] {
        let queue = MemoryQueue::default();
        let scorer = Failing::new(SumScorer, &[(0, Failure::Before)]);
        let reply = run(scorer, &queue, event).await.expect("some of it can be named");
        assert!(!reply.is_complete(), "{name}");
        let chunks: Vec<ChunkV1> =
            queue.chunks().iter().map(|chunk| wire::read(&chunk.body).expect("its own message")).collect();
        let series: BTreeSet<&str> =
            chunks.iter().flat_map(|chunk| &chunk.rows).map(|row| row.series.as_str()).collect();
        assert_eq!(series.into_iter().collect::<Vec<_>>(), [expected], "{name}");
    }
}

/// A model that will not have the latency 6.1 ms.
struct Picky;

impl Scorer for Picky {
    fn model(&self) -> &str {
        "picky"
    }

    async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        match rows.iter().any(|row| row[0] == 6.1) {
            true => Err(Fault::refused("ask", "ModelError: not 6.1")),
            false => SumScorer.score(rows).await,
        }
    }
}

/// What the model refuses is known after the record was read, and told all the same.
#[tokio::test]
async fn a_reading_that_the_model_refuses_counts_as_at_fault() {
    let firehose = include_str!("../../../events/firehose.json");
    let Ok(Reply::Transformed(reply)) = run(Picky, &MemoryQueue::default(), firehose).await else {
        panic!("a reply to Firehose");
    };
    let results: Vec<bool> = reply.records.iter().map(|record| record.result == Outcome::Ok).collect();
    assert_eq!(results, [true, false, false, false, false], "6.1 is in the second and in the last");
    let http = include_str!("../../../events/http.json").replace("6.0", "6.1");
    let Ok(Reply::Http(reply)) = run(Picky, &MemoryQueue::default(), &http).await else {
        panic!("a reply to HTTP");
    };
    assert_eq!(reply.status_code, 400);
    assert_eq!(reply.body, r#"{"error":"the model refuses it: ModelError: not 6.1"}"#);
}
