//! From a scored reading to findings and transitions: the one place where the state of a series changes.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alert::{Extra, Feature, FilledIn, Standing, Stepped, Transition, Watch};
use crate::calibration::Calibration;
use crate::config::{Config, EventTime, ModelKind, On, Rule, STREAMING};
use crate::event_time::{Admission, Hold, Released};
use crate::last::Last;
use crate::models::Models;
use crate::position::Position;
use crate::reading::{Filled, Reading, Scored, SeriesId};
use crate::rejects::Versions;
use crate::rule::{Finding, Nothing};
use crate::seen::{Order, Seen};
use crate::time::Timestamp;

/// How many features of a series keep their last values for messages: the first ones.
pub const FEATURES_KEPT: usize = 4;
/// How many last values are kept.
pub const RECENT_KEPT: usize = 24;
/// The longest time between the arrivals of late readings that are judged as one series, in milliseconds: an
/// hour. What was lost in one outage comes back together; what was lost in another is another story.
pub const LATE_GAP_MS_MAX: i64 = 60 * 60 * 1_000;
/// The longest name of a feature in a message, in characters.
const NAME_CHARS_MAX: usize = 64;

/// The rules, with what they need to know of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    rules: Vec<Rule>,
    feature_names: Vec<String>,
    /// For the shares of rejected records, which are readings too.
    of_rejects: (Rule, [String; 1]),
    event_time: Option<EventTime>,
    order: Order,
    /// Whether a feature may take the series' previous value, and has not by the time it comes here.
    keeps_last: bool,
    /// Of the configuration: for every rule that can be calibrated.
    calibration: Option<Calibration>,
    /// Of the model in this process: for the rules that ask for one.
    own: Option<Calibration>,
    versions: Versions,
    /// Whether the streaming detector learns the series.
    streaming: bool,
    /// The rules for scores by the streaming detector where it stands in for an endpoint.
    fallback: Option<Vec<Rule>>,
}

impl Policy {
    /// The rules of `config` over features of these names, in the order of the readings'.
    pub fn new(config: &Config, feature_names: &[String]) -> Self {
        let names = feature_names.iter().map(|n| n.chars().take(NAME_CHARS_MAX).collect()).collect();
        let event_time = config.input.event_time.clone();
        let of_rejects = (config.rejects.rule(), ["rejected".to_owned()]);
        Policy {
            rules: config.rules.clone(),
            feature_names: names,
            of_rejects,
            event_time,
            order: config.source.order(),
            keeps_last: config.input.fills_with_previous() && config.model.kind != ModelKind::Endpoint,
            calibration: config.model.calibration.clone(),
            own: None,
            versions: Versions::of(config),
            streaming: config.model.is_streaming(),
            fallback: config.model.fallback.map(|_| config.rules.iter().map(Rule::for_fallback).collect()),
        }
    }

    /// Whether the streaming detector learns the readings of `series`: shares of rejects have a rule and no model.
    pub fn has_detector(&self, series: &SeriesId) -> bool {
        self.streaming && !series.is_of_rejects()
    }

    /// Whether scores by `model` are those of a detector that stands in for an endpoint.
    fn is_fallback(&self, model: &str) -> bool {
        self.fallback.is_some() && model == STREAMING
    }

    /// By what readings are rejected that do not come in time.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The same, where a model in this process brings its own calibration along: for the rules that say
    /// [`Rule::calibrated`], and for all if the configuration has one of some model.
    pub fn with_own(self, calibration: Calibration) -> Self {
        Policy { own: Some(calibration), ..self }
    }

    /// The same for readings that come with the previous values in them, as they do where a model is given them
    /// first ([`window`](crate::window)).
    pub fn of_filled(self) -> Self {
        Policy { keeps_last: false, ..self }
    }

    /// What is known of the scores by `model`, for `rule` to judge them by.
    fn calibration(&self, rule: &Rule, model: &str) -> Option<&Calibration> {
        let own = self.own.as_ref().filter(|_| rule.calibrated || self.calibration.is_some());
        let mut known = self.calibration.iter().chain(own).filter(|_| rule.on == On::Score);
        known.find(|calibration| calibration.is_of(model))
    }

    /// What becomes of readings that come early, late or out of order; `None`: they are judged as they come.
    pub fn event_time(&self) -> Option<&EventTime> {
        self.event_time.as_ref()
    }

    /// What the source promises of the readings of a partition.
    pub fn order(&self) -> Order {
        self.order
    }

    /// The rules, in the order of the findings.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What each rule of `series` is called and what it judges, by name, in the order of the findings.
    pub fn names(&self, series: &SeriesId) -> impl Iterator<Item = (&Rule, &str)> {
        let (rules, names) = self.of(series);
        rules.iter().map(move |rule| (rule, judges(names, rule)))
    }

    /// The rules that judge a feature which is not there, by name.
    pub fn unknown_features(&self) -> Vec<&str> {
        let known = |name: &str| self.feature_names.iter().any(|n| n == name);
        let names = self.rules.iter().filter_map(|rule| match &rule.on {
            On::Feature(name) if !known(name) => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// The rules of `series`, and the names of its features.
    fn of(&self, series: &SeriesId) -> (&[Rule], &[String]) {
        match series.is_of_rejects() {
            true => (std::slice::from_ref(&self.of_rejects.0), &self.of_rejects.1),
            false => (&self.rules, &self.feature_names),
        }
    }

    /// The same, where `model` gave the score.
    fn of_scores_by(&self, model: &str, series: &SeriesId) -> (&[Rule], &[String]) {
        match &self.fallback {
            Some(rules) if self.is_fallback(model) && !series.is_of_rejects() => (rules, &self.feature_names),
            _ => self.of(series),
        }
    }
}

/// All that is remembered of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesState {
    seen: Seen,
    /// By the rule's name, so that adding a rule does not disturb the others.
    watches: Vec<(String, Watch)>,
    /// The last readings, oldest first, [`FEATURES_KEPT`] values at most of each.
    recent: VecDeque<Vec<f32>>,
    /// The readings that wait for others, and the series' clock. Encoded behind the rest, and only if there is
    /// one: who does not sort by event time pays nothing for it.
    #[serde(skip)]
    hold: Option<Box<Hold>>,
    /// The last values, where they may be wanted; encoded behind the rest, and only then.
    #[serde(skip)]
    last: Last,
    /// Whose scores the rules know; encoded behind the rest.
    #[serde(skip)]
    models: Models,
    /// What the streaming detector remembers, in its own form; encoded behind the rest. Empty without one.
    #[serde(skip)]
    detector: Vec<u8>,
}

/// What came of one reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// One finding per rule, in order.
    pub findings: Vec<Found>,
    /// The steps alerts took.
    pub transitions: Vec<Transition>,
}

/// A rule's finding of a reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The number it judges: the score, or a feature's value.
    pub number: Option<f64>,
    /// What the rule says of it, and why.
    pub finding: Finding,
    /// What it makes of that.
    pub standing: Standing,
    /// The features that this number rests on and that the record did not give: of a score all, of a feature's
    /// value itself; mostly none. Of a score of several readings only those of the last one.
    pub filled: Vec<FilledIn>,
    /// Whether the score is by the streaming detector, because the endpoint gave none.
    pub fallback: bool,
}

impl Found {
    fn of_other_series(rule: &Rule) -> Self {
        let finding = Finding::Unjudged(Nothing::OtherSeries);
        let standing = Standing::Quiet { anomalous: 0, hold: rule.hold };
        Found { number: None, finding, standing, filled: Vec::new(), fallback: false }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.finding.fmt(f)?;
        if self.fallback {
            f.write_str("; by the streaming detector, as the endpoint gave no score")?;
        }
        self.filled.iter().try_for_each(|filled| write!(f, "; {filled}"))
    }
}

/// Judges `scored` by every rule and moves `state` along.
///
/// The caller asks [`SeriesState::has_seen`] first; a reading judged twice counts twice.
/// `model` is what gave the score, for the message.
pub fn classify(policy: &Policy, state: &mut SeriesState, scored: &Scored, model: &str) -> Judgement {
    let judgement = judge(policy, state, scored, model);
    state.seen.see(&scored.reading.position);
    judgement
}

/// [`classify`] for a reading that was released: it was seen when it came, by [`SeriesState::admit`].
///
/// Features that take the series' previous value are filled in first.
pub fn judge(policy: &Policy, state: &mut SeriesState, scored: &Scored, model: &str) -> Judgement {
    let wants_last = policy.keeps_last && !scored.reading.filled.is_empty();
    let filled = wants_last.then(|| state.filled(scored));
    let scored = filled.as_ref().unwrap_or(scored);
    let reading = &scored.reading;
    state.remember(&reading.features);
    if policy.keeps_last {
        state.last.remember(reading);
    }
    let (rules, names) = policy.of_scores_by(model, &reading.series);
    let mut judgement = Judgement { findings: Vec::with_capacity(rules.len()), transitions: Vec::new() };
    if scored.score.is_some() {
        state.turn_to(model, rules);
    }
    for rule in rules {
        if !rule.is_for(reading.series.as_str()) {
            judgement.findings.push(Found::of_other_series(rule));
            continue;
        }
        let number = number(names, &rule.on, scored);
        let watch = state.watch(&rule.name);
        let calibration = policy.calibration(rule, model);
        let (finding, stepped) = watch.observe(rule, &reading.series, reading.at, number, calibration);
        let filled = match reading.filled.is_empty() {
            true => Vec::new(),
            false => filled_in(names, reading, |index| rests_on(names, &rule.on, index)),
        };
        let standing = watch.standing(rule, stepped.as_ref().map(|stepped| stepped.step));
        let fallback = policy.is_fallback(model) && rule.on == On::Score;
        judgement.findings.push(Found { number, finding, standing, filled, fallback });
        if let Some(stepped) = stepped {
            let transition = transition(names, state, rule, scored, stepped, model);
            judgement.transitions.push(Transition { fallback, ..transition });
        }
    }
    judgement
}

fn number(names: &[String], on: &On, scored: &Scored) -> Option<f64> {
    let index = match on {
        On::Score => return scored.score,
        On::Value => 0,
        On::Feature(name) => names.iter().position(|n| n == name)?,
    };
    let reading = &scored.reading;
    reading.features.get(index).copied().filter(|_| reading.has(index))
}

/// What a rule judges, by name.
fn judges<'n>(names: &'n [String], rule: &'n Rule) -> &'n str {
    match &rule.on {
        On::Score => "score",
        On::Value => names.first().map_or("value", String::as_str),
        On::Feature(name) => name,
    }
}

/// Whether the number that a rule judges is made of the feature at `index`.
fn rests_on(names: &[String], on: &On, index: usize) -> bool {
    match on {
        On::Score => true,
        On::Value => index == 0,
        On::Feature(name) => names.get(index) == Some(name),
    }
}

fn transition(
    names: &[String],
    state: &SeriesState,
    rule: &Rule,
    scored: &Scored,
    Stepped { step, alert, margin }: Stepped,
    model: &str,
) -> Transition {
    let reading = &scored.reading;
    Transition {
        alert: alert.id,
        number: alert.step_number,
        step,
        series: reading.series.clone(),
        rule: rule.name.clone(),
        on: judges(names, rule).to_owned(),
        severity: alert.severity,
        at: reading.at,
        since: alert.since,
        fired_at: alert.fired_at,
        margin,
        peak: alert.peak,
        peak_at: alert.peak_at,
        anomalous: alert.anomalous,
        features: state.features(names, &reading.features),
        width: u32::try_from(reading.features.len()).unwrap_or(u32::MAX),
        model: model.to_owned(),
        late_ms: None,
        fallback: false,
        filled: filled_in(names, reading, |_| true).into_iter().take(FEATURES_KEPT).collect(),
    }
}

/// The features of `reading` that were filled in, of those at the indexes that are `wanted`.
fn filled_in(names: &[String], reading: &Reading, wanted: impl Fn(usize) -> bool) -> Vec<FilledIn> {
    let named = |filled: &Filled| {
        let name = names.get(filled.feature as usize).cloned().unwrap_or_default();
        FilledIn { name, gap: filled.gap, with: filled.with }
    };
    reading.filled.iter().filter(|filled| wanted(filled.feature as usize)).map(named).collect()
}

/// The version of the encoded state with nothing behind it.
const PLAIN_VERSION: u8 = 1;
/// The version of the encoded state with a hold behind it.
const HOLD_VERSION: u8 = 2;
/// The version of the encoded state with the last write and, maybe, a hold behind it.
const WRITE_VERSION: u8 = 3;
/// The version of the encoded state with all that and the last values behind it.
const LAST_VERSION: u8 = 4;
/// The version of the encoded state with all that and whose scores the rules know.
const MODELS_VERSION: u8 = 5;
/// The version of the encoded state with all that and where the last write is noted.
const NOTE_VERSION: u8 = 6;
/// The version of the encoded state with all that and what methods other than `sigma` remember.
const EXTRAS_VERSION: u8 = 7;
/// The version of the encoded state with all that and what the streaming detector remembers; the newest this code reads.
const STATE_VERSION: u8 = 8;

impl SeriesState {
    /// Takes in a reading that [`SeriesState::has_seen`] does not know, as `policy` says: what it gives back
    /// is to be judged ([`judge`]), now and in that order. The reading counts as seen, whatever became of it.
    pub fn admit(&mut self, policy: &EventTime, scored: Scored, model: &str) -> Admission {
        self.seen.see(&scored.reading.position);
        self.hold.get_or_insert_default().admit(policy, scored, model)
    }

    /// Releases the readings at or before `until`, because the series, whose name is `series`, fell silent.
    pub fn flush(&mut self, series: &SeriesId, until: Timestamp) -> Vec<Released> {
        self.hold.as_mut().map_or_else(Vec::new, |hold| hold.flush(series, until))
    }

    /// Releases all there is and forgets the clock: readings are judged as they come from now on.
    pub fn end_hold(&mut self, series: &SeriesId) -> Vec<Released> {
        self.hold.take().map_or_else(Vec::new, |mut hold| hold.flush(series, Timestamp::LAST))
    }

    /// The readings that wait, and the series' clock; `None` where readings are judged as they come.
    pub fn hold(&self) -> Option<&Hold> {
        self.hold.as_deref()
    }

    /// Whether the reading at `position` was judged before, or waits, or was dropped.
    pub fn has_seen(&self, position: &Position) -> bool {
        self.seen.covers(position)
    }

    /// What was seen of the series.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The same, to tell it what is written together.
    pub fn seen_mut(&mut self) -> &mut Seen {
        &mut self.seen
    }

    /// A state to judge late readings in, from the one at `first` on, beside this one, which they must not touch.
    /// It knows what the rules have learned by now, and nothing of what they last saw, unless `before`, which
    /// judged late readings last, stopped at most [`LATE_GAP_MS_MAX`] before `first`: then its alerts go on.
    ///
    /// A rule that is warming up warms up on late readings too, beside it: they fire nothing and shorten nothing.
    pub fn beside(&self, before: Option<SeriesState>, first: &Position) -> SeriesState {
        let goes_on = |seen: &Seen| {
            let gap_ms = seen.newest().map_or(i64::MAX, |newest| first.arrived.ms_since(newest.arrived));
            !seen.covers(first) && gap_ms <= LATE_GAP_MS_MAX
        };
        let mut late = before.filter(|before| goes_on(&before.seen)).unwrap_or_default();
        late.models = self.models.clone();
        late.detector = self.detector.clone();
        late.watches.retain(|(name, _)| self.watches.iter().any(|(other, _)| other == name));
        for (name, watch) in &self.watches {
            late.watch(name).learn_from(watch);
        }
        late
    }

    /// Whether no reading waits and no rule has anything in sight.
    pub fn is_at_rest(&self) -> bool {
        self.hold.is_none() && self.watches.iter().all(|(_, watch)| watch.is_at_rest())
    }

    /// What the streaming detector remembers of the series; empty if nothing.
    pub fn detector(&self) -> &[u8] {
        &self.detector
    }

    /// Keeps what the streaming detector remembers now.
    pub fn set_detector(&mut self, memory: Vec<u8>) {
        self.detector = memory;
    }

    /// What is remembered, by the rule's name.
    pub fn watches(&self) -> impl Iterator<Item = (&str, &Watch)> {
        self.watches.iter().map(|(name, watch)| (name.as_str(), watch))
    }

    /// The state as bytes: a version, then postcard.
    pub fn encode(&self) -> Vec<u8> {
        // Postcard into memory fails only for sequences of unknown length, of which the state has none.
        let plain = |version| postcard::to_extend(self, vec![version]).unwrap_or_default();
        match (&self.hold, self.seen.last_write.as_slice()) {
            (hold, write) if self.has_extras() || !self.detector.is_empty() => {
                let version = if self.detector.is_empty() { EXTRAS_VERSION } else { STATE_VERSION };
                let rest = (write, hold, &self.last, &self.models, &self.seen.noted_in);
                let bytes = postcard::to_extend(&rest, plain(version)).unwrap_or_default();
                let mut bytes =
                    postcard::to_extend(&(self.extras(), self.models.kept()), bytes).unwrap_or_default();
                bytes.extend(&self.detector);
                bytes
            }
            (hold, write) if self.seen.noted_in.is_some() => {
                let rest = (write, hold, &self.last, &self.models, &self.seen.noted_in);
                postcard::to_extend(&rest, plain(NOTE_VERSION)).unwrap_or_default()
            }
            (hold, write) if !self.models.is_empty() => {
                let rest = (write, hold, &self.last, &self.models);
                postcard::to_extend(&rest, plain(MODELS_VERSION)).unwrap_or_default()
            }
            (hold, write) if !self.last.is_empty() => {
                postcard::to_extend(&(write, hold, &self.last), plain(LAST_VERSION)).unwrap_or_default()
            }
            (None, []) => plain(PLAIN_VERSION),
            (Some(hold), []) => postcard::to_extend(hold, plain(HOLD_VERSION)).unwrap_or_default(),
            (hold, write) => postcard::to_extend(&(write, hold), plain(WRITE_VERSION)).unwrap_or_default(),
        }
    }

    /// The state that [`SeriesState::encode`] wrote.
    ///
    /// # Errors
    /// [`StateError::Newer`] for a later version, [`StateError::Corrupt`] for anything that is no state.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        match bytes.split_first() {
            Some((&version, rest)) if (PLAIN_VERSION..=STATE_VERSION).contains(&version) => {
                Self::decode_version(version, rest).ok_or(StateError::Corrupt)
            }
            Some((&version, _)) if version > STATE_VERSION => Err(StateError::Newer { version }),
            _ => Err(StateError::Corrupt),
        }
    }

    fn decode_version(version: u8, bytes: &[u8]) -> Option<Self> {
        let (mut state, rest) = postcard::take_from_bytes::<Self>(bytes).ok()?;
        let rest = match version {
            PLAIN_VERSION => rest,
            HOLD_VERSION => {
                let (hold, rest) = postcard::take_from_bytes(rest).ok()?;
                state.hold = Some(hold);
                rest
            }
            WRITE_VERSION => {
                let ((write, hold), rest) = postcard::take_from_bytes(rest).ok()?;
                (state.seen.last_write, state.hold) = (write, hold);
                rest
            }
            LAST_VERSION => {
                let ((write, hold, last), rest) = postcard::take_from_bytes(rest).ok()?;
                (state.seen.last_write, state.hold, state.last) = (write, hold, last);
                rest
            }
            MODELS_VERSION => {
                let ((write, hold, last, models), rest) = postcard::take_from_bytes(rest).ok()?;
                (state.seen.last_write, state.hold) = (write, hold);
                (state.last, state.models) = (last, models);
                rest
            }
            _ => {
                let ((write, hold, last, models, noted_in), mut rest) =
                    postcard::take_from_bytes(rest).ok()?;
                (state.seen.last_write, state.hold, state.seen.noted_in) = (write, hold, noted_in);
                (state.last, state.models) = (last, models);
                if version >= EXTRAS_VERSION {
                    let ((extras, kept), behind) = postcard::take_from_bytes(rest).ok()?;
                    state.set_extras(extras)?;
                    state.models.set_kept(kept)?;
                    rest = behind;
                }
                if version == STATE_VERSION {
                    state.detector = std::mem::take(&mut rest).to_vec();
                }
                rest
            }
        };
        rest.is_empty().then_some(state)
    }

    fn has_extras(&self) -> bool {
        self.watches.iter().any(|(_, watch)| watch.has_extra()) || self.models.has_kept()
    }

    /// One for each watch, in order.
    fn extras(&self) -> Vec<Extra> {
        self.watches.iter().map(|(_, watch)| watch.extra()).collect()
    }

    fn set_extras(&mut self, extras: Vec<Extra>) -> Option<()> {
        let fits = extras.len() == self.watches.len();
        self.watches.iter_mut().zip(extras).for_each(|((_, watch), extra)| watch.set_extra(extra));
        fits.then_some(())
    }

    /// Fills in what of `reading` takes the series' previous value, before it is scored.
    pub fn fill(&self, reading: &mut Reading) {
        self.last.fill(reading);
    }

    fn filled(&self, scored: &Scored) -> Scored {
        let mut scored = scored.clone();
        self.fill(&mut scored.reading);
        scored
    }

    /// A score by `model` is to be judged: the rules on scores know what they learned of it, and of no other.
    fn turn_to(&mut self, model: &str, rules: &[Rule]) {
        if self.models.is_at(model) {
            return;
        }
        let mut models = std::mem::take(&mut self.models);
        models.turn_to(model, |known| {
            let on_score = rules.iter().filter(|rule| rule.on == On::Score);
            let swap = |rule: &Rule| {
                let memory =
                    known.iter().find(|(name, _)| *name == rule.name).map(|(_, memory)| memory.clone());
                (rule.name.clone(), self.watch(&rule.name).swap_memory(memory.unwrap_or_default()))
            };
            on_score.map(swap).collect()
        });
        self.models = models;
    }

    fn watch(&mut self, rule: &str) -> &mut Watch {
        let index = self.watches.iter().position(|(name, _)| name == rule).unwrap_or_else(|| {
            self.watches.push((rule.to_owned(), Watch::default()));
            self.watches.len() - 1
        });
        &mut self.watches[index].1
    }

    fn remember(&mut self, features: &[f64]) {
        // The oldest row's place is used again.
        let is_full = self.recent.len() == RECENT_KEPT;
        let mut row = if is_full { self.recent.pop_front().unwrap_or_default() } else { Vec::new() };
        row.clear();
        // An infinite f32 would be `null` in JSON and make the message unreadable.
        let single = |value: &f64| (*value as f32).clamp(f32::MIN, f32::MAX);
        row.extend(features.iter().take(FEATURES_KEPT).map(single));
        self.recent.push_back(row);
    }

    fn features(&self, names: &[String], values: &[f64]) -> Vec<Feature> {
        let named = names.iter().zip(values).take(FEATURES_KEPT);
        let feature = |(index, (name, value)): (usize, (&String, &f64))| Feature {
            name: name.clone(),
            value: *value,
            recent: self.recent.iter().filter_map(|row| row.get(index).copied()).collect(),
        };
        named.enumerate().map(feature).collect()
    }
}

/// Why bytes are no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// A later release wrote it.
    Newer {
        /// Its version.
        version: u8,
    },
    /// The bytes are damaged, or something else altogether.
    Corrupt,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Newer { version } => write!(
                f,
                "the state has version {version} and this release reads up to {STATE_VERSION}; use the release that wrote it"
            ),
            StateError::Corrupt => f.write_str("the state is damaged"),
        }
    }
}

impl std::error::Error for StateError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Untimely;
    use crate::config::{Method, Severity};
    use crate::event_time::Placement;
    use crate::position::Sequence;
    use crate::reading::{Filling, Gap};
    use crate::seen::NotedIn;
    use proptest::prelude::*;

    fn policy() -> Policy {
        let hot = Rule {
            name: "hot".to_owned(),
            on: On::Feature("b".to_owned()),
            method: Method::Static { threshold: 10.0 },
            hold: Default::default(),
            ..Rule::default()
        };
        let config = Config { rules: vec![Rule::default(), hot], ..Config::default() };
        Policy::new(&config, &["a".to_owned(), "b".to_owned()])
    }

    fn scored(i: u32, b: f64, score: Option<f64>) -> Scored {
        let at = Timestamp::from_ms(i64::from(i) * 1000).expect("in range");
        let position =
            Position { partition: "p".into(), sequence: Sequence::from(u64::from(i)), sub: 0, arrived: at };
        let series = SeriesId::new("s").expect("a name");
        Scored {
            reading: Reading { series, at, features: vec![f64::from(i), b], filled: Vec::new(), position },
            score,
        }
    }

    fn said(judgement: &Judgement) -> Vec<String> {
        judgement.findings.iter().map(Found::to_string).collect()
    }

    #[test]
    fn every_rule_finds_and_steps_carry_the_readings() {
        let (policy, mut state) = (policy(), SeriesState::default());
        for i in 0..30 {
            assert!(classify(&policy, &mut state, &scored(i, 1.0, None), "m").transitions.is_empty());
        }
        let judgement = classify(&policy, &mut state, &scored(30, 50.0, Some(0.9)), "m");
        assert_eq!(said(&judgement), ["warming up 1/100", "critical: 50 against 10 (fixed)"]);
        let [fired] = judgement.transitions.as_slice() else { panic!("one transition") };
        assert_eq!((fired.rule.as_str(), fired.on.as_str(), fired.number), ("hot", "b", 1));
        assert_eq!(fired.features[1].recent.len(), RECENT_KEPT);
        assert_eq!((fired.features[1].value, fired.features[1].recent.last()), (50.0, Some(&50.0)));
    }

    #[test]
    fn a_finding_names_what_was_filled_in_of_what_it_rests_on() {
        let policy = policy();
        let gap = |feature| Filled { feature, gap: Gap::Null, with: Filling::Constant };
        let found = |filled: Vec<Filled>| {
            let mut scored = scored(1, 1.0, Some(0.5));
            scored.reading.filled = filled;
            let judgement = classify(&policy, &mut SeriesState::default(), &scored, "m");
            let names = |found: &Found| found.filled.iter().map(|f| f.name.clone()).collect::<String>();
            judgement.findings.iter().map(names).collect::<Vec<_>>()
        };
        assert_eq!(found(vec![]), ["", ""]);
        assert_eq!(found(vec![gap(0)]), ["a", ""], "the score rests on it, b does not");
        assert_eq!(found(vec![gap(0), gap(1)]), ["ab", "b"]);
    }

    #[test]
    fn shares_of_rejects_have_a_rule_of_their_own() {
        let (policy, mut state) = (policy(), SeriesState::default());
        let share = |i: u32, share: f64| {
            let mut scored = scored(i, 0.0, None);
            scored.reading.series = SeriesId::rejects_of("p");
            scored.reading.features = vec![share];
            scored
        };
        let mut steps = Vec::new();
        let shares = [0.0, 0.2, 0.0, 0.3, 0.3, 0.6].into_iter().chain([0.0; 10]);
        for (i, value) in shares.enumerate() {
            let judgement = classify(&policy, &mut state, &share(i as u32, value), "m");
            assert_eq!(judgement.findings.len(), 1);
            steps.extend(judgement.transitions.into_iter().map(|t| (i, t.rule, t.on, t.severity)));
        }
        let rule = || crate::config::Rejects::RULE.to_owned();
        let on = || "rejected".to_owned();
        assert_eq!(steps, [(4, rule(), on(), Severity::Warning), (15, rule(), on(), Severity::Critical)]);
    }

    #[test]
    fn a_feature_that_is_not_there_takes_the_previous_value() {
        let mut config = Config::default();
        config.input.missing = crate::config::Fill::Previous;
        let policy = Policy { keeps_last: Policy::new(&config, &[]).keeps_last, ..policy() };
        let gap = |i: u32| {
            let mut scored = scored(i, 0.0, None);
            scored.reading.filled = vec![Filled { feature: 1, gap: Gap::Missing, with: Filling::Previous }];
            scored
        };
        let mut state = SeriesState::default();
        let first = classify(&policy, &mut state, &gap(1), "m");
        let unknown = "unjudged; b was missing: it had no value before, and is not judged";
        assert_eq!(said(&first), [unknown; 2], "nothing was there before");
        classify(&policy, &mut state, &scored(2, 50.0, None), "m");
        let mut state = SeriesState::decode(&state.encode()).expect("its own bytes");
        let second = classify(&policy, &mut state, &gap(3), "m");
        let filled = "critical: 50 against 10 (fixed); b was missing: its previous value stands for it";
        assert_eq!(said(&second)[1], filled);
        let third = classify(&policy, &mut state, &gap(4), "m");
        assert_eq!(said(&third)[1], filled, "a value stands until there is another");

        let mut fired = SeriesState::default();
        classify(&policy, &mut fired, &scored(1, 5.0, None), "m");
        let mut constant = gap(2);
        constant.reading.features[1] = 99.0;
        constant.reading.filled[0].with = Filling::Constant;
        let step = classify(&policy, &mut fired, &constant, "m").transitions.pop().expect("it fires");
        let text = crate::message::text(&step);
        assert!(text.contains("\n  b was missing: the constant set for that stands for it\n"), "{text}");
        assert_eq!(PLAIN_VERSION, SeriesState::default().encode()[0], "who does not ask pays nothing");
    }

    /// Scores of two models on two scales, taking turns: each is judged by its own.
    #[test]
    fn what_was_learned_of_one_models_scores_says_nothing_of_anothers() {
        let rule =
            Rule { method: Method::Sigma { k: 3.0, warmup: 3 }, hold: Default::default(), ..Rule::default() };
        let config = Config { rules: vec![rule], ..Config::default() };
        let policy = Policy::new(&config, &["a".to_owned()]);
        let mut state = SeriesState::default();
        let mut story = String::new();
        for i in 0..20 {
            let (model, scale) = if i % 2 == 0 { ("m", 1.0) } else { ("n", 1000.0) };
            let score = (1.0 + f64::from(i % 3) / 10.0) * scale;
            let judgement = classify(&policy, &mut state, &scored(i, 1.0, Some(score)), model);
            story.push(match judgement.findings[0].finding {
                Finding::WarmingUp { .. } => 'w',
                Finding::Normal(_) => '.',
                _ => 'x',
            });
            state = SeriesState::decode(&state.encode()).expect("its own bytes");
        }
        assert_eq!(story, "wwwwww..............");
        let strange = classify(&policy, &mut state, &scored(20, 1.0, Some(900.0)), "m");
        assert!(
            matches!(strange.findings[0].finding, Finding::Anomalous(..)),
            "of m, though n says so every day"
        );
    }

    #[test]
    fn a_calibration_judges_the_scores_of_its_own_model_and_at_once() {
        let calibration = Calibration { model: "m".to_owned(), mean: 1.0, deviation: 0.1, quantiles: None };
        let mut config = Config { rules: vec![Rule::default()], ..Config::default() };
        config.model.calibration = Some(calibration);
        let policy = Policy::new(&config, &["a".to_owned()]);
        let said = |model: &str, score: f64| {
            said(&classify(&policy, &mut SeriesState::default(), &scored(0, 1.0, Some(score)), model))
                .remove(0)
        };
        assert_eq!(said("m", 1.2), "normal: 1.2 against 1.35 (trained mean 1 + 3.5 × deviation 0.1)");
        assert_eq!(said("m", 2.0), "critical: 2 against 1.35 (trained mean 1 + 3.5 × deviation 0.1)");
        assert_eq!(said("n", 2.0), "warming up 1/100", "another model's");
        assert_eq!(said("e/blue@m", 2.0), said("m", 2.0), "behind an endpoint that tells");
        assert_eq!(said("e/blue@n", 2.0), "warming up 1/100");
    }

    /// Two rules, the first of which asks, and what they say of 2.0, which is strange to `own` alone.
    #[test]
    fn a_models_own_calibration_is_for_those_who_ask() {
        let own = Calibration::of("m".to_owned(), vec![0.9, 1.1]);
        let asks = Rule { calibrated: true, ..Rule::default() };
        let rules = vec![asks, Rule { name: "learns".to_owned(), ..Rule::default() }];
        let mut config = Config { rules, ..Config::default() };
        let said = |config: &Config, model: &str| {
            let policy = Policy::new(config, &["a".to_owned()]).with_own(own.clone());
            let scored = scored(0, 1.0, Some(2.0));
            said(&classify(&policy, &mut SeriesState::default(), &scored, model)).join(", ")
        };
        let strange = "critical: 2 against 1.35 (trained mean 1 + 3.5 × deviation 0.1)";
        assert_eq!(said(&config, "m"), format!("{strange}, warming up 1/100"));
        assert_eq!(said(&config, "n"), "warming up 1/100, warming up 1/100", "no other model's");
        config.rules[0].method = Method::Quantile(Default::default());
        assert!(
            said(&config, "m")
                .starts_with("critical: 2 against 1.1 (the trained 99.5 % quantile; median 0.9)")
        );
        config.rules[0].method = Rule::default().method;
        config.model.calibration = Some(Calibration::of("e".to_owned(), vec![5.0, 7.0]));
        assert_eq!(
            said(&config, "m"),
            format!("{strange}, {strange}"),
            "as the endpoint's scores are judged"
        );
        assert!(said(&config, "e").starts_with("normal: 2 against 9.5 (trained mean 6"));
    }

    /// What each method adds to the state of a series, in bytes, after a thousand readings.
    #[test]
    fn states_are_small() {
        let state = |rules: &[&str]| {
            let rules = rules.iter().enumerate().map(|(i, text)| {
                let rule: Rule = serde_json::from_str(text).expect("a rule");
                Rule { name: format!("r{i}"), ..rule }
            });
            let config = Config { rules: rules.collect(), ..Config::default() };
            let policy = Policy::new(&config, &["a".to_owned(), "b".to_owned()]);
            let mut state = SeriesState::default();
            for i in 0..1_200 {
                let value = f64::from(i * 31 % 97);
                classify(&policy, &mut state, &scored(i, value, Some(value / 100.0)), "m");
                if i % 100 == 50 {
                    let read = SeriesState::decode(&state.encode()).expect("its own bytes");
                    assert!(read == state, "of {config:?}");
                    state = read;
                }
            }
            state.encode().len()
        };
        let default = state(&["{}"]);
        let of = |method: &str| {
            state(&["{}", &format!(r#"{{"on":"b","method":{{"kind":"{method}"}}}}"#)]) - default
        };
        let methods = ["sigma", "robust", "quantile", "evt", "spike-and-dip", "change-point"];
        let bytes = methods.map(|method| format!("{method} {}", of(method))).join(", ");
        assert_eq!(
            bytes,
            "sigma 26, robust 516, quantile 198, evt 175, spike-and-dip 525, change-point 1495"
        );
        assert!(default < 1024, "{default}");
        let every =
            r#"{"on":"b","method":{"kind":"static","threshold":100.0},"missing":"ignore","every":"1s"}"#;
        assert!(state(&["{}", every]) - default < 100);
    }

    #[test]
    fn a_rule_is_for_the_series_it_names() {
        let text =
            r#"{"on":"b","series":"web-*","method":{"kind":"static","threshold":10.0},"for":"1 of 1"}"#;
        let config = Config { rules: vec![serde_json::from_str(text).expect("a rule")], ..Config::default() };
        let policy = Policy::new(&config, &["a".to_owned(), "b".to_owned()]);
        let judged = |series: &str| {
            let mut scored = scored(1, 50.0, None);
            scored.reading.series = SeriesId::new(series).expect("a name");
            let mut state = SeriesState::default();
            let judgement = classify(&policy, &mut state, &scored, "m");
            (said(&judgement).remove(0), judgement.transitions.len(), state.watches().count())
        };
        assert_eq!(judged("web-1"), ("critical: 50 against 10 (fixed)".to_owned(), 1, 1));
        assert_eq!(judged("db-1"), ("unjudged: the rule is for other series".to_owned(), 0, 0));
    }

    #[test]
    fn a_redelivered_reading_is_known() {
        let (policy, mut state) = (policy(), SeriesState::default());
        classify(&policy, &mut state, &scored(5, 1.0, None), "m");
        assert!(state.has_seen(&scored(5, 1.0, None).reading.position));
        assert!(!state.has_seen(&scored(6, 1.0, None).reading.position));
    }

    #[test]
    fn a_rule_on_a_feature_that_is_not_there_is_named() {
        let mut config = Config::default();
        config.rules.push(Rule { on: On::Feature("c".to_owned()), ..Rule::default() });
        assert_eq!(Policy::new(&config, &["a".to_owned()]).unknown_features(), ["c"]);
    }

    #[test]
    fn late_readings_are_judged_beside_the_state_by_what_it_learned() {
        let policy = policy();
        let mut state = SeriesState::default();
        let judge = |state: &mut SeriesState, i, b| {
            let judgement = classify(&policy, state, &scored(i, b, Some(f64::from(i % 3))), "m");
            judgement.transitions.into_iter().map(|t| (t.rule, t.step.as_str())).collect::<Vec<_>>()
        };
        for i in 0..120 {
            judge(&mut state, i, 1.0);
        }
        assert_eq!(judge(&mut state, 120, 50.0), [("hot".to_owned(), "fired")]);
        let before = state.encode();

        let mut late = state.beside(None, &scored(60, 1.0, None).reading.position);
        assert_eq!(judge(&mut late, 60, 50.0), [("hot".to_owned(), "fired")], "an alert of its own");
        let position = |i| scored(i, 1.0, None).reading.position;
        let open = |state: &SeriesState| state.watches().any(|(_, watch)| watch.open().is_some());
        assert!(open(&state.beside(Some(late.clone()), &position(61))), "the next goes on");
        assert!(open(&state.beside(Some(late.clone()), &position(60 + 3_600))));
        assert!(!open(&state.beside(Some(late.clone()), &position(61 + 3_600))), "an hour later");
        assert!(!open(&state.beside(Some(late), &position(59))), "before it");
        assert_eq!(state.encode(), before);
    }

    #[test]
    fn what_was_written_last_is_kept_and_older_states_are_read() {
        let mut state = SeriesState::default();
        classify(&policy(), &mut state, &scored(5, 1.0, None), "m");
        let old = state.encode();
        assert_eq!((old[0], SeriesState::decode(&old)), (1, Ok(state.clone())));
        let reading = scored(6, 1.0, None);
        let last = reading.reading.position.place();
        state.seen_mut().write(Order::Kept, std::iter::once(&reading.reading.position), None);
        classify(&policy(), &mut state, &reading, "m");
        let old = state.encode();
        assert!(
            (old[0] < 6, SeriesState::decode(&old)) == (true, Ok(state.clone())),
            "not said where it is noted"
        );
        let noted_in = Some(NotedIn { minute: None, last });
        state.seen_mut().write(Order::Kept, std::iter::once(&reading.reading.position), noted_in);
        let read = SeriesState::decode(&state.encode()).expect("its own bytes");
        assert_eq!((state.encode()[0], &read), (6, &state));
        assert!(read.seen().wrote(Order::Kept, &reading.reading.position));
        state.admit(&EventTime::default(), scored(7, 1.0, None), "m");
        assert_eq!(SeriesState::decode(&state.encode()), Ok(state), "with a hold too");
    }

    #[test]
    fn state_is_versioned() {
        assert_eq!(SeriesState::decode(&[]), Err(StateError::Corrupt));
        assert_eq!(SeriesState::decode(&[0, 1]), Err(StateError::Corrupt));
        assert_eq!(SeriesState::decode(&[9, 1]), Err(StateError::Newer { version: 9 }));
        let mut bytes = SeriesState::default().encode();
        bytes.push(0);
        assert_eq!(SeriesState::decode(&bytes), Err(StateError::Corrupt), "something behind it");
    }

    fn seed(untimely: Untimely) -> EventTime {
        let [late, out_of_order] = [16, 5].map(std::time::Duration::from_secs);
        EventTime { late, out_of_order, policy: untimely, ..EventTime::default() }
    }

    /// Two readings under the rule `hot`, the second of which fired it: written before there was event time.
    const VERSION_1: &str = "\
        01010170013800807d0103686f740000000000000000000000000000000000010001807d011039623665616265653030\
        35333236373301807d807d0200000000000049400000000000002440000000000000144000807d010110396236656162\
        6565303035333236373302020000e0400000803f020000004100004842";

    #[test]
    fn version_1_is_read_and_written_still() {
        let byte = |i: usize| u8::from_str_radix(&VERSION_1[i..i + 2], 16).expect("two digits");
        let bytes: Vec<u8> = (0..VERSION_1.len()).step_by(2).map(byte).collect();
        let mut state = SeriesState::decode(&bytes).expect("a state");
        assert_eq!(state.encode(), bytes);
        let open = state.watches().next().and_then(|(_, watch)| watch.open()).map(|open| open.anomalous);
        assert_eq!((open, state.hold()), (Some(1), None));
        assert!(state.has_seen(&Position { partition: "p".into(), ..scored(8, 1.0, None).reading.position }));
        state.admit(&seed(Untimely::Adjust), scored(9, 1.0, None), "m");
        assert_eq!(state.hold().map(Hold::len), Some(1), "and goes on with event time");
    }

    #[test]
    fn without_event_time_the_state_is_what_it_was() {
        let (policy, mut state) = (policy(), SeriesState::default());
        (0..40).for_each(|i| drop(classify(&policy, &mut state, &scored(i, 1.0, None), "m")));
        let bytes = state.encode();
        assert_eq!(bytes[0], PLAIN_VERSION);
        assert_eq!(bytes[1..], postcard::to_extend(&state, Vec::new()).expect("into memory"));
        state.admit(&seed(Untimely::Adjust), scored(41, 1.0, None), "m");
        let with_hold = state.encode();
        assert_eq!((with_hold[0], SeriesState::decode(&with_hold)), (HOLD_VERSION, Ok(state.clone())));
        let released = state.end_hold(&SeriesId::new("s").expect("a name"));
        assert_eq!(
            (released.len(), state.encode()[0], state.encode().len()),
            (1, PLAIN_VERSION, bytes.len())
        );
    }

    #[test]
    fn what_waits_was_seen_and_so_was_what_was_dropped() {
        let mut state = SeriesState::default();
        let drop = seed(Untimely::Drop);
        state.admit(&drop, scored(100, 1.0, None), "m");
        assert!(state.has_seen(&scored(100, 1.0, None).reading.position));
        let mut behind = scored(101, 1.0, None);
        behind.reading.at = Timestamp::from_ms(50_000).expect("in range");
        let admission = state.admit(&drop, behind.clone(), "m");
        assert!(matches!(admission.placement, Placement::Dropped(_)));
        assert!(state.has_seen(&behind.reading.position));
        assert!(!state.has_seen(&scored(102, 1.0, None).reading.position));
    }

    /// Readings whose times lie up to 10 s before and behind their arrival.
    fn unordered(offsets: &[i64]) -> Vec<Scored> {
        let reading = |(i, offset): (usize, &i64)| {
            let mut reading = scored(i as u32 + 100, i as f64, Some(0.5));
            let ms = reading.reading.at.as_ms() + offset * 1000;
            reading.reading.at = Timestamp::from_ms(ms).expect("in range");
            reading
        };
        offsets.iter().enumerate().map(reading).collect()
    }

    /// Takes in those of `batch` that were not seen, and gives back what was released and what was dropped.
    fn take_in(state: &mut SeriesState, policy: &EventTime, batch: &[Scored]) -> Vec<String> {
        let mut out = Vec::new();
        for scored in batch {
            if state.has_seen(&scored.reading.position) {
                continue;
            }
            let admission = state.admit(policy, scored.clone(), "m");
            if let Placement::Dropped(reject) = admission.placement {
                out.push(format!("{} dropped: {reject}", scored.reading.position.sequence));
            }
            let shown =
                |r: &Released| format!("{} at {}", r.scored.reading.position.sequence, r.scored.reading.at);
            out.extend(admission.released.iter().map(shown));
        }
        out
    }

    proptest! {
        /// However the readings are cut into batches, whichever batches come twice, and wherever the state is
        /// written and read.
        #[test]
        fn batches_and_redeliveries_release_the_same(
            offsets in proptest::collection::vec(-10..=10_i64, 1..60),
            cuts in proptest::collection::vec((1..12_usize, any::<bool>()), 60),
            drops in any::<bool>(),
        ) {
            let policy = seed(if drops { Untimely::Drop } else { Untimely::Adjust });
            let all = unordered(&offsets);
            let mut at_once = SeriesState::default();
            let expected = take_in(&mut at_once, &policy, &all);
            let (mut state, mut got, mut from) = (SeriesState::default(), Vec::new(), 0);
            for (length, twice) in cuts {
                let batch = &all[from..all.len().min(from + length)];
                got.extend(take_in(&mut state, &policy, batch));
                state = SeriesState::decode(&state.encode()).expect("its own bytes");
                if twice {
                    let again = &all[from.saturating_sub(5)..from + batch.len()];
                    prop_assert!(take_in(&mut state, &policy, again).is_empty());
                }
                from += batch.len();
            }
            got.extend(take_in(&mut state, &policy, &all[from..]));
            prop_assert_eq!(got, expected);
            prop_assert_eq!(state, at_once);
        }

        #[test]
        fn stopping_anywhere_changes_nothing(values in proptest::collection::vec((0.0..20.0f64, 0.0..3.0f64), 1..80), stop in 0usize..80) {
            let policy = policy();
            let (mut one, mut two) = (SeriesState::default(), SeriesState::default());
            for (i, (b, score)) in values.iter().enumerate() {
                if i == stop {
                    two = SeriesState::decode(&two.encode()).expect("its own bytes");
                }
                let reading = scored(i as u32, *b, Some(*score));
                prop_assert_eq!(classify(&policy, &mut one, &reading, "m"), classify(&policy, &mut two, &reading, "m"));
            }
            prop_assert_eq!(one.encode(), two.encode());
            prop_assert!(one.encode().len() < 1024, "state of two rules: {} bytes", one.encode().len());
        }

        /// A damaged state is found out, or goes on: it never ends the process.
        #[test]
        fn a_damaged_state_of_any_method_is_survived(at in any::<proptest::sample::Index>(), byte in any::<u8>(), tail in 0..40usize) {
            let rules = ["robust:history=9,warmup=5", "quantile:warmup=9", "evt:warmup=30,level=0.6,peaks=10,drift=5,direction=both",
                "rate-of-change:threshold=1", "spike-and-dip:history=9", "change-point:history=9", "static:threshold=1,missing=ignore,every=1s"];
            let rules = rules.iter().map(|text| {
                let rule = Config::rule_in_short(text).expect("a rule");
                Rule { on: On::Feature("b".to_owned()), ..rule }
            });
            let policy = Policy::new(&Config { rules: rules.collect(), ..Config::default() }, &["a".to_owned(), "b".to_owned()]);
            let mut state = SeriesState::default();
            (0..60).for_each(|i| drop(classify(&policy, &mut state, &scored(i, f64::from(i * 7 % 13), None), "m")));
            let mut bytes = state.encode();
            let at = bytes.len() - 1 - at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(bytes.len() - tail / 30);
            if let Ok(mut state) = SeriesState::decode(&bytes) {
                (60..120).for_each(|i| drop(classify(&policy, &mut state, &scored(i, f64::from(i * 7 % 13), None), "m")));
                drop(state.encode());
            }
        }

        #[test]
        fn any_bytes_are_a_state_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = SeriesState::decode(&bytes);
        }
    }
}
