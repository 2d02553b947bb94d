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
    /// Counts the alert's steps, from 1.
    pub number: u32,
    /// What the step is.
    pub step: Kind,
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

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The alert begins.
    Begins,
    /// It becomes critical.
    Worse,
    /// It is over.
    Ends,
}

/// How far beyond its threshold a number is critical: half as far again as the threshold is.
const CRITICAL: f64 = 1.5;

/// What is known of one rule on one series.
#[derive(Default)]
struct Course {
    /// Was it anomalous? The last readings, newest last.
    strange: VecDeque<bool>,
    /// Was it calm? The readings since the alert fired, newest last.
    calm: VecDeque<bool>,
    since_ms: Option<i64>,
    /// The highest anomalous number of an episode that has not fired.
    highest: Option<f64>,
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
        course.highest = Some(course.highest.map_or(judged, |highest| highest.max(judged)));
    }
    if let Some(open) = &mut course.open {
        let calm = remember(&mut course.calm, judged < rule.below * rule.threshold, rule.clear.1);
        let was_critical = is_critical(rule, open.peak);
        open.anomalous += u32::from(is_strange);
        open.peak = open.peak.max(if is_strange { judged } else { f64::MIN });
        (open.at_ms, open.judged) = (at_ms, judged);
        if is_critical(rule, open.peak) && !was_critical {
            (open.number, open.step) = (open.number + 1, Kind::Worse);
            return Some(open.clone());
        }
        if is_strange || calm < rule.clear.0 {
            return None;
        }
        let mut resolved = course.open.take()?;
        *course = Course::default();
        (resolved.number, resolved.step) = (resolved.number + 1, Kind::Ends);
        return Some(resolved);
    }
    if strange == 0 {
        (course.since_ms, course.highest) = (None, None);
    }
    if !is_strange || strange < rule.hold.0 {
        return None;
    }
    let (series, rule, since_ms) = (reading.series.clone(), rule.name, course.since_ms?);
    let (anomalous, peak) = (strange as u32, course.highest?);
    let fired = Demand {
        series,
        rule,
        number: 1,
        step: Kind::Begins,
        opened_ms: at_ms,
        at_ms,
        since_ms,
        judged,
        peak,
        anomalous,
    };
    course.open = Some(fired.clone());
    Some(fired)
}

fn is_critical(rule: &RuleSpec, judged: f64) -> bool {
    1.0 + (judged - rule.threshold) / rule.threshold.abs() >= CRITICAL
}

/// Adds `hit` to the last `length` ones and counts them.
fn remember(last: &mut VecDeque<bool>, hit: bool, length: usize) -> usize {
    last.push_back(hit);
    while last.len() > length {
        last.pop_front();
    }
    last.iter().filter(|hit| **hit).count()
}
