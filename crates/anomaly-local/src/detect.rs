//! `detect`: inputs in, alerts out. Reads, scores, judges and writes row by row, and leaves a state to carry on.

mod feed;
mod memory;
mod run;
pub(crate) mod waiting;

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anomaly_core::alert::Transition;
use anomaly_core::config::Config;
use anomaly_core::event_time::Untimeliness;
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_detect::{Model, OptionsError};

use crate::input::{InputError, Rows, Source, Stop};
use crate::output;
use crate::store::StoreError;

use run::{Left, Run, absolute_path};

/// What to do, and where to put it.
#[derive(Debug, Default)]
pub struct Options {
    /// Input, model and rules.
    pub config: Config,
    /// A trained model that scores in place of the configuration's.
    pub model: Option<Model>,
    /// Alerts as JSON lines.
    pub alerts: Option<PathBuf>,
    /// Scores as CSV, a row for each row; a folder for several inputs.
    pub scores: Option<PathBuf>,
    /// Findings as JSON lines: one for each reading and rule.
    pub findings: Option<PathBuf>,
    /// The reading whose findings are to be explained.
    pub explain: Option<Which>,
    /// Rejected rows as JSON lines.
    pub rejects: Option<PathBuf>,
    /// Where to carry on, and what to leave.
    pub state: Option<PathBuf>,
    /// What series may take in memory, in bytes, where a state is kept; half of the machine's if `None`. The ones used
    /// least recently stay where they were saved. What is found does not depend on it.
    pub memory_bytes: Option<usize>,
    /// How many threads judge at a time, each the series in its hands; as many as the machine has cores if `None`. What is
    /// found does not depend on it.
    pub threads: Option<NonZeroUsize>,
}

/// A reading, by its series and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    /// Whose.
    pub series: SeriesId,
    /// Its event time, as it is judged.
    pub at: Timestamp,
}

/// Who is told while it happens.
pub trait Watcher {
    /// An input was opened; `rows` says how it is read.
    fn opened(&mut self, source: &Source, rows: &Rows);
    /// Rows were worked through, up to so many bytes behind the input's beginning.
    fn read(&mut self, end_bytes: u64);
    /// An alert took a step; one that is held too ([`Transition::held`]).
    ///
    /// # Errors
    /// A broken pipe ends the run in good order, any other error at once.
    fn stepped(&mut self, transition: &Transition) -> io::Result<()>;
    /// The reading that was asked for was judged: what its rules found, in a few lines.
    ///
    /// # Errors
    /// As [`Watcher::stepped`].
    fn explained(&mut self, text: &str) -> io::Result<()>;
    /// Something a person should know, about the input of that name.
    fn note(&mut self, input: &str, note: &str);
    /// An input could not be read, or not to its end.
    fn problem(&mut self, error: &InputError);
}

/// How it went.
#[derive(Debug, Default)]
pub struct Summary {
    /// Rows that were judged.
    pub readings: u64,
    /// Series there are, those of earlier runs included.
    pub series: usize,
    /// Alerts that fired.
    pub fired: u64,
    /// Steps of alerts that told people that something is wrong.
    pub alarms: u64,
    /// Alerts that resolved.
    pub resolved: u64,
    /// Steps of alerts that nobody is told of.
    pub held: u64,
    /// Alerts that are firing still.
    pub firing: usize,
    /// Rows that were rejected, by reason.
    pub rejects: BTreeMap<&'static str, Rejects>,
    /// Readings that came out of the order of their times.
    pub unordered: u64,
    /// Readings that were moved or dropped because of their time; all 0 without `[input.event_time]`.
    pub untimely: Untimeliness,
    /// What could not be read.
    pub problems: Vec<InputError>,
    /// Whether it was told to stop before the end.
    pub stopped: bool,
    /// Whether nobody listens any more.
    pub pipe_closed: bool,
    /// How many readings were explained.
    pub explained: u64,
    /// The time of a reading of that series nearest to the one to be explained.
    pub nearest: Option<Timestamp>,
}

/// Rows rejected for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejects {
    /// How many.
    pub count: u64,
    /// The first of them, in words.
    pub first: String,
}

impl Summary {
    /// Rows that were rejected, whatever the reason.
    pub fn rejected(&self) -> u64 {
        self.rejects.values().map(|rejects| rejects.count).sum()
    }
}

/// Why a run ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The configuration names an endpoint.
    #[error(
        "model.kind = \"endpoint\": `detect` scores in process and calls no endpoint\n\
         hint: --model M scores with a trained model; [model] kind = \"embedded\" learns as it goes"
    )]
    Endpoint,
    /// The forest cannot be built as configured.
    #[error("the configuration's [model] cannot be used")]
    Options(#[source] OptionsError),
    /// A rule wants to know what the scores were in training, and nothing was trained.
    #[error(
        "rule {rule:?} is calibrated = true, and what learns as it goes knows no scores from before\n\
         hint: --model M scores with a trained model, which does; or leave `calibrated` out"
    )]
    Uncalibrated {
        /// The rule's name.
        rule: String,
    },
    /// The configuration's endpoint takes rows of another length than the model.
    #[error(
        "model.shingle is {configured}, and the model was trained on rows of {trained} readings\n\
         hint: set [model] shingle = {trained}, or train with --shingle {configured}"
    )]
    Shingle {
        /// Readings a row, by the configuration.
        configured: usize,
        /// Readings a row, by the model.
        trained: usize,
    },
    /// Two of the files are the same one.
    #[error("{0} would be written over: it is given twice\nhint: give each output a file of its own")]
    Twice(PathBuf),
    /// A file cannot be written.
    #[error("{path} cannot be written")]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Alerts cannot be shown.
    #[error("alerts cannot be shown")]
    Watcher(#[source] io::Error),
    /// The state cannot be used.
    #[error(transparent)]
    State(#[from] StoreError),
}

/// Runs all of `sources`, one after the other; what is wrong with one does not keep the others from being read.
///
/// # Errors
/// [`DetectError`] for what concerns the whole run; what concerns an input is in [`Summary::problems`].
pub fn detect(
    sources: &[Source],
    options: Options,
    stop: &Stop,
    watcher: &mut dyn Watcher,
) -> Result<Summary, DetectError> {
    let score_paths = options.scores.as_deref().map(|to| output::score_paths(to, sources));
    refuse_overwriting(sources, &options, score_paths.as_deref().unwrap_or_default())?;
    let mut run = Run::new(options, stop, watcher)?;
    let mut held = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        if stop.is_requested() {
            break;
        }
        let scores = score_paths.as_ref().map(|paths| paths[index].as_path());
        let twice = sources[..index].iter().any(|other| other.name == source.name);
        let ended = match twice {
            true => Err(InputError::new(&source.name, "it is given twice").into()),
            false => run.input(source, scores),
        };
        match ended {
            Ok(row) => held.extend(row),
            Err(Left::Input(error)) => run.problem(error),
            Err(Left::Run(error)) => return Err(error),
        }
    }
    run.finish(held)
}

/// # Errors
/// [`DetectError::Twice`] if an output is an input or another output.
fn refuse_overwriting(sources: &[Source], options: &Options, scores: &[PathBuf]) -> Result<(), DetectError> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| absolute_path(path).into());
    let is_device = |path: &Path| path.metadata().is_ok_and(|m| !m.is_file() && !m.is_dir());
    let mut taken: Vec<PathBuf> = sources.iter().filter_map(Source::path).map(real).collect();
    for path in [&options.alerts, &options.findings, &options.rejects].into_iter().flatten().chain(scores) {
        let place = real(path);
        if taken.contains(&place) && !is_device(path) {
            return Err(DetectError::Twice(path.clone()));
        }
        taken.push(place);
    }
    Ok(())
}
