//! The schedule that looks after series that fell silent; only where readings wait for each other, or a rule judges
//! silence.

use anomaly_core::config::{Config, EventTime};
use anomaly_core::names;

use super::function::Stage;
use super::schedule::Schedule;
use super::tables;
use crate::permission::{Statement, allow};
use crate::stack::Resource;
use crate::value::sub;

const FLUSH: Schedule = Schedule {
    id: "Flush",
    stage: Stage::Classify,
    minutes: 1,
    // The same text as `events/flush.json`.
    event: r#"{"flush":true}"#,
    description: "Looks after series that fell silent",
    because: "Readings wait for those that may come before them, and rules for those that should come: where none does, a clock must say so.",
    keep_failed: "KeepFailedFlush",
    alarm: "A sweep of series that fell silent failed",
};

/// Whether readings wait for each other at all, or a rule judges silence.
pub(super) fn is_wanted(config: &Config) -> bool {
    config.input.event_time.as_ref().is_some_and(EventTime::holds) || config.judges_silence()
}

pub(super) fn resources(config: &Config) -> Vec<Resource> {
    if is_wanted(config) { FLUSH.resources() } else { Vec::new() }
}

/// What `classify` needs for it.
pub(super) fn statements(config: &Config) -> Vec<Statement> {
    if !is_wanted(config) {
        return Vec::new();
    }
    let index = sub(&format!("${{{}.Arn}}/index/{}", tables::STATES, names::HELD_INDEX));
    vec![allow("FindHeld", ["dynamodb:Query"], [index]), FLUSH.statement()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_sends_the_committed_event() {
        let committed = include_str!("../../../../events/flush.json");
        let [sent, committed] = [FLUSH.event, committed].map(serde_json::from_str::<serde_json::Value>);
        assert_eq!(sent.expect("JSON"), committed.expect("JSON"));
    }
}
