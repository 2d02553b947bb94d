//! Hyperparameters by the names of SageMaker's Random Cut Forest, as text.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use anomaly_detect::{SHINGLE_MAX, TrainOptions, WIDTH_MAX};
use serde_json::{Map, Value};

/// Those of the built-in algorithm, then ours; `mini_batch_size` is what SageMaker's Python SDK sends along with every
/// built-in algorithm's (2.232.3, `amazon_estimator.py`), and means nothing here.
const NAMES: [&str; 8] = [
    "feature_dim",
    "num_trees",
    "num_samples_per_tree",
    "eval_metrics",
    "seed",
    "shingle",
    "feature_names",
    "mini_batch_size",
];

/// Source of this range and those below: developer guide, "RCF Hyperparameters".
const FEATURE_DIM: RangeInclusive<usize> = 1..=WIDTH_MAX;
const NUM_TREES: RangeInclusive<usize> = 50..=1000;
/// The built-in takes 1 as well, a tree that cannot be cut.
const NUM_SAMPLES_PER_TREE: RangeInclusive<usize> = 2..=2048;

/// How a model is to be trained and tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hyperparameters {
    /// Numbers of a row, 1 to 10,000.
    pub feature_dim: usize,
    /// Trees, 50 to 1000; 100 if not said.
    pub num_trees: usize,
    /// Rows kept by each tree, 2 to 2048; 256 if not said.
    pub num_samples_per_tree: usize,
    /// Whether the test tells the accuracy, and whether precision, recall and F1; both, if not said.
    pub eval_metrics: (bool, bool),
    /// Where the randomness comes from; 0 if not said. Not of the built-in algorithm.
    pub seed: u64,
    /// Readings a row, whose features are then `feature_dim / shingle`; 1 if not said. Not of the built-in algorithm.
    pub shingle: usize,
    /// Names of a reading's features; `feature_1` and so on if not said. Not of the built-in algorithm.
    pub feature_names: Vec<String>,
}

impl Hyperparameters {
    /// From the object in `hyperparameters.json`. What begins with `_` or `sagemaker_` is SageMaker's own.
    ///
    /// # Errors
    /// All that is wrong, a sentence each that begins with the name.
    pub fn parse(json: &Map<String, Value>) -> Result<Self, Vec<String>> {
        let mut found = Found { json, problems: Vec::new() };
        for name in json.keys().filter(|name| !(name.starts_with('_') || name.starts_with("sagemaker_"))) {
            if !NAMES.contains(&name.as_str()) {
                let nearest = NAMES.iter().min_by_key(|known| strsim::damerau_levenshtein(known, name));
                let nearest = nearest.copied().unwrap_or_default();
                found.problems.push(format!("{name}: not known; the nearest is {nearest}"));
            }
        }
        let defaults = TrainOptions::default();
        if !json.contains_key("feature_dim") {
            found.problems.push("feature_dim: missing; give the numbers of a row".to_owned());
        }
        let parsed = Hyperparameters {
            feature_dim: found.number("feature_dim", FEATURE_DIM, 1),
            num_trees: found.number("num_trees", NUM_TREES, defaults.trees),
            num_samples_per_tree: found.number(
                "num_samples_per_tree",
                NUM_SAMPLES_PER_TREE,
                defaults.sample_size,
            ),
            eval_metrics: found.metrics(),
            seed: found.number("seed", 0..=u64::MAX, defaults.seed),
            shingle: found.number("shingle", 1..=SHINGLE_MAX, defaults.shingle),
            feature_names: found.names(),
        };
        found.number("mini_batch_size", 1..=usize::MAX, 1);
        if found.problems.is_empty() {
            found.problems = parsed.problems();
        }
        if found.problems.is_empty() { Ok(parsed) } else { Err(found.problems) }
    }

    /// What does not go together.
    fn problems(&self) -> Vec<String> {
        let Hyperparameters { feature_dim, shingle, feature_names, .. } = self;
        let mut problems = Vec::new();
        if !feature_dim.is_multiple_of(*shingle) {
            problems.push(format!("shingle: rows of {feature_dim} numbers are not {shingle} readings"));
        } else if !feature_names.is_empty() && feature_names.len() * shingle != *feature_dim {
            let (names, features) = (feature_names.len(), feature_dim / shingle);
            problems.push(format!("feature_names: {names} names for {features} features"));
        }
        problems
    }

    pub(super) fn options(&self) -> TrainOptions {
        TrainOptions {
            features: self.feature_names.clone(),
            shingle: self.shingle,
            trees: self.num_trees,
            sample_size: self.num_samples_per_tree,
            seed: self.seed,
            ..TrainOptions::default()
        }
    }
}

struct Found<'j> {
    json: &'j Map<String, Value>,
    problems: Vec<String>,
}

impl Found<'_> {
    /// As SageMaker gives it, as text; a number is taken from who runs the container by hand.
    fn text(&self, name: &str) -> Option<String> {
        self.json.get(name).map(|value| match value {
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        })
    }

    fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        name: &str,
        range: RangeInclusive<T>,
        default: T,
    ) -> T {
        let Some(text) = self.text(name) else { return default };
        match text.parse::<T>() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.problems.push(format!("{name}: {text:?} is not {} to {}", range.start(), range.end()));
                default
            }
        }
    }

    /// A list as JSON, or with commas between.
    fn list(&self, name: &str) -> Option<Vec<String>> {
        let text = self.text(name)?;
        let all = serde_json::from_str::<Vec<String>>(&text);
        Some(all.unwrap_or_else(|_| text.split(',').map(|one| one.trim().to_owned()).collect()))
    }

    fn metrics(&mut self) -> (bool, bool) {
        let (mut accuracy, mut others) = (false, false);
        let Some(metrics) = self.list("eval_metrics") else { return (true, true) };
        for metric in metrics {
            match metric.as_str() {
                "accuracy" => accuracy = true,
                "precision_recall_fscore" => others = true,
                other => self.problems.push(format!(
                    "eval_metrics: {other:?} is not accuracy or precision_recall_fscore, in a list such as \
                     [\"accuracy\", \"precision_recall_fscore\"]"
                )),
            }
        }
        (accuracy, others)
    }

    fn names(&mut self) -> Vec<String> {
        let names = self.list("feature_names").unwrap_or_default();
        let is_wrong = |(i, name): (usize, &String)| name.is_empty() || names[..i].contains(name);
        if names.iter().enumerate().any(is_wrong) {
            self.problems.push(format!("feature_names: {names:?} are not names that differ"));
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn parse(json: &str) -> Result<Hyperparameters, String> {
        let json = serde_json::from_str(json).expect("JSON");
        Hyperparameters::parse(&json).map_err(|problems| problems.join("\n"))
    }

    #[test]
    fn the_built_in_algorithms_names_ranges_and_defaults() {
        let least = parse(r#"{"feature_dim": "3"}"#).expect("all that is needed");
        assert_eq!((least.feature_dim, least.num_trees, least.num_samples_per_tree), (3, 100, 256));
        assert_eq!(least.eval_metrics, (true, true));
        let all = r#"{"feature_dim": "1", "num_trees": "50", "num_samples_per_tree": "2048", "mini_batch_size": "1000",
            "eval_metrics": "[\"accuracy\"]", "_tuning_objective_metric": "test:f1", "sagemaker_region": "eu-west-1"}"#;
        let all = parse(all).expect("as the SDK sends them");
        assert_eq!((all.num_trees, all.num_samples_per_tree, all.eval_metrics), (50, 2048, (true, false)));
        let ours = r#"{"feature_dim": 6, "shingle": "3", "feature_names": "cpu, memory", "seed": "7"}"#;
        let ours = parse(ours).expect("ours");
        assert_eq!(
            (ours.shingle, ours.seed, ours.feature_names),
            (3, 7, vec!["cpu".to_owned(), "memory".to_owned()])
        );
    }

    #[test]
    fn all_problems_at_once() {
        expect![[r#"
            num_tree: not known; the nearest is num_trees
            feature_dim: "10001" is not 1 to 10000
            num_trees: "49" is not 50 to 1000
            num_samples_per_tree: "many" is not 2 to 2048
            eval_metrics: "f1" is not accuracy or precision_recall_fscore, in a list such as ["accuracy", "precision_recall_fscore"]
            feature_names: ["a", "a"] are not names that differ"#]]
        .assert_eq(
            &parse(
                r#"{"feature_dim": "10001", "num_trees": "49", "num_samples_per_tree": "many", "num_tree": "50",
                    "eval_metrics": "[\"f1\"]", "feature_names": "a,a"}"#,
            )
            .unwrap_err(),
        );
        expect!["feature_dim: missing; give the numbers of a row"].assert_eq(&parse("{}").unwrap_err());
        expect!["shingle: rows of 5 numbers are not 2 readings"]
            .assert_eq(&parse(r#"{"feature_dim": "5", "shingle": "2"}"#).unwrap_err());
        expect!["feature_names: 2 names for 3 features"].assert_eq(
            &parse(r#"{"feature_dim": "6", "shingle": "2", "feature_names": "a,b"}"#).unwrap_err(),
        );
    }
}
