//! Records at fault: retrying cannot help them, and they must not hold up their neighbours.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a record cannot become a reading.
///
/// The record's fault, never ours: a rejected record is counted, kept with its bytes and this reason, and
/// the stream goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reject {
    /// The source's envelope around the record is broken (no data, no sequence number …).
    Envelope {
        /// What is wrong with it.
        detail: String,
    },
    /// The record's data is not Base64.
    Base64,
    /// The record is larger than the limit.
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The record is not JSON (or not the JSON of one reading).
    Json {
        /// The parser's word.
        detail: String,
    },
    /// The record is compressed, and what it is compressed by is broken or not what the configuration says.
    Compressed {
        /// What is wrong with it.
        detail: String,
    },
    /// A compressed record grows beyond the limit; it was not expanded any further.
    Expanded {
        /// The limit in bytes.
        limit: u64,
    },
    /// The record is nested deeper than the limit.
    Depth {
        /// The limit in levels.
        limit: u64,
    },
    /// A reading has more fields than the limit.
    Fields {
        /// The limit.
        limit: u64,
    },
    /// The record holds more readings than the limit; this is what follows the last one that was read.
    Readings {
        /// The limit.
        limit: u64,
    },
    /// A CSV row does not have as many cells as the header, or, without one, as are read.
    Columns {
        /// Cells it should have.
        expected: usize,
        /// Cells in the row.
        found: usize,
    },
    /// A field is absent, null or an empty cell.
    Missing {
        /// The field, as the configuration names it.
        field: String,
    },
    /// A field that must be a number is something else.
    NotANumber {
        /// The field, as the configuration names it.
        field: String,
        /// What stands there, cut to 40 characters.
        found: String,
    },
    /// A number is NaN or infinite (or too large for 64 bits).
    NotFinite {
        /// The field, as the configuration names it.
        field: String,
    },
    /// The time is none of the forms that are read.
    Time {
        /// What stands there, cut to 40 characters.
        found: String,
    },
    /// The series' name cannot be used.
    Series {
        /// What is wrong with it.
        why: String,
    },
    /// Its time lies too far behind its arrival: a clock that runs ahead. The name is Stream Analytics', as
    /// are the next two.
    EarlyInputEvent {
        /// How far, in milliseconds.
        ahead_ms: i64,
        /// What is allowed.
        limit_ms: i64,
    },
    /// It came too long after its time, and the policy is to drop.
    LateInputEvent {
        /// How long, in milliseconds.
        behind_ms: i64,
        /// What is allowed.
        limit_ms: i64,
    },
    /// Its time lies too far before the newest of its series, and the policy is to drop.
    OutOfOrderEvent {
        /// How far, in milliseconds.
        behind_ms: i64,
        /// What is allowed.
        limit_ms: i64,
    },
    /// The model takes another number of features.
    Width {
        /// What the model takes.
        expected: usize,
        /// What the reading has.
        found: usize,
    },
    /// The model takes its neighbours, and refuses this one.
    Refused {
        /// The model's word, cut to 200 characters.
        said: String,
    },
}

impl Reject {
    /// That the model refuses the reading, and what it `said`.
    pub fn refused(said: &str) -> Self {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let mut cut: String = said.chars().take(200).map(plain).collect();
        if said.chars().nth(200).is_some() {
            cut.push('…');
        }
        Reject::Refused { said: cut }
    }

    /// The reason as one short word, for counting.
    pub fn as_str(&self) -> &'static str {
        match self {
            Reject::Envelope { .. } => "envelope",
            Reject::Base64 => "base64",
            Reject::TooLarge { .. } => "too-large",
            Reject::Json { .. } => "json",
            Reject::Compressed { .. } => "compressed",
            Reject::Expanded { .. } => "expanded",
            Reject::Depth { .. } => "depth",
            Reject::Fields { .. } => "fields",
            Reject::Readings { .. } => "readings",
            Reject::Columns { .. } => "columns",
            Reject::Missing { .. } => "missing",
            Reject::NotANumber { .. } => "not-a-number",
            Reject::NotFinite { .. } => "not-finite",
            Reject::Time { .. } => "time",
            Reject::Series { .. } => "series",
            Reject::EarlyInputEvent { .. } => "early-input-event",
            Reject::LateInputEvent { .. } => "late-input-event",
            Reject::OutOfOrderEvent { .. } => "out-of-order-event",
            Reject::Width { .. } => "width",
            Reject::Refused { .. } => "refused",
        }
    }

    /// What Azure Stream Analytics calls this error, for those who know its names; `None` where it has no such
    /// error.
    ///
    /// Source: Azure Stream Analytics documentation, "Azure Stream Analytics data errors", input data errors.
    pub fn data_error(&self) -> Option<&'static str> {
        Some(match self {
            Reject::Envelope { .. } | Reject::Base64 | Reject::Json { .. } => {
                "InputDeserializerError.InvalidData"
            }
            Reject::Columns { .. } | Reject::Width { .. } => "InputDeserializerError.InvalidData",
            Reject::Compressed { .. } => "InputDeserializerError.InvalidCompressionType",
            Reject::Missing { .. } => "InputDeserializerError.MissingColumns",
            Reject::NotANumber { .. } | Reject::NotFinite { .. } => {
                "InputDeserializerError.TypeConversionError"
            }
            Reject::Time { .. } => "InvalidInputTimeStamp",
            Reject::Series { .. } => "InvalidInputTimeStampKey",
            Reject::EarlyInputEvent { .. } => "EarlyInputEvent",
            Reject::LateInputEvent { .. } => "LateInputEvent",
            Reject::OutOfOrderEvent { .. } => "OutOfOrderEvent",
            Reject::TooLarge { .. }
            | Reject::Expanded { .. }
            | Reject::Depth { .. }
            | Reject::Fields { .. }
            | Reject::Readings { .. }
            | Reject::Refused { .. } => return None,
        })
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reject::Envelope { detail } => write!(f, "the source's envelope is broken: {detail}"),
            Reject::Base64 => f.write_str("the data is not Base64"),
            Reject::TooLarge { bytes, limit } => write!(f, "{bytes} bytes, more than the limit of {limit}"),
            Reject::Json { detail } => write!(f, "not a JSON reading: {detail}"),
            Reject::Compressed { detail } => write!(f, "cannot be expanded: {detail}"),
            Reject::Expanded { limit } => write!(f, "expands to more than the limit of {limit} bytes"),
            Reject::Depth { limit } => write!(f, "nested deeper than the limit of {limit} levels"),
            Reject::Fields { limit } => write!(f, "more fields than the limit of {limit}"),
            Reject::Readings { limit } => write!(f, "more readings than the limit of {limit}"),
            Reject::Columns { expected, found } => {
                let plural = if *found == 1 { "" } else { "s" };
                write!(f, "{found} column{plural} where there should be {expected}")
            }
            Reject::Missing { field } => write!(f, "{field} is missing"),
            Reject::NotANumber { field, found } => write!(f, "{field} is not a number: {found}"),
            Reject::NotFinite { field } => write!(f, "{field} is not a finite number"),
            Reject::Time { found } => write!(f, "not a time: {found}"),
            Reject::Series { why } => write!(f, "the name of the series {why}"),
            Reject::EarlyInputEvent { ahead_ms, limit_ms } => {
                let (ahead, limit) = (seconds(*ahead_ms), seconds(*limit_ms));
                write!(f, "{ahead} ahead of its arrival, and {limit} are allowed")
            }
            Reject::LateInputEvent { behind_ms, limit_ms } => {
                let (behind, limit) = (seconds(*behind_ms), seconds(*limit_ms));
                write!(f, "{behind} behind its arrival, and {limit} are allowed")
            }
            Reject::OutOfOrderEvent { behind_ms, limit_ms } => {
                let (behind, limit) = (seconds(*behind_ms), seconds(*limit_ms));
                write!(f, "{behind} behind the newest of its series, and {limit} are allowed")
            }
            Reject::Width { expected, found } => {
                write!(f, "{found} features where the model takes {expected}")
            }
            Reject::Refused { said } => write!(f, "the model refuses it: {said}"),
        }
    }
}

impl std::error::Error for Reject {}

fn seconds(ms: i64) -> String {
    format!("{} s", ms as f64 / 1000.0)
}

/// `text` cut to 40 characters, for quoting in a reason.
pub(crate) fn quote(text: &str) -> String {
    let mut cut: String = text.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(40).is_some() {
        cut.push('…');
    }
    format!("{cut:?}")
}
