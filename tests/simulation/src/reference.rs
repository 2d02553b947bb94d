//! Which alerts must exist: the promise, told a second time and without the code it is about.
//!
//! Takes the readings of all series in the order in which the source took them, and fixed thresholds. Knows no
//! batches, no queues, no failures, and nothing of `anomaly-core`.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

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
    /// How many opened at that time right before it: with its time that is an alert's name, and where a record that
    /// was put twice opens it again, it is the same alert.
    pub nth: u32,
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
    /// Whether it is written down and told to nobody.
    pub is_held: bool,
}

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The alert begins.
    Begins,
    /// It becomes critical.
    Worse,
    /// It goes on, and it is time to say so; or nobody was told yet, and nothing holds it any more.
    Again,
    /// It is over.
    Ends,
}

/// How far beyond its threshold a number is critical: half as far again as the threshold is.
const CRITICAL: f64 = 1.5;
/// How much stranger a new alert must be to be told in a quiet time.
const CLEARLY_WORSE: f64 = 1.5;

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
    /// The alert that opened last.
    previous: Option<Name>,
    /// Readings so far, whatever they are.
    readings: u32,
    /// What people were told last that was no end.
    told: Option<Told>,
    /// What people do not know of the open alert.
    untold: Untold,
}

struct Told {
    name: Name,
    at_ms: i64,
    reading: u32,
    peak: f64,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Untold {
    #[default]
    Nothing,
    LastStep,
    All,
}

/// When an alert opened, in milliseconds since 1970, and its place among those that opened then in a row.
type Name = (i64, u32);

impl Demand {
    fn name(&self) -> Name {
        (self.opened_ms, self.nth)
    }
}

/// All steps of all alerts, in order within a series. What happens in `works`, by the readings' times in milliseconds
/// since 1970, is held.
pub fn demands<'r>(
    rules: &[RuleSpec],
    works: Option<&Range<i64>>,
    readings: impl IntoIterator<Item = &'r Reading>,
) -> Vec<Demand> {
    let mut courses: BTreeMap<(&str, &str), Course> = BTreeMap::new();
    let mut demands = Vec::new();
    for reading in readings {
        for rule in rules {
            let course = courses.entry((&reading.series, rule.name)).or_default();
            course.readings += 1;
            let at_work = works.is_some_and(|works| works.contains(&reading.at_ms));
            demands.extend(step(course, rule, reading, at_work));
        }
    }
    demands
}

fn step(course: &mut Course, rule: &RuleSpec, reading: &Reading, at_work: bool) -> Option<Demand> {
    let (judged, at_ms) = (rule.number(reading)?, reading.at_ms);
    let is_strange = judged > rule.threshold;
    let strange = remember(&mut course.strange, is_strange, rule.hold.1);
    if is_strange {
        course.since_ms.get_or_insert(at_ms);
        course.highest = Some(course.highest.map_or(judged, |highest| highest.max(judged)));
    }
    if let Some(mut open) = course.open.take() {
        let is_calm = judged < rule.below * rule.threshold;
        let calm = remember(&mut course.calm, is_calm, rule.clear.1);
        let was_critical = is_critical(rule, open.peak);
        open.anomalous += u32::from(is_strange);
        open.peak = open.peak.max(if is_strange { judged } else { f64::MIN });
        (open.at_ms, open.judged) = (at_ms, judged);
        if !is_strange && calm >= rule.clear.0 {
            let is_held = course.untold == Untold::All;
            (course.since_ms, course.highest, course.untold) = (None, None, Untold::Nothing);
            course.strange.clear();
            course.calm.clear();
            return Some(Demand { number: open.number + 1, step: Kind::Ends, is_held, ..open });
        }
        let is_worse = is_critical(rule, open.peak) && !was_critical;
        let is_again = (is_strange || !is_calm) && is_to_be_told_again(course, rule, &open, at_work);
        if is_worse || is_again {
            (open.number, open.step) = (open.number + 1, if is_worse { Kind::Worse } else { Kind::Again });
            tell(course, rule, &mut open, at_work);
            course.open = Some(open.clone());
            return Some(open);
        }
        course.open = Some(open);
        return None;
    }
    if strange == 0 {
        (course.since_ms, course.highest) = (None, None);
    }
    if !is_strange || strange < rule.hold.0 {
        return None;
    }
    let mut fired = Demand {
        series: reading.series.clone(),
        rule: rule.name,
        number: 1,
        step: Kind::Begins,
        opened_ms: at_ms,
        nth: course.previous.filter(|(opened_ms, _)| *opened_ms == at_ms).map_or(0, |(_, nth)| nth + 1),
        at_ms,
        since_ms: course.since_ms?,
        judged,
        peak: course.highest?,
        anomalous: strange as u32,
        is_held: false,
    };
    tell(course, rule, &mut fired, at_work);
    course.previous = Some(fired.name());
    course.open = Some(fired.clone());
    Some(fired)
}

/// Whether people have to hear of an open alert although nothing is new.
fn is_to_be_told_again(course: &Course, rule: &RuleSpec, open: &Demand, at_work: bool) -> bool {
    if course.untold != Untold::Nothing {
        return !is_held(course, rule, open, at_work);
    }
    let told = course.told.as_ref().filter(|told| told.name == open.name());
    let is_time = |told: &Told| rule.repeat_ms.is_some_and(|repeat| open.at_ms - told.at_ms >= repeat);
    !at_work && told.is_some_and(is_time)
}

fn is_held(course: &Course, rule: &RuleSpec, open: &Demand, at_work: bool) -> bool {
    let is_quiet = |(quiet, told): (u32, &Told)| {
        let is_worse = is_critical(rule, open.peak) && !is_critical(rule, told.peak)
            || excess(rule, open.peak) >= CLEARLY_WORSE * excess(rule, told.peak);
        told.name != open.name() && !is_worse && course.readings - told.reading < quiet
    };
    at_work || rule.quiet.zip(course.told.as_ref()).is_some_and(is_quiet)
}

fn tell(course: &mut Course, rule: &RuleSpec, open: &mut Demand, at_work: bool) {
    open.is_held = is_held(course, rule, open, at_work);
    course.untold = match open.is_held {
        false => Untold::Nothing,
        true if open.number == 1 || course.untold == Untold::All => Untold::All,
        true => Untold::LastStep,
    };
    if !open.is_held {
        let (name, at_ms, peak) = (open.name(), open.at_ms, open.peak);
        course.told = Some(Told { name, at_ms, reading: course.readings, peak });
    }
}

fn is_critical(rule: &RuleSpec, judged: f64) -> bool {
    excess(rule, judged) >= CRITICAL
}

/// 1 at the threshold, 2 as far again beyond it.
fn excess(rule: &RuleSpec, judged: f64) -> f64 {
    1.0 + (judged - rule.threshold) / rule.threshold.abs()
}

/// Adds `hit` to the last `length` ones and counts them.
fn remember(last: &mut VecDeque<bool>, hit: bool, length: usize) -> usize {
    last.push_back(hit);
    while last.len() > length {
        last.pop_front();
    }
    last.iter().filter(|hit| **hit).count()
}
