//! `[[rule]]`: what is an alert.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::keys::Known;
use super::lifecycle::{self, Flapping, Learn, Quiet, Span};
use super::method::{self, is_default};
use super::model::ModelKind;
use super::{
    ChangePoint, Evt, Ignore, MOfN, Missing, NoData, Pattern, Quantile, RateOfChange, Robust, Sides,
    SpikeAndDip,
};

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

/// A rule as it is written: what `for` is depends on the method.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    name: String,
    on: On,
    series: Option<Pattern>,
    method: Method,
    calibrated: bool,
    direction: Sides,
    ignore: Ignore,
    severity: Vec<Band>,
    #[serde(rename = "for")]
    hold: Option<MOfN>,
    missing: Missing,
    #[serde(with = "super::duration::optional")]
    every: Option<Duration>,
    clear: Clear,
    quiet: Option<Quiet>,
    #[serde(with = "super::duration::optional")]
    repeat: Option<Duration>,
    flapping: Option<Flapping>,
    learn: Learn,
    accept: u32,
}

fn is_accept(accept: &u32) -> bool {
    *accept == lifecycle::ACCEPT
}

impl Default for Written {
    fn default() -> Self {
        let rule = Rule::default();
        Written {
            name: rule.name,
            on: rule.on,
            series: rule.series,
            method: rule.method,
            calibrated: rule.calibrated,
            direction: rule.sides,
            ignore: rule.ignore,
            severity: rule.severity,
            hold: None,
            missing: rule.missing,
            every: rule.every,
            clear: rule.clear,
            quiet: rule.quiet,
            repeat: rule.repeat,
            flapping: rule.flapping,
            learn: rule.learn,
            accept: rule.accept,
        }
    }
}

impl From<Written> for Rule {
    fn from(written: Written) -> Self {
        // A change is told on one reading, and on no other for as long as its history is; a silence once.
        let hold = written.hold.unwrap_or(match written.method {
            Method::ChangePoint(_) | Method::NoData(_) => MOfN::default(),
            _ => Rule::default().hold,
        });
        Rule {
            name: written.name,
            on: written.on,
            series: written.series,
            method: written.method,
            calibrated: written.calibrated,
            sides: written.direction,
            ignore: written.ignore,
            severity: written.severity,
            hold,
            missing: written.missing,
            every: written.every,
            clear: written.clear,
            quiet: written.quiet,
            repeat: written.repeat,
            flapping: written.flapping,
            learn: written.learn,
            accept: written.accept,
        }
    }
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
    /// 0.75, which is three times as surprising.
    ///
    /// On the 29 public NAB series, with `kind = "streaming"`: 0.25 false alerts per 1,000 readings, event F1 0.65,
    /// recall 0.82 (`docs/detection.md`).
    pub(super) fn calibrated_score() -> Self {
        Rule {
            method: Method::Static { threshold: 0.5 },
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
            On::Score if model == ModelKind::None && self.is_on_score() => {
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
        for (key, what) in self.method.problems() {
            add(&format!("method.{key}"), what);
        }
        self.side_problems(&mut add);
        self.lifecycle_problems(&mut add);
        if self.no_data().is_some() {
            self.no_data_problems(&mut add);
        }
        if self.series.as_ref().is_some_and(|series| series.0.is_empty()) {
            add(
                "series",
                "empty; leave it out for all series, or write a pattern such as \"web-*\"".to_owned(),
            );
        }
        if self.every.is_some() && self.missing == Missing::Skip {
            add("every", "says when a reading is missing; say with `missing` what that counts".to_owned());
        }
        if self.every.is_some_and(|every| every.is_zero()) {
            add("every", "0s is no time; write \"1s\" or more".to_owned());
        }
        let may = matches!(self.method, Method::Sigma { .. } | Method::Quantile(_));
        if self.calibrated && (self.on != On::Score || !may) {
            let what = "true is for on = \"score\" and method.kind = \"sigma\" or \"quantile\"";
            add("calibrated", what.to_owned());
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

    fn lifecycle_problems(&self, add: &mut impl FnMut(&str, String)) {
        let quiet = self.quiet.iter().flat_map(Quiet::problems);
        let flapping = self.flapping.iter().flat_map(Flapping::problems);
        quiet.chain(flapping).for_each(|(key, what)| add(key, what));
        if self.repeat.is_some_and(|repeat| repeat.is_zero()) {
            add("repeat", "0s is no time; write \"4h\", or leave it out".to_owned());
        }
        let learns = matches!(
            self.method,
            Method::Sigma { .. } | Method::Robust(_) | Method::Quantile(_) | Method::Evt(_)
        );
        if self.learn == Learn::Normal && !learns {
            let what = "\"normal\" is for methods that learn what is usual: sigma, robust, quantile and evt";
            add("learn", what.to_owned());
        }
        if self.accept == 0 {
            add("accept", "0 readings look normal to everything; write 1 or more".to_owned());
        }
    }

    fn side_problems(&self, add: &mut impl FnMut(&str, String)) {
        match self.method {
            Method::SpikeAndDip(_) if self.sides != Sides::High => {
                add("direction", "spike-and-dip takes it from method.mode".to_owned());
            }
            Method::ChangePoint(_) if self.sides != Sides::High => {
                add("direction", "change-point looks both ways".to_owned());
            }
            Method::Static { .. } if self.sides == Sides::Both => {
                add("direction", "a threshold has one side; write two rules".to_owned());
            }
            _ => {}
        }
        let Ignore { absolute, relative } = self.ignore;
        if !(absolute.is_finite() && absolute >= 0.0 && relative.is_finite() && relative >= 0.0) {
            add("ignore", "`absolute` and `relative` must be 0 or more".to_owned());
        }
        if self.ignore != Ignore::default() && matches!(self.method, Method::Static { .. }) {
            add("ignore", "with a fixed threshold nobody knows what is usual; move the threshold".to_owned());
        }
    }

    /// A silence has no number, and nothing to be counted.
    fn no_data_problems(&self, add: &mut impl FnMut(&str, String)) {
        let default = Rule::default();
        let odd = [
            (
                "on",
                self.on != default.on,
                "no-data judges whether readings come, whatever is in them; leave it out",
            ),
            ("direction", self.sides != default.sides, "no-data has no sides; leave it out"),
            ("ignore", self.ignore != default.ignore, "no-data has no deviations; set method.after"),
            (
                "for",
                self.hold != MOfN::default(),
                "a silence counts once; how long it must be is method.after",
            ),
            (
                "missing",
                self.missing != default.missing,
                "is for readings that have nothing to judge; leave it out",
            ),
            (
                "every",
                self.every.is_some(),
                "is for rules that judge readings; how long one may wait is method.after",
            ),
            ("clear", self.clear != default.clear, "the next reading ends a silence; leave it out"),
            ("quiet", self.quiet.is_some(), "every silence is told once; leave it out"),
            (
                "repeat",
                self.repeat.is_some(),
                "no reading comes that could remind of a silence; leave it out",
            ),
            ("flapping", self.flapping.is_some(), "every silence is told once; leave it out"),
        ];
        odd.into_iter().filter(|(_, is_odd, _)| *is_odd).for_each(|(key, _, what)| add(key, what.to_owned()));
    }

    /// Whether the rule is for `series`.
    pub fn is_for(&self, series: &str) -> bool {
        self.series.as_ref().is_none_or(|pattern| pattern.matches(series))
    }

    /// How much of a series' state the method's memory takes at most, in bytes, for each model whose scores it
    /// knows.
    pub(super) fn memory_bytes_max(&self) -> u64 {
        let tails = if self.sides == Sides::Both { 2 } else { 1 };
        let bytes = match self.method {
            Method::Static { .. } | Method::Sigma { .. } => 0,
            Method::RateOfChange(_) => 32,
            Method::Robust(robust) => 4 * u64::from(robust.history) + 8,
            Method::Quantile(_) => 192,
            Method::Evt(evt) => {
                let first = ((1.0 - evt.level) * f64::from(evt.warmup)).ceil() as u64 + 1;
                4 * (tails * first.max(u64::from(evt.peaks)) + u64::from(evt.drift)) + 96
            }
            Method::SpikeAndDip(spikes) => 4 * u64::from(spikes.history) + 32,
            Method::ChangePoint(changes) => 12 * u64::from(changes.history) + 48,
            // When the series was last heard, and by what: for all such rules together.
            Method::NoData(_) => 80,
        };
        // A new level is learned beside the old one.
        let beside = if self.learn == Learn::Normal { bytes } else { 0 };
        beside + if self.is_on_score() { bytes * MODELS_MAX } else { bytes }
    }
}

/// As many models' scores as a series' state knows apart.
const MODELS_MAX: u64 = 4;

impl Method {
    fn problems(&self) -> method::Problems {
        let finite = |n: f64| n.is_finite();
        match *self {
            Method::Static { threshold } if !finite(threshold) => {
                vec![("threshold", format!("{threshold} is not a finite number"))]
            }
            Method::Sigma { k, .. } if !(finite(k) && k > 0.0) => vec![("k", format!("{k} is not above 0"))],
            Method::Sigma { warmup, .. } if warmup < 2 => {
                vec![("warmup", format!("{warmup} is not 2 or more"))]
            }
            Method::Static { .. } | Method::Sigma { .. } => Vec::new(),
            Method::Robust(robust) => robust.problems(),
            Method::Quantile(quantile) => quantile.problems(),
            Method::Evt(evt) => evt.problems(),
            Method::RateOfChange(rate) => rate.problems(),
            Method::SpikeAndDip(spikes) => spikes.problems(),
            Method::ChangePoint(changes) => changes.problems(),
            Method::NoData(no_data) => no_data.problems(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Config, Engine, Martingale, Mode};
    use super::*;
    use expect_test::{Expect, expect};

    /// Each method, nothing at its default.
    pub(in crate::config) fn every_method() -> [Method; 9] {
        let (per, duration) = (Some(Duration::from_secs(60)), Some(Duration::from_secs(120)));
        let (confidence, history) = (90.0, 60);
        [
            Method::Static { threshold: 1.0 },
            Method::Sigma { k: 2.0, warmup: 3 },
            Method::Robust(Robust { k: 2.0, history, warmup: 50 }),
            Method::Quantile(Quantile { q: 0.9, k: 2.0, warmup: 50 }),
            Method::Evt(Evt { risk: 1e-5, level: 0.95, warmup: 500, peaks: 100, drift: 10 }),
            Method::RateOfChange(RateOfChange { threshold: 1.0, per }),
            Method::SpikeAndDip(SpikeAndDip {
                confidence,
                history,
                mode: Mode::Dips,
                engine: Engine::Parity,
                duration,
            }),
            Method::ChangePoint(ChangePoint {
                confidence,
                history,
                engine: Engine::MlNet,
                duration,
                martingale: Martingale::Mixture,
                epsilon: 0.5,
            }),
            Method::NoData(NoData { after: Duration::from_secs(600) }),
        ]
    }

    pub(in crate::config) fn everything_set(method: Method) -> Rule {
        Rule {
            series: Some(Pattern("web-*".to_owned())),
            method,
            sides: Sides::Low,
            ignore: Ignore { absolute: 1.0, relative: 0.2 },
            missing: Missing::Breaching,
            every: Some(Duration::from_secs(60)),
            quiet: Some(Quiet { span: Span::Readings(9), worse: 3.0 }),
            repeat: Some(Duration::from_secs(3600)),
            flapping: Some(Flapping { times: 3, within: Span::Readings(90) }),
            learn: Learn::Normal,
            accept: 7,
            ..Rule::default()
        }
    }

    fn check(rules: &str, expected: Expect) {
        let toml = format!("[model]\nkind = \"none\"\n{rules}");
        let shown = Config::from_toml(&toml).map_or_else(
            |error| error.to_string(),
            |config| serde_json::to_string(&config.rules).expect("plain data"),
        );
        expected.assert_eq(&shown);
    }

    #[test]
    fn every_method_comes_back() {
        for method in every_method() {
            let rule = everything_set(method);
            let json = serde_json::to_string(&rule).expect("plain data");
            assert_eq!(serde_json::from_str::<Rule>(&json).expect("its own"), rule, "{json}");
        }
    }

    #[test]
    fn methods_need_no_settings_and_write_few() {
        let rule = |method: &str| {
            format!(
                "[[rule]]\nname = \"{method}\"\non = \"value\"\nmethod = {{ kind = \"{method}\" }}\nseverity = [{{ at = 1.0, level = \"warning\" }}]\n"
            )
        };
        let rules: String = ["robust", "quantile", "evt", "spike-and-dip", "change-point"].map(rule).concat();
        check(
            &rules,
            expect![[
                r#"[{"name":"robust","on":"value","method":{"kind":"robust","k":3.5,"history":120,"warmup":100},"severity":[{"at":1.0,"level":"warning"}],"for":"3 of 4","clear":{"below":1.0,"for":"30 of 30"}},{"name":"quantile","on":"value","method":{"kind":"quantile","q":0.995,"warmup":200},"severity":[{"at":1.0,"level":"warning"}],"for":"3 of 4","clear":{"below":1.0,"for":"30 of 30"}},{"name":"evt","on":"value","method":{"kind":"evt","risk":0.0001,"level":0.98,"warmup":1000,"peaks":200},"severity":[{"at":1.0,"level":"warning"}],"for":"3 of 4","clear":{"below":1.0,"for":"30 of 30"}},{"name":"spike-and-dip","on":"value","method":{"kind":"spike-and-dip","confidence":95.0,"history":120},"severity":[{"at":1.0,"level":"warning"}],"for":"3 of 4","clear":{"below":1.0,"for":"30 of 30"}},{"name":"change-point","on":"value","method":{"kind":"change-point","confidence":80.0,"history":120},"severity":[{"at":1.0,"level":"warning"}],"for":"1 of 1","clear":{"below":1.0,"for":"30 of 30"}}]"#
            ]],
        );
    }

    #[test]
    fn no_data_takes_a_time_and_little_else() {
        check(
            "[[rule]]\nname = \"quiet\"\nseries = \"web-*\"\nmethod = { kind = \"no-data\", after = \"10m\" }\n",
            expect![[
                r#"[{"name":"quiet","on":"score","series":"web-*","method":{"kind":"no-data","after":"10m"},"severity":[{"at":1.0,"level":"warning"},{"at":1.5,"level":"critical"}],"for":"1 of 1","clear":{"below":1.0,"for":"30 of 30"}}]"#
            ]],
        );
        check(
            "[[rule]]\non = \"value\"\nmethod = { kind = \"no-data\", after = \"900ms\" }\ndirection = \"both\"\n\
             ignore = { absolute = 1.0 }\nfor = \"2 of 3\"\nmissing = \"breaching\"\nevery = \"1m\"\n\
             clear = { for = \"2 of 2\" }\ncalibrated = true\n",
            expect![[r#"
                the configuration has 9 problems:
                  rule[0].method.after: 900ms is no silence; write "1s" or more
                  rule[0].on: no-data judges whether readings come, whatever is in them; leave it out
                  rule[0].direction: no-data has no sides; leave it out
                  rule[0].ignore: no-data has no deviations; set method.after
                  rule[0].for: a silence counts once; how long it must be is method.after
                  rule[0].missing: is for readings that have nothing to judge; leave it out
                  rule[0].every: is for rules that judge readings; how long one may wait is method.after
                  rule[0].clear: the next reading ends a silence; leave it out
                  rule[0].calibrated: true is for on = "score" and method.kind = "sigma" or "quantile""#]],
        );
        check(
            "[[rule]]\nmethod = { kind = \"no-data\" }\n",
            expect!["the configuration has a problem: line 4: missing field `after`"],
        );
    }

    #[test]
    fn what_cannot_be_is_named() {
        check(
            r#"
[[rule]]
name = "a"
on = "value"
method = { kind = "spike-and-dip", confidence = 0.95, history = 0, duration = "1m" }
direction = "low"
[[rule]]
name = "b"
on = "value"
method = { kind = "change-point", engine = "parity", martingale = "mixture", epsilon = 1.0 }
direction = "both"
every = "1m"
[[rule]]
name = "c"
on = "value"
method = { kind = "evt", risk = 0.5, level = 0.9 }
[[rule]]
name = "d"
on = "value"
method = { kind = "evt", warmup = 100 }
ignore = { relative = -1.0 }
[[rule]]
name = "e"
on = "value"
method = { kind = "robust", warmup = 200 }
series = ""
[[rule]]
name = "f"
on = "value"
method = { kind = "quantile", q = 1.0, k = 0.0 }
every = "0s"
[[rule]]
name = "g"
on = "value"
method = { kind = "static", threshold = 1.0 }
direction = "both"
ignore = { absolute = 1.0 }
[[rule]]
name = "h"
on = "value"
method = { kind = "rate-of-change", threshold = -1.0, per = "0s" }
[[rule]]
name = "i"
on = "value"
method = { kind = "change-point", history = 10000 }
[[rule]]
name = "j"
on = "value"
method = { kind = "change-point", history = 10000 }
"#,
            expect![[r#"
                the configuration has 22 problems:
                  rule[0].method.confidence: 0.95 is not 1 to 100 percent
                  rule[0].method.history: 0 is not 1 to 10000
                  rule[0].method.duration: engine = "robust" fills no gaps; leave it out, or set engine = "parity"
                  rule[0].direction: spike-and-dip takes it from method.mode
                  rule[1].method.epsilon: 1 is not above 0 and below 1
                  rule[1].method.engine: Stream Analytics has the power martingale of 0.1 only; with engine = "ml-net" or "robust" there are others
                  rule[1].direction: change-point looks both ways
                  rule[1].every: says when a reading is missing; say with `missing` what that counts
                  rule[2].method.risk: 0.5 is not above 0 and below 1 − level
                  rule[3].method.warmup: 3 of 100 numbers belong to the tail, not 10 to 10000
                  rule[3].ignore: `absolute` and `relative` must be 0 or more
                  rule[4].method.warmup: 200 is not 2 to 120
                  rule[4].series: empty; leave it out for all series, or write a pattern such as "web-*"
                  rule[5].method.q: 1 is not above 0.5 and below 1
                  rule[5].method.k: 0 is not above 0
                  rule[5].every: says when a reading is missing; say with `missing` what that counts
                  rule[5].every: 0s is no time; write "1s" or more
                  rule[6].direction: a threshold has one side; write two rules
                  rule[6].ignore: with a fixed threshold nobody knows what is usual; move the threshold
                  rule[7].method.threshold: -1 is not 0 or more
                  rule[7].method.per: 0s is no time to change in; write "1s" or more
                  rule: the histories take up to 244120 bytes of a series' state, and there is room for 150000; shorten `history`, `peaks` or `drift`"#]],
        );
    }
}
