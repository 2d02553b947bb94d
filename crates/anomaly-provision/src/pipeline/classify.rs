//! `classify`: its role, and how the queue calls it.

use anomaly_core::config::Config;

use super::function::{self, Packaging, Stage};
use super::{flush, scored, tables};
use crate::permission::{Statement, allow};
use crate::stack::Resource;
use crate::value::{attribute, map, reference};

pub(super) fn resources(config: &Config, packaging: Packaging) -> Vec<Resource> {
    let statements = statements().into_iter().chain(flush::statements(config));
    let mut resources = function::resources(Stage::Classify, config, packaging, statements);
    resources.push(source());
    resources.extend(flush::resources(config));
    resources
}

/// `dynamodb:TransactWriteItems` is no IAM action: each part of the transaction is allowed by its own, the
/// check that a state is still what was read by `ConditionCheckItem`. `BatchWriteItem` is one.
fn statements() -> [Statement; 5] {
    [
        allow(
            "TakeScored",
            [
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ChangeMessageVisibility",
            ],
            [attribute(&format!("{}.Arn", scored::QUEUE))],
        ),
        allow(
            "ReadAndWriteStates",
            ["dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:ConditionCheckItem"],
            [tables::arn(tables::STATES)],
        ),
        allow("WriteTransitions", ["dynamodb:PutItem"], [tables::arn(tables::OUTBOX)]),
        allow("KeepRejects", ["dynamodb:BatchWriteItem"], [tables::arn(tables::REJECTS)]),
        allow(
            "KeepJournal",
            ["dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:Query"],
            [tables::arn(tables::JOURNAL)],
        ),
    ]
}

fn source() -> Resource {
    Resource::new(
        "ClassifySource",
        "AWS::Lambda::EventSourceMapping",
        map! {
            "FunctionName": reference(&Stage::Classify.function()),
            "EventSourceArn": attribute(&format!("{}.Arn", scored::QUEUE)),
            "BatchSize": 1_u32,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        },
    )
    .because("One chunk a call: a failure concerns one message.")
}
