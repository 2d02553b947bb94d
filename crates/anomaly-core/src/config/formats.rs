//! What `[input]` says of the forms of records, and of features that a record does not give.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The form of a file or a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Told by the first character that is not blank: `{` and `[` are JSON. Of other text, a file is CSV, and a
    /// record is CSV if its first line names a field that is read, or if fields are named by position.
    #[default]
    Auto,
    /// JSON: of files, one object a line; of records, objects and arrays of objects, back to back or line by
    /// line.
    Json,
    /// CSV.
    Csv,
}

/// What a record's bytes are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Nothing.
    #[default]
    Plain,
    /// Base64 (RFC 4648), with or without padding, of either alphabet. What begins with `{` or `[`, which are
    /// no digits of it, is taken as it is.
    Base64,
}

/// What a record is compressed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// gzip or zstd if it begins as they do, else nothing.
    #[default]
    Auto,
    /// Nothing, however it begins.
    None,
    /// gzip; anything else is rejected.
    Gzip,
    /// zstd; anything else is rejected.
    Zstd,
}

/// What becomes of a feature that a record does not give: `"reject"`, `"previous"`, or the number that stands
/// for it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Fill {
    /// The reading is rejected.
    #[default]
    Reject,
    /// The series' value before it stands in its place; rejected where there is none.
    Previous,
    /// This stands in its place; finite.
    Constant(f64),
}

impl Fill {
    /// Whether readings are rejected, which is the default.
    pub fn is_reject(&self) -> bool {
        *self == Fill::Reject
    }
}

impl Serialize for Fill {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Fill::Reject => serializer.serialize_str("reject"),
            Fill::Previous => serializer.serialize_str("previous"),
            Fill::Constant(number) => serializer.serialize_f64(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Fill {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Fill;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"reject\", \"previous\" or a number")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Fill, E> {
                match word {
                    "reject" => Ok(Fill::Reject),
                    "previous" => Ok(Fill::Previous),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_f64<E>(self, number: f64) -> Result<Fill, E> {
                Ok(Fill::Constant(number))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Fill, E> {
                Ok(Fill::Constant(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Fill, E> {
                Ok(Fill::Constant(number as f64))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
