//! The streaming detector says the same on a laptop and in the cloud, where its memory lies in the series' states:
//! the same file through `detect`, with a restart, and through `invoke` and `classify`, with redeliveries.

mod steps;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anomaly_core::alert::Transition;
use anomaly_core::classify::Policy;
use anomaly_core::config::{Config, EventTime, STREAMING};
use anomaly_core::decode::Decoder;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::records::Records;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, ChunkV1};
use anomaly_fakes::memory::{MemoryQueue, MemoryTables, SkippingTimer, SumScorer};
use anomaly_local::detect::{Options, detect};
use anomaly_local::input::{Source, Stop};
use anomaly_pipeline::classify::{Tables, classify_chunk, flush};
use anomaly_pipeline::invoke::{Driver, Limits, invoke};

use steps::Steps;

const RECORDS: i64 = 1_200;

fn config(by_event_time: bool) -> Config {
    let toml = "[input]\nseries = '/s'\ntime = '/t'\nfeatures = ['/a', '/b']\nnull = 0.0\n[model]\nkind = 'embedded'\nperiod = '2m'";
    let mut config = Config::from_toml(toml).expect("valid");
    let [late, out_of_order] = [60, 20].map(Duration::from_secs);
    let event_time = EventTime { late, out_of_order, ..EventTime::default() };
    config.input.event_time = by_event_time.then_some(event_time);
    config.finish().expect("valid")
}

/// The second and the text of each record: two series in turn, some out of order by seconds, each with a fault.
fn records() -> Vec<(i64, String)> {
    let record = |i: i64| {
        let (second, series) = (i - (i * 5) % 8, if i % 2 == 0 { "x" } else { "y" });
        let noise = |i: i64| ((i * 7_919 + 13) % 101) as f64 / 10.0;
        let a = noise(i / 2) + if (900..904).contains(&i) { 90.0 } else { 0.0 };
        let b = if i % 50 == 0 { "null".to_owned() } else { noise(i / 2 + 40).to_string() };
        (second, format!("{{\"s\":\"{series}\",\"t\":{},\"a\":{a},\"b\":{b}}}", 1_700_000_000 + second))
    };
    (0..RECORDS).map(record).collect()
}

/// Half of the file, and the rest of it in another run.
fn on_a_laptop(config: &Config, folder: &Path) -> Vec<Transition> {
    let file = folder.join("s.jsonl");
    let mut steps = Steps::default();
    for half in records().chunks(631) {
        let mut open = fs::OpenOptions::new().create(true).append(true).open(&file).expect("opened");
        half.iter().for_each(|(_, text)| writeln!(open, "{text}").expect("written"));
        let options =
            Options { config: config.clone(), state: Some(folder.join("state")), ..Options::default() };
        detect(&Source::all(std::slice::from_ref(&file)), options, &Stop::default(), &mut steps)
            .expect("runs");
    }
    steps.0
}

/// Batches of nine, of which every other one comes twice, and every third goes back behind the one before it.
async fn in_the_cloud(config: &Config) -> Vec<Transition> {
    let decoder = Decoder::new(&config.input).expect("valid");
    let (tables, queue) = (MemoryTables::default(), MemoryQueue::default());
    let limits = Limits { streaming: config.model.is_streaming(), ..Limits::default() };
    let driver = Driver::new(None::<SumScorer>, SkippingTimer::default(), limits, 0);
    for (number, first) in (0..records().len()).step_by(9).enumerate() {
        let before = if number % 3 == 2 { first - 4 } else { first };
        let mut batch = Records::default();
        for (i, (second, text)) in records().iter().enumerate().take(first + 9).skip(before) {
            let arrived = Timestamp::from_ms((1_700_000_000 + second) * 1000).expect("in range");
            let sequence = Sequence::from(i as u64 + 1);
            decoder.record(
                text.as_bytes(),
                &Position { partition: "p".into(), sequence, sub: 0, arrived },
                &mut batch,
            );
        }
        for _ in 0..=number % 2 {
            let invoked = invoke(&driver.turn(Duration::from_secs(60)), &queue, "p", &batch).await;
            assert_eq!((invoked.resume_at, invoked.fallback), (None, None));
        }
    }
    let policy = Policy::new(config, decoder.feature_names());
    let now = Timestamp::default();
    for chunk in queue.chunks() {
        let chunk: ChunkV1 = wire::read(&chunk.body).expect("its own message");
        assert_eq!(chunk.model, STREAMING);
        classify_chunk(Tables::new(&tables, &tables, &tables), &policy, chunk, now).await.expect("no faults");
    }
    flush(&tables, &policy, Timestamp::LAST).await.expect("no faults");
    tables.outbox().into_iter().map(|row| row.transition).collect()
}

async fn compare(by_event_time: bool) {
    let (config, folder) = (config(by_event_time), tempfile::tempdir().expect("a folder"));
    let mut laptop = on_a_laptop(&config, folder.path());
    let mut cloud = in_the_cloud(&config).await;
    for steps in [&mut laptop, &mut cloud] {
        steps.sort_by_key(|step| (step.at, step.series.clone(), step.number));
    }
    let fired: Vec<_> =
        laptop.iter().filter(|step| step.number == 1).map(|step| step.series.as_str()).collect();
    assert!(fired.contains(&"x") && fired.contains(&"y"), "{laptop:#?}");
    assert!(laptop.iter().all(|step| step.model == STREAMING && !step.fallback));
    assert_eq!(laptop, cloud);
}

#[tokio::test]
async fn as_they_come() {
    compare(false).await;
}

#[tokio::test]
async fn by_event_time() {
    compare(true).await;
}
