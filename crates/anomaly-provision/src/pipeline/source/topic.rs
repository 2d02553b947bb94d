//! A topic, made or there, whose messages are records: through a queue, or straight to the function.

use anomaly_core::config::Source;

use super::queue::{self, Filler};
use super::{ARN, Part, direct};
use crate::permission::{allow, deny_without_tls, document, managed_policy};
use crate::stack::{Output, Resource};
use crate::value::{Entry, Value, map, reference};

/// The logical id of the topic that is made.
const TOPIC: &str = "RecordTopic";

const SERVICE: &str = "sns.amazonaws.com";

pub(super) fn part(source: &Source) -> Part {
    let topic = reference(if source.arn.is_some() { ARN } else { TOPIC });
    let filler = Filler { service: SERVICE, arn: topic.clone() };
    let mut part = if source.direct {
        let mut part = direct::part(&filler);
        part.calls.push(super::may_call("TopicMayCall", SERVICE, topic.clone()));
        part.calls.push(subscription("lambda", topic, super::function_arn(), None));
        part
    } else {
        let mut part = queue::made(source, false, Some(&filler));
        // The message as it was published: the queue's records are then the topic's.
        let raw = Entry::new("RawMessageDelivery", true);
        part.calls.push(subscription("sqs", topic, queue::queue_arn(), Some(raw)));
        part
    };
    match super::arn_parameter(source, "sns", "The topic whose messages are records") {
        Some(arn) => part.parameters.push(arn),
        None => {
            part.resources.splice(0..0, made());
            part.outputs.extend(outputs());
        }
    }
    part
}

/// What the topic cannot hand over, because it may not or the other side is gone, is kept.
fn subscription(protocol: &str, topic: Value, endpoint: Value, raw: Option<Entry>) -> Resource {
    let mut properties = vec![
        Entry::new("TopicArn", topic),
        Entry::new("Protocol", protocol),
        Entry::new("Endpoint", endpoint),
    ];
    properties.extend(raw);
    properties.push(Entry::new("RedrivePolicy", map! { "deadLetterTargetArn": queue::dead_letters_arn() }));
    Resource::new("RecordSubscription", "AWS::SNS::Subscription", Value::Map(properties))
}

fn made() -> [Resource; 3] {
    let topic = reference(TOPIC);
    let publishing = allow("PublishRecords", ["sns:Publish"], [topic.clone()]);
    let statements = document(vec![deny_without_tls("sns:Publish", topic.clone())]);
    [
        Resource::new(TOPIC, "AWS::SNS::Topic", map! { "KmsMasterKeyId": "alias/aws/sns" }),
        // Identities of this account need no statement here: their own policies decide.
        Resource::new(
            "RecordTopicPolicy",
            "AWS::SNS::TopicPolicy",
            map! { "Topics": vec![topic], "PolicyDocument": statements },
        ),
        managed_policy("WriterPolicy", "Publishes records to the topic", vec![publishing])
            .because("For the roles of others: to publish records."),
    ]
}

fn outputs() -> [Output; 2] {
    [
        Output::new("RecordTopicArn", "Publish records here", reference(TOPIC)),
        Output::new("WriterPolicyArn", "Attach it to who publishes records", reference("WriterPolicy")),
    ]
}
