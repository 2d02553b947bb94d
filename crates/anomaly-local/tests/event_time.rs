//! By event time, a laptop and the cloud judge alike: the same file through `detect`, and through `classify`.

mod steps;

use std::path::PathBuf;
use std::time::Duration;

use anomaly_core::alert::Transition;
use anomaly_core::classify::Policy;
use anomaly_core::config::{Config, EventTime, Method, Rule};
use anomaly_core::position::Sequence;
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{ChunkV1, RowV1};
use anomaly_detect::{Model, TrainOptions};
use anomaly_fakes::memory::MemoryTables;
use anomaly_local::detect::{Options, detect};
use anomaly_local::input::{Source, Stop};
use anomaly_pipeline::classify::{Tables, classify_chunk, flush};

use steps::Steps;

/// Second, value: bursts at 100 and 200; out of order by up to 14 s, of which 5 are allowed.
fn readings() -> Vec<(i64, f64)> {
    let value =
        |i: i64| if (100..110).contains(&i) || (200..215).contains(&i) { 90.0 } else { (i % 7) as f64 };
    (0..300).map(|i| (i - (i * 5) % 8 * 2, i)).map(|(second, i)| (second, value(i))).collect()
}

fn config() -> Config {
    let [late, out_of_order] = [16, 5].map(Duration::from_secs);
    let mut config = Config::default();
    config.input.time = Some("/t".to_owned());
    config.input.series = "s".to_owned();
    config.input.features = vec!["/v".to_owned()];
    config.input.event_time = Some(EventTime { late, out_of_order, ..EventTime::default() });
    config.rules = vec![Rule { method: Method::Static { threshold: 2.0 }, ..Rule::default() }];
    config.finish().expect("valid")
}

fn model() -> Model {
    let rows = (0..500).map(|i| vec![f64::from(i % 7)]);
    Model::train(rows, &TrainOptions { features: vec!["v".to_owned()], ..TrainOptions::default() })
        .expect("enough rows")
}

fn on_a_laptop(file: PathBuf) -> Vec<Transition> {
    let mut steps = Steps::default();
    let options = Options { config: config(), model: Some(model()), ..Options::default() };
    let summary = detect(&Source::all(&[file]), options, &Stop::default(), &mut steps).expect("runs");
    assert_eq!(summary.readings, 300);
    assert!(summary.untimely.out_of_order > 10, "{:?}", summary.untimely);
    steps.0
}

/// A file's readings arrive when they are taken; seven a chunk.
async fn in_the_cloud() -> Vec<Transition> {
    let (tables, model) = (MemoryTables::default(), model());
    let policy = Policy::new(&config(), &["v".to_owned()]);
    let now = Timestamp::default();
    let row = |(number, (second, value)): (u64, (i64, f64))| {
        let at = Timestamp::from_ms(second * 1000).expect("in range");
        RowV1 {
            series: SeriesId::new("s").expect("a name"),
            at_ms: at,
            arrived_ms: at,
            sequence: Sequence::from(number),
            sub: 0,
            features: vec![value],
            filled: Vec::new(),
            score: model.score(&[value]).ok(),
        }
    };
    let rows: Vec<RowV1> = (1..).zip(readings()).map(row).collect();
    for rows in rows.chunks(7) {
        let (partition, model) = ("p".to_owned(), model.id().to_owned());
        let chunk = ChunkV1 {
            v: 1,
            partition: partition.into(),
            group: None,
            model,
            rows: rows.to_vec(),
            rejects: Vec::new(),
        };
        let tables = Tables::new(&tables, &tables, &tables);
        classify_chunk(tables, &policy, chunk, now).await.expect("no faults");
    }
    flush(&tables, &policy, Timestamp::LAST).await.expect("no faults");
    let mut steps: Vec<Transition> = tables.outbox().into_iter().map(|row| row.transition).collect();
    steps.sort_by_key(|step| (step.at, step.number));
    steps
}

#[tokio::test]
async fn a_laptop_and_the_cloud_take_the_same_steps() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.csv");
    let lines: String = readings().iter().map(|(second, value)| format!("{second},{value}\n")).collect();
    std::fs::write(&file, format!("t,v\n{lines}")).expect("written");
    let (laptop, cloud) = (on_a_laptop(file), in_the_cloud().await);
    assert!(laptop.len() >= 4, "{laptop:?}");
    assert_eq!(laptop, cloud);
}
