//! What decides whether a step of an alert is taken and told, besides the readings themselves.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::shadow::Shadow;
use super::{Acknowledgement, AlertId, Held, Noted, Open};
use crate::config::{Flapping, Rule, Severity, Span};
use crate::rule::Margin;
use crate::time::Timestamp;

/// When: by the readings' times, and by their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Moment {
    at: Timestamp,
    reading: u64,
}

/// The strangest there was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Worst {
    pub(super) severity: Severity,
    pub(super) peak: Margin,
    pub(super) peak_at: Timestamp,
}

/// What people were told last of a rule and series; that an alert is over does not count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Told {
    alert: AlertId,
    when: Moment,
    severity: Severity,
    excess: f64,
}

/// What people know of the alert that is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Known {
    /// All of it.
    #[default]
    All,
    /// Not its last step.
    Some,
    /// Nothing.
    Nothing,
}

/// What a [`super::Watch`] keeps for this. Rules that ask for nothing of it keep nothing, as long as all is well.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Life {
    /// Findings so far, where the rule counts readings.
    readings: u64,
    /// Of an episode that has not fired yet.
    worst: Option<Worst>,
    told: Option<Told>,
    /// When alerts fired, where the rule minds.
    fired: VecDeque<Moment>,
    /// When the open alert, which flaps, was last not calm.
    restless: Option<Moment>,
    known: Known,
    /// Whether somebody has acknowledged the open alert.
    acknowledged: bool,
    /// What was said of it, if more than who; the state encodes it behind the rest, and only then.
    #[serde(skip)]
    noted: Option<Box<Noted>>,
    /// What is learned beside the rule's memory.
    pub(super) shadow: Option<Box<Shadow>>,
    /// Whether a new level was taken as normal during the open alert.
    pub(super) is_new_normal: bool,
}

/// What there is to say of an alert's end.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Why nobody is told, if nobody is.
    pub(super) held: Option<Held>,
    /// Whether a new level became normal.
    pub(super) is_new_normal: bool,
    /// Who had seen it, and said more than that.
    pub(super) seen: Option<Box<Acknowledgement>>,
}

impl Moment {
    /// Whether `span` lies between `self` and `now`.
    fn is_past(self, span: Span, now: Moment) -> bool {
        match span {
            Span::Readings(count) => now.reading.saturating_sub(self.reading) >= u64::from(count),
            Span::Time(time) => {
                u128::try_from(now.at.ms_since(self.at)).is_ok_and(|ms| ms >= time.as_millis())
            }
        }
    }
}

impl Worst {
    /// The stranger one of both in everything; of two that are equally strange the first.
    fn or(self, other: Worst) -> Worst {
        let peak = if other.peak.excess > self.peak.excess { other } else { self };
        Worst { severity: self.severity.max(other.severity), ..peak }
    }
}

impl Life {
    /// Counts a reading.
    pub(super) fn count(&mut self) {
        self.readings = self.readings.saturating_add(1);
    }

    /// The moment of the reading that was counted last, which is of the time `at`.
    fn now(&self, at: Timestamp) -> Moment {
        Moment { at, reading: self.readings }
    }

    /// A reading is anomalous that no alert takes in yet.
    pub(super) fn pend(&mut self, worst: Worst) {
        self.worst = Some(self.end_pending(worst));
    }

    /// The strangest of an episode that ends with `last`, because an alert takes it in.
    pub(super) fn end_pending(&mut self, last: Worst) -> Worst {
        self.worst.take().map_or(last, |before| before.or(last))
    }

    /// Nothing strange is in sight any more, and no alert is open.
    pub(super) fn end_episode(&mut self) {
        (self.worst, self.shadow) = (None, None);
    }

    /// An alert fires. Gives back whether it has fired so often lately that it is `flapping`.
    pub(super) fn fire(&mut self, flapping: &Flapping, at: Timestamp) -> bool {
        let (now, times) = (self.now(at), flapping.times as usize);
        self.fired.push_back(now);
        while self.fired.len() > times {
            self.fired.pop_front();
        }
        let first = self.fired.front().filter(|_| self.fired.len() == times);
        let flaps = first.is_some_and(|first| !first.is_past(flapping.within, now));
        self.restless = flaps.then_some(now);
        flaps
    }

    /// A reading is not calm while an alert is open. If that is worse than the alert was: whoever acknowledged it did
    /// not know.
    pub(super) fn go_on(&mut self, at: Timestamp, is_worse: bool) {
        let now = self.now(at);
        self.restless = self.restless.map(|_| now);
        self.acknowledged &= !is_worse;
        if let Some(noted) = &mut self.noted {
            noted.begin(at);
        }
    }

    /// Whether the open alert flaps.
    pub(super) fn is_flapping(&self) -> bool {
        self.restless.is_some()
    }

    /// Whether the open alert, which is calm as far as its readings go, flaps too much to be over.
    pub(super) fn flaps_on(&self, rule: &Rule, at: Timestamp) -> bool {
        let within = rule.flapping.map(|flapping| flapping.within);
        self.restless.zip(within).is_some_and(|(last, within)| !last.is_past(within, self.now(at)))
    }

    /// Why people are not to be told of `open` now.
    pub(super) fn holds(
        &self,
        rule: &Rule,
        open: &Open,
        at: Timestamp,
        calendar: Option<&str>,
    ) -> Option<Held> {
        if let Some(name) = calendar {
            return Some(Held::Calendar { name: name.to_owned() });
        }
        let (quiet, told) = rule.quiet.zip(self.told.as_ref())?;
        let is_worse = open.severity > told.severity || open.peak.excess >= quiet.worse * told.excess;
        let holds = told.alert != open.id && !is_worse && !told.when.is_past(quiet.span, self.now(at));
        holds.then(|| Held::Quiet { after: told.alert.clone(), told_at: told.when.at })
    }

    /// A step of `open` other than its end is taken, and told unless it is `held`.
    pub(super) fn tell(&mut self, rule: &Rule, open: &Open, at: Timestamp, held: Option<&Held>) {
        self.known = match (held, self.known) {
            (None, _) => Known::All,
            (Some(_), Known::Nothing) => Known::Nothing,
            (Some(_), _) if open.step_number == 1 => Known::Nothing,
            (Some(_), _) => Known::Some,
        };
        if held.is_none() && (rule.quiet.is_some() || rule.repeat.is_some()) {
            let (alert, severity, excess) = (open.id.clone(), open.severity, open.peak.excess);
            self.told = Some(Told { alert, when: self.now(at), severity, excess });
        }
    }

    /// Whether people do not know of the last step of the open alert.
    pub(super) fn holds_something(&self) -> bool {
        self.known != Known::All
    }

    /// Whether people are to be told of `open` again on a reading that changes nothing: they have not heard its last
    /// step and nothing holds it any more, or it is time for a reminder.
    pub(super) fn is_to_repeat(
        &self,
        rule: &Rule,
        open: &Open,
        at: Timestamp,
        calendar: Option<&str>,
    ) -> bool {
        if self.holds_something() {
            return self.holds(rule, open, at, calendar).is_none();
        }
        if self.has_lapsed(at) {
            return calendar.is_none();
        }
        let told = self.told.as_ref().filter(|told| told.alert == open.id && !self.acknowledged);
        let repeat = rule.repeat.filter(|_| calendar.is_none()).map(Span::Time);
        told.zip(repeat).is_some_and(|(told, repeat)| told.when.is_past(repeat, self.now(at)))
    }

    /// Somebody has seen the open alert, and is to be reminded no more.
    pub(super) fn acknowledge(&mut self, said: &Acknowledgement) {
        self.acknowledged = true;
        self.noted = said.says_more().then(|| Box::new(Noted::new(said.clone())));
    }

    /// Whether the time is over for which the open alert was acknowledged.
    fn has_lapsed(&self, at: Timestamp) -> bool {
        self.acknowledged && self.noted.as_ref().is_some_and(|noted| noted.is_past(at))
    }

    /// The open alert is told again at `at`. Gives back what was said when it was acknowledged, if that is over.
    pub(super) fn lapse(&mut self, at: Timestamp) -> Option<Box<Acknowledgement>> {
        self.acknowledged &= !self.has_lapsed(at);
        if self.acknowledged { None } else { self.forget_noted() }
    }

    fn forget_noted(&mut self) -> Option<Box<Acknowledgement>> {
        self.noted.take().map(|noted| Box::new(noted.into_said()))
    }

    /// What was said when the open alert was acknowledged, if more than who.
    pub(super) fn said(&self) -> Option<&Acknowledgement> {
        self.noted.as_ref().map(|noted| noted.said())
    }

    /// What is encoded behind the rest; mostly nothing.
    pub(super) fn noted(&self) -> Option<&Noted> {
        self.noted.as_deref()
    }

    /// Takes back what [`Life::noted`] gave.
    pub(super) fn set_noted(&mut self, noted: Box<Noted>) {
        self.noted = Some(noted);
    }

    /// Whether somebody has.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// The open alert is over.
    pub(super) fn resolve(&mut self) -> Ended {
        if self.restless.take().is_some() {
            self.fired.clear();
        }
        self.acknowledged = false;
        let held = (std::mem::take(&mut self.known) == Known::Nothing).then_some(Held::Untold);
        Ended { held, is_new_normal: std::mem::take(&mut self.is_new_normal), seen: self.forget_noted() }
    }
}
