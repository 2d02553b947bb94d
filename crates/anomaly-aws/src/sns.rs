//! SNS: telling people.

use anomaly_core::message::Message;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::Publisher;
use aws_sdk_sns::types::MessageAttributeValue;

use crate::connect::Connector;
use crate::fault::fault;

/// A topic of SNS.
#[derive(Clone, Debug)]
pub struct SnsPublisher {
    client: aws_sdk_sns::Client,
    topic_arn: String,
}

impl SnsPublisher {
    /// The topic `topic_arn`.
    pub fn new(connector: &Connector, topic_arn: &str) -> Self {
        SnsPublisher { client: connector.sns(), topic_arn: topic_arn.to_owned() }
    }
}

impl Publisher for SnsPublisher {
    async fn publish(&self, message: &Message) -> Result<String, Fault> {
        let operation = || format!("publish to {}", self.topic_arn);
        let mut request = self
            .client
            .publish()
            .topic_arn(&self.topic_arn)
            .subject(&message.subject)
            .message(&message.bodies)
            .message_structure("json");
        for (name, value) in &message.attributes {
            let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            let attribute = attribute.map_err(|error| Fault::permanent(operation(), error))?;
            request = request.message_attributes(*name, attribute);
        }
        let published = request.send().await.map_err(|error| fault(operation(), &error))?;
        // SNS gives every message an id; without one it was taken all the same.
        Ok(published.message_id.unwrap_or_default())
    }
}
