//! The queue of scored chunks, and where a chunk goes that `classify` cannot take.

use super::alerts;
use super::function::Stage;
use crate::stack::Resource;
use crate::value::{attribute, list, map, reference};

/// The logical id of the queue.
pub(crate) const QUEUE: &str = "Scored";
/// The logical id of its dead-letter queue.
pub(super) const DEAD_LETTERS: &str = "ScoredDlq";

/// 14 days, the longest a queue keeps messages (SQS API reference, `MessageRetentionPeriod`).
pub(super) const RETENTION_S: u32 = 1_209_600;

/// 1 MiB, the most a message may have (SQS API reference, `MaximumMessageSize`).
pub(super) const MESSAGE_BYTES_MAX: u32 = 1_048_576;

pub(super) fn resources() -> Vec<Resource> {
    vec![
        queue(),
        dead_letters(),
        not_empty("ScoredDlqNotEmpty", DEAD_LETTERS, "classify gave up on a scored chunk"),
    ]
}

fn queue() -> Resource {
    Resource::new(
        QUEUE,
        "AWS::SQS::Queue",
        map! {
            "FifoQueue": true,
            // High throughput: order and deduplication hold within a group, which is of some of the series.
            "DeduplicationScope": "messageGroup",
            "FifoThroughputLimit": "perMessageGroupId",
            // "at least six times" the function's timeout (Lambda developer guide, "Using Lambda with Amazon SQS").
            "VisibilityTimeout": 6 * Stage::Classify.timeout_s(),
            "MessageRetentionPeriod": RETENTION_S,
            // A chunk has at most 900 KB.
            "MaximumMessageSize": MESSAGE_BYTES_MAX,
            "SqsManagedSseEnabled": true,
            "RedrivePolicy": map! {
                "deadLetterTargetArn": attribute(&format!("{DEAD_LETTERS}.Arn")),
                "maxReceiveCount": 5_u32,
            },
        },
    )
    .because("One message a chunk, some series a group: a chunk that fails holds back its own group only.")
}

fn dead_letters() -> Resource {
    Resource::new(
        DEAD_LETTERS,
        "AWS::SQS::Queue",
        // The dead-letter queue of a FIFO queue must be one too.
        map! { "FifoQueue": true, "MessageRetentionPeriod": RETENTION_S, "SqsManagedSseEnabled": true },
    )
}

/// An alarm for a queue that should be empty.
pub(super) fn not_empty(id: impl Into<String>, queue: &str, description: &'static str) -> Resource {
    let dimension = map! { "Name": "QueueName", "Value": attribute(&format!("{queue}.QueueName")) };
    Resource::new(
        id,
        "AWS::CloudWatch::Alarm",
        map! {
            "AlarmDescription": description,
            "Namespace": "AWS/SQS",
            "MetricName": "ApproximateNumberOfMessagesVisible",
            "Dimensions": list![dimension],
            "Statistic": "Maximum",
            "Period": 300_u32,
            "EvaluationPeriods": 1_u32,
            "Threshold": 0_u32,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": vec![reference(alerts::TOPIC)],
        },
    )
}
