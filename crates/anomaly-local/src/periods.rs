//! Periods of a history, as people write them: what is to be left out of learning, and what is known to be
//! anomalous.
//!
//! ```
//! use anomaly_core::time::Timestamp;
//! use anomaly_local::periods::Period;
//!
//! let period = Period::parse("2014-11-01T01:30[America/New_York]..2014-11-03", None)?;
//! assert_eq!(period.from.to_string(), "2014-11-01T05:30:00Z");
//! assert_eq!(period.to.to_string(), "2014-11-03T23:59:59.999Z", "a day is a whole day");
//! # Ok::<(), String>(())
//! ```
//!
//! A time is RFC 3339 with its offset, has the name of a zone behind it in brackets, is an epoch number of ten digits
//! or more, or has none of these: it is then one of the zone that was named for all, or else of UTC, as times of
//! readings are. A date is a whole day. A period holds both its ends.

mod file;

use std::fmt;

use anomaly_core::config::Zone;
use anomaly_core::time::Timestamp;
use jiff::civil::{Date, DateTime};

pub use file::read;

/// The fewest digits of an epoch number: fewer would be a year, or a date.
const EPOCH_DIGITS_MIN: usize = 10;

/// A period of a history, with both its ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first instant.
    pub from: Timestamp,
    /// Its last instant; not before the first.
    pub to: Timestamp,
    /// The only file or series it is of, by the end of its path or by its name; of all, if `None`.
    pub only: Option<String>,
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.to)?;
        self.only.iter().try_for_each(|only| write!(f, " of {only}"))
    }
}

impl Period {
    /// `FROM..TO`, or a date, which is that day. Times without offset are of `zone`, or of UTC.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str, zone: Option<&Zone>) -> Result<Period, String> {
        match text.split_once("..") {
            Some((from, to)) => Period::between(from, to, zone),
            None if date(text.trim()).is_some() => Period::between(text, text, zone),
            None => Err(format!(
                "{text:?} is no period: write FROM..TO, such as 2026-03-01T22:00+01:00..2026-03-02, or a date"
            )),
        }
    }

    fn between(from: &str, to: &str, zone: Option<&Zone>) -> Result<Period, String> {
        let (begin, end) = (instant(from, Edge::Begin, zone), instant(to, Edge::End, zone));
        let (begin, end) = match (begin, end) {
            (Ok(begin), Ok(end)) => (begin, end),
            (begin, end) => {
                let problems: Vec<String> = begin.err().into_iter().chain(end.err()).collect();
                return Err(problems.join("; "));
            }
        };
        if end < begin {
            let (from, to) = (from.trim(), to.trim());
            return Err(format!("{from}..{to} ends before it begins; is it {to}..{from}?"));
        }
        Ok(Period { from: begin, to: end, only: None })
    }

    /// Whether it is of everything, or of this `series`, or of the file `source`.
    fn is_of(&self, series: &str, source: &str) -> bool {
        let Some(only) = &self.only else { return true };
        let stem = std::path::Path::new(source).file_stem().and_then(|stem| stem.to_str());
        only == series || std::path::Path::new(source).ends_with(only) || stem == Some(only)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Begin,
    End,
}

fn date(text: &str) -> Option<Date> {
    let dashed = text.len() == 10 && !text.bytes().all(|b| b.is_ascii_digit());
    let plain = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
    if dashed || plain { text.parse().ok() } else { None }
}

fn instant(text: &str, edge: Edge, zone: Option<&Zone>) -> Result<Timestamp, String> {
    let text = text.trim();
    let wrong = |why: &str| {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        format!("{text:?} is no time{why}")
    };
    let (clock, own) = match text.split_once('[') {
        None => (text, None),
        Some((clock, name)) => {
            let name = name.strip_suffix(']').ok_or_else(|| wrong("the zone's name ends with ]"))?;
            (clock, Some(Zone::named(name).map_err(|why| wrong(&why))?))
        }
    };
    if clock.len() >= EPOCH_DIGITS_MIN && clock.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Timestamp::parse(clock).ok_or_else(|| wrong("out of range"));
    }
    if has_offset(clock) {
        return match own {
            Some(_) => Err(wrong("it has an offset and a zone; leave one of them out")),
            None => Timestamp::parse(clock).ok_or_else(|| wrong("")),
        };
    }
    let utc = Zone::default();
    let zone = own.as_ref().or(zone).unwrap_or(&utc);
    if let Some(day) = date(clock) {
        return whole_day(day, edge, zone).ok_or_else(|| wrong("out of range"));
    }
    // Digits alone would be read as a year, or as seconds since 1970.
    let civil = if clock.contains('-') { clock.parse::<DateTime>().ok() } else { None };
    let civil = civil.ok_or_else(|| wrong("write it as 2026-03-01T22:00+01:00, or a date"))?;
    zone.instant(civil).map_err(|why| wrong(&why))
}

/// The first or the last millisecond of a day. Where clocks skip midnight the day begins with what they show first.
fn whole_day(day: Date, edge: Edge, zone: &Zone) -> Option<Timestamp> {
    let begins = |day: Date| zone.first_instant(day.at(0, 0, 0, 0));
    match edge {
        Edge::Begin => begins(day),
        Edge::End => Timestamp::from_ms(begins(day.tomorrow().ok()?)?.as_ms() - 1),
    }
}

/// Whether an offset from UTC, or a Z, stands behind the time of day.
fn has_offset(text: &str) -> bool {
    let is_mark = |b: u8| matches!(b, b'Z' | b'z' | b'+' | b'-');
    text.bytes().skip("2026-03-01".len()).any(is_mark)
}

/// Periods, and how many readings lay in each.
#[derive(Clone, Debug, Default)]
pub struct Periods {
    /// By rising beginning.
    all: Vec<Period>,
    /// The latest end of those up to each.
    ends: Vec<Timestamp>,
    readings: Vec<u64>,
}

impl Periods {
    /// Of these, in any order.
    pub fn new(mut all: Vec<Period>) -> Self {
        all.sort_by(|a, b| (a.from, a.to, &a.only).cmp(&(b.from, b.to, &b.only)));
        let latest = |latest: &mut Timestamp, period: &Period| {
            *latest = period.to.max(*latest);
            Some(*latest)
        };
        let first = all.first().map_or(Timestamp::LAST, |period| period.to);
        let ends = all.iter().scan(first, latest).collect();
        Periods { readings: vec![0; all.len()], ends, all }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them, by rising beginning, with the readings that lay in each.
    pub fn counted(&self) -> impl Iterator<Item = (&Period, u64)> {
        self.all.iter().zip(self.readings.iter().copied())
    }

    /// Whether the reading of `series` in the file `source` at that time lies in one of them; it is counted in each.
    pub fn take_in(&mut self, series: &str, source: &str, at: Timestamp) -> bool {
        let found: Vec<usize> = self.around(series, source, at, at).collect();
        found.iter().for_each(|index| self.readings[*index] += 1);
        !found.is_empty()
    }

    /// The indices, in [`Periods::counted`], of those that have an instant from `from` to `to`, both of them included.
    pub fn around<'p>(
        &'p self,
        series: &'p str,
        source: &'p str,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = usize> + 'p {
        let begun = self.all.partition_point(|period| period.from <= to);
        let reaching = (0..begun).rev().take_while(move |index| self.ends[*index] >= from);
        reaching.filter(move |index| self.all[*index].to >= from && self.all[*index].is_of(series, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn check(text: &str, zone: Option<&str>, expected: Expect) {
        let zone = zone.map(|name| Zone::named(name).expect("there is one"));
        let said = Period::parse(text, zone.as_ref()).map_or_else(|problem| problem, |p| p.to_string());
        expected.assert_eq(&said);
    }

    #[test]
    fn times_with_an_offset_a_zone_or_neither() {
        check(
            "2026-03-01T22:00+01:00..2026-03-02 06:30:15.250Z",
            None,
            expect!["2026-03-01T21:00:00Z..2026-03-02T06:30:15.25Z"],
        );
        let here = Some("Europe/Berlin");
        check(
            "2026-03-01 22:00..2026-07-01T12:00:30",
            here,
            expect!["2026-03-01T21:00:00Z..2026-07-01T10:00:30Z"],
        );
        check(
            "2026-03-01 22:00 .. 2026-03-02",
            None,
            expect!["2026-03-01T22:00:00Z..2026-03-02T23:59:59.999Z"],
        );
        check("2026-03-29", here, expect!["2026-03-28T23:00:00Z..2026-03-29T21:59:59.999Z"]);
        check("20260329", None, expect!["2026-03-29T00:00:00Z..2026-03-29T23:59:59.999Z"]);
        check(
            "2026-03-01T22:00[America/New_York]..2026-03-02T22:00Z",
            here,
            expect!["2026-03-02T03:00:00Z..2026-03-02T22:00:00Z"],
        );
        check("1400000000..1400000000500", None, expect!["2014-05-13T16:53:20Z..2014-05-13T16:53:20.5Z"]);
    }

    #[test]
    fn what_is_no_period() {
        check(
            "yesterday",
            None,
            expect![[
                r#""yesterday" is no period: write FROM..TO, such as 2026-03-01T22:00+01:00..2026-03-02, or a date"#
            ]],
        );
        check(
            "2026-13-01..2026-02-30T10:00",
            None,
            expect![[
                r#""2026-13-01" is no time: write it as 2026-03-01T22:00+01:00, or a date; "2026-02-30T10:00" is no time: write it as 2026-03-01T22:00+01:00, or a date"#
            ]],
        );
        check(
            "2026-03-02..2026-03-01",
            None,
            expect!["2026-03-02..2026-03-01 ends before it begins; is it 2026-03-01..2026-03-02?"],
        );
        check(
            "2014..2015",
            None,
            expect![[
                r#""2014" is no time: write it as 2026-03-01T22:00+01:00, or a date; "2015" is no time: write it as 2026-03-01T22:00+01:00, or a date"#
            ]],
        );
        check(
            "..2026-03-01",
            None,
            expect![[r#""" is no time: write it as 2026-03-01T22:00+01:00, or a date"#]],
        );
        check(
            "2026-03-01T22:00+26:00..2026-03-04",
            None,
            expect![[r#""2026-03-01T22:00+26:00" is no time"#]],
        );
        check(
            "2026-03-01T22:00[Mars/Olympus]..2026-03-02",
            None,
            expect![[
                r#""2026-03-01T22:00[Mars/Olympus]" is no time: "Mars/Olympus" is no time zone of the IANA database; the nearest is "Asia/Almaty""#
            ]],
        );
        check(
            "2026-03-01T22:00Z[Europe/Berlin]..2026-03-02",
            None,
            expect![[
                r#""2026-03-01T22:00Z[Europe/Berlin]" is no time: it has an offset and a zone; leave one of them out"#
            ]],
        );
    }

    #[test]
    fn what_clocks_show_twice_or_never() {
        let here = Some("Europe/Berlin");
        check(
            "2026-10-25T02:30..2026-10-26",
            here,
            expect![[
                r#""2026-10-25T02:30" is no time: clocks show it twice in Europe/Berlin: write 2026-10-25T02:30:00+02 or 2026-10-25T02:30:00+01"#
            ]],
        );
        check(
            "2026-10-25T02:30:00+01..2026-10-26",
            here,
            expect!["2026-10-25T01:30:00Z..2026-10-26T22:59:59.999Z"],
        );
        check(
            "2026-03-29T02:30..2026-03-30",
            here,
            expect![[r#""2026-03-29T02:30" is no time: clocks never show it in Europe/Berlin"#]],
        );
    }

    #[test]
    fn some_are_of_one_file_or_series() {
        let of = |only: &str| Period {
            only: Some(only.to_owned()),
            ..Period::parse("2026-03-01", None).expect("a day")
        };
        assert!(of("web").is_of("web", "a/b.csv") && of("a/b.csv").is_of("x", "/r/a/b.csv"));
        assert!(of("b").is_of("x", "/r/a/b.csv") && !of("b.cs").is_of("x", "/r/a/b.csv"));
    }

    proptest! {
        #[test]
        fn the_quick_way_finds_what_looking_at_each_finds(
            ends in proptest::collection::vec((0_i64..100, 0_i64..40), 0..20), from in 0_i64..120, length in 0_i64..20,
        ) {
            let at = |ms| Timestamp::from_ms(ms).expect("in range");
            let all: Vec<Period> = ends
                .iter()
                .map(|(from, length)| Period { from: at(*from), to: at(from + length), only: None })
                .collect();
            let to = from + length;
            let slow = ends.iter().filter(|(begin, length)| *begin <= to && begin + length >= from).count();
            prop_assert_eq!(Periods::new(all).around("s", "f", at(from), at(to)).count(), slow);
        }
    }
}
