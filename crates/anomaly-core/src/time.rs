//! Instants, as records carry them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant, in whole milliseconds since 1970-01-01T00:00:00Z; finer parts are cut off.
///
/// Prints as RFC 3339 in UTC, with milliseconds only where there are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// The first and the last instant that can be printed: years -9999 to 9999, a day's margin at both ends.
const RANGE_MS: std::ops::RangeInclusive<i64> = -377_705_000_000_000..=253_402_200_000_000;

impl Timestamp {
    /// The last instant there is.
    pub const LAST: Timestamp = Timestamp(*RANGE_MS.end());

    /// From milliseconds since 1970; `None` outside the years -9999 to 9999.
    pub fn from_ms(ms: i64) -> Option<Self> {
        RANGE_MS.contains(&ms).then_some(Self(ms))
    }

    /// From an epoch number whose unit is told by its size: seconds below 10¹¹ (year 5138), then
    /// milliseconds below 10¹⁴, microseconds below 10¹⁷, nanoseconds above.
    ///
    /// `None` if it is not finite or out of range. A fraction is kept to the millisecond.
    pub fn from_epoch(number: f64) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        let ms = match number.abs() {
            n if n < 1e11 => number * 1e3,
            n if n < 1e14 => number,
            n if n < 1e17 => number / 1e3,
            _ => number / 1e6,
        };
        Self::from_ms(ms.floor() as i64)
    }

    /// From text: RFC 3339 (`2026-11-21T03:40:07Z`, any offset), the same without an offset and with a
    /// blank or `T` (`2014-04-01 00:05:00`, taken as UTC), a date, or an epoch number as in
    /// [`Timestamp::from_epoch`]. `None` if it is none of these.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Self::from_ms(instant.as_millisecond());
        }
        if let Ok(civil) = text.parse::<jiff::civil::DateTime>() {
            let utc = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            return Self::from_ms(utc.timestamp().as_millisecond());
        }
        text.parse::<f64>().ok().and_then(Self::from_epoch)
    }

    /// Milliseconds since 1970.
    pub fn as_ms(self) -> i64 {
        self.0
    }

    /// The instant `length` before; the first one there is if that lies before it.
    pub fn earlier_by(self, length: Duration) -> Timestamp {
        let ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(ms).max(*RANGE_MS.start()))
    }

    /// Milliseconds from `earlier` to `self`; negative if `earlier` is later.
    pub fn ms_since(self, earlier: Timestamp) -> i64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) => write!(f, "{} ms since 1970", self.0),
        }
    }
}

/// A length of time for people, its two largest units: `8 s`, `1 min 14 s`, `3 h 5 min`, `2 d 4 h`.
pub fn human_duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (d, h, m, s) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let units = [(d, "d"), (h, "h"), (m, "min"), (s, "s")];
    let first = units.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let parts: Vec<String> =
        units[first..].iter().take(2).filter(|(n, _)| *n > 0).map(|(n, u)| format!("{n} {u}")).collect();
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let got = Timestamp::parse(text).map_or("none".to_owned(), |t| t.to_string());
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn reads_what_records_carry() {
        check("2026-11-21T03:40:07Z", "2026-11-21T03:40:07Z");
        check("2026-11-21T04:40:07.25+01:00", "2026-11-21T03:40:07.25Z");
        check("2014-04-01 00:05:00", "2014-04-01T00:05:00Z");
        check("2014-04-01T00:05:00.123456", "2014-04-01T00:05:00.123Z");
        check("2014-04-01", "2014-04-01T00:00:00Z");
        for epoch in ["1400000000", "1400000000000", "1400000000000000", "1400000000000000000"] {
            check(epoch, "2014-05-13T16:53:20Z");
        }
        check("1400000000.5", "2014-05-13T16:53:20.5Z");
        for nonsense in ["", "yesterday", "2014-13-01", "NaN", "inf", "1e300"] {
            check(nonsense, "none");
        }
    }

    #[test]
    fn earlier_stays_in_range() {
        let at = |ms| Timestamp::from_ms(ms).expect("in range");
        assert_eq!(at(5_000).earlier_by(Duration::from_secs(16)), at(-11_000));
        assert_eq!(at(0).earlier_by(Duration::MAX), at(*RANGE_MS.start()));
    }

    #[test]
    fn durations_read_well() {
        let shown = [0, 8_000, 74_000, 11_100_000, 187_200_000, -5].map(human_duration);
        assert_eq!(shown, ["0 s", "8 s", "1 min 14 s", "3 h 5 min", "2 d 4 h", "0 s"]);
    }
}
