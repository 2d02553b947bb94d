//! Time zones by name.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// A time zone of the IANA database, the same edition in every build of a release; UTC by default.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of that name, such as `Europe/Berlin`.
    ///
    /// # Errors
    /// There is none, and which is the nearest, in words.
    pub fn named(name: &str) -> Result<Zone, String> {
        TimeZone::get(name).map(Zone).map_err(|_| {
            let distance = |known: &str| strsim::damerau_levenshtein(name, known);
            let names = jiff::tz::db().available().map(|known| known.to_string());
            let nearest = names.min_by_key(|known| distance(known)).unwrap_or_default();
            format!("{name:?} is no time zone of the IANA database; the nearest is {nearest:?}")
        })
    }

    /// The one instant at which clocks there show `local`.
    ///
    /// # Errors
    /// In words: they never show it or show it twice, when they are changed; or it is out of range.
    pub fn instant(&self, local: DateTime) -> Result<Timestamp, String> {
        let ambiguous = self.0.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => {}
            AmbiguousOffset::Gap { .. } => return Err(format!("clocks never show it in {self}")),
            AmbiguousOffset::Fold { before, after } => {
                return Err(format!(
                    "clocks show it twice in {self}: write {local}{before} or {local}{after}"
                ));
            }
        }
        let instant = ambiguous.unambiguous().ok();
        instant
            .and_then(|at| Timestamp::from_ms(at.as_millisecond()))
            .ok_or_else(|| "out of range".to_owned())
    }

    /// The instant from which on clocks there show `local` or later: where they skip it, when they are put forward; where
    /// they show it twice, the first time. `None` out of range.
    pub fn first_instant(&self, local: DateTime) -> Option<Timestamp> {
        let at = self.0.to_ambiguous_timestamp(local).compatible().ok()?;
        Timestamp::from_ms(at.as_millisecond())
    }

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

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Zone::named(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
