//! `[source]`: where records come from on AWS.

use serde::{Deserialize, Serialize};

use super::keys::Known;

/// The section's keys.
pub(super) const KEYS: &[(&str, Known)] = &[
    ("kind", Known::Value),
    ("shards", Known::Value),
    ("retention_hours", Known::Value),
    ("batch", Known::Value),
];

/// `[source]`: where records come from on AWS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// The kind of source.
    pub kind: SourceKind,
    /// How many shards the stream has; 1 to 10,000.
    pub shards: u32,
    /// How long the stream keeps records, in hours: 24 to 8,760.
    pub retention_hours: u32,
    /// Records per invocation, 1 to 10,000.
    pub batch: u32,
}

/// The kinds of source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// A Kinesis data stream.
    #[default]
    Kinesis,
}

impl Default for Source {
    fn default() -> Self {
        Source { kind: SourceKind::Kinesis, shards: 1, retention_hours: 168, batch: 200 }
    }
}

impl Source {
    pub(super) fn problems(&self, problems: &mut Vec<String>) {
        let mut check = |key: &str, value: u32, range: std::ops::RangeInclusive<u32>| {
            if !range.contains(&value) {
                problems.push(format!("source.{key}: {value} is not {} to {}", range.start(), range.end()));
            }
        };
        check("shards", self.shards, 1..=10_000);
        check("retention_hours", self.retention_hours, 24..=8_760);
        check("batch", self.batch, 1..=10_000);
    }
}
