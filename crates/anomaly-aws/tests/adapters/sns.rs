use anomaly_aws::sns::SnsPublisher;
use anomaly_core::message::Message;
use anomaly_pipeline::fault::FaultKind;
use anomaly_pipeline::ports::Publisher;

use crate::server::{Reply, Server, ok};

fn message() -> Message {
    Message {
        subject: "[CRITICAL] a: b".to_owned(),
        bodies: r#"{"default":"text & more"}"#.to_owned(),
        attributes: vec![("severity", "critical".to_owned()), ("series", "Zürich".to_owned())],
    }
}

fn answer() -> Reply {
    ok(
        r#"<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m-1</MessageId></PublishResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>"#,
    )
}

fn failure(status: u16, code: &str) -> Reply {
    (
        status,
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>as scripted</Message></Error><RequestId>r</RequestId></ErrorResponse>"
        ),
    )
}

const TOPIC: &str = "arn:aws:sns:eu-west-1:1:alerts";

#[tokio::test]
async fn a_message_is_published_with_all_its_parts() {
    let server = Server::start(|_, _| answer()).await;
    let id = SnsPublisher::new(&server.connector(), TOPIC).publish(&message()).await;
    assert_eq!(id.as_deref(), Ok("m-1"));
    let [request] = &server.requests()[..] else { panic!("one request") };
    let body = request.text();
    for part in [
        "Action=Publish",
        "TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A1%3Aalerts",
        "Subject=%5BCRITICAL%5D%20a%3A%20b",
        "Message=%7B%22default%22%3A%22text%20%26%20more%22%7D",
        "MessageStructure=json",
        "DataType=String",
        "StringValue=critical",
        "StringValue=Z%C3%BCrich",
    ] {
        assert!(body.split('&').any(|pair| pair.ends_with(part)), "{part} in {body}");
    }
}

#[tokio::test]
async fn throttling_is_waited_out_and_refusal_is_not() {
    let server = Server::start(|number, _| match number {
        0 => failure(400, "Throttling"),
        _ => answer(),
    })
    .await;
    let id = SnsPublisher::new(&server.connector(), TOPIC).publish(&message()).await;
    assert_eq!(id.as_deref(), Ok("m-1"));

    let server = Server::start(|_, _| failure(403, "AuthorizationError")).await;
    let refused = SnsPublisher::new(&server.connector(), TOPIC).publish(&message()).await;
    let fault = refused.expect_err("a fault");
    assert_eq!((fault.kind, server.requests().len()), (FaultKind::Permanent, 1));
    assert_eq!(fault.to_string(), format!("publish to {TOPIC}: AuthorizationError: as scripted"));
}
