//! `detect`: inputs in, alerts out. Reads, scores, judges and writes row by row, and leaves a state to carry on.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anomaly_core::alert::{Step, Transition};
use anomaly_core::classify::Policy;
use anomaly_core::config::{Config, Input};
use anomaly_core::fields::pointer;
use anomaly_core::reject::Reject;
use anomaly_core::rule::Finding;
use anomaly_core::wire::{self, RejectV1, TransitionV1};
use anomaly_detect::{Model, OptionsError};

use crate::engine::{self, Engine, Judged, Refusal, SERIES_FULL_MAX, Scoring};
use crate::input::{InputError, Mark, Row, Rows, Source, Stop};
use crate::output::{self, Begin, Output, SCORES_HEADER};
use crate::state::{Saved, SavedInput, StateDir, StateError};

/// Rows after which a state is saved.
const SAVE_AFTER_ROWS: u64 = 1_000;
/// How old the state of a pipe may become while rows arrive; they do not come again.
const SAVE_LIVE_AFTER: Duration = Duration::from_secs(5);
/// Saving takes at most this part of the time, however large the state: one in ten.
const SAVE_SHARE: u32 = 10;

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
    /// Rejected rows as JSON lines.
    pub rejects: Option<PathBuf>,
    /// Where to carry on, and what to leave.
    pub state: Option<PathBuf>,
}

/// Who is told while it happens.
pub trait Watcher {
    /// An input was opened; `rows` says how it is read.
    fn opened(&mut self, source: &Source, rows: &Rows);
    /// A row was worked through.
    fn read(&mut self, rows: &Rows);
    /// An alert fired or resolved.
    ///
    /// # Errors
    /// A broken pipe ends the run in good order, any other error at once.
    fn stepped(&mut self, transition: &Transition) -> io::Result<()>;
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
    /// Alerts that resolved.
    pub resolved: u64,
    /// Alerts that are firing still.
    pub firing: usize,
    /// Rows that were rejected, by reason.
    pub rejects: BTreeMap<&'static str, Rejects>,
    /// Readings that came out of the order of their times.
    pub unordered: u64,
    /// What could not be read.
    pub problems: Vec<InputError>,
    /// Whether it was told to stop before the end.
    pub stopped: bool,
    /// Whether nobody listens any more.
    pub pipe_closed: bool,
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
    State(#[from] StateError),
}

/// Why one input is left.
enum Left {
    Input(InputError),
    Run(DetectError),
}

impl From<InputError> for Left {
    fn from(error: InputError) -> Self {
        Left::Input(error)
    }
}

impl<E: Into<DetectError>> From<E> for Left {
    fn from(error: E) -> Self {
        Left::Run(error.into())
    }
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

/// A row without a line's end: the file may still be written to, so it is judged last and not remembered.
struct Held {
    reader: Reader,
    row: Row,
}

/// What it takes to judge the rows of one input.
struct Reader {
    name: String,
    policy: Policy,
    features: Vec<String>,
    scores: Option<Output>,
    live: bool,
    readings: u64,
    /// What is wrong with the first row that was rejected.
    first_reject: Option<String>,
}

struct Run<'r> {
    config: Config,
    engine: Engine,
    alerts: Option<Output>,
    rejects: Option<Output>,
    state: Option<StateDir>,
    saved: Saved,
    saved_at: Instant,
    save_took: Duration,
    rows_since_save: u64,
    summary: Summary,
    /// Whether it was said that some series have a small forest.
    small_told: bool,
    stop: &'r Stop,
    watcher: &'r mut dyn Watcher,
}

impl<'r> Run<'r> {
    fn new(options: Options, stop: &'r Stop, watcher: &'r mut dyn Watcher) -> Result<Self, DetectError> {
        let scoring = match options.model {
            Some(model) => Scoring::Frozen(Box::new(model)),
            None => Scoring::of(&options.config.model).ok_or(DetectError::Endpoint)?,
        };
        engine::check(&scoring).map_err(DetectError::Options)?;
        let mut engine = Engine::new(scoring);
        let state = options.state.as_deref().map(StateDir::open).transpose()?;
        let mut saved = state.as_ref().map(|state| state.load(&mut engine)).transpose()?.unwrap_or_default();
        if let (Some(state), true) = (&state, std::mem::take(&mut saved.live)) {
            // What a pipe said after this was saved will not be said again: it stays in the files.
            saved.outputs_as_they_are();
            state.save(&mut saved, &engine)?;
        }
        let open =
            |path: &Option<PathBuf>| path.as_deref().map(|path| open(path, begin(&saved, path))).transpose();
        let (alerts, rejects) = (open(&options.alerts)?, open(&options.rejects)?);
        Ok(Run {
            config: options.config,
            engine,
            alerts,
            rejects,
            state,
            saved,
            saved_at: Instant::now(),
            save_took: Duration::ZERO,
            rows_since_save: 0,
            summary: Summary::default(),
            small_told: false,
            stop,
            watcher,
        })
    }

    fn problem(&mut self, error: InputError) {
        self.watcher.problem(&error);
        self.summary.problems.push(error);
    }

    /// Works through one input. Gives back its last row if that has no line's end and a state is kept.
    fn input(&mut self, source: &Source, scores: Option<&Path>) -> Result<Option<Held>, Left> {
        let given = self.given();
        let (mut rows, resumed) = self.rows(source, &given)?;
        let mut reader = self.reader(source, &rows)?;
        self.watcher.opened(source, &rows);
        for note in rows.notes() {
            self.watcher.note(&source.name, note);
        }
        if let Some(path) = scores {
            let begin = if resumed || rows.is_live() { begin(&self.saved, path) } else { Begin::New };
            reader.scores = Some(open_scores(path, begin)?);
        }
        let mut keeper =
            Keeper { path: absolute(source), given, completed: rows.input().clone(), mark: None };
        let mut held = None;
        let ended = loop {
            if self.stop.is_requested() {
                self.summary.stopped = true;
                break Ok(());
            }
            let row = match rows.next() {
                None => break Ok(()),
                Some(Err(error)) => break Err(error),
                Some(Ok(row)) => row,
            };
            if !row.terminated && self.stop.is_requested() {
                // Not the end of the row, but of our patience.
                self.summary.stopped = true;
                break Ok(());
            }
            if !row.terminated && self.state.is_some() && !reader.live {
                held = Some(row);
                break Ok(());
            }
            let stepped = match self.row(&mut reader, row) {
                Err(Left::Input(error)) => break Err(error),
                other => other?,
            };
            self.watcher.read(&rows);
            if self.state.is_some() {
                keeper.mark = rows.mark();
                self.save_if_due(&mut reader, &keeper, stepped)?;
            }
        };
        self.note_down(&mut reader, &keeper)?;
        self.save_if_due(&mut reader, &keeper, false)?;
        ended?;
        if let (Some(first), 0, None) = (&reader.first_reject, reader.readings, &held)
            && !resumed
        {
            let problem = format!("none of its {} rows can be judged; {first}", rows.rows());
            return Err(InputError::new(&source.name, problem).into());
        }
        Ok(held.map(|row| Held { reader, row }))
    }

    /// `[input]`, with the model's features where it names none.
    fn given(&self) -> Input {
        let mut input = self.config.input.clone();
        if let (Scoring::Frozen(model), true) = (&self.engine.scoring, input.features.is_empty()) {
            let nested = |name: &String| if name.contains('/') { format!("/{name}") } else { pointer(name) };
            input.features = model.features().iter().map(nested).collect();
        }
        input
    }

    /// The rows of `source`, from where the state says; true if that is not the beginning.
    fn rows(&mut self, source: &Source, given: &Input) -> Result<(Rows, bool), InputError> {
        let path = absolute(source);
        let Some(known) = self.saved.input(&path).filter(|_| source.path().is_some()).cloned() else {
            return Ok((Rows::open(source, given, self.stop)?, false));
        };
        let completed = match serde_json::from_str(&known.completed) {
            Ok(completed) if known.given == to_json(given) => completed,
            _ => Rows::open(source, given, self.stop)?.input().clone(),
        };
        if let Some(rows) = Rows::resume(source, &completed, &known.mark)? {
            return Ok((rows, true));
        }
        let note = "it is not the file that was read before, or was cut; read from its beginning";
        self.watcher.note(&source.name, note);
        Ok((Rows::open(source, given, self.stop)?, false))
    }

    fn reader(&self, source: &Source, rows: &Rows) -> Result<Reader, InputError> {
        let features = rows.feature_names().to_vec();
        let fail = |problem: String| Err(InputError::new(&source.name, problem));
        let there = features.join(", ");
        if let Scoring::Frozen(model) = &self.engine.scoring
            && !takes(model, &features)
        {
            let wanted = model.features().join(", ");
            return fail(format!("the model was trained on {wanted}, and the input gives {there}"))
                .map_err(|e: InputError| e.hint("name the columns in the model's order with --value"));
        }
        let policy = Policy::new(&self.config, &features);
        let unknown = policy.unknown_features();
        if !unknown.is_empty() {
            return fail(format!("a rule judges {}, and the features are {there}", unknown.join(", ")));
        }
        Ok(Reader {
            name: source.name.clone(),
            policy,
            features,
            scores: None,
            live: rows.is_live(),
            readings: 0,
            first_reject: None,
        })
    }

    /// Judges one row, and writes what came of it. True if an alert fired or resolved.
    fn row(&mut self, reader: &mut Reader, row: Row) -> Result<bool, Left> {
        self.rows_since_save += 1;
        let Row { number, timestamp, value, outcome, bytes, .. } = row;
        let judged = match outcome {
            Ok(reading) => {
                let position = reading.position.clone();
                match self.engine.judge(&reader.policy, &reader.features, reading) {
                    Ok(judged) => Ok(judged),
                    Err(Refusal::Reading(reject)) => Err(RejectV1::new(reject, &position, &bytes)),
                    Err(Refusal::Features { series, known }) => {
                        let (known, there) = (known.join(", "), reader.features.join(", "));
                        let problem =
                            format!("series {series} has the features {known}, and this input gives {there}");
                        return Err(InputError::new(&reader.name, problem)
                            .hint("name the columns with --value, or keep the series apart with --series")
                            .into());
                    }
                }
            }
            Err(rejected) => Err(*rejected),
        };
        match judged {
            Ok(judged) => {
                self.tell_of_small_forests(&reader.name);
                reader.readings += 1;
                self.summary.readings += 1;
                self.write_score(reader, &timestamp, &value, Some(&judged))?;
                self.tell(&judged.judgement.transitions)?;
                Ok(!judged.judgement.transitions.is_empty())
            }
            Err(rejected) => {
                self.write_score(reader, &timestamp, &value, None)?;
                self.reject(reader, number, &rejected)?;
                Ok(false)
            }
        }
    }

    fn tell_of_small_forests(&mut self, input: &str) {
        if !self.small_told && self.engine.has_small_forests() {
            self.small_told = true;
            let note = format!(
                "more than {SERIES_FULL_MAX} series; the later ones have smaller forests, to save memory"
            );
            self.watcher.note(input, &note);
        }
    }

    fn write_score(
        &mut self,
        reader: &mut Reader,
        timestamp: &str,
        value: &str,
        judged: Option<&Judged>,
    ) -> Result<(), DetectError> {
        let Some(scores) = &mut reader.scores else { return Ok(()) };
        let (anomaly_score, alert, score) = judged.map_or((0.0, false, None), |judged| {
            let judgement = &judged.judgement;
            let fired = judgement.transitions.iter().any(|t| t.step == Step::Fired);
            (anomaly_score(judgement.findings.first()), fired, judged.score)
        });
        let score = score.map_or_else(String::new, |score| score.to_string());
        let (timestamp, value) = (output::cell(timestamp), output::cell(value));
        let line = format!("{timestamp},{value},{anomaly_score},{},{score}", u8::from(alert));
        write(scores, &line, reader.live)
    }

    fn tell(&mut self, transitions: &[Transition]) -> Result<(), DetectError> {
        for transition in transitions {
            match transition.step {
                Step::Fired => self.summary.fired += 1,
                Step::Resolved => self.summary.resolved += 1,
            }
            if let Some(alerts) = &mut self.alerts {
                write(alerts, &wire::write(&TransitionV1::new(transition.clone())), true)?;
            }
            match self.watcher.stepped(transition) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.summary.pipe_closed = true;
                    self.stop.request();
                }
                other => other.map_err(DetectError::Watcher)?,
            }
        }
        Ok(())
    }

    fn reject(&mut self, reader: &mut Reader, number: u64, rejected: &RejectV1) -> Result<(), DetectError> {
        let reason: &Reject = &rejected.reject;
        let words = || format!("row {number}: {reason}");
        reader.first_reject.get_or_insert_with(words);
        let first = || Rejects { count: 0, first: format!("{} {}", reader.name, words()) };
        self.summary.rejects.entry(reason.as_str()).or_insert_with(first).count += 1;
        match &mut self.rejects {
            Some(rejects) => write(rejects, &wire::write(rejected), true),
            None => Ok(()),
        }
    }

    fn save_if_due(
        &mut self,
        reader: &mut Reader,
        keeper: &Keeper,
        stepped: bool,
    ) -> Result<(), DetectError> {
        let since = self.saved_at.elapsed();
        let much = self.rows_since_save >= SAVE_AFTER_ROWS || reader.live && since >= SAVE_LIVE_AFTER;
        // What a pipe said does not come again: an alert that was told is remembered at once.
        if reader.live && stepped || much && since >= self.save_took * SAVE_SHARE {
            self.note_down(reader, keeper)?;
            self.save()?;
        }
        Ok(())
    }

    /// Notes how far the input at hand was judged and written, for the next save.
    fn note_down(&mut self, reader: &mut Reader, keeper: &Keeper) -> Result<(), DetectError> {
        if let Some(scores) = &mut reader.scores {
            if self.state.is_some() {
                sync(scores)?
            } else {
                flush(scores)?
            }
            self.saved.set_output(absolute_path(&scores.path), scores.bytes);
        }
        if let Some(mark) = &keeper.mark {
            self.saved.set_input(SavedInput {
                path: keeper.path.clone(),
                given: to_json(&keeper.given),
                completed: to_json(&keeper.completed),
                mark: mark.clone(),
            });
        }
        self.saved.live = reader.live;
        Ok(())
    }

    /// Writes everything down, up to what was noted last.
    fn save(&mut self) -> Result<(), DetectError> {
        let Some(state) = &self.state else { return Ok(()) };
        let began = Instant::now();
        for file in [&mut self.alerts, &mut self.rejects].into_iter().flatten() {
            sync(file)?;
            self.saved.set_output(absolute_path(&file.path), file.bytes);
        }
        state.save(&mut self.saved, &self.engine)?;
        (self.saved_at, self.save_took, self.rows_since_save) = (Instant::now(), began.elapsed(), 0);
        Ok(())
    }

    /// Judges the rows that may not be whole yet, which no state knows of, and counts.
    fn finish(mut self, held: Vec<Held>) -> Result<Summary, DetectError> {
        if self.rows_since_save > 0 {
            self.save()?;
        }
        for Held { mut reader, row } in held {
            if self.stop.is_requested() {
                break;
            }
            match self.row(&mut reader, row) {
                Ok(_) => {}
                Err(Left::Input(error)) => self.problem(error),
                Err(Left::Run(error)) => return Err(error),
            }
            reader.scores.as_mut().map_or(Ok(()), flush)?;
        }
        self.summary.series = self.engine.series.len();
        self.summary.firing = self.engine.firing();
        self.summary.unordered = self.engine.unordered;
        Ok(self.summary)
    }
}

/// What the state says of the input at hand.
struct Keeper {
    path: String,
    given: Input,
    completed: Input,
    /// Behind the last row that was judged.
    mark: Option<Mark>,
}

/// The score for people: 0.5 is the boundary; 0 while there is nothing to judge by.
fn anomaly_score(finding: Option<&Finding>) -> f64 {
    match finding {
        Some(Finding::Normal(margin) | Finding::Anomalous(margin, _)) => margin.anomaly_score(),
        Some(Finding::WarmingUp { .. } | Finding::Unjudged) | None => 0.0,
    }
}

/// Whether `features` are the model's, in its order. A model trained without names takes any of the number.
fn takes(model: &Model, features: &[String]) -> bool {
    let unnamed = || (1..).zip(model.features()).all(|(n, name)| *name == format!("feature_{n}"));
    features == model.features() || features.len() == model.features().len() && unnamed()
}

fn begin(saved: &Saved, path: &Path) -> Begin {
    match saved.output(&absolute_path(path)) {
        None => Begin::New,
        Some(bytes) => Begin::At(bytes),
    }
}

fn open(path: &Path, begin: Begin) -> Result<Output, DetectError> {
    Output::open(path, begin).map_err(|source| DetectError::Output { path: path.to_owned(), source })
}

fn open_scores(path: &Path, begin: Begin) -> Result<Output, DetectError> {
    let mut scores = open(path, begin)?;
    if scores.bytes == 0 {
        write(&mut scores, SCORES_HEADER, true)?;
    }
    Ok(scores)
}

fn failed(file: &Output) -> impl FnOnce(io::Error) -> DetectError {
    let path = file.path.clone();
    |source| DetectError::Output { path, source }
}

fn write(file: &mut Output, line: &str, at_once: bool) -> Result<(), DetectError> {
    file.line(line).map_err(failed(file))?;
    if at_once { flush(file) } else { Ok(()) }
}

fn flush(file: &mut Output) -> Result<(), DetectError> {
    file.flush().map_err(failed(file))
}

fn sync(file: &mut Output) -> Result<(), DetectError> {
    file.sync().map_err(failed(file))
}

fn to_json(input: &Input) -> String {
    // Strings and numbers cannot fail to serialize into memory.
    serde_json::to_string(input).unwrap_or_default()
}

fn absolute(source: &Source) -> String {
    source.path().map_or_else(|| source.name.clone(), absolute_path)
}

fn absolute_path(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

/// # Errors
/// [`DetectError::Twice`] if an output is an input or another output.
fn refuse_overwriting(sources: &[Source], options: &Options, scores: &[PathBuf]) -> Result<(), DetectError> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| absolute_path(path).into());
    let is_device = |path: &Path| path.metadata().is_ok_and(|m| !m.is_file() && !m.is_dir());
    let mut taken: Vec<PathBuf> = sources.iter().filter_map(Source::path).map(real).collect();
    for path in [&options.alerts, &options.rejects].into_iter().flatten().chain(scores) {
        let place = real(path);
        if taken.contains(&place) && !is_device(path) {
            return Err(DetectError::Twice(path.clone()));
        }
        taken.push(place);
    }
    Ok(())
}
