//! What a valid configuration may say that cannot run on AWS.

use anomaly_core::config::{Config, MEMORY_BYTES_MAX, ModelKind};

use crate::environment;
use crate::pipeline::Stage;

/// The longest name of an endpoint, in characters (SageMaker API reference, `CreateEndpoint`:
/// `^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}`).
pub(crate) const ENDPOINT_CHARS_MAX: usize = 63;

/// All variables of a function, names and values (Lambda quotas: "Environment variables: 4 KB, for all
/// environment variables associated with the function, in aggregate").
pub(crate) const ENVIRONMENT_BYTES_MAX: usize = 4_096;

/// The largest record that surely fits an event of 6 MB once base64 has made it a third longer (Lambda quotas,
/// "Invocation payload"). Kinesis itself would take 10 MiB.
pub(crate) const RECORD_BYTES_MAX: usize = 4 * 1_048_576;

/// One sentence for each thing that keeps `config` from running on AWS; each says what to do.
pub(crate) fn problems(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    input(config, &mut problems);
    model(config, &mut problems);
    memory(config, &mut problems);
    problems.extend(Stage::ALL.into_iter().filter_map(|stage| too_large(stage, config)));
    problems
}

fn input(config: &Config, problems: &mut Vec<String>) {
    let input = &config.input;
    if input.series.is_empty() {
        problems.push(
            "input.series: not set; a stream has no file to name its series after: \
             give a pointer such as \"/series\", or a constant name"
                .to_owned(),
        );
    }
    if input.features.is_empty() {
        problems.push("input.features: empty; name at least one field that holds a number".to_owned());
    }
    if input.event_time.is_some() && input.time.is_none() {
        problems.push(
            "input.event_time: of no use without input.time; a record without a time of its own counts as of \
             its arrival, which is always in time"
                .to_owned(),
        );
    }
    if input.record_bytes_max > RECORD_BYTES_MAX {
        problems.push(format!(
            "input.record_bytes_max: {} does not fit the event a function is called with; at most {RECORD_BYTES_MAX}",
            input.record_bytes_max
        ));
    }
}

/// A state lies in one item of a table.
fn memory(config: &Config, problems: &mut Vec<String>) {
    let rules = config.rules_bytes_max();
    let features = config.input.features.len();
    let detector = config.model.detector_bytes_max(features);
    if rules + detector > MEMORY_BYTES_MAX {
        problems.push(format!(
            "model: the streaming detector takes up to {detector} bytes of a series' state for {features} features, \
             and the rules' histories {rules}, and there is room for {MEMORY_BYTES_MAX}; name fewer features"
        ));
    }
}

fn model(config: &Config, problems: &mut Vec<String>) {
    let endpoint = config.model.endpoint.as_deref().unwrap_or("");
    match config.model.kind {
        ModelKind::Forest => problems.push(
            "model.kind: a forest for each series does not fit into a function; let the streaming detector learn \
             them (kind = \"embedded\"), or name a SageMaker endpoint (kind = \"endpoint\")"
                .to_owned(),
        ),
        ModelKind::Embedded if config.input.fills_with_previous() => problems.push(
            "input: \"previous\" with model.kind = \"embedded\" is for a laptop so far; fill with a number"
                .to_owned(),
        ),
        ModelKind::Endpoint if !is_endpoint_name(endpoint) => problems.push(format!(
            "model.endpoint: {endpoint:?} is no name of an endpoint; \
             1 to {ENDPOINT_CHARS_MAX} letters, digits and hyphens, with a letter or digit at both ends"
        )),
        ModelKind::Embedded | ModelKind::Endpoint | ModelKind::None => {}
    }
}

fn is_endpoint_name(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=ENDPOINT_CHARS_MAX).contains(&name.len())
        && name.chars().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn too_large(stage: Stage, config: &Config) -> Option<String> {
    let bytes = environment::bytes(&environment::of(stage, config));
    (bytes > ENVIRONMENT_BYTES_MAX).then(|| {
        format!(
            "the environment of {}: up to {bytes} bytes, and Lambda takes {ENVIRONMENT_BYTES_MAX}; \
             shorten the configuration by {}: fewer rules, shorter names",
            stage.name(),
            bytes - ENVIRONMENT_BYTES_MAX
        )
    })
}
