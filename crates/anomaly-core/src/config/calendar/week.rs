//! Times of the week.

use std::fmt;

use jiff::civil::{DateTime, Time, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Days of the week, and hours of them: `"sat,sun"`, `"mon-fri 22:00-06:00"`, `"22:00-06:00"`. Hours that end no later
/// than they begin end on the day after. What the clocks skip is not there, and what they repeat is there twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// By the day, Monday first.
    days: [bool; 7],
    /// From, inclusive, and to, exclusive; `None`: all day.
    hours: Option<(Time, Time)>,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Weekly {
    /// Whether it is such a time.
    pub fn covers(&self, local: DateTime) -> bool {
        let on = |day: Weekday| self.days[day.to_monday_zero_offset() as usize];
        let today = local.date().weekday();
        let Some((from, to)) = self.hours else { return on(today) };
        let time = local.time();
        match from < to {
            true => on(today) && (from..to).contains(&time),
            false => (on(today) && time >= from) || (on(today.previous()) && time < to),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (first, second) = (words.next()?, words.next());
        if words.next().is_some() {
            return None;
        }
        match second {
            Some(hours) => Some(Weekly { days: read_days(first)?, hours: Some(read_hours(hours)?) }),
            None => match read_hours(first) {
                Some(hours) => Some(Weekly { days: [true; 7], hours: Some(hours) }),
                None => Some(Weekly { days: read_days(first)?, hours: None }),
            },
        }
    }
}

/// `mon-fri`, `sat,sun`, `fri-mon,wed`.
fn read_days(text: &str) -> Option<[bool; 7]> {
    let day = |name: &str| DAYS.iter().position(|known| name.eq_ignore_ascii_case(known));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let count = (last + 7 - first) % 7 + 1;
        (0..count).for_each(|i| days[(first + i) % 7] = true);
    }
    Some(days)
}

/// `22:00-06:00`. Nothing takes no time.
fn read_hours(text: &str) -> Option<(Time, Time)> {
    let (from, to) = text.split_once('-')?;
    let time = |text: &str| match text {
        "24:00" => Some(Time::midnight()),
        _ => (text.contains(':')).then(|| text.parse::<Time>().ok()).flatten(),
    };
    let hours = (time(from)?, time(to)?);
    (hours.0 != hours.1).then_some(hours)
}

impl fmt::Display for Weekly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_every_day = self.days == [true; 7];
        if !is_every_day || self.hours.is_none() {
            let named = DAYS.iter().zip(self.days).filter(|(_, on)| *on).map(|(name, _)| *name);
            f.write_str(&named.collect::<Vec<_>>().join(","))?;
        }
        let Some((from, to)) = self.hours else { return Ok(()) };
        let blank = if is_every_day { "" } else { " " };
        let shown = |time: Time| match (time.second(), time.subsec_nanosecond()) {
            (0, 0) => format!("{:02}:{:02}", time.hour(), time.minute()),
            _ => time.to_string(),
        };
        write!(f, "{blank}{}-{}", shown(from), shown(to))
    }
}

impl Serialize for Weekly {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Weekly {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Weekly::read(&text).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "{text:?} is no time of the week; write \"sat,sun\", \"mon-fri 22:00-06:00\" or \"22:00-06:00\""
            ))
        })
    }
}
