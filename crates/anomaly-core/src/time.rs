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

    /// From an epoch number whose unit is told by its size ([`TimeUnit::Auto`]).
    ///
    /// `None` if it is not finite or out of range. A fraction is kept to the millisecond.
    pub fn from_epoch(number: f64) -> Option<Self> {
        Self::from_epoch_in(number, TimeUnit::Auto)
    }

    /// From an epoch number of `unit`s since 1970.
    ///
    /// `None` if it is not finite or out of range. A fraction is kept to the millisecond.
    pub fn from_epoch_in(number: f64, unit: TimeUnit) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        let ms = match unit.of(number) {
            TimeUnit::Auto | TimeUnit::Seconds => number * 1e3,
            TimeUnit::Milliseconds => number,
            TimeUnit::Microseconds => number / 1e3,
            TimeUnit::Nanoseconds => number / 1e6,
        };
        Self::from_ms(ms.floor() as i64)
    }

    /// From text, as [`Timestamp::parse_in`] with [`TimeUnit::Auto`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_in(text, TimeUnit::Auto)
    }

    /// From text: RFC 3339 (`2026-11-21T03:40:07Z`, any offset), the same without an offset and with a
    /// blank or `T` (`2014-04-01 00:05:00`, taken as UTC), a date, the same with slashes (`2014/04/01 00:05`) or with
    /// points, then with the day first (`1.4.2014 00:05`), or an epoch number of `unit`s. `None` if it is none of these:
    /// of `01/04/2014` nobody can say which is the day.
    ///
    /// Eight digits can be a date (`20140401`) or a number: they are a date unless `unit` names one.
    pub fn parse_in(text: &str, unit: TimeUnit) -> Option<Self> {
        if let Some(at) = rfc3339(text.as_bytes()) {
            return Some(at);
        }
        let text = text.trim();
        let number = || text.parse::<f64>().ok().and_then(|number| Self::from_epoch_in(number, unit));
        let is_number = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if is_number && (unit != TimeUnit::Auto || text.len() > "20140401".len()) {
            // A date with points is of the same characters, and no number.
            return number().or_else(|| dotted(text));
        }
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Self::from_ms(instant.as_millisecond());
        }
        if let Ok(civil) = text.parse::<jiff::civil::DateTime>() {
            let utc = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            return Self::from_ms(utc.timestamp().as_millisecond());
        }
        year_first(text).or_else(|| dotted(text)).or_else(number)
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

/// The unit of an epoch number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeUnit {
    /// Told by the number's size: seconds below 10¹¹ (year 5138), milliseconds below 10¹⁴, microseconds below
    /// 10¹⁷, nanoseconds above. No instant after March 1973 is misread, whatever its unit.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
}

impl TimeUnit {
    /// The unit of `number`.
    fn of(self, number: f64) -> TimeUnit {
        match (self, number.abs()) {
            (TimeUnit::Auto, n) if n < 1e11 => TimeUnit::Seconds,
            (TimeUnit::Auto, n) if n < 1e14 => TimeUnit::Milliseconds,
            (TimeUnit::Auto, n) if n < 1e17 => TimeUnit::Microseconds,
            (TimeUnit::Auto, _) => TimeUnit::Nanoseconds,
            (unit, _) => unit,
        }
    }
}

/// The forms in which nearly all records carry their time, since 1970: `2026-11-21T03:40:07Z`, with a fraction
/// or without, with an offset of hours and minutes or none at all. Anything else is `None`, and for jiff, which
/// takes ten times as long.
fn rfc3339(text: &[u8]) -> Option<Timestamp> {
    let (fixed, rest) = text.split_first_chunk::<19>()?;
    let two = |at: usize| {
        let (tens, ones) = (fixed[at].wrapping_sub(b'0'), fixed[at + 1].wrapping_sub(b'0'));
        (tens <= 9 && ones <= 9).then(|| i64::from(tens) * 10 + i64::from(ones))
    };
    let separators = [fixed[4], fixed[7], fixed[13], fixed[16]];
    if separators != *b"--::" || !matches!(fixed[10], b'T' | b' ') {
        return None;
    }
    let (year, month, day) = (two(0)? * 100 + two(2)?, two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let in_range = (1970..=9998).contains(&year) && (1..=12).contains(&month) && (1..=days).contains(&day);
    if !in_range || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction_ms, offset) = fraction(rest)?;
    let minutes = match offset {
        b"" | b"Z" => 0,
        [sign @ (b'+' | b'-'), hours @ .., b':', tens, ones] => {
            let number = |digits: &[u8]| match digits {
                [tens @ b'0'..=b'5', ones @ b'0'..=b'9'] => {
                    Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
                }
                _ => None,
            };
            let minutes = number(hours).filter(|hours| *hours < 24)? * 60 + number(&[*tens, *ones])?;
            if *sign == b'+' { minutes } else { -minutes }
        }
        _ => return None,
    };
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + (minute - minutes) * 60 + second;
    // What an offset moves before 1970 is cut off towards zero elsewhere.
    (seconds >= 0).then_some(Timestamp(seconds * 1000 + fraction_ms))
}

/// `2026/11/21 10:00`.
fn year_first(text: &str) -> Option<Timestamp> {
    let (date, clock) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    let [year, month, day] = parts(date, '/')?;
    if year.len() == 4 { civil(year, month, day, clock) } else { None }
}

/// `21.11.2026 10:00`.
fn dotted(text: &str) -> Option<Timestamp> {
    let (date, clock) = text.split_once(' ').unwrap_or((text, ""));
    let [day, month, year] = parts(date, '.')?;
    if year.len() == 4 { civil(year, month, day, clock) } else { None }
}

fn parts(date: &str, mark: char) -> Option<[&str; 3]> {
    let parts: Vec<&str> = date.split(mark).collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    parts.try_into().ok().filter(|parts: &[&str; 3]| parts.iter().all(is_number))
}

/// The time `clock` (`10:00`, with seconds or without; midnight if it is empty) of a date, in UTC.
fn civil(year: &str, month: &str, day: &str, clock: &str) -> Option<Timestamp> {
    let clock = match clock.trim() {
        "" => "00:00".to_owned(),
        clock if clock.find(':') == Some(1) => format!("0{clock}"),
        clock => clock.to_owned(),
    };
    let civil: jiff::civil::DateTime = format!("{year}-{month:0>2}-{day:0>2}T{clock}").parse().ok()?;
    let utc = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Timestamp::from_ms(utc.timestamp().as_millisecond())
}

/// The milliseconds of `.250` and the like, up to nine digits, and what stands behind them.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else { return Some((0, text)) };
    let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, behind) = digits.split_at(count);
    let ms = digits.iter().take(3).fold(0, |ms, digit| ms * 10 + i64::from(digit - b'0'));
    let scale = [100, 10, 1].get(count.min(3).checked_sub(1)?)?;
    (count <= 9).then_some((ms * scale, behind))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date
/// algorithms", `days_from_civil`, for years from 1 on).
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
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
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        let got = Timestamp::parse(text).map_or("none".to_owned(), |t| t.to_string());
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn dates_that_can_be_one_day_only_are_read() {
        let shown = |text: &str| Timestamp::parse(text).map(|at| at.to_string());
        for text in ["2026/11/21 10:00", "21.11.2026 10:00", "2026/11/21T10:00:00", "21.11.2026 10:00:00"] {
            assert_eq!(shown(text).as_deref(), Some("2026-11-21T10:00:00Z"), "{text}");
        }
        assert_eq!(shown("1.4.2014 9:05").as_deref(), Some("2014-04-01T09:05:00Z"));
        assert_eq!(shown("01.04.2014").as_deref(), Some("2014-04-01T00:00:00Z"));
        assert_eq!(shown("21.11.2026 10:00:00.25").as_deref(), Some("2026-11-21T10:00:00.25Z"));
        for text in
            ["21/11/2026 10:00", "1/4/2014", "32.1.2014", "1.2.3", "1.4.14", "2014/13/01", "1.4.2014 25:00"]
        {
            assert_eq!(shown(text), None, "{text}");
        }
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
    fn a_unit_that_was_named_is_kept_to() {
        let in_unit = |text: &str, unit| Timestamp::parse_in(text, unit).map(Timestamp::as_ms);
        assert_eq!(in_unit("1400000000000", TimeUnit::Seconds), None, "year 46,334");
        assert_eq!(in_unit("86400000", TimeUnit::Milliseconds), Some(86_400_000), "no date 8640-00-00");
        assert_eq!(in_unit("20140401", TimeUnit::Seconds), Some(20_140_401_000), "a number");
        assert_eq!(in_unit("20140401", TimeUnit::Auto), Some(1_396_310_400_000), "a date");
        assert_eq!(in_unit("1400000000123999", TimeUnit::Microseconds), Some(1_400_000_000_123));
        assert_eq!(in_unit("1400000000123999000", TimeUnit::Nanoseconds), Some(1_400_000_000_123));
        assert_eq!(in_unit("2014-04-01", TimeUnit::Nanoseconds), Some(1_396_310_400_000));
        assert_eq!(in_unit("1.5", TimeUnit::Seconds), Some(1_500));
        assert_eq!(in_unit("-1.5", TimeUnit::Seconds), Some(-1_500));
        let epochs = [99_999_999_999.0, 1e11, 99_999_999_999_999.0, 1e14, 99_999_999_999_999_984.0, 1e17];
        let years =
            epochs.map(|epoch| Timestamp::from_epoch(epoch).map_or(0, |t| t.as_ms() / 31_556_952_000 + 1970));
        assert_eq!(years, [5138, 1973, 5138, 1973, 5138, 1973]);
    }

    proptest! {
        #[test]
        fn the_short_way_reads_what_jiff_reads(
            text in "(19[67]|20[0-9]|[0-9]{3})[0-9]-[01][0-9]-[0-3][0-9][T t][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,10})?(Z|z|[+-][0-2][0-9]:?[0-6][0-9]|[+-][0-9]{2})?"
        ) {
            if let Some(short) = rfc3339(text.as_bytes()) {
                let instant = text.parse::<jiff::Timestamp>().map(|instant| instant.as_millisecond());
                let civil = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
                let long = instant.ok().or_else(|| civil().map(|zoned| zoned.timestamp().as_millisecond()));
                prop_assert_eq!(Some(short.as_ms()), long, "{}", text);
            }
        }

        #[test]
        fn what_is_printed_comes_back(ms in 0_i64..253_402_200_000_000) {
            let at = Timestamp::from_ms(ms).expect("in range");
            prop_assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
            prop_assert_eq!(rfc3339(at.to_string().as_bytes()).is_some(), ms < 253_370_764_800_000, "the short way");
        }

        #[test]
        fn digits_are_what_they_always_were(text in "[0-9]{9,20}(\\.[0-9]{1,6})?") {
            prop_assert!(text.parse::<jiff::Timestamp>().is_err() && text.parse::<jiff::civil::DateTime>().is_err());
        }
    }

    #[test]
    fn durations_read_well() {
        let shown = [0, 8_000, 74_000, 11_100_000, 187_200_000, -5].map(human_duration);
        assert_eq!(shown, ["0 s", "8 s", "1 min 14 s", "3 h 5 min", "2 d 4 h", "0 s"]);
    }
}
