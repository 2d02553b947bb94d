//! Time zones by name.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// A time zone of the IANA database, the same edition in every build of a release; UTC by default.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// What the clocks there say at `at`.
    pub fn local(&self, at: Timestamp) -> DateTime {
        // Every time that can be printed is one.
        let at = jiff::Timestamp::from_millisecond(at.as_ms()).unwrap_or_default();
        self.0.to_datetime(at)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Zone(TimeZone::UTC)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        TimeZone::get(&name).map(Zone).map_err(|_| {
            let distance = |known: &str| strsim::damerau_levenshtein(&name, known);
            let names = jiff::tz::db().available().map(|known| known.to_string());
            let nearest = names.min_by_key(|known| distance(known)).unwrap_or_default();
            serde::de::Error::custom(format_args!(
                "{name:?} is no time zone of the IANA database; the nearest is {nearest:?}"
            ))
        })
    }
}
