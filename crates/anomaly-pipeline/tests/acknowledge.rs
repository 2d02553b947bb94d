//! Somebody has seen an alert: once, whoever else writes the state meanwhile, and `classify` goes on from there.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anomaly_core::alert::{Acknowledgement, Transition};
use anomaly_core::alerts::Alert;
use anomaly_core::classify::{Policy, SeriesState};
use anomaly_core::config::{Config, MOfN, Method, On, Rule};
use anomaly_core::position::Sequence;
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{ChunkV1, RowV1};
use anomaly_fakes::memory::MemoryTables;
use anomaly_pipeline::acknowledge::{Acknowledged, acknowledge};
use anomaly_pipeline::alerts::alerts;
use anomaly_pipeline::classify::{Tables, classify_chunk};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Saved, States, Stored};

fn at(second: i64) -> Timestamp {
    Timestamp::from_ms(second * 1_000).expect("in range")
}

/// Too hot on one reading of one; reminds every ten seconds.
fn policy() -> Policy {
    let one = MOfN::new(1, 1).expect("one of one");
    let rule = Rule {
        name: "hot".to_owned(),
        method: Method::Static { threshold: 80.0 },
        on: On::Value,
        hold: one,
        repeat: Some(Duration::from_secs(10)),
        ..Rule::default()
    };
    Policy::new(&Config { rules: vec![rule], ..Config::default() }, &["cpu".to_owned()])
}

/// The readings of `seconds`, all of them `value`.
async fn judge(tables: &MemoryTables, seconds: std::ops::Range<i64>, value: f64) {
    let row = |second: i64| RowV1 {
        series: SeriesId::new("web").expect("a name"),
        at_ms: at(second),
        arrived_ms: at(second),
        sequence: Sequence::from(second.unsigned_abs()),
        sub: 0,
        features: vec![value],
        filled: Vec::new(),
        score: None,
    };
    let (now, rows) = (at(seconds.end), seconds.map(row).collect());
    let (partition, model) = ("p".into(), "m".to_owned());
    let chunk = ChunkV1 { v: 1, partition, group: None, model, rows, rejects: Vec::new() };
    classify_chunk(Tables::new(tables, tables, tables), &policy(), chunk, now).await.expect("no faults");
}

fn steps(tables: &MemoryTables) -> Vec<Transition> {
    let mut steps: Vec<_> = tables.outbox().into_iter().map(|row| row.transition).collect();
    steps.sort_by_key(|step| (step.at, step.number));
    steps
}

fn words(tables: &MemoryTables) -> Vec<&'static str> {
    steps(tables).iter().map(|step| step.step.as_str()).collect()
}

#[tokio::test]
async fn it_is_one_step_of_the_alert_and_ends_the_reminders() {
    let tables = MemoryTables::default();
    judge(&tables, 0..15, 90.0).await;
    assert_eq!(words(&tables), ["fired", "repeated"]);
    let last = steps(&tables).pop().expect("it fired");
    let Acknowledged::Now(step) =
        acknowledge(&tables, &last, &Acknowledgement::by("ann"), at(15)).await.expect("no fault")
    else {
        panic!("it is open and nobody saw it")
    };
    assert_eq!((step.number, step.by.as_deref(), step.at), (3, Some("ann"), at(15)));
    let again = acknowledge(&tables, &last, &Acknowledgement::by("bob"), at(16)).await.expect("no fault");
    assert_eq!(again, Acknowledged::Before);
    judge(&tables, 16..60, 90.0).await;
    judge(&tables, 60..90, 20.0).await;
    assert_eq!(words(&tables), ["fired", "repeated", "acknowledged", "resolved"]);
    let over = acknowledge(&tables, &last, &Acknowledgement::by("bob"), at(90)).await.expect("no fault");
    assert_eq!(over, Acknowledged::Over);
    assert_eq!(words(&tables).len(), 4, "what is over takes no step");
}

/// Tables in which somebody else writes before a state is saved, so many times.
struct Busy<'t> {
    tables: &'t MemoryTables,
    left: AtomicU32,
}

impl States for Busy<'_> {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<Stored>>, Fault> {
        self.tables.load(series).await
    }

    async fn save(
        &self,
        series: &SeriesId,
        state: &SeriesState,
        revision: Option<u64>,
        transitions: &[Transition],
        now: Timestamp,
    ) -> Result<Saved, Fault> {
        let took = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if let Ok(left) = took {
            judge(self.tables, 1_000 - i64::from(left)..1_001 - i64::from(left), 95.0).await;
        }
        self.tables.save(series, state, revision, transitions, now).await
    }

    async fn due(&self, until: Timestamp, limit: usize) -> Result<Vec<SeriesId>, Fault> {
        self.tables.due(until, limit).await
    }
}

#[tokio::test]
async fn a_reading_that_is_judged_meanwhile_is_not_lost() {
    let tables = MemoryTables::default();
    judge(&tables, 0..1, 90.0).await;
    let last = steps(&tables).pop().expect("it fired");
    let busy = Busy { tables: &tables, left: AtomicU32::new(2) };
    let done = acknowledge(&busy, &last, &Acknowledgement::by("ann"), at(15)).await.expect("no fault");
    assert!(matches!(done, Acknowledged::Now(_)), "{done:?}");
    let stored =
        tables.load(std::slice::from_ref(&last.series)).await.expect("no fault").remove(0).expect("there");
    let open = stored.state.watches().find_map(|(_, watch)| watch.open()).expect("open");
    assert_eq!(open.anomalous, 3, "both readings that came meanwhile");

    let tables = MemoryTables::default();
    judge(&tables, 0..1, 90.0).await;
    let busy = Busy { tables: &tables, left: AtomicU32::new(9) };
    let fault =
        acknowledge(&busy, &last, &Acknowledgement::by("ann"), at(15)).await.expect_err("it gives up");
    assert!(fault.to_string().contains("written by others each time, 5 times"), "{fault}");
}

/// Only a state knows whether an alert is open whose end is not among the steps that are kept.
#[tokio::test]
async fn open_alerts_are_those_of_the_states_whatever_steps_are_kept() {
    let tables = MemoryTables::default();
    judge(&tables, 0..15, 90.0).await;
    let fired = steps(&tables);
    judge(&tables, 15..60, 20.0).await;
    judge(&tables, 60..65, 95.0).await;
    let is_open = |all: &[Alert]| all.iter().map(|alert| alert.open.is_some()).collect::<Vec<_>>();
    let all = alerts(&tables, steps(&tables), Vec::new()).await.expect("no fault");
    assert_eq!(is_open(&all), [false, true]);
    // The first one's end has expired, or was not read yet.
    let all = alerts(&tables, fired, Vec::new()).await.expect("no fault");
    assert_eq!(is_open(&all), [false, true], "the state knows of both");
    // So have the second one's steps: it is found by its state alone.
    let web = SeriesId::new("web").expect("a name");
    let state =
        tables.load(std::slice::from_ref(&web)).await.expect("no fault").remove(0).expect("there").state;
    let all = alerts(&tables, Vec::new(), vec![(web, state)]).await.expect("no fault");
    assert_eq!((is_open(&all), all[0].steps.len()), (vec![true], 0));
}

/// They are judged in a state of their own, where their alerts live.
#[tokio::test]
async fn an_alert_of_late_readings_is_found_and_acknowledged() {
    let tables = MemoryTables::default();
    judge(&tables, 1_000..1_001, 20.0).await;
    judge(&tables, 0..3, 90.0).await;
    let all = alerts(&tables, steps(&tables), Vec::new()).await.expect("no fault");
    let [late] = all.as_slice() else { panic!("one alert: {all:?}") };
    assert!(late.open.is_some() && late.line().expect("a step").late, "{late:?}");
    assert_eq!(late.series.as_str(), "web");
    let last = late.last().expect("a step");
    let done = acknowledge(&tables, last, &Acknowledgement::by("ann"), at(1_002)).await.expect("no fault");
    assert!(matches!(done, Acknowledged::Now(_)), "{done:?}");
    let all = alerts(&tables, steps(&tables), Vec::new()).await.expect("no fault");
    assert!(all[0].is_acknowledged);
}
