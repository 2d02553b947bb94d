//! `[input]`: how a record becomes a reading.

use serde::{Deserialize, Serialize};

use super::event_time::{self, EventTime};
use super::formats::{Compression, Encoding, Fill, Format};
use super::keys::Known;
use crate::reading::SeriesId;
use crate::time::TimeUnit;

/// The section's keys.
pub(super) const KEYS: &[(&str, Known)] = &[
    ("format", Known::Value),
    ("series", Known::Value),
    ("time", Known::Value),
    ("features", Known::Value),
    ("encoding", Known::Value),
    ("compression", Known::Value),
    ("header", Known::Value),
    ("delimiter", Known::Value),
    ("decimal_comma", Known::Value),
    ("time_unit", Known::Value),
    ("text_numbers", Known::Value),
    ("missing", Known::Value),
    ("null", Known::Value),
    ("not_finite", Known::Value),
    ("width", Known::Value),
    ("record_bytes_max", Known::Value),
    ("expanded_bytes_max", Known::Value),
    ("depth_max", Known::Value),
    ("fields_max", Known::Value),
    ("readings_max", Known::Value),
    ("event_time", Known::Table(event_time::KEYS)),
];

/// `[input]`: how a record becomes a reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// The form of files and records.
    pub format: Format,
    /// `/field` (a JSON pointer, or a CSV column behind a `/`), or a constant name if the input is one
    /// series. Empty: files name the series after themselves; the functions need one.
    pub series: String,
    /// The pointer to the event's time; absent: the arrival time.
    pub time: Option<String>,
    /// The pointers to the features, in the model's order. Empty: a file's numeric columns.
    pub features: Vec<String>,
    /// What a record's bytes are written in; files are never encoded.
    #[serde(skip_serializing_if = "is_default")]
    pub encoding: Encoding,
    /// What a record is compressed by.
    #[serde(skip_serializing_if = "is_default")]
    pub compression: Compression,
    /// Whether the first row of a CSV record names its columns; absent: unless all fields are named by
    /// position (`/0`, `/1`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// What stands between the cells of a CSV record: one ASCII character; absent: the commonest of comma,
    /// semicolon, tab and bar in its first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// Whether the features of a CSV are written with decimal commas (`3,5`, `1.234,5`); a file's are found out.
    #[serde(skip_serializing_if = "is_default")]
    pub decimal_comma: bool,
    /// The unit of times that are numbers.
    #[serde(skip_serializing_if = "is_default")]
    pub time_unit: TimeUnit,
    /// Whether a feature may be a number written as text (`"21.5"`); in CSV all are.
    #[serde(skip_serializing_if = "is_default")]
    pub text_numbers: bool,
    /// What becomes of a feature whose field is not there.
    #[serde(skip_serializing_if = "Fill::is_reject")]
    pub missing: Fill,
    /// What becomes of a feature that is null, or an empty cell.
    #[serde(skip_serializing_if = "Fill::is_reject")]
    pub null: Fill,
    /// What becomes of a feature that is NaN or infinite.
    #[serde(skip_serializing_if = "Fill::is_reject")]
    pub not_finite: Fill,
    /// What becomes of a feature that an array or a row is too short to hold. Unless it is to be rejected, a
    /// row that is too long loses its last cells.
    #[serde(skip_serializing_if = "Fill::is_reject")]
    pub width: Fill,
    /// The largest record in bytes, 1 to 10,485,760 (what a Kinesis stream can be told to take); the
    /// default is Kinesis' own, 1 MiB.
    pub record_bytes_max: usize,
    /// How large a compressed record may become, in bytes, 1 to 104,857,600.
    #[serde(skip_serializing_if = "is_expanded_bytes_max")]
    pub expanded_bytes_max: usize,
    /// How deep a reading may be nested, in levels, 1 to 1,024. The default is what most parsers take.
    #[serde(skip_serializing_if = "is_depth_max")]
    pub depth_max: usize,
    /// How many named fields a reading may have, at any depth, or cells a row; 1 to 1,000,000.
    #[serde(skip_serializing_if = "is_fields_max")]
    pub fields_max: usize,
    /// How many readings a record may hold, rejected ones counted; 1 to 1,000,000.
    #[serde(skip_serializing_if = "is_readings_max")]
    pub readings_max: usize,
    /// What becomes of readings that come early, late or out of order; absent: they are judged as they come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<EventTime>,
}

/// Where the name of the series comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A field of the record, by pointer.
    Field(String),
    /// The input is one series, of this name.
    Constant(SeriesId),
}

/// Ten times the largest record of a Kinesis stream: what text is usually compressed by.
const EXPANDED_BYTES_MAX: usize = 10_485_760;
/// serde_json's limit, and about that of others.
const DEPTH_MAX: usize = 128;
/// Far beyond any record a person would read, and quickly read through.
const FIELDS_MAX: usize = 10_000;
/// As many records as one call of a function may be given.
const READINGS_MAX: usize = 10_000;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_expanded_bytes_max(value: &usize) -> bool {
    *value == EXPANDED_BYTES_MAX
}

fn is_depth_max(value: &usize) -> bool {
    *value == DEPTH_MAX
}

fn is_fields_max(value: &usize) -> bool {
    *value == FIELDS_MAX
}

fn is_readings_max(value: &usize) -> bool {
    *value == READINGS_MAX
}

impl Default for Input {
    fn default() -> Self {
        Input {
            format: Format::Auto,
            series: String::new(),
            time: None,
            features: Vec::new(),
            encoding: Encoding::Plain,
            compression: Compression::Auto,
            header: None,
            delimiter: None,
            decimal_comma: false,
            time_unit: TimeUnit::Auto,
            text_numbers: false,
            missing: Fill::Reject,
            null: Fill::Reject,
            not_finite: Fill::Reject,
            width: Fill::Reject,
            record_bytes_max: 1_048_576,
            expanded_bytes_max: EXPANDED_BYTES_MAX,
            depth_max: DEPTH_MAX,
            fields_max: FIELDS_MAX,
            readings_max: READINGS_MAX,
            event_time: None,
        }
    }
}

impl Input {
    /// Where the name of the series comes from. A constant that is no valid name (which [`Config`](super::Config) never
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
    /// What becomes of features that a record does not give, by the key.
    pub fn fills(&self) -> [(&'static str, Fill); 4] {
        let Input { missing, null, not_finite, width, .. } = self;
        [("missing", *missing), ("null", *null), ("not_finite", *not_finite), ("width", *width)]
    }

    /// Whether some feature may take the series' previous value.
    pub fn fills_with_previous(&self) -> bool {
        self.fills().iter().any(|(_, fill)| *fill == Fill::Previous)
    }

    /// The fields that are read: the series' (if it is one), the time's (if there is one), the features'.
    pub(crate) fn pointers(&self) -> impl Iterator<Item = &str> {
        let series = Some(self.series.as_str()).filter(|series| series.starts_with('/'));
        series.into_iter().chain(self.time.as_deref()).chain(self.features.iter().map(String::as_str))
    }

    /// Whether all fields that are read are named by position (`/0`, `/1`).
    pub fn is_by_position(&self) -> bool {
        let is_digits = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
        let is_position = |pointer: &str| pointer.strip_prefix('/').is_some_and(is_digits);
        self.pointers().next().is_some() && self.pointers().all(is_position)
    }

    fn fill_problems(&self, problems: &mut Vec<String>) {
        for (key, fill) in self.fills() {
            if let Fill::Constant(number) = fill
                && !number.is_finite()
            {
                problems.push(format!("input.{key}: {number} is not finite, and no model takes it"));
            }
        }
    }

    fn csv_problems(&self, problems: &mut Vec<String>) {
        if self.header == Some(false) && !self.is_by_position() {
            problems.push(
                "input.header: without a header columns have no names; name all fields by position, such as \"/0\""
                    .to_owned(),
            );
        }
        if let Some(delimiter) = &self.delimiter
            && (delimiter.len() != 1 || matches!(delimiter.as_str(), "\"" | "\n" | "\r" | "\0"))
        {
            problems.push(format!(
                "input.delimiter: {delimiter:?} is not one ASCII character that may stand between cells"
            ));
        }
    }

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
        for (key, value, most) in [
            ("record_bytes_max", self.record_bytes_max, 10_485_760),
            ("expanded_bytes_max", self.expanded_bytes_max, 104_857_600),
            ("depth_max", self.depth_max, 1_024),
            ("fields_max", self.fields_max, 1_000_000),
            ("readings_max", self.readings_max, 1_000_000),
        ] {
            if !(1..=most).contains(&value) {
                problems.push(format!("input.{key}: {value} is not 1 to {most}"));
            }
        }
        self.fill_problems(problems);
        self.csv_problems(problems);
        self.event_time.iter().for_each(|event_time| event_time.problems(problems));
    }
}
