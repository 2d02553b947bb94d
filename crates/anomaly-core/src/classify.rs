//! From a scored reading to findings and transitions: the one place where the state of a series changes.

pub mod silence;

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alert::{Asked, Extra, Feature, FilledIn, Life, Standing, Step, Stepped, Transition, Watch};
use crate::calibration::Calibration;
use crate::config::{Calendar, Config, Effect, EventTime, ModelKind, On, Rule, STREAMING};
use crate::event_time::{Admission, Hold, Released};
use crate::last::Last;
use crate::models::Models;
use crate::position::Position;
use crate::reading::{Filled, Reading, Scored, SeriesId};
use crate::rejects::Versions;
use crate::rule::{Finding, Nothing};
use crate::seen::{Order, Seen};
use crate::time::Timestamp;
use silence::{Heard, Hearing};

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
    /// Whether any rule judges silence.
    judges_silence: bool,
    /// The rules for scores by the streaming detector where it stands in for an endpoint.
    fallback: Option<Vec<Rule>>,
    calendars: Vec<Calendar>,
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
            judges_silence: config.judges_silence(),
            fallback: config.model.fallback.map(|_| config.rules.iter().map(Rule::for_fallback).collect()),
            calendars: config.calendars.clone(),
        }
    }

    /// Whether the streaming detector learns the readings of `series`: shares of rejects have a rule and no model.
    pub fn has_detector(&self, series: &SeriesId) -> bool {
        self.streaming && !series.is_of_rejects()
    }

    /// Whether no detector is to learn the reading of `series` at `at`, nor to score it: a calendar excludes it for
    /// all rules.
    pub fn excludes(&self, series: &SeriesId, at: Timestamp) -> bool {
        let mut of_all = self.calendars.iter().filter(|c| c.effect == Effect::Exclude && c.rule.is_none());
        of_all.any(|calendar| calendar.covers(series, at))
    }

    /// The calendars that are for a reading of `series` at `at`.
    fn calendars(&self, series: &SeriesId, at: Timestamp) -> Vec<&Calendar> {
        self.calendars.iter().filter(|calendar| calendar.covers(series, at)).collect()
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
        let mut known = self.calibration.iter().chain(own).filter(|_| rule.is_on_score());
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
    /// When the series was last heard, where a rule judges silence; encoded behind the rest.
    #[serde(skip)]
    heard: Option<Box<Heard>>,
    /// Whether it is for late readings, by which nobody is heard. Not encoded: [`SeriesState::beside`] says so.
    #[serde(skip)]
    deaf: bool,
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
    /// Of a reading that the rule has nothing to do with.
    fn nothing(why: Nothing, standing: Standing) -> Self {
        Found { number: None, finding: Finding::Unjudged(why), standing, filled: Vec::new(), fallback: false }
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
    let mut hearing = silence::listen(policy, state, &scored.reading);
    let mut judgement = judge_heard(policy, state, scored, model, hearing.as_ref());
    if let Some(hearing) = &mut hearing {
        judgement.transitions.splice(0..0, hearing.transitions.drain(..));
    }
    state.seen.see(&scored.reading.position);
    judgement
}

/// [`classify`] for a reading that was released: it was seen when it came, by [`SeriesState::admit`], and heard, by
/// [`silence::hear`].
///
/// Features that take the series' previous value are filled in first.
pub fn judge(policy: &Policy, state: &mut SeriesState, scored: &Scored, model: &str) -> Judgement {
    judge_heard(policy, state, scored, model, None)
}

fn judge_heard(
    policy: &Policy,
    state: &mut SeriesState,
    scored: &Scored,
    model: &str,
    hearing: Option<&Hearing>,
) -> Judgement {
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
    let calendars = policy.calendars(&reading.series, reading.at);
    for rule in rules {
        if !rule.is_for(reading.series.as_str()) {
            let standing = Standing::Idle { hold: rule.hold };
            judgement.findings.push(Found::nothing(Nothing::OtherSeries, standing));
            continue;
        }
        let calendar = |effect: Effect| {
            let mut of_rule = calendars.iter().filter(|calendar| calendar.is_for_rule(&rule.name));
            of_rule.find(|calendar| calendar.effect == effect).map(|calendar| calendar.name.as_str())
        };
        if calendar(Effect::Exclude).is_some() {
            let standing = state.watch(&rule.name).standing(rule, None);
            judgement.findings.push(Found::nothing(Nothing::Excluded, standing));
            continue;
        }
        if let Some(no_data) = rule.no_data() {
            let unheard = || Found::of_no_hearing(rule);
            let found = hearing.map_or_else(unheard, |hearing| hearing.found(rule, no_data));
            judgement.findings.push(found);
            continue;
        }
        let number = number(names, &rule.on, scored);
        let watch = state.watch(&rule.name);
        let calibration = policy.calibration(rule, model);
        let asked = Asked { rule, series: &reading.series, at: reading.at, calendar: calendar(Effect::Hold) };
        let (finding, stepped) = watch.observe(asked, number, calibration);
        let filled = match reading.filled.is_empty() {
            true => Vec::new(),
            false => filled_in(names, reading, |index| rests_on(names, &rule.on, index)),
        };
        let standing = watch.standing(rule, stepped.as_ref());
        let fallback = policy.is_fallback(model) && rule.is_on_score();
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
        _ if rule.no_data().is_some() => "silence",
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
    Stepped { step, alert, margin, held, flapping, is_new_normal }: Stepped,
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
        held,
        flapping,
        is_new_normal,
        by: None,
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
/// The version of the encoded state with all that and what the streaming detector remembers.
const DETECTOR_VERSION: u8 = 8;
/// The version of the encoded state with all that and, before the detector, when the series was heard.
const HEARD_VERSION: u8 = 9;
/// The version of the encoded state with all that and what alerts' lives take, after when the series was heard, if it
/// was; the newest this code reads.
const STATE_VERSION: u8 = 10;

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
        late.deaf = true;
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
            (hold, write)
                if self.has_extras()
                    || !self.detector.is_empty()
                    || self.heard.is_some()
                    || self.has_lives() =>
            {
                let version = match (self.has_lives(), &self.heard, self.detector.is_empty()) {
                    (true, ..) => STATE_VERSION,
                    (false, Some(_), _) => HEARD_VERSION,
                    (false, None, false) => DETECTOR_VERSION,
                    (false, None, true) => EXTRAS_VERSION,
                };
                let rest = (write, hold, &self.last, &self.models, &self.seen.noted_in);
                let bytes = postcard::to_extend(&rest, plain(version)).unwrap_or_default();
                let mut bytes =
                    postcard::to_extend(&(self.extras(), self.models.kept()), bytes).unwrap_or_default();
                if version == STATE_VERSION {
                    let lives = (&self.heard, self.lives());
                    bytes = postcard::to_extend(&lives, bytes).unwrap_or_default();
                } else if let Some(heard) = &self.heard {
                    bytes = postcard::to_extend(heard, bytes).unwrap_or_default();
                }
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
                if version == HEARD_VERSION {
                    let (heard, behind) = postcard::take_from_bytes(rest).ok()?;
                    (state.heard, rest) = (Some(heard), behind);
                } else if version == STATE_VERSION {
                    let ((heard, lives), behind) = postcard::take_from_bytes(rest).ok()?;
                    state.set_lives(lives)?;
                    (state.heard, rest) = (heard, behind);
                }
                if version >= DETECTOR_VERSION {
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

    fn has_lives(&self) -> bool {
        self.watches.iter().any(|(_, watch)| watch.life().is_some())
    }

    /// One for each watch, in order.
    fn lives(&self) -> Vec<Option<&Life>> {
        self.watches.iter().map(|(_, watch)| watch.life()).collect()
    }

    fn set_lives(&mut self, lives: Vec<Option<Box<Life>>>) -> Option<()> {
        let fits = lives.len() == self.watches.len();
        self.watches.iter_mut().zip(lives).for_each(|((_, watch), life)| watch.set_life(life));
        fits.then_some(())
    }

    /// Somebody, `by` name, has seen the alert of which `last` is the last step known, at `at`: people are not
    /// reminded of it any more, unless it gets worse. Gives back that step; `None` if the alert is not open.
    pub fn acknowledge(&mut self, last: &Transition, by: &str, at: Timestamp) -> Option<Transition> {
        let (_, watch) = self.watches.iter_mut().find(|(rule, _)| *rule == last.rule)?;
        let number = watch.acknowledge(&last.alert)?;
        let (step, by, held) = (Step::Acknowledged, Some(by.to_owned()), None);
        Some(Transition { number, step, at, by, held, ..last.clone() })
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
            let on_score = rules.iter().filter(|rule| rule.is_on_score());
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
mod tests;
