//! `[input.event_time]`: what becomes of readings that come early, late or out of order.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use super::keys::Known;

/// The section's keys.
pub(super) const KEYS: &[(&str, Known)] = &[
    ("late", Known::Value),
    ("out_of_order", Known::Value),
    ("early", Known::Value),
    ("policy", Known::Value),
];

/// Twenty-one days less a second: the longest late arrival tolerance of Stream Analytics
/// (`eventsLateArrivalMaxDelayInSeconds`, -1 to 1,814,399).
const MAX: Duration = Duration::from_secs(1_814_399);

/// `[input.event_time]`: Stream Analytics' three policies, for each series by itself. Without this section a
/// reading is judged when it comes.
///
/// The defaults are the portal's: 5 s late, nothing out of order, adjust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventTime {
    /// How far a reading's time may lie before its arrival; exactly that far is in time. 0 s to 1,814,399 s.
    #[serde(with = "duration", skip_serializing_if = "is_late_default")]
    pub late: Duration,
    /// How far a reading's time may lie before the newest of its series; within it readings are sorted, and
    /// wait for each other as long. 0 s to 1,814,399 s.
    #[serde(with = "duration", skip_serializing_if = "Duration::is_zero")]
    pub out_of_order: Duration,
    /// How far a reading's time may lie behind its arrival: a clock that runs ahead. Beyond it the reading is
    /// dropped, whatever the policy. 0 s to 1,814,399 s; Stream Analytics has the default, 5 minutes, for good.
    #[serde(with = "duration", skip_serializing_if = "is_early_default")]
    pub early: Duration,
    /// What becomes of a reading that is late or out of order.
    #[serde(skip_serializing_if = "is_adjust")]
    pub policy: Untimely,
}

/// What becomes of a reading that is late or out of order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Untimely {
    /// It is judged as of the earliest time that is still allowed.
    #[default]
    Adjust,
    /// It is rejected.
    Drop,
}

const LATE: Duration = Duration::from_secs(5);
const EARLY: Duration = Duration::from_secs(300);

impl Default for EventTime {
    fn default() -> Self {
        EventTime { late: LATE, out_of_order: Duration::ZERO, early: EARLY, policy: Untimely::Adjust }
    }
}

fn is_late_default(late: &Duration) -> bool {
    *late == LATE
}

fn is_early_default(early: &Duration) -> bool {
    *early == EARLY
}

fn is_adjust(policy: &Untimely) -> bool {
    *policy == Untimely::Adjust
}

impl EventTime {
    /// Whether readings wait for each other at all.
    pub fn holds(&self) -> bool {
        !self.out_of_order.is_zero()
    }

    pub(super) fn problems(&self, problems: &mut Vec<String>) {
        let all = [("late", self.late), ("out_of_order", self.out_of_order), ("early", self.early)];
        for (key, length) in all.into_iter().filter(|(_, length)| *length > MAX) {
            let shown = duration::shown(length);
            problems.push(format!("input.event_time.{key}: {shown} is more than 1814399s, which is 21 days"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn event_time(lines: &str) -> Result<Option<EventTime>, String> {
        let toml = format!("[input.event_time]\n{lines}");
        Config::from_toml(&toml).map(|config| config.input.event_time).map_err(|error| error.to_string())
    }

    #[test]
    fn without_the_section_there_is_none() {
        let config = Config::from_toml("").expect("valid");
        assert_eq!(config.input.event_time, None);
        assert!(!config.to_json().contains("event_time"), "nor a byte of it");
    }

    #[test]
    fn what_is_left_out_is_the_portals() {
        assert_eq!(event_time(""), Ok(Some(EventTime::default())));
        let seed = event_time("late = \"16s\"\nout_of_order = \"5s\"\npolicy = \"drop\"\n").expect("valid");
        let expected = EventTime {
            late: Duration::from_secs(16),
            out_of_order: Duration::from_secs(5),
            policy: Untimely::Drop,
            ..EventTime::default()
        };
        assert_eq!(seed, Some(expected));
    }

    #[test]
    fn json_is_short_and_comes_back() {
        let seed = "[input.event_time]\nlate = \"16s\"\nout_of_order = \"5s\"\n";
        let config = Config::from_toml(seed).expect("valid");
        let json = config.to_json();
        assert!(json.contains(r#""event_time":{"late":"16s","out_of_order":"5s"}"#), "{json}");
        assert_eq!(Config::from_json(&json), Ok(config));
    }

    #[test]
    fn problems_name_the_key() {
        assert_eq!(
            event_time("late = \"22d\"\nout_of_order = \"600h\"\n"),
            Err("the configuration has a problem: line 2: \"22d\" is no length of time; write \"16s\", \"5m\" or \"1h\"".to_owned()),
        );
        assert_eq!(
            event_time("late = \"528h\"\nout_of_order = \"600h\"\n").expect_err("too long").lines().count(),
            3
        );
        assert!(event_time("lat = \"5s\"\n").expect_err("unknown").contains("the nearest is `late`"));
    }
}
