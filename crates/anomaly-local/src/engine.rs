//! All series of a run: each reading is scored, learned from and judged, in that order; by event time, if the
//! configuration says so, and then a reading may have to wait.

mod learner;
mod stock;

use std::collections::BTreeSet;

use anomaly_core::alert::{Acknowledgement, Transition};
use anomaly_core::classify::{Judgement, Policy, SeriesState, classify, judge, silence};
use anomaly_core::config::{self, Config, EventTime, ModelKind};
use anomaly_core::event_time::{Placement, Released, Untimeliness};
use anomaly_core::position::Position;
use anomaly_core::reading::{Filled, Reading, Scored, SeriesId};
use anomaly_core::reject::Reject;
use anomaly_core::time::Timestamp;
use anomaly_core::window::{Window, Windowed};
use anomaly_core::wire::{self, RejectV1, RowV1};
use anomaly_detect::{Forest, ForestOptions, InputError, Model, OptionsError, StreamingOptions};

use crate::store::StoreError;

pub(crate) use learner::Learner;
pub(crate) use stock::Stock;

/// The most series of a run: a column of ever new names (a request id taken for a series) must not fill the
/// memory.
pub const SERIES_MAX: usize = 10_000;
/// How many of them have a forest of full size, which takes some 1.7 MB a feature; the ones that come later
/// have [`ForestOptions::small`], a tenth of it.
pub const SERIES_FULL_MAX: usize = 500;

/// Where scores come from.
#[derive(Clone, Debug)]
pub enum Scoring {
    /// A forest for each series, which learns as it goes.
    Forest(ForestOptions),
    /// A streaming detector for each series, a few KB large, which learns as it goes.
    Streaming(StreamingOptions),
    /// A trained model, the same for all series, which never changes.
    Frozen(Box<Model>),
    /// Nowhere: rules judge the values.
    None,
}

impl Scoring {
    /// What `[model]` says; `None` for an endpoint, which is not called from here.
    pub fn of(model: &config::Model) -> Option<Scoring> {
        match model.kind {
            ModelKind::Forest => Some(Scoring::Forest(ForestOptions {
                shingle: model.shingle(),
                seed: model.seed,
                ..ForestOptions::default()
            })),
            ModelKind::Embedded => Some(Scoring::Streaming(StreamingOptions::of(model.period))),
            ModelKind::None => Some(Scoring::None),
            ModelKind::Endpoint => None,
        }
    }

    /// The name that messages carry.
    pub(crate) fn name(&self) -> &str {
        match self {
            Scoring::Forest(_) => "forest",
            Scoring::Streaming(_) => config::STREAMING,
            Scoring::Frozen(model) => model.id(),
            Scoring::None => "none",
        }
    }

    /// The rules of `config` over features of these names, with what the model brings along to judge its scores by.
    pub(crate) fn policy(&self, config: &Config, features: &[String]) -> Policy {
        let policy = Policy::new(config, features);
        match self {
            Scoring::Frozen(model) => policy.with_own(model.calibration().clone()).of_filled(),
            Scoring::Forest(_) | Scoring::Streaming(_) | Scoring::None => policy,
        }
    }

    /// What must not change between two runs of one state: scores of another scale would be judged by what was
    /// learned of these.
    pub(crate) fn identity(&self) -> String {
        match self {
            Scoring::Forest(o) => format!(
                "a forest of {} trees, sample {}, shingle {}, seed {}",
                o.trees, o.sample_size, o.shingle, o.seed
            ),
            Scoring::Streaming(_) => "a streaming detector".to_owned(),
            Scoring::Frozen(model) => format!("the model {}", model.id()),
            Scoring::None => "no model".to_owned(),
        }
    }
}

/// One series: what is learned and what is remembered of it.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) features: Vec<String>,
    pub(crate) detector: Option<Learner>,
    /// The last readings, for a frozen model.
    pub(crate) window: Window,
    pub(crate) state: SeriesState,
    pub(crate) last_at: Timestamp,
}

/// All series of a run.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) scoring: Scoring,
    pub(crate) series: Stock,
    /// When which series is silent, if nothing comes; `None` until a rule asks for it.
    silent_from: Option<BTreeSet<(Timestamp, SeriesId)>>,
    /// Readings whose time lies before the one before them, of the same series.
    pub(crate) unordered: u64,
    /// Readings that were moved or dropped because of their time.
    pub(crate) untimely: Untimeliness,
}

/// What came of a reading's arrival.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Why the reading is not judged at all, if its time is the reason.
    pub(crate) dropped: Option<Reject>,
    /// The steps of alerts that the reading's arrival made, if it is not judged by now.
    pub(crate) heard: Vec<Transition>,
    /// What was judged, in order: the reading itself, or the ones that waited; or none.
    pub(crate) ready: Vec<Ready>,
}

/// A reading that was judged, or turned out to be at fault.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) position: Position,
    pub(crate) outcome: Result<Judged, Box<RejectV1>>,
}

/// What came of a reading.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) series: SeriesId,
    pub(crate) at: Timestamp,
    pub(crate) score: Option<f64>,
    pub(crate) judgement: Judgement,
}

/// Why a reading is not judged.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// This reading is at fault; the next may not be.
    Reading(Reject),
    /// The series has other features than this input gives it.
    Features { series: SeriesId, known: Vec<String> },
    /// What is known of the series cannot be read.
    State(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Refusal::State(error)
    }
}

impl Engine {
    pub(crate) fn new(scoring: Scoring) -> Self {
        let (series, untimely) = (Stock::default(), Untimeliness::default());
        Engine { scoring, series, silent_from: None, unordered: 0, untimely }
    }

    /// The silences whose deadline has passed at `now`, the arrival of a row, in the order of their deadlines.
    ///
    /// The row's own time and not the newest: a file may hold one series behind the other, and one row with a clock
    /// ahead must not silence all that come after it.
    ///
    /// # Errors
    /// [`StoreError`] if a series that is not at hand cannot be read.
    pub(crate) fn fall_silent(
        &mut self,
        config: &Config,
        now: Timestamp,
    ) -> Result<Vec<Transition>, StoreError> {
        if !config.judges_silence() {
            return Ok(Vec::new());
        }
        let Engine { scoring, series: all, silent_from, .. } = self;
        let mut index = match silent_from.take() {
            Some(index) => index,
            None => silences(scoring, all, config)?,
        };
        let mut transitions = Vec::new();
        while let Some((_, name)) = index.first().filter(|(from, _)| *from <= now).cloned() {
            index.pop_first();
            let Some(series) = all.get_mut(&name, scoring)? else { continue };
            let policy = scoring.policy(config, &series.features);
            transitions.extend(silence::fall_silent(&policy, &mut series.state, &name, now));
            let next = silence::silent_from(&policy, &series.state, &name);
            index.extend(next.map(|from| (from, name)));
        }
        *silent_from = Some(index);
        transitions.sort_by(|a, b| (a.at, &a.series).cmp(&(b.at, &b.series)));
        Ok(transitions)
    }

    /// Takes `reading` in: scores it, learns from it and judges it, or has it wait and does so with those whose
    /// time has come. A refused reading changes nothing.
    pub(crate) fn take_in(
        &mut self,
        policy: &Policy,
        features: &[String],
        reading: Reading,
    ) -> Result<Taken, Refusal> {
        let Engine { scoring, series: all, silent_from, unordered, untimely } = self;
        if all.get_mut(&reading.series, scoring)?.is_none() {
            let begun = begin(scoring, all.len(), features, &reading)?;
            all.insert(reading.series.clone(), begun);
        }
        let series = match all.get_mut(&reading.series, scoring)? {
            Some(series) if series.features == features => series,
            known => {
                let known = known.map(|series| series.features.clone()).unwrap_or_default();
                return Err(Refusal::Features { series: reading.series, known });
            }
        };
        let name = reading.series.clone();
        let mut index = silent_from.as_mut().filter(|_| policy.judges_silence());
        let before = index.as_ref().and_then(|_| silence::silent_from(policy, &series.state, &name));
        let taken = match policy.event_time() {
            None => series.take_in(scoring, policy, reading, unordered),
            Some(event_time) => series.take_in_by_time(scoring, policy, event_time, reading, untimely),
        };
        if let Some(index) = &mut index {
            before.map(|before| index.remove(&(before, name.clone())));
            let now = silence::silent_from(policy, &series.state, &name);
            index.extend(now.map(|now| (now, name)));
        }
        taken
    }

    /// Judges all readings that wait, of all series or of `only` one, in the order of their times: nothing comes
    /// any more.
    ///
    /// # Errors
    /// [`StoreError`] if a series that is not at hand cannot be read.
    pub(crate) fn flush(
        &mut self,
        only: Option<&SeriesId>,
        config: &Config,
    ) -> Result<Vec<Ready>, StoreError> {
        let Engine { scoring, series: all, .. } = self;
        let mut ready = Vec::new();
        for name in all.holding(only) {
            let Some(series) = all.get_mut(&name, scoring)? else { continue };
            let policy = scoring.policy(config, &series.features);
            let released = series.state.flush(&name, Timestamp::LAST);
            let judged = released.into_iter().map(|released| {
                let at = released.scored.reading.at;
                (at, series.release(scoring, &policy, released))
            });
            ready.extend(judged);
        }
        // Stable: what is of one series is in order already.
        ready.sort_by_key(|(at, _)| *at);
        Ok(ready.into_iter().map(|(_, ready)| ready).collect())
    }

    /// Somebody, `by` name, has seen the alert of which `last` is the last step known, at `at`. Gives back that step;
    /// `None` if the alert is not open, or somebody had seen it before.
    ///
    /// # Errors
    /// [`StoreError`] if its series is not at hand and cannot be read.
    pub(crate) fn acknowledge(
        &mut self,
        last: &Transition,
        said: &Acknowledgement,
        at: Timestamp,
    ) -> Result<Option<Transition>, StoreError> {
        let Some(series) = self.series.get_mut(&last.series, &self.scoring)? else { return Ok(None) };
        let knows = series.state.watches().any(|(rule, watch)| *rule == last.rule && watch.knows(said));
        Ok(if knows { None } else { series.state.acknowledge(last, said, at) })
    }

    /// Whether some series have a small forest, to save memory.
    pub(crate) fn has_small_forests(&self) -> bool {
        matches!(self.scoring, Scoring::Forest(_)) && self.series.len() > SERIES_FULL_MAX
    }
}

/// When which series is silent, if nothing comes.
fn silences(
    scoring: &Scoring,
    all: &Stock,
    config: &Config,
) -> Result<BTreeSet<(Timestamp, SeriesId)>, StoreError> {
    let mut index = BTreeSet::new();
    all.each_state(|name, features, state| {
        let policy = scoring.policy(config, features);
        index.extend(silence::silent_from(&policy, state, name).map(|from| (from, name.clone())));
    })?;
    Ok(index)
}

impl Series {
    fn take_in(
        &mut self,
        scoring: &Scoring,
        policy: &Policy,
        reading: Reading,
        unordered: &mut u64,
    ) -> Result<Taken, Refusal> {
        // What waited before the configuration stopped asking for it.
        let released = self.state.end_hold(&reading.series).into_iter();
        let mut ready: Vec<Ready> = released.map(|one| self.release(scoring, policy, one)).collect();
        let mut scored = self.arrive(scoring, reading)?;
        self.score(scoring, policy, &mut scored)?;
        let (at, position) = (scored.reading.at, scored.reading.position.clone());
        *unordered += u64::from(at < self.last_at);
        self.last_at = at;
        let mut judgement = classify(policy, &mut self.state, &scored, scoring.name());
        self.learn(policy, &scored, &mut judgement);
        let Scored { reading, score } = scored;
        ready.push(Ready { position, outcome: Ok(Judged { series: reading.series, at, score, judgement }) });
        Ok(Taken { dropped: None, heard: Vec::new(), ready })
    }

    fn take_in_by_time(
        &mut self,
        scoring: &Scoring,
        policy: &Policy,
        event_time: &EventTime,
        reading: Reading,
        untimely: &mut Untimeliness,
    ) -> Result<Taken, Refusal> {
        let scored = self.arrive(scoring, reading)?;
        let heard = silence::hear(policy, &mut self.state, &scored.reading);
        let admission = self.state.admit(event_time, scored, scoring.name());
        untimely.count(&admission.placement);
        let dropped = match admission.placement {
            Placement::Placed { .. } => None,
            Placement::Dropped(reject) => Some(reject),
        };
        let ready = admission.released.into_iter().map(|one| self.release(scoring, policy, one)).collect();
        Ok(Taken { dropped, heard, ready })
    }

    /// Judges a reading that waited.
    fn release(
        &mut self,
        scoring: &Scoring,
        policy: &Policy,
        Released { mut scored, model }: Released,
    ) -> Ready {
        let position = scored.reading.position.clone();
        if let Err(reject) = self.score(scoring, policy, &mut scored) {
            return Ready { outcome: Err(Box::new(rejected(reject, &scored))), position };
        }
        self.last_at = scored.reading.at;
        let mut judgement = judge(policy, &mut self.state, &scored, &model);
        self.learn(policy, &scored, &mut judgement);
        let Scored { reading, score } = scored;
        Ready { position, outcome: Ok(Judged { series: reading.series, at: reading.at, score, judgement }) }
    }

    /// What becomes of a reading when it comes. A frozen model is given it now, in a row with those that came before
    /// it, as an endpoint is: by event time it may have to wait afterwards.
    fn arrive(&mut self, scoring: &Scoring, reading: Reading) -> Result<Scored, Reject> {
        let Scoring::Frozen(model) = scoring else { return Ok(Scored { reading, score: None }) };
        match self.window.take_in_once(&reading, model.shingle()) {
            Windowed::Unknown(gap) => Err(gap.gap.reject(self.name_of(gap))),
            Windowed::Known { row, filled } => {
                let score = row.map(|row| model.score(&row)).transpose().map_err(refused)?;
                Ok(Scored { reading: filled.map_or(reading, |filled| *filled), score })
            }
        }
    }

    /// Scores a reading whose time has come by what learns, which must see the readings in order; gaps are filled in.
    /// The score of a frozen model is there already, and of what a calendar excludes there is none.
    fn score(&mut self, scoring: &Scoring, policy: &Policy, scored: &mut Scored) -> Result<(), Reject> {
        let reading = &mut scored.reading;
        if matches!(scoring, Scoring::Frozen(_)) {
            return Ok(());
        }
        self.state.fill(reading);
        let Some(learner) = &mut self.detector else { return Ok(()) };
        // A detector takes all features or none: one that has no value, not even a previous one, ends it.
        if let Some(gap) = reading.filled.iter().find(|gap| !reading.has(gap.feature as usize)) {
            return Err(gap.gap.reject(self.name_of(*gap)));
        }
        if !policy.excludes(&reading.series, reading.at) {
            learner.detector_mut().pass(reading.at);
            scored.score = learner.detector().score(&reading.features).map_err(refused)?;
        }
        Ok(())
    }

    /// Has the series learn a reading that was judged, and tells alerts where its score comes from as long as it is
    /// not learned.
    fn learn(&mut self, policy: &Policy, Scored { reading, .. }: &Scored, judgement: &mut Judgement) {
        let Some(learner) = &mut self.detector else { return };
        if policy.excludes(&reading.series, reading.at) {
            return;
        }
        if judgement.wants_attribution() {
            let why = learner.detector().why(&reading.features);
            judgement.attribute(policy, &reading.features, &why);
        }
        // What can be scored can be learned.
        let _ = learner.detector_mut().learn(&reading.features);
    }

    fn name_of(&self, gap: Filled) -> &str {
        self.features.get(gap.feature as usize).map_or("a feature", String::as_str)
    }
}

/// The row's bytes are gone by now: what is kept is the reading.
fn rejected(reject: Reject, scored: &Scored) -> RejectV1 {
    RejectV1::new(reject, &scored.reading.position, wire::write(&RowV1::new(scored)).as_bytes())
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        Refusal::Reading(reject)
    }
}

fn begin(scoring: &Scoring, there: usize, features: &[String], reading: &Reading) -> Result<Series, Refusal> {
    if there >= SERIES_MAX {
        let why = format!("is one too many: a run keeps {SERIES_MAX}");
        return Err(Refusal::Reading(Reject::Series { why }));
    }
    let detector = Learner::begin(scoring, there);
    let state = SeriesState::default();
    let window = Window::default();
    Ok(Series { features: features.to_vec(), detector, window, state, last_at: reading.at })
}

/// # Errors
/// What is wrong with the forest's options, before any series begins.
pub(crate) fn check(scoring: &Scoring) -> Result<(), OptionsError> {
    match scoring {
        Scoring::Forest(options) => Forest::new(*options).map(drop),
        Scoring::Streaming(_) | Scoring::Frozen(_) | Scoring::None => Ok(()),
    }
}

fn refused(error: InputError) -> Reject {
    match error {
        InputError::Width { expected, found } => Reject::Width { expected, found },
        InputError::TooWide { found, limit } => Reject::Width { expected: limit, found },
        InputError::Empty => Reject::Width { expected: 1, found: 0 },
        InputError::NotFinite { feature_idx, .. } => {
            Reject::NotFinite { field: format!("feature {}", feature_idx + 1) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anomaly_core::config::{Fill, Input};
    use anomaly_core::decode::Decoder;
    use anomaly_core::position::{Position, Sequence};

    #[test]
    fn a_previous_value_is_filled_in_before_the_detector_sees_it() {
        let input = Input {
            series: "s".to_owned(),
            features: vec!["/a".to_owned(), "/b".to_owned()],
            null: Fill::Previous,
            ..Input::default()
        };
        let decoder = Decoder::new(&input).expect("a valid input");
        let config = Config { input, ..Config::default() };
        let policy = Policy::new(&config, decoder.feature_names());
        let mut engine = Engine::new(Scoring::Forest(ForestOptions::small()));
        let mut judge = |number: u64, record: &str| {
            let sequence = Sequence::from(number);
            let position =
                Position { partition: "f".into(), sequence, sub: 0, arrived: Timestamp::default() };
            let reading = decoder.json(record.as_bytes(), position).expect("a reading");
            let taken = engine.take_in(&policy, decoder.feature_names(), reading)?;
            let mut scores =
                taken.ready.into_iter().flat_map(|ready| ready.outcome).map(|judged| judged.score);
            Ok(scores.next_back().flatten())
        };
        let unknown = Reject::Missing { field: "b".to_owned() };
        let refused = judge(1, r#"{"a":1,"b":null}"#).expect_err("there is no value before the first");
        assert!(matches!(refused, Refusal::Reading(reject) if reject == unknown));
        for number in 2..200 {
            judge(number, &format!("{{\"a\":1,\"b\":{}}}", 5 + number % 2)).expect("a whole reading");
        }
        let filled = judge(200, r#"{"a":1,"b":null}"#).expect("filled in").expect("a score");
        let zero = judge(201, r#"{"a":1,"b":0}"#).expect("a whole reading").expect("a score");
        assert!(filled < zero, "{filled} is usual, {zero} is not");
    }
}
