//! A Kinesis stream: made, with policies for who writes and who else reads; or one that is there.

use anomaly_core::config::{Config, Source};

use super::{ARN, Part};
use crate::permission::{Statement, allow, managed_policy};
use crate::stack::{Output, Resource};
use crate::value::{Entry, Value, attribute, map, reference};

/// The logical id of the stream that is made.
const STREAM: &str = "Records";

/// What a Kinesis stream takes if not told otherwise, in KiB (Kinesis API reference, `MaxRecordSizeInKiB`).
const RECORD_KIB_DEFAULT: u64 = 1_024;

pub(super) fn part(config: &Config) -> Part {
    let source = &config.source;
    let part = match source.arn {
        None => Part { resources: made(config), outputs: outputs(), ..Part::default() },
        Some(_) => {
            let arn = super::arn_parameter(source, "kinesis", "The stream to read");
            let parameters = arn.into_iter().chain(super::kms_key_parameter(source)).collect();
            Part { parameters, ..Part::default() }
        }
    };
    let statements = reading(arn(source)).into_iter().chain(super::decrypt(source, "kinesis"));
    Part {
        statements: statements.chain(super::dead::keep_failed_batches()).collect(),
        calls: vec![mapping(source)],
        ..part
    }
}

fn arn(source: &Source) -> Value {
    if source.arn.is_some() { reference(ARN) } else { attribute(&format!("{STREAM}.Arn")) }
}

fn made(config: &Config) -> Vec<Resource> {
    let record_kib = config.input.record_bytes_max.div_ceil(1_024) as u64;
    let mut properties = vec![
        Entry::new("StreamModeDetails", map! { "StreamMode": "PROVISIONED" }),
        Entry::new("ShardCount", config.source.shards()),
        Entry::new("RetentionPeriodHours", config.source.retention_hours()),
        Entry::new("StreamEncryption", map! { "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis" }),
    ];
    if record_kib > RECORD_KIB_DEFAULT {
        properties.push(Entry::new("MaxRecordSizeInKiB", record_kib));
    }
    let stream = arn(&config.source);
    // What producers' libraries ask before they write (Kinesis developer guide, "KPL", permissions).
    let writing = allow(
        "WriteStream",
        ["kinesis:PutRecord", "kinesis:PutRecords", "kinesis:DescribeStreamSummary", "kinesis:ListShards"],
        [stream.clone()],
    );
    vec![
        Resource::new(STREAM, "AWS::Kinesis::Stream", Value::Map(properties))
            .because("How long it keeps records is how long an outage may take to fix."),
        managed_policy("WriterPolicy", "Puts records on the stream", vec![writing])
            .because("For the roles of others: one to send records, one to read them too."),
        managed_policy("ReaderPolicy", "Reads records off the stream", reading(stream).into()),
    ]
}

fn reading(stream: Value) -> [Statement; 2] {
    [
        allow(
            "ReadStream",
            [
                "kinesis:DescribeStream",
                "kinesis:DescribeStreamSummary",
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                "kinesis:ListShards",
            ],
            [stream],
        ),
        // No resource level (service authorization reference, Kinesis Data Streams).
        allow("ListStreams", ["kinesis:ListStreams"], ["*".into()]),
    ]
}

fn mapping(source: &Source) -> Resource {
    let particular = [
        Entry::new("EventSourceArn", arn(source)),
        // LATEST may miss what is written while the mapping is being made.
        Entry::new("StartingPosition", "TRIM_HORIZON"),
        super::window(),
        // A shard's chunks go out in order, one after another; and more at once "will not work if you are using
        // Kinesis aggregation" (Lambda developer guide).
        Entry::new("ParallelizationFactor", 1_u32),
    ];
    let patient = super::patient(super::record_age_s_max(source.retention_hours()));
    super::mapping(source, particular.into_iter().chain(patient).chain([super::metrics(["EventCount"])]))
        .because(super::PATIENT)
}

fn outputs() -> Vec<Output> {
    vec![
        Output::new("StreamName", "Put records here", reference(STREAM)),
        Output::new("StreamArn", "The stream", attribute(&format!("{STREAM}.Arn"))),
        Output::new("WriterPolicyArn", "Attach it to who puts records", reference("WriterPolicy")),
        Output::new("ReaderPolicyArn", "Attach it to who else reads records", reference("ReaderPolicy")),
    ]
}
