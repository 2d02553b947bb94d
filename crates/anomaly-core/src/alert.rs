//! An alert's life: from the reading that fires it to the one that resolves it.

mod acknowledgement;
mod held;
mod id;
mod life;
mod shadow;
mod watch;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use acknowledgement::Noted;
pub use acknowledgement::{Acknowledgement, NOTE_CHARS_MAX};
pub use held::Held;
pub use id::AlertId;
pub(crate) use life::Life;
pub(crate) use watch::{Asked, Extra, Stepped, is_plain};
pub use watch::{Standing, Watch};

use crate::config::{Flapping, Severity};
use crate::reading::{Filling, Gap, SeriesId};
use crate::rule::{Basis, Margin};
use crate::time::Timestamp;

/// One step of an alert's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// It began.
    Fired,
    /// It is over.
    Resolved,
    /// It reached a higher severity.
    Escalated,
    /// It goes on, and is told again: as a reminder, or because what held it before does so no more.
    Repeated,
    /// It began, as it did so often lately that it is held open until it has been calm for long.
    Flapping,
    /// Somebody has seen it: no reminders, unless it gets worse.
    Acknowledged,
}

impl Step {
    /// The step in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Fired => "fired",
            Step::Resolved => "resolved",
            Step::Escalated => "escalated",
            Step::Repeated => "repeated",
            Step::Flapping => "flapping",
            Step::Acknowledged => "acknowledged",
        }
    }

    /// Whether it is the first of an alert.
    pub fn is_first(self) -> bool {
        matches!(self, Step::Fired | Step::Flapping)
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
    /// Whether the score is by the streaming detector, because the endpoint gave none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fallback: bool,
    /// The features that the reading's record did not give; the first [`crate::classify::FEATURES_KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filled: Vec<FilledIn>,
    /// Why nobody is told of this step; absent where people are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Of [`Step::Repeated`]: whether it is because people were not told of the step before, as a quiet time or a
    /// calendar held it; else it is a reminder.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_held: bool,
    /// Of [`Step::Flapping`]: how often it fired, and within what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping: Option<Flapping>,
    /// Of [`Step::Resolved`]: whether the rule took a new level as normal meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_new_normal: bool,
    /// Of [`Step::Acknowledged`]: who did. Of a later step, which an acknowledgement ends with that said more than
    /// who: who did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What they say of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// For how long it was to be acknowledged, in milliseconds; absent: until it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
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
    /// Its last values, oldest first, this one last; empty where they are not kept.
    pub recent: Vec<f32>,
    /// What its value was to be, by the detector that gave the score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
    /// How much of the score comes from it, 0 to 1, by the detector that gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// Where a score comes from, by the detector that gave it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attribution {
    /// What each feature's value was to be, in its own unit; empty from a detector that does not tell.
    pub expected: Vec<f64>,
    /// How much of the score comes from each feature: 0 to 1, together 1; empty from a detector that does not tell.
    pub shares: Vec<f64>,
}

impl Transition {
    /// Whether it is of a silence: no reading fired it.
    pub fn is_of_silence(&self) -> bool {
        matches!(self.margin.basis, Basis::Silence { .. })
    }

    /// Whether it is of a silence and no reading made it: that one fell silent, or has been for so long that it is worse.
    pub fn is_by_silence(&self) -> bool {
        self.is_of_silence() && matches!(self.step, Step::Fired | Step::Escalated)
    }

    /// How long the alert has lasted, from the first anomalous reading to this step, in milliseconds.
    pub fn lasted_ms(&self) -> i64 {
        self.at.ms_since(self.since)
    }

    /// Who has seen the alert, and what they say: of [`Step::Acknowledged`], and of what ends it.
    pub fn acknowledgement(&self) -> Option<Acknowledgement> {
        let by =
            self.by.clone().or_else(|| (self.step == Step::Acknowledged).then(|| "somebody".to_owned()))?;
        Some(Acknowledgement { by, note: self.note.clone(), for_ms: self.for_ms })
    }

    /// How things stand on the reading that made it.
    pub(crate) fn standing(&self) -> Standing {
        Standing::Took { step: self.step, held: self.held.clone().map(Box::new) }
    }

    /// Whether it tells people that something is wrong: not that it is over or was seen, and not one that is held.
    pub fn is_alarm(&self) -> bool {
        self.held.is_none() && !matches!(self.step, Step::Resolved | Step::Acknowledged)
    }
}
