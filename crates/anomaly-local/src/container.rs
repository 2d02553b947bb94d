//! SageMaker's contract of a training container: what it finds under `/opt/ml`, and what it leaves there.
//!
//! ```text
//! /opt/ml/input/config/hyperparameters.json    the built-in algorithm's names, all values as text
//! /opt/ml/input/config/inputdataconfig.json    the channels `train` and, if there are labels to test by, `test`
//! /opt/ml/input/config/resourceconfig.json     one host
//! /opt/ml/input/data/train/…                   files (or the pipe `train_0`): CSV without a header, RecordIO
//! /opt/ml/model/                               the model as files, which SageMaker packs into model.tar.gz
//! /opt/ml/output/failure                       why it failed
//! ```
//!
//! Source: Amazon SageMaker developer guide, "How Amazon SageMaker Provides Training Information" and "Random Cut
//! Forest (RCF) Algorithm", "RCF Hyperparameters".

mod channel;
mod hyperparameters;
mod quality;
mod rows;

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anomaly_detect::{Fingerprint, LeftOut, Model, Progress, TrainError, TrainOptions};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::input::Stop;
use channel::{Channel, Channels};
pub use hyperparameters::Hyperparameters;
pub use quality::Quality;

/// How much of the reason of a failure SageMaker shows, in characters.
///
/// Source: API reference, `DescribeTrainingJob`, "FailureReason".
pub const FAILURE_CHARS_MAX: usize = 1024;

/// So many rows that cannot be read are told one by one.
const REJECTS_TOLD: u64 = 3;

/// The folder that SageMaker shares with a container, `/opt/ml`.
#[derive(Clone, Debug)]
pub struct Container {
    root: PathBuf,
}

/// What came of a training.
#[derive(Debug)]
pub struct Trained {
    /// The model, which is in its place.
    pub model: Model,
    /// How it does on the test channel, if there is one, by the metrics that were asked for.
    pub quality: Option<Quality>,
}

/// Why there is no model.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// Somebody asked it to stop.
    Stopped,
    /// All that is wrong with what it was given, or what the system says; a sentence each.
    Problems(Vec<String>),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Stopped => f.write_str("stopped before the end; no model was written"),
            Failure::Problems(problems) => f.write_str(&problems.join("\n")),
        }
    }
}

impl std::error::Error for Failure {}

impl From<String> for Failure {
    fn from(problem: String) -> Self {
        Failure::Problems(vec![problem])
    }
}

/// What is read of `resourceconfig.json`.
#[derive(Deserialize)]
struct Resources {
    hosts: Vec<String>,
}

struct Plan {
    hyperparameters: Hyperparameters,
    channels: Channels,
}

/// The rows of the channel `train` that are learned.
#[derive(Default)]
struct History {
    rows: Vec<Vec<f64>>,
    left_out: LeftOut,
    fingerprint: Fingerprint,
}

impl Container {
    /// With this folder in the place of `/opt/ml`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Container { root: root.into() }
    }

    /// Whether this is a training container: whether SageMaker has left its configuration.
    pub fn is_there(&self) -> bool {
        self.config("").is_dir()
    }

    /// Trains as it is told to, tests if it can, and leaves the model. `say` is told how it goes, a line at a time.
    ///
    /// # Errors
    /// [`Failure`]; there is no model then.
    pub fn train(&self, stop: &Stop, say: &mut dyn FnMut(&str)) -> Result<Trained, Failure> {
        let Plan { hyperparameters, channels } = self.plan().map_err(Failure::Problems)?;
        let history = read(&channels.train, &hyperparameters, stop, say)?;
        say(&format!("{} rows of {} features to learn", history.rows.len(), hyperparameters.feature_dim));
        let model = learn(history, &hyperparameters, stop, say)?;
        let test = channels.test.map(|channel| quality::test(&channel, &model, &hyperparameters, stop));
        let quality = test.transpose()?;
        if stop.is_requested() {
            return Err(Failure::Stopped);
        }
        self.leave(&model).map_err(|error| format!("the model cannot be written: {error}"))?;
        Ok(Trained { model, quality })
    }

    /// Leaves the reason of a failure where SageMaker looks for it, the first [`FAILURE_CHARS_MAX`] characters.
    ///
    /// # Errors
    /// What the system says.
    pub fn fail(&self, reason: &str) -> io::Result<()> {
        let folder = self.root.join("output");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("failure"), reason.chars().take(FAILURE_CHARS_MAX).collect::<String>())
    }

    fn config(&self, name: &str) -> PathBuf {
        self.root.join("input/config").join(name)
    }

    /// # Errors
    /// All that is wrong with all files.
    fn plan(&self) -> Result<Plan, Vec<String>> {
        let hyperparameters = self.json("hyperparameters.json").and_then(|json: Map<String, Value>| {
            Hyperparameters::parse(&json).map_err(|all| named("hyperparameters.json", all))
        });
        let channels = self.json("inputdataconfig.json").and_then(|json| {
            Channels::parse(json, &self.root.join("input/data"))
                .map_err(|all| named("inputdataconfig.json", all))
        });
        let hosts = self.hosts();
        match (hyperparameters, channels, hosts) {
            (Ok(hyperparameters), Ok(channels), Ok(())) => Ok(Plan { hyperparameters, channels }),
            (hyperparameters, channels, hosts) => {
                let wrong = [hyperparameters.err(), channels.err(), hosts.err()];
                Err(wrong.into_iter().flatten().flatten().collect())
            }
        }
    }

    /// Whether it is alone: each of several would learn another part of the history.
    fn hosts(&self) -> Result<(), Vec<String>> {
        // Who runs the container by hand has no such file.
        if !self.config("resourceconfig.json").exists() {
            return Ok(());
        }
        let Resources { hosts } = self.json("resourceconfig.json")?;
        match hosts.len() {
            0 | 1 => Ok(()),
            n => Err(vec![format!(
                "resourceconfig.json: {n} instances, but a forest is trained on one; set InstanceCount to 1"
            )]),
        }
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T, Vec<String>> {
        let text =
            fs::read(self.config(name)).map_err(|error| vec![format!("{name}: cannot be read: {error}")])?;
        serde_json::from_slice(&text).map_err(|error| vec![format!("{name}: {error}")])
    }

    /// The model as files, each whole or not there, and its calibration as `anomaly.toml` has it.
    fn leave(&self, model: &Model) -> io::Result<()> {
        let folder = self.root.join("model");
        fs::create_dir_all(&folder)?;
        let calibration = ("calibration.toml", model.calibration().to_toml().into_bytes());
        for (name, bytes) in model.files().into_iter().chain([calibration]) {
            write_whole(&folder, name, &bytes)?;
        }
        Ok(())
    }
}

fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let beside = folder.join(format!(".{name}.part"));
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, folder.join(name)));
    if written.is_err() {
        // What failed is the error to tell; the part is only litter.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn named(file: &str, problems: Vec<String>) -> Vec<String> {
    problems.into_iter().map(|problem| format!("{file}: {problem}")).collect()
}

/// All rows of the channel that can be learned.
fn read(
    channel: &Channel,
    hyperparameters: &Hyperparameters,
    stop: &Stop,
    say: &mut dyn FnMut(&str),
) -> Result<History, Failure> {
    let mut history = History::default();
    rows::read(channel, hyperparameters.feature_dim, stop, &mut |place, example| match example {
        Ok(example) if example.label.is_none_or(|label| label == 0.0) => history.rows.push(example.row),
        Ok(example) => {
            history.left_out.labelled += 1;
            history.fingerprint.take_in(&example.row);
        }
        Err(why) => {
            history.left_out.rejected += 1;
            if history.left_out.rejected <= REJECTS_TOLD {
                say(&format!("{place} is left out: {why}"));
            }
        }
    })?;
    let LeftOut { rejected, labelled, .. } = history.left_out;
    if rejected + labelled > 0 {
        say(&format!("left out: {rejected} rows that cannot be read, {labelled} labelled as anomalous"));
    }
    match history.rows.is_empty() {
        true if rejected + labelled > 0 => {
            Err(format!("channel train: no row can be learned: {rejected} rejected, {labelled} labelled")
                .into())
        }
        true => Err("channel train: there are no rows".to_owned().into()),
        false => Ok(history),
    }
}

fn learn(
    history: History,
    hyperparameters: &Hyperparameters,
    stop: &Stop,
    say: &mut dyn FnMut(&str),
) -> Result<Model, Failure> {
    let left_out = LeftOut { sha256: history.fingerprint.finish(), ..history.left_out };
    let options = TrainOptions { left_out, ..hyperparameters.options() };
    let mut tenths = 0;
    let mut watch = |Progress { done, all }| {
        let reached = done * 10 / all.max(1);
        if reached > tenths {
            tenths = reached;
            say(&format!("{} % learned", tenths * 10));
        }
        if stop.is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    Model::train_watched(history.rows, &options, &mut watch).map_err(|error| match error {
        TrainError::Stopped => Failure::Stopped,
        error => format!("cannot train: {error}").into(),
    })
}
