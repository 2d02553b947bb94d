//! `[model]`: where scores come from.

use serde::{Deserialize, Serialize};

use super::keys::Known;
use super::lifecycle::Span;
use crate::calibration::Calibration;
use crate::exchange::{BODY_BYTES_MAX, Encoder, InferenceId, Media, Reader};
use crate::window;

/// The section's keys.
pub(super) const KEYS: &[(&str, Known)] = &[
    ("kind", Known::Value),
    ("endpoint", Known::Value),
    ("content_type", Known::Value),
    ("tensor", Known::Value),
    ("request", Known::Value),
    ("request_row", Known::Value),
    ("accept", Known::Value),
    ("response", Known::Value),
    ("direction", Known::Value),
    ("scale", Known::Value),
    ("target_variant", Known::Value),
    ("target_model", Known::Value),
    ("inference_component", Known::Value),
    ("custom_attributes", Known::Value),
    ("inference_id", Known::Value),
    ("rows_max", Known::Value),
    ("body_bytes_max", Known::Value),
    ("in_flight", Known::Value),
    ("shingle", Known::Value),
    ("period", Known::Value),
    ("fallback", Known::Value),
    ("seed", Known::Value),
    ("calibration", Known::Table(CALIBRATION_KEYS)),
];

const CALIBRATION_KEYS: &[(&str, Known)] = &[
    ("model", Known::Value),
    ("mean", Known::Value),
    ("deviation", Known::Value),
    ("quantiles", Known::Value),
];

/// `[model]`: where scores come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// The kind of model.
    pub kind: ModelKind,
    /// The SageMaker endpoint's name, for `kind = "endpoint"`.
    pub endpoint: Option<String>,
    /// What the endpoint is sent: `text/csv`, `application/json`, `application/jsonlines` or
    /// `application/x-recordio-protobuf`, parameters allowed (`text/csv; label_size=0`); with `request`, any.
    pub content_type: String,
    /// The numbers in RecordIO's tensors.
    #[serde(skip_serializing_if = "is_default")]
    pub tensor: Tensor,
    /// A template of the body, such as `{"inputs": ${rows}}`; absent: the body of the content type. Its
    /// placeholders: [`exchange`](crate::exchange).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// A template of each row of `request`; absent: `${row}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_row: Option<String>,
    /// What the endpoint is asked to answer; absent: `application/json`, or `text/csv` for `response = "csv"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
    /// Where the scores stand in the answer: `rcf` (as SageMaker's Random Cut Forest answers, whatever it is
    /// asked to accept), `csv` (numbers with newlines or commas between them), or a JSON pointer with `*` for
    /// every element of an array, `/predictions/*/score`.
    #[serde(skip_serializing_if = "is_rcf")]
    pub response: String,
    /// Which scores are strange.
    #[serde(skip_serializing_if = "is_default")]
    pub direction: Direction,
    /// The lowest and the highest score there is; one outside is a fault. Absent: any number is a score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<[f64; 2]>,
    /// The production variant to ask, 1 to 63 letters, digits and hyphens; absent: by the variants' weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_variant: Option<String>,
    /// The model to ask of a multi-model endpoint, 1 to 1,024 printable characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_model: Option<String>,
    /// The inference component to ask, 1 to 63 letters, digits and hyphens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference_component: Option<String>,
    /// What the container is told beside the body, 1 to 1,024 visible ASCII characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_attributes: Option<String>,
    /// A template of the name that a request has in the endpoint's data capture, such as `anomaly-${hash}`:
    /// `${hash}` follows from the rows. Absent: requests have no names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference_id: Option<String>,
    /// Rows per request, 1 to 10,000.
    pub rows_max: usize,
    /// Bytes per request, 1,024 to 6,291,456 (what a real-time endpoint takes; a serverless one takes 4 MB).
    #[serde(skip_serializing_if = "is_default_body_bytes")]
    pub body_bytes_max: usize,
    /// Requests to the endpoint at a time, 1 to 64.
    #[serde(skip_serializing_if = "is_usual_in_flight")]
    pub in_flight: usize,
    /// Readings per row, 1 to 128: see [`Model::shingle`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shingle: Option<usize>,
    /// How long a period of the streaming detector's season is: `"24h"`, by the readings' times, or `"288 readings"`,
    /// 2 to 1,000,000. Absent: found from each series' readings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<Span>,
    /// What gives the scores while the endpoint gives none; absent: readings wait for it in the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// The forest's seed.
    pub seed: u64,
    /// What the scores of normal rows look like, where that is known from training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// Requests at a time, if nothing is said: enough to hide the way there and back, few enough not to be what an
/// endpoint is throttled for.
const IN_FLIGHT: usize = 4;

fn is_usual_in_flight(in_flight: &usize) -> bool {
    *in_flight == IN_FLIGHT
}

/// The kinds of model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// The streaming detector, 4 KB of each series with up to four features, which learns as it goes: its scores lie between 0 and 1,
    /// and 0.5 is exceeded in about one of 10,000 readings.
    #[default]
    Embedded,
    /// A forest for each series, which learns as it goes and judges several features as one; not in a function.
    Forest,
    /// A SageMaker endpoint.
    Endpoint,
    /// No model: rules judge the values.
    None,
}

/// The name of the streaming detector, as chunks and messages have it.
pub const STREAMING: &str = "streaming";

/// The most bytes that the streaming detector remembers of a series with up to four features, and of each feature of
/// one with more. `anomaly-pipeline` has a test.
const DETECTOR_BYTES: u64 = 4_096;
const DETECTOR_FEATURE_BYTES: u64 = 1_280;

/// Readings in a period of its season; a test in `anomaly-pipeline` holds it to the same.
const PERIOD_READINGS: std::ops::RangeInclusive<u32> = 2..=1_000_000;

/// What gives the scores while an endpoint gives none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fallback {
    /// The streaming detector. It learns every reading, whoever scores it, so that it knows the series by then.
    Embedded,
}

/// The numbers in RecordIO's tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tensor {
    /// 64 bits, as SageMaker's own SDK writes numbers of that size: nothing is lost.
    #[default]
    Float64,
    /// 32 bits, for a container that takes no others: numbers are rounded.
    Float32,
}

/// Which of an endpoint's scores are strange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The high ones.
    #[default]
    HigherIsAnomalous,
    /// The low ones, as of an isolation forest or of a p-value. What rules judge is the score mirrored at the
    /// middle of its scale, or, without a scale, at 0.
    LowerIsAnomalous,
}

/// What leaves room for headers and for what others call a megabyte, below the service's 6,291,456.
const BODY_BYTES_DEFAULT: usize = 5_000_000;
const RCF: &str = "rcf";

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_rcf(response: &str) -> bool {
    response == RCF
}

fn is_default_body_bytes(bytes: &usize) -> bool {
    *bytes == BODY_BYTES_DEFAULT
}

impl Default for Model {
    fn default() -> Self {
        Model {
            kind: ModelKind::Embedded,
            endpoint: None,
            content_type: Media::Csv.as_str().to_owned(),
            tensor: Tensor::default(),
            request: None,
            request_row: None,
            accept: None,
            response: RCF.to_owned(),
            direction: Direction::default(),
            scale: None,
            target_variant: None,
            target_model: None,
            inference_component: None,
            custom_attributes: None,
            inference_id: None,
            rows_max: 500,
            body_bytes_max: BODY_BYTES_DEFAULT,
            in_flight: IN_FLIGHT,
            shingle: None,
            period: None,
            fallback: None,
            seed: 42,
            calibration: None,
        }
    }
}

impl Model {
    /// `features` are their names, where they are known.
    pub(super) fn problems(&self, features: &[String], problems: &mut Vec<String>) {
        if self.kind == ModelKind::Endpoint && self.endpoint.as_deref().unwrap_or("").is_empty() {
            problems
                .push("model.endpoint: not set; kind = \"endpoint\" needs the endpoint's name".to_owned());
        }
        if self.fallback.is_some() && self.kind != ModelKind::Endpoint {
            problems
                .push("model.fallback: only kind = \"endpoint\" has something to fall back from".to_owned());
        }
        if let Some(period) = self.period {
            self.period_problems(period, problems);
        }
        if !(1..=10_000).contains(&self.rows_max) {
            problems.push(format!("model.rows_max: {} is not 1 to 10000", self.rows_max));
        }
        if !(1..=64).contains(&self.in_flight) {
            problems.push(format!("model.in_flight: {} is not 1 to 64", self.in_flight));
        }
        problems.extend(self.calibration.iter().flat_map(Calibration::problems));
        if !(1..=128).contains(&self.shingle()) {
            problems.push(format!("model.shingle: {} is not 1 to 128", self.shingle()));
        }
        let kept_bytes =
            self.shingle().saturating_sub(1).saturating_mul(features.len()).saturating_mul(size_of::<f64>());
        if self.kind == ModelKind::Endpoint && kept_bytes > window::BYTES_MAX {
            problems.push(format!(
                "model.shingle: {} readings of {} features are more than the {} bytes that are kept of a series",
                self.shingle(),
                features.len(),
                window::BYTES_MAX
            ));
        }
        let names_features = |template: &Option<String>| {
            template.as_ref().is_some_and(|template| template.contains("${feature."))
        };
        let is_windowed = self.kind == ModelKind::Endpoint && self.shingle() > 1;
        if is_windowed && (names_features(&self.request) || names_features(&self.request_row)) {
            problems.push(format!(
                "model.shingle: {} readings are one row, and the template names features of one",
                self.shingle()
            ));
        }
        if !(1024..=BODY_BYTES_MAX).contains(&self.body_bytes_max) {
            let bytes = self.body_bytes_max;
            problems.push(format!("model.body_bytes_max: {bytes} is not 1024 to {BODY_BYTES_MAX}"));
        }
        self.header_problems(problems);
        problems.extend(Encoder::new(self, features).err().into_iter().flatten());
        problems.extend(Reader::new(self).err().into_iter().flatten());
    }

    fn period_problems(&self, period: Span, problems: &mut Vec<String>) {
        if !self.is_streaming() {
            problems.push(
                "model.period: only the streaming detector has a season; kind = \"embedded\" is it"
                    .to_owned(),
            );
        }
        let is_possible = match period {
            Span::Readings(readings) => PERIOD_READINGS.contains(&readings),
            Span::Time(time) => !time.is_zero(),
        };
        if !is_possible {
            problems.push(format!("model.period: {period} is not 2 to 1000000 readings"));
        }
    }

    /// Readings per row: of a forest 8 if nothing is said, of an endpoint 1. An endpoint's rows of
    /// more than one are made of the last readings of a series ([`window`]).
    pub fn shingle(&self) -> usize {
        self.shingle.unwrap_or(match self.kind {
            ModelKind::Forest => 8,
            ModelKind::Embedded | ModelKind::Endpoint | ModelKind::None => 1,
        })
    }

    /// Whether the streaming detector has a part in it: alone, or behind an endpoint.
    pub fn is_streaming(&self) -> bool {
        self.kind == ModelKind::Embedded || self.fallback == Some(Fallback::Embedded)
    }

    /// The most bytes that the streaming detector remembers of a series with so many features; 0 where it has no
    /// part in it.
    pub fn detector_bytes_max(&self, features: usize) -> u64 {
        match (self.is_streaming(), features) {
            (false, _) => 0,
            (true, ..=4) => DETECTOR_BYTES,
            (true, _) => DETECTOR_FEATURE_BYTES * features as u64,
        }
    }

    /// What travels in headers, with the limits of the service model of SageMaker Runtime (botocore 1.43).
    fn header_problems(&self, problems: &mut Vec<String>) {
        for (key, value) in [("content_type", Some(&self.content_type)), ("accept", self.accept.as_ref())] {
            if let Some(value) = value.filter(|value| !is_visible(value) || !value.contains('/')) {
                problems.push(format!("model.{key}: {value:?} is no media type of at most 1024 characters"));
            }
        }
        for (key, value) in
            [("target_variant", &self.target_variant), ("inference_component", &self.inference_component)]
        {
            if let Some(value) = value.as_ref().filter(|value| !is_name(value)) {
                problems.push(format!(
                    "model.{key}: {value:?} is not 1 to 63 letters, digits and, between them, hyphens"
                ));
            }
        }
        for (key, value) in
            [("target_model", &self.target_model), ("custom_attributes", &self.custom_attributes)]
        {
            if let Some(value) = value.as_ref().filter(|value| !is_visible(value)) {
                let length = value.chars().count();
                problems.push(format!(
                    "model.{key}: {length} characters that are not 1 to 1024 of visible ASCII, with spaces only between them"
                ));
            }
        }
        if let Some(Err(problem)) = self.inference_id.as_deref().map(InferenceId::parse) {
            problems.push(format!("model.inference_id: {problem}"));
        }
    }
}

/// 1 to 1,024 visible characters of ASCII; spaces only between them (RFC 7230, section 3.2).
fn is_visible(value: &str) -> bool {
    (1..=1024).contains(&value.len())
        && value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && value.trim() == value
}

fn is_name(value: &str) -> bool {
    (1..=63).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !value.starts_with('-')
        && !value.ends_with('-')
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::Config;
    use expect_test::{Expect, expect};

    /// No key at its default.
    pub(in crate::config) fn everything_set() -> Model {
        let text = |text: &str| Some(text.to_owned());
        Model {
            kind: ModelKind::Endpoint,
            endpoint: text("e"),
            content_type: "application/json".to_owned(),
            tensor: Tensor::Float32,
            request: text(r#"{"inputs": ${rows}}"#),
            request_row: text(r#"{"cpu": ${feature.cpu}}"#),
            accept: text("application/jsonlines"),
            response: "/p/*".to_owned(),
            direction: Direction::LowerIsAnomalous,
            scale: Some([0.0, 1.0]),
            target_variant: text("blue"),
            target_model: text("m.tar.gz"),
            inference_component: text("forest"),
            custom_attributes: text("a=1, b=2"),
            inference_id: text("web-${hash}"),
            rows_max: 100,
            body_bytes_max: 4_000_000,
            calibration: Some(Calibration::of("e/blue".to_owned(), vec![0.8, 1.0])),
            ..Model::default()
        }
    }

    #[test]
    fn everything_can_be_said_and_comes_back() {
        let mut config = Config { model: everything_set(), ..Config::default() };
        config.input.features = vec!["/cpu".to_owned()];
        let config = config.finish().expect("valid");
        assert_eq!(Config::from_json(&config.to_json()), Ok(config.clone()));
        let toml = toml::to_string(&config).expect("it is TOML");
        assert_eq!(Config::from_toml(&toml), Ok(config));
    }

    #[test]
    fn the_functions_environment_carries_only_what_was_set() {
        expect![[
            r#"{"kind":"embedded","endpoint":null,"content_type":"text/csv","rows_max":500,"seed":42}"#
        ]]
        .assert_eq(&serde_json::to_string(&Model::default()).expect("serializes"));
    }

    #[test]
    fn an_endpoint_takes_one_reading_a_row_unless_it_is_told() {
        let endpoint =
            Model { kind: ModelKind::Endpoint, endpoint: Some("e".to_owned()), ..Model::default() };
        let forest = Model { kind: ModelKind::Forest, ..Model::default() };
        assert_eq!((forest.shingle(), endpoint.shingle()), (8, 1));
        let wide = Model { shingle: Some(128), ..endpoint };
        let mut problems = Vec::new();
        wide.problems(&vec!["x".to_owned(); 300], &mut problems);
        let expected = "model.shingle: 128 readings of 300 features are more than the 300000 bytes that are kept of a series";
        assert_eq!(problems, [expected]);
        let content_type = "application/json".to_owned();
        let request = Some("[${feature.cpu}]".to_owned());
        let named = Model { content_type, request, shingle: Some(2), ..wide };
        check(
            named,
            expect!["model.shingle: 2 readings are one row, and the template names features of one"],
        );
    }

    fn check(model: Model, expected: Expect) {
        let mut problems = Vec::new();
        model.problems(&["cpu".to_owned()], &mut problems);
        expected.assert_eq(&problems.join("\n"));
    }

    #[test]
    fn limits_are_inclusive() {
        let text = |text: &str, times: usize| Some(text.repeat(times));
        let most = Model {
            target_variant: text("a", 63),
            target_model: text("~", 1024),
            inference_component: Some("a-1".to_owned()),
            custom_attributes: text("x", 1024),
            body_bytes_max: BODY_BYTES_MAX,
            ..Model::default()
        };
        check(most, expect![[""]]);
        let more = Model {
            content_type: "csv".to_owned(),
            accept: Some(" text/csv".to_owned()),
            target_variant: text("a", 64),
            target_model: text("~", 1025),
            inference_component: Some("-a".to_owned()),
            custom_attributes: Some("naïve".to_owned()),
            inference_id: Some("web".to_owned()),
            body_bytes_max: BODY_BYTES_MAX + 1,
            ..Model::default()
        };
        check(
            more,
            expect![[r#"
            model.body_bytes_max: 6291457 is not 1024 to 6291456
            model.content_type: "csv" is no media type of at most 1024 characters
            model.accept: " text/csv" is no media type of at most 1024 characters
            model.target_variant: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" is not 1 to 63 letters, digits and, between them, hyphens
            model.inference_component: "-a" is not 1 to 63 letters, digits and, between them, hyphens
            model.target_model: 1025 characters that are not 1 to 1024 of visible ASCII, with spaces only between them
            model.custom_attributes: 5 characters that are not 1 to 1024 of visible ASCII, with spaces only between them
            model.inference_id: without ${hash} every request would have the same id
            model.content_type: "csv" is none of text/csv, application/json, application/jsonlines and application/x-recordio-protobuf; another needs model.request, a template of the body
            model.accept: " text/csv" is none of application/json, application/jsonlines and application/x-recordio-protobuf, in which response = "rcf" answers"#]],
        );
    }

    #[test]
    fn a_period_is_a_length_of_time_or_a_number_of_readings() {
        let read = |toml: &str| Config::from_toml(&format!("[model]\n{toml}")).map_err(|e| e.to_string());
        for text in ["24h", "288 readings", "2 readings", "1000000 readings"] {
            let config = read(&format!("kind = 'embedded'\nperiod = '{text}'")).expect(text);
            assert_eq!(config.model.period.map(|period| period.to_string()).as_deref(), Some(text));
            assert_eq!(Config::from_json(&config.to_json()), Ok(config));
        }
        let problem = |toml: &str| read(toml).expect_err(toml);
        let out_of_range = "is not 2 to 1000000 readings";
        for text in ["1 readings", "1000001 readings", "0s"] {
            assert!(
                problem(&format!("kind = 'embedded'\nperiod = '{text}'")).contains(out_of_range),
                "{text}"
            );
        }
        assert!(problem("kind = 'embedded'\nperiod = '288'").contains("neither a length of time nor"));
        assert!(
            problem("kind = 'forest'\nperiod = '24h'").contains("only the streaming detector has a season")
        );
        let fallback = "kind = 'endpoint'\nendpoint = 'e'\nfallback = 'embedded'\nperiod = '24h'";
        assert!(read(fallback).is_ok());
    }

    #[test]
    fn all_that_is_wrong_with_a_template_is_named() {
        let model = Model {
            request: Some("${rows}".to_owned()),
            request_row: Some("${feature.disk} ${feature.x}".to_owned()),
            response: "score".to_owned(),
            scale: Some([1.0, f64::NAN]),
            ..Model::default()
        };
        check(
            model,
            expect![[r#"
            model.request_row: "disk" is no feature; there are: cpu
            model.request_row: "x" is no feature; there are: cpu
            model.response: "score" is neither "rcf" nor "csv" nor a JSON pointer such as "/predictions/*/score"
            model.scale: [1, NaN] is not two rising numbers"#]],
        );
    }
}
