use anomaly_aws::sqs::SqsQueue;
use anomaly_core::wire::Chunk;
use anomaly_pipeline::fault::FaultKind;
use anomaly_pipeline::ports::Queue;
use serde_json::json;

use crate::server::{Server, error, ok};

fn chunk() -> Chunk {
    Chunk {
        body: "{\"v\":1}".to_owned(),
        group: "3-of-8".to_owned(),
        deduplication: "d".repeat(64),
        entries: vec![0],
    }
}

#[tokio::test]
async fn a_chunk_is_sent_with_its_group_and_deduplication() {
    let server = Server::start(|_, _| ok(json!({ "MessageId": "m", "MD5OfMessageBody": "" }))).await;
    let queue = SqsQueue::new(&server.connector(), "http://q/scored.fifo");
    assert_eq!(queue.send(&chunk()).await, Ok(()));
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert_eq!(request.operation(), "SendMessage");
    assert_eq!(
        request.json(),
        json!({
            "QueueUrl": "http://q/scored.fifo",
            "MessageBody": "{\"v\":1}",
            "MessageGroupId": "3-of-8",
            "MessageDeduplicationId": "d".repeat(64),
        })
    );
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_somebodys_task() {
    let server = Server::start(|_, _| error(400, "com.amazonaws.sqs#QueueDoesNotExist")).await;
    let queue = SqsQueue::new(&server.connector(), "http://q/scored.fifo");
    let fault = queue.send(&chunk()).await.expect_err("a fault");
    assert_eq!(fault.kind, FaultKind::Permanent);
    assert_eq!(fault.to_string(), "queue a chunk of group 3-of-8: QueueDoesNotExist: as scripted");
}

#[tokio::test]
async fn nobody_there_may_be_there_later() {
    // A port that was free a moment ago.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = Server::at(format!("http://{}", listener.local_addr().expect("an address")));
    drop(listener);
    let fault = SqsQueue::new(&server.connector(), "http://q/q").send(&chunk()).await.expect_err("a fault");
    assert_eq!(fault.kind, FaultKind::Transient);
    assert!(fault.detail.contains("Connection refused"), "the whole chain: {fault}");
}
