//! The stream that records arrive on.

use anomaly_core::config::Config;

use crate::stack::Resource;
use crate::value::{Entry, Value, map};

/// The logical id of the stream.
pub(super) const STREAM: &str = "Records";

/// What a Kinesis stream takes if not told otherwise, in KiB (Kinesis API reference, `MaxRecordSizeInKiB`).
const RECORD_KIB_DEFAULT: u64 = 1_024;

pub(super) fn resources(config: &Config) -> Vec<Resource> {
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
    vec![
        Resource::new(STREAM, "AWS::Kinesis::Stream", Value::Map(properties))
            .because("How long it keeps records is how long an outage may take to fix."),
    ]
}
