//! Rejected records come again when they can be read.

use std::time::Duration;

use anomaly_core::config::{Config, Input};
use anomaly_core::decode::Decoder;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::{Filled, Filling, Gap, Reading, SeriesId};
use anomaly_core::records::{Decoded, Records};
use anomaly_core::reject::Reject;
use anomaly_core::rejects::Versions;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, ChunkV1, RejectV1};
use anomaly_fakes::failing::{Failing, Failure};
use anomaly_fakes::memory::{MemoryQueue, SkippingTimer, SumScorer};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::invoke::{Driver, Invoked, Limits, RetryPolicy, invoke};
use anomaly_pipeline::ports::{Answer, Scorer};
use anomaly_pipeline::rejects::{Redriven, redrive};

/// Ten rows a request, and nothing is asked twice.
fn driver<S: Scorer>(scorer: S) -> Driver<S, SkippingTimer> {
    let retry = RetryPolicy { attempts_max: 1, ..RetryPolicy::USUAL };
    let limits = Limits { rows_max: 10, retry, ..Limits::default() };
    Driver::new(Some(scorer), SkippingTimer::default(), limits, 0)
}

const MINUTE: Duration = Duration::from_secs(60);

fn decoder() -> Decoder {
    let input = Input {
        series: "s".to_owned(),
        features: vec!["/b".to_owned()],
        record_bytes_max: 100_000,
        ..Input::default()
    };
    Decoder::new(&input).expect("valid")
}

fn reject(partition: &str, sequence: u64, sub: u32, bytes: &[u8]) -> RejectV1 {
    let position = Position {
        partition: partition.into(),
        sequence: Sequence::from(sequence),
        sub,
        arrived: Timestamp::from_ms(sequence as i64).expect("in range"),
    };
    RejectV1::new(Reject::Missing { field: "a".to_owned() }, &position, bytes)
}

/// Two of one partition, out of order, that can be read now; one that cannot; one too long to have been kept.
fn rejects() -> Vec<RejectV1> {
    let long = format!("{{\"b\":1,\"c\":\"{}\"}}", "x".repeat(70_000));
    vec![
        reject("p", 9, 2, br#"{"b":2}"#),
        reject("p", 7, 0, br#"{"b":1}"#),
        reject("p", 8, 0, br#"{"a":1}"#),
        reject("q", 1, 0, long.as_bytes()),
        reject("q", 2, 0, br#"{"b":3}"#),
    ]
}

fn number(sequence: &Sequence) -> u64 {
    sequence.text().parse().expect("a number")
}

fn sequences(rejects: &[RejectV1]) -> Vec<u64> {
    rejects.iter().map(|r| number(&r.sequence)).collect()
}

#[tokio::test]
async fn what_can_be_read_now_is_queued_where_it_stood() {
    let queue = MemoryQueue::default();
    let Redriven { queued, refused, left, fault, .. } =
        redrive(&driver(SumScorer).turn(MINUTE), &queue, &decoder(), rejects()).await;
    assert_eq!((sequences(&queued), left, fault), (vec![7, 9, 2], vec![], None));
    let why: Vec<_> =
        refused.iter().map(|(r, why)| (number(&r.sequence), why.as_ref().map(Reject::as_str))).collect();
    assert_eq!(why, [(8, Some("missing")), (1, None)]);
    let chunks: Vec<ChunkV1> =
        queue.chunks().iter().map(|c| wire::read(&c.body).expect("its own message")).collect();
    assert_eq!(chunks.iter().map(|c| c.partition.as_str()).collect::<Vec<_>>(), ["rejects:p", "rejects:q"]);
    let rows: Vec<_> =
        chunks[0].rows.iter().map(|r| (number(&r.sequence), r.sub, r.arrived_ms.as_ms(), r.score)).collect();
    assert_eq!(rows, [(7, 0, 7, Some(1.0)), (9, 2, 9, Some(2.0))]);
}

#[tokio::test]
async fn what_fails_stays_a_reject() {
    for failure in [Failure::Before, Failure::After] {
        let queue = Failing::new(MemoryQueue::default(), &[(1, failure)]);
        let redriven = redrive(&driver(SumScorer).turn(MINUTE), &queue, &decoder(), rejects()).await;
        assert_eq!((sequences(&redriven.queued), sequences(&redriven.left)), (vec![7, 9], vec![2]));
        assert!(redriven.fault.is_some());
    }
    let scorer = Failing::new(SumScorer, &[(0, Failure::Before)]);
    let redriven =
        redrive(&driver(scorer).turn(MINUTE), &MemoryQueue::default(), &decoder(), rejects()).await;
    assert_eq!((redriven.queued.len(), redriven.refused.len(), redriven.left.len()), (0, 1, 4));
}

/// Whatever rejected a record says by which configuration: `[input]` of what could not be read, `[model]` too of
/// what a model refused.
#[tokio::test]
async fn a_reject_says_which_configuration_it_is_by() {
    let versions = Versions::of(&Config::default());
    let limits = Limits { rejected_by: Some(versions), ..Limits::default() };
    let driver = Driver::new(Some(Picky), SkippingTimer::default(), limits, 0);
    let mut records = Records::default();
    records.push(Decoded::Rejected(Box::new(reject("p", 1, 0, b"?"))));
    decoder().record(br#"{"b":2}"#, &reject("p", 2, 0, b"").position(), &mut records);
    let queue = MemoryQueue::default();
    let Invoked { refused, .. } = invoke(&driver.turn(MINUTE), &queue, "p", &records).await;
    let chunk: ChunkV1 = wire::read(&queue.chunks()[0].body).expect("its own message");
    let by: Vec<_> = chunk.rejects.iter().map(|reject| reject.by.clone()).collect();
    assert_eq!(by, [Reject::Base64, Reject::refused("")].map(|reject| Some(versions.by(&reject))));
    assert_eq!((refused[0].by.clone(), by[0] == by[1]), (by[1].clone(), false), "as it is logged");
}

/// What a model refused was kept as a reading: it needs no decoding, and a model that takes it scores it.
#[tokio::test]
async fn a_reading_that_a_model_refused_is_scored_by_the_next() {
    let at = Timestamp::from_ms(5).expect("in range");
    let position = Position { partition: "p".into(), sequence: Sequence::from(4), sub: 1, arrived: at };
    let series = SeriesId::new("s").expect("a name");
    let reading = Reading { series, at, features: vec![2.0, 0.5], filled: Vec::new(), position };
    let queue = MemoryQueue::default();
    let refused = vec![RejectV1::refused("400: no", &reading)];
    let redriven = redrive(&driver(SumScorer).turn(MINUTE), &queue, &decoder(), refused).await;
    assert_eq!((redriven.queued.len(), redriven.refused.len()), (1, 0));
    let chunk: ChunkV1 = wire::read(&queue.chunks()[0].body).expect("its own message");
    let row = &chunk.rows[0];
    assert_eq!((row.sub, row.at_ms, row.features.as_slice(), row.score), (1, at, &[2.0, 0.5][..], Some(2.5)));
}

/// So was one that wanted a previous value and found none: it is not scored with 0, where there is none still.
#[tokio::test]
async fn a_reading_without_a_previous_value_stays_a_reject() {
    let at = Timestamp::from_ms(5).expect("in range");
    let position = Position { partition: "p".into(), sequence: Sequence::from(4), sub: 0, arrived: at };
    let filled = vec![Filled { feature: 1, gap: Gap::Missing, with: Filling::Previous }];
    let series = SeriesId::new("s").expect("a name");
    let reading = Reading { series, at, features: vec![2.0, 0.0], filled, position };
    let kept = || vec![RejectV1::of_reading(Reject::Missing { field: "b".to_owned() }, &reading)];
    let queue = MemoryQueue::default();
    let redriven = redrive(&driver(SumScorer).turn(MINUTE), &queue, &decoder(), kept()).await;
    let why: Vec<_> = redriven.renewed.iter().map(|(_, why)| why.as_str()).collect();
    assert_eq!((why, redriven.queued.len()), (vec!["missing"], 0));
}

/// Gives rows of 2 a score that is no number, which is a refusal.
struct Picky;

impl Scorer for Picky {
    fn model(&self) -> &str {
        "picky"
    }

    async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        let score = |row: &&[f64]| if row[0] == 2.0 { f64::NAN } else { row[0] };
        Ok(rows.iter().map(score).collect::<Vec<_>>().into())
    }
}

#[tokio::test]
async fn what_the_model_refuses_once_more_is_told_and_kept_in_one_place() {
    for (partition, done) in [("p", vec![7, 9]), ("rejects:p", vec![7])] {
        let queue = MemoryQueue::default();
        let rejects = vec![reject(partition, 7, 0, br#"{"b":1}"#), reject(partition, 9, 2, br#"{"b":2}"#)];
        let redriven = redrive(&driver(Picky).turn(MINUTE), &queue, &decoder(), rejects).await;
        assert_eq!((sequences(&redriven.queued), redriven.refused.len()), (vec![7], 0));
        let renewed: Vec<_> =
            redriven.renewed.iter().map(|(r, why)| (number(&r.sequence), why.as_str())).collect();
        assert_eq!(renewed, [(9, "refused")]);
        let chunk: ChunkV1 = wire::read(&queue.chunks()[0].body).expect("its own message");
        assert_eq!(chunk.rejects[0].partition, "rejects:p", "never a partition of a partition");
        assert_eq!(redriven.done().map(|r| number(&r.sequence)).collect::<Vec<_>>(), done);
    }
}
