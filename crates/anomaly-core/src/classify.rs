//! From a scored reading to findings and transitions: the one place where the state of a series changes.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alert::{Feature, Stepped, Transition, Watch};
use crate::config::{Config, On, Rule};
use crate::position::Position;
use crate::reading::Scored;
use crate::rule::Finding;

/// How many features of a series keep their last values for messages: the first ones.
pub const FEATURES_KEPT: usize = 4;
/// How many last values are kept.
pub const RECENT_KEPT: usize = 24;
/// The longest name of a feature in a message, in characters.
const NAME_CHARS_MAX: usize = 64;

/// The rules, with what they need to know of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    rules: Vec<Rule>,
    feature_names: Vec<String>,
}

impl Policy {
    /// The rules of `config` over features of these names, in the order of the readings'.
    pub fn new(config: &Config, feature_names: &[String]) -> Self {
        let names = feature_names.iter().map(|n| n.chars().take(NAME_CHARS_MAX).collect()).collect();
        Policy { rules: config.rules.clone(), feature_names: names }
    }

    /// The rules, in the order of the findings.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
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

    fn number(&self, on: &On, scored: &Scored) -> Option<f64> {
        let features = &scored.reading.features;
        match on {
            On::Score => scored.score,
            On::Value => features.first().copied(),
            On::Feature(name) => {
                let index = self.feature_names.iter().position(|n| n == name)?;
                features.get(index).copied()
            }
        }
    }
}

/// All that is remembered of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesState {
    seen: Option<Position>,
    /// By the rule's name, so that adding a rule does not disturb the others.
    watches: Vec<(String, Watch)>,
    /// The last readings, oldest first, [`FEATURES_KEPT`] values at most of each.
    recent: VecDeque<Vec<f32>>,
}

/// What came of one reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// One finding per rule, in order.
    pub findings: Vec<Finding>,
    /// The steps alerts took.
    pub transitions: Vec<Transition>,
}

/// Judges `scored` by every rule and moves `state` along.
///
/// The caller asks [`SeriesState::has_seen`] first; a reading judged twice counts twice.
/// `model` is what gave the score, for the message.
pub fn classify(policy: &Policy, state: &mut SeriesState, scored: &Scored, model: &str) -> Judgement {
    let reading = &scored.reading;
    state.remember(&reading.features);
    let mut judgement = Judgement::default();
    for rule in &policy.rules {
        let number = policy.number(&rule.on, scored);
        let watch = state.watch(&rule.name);
        let (finding, stepped) = watch.observe(rule, &reading.series, reading.at, number);
        judgement.findings.push(finding);
        if let Some(stepped) = stepped {
            judgement.transitions.push(transition(policy, state, rule, scored, stepped, model));
        }
    }
    state.seen = Some(reading.position.clone());
    judgement
}

fn transition(
    policy: &Policy,
    state: &SeriesState,
    rule: &Rule,
    scored: &Scored,
    Stepped { step, alert, margin }: Stepped,
    model: &str,
) -> Transition {
    let reading = &scored.reading;
    let on = match &rule.on {
        On::Score => "score",
        On::Value => policy.feature_names.first().map_or("value", String::as_str),
        On::Feature(name) => name,
    };
    Transition {
        alert: alert.id,
        number: alert.step_number,
        step,
        series: reading.series.clone(),
        rule: rule.name.clone(),
        on: on.to_owned(),
        severity: alert.severity,
        at: reading.at,
        since: alert.since,
        fired_at: alert.fired_at,
        margin,
        peak: alert.peak,
        peak_at: alert.peak_at,
        anomalous: alert.anomalous,
        features: state.features(policy, &reading.features),
        width: u32::try_from(reading.features.len()).unwrap_or(u32::MAX),
        model: model.to_owned(),
    }
}

/// The version of the encoded state that this code writes, and the newest it reads.
const STATE_VERSION: u8 = 1;

impl SeriesState {
    /// Whether the reading at `position` was judged before.
    pub fn has_seen(&self, position: &Position) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.covers(position))
    }

    /// The last reading judged.
    pub fn seen(&self) -> Option<&Position> {
        self.seen.as_ref()
    }

    /// What is remembered, by the rule's name.
    pub fn watches(&self) -> impl Iterator<Item = (&str, &Watch)> {
        self.watches.iter().map(|(name, watch)| (name.as_str(), watch))
    }

    /// The state as bytes: a version, then postcard.
    pub fn encode(&self) -> Vec<u8> {
        // Postcard into memory fails only for sequences of unknown length, of which the state has none.
        postcard::to_extend(self, vec![STATE_VERSION]).unwrap_or_default()
    }

    /// The state that [`SeriesState::encode`] wrote.
    ///
    /// # Errors
    /// [`StateError::Newer`] for a later version, [`StateError::Corrupt`] for anything that is no state.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        match bytes.split_first() {
            Some((&STATE_VERSION, rest)) => match postcard::take_from_bytes(rest) {
                Ok((state, [])) => Ok(state),
                _ => Err(StateError::Corrupt),
            },
            Some((&version, _)) if version > STATE_VERSION => Err(StateError::Newer { version }),
            _ => Err(StateError::Corrupt),
        }
    }

    fn watch(&mut self, rule: &str) -> &mut Watch {
        let index = self.watches.iter().position(|(name, _)| name == rule).unwrap_or_else(|| {
            self.watches.push((rule.to_owned(), Watch::default()));
            self.watches.len() - 1
        });
        &mut self.watches[index].1
    }

    fn remember(&mut self, features: &[f64]) {
        if self.recent.len() == RECENT_KEPT {
            self.recent.pop_front();
        }
        // An infinite f32 would be `null` in JSON and make the message unreadable.
        let single = |value: &f64| (*value as f32).clamp(f32::MIN, f32::MAX);
        self.recent.push_back(features.iter().take(FEATURES_KEPT).map(single).collect());
    }

    fn features(&self, policy: &Policy, values: &[f64]) -> Vec<Feature> {
        let named = policy.feature_names.iter().zip(values).take(FEATURES_KEPT);
        let feature = |(index, (name, value)): (usize, (&String, &f64))| Feature {
            name: name.clone(),
            value: *value,
            recent: self.recent.iter().filter_map(|row| row.get(index).copied()).collect(),
        };
        named.enumerate().map(feature).collect()
    }
}

/// Why bytes are no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// A later release wrote it.
    Newer {
        /// Its version.
        version: u8,
    },
    /// The bytes are damaged, or something else altogether.
    Corrupt,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Newer { version } => write!(
                f,
                "the state has version {version} and this release reads up to {STATE_VERSION}; use the release that wrote it"
            ),
            StateError::Corrupt => f.write_str("the state is damaged"),
        }
    }
}

impl std::error::Error for StateError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Method;
    use crate::position::Sequence;
    use crate::reading::{Reading, SeriesId};
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn policy() -> Policy {
        let hot = Rule {
            name: "hot".to_owned(),
            on: On::Feature("b".to_owned()),
            method: Method::Static { threshold: 10.0 },
            hold: Default::default(),
            ..Rule::default()
        };
        let config = Config { rules: vec![Rule::default(), hot], ..Config::default() };
        Policy::new(&config, &["a".to_owned(), "b".to_owned()])
    }

    fn scored(i: u32, b: f64, score: Option<f64>) -> Scored {
        let at = Timestamp::from_ms(i64::from(i) * 1000).expect("in range");
        let position = Position {
            partition: "p".to_owned(),
            sequence: Sequence::from(u64::from(i)),
            sub: 0,
            arrived: at,
        };
        let series = SeriesId::new("s").expect("a name");
        Scored { reading: Reading { series, at, features: vec![f64::from(i), b], position }, score }
    }

    #[test]
    fn every_rule_finds_and_steps_carry_the_readings() {
        let (policy, mut state) = (policy(), SeriesState::default());
        for i in 0..30 {
            assert!(classify(&policy, &mut state, &scored(i, 1.0, None), "m").transitions.is_empty());
        }
        let judgement = classify(&policy, &mut state, &scored(30, 50.0, Some(0.9)), "m");
        assert!(matches!(
            judgement.findings[..],
            [Finding::WarmingUp { seen: 1, .. }, Finding::Anomalous(..)]
        ));
        let [fired] = judgement.transitions.as_slice() else { panic!("one transition") };
        assert_eq!((fired.rule.as_str(), fired.on.as_str(), fired.number), ("hot", "b", 1));
        assert_eq!(fired.features[1].recent.len(), RECENT_KEPT);
        assert_eq!((fired.features[1].value, fired.features[1].recent.last()), (50.0, Some(&50.0)));
    }

    #[test]
    fn a_redelivered_reading_is_known() {
        let (policy, mut state) = (policy(), SeriesState::default());
        classify(&policy, &mut state, &scored(5, 1.0, None), "m");
        assert!(state.has_seen(&scored(5, 1.0, None).reading.position));
        assert!(!state.has_seen(&scored(6, 1.0, None).reading.position));
    }

    #[test]
    fn a_rule_on_a_feature_that_is_not_there_is_named() {
        let mut config = Config::default();
        config.rules.push(Rule { on: On::Feature("c".to_owned()), ..Rule::default() });
        assert_eq!(Policy::new(&config, &["a".to_owned()]).unknown_features(), ["c"]);
    }

    #[test]
    fn state_is_versioned() {
        assert_eq!(SeriesState::decode(&[]), Err(StateError::Corrupt));
        assert_eq!(SeriesState::decode(&[0, 1]), Err(StateError::Corrupt));
        assert_eq!(SeriesState::decode(&[9, 1]), Err(StateError::Newer { version: 9 }));
        let mut bytes = SeriesState::default().encode();
        bytes.push(0);
        assert_eq!(SeriesState::decode(&bytes), Err(StateError::Corrupt), "something behind it");
    }

    proptest! {
        #[test]
        fn stopping_anywhere_changes_nothing(values in proptest::collection::vec((0.0..20.0f64, 0.0..3.0f64), 1..80), stop in 0usize..80) {
            let policy = policy();
            let (mut one, mut two) = (SeriesState::default(), SeriesState::default());
            for (i, (b, score)) in values.iter().enumerate() {
                if i == stop {
                    two = SeriesState::decode(&two.encode()).expect("its own bytes");
                }
                let reading = scored(i as u32, *b, Some(*score));
                prop_assert_eq!(classify(&policy, &mut one, &reading, "m"), classify(&policy, &mut two, &reading, "m"));
            }
            prop_assert_eq!(one.encode(), two.encode());
            prop_assert!(one.encode().len() < 1024, "state of two rules: {} bytes", one.encode().len());
        }

        #[test]
        fn any_bytes_are_a_state_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = SeriesState::decode(&bytes);
        }
    }
}
