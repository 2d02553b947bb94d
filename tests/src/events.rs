//! Events as Lambda hands them to functions.

use serde_json::{Value, json};

/// The sequence number of the `index`-th record of [`kinesis`].
pub fn sequence_number(index: usize) -> String {
    format!("4959033827149025660855969253836157109592157598913658{index:04}")
}

/// A batch of one shard.
pub fn kinesis(records: &[&str]) -> Value {
    let record = |(index, data): (usize, &&str)| {
        json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": "k",
                "sequenceNumber": sequence_number(index),
                "data": base64_simd::STANDARD.encode_to_string(data),
                "approximateArrivalTimestamp": 1_795_231_793.831,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("shardId-000000000000:{}", sequence_number(index)),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::000000000000:role/invoke",
            "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/records",
        })
    };
    json!({ "Records": records.iter().enumerate().map(record).collect::<Vec<_>>() })
}

/// The id of the `index`-th message of [`sqs`].
pub fn message_id(index: usize) -> String {
    format!("00000000-0000-4000-8000-{index:012}")
}

/// Messages of one group of a FIFO queue.
pub fn sqs(bodies: &[String]) -> Value {
    let record = |(index, body): (usize, &String)| {
        json!({
            "messageId": message_id(index),
            "receiptHandle": "r",
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1795231793967",
                "SenderId": "000000000000",
                "ApproximateFirstReceiveTimestamp": "1795231794812",
                "MessageGroupId": "records/shardId-000000000000",
                "MessageDeduplicationId": index.to_string(),
                "SequenceNumber": format!("{index:020}"),
            },
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:scored.fifo",
            "awsRegion": "us-east-1",
        })
    };
    json!({ "Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>() })
}

/// Rows put into the outbox, by their items in DynamoDB's form.
pub fn outbox(items: &[Value]) -> Value {
    let record = |(index, item): (usize, &Value)| {
        json!({
            "eventID": index.to_string(),
            "eventName": "INSERT",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_795_231_794,
                "Keys": { "alert": item["alert"], "transition": item["transition"] },
                "NewImage": item,
                "SequenceNumber": sequence_number(index),
                "SizeBytes": 100,
                "StreamViewType": "NEW_IMAGE",
            },
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/outbox/stream/2026-01-01T00:00:00.000",
        })
    };
    json!({ "Records": items.iter().enumerate().map(record).collect::<Vec<_>>() })
}
