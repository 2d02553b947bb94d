//! Scoring on bad days: whatever the endpoint does, every record has one fate, the order is kept, and no score
//! stands beside another row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::{Filled, Filling, Gap, Reading, SeriesId};
use anomaly_core::records::{Decoded, Records};
use anomaly_core::reject::Reject;
use anomaly_core::time::Timestamp;
use anomaly_core::window::{Plan, Window};
use anomaly_core::wire::{self, ChunkV1, Data, RejectV1};
use anomaly_fakes::failing::{Failing, Failure};
use anomaly_fakes::memory::{MemoryQueue, MemoryWindows, SkippingTimer};
use anomaly_pipeline::fault::{Fault, FaultKind};
use anomaly_pipeline::invoke::{
    BreakerPolicy, BreakerState, Driver, Invoked, Limits, REFUSED_MAX, RetryPolicy, invoke,
};
use anomaly_pipeline::ports::{Answer, Saved, Scorer, StoredWindow, Timer, Windows};
use proptest::prelude::*;

const PARTITION: &str = "stream/shardId-0";
const MINUTE: Duration = Duration::from_secs(60);

/// What the endpoint does with a call: its number from 0, and the rows' values.
type Mood = Box<dyn Fn(usize, &[f64]) -> Result<(), Fault> + Send + Sync>;

/// Scores a row with a hundred times its last value, unless its mood is another.
struct Moody {
    mood: Mood,
    calls: AtomicUsize,
    rows: Mutex<Vec<Vec<f64>>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

impl Moody {
    fn new(mood: impl Fn(usize, &[f64]) -> Result<(), Fault> + Send + Sync + 'static) -> Self {
        Moody {
            mood: Box::new(mood),
            calls: AtomicUsize::new(0),
            rows: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The rows it scored.
    fn rows(&self) -> Vec<Vec<f64>> {
        self.rows.lock().expect("no panic").clone()
    }
}

impl Scorer for Moody {
    fn model(&self) -> &str {
        "moody"
    }

    async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        // Let the others begin.
        tokio::task::yield_now().await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        let last: Vec<f64> = rows.iter().filter_map(|row| row.last().copied()).collect();
        (self.mood)(self.calls.fetch_add(1, Ordering::SeqCst), &last)?;
        self.rows.lock().expect("no panic").extend(rows.iter().map(|row| row.to_vec()));
        Ok(last.iter().map(|value| value * 100.0).collect::<Vec<f64>>().into())
    }
}

fn at(i: u64) -> Timestamp {
    Timestamp::from_ms(i as i64 * 1000).expect("in range")
}

fn position(i: u64) -> Position {
    Position { partition: PARTITION.into(), sequence: Sequence::from(i), sub: 0, arrived: at(i) }
}

/// Reading `i` of one of three series, with `i` as its value; every seventh record is a reject.
fn record(i: u64) -> Decoded {
    if i % 7 == 6 {
        return Decoded::Rejected(Box::new(RejectV1::new(Reject::Base64, &position(i), b"?")));
    }
    let series = SeriesId::new(&format!("series-{}", i % 3)).expect("a name");
    let (features, filled) = (vec![i as f64], Vec::new());
    Decoded::Reading(Reading { series, at: at(i), features, filled, position: position(i) })
}

fn records(range: std::ops::Range<u64>) -> Records {
    range.map(record).collect()
}

fn limits(rows_max: usize, in_flight_max: usize) -> Limits {
    Limits { rows_max, in_flight_max, ..Limits::default() }
}

fn driver(scorer: &Moody, limits: Limits) -> Driver<&Moody, Patient> {
    Driver::new(Some(scorer), Patient::default(), limits, 1)
}

/// [`SkippingTimer`], but a deadline beside work that is under way does not pass.
#[derive(Default)]
struct Patient(SkippingTimer);

impl Timer for Patient {
    fn now(&self) -> Duration {
        self.0.now()
    }

    async fn sleep(&self, wait: Duration) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.0.sleep(wait).await;
    }
}

/// What was queued: each position's score, `None` for a reject.
fn queued(queue: &MemoryQueue) -> BTreeMap<u64, Option<f64>> {
    let mut all = BTreeMap::new();
    let number = |sequence: &Sequence| sequence.text().parse().expect("a number");
    for chunk in queue.chunks() {
        let chunk: ChunkV1 = wire::read(&chunk.body).expect("its own message");
        for row in chunk.rows {
            assert!(row.score.is_none_or(|score| score == row.features[0] * 100.0), "its own score");
            all.insert(number(&row.sequence), row.score);
        }
        all.extend(chunk.rejects.iter().map(|reject| (number(&reject.sequence), None)));
    }
    all
}

async fn one_batch(scorer: &Moody, limits: Limits, count: u64) -> (Invoked, BTreeMap<u64, Option<f64>>) {
    let queue = MemoryQueue::default();
    let invoked = invoke(&driver(scorer, limits).turn(MINUTE), &queue, PARTITION, &records(0..count)).await;
    (invoked, queued(&queue))
}

fn throttled() -> Fault {
    Fault::throttled("ask", "ThrottlingException")
}

fn refused() -> Fault {
    Fault::refused("ask", "ModelError: the container answered 400: bad\nrow")
}

#[tokio::test]
async fn a_few_requests_at_a_time_and_the_order_is_kept() {
    let scorer = Moody::new(|_, _| Ok(()));
    let (invoked, queued) = one_batch(&scorer, limits(5, 3), 70).await;
    assert_eq!((invoked.tally.done, invoked.tally.rejected, invoked.resume_at), (60, 10, None));
    assert_eq!((scorer.calls(), scorer.most_under_way.load(Ordering::SeqCst)), (12, 3));
    assert!(queued.iter().all(|(i, score)| *score == (i % 7 != 6).then_some(*i as f64 * 100.0)));
}

#[tokio::test]
async fn throttling_is_waited_out_within_the_budget() {
    let scorer = Moody::new(|call, _| if call < 2 { Err(throttled()) } else { Ok(()) });
    let (driver, queue) = (driver(&scorer, limits(100, 4)), MemoryQueue::default());
    let turn = driver.turn(MINUTE);
    let invoked = invoke(&turn, &queue, PARTITION, &records(0..20)).await;
    assert_eq!((invoked.fault, invoked.tally.again), (None, 0));
    let effort = turn.effort();
    assert_eq!((effort.requests, effort.retries), (1, 2));
}

#[tokio::test]
async fn what_does_not_pass_is_handed_back_from_the_first_row_not_scored() {
    // Rows 0 to 4 and their reject-free neighbours are scored by the first call; nothing after it.
    let scorer = Moody::new(|call, _| if call == 0 { Ok(()) } else { Err(throttled()) });
    let (invoked, queued) = one_batch(&scorer, limits(5, 1), 70).await;
    assert_eq!((invoked.resume_at, invoked.tally.done), (Some(5), 5));
    assert_eq!(queued.keys().copied().collect::<Vec<_>>(), (0..5).collect::<Vec<_>>());
    assert_eq!(invoked.fault.map(|fault| fault.kind), Some(FaultKind::Throttled));
    assert!((2..=5).contains(&scorer.calls()), "{} calls", scorer.calls());
}

#[tokio::test]
async fn nothing_is_asked_twice_that_cannot_pass() {
    let scorer = Moody::new(|_, _| Err(Fault::permanent("ask", "AccessDeniedException")));
    let (invoked, _) = one_batch(&scorer, limits(100, 4), 20).await;
    assert_eq!((scorer.calls(), invoked.tally.again), (1, 20));
}

/// An endpoint that hangs.
struct Hanging;

impl Scorer for Hanging {
    fn model(&self) -> &str {
        "hanging"
    }

    async fn score(&self, _: &[&[f64]]) -> Result<Answer, Fault> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_left_in_time_and_not_asked_again() {
    let driver = Driver::new(Some(Hanging), SkippingTimer::default(), limits(5, 1), 0);
    let (turn, queue) = (driver.turn(MINUTE), MemoryQueue::default());
    let invoked = invoke(&turn, &queue, PARTITION, &records(0..20)).await;
    let expected = Fault::transient("ask hanging", "no answer within the function's time");
    assert_eq!((invoked.fault, turn.effort().retries), (Some(expected), 0));
    assert_eq!((invoked.resume_at, invoked.tally.again), (Some(0), 20));
}

#[tokio::test]
async fn a_refused_row_becomes_a_reject_and_its_neighbours_are_scored() {
    let scorer = Moody::new(|_, rows| if rows.contains(&8.0) { Err(refused()) } else { Ok(()) });
    let (invoked, queued) = one_batch(&scorer, limits(100, 4), 21).await;
    assert_eq!((invoked.tally.done, invoked.tally.rejected, invoked.tally.again), (17, 4, 0));
    assert_eq!((invoked.fault, queued.len(), queued[&8]), (None, 21, None));
    assert!(scorer.calls() <= 1 + 2 * 5, "{} calls", scorer.calls());
    let [reject] = &invoked.refused[..] else { panic!("one reject") };
    assert_eq!(reject.sequence, Sequence::from(8));
    let said = "the model refuses it: ModelError: the container answered 400: bad row";
    assert_eq!(reject.reject.to_string(), said);
    let Data::Text(data) = &reject.data else { panic!("text") };
    assert!(data.contains(r#""features":[8.0]"#) && data.contains(r#""series":"series-2""#), "{data}");
}

#[tokio::test]
async fn a_score_that_is_no_number_is_the_rows_own_fault() {
    struct NotANumber;
    impl Scorer for NotANumber {
        fn model(&self) -> &str {
            "nan"
        }

        async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
            let score = |row: &&[f64]| if row[0] == 3.0 { f64::NAN } else { 1.0 };
            Ok(rows.iter().map(score).collect::<Vec<f64>>().into())
        }
    }
    let driver = Driver::new(Some(NotANumber), SkippingTimer::default(), Limits::default(), 0);
    let queue = MemoryQueue::default();
    let invoked = invoke(&driver.turn(MINUTE), &queue, PARTITION, &records(0..6)).await;
    assert_eq!((invoked.tally.done, invoked.tally.rejected), (5, 1));
    assert_eq!(invoked.refused[0].reject, Reject::Refused { said: "its score is NaN".to_owned() });
}

#[tokio::test]
async fn an_endpoint_that_refuses_everything_gets_it_again() {
    let scorer = Moody::new(|_, _| Err(refused()));
    let (invoked, queued) = one_batch(&scorer, limits(100, 4), 70).await;
    assert_eq!((invoked.resume_at, invoked.tally.again, queued.len()), (Some(0), 70, 0));
    let fault = invoked.fault.expect("a fault");
    assert!(fault.detail.starts_with(&format!("it refuses more than {REFUSED_MAX} rows")), "{fault}");
    assert!(invoked.refused.is_empty());
}

#[tokio::test]
async fn the_breaker_opens_waits_and_tries_once() {
    let scorer = Moody::new(|call, _| match call {
        0..=2 => Err(Fault::transient("ask", "503")),
        _ => Ok(()),
    });
    let retry = RetryPolicy { attempts_max: 1, ..RetryPolicy::USUAL };
    let breaker = BreakerPolicy { failures_max: 2, open_for: Duration::from_secs(30) };
    let timer = Patient::default();
    let driver = Driver::new(Some(&scorer), &timer, Limits { retry, breaker, ..limits(5, 1) }, 0);
    let batch = async || {
        let invoked = invoke(&driver.turn(MINUTE), &MemoryQueue::default(), PARTITION, &records(6..20)).await;
        (invoked.resume_at, scorer.calls(), driver.breaker().as_str())
    };
    // Record 6 is a reject, which needs no endpoint: it is handed on whatever happens.
    assert_eq!(batch().await, (Some(1), 1, "closed"));
    assert_eq!(batch().await, (Some(1), 2, "open"));
    assert_eq!(batch().await, (Some(1), 2, "open"), "not asked");
    timer.0.pass(Duration::from_secs(29));
    assert_eq!(batch().await, (Some(1), 2, "open"));
    timer.0.pass(Duration::from_secs(1));
    assert_eq!(batch().await, (Some(1), 3, "open"), "one probe, which failed");
    timer.0.pass(Duration::from_secs(30));
    assert_eq!(batch().await, (None, 6, "closed"), "the probe's batch is scored whole");
    assert!(matches!(driver.breaker(), BreakerState::Closed { failures: 0 }));
}

#[tokio::test]
async fn variants_of_an_endpoint_are_models_of_their_own() {
    struct TwoVariants(AtomicUsize);
    impl Scorer for TwoVariants {
        fn model(&self) -> &str {
            "e"
        }

        async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
            let call = self.0.fetch_add(1, Ordering::SeqCst);
            let variant = ["a", "a", "b@1f0c", "@1f0c"].get(call).map(|name| (*name).to_owned());
            Ok(Answer { scores: vec![1.0; rows.len()], variant })
        }
    }
    let driver = Driver::new(Some(TwoVariants(0.into())), SkippingTimer::default(), limits(5, 1), 0);
    let queue = MemoryQueue::default();
    invoke(&driver.turn(MINUTE), &queue, PARTITION, &records(0..21)).await;
    let chunks = queue.chunks();
    let chunks: Vec<ChunkV1> = chunks.iter().map(|c| wire::read(&c.body).expect("its own message")).collect();
    let shown: Vec<_> = chunks.iter().map(|c| (c.model.as_str(), c.rows.len(), c.rejects.len())).collect();
    assert_eq!(shown, [("e/a", 10, 1), ("e/b@1f0c", 5, 1), ("e@1f0c", 3, 1)]);
}

/// Rows of `shingle` readings, in which nothing is filled in.
fn rows_of(shingle: usize) -> Plan {
    Plan { shingle, ..Plan::plain() }
}

/// One batch of records, delivered by a source that resumes where it is told until all is settled.
async fn until_settled(scorer: &Moody, limits: Limits, count: u64) -> Vec<BTreeMap<u64, Option<f64>>> {
    let driver = driver(scorer, limits);
    let (mut first, mut deliveries) = (0, Vec::new());
    while first < count && deliveries.len() < 1000 {
        let (queue, records) = (MemoryQueue::default(), records(first..count));
        let invoked = invoke(&driver.turn(MINUTE), &queue, PARTITION, &records).await;
        let settled = invoked.resume_at.unwrap_or(records.len()) as u64;
        assert_eq!(invoked.resume_at.is_some(), invoked.fault.is_some());
        assert_eq!(invoked.tally.again as u64, count - first - settled);
        let queued = queued(&queue);
        assert!((first..first + settled).all(|i| queued.contains_key(&i)), "settled is handed on");
        deliveries.push(queued);
        first += settled;
        // The next delivery comes when the breaker's time is over.
        driver.timer().0.pass(Duration::from_secs(31));
    }
    assert_eq!(first, count, "all is settled in the end");
    deliveries
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever fails and whoever is refused: settled in the end, every record once or more, guilty rows and no
    /// others rejected, no score beside another row.
    #[test]
    fn whatever_happens_every_record_has_its_fate(
        count in 1..80u64,
        rows_max in 1..30usize,
        in_flight in 1..5usize,
        moods in proptest::collection::vec(0..6u8, 0..60),
        picks in proptest::collection::btree_set(0..80u64, 0..10),
    ) {
        let guilty: BTreeSet<u64> = picks.clone();
        let scorer = Moody::new(move |call, rows| {
            match moods.get(call) {
                Some(0) => return Err(throttled()),
                Some(1) => return Err(Fault::transient("ask", "503")),
                Some(2) => return Err(Fault::permanent("ask", "AccessDeniedException")),
                _ => {}
            }
            match rows.iter().any(|row| picks.contains(&(*row as u64))) {
                true => Err(refused()),
                false => Ok(()),
            }
        });
        let deliveries = runtime().block_on(until_settled(&scorer, limits(rows_max, in_flight), count));
        for (i, score) in deliveries.into_iter().flatten() {
            let is_reject = i % 7 == 6 || guilty.contains(&i);
            prop_assert_eq!(score, (!is_reject).then_some(i as f64 * 100.0), "record {}", i);
        }
    }

    /// Windows under redelivery, cuts and failures of the table: the rows of a reading are always the same.
    #[test]
    fn a_reading_has_one_row_however_often_it_comes(
        shingle in 2..5usize,
        deliveries in proptest::collection::vec((0..6u64, 1..14u64, proptest::option::of((0..6usize, any::<bool>()))), 1..25),
    ) {
        let scorer = Moody::new(|_, _| Ok(()));
        let windows = MemoryWindows::default();
        runtime().block_on(async {
            let mut first = 0;
            for (settle, length, failure) in deliveries {
                let script: Vec<_> = failure
                    .map(|(call, before)| (call, if before { Failure::Before } else { Failure::After }))
                    .into_iter()
                    .collect();
                let driver = driver(&scorer, limits(3, 2)).with_windows(Failing::new(&windows, &script), rows_of(shingle));
                let (queue, batch) = (MemoryQueue::default(), records(first..first + length));
                let invoked = invoke(&driver.turn(MINUTE), &queue, PARTITION, &batch).await;
                let settled = invoked.resume_at.unwrap_or(batch.len()) as u64;
                first += settled.min(settle);
            }
        });
        let mut by_last: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for row in scorer.rows() {
            let last = *row.last().expect("a row") as u64;
            // Each series has every third record, and not those that are rejects.
            let expected: Vec<f64> = (0..=last).rev().filter(|i| i % 3 == last % 3 && i % 7 != 6)
                .take(shingle).map(|i| i as f64).collect::<Vec<_>>().into_iter().rev().collect();
            prop_assert_eq!(&row, &expected);
            if let Some(known) = by_last.insert(last, row.clone()) {
                prop_assert_eq!(known, row);
            }
        }
    }
}

/// The first readings of a series have no row yet: they are let through without a score, not lost.
#[tokio::test]
async fn a_series_warms_up() {
    let (scorer, windows) = (Moody::new(|_, _| Ok(())), MemoryWindows::default());
    let driver = driver(&scorer, limits(100, 1)).with_windows(&windows, rows_of(3));
    let queue = MemoryQueue::default();
    let invoked = invoke(&driver.turn(MINUTE), &queue, PARTITION, &records(0..13)).await;
    assert_eq!((invoked.tally.done, invoked.tally.rejected, invoked.tally.again), (12, 1, 0));
    let unscored: Vec<u64> =
        queued(&queue).into_iter().filter(|(_, s)| s.is_none()).map(|(i, _)| i).collect();
    assert_eq!(unscored, [0, 1, 2, 3, 4, 5, 6], "two of each series, and a reject");
}

/// Without its windows a batch is not scored with rows of another length: it is wanted again.
#[tokio::test]
async fn a_table_that_fails_hands_everything_back_before_it_costs_anything() {
    for call in 0..4 {
        for failure in [Failure::Before, Failure::After] {
            let (scorer, windows) = (Moody::new(|_, _| Ok(())), MemoryWindows::default());
            let failing = Failing::new(&windows, &[(call, failure)]);
            let driver = driver(&scorer, limits(100, 1)).with_windows(failing, rows_of(2));
            let queue = MemoryQueue::default();
            let invoked = invoke(&driver.turn(MINUTE), &queue, PARTITION, &records(0..20)).await;
            assert_eq!((invoked.resume_at, scorer.calls()), (Some(0), 0), "call {call}");
            let again = invoke(&driver.turn(MINUTE), &queue, PARTITION, &records(0..20)).await;
            assert_eq!((again.resume_at, scorer.rows().len()), (None, 15));
        }
    }
}

/// A writer that is late must not write over what a faster one wrote: its rows are built anew.
#[tokio::test]
async fn windows_written_by_another_are_read_again() {
    struct Behind<'w>(&'w MemoryWindows, AtomicUsize);
    impl Windows for Behind<'_> {
        async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<StoredWindow>>, Fault> {
            match self.1.fetch_add(1, Ordering::SeqCst) {
                0 => Ok(vec![None; series.len()]),
                _ => self.0.load(series).await,
            }
        }

        async fn save(
            &self,
            series: &SeriesId,
            window: &Window,
            revision: Option<u64>,
        ) -> Result<Saved, Fault> {
            self.0.save(series, window, revision).await
        }
    }
    let (scorer, windows) = (Moody::new(|_, _| Ok(())), MemoryWindows::default());
    let first = driver(&scorer, limits(100, 1)).with_windows(&windows, rows_of(2));
    invoke(&first.turn(MINUTE), &MemoryQueue::default(), PARTITION, &records(0..5)).await;
    let behind = driver(&scorer, limits(100, 1)).with_windows(Behind(&windows, 0.into()), rows_of(2));
    let queue = MemoryQueue::default();
    let invoked = invoke(&behind.turn(MINUTE), &queue, PARTITION, &records(5..6)).await;
    assert_eq!(invoked.fault, None);
    assert_eq!(scorer.rows().last().map(Vec::as_slice), Some(&[2.0, 5.0][..]));
}

/// A feature that a record does not give is the previous one in the row and in the chunk, and the same when the batch
/// comes again; where there was none before, the reading is a reject that says so.
#[tokio::test]
async fn previous_values_are_in_the_rows_and_stay() {
    let gap = |i: u64| {
        let Decoded::Reading(reading) = records(i..i + 1).entries()[0].clone() else { panic!("a reading") };
        let filled = vec![Filled { feature: 0, gap: Gap::Null, with: Filling::Previous }];
        Decoded::Reading(Reading { features: vec![0.0], filled, ..reading })
    };
    // Of one series, 0, 3, 9, 12 and 15; the first has no value before it.
    let batch = |from: usize| {
        let mut batch = Records::default();
        let all = [gap(0), gap(3), records(9..10).entries()[0].clone(), gap(12), gap(15)];
        all.into_iter().skip(from).for_each(|entry| batch.push(entry));
        batch
    };
    let (scorer, windows) = (Moody::new(|_, _| Ok(())), MemoryWindows::default());
    let plan = Plan { shingle: 1, fills: true, features: vec!["load".to_owned()] };
    let driver = driver(&scorer, limits(100, 1)).with_windows(&windows, plan);
    let mut told = Vec::new();
    for from in [0, 0, 1, 3] {
        let queue = MemoryQueue::default();
        let invoked = invoke(&driver.turn(MINUTE), &queue, PARTITION, &batch(from)).await;
        let rejected = 2_usize.saturating_sub(from);
        assert_eq!((invoked.tally.rejected, invoked.refused.len()), (rejected, rejected));
        assert!(invoked.refused.iter().all(|reject| reject.reject.to_string().contains("load")));
        let chunks = queue.chunks().into_iter();
        let rows = chunks.flat_map(|c| wire::read::<ChunkV1>(&c.body).expect("its own message").rows);
        told.push(rows.map(|row| (row.sequence, row.features, row.score)).collect::<Vec<_>>());
    }
    let row = |i: u64| (Sequence::from(i), vec![9.0], Some(900.0));
    let (all, last) = (vec![row(9), row(12), row(15)], vec![row(12), row(15)]);
    assert_eq!(told, [all.clone(), all.clone(), all, last]);
}
