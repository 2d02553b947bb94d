//! The rules, and what they need to know of the input.

use super::judges;
use crate::calibration::Calibration;
use crate::config::{Calendar, Config, Effect, EventTime, ModelKind, On, Rule, STREAMING};
use crate::reading::SeriesId;
use crate::rejects::Versions;
use crate::seen::Order;
use crate::time::Timestamp;

/// The longest name of a feature in a message, in characters.
const NAME_CHARS_MAX: usize = 64;

/// The rules, with what they need to know of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    rules: Vec<Rule>,
    feature_names: Vec<String>,
    /// For the shares of rejected records, which are readings too.
    of_rejects: (Rule, [String; 1]),
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
    /// Whether any rule judges silence.
    pub(super) judges_silence: bool,
    /// The rules for scores by the streaming detector where it stands in for an endpoint.
    fallback: Option<Vec<Rule>>,
    calendars: Vec<Calendar>,
}

impl Policy {
    /// The rules of `config` over features of these names, in the order of the readings'.
    pub fn new(config: &Config, feature_names: &[String]) -> Self {
        let names = feature_names.iter().map(|n| n.chars().take(NAME_CHARS_MAX).collect()).collect();
        let event_time = config.input.event_time.clone();
        let of_rejects = (config.rejects.rule(), ["rejected".to_owned()]);
        Policy {
            rules: config.rules.clone(),
            feature_names: names,
            of_rejects,
            event_time,
            order: config.source.order(),
            keeps_last: config.input.fills_with_previous() && config.model.kind != ModelKind::Endpoint,
            calibration: config.model.calibration.clone(),
            own: None,
            versions: Versions::of(config),
            streaming: config.model.is_streaming(),
            judges_silence: config.judges_silence(),
            fallback: config.model.fallback.map(|_| config.rules.iter().map(Rule::for_fallback).collect()),
            calendars: config.calendars.clone(),
        }
    }

    /// Whether the streaming detector learns the readings of `series`: shares of rejects have a rule and no model.
    pub fn has_detector(&self, series: &SeriesId) -> bool {
        self.streaming && !series.is_of_rejects()
    }

    /// Whether no detector is to learn the reading of `series` at `at`, nor to score it: a calendar excludes it for
    /// all rules.
    pub fn excludes(&self, series: &SeriesId, at: Timestamp) -> bool {
        let mut of_all = self.calendars.iter().filter(|c| c.effect == Effect::Exclude && c.rule.is_none());
        of_all.any(|calendar| calendar.covers(series, at))
    }

    /// The calendars that are for a reading of `series` at `at`.
    pub(super) fn calendars(&self, series: &SeriesId, at: Timestamp) -> Vec<&Calendar> {
        self.calendars.iter().filter(|calendar| calendar.covers(series, at)).collect()
    }

    /// Whether scores by `model` are those of a detector that stands in for an endpoint.
    pub(super) fn is_fallback(&self, model: &str) -> bool {
        self.fallback.is_some() && model == STREAMING
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
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What each rule of `series` is called and what it judges, by name, in the order of the findings.
    pub fn names(&self, series: &SeriesId) -> impl Iterator<Item = (&Rule, &str)> {
        let (rules, names) = self.of(series);
        rules.iter().map(move |rule| (rule, judges(names, rule)))
    }

    /// The rules that judge a feature which is not there, by name.
    pub fn unknown_features(&self) -> Vec<&str> {
        let known = |name: &str| self.feature_names.iter().any(|n| n == name);
        let names = self.rules.iter().filter_map(|rule| match &rule.on {
            On::Feature(name) if !known(name) => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// The rules of `series`, and the names of its features.
    pub(super) fn of(&self, series: &SeriesId) -> (&[Rule], &[String]) {
        match series.is_of_rejects() {
            true => (std::slice::from_ref(&self.of_rejects.0), &self.of_rejects.1),
            false => (&self.rules, &self.feature_names),
        }
    }

    /// The same, where `model` gave the score.
    pub(super) fn of_scores_by(&self, model: &str, series: &SeriesId) -> (&[Rule], &[String]) {
        match &self.fallback {
            Some(rules) if self.is_fallback(model) && !series.is_of_rejects() => (rules, &self.feature_names),
            _ => self.of(series),
        }
    }
}
