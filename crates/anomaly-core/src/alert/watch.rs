//! What a rule remembers of a series.

mod standing;
mod steps;

use serde::{Deserialize, Serialize};

pub use standing::Standing;

use super::{Acknowledgement, AlertId, Held, Life, Noted, Open, Step, shadow};
use crate::calibration::Calibration;
use crate::config::{Flapping, Missing, Rule};
use crate::reading::SeriesId;
use crate::rule::{self, Finding, Kept, Margin, Memory, Nothing};
use crate::time::Timestamp;

/// What a rule remembers of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    memory: Memory,
    /// The last findings, one bit each: anomalous.
    strange: u64,
    /// The findings since the alert fired, one bit each: calm.
    calm: u64,
    since: Option<Timestamp>,
    open: Option<Box<Open>>,
    previous: Option<AlertId>,
    /// Which of the last readings were there, and the time of the last one; only where the rule minds missing ones.
    /// The state encodes them behind the rest, and only then.
    #[serde(skip)]
    there: u64,
    #[serde(skip)]
    last: Option<Timestamp>,
    /// What an alert's life takes besides; encoded behind the rest, and only then.
    #[serde(skip)]
    life: Option<Box<Life>>,
}

/// What a [`Watch`] has that the first versions of a state did not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Extra {
    kept: Option<Box<Kept>>,
    there: u64,
    last: Option<Timestamp>,
}

/// A step an alert just took, with the alert as it stands after it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stepped {
    pub(crate) step: Step,
    pub(crate) alert: Open,
    pub(crate) margin: Margin,
    /// Why nobody is told.
    pub(crate) held: Option<Held>,
    /// What is called flapping, where it flaps.
    pub(crate) flapping: Option<Flapping>,
    /// Whether a new level was taken as normal.
    pub(crate) is_new_normal: bool,
    /// Whether it tells what was held back before.
    pub(crate) was_held: bool,
    /// Who had seen it and said more than that, where that ends with the step.
    pub(crate) seen: Option<Box<Acknowledgement>>,
}

/// What a rule is asked about a reading.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) series: &'a SeriesId,
    /// The reading's time.
    pub(crate) at: Timestamp,
    /// The calendar that holds what is told.
    pub(crate) calendar: Option<&'a str>,
}

/// Whether a normal reading is nothing to `rule` where nothing is in sight: it counts none, misses none, and learns
/// nothing beside.
pub(crate) fn is_plain(rule: &Rule) -> bool {
    rule.missing == Missing::Skip && !rule.counts_readings() && !shadow::is_wanted(rule)
}

impl Watch {
    /// Judges `number`, which is of the time `at`, and leaves in `finding` what is found. `calibration` is that of the
    /// model whose score it is, where there is one.
    #[inline(always)]
    pub(crate) fn judge(
        &mut self,
        rule: &Rule,
        at: Timestamp,
        number: Option<f64>,
        calibration: Option<&Calibration>,
        finding: &mut Finding,
    ) {
        let Some(number) = number else {
            *finding = Finding::Unjudged(Nothing::Absent);
            return;
        };
        match calibration.and_then(|known| rule::calibrated(known, rule, number)) {
            Some(by_model) => *finding = by_model,
            None if shadow::is_wanted(rule) => *finding = self.judge_beside(rule, at, number),
            None => self.memory.judge_into(rule, at, number, finding),
        }
    }

    /// Whether nothing is in sight: then nothing comes of a normal reading where the rule is [`is_plain`].
    #[inline(always)]
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.is_at_rest() && self.since.is_none() && self.life.is_none()
    }

    /// Moves the alert along after a finding. At most one step a reading.
    pub(crate) fn take_in(&mut self, asked: Asked<'_>, finding: &Finding) -> Option<Box<Stepped>> {
        let rule = asked.rule;
        if rule.counts_readings() {
            self.life_mut().count();
        }
        let stepped = match finding {
            Finding::Anomalous(margin, severity) => self.strange(asked, *margin, *severity),
            Finding::Normal(margin) => self.normal(asked, margin, margin.excess < rule.clear.below),
            Finding::Ignored(margin) => self.normal(asked, margin, true),
            Finding::Unjudged(Nothing::Absent | Nothing::EngineBlind) => self.missing(asked),
            Finding::WarmingUp { .. } | Finding::Unjudged(_) => None,
        };
        if self.life.is_some() {
            self.tidy();
        }
        stepped
    }

    #[inline(never)]
    fn judge_beside(&mut self, rule: &Rule, at: Timestamp, number: f64) -> Finding {
        let life = self.life.get_or_insert_default();
        let learned = shadow::judge(&mut self.memory, &mut life.shadow, rule, at, number);
        life.is_new_normal |= learned.is_new_normal && self.open.is_some();
        learned.finding
    }

    /// Keeps nothing that the next reading does not need.
    fn tidy(&mut self) {
        let is_calm = self.is_at_rest();
        if let Some(life) = self.life.as_deref_mut().filter(|_| is_calm) {
            life.end_episode();
        }
        self.life = self.life.take().filter(|life| **life != Life::default());
    }

    fn life_mut(&mut self) -> &mut Life {
        self.life.get_or_insert_default()
    }

    /// Knows what `other` learned of the series' numbers, and keeps what it last saw itself.
    pub(crate) fn learn_from(&mut self, other: &Watch) {
        self.memory = other.memory.clone();
    }

    /// Goes on with `memory`, and gives back the one it had.
    pub(crate) fn swap_memory(&mut self, memory: Memory) -> Memory {
        // What is learned beside it is of the other's numbers.
        if let Some(life) = &mut self.life {
            life.shadow = None;
        }
        std::mem::replace(&mut self.memory, memory)
    }

    /// Whether nothing of what was judged last matters to what comes: no alert, and nothing strange in sight.
    pub fn is_at_rest(&self) -> bool {
        self.open.is_none() && self.strange == 0
    }

    /// The alert that is firing, if one is.
    pub fn open(&self) -> Option<&Open> {
        self.open.as_deref()
    }

    /// Somebody has seen the alert `id`. Gives back the number of that step; `None` if it is not open.
    pub(crate) fn acknowledge(&mut self, id: &AlertId, said: &Acknowledgement) -> Option<u32> {
        let open = self.open.as_deref_mut().filter(|open| open.id == *id)?;
        open.step_number += 1;
        let number = open.step_number;
        self.life_mut().acknowledge(said);
        Some(number)
    }

    /// Whether somebody has seen the alert that is firing.
    pub fn is_acknowledged(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.is_acknowledged())
    }

    /// Whether `said` is no news of the alert that is firing: somebody has seen it, and this says no more than that, or
    /// what was said before.
    pub fn knows(&self, said: &Acknowledgement) -> bool {
        let before = self.life.as_ref().and_then(|life| life.said());
        self.is_acknowledged() && (!said.says_more() || before == Some(said))
    }

    /// What is encoded behind the rest; the default if there is nothing.
    pub(crate) fn extra(&self) -> Extra {
        Extra { kept: self.memory.kept.clone(), there: self.there, last: self.last }
    }

    /// Whether there is something to be encoded behind the rest.
    pub(crate) fn has_extra(&self) -> bool {
        self.memory.kept.is_some() || self.there != 0 || self.last.is_some()
    }

    /// Takes back what [`Watch::extra`] gave.
    pub(crate) fn set_extra(&mut self, extra: Extra) {
        (self.memory.kept, self.there, self.last) = (extra.kept, extra.there, extra.last);
    }

    /// What is encoded behind the extras; mostly nothing.
    pub(crate) fn life(&self) -> Option<&Life> {
        self.life.as_deref()
    }

    /// What is encoded behind the lives; mostly nothing.
    pub(crate) fn noted(&self) -> Option<&Noted> {
        self.life.as_ref().and_then(|life| life.noted())
    }

    /// Takes back what [`Watch::noted`] gave.
    pub(crate) fn set_noted(&mut self, noted: Box<Noted>) {
        self.life_mut().set_noted(noted);
    }

    /// Takes back what [`Watch::life`] gave.
    pub(crate) fn set_life(&mut self, life: Option<Box<Life>>) {
        self.life = life;
    }
}

#[cfg(test)]
mod tests;
