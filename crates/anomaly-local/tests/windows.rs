//! Rows of several readings, with previous values in them, are the same on a laptop and in the cloud: the same file
//! through `detect --model`, with a restart, and through `invoke` and `classify`, with redeliveries.

mod steps;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anomaly_core::alert::Transition;
use anomaly_core::classify::Policy;
use anomaly_core::config::{Config, EventTime};
use anomaly_core::decode::Decoder;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::records::Records;
use anomaly_core::time::Timestamp;
use anomaly_core::window::Plan;
use anomaly_core::wire::{self, ChunkV1};
use anomaly_detect::{Model, TrainOptions};
use anomaly_fakes::memory::{MemoryQueue, MemoryTables, MemoryWindows, SkippingTimer};
use anomaly_local::detect::{Options, Summary, detect};
use anomaly_local::input::{Source, Stop};
use anomaly_pipeline::classify::{Tables, classify_chunk, flush};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::invoke::{Driver, Limits, invoke};
use anomaly_pipeline::ports::{Answer, Scorer};

use steps::Steps;

const CONFIG: &str = r#"
[input]
series = "/s"
time = "/t"
features = ["/a", "/b"]
null = "previous"
[model]
kind = "endpoint"
endpoint = "e"
shingle = 3
[[rule]]
name = "strange"
method = { kind = "sigma", k = 2.0, warmup = 40 }
for = "2 of 3"
clear = { below = 1.0, for = "5 of 5" }
[[rule]]
name = "high"
on = "b"
method = { kind = "static", threshold = 11.0 }
for = "1 of 1"
clear = { below = 1.0, for = "2 of 2" }
"#;

fn config(by_event_time: bool) -> Config {
    let mut config = Config::from_toml(CONFIG).expect("valid");
    let [late, out_of_order] = [60, 20].map(Duration::from_secs);
    let event_time = EventTime { late, out_of_order, ..EventTime::default() };
    config.input.event_time = by_event_time.then_some(event_time);
    config.finish().expect("valid")
}

/// The second and the text of each record: two series in turn, every fifth `b` missing, the first of one series too;
/// some out of order by seconds; twice something that is strange only for what goes before it.
fn records() -> Vec<(i64, String)> {
    let record = |i: i64| {
        let (second, series) = (i - (i * 5) % 8, if i % 2 == 0 { "x" } else { "y" });
        let wave = |i: i64| ((i / 2) % 10) as f64;
        let torn = (200..214).contains(&i) || (300..310).contains(&i);
        let a = if torn { 9.0 - wave(i) } else { wave(i) };
        let b =
            if i % 5 == 0 { "null".to_owned() } else { (wave(i) + f64::from(i == 279) * 5.0).to_string() };
        (second, format!("{{\"s\":\"{series}\",\"t\":{},\"a\":{a},\"b\":{b}}}", 1_700_000_000 + second))
    };
    (0..420).map(record).collect()
}

fn model() -> Model {
    let wave = |i: u32| f64::from(i % 10);
    let row = |i: u32| (i..i + 3).flat_map(|i| [wave(i), wave(i)]).collect();
    let features = vec!["a".to_owned(), "b".to_owned()];
    let options =
        TrainOptions { features, shingle: 3, trees: 20, sample_size: 64, ..TrainOptions::default() };
    Model::train((0..500).map(row), &options).expect("enough rows")
}

/// Half of the file, and the rest of it in another run.
fn on_a_laptop(config: &Config, folder: &Path) -> (Vec<Transition>, u64) {
    let file = folder.join("s.jsonl");
    let mut steps = Steps::default();
    let mut rejected = 0;
    for half in records().chunks(211) {
        let mut open = fs::OpenOptions::new().create(true).append(true).open(&file).expect("opened");
        half.iter().for_each(|(_, text)| writeln!(open, "{text}").expect("written"));
        rejected += run(config, &file, folder.join("state"), &mut steps).rejected();
    }
    (steps.0, rejected)
}

fn run(config: &Config, file: &Path, state: PathBuf, steps: &mut Steps) -> Summary {
    let (config, model, state) = (config.clone(), Some(model()), Some(state));
    let options = Options { config, model, state, ..Options::default() };
    detect(&Source::all(&[file.to_owned()]), options, &Stop::default(), steps).expect("runs")
}

struct Frozen(Model);

impl Scorer for Frozen {
    fn model(&self) -> &str {
        self.0.id()
    }

    async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        let scores: Result<Vec<f64>, _> = rows.iter().map(|row| self.0.score(row)).collect();
        Ok(scores.expect("rows of the model's width").into())
    }
}

/// Batches of nine, of which every other one comes twice, and every third goes back behind the one before it.
async fn in_the_cloud(config: &Config) -> (Vec<Transition>, usize) {
    let decoder = Decoder::new(&config.input).expect("valid");
    let (windows, tables, queue) =
        (MemoryWindows::default(), MemoryTables::default(), MemoryQueue::default());
    let limits = Limits { rows_max: 4, ..Limits::default() };
    let driver = Driver::new(Some(Frozen(model())), SkippingTimer::default(), limits, 0)
        .with_windows(&windows, Plan::of(config, decoder.feature_names()));
    let mut scores: BTreeMap<Sequence, Option<u64>> = BTreeMap::new();
    for (number, first) in (0..records().len()).step_by(9).enumerate() {
        let before = if number % 3 == 2 { first - 4 } else { first };
        for _ in 0..=number % 2 {
            let mut batch = Records::default();
            for (i, (second, text)) in records().iter().enumerate().take(first + 9).skip(before) {
                let arrived = Timestamp::from_ms((1_700_000_000 + second) * 1000).expect("in range");
                let sequence = Sequence::from(i as u64 + 1);
                let position = Position { partition: "p".into(), sequence, sub: 0, arrived };
                decoder.record(text.as_bytes(), &position, &mut batch);
            }
            let invoked = invoke(&driver.turn(Duration::from_secs(60)), &queue, "p", &batch).await;
            assert_eq!(invoked.resume_at, None);
        }
    }
    let policy = Policy::new(config, decoder.feature_names());
    let now = Timestamp::default();
    let mut rejected = std::collections::BTreeSet::new();
    for chunk in queue.chunks() {
        let chunk: ChunkV1 = wire::read(&chunk.body).expect("its own message");
        rejected.extend(chunk.rejects.iter().map(|reject| reject.sequence.clone()));
        for row in &chunk.rows {
            let score = row.score.map(f64::to_bits);
            let first = *scores.entry(row.sequence.clone()).or_insert(score);
            assert_eq!(first, score, "the same at every delivery");
        }
        let tables = Tables::new(&tables, &tables, &tables);
        classify_chunk(tables, &policy, chunk, now).await.expect("no faults");
    }
    flush(&tables, &policy, Timestamp::LAST).await.expect("no faults");
    (tables.outbox().into_iter().map(|row| row.transition).collect(), rejected.len())
}

async fn compare(by_event_time: bool) {
    let (config, folder) = (config(by_event_time), tempfile::tempdir().expect("a folder"));
    let (mut laptop, laptop_rejects) = on_a_laptop(&config, folder.path());
    let (mut cloud, cloud_rejects) = in_the_cloud(&config).await;
    for steps in [&mut laptop, &mut cloud] {
        steps.sort_by_key(|step| (step.at, step.series.clone(), step.rule.clone(), step.number));
    }
    let of = |rule: &str| laptop.iter().filter(|step| step.rule == rule).count();
    assert!(of("strange") >= 4 && of("high") == 2, "{laptop:#?}");
    assert!(laptop.iter().any(|step| !step.filled.is_empty()), "with something filled in: {laptop:#?}");
    assert_eq!(laptop, cloud);
    assert_eq!((laptop_rejects, cloud_rejects), (1, 1), "the first of a series, whose b is missing");
}

#[tokio::test]
async fn as_they_come() {
    compare(false).await;
}

#[tokio::test]
async fn by_event_time() {
    compare(true).await;
}
