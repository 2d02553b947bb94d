//! Silence through `classify` and its sweeps: told once, whenever they come by and whatever fails.

use std::time::Duration;

use anomaly_core::alert::Transition;
use anomaly_core::classify::{Policy, SeriesState};
use anomaly_core::config::{Band, Config, EventTime, MOfN, Method, NoData, Rule, Severity};
use anomaly_core::position::Sequence;
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{ChunkV1, RowV1};
use anomaly_fakes::failing::{Failing, Failure};
use anomaly_fakes::memory::MemoryTables;
use anomaly_pipeline::classify::{Flushed, Tables, classify_chunk, flush};
use anomaly_pipeline::ports::States;
use proptest::prelude::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(seconds * 1000).expect("in range")
}

fn series(name: &str) -> SeriesId {
    SeriesId::new(name).expect("a name")
}

/// Silent after ten minutes, which is never worse than a warning.
fn config() -> Config {
    let mut config = escalating();
    config.rules[0].severity = vec![Band { at: 1.0, level: Severity::Warning }];
    config
}

/// Silent after ten minutes, critical after fifteen.
fn escalating() -> Config {
    let method = Method::NoData(NoData { after: Duration::from_secs(600) });
    let rule = Rule { name: "quiet".to_owned(), method, hold: MOfN::default(), ..Rule::default() };
    Config { rules: vec![rule], ..Config::default() }
}

fn policy_of(config: &Config) -> Policy {
    Policy::new(config, &["v".to_owned()])
}

fn policy() -> Policy {
    policy_of(&config())
}

/// The reading of second `arrived_s`, which is its number too.
fn row(name: &str, arrived_s: i64) -> RowV1 {
    RowV1 {
        series: series(name),
        at_ms: at(arrived_s),
        arrived_ms: at(arrived_s),
        sequence: Sequence::from(u64::try_from(arrived_s).expect("positive")),
        sub: 0,
        features: vec![arrived_s as f64],
        filled: Vec::new(),
        score: None,
    }
}

async fn classify(tables: &MemoryTables, policy: &Policy, rows: &[RowV1], now_s: i64) {
    let (partition, model) = ("p".into(), "m".to_owned());
    let chunk = ChunkV1 { v: 1, partition, group: None, model, rows: rows.to_vec(), rejects: Vec::new() };
    let tables = Tables::new(tables, tables, tables);
    classify_chunk(tables, policy, chunk, at(now_s)).await.expect("no faults");
}

async fn sweep(tables: &MemoryTables, policy: &Policy, now_s: i64) -> Flushed {
    flush(tables, policy, at(now_s)).await.expect("listed")
}

fn told(tables: &MemoryTables) -> Vec<Transition> {
    let mut told: Vec<_> = tables.outbox().into_iter().map(|row| row.transition).collect();
    told.sort_by(|a, b| (a.at, &a.series, a.number).cmp(&(b.at, &b.series, b.number)));
    told
}

/// Series, step and second.
fn shown(tables: &MemoryTables) -> Vec<(String, &'static str, i64)> {
    let one = |t: &Transition| (t.series.to_string(), t.step.as_str(), t.at.as_ms() / 1000);
    told(tables).iter().map(one).collect()
}

fn step(name: &str, step: &'static str, second: i64) -> (String, &'static str, i64) {
    (name.to_owned(), step, second)
}

#[tokio::test]
async fn a_sweep_tells_silence_once_and_a_reading_ends_it() {
    let (tables, policy) = (MemoryTables::default(), policy());
    assert_eq!(sweep(&tables, &policy, 50_000).await, Flushed::default(), "a cold start");
    classify(&tables, &policy, &[row("a", 1_000), row("b", 1_001)], 1_001).await;
    classify(&tables, &policy, &[row("b", 1_500)], 1_500).await;
    assert_eq!(sweep(&tables, &policy, 1_600).await, Flushed::default(), "a's was judged a second late");
    let some = sweep(&tables, &policy, 1_601).await;
    assert_eq!((some.series, some.released, some.transitions), (1, 0, 1));
    let state = tables.state(&series("a"));
    assert_eq!(sweep(&tables, &policy, 2_000).await, Flushed::default(), "once");
    assert_eq!(tables.state(&series("a")), state, "and the state is not written again");
    classify(&tables, &policy, &[row("a", 1_000), row("b", 1_001)], 2_000).await;
    assert_eq!(shown(&tables), [step("a", "fired", 1_600)], "what comes again ends nothing");
    classify(&tables, &policy, &[row("a", 2_001)], 2_001).await;
    assert_eq!(shown(&tables), [step("a", "fired", 1_600), step("a", "resolved", 2_001)]);
}

/// Once, at the time it is worse, whenever the sweep comes by; and the index does not show it any more.
#[tokio::test]
async fn a_silence_that_lasts_gets_worse() {
    let (tables, policy) = (MemoryTables::default(), policy_of(&escalating()));
    classify(&tables, &policy, &[row("a", 1_000)], 1_000).await;
    assert_eq!(sweep(&tables, &policy, 1_660).await.transitions, 1);
    assert_eq!(sweep(&tables, &policy, 1_899).await, Flushed::default());
    assert_eq!(sweep(&tables, &policy, 1_940).await.transitions, 1);
    let state = tables.state(&series("a"));
    assert_eq!(sweep(&tables, &policy, 9_000).await, Flushed::default(), "once");
    assert_eq!(tables.state(&series("a")), state, "and the state is not written again");
    assert_eq!(tables.due(at(99_999), 9).await.expect("listed"), []);
    assert_eq!(shown(&tables), [step("a", "fired", 1_600), step("a", "escalated", 1_900)]);
    assert_eq!(told(&tables)[1].severity, Severity::Critical);
}

/// A chunk out of the dead-letter queue is no sign of life.
#[tokio::test]
async fn a_late_chunk_ends_no_silence() {
    let (tables, policy) = (MemoryTables::default(), policy());
    classify(&tables, &policy, &[row("a", 1_000)], 1_000).await;
    classify(&tables, &policy, &[row("a", 1_100)], 1_100).await;
    sweep(&tables, &policy, 1_700).await;
    classify(&tables, &policy, &[row("a", 1_050)], 9_000).await;
    assert_eq!(shown(&tables), [step("a", "fired", 1_700)]);
    assert_eq!(sweep(&tables, &policy, 10_000).await, Flushed::default(), "nor begins one");
}

/// Wherever a sweep fails, the next one tells it, and one write is enough.
#[tokio::test]
async fn a_sweep_may_fail_anywhere() {
    let policy = policy();
    for call in 0..3 {
        for failure in [Failure::Before, Failure::After] {
            let tables = MemoryTables::default();
            classify(&tables, &policy, &[row("a", 1_000)], 1_000).await;
            let failing = Failing::new(&tables, &[(call, failure)]);
            let first = flush(&failing, &policy, at(1_700)).await;
            assert!(first.map_or(true, |flushed| flushed.faults.len() == 1), "call {call} was made");
            sweep(&tables, &policy, 1_800).await;
            assert_eq!(shown(&tables), [step("a", "fired", 1_600)], "call {call}, {failure:?}");
        }
    }
}

/// By event time a sweep first releases, then tells; and what waits with nobody to ask for it any more holds up none.
#[tokio::test]
async fn silence_beside_readings_that_wait() {
    let [late, out_of_order] = [16, 5].map(Duration::from_secs);
    let mut waiting = config();
    waiting.input.event_time = Some(EventTime { late, out_of_order, ..EventTime::default() });
    let tables = MemoryTables::default();
    classify(&tables, &policy_of(&waiting), &[row("a", 1_000)], 1_000).await;
    let some = sweep(&tables, &policy_of(&waiting), 1_016).await;
    assert_eq!((some.series, some.released, some.transitions), (1, 1, 0));
    assert_eq!(sweep(&tables, &policy_of(&waiting), 1_599).await, Flushed::default());
    assert_eq!(sweep(&tables, &policy_of(&waiting), 1_600).await.transitions, 1);
    classify(&tables, &policy_of(&waiting), &[row("a", 2_000)], 2_000).await;
    assert_eq!(shown(&tables), [step("a", "fired", 1_600), step("a", "resolved", 2_000)]);
    assert_eq!(sweep(&tables, &policy(), 2_010).await.released, 1, "event time is asked for no more");
    let state = SeriesState::decode(&tables.state(&series("a")).expect("a state")).expect("its own");
    assert_eq!(state.due(), Some(at(2_600)));
}

/// A rule that is gone leaves nothing that sweeps find again and again.
#[tokio::test]
async fn a_changed_rule_is_swept_by_its_new_time() {
    let tables = MemoryTables::default();
    classify(&tables, &policy(), &[row("a", 1_000)], 1_000).await;
    let mut longer = config();
    longer.rules[0].method = Method::NoData(NoData { after: Duration::from_secs(900) });
    assert_eq!(sweep(&tables, &policy_of(&longer), 1_600).await, Flushed::default());
    let due = |tables: &MemoryTables| {
        SeriesState::decode(&tables.state(&series("a")).expect("a state")).expect("its own").due()
    };
    assert_eq!(due(&tables), Some(at(1_900)), "it is looked for then");
    longer.rules[0].series = Some(anomaly_core::config::Pattern("b*".to_owned()));
    assert_eq!(sweep(&tables, &policy_of(&longer), 1_900).await, Flushed::default());
    assert_eq!(due(&tables), None);
}

proptest! {
    /// The same readings give the same transitions, by the same ids and in the same words, whenever sweeps come by and
    /// however readings are cut into chunks.
    #[test]
    fn sweeps_and_chunks_do_not_matter(
        gaps in proptest::collection::vec((0..700i64, 0..3usize, any::<bool>()), 1..20),
        sweeps in proptest::collection::vec(0..10_000i64, 0..10),
        is_by_event_time in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut config = escalating();
        if is_by_event_time {
            let [late, out_of_order] = [16, 5].map(Duration::from_secs);
            config.input.event_time = Some(EventTime { late, out_of_order, ..EventTime::default() });
        }
        let policy = policy_of(&config);
        let mut now = 1_000;
        let rows: Vec<(RowV1, bool)> = gaps
            .iter()
            .map(|(gap, name, ends)| {
                now += gap + 1;
                (row(["a", "b", "c"][*name], now), *ends)
            })
            .collect();
        let end = now + 20_000;
        let plain = MemoryTables::default();
        let cut = MemoryTables::default();
        runtime.block_on(async {
            for (row, _) in &rows {
                classify(&plain, &policy, std::slice::from_ref(row), row.arrived_ms.as_ms() / 1000).await;
            }
            sweep(&plain, &policy, end).await;
            let mut sweeps: Vec<i64> = sweeps.iter().map(|s| s + 1_000).collect();
            sweeps.sort_unstable();
            let mut chunk = Vec::new();
            for (row, ends) in &rows {
                let arrived = row.arrived_ms.as_ms() / 1000;
                let passed = sweeps.iter().take_while(|s| **s < arrived).count();
                if passed > 0 && !chunk.is_empty() {
                    // What has arrived is judged before a sweep of a later time.
                    let now = chunk.last().map_or(0, |row: &RowV1| row.arrived_ms.as_ms() / 1000);
                    classify(&cut, &policy, &std::mem::take(&mut chunk), now).await;
                }
                for now in sweeps.drain(..passed) {
                    sweep(&cut, &policy, now).await;
                }
                chunk.push(row.clone());
                if *ends {
                    classify(&cut, &policy, &std::mem::take(&mut chunk), arrived).await;
                }
            }
            if !chunk.is_empty() {
                classify(&cut, &policy, &chunk, now).await;
            }
            sweep(&cut, &policy, end).await;
        });
        prop_assert_eq!(told(&cut), told(&plain));
    }
}
