//! What is known of a model's scores from its training: some numbers that travel with the model's id.

use serde::{Deserialize, Serialize};

/// What stands between an endpoint's name and the id of the artifact behind it, where the endpoint tells that:
/// `my-endpoint/AllTraffic@1f0c6e2b7a94`. No name of SageMaker's holds it.
pub const ID_MARK: char = '@';

/// The custom attribute of an endpoint's answer that tells the id of the artifact behind it, as `anomaly serve` does:
/// `anomaly-model=1f0c6e2b7a94`, between commas if there are others.
pub const ID_ATTRIBUTE: &str = "anomaly-model";

/// The id in an answer's custom attributes; 1 to 64 letters, digits, dots and hyphens.
pub fn id_in(attributes: &str) -> Option<&str> {
    let mut named = attributes.split(',').filter_map(|attribute| attribute.trim().split_once('='));
    let id = named.find(|(name, _)| *name == ID_ATTRIBUTE).map(|(_, id)| id)?;
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    (is_plain && (1..=64).contains(&id.len())).then_some(id)
}

/// Mean, standard deviation and quantiles of a model's scores of normal rows, in place of what a rule learns from
/// each series: SageMaker's own advice is a cut-off of three deviations above the mean of the training scores
/// (SageMaker developer guide, "How RCF Works"). `anomaly train` tells them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Which model's they are: the id of an artifact, or the model's name as messages have it, an endpoint's with
    /// `/variant` if it answers with one. Scores by any other model are not judged by them.
    pub model: String,
    /// The mean; finite.
    pub mean: f64,
    /// The standard deviation; finite, 0 or more.
    pub deviation: f64,
    /// The quantiles, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<Quantiles>,
}

impl Calibration {
    /// What the section of `anomaly.toml` begins with.
    pub const HEADER: &str = "[model.calibration]";

    /// What `scores`, which are finite, say of the scores of normal rows by `model`; all 0 if there are none.
    ///
    /// Rounded to [`DIGITS`], so that the same numbers stand in an artifact and, short, in a configuration. The
    /// deviation is that of the population.
    pub fn of(model: String, mut scores: Vec<f64>) -> Self {
        let n = scores.len().max(1) as f64;
        let mean = scores.iter().sum::<f64>() / n;
        let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / n;
        let quantiles = Quantiles::of(&mut scores);
        Calibration { model, mean: rounded(mean), deviation: rounded(variance.sqrt()), quantiles }
    }

    /// Whether they are of the model that messages and chunks call `model`.
    pub fn is_of(&self, model: &str) -> bool {
        let id = model.rsplit_once(ID_MARK).map(|(_, id)| id);
        self.model == model || id == Some(self.model.as_str())
    }

    /// What is wrong, one sentence each, beginning with the key.
    pub(crate) fn problems(&self) -> Vec<String> {
        let Calibration { model, mean, deviation, quantiles } = self;
        let mut problems = Vec::new();
        if model.is_empty() {
            problems.push("model.calibration.model: empty; name the model, as messages do".to_owned());
        }
        if !(mean.is_finite() && deviation.is_finite() && *deviation >= 0.0) {
            problems.push(format!(
                "model.calibration: mean {mean} and deviation {deviation} are not finite, the deviation 0 or more"
            ));
        }
        if let Some(Quantiles(scores)) = quantiles
            && !(scores.iter().all(|score| score.is_finite()) && scores.is_sorted())
        {
            problems.push(format!("model.calibration.quantiles: {scores:?} are not finite and rising"));
        }
        problems
    }

    /// As the section of `anomaly.toml`.
    pub fn to_toml(&self) -> String {
        let Calibration { model, mean, deviation, quantiles } = self;
        // A name is quoted as JSON quotes it, which TOML reads.
        let model = serde_json::to_string(model).unwrap_or_default();
        let mut toml =
            format!("{}\nmodel = {model}\nmean = {mean:?}\ndeviation = {deviation:?}\n", Self::HEADER);
        if let Some(Quantiles(scores)) = quantiles {
            let shares: Vec<String> = LADDER.iter().map(|share| format!("{}", share * 100.0)).collect();
            toml += &format!("# at or below which {} % of the scores lie\n", shares.join(", "));
            toml += &format!("quantiles = {scores:?}\n");
        }
        toml
    }
}

/// How many steps the ladder has.
const STEPS: usize = 7;

/// The shares of scores that quantiles are told for: the middle, what a rule may reasonably ask for, and all.
pub const LADDER: [f64; STEPS] = [0.5, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0];

/// Significant digits of the numbers of a calibration. The mean of 20,000 scores is known to a hundredth of their
/// deviation.
pub const DIGITS: usize = 6;

/// The scores at or below which each share of [`LADDER`] of the scores of normal rows lies; finite, none below the
/// one before it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantiles(pub [f64; STEPS]);

impl Quantiles {
    /// Of `scores`, which are finite and are sorted; `None` if there are none.
    ///
    /// Each is a score that was there, the lowest with the share at or below it (Hyndman and Fan, "Sample
    /// Quantiles in Statistical Packages", The American Statistician 50 (4), 1996, definition 1), but for rounding.
    fn of(scores: &mut [f64]) -> Option<Self> {
        scores.sort_unstable_by(f64::total_cmp);
        let rank = |share: f64| (share * scores.len() as f64).ceil() as usize;
        let score = |share| scores.get(rank(share).saturating_sub(1)).copied().map(rounded);
        let found: Vec<f64> = LADDER.iter().filter_map(|share| score(*share)).collect();
        found.try_into().ok().map(Quantiles)
    }

    /// The shares of [`LADDER`], each with its score.
    pub fn steps(&self) -> impl Iterator<Item = (f64, f64)> {
        LADDER.into_iter().zip(self.0)
    }

    /// The score at or below which `share` (0 to 1) of the scores lie.
    ///
    /// Between two steps as if the tail were exponential, which scores of a forest come near: a straight line over
    /// ln(1 − share). Below the first step it is the first, above the last but one the last: what lies between
    /// them depends on how many scores there were.
    pub fn at(&self, share: f64) -> f64 {
        let Quantiles(scores) = self;
        let above = LADDER.iter().position(|step| share <= *step).unwrap_or(STEPS - 1);
        let (Some(below), true) = (above.checked_sub(1), above + 1 < STEPS) else { return scores[above] };
        let depth = |share: f64| -(1.0 - share).ln();
        let part = (depth(share) - depth(LADDER[below])) / (depth(LADDER[above]) - depth(LADDER[below]));
        scores[below] + (scores[above] - scores[below]) * part
    }
}

/// To [`DIGITS`] significant digits.
fn rounded(number: f64) -> f64 {
    format!("{number:.*e}", DIGITS - 1).parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use expect_test::expect;

    fn calibration() -> Calibration {
        Calibration::of("1f0c6e2b7a94".to_owned(), (1..=1000).rev().map(|n| f64::from(n) / 300.0).collect())
    }

    #[test]
    fn numbers_are_short_and_come_back() {
        let toml = calibration().to_toml();
        expect![[r#"
            [model.calibration]
            model = "1f0c6e2b7a94"
            mean = 1.66833
            deviation = 0.96225
            # at or below which 50, 90, 95, 99, 99.5, 99.9, 100 % of the scores lie
            quantiles = [1.66667, 3.0, 3.16667, 3.3, 3.31667, 3.33, 3.33333]
        "#]]
        .assert_eq(&toml);
        let config = Config::from_toml(&toml).expect("valid");
        assert_eq!(config.model.calibration, Some(calibration()));
        let quiet = Calibration::of("a \"b\"".to_owned(), vec![]);
        assert_eq!((quiet.mean, quiet.deviation, quiet.quantiles), (0.0, 0.0, None));
        let config = Config::from_toml(&quiet.to_toml()).expect("valid");
        assert_eq!(config.model.calibration, Some(quiet), "without quantiles, as older ones are");
    }

    #[test]
    fn a_model_is_known_by_its_name_or_its_id() {
        let of = |model: &str| Calibration { model: model.to_owned(), ..calibration() };
        assert!(of("e/blue").is_of("e/blue"));
        assert!(of("1f0c6e2b7a94").is_of("1f0c6e2b7a94"));
        assert!(of("1f0c6e2b7a94").is_of("e/blue@1f0c6e2b7a94"));
        assert!(!of("1f0c6e2b7a94").is_of("e/blue@000000000000"));
        assert!(!of("e/blue").is_of("e/blue@1f0c6e2b7a94"), "another artifact may stand behind the name");
        assert!(!of("e/blue").is_of("e/green"));
    }

    #[test]
    fn an_answer_tells_the_id() {
        assert_eq!(id_in("anomaly-model=1f0c6e2b7a94"), Some("1f0c6e2b7a94"));
        assert_eq!(id_in("trace=1, anomaly-model=a.b-1,x"), Some("a.b-1"));
        for none in
            ["", "trace=1", "anomaly-model", "anomaly-model=", "anomaly-model=a@b", "my-anomaly-model=a"]
        {
            assert_eq!(id_in(none), None, "{none:?}");
        }
        assert_eq!(id_in(&format!("anomaly-model={}", "a".repeat(65))), None);
    }

    #[test]
    fn between_the_steps_is_an_exponential_tail() {
        let exponential = Quantiles(LADDER.map(|share| -(1.0 - share).max(1e-4).ln()));
        for share in [0.5, 0.6, 0.9, 0.97, 0.99, 0.993, 0.998, 0.999] {
            assert!((exponential.at(share) + (1.0 - share).ln()).abs() < 1e-9, "{share}");
        }
        let Quantiles(scores) = exponential;
        assert_eq!((exponential.at(0.0), exponential.at(0.4)), (scores[0], scores[0]));
        assert_eq!((exponential.at(0.9991), exponential.at(1.0)), (scores[6], scores[6]));
    }

    #[test]
    fn of_few_scores_the_highest_stand_for_the_far_ones() {
        let few = Calibration::of(String::new(), vec![3.0, 1.0, 2.0]);
        assert_eq!(few.quantiles, Some(Quantiles([2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0])));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = Calibration {
            model: String::new(),
            mean: f64::NAN,
            deviation: -1.0,
            quantiles: Some(Quantiles([1.0, 2.0, 3.0, 2.0, 5.0, 6.0, 7.0])),
        };
        expect![[r#"
            model.calibration.model: empty; name the model, as messages do
            model.calibration: mean NaN and deviation -1 are not finite, the deviation 0 or more
            model.calibration.quantiles: [1.0, 2.0, 3.0, 2.0, 5.0, 6.0, 7.0] are not finite and rising"#]]
        .assert_eq(&wrong.problems().join("\n"));
    }
}
