//! From a scored reading to findings and transitions: the one place where the state of a series changes.

mod attribution;
mod judge;
mod policy;
pub mod silence;
mod state;
mod watches;

use std::fmt;

pub use judge::Judge;
pub use policy::Policy;
pub use state::{FEATURES_KEPT, LATE_GAP_MS_MAX, RECENT_KEPT, SeriesState, StateError};

use crate::alert::{FilledIn, Standing, Transition};
use crate::config::{MOfN, On, Rule};
use crate::reading::Scored;
use crate::rule::{Finding, Nothing};

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

    /// No alert, and nothing in sight; as it mostly was on the reading before.
    #[inline(always)]
    fn stand_idle(&mut self, hold: MOfN) {
        if !matches!(self.standing, Standing::Idle { hold: before } if before == hold) {
            self.standing = Standing::Idle { hold };
        }
    }
}

impl Default for Found {
    fn default() -> Self {
        Found::nothing(Nothing::Absent, Standing::Idle { hold: MOfN::default() })
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

/// Takes notice of `scored` and judges it by every rule: [`Judge::classify`], where there is but one to be judged.
///
/// Who may have seen it asks [`SeriesState::has_seen`] first; a reading judged twice counts twice.
/// `model` is what gave the score, for the message.
pub fn classify(policy: &Policy, state: &mut SeriesState, scored: &Scored, model: &str) -> Judgement {
    let mut judgement = Judgement::default();
    state.see(&scored.reading.position);
    Judge::new(policy, model).classify(state, scored, &mut judgement);
    judgement
}

/// The same for a reading that was released: [`Judge::judge`].
pub fn judge(policy: &Policy, state: &mut SeriesState, scored: &Scored, model: &str) -> Judgement {
    let mut judgement = Judgement::default();
    Judge::new(policy, model).judge(state, scored, &mut judgement);
    judgement
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

#[cfg(test)]
mod tests;
