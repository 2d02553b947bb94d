//! Alerts as people ask for them: which there are, by what name, and what became of one.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::alert::{Acknowledgement, AlertId, Open, Step, Transition};
use crate::classify::SeriesState;
use crate::config::Severity;
use crate::reading::SeriesId;
use crate::rule::Margin;
use crate::time::Timestamp;

/// How many names an error lists at most.
const NAMED_MAX: usize = 5;
/// How many digits may differ of a name that is taken for a mistyped one.
const MISTYPED_MAX: usize = 2;

/// An alert, with all that is kept of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Its name.
    pub id: AlertId,
    /// Whose it is.
    pub series: SeriesId,
    /// The rule.
    pub rule: String,
    /// As it stands in the series' state, if it is open.
    pub open: Option<Open>,
    /// Whether somebody has seen it.
    pub is_acknowledged: bool,
    /// Its steps, as far as they are kept, in order.
    pub steps: Vec<Transition>,
}

/// An alert in a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Its name.
    pub alert: AlertId,
    /// Whose it is.
    pub series: SeriesId,
    /// The rule.
    pub rule: String,
    /// What the rule judges; absent where no step is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// The highest severity so far.
    pub severity: Severity,
    /// The event time of its first anomalous reading.
    pub since: Timestamp,
    /// The event time of the reading on which it fired.
    pub fired_at: Timestamp,
    /// The event time of the reading that ended it; absent while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// The strangest number so far and its threshold.
    pub peak: Margin,
    /// When that was.
    pub peak_at: Timestamp,
    /// Anomalous readings so far.
    pub anomalous: u32,
    /// Whether somebody has seen it.
    pub acknowledged: bool,
    /// Who has; absent again once it got worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    /// What they say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// For how long they acknowledged it, in milliseconds; absent: until it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_for_ms: Option<u64>,
    /// Whether it is of readings that came late, which are judged apart; absent where it is not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

/// Why a name is no alert's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unnamed {
    /// None begins so.
    None {
        /// What was given.
        given: String,
        /// The one that may have been meant.
        nearest: Option<AlertId>,
        /// How many alerts there are.
        there: usize,
        /// How many of them are open.
        open: usize,
    },
    /// Several begin so.
    Several {
        /// What was given.
        given: String,
        /// Their names, in order.
        names: Vec<AlertId>,
    },
}

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unnamed::None { given, nearest, there, open } => {
                write!(f, "no alert's name begins with {given:?}; {there} are kept, {open} of them open")?;
                match nearest {
                    Some(nearest) => write!(f, "\nhint: is it {nearest}?"),
                    None => Ok(()),
                }
            }
            Unnamed::Several { given, names } => {
                let first: Vec<&str> = names.iter().take(NAMED_MAX).map(AlertId::as_str).collect();
                let more = if names.len() > NAMED_MAX { ", …" } else { "" };
                let first = first.join(", ");
                write!(f, "{given:?} is the beginning of {} names: {first}{more}", names.len())
            }
        }
    }
}

impl std::error::Error for Unnamed {}

/// All alerts that are open in `states`, or of which `steps`, in any order, are kept: oldest first.
pub fn alerts<'s>(
    states: impl IntoIterator<Item = (&'s SeriesId, &'s SeriesState)>,
    steps: impl IntoIterator<Item = Transition>,
) -> Vec<Alert> {
    let mut all: BTreeMap<AlertId, Alert> = BTreeMap::new();
    for (series, state) in states {
        for (rule, watch) in state.watches() {
            let Some(open) = watch.open() else { continue };
            let alert = Alert {
                id: open.id.clone(),
                series: series.clone(),
                rule: rule.to_owned(),
                open: Some(open.clone()),
                is_acknowledged: watch.is_acknowledged(),
                steps: Vec::new(),
            };
            all.insert(open.id.clone(), alert);
        }
    }
    for step in steps {
        let alert = all.entry(step.alert.clone()).or_insert_with(|| Alert {
            id: step.alert.clone(),
            series: step.series.clone(),
            rule: step.rule.clone(),
            open: None,
            is_acknowledged: false,
            steps: Vec::new(),
        });
        alert.steps.push(step);
    }
    let mut all: Vec<Alert> = all.into_values().collect();
    for alert in &mut all {
        alert.steps.sort_by_key(|step| step.number);
        if alert.open.is_none() {
            // Of an open one the state knows: whoever saw it has not seen that it got worse.
            alert.is_acknowledged = alert.steps.iter().any(|step| step.step == Step::Acknowledged);
        }
    }
    all.sort_by(|a, b| (a.since(), &a.id).cmp(&(b.since(), &b.id)));
    all
}

/// The one of `alerts` whose name begins with `given`.
///
/// # Errors
/// [`Unnamed`] if that is none or several.
pub fn named<'a>(alerts: &'a [Alert], given: &str) -> Result<&'a Alert, Unnamed> {
    let begins: Vec<&Alert> = alerts.iter().filter(|alert| alert.id.as_str().starts_with(given)).collect();
    match begins.as_slice() {
        [one] => Ok(one),
        [] => Err(Unnamed::None {
            given: given.to_owned(),
            nearest: nearest(alerts, given),
            there: alerts.len(),
            open: alerts.iter().filter(|alert| alert.open.is_some()).count(),
        }),
        several => {
            let mut names: Vec<AlertId> = several.iter().map(|alert| alert.id.clone()).collect();
            names.sort();
            Err(Unnamed::Several { given: given.to_owned(), names })
        }
    }
}

fn nearest(alerts: &[Alert], given: &str) -> Option<AlertId> {
    let distance = |alert: &Alert| {
        let beginning: String = alert.id.as_str().chars().take(given.chars().count()).collect();
        strsim::damerau_levenshtein(given, &beginning)
    };
    let by_distance = alerts.iter().map(|alert| (distance(alert), &alert.id)).min();
    // Of a few digits the half would be too many.
    let most = MISTYPED_MAX.min(given.len() / 3);
    by_distance.filter(|(distance, _)| *distance <= most).map(|(_, id)| id.clone())
}

impl Alert {
    /// The event time of its first anomalous reading.
    fn since(&self) -> Timestamp {
        let told = || self.steps.last().map(|step| step.since);
        self.open.as_ref().map(|open| open.since).or_else(told).unwrap_or_default()
    }

    /// The last step that is kept of it.
    pub fn last(&self) -> Option<&Transition> {
        self.steps.last()
    }

    /// Who has seen it, and what they say; `None` if nobody has, or no step says who.
    pub fn acknowledgement(&self) -> Option<Acknowledgement> {
        let seen = |step: &&Transition| self.is_acknowledged && step.step == Step::Acknowledged;
        self.steps.iter().rev().find(seen).and_then(Transition::acknowledgement)
    }

    /// It in a line; `None` of an alert that is neither open nor has a step.
    pub fn line(&self) -> Option<Line> {
        let last = self.last();
        let (severity, since, fired_at, peak, peak_at, anomalous) = match (&self.open, last) {
            (Some(o), _) => (o.severity, o.since, o.fired_at, o.peak, o.peak_at, o.anomalous),
            (None, Some(t)) => (t.severity, t.since, t.fired_at, t.peak, t.peak_at, t.anomalous),
            (None, None) => return None,
        };
        let seen = self.acknowledgement();
        Some(Line {
            alert: self.id.clone(),
            series: self.series.clone(),
            rule: self.rule.clone(),
            on: last.map(|last| last.on.clone()),
            severity,
            since,
            fired_at,
            resolved_at: last.filter(|last| last.step == Step::Resolved).map(|last| last.at),
            peak,
            peak_at,
            anomalous,
            acknowledged: self.is_acknowledged,
            acknowledged_by: seen.as_ref().map(|seen| seen.by.clone()),
            acknowledged_for_ms: seen.as_ref().and_then(|seen| seen.for_ms),
            note: seen.and_then(|seen| seen.note),
            late: last.is_some_and(|last| last.late_ms.is_some()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::{Policy, classify};
    use crate::config::{Config, Method, Rule};
    use crate::position::{Position, Sequence};
    use crate::reading::{Reading, Scored};
    use expect_test::{Expect, expect};

    /// What became of `values`, a second each, by two rules, with the state they left.
    fn lived(values: &[f64]) -> (SeriesId, SeriesState, Vec<Transition>) {
        let (series, mut state) = (SeriesId::new("web").expect("a name"), SeriesState::default());
        let steps = live_on(&series, &mut state, 0, values);
        (series, state, steps)
    }

    /// What becomes of `values` from `second` on.
    fn live_on(series: &SeriesId, state: &mut SeriesState, second: i64, values: &[f64]) -> Vec<Transition> {
        let rule = |name: &str, threshold: f64| Rule {
            name: name.to_owned(),
            method: Method::Static { threshold },
            on: crate::config::On::Value,
            ..Rule::default()
        };
        let config = Config { rules: vec![rule("hot", 80.0), rule("melting", 100.0)], ..Config::default() };
        let policy = Policy::new(&config, &["cpu".to_owned()]);
        let mut steps = Vec::new();
        for (second, value) in (second..).zip(values) {
            let at = Timestamp::from_ms(second * 1_000).expect("in range");
            let sequence = Sequence::from(second.unsigned_abs());
            let position = Position { partition: "p".into(), sequence, sub: 0, arrived: at };
            let (series, filled) = (series.clone(), Vec::new());
            let reading = Reading { series, at, features: vec![*value], filled, position };
            let scored = Scored { reading, score: None };
            steps.extend(classify(&policy, state, &scored, "m").transitions);
        }
        steps
    }

    fn check(alerts: &[Alert], expected: Expect) {
        let line = |alert: &Alert| {
            let line = alert.line().expect("it has a step or is open");
            let steps: Vec<&str> = alert.steps.iter().map(|step| step.step.as_str()).collect();
            let open = if alert.open.is_some() { "open" } else { "over" };
            let by = line.acknowledged_by.as_deref().unwrap_or("-");
            format!(
                "{} {} {open} since {} ended {:?} peak {} count {} by {by} {steps:?}\n",
                line.rule,
                line.severity,
                line.since,
                line.resolved_at.map(|at| at.to_string()),
                line.peak.brief(),
                line.anomalous
            )
        };
        expected.assert_eq(&alerts.iter().map(line).collect::<String>());
    }

    #[test]
    fn open_ones_are_as_the_state_says_and_others_as_their_steps_say() {
        let (series, mut state, mut steps) =
            lived(&[[50.0; 2].as_slice(), &[90.0; 9], &[50.0; 30], &[120.0; 3], &[130.0]].concat());
        let open = |steps: &[Transition]| alerts([(&series, &state)], steps.to_vec());
        check(
            &open(&steps),
            expect![[r#"
                hot warning over since 1970-01-01T00:00:02Z ended Some("1970-01-01T00:00:40Z") peak 90 over 80 count 9 by - ["fired", "resolved"]
                hot critical open since 1970-01-01T00:00:41Z ended None peak 130 over 80 count 4 by - ["fired"]
                melting warning open since 1970-01-01T00:00:41Z ended None peak 130 over 100 count 4 by - ["fired"]
            "#]],
        );
        check(
            &open(&[]),
            expect![[r#"
                hot critical open since 1970-01-01T00:00:41Z ended None peak 130 over 80 count 4 by - []
                melting warning open since 1970-01-01T00:00:41Z ended None peak 130 over 100 count 4 by - []
            "#]],
        );
        let last = steps.iter().rev().find(|step| step.rule == "hot").expect("fired").clone();
        let at = Timestamp::from_ms(60_000).expect("in range");
        steps.push(state.acknowledge(&last, &Acknowledgement::by("ann"), at).expect("it is open"));
        steps.reverse();
        let all = alerts([(&series, &state)], steps);
        check(
            &all[1..2],
            expect![[r#"
                hot critical open since 1970-01-01T00:00:41Z ended None peak 130 over 80 count 4 by ann ["fired", "acknowledged"]
            "#]],
        );
    }

    /// Else it could not be acknowledged again.
    #[test]
    fn who_has_seen_one_has_not_seen_it_get_worse() {
        let (series, mut state, mut steps) = lived(&[90.0; 4]);
        let at = Timestamp::from_ms(4_000).expect("in range");
        steps
            .push(state.acknowledge(&steps[0].clone(), &Acknowledgement::by("ann"), at).expect("it is open"));
        let seen = |state: &SeriesState, steps: &[Transition]| {
            let all = alerts([(&series, state)], steps.to_vec());
            all.iter().find(|alert| alert.rule == "hot").expect("it is open").is_acknowledged
        };
        assert!(seen(&state, &steps));
        steps.extend(live_on(&series, &mut state, 4, &[150.0]));
        assert!(steps.iter().any(|step| step.step == Step::Escalated), "{steps:?}");
        assert!(!seen(&state, &steps));
    }

    #[test]
    fn a_name_may_be_short_but_not_of_several() {
        let (series, state, steps) =
            lived(&[[90.0; 9].as_slice(), &[50.0; 30], &[120.0; 9], &[50.0; 30]].concat());
        let all = alerts([(&series, &state)], steps);
        let ids: Vec<&str> = all.iter().map(|alert| alert.id.as_str()).collect();
        for alert in &all {
            let id = alert.id.as_str();
            assert_eq!(named(&all, id).map(|found| &found.id), Ok(&alert.id));
            assert_eq!(named(&all, &id[..8]).map(|found| &found.id), Ok(&alert.id), "{ids:?}");
        }
        let error = |given: &str| named(&all, given).expect_err("no one alert").to_string();
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        assert_eq!(error(""), format!("\"\" is the beginning of 3 names: {}", sorted.join(", ")));
        assert_eq!(error("zz"), "no alert's name begins with \"zz\"; 3 are kept, 0 of them open");
        let mistyped = format!("x{}", &ids[0][1..9]);
        let said = error(&mistyped);
        assert!(said.ends_with(&format!("\nhint: is it {}?", ids[0])), "{said}");
    }
}
