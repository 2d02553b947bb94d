//! `anomaly.toml`: everything a user decides.
//!
//! Read from TOML by people's tools ([`Config::from_toml`]) and from compact JSON by the functions
//! ([`Config::from_json`]); both report every problem at once.

mod keys;
mod m_of_n;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use m_of_n::MOfN;

use crate::reading::SeriesId;

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How a record becomes a reading.
    pub input: Input,
    /// Where scores come from.
    pub model: Model,
    /// What is an alert; one default rule if none is given.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
    /// Where records come from on AWS.
    pub source: Source,
}

/// `[input]`: how a record becomes a reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// The form of files; records of a stream are JSON.
    pub format: Format,
    /// `/field` (a JSON pointer, or a CSV column behind a `/`), or a constant name if the input is one
    /// series. Empty: files name the series after themselves; the functions need one.
    pub series: String,
    /// The pointer to the event's time; absent: the arrival time.
    pub time: Option<String>,
    /// The pointers to the features, in the model's order. Empty: a file's numeric columns.
    pub features: Vec<String>,
    /// The largest record in bytes, 1 to 10,485,760 (what a Kinesis stream can be told to take); the
    /// default is Kinesis' own, 1 MiB.
    pub record_bytes_max: usize,
}

/// The form of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Told by the first character: `{` is JSON lines.
    #[default]
    Auto,
    /// JSON lines.
    Json,
    /// CSV with a header.
    Csv,
}

/// Where the name of the series comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A field of the record, by pointer.
    Field(String),
    /// The input is one series, of this name.
    Constant(SeriesId),
}

/// `[model]`: where scores come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// The kind of model.
    pub kind: ModelKind,
    /// The SageMaker endpoint's name, for `kind = "endpoint"`.
    pub endpoint: Option<String>,
    /// What the endpoint is sent.
    pub content_type: ContentType,
    /// Rows per request, 1 to 10,000.
    pub rows_max: usize,
    /// Readings per row of the embedded forest, 1 to 128.
    pub shingle: usize,
    /// The embedded forest's seed.
    pub seed: u64,
}

/// The kinds of model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// A forest that learns each series as it goes.
    #[default]
    Embedded,
    /// A SageMaker endpoint.
    Endpoint,
    /// No model: rules judge the values.
    None,
}

/// The request formats an endpoint is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentType {
    /// One row per line, no header.
    #[default]
    #[serde(rename = "text/csv")]
    Csv,
    /// `{"instances":[{"features":[…]}]}`.
    #[serde(rename = "application/json")]
    Json,
}

impl ContentType {
    /// The media type.
    pub fn as_str(self) -> &'static str {
        match self {
            ContentType::Csv => "text/csv",
            ContentType::Json => "application/json",
        }
    }
}

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

/// `[source]`: where records come from on AWS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// The kind of source.
    pub kind: SourceKind,
    /// How many shards the stream has; 1 to 10,000.
    pub shards: u32,
    /// How long the stream keeps records, in hours: 24 to 8,760.
    pub retention_hours: u32,
    /// Records per invocation, 1 to 10,000.
    pub batch: u32,
}

/// The kinds of source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// A Kinesis data stream.
    #[default]
    Kinesis,
}

impl Default for Input {
    fn default() -> Self {
        Input {
            format: Format::Auto,
            series: String::new(),
            time: None,
            features: Vec::new(),
            record_bytes_max: 1_048_576,
        }
    }
}

impl Input {
    /// Where the name of the series comes from. A constant that is no valid name (which [`Config`] never
    /// lets through) reads as `series`.
    pub fn series_origin(&self) -> Origin {
        if self.series.starts_with('/') {
            return Origin::Field(self.series.clone());
        }
        let name = SeriesId::new(&self.series).or_else(|_| SeriesId::new("series"));
        name.map_or_else(|_| Origin::Field("/series".to_owned()), Origin::Constant)
    }
}

impl Default for Model {
    fn default() -> Self {
        Model {
            kind: ModelKind::Embedded,
            endpoint: None,
            content_type: ContentType::Csv,
            rows_max: 500,
            shingle: 8,
            seed: 42,
        }
    }
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

impl Default for Source {
    fn default() -> Self {
        Source { kind: SourceKind::Kinesis, shards: 1, retention_hours: 168, batch: 200 }
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

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// One sentence a problem, each starting with the key or the line.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [one] => write!(f, "the configuration has a problem: {one}"),
            many => {
                write!(f, "the configuration has {} problems:", many.len())?;
                many.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads `anomaly.toml`.
    ///
    /// # Errors
    /// Every unknown key with its line and the nearest known one; else the first value of the wrong type;
    /// else every value out of range.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let unknown = keys::unknown(text);
        if !unknown.is_empty() {
            return Err(ConfigError { problems: unknown });
        }
        let config: Config = toml::from_str(text)
            .map_err(|error| ConfigError { problems: vec![keys::describe(text, &error)] })?;
        config.finish()
    }

    /// Reads the compact JSON of [`Config::to_json`].
    ///
    /// # Errors
    /// The first value that cannot be read, or every value out of range.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let config: Config =
            serde_json::from_str(text).map_err(|e| ConfigError { problems: vec![e.to_string()] })?;
        config.finish()
    }

    /// The configuration as compact JSON, as the functions' environment carries it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Fills in the default rule and checks every value.
    ///
    /// # Errors
    /// Every value out of range.
    pub fn finish(mut self) -> Result<Self, ConfigError> {
        if self.rules.is_empty() {
            self.rules.push(self.default_rule());
        }
        let problems = self.problems();
        if problems.is_empty() { Ok(self) } else { Err(ConfigError { problems }) }
    }

    fn default_rule(&self) -> Rule {
        let on = if self.model.kind == ModelKind::None { On::Value } else { On::Score };
        Rule { on, ..Rule::default() }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        self.input.problems(&mut problems);
        self.model.problems(&mut problems);
        let names: Vec<String> = self.input.features.iter().map(|f| crate::fields::display_name(f)).collect();
        for (index, rule) in self.rules.iter().enumerate() {
            rule.problems(index, self.model.kind, &names, &mut problems);
            if self.rules[..index].iter().any(|other| other.name == rule.name) {
                problems.push(format!("rule[{index}].name: {:?} is taken by a rule above", rule.name));
            }
        }
        self.source.problems(&mut problems);
        problems
    }
}

impl Input {
    fn problems(&self, problems: &mut Vec<String>) {
        if !self.series.is_empty()
            && !self.series.starts_with('/')
            && let Err(reject) = SeriesId::new(&self.series)
        {
            problems.push(format!("input.series: {reject}"));
        }
        let pointers = self.time.iter().map(|t| ("input.time", t));
        for (key, pointer) in pointers.chain(self.features.iter().map(|f| ("input.features", f))) {
            if !pointer.starts_with('/') {
                problems.push(format!("{key}: {pointer:?} is no JSON pointer; write \"/{pointer}\""));
            }
        }
        for (index, feature) in self.features.iter().enumerate() {
            if self.features[..index].contains(feature) {
                problems.push(format!("input.features: {feature:?} is named twice"));
            }
        }
        let limit = 1..=10_485_760;
        if !limit.contains(&self.record_bytes_max) {
            problems.push(format!("input.record_bytes_max: {} is not 1 to 10485760", self.record_bytes_max));
        }
    }
}

impl Model {
    fn problems(&self, problems: &mut Vec<String>) {
        if self.kind == ModelKind::Endpoint && self.endpoint.as_deref().unwrap_or("").is_empty() {
            problems
                .push("model.endpoint: not set; kind = \"endpoint\" needs the endpoint's name".to_owned());
        }
        if !(1..=10_000).contains(&self.rows_max) {
            problems.push(format!("model.rows_max: {} is not 1 to 10000", self.rows_max));
        }
        if !(1..=128).contains(&self.shingle) {
            problems.push(format!("model.shingle: {} is not 1 to 128", self.shingle));
        }
    }
}

impl Rule {
    fn problems(&self, index: usize, model: ModelKind, features: &[String], problems: &mut Vec<String>) {
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

impl Source {
    fn problems(&self, problems: &mut Vec<String>) {
        let mut check = |key: &str, value: u32, range: std::ops::RangeInclusive<u32>| {
            if !range.contains(&value) {
                problems.push(format!("source.{key}: {value} is not {} to {}", range.start(), range.end()));
            }
        };
        check("shards", self.shards, 1..=10_000);
        check("retention_hours", self.retention_hours, 24..=8_760);
        check("batch", self.batch, 1..=10_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(toml: &str, expected: Expect) {
        let shown = match Config::from_toml(toml) {
            Ok(config) => config.to_json(),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = Config::from_toml("").expect("valid");
        assert_eq!(config, Config { rules: vec![Rule::default()], ..Config::default() });
    }

    #[test]
    fn json_carries_it_all() {
        let config = Config::from_toml(
            "[input]\nseries = \"/id\"\nfeatures = [\"/a\"]\n[model]\nkind = \"endpoint\"\nendpoint = \"e\"\n\
             [[rule]]\nname = \"hot\"\non = \"a\"\nmethod = { kind = \"static\", threshold = 80 }\nfor = \"3 of 5\"\n",
        )
        .expect("valid");
        assert_eq!(Config::from_json(&config.to_json()), Ok(config));
    }

    #[test]
    fn unknown_keys_are_all_named_with_the_nearest() {
        check(
            "[input]\nfeature = [\"/a\"]\n\n[modle]\nkind = \"none\"\n[[rule]]\nmethod = { kind = \"sigma\", kk = 2 }\n",
            expect![[r#"
                the configuration has 3 problems:
                  line 2: unknown key `input.feature`; the nearest is `features`
                  line 4: unknown key `modle`; the nearest is `model`
                  line 7: unknown key `rule.method.kk`; the nearest is `k`"#]],
        );
    }

    #[test]
    fn wrong_types_and_syntax_name_the_line() {
        check(
            "[model]\nkind = \"forest\"\n",
            expect![
                "the configuration has a problem: line 2: unknown variant `forest`, expected one of `embedded`, `endpoint`, `none`"
            ],
        );
        check(
            "[[rule]]\nfor = \"5 of 3\"\n",
            expect![[
                r#"the configuration has a problem: line 2: "5 of 3" is not "M of N" with M from 1 to N and N up to 64, such as "3 of 5""#
            ]],
        );
        assert!(Config::from_toml("[input\n").is_err_and(|e| e.to_string().contains("line 1")));
    }

    #[test]
    fn values_out_of_range_are_all_named() {
        check(
            "[input]\nfeatures = [\"a\", \"/b\", \"/b\"]\n[model]\nkind = \"none\"\n[source]\nshards = 0\n\
             [[rule]]\non = \"score\"\nmethod = { kind = \"sigma\", k = 0.0 }\nseverity = []\nclear = { below = 2.0 }\n",
            expect![[r#"
                the configuration has 7 problems:
                  input.features: "a" is no JSON pointer; write "/a"
                  input.features: "/b" is named twice
                  rule[0].on: "score" needs a model; with model.kind = "none" judge "value"
                  rule[0].method.k: 0 is not above 0
                  rule[0].severity: empty; give at least { at = 1.0, level = "warning" }
                  rule[0].clear.below: 2 is not 0 to 1
                  source.shards: 0 is not 1 to 10000"#]],
        );
    }
}
