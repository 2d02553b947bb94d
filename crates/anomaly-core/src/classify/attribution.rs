//! Which features an alert on a score comes from.

use super::{Judgement, Policy};
use crate::alert::{Attribution, Feature, Transition};

/// A feature whose last values are not kept is shown if so much of the score comes from it.
const SHOWN_SHARE: f64 = 0.1;
/// How many of those are shown at most.
const SHOWN_MAX: usize = 3;

impl Judgement {
    /// Whether somebody will want to know where the score comes from: an alert on it took a step that tells of
    /// something wrong.
    pub fn wants_attribution(&self) -> bool {
        self.transitions.iter().any(is_of_score)
    }

    /// Tells the steps of alerts on the score where it comes from; `values` are the reading's.
    pub fn attribute(&mut self, policy: &Policy, values: &[f64], attribution: &Attribution) {
        for transition in self.transitions.iter_mut().filter(|transition| is_of_score(transition)) {
            attribute(&mut transition.features, policy.feature_names(), values, attribution);
        }
    }
}

fn is_of_score(transition: &Transition) -> bool {
    transition.on == "score" && transition.is_alarm()
}

fn attribute(shown: &mut Vec<Feature>, names: &[String], values: &[f64], of: &Attribution) {
    let kept = shown.len();
    let at = |numbers: &[f64], index: usize| numbers.get(index).copied().filter(|number| number.is_finite());
    let mut hidden: Vec<(usize, f64)> =
        of.shares.iter().copied().enumerate().skip(kept).filter(|(_, share)| *share >= SHOWN_SHARE).collect();
    hidden.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    for (index, _) in hidden.into_iter().take(SHOWN_MAX) {
        if let (Some(name), Some(&value)) = (names.get(index), values.get(index)) {
            let (expected, share) = (at(&of.expected, index), at(&of.shares, index));
            shown.push(Feature { name: name.clone(), value, recent: Vec::new(), expected, share });
        }
    }
    for (index, feature) in shown.iter_mut().take(kept).enumerate() {
        (feature.expected, feature.share) = (at(&of.expected, index), at(&of.shares, index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::tests::scored;
    use crate::classify::{SeriesState, classify};
    use crate::config::{Config, MOfN, Method, Rule};

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("f{i}")).collect()
    }

    fn shown(rule: Rule, score: f64, width: usize, attribution: &Attribution) -> Vec<String> {
        let config = Config { rules: vec![rule], ..Config::default() };
        let policy = Policy::new(&config, &names(width));
        let mut scored = scored(1, 5.0, Some(score));
        scored.reading.features = (0..width).map(|i| i as f64).collect();
        let mut judgement = classify(&policy, &mut SeriesState::default(), &scored, "m");
        judgement.attribute(&policy, &scored.reading.features, attribution);
        let shown = |f: &Feature| format!("{} {:?} {:?} {}", f.name, f.expected, f.share, f.recent.len());
        judgement.transitions.iter().flat_map(|t| &t.features).map(shown).collect()
    }

    fn rule(on: crate::config::On) -> Rule {
        let hold = MOfN::new(1, 1).unwrap_or_default();
        Rule { on, method: Method::Static { threshold: 0.5 }, hold, ..Rule::default() }
    }

    #[test]
    fn the_first_features_and_the_strangest_of_the_others_are_told() {
        use crate::config::On;
        let shares = vec![0.0, 0.0, 0.0, 0.0, 0.05, 0.15, 0.5, 0.12, 0.18];
        let attribution = Attribution { expected: vec![7.0; 9], shares };
        let told = shown(rule(On::Score), 0.9, 9, &attribution);
        assert_eq!(told[3], "f3 Some(7.0) Some(0.0) 1");
        assert_eq!(
            told[4..],
            ["f6 Some(7.0) Some(0.5) 0", "f8 Some(7.0) Some(0.18) 0", "f5 Some(7.0) Some(0.15) 0"]
        );
        let of_value = shown(rule(On::Feature("f3".to_owned())), 0.9, 9, &attribution);
        assert_eq!(of_value[3], "f3 None None 1", "a value is its own reason");
        let silent = shown(rule(On::Score), 0.9, 2, &Attribution::default());
        assert_eq!(silent, ["f0 None None 1", "f1 None None 1"], "a detector that does not tell");
    }
}
