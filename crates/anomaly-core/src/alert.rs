//! An alert's life: from the reading that fires it to the one that resolves it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::config::{Rule, Severity};
use crate::hash::fingerprint;
use crate::reading::{Filling, Gap, SeriesId};
use crate::rule::{self, Finding, Margin, Memory};
use crate::time::Timestamp;

/// The stable name of an alert: the same for the same reading, on a laptop and in the cloud, however often
/// it is worked through.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(String);

/// The most alerts of one series, rule and time that have names of their own: as many as readings that wait for
/// each other and may be moved to one time.
const SAME_TIME_MAX: usize = 1_000;

impl AlertId {
    /// The hash of series, rule and the event time of the reading that opened the alert, as 16 hexadecimal
    /// digits. `previous` is the alert before it: where readings carry the same time, their alerts must still
    /// differ, so the id is hashed once more for each that came before, up to [`SAME_TIME_MAX`].
    fn new(series: &SeriesId, rule: &str, opened_at: Timestamp, previous: Option<&AlertId>) -> Self {
        let at = opened_at.as_ms().to_le_bytes();
        let id = AlertId(fingerprint(&[series.as_str().as_bytes(), rule.as_bytes(), &at], 8));
        let again = |id: &AlertId| Some(AlertId(fingerprint(&[id.0.as_bytes()], 8)));
        let mut of_this_time = std::iter::successors(Some(id.clone()), again).take(SAME_TIME_MAX);
        let is_there = previous.is_some_and(|previous| of_this_time.any(|other| other == *previous));
        if is_there { previous.and_then(again).unwrap_or(id) } else { id }
    }

    /// The 16 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One step of an alert's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// It began.
    Fired,
    /// It is over.
    Resolved,
}

impl Step {
    /// The step in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Fired => "fired",
            Step::Resolved => "resolved",
        }
    }
}

/// An alert that is firing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// Its name.
    pub id: AlertId,
    /// The number of its last step, counting from 1.
    pub step_number: u32,
    /// When the first anomalous reading of this episode was taken.
    pub since: Timestamp,
    /// The time of the reading on which it fired.
    pub fired_at: Timestamp,
    /// The highest severity reached.
    pub severity: Severity,
    /// The strangest reading.
    pub peak: Margin,
    /// Its time.
    pub peak_at: Timestamp,
    /// How many readings were anomalous.
    pub anomalous: u32,
}

/// What a rule remembers of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    memory: Memory,
    /// The last findings, one bit each: anomalous.
    strange: u64,
    /// The findings since the alert fired, one bit each: calm.
    calm: u64,
    since: Option<Timestamp>,
    open: Option<Open>,
    previous: Option<AlertId>,
}

/// A step an alert just took, with the alert as it stands after it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stepped {
    pub(crate) step: Step,
    pub(crate) alert: Open,
    pub(crate) margin: Margin,
}

impl Watch {
    /// Judges `number` and moves the alert along. At most one step a reading. `calibration` is that of the model
    /// whose score `number` is, where there is one.
    pub(crate) fn observe(
        &mut self,
        rule: &Rule,
        series: &SeriesId,
        at: Timestamp,
        number: Option<f64>,
        calibration: Option<&Calibration>,
    ) -> (Finding, Option<Stepped>) {
        let Some(number) = number else { return (Finding::Unjudged, None) };
        let known = calibration.and_then(|c| rule::calibrated(c, rule.method, &rule.severity, number));
        let finding = known.unwrap_or_else(|| self.memory.judge(rule.method, &rule.severity, number));
        let stepped = match finding {
            Finding::Anomalous(margin, severity) => self.strange(rule, series, at, margin, severity),
            Finding::Normal(margin) => self.normal(rule, at, margin),
            Finding::WarmingUp { .. } | Finding::Unjudged => None,
        };
        (finding, stepped)
    }

    /// Knows what `other` learned of the series' numbers, and keeps what it last saw itself.
    pub(crate) fn learn_from(&mut self, other: &Watch) {
        self.memory = other.memory;
    }

    /// Goes on with `memory`, and gives back the one it had.
    pub(crate) fn swap_memory(&mut self, memory: Memory) -> Memory {
        std::mem::replace(&mut self.memory, memory)
    }

    /// Whether nothing of what was judged last matters to what comes: no alert, and nothing strange in sight.
    pub fn is_at_rest(&self) -> bool {
        self.open.is_none() && self.strange == 0
    }

    /// The alert that is firing, if one is.
    pub fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    fn strange(
        &mut self,
        rule: &Rule,
        series: &SeriesId,
        at: Timestamp,
        margin: Margin,
        severity: Severity,
    ) -> Option<Stepped> {
        let since = *self.since.get_or_insert(at);
        let enough = rule.hold.push(&mut self.strange, true);
        if let Some(open) = &mut self.open {
            rule.clear.hold.push(&mut self.calm, false);
            open.grow(at, margin, severity);
            return None;
        }
        if !enough {
            return None;
        }
        let alert = Open {
            id: AlertId::new(series, &rule.name, at, self.previous.as_ref()),
            step_number: 1,
            since,
            fired_at: at,
            severity,
            peak: margin,
            peak_at: at,
            anomalous: self.strange.count_ones(),
        };
        self.calm = 0;
        self.previous = Some(alert.id.clone());
        self.open = Some(alert.clone());
        Some(Stepped { step: Step::Fired, alert, margin })
    }

    fn normal(&mut self, rule: &Rule, _at: Timestamp, margin: Margin) -> Option<Stepped> {
        rule.hold.push(&mut self.strange, false);
        if self.open.is_none() {
            self.since = self.since.filter(|_| self.strange != 0);
            return None;
        }
        if !rule.clear.hold.push(&mut self.calm, margin.excess < rule.clear.below) {
            return None;
        }
        let mut alert = self.open.take()?;
        alert.step_number += 1;
        (self.strange, self.since) = (0, None);
        Some(Stepped { step: Step::Resolved, alert, margin })
    }
}

impl Open {
    fn grow(&mut self, at: Timestamp, margin: Margin, severity: Severity) {
        self.anomalous = self.anomalous.saturating_add(1);
        self.severity = self.severity.max(severity);
        if margin.excess > self.peak.excess {
            (self.peak, self.peak_at) = (margin, at);
        }
    }
}

/// A transition: one step of an alert, with all that a message needs to be acted on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The alert.
    pub alert: AlertId,
    /// The step's number within the alert, counting from 1: with `alert` it names the transition.
    pub number: u32,
    /// The step.
    pub step: Step,
    /// Whose readings they are.
    pub series: SeriesId,
    /// The rule.
    pub rule: String,
    /// What the rule judges: `score`, `value` or a feature's name.
    pub on: String,
    /// The highest severity so far.
    pub severity: Severity,
    /// The event time of the reading that made the step.
    pub at: Timestamp,
    /// The event time of the episode's first anomalous reading.
    pub since: Timestamp,
    /// The event time of the reading on which the alert fired.
    pub fired_at: Timestamp,
    /// The number judged and its threshold, at this step.
    pub margin: Margin,
    /// The strangest number so far and its threshold.
    pub peak: Margin,
    /// When that was.
    pub peak_at: Timestamp,
    /// Anomalous readings so far.
    pub anomalous: u32,
    /// The first features, with their last readings; [`crate::classify::FEATURES_KEPT`] at most.
    pub features: Vec<Feature>,
    /// How many features the reading has in all.
    pub width: u32,
    /// What gave the score.
    pub model: String,
    /// How long after its arrival the reading that made the step was judged, in milliseconds, where it came so
    /// late that newer ones had been judged before it; absent where it did not. See [`crate::seen::Seen`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_ms: Option<i64>,
    /// The features that the reading's record did not give; the first [`crate::classify::FEATURES_KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filled: Vec<FilledIn>,
}

/// A feature that a record did not give, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilledIn {
    /// The feature.
    pub name: String,
    /// What was wrong.
    pub gap: Gap,
    /// What stands in its place.
    pub with: Filling,
}

impl fmt::Display for FilledIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instead = match self.with {
            Filling::Constant => "the constant set for that stands for it",
            Filling::Previous => "its previous value stands for it",
            Filling::Unknown => "it had no value before, and is not judged",
        };
        write!(f, "{} was {}: {instead}", self.name, self.gap.as_str())
    }
}

/// A feature as a message shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Its value in this reading.
    pub value: f64,
    /// Its last values, oldest first, this one last.
    pub recent: Vec<f32>,
}

impl Transition {
    /// How long the alert has lasted, from the first anomalous reading to this step, in milliseconds.
    pub fn lasted_ms(&self) -> i64 {
        self.at.ms_since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Clear, MOfN, Method};

    /// One letter a reading: what happened on it.
    fn run(rule: &Rule, numbers: &[f64]) -> (String, Vec<Stepped>) {
        let series = SeriesId::new("s").expect("a name");
        let (mut watch, mut steps) = (Watch::default(), Vec::new());
        let story = numbers.iter().zip(0..).map(|(number, i)| {
            let at = Timestamp::from_ms(i * 1000).expect("in range");
            let (finding, stepped) = watch.observe(rule, &series, at, Some(*number), None);
            steps.extend(stepped.clone());
            match (stepped.map(|s| s.step), finding) {
                (Some(Step::Fired), _) => 'F',
                (Some(Step::Resolved), _) => 'R',
                (None, Finding::Anomalous(..)) => 'x',
                (None, _) => '.',
            }
        });
        (story.collect(), steps)
    }

    fn rule(hold: (u32, u32), below: f64, clear: (u32, u32)) -> Rule {
        let m_of_n = |(m, n)| MOfN::new(m, n).expect("valid");
        Rule {
            method: Method::Static { threshold: 10.0 },
            hold: m_of_n(hold),
            clear: Clear { below, hold: m_of_n(clear) },
            ..Rule::default()
        }
    }

    fn numbers(text: &str) -> Vec<f64> {
        text.chars().map(|c| f64::from(c.to_digit(36).unwrap_or(0))).collect()
    }

    #[test]
    fn fires_once_and_resolves_once() {
        // Digits are readings, in base 36: `b` is 11, over the threshold of 10.
        let story = |rule: &Rule, text: &str| run(rule, &numbers(text)).0;
        assert_eq!(story(&rule((1, 1), 1.0, (1, 1)), "1b1b1"), ".FRFR");
        assert_eq!(story(&rule((2, 3), 1.0, (2, 2)), "1b1b1b111b1"), ".x.F.x.R.x.");
        assert_eq!(story(&rule((3, 3), 1.0, (1, 1)), "bbbbb1bb1"), "xxFxxRxx.");
        assert_eq!(story(&rule((1, 1), 0.8, (2, 2)), "b9a98b7711"), "F....x.R..", "8 of 10 is not below 0.8");
    }

    #[test]
    fn a_resolved_alert_tells_its_story() {
        let (_, steps) = run(&rule((2, 3), 1.0, (2, 2)), &numbers("1bzc11"));
        let resolved = &steps[1].alert;
        assert_eq!(steps[0].alert.id, resolved.id);
        assert_eq!((resolved.step_number, resolved.anomalous), (2, 3));
        assert_eq!(
            (resolved.since.as_ms(), resolved.fired_at.as_ms(), resolved.peak_at.as_ms()),
            (1000, 2000, 2000)
        );
        assert_eq!((resolved.peak.judged, resolved.severity), (35.0, Severity::Critical));
    }

    #[test]
    fn ids_are_stable_and_differ_on_a_repeated_time() {
        let (_, steps) = run(&rule((1, 1), 1.0, (1, 1)), &numbers("b1b1"));
        // Computed once, and the contract since: a changed hash would send every open alert again.
        assert_eq!(steps[0].alert.id.as_str(), "3cf065d87952f921");
        assert_ne!(steps[0].alert.id, steps[2].alert.id);
        let series = SeriesId::new("s").expect("a name");
        let first = AlertId::new(&series, "r", Timestamp::default(), None);
        let next = |id: &AlertId| Some(AlertId::new(&series, "r", Timestamp::default(), Some(id)));
        let ids: std::collections::BTreeSet<_> = std::iter::successors(Some(first), next).take(500).collect();
        assert_eq!(ids.len(), 500, "all of them, however many came before");
    }
}
