//! Judging, reading by reading.

use super::policy::{Judges, Ready, Rules};
use super::silence::{self, Hearing};
use super::state::FEATURES_KEPT;
use super::{Found, Judgement, Policy, SeriesState, judges};
use crate::alert::{Acknowledgement, Asked, FilledIn, Standing, Stepped, Transition};
use crate::calibration::Calibration;
use crate::config::{Calendar, Effect, NoData, Rule, STREAMING};
use crate::models::Model;
use crate::reading::{Filled, Reading, Scored};
use crate::rule::{Finding, Nothing};

/// The rules, for readings that one model scored: what is the same for all of them is looked up once, and what comes
/// of a reading is written where what came of the one before was.
#[derive(Debug)]
pub struct Judge<'p> {
    policy: &'p Policy,
    model: Model,
    /// The rules for scores that stand in for an endpoint's, if these do.
    fallback: Option<&'p Rules>,
    /// Whether anything is known of the model's scores.
    is_calibrated: bool,
}

impl<'p> Judge<'p> {
    /// By `policy`, for readings that `model` scored; messages name it.
    pub fn new(policy: &'p Policy, model: &str) -> Self {
        Judge {
            policy,
            model: Model::new(model),
            fallback: policy.of_fallback().filter(|_| model == STREAMING),
            is_calibrated: policy.is_calibrated(model),
        }
    }

    /// What scored the readings, by name.
    pub fn model(&self) -> &str {
        self.model.name()
    }

    /// Judges `scored` by every rule, moves `state` along, and leaves in `judgement` what came of it, and nothing else.
    ///
    /// The caller asks [`SeriesState::see`] first; a reading judged twice counts twice.
    pub fn classify(&self, state: &mut SeriesState, scored: &Scored, judgement: &mut Judgement) {
        judgement.transitions.clear();
        match self.policy.is_simple() {
            true => self.judge_by(&[], None, state, scored, judgement),
            false => self.classify_in_full(state, scored, judgement),
        }
    }

    /// [`Judge::classify`] for a reading that was released: it was seen when it came, by [`SeriesState::admit`], and
    /// heard, by [`silence::hear`].
    ///
    /// Features that take the series' previous value are filled in first.
    pub fn judge(&self, state: &mut SeriesState, scored: &Scored, judgement: &mut Judgement) {
        judgement.transitions.clear();
        self.judge_in_full(None, state, scored, judgement);
    }

    #[inline(never)]
    fn classify_in_full(&self, state: &mut SeriesState, scored: &Scored, judgement: &mut Judgement) {
        let hearing = silence::listen(self.policy, state, &scored.reading);
        self.judge_in_full(hearing.as_ref(), state, scored, judgement);
        if let Some(hearing) = hearing {
            judgement.transitions.splice(0..0, hearing.transitions);
        }
    }

    /// With what few configurations want: previous values, which are kept and filled in, and calendars.
    #[inline(never)]
    fn judge_in_full(
        &self,
        hearing: Option<&Hearing>,
        state: &mut SeriesState,
        scored: &Scored,
        judgement: &mut Judgement,
    ) {
        let keeps_last = self.policy.keeps_last;
        let filled = (keeps_last && !scored.reading.filled.is_empty()).then(|| state.filled(scored));
        let scored = filled.as_ref().unwrap_or(scored);
        let reading = &scored.reading;
        if keeps_last {
            state.last.remember(reading);
        }
        let calendars = self.policy.calendars(&reading.series, reading.at);
        self.judge_by(&calendars, hearing, state, scored, judgement);
    }

    /// Judges by the series' rules, where `calendars` are for the reading and `hearing` came of its arrival. It is here
    /// twice, as what few configurations want would else cost every reading.
    #[inline(always)]
    fn judge_by(
        &self,
        calendars: &[&Calendar],
        hearing: Option<&Hearing>,
        state: &mut SeriesState,
        scored: &Scored,
        judgement: &mut Judgement,
    ) {
        let reading = &scored.reading;
        state.remember(&reading.features);
        let rules = match self.fallback {
            Some(fallback) if !reading.series.is_of_rejects() => fallback,
            _ => self.policy.of(&reading.series),
        };
        if scored.score.is_some() {
            state.turn_to(&self.model, rules);
        }
        let mut case = Case { judge: self, rules, scored, calendars, hearing, place: 0 };
        let Judgement { findings, transitions } = judgement;
        if findings.len() != rules.iter().len() {
            findings.resize_with(rules.iter().len(), Found::default);
        }
        for (index, ready) in rules.iter().enumerate() {
            case.find(ready, state, &mut findings[index], transitions);
        }
    }
}

/// A reading to be judged.
struct Case<'c> {
    judge: &'c Judge<'c>,
    rules: &'c Rules,
    scored: &'c Scored,
    /// Those that are for its series and time.
    calendars: &'c [&'c Calendar],
    hearing: Option<&'c Hearing>,
    /// Where the next rule's memory is, if all before it are in the order of the rules.
    place: usize,
}

impl Case<'_> {
    /// What a rule finds is left in `found`, and the step that its alert takes, if it takes one, in `transitions`.
    #[inline(always)]
    fn find(
        &mut self,
        ready: &Ready,
        state: &mut SeriesState,
        found: &mut Found,
        transitions: &mut Vec<Transition>,
    ) {
        let Case { judge, scored, .. } = *self;
        let Ready { rule, name, judges, is_plain } = ready;
        let reading = &scored.reading;
        if rule.series.is_some() && !self.is_for(rule) {
            *found = Found::nothing(Nothing::OtherSeries, Standing::Idle { hold: rule.hold });
            return;
        }
        let place = self.place;
        self.place += 1;
        if !self.calendars.is_empty() && self.calendar(rule, Effect::Exclude).is_some() {
            let standing = state.watches.of(name, place).standing(rule, None);
            *found = Found::nothing(Nothing::Excluded, standing);
            return;
        }
        if let Some(no_data) = rule.no_data() {
            *found = self.heard(rule, no_data);
            return;
        }
        let number = judges.number(scored);
        let calibration = if judge.is_calibrated { self.calibration(rule) } else { None };
        let watch = state.watches.of(name, place);
        watch.judge(rule, reading.at, number, calibration, &mut found.finding);
        found.number = number;
        found.fallback = judge.fallback.is_some() && *judges == Judges::Score;
        if !reading.filled.is_empty() || !found.filled.is_empty() {
            found.filled = self.filled(*judges);
        }
        let is_normal = matches!(found.finding, Finding::Normal(_));
        match is_normal && *is_plain && watch.is_undisturbed() {
            true => found.stand_idle(rule.hold),
            false => self.go_on(ready, place, state, found, transitions),
        }
    }

    // What few readings need is kept out of the way of all others: its ingredients would be looked up for each.

    /// Moves the alert along.
    #[cold]
    #[inline(never)]
    fn go_on(
        &self,
        Ready { rule, name, .. }: &Ready,
        place: usize,
        state: &mut SeriesState,
        found: &mut Found,
        transitions: &mut Vec<Transition>,
    ) {
        let reading = &self.scored.reading;
        let calendar = self.calendar(rule, Effect::Hold);
        let watch = state.watches.of(name, place);
        let stepped =
            watch.take_in(Asked { rule, series: &reading.series, at: reading.at, calendar }, &found.finding);
        found.standing = watch.standing(rule, stepped.as_deref());
        if let Some(stepped) = stepped {
            let (features, model) = (&self.rules.features, self.judge.model.name());
            let transition = transition(features, state, rule, self.scored, *stepped, model);
            transitions.push(Transition { fallback: found.fallback, ..transition });
        }
    }

    #[cold]
    #[inline(never)]
    fn is_for(&self, rule: &Rule) -> bool {
        rule.is_for(self.scored.reading.series.as_str())
    }

    #[cold]
    #[inline(never)]
    fn heard(&self, rule: &Rule, no_data: &NoData) -> Found {
        let unheard = || Found::of_no_hearing(rule);
        self.hearing.map_or_else(unheard, |hearing| hearing.found(rule, no_data))
    }

    #[cold]
    #[inline(never)]
    fn calibration(&self, rule: &Rule) -> Option<&Calibration> {
        self.judge.policy.calibration(rule, self.judge.model.name())
    }

    #[cold]
    #[inline(never)]
    fn filled(&self, judges: Judges) -> Vec<FilledIn> {
        filled_in(&self.rules.features, &self.scored.reading, |index| judges.rests_on(index))
    }

    /// The calendar with this effect on what `rule` makes of the reading, by name.
    #[cold]
    #[inline(never)]
    fn calendar(&self, rule: &Rule, effect: Effect) -> Option<&str> {
        let mut of_rule = self.calendars.iter().filter(|calendar| calendar.is_for_rule(&rule.name));
        of_rule.find(|calendar| calendar.effect == effect).map(|calendar| calendar.name.as_str())
    }
}

fn transition(
    names: &[String],
    state: &SeriesState,
    rule: &Rule,
    scored: &Scored,
    Stepped { step, alert, margin, held, flapping, is_new_normal, was_held, seen }: Stepped,
    model: &str,
) -> Transition {
    let reading = &scored.reading;
    let (by, note, for_ms) = Acknowledgement::parts(seen);
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
        was_held,
        flapping,
        is_new_normal,
        by,
        note,
        for_ms,
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
