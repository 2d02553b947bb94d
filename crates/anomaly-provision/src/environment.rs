//! The variables each function is given, and how many bytes they can come to.

use anomaly_core::config::{Auth, Config, SourceKind};
use anomaly_core::names;

use crate::check::ENDPOINT_CHARS_MAX;
use crate::pipeline::source::{SECRET_SHA256, SECRET_SHA256_CHARS_MAX};
use crate::pipeline::{Stage, alerts, scored, tables};
use crate::value::{Value, reference};
use crate::{has_endpoint, has_windows};

/// The most bytes of a name, URL or ARN that CloudFormation fills in.
///
/// A function's name has at most 64 characters and ends in `-classify`, so a stack's name has at most 55; a
/// generated name is `STACK-RESOURCE-` and 13 characters. The longest of all is the queue's URL:
/// `https://sqs.REGION.DOMAIN/ACCOUNT/NAME`, about 55 characters before the name.
const REFERENCE_BYTES_MAX: usize = 160;

/// A variable of a function's environment.
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) value: Value,
    value_bytes_max: usize,
}

/// What `stage` is told.
pub(crate) fn of(stage: Stage, config: &Config) -> Vec<Variable> {
    match stage {
        Stage::Invoke => {
            let endpoint = Variable {
                name: names::ENDPOINT_NAME,
                value: reference(crate::pipeline::ENDPOINT_NAME),
                value_bytes_max: ENDPOINT_CHARS_MAX,
            };
            let endpoint = has_endpoint(config).then_some(endpoint);
            let always = [settings(config), filled_in(names::QUEUE_URL, scored::QUEUE)];
            let windows = has_windows(config).then(|| filled_in(names::WINDOWS_TABLE, tables::WINDOWS));
            always.into_iter().chain(endpoint).chain(windows).chain(http_secret(config)).collect()
        }
        Stage::Classify => vec![
            settings(config),
            filled_in(names::STATES_TABLE, tables::STATES),
            filled_in(names::OUTBOX_TABLE, tables::OUTBOX),
            filled_in(names::REJECTS_TABLE, tables::REJECTS),
            filled_in(names::JOURNAL_TABLE, tables::JOURNAL),
        ],
        Stage::Publish => {
            vec![filled_in(names::OUTBOX_TABLE, tables::OUTBOX), filled_in(names::TOPIC_ARN, alerts::TOPIC)]
        }
    }
}

fn http_secret(config: &Config) -> Option<Variable> {
    let source = &config.source;
    let asks = source.kind == SourceKind::Http && source.auth() == Auth::Secret;
    asks.then(|| Variable {
        name: names::HTTP_SECRET_SHA256,
        value: reference(SECRET_SHA256),
        value_bytes_max: SECRET_SHA256_CHARS_MAX,
    })
}

/// The bytes `variables` can come to, names and values.
pub(crate) fn bytes(variables: &[Variable]) -> usize {
    variables.iter().map(|variable| variable.name.len() + variable.value_bytes_max).sum()
}

fn settings(config: &Config) -> Variable {
    let json = config.to_json();
    Variable { name: names::ANOMALY_CONFIG, value_bytes_max: json.len(), value: json.into() }
}

fn filled_in(name: &'static str, id: &str) -> Variable {
    Variable { name, value: reference(id), value_bytes_max: REFERENCE_BYTES_MAX }
}
