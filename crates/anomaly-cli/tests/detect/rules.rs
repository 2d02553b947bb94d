//! Models and rules chosen on the command line.

use std::fs::File;

use anomaly_detect::{Model, TrainOptions};

use crate::{Bench, csv};

fn put_model(bench: &Bench, features: &[&str]) -> String {
    let rows = (0..300).map(|i| vec![20.0 + f64::from(i % 7), 100.0 + f64::from(i % 11)]);
    let names = features.iter().map(|name| (*name).to_owned()).collect();
    let options = TrainOptions { features: names, trees: 20, sample_size: 64, ..TrainOptions::default() };
    let model = Model::train(rows, &options).expect("enough rows");
    model.write(File::create(bench.path("model.tar.gz")).expect("made")).expect("written");
    model.id().to_owned()
}

/// Whether a row of a file of scores has one of the detector.
fn has_score(row: &str) -> bool {
    row.split(',').nth(4).is_some_and(|score| score.parse::<f64>().is_ok())
}

#[test]
fn a_trained_model_scores_in_place_of_learning() {
    let bench = Bench::new();
    bench.put("web.csv", csv(300, &[200]));
    let id = put_model(&bench, &["latency_ms", "requests"]);
    let said = bench.detect("web.csv --model model.tar.gz --json --scores scores.csv");
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stdout.contains(&format!("\"model\":\"{id}\"")), "{}", said.stdout);
    let first = bench.get("scores.csv").lines().nth(1).map(str::to_owned).expect("a row");
    assert!(has_score(&first), "{first}");
}

#[test]
fn a_calibrated_rule_takes_the_models_word_for_what_is_usual() {
    let bench = Bench::new();
    bench.put("web.csv", csv(60, &[50]));
    put_model(&bench, &["latency_ms", "requests"]);
    bench.put("anomaly.toml", "[[rule]]\ncalibrated = true\nfor = \"1 of 1\"\n");
    let said = bench.detect("web.csv --model model.tar.gz --config anomaly.toml");
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stdout.contains(" (trained mean "), "within the first 100 readings: {}", said.stdout);
    bench.put("plain.toml", "[[rule]]\nfor = \"1 of 1\"\n");
    assert_eq!(bench.detect("web.csv --model model.tar.gz --config plain.toml").code, 0, "it warms up");
    // The same file as in the functions, where the endpoint's name stands for the model.
    let given = "[model]\nkind = \"endpoint\"\nendpoint = \"e\"\n\
                 [model.calibration]\nmodel = \"e\"\nmean = 900\ndeviation = 1\n[[rule]]\nfor = \"1 of 1\"\n";
    bench.put("endpoint.toml", given);
    let said = bench.detect("web.csv --model model.tar.gz --config endpoint.toml");
    assert!(said.stdout.contains(" (trained mean "), "{}", said.stdout);
    assert!(!said.stdout.contains("trained mean 900"), "not by another model's: {}", said.stdout);

    let said = bench.detect("web.csv --config anomaly.toml");
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("rule \"too-strange\" is calibrated = true"), "{}", said.stderr);
}

#[test]
fn a_model_takes_its_own_columns_in_its_own_order() {
    let bench = Bench::new();
    bench.put("web.csv", csv(50, &[]));
    put_model(&bench, &["requests", "latency_ms"]);
    let said = bench.detect("web.csv --model model.tar.gz");
    assert!(said.stderr.contains("features requests, latency_ms\n"), "{}", said.stderr);
    let said = bench.detect("web.csv --model model.tar.gz --value latency_ms --value requests");
    assert_eq!(
        said.stderr.lines().next(),
        Some(
            "error: web.csv: the model was trained on requests, latency_ms, and the input gives latency_ms, requests"
        )
    );
    put_model(&bench, &["cpu", "latency_ms"]);
    let said = bench.detect("web.csv --model model.tar.gz");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr.contains("no column \"cpu\"; there are: timestamp, latency_ms, requests"),
        "{}",
        said.stderr
    );
    put_model(&bench, &[]);
    assert_eq!(bench.detect("web.csv --model model.tar.gz --value latency_ms --value requests").code, 0);
    bench.put("model.tar.gz", "not a model");
    let said = bench.detect("web.csv --model model.tar.gz");
    assert!(said.stderr.starts_with("error: the model model.tar.gz cannot be used: "), "{}", said.stderr);
    let said = bench.detect("web.csv --model nowhere.tar.gz");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr.contains("there is no such file\nhint: `anomaly train` writes models"),
        "{}",
        said.stderr
    );
}

/// What a model is to be given, an endpoint is to be sent too.
#[test]
fn rows_of_several_readings_are_as_long_as_the_model_says() {
    let bench = Bench::new();
    bench.put("web.csv", csv(60, &[]));
    let rows = (0..300).map(|i| (i..i + 3).flat_map(|i| [f64::from(i % 7), f64::from(i % 11)]).collect());
    let features = ["latency_ms", "requests"].map(str::to_owned).to_vec();
    let options = TrainOptions { features, shingle: 3, trees: 5, ..TrainOptions::default() };
    let model = Model::train(rows, &options).expect("enough rows");
    model.write(File::create(bench.path("model.tar.gz")).expect("made")).expect("written");
    assert_eq!(bench.detect("web.csv --model model.tar.gz --scores scores.csv").code, 0);
    let scores: Vec<bool> = bench.get("scores.csv").lines().skip(1).take(4).map(has_score).collect();
    assert_eq!(scores, [false, false, true, true], "the first two have too few before them");

    bench.put("e.toml", "[model]\nkind = \"endpoint\"\nendpoint = \"e\"\nshingle = 2\n");
    let said = bench.detect("web.csv --model model.tar.gz --config e.toml");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr.contains("hint: set [model] shingle = 3, or train with --shingle 2"),
        "{}",
        said.stderr
    );
}

#[test]
fn the_aws_side_is_named_where_it_is_left_out() {
    if cfg!(feature = "aws") {
        return;
    }
    let mut command = assert_cmd::Command::new(crate::anomaly());
    let output = command.args(["local", "invoke", "-e", "events/kinesis.json"]).output().expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.ends_with("hint: cargo run --features aws -- local invoke -e events/kinesis.json\n"),
        "{stderr}"
    );
    assert_eq!(output.status.code(), Some(2));
}
