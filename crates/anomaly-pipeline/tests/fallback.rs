//! An endpoint that gives no scores, and the streaming detector that stands in for it.

use std::time::Duration;

use anomaly_core::alert::Transition;
use anomaly_core::classify::{Policy, SeriesState};
use anomaly_core::config::{Config, STREAMING};
use anomaly_core::message;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::{Reading, SeriesId};
use anomaly_core::records::{Decoded, Records};
use anomaly_core::settle::Tally;
use anomaly_core::time::Timestamp;
use anomaly_core::window::Plan;
use anomaly_core::wire::{self, ChunkV1};
use anomaly_detect::{Detector, Period, Streaming};
use anomaly_fakes::failing::{Failing, Failure};
use anomaly_fakes::memory::{MemoryQueue, MemoryTables, MemoryWindows, SkippingTimer};
use anomaly_pipeline::classify::{Classified, Tables, classify_chunk};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::invoke::{Driver, Invoked, Limits, RetryPolicy, invoke};
use anomaly_pipeline::ports::{Answer, Scorer};

/// Scores every row with 1, but fails for rows whose value is above its limit.
struct UpTo(f64);

impl Scorer for UpTo {
    fn model(&self) -> &str {
        "forest"
    }

    async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        match rows.iter().any(|row| row[0] > self.0) {
            true => Err(Fault::transient("ask forest", "no answer")),
            false => Ok(vec![1.0; rows.len()].into()),
        }
    }
}

const NEVER: f64 = f64::NEG_INFINITY;
const ALWAYS: f64 = f64::INFINITY;

fn at(i: u64) -> Timestamp {
    Timestamp::from_ms(i as i64 * 1000).expect("in range")
}

fn series() -> SeriesId {
    SeriesId::new("pump").expect("a name")
}

fn reading(i: u64, value: f64) -> Decoded {
    let position = Position { partition: "s/0".into(), sequence: Sequence::from(i), sub: 0, arrived: at(i) };
    let (features, filled) = (vec![value], Vec::new());
    Decoded::Reading(Reading { series: series(), at: at(i), features, filled, position })
}

/// A series without a fault: 0 to 9 over and over.
fn usual(numbers: std::ops::Range<u64>) -> Records {
    numbers.map(|i| reading(i, (i * 7 % 10) as f64)).collect()
}

/// The endpoint's model, which the rule judges at 3 deviations, and `more`.
fn policy(more: &str) -> Policy {
    let config = format!(
        "[input]\nseries = 'pump'\nfeatures = ['/v']\n[model]\nkind = 'endpoint'\nendpoint = 'forest'\n{more}\n
         [[rule]]\nname = 'strange'\nmethod = {{ kind = 'sigma' }}\nfor = '1 of 1'\nclear = {{ for = '5 of 5' }}"
    );
    Policy::new(&Config::from_toml(&config).expect("a valid configuration"), &["v".to_owned()])
}

const WITH: &str = "fallback = 'embedded'";
const WITHOUT: &str = "";

async fn ask(scorer: UpTo, streaming: bool, records: &Records) -> (Invoked, Vec<ChunkV1>) {
    let retry = RetryPolicy { attempts_max: 1, ..RetryPolicy::USUAL };
    let limits = Limits { rows_max: 2, in_flight_max: 1, retry, streaming, ..Limits::default() };
    let driver = Driver::new(Some(scorer), SkippingTimer::default(), limits, 1);
    let queue = MemoryQueue::default();
    let invoked = invoke(&driver.turn(Duration::from_secs(60)), &queue, "s/0", records).await;
    (invoked, queue.chunks().iter().map(|chunk| wire::read(&chunk.body).expect("its own")).collect())
}

async fn classify(tables: &MemoryTables, policy: &Policy, chunks: Vec<ChunkV1>) -> Classified {
    let mut last = Classified::default();
    for chunk in chunks {
        last = classify_chunk(Tables::new(tables, tables, tables), policy, chunk, at(10_000))
            .await
            .expect("no faults");
    }
    last
}

fn told(tables: &MemoryTables) -> Vec<Transition> {
    tables.outbox().into_iter().map(|row| row.transition).collect()
}

fn memory(tables: &MemoryTables) -> Vec<u8> {
    let state = tables.state(&series()).expect("a state");
    SeriesState::decode(&state).expect("its own").detector().to_vec()
}

#[tokio::test]
async fn what_the_endpoint_does_not_score_is_left_to_the_detector() {
    let records: Records =
        [1.0, 2.0, 3.0, 9.0, 1.0].into_iter().zip(0..).map(|(v, i)| reading(i, v)).collect();
    let (invoked, chunks) = ask(UpTo(5.0), true, &records).await;
    assert_eq!(invoked.tally, Tally { received: 5, done: 5, rejected: 0, again: 0 });
    assert_eq!((invoked.resume_at, invoked.fault), (None, None));
    assert!(invoked.fallback.is_some_and(|fault| fault.to_string().contains("no answer")));
    let shown: Vec<_> = chunks
        .iter()
        .map(|c| (c.model.as_str(), c.rows.iter().map(|row| row.score).collect::<Vec<_>>()))
        .collect();
    assert_eq!(shown, [("forest", vec![Some(1.0); 2]), (STREAMING, vec![None; 3])]);

    let (invoked, chunks) = ask(UpTo(5.0), false, &records).await;
    assert_eq!(
        invoked.tally,
        Tally { received: 5, done: 2, rejected: 0, again: 3 },
        "without one they are wanted again"
    );
    assert_eq!((invoked.resume_at, chunks.len(), invoked.fallback), (Some(2), 1, None));
}

#[tokio::test]
async fn readings_missing_from_their_windows_are_not_left_to_the_detector() {
    let limits = Limits { streaming: true, ..Limits::default() };
    let windows = MemoryWindows::default();
    let failing = Failing::new(&windows, &[(0, Failure::Before)]);
    let driver = Driver::new(Some(UpTo(ALWAYS)), SkippingTimer::default(), limits, 1)
        .with_windows(failing, Plan { shingle: 2, ..Plan::plain() });
    let queue = MemoryQueue::default();
    let invoked = invoke(&driver.turn(Duration::from_secs(60)), &queue, "s/0", &usual(0..4)).await;
    assert_eq!((invoked.tally.again, queue.chunks().len(), invoked.fallback), (4, 0, None));
}

#[tokio::test]
async fn the_detector_knows_the_series_when_the_endpoint_falls_silent() {
    let (tables, policy) = (MemoryTables::default(), policy(WITH));
    let (_, chunks) = ask(UpTo(ALWAYS), true, &usual(0..400)).await;
    classify(&tables, &policy, chunks).await;
    assert!(told(&tables).is_empty(), "the endpoint saw nothing strange");

    let mut silent: Records = usual(400..410);
    silent.push(reading(410, 500.0));
    let (_, chunks) = ask(UpTo(NEVER), true, &silent).await;
    classify(&tables, &policy, chunks.clone()).await;
    let [fired] = &told(&tables)[..] else { panic!("one alert: {:?}", told(&tables)) };
    assert_eq!((fired.model.as_str(), fired.fallback, fired.at), (STREAMING, true, at(410)));
    let text = message::text(fired);
    assert!(text.contains("scored by the streaming detector, as the endpoint gave no score"), "{text}");

    let before = memory(&tables);
    let again = classify(&tables, &policy, chunks).await;
    assert_eq!((again.judged, again.duplicates), (0, 11));
    assert_eq!(memory(&tables), before, "what comes again is not learned again");
    assert_eq!(told(&tables).len(), 1);
}

#[tokio::test]
async fn who_has_no_fallback_pays_nothing_for_it() {
    let (tables, policy) = (MemoryTables::default(), policy(WITHOUT));
    let (_, chunks) = ask(UpTo(ALWAYS), false, &usual(0..100)).await;
    classify(&tables, &policy, chunks).await;
    assert!(memory(&tables).is_empty());
}

#[tokio::test]
async fn a_fallback_that_is_given_up_leaves_nothing_behind() {
    let tables = MemoryTables::default();
    let (_, chunks) = ask(UpTo(ALWAYS), true, &usual(0..100)).await;
    classify(&tables, &policy(WITH), chunks).await;
    assert!(!memory(&tables).is_empty());
    let (_, chunks) = ask(UpTo(ALWAYS), false, &usual(100..102)).await;
    classify(&tables, &policy(WITHOUT), chunks).await;
    assert!(memory(&tables).is_empty());
}

#[tokio::test]
async fn a_period_that_is_given_holds_for_what_is_learned_already_too() {
    let tables = MemoryTables::default();
    let learned = async |more: &str, numbers| {
        let (_, chunks) = ask(UpTo(ALWAYS), true, &usual(numbers)).await;
        classify(&tables, &policy(&format!("{WITH}\n{more}")), chunks).await;
        let detector = Streaming::load(&memory(&tables)).expect("its own");
        (detector.readings_learned(), detector.periods())
    };
    assert_eq!(learned("period = '24 readings'", 0..50).await, (50, vec![Some(24.0)]));
    // A reading comes every second.
    assert_eq!(learned("period = '1m'", 50..100).await, (100, vec![Some(60.0)]));
    assert_eq!(learned("period = '7 readings'", 100..101).await, (101, vec![Some(7.0)]));
}

/// What the configuration lets through is a period.
#[test]
fn the_configuration_and_the_detector_agree_on_what_a_period_is() {
    for readings in [0, 1, 2, 1_000_000, 1_000_001] {
        let config = format!("[model]\nkind = 'embedded'\nperiod = '{readings} readings'");
        assert_eq!(Config::from_toml(&config).is_ok(), Period::readings(readings).is_ok(), "{readings}");
    }
}

/// What the configuration reckons with is what a state may grow to.
#[test]
fn a_detector_takes_no_more_than_the_configuration_reckons_with() {
    let config = "[model]\nkind = 'embedded'";
    let model = Config::from_toml(config).expect("a valid configuration").model;
    for width in [1, 2, 4, 5, 8] {
        let (mut detector, mut most) = (Streaming::default(), 0);
        for i in 0..6_000_u32 {
            let noise = |feature: usize| f64::from((i * 7_919 + feature as u32 * 104_729) % 1_009) / 7.0;
            detector.learn(&(0..width).map(noise).collect::<Vec<_>>()).expect("finite");
            if i % 500 == 0 {
                most = most.max(detector.save().len());
            }
        }
        assert!(most as u64 <= model.detector_bytes_max(width), "{most} bytes for {width} features");
    }
}
