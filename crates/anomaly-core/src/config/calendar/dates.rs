//! Days and periods of the year.

use std::fmt;

use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A day, days, or a period by the clock: `"2026-12-24"`, `"2026-12-24..2026-12-26"` with both days,
/// `"2026-12-24T18:00..2026-12-25T06:00"` without the last instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dates {
    from: DateTime,
    to: DateTime,
    /// As it was written.
    text: String,
}

impl Dates {
    /// Whether it is such a time.
    pub fn covers(&self, local: DateTime) -> bool {
        (self.from..self.to).contains(&local)
    }

    fn read(text: &str) -> Result<Self, String> {
        let unread = || {
            format!(
                "{text:?} is neither a date nor a period; write \"2026-12-24\", \"2026-12-24..2026-12-26\" or \
                 \"2026-12-24T18:00..2026-12-25T06:00\""
            )
        };
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let from = read_start(first.trim()).ok_or_else(unread)?;
        let to = read_end(last.trim()).ok_or_else(unread)?;
        match from < to {
            true => Ok(Dates { from, to, text: text.to_owned() }),
            false if first == last => Err(unread()),
            false => Err(format!("{text:?} ends before it begins")),
        }
    }
}

fn read_start(text: &str) -> Option<DateTime> {
    read_day(text).map(|day| day.to_datetime(jiff::civil::Time::midnight())).or_else(|| read_instant(text))
}

/// The end of a day is the beginning of the next.
fn read_end(text: &str) -> Option<DateTime> {
    let end = |day: Date| Some(day.tomorrow().ok()?.to_datetime(jiff::civil::Time::midnight()));
    match read_day(text) {
        Some(day) => end(day),
        None => read_instant(text),
    }
}

fn read_day(text: &str) -> Option<Date> {
    if text.len() == "2026-12-24".len() { text.parse().ok() } else { None }
}

fn read_instant(text: &str) -> Option<DateTime> {
    // Civil times only: an offset or a zone would be a second word on the calendar's own.
    if text.contains(['Z', 'z', '+', '[']) { None } else { text.parse().ok() }
}

impl fmt::Display for Dates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Dates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Dates::read(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
