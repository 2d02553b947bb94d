//! That many records are at fault is an alert of its own.

use std::time::Duration;

use anomaly_core::classify::Policy;
use anomaly_core::config::{Config, Model, ModelKind, Rejects};
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::{Reading, SeriesId};
use anomaly_core::records::{Decoded, Records};
use anomaly_core::reject::Reject;
use anomaly_core::settle::Tally;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, ChunkV1, RejectV1};
use anomaly_fakes::failing::{Failing, Failure};
use anomaly_fakes::memory::{MemoryQueue, MemoryTables, SkippingTimer, SumScorer};
use anomaly_pipeline::classify::{Tables, classify_chunk};
use anomaly_pipeline::invoke::{Driver, Invoked, Limits, invoke};

const BATCH: u64 = 10;
const MINUTE: Duration = Duration::from_secs(60);

fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(ms as i64).expect("in range")
}

/// The `batch`-th batch: ten records, of which the last `bad` are at fault.
fn records(batch: u64, bad: u64) -> Records {
    let record = |i: u64| {
        let sequence = Sequence::from(batch * BATCH + i);
        let arrived = at(batch * 1000 + i);
        let position = Position { partition: "p".into(), sequence, sub: 0, arrived };
        match i < BATCH - bad {
            true => {
                let series = SeriesId::new("s").expect("a name");
                Decoded::Reading(Reading {
                    series,
                    at: arrived,
                    features: vec![1.0],
                    filled: Vec::new(),
                    position,
                })
            }
            false => Decoded::Rejected(Box::new(RejectV1::new(Reject::Base64, &position, b"?"))),
        }
    };
    (0..BATCH).map(record).collect()
}

async fn run(batch: u64, bad: u64, queue: &MemoryQueue) -> Invoked {
    let limits = Limits { shares: true, ..Limits::default() };
    let driver = Driver::new(Some(SumScorer), SkippingTimer::default(), limits, 0);
    invoke(&driver.turn(MINUTE), queue, "p", &records(batch, bad)).await
}

async fn judge(tables: &MemoryTables, queue: &MemoryQueue) {
    let model = Model { kind: ModelKind::Endpoint, endpoint: Some("e".to_owned()), ..Model::default() };
    let config = Config { rejects: Rejects::default(), model, ..Config::default() };
    let config = config.finish().expect("valid");
    let policy = Policy::new(&config, &["v".to_owned()]);
    for chunk in queue.chunks() {
        let chunk: ChunkV1 = wire::read(&chunk.body).expect("its own message");
        classify_chunk(Tables::new(tables, tables, tables), &policy, chunk, at(0)).await.expect("no faults");
    }
}

#[tokio::test]
async fn it_fires_on_the_third_bad_batch_and_is_over_after_ten_good_ones() {
    let (tables, mut steps) = (MemoryTables::default(), Vec::new());
    let bad = [0, 1, 2, 0, 10, 5].into_iter().chain([0; 10]);
    for (batch, bad) in (0..).zip(bad) {
        let queue = MemoryQueue::default();
        let invoked = run(batch, bad, &queue).await;
        let (done, rejected) = ((BATCH - bad) as usize, bad as usize);
        assert_eq!(invoked.tally, Tally { received: 10, done, rejected, again: 0 }, "a share is no record");
        assert_eq!(queue.chunks().len(), 1, "nor a message of its own");
        judge(&tables, &queue).await;
        // Delivered again it counts once.
        judge(&tables, &queue).await;
        while steps.len() < tables.outbox().len() {
            let mut transitions: Vec<_> = tables.outbox().into_iter().map(|row| row.transition).collect();
            transitions.sort_by_key(|t| t.number);
            let t = &transitions[steps.len()];
            steps.push((batch, t.series.to_string(), t.rule.clone(), t.step.as_str(), t.margin.judged));
        }
    }
    let step = |batch, step, value| (batch, "rejects of p".to_owned(), Rejects::RULE.to_owned(), step, value);
    assert_eq!(steps, [step(5, "fired", 0.5), step(15, "resolved", 0.0)]);
}

#[tokio::test]
async fn while_nothing_is_rejected_nothing_is_written() {
    let (tables, queue) = (MemoryTables::default(), MemoryQueue::default());
    for batch in 0..3 {
        run(batch, 0, &queue).await;
    }
    judge(&tables, &queue).await;
    assert_eq!(tables.state(&SeriesId::rejects_of("p")), None);
    let rows: usize =
        queue.chunks().iter().map(|c| wire::read::<ChunkV1>(&c.body).expect("a chunk").rows.len()).sum();
    assert_eq!(rows, 33, "it is told all the same: that all is well again must be known too");
}

#[tokio::test]
async fn a_batch_that_comes_again_has_its_share_then() {
    let queue = MemoryQueue::default();
    let limits = Limits { rows_max: 4, in_flight_max: 1, shares: true, ..Limits::default() };
    let scorer = Failing::new(
        SumScorer,
        &[(1, Failure::Before), (2, Failure::Before), (3, Failure::Before), (4, Failure::Before)],
    );
    let driver = Driver::new(Some(scorer), SkippingTimer::default(), limits, 0);
    let invoked = invoke(&driver.turn(MINUTE), &queue, "p", &records(0, 3)).await;
    assert_eq!((invoked.resume_at, invoked.tally.again), (Some(4), 6));
    let chunk: ChunkV1 = wire::read(&queue.chunks()[0].body).expect("a chunk");
    assert!(chunk.rows.iter().all(|row| !row.series.is_of_rejects()));
}
