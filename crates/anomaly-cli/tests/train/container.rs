//! `anomaly train` as SageMaker starts it: configuration, channels, a model or a failure.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use anomaly_core::exchange::recordio;
use expect_test::expect;

use super::{Bench, anomaly};

/// Hyperparameters of two features and a small forest.
const SMALL: &str = r#"{"feature_dim": "2", "num_trees": "50", "num_samples_per_tree": "64"}"#;
const CSV: &str = r#"{"train": {"ContentType": "text/csv;label_size=0", "TrainingInputMode": "File", "S3DistributionType": "ShardedByS3Key", "RecordWrapperType": "None"}}"#;
const ONE_HOST: &str = r#"{"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}"#;

fn put(bench: &Bench, hyperparameters: &str, channels: &str) {
    bench.put("ml/input/config/hyperparameters.json", hyperparameters);
    bench.put("ml/input/config/inputdataconfig.json", channels);
    bench.put("ml/input/config/resourceconfig.json", ONE_HOST);
}

fn command(bench: &Bench) -> Command {
    let mut command = Command::new(anomaly());
    command.current_dir(bench.dir.path()).env("ANOMALY_OPT_ML", bench.path("ml")).arg("train");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn train(bench: &Bench) -> Output {
    command(bench).output().expect("runs")
}

fn row(n: u32) -> [f64; 2] {
    let noise = f64::from(n.wrapping_mul(2_654_435_761) >> 16 & 0xff) / 256.0;
    [20.0 + f64::from(n % 7), 100.0 + noise]
}

/// Rows of CSV, each with `before` in front.
fn csv(range: std::ops::Range<u32>, before: &str) -> String {
    range.map(row).map(|[a, b]| format!("{before}{a},{b}\n")).collect()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The line that tells the model, with its place cut out.
fn id(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    stdout(output).lines().find_map(|line| Some(line.rsplit_once(" (")?.1.to_owned())).expect("an id")
}

#[test]
fn csv_and_record_io_make_the_same_model_in_files_and_from_a_pipe() {
    let bench = Bench::new();
    let small = SMALL.replace('}', r#", "feature_names": "a, b"}"#);
    put(&bench, &small, CSV);
    bench.put("ml/input/data/train/part-0.csv", csv(0..150, ""));
    bench
        .put("ml/input/data/train/sub/part-1.csv", format!("\u{feff}{}\r\n\n", csv(150..300, "").trim_end()));
    let of_csv = id(&train(&bench));
    assert_eq!(folder(&bench.path("ml/model")), ["calibration.toml", "forest.bin", "model.json"]);
    assert!(!bench.path("ml/output").exists(), "no failure");

    fs::remove_dir_all(bench.path("ml/input/data/train")).expect("removed");
    let channel = |mode: &str| {
        format!(
            r#"{{"train": {{"ContentType": "application/x-recordio-protobuf", "TrainingInputMode": "{mode}"}}}}"#
        )
    };
    let mut records = Vec::new();
    (0..300).for_each(|n| recordio::write_example(&row(n), None, &mut records));
    put(&bench, &small, &channel("FastFile"));
    bench.put("ml/input/data/train/records", &records);
    assert_eq!(id(&train(&bench)), of_csv);

    put(&bench, &small, &channel("Pipe"));
    let pipe = bench.path("ml/input/data/train_0");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("runs").success());
    let child = command(&bench).spawn().expect("runs");
    fs::write(&pipe, &records).expect("read at the other end");
    assert_eq!(id(&child.wait_with_output().expect("ended")), of_csv);

    // What is left is a model for everybody.
    bench.put("today.csv", format!("a,b\n{}", csv(0..50, "")));
    let said = bench.anomaly("detect today.csv --model ml/model --scores scores.csv --quiet");
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
    assert_eq!(String::from_utf8_lossy(&bench.get("scores.csv")).lines().count(), 51);
}

fn folder(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("plain"))
        .collect();
    names.sort();
    names
}

#[test]
fn labels_leave_rows_out_and_tell_how_good_it_is() {
    let bench = Bench::new();
    let labelled = r#"{"ContentType": "text/csv;label_size=1"}"#;
    put(&bench, SMALL, &format!(r#"{{"train": {labelled}, "test": {labelled}}}"#));
    let train_rows = csv(0..300, "0,") + "1,900,5\n1,901,5\nx,1,2\n0,1\n";
    bench.put("ml/input/data/train/rows.csv", train_rows);
    bench.put("ml/input/data/test/rows.csv", csv(300..400, "0,") + "1,900,5\n1,880,6\n0,870,5\n1,23,100.5\n");
    let output = train(&bench);
    let said = stdout(&output);
    assert!(said.starts_with("rows      300 learned, 2 rejected, 2 labelled as anomalous\n"), "{output:?}");
    let metrics: Vec<&str> = said.lines().filter(|line| line.starts_with("test:")).collect();
    assert_eq!(metrics.len(), 4, "{said}");
    let value = |name: &str| -> f64 {
        let of = |line: &&str| line.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
        metrics.iter().find_map(of).expect("there")
    };
    // Two of three found; one that is labelled normal is strange, and perhaps a few more lie over the line.
    assert!((value("test:recall") - 2.0 / 3.0).abs() < 1e-9, "{said}");
    assert!(value("test:precision") <= 2.0 / 3.0 && value("test:accuracy") > 0.9, "{said}");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("rows.csv: row 303 is left out: column 1 is not a number: \"x\"\n"), "{stderr}");
    assert!(stderr.contains("300 rows of 2 features to learn\n60 % learned\n"), "{stderr}");

    let some = SMALL.replace('}', r#", "eval_metrics": "[\"accuracy\"]"}"#);
    put(&bench, &some, &format!(r#"{{"train": {labelled}, "test": {labelled}}}"#));
    let said = stdout(&train(&bench));
    assert_eq!(said.lines().filter(|line| line.starts_with("test:")).count(), 1, "{said}");
}

/// What is in the file of the failure; it is on stderr too, and there is no model.
fn failure(bench: &Bench) -> String {
    let output = train(bench);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let failure = fs::read_to_string(bench.path("ml/output/failure")).expect("a failure");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&failure), "{output:?}");
    assert!(!bench.path("ml/model").exists());
    failure
}

#[test]
fn a_failure_says_all_that_is_wrong() {
    let bench = Bench::new();
    put(&bench, r#"{"num_trees": "3", "depth": "1"}"#, r#"{"train": {"ContentType": "text/html"}, "x": {}}"#);
    bench.put("ml/input/config/resourceconfig.json", r#"{"hosts": ["algo-1", "algo-2"]}"#);
    expect![[r#"
        hyperparameters.json: depth: not known; the nearest is seed
        hyperparameters.json: feature_dim: missing; give the numbers of a row
        hyperparameters.json: num_trees: "3" is not 50 to 1000
        inputdataconfig.json: channel "x" is not known; there are train and test
        inputdataconfig.json: channel train: ContentType "text/html" is not text/csv;label_size=0 or application/x-recordio-protobuf
        resourceconfig.json: 2 instances, but a forest is trained on one; set InstanceCount to 1"#]]
    .assert_eq(&failure(&bench));

    put(&bench, SMALL, CSV);
    assert!(failure(&bench).starts_with("channel train: cannot be read: No such file"));
    fs::create_dir_all(bench.path("ml/input/data/train")).expect("made");
    assert_eq!(failure(&bench), "channel train: there are no files");
    bench.put("ml/input/data/train/a.csv", "1,2,3\n4,5,6\n");
    assert_eq!(failure(&bench), "channel train: no row can be learned: 2 rejected, 0 labelled");
    bench.put("ml/input/data/train/a.csv", csv(0..20, ""));
    assert!(failure(&bench).starts_with("cannot train: 20 rows are too few to train on: at least 32"));

    bench.put("ml/input/data/train/a.csv", csv(0..100, ""));
    let channels = CSV.replace("}}", r#"}, "test": {"ContentType": "text/csv;label_size=0"}}"#);
    put(&bench, SMALL, &channels);
    bench.put("ml/input/data/test/a.csv", csv(0..10, ""));
    assert_eq!(failure(&bench), "channel test: a.csv: row 1: no label: 1 is anomalous, 0 is normal");

    let record_io = CSV.replace("text/csv;label_size=0", "application/x-recordio-protobuf");
    put(&bench, SMALL, &record_io);
    assert!(failure(&bench).starts_with("channel train: a.csv: row 1: begins with [32, 30"));

    fs::remove_file(bench.path("ml/input/config/hyperparameters.json")).expect("there");
    assert!(failure(&bench).starts_with("hyperparameters.json: cannot be read: No such file"));
}

#[test]
fn a_failure_is_as_long_as_sagemaker_shows_it() {
    let bench = Bench::new();
    put(&bench, &format!(r#"{{"feature_dim": "{}"}}"#, "ä".repeat(3000)), CSV);
    train(&bench);
    let failure = fs::read_to_string(bench.path("ml/output/failure")).expect("a failure");
    assert_eq!(failure.chars().count(), 1024);
}

#[test]
fn it_stops_when_sagemaker_stops_it() {
    let bench = Bench::new();
    put(&bench, SMALL, &CSV.replace("File", "Pipe"));
    fs::create_dir_all(bench.path("ml/input/data")).expect("made");
    let pipe = bench.path("ml/input/data/train_0");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("runs").success());
    let child = command(&bench).spawn().expect("runs");
    // It reads once this end is open, and waits for more.
    let mut end = fs::OpenOptions::new().write(true).open(&pipe).expect("opened");
    end.write_all(csv(0..100, "").as_bytes()).expect("read");
    let output = terminated(child);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!bench.path("ml/model").exists());
    let failure = fs::read_to_string(bench.path("ml/output/failure")).expect("a failure");
    assert_eq!(failure, "stopped before the end; no model was written");
    drop(end);
}

fn terminated(child: Child) -> Output {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("runs").success());
    child.wait_with_output().expect("ended")
}

#[test]
fn elsewhere_a_history_is_asked_for() {
    let bench = Bench::new();
    let output = train(&bench);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with("error: no history to learn from"), "{stderr}");
    assert!(!bench.path("ml").exists(), "nothing is left behind");
}
