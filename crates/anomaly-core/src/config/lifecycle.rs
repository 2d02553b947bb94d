//! How an alert of a rule goes on once it has fired: quiet time, reminders, flapping, and what is learned meanwhile.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::duration;
use super::keys::Known;

/// The keys of `quiet`.
pub(super) const QUIET: &[(&str, Known)] = &[("for", Known::Value), ("worse", Known::Value)];
/// The keys of `flapping`.
pub(super) const FLAPPING: &[(&str, Known)] = &[("times", Known::Value), ("within", Known::Value)];

/// How often an alert may fire before it flaps, at most: so many times are kept with the series.
const TIMES_MAX: u32 = 16;
/// A new alert in a quiet time is clearly worse if it is half as strange again as the last one.
const WORSE: f64 = 1.5;
/// How many readings a new level must look normal to itself.
pub(super) const ACCEPT: u32 = 200;

/// A stretch of a series: of time, or of readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// So long, by the readings' times. Written `"8h"`.
    Time(Duration),
    /// So many readings that were judged. Written `"100 readings"`.
    Readings(u32),
}

/// After an alert, others of the same rule and series are not told for a while, unless they are clearly worse.
/// Written `"8h"` or `"100 readings"`, or with both keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quiet {
    /// How long, from when people were last told.
    pub span: Span,
    /// How much larger an excess must be than the largest one told: 1.5 is half as large again. What is of a higher
    /// severity than was told is told anyway.
    pub worse: f64,
}

/// An alert that comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flapping {
    /// How often it fires, 2 to 16; the last of these flaps.
    pub times: u32,
    /// Within what; and it must be calm for as long to be over.
    pub within: Span,
}

/// What a rule learns from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Learn {
    /// Every number, in the method's way: `sigma` takes one beyond the threshold as if it lay on it.
    #[default]
    All,
    /// What was not anomalous. Where a new level goes on, it is learned beside the old one, and takes its place once
    /// it has looked normal for as many readings as `accept` says.
    Normal,
}

impl Span {
    /// Whether there is nothing of it.
    pub(super) fn is_empty(self) -> bool {
        matches!(self, Span::Readings(0) | Span::Time(Duration::ZERO))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Span::Time(time) => f.write_str(&duration::shown(*time)),
            Span::Readings(count) => write!(f, "{count} readings"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = text.strip_suffix("readings").map(|count| count.trim().parse());
        match count {
            Some(Ok(count)) => Ok(Span::Readings(count)),
            Some(Err(_)) => Err(format!("{text:?} is no number of readings; write \"100 readings\"")),
            None => duration::read(text).map(Span::Time).ok_or_else(|| {
                format!(
                    "{text:?} is neither a length of time nor a number of readings; write \"8h\" or \"100 readings\""
                )
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The two ways to write a quiet time.
#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Written {
    Span(String),
    Table {
        #[serde(rename = "for")]
        span: Span,
        #[serde(default = "worse")]
        worse: f64,
    },
}

fn worse() -> f64 {
    WORSE
}

impl Serialize for Quiet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Quiet { span, worse } = *self;
        match worse == WORSE {
            true => span.serialize(serializer),
            false => Written::Table { span, worse }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Quiet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::value::{Error, StringDeserializer};
        match Written::deserialize(deserializer)? {
            Written::Table { span, worse } => Ok(Quiet { span, worse }),
            Written::Span(text) => {
                let span = Span::deserialize(StringDeserializer::<Error>::new(text));
                span.map(Quiet::from).map_err(serde::de::Error::custom)
            }
        }
    }
}

impl From<Span> for Quiet {
    /// So long, and clearly worse is half as strange again.
    fn from(span: Span) -> Self {
        Quiet { span, worse: WORSE }
    }
}

impl Quiet {
    /// What is wrong with it, by key.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let span = self.span.is_empty().then(|| ("quiet", format!("{} is no time; leave it out", self.span)));
        let worse = (!(self.worse.is_finite() && self.worse >= 1.0))
            .then(|| ("quiet.worse", format!("{} is not 1.0 or more", self.worse)));
        span.into_iter().chain(worse).collect()
    }
}

impl Flapping {
    /// What is wrong with it, by key.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let times = (!(2..=TIMES_MAX).contains(&self.times))
            .then(|| ("flapping.times", format!("{} is not 2 to {TIMES_MAX}", self.times)));
        let within =
            (self.within.is_empty()).then(|| ("flapping.within", format!("{} is no time", self.within)));
        times.into_iter().chain(within).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(json: &str) -> Result<Quiet, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_and_writes_both_forms() {
        let hours = Span::Time(Duration::from_secs(8 * 3600));
        assert_eq!(quiet(r#""8h""#), Ok(hours.into()));
        assert_eq!(quiet(r#""100 readings""#), Ok(Span::Readings(100).into()));
        let both = Quiet { span: hours, worse: 2.0 };
        assert_eq!(quiet(r#"{"for":"8h","worse":2.0}"#), Ok(both));
        for quiet in [both, hours.into(), Span::Readings(1).into()] {
            let json = serde_json::to_string(&quiet).expect("plain data");
            assert_eq!(self::quiet(&json), Ok(quiet), "{json}");
        }
        for text in ["soon", "-1 readings", "readings", "100"] {
            let error = quiet(&format!("{text:?}")).expect_err(text);
            assert!(error.contains(text) && error.contains("100 readings"), "{error}");
        }
    }

    #[test]
    fn says_what_is_out_of_range() {
        let keys = |problems: Vec<(&'static str, String)>| {
            problems.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        let quiet = Quiet { span: Span::Readings(0), worse: 0.5 };
        assert_eq!(keys(quiet.problems()), ["quiet", "quiet.worse"]);
        let flapping = Flapping { times: 1, within: Span::Time(Duration::ZERO) };
        assert_eq!(keys(flapping.problems()), ["flapping.times", "flapping.within"]);
        assert_eq!(keys(Flapping { times: 16, within: Span::Readings(1) }.problems()), [""; 0]);
    }
}
