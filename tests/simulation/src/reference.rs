//! Which alerts must exist: the promise, told a second time and without the code it is about.
//!
//! Takes the readings of all series in the order in which the source took them, and fixed thresholds. Knows no
//! batches, no queues, no failures, and nothing of `anomaly-core`.

use std::collections::{BTreeMap, VecDeque};

use crate::scenario::{Reading, RuleSpec};

/// A step of an alert that people must be told of.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// Whose readings.
    pub series: String,
    /// By which rule.
    pub rule: &'static str,
    /// 1 for the beginning, 2 for the end.
    pub number: u32,
    /// The event time of the reading that fired the alert, in milliseconds since 1970: with series and rule
    /// it names the alert.
    pub opened_ms: i64,
    /// The event time of the reading that made the step.
    pub at_ms: i64,
    /// The event time of the episode's first anomalous reading.
    pub since_ms: i64,
    /// The number judged at this step.
    pub judged: f64,
    /// The highest number so far.
    pub peak: f64,
    /// How many readings were anomalous, so far.
    pub anomalous: u32,
}

/// What is known of one rule on one series.
#[derive(Default)]
struct Course {
    /// Was it anomalous? The last readings, newest last.
    strange: VecDeque<bool>,
    /// Was it calm? The readings since the alert fired, newest last.
    calm: VecDeque<bool>,
    since_ms: Option<i64>,
    open: Option<Demand>,
}

/// All steps of all alerts, in order within a series.
pub fn demands<'r>(rules: &[RuleSpec], readings: impl IntoIterator<Item = &'r Reading>) -> Vec<Demand> {
    let mut courses: BTreeMap<(&str, &str), Course> = BTreeMap::new();
    let mut demands = Vec::new();
    for reading in readings {
        for rule in rules {
            let course = courses.entry((&reading.series, rule.name)).or_default();
            demands.extend(step(course, rule, reading));
        }
    }
    demands
}

fn step(course: &mut Course, rule: &RuleSpec, reading: &Reading) -> Option<Demand> {
    let (judged, at_ms) = (rule.number(reading)?, reading.at_ms);
    let is_strange = judged > rule.threshold;
    let strange = remember(&mut course.strange, is_strange, rule.hold.1);
    if is_strange {
        course.since_ms.get_or_insert(at_ms);
    }
    if let Some(open) = &mut course.open {
        let calm = remember(&mut course.calm, judged < rule.below * rule.threshold, rule.clear.1);
        open.anomalous += u32::from(is_strange);
        open.peak = open.peak.max(if is_strange { judged } else { f64::MIN });
        (open.number, open.at_ms, open.judged) = (2, at_ms, judged);
        if is_strange || calm < rule.clear.0 {
            return None;
        }
        let resolved = course.open.take();
        *course = Course::default();
        return resolved;
    }
    if strange == 0 {
        course.since_ms = None;
    }
    if !is_strange || strange < rule.hold.0 {
        return None;
    }
    let (series, rule, since_ms) = (reading.series.clone(), rule.name, course.since_ms?);
    let anomalous = strange as u32;
    let fired = Demand {
        series,
        rule,
        number: 1,
        opened_ms: at_ms,
        at_ms,
        since_ms,
        judged,
        peak: judged,
        anomalous,
    };
    course.open = Some(fired.clone());
    Some(fired)
}

/// Adds `hit` to the last `length` ones and counts them.
fn remember(last: &mut VecDeque<bool>, hit: bool, length: usize) -> usize {
    last.push_back(hit);
    while last.len() > length {
        last.pop_front();
    }
    last.iter().filter(|hit| **hit).count()
}
