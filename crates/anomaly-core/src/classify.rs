//! From a scored reading to findings and transitions: the one place where the state of a series changes.

mod policy;
pub mod silence;
mod state;

use std::fmt;

pub use policy::Policy;
pub use state::{FEATURES_KEPT, LATE_GAP_MS_MAX, RECENT_KEPT, SeriesState, StateError};

use crate::alert::{Asked, FilledIn, Standing, Stepped, Transition};
use crate::config::{Effect, On, Rule};
use crate::reading::{Filled, Reading, Scored};
use crate::rule::{Finding, Nothing};
use silence::Hearing;

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

#[cfg(test)]
mod tests;
