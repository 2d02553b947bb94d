//! `[[calendar]]`: times at which alerts are not told, or readings not judged: nights, holidays, maintenance, a period
//! that must not be learned.

mod dates;
mod week;
mod zone;

use serde::{Deserialize, Serialize};

pub use dates::Dates;
pub use week::Weekly;
pub use zone::Zone;

use super::Pattern;
use super::keys::Known;
use super::method::is_default;
use crate::reading::SeriesId;
use crate::time::Timestamp;

/// The section's keys.
pub(super) const KEYS: &[(&str, Known)] = &[
    ("name", Known::Value),
    ("zone", Known::Value),
    ("weekly", Known::Value),
    ("dates", Known::Value),
    ("outside", Known::Value),
    ("series", Known::Value),
    ("rule", Known::Value),
    ("effect", Known::Value),
];

/// `[[calendar]]`: when something else holds than usually, for whom, and what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calendar {
    /// Its name: findings and transitions say it.
    pub name: String,
    /// Where its days and hours are local.
    #[serde(skip_serializing_if = "is_default")]
    pub zone: Zone,
    /// Every week, such as `"mon-fri 22:00-06:00"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weekly: Vec<Weekly>,
    /// Once, such as `"2026-12-24..2026-12-26"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<Dates>,
    /// Whether it is for all times but these.
    #[serde(skip_serializing_if = "is_default")]
    pub outside: bool,
    /// For whose readings; `None`: for everybody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<Pattern>,
    /// For which rules; `None`: for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Pattern>,
    /// What holds then.
    #[serde(skip_serializing_if = "is_default")]
    pub effect: Effect,
}

/// What a calendar does at its times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// What begins then is not told. An alert that goes on afterwards is told then; the end of one that was told
    /// before is told at once.
    #[default]
    Hold,
    /// Readings are neither judged nor learned, by the rules and, unless the calendar is for some rules only, by the
    /// embedded detectors. Alerts stay as they are.
    Exclude,
}

impl Default for Calendar {
    fn default() -> Self {
        Calendar {
            name: "calendar".to_owned(),
            zone: Zone::default(),
            weekly: Vec::new(),
            dates: Vec::new(),
            outside: false,
            series: None,
            rule: None,
            effect: Effect::Hold,
        }
    }
}

impl Calendar {
    /// Whether it is for readings of `series` and the time `at`.
    pub fn covers(&self, series: &SeriesId, at: Timestamp) -> bool {
        self.series.as_ref().is_none_or(|pattern| pattern.matches(series.as_str())) && self.is_time(at)
    }

    /// Whether it is for the rule called `rule`.
    pub fn is_for_rule(&self, rule: &str) -> bool {
        self.rule.as_ref().is_none_or(|pattern| pattern.matches(rule))
    }

    fn is_time(&self, at: Timestamp) -> bool {
        let local = self.zone.local(at);
        let is_named = self.weekly.iter().any(|weekly| weekly.covers(local))
            || self.dates.iter().any(|dates| dates.covers(local));
        is_named != self.outside
    }

    pub(super) fn problems(&self, index: usize, rules: &[&str], problems: &mut Vec<String>) {
        let mut add = |key: &str, what: String| problems.push(format!("calendar[{index}].{key}: {what}"));
        if self.name.is_empty() || self.name.len() > 64 || self.name.chars().any(char::is_control) {
            add("name", format!("{:?} is not 1 to 64 printable bytes", self.name));
        }
        if self.weekly.is_empty() && self.dates.is_empty() {
            let what = "no times; give some such as \"sat,sun\" or \"mon-fri 22:00-06:00\", or `dates`";
            add("weekly", what.to_owned());
        }
        if self.series.as_ref().is_some_and(|series| series.0.is_empty()) {
            add(
                "series",
                "empty; leave it out for all series, or write a pattern such as \"web-*\"".to_owned(),
            );
        }
        if let Some(pattern) = self.rule.as_ref().filter(|_| !rules.iter().any(|rule| self.is_for_rule(rule)))
        {
            add("rule", format!("{:?} is no rule; there are: {}", pattern.0, rules.join(", ")));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One in which nothing is at its default.
    pub(in super::super) fn everything_set() -> Calendar {
        calendar(
            "zone = \"Europe/Berlin\"\nweekly = [\"sat\"]\ndates = [\"2026-12-24\"]\noutside = true\nseries = \"a\"\n\
             rule = \"b\"\neffect = \"exclude\"",
        )
    }

    fn calendar(toml: &str) -> Calendar {
        toml::from_str(toml).expect("a calendar")
    }

    fn covers(calendar: &Calendar, at: &str) -> bool {
        let at = Timestamp::parse(at).expect("a time");
        calendar.covers(&SeriesId::new("web-1").expect("a name"), at)
    }

    #[test]
    fn hours_are_local_and_follow_the_clock_when_it_changes() {
        let nights = calendar("zone = \"Europe/Berlin\"\nweekly = [\"mon-fri 22:00-06:00\"]");
        // Friday the 20th of November 2026 in winter, an hour ahead of UTC.
        for (at, expected) in [
            ("2026-11-20T20:59:59Z", false),
            ("2026-11-20T21:00:00Z", true),
            ("2026-11-21T04:59:59Z", true),
            ("2026-11-21T05:00:00Z", false),
            ("2026-11-21T21:30:00Z", false),
            ("2026-11-22T21:30:00Z", false),
            // Monday, summer time: two hours ahead.
            ("2026-07-20T19:59:59Z", false),
            ("2026-07-20T20:00:00Z", true),
            ("2026-07-21T03:59:59Z", true),
            ("2026-07-21T04:00:00Z", false),
        ] {
            assert_eq!(covers(&nights, at), expected, "{at}");
        }
        // The last Sunday of October has the hour from two to three twice, that of March has none.
        let early = calendar("zone = \"Europe/Berlin\"\nweekly = [\"sun 02:00-03:00\"]");
        let minutes = |day: &str| {
            (0..6 * 60).filter(|m| covers(&early, &format!("{day}T{:02}:{:02}:00Z", m / 60, m % 60))).count()
        };
        assert_eq!((minutes("2026-10-25"), minutes("2026-03-29"), minutes("2026-11-01")), (120, 0, 60));
    }

    #[test]
    fn a_calendar_may_be_for_all_other_times_and_for_some_series() {
        let closed = calendar(
            "zone = \"America/New_York\"\nweekly = [\"mon-fri 09:30-16:00\"]\noutside = true\nseries = \"web-*\"",
        );
        assert!(!covers(&closed, "2026-11-20T14:30:00Z") && covers(&closed, "2026-11-20T21:00:00Z"));
        assert!(covers(&closed, "2026-11-21T15:00:00Z"), "a Saturday");
        let other = SeriesId::new("db-1").expect("a name");
        assert!(!closed.covers(&other, Timestamp::parse("2026-11-21T15:00:00Z").expect("a time")));
    }

    #[test]
    fn days_are_whole_and_times_end_before_they_are_over() {
        let once = calendar(
            "zone = \"Asia/Tokyo\"\ndates = [\"2026-12-24..2026-12-26\", \"2027-01-05T10:00..2027-01-05T12:30\"]",
        );
        for (at, expected) in [
            ("2026-12-23T14:59:59Z", false),
            ("2026-12-23T15:00:00Z", true),
            ("2026-12-26T14:59:59Z", true),
            ("2026-12-26T15:00:00Z", false),
            ("2027-01-05T01:00:00Z", true),
            ("2027-01-05T03:29:59Z", true),
            ("2027-01-05T03:30:00Z", false),
        ] {
            assert_eq!(covers(&once, at), expected, "{at}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_how_it_is_written() {
        let error = |toml: &str| toml::from_str::<Calendar>(toml).expect_err(toml).message().to_owned();
        expect_test::expect![[r#"
            "Europe/Berln" is no time zone of the IANA database; the nearest is "Europe/Berlin"
            "never" is no time of the week; write "sat,sun", "mon-fri 22:00-06:00" or "22:00-06:00"
            "mon 25:00-26:00" is no time of the week; write "sat,sun", "mon-fri 22:00-06:00" or "22:00-06:00"
            "mon 10:00-10:00" is no time of the week; write "sat,sun", "mon-fri 22:00-06:00" or "22:00-06:00"
            "2026-12-26..2026-12-24" ends before it begins
            "christmas" is neither a date nor a period; write "2026-12-24", "2026-12-24..2026-12-26" or "2026-12-24T18:00..2026-12-25T06:00""#]]
        .assert_eq(
            &[
                "zone = \"Europe/Berln\"",
                "weekly = [\"never\"]",
                "weekly = [\"mon 25:00-26:00\"]",
                "weekly = [\"mon 10:00-10:00\"]",
                "dates = [\"2026-12-26..2026-12-24\"]",
                "dates = [\"christmas\"]",
            ]
            .map(error)
            .join("\n"),
        );
    }

    #[test]
    fn comes_back_as_it_was() {
        for toml in [
            "name = \"nights\"\nzone = \"Europe/Berlin\"\nweekly = [\"mon-fri 22:00-06:00\", \"sat,sun\", \"12:00-13:00\"]\neffect = \"exclude\"",
            "dates = [\"2026-12-24\", \"2026-12-24..2026-12-26\", \"2026-12-24T18:00..2026-12-25T06:00:30\"]\nrule = \"slow\"",
        ] {
            let calendar = calendar(toml);
            let json = serde_json::to_string(&calendar).expect("plain data");
            assert_eq!(serde_json::from_str::<Calendar>(&json).expect("its own"), calendar, "{json}");
        }
    }
}
