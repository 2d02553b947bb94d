//! A queue subscribed to the topic: somebody who reads every message.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use serde_json::json;

use crate::cloud::Cloud;

/// The queue's URL.
#[derive(Debug)]
pub struct Inbox {
    url: String,
}

impl Inbox {
    /// Makes a queue and subscribes it to `topic`.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn subscribed_to(cloud: &Cloud, topic: &str) -> Result<Self> {
        let made = cloud.sqs.create_queue().queue_name("inbox").send().await?;
        let url = made.queue_url().context("a queue has a URL")?.to_owned();
        let arn = arn_of(cloud, &url).await?;
        let set = cloud.sqs.set_queue_attributes().queue_url(&url);
        set.attributes(QueueAttributeName::Policy, policy(&arn, topic)).send().await?;
        let subscribe = cloud.sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(arn);
        subscribe.attributes("RawMessageDelivery", "true").send().await?;
        Ok(Inbox { url })
    }

    /// Takes what has arrived, waiting up to `wait` if nothing has.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn take(&self, cloud: &Cloud, wait: Duration) -> Result<Vec<Message>> {
        let seconds = i32::try_from(wait.as_secs()).unwrap_or(20).min(20);
        let receive = cloud.sqs.receive_message().queue_url(&self.url).max_number_of_messages(10);
        let received = receive.message_attribute_names("All").wait_time_seconds(seconds).send().await?;
        let messages = received.messages.unwrap_or_default();
        for message in &messages {
            let delete = cloud.sqs.delete_message().queue_url(&self.url);
            delete.set_receipt_handle(message.receipt_handle.clone()).send().await?;
        }
        Ok(messages)
    }
}

async fn arn_of(cloud: &Cloud, url: &str) -> Result<String> {
    let ask = cloud.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
    let answer = ask.send().await?;
    let arn = answer.attributes().and_then(|found| found.get(&QueueAttributeName::QueueArn));
    arn.cloned().context("a queue has an ARN")
}

/// Lets the topic, and nobody else, write.
fn policy(queue: &str, topic: &str) -> String {
    let statement = json!({
        "Effect": "Allow",
        "Principal": { "Service": "sns.amazonaws.com" },
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": { "ArnEquals": { "aws:SourceArn": topic } },
    });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}
