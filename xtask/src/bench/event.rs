//! The batch both functions are given: 500 records of a Kinesis shard.

use serde_json::json;

/// Where a record names its series.
pub(super) const SERIES: &str = "/device";
/// Where a record holds its time.
pub(super) const TIME: &str = "/ts";
/// Where a record holds its features.
pub(super) const FEATURES: [&str; 2] = ["/temperature", "/vibration"];

const RECORDS: u64 = 500;
/// 2026-01-01T00:00:00.123Z.
const BEGAN_MS: u64 = 1_767_225_600_123;

/// Always the same bytes.
pub(super) fn kinesis_batch() -> Vec<u8> {
    let records: Vec<_> = (0..RECORDS).map(record).collect();
    json!({ "Records": records }).to_string().into_bytes()
}

fn record(i: u64) -> serde_json::Value {
    // As long as real ones are.
    let sequence_number = format!("495903382714902566085596925383615710959215759891{i:08}");
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": device(i),
            "sequenceNumber": sequence_number,
            "data": base64(payload(i).as_bytes()),
            "approximateArrivalTimestamp": (BEGAN_MS + 100 * i) as f64 / 1e3,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": format!("shardId-000000000006:{sequence_number}"),
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-kinesis-role",
        "awsRegion": "eu-west-1",
        "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/readings",
    })
}

fn device(i: u64) -> String {
    format!("pump-{:04}", i % 20)
}

/// Some 170 bytes, of which the functions want a third.
fn payload(i: u64) -> String {
    let (minute, second) = (i / 60, i % 60);
    format!(
        r#"{{"device":"{}","ts":"2026-01-01T00:{minute:02}:{second:02}.250Z","site":"north-2","firmware":"2.14.0","temperature":{}.{:02},"vibration":0.{:04},"pressure":101.3,"status":"ok"}}"#,
        device(i),
        60 + i % 9,
        i * 37 % 100,
        i * 7919 % 10_000,
    )
}

/// Standard alphabet, padded (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let quad = |three: &[u8]| {
        let word = three.iter().chain(&[0; 2]).take(3).fold(0, |word, &byte| word << 8 | usize::from(byte));
        let sextet =
            |k: usize| if k <= three.len() { char::from(ALPHABET[word >> (18 - 6 * k) & 63]) } else { '=' };
        [sextet(0), sextet(1), sextet(2), sextet(3)]
    };
    bytes.chunks(3).flat_map(quad).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_rfc_s() {
        for (plain, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn payloads_are_json_of_some_170_bytes() {
        for i in 0..RECORDS {
            let payload = payload(i);
            assert!((150..190).contains(&payload.len()), "{payload}");
            let value: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
            assert!(FEATURES.iter().all(|f| value.pointer(f).is_some_and(serde_json::Value::is_number)));
        }
    }
}
