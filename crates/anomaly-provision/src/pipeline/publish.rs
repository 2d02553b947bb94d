//! `publish`: its role, how the outbox calls it, and the sweep that takes what was left.

use anomaly_core::config::Config;
use anomaly_core::names;

use super::function::{self, Packaging, Stage};
use super::schedule::Schedule;
use super::{alerts, dead, tables};
use crate::permission::{Statement, allow};
use crate::stack::Resource;
use crate::value::{attribute, list, map, reference, sub};

const SWEEP: Schedule = Schedule {
    id: "Sweep",
    stage: Stage::Publish,
    minutes: 5,
    // The same text as `events/sweep.json`.
    event: r#"{"sweep":true}"#,
    description: "Publishes what is still pending",
    because: "Takes away the 24-hour limit of the outbox's stream.",
    keep_failed: "KeepFailedSweep",
    alarm: "A sweep of unsent alerts failed",
};

pub(super) fn resources(config: &Config, packaging: Packaging) -> Vec<Resource> {
    let mut resources = function::resources(Stage::Publish, config, packaging, statements());
    resources.push(source());
    resources.extend(SWEEP.resources());
    resources
}

fn statements() -> Vec<Statement> {
    let through_sns =
        map! { "StringEquals": map! { "kms:ViaService": sub("sns.${AWS::Region}.${AWS::URLSuffix}") } };
    let own = [
        allow(
            "ReadOutboxStream",
            ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
            [attribute(&format!("{}.StreamArn", tables::OUTBOX))],
        ),
        // No resource level (service authorization reference, DynamoDB).
        allow("ListStreams", ["dynamodb:ListStreams"], ["*".into()]),
        allow("ClaimAndMark", ["dynamodb:UpdateItem"], [tables::arn(tables::OUTBOX)]),
        allow(
            "FindUnsent",
            ["dynamodb:Query"],
            [sub(&format!("${{{}.Arn}}/index/{}", tables::OUTBOX, names::PENDING_INDEX))],
        ),
        allow("Publish", ["sns:Publish"], [reference(alerts::TOPIC)]),
        allow(
            "EncryptMessage",
            ["kms:GenerateDataKey*", "kms:Decrypt"],
            [attribute(&format!("{}.Arn", alerts::KEY))],
        )
        .when(through_sns),
        SWEEP.statement(),
    ];
    own.into_iter().chain(dead::keep_failed_batches()).collect()
}

fn source() -> Resource {
    Resource::new(
        "PublishSource",
        "AWS::Lambda::EventSourceMapping",
        map! {
            "FunctionName": reference(&Stage::Publish.function()),
            "EventSourceArn": attribute(&format!("{}.StreamArn", tables::OUTBOX)),
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 25_u32,
            // More than ten records need a window of a second (Lambda API reference, `BatchSize`).
            "MaximumBatchingWindowInSeconds": 1_u32,
            "BisectBatchOnFunctionError": true,
            "MaximumRetryAttempts": 50_u32,
            // 22 hours: the table's stream keeps records for 24 (DynamoDB developer guide, "Streams").
            "MaximumRecordAgeInSeconds": 79_200_u32,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            // A claim and a mark change the row too; neither is news.
            "FilterCriteria": map! { "Filters": list![map! { "Pattern": r#"{"eventName":["INSERT"]}"# }] },
            "DestinationConfig": dead::on_failure(),
        },
    )
    .because("New rows only. Whatever this misses, the sweep finds: a row stays pending until it was sent.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn the_schedule_sends_the_committed_event() {
        let committed = include_str!("../../../../events/sweep.json");
        let [sent, committed] = [SWEEP.event, committed].map(serde_json::from_str::<serde_json::Value>);
        assert_eq!(sent.expect("JSON"), committed.expect("JSON"));
    }

    #[test]
    fn the_filter_is_json() {
        let Value::Map(properties) = source().properties else { panic!("properties are a mapping") };
        let filter = properties.iter().find(|entry| entry.key == "FilterCriteria").expect("a filter");
        let Value::Map(filters) = &filter.value else { panic!("a mapping") };
        let Value::List(patterns) = &filters[0].value else { panic!("a list") };
        let Value::Map(pattern) = &patterns[0] else { panic!("a mapping") };
        let Value::Text(text) = &pattern[0].value else { panic!("text") };
        assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
    }
}
