//! `[input]`: how a record becomes a reading.

use serde::{Deserialize, Serialize};

use super::event_time::{self, EventTime};
use super::keys::Known;
use crate::reading::SeriesId;

/// The section's keys.
pub(super) const KEYS: &[(&str, Known)] = &[
    ("format", Known::Value),
    ("series", Known::Value),
    ("time", Known::Value),
    ("features", Known::Value),
    ("record_bytes_max", Known::Value),
    ("event_time", Known::Table(event_time::KEYS)),
];

/// `[input]`: how a record becomes a reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// The form of files; records of a stream are JSON.
    pub format: Format,
    /// `/field` (a JSON pointer, or a CSV column behind a `/`), or a constant name if the input is one
    /// series. Empty: files name the series after themselves; the functions need one.
    pub series: String,
    /// The pointer to the event's time; absent: the arrival time.
    pub time: Option<String>,
    /// The pointers to the features, in the model's order. Empty: a file's numeric columns.
    pub features: Vec<String>,
    /// The largest record in bytes, 1 to 10,485,760 (what a Kinesis stream can be told to take); the
    /// default is Kinesis' own, 1 MiB.
    pub record_bytes_max: usize,
    /// What becomes of readings that come early, late or out of order; absent: they are judged as they come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<EventTime>,
}

/// The form of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Told by the first character: `{` is JSON lines.
    #[default]
    Auto,
    /// JSON lines.
    Json,
    /// CSV with a header.
    Csv,
}

/// Where the name of the series comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A field of the record, by pointer.
    Field(String),
    /// The input is one series, of this name.
    Constant(SeriesId),
}

impl Default for Input {
    fn default() -> Self {
        Input {
            format: Format::Auto,
            series: String::new(),
            time: None,
            features: Vec::new(),
            record_bytes_max: 1_048_576,
            event_time: None,
        }
    }
}

impl Input {
    /// Where the name of the series comes from. A constant that is no valid name (which [`Config`] never
    /// lets through) reads as `series`.
    pub fn series_origin(&self) -> Origin {
        if self.series.starts_with('/') {
            return Origin::Field(self.series.clone());
        }
        let name = SeriesId::new(&self.series).or_else(|_| SeriesId::new("series"));
        name.map_or_else(|_| Origin::Field("/series".to_owned()), Origin::Constant)
    }
}

impl Input {
    pub(super) fn problems(&self, problems: &mut Vec<String>) {
        if !self.series.is_empty()
            && !self.series.starts_with('/')
            && let Err(reject) = SeriesId::new(&self.series)
        {
            problems.push(format!("input.series: {reject}"));
        }
        let pointers = self.time.iter().map(|t| ("input.time", t));
        for (key, pointer) in pointers.chain(self.features.iter().map(|f| ("input.features", f))) {
            if !pointer.starts_with('/') {
                problems.push(format!("{key}: {pointer:?} is no JSON pointer; write \"/{pointer}\""));
            }
        }
        for (index, feature) in self.features.iter().enumerate() {
            if self.features[..index].contains(feature) {
                problems.push(format!("input.features: {feature:?} is named twice"));
            }
        }
        let limit = 1..=10_485_760;
        if !limit.contains(&self.record_bytes_max) {
            problems.push(format!("input.record_bytes_max: {} is not 1 to 10485760", self.record_bytes_max));
        }
        self.event_time.iter().for_each(|event_time| event_time.problems(problems));
    }
}
