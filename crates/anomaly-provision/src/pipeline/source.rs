//! `[source]`: what each kind brings into the stack.
//!
//! What a kind cannot promise by itself, a part makes up for. A stream (Kinesis, DynamoDB, Kafka) is cut in two
//! around what fails, tried for a day, and then kept whole in the bucket; a queue has a dead-letter queue of its
//! own; a topic and a bus go through such a queue, because called at once Lambda would try three times in as
//! many minutes; who posts, or transforms, has the answer and tries again himself.

mod direct;
mod dynamodb;
mod events;
mod firehose;
mod http;
mod kafka;
mod kinesis;
mod login;
mod queue;
mod topic;

use anomaly_core::config::{Config, Source, SourceKind};

use super::function::Stage;
use super::{dead, scored};
use crate::permission::{Statement, allow};
use crate::stack::{Output, Parameter, Resource};
use crate::value::{Entry, Value, attribute, map, reference, sub};

pub(crate) use self::http::{SECRET_SHA256, SECRET_SHA256_CHARS_MAX};

/// The parameter with the ARN of a source that is there already.
const ARN: &str = "SourceArn";
/// The parameter with the ARN of the key it, or its secret, is encrypted with.
const KMS_KEY: &str = "SourceKmsKeyArn";
/// The logical id of what calls the function.
const MAPPING: &str = "InvokeSource";

/// How often a batch is tried again: the most there is (Lambda API reference, `MaximumRetryAttempts`), so that the
/// records' age decides. It is the endpoint that is ill, not the data: a record at fault is rejected, and never
/// makes `invoke` fail; and while its breaker is open, `invoke` hands a batch back at once, which would use up a
/// smaller number in no time.
const RETRIES: u32 = 10_000;
/// How long a batch is tried again, at most, in hours: time for somebody to mend what is ill.
const PATIENCE_HOURS: u32 = 24;

/// What a kind of source brings into the stack.
#[derive(Default)]
pub(super) struct Part {
    pub(super) parameters: Vec<Parameter>,
    /// What records arrive on.
    pub(super) resources: Vec<Resource>,
    /// What the role of `invoke` needs to read from it.
    pub(super) statements: Vec<Statement>,
    /// What has `invoke` called.
    pub(super) calls: Vec<Resource>,
    pub(super) outputs: Vec<Output>,
}

/// The part of the configured kind.
pub(super) fn part(config: &Config) -> Part {
    let source = &config.source;
    match source.kind {
        SourceKind::Kinesis => kinesis::part(config),
        SourceKind::Sqs | SourceKind::SqsFifo => queue::part(source),
        SourceKind::Kafka | SourceKind::Msk | SourceKind::EventHubs => kafka::part(source),
        SourceKind::Dynamodb => dynamodb::part(source),
        SourceKind::Sns => topic::part(source),
        SourceKind::Eventbridge => events::part(source),
        SourceKind::Firehose => firehose::part(),
        SourceKind::Http => http::part(source),
    }
}

/// The parameter [`ARN`], whose default is the file's: another environment can give another one.
fn arn_parameter(source: &Source, service: &str, description: &str) -> Option<Parameter> {
    let arn = source.arn.as_deref()?;
    let pattern = format!("^arn:aws[a-z-]*:{service}:[a-z0-9-]+:[0-9]{{12}}:.+$");
    Some(Parameter::text(ARN, description).with("Default", arn).with("AllowedPattern", pattern))
}

/// The parameter [`KMS_KEY`], if there is a key.
fn kms_key_parameter(source: &Source) -> Option<Parameter> {
    let key = source.kms_key.as_deref()?;
    let parameter = Parameter::text(KMS_KEY, "The key that the source, or its secret, is encrypted with");
    let pattern = "^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$";
    Some(parameter.with("Default", key).with("AllowedPattern", pattern))
}

/// Decrypting with the customer's key, if there is one, through `service` and for nothing else.
fn decrypt(source: &Source, service: &str) -> Option<Statement> {
    source.kms_key.as_ref()?;
    let through = format!("{service}.${{AWS::Region}}.${{AWS::URLSuffix}}");
    let condition = map! { "StringEquals": map! { "kms:ViaService": sub(&through) } };
    Some(allow("DecryptSource", ["kms:Decrypt"], [reference(KMS_KEY)]).when(condition))
}

/// An event source mapping: the function, what is particular to the kind, and what every kind has.
fn mapping(source: &Source, particular: impl IntoIterator<Item = Entry>) -> Resource {
    let mut properties = vec![Entry::new("FunctionName", reference(&Stage::Invoke.function()))];
    properties.extend(particular);
    properties.push(Entry::new("BatchSize", source.batch()));
    properties.push(Entry::new("FunctionResponseTypes", ["ReportBatchItemFailures"]));
    Resource::new(MAPPING, "AWS::Lambda::EventSourceMapping", Value::Map(properties))
}

/// How a stream is tried again, and where a batch goes that is given up on. The defaults would retry one bad
/// batch until its records expire, and then drop it.
fn patient(age_s_max: u32) -> [Entry; 4] {
    [
        Entry::new("BisectBatchOnFunctionError", true),
        Entry::new("MaximumRetryAttempts", RETRIES),
        Entry::new("MaximumRecordAgeInSeconds", age_s_max),
        Entry::new("DestinationConfig", dead::on_failure()),
    ]
}

/// Why a mapping has the settings of [`patient`].
const PATIENT: &str =
    "Patient: it is the endpoint that is ill, not the data. What it gives up on, it keeps whole.";

/// A day, but an hour less than the source keeps records: what is given up on must still be there to be kept.
fn record_age_s_max(retention_hours: u32) -> u32 {
    PATIENCE_HOURS.min(retention_hours.saturating_sub(1)) * 3_600
}

/// The window of a source that polls every second or less often (Lambda API reference, `BatchSize`: more than
/// ten records of Kinesis, DynamoDB or SQS need a window of a second).
fn window() -> Entry {
    Entry::new("MaximumBatchingWindowInSeconds", 1_u32)
}

fn metrics<const N: usize>(names: [&str; N]) -> Entry {
    Entry::new("MetricsConfig", map! { "Metrics": names })
}

/// The permission of `service` to call the function for `caller`.
fn may_call(id: &'static str, service: &str, caller: Value) -> Resource {
    Resource::new(
        id,
        "AWS::Lambda::Permission",
        map! {
            "FunctionName": function_arn(),
            "Action": "lambda:InvokeFunction",
            "Principal": service,
            "SourceArn": caller,
        },
    )
}

fn function_arn() -> Value {
    attribute(&format!("{}.Arn", Stage::Invoke.function()))
}

#[cfg(test)]
pub(in crate::pipeline) mod tests;
