//! The queue of scored chunks.

use anomaly_core::wire::Chunk;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::Queue;

use crate::connect::Connector;
use crate::fault::fault;

/// A FIFO queue of SQS.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl SqsQueue {
    /// The queue at `url`.
    pub fn new(connector: &Connector, url: &str) -> Self {
        SqsQueue { client: connector.sqs(), url: url.to_owned() }
    }
}

impl Queue for SqsQueue {
    async fn send(&self, chunk: &Chunk) -> Result<(), Fault> {
        let request = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_group_id(&chunk.group)
            .message_deduplication_id(&chunk.deduplication)
            .message_body(&chunk.body);
        let sent = Box::pin(request.send()).await;
        sent.map(drop).map_err(|error| fault(format!("queue a chunk of group {}", chunk.group), &error))
    }
}
