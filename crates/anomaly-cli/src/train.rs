//! `anomaly train`: from a history of normal operation to a model artifact.

mod container;
mod history;
mod place;
mod summary;

use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anomaly_core::config::{Input, Zone};
use anomaly_detect::{Model, Progress, TrainError, TrainOptions};
use anomaly_local::input::{Source, Stop};
use anomaly_local::periods::{self, Period, Periods};
use anyhow::{Context, anyhow, bail, ensure};
use indicatif::ProgressBar;

use self::history::{History, Plan, resting, say};
use self::summary::Found;
use crate::detect::column;
use crate::signals;
use crate::terminal::bar;

/// Learn what is normal from a history, and write a model.
#[derive(Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// Files of normal operation, CSV with a header or JSON lines; - is standard input. Without any, as in a container
    /// of SageMaker: what /opt/ml/input says, and no option counts
    #[arg(value_name = "HISTORY")]
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
    /// The column that holds the time; found by its name if it has a usual one
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// Leave out readings of this period, both ends included: FROM..TO, or a date; may be repeated.
    /// 2026-03-01T22:00+01:00..2026-03-02, 2026-03-01T22:00[Europe/Berlin]..2026-03-02T06:00Z, 2026-12-24
    #[arg(long = "exclude", value_name = "FROM..TO")]
    excluded: Vec<String>,
    /// Leave out the periods in this file: one a line, or JSON; may be repeated
    #[arg(long = "exclude-file", value_name = "FILE")]
    exclude_files: Vec<PathBuf>,
    /// The time zone of periods that do not say it, such as Europe/Berlin [default: UTC, as of readings]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Leave out what is known to be anomalous: a file of periods, as of --exclude-file; may be repeated
    #[arg(long, value_name = "FILE")]
    labels: Vec<PathBuf>,
    /// Leave out rows in which this column is not 0 or false; it is not learned from
    #[arg(long, value_name = "COLUMN")]
    label_column: Option<String>,
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

/// Trains and writes a model, and says what it learned.
///
/// # Errors
/// If a history cannot be read, is too short or has no row that can be learned, or the model cannot be written; or if
/// it was stopped before the end, and then nothing was written.
pub(crate) fn run(args: TrainArgs) -> anyhow::Result<ExitCode> {
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    if args.histories.is_empty() { container::run(&stop) } else { train(&args, &stop) }
}

fn train(args: &TrainArgs, stop: &Stop) -> anyhow::Result<ExitCode> {
    // Before hours of history are read.
    let output = place::of_model(&args.output, &args.histories)?;
    let calibration = args.calibration.as_deref();
    calibration.map(|path| place::check_calibration(path, &output, &args.histories)).transpose()?;
    let (options, plan) = (options(args)?, plan(args)?);
    let Some(mut history) = history::read(&Source::all(&args.histories), plan, stop)? else { bail!(STOPPED) };
    let left_out = [("excluded", history.excluded.clone()), ("labelled", history.labels.clone())];
    let labelled = std::mem::take(&mut history.labelled);
    let model = learn(history, options, stop)?;
    let found = Found::of(&model, &labelled)?;
    place::write(&model, &output, stop).map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => anyhow!(STOPPED),
        _ => anyhow::Error::new(error).context(format!("cannot write {}", args.output.display())),
    })?;
    let summary = match args.json {
        true => summary::as_json(&model, &left_out, found, &args.output),
        false => summary::as_text(&model, &left_out, found, &args.output),
    };
    writeln!(io::stdout().lock(), "{summary}")?;
    if let Some(path) = calibration {
        write_calibration(&model, path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is said when a signal ended it.
const STOPPED: &str = "stopped before the end; no model was written";

/// Sizes within their ranges; the names of the features are those of the first file.
fn options(args: &TrainArgs) -> anyhow::Result<TrainOptions> {
    let TrainArgs { shingle, trees, sample_size, seed, .. } = *args;
    let options = TrainOptions { shingle, trees, sample_size, seed, ..TrainOptions::default() };
    let problems = options.problems();
    ensure!(problems.is_empty(), "a model cannot be trained so: {}", problems.join("; "));
    Ok(options)
}

/// # Errors
/// All that is wrong with the periods.
fn plan(args: &TrainArgs) -> anyhow::Result<Plan> {
    let input = Input {
        time: args.time.clone().map(column),
        series: args.series.clone().map(column).unwrap_or_default(),
        features: args.values.iter().cloned().map(column).collect(),
        ..Input::default()
    };
    let zone =
        args.zone.as_deref().map(Zone::named).transpose().map_err(|problem| anyhow!("--zone: {problem}"))?;
    let (mut excluded, mut labels, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for text in &args.excluded {
        match Period::parse(text, zone.as_ref()) {
            Ok(period) => excluded.push(period),
            Err(problem) => problems.push(format!("--exclude: {problem}")),
        }
    }
    for (files, periods) in [(&args.exclude_files, &mut excluded), (&args.labels, &mut labels)] {
        for file in files {
            match periods::read(file, zone.as_ref()) {
                Ok(found) => periods.extend(found),
                Err(found) => problems.extend(found),
            }
        }
    }
    ensure!(problems.is_empty(), problems.join("\n"));
    Ok(Plan {
        input,
        shingle: args.shingle,
        label: args.label_column.clone().map(column),
        excluded: Periods::new(excluded),
        labels: Periods::new(labels),
    })
}

/// Trains under a bar, and says what of the history will make itself felt.
fn learn(history: History, options: TrainOptions, stop: &Stop) -> anyhow::Result<Model> {
    for name in resting(&history) {
        say(&format!(
            "{name} never moves in this history: its first move will look strange\n\
             hint: train on a longer history, or choose the others with --value"
        ));
    }
    let options = TrainOptions { features: history.features, left_out: history.left_out, ..options };
    let mut bar = ProgressBar::hidden();
    let trained =
        Model::train_watched(history.rows, &options, &mut |progress| watch(&mut bar, progress, stop));
    bar.finish_and_clear();
    match trained {
        Err(TrainError::Stopped) => bail!(STOPPED),
        trained => trained.context("cannot train"),
    }
}

fn watch(learning: &mut ProgressBar, progress: Progress, stop: &Stop) -> ControlFlow<()> {
    if progress.done == 0 {
        *learning = bar(progress.all, "learning");
    }
    learning.set_position(progress.done);
    if stop.is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

fn write_calibration(model: &Model, path: &Path) -> io::Result<()> {
    let toml = model.calibration().to_toml();
    match place::is_std(path) {
        true => io::stdout().lock().write_all(toml.as_bytes()),
        false => fs::write(path, toml),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use anomaly_core::config::Config;

    use super::*;

    fn args(histories: Vec<PathBuf>, output: PathBuf) -> TrainArgs {
        TrainArgs {
            histories,
            output,
            values: Vec::new(),
            series: None,
            time: None,
            excluded: Vec::new(),
            exclude_files: Vec::new(),
            zone: None,
            labels: Vec::new(),
            label_column: None,
            shingle: 1,
            trees: 5,
            sample_size: 32,
            seed: 1,
            calibration: None,
            json: false,
        }
    }

    fn read(args: &TrainArgs) -> anyhow::Result<History> {
        let read = history::read(&Source::all(&args.histories), plan(args)?, &Stop::default())?;
        read.context("nobody stopped it")
    }

    fn run(args: TrainArgs) -> anyhow::Result<ExitCode> {
        train(&args, &Stop::default())
    }

    fn csv(rows: u32) -> String {
        let rows = (0..rows).map(|n| format!("2026-01-01T00:00:{:02}Z,{},{}\n", n % 60, n % 7, n % 3));
        format!("timestamp,cpu,memory\n{}", rows.collect::<String>())
    }

    #[test]
    fn files_are_read_one_after_the_other_and_bad_rows_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one.csv"), folder.path().join("two.csv"));
        fs::write(&one, csv(30) + "2026-01-01T00:00:00Z,x,1\n").unwrap();
        fs::write(&two, csv(40)).unwrap();
        let read = |files: &[&PathBuf], values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            let histories = files.iter().map(|file| (*file).clone()).collect();
            read(&TrainArgs { values, ..args(histories, PathBuf::new()) })
        };
        let history = read(&[&one, &two], &[]).unwrap();
        assert_eq!((history.rows.len(), history.left_out.rejected), (70, 1));
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
        fs::write(&input, csv(100)).unwrap();
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
        fs::write(&input, csv(10)).unwrap();
        assert!(
            run(args(vec![input.clone()], output.clone())).unwrap_err().to_string().contains("cannot train")
        );
        fs::write(&input, csv(100)).unwrap();
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
