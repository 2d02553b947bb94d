//! `anomaly train`: from a history of normal operation to a model artifact.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anomaly_core::calibration::{Calibration, Quantiles};
use anomaly_core::config::Input;
use anomaly_core::fields::pointer;
use anomaly_core::reading::SeriesId;
use anomaly_core::rule::short;
use anomaly_core::window::{Window, Windowed};
use anomaly_detect::{Model, SHINGLE_MAX, TrainOptions};
use anomaly_local::input::{Rows, Source, Stop};
use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value, json};

/// Rejected rows that are told one by one.
const REJECTS_TOLD: u64 = 3;

/// Learn what is normal from a history, and write a model.
#[derive(Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// Files of normal operation, CSV with a header or JSON lines; - is standard input
    #[arg(required = true, value_name = "HISTORY")]
    histories: Vec<PathBuf>,
    /// Where to write the model
    #[arg(short, long, value_name = "FILE", default_value = "model.tar.gz")]
    output: PathBuf,
    /// A column (or JSON pointer) to learn from; may be repeated, the order is the model's. All numeric columns
    /// of the first file, if none is named
    #[arg(long = "value", value_name = "COLUMN")]
    values: Vec<String>,
    /// The column that tells series apart; found by its name if it has a usual one
    #[arg(long, value_name = "COLUMN")]
    series: Option<String>,
    /// Readings a row, 1 to 128: the model then knows what follows what within a series, and is given its last
    /// readings as one row. With an endpoint, model.shingle has to say the same
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().shingle)]
    shingle: usize,
    /// Trees of the forest, 1 to 1000
    #[arg(long, default_value_t = TrainOptions::default().trees)]
    trees: usize,
    /// Rows kept by each tree, 2 to 2048
    #[arg(long, default_value_t = TrainOptions::default().sample_size)]
    sample_size: usize,
    /// Where the randomness comes from: the same history and seed make the same file
    #[arg(long, default_value_t = TrainOptions::default().seed)]
    seed: u64,
    /// Write what the scores of normal rows are to this file, as the section `[model.calibration]` of
    /// anomaly.toml; - is standard output. The model holds it too
    #[arg(long, value_name = "TOML")]
    calibration: Option<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// The rows of all histories, and how they were read.
struct History {
    features: Vec<String>,
    rows: Vec<Vec<f64>>,
    rejected: u64,
}

/// Trains and writes a model, and says what it learned.
///
/// # Errors
/// If a history cannot be read, is too short or has no row that can be learned, or the model cannot be written.
pub(crate) fn run(args: TrainArgs) -> anyhow::Result<ExitCode> {
    // Before hours of history are read.
    check_places(&args)?;
    ensure!(
        (1..=SHINGLE_MAX).contains(&args.shingle),
        "--shingle: {} is not 1 to {SHINGLE_MAX}",
        args.shingle
    );
    let history = read(&args)?;
    let rejected = history.rejected;
    let resting: Vec<String> = resting(&history).map(str::to_owned).collect();
    let options = TrainOptions {
        features: history.features,
        shingle: args.shingle,
        trees: args.trees,
        sample_size: args.sample_size,
        seed: args.seed,
    };
    let model = Model::train(history.rows, &options).context("cannot train")?;
    for name in resting {
        writeln!(
            io::stderr().lock(),
            "{name} never moves in this history: its first move will look strange\n\
             hint: train on a longer history, or choose the others with --value"
        )?;
    }
    write(&model, &args.output).with_context(|| format!("cannot write {}", args.output.display()))?;
    let summary = match args.json {
        true => as_json(&model, rejected, &args.output),
        false => as_text(&model, rejected, &args.output),
    };
    writeln!(io::stdout().lock(), "{summary}")?;
    if let Some(path) = &args.calibration {
        write_calibration(&model, path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the files can be written where they are to be.
fn check_places(args: &TrainArgs) -> anyhow::Result<()> {
    for path in args.calibration.iter().filter(|path| !is_stdout(path)).chain([&args.output]) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        ensure!(folder.is_dir(), "cannot write {}: there is no folder {}", path.display(), folder.display());
    }
    let Some(path) = args.calibration.as_deref().filter(|path| !is_stdout(path)) else { return Ok(()) };
    let is_ours = |text: &str| text.is_empty() || text.starts_with(Calibration::HEADER);
    ensure!(
        fs::read_to_string(path).as_deref().map_or(!path.exists(), is_ours),
        "{} holds something else than {}, and would be written over\n\
         hint: give a file of its own, or `-`, and paste what it says",
        path.display(),
        Calibration::HEADER
    );
    Ok(())
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn write_calibration(model: &Model, path: &Path) -> io::Result<()> {
    let toml = model.calibration().to_toml();
    match is_stdout(path) {
        true => io::stdout().lock().write_all(toml.as_bytes()),
        false => fs::write(path, toml),
    }
}

/// All rows of all files, one after the other, each with the features of the first.
fn read(args: &TrainArgs) -> anyhow::Result<History> {
    let named = |name: &String| if name.starts_with('/') { name.clone() } else { pointer(name) };
    let mut input = Input {
        series: args.series.as_ref().map(named).unwrap_or_default(),
        features: args.values.iter().map(named).collect(),
        ..Input::default()
    };
    let mut windows: HashMap<SeriesId, Window> = HashMap::new();
    let mut history = History { features: Vec::new(), rows: Vec::new(), rejected: 0 };
    for source in Source::all(&args.histories) {
        let mut rows = Rows::open(&source, &input, &Stop::default())?;
        if history.features.is_empty() {
            for note in rows.notes() {
                writeln!(io::stderr().lock(), "{}: {note}", source.name)?;
            }
            history.features = rows.feature_names().to_vec();
            // The other files have to be of the same kind: what was found in the first is asked of them.
            input.features.clone_from(&rows.input().features);
        }
        for row in &mut rows {
            let row = row?;
            match row.outcome {
                Ok(reading) if args.shingle == 1 => history.rows.push(reading.features),
                Ok(reading) => {
                    let window = windows.entry(reading.series.clone()).or_default();
                    // The first readings of a series have too few before them.
                    if let Windowed::Known { row: Some(row), .. } =
                        window.take_in_once(&reading, args.shingle)
                    {
                        history.rows.push(row);
                    }
                }
                Err(reject) => {
                    history.rejected += 1;
                    if history.rejected <= REJECTS_TOLD {
                        let (name, number, why) = (&source.name, row.number, &reject.reject);
                        writeln!(io::stderr().lock(), "{name}: row {number} is left out: {why}")?;
                    }
                }
            }
        }
    }
    ensure!(
        !history.rows.is_empty() || history.rejected == 0,
        "no row can be learned: all {} are rejected",
        history.rejected
    );
    Ok(history)
}

/// The features that have one and the same value in all rows.
fn resting(history: &History) -> impl Iterator<Item = &str> {
    let first = history.rows.first();
    // The first reading of a row says enough: it has been every other one.
    history.features.iter().enumerate().filter_map(move |(i, name)| {
        let rests = history.rows.iter().all(|row| first.is_some_and(|first| first[i] == row[i]));
        (rests && first.is_some()).then_some(name.as_str())
    })
}

/// Writes beside `path` and renames, so that whoever reads it never sees half a model.
fn write(model: &Model, path: &Path) -> anyhow::Result<()> {
    let Some(name) = path.file_name() else { bail!("it is not the name of a file") };
    let beside = path.with_file_name(format!(".{}.{}.part", name.display(), std::process::id()));
    let written = write_to(model, &beside).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What failed is the error to tell; the part is only litter.
        let _ = fs::remove_file(&beside);
    }
    Ok(written?)
}

fn write_to(model: &Model, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create_new(path)?);
    model.write(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// The score above which a row is anomalous by SageMaker's advice: three deviations above the mean.
fn cutoff(model: &Model) -> f64 {
    model.calibration().mean + 3.0 * model.calibration().deviation
}

fn as_text(model: &Model, rejected: u64, path: &Path) -> String {
    let calibration = model.calibration();
    let readings = match model.shingle() {
        1 => String::new(),
        n => format!("; {n} readings a row"),
    };
    // A model that was just trained has them.
    let quantiles = calibration.quantiles.iter().flat_map(Quantiles::steps);
    let quantiles = quantiles.map(|(share, score)| format!("{} %: {}", share * 100.0, short(score)));
    [
        format!("rows      {} learned, {rejected} rejected", model.rows_trained()),
        format!("features  {}{readings}", model.features().join(", ")),
        format!(
            "scores    mean {}, deviation {}; mean + 3 deviations: {}",
            short(calibration.mean),
            short(calibration.deviation),
            short(cutoff(model))
        ),
        format!("quantiles {}", quantiles.collect::<Vec<_>>().join(", ")),
        format!("model     {} ({})", path.display(), model.id()),
    ]
    .join("\n")
}

fn as_json(model: &Model, rejected: u64, path: &Path) -> String {
    let steps = model.calibration().quantiles.iter().flat_map(Quantiles::steps);
    let quantiles: Map<String, Value> =
        steps.map(|(share, score)| (share.to_string(), score.into())).collect();
    json!({
        "rows_trained": model.rows_trained(),
        "rows_rejected": rejected,
        "features": model.features(),
        "shingle": model.shingle(),
        "score_mean": model.calibration().mean,
        "score_deviation": model.calibration().deviation,
        "score_quantiles": quantiles,
        "score_cutoff": cutoff(model),
        "seed": model.seed(),
        "model": path.display().to_string(),
        "model_id": model.id(),
        "history_sha256": model.history_sha256(),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anomaly_core::config::Config;

    fn args(histories: Vec<PathBuf>, output: PathBuf) -> TrainArgs {
        TrainArgs {
            histories,
            output,
            values: Vec::new(),
            series: None,
            shingle: 1,
            trees: 5,
            sample_size: 32,
            seed: 1,
            calibration: None,
            json: false,
        }
    }

    fn history(rows: u32) -> String {
        let rows = (0..rows).map(|n| format!("2026-01-01T00:00:{:02}Z,{},{}\n", n % 60, n % 7, n % 3));
        format!("timestamp,cpu,memory\n{}", rows.collect::<String>())
    }

    #[test]
    fn files_are_read_one_after_the_other_and_bad_rows_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one.csv"), folder.path().join("two.csv"));
        fs::write(&one, history(30) + "2026-01-01T00:00:00Z,x,1\n").unwrap();
        fs::write(&two, history(40)).unwrap();
        let read = |files: &[&PathBuf], values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            let histories = files.iter().map(|file| (*file).clone()).collect();
            super::read(&TrainArgs { values, ..args(histories, PathBuf::new()) })
        };
        let history = read(&[&one, &two], &[]).unwrap();
        assert_eq!((history.rows.len(), history.rejected), (70, 1));
        assert_eq!(history.features, ["cpu", "memory"]);
        assert_eq!(resting(&history).count(), 0);
        fs::write(&one, "cpu,memory\n1,2\n3,2\n").unwrap();
        assert_eq!(resting(&read(&[&one], &[]).unwrap()).collect::<Vec<_>>(), ["memory"]);
        let history = read(&[&two, &one], &["memory"]).unwrap();
        assert_eq!((history.rows[1].as_slice(), history.features), (&[1.0][..], vec!["memory".to_owned()]));
    }

    #[test]
    fn rows_of_several_readings_are_of_one_series_each() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("in.csv");
        let row = |n: u32| format!("{},{n}\n", if n.is_multiple_of(3) { "b" } else { "a" });
        fs::write(&file, format!("machine,cpu\n{}", (0..100).map(row).collect::<String>())).unwrap();
        let series = Some("machine".to_owned());
        let of_three = TrainArgs { shingle: 3, series, ..args(vec![file.clone()], PathBuf::new()) };
        let history = read(&of_three).unwrap();
        assert_eq!(history.rows.len(), 100 - 4, "the first two readings of each series make none");
        assert_eq!(history.rows[..4], [[1.0, 2.0, 4.0], [2.0, 4.0, 5.0], [0.0, 3.0, 6.0], [4.0, 5.0, 7.0]]);
        assert_eq!(history.features, ["cpu"]);
        let output = folder.path().join("model.tar.gz");
        run(TrainArgs { output: output.clone(), ..of_three }).unwrap();
        assert_eq!(
            Model::read(File::open(output).unwrap()).unwrap().columns(),
            ["cpu[-2]", "cpu[-1]", "cpu"]
        );
    }

    #[test]
    fn the_calibration_is_written_as_the_configuration_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let [input, output, toml] =
            ["in.csv", "model.tar.gz", "calibration.toml"].map(|name| folder.path().join(name));
        fs::write(&input, history(100)).unwrap();
        let train = |calibration: &Path| {
            let calibration = Some(calibration.to_owned());
            run(TrainArgs { calibration, ..args(vec![input.clone()], output.clone()) })
        };
        train(&toml).unwrap();
        let model = Model::read(File::open(&output).unwrap()).unwrap();
        let config = Config::from_toml(&fs::read_to_string(&toml).unwrap()).unwrap();
        assert_eq!(config.model.calibration.as_ref(), Some(model.calibration()), "to the bit");
        train(&toml).unwrap();
        // What a hurried person gives in its place.
        let precious = folder.path().join("anomaly.toml");
        fs::write(&precious, "[input]\n").unwrap();
        assert!(train(&precious).unwrap_err().to_string().contains("holds something else"));
        assert_eq!(fs::read_to_string(&precious).unwrap(), "[input]\n");
        let nowhere = train(&folder.path().join("no/where.toml")).unwrap_err().to_string();
        assert!(nowhere.contains("there is no folder"), "{nowhere}");
    }

    #[test]
    fn the_model_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("in.csv"), folder.path().join("model.tar.gz"));
        fs::write(&input, history(10)).unwrap();
        assert!(
            run(args(vec![input.clone()], output.clone())).unwrap_err().to_string().contains("cannot train")
        );
        fs::write(&input, history(100)).unwrap();
        run(args(vec![input.clone()], output.clone())).unwrap();
        let first = fs::read(&output).unwrap();
        assert_eq!(Model::read(first.as_slice()).unwrap().rows_trained(), 100);
        run(args(vec![input.clone()], output.clone())).unwrap();
        assert!(fs::read(&output).unwrap() == first, "the same history makes the same file");
        // A folder cannot be replaced by a file: what was written beside it must not stay.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(run(args(vec![input], taken)).is_err());
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["in.csv", "model.tar.gz", "taken"]);
    }
}
