//! Silence on a laptop and in the cloud: the same file through `detect`, and through `classify` with sweeps.

mod steps;

use std::time::Duration;

use anomaly_core::alert::Transition;
use anomaly_core::classify::Policy;
use anomaly_core::config::{Config, Method, ModelKind, NoData, Rule};
use anomaly_core::position::Sequence;
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{ChunkV1, RowV1};
use anomaly_fakes::memory::MemoryTables;
use anomaly_local::detect::{Options, detect};
use anomaly_local::input::{Source, Stop};
use anomaly_pipeline::classify::{Tables, classify_chunk, flush};

use steps::Steps;

fn at(second: i64) -> Timestamp {
    Timestamp::from_ms(second * 1000).expect("in range")
}

/// Second, series and value: seven series, each with its own gaps, the last of which goes on longest.
fn readings() -> Vec<(i64, String, f64)> {
    let of = |series: i64| {
        let gap = move |i: i64| 40 + (i * 7_919 + series * 104_729) % 613 * series / 3;
        let times = (1..60).scan(series, move |now, i| {
            *now += gap(i);
            Some(*now)
        });
        times.map(move |second| (second, format!("s{series}"), (second % 10) as f64))
    };
    let mut readings: Vec<_> = (1..8).flat_map(of).filter(|(second, ..)| *second < 9_000).collect();
    readings.push((20_000, "s7".to_owned(), 1.0));
    readings.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    readings
}

fn config() -> Config {
    let quiet = |name: &str, s| {
        let method = Method::NoData(NoData { after: Duration::from_secs(s) });
        Rule { name: name.to_owned(), method, hold: Default::default(), ..Rule::default() }
    };
    let mut config = Config::default();
    config.input.time = Some("/t".to_owned());
    config.input.series = "/s".to_owned();
    config.input.features = vec!["/v".to_owned()];
    config.model.kind = ModelKind::None;
    config.rules = vec![quiet("short", 300), quiet("long", 700)];
    config.finish().expect("valid")
}

fn on_a_laptop() -> Vec<Transition> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.csv");
    let lines: String = readings().iter().map(|(t, s, v)| format!("{t},{s},{v}\n")).collect();
    std::fs::write(&file, format!("t,s,v\n{lines}")).expect("written");
    let mut steps = Steps::default();
    let options = Options { config: config(), ..Options::default() };
    detect(&Source::all(&[file]), options, &Stop::default(), &mut steps).expect("runs");
    steps.0
}

/// Chunks of so many rows, and a sweep after so many chunks.
async fn in_the_cloud(rows: usize, chunks: usize) -> Vec<Transition> {
    let tables = MemoryTables::default();
    let policy = Policy::new(&config(), &["v".to_owned()]);
    let row = |(number, (second, series, value)): (u64, (i64, String, f64))| RowV1 {
        series: SeriesId::new(&series).expect("a name"),
        at_ms: at(second),
        arrived_ms: at(second),
        sequence: Sequence::from(number),
        sub: 0,
        features: vec![value],
        filled: Vec::new(),
        score: None,
    };
    let all: Vec<RowV1> = (1..).zip(readings()).map(row).collect();
    // The last one is hours behind the others: in a chunk with them they would have been on their way for as long.
    let (last, others) = all.split_last().expect("not empty");
    for (number, rows) in (1..).zip(others.chunks(rows).chain([std::slice::from_ref(last)])) {
        let now = rows.last().expect("not empty").arrived_ms;
        let (partition, model) = ("p".into(), "none".to_owned());
        let chunk = ChunkV1 { v: 1, partition, group: None, model, rows: rows.to_vec(), rejects: Vec::new() };
        classify_chunk(Tables::new(&tables, &tables, &tables), &policy, chunk, now).await.expect("no faults");
        if number % chunks == 0 {
            flush(&tables, &policy, now).await.expect("no faults");
        }
    }
    flush(&tables, &policy, at(20_000)).await.expect("no faults");
    tables.outbox().into_iter().map(|row| row.transition).collect()
}

fn sorted(mut steps: Vec<Transition>) -> Vec<Transition> {
    steps.sort_by(|a, b| (a.at, &a.series, &a.rule, a.number).cmp(&(b.at, &b.series, &b.rule, b.number)));
    steps
}

#[tokio::test]
async fn a_laptop_and_the_cloud_take_the_same_steps_whenever_sweeps_come_by() {
    let told = on_a_laptop();
    assert!(told.len() > 100, "{}", told.len());
    let per_alert = |alert| told.iter().filter(|t| t.alert == alert).map(|t| t.number).collect::<Vec<_>>();
    assert!(told.iter().all(|t| per_alert(t.alert.clone()).is_sorted()), "in order");
    let laptop = sorted(told);
    for (rows, chunks) in [(1, 1), (1, 1_000), (3, 2), (17, 1), (60, 3), (100, 1_000)] {
        let cloud = sorted(in_the_cloud(rows, chunks).await);
        for (one, other) in laptop.iter().zip(&cloud) {
            assert_eq!(one, other, "{rows} rows a chunk, a sweep after {chunks}");
        }
        assert_eq!(laptop.len(), cloud.len(), "{rows} rows a chunk, a sweep after {chunks}");
    }
}
