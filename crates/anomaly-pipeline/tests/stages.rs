//! The three stages over ports in memory: every record one fate, whatever fails and wherever.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use std::sync::Mutex;

use anomaly_core::alert::Transition;
use anomaly_core::classify::{Policy, SeriesState};
use anomaly_core::config::{Clear, Config, MOfN, Method, On, Rule};
use anomaly_core::group::Groups;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::{Reading, SeriesId};
use anomaly_core::records::{Decoded, Records};
use anomaly_core::reject::Reject;
use anomaly_core::settle::Tally;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, ChunkV1, RejectV1};
use anomaly_fakes::failing::{Failing, Failure};
use anomaly_fakes::memory::{MemoryQueue, MemoryTables, RecordingPublisher, SkippingTimer, SumScorer};
use anomaly_pipeline::classify::{Classified, Tables, classify_chunk};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::invoke::{BreakerPolicy, Driver, Invoked, Limits, RetryPolicy, invoke};
use anomaly_pipeline::ports::{Answer, Saved, Scorer, States, Stored};
use anomaly_pipeline::publish::{publish, sweep};

const PARTITION: &str = "stream/shardId-0";
const MINUTE: Duration = Duration::from_secs(60);
/// Ten rows a request, one at a time, and nothing is asked twice.
const LIMITS: Limits = Limits {
    rows_max: 10,
    in_flight_max: 1,
    groups: Groups::ONE,
    shares: false,
    streaming: false,
    rejected_by: None,
    retry: RetryPolicy { attempts_max: 1, ..RetryPolicy::USUAL },
    breaker: BreakerPolicy::USUAL,
};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms).expect("in range")
}

fn position(i: u64) -> Position {
    Position { partition: PARTITION.into(), sequence: Sequence::from(i), sub: 0, arrived: at(i as i64) }
}

fn reading(i: u64, value: f64) -> Decoded {
    let series = SeriesId::new(if i.is_multiple_of(2) { "even" } else { "odd" }).expect("a name");
    Decoded::Reading(Reading {
        series,
        at: at(i as i64 * 1000),
        features: vec![value],
        filled: Vec::new(),
        position: position(i),
    })
}

fn reject(i: u64) -> Decoded {
    Decoded::Rejected(Box::new(RejectV1::new(Reject::Base64, &position(i), b"?")))
}

fn policy() -> Policy {
    let rule = Rule {
        on: On::Score,
        method: Method::Static { threshold: 10.0 },
        hold: MOfN::default(),
        clear: Clear { below: 1.0, hold: MOfN::new(10, 10).expect("valid") },
        ..Rule::default()
    };
    Policy::new(&Config { rules: vec![rule], ..Config::default() }, &["v".to_owned()])
}

/// Sixty readings of two series with a burst in each, and three rejects.
fn records() -> Records {
    let value = |i: u64| if (20..30).contains(&i) { 50.0 } else { 1.0 };
    (0..63).map(|i| if i % 21 == 5 { reject(i) } else { reading(i, value(i)) }).collect()
}

async fn run(scorer: &(impl Scorer + Sync), queue: &impl anomaly_pipeline::ports::Queue) -> Invoked {
    invoke(&driver(scorer).turn(MINUTE), queue, PARTITION, &records()).await
}

fn driver<S: Scorer>(scorer: S) -> Driver<S, SkippingTimer> {
    Driver::new(Some(scorer), SkippingTimer::default(), LIMITS, 0)
}

async fn judge(tables: &MemoryTables, queue: &MemoryQueue) -> Vec<Classified> {
    let mut outcomes = Vec::new();
    for chunk in queue.chunks() {
        let chunk: ChunkV1 = wire::read(&chunk.body).expect("its own message");
        outcomes.push(
            classify_chunk(Tables::new(tables, tables, tables), &policy(), chunk, at(0))
                .await
                .expect("no faults"),
        );
    }
    outcomes
}

#[tokio::test]
async fn a_good_day() {
    let (queue, tables, people) =
        (MemoryQueue::default(), MemoryTables::default(), RecordingPublisher::default());
    let invoked = run(&SumScorer, &queue).await;
    assert_eq!(invoked.tally, Tally { received: 63, done: 60, rejected: 3, again: 0 });
    let expected = Classified {
        received: 63,
        judged: 60,
        rejects: 3,
        anomalous: 9,
        transitions: 4,
        ..Classified::default()
    };
    assert_eq!(judge(&tables, &queue).await, [expected]);
    assert_eq!(tables.rejects().len(), 3);
    let published = publish(&tables, &people, &tables.keys(), at(0), at(1000)).await;
    assert_eq!((published.sent, people.messages().len()), (4, 4));

    // All of it once more: nothing new, and nobody is told.
    let expected = Classified { judged: 0, duplicates: 60, anomalous: 0, transitions: 0, ..expected };
    assert_eq!(judge(&tables, &queue).await, [expected]);
    let again = publish(&tables, &people, &tables.keys(), at(0), at(1000)).await;
    assert_eq!((again.sent, again.tally.done, people.messages().len()), (0, 4, 4));
}

#[tokio::test]
async fn the_endpoint_fails_in_the_middle() {
    // The second call of ten rows fails: records 0..10 without the reject among them are scored first.
    let queue = MemoryQueue::default();
    let invoked = run(&Failing::new(SumScorer, &[(1, Failure::Before)]), &queue).await;
    assert_eq!(invoked.resume_at, Some(11), "ten rows and one reject are handed on");
    assert_eq!(invoked.tally, Tally { received: 63, done: 10, rejected: 1, again: 52 });
    assert!(invoked.fault.is_some());
}

/// Takes three rows a call, and keeps how many it was given.
#[derive(Default)]
struct Narrow(Mutex<Vec<usize>>);

impl Scorer for Narrow {
    fn model(&self) -> &str {
        "narrow"
    }

    fn fit(&self, rows: &[&[f64]]) -> usize {
        rows.len().min(3)
    }

    async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        self.0.lock().expect("no test panics with it").push(rows.len());
        SumScorer.score(rows).await
    }
}

#[tokio::test]
async fn no_call_has_more_rows_than_fit() {
    let (scorer, queue) = (Narrow::default(), MemoryQueue::default());
    assert_eq!(run(&scorer, &queue).await.tally.done, 60);
    assert_eq!(*scorer.0.lock().expect("no test panics with it"), [3; 20]);
}

/// Gives one score too few.
struct Short;

impl Scorer for Short {
    fn model(&self) -> &str {
        "short"
    }

    async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        Ok(vec![1.0; rows.len() - 1].into())
    }
}

#[tokio::test]
async fn a_wrong_answer_is_no_answer() {
    let queue = MemoryQueue::default();
    let invoked = run(&Short, &queue).await;
    assert_eq!(invoked.resume_at, Some(0));
    assert_eq!(invoked.fault.map(|f| f.detail), Some("9 scores for 10 rows".to_owned()));
    assert!(queue.chunks().is_empty());
}

#[tokio::test]
async fn the_queue_fails() {
    let queue = Failing::new(MemoryQueue::default(), &[(0, Failure::Before)]);
    let invoked = run(&SumScorer, &queue).await;
    assert_eq!((invoked.resume_at, invoked.tally.again), (Some(0), 63));
}

/// Two series in different groups: each batch is two chunks, and what the second holds comes again with its
/// neighbours in the first, which are known by then.
#[tokio::test]
async fn the_queue_fails_between_two_groups() {
    let limits = Limits { groups: Groups::new(3), ..LIMITS };
    let driver = Driver::new(Some(SumScorer), SkippingTimer::default(), limits, 0);
    let queue = Failing::new(MemoryQueue::default(), &[(1, Failure::Before)]);
    let invoked = invoke(&driver.turn(MINUTE), &queue, PARTITION, &records()).await;
    assert_eq!(
        (invoked.chunks, invoked.resume_at),
        (1, Some(1)),
        "record 0 alone stands before the first gap"
    );
    assert_eq!(invoked.tally, Tally { received: 63, done: 1, rejected: 0, again: 62 });

    let queue = MemoryQueue::default();
    let again = invoke(&driver.turn(MINUTE), &queue, PARTITION, &records()).await;
    assert_eq!((again.chunks, again.resume_at, again.tally.again), (2, None, 0));
    let groups: Vec<String> = queue.chunks().into_iter().map(|chunk| chunk.group).collect();
    assert_eq!(groups.len(), 2);
    assert_ne!(groups[0], groups[1]);
}

#[tokio::test]
async fn only_rejects_are_handed_on_too() {
    let queue = MemoryQueue::default();
    let rejects: Records = [reject(1), reject(2)].into_iter().collect();
    let driver = Driver::new(None::<SumScorer>, SkippingTimer::default(), Limits::default(), 0);
    let invoked = invoke(&driver.turn(MINUTE), &queue, PARTITION, &rejects).await;
    assert_eq!(invoked.tally, Tally { received: 2, done: 0, rejected: 2, again: 0 });
    assert_eq!(queue.chunks().len(), 1);
    let nothing = invoke(&driver.turn(MINUTE), &queue, PARTITION, &Records::default()).await;
    assert_eq!((nothing.tally, nothing.chunks), (Tally::default(), 0));
}

/// Wherever a call of `classify` fails, before or after it took effect, a second delivery brings everything
/// to the same end.
#[tokio::test]
async fn classify_may_fail_anywhere() {
    let queue = MemoryQueue::default();
    run(&SumScorer, &queue).await;
    let chunk = || wire::read::<ChunkV1>(&queue.chunks()[0].body).expect("its own message");
    let undisturbed = MemoryTables::default();
    classify_chunk(Tables::new(&undisturbed, &undisturbed, &undisturbed), &policy(), chunk(), at(0))
        .await
        .expect("no faults");
    for call in 0..3 {
        for failure in [Failure::Before, Failure::After] {
            let tables = MemoryTables::default();
            let failing = Failing::new(&tables, &[(call, failure)]);
            let first =
                classify_chunk(Tables::new(&failing, &tables, &tables), &policy(), chunk(), at(0)).await;
            assert!(first.is_err(), "call {call} was made");
            classify_chunk(Tables::new(&tables, &tables, &tables), &policy(), chunk(), at(0))
                .await
                .expect("no faults");
            assert_eq!(tables.outbox(), undisturbed.outbox());
            for series in ["even", "odd"].map(|n| SeriesId::new(n).expect("a name")) {
                assert_eq!(tables.state(&series), undisturbed.state(&series));
            }
        }
    }
}

/// Wherever `publish` fails, nobody is left untold; told twice is only who was told before the answer was lost.
#[tokio::test]
async fn publish_may_fail_anywhere() {
    let queue = MemoryQueue::default();
    run(&SumScorer, &queue).await;
    for call in 0..8 {
        for failure in [Failure::Before, Failure::After] {
            let (tables, people) = (MemoryTables::default(), RecordingPublisher::default());
            judge(&tables, &queue).await;
            let failing = Failing::new(&tables, &[(call, failure)]);
            let first = publish(&failing, &people, &tables.keys(), at(0), at(1000)).await;
            assert_eq!(first.resume_at, Some(call / 2), "two calls a transition");
            // The stream brings them again while the dead process' lease still runs; then the sweep comes.
            publish(&tables, &people, &tables.keys(), at(500), at(1500)).await;
            let swept = sweep(&tables, &people, at(100_000), at(101_000)).await.expect("no faults");
            assert!(swept.faults.is_empty());
            assert!(tables.outbox().iter().all(|row| row.message_id.is_some()), "{call} {failure:?}");
            let lost_answer = call % 2 == 1 && failure == Failure::Before;
            assert_eq!(people.messages().len(), if lost_answer { 5 } else { 4 }, "{call} {failure:?}");
        }
    }
}

/// The stream comes again at once. A claim that outlived its failed attempt would let the later steps overtake.
#[tokio::test]
async fn the_stream_keeps_an_alerts_order() {
    let (queue, tables) = (MemoryQueue::default(), MemoryTables::default());
    run(&SumScorer, &queue).await;
    judge(&tables, &queue).await;
    let people = Failing::new(RecordingPublisher::default(), &[(1, Failure::Before)]);
    let first = publish(&tables, &people, &tables.keys(), at(0), at(1000)).await;
    assert_eq!((first.sent, first.resume_at), (1, Some(1)));
    let again = publish(&tables, &people, &tables.keys()[1..], at(1), at(1001)).await;
    assert_eq!((again.sent, again.resume_at), (3, None));
}

/// A publisher that is down holds up only what it was given; the sweep does not let a later step overtake.
#[tokio::test]
async fn the_sweep_keeps_an_alerts_order() {
    let (queue, tables) = (MemoryQueue::default(), MemoryTables::default());
    run(&SumScorer, &queue).await;
    judge(&tables, &queue).await;
    let people = Failing::new(RecordingPublisher::default(), &[(0, Failure::Before)]);
    let swept = sweep(&tables, &people, at(100_000), at(101_000)).await.expect("listed");
    assert_eq!((swept.sent, swept.faults.len(), swept.tally.again), (2, 1, 2));
    let next = sweep(&tables, &people, at(200_000), at(201_000)).await.expect("listed");
    assert_eq!((next.sent, next.tally.again), (2, 0));
}

/// States whose first `load` answers with what was there before somebody else wrote.
struct Behind<'a>(&'a MemoryTables, AtomicBool);

impl States for Behind<'_> {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<Stored>>, Fault> {
        match self.1.swap(false, Ordering::SeqCst) {
            true => Ok(vec![None; series.len()]),
            false => self.0.load(series).await,
        }
    }

    async fn save(
        &self,
        series: &SeriesId,
        state: &SeriesState,
        revision: Option<u64>,
        transitions: &[Transition],
        now: Timestamp,
    ) -> Result<Saved, Fault> {
        self.0.save(series, state, revision, transitions, now).await
    }

    async fn due(&self, until: Timestamp, limit: usize) -> Result<Vec<SeriesId>, Fault> {
        self.0.due(until, limit).await
    }
}

/// The slower of two writers must not write over the faster one's state: it reads again and finds that all
/// is judged.
#[tokio::test]
async fn a_state_written_by_another_is_judged_anew() {
    let (queue, tables) = (MemoryQueue::default(), MemoryTables::default());
    run(&SumScorer, &queue).await;
    judge(&tables, &queue).await;
    let before = tables.outbox();
    let chunk: ChunkV1 = wire::read(&queue.chunks()[0].body).expect("its own message");
    let behind = Behind(&tables, AtomicBool::new(true));
    let outcome = classify_chunk(Tables::new(&behind, &tables, &tables), &policy(), chunk, at(7))
        .await
        .expect("no fault");
    assert_eq!((outcome.judged, outcome.duplicates), (0, 60));
    assert_eq!(tables.outbox(), before);
}
