//! Readings by event time through `classify`: kept waiting in the state, released in order, and flushed.

use std::time::Duration;

use anomaly_core::classify::{Policy, SeriesState};
use anomaly_core::config::{Clear, Config, EventTime, Input, MOfN, Method, On, Rule, Untimely};
use anomaly_core::event_time::{Hold, Untimeliness};
use anomaly_core::position::Sequence;
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{ChunkV1, Data, RowV1};
use anomaly_fakes::failing::{Failing, Failure};
use anomaly_fakes::memory::MemoryTables;
use anomaly_pipeline::classify::{Classified, Flushed, Tables, classify_chunk, flush};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(seconds * 1000).expect("in range")
}

fn series(name: &str) -> SeriesId {
    SeriesId::new(name).expect("a name")
}

/// Late 16 s, out of order 5 s; anything above 10 is an alert, anything below ends it.
fn policy(policy: Untimely) -> Policy {
    let [late, out_of_order] = [16, 5].map(Duration::from_secs);
    let event_time = EventTime { late, out_of_order, policy, ..EventTime::default() };
    policy_of(Some(event_time))
}

fn policy_of(event_time: Option<EventTime>) -> Policy {
    let rule = Rule {
        on: On::Value,
        method: Method::Static { threshold: 10.0 },
        hold: MOfN::default(),
        clear: Clear { below: 1.0, hold: MOfN::default() },
        ..Rule::default()
    };
    let input = Input { event_time, ..Input::default() };
    Policy::new(&Config { input, rules: vec![rule], ..Config::default() }, &["v".to_owned()])
}

/// A reading: number, time, arrival and value.
fn row(sequence: u64, event_s: i64, arrived_s: i64, value: f64) -> RowV1 {
    RowV1 {
        series: series("s"),
        at_ms: at(event_s),
        arrived_ms: at(arrived_s),
        sequence: Sequence::from(sequence),
        sub: 0,
        features: vec![value],
        filled: Vec::new(),
        score: None,
    }
}

fn chunk(rows: &[RowV1]) -> ChunkV1 {
    ChunkV1 {
        v: 1,
        partition: "p".into(),
        group: None,
        model: "m".to_owned(),
        rows: rows.to_vec(),
        rejects: Vec::new(),
    }
}

async fn classify(tables: &MemoryTables, policy: &Policy, rows: &[RowV1]) -> Classified {
    let outcome = classify_chunk(Tables::new(tables, tables, tables), policy, chunk(rows), at(0))
        .await
        .expect("no faults");
    let Classified { received, judged, released, held, duplicates, rejects, .. } = outcome;
    assert_eq!(received, judged - released + held + duplicates + rejects);
    outcome
}

/// The steps in the outbox, by the second on which they were taken.
fn steps(tables: &MemoryTables) -> Vec<(i64, &'static str)> {
    let step =
        |row: &anomaly_fakes::memory::Row| (row.transition.at.as_ms() / 1000, row.transition.step.as_str());
    let mut steps: Vec<_> = tables.outbox().iter().map(step).collect();
    steps.sort_unstable();
    steps
}

fn waiting(tables: &MemoryTables) -> usize {
    let state = SeriesState::decode(&tables.state(&series("s")).expect("a state")).expect("its own");
    state.hold().map_or(0, Hold::len)
}

/// Out of order the calm reading of second 102 would end the alert before it began.
const DISORDERED: [(i64, f64); 4] = [(100, 1.0), (103, 50.0), (102, 1.0), (104, 1.0)];

fn disordered() -> Vec<RowV1> {
    let rows = DISORDERED.iter().zip(1..);
    rows.map(|((event, value), number)| row(number, *event, 105, *value)).collect()
}

#[tokio::test]
async fn readings_are_judged_in_the_order_of_their_times() {
    let tables = MemoryTables::default();
    let policy = policy(Untimely::Adjust);
    let outcome = classify(&tables, &policy, &disordered()).await;
    assert_eq!((outcome.held, outcome.judged, waiting(&tables)), (4, 0, 4), "all within 5 s");
    assert_eq!(outcome.watermark, Some(at(99)));
    let outcome = classify(&tables, &policy, &[row(5, 109, 109, 1.0)]).await;
    assert_eq!((outcome.held, outcome.released, outcome.transitions), (1, 4, 2));
    assert_eq!(steps(&tables), [(103, "fired"), (104, "resolved")]);
}

#[tokio::test]
async fn a_redelivery_neither_judges_nor_holds_twice() {
    let tables = MemoryTables::default();
    let policy = policy(Untimely::Adjust);
    classify(&tables, &policy, &disordered()).await;
    let state = tables.state(&series("s"));
    let again = classify(&tables, &policy, &disordered()).await;
    assert_eq!(again, Classified { received: 4, duplicates: 4, ..Classified::default() });
    assert_eq!(tables.state(&series("s")), state);
}

#[tokio::test]
async fn what_is_dropped_is_kept_with_its_name() {
    let tables = MemoryTables::default();
    let rows = [row(1, 100, 100, 1.0), row(2, 90, 107, 50.0), row(3, 94, 107, 50.0), row(4, 500, 107, 50.0)];
    let outcome = classify(&tables, &policy(Untimely::Drop), &rows).await;
    assert_eq!((outcome.held, outcome.dropped, outcome.rejects), (1, 3, 3));
    assert_eq!(outcome.untimely, Untimeliness { early: 1, late: 1, out_of_order: 1 });
    let names: Vec<_> = tables.rejects().iter().map(|kept| kept.reject.as_str()).collect();
    assert!(
        tables
            .rejects()
            .iter()
            .all(|kept| kept.by == Some(policy(Untimely::Drop).versions().by(&kept.reject)))
    );
    assert_eq!(names, ["late-input-event", "out-of-order-event", "early-input-event"]);
    let Data::Text(data) = &tables.rejects()[0].data else { panic!("text") };
    assert_eq!(serde_json::from_str::<RowV1>(data).expect("the reading"), rows[1]);
    // Nothing was lost when it comes again, and nothing is kept twice.
    let again = classify(&tables, &policy(Untimely::Drop), &rows).await;
    assert_eq!((again.duplicates, tables.rejects().len()), (4, 3));
}

/// A reading that is dropped is kept before the state counts it as seen.
#[tokio::test]
async fn a_drop_survives_any_fault() {
    let rows = [row(1, 100, 100, 1.0), row(2, 90, 107, 50.0)];
    for call in 0..3 {
        for failure in [Failure::Before, Failure::After] {
            let (tables, policy) = (MemoryTables::default(), policy(Untimely::Drop));
            let failing = Failing::new(&tables, &[(call, failure)]);
            let first =
                classify_chunk(Tables::new(&failing, &failing, &failing), &policy, chunk(&rows), at(0)).await;
            assert!(first.is_err(), "call {call} was made");
            classify_chunk(Tables::new(&tables, &tables, &tables), &policy, chunk(&rows), at(0))
                .await
                .expect("no faults");
            assert_eq!((tables.rejects().len(), waiting(&tables)), (1, 1), "call {call}, {failure:?}");
        }
    }
}

#[tokio::test]
async fn silence_releases_what_waits() {
    let tables = MemoryTables::default();
    let policy = policy(Untimely::Adjust);
    classify(&tables, &policy, &disordered()).await;
    let none = flush(&tables, &policy, at(115)).await.expect("listed");
    assert_eq!(none, Flushed::default(), "something of second 100 may still come");
    let some = flush(&tables, &policy, at(119)).await.expect("listed");
    assert_eq!((some.series, some.released, some.transitions, waiting(&tables)), (1, 3, 1, 1));
    let rest = flush(&tables, &policy, at(1_000)).await.expect("listed");
    assert_eq!((rest.released, rest.transitions, waiting(&tables)), (1, 1, 0));
    assert_eq!(steps(&tables), [(103, "fired"), (104, "resolved")]);
    assert_eq!(flush(&tables, &policy, at(2_000)).await, Ok(Flushed::default()));
    let again = classify(&tables, &policy, &disordered()).await;
    assert_eq!(again.duplicates, 4, "a redelivery after a flush");
}

/// Wherever a flush fails, the next one brings everything to the same end.
#[tokio::test]
async fn a_flush_may_fail_anywhere() {
    let policy = policy(Untimely::Adjust);
    let undisturbed = MemoryTables::default();
    classify(&undisturbed, &policy, &disordered()).await;
    flush(&undisturbed, &policy, at(200)).await.expect("no faults");
    for call in 0..3 {
        for failure in [Failure::Before, Failure::After] {
            let tables = MemoryTables::default();
            classify(&tables, &policy, &disordered()).await;
            let failing = Failing::new(&tables, &[(call, failure)]);
            let first = flush(&failing, &policy, at(200)).await;
            assert!(first.map_or(true, |flushed| flushed.faults.len() == 1), "call {call} was made");
            flush(&tables, &policy, at(200)).await.expect("no faults");
            assert_eq!(tables.outbox(), undisturbed.outbox(), "call {call}, {failure:?}");
            assert_eq!(tables.state(&series("s")), undisturbed.state(&series("s")));
        }
    }
}

#[tokio::test]
async fn a_configuration_without_event_time_lets_go_of_what_waits() {
    let tables = MemoryTables::default();
    classify(&tables, &policy(Untimely::Adjust), &disordered()).await;
    let outcome = classify(&tables, &policy_of(None), &[row(5, 90, 110, 1.0)]).await;
    assert_eq!((outcome.released, outcome.judged, outcome.transitions), (4, 5, 2));
    let state = SeriesState::decode(&tables.state(&series("s")).expect("a state")).expect("its own bytes");
    assert!(state.hold().is_none(), "and the state is as it was before");
}
