//! What a rule remembers of a series, and how its alerts come and go.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::life::Worst;
use super::{AlertId, Held, Life, Open, Step, shadow};
use crate::calibration::Calibration;
use crate::config::{Flapping, MOfN, Missing, Rule, Severity, Span};
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
    /// What an alert's life takes besides; encoded behind the rest, and only then.
    #[serde(skip)]
    life: Option<Box<Life>>,
}

/// What a [`Watch`] has that the first versions of a state did not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Extra {
    kept: Option<Box<Kept>>,
    there: u64,
    last: Option<Timestamp>,
}

/// How things stand between a rule and a series after a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No alert, and nothing strange in sight.
    Idle {
        /// It takes so many of so many.
        hold: MOfN,
    },
    /// No alert yet: of the last readings too few are anomalous.
    Pending {
        /// So many are.
        anomalous: u32,
        /// It takes so many of so many.
        hold: MOfN,
    },
    /// An alert took a step.
    Took {
        /// The step.
        step: Step,
        /// Why nobody is told, if nobody is.
        held: Option<Held>,
    },
    /// One that fired before goes on: of the last readings too few are calm.
    Firing {
        /// So many are.
        calm: u32,
        /// It takes so many of so many.
        hold: MOfN,
        /// It flaps, and must be calm for so long too.
        flapping: Option<Span>,
        /// Whether somebody has seen it.
        acknowledged: bool,
    },
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::Idle { hold } => write!(f, "no alert, which takes {hold}"),
            Standing::Pending { anomalous, hold } => {
                write!(f, "no alert: {anomalous} of the last {} anomalous, and it takes {hold}", hold.n())
            }
            Standing::Took { step, held } => {
                f.write_str(match step {
                    Step::Fired => "an alert fires",
                    Step::Flapping => "an alert fires, and flaps",
                    Step::Escalated => "the alert is worse than it was",
                    Step::Repeated => "the alert goes on, and is told again",
                    Step::Acknowledged => "the alert was acknowledged",
                    Step::Resolved => "the alert is over",
                })?;
                held.iter().try_for_each(|held| write!(f, "; not told: {held}"))
            }
            Standing::Firing { calm, hold, flapping, acknowledged } => {
                write!(
                    f,
                    "the alert goes on: {calm} of the last {} calm, and its end takes {hold}",
                    hold.n()
                )?;
                flapping.iter().try_for_each(|within| write!(f, " and, as it flaps, {within} of calm"))?;
                if *acknowledged { f.write_str("; acknowledged") } else { Ok(()) }
            }
        }
    }
}

/// A step an alert just took, with the alert as it stands after it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stepped {
    pub(crate) step: Step,
    pub(crate) alert: Open,
    pub(crate) margin: Margin,
    /// Why nobody is told.
    pub(crate) held: Option<Held>,
    /// What is called flapping, where it flaps.
    pub(crate) flapping: Option<Flapping>,
    /// Whether a new level was taken as normal.
    pub(crate) is_new_normal: bool,
}

/// What a rule is asked about a reading.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) series: &'a SeriesId,
    /// The reading's time.
    pub(crate) at: Timestamp,
    /// The calendar that holds what is told.
    pub(crate) calendar: Option<&'a str>,
}

impl Watch {
    /// Judges `number` and moves the alert along. At most one step a reading. `calibration` is that of the model
    /// whose score `number` is, where there is one.
    pub(crate) fn observe(
        &mut self,
        asked: Asked<'_>,
        number: Option<f64>,
        calibration: Option<&Calibration>,
    ) -> (Finding, Option<Stepped>) {
        let rule = asked.rule;
        let finding = match number {
            None => Finding::Unjudged(Nothing::Absent),
            Some(number) => calibration
                .and_then(|calibration| rule::calibrated(calibration, rule, number))
                .unwrap_or_else(|| self.judge(asked, number)),
        };
        if rule.counts_readings() {
            self.life_mut().count();
        }
        let stepped = match finding {
            Finding::Anomalous(margin, severity) => self.strange(asked, margin, severity),
            Finding::Normal(margin) => self.normal(asked, margin, margin.excess < rule.clear.below),
            Finding::Ignored(margin) => self.normal(asked, margin, true),
            Finding::Unjudged(Nothing::Absent | Nothing::EngineBlind) => self.missing(asked),
            Finding::WarmingUp { .. } | Finding::Unjudged(_) => None,
        };
        if self.life.is_some() {
            self.tidy();
        }
        (finding, stepped)
    }

    fn judge(&mut self, Asked { rule, at, .. }: Asked<'_>, number: f64) -> Finding {
        if !shadow::is_wanted(rule) {
            return self.memory.judge(rule, at, number);
        }
        let life = self.life.get_or_insert_default();
        let learned = shadow::judge(&mut self.memory, &mut life.shadow, rule, at, number);
        life.is_new_normal |= learned.is_new_normal && self.open.is_some();
        learned.finding
    }

    /// Keeps nothing that the next reading does not need.
    fn tidy(&mut self) {
        let is_calm = self.is_at_rest();
        if let Some(life) = self.life.as_deref_mut().filter(|_| is_calm) {
            life.end_episode();
        }
        self.life = self.life.take().filter(|life| **life != Life::default());
    }

    fn life_mut(&mut self) -> &mut Life {
        self.life.get_or_insert_default()
    }

    /// Knows what `other` learned of the series' numbers, and keeps what it last saw itself.
    pub(crate) fn learn_from(&mut self, other: &Watch) {
        self.memory = other.memory.clone();
    }

    /// Goes on with `memory`, and gives back the one it had.
    pub(crate) fn swap_memory(&mut self, memory: Memory) -> Memory {
        // What is learned beside it is of the other's numbers.
        if let Some(life) = &mut self.life {
            life.shadow = None;
        }
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

    /// Somebody has seen the alert `id`. Gives back the number of that step; `None` if it is not open.
    pub(crate) fn acknowledge(&mut self, id: &AlertId) -> Option<u32> {
        let open = self.open.as_mut().filter(|open| open.id == *id)?;
        open.step_number += 1;
        let number = open.step_number;
        self.life_mut().acknowledge();
        Some(number)
    }

    /// Whether somebody has seen the alert that is firing.
    pub fn is_acknowledged(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.is_acknowledged())
    }

    /// How things stand after a reading, on which `stepped` came of it.
    pub(crate) fn standing(&self, rule: &Rule, stepped: Option<&Stepped>) -> Standing {
        if let Some(Stepped { step, held, .. }) = stepped {
            return Standing::Took { step: *step, held: held.clone() };
        }
        let last = u64::MAX >> (64 - rule.hold.n());
        let (calm, anomalous) = (self.calm.count_ones(), (self.strange & last).count_ones());
        let flaps = self.life.as_ref().is_some_and(|life| life.is_flapping());
        match (&self.open, anomalous) {
            (Some(_), _) => Standing::Firing {
                calm,
                hold: rule.clear.hold,
                flapping: rule.flapping.filter(|_| flaps).map(|flapping| flapping.within),
                acknowledged: self.is_acknowledged(),
            },
            (None, 0) => Standing::Idle { hold: rule.hold },
            (None, anomalous) => Standing::Pending { anomalous, hold: rule.hold },
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

    /// What is encoded behind the extras; mostly nothing.
    pub(crate) fn life(&self) -> Option<&Life> {
        self.life.as_deref()
    }

    /// Takes back what [`Watch::life`] gave.
    pub(crate) fn set_life(&mut self, life: Option<Box<Life>>) {
        self.life = life;
    }

    fn strange(&mut self, asked: Asked<'_>, margin: Margin, severity: Severity) -> Option<Stepped> {
        let Asked { rule, at, .. } = asked;
        let worst = Worst { severity, peak: margin, peak_at: at };
        self.since.get_or_insert(at);
        let enough = self.push(asked, Some(true));
        if self.open.is_some() {
            rule.clear.hold.push(&mut self.calm, false);
            return self.worsen(asked, worst);
        }
        if enough {
            return Some(self.fire(asked, worst));
        }
        self.life_mut().pend(worst);
        None
    }

    fn normal(&mut self, asked: Asked<'_>, margin: Margin, calm: bool) -> Option<Stepped> {
        let enough = self.push(asked, Some(false));
        if self.open.is_none() {
            return self.without_a_reading(asked, enough);
        }
        self.calm(asked, margin, calm)
    }

    /// There is no number. Nothing comes of it unless the rule says what that counts.
    fn missing(&mut self, asked: Asked<'_>) -> Option<Stepped> {
        let missing = asked.rule.missing;
        if missing == Missing::Skip {
            return None;
        }
        let enough = self.push(asked, None);
        match (self.open.is_some(), missing) {
            (false, _) => self.without_a_reading(asked, enough),
            (true, Missing::Breaching) => {
                asked.rule.clear.hold.push(&mut self.calm, false);
                None
            }
            (true, Missing::NotBreaching) => self.calm(asked, self.of_missing(asked), true),
            (true, _) => None,
        }
    }

    /// Fires on a reading that is not anomalous itself, because of those that are missing; else forgets when an
    /// episode began of which nothing is left.
    fn without_a_reading(&mut self, asked: Asked<'_>, enough: bool) -> Option<Stepped> {
        if enough {
            self.since.get_or_insert(asked.at);
            let peak = self.of_missing(asked);
            let severity = rule::severity(&asked.rule.severity, &peak);
            return Some(self.fire(asked, Worst { severity, peak, peak_at: asked.at }));
        }
        self.since = self.since.filter(|_| self.strange != 0);
        None
    }

    /// How many of the last readings are anomalous or missing, against how many it takes.
    fn of_missing(&self, Asked { rule, .. }: Asked<'_>) -> Margin {
        let last = u64::MAX >> (64 - rule.hold.n());
        let missing = (!self.there & last).count_ones();
        let judged = f64::from(missing + (self.strange & self.there & last).count_ones());
        let threshold = f64::from(rule.hold.m());
        Margin::new(judged >= threshold, judged, threshold, judged / threshold, Basis::Missing { missing })
    }

    /// Remembers a reading, and those that should have come before it, and says whether the rule's `for` is met.
    fn push(&mut self, Asked { rule, at, .. }: Asked<'_>, strange: Option<bool>) -> bool {
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

    fn fire(&mut self, asked: Asked<'_>, worst: Worst) -> Stepped {
        let Asked { rule, series, at, calendar } = asked;
        let margin = worst.peak;
        let previous = self.previous.take();
        let (since, anomalous) = (self.since.unwrap_or(at), self.strange.count_ones());
        let life = self.life_mut();
        let Worst { severity, peak, peak_at } = life.end_pending(worst);
        let id = AlertId::new(series, &rule.name, at, previous.as_ref());
        let alert = Open { id, step_number: 1, since, fired_at: at, severity, peak, peak_at, anomalous };
        let flapping = rule.flapping.filter(|flapping| life.fire(flapping, at));
        let held = life.holds(rule, &alert, at, calendar);
        life.tell(rule, &alert, at, held.as_ref());
        self.calm = 0;
        self.previous = Some(alert.id.clone());
        self.open = Some(alert.clone());
        let step = if flapping.is_some() { Step::Flapping } else { Step::Fired };
        Stepped { step, alert, margin, held, flapping, is_new_normal: false }
    }

    /// Fires at the deadline, which `asked` names, because nothing came since the time `heard`.
    pub(crate) fn fall_silent(&mut self, asked: Asked<'_>, heard: Timestamp, margin: Margin) -> Stepped {
        self.since = Some(heard);
        let severity = rule::severity(&asked.rule.severity, &margin);
        let stepped = self.fire(asked, Worst { severity, peak: margin, peak_at: asked.at });
        self.tidy();
        stepped
    }

    /// Is over at `at`, because something came; `margin` is of the whole silence.
    pub(crate) fn be_heard(&mut self, rule: &Rule, at: Timestamp, margin: Margin) -> Option<Stepped> {
        let mut alert = self.open.take()?;
        alert.step_number += 1;
        alert.severity = alert.severity.max(rule::severity(&rule.severity, &margin));
        (alert.peak, alert.peak_at) = (margin, at);
        self.since = None;
        let (held, is_new_normal) = self.life.as_deref_mut().map_or((None, false), Life::resolve);
        self.tidy();
        Some(Stepped { step: Step::Resolved, alert, margin, held, flapping: None, is_new_normal })
    }

    /// A reading is anomalous while the alert is open.
    fn worsen(&mut self, asked: Asked<'_>, worst: Worst) -> Option<Stepped> {
        let open = self.open.as_mut()?;
        let before = open.severity;
        open.grow(worst);
        let is_worse = open.severity > before;
        if let Some(life) = &mut self.life {
            life.go_on(asked.at, is_worse);
        }
        match is_worse {
            true => self.tell_again(asked, Step::Escalated, worst.peak),
            false => self.remind(asked, worst.peak),
        }
    }

    /// Tells people of the open alert again, if it is time.
    fn remind(&mut self, asked: Asked<'_>, margin: Margin) -> Option<Stepped> {
        let (open, life) = (self.open.as_ref()?, self.life.as_ref()?);
        let is_time = life.is_to_repeat(asked.rule, open, asked.at, asked.calendar);
        if is_time { self.tell_again(asked, Step::Repeated, margin) } else { None }
    }

    fn tell_again(&mut self, asked: Asked<'_>, step: Step, margin: Margin) -> Option<Stepped> {
        let Asked { rule, at, calendar, .. } = asked;
        let alert = self.open.as_mut()?;
        alert.step_number += 1;
        let alert = alert.clone();
        let life = self.life_mut();
        let held = life.holds(rule, &alert, at, calendar);
        life.tell(rule, &alert, at, held.as_ref());
        Some(Stepped { step, alert, margin, held, flapping: None, is_new_normal: false })
    }

    fn calm(&mut self, asked: Asked<'_>, margin: Margin, calm: bool) -> Option<Stepped> {
        let Asked { rule, at, .. } = asked;
        let enough = rule.clear.hold.push(&mut self.calm, calm);
        if let Some(life) = self.life.as_deref_mut().filter(|_| !calm) {
            life.go_on(at, false);
        }
        if !enough || self.life.as_ref().is_some_and(|life| life.flaps_on(rule, at)) {
            return self.remind(asked, margin);
        }
        let mut alert = self.open.take()?;
        alert.step_number += 1;
        (self.strange, self.since) = (0, None);
        let (held, is_new_normal) = self.life.as_deref_mut().map_or((None, false), Life::resolve);
        Some(Stepped { step: Step::Resolved, alert, margin, held, flapping: None, is_new_normal })
    }
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
    fn grow(&mut self, worst: Worst) {
        self.anomalous = self.anomalous.saturating_add(1);
        self.severity = self.severity.max(worst.severity);
        if worst.peak.excess > self.peak.excess {
            (self.peak, self.peak_at) = (worst.peak, worst.peak_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Clear, Learn, Method};

    /// What happened on a reading: a step, in lower case if nobody is told; else `x` if it is anomalous.
    fn letter(finding: &Finding, stepped: Option<&Stepped>) -> char {
        let Some(Stepped { step, held, .. }) = stepped else {
            return if matches!(finding, Finding::Anomalous(..)) { 'x' } else { '.' };
        };
        let letter = match step {
            Step::Fired => 'F',
            Step::Resolved => 'R',
            Step::Escalated => 'W',
            Step::Repeated => 'S',
            Step::Flapping => 'L',
            Step::Acknowledged => 'A',
        };
        if held.is_some() { letter.to_ascii_lowercase() } else { letter }
    }

    /// One letter a reading: what happened on it.
    fn run(rule: &Rule, numbers: &[f64]) -> (String, Vec<Stepped>) {
        let series = SeriesId::new("s").expect("a name");
        let (mut watch, mut steps) = (Watch::default(), Vec::new());
        let story = numbers.iter().zip(0..).map(|(number, i)| {
            let at = Timestamp::from_ms(i * 1000).expect("in range");
            let (finding, stepped) =
                watch.observe(Asked { rule, series: &series, at, calendar: None }, Some(*number), None);
            steps.extend(stepped.clone());
            letter(&finding, stepped.as_ref())
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

    /// The story of `text`, digits in base 36 over a threshold of 10, for a rule of `settings`.
    fn story(settings: &str, text: &str) -> String {
        let written =
            r#"{"method":{"kind":"static","threshold":10.0},"for":"1 of 1","clear":{"for":"1 of 1"}}"#;
        let mut rule: serde_json::Value = serde_json::from_str(written).expect("an object");
        let more: serde_json::Value = serde_json::from_str(settings).expect("an object");
        for (key, value) in more.as_object().expect("settings") {
            rule[key] = value.clone();
        }
        let rule: Rule = serde_json::from_value(rule).expect("a rule");
        run(&rule, &numbers(text)).0
    }

    #[test]
    fn an_alert_is_told_again_when_it_is_worse() {
        // 10 is the threshold, 15 (f) critical.
        assert_eq!(story("{}", "1bbfbz1f1"), ".FxWxxRFR");
        assert_eq!(story(r#"{"for":"2 of 3"}"#, "fb1"), "xFR", "the first of the three was critical");
    }

    #[test]
    fn in_a_quiet_time_only_what_is_clearly_worse_is_told() {
        let quiet = r#"{"quiet":"5 readings"}"#;
        assert_eq!(story(quiet, "b1b11b1"), "FRfr.FR", "the quiet time begins when somebody is told");
        assert_eq!(
            story(quiet, "b1f1g1z1"),
            "FRFRfrFR",
            "critical after a warning, then half as strange again"
        );
        assert_eq!(story(quiet, "b1bbbbb1"), "FRfxxSxR", "it went on when the quiet time was over");
        assert_eq!(story(quiet, "b1bf1"), "FRfWR", "and it is told when it gets worse");
        assert_eq!(story(quiet, "f1bf1"), "FRfwr", "unless the one before was as bad");
        assert_eq!(story(r#"{"quiet":"5s"}"#, "b1b11b1"), "FRfr.FR", "by the readings' times");
        assert_eq!(story(r#"{"quiet":{"for":"9s","worse":1.2}}"#, "i1k1n1"), "FRfrFR");
    }

    #[test]
    fn people_are_reminded_of_what_goes_on() {
        assert_eq!(story(r#"{"repeat":"3s"}"#, "bbbbbbbb1"), "FxxSxxSxR");
        assert_eq!(
            story(r#"{"repeat":"3s","clear":{"for":"9 of 9"}}"#, "b111111"),
            "F..S..S",
            "however calm it looks"
        );
    }

    #[test]
    fn what_comes_and_goes_is_held_open() {
        let flapping = r#"{"flapping":{"times":3,"within":"8 readings"}}"#;
        assert_eq!(story(flapping, "b1b1b1b1b111111111b1"), "FRFRL.x.x.......R.FR");
        assert_eq!(story(flapping, "b1b1111111b1"), "FRFR......FR", "not within so few");
        assert_eq!(story(r#"{"flapping":{"times":2,"within":"4s"}}"#, "b1b1111111"), "FRL...R...");
    }

    /// The calendar holds from `from` to `to`.
    fn in_calendar(text: &str, hours: std::ops::Range<i64>) -> String {
        let (rule, series) = (rule((1, 1), 1.0, (1, 1)), SeriesId::new("s").expect("a name"));
        let mut watch = Watch::default();
        let story = numbers(text).into_iter().zip(0..).map(|(number, i)| {
            let at = Timestamp::from_ms(i * 1000).expect("in range");
            let calendar = hours.contains(&i).then_some("nights");
            let asked = Asked { rule: &rule, series: &series, at, calendar };
            let (finding, stepped) = watch.observe(asked, Some(number), None);
            letter(&finding, stepped.as_ref())
        });
        story.collect()
    }

    #[test]
    fn a_calendar_holds_what_begins() {
        assert_eq!(in_calendar("1b1b1", 0..3), ".frFR");
        assert_eq!(in_calendar("1bbbb1", 0..3), ".fxSxR", "it goes on when the calendar ends");
        assert_eq!(in_calendar("1bb1b1", 2..9), ".FxRfr", "the end of what was told is told");
        assert_eq!(in_calendar("1bfbb1", 2..3), ".FwSxR", "that it got worse is told afterwards");
        assert_eq!(in_calendar("1bf1", 2..9), ".FwR");
    }

    #[test]
    fn who_has_seen_it_is_not_reminded_unless_it_gets_worse() {
        let rule = Rule { repeat: Some(std::time::Duration::from_secs(2)), ..rule((1, 1), 1.0, (1, 1)) };
        let series = SeriesId::new("s").expect("a name");
        let mut watch = Watch::default();
        let say = |watch: &mut Watch, i: i64, number: f64| {
            let at = Timestamp::from_ms(i * 1000).expect("in range");
            let asked = Asked { rule: &rule, series: &series, at, calendar: None };
            let (finding, stepped) = watch.observe(asked, Some(number), None);
            letter(&finding, stepped.as_ref())
        };
        let first: String = (0..3).map(|i| say(&mut watch, i, 11.0)).collect();
        let id = watch.open().expect("one").id.clone();
        assert_eq!((first.as_str(), watch.acknowledge(&id), watch.is_acknowledged()), ("FxS", Some(3), true));
        let then: String = (3..9).map(|i| say(&mut watch, i, if i == 6 { 16.0 } else { 11.0 })).collect();
        assert_eq!((then.as_str(), watch.is_acknowledged()), ("xxxWxS", false));
        assert_eq!(say(&mut watch, 9, 1.0), 'R');
        assert_eq!(watch.acknowledge(&id), None, "it is over");
        assert_eq!(watch.open().map(|open| &open.id), None);
    }

    #[test]
    fn a_new_level_becomes_normal_where_only_what_is_normal_is_learned() {
        let written = r#"{"method":{"kind":"sigma","warmup":10},"for":"1 of 1","clear":{"for":"3 of 3"},"learn":"normal","accept":20}"#;
        let rule: Rule = serde_json::from_str(written).expect("a rule");
        let wave = |level: f64, count: usize| (0..count).map(move |i| level + (i % 5) as f64);
        let numbers: Vec<f64> = wave(10.0, 40).chain(wave(50.0, 60)).chain(wave(10.0, 10)).collect();
        let (story, steps) = run(&rule, &numbers);
        assert_eq!(&story[..40], ".".repeat(40));
        assert_eq!(
            story[40..100].trim_end_matches('.'),
            format!("F{}..R", "x".repeat(28)),
            "10 to warm up, 20 to accept"
        );
        assert!(steps[1].is_new_normal && !steps[0].is_new_normal);
        // A fault that ends is not learned at all.
        let fault: Vec<f64> =
            wave(10.0, 40).chain(wave(50.0, 15)).chain(wave(10.0, 20)).chain(wave(50.0, 3)).collect();
        let (story, steps) = run(&rule, &fault);
        assert_eq!(&story[40..], format!("F{}..R{}Fxx", "x".repeat(14), ".".repeat(17)));
        assert!(!steps[1].is_new_normal);
        let all: Rule = Rule { learn: Learn::All, ..rule };
        assert!(run(&all, &numbers).1.iter().all(|step| !step.is_new_normal));
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
            match watch.observe(Asked { rule, series: &series, at, calendar: None }, number, None) {
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
            watch
                .observe(Asked { rule: &rule, series: &series, at, calendar: None }, Some(1.0), None)
                .1
                .map(|stepped| stepped.margin.to_string())
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
