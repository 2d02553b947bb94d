//! What a rule says of one number, and what it remembers for the next.

use std::fmt;

use serde::{Deserialize, Serialize};

pub mod change_point;
pub mod density;
pub mod evt;
pub mod gaps;
pub mod held;
pub mod margin;
mod moments;
pub mod no_data;
pub mod p_square;
pub mod quantile;
pub mod rate_of_change;
mod robust;
pub mod spike_and_dip;
pub mod tail;
pub mod window;

pub use margin::{Basis, EXCESS_MAX, Margin, Side, short};
use moments::Moments;

use crate::calibration::Calibration;
use crate::config::{Band, ChangePoint, Engine, Method, Rule, Severity, Sides, SpikeAndDip};
use crate::time::Timestamp;

/// What a rule says of one reading, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Finding {
    /// Too little is known yet to say anything.
    WarmingUp {
        /// Judgements learned from so far.
        seen: u32,
        /// Judgements needed.
        needed: u32,
        /// The method's own score, where it has one so early: `spike-and-dip`, `change-point`.
        score: Option<f64>,
    },
    /// There is nothing to judge.
    Unjudged(Nothing),
    /// Within the threshold.
    Normal(Margin),
    /// Beyond the threshold, but so near to what is usual that the rule is to ignore it.
    Ignored(Margin),
    /// Beyond the threshold.
    Anomalous(Margin, Severity),
}

/// Why there is nothing to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// The detector gives no score yet, or the feature is not there.
    Absent,
    /// The rule is for other series.
    OtherSeries,
    /// A calendar excludes its time.
    Excluded,
    /// A rate wants time to pass, and this reading is no later than the one before.
    NoTimePassed,
    /// The rule judges the silence before a reading, and this one came late, or was heard when it came.
    Silence,
    /// Stream Analytics' engine, which the rule follows to the bit, has lost its variance and gives no score.
    EngineBlind,
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Nothing::Absent => "there is no number",
            Nothing::OtherSeries => "the rule is for other series",
            Nothing::Excluded => "a calendar excludes its time",
            Nothing::NoTimePassed => "no time has passed since the reading before",
            Nothing::Silence => "the silence before it was judged when it came, or it came late",
            Nothing::EngineBlind => {
                "the engine's variance is lost, as Stream Analytics loses it; engine = \"robust\" does not"
            }
        })
    }
}

impl Finding {
    /// Its name: `warming-up`, `unjudged`, `normal`, `ignored` or `anomalous`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Finding::WarmingUp { .. } => "warming-up",
            Finding::Unjudged(_) => "unjudged",
            Finding::Normal(_) => "normal",
            Finding::Ignored(_) => "ignored",
            Finding::Anomalous(..) => "anomalous",
        }
    }

    /// The number and its threshold, where there are any.
    pub fn margin(&self) -> Option<&Margin> {
        match self {
            Finding::WarmingUp { .. } | Finding::Unjudged(_) => None,
            Finding::Normal(margin) | Finding::Ignored(margin) | Finding::Anomalous(margin, _) => {
                Some(margin)
            }
        }
    }

    /// The method's own score, for methods that have one: the p-value of `spike-and-dip`, the martingale of
    /// `change-point`; 0 where the engine is blind.
    pub fn own_score(&self) -> Option<f64> {
        match self {
            Finding::WarmingUp { score, .. } => *score,
            Finding::Unjudged(Nothing::EngineBlind) => Some(0.0),
            _ => self.margin().and_then(|margin| match margin.basis {
                Basis::SpikeAndDip { .. } | Basis::ChangePoint { .. } => Some(margin.judged),
                _ => None,
            }),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::WarmingUp { seen, needed, .. } => write!(f, "warming up {seen}/{needed}"),
            Finding::Unjudged(Nothing::Absent) => f.write_str("unjudged"),
            Finding::Unjudged(nothing) => write!(f, "unjudged: {nothing}"),
            Finding::Normal(margin) => write!(f, "normal: {margin}"),
            Finding::Ignored(margin) => write!(f, "ignored, too near: {margin}"),
            Finding::Anomalous(margin, severity) => write!(f, "{severity}: {margin}"),
        }
    }
}

/// What a method says of a number, before the rule decides what that means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Said {
    WarmingUp { seen: u32, needed: u32, score: Option<f64> },
    Unjudged(Nothing),
    Judged(Margin),
}

/// What `sigma` or `quantile` says of a score by a model whose scores are known from its training: at once, and the
/// same for every series. `None` for other methods, and where the quantiles are not known: the series is learned.
pub(crate) fn calibrated(calibration: &Calibration, rule: &Rule, score: f64) -> Option<Finding> {
    let margin = match &rule.method {
        Method::Sigma { k, .. } => {
            let Calibration { mean, deviation, .. } = *calibration;
            let basis = Basis::Calibrated { mean, deviation, k: *k };
            Margin { basis, ..moments::sigma(mean, deviation, *k, rule.sides, score) }
        }
        Method::Quantile(quantile) => {
            quantile.calibrated(calibration.quantiles.as_ref()?, rule.sides, score)?
        }
        _ => return None,
    };
    Some(rule.conclude(margin))
}

/// What a rule remembers of a series' numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    moments: Moments,
    /// What methods other than `sigma` remember; the state encodes it behind the rest, and only then.
    #[serde(skip)]
    pub(crate) kept: Option<Box<Kept>>,
}

/// What methods other than `static` and `sigma` remember. States are full of these: new ones come last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Kept {
    Robust(window::Window),
    Quantile(quantile::Quantiles),
    Evt(evt::Extremes),
    RateOfChange(Option<rate_of_change::Before>),
    SpikeAndDip(Spaced<density::Density>),
    ChangePoint(Spaced<change_point::Evidence>),
}

/// A memory of numbers that should be evenly spaced, with the time of the last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spaced<M> {
    memory: M,
    last: Option<Timestamp>,
}

/// What is kept for a method, made anew where something else was kept: the rule had another method.
macro_rules! kept {
    ($kept:expr, $kind:ident) => {{
        if !matches!($kept.as_deref(), Some(Kept::$kind(_))) {
            *$kept = Some(Box::new(Kept::$kind(Default::default())));
        }
        match $kept.as_deref_mut() {
            Some(Kept::$kind(memory)) => memory,
            _ => unreachable!("it was just made"),
        }
    }};
}

impl Memory {
    /// Judges `number`, which is of the time `at`, by `rule`'s method, then learns from it.
    pub(crate) fn judge(&mut self, rule: &Rule, at: Timestamp, number: f64) -> Finding {
        let mut finding = Finding::Unjudged(Nothing::Absent);
        self.judge_into(rule, at, number, &mut finding);
        finding
    }

    /// [`Memory::judge`], which leaves what it finds in `finding`: to be handed from one to the next it would be copied
    /// as often, and that takes longer than to find it.
    #[inline(always)]
    pub(crate) fn judge_into(&mut self, rule: &Rule, at: Timestamp, number: f64, finding: &mut Finding) {
        match &rule.method {
            Method::Static { threshold } => {
                let side = away(rule.sides, number, *threshold);
                rule.conclude_into(Margin::fixed(side, number, *threshold), finding);
            }
            Method::Sigma { k, warmup } => match self.moments.judge(*k, *warmup, rule.sides, number) {
                Ok(margin) => rule.conclude_into(margin, finding),
                Err(seen) => *finding = Finding::WarmingUp { seen, needed: *warmup, score: None },
            },
            _ => *finding = self.judge_longer(rule, at, number),
        }
    }

    /// By methods that take longer than a call.
    #[inline(never)]
    fn judge_longer(&mut self, rule: &Rule, at: Timestamp, number: f64) -> Finding {
        let (sides, kept) = (rule.sides, &mut self.kept);
        let said = match &rule.method {
            Method::Robust(robust) => robust.judge(kept!(kept, Robust), sides, number),
            Method::Quantile(quantile) => quantile.judge(kept!(kept, Quantile), sides, number),
            Method::Evt(evt) => evt.judge(kept!(kept, Evt), sides, number),
            Method::RateOfChange(rate) => rate.judge(kept!(kept, RateOfChange), sides, at, number),
            Method::SpikeAndDip(spikes) => of_spikes(spikes, kept!(kept, SpikeAndDip), at, number),
            Method::ChangePoint(changes) => of_changes(changes, kept!(kept, ChangePoint), at, number),
            // It has no number: what it judges is none.
            Method::Static { .. } | Method::Sigma { .. } | Method::NoData(_) => {
                Said::Unjudged(Nothing::Absent)
            }
        };
        match said {
            Said::WarmingUp { seen, needed, score } => Finding::WarmingUp { seen, needed, score },
            Said::Unjudged(nothing) => Finding::Unjudged(nothing),
            Said::Judged(margin) => rule.conclude(margin),
        }
    }
}

impl Rule {
    /// What `margin` means to the rule.
    pub(crate) fn conclude(&self, margin: Margin) -> Finding {
        let mut finding = Finding::Normal(margin);
        self.conclude_into(margin, &mut finding);
        finding
    }

    #[inline(always)]
    fn conclude_into(&self, margin: Margin, finding: &mut Finding) {
        match margin.is_beyond() {
            false => *finding = Finding::Normal(margin),
            true if self.ignore.covers(margin.value(), margin.expected()) => {
                *finding = Finding::Ignored(margin);
            }
            true => *finding = Finding::Anomalous(margin, severity(&self.severity, &margin)),
        }
    }
}

/// The excess is ln p / ln threshold: 1 at the threshold, 2 where p is its square.
fn of_spikes(
    settings: &SpikeAndDip,
    spaced: &mut Spaced<density::Density>,
    at: Timestamp,
    number: f64,
) -> Said {
    let missed = spaced.step(settings.engine, settings.duration, settings.history, at);
    let said = spaced.judge(missed, |memory| settings.judge(memory, number));
    match said.score {
        0.0 => Said::Unjudged(Nothing::EngineBlind),
        score if said.seen < settings.history => {
            Said::WarmingUp { seen: said.seen, needed: settings.history, score: Some(score) }
        }
        score => {
            let basis = Basis::SpikeAndDip { value: number, expected: said.expected };
            let excess = score.ln() / said.threshold.ln();
            Said::Judged(Margin::new(said.anomalous, score, said.threshold, excess, basis))
        }
    }
}

/// The excess goes by the logarithms: the martingale is a product of as many bets as the history is long.
fn of_changes(
    settings: &ChangePoint,
    spaced: &mut Spaced<change_point::Evidence>,
    at: Timestamp,
    number: f64,
) -> Said {
    let missed = spaced.step(settings.engine, settings.duration, settings.history, at);
    let said = spaced.judge(missed, |memory| settings.judge(memory, number));
    let score = said.score.min(f64::MAX);
    if said.p.is_nan() || said.logarithms.0 == f64::NEG_INFINITY {
        return Said::Unjudged(Nothing::EngineBlind);
    }
    if said.seen < settings.history {
        return Said::WarmingUp { seen: said.seen, needed: settings.history, score: Some(score) };
    }
    let (sum, limit) = said.logarithms;
    let basis = Basis::ChangePoint { value: number, expected: said.expected };
    let excess = 1.0 + (sum - limit) / if limit == 0.0 { 1.0 } else { limit.abs() };
    Said::Judged(Margin::new(said.anomalous, score, said.threshold, excess, basis))
}

impl<M> Spaced<M> {
    /// What `judge` says of a number, after as many of the same that stand for those that were `missed`.
    fn judge<S>(&mut self, missed: u32, mut judge: impl FnMut(&mut M) -> S) -> S {
        (0..missed).for_each(|_| drop(judge(&mut self.memory)));
        judge(&mut self.memory)
    }

    /// Moves to `at`. Gives back how often the number there stands for one that did not come.
    fn step(
        &mut self,
        engine: Engine,
        duration: Option<std::time::Duration>,
        history: u32,
        at: Timestamp,
    ) -> u32 {
        let Some(duration) = duration.filter(|_| engine != Engine::Robust) else { return 0 };
        let last = self.last.replace(at);
        last.map_or(0, |last| gaps::filled(last, at, duration, history))
    }
}

/// The side on which `number` may be anomalous, if `middle` is usual.
pub(crate) fn away(sides: Sides, number: f64, middle: f64) -> Side {
    match sides {
        Sides::High => Side::High,
        Sides::Low => Side::Low,
        Sides::Both if number < middle => Side::Low,
        Sides::Both => Side::High,
    }
}

/// The highest band that `margin` reaches; the lowest one if it reaches none.
pub(crate) fn severity(bands: &[Band], margin: &Margin) -> Severity {
    let reached = bands.iter().rev().find(|band| margin.excess >= band.at).or(bands.first());
    reached.map_or(Severity::Warning, |band| band.level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rule;
    use proptest::prelude::*;

    const SIGMA: Method = Method::Sigma { k: 3.0, warmup: 4 };

    fn judge(memory: &mut Memory, method: Method, number: f64) -> String {
        memory.judge(&Rule { method, ..Rule::default() }, Timestamp::default(), number).to_string()
    }

    #[test]
    fn sigma_warms_up_then_judges() {
        let mut memory = Memory::default();
        let said: Vec<String> =
            [1.0, 2.0, 3.0, 2.0, 3.0, 9.0, 4.0].map(|n| judge(&mut memory, SIGMA, n)).into();
        assert_eq!(
            said,
            [
                "warming up 1/4",
                "warming up 2/4",
                "warming up 3/4",
                "warming up 4/4",
                "normal: 3 against 4.449 (mean 2 + 3 × deviation 0.8165)",
                "critical: 9 against 4.71 (mean 2.2 + 3 × deviation 0.8367)",
                "normal: 4 against 6.425 (mean 2.618 + 3 × deviation 1.269)",
            ]
        );
    }

    #[test]
    fn a_long_fault_does_not_hide_the_next() {
        let mut memory = Memory::default();
        (0..200).for_each(|i| drop(judge(&mut memory, SIGMA, f64::from(i % 5))));
        (0..20).for_each(|_| drop(judge(&mut memory, SIGMA, 1000.0)));
        assert!(judge(&mut memory, SIGMA, 1000.0).starts_with("critical"));
    }

    #[test]
    fn fixed_thresholds_are_exclusive_and_may_be_negative() {
        let mut memory = Memory::default();
        let mut say = |threshold, n| judge(&mut memory, Method::Static { threshold }, n);
        assert_eq!(say(80.0, 80.0), "normal: 80 against 80 (fixed)");
        assert_eq!(say(80.0, 81.0), "warning: 81 against 80 (fixed)");
        assert_eq!(say(80.0, 120.0), "critical: 120 against 80 (fixed)");
        assert_eq!(say(-10.0, -11.0), "normal: -11 against -10 (fixed)");
        assert_eq!(say(-10.0, -4.0), "critical: -4 against -10 (fixed)");
        assert_eq!(say(0.0, 0.1), "warning: 0.1 against 0 (fixed)");
    }

    /// What `rule` says of `numbers`, a second apart.
    fn say(rule: &Rule, numbers: &[f64]) -> Vec<String> {
        let mut memory = Memory::default();
        let at = |i: i64| Timestamp::from_ms(i * 1000).expect("in range");
        (0..).zip(numbers).map(|(i, number)| memory.judge(rule, at(i), *number).to_string()).collect()
    }

    fn last_said(rule: &Rule, before: impl Iterator<Item = f64>, number: f64) -> String {
        let numbers: Vec<f64> = before.chain([number]).collect();
        say(rule, &numbers).pop().expect("one for each")
    }

    fn rule(text: &str) -> Rule {
        serde_json::from_str(text).expect("a rule")
    }

    /// Numbers around 10, for 1,500 readings.
    fn wave() -> impl Iterator<Item = f64> {
        (0..1_500).map(|i| 10.0 + f64::from(i * 7 % 41) / 10.0)
    }

    #[test]
    fn every_method_judges_both_sides() {
        let methods = ["sigma", "robust", "quantile", "evt"];
        let said = methods.map(|kind| {
            let rule = rule(&format!(r#"{{"method":{{"kind":"{kind}"}},"direction":"both"}}"#));
            [11.0, 60.0, -60.0].map(|number| last_said(&rule, wave(), number)).join("\n")
        });
        expect_test::expect![[r#"
            normal: 11 against 8.447 (mean 12 − 3 × deviation 1.184)
            critical: 60 against 15.55 (mean 12 + 3 × deviation 1.184)
            critical: -60 against 8.447 (mean 12 − 3 × deviation 1.184)
            normal: 11 against 6.601 (median 12.05 − 3.5 × deviation 1.557)
            critical: 60 against 17.5 (median 12.05 + 3.5 × deviation 1.557)
            critical: -60 against 6.601 (median 12.05 − 3.5 × deviation 1.557)
            normal: 11 against 10 (the 99.5 % quantile; median 12)
            critical: 60 against 14 (the 99.5 % quantile; median 12)
            critical: -60 against 10 (the 99.5 % quantile; median 12)
            normal: 11 against 14 (passed once in 10000; tail from 14)
            critical: 60 against 14 (passed once in 10000; tail from 14)
            critical: -60 against 10 (passed once in 10000; tail from 10)"#]]
        .assert_eq(&said.join("\n"));
        for kind in methods {
            let one = |direction: &str, number: f64| {
                let text = format!(r#"{{"method":{{"kind":"{kind}"}},"direction":"{direction}"}}"#);
                last_said(&rule(&text), wave(), number).starts_with("critical")
            };
            let sides = [one("high", 60.0), one("high", -60.0), one("low", 60.0), one("low", -60.0)];
            assert_eq!(sides, [true, false, false, true], "{kind}");
        }
    }

    #[test]
    fn robust_is_not_moved_by_what_it_finds() {
        let rule = rule(r#"{"method":{"kind":"robust","history":60,"warmup":50}}"#);
        let fault = |length: usize| wave().chain(std::iter::repeat_n(60.0, length));
        assert!(last_said(&rule, fault(25), 60.0).starts_with("critical"));
        assert!(
            last_said(&rule, fault(40), 60.0).starts_with("normal"),
            "a new level, after half of the history"
        );
    }

    #[test]
    fn evt_follows_a_drift() {
        let drifting = || wave().zip(0..).map(|(number, i)| number + f64::from(i) / 10.0);
        let [still, moving] = ["", r#","drift":50"#]
            .map(|drift| rule(&format!(r#"{{"method":{{"kind":"evt"{drift}}},"direction":"both"}}"#)));
        let strange = |rule: &Rule, number| last_said(rule, drifting(), number).starts_with("critical");
        assert!(
            strange(&moving, 200.0) && strange(&moving, 100.0),
            "{}",
            last_said(&moving, drifting(), 100.0)
        );
        assert!(!strange(&moving, 163.0), "{}", last_said(&moving, drifting(), 163.0));
        assert!(!strange(&still, 100.0), "it was there once");
    }

    #[test]
    fn rates_of_change() {
        let said = |settings: &str, direction: &str| {
            let text = format!(
                r#"{{"method":{{"kind":"rate-of-change","threshold":2.0{settings}}},"direction":"{direction}"}}"#
            );
            say(&rule(&text), &[5.0, 6.0, 9.0, 4.0]).join("\n")
        };
        expect_test::expect![[r#"
            warming up 1/2
            normal: change 1 against 2 (from 5 to 6)
            critical: change 3 against 2 (from 6 to 9)
            normal: change -5 against 2 (from 9 to 4)"#]]
        .assert_eq(&said("", "high"));
        expect_test::expect![[r#"
            warming up 1/2
            critical: change 60 against 2 (from 5 to 6)
            critical: change 180 against 2 (from 6 to 9)
            critical: change 300 against 2 (from 9 to 4)"#]]
        .assert_eq(&said(r#","per":"1m""#, "both"));
        assert!(said("", "low").ends_with("critical: change 5 against 2 (from 9 to 4)"));
        let minute = rule(r#"{"method":{"kind":"rate-of-change","threshold":2.0,"per":"1m"}}"#);
        let mut memory = Memory::default();
        let first = memory.judge(&minute, Timestamp::default(), 1.0);
        assert_eq!(first.to_string(), "warming up 1/2");
        let same = memory.judge(&minute, Timestamp::default(), 9.0);
        assert_eq!(same.to_string(), "unjudged: no time has passed since the reading before");
    }

    #[test]
    fn small_deviations_are_ignored_if_so_wanted() {
        let with = |ignore: &str| rule(&format!(r#"{{"method":{{"kind":"sigma"}},"ignore":{ignore}}}"#));
        let state = |ignore: &str, number: f64| {
            let constant = std::iter::repeat_n(10.0, 200);
            last_said(&with(ignore), constant, number).split_once(':').expect("a margin").0.to_owned()
        };
        assert_eq!(state("{}", 10.1), "critical");
        assert_eq!(state(r#"{"absolute":0.5}"#, 10.5), "ignored, too near");
        assert_eq!(state(r#"{"absolute":0.5}"#, 10.6), "critical");
        assert_eq!(state(r#"{"relative":0.2}"#, 12.0), "ignored, too near");
        assert_eq!(state(r#"{"relative":0.2}"#, 12.1), "critical");
        assert_eq!(state(r#"{"relative":0.2}"#, 10.0), "normal");
    }

    #[test]
    fn stream_analytics_functions_as_rules() {
        let steady = || (0..40).map(|i| 10.0 + f64::from(i % 3));
        let spikes = |settings: &str| {
            rule(&format!(r#"{{"method":{{"kind":"spike-and-dip","history":30{settings}}}}}"#))
        };
        let said = [
            say(&spikes(""), &[1.0]).remove(0),
            last_said(&spikes(""), steady(), 50.0),
            last_said(&spikes(""), steady(), -50.0),
            last_said(&spikes(r#","mode":"dips""#), steady(), 50.0),
            last_said(&rule(r#"{"method":{"kind":"change-point","history":10}}"#), steady(), 50.0),
        ];
        expect_test::expect![[r#"
            warming up 1/30
            critical: p-value 1.000e-8 against 0.05 (50 where 11 is usual)
            critical: p-value 1.000e-8 against 0.05 (-50 where 11 is usual)
            normal: p-value 1 against 0.05 (50 where 11 is usual)
            critical: martingale 102.8 against 0.0001953 (50 where 10.9 is usual)"#]]
        .assert_eq(&said.join("\n"));
        // Noise, then steady values: the engine's sum of squares is below 0.
        let noise = [1068.9, 1051.6, 984.1, 951.8, 1002.3, 981.0, 0.1, 0.1, 0.1, 0.1];
        let blind = |kind: &str, engine: &str| {
            let text = format!(r#"{{"method":{{"kind":"{kind}","history":3,"engine":"{engine}"}}}}"#);
            last_said(&rule(&text), noise.into_iter(), 500.0)
        };
        for kind in ["spike-and-dip", "change-point"] {
            assert!(blind(kind, "parity").starts_with("unjudged: the engine's variance is lost"), "{kind}");
            assert!(!blind(kind, "robust").starts_with("unjudged"), "{kind}");
        }
        assert!(blind("spike-and-dip", "robust").starts_with("critical"));
    }

    /// 30 values should take 30 s; after a minute of silence the history is full of the next value.
    #[test]
    fn gaps_are_filled_where_the_engine_fills_them() {
        let rule =
            rule(r#"{"method":{"kind":"spike-and-dip","history":30,"engine":"parity","duration":"30s"}}"#);
        let judge = |gap_s: i64| {
            let mut memory = Memory::default();
            let at = |s: i64| Timestamp::from_ms(s * 1000).expect("in range");
            (0..40).for_each(|i| drop(memory.judge(&rule, at(i), (i % 3) as f64).to_string()));
            memory.judge(&rule, at(39 + gap_s), 50.0).own_score()
        };
        assert_eq!(judge(1), Some(1e-8));
        assert!(judge(60).is_some_and(|p| p > 0.4), "{:?}", judge(60));
    }

    #[test]
    fn a_rule_with_another_method_begins_anew() {
        let [first, second] =
            ["robust", "quantile"].map(|kind| rule(&format!(r#"{{"method":{{"kind":"{kind}"}}}}"#)));
        let mut memory = Memory::default();
        wave().for_each(|number| drop(memory.judge(&first, Timestamp::default(), number).to_string()));
        assert_eq!(memory.judge(&second, Timestamp::default(), 1.0).to_string(), "warming up 1/200");
    }

    #[test]
    fn constant_numbers_are_normal_and_a_step_is_not() {
        let mut memory = Memory::default();
        (0..10).for_each(|_| drop(judge(&mut memory, SIGMA, 5.0)));
        assert!(judge(&mut memory, SIGMA, 5.0).starts_with("normal"));
        assert!(judge(&mut memory, SIGMA, 5.1).starts_with("critical"));
    }

    proptest! {
        #[test]
        fn scores_are_on_the_side_of_their_verdict(numbers in proptest::collection::vec(-1e300..1e300f64, 5..40)) {
            let mut memory = Memory::default();
            for number in numbers {
                let rule = Rule { method: SIGMA, ..Rule::default() };
                match memory.judge(&rule, Timestamp::default(), number) {
                    Finding::Normal(m) => prop_assert!((0.0..0.5).contains(&m.anomaly_score())),
                    Finding::Anomalous(m, _) => prop_assert!((0.5..=1.0).contains(&m.anomaly_score())),
                    other => prop_assert_eq!(other.as_str(), "warming-up"),
                }
            }
        }
    }
}
