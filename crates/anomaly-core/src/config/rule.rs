//! `[[rule]]`: what is an alert.

mod check;
mod severity;
mod written;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::keys::Known;
use super::lifecycle::{self, Flapping, Learn, Quiet, Span};
use super::method::is_default;
use super::{
    ChangePoint, Evt, Ignore, MOfN, Missing, NoData, Pattern, Quantile, RateOfChange, Robust, Sides,
    SpikeAndDip,
};

pub use severity::{Band, Severity};
use written::Written;

/// The section's keys.
pub(super) const KEYS: &[(&str, Known)] = &[
    ("name", Known::Value),
    ("on", Known::Value),
    ("series", Known::Value),
    ("method", Known::Table(METHOD)),
    ("calibrated", Known::Value),
    ("direction", Known::Value),
    ("ignore", Known::Table(IGNORE)),
    ("severity", Known::Table(BAND)),
    ("for", Known::Value),
    ("missing", Known::Value),
    ("every", Known::Value),
    ("clear", Known::Table(CLEAR)),
    ("quiet", Known::Table(lifecycle::QUIET)),
    ("repeat", Known::Value),
    ("flapping", Known::Table(lifecycle::FLAPPING)),
    ("learn", Known::Value),
    ("accept", Known::Value),
];
const METHOD: &[(&str, Known)] = &[
    ("kind", Known::Value),
    ("threshold", Known::Value),
    ("k", Known::Value),
    ("warmup", Known::Value),
    ("history", Known::Value),
    ("q", Known::Value),
    ("risk", Known::Value),
    ("level", Known::Value),
    ("peaks", Known::Value),
    ("drift", Known::Value),
    ("per", Known::Value),
    ("confidence", Known::Value),
    ("mode", Known::Value),
    ("engine", Known::Value),
    ("duration", Known::Value),
    ("martingale", Known::Value),
    ("epsilon", Known::Value),
    ("after", Known::Value),
];
const IGNORE: &[(&str, Known)] = &[("absolute", Known::Value), ("relative", Known::Value)];
const BAND: &[(&str, Known)] = &[("at", Known::Value), ("level", Known::Value)];
pub(super) const CLEAR: &[(&str, Known)] = &[("below", Known::Value), ("for", Known::Value)];

/// `[[rule]]`: what is an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Rule {
    /// The rule's name: in messages and in the alert's id.
    pub name: String,
    /// What is judged.
    pub on: On,
    /// Whose readings are judged; `None`: everybody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<Pattern>,
    /// How it is judged.
    pub method: Method,
    /// Whether `sigma` and `quantile` take mean, deviation and quantiles of the scores from the model's training ([`Calibration`]) and not
    /// from the series: those of `model.calibration`, or those that a model in process brings along. Where
    /// `model.calibration` is given, rules take them without being told.
    ///
    /// [`Calibration`]: crate::calibration::Calibration
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub calibrated: bool,
    /// On which side of what is usual a number is anomalous.
    #[serde(rename = "direction", skip_serializing_if = "is_default")]
    pub sides: Sides,
    /// Deviations that are no alert, however unusual.
    #[serde(skip_serializing_if = "is_default")]
    pub ignore: Ignore,
    /// The bands of severity, lowest first.
    pub severity: Vec<Band>,
    /// How many of the last readings must be anomalous for an alert to fire.
    #[serde(rename = "for")]
    pub hold: MOfN,
    /// What a reading counts that the rule had nothing to judge of.
    #[serde(skip_serializing_if = "is_default")]
    pub missing: Missing,
    /// How far apart readings should be: where they are further, some are missing. `None`: nobody knows.
    #[serde(with = "super::duration::optional", skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// When a firing alert is over.
    pub clear: Clear,
    /// For how long after an alert others are not told; `None`: all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// After how long people are reminded of an alert that goes on and that nobody has acknowledged, by the readings'
    /// times; `None`: never.
    #[serde(with = "super::duration::optional", skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Duration>,
    /// When an alert that comes and goes is held open; `None`: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flapping: Option<Flapping>,
    /// What the rule learns from.
    #[serde(skip_serializing_if = "is_default")]
    pub learn: Learn,
    /// For how many readings a new level must look normal to itself to be the new normal, where only what is normal
    /// is learned.
    #[serde(skip_serializing_if = "is_accept")]
    pub accept: u32,
}

fn is_accept(accept: &u32) -> bool {
    *accept == lifecycle::ACCEPT
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
    /// Anomalous beyond median ± *k* robust deviations of the last numbers.
    Robust(Robust),
    /// Anomalous beyond a quantile of all numbers so far.
    Quantile(Quantile),
    /// Anomalous beyond what is passed once in so many numbers.
    Evt(Evt),
    /// Anomalous where the change since the number before is too large.
    RateOfChange(RateOfChange),
    /// Stream Analytics' `AnomalyDetection_SpikeAndDip`.
    SpikeAndDip(SpikeAndDip),
    /// Stream Analytics' `AnomalyDetection_ChangePoint`.
    ChangePoint(ChangePoint),
    /// Anomalous where nothing comes for longer than it should be silent.
    NoData(NoData),
}

/// Three: "scores beyond three standard deviations from the mean score are considered anomalous"
/// (Amazon SageMaker developer guide, "How RCF Works").
fn default_k() -> f64 {
    3.0
}

fn default_warmup() -> u32 {
    100
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
            series: None,
            method: Method::Sigma { k: 3.5, warmup: default_warmup() },
            calibrated: false,
            sides: Sides::High,
            ignore: Ignore::default(),
            severity: vec![
                Band { at: 1.0, level: Severity::Warning },
                Band { at: 1.5, level: Severity::Critical },
            ],
            hold: MOfN::new(3, 4).unwrap_or_default(),
            missing: Missing::Skip,
            every: None,
            clear: Clear::default(),
            quiet: None,
            repeat: None,
            flapping: None,
            learn: Learn::All,
            accept: lifecycle::ACCEPT,
        }
    }
}

impl Rule {
    /// For scores that are probabilities by themselves: 0.5 on a single reading, over after 64 calm ones, critical at
    /// 0.8, which is four times as surprising.
    ///
    /// On the 29 public NAB series, with `kind = "embedded"`: 0.25 false alerts per 1,000 readings, event F1 0.65,
    /// recall 0.82 (`docs/detection.md`).
    pub(super) fn calibrated_score() -> Self {
        Rule {
            method: Method::Static { threshold: 0.5 },
            severity: vec![
                Band { at: 1.0, level: Severity::Warning },
                Band { at: 1.6, level: Severity::Critical },
            ],
            hold: MOfN::new(1, 1).unwrap_or_default(),
            clear: Clear { hold: MOfN::new(64, 64).unwrap_or_default(), ..Clear::default() },
            ..Rule::default()
        }
    }
}

impl Rule {
    /// Whether something of it goes by the number of readings.
    pub(crate) fn counts_readings(&self) -> bool {
        let spans = self.quiet.map(|quiet| quiet.span).into_iter().chain(self.flapping.map(|f| f.within));
        spans.into_iter().any(|span| matches!(span, Span::Readings(_)))
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

/// Where scores of the streaming detector are strange: they mean the same for every series.
const EMBEDDED_BOUNDARY: f64 = 0.5;

impl Rule {
    /// The same rule for scores by the streaming detector, while it stands in for an endpoint whose scores are on
    /// another scale.
    pub(crate) fn for_fallback(&self) -> Rule {
        match self.is_on_score() {
            true => Rule {
                method: Method::Static { threshold: EMBEDDED_BOUNDARY },
                calibrated: false,
                sides: Sides::High,
                ignore: Ignore::default(),
                ..self.clone()
            },
            false => self.clone(),
        }
    }

    /// Whether the rule judges the detector's scores.
    pub(crate) fn is_on_score(&self) -> bool {
        self.on == On::Score && self.no_data().is_none()
    }

    /// What the rule says of silence, where it judges that, and no readings.
    pub(crate) fn no_data(&self) -> Option<&NoData> {
        match &self.method {
            Method::NoData(no_data) => Some(no_data),
            _ => None,
        }
    }

    /// Whether the rule is for `series`.
    pub fn is_for(&self, series: &str) -> bool {
        self.series.as_ref().is_none_or(|pattern| pattern.matches(series))
    }
}

#[cfg(test)]
pub(super) mod tests;
