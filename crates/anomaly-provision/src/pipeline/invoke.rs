//! `invoke`: its role, and how the stream calls it.

use anomaly_core::config::Config;

use super::function::{self, Packaging, Stage};
use super::{dead, records, scored};
use crate::has_endpoint;
use crate::permission::{Statement, allow};
use crate::stack::Resource;
use crate::value::{Value, attribute, map, reference, sub};

pub(super) fn resources(config: &Config, packaging: Packaging) -> Vec<Resource> {
    let mut resources = function::resources(Stage::Invoke, config, packaging, statements(config));
    resources.push(source(config));
    resources.push(silent());
    resources
}

fn statements(config: &Config) -> Vec<Statement> {
    let stream = [
        allow(
            "ReadStream",
            [
                "kinesis:DescribeStream",
                "kinesis:DescribeStreamSummary",
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                "kinesis:ListShards",
            ],
            [attribute(&format!("{}.Arn", records::STREAM))],
        ),
        // No resource level (service authorization reference, Kinesis Data Streams).
        allow("ListStreams", ["kinesis:ListStreams"], ["*".into()]),
    ];
    let endpoint = has_endpoint(config).then(|| ask_endpoint(config));
    let queue = allow("QueueScored", ["sqs:SendMessage"], [attribute(&format!("{}.Arn", scored::QUEUE))]);
    stream.into_iter().chain(endpoint).chain([queue]).chain(dead::keep_failed_batches()).collect()
}

/// One endpoint. SageMaker writes names in lower case in its ARNs, and IAM compares letter by letter; a
/// template cannot lower a parameter, so the configured name is added in lower case where that differs.
fn ask_endpoint(config: &Config) -> Statement {
    const ARN: &str = "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/";
    let id = "AskEndpoint";
    let given = sub(&format!("{ARN}${{{}}}", super::ENDPOINT_NAME));
    match config.model.endpoint.as_deref() {
        Some(name) if name.contains(|c: char| c.is_ascii_uppercase()) => {
            let lower = sub(&format!("{ARN}{}", name.to_ascii_lowercase()));
            allow(id, ["sagemaker:InvokeEndpoint"], [given, lower])
        }
        _ => allow(id, ["sagemaker:InvokeEndpoint"], [given]),
    }
}

/// Retries while the endpoint is ill, cuts a batch in two around what fails, and keeps the whole event when it
/// gives up. The defaults would retry one bad batch until the records expire, then drop it.
fn source(config: &Config) -> Resource {
    Resource::new(
        "InvokeSource",
        "AWS::Lambda::EventSourceMapping",
        map! {
            "FunctionName": reference(&Stage::Invoke.function()),
            "EventSourceArn": attribute(&format!("{}.Arn", records::STREAM)),
            // LATEST may miss what is written while the mapping is being made.
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": config.source.batch(),
            // More than ten records need a window of a second (Lambda API reference, `BatchSize`).
            "MaximumBatchingWindowInSeconds": 1_u32,
            // A shard's chunks go out in order, one after another.
            "ParallelizationFactor": 1_u32,
            "BisectBatchOnFunctionError": true,
            "MaximumRetryAttempts": 100_u32,
            "MaximumRecordAgeInSeconds": record_age_s_max(config.source.retention_hours()),
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": dead::on_failure(),
            "MetricsConfig": map! { "Metrics": ["EventCount"] },
        },
    )
    .because("Patient: it is the endpoint that is ill, not the data. What it gives up on, it keeps whole.")
}

/// A day, but less than the stream keeps records: what is given up on must still be there to be kept.
fn record_age_s_max(retention_hours: u32) -> u32 {
    24_u32.min(retention_hours.saturating_sub(1)) * 3_600
}

/// No input makes no error anywhere: only its absence can be seen.
fn silent() -> Resource {
    let dimension = map! { "Name": "FunctionName", "Value": reference(&Stage::Invoke.function()) };
    Resource::new(
        "Silent",
        "AWS::CloudWatch::Alarm",
        map! {
            "AlarmDescription": "No record has arrived for an hour",
            "Namespace": "AWS/Lambda",
            "MetricName": "Invocations",
            "Dimensions": Value::List(vec![dimension]),
            "Statistic": "Sum",
            "Period": 3_600_u32,
            "EvaluationPeriods": 1_u32,
            "Threshold": 1_u32,
            "ComparisonOperator": "LessThanThreshold",
            "TreatMissingData": "breaching",
            "AlarmActions": vec![reference(super::alerts::TOPIC)],
        },
    )
}

#[cfg(test)]
mod tests {
    use super::record_age_s_max;

    #[test]
    fn a_record_is_given_up_on_before_the_stream_drops_it() {
        assert_eq!([24, 25, 168].map(record_age_s_max), [82_800, 86_400, 86_400]);
    }
}
