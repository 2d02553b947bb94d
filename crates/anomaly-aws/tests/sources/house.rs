//! What the tests share.

use anomaly_aws::event::EventError;
use anomaly_aws::source::{Batch, Intake};
use anomaly_core::config::Config;
use anomaly_core::decode::Decoder;
use anomaly_core::records::Decoded;
use anomaly_core::time::Timestamp;
use expect_test::Expect;
use serde_json::Value;

/// An event file, by name.
macro_rules! event {
    ($name:literal) => {
        include_str!(concat!("../../../../events/", $name, ".json"))
    };
}
pub(crate) use event;

/// Takes in what the event files hold.
pub(crate) fn intake() -> Intake {
    Intake::new(Decoder::new(&config().input).expect("a valid input"))
}

pub(crate) fn config() -> Config {
    Config::from_toml(include_str!("../../../../events/anomaly.toml")).expect("a valid file")
}

/// A minute after the first record of the event files.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T04:11:48Z").expect("a time")
}

pub(crate) fn read(event: &str) -> Result<Batch<'_>, EventError> {
    intake().read(event, now())
}

/// The event with something changed in it.
pub(crate) fn changed(event: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut event: Value = serde_json::from_str(event).expect("JSON");
    change(&mut event);
    event.to_string()
}

/// One line a record: the name its source has for it, when it arrived, its number, and what it is.
pub(crate) fn lines(batch: &Batch<'_>) -> String {
    let mut lines = format!("{}\n", batch.source);
    for partition in &batch.partitions {
        assert_eq!(partition.records.len(), partition.names.len(), "a name each");
        lines += &format!("{}\n", partition.name);
        for (entries, name) in partition.records.iter().zip(&partition.names) {
            lines += &format!("  {}", name.as_deref().unwrap_or("-"));
            for entry in entries {
                lines += &match entry {
                    Decoded::Reading(reading) => {
                        let (position, features) = (&reading.position, &reading.features);
                        assert_eq!(position.partition, partition.name);
                        let (arrived, sequence, sub) = (position.arrived, &position.sequence, position.sub);
                        let series = &reading.series;
                        format!(" | {arrived} {sequence}.{sub} {series} {features:?}")
                    }
                    Decoded::Rejected(reject) => {
                        assert_eq!(reject.partition, partition.name);
                        let (arrived, sequence, sub) = (reject.arrived_ms, &reject.sequence, reject.sub);
                        format!(" | {arrived} {sequence}.{sub} rejected: {}", reject.reject)
                    }
                };
            }
            if entries.is_empty() {
                lines += " | nothing";
            }
            lines.push('\n');
        }
    }
    lines
}

pub(crate) fn check(event: &str, expected: Expect) {
    expected.assert_eq(&lines(&read(event).expect("an event of ours")));
}

/// What is replied if each partition is wanted again from an index on, or an error's text.
pub(crate) fn reply(event: &str, resume_at: &[Option<usize>]) -> String {
    let batch = read(event).expect("an event of ours");
    match batch.reply(resume_at) {
        Ok(reply) => serde_json::to_string(&reply).expect("plain data"),
        Err(error) => error.to_string(),
    }
}

pub(crate) fn check_reply(event: &str, resume_at: &[Option<usize>], expected: Expect) {
    expected.assert_eq(&reply(event, resume_at));
}

pub(crate) fn error(event: &str) -> String {
    read(event).expect_err("no event of ours").to_string()
}
