//! What the default detector reaches on labelled series that lie beside the project, by the judge that lies
//! there too; and that it neither looks ahead nor minds units, names or dates.

#![allow(clippy::expect_used, reason = "tests")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The public half of the Numenta Anomaly Benchmark, where it is there.
fn nab() -> Option<PathBuf> {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1);
    let found =
        above.find_map(|folder| Some(folder.join("shared/nab")).filter(|nab| nab.join("judge.py").exists()));
    if found.is_none() {
        let _ = writeln!(std::io::stderr(), "skipped: the labelled series are not there");
    }
    found
}

fn run(data: &Path, results: &Path) {
    output(
        Command::new(env!("CARGO_BIN_EXE_bench-detect")).args(["run", "streaming"]).arg(data).arg(results),
    );
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("it can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn it_is_as_right_as_it_says() {
    let Some(nab) = nab() else { return };
    let place = tempfile::tempdir().expect("a folder");
    run(&nab.join("data"), &place.path().join("results"));
    let json = place.path().join("judged.json");
    let mut judge = Command::new("python3");
    judge.arg(nab.join("judge.py")).arg(place.path().join("results")).arg("--json").arg(&json);
    for (option, file) in [("--labels", "windows.json"), ("--points", "points.json"), ("--data", "data")] {
        judge.arg(option).arg(nab.join(file));
    }
    let said = output(&mut judge);
    let judged = std::fs::read_to_string(json).expect("written").replace("NaN", "null");
    let judged: serde_json::Value = serde_json::from_str(&judged).expect("JSON");
    let at_least = |path: &str, least: f64| {
        let found = judged.pointer(path).and_then(serde_json::Value::as_f64).expect(path);
        assert!(found >= least, "{path}: {found} < {least}\n{said}");
    };
    at_least("/fixed/standard", 72.0);
    at_least("/fixed/low_FP", 68.0);
    at_least("/fixed/low_FN", 75.0);
    at_least("/alerts/f1", 0.65);
    at_least("/alerts/recall", 0.8);
    let false_alerts = judged["alerts"]["false_per_1000_rows"].as_f64().expect("a number");
    assert!(false_alerts <= 0.3, "{false_alerts}\n{said}");
}

#[test]
fn it_neither_looks_ahead_nor_minds_units_names_or_dates() {
    let Some(nab) = nab() else { return };
    let place = tempfile::tempdir().expect("a folder");
    let place = place.path();
    run(&nab.join("data"), &place.join("results"));
    for variant in [&["cut", "0.6"][..], &["affine", "3.7", "-120"], &["affine", "0.001", "5"], &["rename"]] {
        let (data, results) = (place.join("data"), place.join("varied"));
        let [kind, numbers @ ..] = variant else { unreachable!("each has a kind") };
        let variants = |mode: &str| {
            let mut command = Command::new("python3");
            command.arg(nab.join("variants.py")).arg(mode);
            command
        };
        output(variants(kind).arg(nab.join("data")).arg(&data).args(numbers));
        run(&data, &results);
        if *kind == "rename" {
            named_back(&data, &results);
        }
        output(variants("same").arg(place.join("results")).arg(&results).arg("0"));
        std::fs::remove_dir_all(&data).expect("removed");
        std::fs::remove_dir_all(&results).expect("removed");
    }
}

/// Gives results their series' own names back.
fn named_back(data: &Path, results: &Path) {
    let names = std::fs::read_to_string(data.join("names.json")).expect("written by the variant");
    let names: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&names).expect("JSON");
    for (renamed, name) in names {
        let to = results.join(name.as_str().expect("a name"));
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        std::fs::rename(results.join(renamed), to).expect("moved");
    }
}
