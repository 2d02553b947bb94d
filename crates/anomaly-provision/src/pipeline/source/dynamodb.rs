//! The stream of a table that is there: its new rows and its changed ones are records.

use anomaly_core::config::Source;

use super::{ARN, Part};
use crate::permission::allow;
use crate::value::{Entry, list, map, reference};

/// How long a table's stream keeps records (DynamoDB developer guide, "Streams").
const RETENTION_HOURS: u32 = 24;

/// A deleted row has no new image, so no reading; every event has a name, so nothing else is passed over.
const FILTER: &str = r#"{"eventName":["INSERT","MODIFY"]}"#;

pub(super) fn part(source: &Source) -> Part {
    let arn = super::arn_parameter(
        source,
        "dynamodb",
        "The table's stream; it must hold new images (NEW_IMAGE or NEW_AND_OLD_IMAGES)",
    );
    let reading = [
        allow(
            "ReadTableStream",
            ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
            [reference(ARN)],
        ),
        // No resource level (service authorization reference, DynamoDB).
        allow("ListStreams", ["dynamodb:ListStreams"], ["*".into()]),
    ];
    let particular = [
        Entry::new("EventSourceArn", reference(ARN)),
        Entry::new("StartingPosition", "TRIM_HORIZON"),
        super::window(),
        Entry::new("ParallelizationFactor", 1_u32),
        Entry::new("FilterCriteria", map! { "Filters": list![map! { "Pattern": FILTER }] }),
    ];
    let patient = super::patient(super::record_age_s_max(RETENTION_HOURS));
    let mapping =
        super::mapping(source, particular.into_iter().chain(patient).chain([super::metrics(["EventCount"])]));
    let statements = reading.into_iter().chain(super::decrypt(source, "dynamodb"));
    Part {
        parameters: arn.into_iter().chain(super::kms_key_parameter(source)).collect(),
        statements: statements.chain(super::dead::keep_failed_batches()).collect(),
        calls: vec![mapping.because(super::PATIENT)],
        ..Part::default()
    }
}
