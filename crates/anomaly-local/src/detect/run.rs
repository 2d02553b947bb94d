//! One run: the loop over inputs and rows, and what is written down on the way.

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
use anomaly_detect::Model;

use super::{DetectError, Options, Rejects, Summary, Watcher};
use crate::engine::{self, Engine, Judged, Refusal, SERIES_FULL_MAX, Scoring};
use crate::input::{InputError, Mark, Row, Rows, Source, Stop};
use crate::output::{self, Begin, Output};
use crate::state::{Saved, SavedInput, StateDir};

/// Rows after which a state is saved.
const SAVE_AFTER_ROWS: u64 = 1_000;
/// How old the state of a pipe may become while rows arrive; they do not come again.
const SAVE_LIVE_AFTER: Duration = Duration::from_secs(5);
/// Saving takes at most this part of the time, however large the state: one in ten.
const SAVE_SHARE: u32 = 10;
/// How long an alert may be held up by saving a state first.
const SAVE_AT_ONCE_MAX: Duration = Duration::from_millis(200);

/// Why one input is left.
pub(super) enum Left {
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

/// A row without a line's end: the file may still be written to, so it is judged last and not remembered.
pub(super) struct Held {
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

pub(super) struct Run<'r> {
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
    pub(super) fn new(
        options: Options,
        stop: &'r Stop,
        watcher: &'r mut dyn Watcher,
    ) -> Result<Self, DetectError> {
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
        let open = |path: &Option<PathBuf>| {
            path.as_deref().map(|path| Output::open(path, begin(&saved, path))).transpose()
        };
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

    pub(super) fn problem(&mut self, error: InputError) {
        self.watcher.problem(&error);
        self.summary.problems.push(error);
    }

    /// Works through one input. Gives back its last row if that has no line's end and a state is kept.
    pub(super) fn input(&mut self, source: &Source, scores: Option<&Path>) -> Result<Option<Held>, Left> {
        let given = self.given();
        let (mut rows, resumed) = self.rows(source, &given)?;
        let mut reader = self.reader(source, &rows)?;
        self.watcher.opened(source, &rows);
        for note in rows.notes() {
            self.watcher.note(&source.name, note);
        }
        if let Some(path) = scores {
            let begin = if resumed || rows.is_live() { begin(&self.saved, path) } else { Begin::New };
            reader.scores = Some(Output::open_scores(path, begin)?);
        }
        let mut keeper =
            Keeper { path: absolute(source), given, completed: rows.input().clone(), mark: None };
        if reader.live {
            // Whatever happens now, the next run knows that what the pipe said stands in the files.
            self.note_down(&mut reader, &keeper)?;
            self.save()?;
        }
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
            let transitions = match self.row(&mut reader, row) {
                Err(Left::Input(error)) => break Err(error),
                other => other?,
            };
            self.watcher.read(&rows);
            if self.state.is_some() {
                keeper.mark = rows.mark();
                self.save_if_due(&mut reader, &keeper, !transitions.is_empty())?;
            }
            self.tell(&transitions)?;
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

    /// Judges one row, and writes what came of it to the files. Gives back the steps that alerts took.
    fn row(&mut self, reader: &mut Reader, row: Row) -> Result<Vec<Transition>, Left> {
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
                self.write_alerts(&judged.judgement.transitions)?;
                Ok(judged.judgement.transitions)
            }
            Err(rejected) => {
                self.write_score(reader, &timestamp, &value, None)?;
                self.reject(reader, number, &rejected)?;
                Ok(Vec::new())
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
        scores.line(&line)?;
        if reader.live { scores.flush() } else { Ok(()) }
    }

    fn write_alerts(&mut self, transitions: &[Transition]) -> Result<(), DetectError> {
        for transition in transitions {
            match transition.step {
                Step::Fired => self.summary.fired += 1,
                Step::Resolved => self.summary.resolved += 1,
            }
            if let Some(alerts) = &mut self.alerts {
                alerts.line(&wire::write(&TransitionV1::new(transition.clone())))?;
                alerts.flush()?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, transitions: &[Transition]) -> Result<(), DetectError> {
        for transition in transitions {
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
        let Some(rejects) = &mut self.rejects else { return Ok(()) };
        rejects.line(&wire::write(rejected))?;
        rejects.flush()
    }

    fn save_if_due(
        &mut self,
        reader: &mut Reader,
        keeper: &Keeper,
        stepped: bool,
    ) -> Result<(), DetectError> {
        let since = self.saved_at.elapsed();
        let much = self.rows_since_save >= SAVE_AFTER_ROWS || reader.live && since >= SAVE_LIVE_AFTER;
        let affordable = since >= self.save_took * SAVE_SHARE;
        // What a pipe said does not come again: an alert is remembered before it is told, unless that would
        // hold it up.
        let at_once = reader.live && stepped && self.save_took < SAVE_AT_ONCE_MAX;
        if at_once || much && affordable {
            self.note_down(reader, keeper)?;
            self.save()?;
        }
        Ok(())
    }

    /// Notes how far the input at hand was judged and written, for the next save.
    fn note_down(&mut self, reader: &mut Reader, keeper: &Keeper) -> Result<(), DetectError> {
        if let Some(scores) = &mut reader.scores {
            if self.state.is_some() {
                scores.sync()?
            } else {
                scores.flush()?
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
            file.sync()?;
            self.saved.set_output(absolute_path(&file.path), file.bytes);
        }
        state.save(&mut self.saved, &self.engine)?;
        (self.saved_at, self.save_took, self.rows_since_save) = (Instant::now(), began.elapsed(), 0);
        Ok(())
    }

    /// Judges the rows that may not be whole yet, which no state knows of, and counts.
    pub(super) fn finish(mut self, held: Vec<Held>) -> Result<Summary, DetectError> {
        if self.rows_since_save > 0 {
            self.save()?;
        }
        for Held { mut reader, row } in held {
            if self.stop.is_requested() {
                break;
            }
            match self.row(&mut reader, row) {
                Ok(transitions) => self.tell(&transitions)?,
                Err(Left::Input(error)) => self.problem(error),
                Err(Left::Run(error)) => return Err(error),
            }
            reader.scores.as_mut().map_or(Ok(()), Output::flush)?;
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

fn to_json(input: &Input) -> String {
    // Strings and numbers cannot fail to serialize into memory.
    serde_json::to_string(input).unwrap_or_default()
}

fn absolute(source: &Source) -> String {
    source.path().map_or_else(|| source.name.clone(), absolute_path)
}

pub(super) fn absolute_path(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}
