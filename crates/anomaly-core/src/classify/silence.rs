//! Silence: the steps of alerts that no reading makes, because none comes.
//!
//! [`fall_silent`] is what a sweep says, by a clock; [`hear`] what the next reading says. Both fire an alert at its
//! deadline, and have it get worse when the silence has lasted for long enough, by the same id and with the same words,
//! so that it does not matter how often sweeps come by: of a silence that no sweep saw, the reading that ends it tells
//! all. All times are those of arrival: a stream that replays old
//! events is not silent, and by event time a reading is heard when it comes, however long it then waits.

use serde::{Deserialize, Serialize};

use super::policy::Ready;
use super::{FEATURES_KEPT, Found, Policy, SeriesState, judges};
use crate::alert::{Acknowledgement, Asked, Feature, Open, Standing, Step, Stepped, Transition};
use crate::config::{NoData, Rule};
use crate::reading::{Filling, Reading, SeriesId};
use crate::rule::no_data::{deadline, lasting};
use crate::rule::{Finding, Nothing};
use crate::time::Timestamp;

/// What is written where a message names the model: none has a part in a silence.
const NO_MODEL: &str = "none";

/// The reading that a series was last heard by: the one that arrived last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Heard {
    /// When it arrived.
    at: Timestamp,
    /// How long after that it was judged, in milliseconds; `None` until that is said. As long as readings come so
    /// late to us, nobody knows whether the next one is missing or on its way.
    lag_ms: Option<i64>,
    /// What its record gave of the first features, [`FEATURES_KEPT`] at most.
    values: Vec<Option<f64>>,
    /// How many features it has in all.
    width: u32,
    /// When a sweep must come by: [`SeriesState::due`].
    pub(super) due: Option<Timestamp>,
}

impl Heard {
    fn of(reading: &Reading) -> Self {
        let given = |index: usize| {
            let is_constant = |filled: &crate::reading::Filled| filled.with == Filling::Constant;
            reading.filled.iter().filter(|filled| filled.feature as usize == index).all(is_constant)
        };
        let values = reading.features.iter().enumerate().take(FEATURES_KEPT);
        Heard {
            at: reading.position.arrived,
            lag_ms: None,
            values: values.map(|(index, value)| Some(*value).filter(|_| given(index))).collect(),
            width: u32::try_from(reading.features.len()).unwrap_or(u32::MAX),
            due: None,
        }
    }

    /// The values by name. Not the ones before them: which of those are judged by now depends on the sweeps.
    fn features(&self, names: &[String]) -> Vec<Feature> {
        let named = names.iter().zip(&self.values);
        let feature = |(name, value): (&String, &Option<f64>)| {
            value.map(|value| Feature {
                name: name.clone(),
                value,
                recent: Vec::new(),
                expected: None,
                share: None,
            })
        };
        named.filter_map(feature).collect()
    }
}

/// What a reading says by its arrival.
pub(super) struct Hearing {
    pub(super) transitions: Vec<Transition>,
    /// When the series was heard before; `None`: never.
    before: Option<Timestamp>,
    at: Timestamp,
}

impl Policy {
    /// Whether any rule judges silence, so that sweeps have something to look for.
    pub fn judges_silence(&self) -> bool {
        self.judges_silence
    }

    /// The rules that judge the silence of `series`.
    fn on_silence(&self, series: &SeriesId) -> impl Iterator<Item = (&Ready, &NoData)> {
        let rules = self.judges_silence.then(|| self.of(series));
        let is_for = series.as_str().to_owned();
        let rules = rules.into_iter().flat_map(|rules| rules.iter());
        let of_series = rules.filter(move |ready| ready.rule.is_for(&is_for));
        of_series.filter_map(|ready| Some((ready, ready.rule.no_data()?)))
    }
}

/// What becomes of alerts because `reading` has come. For readings that are put by until their time has come; of those
/// that are judged as they come [`classify`](super::classify) says so itself.
pub fn hear(policy: &Policy, state: &mut SeriesState, reading: &Reading) -> Vec<Transition> {
    listen(policy, state, reading).map_or_else(Vec::new, |hearing| hearing.transitions)
}

/// What `reading` says by its arrival; nothing where no rule asks for it, beside a state, and of one that arrived
/// before the one that was heard last.
pub(super) fn listen(policy: &Policy, state: &mut SeriesState, reading: &Reading) -> Option<Hearing> {
    if policy.judges_silence && !state.deaf { listen_for(policy, state, reading) } else { None }
}

#[cold]
fn listen_for(policy: &Policy, state: &mut SeriesState, reading: &Reading) -> Option<Hearing> {
    let (series, at) = (&reading.series, reading.position.arrived);
    if policy.on_silence(series).next().is_none() {
        state.heard = None;
        return None;
    }
    let before = state.heard.as_ref().map(|heard| heard.at);
    if before.is_some_and(|before| at < before) {
        return None;
    }
    let mut transitions = fire(policy, state, series, at);
    let heard = Heard::of(reading);
    for (Ready { rule, name, .. }, no_data) in policy.on_silence(series) {
        let watch = state.watches.of(name, 0);
        let Some((since, last)) = watch.open().map(|open| (open.since, open.peak_at)) else { continue };
        let margin = no_data.margin(since, at);
        // A sweep may have come by while it was on its way: an alert's steps do not go back in time.
        if let Some(stepped) = watch.be_heard(rule, at.max(last), margin) {
            transitions.push(transition(policy, series, rule, *stepped, at.max(last), &heard));
        }
    }
    state.heard = Some(Box::new(heard));
    Some(Hearing { transitions, before, at })
}

/// What is to be said at `now` of the silence of `series`: the alerts whose deadline has passed fire, each at its
/// deadline, and get worse, each time when a higher band of severity is reached. Said once; the next reading ends it.
pub fn fall_silent(
    policy: &Policy,
    state: &mut SeriesState,
    series: &SeriesId,
    now: Timestamp,
) -> Vec<Transition> {
    let lag_ms = state.heard.as_ref().and_then(|heard| heard.lag_ms).unwrap_or_default();
    fire(policy, state, series, later(now, -lag_ms))
}

/// When the alert of a silence since `heard` takes its next step by itself: at the deadline it fires, and it is worse
/// where a higher band of the rule's severity begins; `None` if nothing is left to be said.
fn next(rule: &Rule, no_data: &NoData, heard: Timestamp, open: Option<&Open>) -> Option<Timestamp> {
    let from = match open {
        None => deadline(heard, no_data.after),
        Some(open) => {
            let worse = rule.severity.iter().filter(|band| band.level > open.severity);
            worse.map(|band| lasting(no_data, heard, band.at).max(open.peak_at)).min()?
        }
    };
    Some(from).filter(|from| *from > heard && *from < Timestamp::LAST)
}

/// Takes the steps of what is silent at `until`, each at its time.
fn fire(policy: &Policy, state: &mut SeriesState, series: &SeriesId, until: Timestamp) -> Vec<Transition> {
    let Some(heard) = state.heard.take() else { return Vec::new() };
    let mut transitions = Vec::new();
    for (Ready { rule, name, .. }, no_data) in policy.on_silence(series) {
        let watch = state.watches.of(name, 0);
        while let Some(from) = next(rule, no_data, heard.at, watch.open()).filter(|from| until >= *from) {
            let margin = no_data.margin(heard.at, from);
            // No calendar holds it: nothing would tell of it when the calendar's time is over.
            let asked = Asked { rule, series, at: from, calendar: None };
            let stepped = match watch.open() {
                None => Some(watch.fall_silent(asked, heard.at, margin)),
                Some(_) => watch.be_silent_still(asked, margin),
            };
            let Some(stepped) = stepped else { break };
            transitions.push(transition(policy, series, rule, *stepped, from, &heard));
        }
    }
    state.heard = Some(heard);
    transitions
}

/// From when on there is something to be said of the silence of `series` if nothing comes; `None` if nothing is, or
/// all has been said.
pub fn silent_from(policy: &Policy, state: &SeriesState, series: &SeriesId) -> Option<Timestamp> {
    let heard = state.heard.as_ref()?;
    let open = |rule: &Rule| state.watches.get(&rule.name).and_then(|watch| watch.open());
    let steps = policy
        .on_silence(series)
        .filter_map(|(Ready { rule, .. }, no_data)| next(rule, no_data, heard.at, open(rule)));
    steps.min()
}

/// Notes in `state`, which is about to be written, when a sweep must come by. `now` is when its newest reading was
/// judged, if it was not said before; a sweep changes nothing of that.
pub fn schedule(policy: &Policy, state: &mut SeriesState, series: &SeriesId, now: Timestamp) {
    if policy.on_silence(series).next().is_none() {
        state.heard = None;
        return;
    }
    let from = silent_from(policy, state, series);
    let late = policy.event_time.as_ref().map(|event_time| event_time.late).unwrap_or_default();
    if let Some(heard) = &mut state.heard {
        let lag_ms = *heard.lag_ms.get_or_insert(now.ms_since(heard.at).max(0));
        heard.due = from.map(|from| later(from, lag_ms).earlier_by(late));
    }
}

impl SeriesState {
    /// When a sweep has something to do here, if nothing comes: the time up to which it releases readings that wait
    /// ([`SeriesState::flush`]), which is its clock less the tolerance for late ones. `None`: not before the next
    /// reading.
    pub fn due(&self) -> Option<Timestamp> {
        let oldest = self.hold.as_ref().and_then(|hold| hold.oldest());
        let silent = self.heard.as_ref().and_then(|heard| heard.due);
        oldest.into_iter().chain(silent).min()
    }
}

impl Hearing {
    /// What `rule` finds of the reading.
    pub(super) fn found(&self, rule: &Rule, no_data: &NoData) -> Found {
        let finding = match self.before {
            None => Finding::WarmingUp { seen: 1, needed: 1, score: None },
            Some(before) => rule.conclude(no_data.margin(before, self.at)),
        };
        let ended = |t: &&Transition| t.rule == rule.name && t.step == Step::Resolved;
        let idle = Standing::Idle { hold: rule.hold };
        let standing = self.transitions.iter().find(ended).map_or(idle, Transition::standing);
        let number = finding.margin().map(|margin| margin.judged);
        Found { number, finding, standing, filled: Vec::new(), fallback: false }
    }
}

impl Found {
    /// Of a reading whose arrival says nothing, or said it when it came.
    pub(super) fn of_no_hearing(rule: &Rule) -> Self {
        Found::nothing(Nothing::Silence, Standing::Idle { hold: rule.hold })
    }

    /// The finding that an alert fired on which no reading fired: a series fell silent.
    pub fn of_silence(fired: &Transition) -> Self {
        let finding = Finding::Anomalous(fired.margin, fired.severity);
        let number = Some(fired.margin.judged);
        let standing = fired.standing();
        Found { number, finding, standing, filled: Vec::new(), fallback: false }
    }
}

fn transition(
    policy: &Policy,
    series: &SeriesId,
    rule: &Rule,
    Stepped { step, alert, margin, held, flapping, is_new_normal, was_held, seen }: Stepped,
    at: Timestamp,
    heard: &Heard,
) -> Transition {
    let names = &policy.of(series).features;
    let (by, note, for_ms) = Acknowledgement::parts(seen);
    Transition {
        alert: alert.id,
        number: alert.step_number,
        step,
        series: series.clone(),
        rule: rule.name.clone(),
        on: judges(names, rule).to_owned(),
        severity: alert.severity,
        at,
        since: alert.since,
        fired_at: alert.fired_at,
        margin,
        peak: alert.peak,
        peak_at: alert.peak_at,
        anomalous: alert.anomalous,
        features: heard.features(names),
        width: heard.width,
        model: NO_MODEL.to_owned(),
        late_ms: None,
        fallback: false,
        filled: Vec::new(),
        held,
        was_held,
        flapping,
        is_new_normal,
        by,
        note,
        for_ms,
    }
}

/// `ms` milliseconds later; the end of time if that lies behind it.
fn later(time: Timestamp, ms: i64) -> Timestamp {
    time.as_ms().checked_add(ms).and_then(Timestamp::from_ms).unwrap_or(Timestamp::LAST)
}

#[cfg(test)]
mod tests;
