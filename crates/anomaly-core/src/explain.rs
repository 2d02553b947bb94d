//! Why a reading was judged as it was: a line for machines, and a few for people.

use std::fmt::Write;

use serde::Serialize;

use crate::alert::{Standing, Step, Transition};
use crate::classify::Found;
use crate::config::Rule;
use crate::reading::SeriesId;
use crate::rule::{Basis, Finding, Margin, Side, short};
use crate::time::Timestamp;

/// A finding with what it is of.
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a> {
    /// The row of the input, counting from 1; its number in the source elsewhere.
    pub row: u64,
    /// Whose reading it is.
    pub series: &'a SeriesId,
    /// Its event time.
    pub at: Timestamp,
    /// The rule.
    pub rule: &'a Rule,
    /// What the rule judges: `score`, or a feature's name.
    pub on: &'a str,
    /// The detector's score of the reading.
    pub score: Option<f64>,
    /// What the rule says.
    pub found: &'a Found,
}

/// A finding as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    row: u64,
    series: &'a str,
    time: String,
    rule: &'a str,
    on: &'a str,
    value: Option<f64>,
    score: Option<f64>,
    state: &'static str,
    anomalous: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    excess: Option<f64>,
    because: String,
    alert: String,
}

impl Explained<'_> {
    /// One line of JSON: `row`, `series`, `time`, `rule`, `on`; `value`, the number judged; `score`, the method's own
    /// where it has one (the p-value of `spike-and-dip`, the martingale of `change-point`) and else the detector's;
    /// `state` and `anomalous`; `severity`, `threshold` and `excess` where there are any; `because`, the finding in
    /// words, and `alert`, what comes of it.
    pub fn to_json(&self) -> String {
        let Found { number, finding, standing, .. } = self.found;
        let severity = match finding {
            Finding::Anomalous(_, severity) => Some(severity.as_str()),
            _ => None,
        };
        let line = Line {
            row: self.row,
            series: self.series.as_str(),
            time: self.at.to_string(),
            rule: &self.rule.name,
            on: self.on,
            value: *number,
            score: finding.own_score().or(self.score),
            state: finding.as_str(),
            anomalous: severity.is_some(),
            severity,
            threshold: finding.margin().map(|margin| margin.threshold),
            excess: finding.margin().map(|margin| margin.excess),
            because: self.found.to_string(),
            alert: standing.to_string(),
        };
        // Text and finite numbers cannot fail to serialize into memory.
        serde_json::to_string(&line).unwrap_or_default()
    }

    /// A few lines: what was found, by which numbers, where it would have turned, and what comes of it.
    pub fn to_text(&self) -> String {
        let Found { finding, standing, .. } = self.found;
        let mut text = format!("{} on {}: {}", self.rule.name, self.on, self.found);
        let turns = match finding {
            Finding::WarmingUp { seen, needed, .. } => Some(match needed.saturating_sub(*seen) {
                0 => "it judges the next one".to_owned(),
                more => format!("it learns from {more} more before it judges"),
            }),
            Finding::Unjudged(_) => None,
            Finding::Normal(margin) | Finding::Ignored(margin) | Finding::Anomalous(margin, _) => {
                Some(format!("excess {}; {}", short(margin.excess), turns(margin)))
            }
        };
        let lines = turns.into_iter().chain(self.ignored()).chain([standing.to_string()]);
        for line in lines.chain(self.takes()) {
            // Into a string nothing fails.
            let _ = write!(text, "\n  {line}");
        }
        text
    }

    /// How many readings it took, where one alone does not make the step.
    fn takes(&self) -> Option<String> {
        let Standing::Took { step, .. } = self.found.standing else { return None };
        let (hold, what) = match step {
            _ if self.rule.no_data().is_some() => return None,
            Step::Fired | Step::Flapping => (self.rule.hold, "it takes"),
            Step::Resolved => (self.rule.clear.hold, "its end takes"),
            Step::Escalated | Step::Repeated | Step::Acknowledged => return None,
        };
        let readings = if step == Step::Resolved { "calm" } else { "anomalous" };
        (hold.n() > 1).then(|| format!("{what} {hold} {readings}"))
    }

    fn ignored(&self) -> Option<String> {
        let Finding::Ignored(margin) = &self.found.finding else { return None };
        let usual = margin.expected()?;
        let off = (margin.value() - usual).abs();
        Some(format!("ignored: it is {} from the usual {}", short(off), short(usual)))
    }
}

/// A step of an alert in a few lines, by what the transition itself says: by which numbers, where it would have turned,
/// and what it is. For steps of which no finding is kept.
pub fn of_step(transition: &Transition) -> String {
    let Transition { rule, on, margin, step, .. } = transition;
    if *step == Step::Acknowledged {
        let said = transition.acknowledgement().unwrap_or_default();
        return format!("seen by {said}\n  no reminders, unless it gets worse");
    }
    let standing = transition.standing();
    let excess = short(margin.excess);
    format!("{rule} on {on}: {margin}\n  excess {excess}; {}\n  {standing}", turns(margin))
}

/// What would have changed the answer.
fn turns(margin: &Margin) -> String {
    let beyond = margin.is_beyond();
    let now = if beyond { "normal" } else { "anomalous" };
    let by_k = |k: f64| {
        let least = if beyond { "from" } else { "below" };
        let other = at(margin, now);
        match margin.excess > 0.0 {
            true => format!("{other}, or with k {least} {}", short(margin.excess * k)),
            false => other,
        }
    };
    match margin.basis {
        Basis::Sigma { k, .. }
        | Basis::Calibrated { k, .. }
        | Basis::Robust { k, .. }
        | Basis::Quantile { k, .. }
        | Basis::CalibratedQuantile { k, .. } => by_k(k),
        Basis::Fixed | Basis::Evt { .. } | Basis::RateOfChange { .. } => at(margin, now),
        Basis::SpikeAndDip { .. } => match (beyond, short((1.0 - margin.judged) * 100.0).as_str()) {
            (true, "100") => "anomalous with any confidence short of 100 %".to_owned(),
            (true, percent) => format!("normal with a confidence above {percent} %"),
            (false, percent) => format!("anomalous with a confidence up to {percent} %"),
        },
        Basis::ChangePoint { .. } if !beyond && margin.judged >= margin.threshold => {
            "the change was told before, and is told once in a history".to_owned()
        }
        Basis::ChangePoint { .. } => {
            let word = if beyond { "below" } else { "from" };
            format!("{now} {word} a martingale of {}", short(margin.threshold))
        }
        Basis::Missing { .. } => format!("{now} if one less were missing"),
        Basis::Silence { .. } => {
            let word = if beyond { "above" } else { "up to" };
            format!("{now} with `after` {word} {}", margin.silent_for())
        }
    }
}

fn at(margin: &Margin, now: &str) -> String {
    let word = match (margin.side(), margin.is_beyond(), margin.basis) {
        (_, true, Basis::RateOfChange { .. }) => "up to",
        (_, false, Basis::RateOfChange { .. }) => "above",
        (Side::High, true, _) => "up to",
        (Side::High, false, _) => "above",
        (Side::Low, true, _) => "down to",
        (Side::Low, false, _) => "below",
    };
    format!("{now} {word} {}", short(margin.threshold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::{Policy, SeriesState, classify};
    use crate::config::Config;
    use crate::position::{Position, Sequence};
    use crate::reading::{Reading, Scored};
    use expect_test::{Expect, expect};

    /// What `rule` says of each of `values`, the last ones, in words or as JSON.
    fn say(rule: &str, values: &[f64], last: usize, shown: impl Fn(&Explained<'_>) -> String) -> String {
        let mut said = Vec::new();
        judge(rule, values, |explained, _| said.push(shown(explained)));
        said.split_off(values.len() - last).join("\n")
    }

    fn judge(rule: &str, values: &[f64], mut take: impl FnMut(&Explained<'_>, &[Transition])) {
        let rule = serde_json::from_str(rule).expect("a rule");
        let config = Config { rules: vec![rule], ..Config::default() };
        let policy = Policy::new(&config, &["cpu".to_owned()]);
        let series = SeriesId::new("web").expect("a name");
        let mut state = SeriesState::default();
        for (i, value) in values.iter().enumerate() {
            let at = Timestamp::from_ms(i as i64 * 1000).expect("in range");
            let sequence = Sequence::from(i as u64);
            let position = Position { partition: "p".into(), sequence, sub: 0, arrived: at };
            let (series, filled) = (series.clone(), Vec::new());
            let reading = Reading { series, at, features: vec![*value], filled, position };
            let scored = Scored { reading, score: Some(0.5) };
            let judgement = classify(&policy, &mut state, &scored, "m");
            let (rule, on) = policy.names(&scored.reading.series).next().expect("one rule");
            let (series, found) = (&scored.reading.series, &judgement.findings[0]);
            let explained = Explained { row: i as u64 + 1, series, at, rule, on, score: scored.score, found };
            take(&explained, &judgement.transitions);
        }
    }

    /// Of a step alone the same is said, but for what the rule asks for.
    #[test]
    fn a_step_says_for_itself_what_its_finding_says() {
        let hot = r#"{"name":"hot","on":"cpu","method":{"kind":"static","threshold":80.0},"for":"1 of 1","clear":{"for":"1 of 1"}}"#;
        let mut steps = 0;
        judge(hot, &[70.0, 90.0, 200.0, 60.0], |explained, transitions| {
            for step in transitions {
                let text = explained.to_text().replace("warning: ", "").replace("critical: ", "");
                assert_eq!(of_step(step), text.replace("normal: ", ""));
                steps += 1;
            }
        });
        assert_eq!(steps, 3);
    }

    fn check(rule: &str, values: &[f64], last: usize, expected: Expect) {
        expected.assert_eq(&say(rule, values, last, |e| e.to_text()));
    }

    #[test]
    fn words_say_what_would_have_changed_the_answer() {
        let hot = r#"{"name":"hot","on":"cpu","method":{"kind":"static","threshold":80.0},"for":"2 of 3","clear":{"for":"2 of 2"}}"#;
        check(
            hot,
            &[70.0, 90.0, 95.0, 60.0, 60.0],
            5,
            expect![[r#"
                hot on cpu: normal: 70 against 80 (fixed)
                  excess 0.875; anomalous above 80
                  no alert, which takes 2 of 3
                hot on cpu: warning: 90 against 80 (fixed)
                  excess 1.125; normal up to 80
                  no alert: 1 of the last 3 anomalous, and it takes 2 of 3
                hot on cpu: warning: 95 against 80 (fixed)
                  excess 1.188; normal up to 80
                  an alert fires
                  it takes 2 of 3 anomalous
                hot on cpu: normal: 60 against 80 (fixed)
                  excess 0.75; anomalous above 80
                  the alert goes on: 1 of the last 2 calm, and its end takes 2 of 2
                hot on cpu: normal: 60 against 80 (fixed)
                  excess 0.75; anomalous above 80
                  the alert is over
                  its end takes 2 of 2 calm"#]],
        );
        let cold = r#"{"name":"cold","on":"cpu","method":{"kind":"sigma","k":3.0,"warmup":4},"direction":"low","ignore":{"absolute":3.0}}"#;
        check(
            cold,
            &[1.0, 2.0, 1.0, 2.0, 1.0, -1.0, -9.0],
            5,
            expect![[r#"
                cold on cpu: warming up 3/4
                  it learns from 1 more before it judges
                  no alert, which takes 3 of 4
                cold on cpu: warming up 4/4
                  it judges the next one
                  no alert, which takes 3 of 4
                cold on cpu: normal: 1 against -0.2321 (mean 1.5 − 3 × deviation 0.5774)
                  excess 0.2887; anomalous below -0.2321, or with k below 0.866
                  no alert, which takes 3 of 4
                cold on cpu: ignored, too near: -1 against -0.2432 (mean 1.4 − 3 × deviation 0.5477)
                  excess 1.461; normal down to -0.2432, or with k from 4.382
                  ignored: it is 2.4 from the usual 1.4
                  no alert, which takes 3 of 4
                cold on cpu: critical: -9 against -1.366 (mean 1.126 − 3 × deviation 0.8307)
                  excess 4.063; normal down to -1.366, or with k from 12.19
                  no alert: 1 of the last 4 anomalous, and it takes 3 of 4"#]],
        );
        let spike = r#"{"name":"spike","on":"value","method":{"kind":"spike-and-dip","history":3}}"#;
        check(
            spike,
            &[1.0, 2.0, 3.0, 2.0, 9.0],
            4,
            expect![[r#"
                spike on cpu: warming up 2/3
                  it learns from 1 more before it judges
                  no alert, which takes 3 of 4
                spike on cpu: warning: p-value 0.01139 against 0.05 (3 where 1.5 is usual)
                  excess 1.494; normal with a confidence above 98.86 %
                  no alert: 1 of the last 4 anomalous, and it takes 3 of 4
                spike on cpu: normal: p-value 0.5 against 0.05 (2 where 2 is usual)
                  excess 0.2314; anomalous with a confidence up to 50 %
                  no alert: 1 of the last 4 anomalous, and it takes 3 of 4
                spike on cpu: critical: p-value 1.000e-8 against 0.05 (9 where 2.333 is usual)
                  excess 6.149; anomalous with any confidence short of 100 %
                  no alert: 2 of the last 4 anomalous, and it takes 3 of 4"#]],
        );
        let change = r#"{"name":"change","on":"value","method":{"kind":"change-point","history":3}}"#;
        check(
            change,
            &[1.0, 2.0, 1.0, 2.0, 9.0, 9.0, 9.0],
            4,
            expect![[r#"
                change on cpu: warning: martingale 0.08294 against 0.07713 (2 where 1.333 is usual)
                  excess 1.028; normal below a martingale of 0.07713
                  an alert fires
                change on cpu: normal: martingale 250704 against 0.07713 (9 where 1.667 is usual)
                  excess 1; the change was told before, and is told once in a history
                  the alert goes on: 0 of the last 30 calm, and its end takes 30 of 30
                change on cpu: normal: martingale 352539 against 0.07713 (9 where 4 is usual)
                  excess 1; the change was told before, and is told once in a history
                  the alert goes on: 0 of the last 30 calm, and its end takes 30 of 30
                change on cpu: critical: martingale 197401 against 0.07713 (9 where 6.667 is usual)
                  excess 6.759; normal below a martingale of 0.07713
                  the alert is worse than it was"#]],
        );
        let quiet = r#"{"name":"quiet","method":{"kind":"no-data","after":"1s"},"for":"1 of 1"}"#;
        check(
            quiet,
            &[5.0, 4.0],
            2,
            expect![[r#"
            quiet on silence: warming up 1/1
              it judges the next one
              no alert, which takes 1 of 1
            quiet on silence: warning: no data for 1 s, silent from 1 s (last seen 1970-01-01T00:00:00Z)
              excess 1; normal with `after` above 1 s
              the alert is over"#]],
        );
        let quiet = r#"{"name":"quiet","method":{"kind":"no-data","after":"5s"}}"#;
        check(
            quiet,
            &[5.0, 4.0],
            1,
            expect![[r#"
            quiet on silence: normal: no data for 1 s, silent from 5 s (last seen 1970-01-01T00:00:00Z)
              excess 0.2; anomalous with `after` up to 1 s
              no alert, which takes 1 of 1"#]],
        );
        let jump = r#"{"name":"jump","on":"value","method":{"kind":"rate-of-change","threshold":2.0},"direction":"low"}"#;
        check(
            jump,
            &[5.0, 4.0, 0.0],
            2,
            expect![[r#"
            jump on cpu: normal: change 1 against 2 (from 5 to 4)
              excess 0.5; anomalous above 2
              no alert, which takes 3 of 4
            jump on cpu: critical: change 4 against 2 (from 4 to 0)
              excess 2; normal up to 2
              no alert: 1 of the last 4 anomalous, and it takes 3 of 4"#]],
        );
    }

    #[test]
    fn lines_are_json() {
        let spike =
            r#"{"name":"spike","on":"value","method":{"kind":"spike-and-dip","history":3},"for":"1 of 1"}"#;
        expect![[r#"
            {"row":1,"series":"web","time":"1970-01-01T00:00:00Z","rule":"spike","on":"cpu","value":1.0,"score":0.5,"state":"warming-up","anomalous":false,"because":"warming up 1/3","alert":"no alert, which takes 1 of 1"}
            {"row":2,"series":"web","time":"1970-01-01T00:00:01Z","rule":"spike","on":"cpu","value":2.0,"score":0.15865526383236372,"state":"warming-up","anomalous":false,"because":"warming up 2/3","alert":"no alert, which takes 1 of 1"}
            {"row":3,"series":"web","time":"1970-01-01T00:00:02Z","rule":"spike","on":"cpu","value":3.0,"score":0.011390874461660316,"state":"anomalous","anomalous":true,"severity":"warning","threshold":0.050000000000000044,"excess":1.493772580902885,"because":"warning: p-value 0.01139 against 0.05 (3 where 1.5 is usual)","alert":"an alert fires"}
            {"row":4,"series":"web","time":"1970-01-01T00:00:03Z","rule":"spike","on":"cpu","value":90.0,"score":1e-8,"state":"anomalous","anomalous":true,"severity":"critical","threshold":0.050000000000000044,"excess":6.1489742947219295,"because":"critical: p-value 1.000e-8 against 0.05 (90 where 2 is usual)","alert":"the alert is worse than it was"}"#]].assert_eq(&say(spike, &[1.0, 2.0, 3.0, 90.0], 4, |e| e.to_json()));
        let score = r#"{"method":{"kind":"static","threshold":1.0}}"#;
        expect![[r#"{"row":1,"series":"web","time":"1970-01-01T00:00:00Z","rule":"too-strange","on":"score","value":0.5,"score":0.5,"state":"normal","anomalous":false,"threshold":1.0,"excess":0.5,"because":"normal: 0.5 against 1 (fixed)","alert":"no alert, which takes 3 of 4"}"#]].assert_eq(&say(score, &[1.0], 1, |e| e.to_json()));
        let other = r#"{"method":{"kind":"static","threshold":1.0},"series":"db-*"}"#;
        expect![[r#"{"row":1,"series":"web","time":"1970-01-01T00:00:00Z","rule":"too-strange","on":"score","value":null,"score":0.5,"state":"unjudged","anomalous":false,"because":"unjudged: the rule is for other series","alert":"no alert, which takes 3 of 4"}"#]].assert_eq(&say(other, &[1.0], 1, |e| e.to_json()));
    }
}
