//! `[model]`: where scores come from.

use serde::{Deserialize, Serialize};

use super::keys::Known;

/// The section's keys.
pub(super) const KEYS: &[(&str, Known)] = &[
    ("kind", Known::Value),
    ("endpoint", Known::Value),
    ("content_type", Known::Value),
    ("rows_max", Known::Value),
    ("in_flight", Known::Value),
    ("shingle", Known::Value),
    ("seed", Known::Value),
];

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
    /// Requests to the endpoint at a time, 1 to 64.
    #[serde(skip_serializing_if = "is_usual_in_flight")]
    pub in_flight: usize,
    /// Readings per row of the embedded forest, 1 to 128.
    pub shingle: usize,
    /// The embedded forest's seed.
    pub seed: u64,
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

impl Default for Model {
    fn default() -> Self {
        Model {
            kind: ModelKind::Embedded,
            endpoint: None,
            content_type: ContentType::Csv,
            rows_max: 500,
            in_flight: IN_FLIGHT,
            shingle: 8,
            seed: 42,
        }
    }
}

impl Model {
    pub(super) fn problems(&self, problems: &mut Vec<String>) {
        if self.kind == ModelKind::Endpoint && self.endpoint.as_deref().unwrap_or("").is_empty() {
            problems
                .push("model.endpoint: not set; kind = \"endpoint\" needs the endpoint's name".to_owned());
        }
        if !(1..=10_000).contains(&self.rows_max) {
            problems.push(format!("model.rows_max: {} is not 1 to 10000", self.rows_max));
        }
        if !(1..=64).contains(&self.in_flight) {
            problems.push(format!("model.in_flight: {} is not 1 to 64", self.in_flight));
        }
        if !(1..=128).contains(&self.shingle) {
            problems.push(format!("model.shingle: {} is not 1 to 128", self.shingle));
        }
    }
}
