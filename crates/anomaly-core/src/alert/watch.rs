//! What a rule remembers of a series, and how its alerts come and go.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AlertId, Open, Step};
use crate::calibration::Calibration;
use crate::config::{MOfN, Missing, Rule, Severity};
use crate::reading::SeriesId;
use crate::rule::held::{Last, Verdict};
use crate::rule::{self, Basis, Finding, Kept, Margin, Memory, Nothing};
use crate::time::Timestamp;

/// What a rule remembers of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    memory: Memory,
    /// The last findings, one bit each: anomalous.
    strange: u64,
    /// The findings since the alert fired, one bit each: calm.
    calm: u64,
    since: Option<Timestamp>,
    open: Option<Open>,
    previous: Option<AlertId>,
    /// Which of the last readings were there, and the time of the last one; only where the rule minds missing ones.
    /// The state encodes them behind the rest, and only then.
    #[serde(skip)]
    there: u64,
    #[serde(skip)]
    last: Option<Timestamp>,
}

/// What a [`Watch`] has that the first versions of a state did not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Extra {
    kept: Option<Box<Kept>>,
    there: u64,
    last: Option<Timestamp>,
}

/// How things stand between a rule and a series after a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No alert: of the last readings too few are anomalous.
    Quiet {
        /// So many are.
        anomalous: u32,
        /// It takes so many of so many.
        hold: MOfN,
    },
    /// An alert fires.
    Fired,
    /// One that fired before goes on: of the last readings too few are calm.
    Firing {
        /// So many are.
        calm: u32,
        /// It takes so many of so many.
        hold: MOfN,
    },
    /// It is over.
    Resolved,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::Quiet { anomalous: 0, hold } => write!(f, "no alert, which takes {hold}"),
            Standing::Quiet { anomalous, hold } => {
                write!(f, "no alert: {anomalous} of the last {} anomalous, and it takes {hold}", hold.n())
            }
            Standing::Fired => f.write_str("an alert fires"),
            Standing::Firing { calm, hold } => {
                write!(f, "the alert goes on: {calm} of the last {} calm, and its end takes {hold}", hold.n())
            }
            Standing::Resolved => f.write_str("the alert is over"),
        }
    }
}

/// A step an alert just took, with the alert as it stands after it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stepped {
    pub(crate) step: Step,
    pub(crate) alert: Open,
    pub(crate) margin: Margin,
}

impl Watch {
    /// Judges `number` and moves the alert along. At most one step a reading. `calibration` is that of the model
    /// whose score `number` is, where there is one.
    pub(crate) fn observe(
        &mut self,
        rule: &Rule,
        series: &SeriesId,
        at: Timestamp,
        number: Option<f64>,
        calibration: Option<&Calibration>,
    ) -> (Finding, Option<Stepped>) {
        let finding = match number {
            None => Finding::Unjudged(Nothing::Absent),
            Some(number) => calibration
                .and_then(|calibration| rule::calibrated(calibration, rule, number))
                .unwrap_or_else(|| self.memory.judge(rule, at, number)),
        };
        let reading = At { rule, series, at };
        let stepped = match finding {
            Finding::Anomalous(margin, severity) => self.strange(reading, margin, severity),
            Finding::Normal(margin) => self.normal(reading, margin, margin.excess < rule.clear.below),
            Finding::Ignored(margin) => self.normal(reading, margin, true),
            Finding::Unjudged(Nothing::Absent | Nothing::EngineBlind) => self.missing(reading),
            Finding::WarmingUp { .. } | Finding::Unjudged(_) => None,
        };
        (finding, stepped)
    }

    /// Knows what `other` learned of the series' numbers, and keeps what it last saw itself.
    pub(crate) fn learn_from(&mut self, other: &Watch) {
        self.memory = other.memory.clone();
    }

    /// Goes on with `memory`, and gives back the one it had.
    pub(crate) fn swap_memory(&mut self, memory: Memory) -> Memory {
        std::mem::replace(&mut self.memory, memory)
    }

    /// Whether nothing of what was judged last matters to what comes: no alert, and nothing strange in sight.
    pub fn is_at_rest(&self) -> bool {
        self.open.is_none() && self.strange == 0
    }

    /// The alert that is firing, if one is.
    pub fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    /// How things stand after a reading, on which `stepped` came of it.
    pub(crate) fn standing(&self, rule: &Rule, stepped: Option<Step>) -> Standing {
        let last = u64::MAX >> (64 - rule.hold.n());
        match stepped {
            Some(Step::Fired) => Standing::Fired,
            Some(Step::Resolved) => Standing::Resolved,
            None if self.open.is_some() => {
                Standing::Firing { calm: self.calm.count_ones(), hold: rule.clear.hold }
            }
            None => Standing::Quiet { anomalous: (self.strange & last).count_ones(), hold: rule.hold },
        }
    }

    /// What is encoded behind the rest; the default if there is nothing.
    pub(crate) fn extra(&self) -> Extra {
        Extra { kept: self.memory.kept.clone(), there: self.there, last: self.last }
    }

    /// Whether there is something to be encoded behind the rest.
    pub(crate) fn has_extra(&self) -> bool {
        self.memory.kept.is_some() || self.there != 0 || self.last.is_some()
    }

    /// Takes back what [`Watch::extra`] gave.
    pub(crate) fn set_extra(&mut self, extra: Extra) {
        (self.memory.kept, self.there, self.last) = (extra.kept, extra.there, extra.last);
    }

    fn strange(&mut self, reading: At<'_>, margin: Margin, severity: Severity) -> Option<Stepped> {
        let At { rule, at, .. } = reading;
        self.since.get_or_insert(at);
        let enough = self.push(reading, Some(true));
        if let Some(open) = &mut self.open {
            rule.clear.hold.push(&mut self.calm, false);
            open.grow(at, margin, severity);
            return None;
        }
        enough.then(|| self.fire(reading, margin, severity))
    }

    fn normal(&mut self, reading: At<'_>, margin: Margin, calm: bool) -> Option<Stepped> {
        let enough = self.push(reading, Some(false));
        if self.open.is_none() {
            return self.without_a_reading(reading, enough);
        }
        self.calm(reading, margin, calm)
    }

    /// There is no number. Nothing comes of it unless the rule says what that counts.
    fn missing(&mut self, reading: At<'_>) -> Option<Stepped> {
        let missing = reading.rule.missing;
        if missing == Missing::Skip {
            return None;
        }
        let enough = self.push(reading, None);
        match (self.open.is_some(), missing) {
            (false, _) => self.without_a_reading(reading, enough),
            (true, Missing::Breaching) => {
                reading.rule.clear.hold.push(&mut self.calm, false);
                None
            }
            (true, Missing::NotBreaching) => self.calm(reading, self.of_missing(reading), true),
            (true, _) => None,
        }
    }

    /// Fires on a reading that is not anomalous itself, because of those that are missing; else forgets when an
    /// episode began of which nothing is left.
    fn without_a_reading(&mut self, reading: At<'_>, enough: bool) -> Option<Stepped> {
        if enough {
            self.since.get_or_insert(reading.at);
            let margin = self.of_missing(reading);
            return Some(self.fire(reading, margin, rule::severity(&reading.rule.severity, &margin)));
        }
        self.since = self.since.filter(|_| self.strange != 0);
        None
    }

    /// How many of the last readings are anomalous or missing, against how many it takes.
    fn of_missing(&self, At { rule, .. }: At<'_>) -> Margin {
        let last = u64::MAX >> (64 - rule.hold.n());
        let missing = (!self.there & last).count_ones();
        let judged = f64::from(missing + (self.strange & self.there & last).count_ones());
        let threshold = f64::from(rule.hold.m());
        Margin::new(judged >= threshold, judged, threshold, judged / threshold, Basis::Missing { missing })
    }

    /// Remembers a reading, and those that should have come before it, and says whether the rule's `for` is met.
    fn push(&mut self, At { rule, at, .. }: At<'_>, strange: Option<bool>) -> bool {
        if rule.missing == Missing::Skip {
            return rule.hold.push(&mut self.strange, strange == Some(true));
        }
        let before = self.last.replace(self.last.map_or(at, |before| before.max(at)));
        // A series that begins was calm before: a start is no alert.
        let there = if before.is_none() { u64::MAX } else { self.there };
        let mut last = Last { strange: self.strange, there };
        if let Some(every) = rule.every {
            (0..absent(before, at, every.as_millis())).for_each(|_| last.push(None));
        }
        last.push(strange);
        let last = last.within(rule.hold);
        (self.strange, self.there) = (last.strange, last.there);
        last.evaluate(rule.hold, rule.missing) == Verdict::Alarm
    }

    fn fire(&mut self, At { rule, series, at }: At<'_>, margin: Margin, severity: Severity) -> Stepped {
        let alert = Open {
            id: AlertId::new(series, &rule.name, at, self.previous.as_ref()),
            step_number: 1,
            since: self.since.unwrap_or(at),
            fired_at: at,
            severity,
            peak: margin,
            peak_at: at,
            anomalous: self.strange.count_ones(),
        };
        self.calm = 0;
        self.previous = Some(alert.id.clone());
        self.open = Some(alert.clone());
        Stepped { step: Step::Fired, alert, margin }
    }

    /// Fires at `at`, the deadline, because nothing came since the time `heard`.
    pub(crate) fn fall_silent(
        &mut self,
        rule: &Rule,
        series: &SeriesId,
        heard: Timestamp,
        at: Timestamp,
        margin: Margin,
    ) -> Stepped {
        self.since = Some(heard);
        self.fire(At { rule, series, at }, margin, rule::severity(&rule.severity, &margin))
    }

    /// Is over at `at`, because something came; `margin` is of the whole silence.
    pub(crate) fn be_heard(&mut self, rule: &Rule, at: Timestamp, margin: Margin) -> Option<Stepped> {
        let mut alert = self.open.take()?;
        alert.step_number += 1;
        alert.severity = alert.severity.max(rule::severity(&rule.severity, &margin));
        (alert.peak, alert.peak_at) = (margin, at);
        self.since = None;
        Some(Stepped { step: Step::Resolved, alert, margin })
    }

    fn calm(&mut self, At { rule, .. }: At<'_>, margin: Margin, calm: bool) -> Option<Stepped> {
        if !rule.clear.hold.push(&mut self.calm, calm) {
            return None;
        }
        let mut alert = self.open.take()?;
        alert.step_number += 1;
        (self.strange, self.since) = (0, None);
        Some(Stepped { step: Step::Resolved, alert, margin })
    }
}

/// A reading, for a rule.
#[derive(Clone, Copy)]
struct At<'a> {
    rule: &'a Rule,
    series: &'a SeriesId,
    at: Timestamp,
}

/// How many readings should have come between the times `before` and `at`, if they are `every_ms` apart; as many as
/// are remembered at most.
fn absent(before: Option<Timestamp>, at: Timestamp, every_ms: u128) -> u32 {
    let Some(before) = before else { return 0 };
    let elapsed = u128::try_from(at.ms_since(before)).unwrap_or(0);
    // Half a step early or late is in time.
    let steps = (elapsed + every_ms / 2) / every_ms.max(1);
    u32::try_from(steps.saturating_sub(1)).unwrap_or(u32::MAX).min(64)
}

impl Open {
    fn grow(&mut self, at: Timestamp, margin: Margin, severity: Severity) {
        self.anomalous = self.anomalous.saturating_add(1);
        self.severity = self.severity.max(severity);
        if margin.excess > self.peak.excess {
            (self.peak, self.peak_at) = (margin, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Clear, Method};

    /// One letter a reading: what happened on it.
    fn run(rule: &Rule, numbers: &[f64]) -> (String, Vec<Stepped>) {
        let series = SeriesId::new("s").expect("a name");
        let (mut watch, mut steps) = (Watch::default(), Vec::new());
        let story = numbers.iter().zip(0..).map(|(number, i)| {
            let at = Timestamp::from_ms(i * 1000).expect("in range");
            let (finding, stepped) = watch.observe(rule, &series, at, Some(*number), None);
            steps.extend(stepped.clone());
            match (stepped.map(|s| s.step), finding) {
                (Some(Step::Fired), _) => 'F',
                (Some(Step::Resolved), _) => 'R',
                (None, Finding::Anomalous(..)) => 'x',
                (None, _) => '.',
            }
        });
        (story.collect(), steps)
    }

    fn rule(hold: (u32, u32), below: f64, clear: (u32, u32)) -> Rule {
        let m_of_n = |(m, n)| MOfN::new(m, n).expect("valid");
        Rule {
            method: Method::Static { threshold: 10.0 },
            hold: m_of_n(hold),
            clear: Clear { below, hold: m_of_n(clear) },
            ..Rule::default()
        }
    }

    fn numbers(text: &str) -> Vec<f64> {
        text.chars().map(|c| f64::from(c.to_digit(36).unwrap_or(0))).collect()
    }

    #[test]
    fn fires_once_and_resolves_once() {
        // Digits are readings, in base 36: `b` is 11, over the threshold of 10.
        let story = |rule: &Rule, text: &str| run(rule, &numbers(text)).0;
        assert_eq!(story(&rule((1, 1), 1.0, (1, 1)), "1b1b1"), ".FRFR");
        assert_eq!(story(&rule((2, 3), 1.0, (2, 2)), "1b1b1b111b1"), ".x.F.x.R.x.");
        assert_eq!(story(&rule((3, 3), 1.0, (1, 1)), "bbbbb1bb1"), "xxFxxRxx.");
        assert_eq!(story(&rule((1, 1), 0.8, (2, 2)), "b9a98b7711"), "F....x.R..", "8 of 10 is not below 0.8");
    }

    /// `-` is a reading without a number.
    fn with_gaps(rule: &Rule, text: &str) -> String {
        let series = SeriesId::new("s").expect("a name");
        let mut watch = Watch::default();
        let story = text.chars().zip(0..).map(|(c, i)| {
            let at = Timestamp::from_ms(i * 1000).expect("in range");
            let number = c.to_digit(36).map(f64::from);
            match watch.observe(rule, &series, at, number, None) {
                (_, Some(stepped)) if stepped.step == Step::Fired => 'F',
                (_, Some(_)) => 'R',
                (Finding::Anomalous(..), None) => 'x',
                _ => '.',
            }
        });
        story.collect()
    }

    #[test]
    fn missing_readings_count_as_the_rule_says() {
        let say = |missing, text| with_gaps(&Rule { missing, ..rule((2, 3), 1.0, (2, 2)) }, text);
        assert_eq!(say(Missing::Skip, "1b--b--1-1"), ".x..F....R", "as if they had not been");
        assert_eq!(say(Missing::Missing, "1b--b1"), ".x..F.", "five readings back");
        assert_eq!(say(Missing::Missing, "1b---"), ".x...", "normal ones are in sight still");
        assert_eq!(say(Missing::Missing, "1b----"), ".x...F", "and now it is all there is");
        assert_eq!(say(Missing::Ignore, "1b-----"), ".x.....", "it stays as it was");
        assert_eq!(
            say(Missing::Breaching, "111----"),
            "......F",
            "two of three are missing, and of the last five"
        );
        assert_eq!(say(Missing::Breaching, "111----1---11"), "......F.....R", "and silence does not end it");
        assert_eq!(say(Missing::NotBreaching, "11bb--"), "..xF.R", "silence is calm");
        assert_eq!(say(Missing::Missing, "11bb--1-1"), "..xF....R");
    }

    #[test]
    fn readings_that_did_not_come_are_missing() {
        let rule = Rule {
            missing: Missing::Breaching,
            every: Some(std::time::Duration::from_secs(60)),
            ..rule((3, 4), 1.0, (2, 2))
        };
        let series = SeriesId::new("s").expect("a name");
        let mut watch = Watch::default();
        let mut fired = |s: i64| {
            let at = Timestamp::from_ms(s * 1000).expect("in range");
            watch.observe(&rule, &series, at, Some(1.0), None).1.map(|stepped| stepped.margin.to_string())
        };
        for s in [0, 60, 125, 180, 235] {
            assert_eq!(fired(s), None, "in time, and before the first there was nothing to miss");
        }
        assert_eq!(fired(415), None, "two are missing, and then it comes");
        (475..=775).step_by(60).for_each(|s| assert_eq!(fired(s), None));
        let said = "3 against 3 (anomalous or missing, 3 missing)";
        assert_eq!(fired(1_500).as_deref(), Some(said), "eleven are, and it comes");
    }

    #[test]
    fn a_resolved_alert_tells_its_story() {
        let (_, steps) = run(&rule((2, 3), 1.0, (2, 2)), &numbers("1bzc11"));
        let resolved = &steps[1].alert;
        assert_eq!(steps[0].alert.id, resolved.id);
        assert_eq!((resolved.step_number, resolved.anomalous), (2, 3));
        assert_eq!(
            (resolved.since.as_ms(), resolved.fired_at.as_ms(), resolved.peak_at.as_ms()),
            (1000, 2000, 2000)
        );
        assert_eq!((resolved.peak.judged, resolved.severity), (35.0, Severity::Critical));
    }

    #[test]
    fn ids_are_stable_and_differ_on_a_repeated_time() {
        let (_, steps) = run(&rule((1, 1), 1.0, (1, 1)), &numbers("b1b1"));
        // Computed once, and the contract since: a changed hash would send every open alert again.
        assert_eq!(steps[0].alert.id.as_str(), "3cf065d87952f921");
        assert_ne!(steps[0].alert.id, steps[2].alert.id);
        let series = SeriesId::new("s").expect("a name");
        let first = AlertId::new(&series, "r", Timestamp::default(), None);
        let next = |id: &AlertId| Some(AlertId::new(&series, "r", Timestamp::default(), Some(id)));
        let ids: std::collections::BTreeSet<_> = std::iter::successors(Some(first), next).take(500).collect();
        assert_eq!(ids.len(), 500, "all of them, however many came before");
    }
}
