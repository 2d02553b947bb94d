//! `[[rule]]`: what is an alert.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::MOfN;
use super::keys::Known;
use super::model::ModelKind;

/// The section's keys.
pub(super) const KEYS: &[(&str, Known)] = &[
    ("name", Known::Value),
    ("on", Known::Value),
    ("method", Known::Table(METHOD)),
    ("calibrated", Known::Value),
    ("severity", Known::Table(BAND)),
    ("for", Known::Value),
    ("clear", Known::Table(CLEAR)),
];
const METHOD: &[(&str, Known)] =
    &[("kind", Known::Value), ("threshold", Known::Value), ("k", Known::Value), ("warmup", Known::Value)];
const BAND: &[(&str, Known)] = &[("at", Known::Value), ("level", Known::Value)];
pub(super) const CLEAR: &[(&str, Known)] = &[("below", Known::Value), ("for", Known::Value)];

/// `[[rule]]`: what is an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// The rule's name: in messages and in the alert's id.
    pub name: String,
    /// What is judged.
    pub on: On,
    /// How it is judged.
    pub method: Method,
    /// Whether `sigma` takes mean and deviation of the scores from the model's training ([`Calibration`]) and not
    /// from the series: those of `model.calibration`, or those that a model in process brings along. Where
    /// `model.calibration` is given, rules take them without being told.
    ///
    /// [`Calibration`]: crate::calibration::Calibration
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub calibrated: bool,
    /// The bands of severity, lowest first.
    pub severity: Vec<Band>,
    /// How many of the last readings must be anomalous for an alert to fire.
    #[serde(rename = "for")]
    pub hold: MOfN,
    /// When a firing alert is over.
    pub clear: Clear,
}

/// What a rule judges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum On {
    /// The detector's score.
    #[default]
    Score,
    /// The first feature.
    Value,
    /// The feature of that name.
    Feature(String),
}

/// How a rule judges.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Method {
    /// Anomalous above a fixed threshold.
    Static {
        /// The threshold; exclusive.
        threshold: f64,
    },
    /// Anomalous above mean + *k* standard deviations of what was judged before.
    Sigma {
        /// How many standard deviations; above 0.
        #[serde(default = "default_k")]
        k: f64,
        /// How many judgements to learn from before the first verdict; at least 2.
        #[serde(default = "default_warmup")]
        warmup: u32,
    },
}

/// Three: "scores beyond three standard deviations from the mean score are considered anomalous"
/// (Amazon SageMaker developer guide, "How RCF Works").
fn default_k() -> f64 {
    3.0
}

fn default_warmup() -> u32 {
    100
}

/// One band of severity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// The excess from which it holds: 1 is the threshold, 1.5 half as much again; inclusive.
    pub at: f64,
    /// The level.
    pub level: Severity,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// To be looked at.
    Info,
    /// To be looked at soon.
    Warning,
    /// To be looked at now.
    Critical,
}

impl Severity {
    /// The level in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When a firing alert is over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clear {
    /// A reading is calm if its excess is below this; 0 to 1.
    pub below: f64,
    /// How many of the last readings must be calm.
    #[serde(rename = "for")]
    pub hold: MOfN,
}

impl Default for Rule {
    /// Mean + 3.5 deviations on 3 of the last 4 readings, over after 30 calm ones.
    ///
    /// The guidance's three deviations on a single reading give 2.4 false alerts per 1,000 readings on the 29 public
    /// NAB series with the default forest (event F1 0.20, recall 0.85); these give 1.3 (0.30, 0.80), and on
    /// `examples/webserver.csv` an alert within five seconds of each of the eight faults.
    fn default() -> Self {
        Rule {
            name: "too-strange".to_owned(),
            on: On::Score,
            method: Method::Sigma { k: 3.5, warmup: default_warmup() },
            calibrated: false,
            severity: vec![
                Band { at: 1.0, level: Severity::Warning },
                Band { at: 1.5, level: Severity::Critical },
            ],
            hold: MOfN::new(3, 4).unwrap_or_default(),
            clear: Clear::default(),
        }
    }
}

impl Default for Clear {
    fn default() -> Self {
        Clear { below: 1.0, hold: MOfN::new(30, 30).unwrap_or_default() }
    }
}

impl Serialize for On {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            On::Score => "score",
            On::Value => "value",
            On::Feature(name) => name,
        })
    }
}

impl<'de> Deserialize<'de> for On {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(deserializer)?.as_str() {
            "score" => On::Score,
            "value" => On::Value,
            name => On::Feature(name.to_owned()),
        })
    }
}

impl Rule {
    pub(super) fn problems(
        &self,
        index: usize,
        model: ModelKind,
        features: &[String],
        problems: &mut Vec<String>,
    ) {
        let mut add = |key: &str, what: String| problems.push(format!("rule[{index}].{key}: {what}"));
        if self.name.is_empty() || self.name.len() > 64 || self.name.chars().any(char::is_control) {
            add("name", format!("{:?} is not 1 to 64 printable bytes", self.name));
        }
        match &self.on {
            On::Score if model == ModelKind::None => {
                add("on", "\"score\" needs a model; with model.kind = \"none\" judge \"value\"".to_owned());
            }
            On::Feature(name) if !features.is_empty() && !features.contains(name) => {
                add(
                    "on",
                    format!("{name:?} is no feature; there are: score, value, {}", features.join(", ")),
                );
            }
            _ => {}
        }
        match self.method {
            Method::Static { threshold } if !threshold.is_finite() => {
                add("method.threshold", format!("{threshold} is not a finite number"));
            }
            Method::Sigma { k, .. } if !(k.is_finite() && k > 0.0) => {
                add("method.k", format!("{k} is not above 0"));
            }
            Method::Sigma { warmup, .. } if warmup < 2 => {
                add("method.warmup", format!("{warmup} is not 2 or more"));
            }
            Method::Static { .. } | Method::Sigma { .. } => {}
        }
        if self.calibrated && (self.on != On::Score || !matches!(self.method, Method::Sigma { .. })) {
            add("calibrated", "true is for on = \"score\" and method.kind = \"sigma\"".to_owned());
        }
        if self.severity.is_empty() {
            add("severity", "empty; give at least { at = 1.0, level = \"warning\" }".to_owned());
        }
        if self.severity.iter().any(|band| !(band.at.is_finite() && band.at >= 1.0)) {
            add("severity", "each `at` must be 1.0 (the threshold) or more".to_owned());
        }
        if !self.severity.is_sorted_by(|a, b| a.at < b.at && a.level < b.level) {
            add("severity", "the bands must rise, in `at` and in `level`".to_owned());
        }
        if !(0.0..=1.0).contains(&self.clear.below) {
            add("clear.below", format!("{} is not 0 to 1", self.clear.below));
        }
    }
}
