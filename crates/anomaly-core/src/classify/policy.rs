//! The rules, and what they need to know of the input.

use super::judges;
use super::watches::RuleName;
use crate::alert;
use crate::calibration::Calibration;
use crate::config::{Calendar, Config, Effect, EventTime, ModelKind, On, Rule, Span};
use crate::reading::{Scored, SeriesId};
use crate::rejects::Versions;
use crate::seen::Order;
use crate::time::Timestamp;

/// The longest name of a feature in a message, in characters.
const NAME_CHARS_MAX: usize = 64;

/// The rules, with what they need to know of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    rules: Rules,
    /// For the shares of rejected records, which are readings too.
    of_rejects: Rules,
    pub(super) event_time: Option<EventTime>,
    order: Order,
    /// Whether a feature may take the series' previous value, and has not by the time it comes here.
    pub(super) keeps_last: bool,
    /// Of the configuration: for every rule that can be calibrated.
    calibration: Option<Calibration>,
    /// Of the model in this process: for the rules that ask for one.
    own: Option<Calibration>,
    versions: Versions,
    /// Whether the streaming detector learns the series.
    streaming: bool,
    /// Of its season, where it is given.
    period: Option<Span>,
    /// Whether any rule judges silence.
    pub(super) judges_silence: bool,
    /// The rules for scores by the streaming detector where it stands in for an endpoint.
    fallback: Option<Rules>,
    calendars: Vec<Calendar>,
}

impl Policy {
    /// The rules of `config` over features of these names, in the order of the readings'.
    pub fn new(config: &Config, feature_names: &[String]) -> Self {
        let shortened = |name: &String| name.chars().take(NAME_CHARS_MAX).collect();
        let names: Vec<String> = feature_names.iter().map(shortened).collect();
        let of_fallback =
            |_| Rules::new(config.rules.iter().map(Rule::for_fallback).collect(), names.clone());
        Policy {
            fallback: config.model.fallback.map(of_fallback),
            rules: Rules::new(config.rules.clone(), names),
            of_rejects: Rules::new(vec![config.rejects.rule()], vec!["rejected".to_owned()]),
            event_time: config.input.event_time.clone(),
            order: config.source.order(),
            keeps_last: config.input.fills_with_previous() && config.model.kind != ModelKind::Endpoint,
            calibration: config.model.calibration.clone(),
            own: None,
            versions: Versions::of(config),
            streaming: config.model.is_streaming(),
            period: config.model.period,
            judges_silence: config.judges_silence(),
            calendars: config.calendars.clone(),
        }
    }

    /// Whether the streaming detector learns the readings of `series`: shares of rejects have a rule and no model.
    pub fn has_detector(&self, series: &SeriesId) -> bool {
        self.streaming && !series.is_of_rejects()
    }

    /// How long a period of the streaming detector's season is, where that is given.
    pub fn period(&self) -> Option<Span> {
        self.period
    }

    /// Whether no detector is to learn the reading of `series` at `at`, nor to score it: a calendar excludes it for
    /// all rules.
    pub fn excludes(&self, series: &SeriesId, at: Timestamp) -> bool {
        let mut of_all = self.calendars.iter().filter(|c| c.effect == Effect::Exclude && c.rule.is_none());
        of_all.any(|calendar| calendar.covers(series, at))
    }

    /// Whether readings are judged by their rules and nothing else: no silences, previous values or calendars.
    #[inline(always)]
    pub(super) fn is_simple(&self) -> bool {
        !self.judges_silence && !self.keeps_last && self.calendars.is_empty()
    }

    /// The calendars that are for a reading of `series` at `at`.
    pub(super) fn calendars(&self, series: &SeriesId, at: Timestamp) -> Vec<&Calendar> {
        self.calendars.iter().filter(|calendar| calendar.covers(series, at)).collect()
    }

    /// By what readings are rejected that do not come in time.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The same, where a model in this process brings its own calibration along: for the rules that say
    /// [`Rule::calibrated`], and for all if the configuration has one of some model.
    pub fn with_own(self, calibration: Calibration) -> Self {
        Policy { own: Some(calibration), ..self }
    }

    /// The same for readings that come with the previous values in them, as they do where a model is given them
    /// first ([`window`](crate::window)).
    pub fn of_filled(self) -> Self {
        Policy { keeps_last: false, ..self }
    }

    /// Whether anything is known of the scores by `model`.
    pub(super) fn is_calibrated(&self, model: &str) -> bool {
        self.calibration.iter().chain(&self.own).any(|calibration| calibration.is_of(model))
    }

    /// What is known of the scores by `model`, for `rule` to judge them by.
    pub(super) fn calibration(&self, rule: &Rule, model: &str) -> Option<&Calibration> {
        let own = self.own.as_ref().filter(|_| rule.calibrated || self.calibration.is_some());
        let mut known = self.calibration.iter().chain(own).filter(|_| rule.is_on_score());
        known.find(|calibration| calibration.is_of(model))
    }

    /// What becomes of readings that come early, late or out of order; `None`: they are judged as they come.
    pub fn event_time(&self) -> Option<&EventTime> {
        self.event_time.as_ref()
    }

    /// What the source promises of the readings of a partition.
    pub fn order(&self) -> Order {
        self.order
    }

    /// The rules, in the order of the findings.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rules.iter().map(|ready| &ready.rule)
    }

    /// What each rule of `series` is called and what it judges, by name, in the order of the findings.
    pub fn names(&self, series: &SeriesId) -> impl Iterator<Item = (&Rule, &str)> {
        let rules = self.of(series);
        rules.iter().map(|ready| (&ready.rule, judges(&rules.features, &ready.rule)))
    }

    /// The rules that judge a feature which is not there, by name.
    pub fn unknown_features(&self) -> Vec<&str> {
        let known = |name: &str| self.rules.features.iter().any(|feature| feature == name);
        let names = self.rules().filter_map(|rule| match &rule.on {
            On::Feature(name) if !known(name) => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// The names of all features, in the order of the readings'.
    pub(super) fn feature_names(&self) -> &[String] {
        &self.rules.features
    }

    /// The rules of `series`, and the names of its features.
    pub(super) fn of(&self, series: &SeriesId) -> &Rules {
        if series.is_of_rejects() { &self.of_rejects } else { &self.rules }
    }

    /// The rules for scores by a detector that stands in for an endpoint, where one may.
    pub(super) fn of_fallback(&self) -> Option<&Rules> {
        self.fallback.as_ref()
    }
}

/// Rules, and the names of the features they judge.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rules {
    /// In the order of the findings.
    ready: Vec<Ready>,
    pub(super) features: Vec<String>,
}

/// A rule, and what need not be looked up with each reading.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ready {
    pub(super) rule: Rule,
    pub(super) name: RuleName,
    pub(super) judges: Judges,
    /// Whether normal readings are mostly nothing to it ([`alert::is_plain`]).
    pub(super) is_plain: bool,
}

/// What a rule judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judges {
    Score,
    /// The feature at this index.
    Feature(usize),
    /// A feature that is not there.
    Unknown,
    Silence,
}

impl Rules {
    fn new(rules: Vec<Rule>, features: Vec<String>) -> Self {
        let ready = |rule: Rule| {
            let (name, judges) = (RuleName::new(&rule.name), Judges::of(&rule, &features));
            Ready { is_plain: alert::is_plain(&rule), rule, name, judges }
        };
        Rules { ready: rules.into_iter().map(ready).collect(), features }
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Ready> {
        self.ready.iter()
    }

    /// The names of the rules that judge scores.
    pub(super) fn on_score(&self) -> impl Iterator<Item = &RuleName> {
        self.ready.iter().filter(|ready| ready.judges == Judges::Score).map(|ready| &ready.name)
    }
}

impl Judges {
    fn of(rule: &Rule, features: &[String]) -> Self {
        match &rule.on {
            _ if rule.no_data().is_some() => Judges::Silence,
            On::Score => Judges::Score,
            On::Value => Judges::Feature(0),
            On::Feature(name) => {
                features.iter().position(|n| n == name).map_or(Judges::Unknown, Judges::Feature)
            }
        }
    }

    /// The number to be judged of a reading.
    pub(super) fn number(self, scored: &Scored) -> Option<f64> {
        let Scored { reading, score } = scored;
        match self {
            Judges::Score => *score,
            Judges::Feature(index) => reading.features.get(index).copied().filter(|_| reading.has(index)),
            Judges::Unknown | Judges::Silence => None,
        }
    }

    /// Whether that number is made of the feature at `index`.
    pub(super) fn rests_on(self, index: usize) -> bool {
        match self {
            Judges::Score => true,
            Judges::Feature(judged) => judged == index,
            Judges::Unknown | Judges::Silence => false,
        }
    }
}
