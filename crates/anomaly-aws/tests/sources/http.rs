//! Requests to the function's URL.

use anomaly_aws::source::{Intake, Reply, Secrets};
use expect_test::expect;

use crate::house::{changed, check, check_reply, error, event, intake, now};

const SIGNED: &str = event!("http");
const SECRET: &str = event!("http-secret");

/// Status and body of the reply to `event`, if all goes well or if nothing can be handed on.
fn with_secret(event: &str, secrets: Secrets, resume_at: Option<usize>) -> (u16, String) {
    let intake = Intake { secrets, ..intake() };
    let batch = intake.read(event, now()).expect("a request");
    let resume_at = vec![resume_at; batch.partitions.len()];
    match batch.reply(&resume_at).expect("a reply") {
        Reply::Http(reply) => (reply.status_code, reply.body),
        other => panic!("{other:?}"),
    }
}

fn status(event: &str) -> u16 {
    with_secret(event, Secrets::default(), None).0
}

#[test]
fn a_body_is_a_record() {
    check(
        SIGNED,
        expect![[r#"
        http
        http/url1234567890
          - | 2026-11-21T04:10:48.25Z 1795234248250000007571873671.0 webserver [6.0, 79.0, 21.9, 13.58]
    "#]],
    );
    check_reply(
        SIGNED,
        &[None],
        expect![[
            r#"{"statusCode":200,"headers":{"content-type":"application/json"},"body":"{\"readings\":1,\"rejects\":0}"}"#
        ]],
    );
    check(
        event!("http-base64"),
        expect![[r#"
        http
        http/url1234567890
          - | 2026-11-21T04:10:48.25Z 1795234248250000007571873671.0 webserver [6.0, 79.0, 21.9, 13.58]
    "#]],
    );
}

/// Stream Analytics tests its output with an empty array.
#[test]
fn an_empty_array_tests_the_connection() {
    check_reply(
        event!("http-test"),
        &[None],
        expect![[
            r#"{"statusCode":200,"headers":{"content-type":"application/json"},"body":"{\"readings\":0,\"rejects\":0}"}"#
        ]],
    );
    let spaced = changed(event!("http-test"), |event| event["body"] = " [] \n".into());
    assert_eq!(status(&spaced), 200);
}

#[test]
fn a_body_at_fault_is_told_why_and_kept() {
    check(
        event!("http-bad"),
        expect![[r#"
            http
            http/url1234567890
              - | 2026-11-21T04:10:48.25Z 1795234248250000007571873671.0 rejected: not a JSON reading: it ends too early at byte 21
        "#]],
    );
    check_reply(
        event!("http-bad"),
        &[None],
        expect![[
            r#"{"statusCode":400,"headers":{"content-type":"application/json"},"body":"{\"error\":\"not a JSON reading: it ends too early at byte 21\"}"}"#
        ]],
    );
    for (body, base64) in [("", false), ("eyJz*", true)] {
        let event = changed(SIGNED, |event| {
            (event["body"], event["isBase64Encoded"]) = (body.into(), base64.into());
        });
        assert_eq!(status(&event), 400, "{body:?}");
    }
    let none = changed(SIGNED, |event| drop(event.as_object_mut().expect("an event").remove("body")));
    check_reply(
        &none,
        &[],
        expect![[
            r#"{"statusCode":400,"headers":{"content-type":"application/json"},"body":"{\"error\":\"the body is empty; send a record or an array of records\"}"}"#
        ]],
    );
}

/// Of an array each element is a reading, or is kept as a reject; the sender need not send it again.
#[test]
fn an_array_is_taken_element_by_element() {
    check(
        event!("http-array"),
        expect![[r#"
        http
        http/url1234567890
          - | 2026-11-21T04:10:48.25Z 1795234248250000007571873671.0 webserver [6.0, 79.0, 21.9, 13.58] | 2026-11-21T04:10:48.25Z 1795234248250000007571873671.1 rejected: timestamp is missing | 2026-11-21T04:10:48.25Z 1795234248250000007571873671.2 webserver [7.9, 96.0, 29.6, 13.58]
    "#]],
    );
    check_reply(
        event!("http-array"),
        &[None],
        expect![[
            r#"{"statusCode":200,"headers":{"content-type":"application/json"},"body":"{\"readings\":2,\"rejects\":1}"}"#
        ]],
    );
}

#[test]
fn more_readings_than_a_record_may_hold_are_asked_for_in_parts() {
    let limit = intake().decoder.readings_max();
    let body = |count: usize| {
        changed(SIGNED, |event| event["body"] = format!("[{}]", vec!["1"; count].join(",")).into())
    };
    let intake = anomaly_aws::source::Intake { decoder: roomy(), ..intake() };
    let status = |event: &str| {
        let batch = intake.read(event, now()).expect("a request");
        batch.reply(&vec![None; batch.partitions.len()]).expect("a reply").status()
    };
    assert_eq!(status(&body(limit)), Some(400), "each of them is no reading");
    assert_eq!(status(&body(limit + 1)), Some(413));
}

/// A decoder that takes large bodies.
fn roomy() -> anomaly_core::decode::Decoder {
    let mut config = crate::house::config();
    config.input.record_bytes_max = 1_048_576;
    anomaly_core::decode::Decoder::new(&config.input).expect("a valid input")
}

#[test]
fn a_body_too_large_is_asked_for_in_parts() {
    check_reply(
        event!("http-large"),
        &[],
        expect![[
            r#"{"statusCode":413,"headers":{"content-type":"application/json"},"body":"{\"error\":\"5148 bytes, more than the limit of 4096\"}"}"#
        ]],
    );
}

#[test]
fn what_cannot_be_handed_on_is_to_be_sent_again() {
    check_reply(
        SIGNED,
        &[Some(0)],
        expect![[
            r#"{"statusCode":503,"headers":{"content-type":"application/json","retry-after":"1"},"body":"{\"error\":\"the records could not be handed on; send them again\"}"}"#
        ]],
    );
    check_reply(
        event!("http-bad"),
        &[Some(0)],
        expect![[
            r#"{"statusCode":503,"headers":{"content-type":"application/json","retry-after":"1"},"body":"{\"error\":\"the records could not be handed on; send them again\"}"}"#
        ]],
    );
}

#[test]
fn only_posts_bring_records() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "post"] {
        let event = changed(SIGNED, |event| event["requestContext"]["http"]["method"] = method.into());
        assert_eq!(status(&event), 405, "{method}");
    }
    check_reply(
        &changed(SIGNED, |event| event["requestContext"]["http"]["method"] = "GET".into()),
        &[],
        expect![[
            r#"{"statusCode":405,"headers":{"allow":"POST, PUT","content-type":"application/json"},"body":"{\"error\":\"GET brings no records; POST them\"}"}"#
        ]],
    );
}

#[test]
fn nobody_comes_in_without_a_signature_or_the_secret() {
    let unlocked = |secret: &str| with_secret(SECRET, Secrets::plain(secret), None).0;
    assert_eq!(unlocked("open sesame"), 200);
    for wrong in ["", "open sesam", "open sesame ", "Open sesame"] {
        assert_eq!(unlocked(wrong), 401, "{wrong:?}");
    }
    assert_eq!(status(SECRET), 401, "no secret is set: nobody can know it");
    let digests = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b,41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";
    let either = Secrets::new(digests).expect("two digests");
    assert_eq!(with_secret(SECRET, either.clone(), None).0, 200, "the second of two");
    let first = changed(SECRET, |event| event["headers"]["x-anomaly-secret"] = "secret".into());
    assert_eq!(with_secret(&first, either, None).0, 200, "the first of two");
    let bare = changed(SECRET, |event| event["headers"] = serde_json::json!({}));
    assert_eq!(with_secret(&bare, Secrets::plain("open sesame"), None).0, 401);
    assert_eq!(with_secret(&bare, Secrets::plain(""), None).0, 401, "no header is no secret");
    check_reply(
        SECRET,
        &[],
        expect![[
            r#"{"statusCode":401,"headers":{"content-type":"application/json","www-authenticate":"x-anomaly-secret"},"body":"{\"error\":\"the header x-anomaly-secret does not hold the secret\"}"}"#
        ]],
    );
    let no_iam =
        changed(SIGNED, |event| event["requestContext"]["authorizer"] = serde_json::json!({ "iam": null }));
    assert_eq!(status(&no_iam), 401);
}

#[test]
fn another_payload_format_is_refused() {
    let old = r#"{"version":"1.0","httpMethod":"POST","requestContext":{"httpMethod":"POST"},"body":"{}"}"#;
    expect!["this function takes records of Kinesis, SQS, Kafka, a DynamoDB stream, SNS, EventBridge or Firehose, or an HTTP request of payload format 2.0, and the event is an HTTP request of another payload format: missing field `http` at line 1 column 75"].assert_eq(&error(old));
}
