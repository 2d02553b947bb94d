//! One run: the loop over inputs and rows.

mod checkpoint;
mod lots;
mod told;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anomaly_core::alert::Transition;
use anomaly_core::config::{self, Config, Input, ModelKind};
use anomaly_core::fields::pointer;
use anomaly_core::reading::SeriesId;
use anomaly_core::wire::RejectV1;
use anomaly_detect::Model;

use super::feed::Feed;
use super::memory;
use super::waiting::{Line, Verdict, Waiting};
use super::{DetectError, Options, Summary, Watcher, Which};
use crate::clock;
use crate::engine::{
    self, Engine, Judged, Means, Outcome, Ready, SERIES_FULL_MAX, Scoring, Sum, Taken, Terms,
};
use crate::input::{InputError, Row, Rows, Source, Stop};
use crate::output::{self, Begin, Output};
use crate::state::{Saved, StateDir};
use crate::store;

use checkpoint::{Keeper, to_json};
use lots::{Open, Way};

/// The most rows of an input that may wait for a verdict, with those behind them. A series for which more would
/// wait is taken to have fallen silent.
const WAITING_MAX: usize = 500_000;

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
    terms: Arc<Terms>,
    scores: Option<Output>,
    /// Whether anybody will want to see its rows' words, or some of them wait.
    keeps_lines: bool,
    live: bool,
    readings: u64,
    /// What is wrong with the first row that was rejected.
    first_reject: Option<String>,
}

pub(super) struct Run<'r> {
    config: Config,
    engine: Engine,
    alerts: Option<Output>,
    findings: Option<Output>,
    explain: Option<Which>,
    rejects: Option<Output>,
    state: Option<StateDir>,
    saved: Saved,
    /// The steps that alerts took since it was saved, where a state is kept.
    steps: Vec<store::Taken>,
    /// When it was looked for what people ask; and what was answered since the state was saved.
    asked_at: Option<Instant>,
    answered: Vec<PathBuf>,
    /// Rows that wait, by the name of their input.
    waiting: BTreeMap<String, Waiting>,
    saved_at: Instant,
    save_took: Duration,
    rows_since_save: u64,
    summary: Summary,
    /// Whether it was said that some series have a small forest.
    small_told: bool,
    /// Whether the run ends as if it had been killed, with what was saved last: nobody listens any more, and alerts of
    /// which nobody was told are found again.
    abandoned: bool,
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
        check_shingle(&options.config.model, &scoring)?;
        let asks = options.config.rules.iter().find(|rule| rule.calibrated);
        if let (Some(rule), Scoring::Forest(_) | Scoring::Streaming(_) | Scoring::None) = (asks, &scoring) {
            return Err(DetectError::Uncalibrated { rule: rule.name.clone() });
        }
        let memory_bytes = options.memory_bytes.unwrap_or_else(memory::for_series);
        let threads = options.threads.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        let mut engine = Engine::new(scoring, &options.config, Means { threads, memory_bytes });
        let state = options.state.as_deref().map(StateDir::open).transpose()?;
        let mut saved = state.as_ref().map(|state| state.load(&mut engine)).transpose()?.unwrap_or_default();
        if let (Some(state), true) = (&state, std::mem::take(&mut saved.live)) {
            // What a pipe said after this was saved will not be said again: it stays in the files.
            saved.outputs_as_they_are();
            state.save(&saved, &mut engine, &[], clock::now())?;
        }
        let open = |path: &Option<PathBuf>| {
            path.as_deref().map(|path| Output::open(path, begin(&saved, path))).transpose()
        };
        let (alerts, rejects) = (open(&options.alerts)?, open(&options.rejects)?);
        let findings = open(&options.findings)?;
        let waiting = saved.waiting.clone();
        engine.start();
        Ok(Run {
            config: options.config,
            engine,
            alerts,
            findings,
            explain: options.explain,
            rejects,
            state,
            saved,
            steps: Vec::new(),
            asked_at: None,
            answered: Vec::new(),
            waiting,
            saved_at: Instant::now(),
            save_took: Duration::ZERO,
            rows_since_save: 0,
            summary: Summary::default(),
            small_told: false,
            abandoned: false,
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
        if !resumed {
            self.begin_anew(&mut reader)?;
        }
        let has_waiting = self.waiting.get(&reader.name).is_some_and(|waiting| !waiting.is_empty());
        let may_wait = has_waiting || reader.terms.policy.event_time().is_some();
        if reader.scores.is_none() && !may_wait {
            reader.keeps_lines = false;
            rows.leave_words_out();
        }
        let keeper = Keeper {
            path: absolute(source),
            given,
            completed: rows.input().clone(),
            marks: rows.marks(),
            mark: None,
        };
        if reader.live {
            // Whatever happens now, the next run knows that what the pipe said stands in the files.
            self.note_down(&mut reader, &keeper)?;
            self.save()?;
        }
        let feed = Feed::new(rows, self.engine.threads() > 1);
        let Way { mut reader, keeper, held, ended, rows, .. } =
            self.all_lots(Way::new(reader, keeper, feed))?;
        if self.abandoned {
            return Ok(None);
        }
        let goes_on = self.summary.stopped && self.state.is_some() && !reader.live;
        let last = if goes_on { Vec::new() } else { self.release(&mut reader, None)? };
        self.note_down(&mut reader, &keeper)?;
        self.save_if_due(&mut reader, &keeper, !last.is_empty())?;
        self.tell(&last)?;
        ended.unwrap_or(Ok(()))?;
        if let (Some(first), 0, None) = (&reader.first_reject, reader.readings, &held)
            && !resumed
        {
            let problem = format!("none of its {rows} rows can be judged; {first}");
            return Err(InputError::new(&source.name, problem).into());
        }
        Ok(held.map(|row| Held { reader, row }))
    }

    /// `[input]`, with the model's features where it names none.
    fn given(&self) -> Input {
        let mut input = self.config.input.clone();
        if let (Scoring::Frozen(model), true) = (&*self.engine.scoring, input.features.is_empty()) {
            let nested = |name: &String| if name.contains('/') { format!("/{name}") } else { pointer(name) };
            input.features = model.features().iter().map(nested).collect();
        }
        input
    }

    /// The rows of `source`, from where the state says; true if that is not the beginning.
    fn rows(&mut self, source: &Source, given: &Input) -> Result<(Rows, bool), InputError> {
        let path = absolute(source);
        let Some(known) = self.saved.inputs.get(&path).filter(|_| source.path().is_some()).cloned() else {
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
        if let Scoring::Frozen(model) = &*self.engine.scoring
            && !takes(model, &features)
        {
            let wanted = model.features().join(", ");
            return fail(format!("the model was trained on {wanted}, and the input gives {there}"))
                .map_err(|e: InputError| e.hint("name the columns in the model's order with --value"));
        }
        let policy = self.engine.scoring.policy(&self.config, &features);
        let unknown = policy.unknown_features();
        if !unknown.is_empty() {
            return fail(format!("a rule judges {}, and the features are {there}", unknown.join(", ")));
        }
        let keeps_findings = self.findings.is_some() || self.explain.is_some();
        Ok(Reader {
            name: source.name.clone(),
            terms: Arc::new(Terms { policy, features, keeps_findings }),
            scores: None,
            keeps_lines: true,
            live: rows.is_live(),
            readings: 0,
            first_reject: None,
        })
    }

    /// Writes what came of a row to the files. Gives back the steps that alerts took.
    fn row(
        &mut self,
        reader: &mut Reader,
        row: Open,
        outcome: Outcome,
    ) -> Result<Vec<Transition>, DetectError> {
        self.rows_since_save += 1;
        let Open { number, timestamp, value, series, bytes, read, .. } = row;
        if reader.keeps_lines {
            self.waiting(&reader.name).push(Line::new(number, timestamp, value, series));
        }
        let Outcome { silent: mut transitions, taken } = outcome;
        self.silent(reader, number, &transitions)?;
        let ((waited, ready), rejected) = match read {
            Err(rejected) => ((Vec::new(), None), Some(*rejected)),
            Ok(position) => {
                let reject = |reject| RejectV1::new(reject, &position, &bytes);
                match taken {
                    Ok(Taken { dropped, heard, waited, ready }) => {
                        self.silent(reader, number, &heard)?;
                        transitions.extend(heard);
                        ((waited, ready), dropped.map(reject))
                    }
                    Err(refused) => ((Vec::new(), None), Some(reject(refused))),
                }
            }
        };
        if let Some(rejected) = rejected {
            if reader.keeps_lines {
                self.waiting(&reader.name).settle(number, Verdict::default());
            }
            self.reject(reader, number, &rejected)?;
        }
        transitions.extend(self.judged(reader, waited.into_iter().chain(ready))?);
        if !reader.keeps_lines {
            return Ok(transitions);
        }
        let waiting = self.waiting(&reader.name);
        if waiting.len() > WAITING_MAX
            && let Some(silent) = waiting.holder().cloned()
        {
            transitions.extend(self.release(reader, Some(&silent))?);
        }
        self.write_scores(reader)?;
        Ok(transitions)
    }

    fn waiting(&mut self, input: &str) -> &mut Waiting {
        self.waiting.entry(input.to_owned()).or_default()
    }

    /// Writes down what was judged. Gives back the steps that alerts took.
    fn judged(
        &mut self,
        reader: &mut Reader,
        ready: impl IntoIterator<Item = Ready>,
    ) -> Result<Vec<Transition>, DetectError> {
        let mut transitions = Vec::new();
        for Ready { position, outcome } in ready {
            // The number of the row, from which the sequence was made.
            let number = position.sequence.text().parse().unwrap_or_default();
            if reader.keeps_lines
                && let Some(waiting) = self.waiting.get_mut(position.partition.as_str())
            {
                waiting.settle(number, outcome.as_ref().map(Verdict::of).unwrap_or_default());
            }
            match outcome {
                Ok(judged) => {
                    reader.readings += 1;
                    self.summary.readings += 1;
                    self.explain_silence(reader, number, &judged.judgement.transitions)?;
                    self.explain(reader, number, &judged)?;
                    self.write_alerts(reader, number, Some(&judged), &judged.judgement.transitions)?;
                    transitions.extend(judged.judgement.transitions);
                }
                Err(rejected) => self.reject(reader, number, &rejected)?,
            }
        }
        Ok(transitions)
    }

    /// Judges all readings that wait, or those of one series: nothing comes after them.
    fn release(
        &mut self,
        reader: &mut Reader,
        only: Option<&SeriesId>,
    ) -> Result<Vec<Transition>, DetectError> {
        let ready = self.engine.flush(only, reader.terms.keeps_findings)?;
        // There is something to save, even right behind a save.
        self.rows_since_save += u64::from(!ready.is_empty());
        let transitions = self.judged(reader, ready)?;
        self.write_scores(reader)?;
        Ok(transitions)
    }

    /// Lets go of what an earlier run left waiting of an input that does not go on where it stopped.
    fn begin_anew(&mut self, reader: &mut Reader) -> Result<(), DetectError> {
        if self.waiting.remove(&reader.name).is_some_and(|left| !left.is_empty()) {
            let transitions = self.release(reader, None)?;
            self.tell(&transitions)?;
        }
        Ok(())
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

    /// Writes the rows whose verdict is known, up to the first one whose verdict is not.
    fn write_scores(&mut self, reader: &mut Reader) -> Result<(), DetectError> {
        let Some(waiting) = self.waiting.get_mut(&reader.name) else { return Ok(()) };
        while let Some((line, verdict)) = waiting.next() {
            let Some(scores) = &mut reader.scores else { continue };
            let Verdict { anomaly_score, told, score } = verdict;
            let score = score.map_or_else(String::new, |score| score.to_string());
            let (timestamp, value) = (output::cell(&line.timestamp), output::cell(&line.value));
            let series = output::cell(line.series.as_ref().map_or("", SeriesId::as_str));
            let told = u8::from(told);
            scores.line(&format!("{timestamp},{value},{anomaly_score},{told},{score},{series}"))?;
        }
        Ok(())
    }

    /// Judges the rows that may not be whole yet, which no state knows of, and counts.
    pub(super) fn finish(mut self, held: Vec<Held>) -> Result<Summary, DetectError> {
        if self.rows_since_save > 0 && !self.abandoned {
            self.save()?;
        }
        for Held { mut reader, row } in held {
            if self.stop.is_requested() {
                break;
            }
            match self.lone_row(&mut reader, row) {
                Ok(mut transitions) => {
                    transitions.extend(self.release(&mut reader, None)?);
                    self.tell(&transitions)?;
                }
                Err(Left::Input(error)) => self.problem(error),
                Err(Left::Run(error)) => return Err(error),
            }
            reader.scores.as_mut().map_or(Ok(()), Output::flush)?;
        }
        self.findings.as_mut().map_or(Ok(()), Output::flush)?;
        let Sum { firing, counts } = self.engine.sum();
        self.summary.series = self.engine.series();
        self.summary.firing = firing;
        self.summary.unordered = counts.unordered;
        self.summary.untimely = counts.untimely;
        Ok(self.summary)
    }
}

impl Verdict {
    fn of(judged: &Judged) -> Self {
        Verdict {
            anomaly_score: judged.anomaly_score,
            told: judged.judgement.transitions.iter().any(Transition::is_alarm),
            score: judged.score,
        }
    }
}

/// # Errors
/// [`DetectError::Shingle`] if the endpoint is sent other rows than the model takes that stands for it.
fn check_shingle(configured: &config::Model, scoring: &Scoring) -> Result<(), DetectError> {
    match scoring {
        Scoring::Frozen(model)
            if configured.kind == ModelKind::Endpoint && configured.shingle() != model.shingle() =>
        {
            Err(DetectError::Shingle { configured: configured.shingle(), trained: model.shingle() })
        }
        _ => Ok(()),
    }
}

/// Whether `features` are the model's, in its order. A model trained without names takes any of the number.
fn takes(model: &Model, features: &[String]) -> bool {
    let unnamed = || (1..).zip(model.features()).all(|(n, name)| *name == format!("feature_{n}"));
    features == model.features() || features.len() == model.features().len() && unnamed()
}

fn begin(saved: &Saved, path: &Path) -> Begin {
    match saved.outputs.get(&absolute_path(path)) {
        None => Begin::New,
        Some(bytes) => Begin::At(*bytes),
    }
}

fn absolute(source: &Source) -> String {
    source.path().map_or_else(|| source.name.clone(), absolute_path)
}

pub(super) fn absolute_path(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}
