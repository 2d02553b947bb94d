//! `[rejects]`: when the share of records that cannot be read is an alert.

use serde::{Deserialize, Serialize};

use super::keys::Known;
use super::{Band, Clear, MOfN, Method, On, Rule, Severity};

/// The section's keys.
pub(super) const KEYS: &[(&str, Known)] =
    &[("share", Known::Value), ("for", Known::Value), ("clear", Known::Table(super::rule::CLEAR))];

/// `[rejects]`: records that cannot be read are kept one by one; that they are many is an alert of its own, for
/// each source partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rejects {
    /// The share of a batch's readings that may be at fault, above 0 to 1; with 1 nothing is too much.
    pub share: f64,
    /// How many of the last batches must have more.
    #[serde(rename = "for")]
    pub hold: MOfN,
    /// When it is over.
    pub clear: Clear,
}

impl Default for Rejects {
    /// A tenth, in 3 of the last 5 batches; over after 10 batches with less. One bad batch is a mishap; a producer
    /// that changed its format is told within seconds.
    fn default() -> Self {
        let hold = |m, n| MOfN::new(m, n).unwrap_or_default();
        Rejects { share: 0.1, hold: hold(3, 5), clear: Clear { below: 1.0, hold: hold(10, 10) } }
    }
}

impl Rejects {
    /// The name of [`Rejects::rule`].
    pub const RULE: &str = "too-many-rejects";

    /// The rule by which the shares of a partition's batches are judged. More than five times the share is critical.
    pub fn rule(&self) -> Rule {
        Rule {
            name: Self::RULE.to_owned(),
            on: On::Value,
            method: Method::Static { threshold: self.share },
            severity: vec![
                Band { at: 1.0, level: Severity::Warning },
                Band { at: 5.0, level: Severity::Critical },
            ],
            hold: self.hold,
            clear: self.clear,
            ..Rule::default()
        }
    }

    pub(super) fn problems(&self, problems: &mut Vec<String>) {
        if !(self.share > 0.0 && self.share <= 1.0) {
            problems.push(format!("rejects.share: {} is not above 0 and at most 1", self.share));
        }
        if !(0.0..=1.0).contains(&self.clear.below) {
            problems.push(format!("rejects.clear.below: {} is not 0 to 1", self.clear.below));
        }
    }
}

pub(super) fn is_default(rejects: &Rejects) -> bool {
    *rejects == Rejects::default()
}
