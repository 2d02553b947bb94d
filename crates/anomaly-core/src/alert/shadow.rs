//! The way back for a rule that learns only what is normal: a new level is learned beside the old one.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::{Learn, Rule};
use crate::rule::{Finding, Memory};
use crate::time::Timestamp;

/// A memory that began on the first reading the other one called anomalous, and learns everything since.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shadow {
    #[serde(with = "whole")]
    memory: Memory,
    /// How many readings in a row it has called normal.
    normal: u32,
}

/// What came of a number for a rule that learns only what is normal.
pub(super) struct Learned {
    pub(super) finding: Finding,
    /// Whether what was learned beside it took the memory's place.
    pub(super) is_new_normal: bool,
}

/// Judges `number` by `memory`, which learns it unless it is anomalous. Then it is learned beside it, as is all that
/// comes, until the readings are normal again (`shadow` is dropped by the caller) or have looked normal to what was
/// learned beside for as many readings as the rule says.
pub(super) fn judge(
    memory: &mut Memory,
    shadow: &mut Option<Box<Shadow>>,
    rule: &Rule,
    at: Timestamp,
    number: f64,
) -> Learned {
    let before = memory.clone();
    let finding = memory.judge(rule, at, number);
    let is_anomalous = matches!(finding, Finding::Anomalous(..));
    if is_anomalous {
        *memory = before;
        shadow.get_or_insert_default();
    }
    let accepted = shadow.as_mut().and_then(|shadow| shadow.learn(rule, at, number));
    let Some(of_new) = accepted else { return Learned { finding, is_new_normal: false } };
    *memory = shadow.take().map(|shadow| shadow.memory).unwrap_or_default();
    Learned { finding: of_new, is_new_normal: true }
}

/// Whether `rule` learns so.
pub(super) fn is_wanted(rule: &Rule) -> bool {
    rule.learn == Learn::Normal
}

impl Shadow {
    /// Learns `number`. Gives back what it says of it once that is to be believed.
    fn learn(&mut self, rule: &Rule, at: Timestamp, number: f64) -> Option<Finding> {
        let finding = self.memory.judge(rule, at, number);
        self.normal = match finding {
            Finding::Normal(_) | Finding::Ignored(_) => self.normal + 1,
            Finding::Anomalous(..) => 0,
            Finding::WarmingUp { .. } | Finding::Unjudged(_) => self.normal,
        };
        (self.normal >= rule.accept).then_some(finding)
    }
}

/// A memory with what the state keeps elsewhere.
mod whole {
    use super::{Deserialize, Deserializer, Memory, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(memory: &Memory, serializer: S) -> Result<S::Ok, S::Error> {
        (memory, &memory.kept).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Memory, D::Error> {
        let (mut memory, kept) = <(Memory, _)>::deserialize(deserializer)?;
        memory.kept = kept;
        Ok(memory)
    }
}
