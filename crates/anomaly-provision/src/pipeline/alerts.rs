//! The topic that tells people, its key, and the optional e-mail.

use crate::permission::{deny_without_tls, document, for_this_account};
use crate::stack::Resource;
use crate::value::{Value, map, reference, sub};

/// The logical id of the topic.
pub(crate) const TOPIC: &str = "Alerts";
/// The logical id of the key its messages are encrypted with.
pub(super) const KEY: &str = "AlertsKey";
/// The parameter with an e-mail address, or nothing.
pub(super) const EMAIL: &str = "AlertEmail";
/// The condition that it was given.
pub(super) const HAS_EMAIL: &str = "HasAlertEmail";

pub(super) fn resources() -> Vec<Resource> {
    vec![topic(), topic_policy(), email(), key()]
}

fn topic() -> Resource {
    Resource::new(
        TOPIC,
        "AWS::SNS::Topic",
        map! { "DisplayName": "Anomaly alerts", "KmsMasterKeyId": reference(KEY) },
    )
}

/// Replaces the policy SNS would give the topic, which lets every identity of the account publish. Identities
/// of this account need no statement here: their own policies decide, and only `publish` has `sns:Publish`.
fn topic_policy() -> Resource {
    let alarms = allow_alarms("Alarms", "sns:Publish".into(), reference(TOPIC));
    let statements = vec![alarms, deny_without_tls("sns:Publish", reference(TOPIC))];
    Resource::new(
        "AlertsPolicy",
        "AWS::SNS::TopicPolicy",
        map! { "Topics": vec![reference(TOPIC)], "PolicyDocument": document(statements) },
    )
    .because("Alarms of this account may publish, and `publish` by its role; nobody without TLS.")
}

fn email() -> Resource {
    Resource::new(
        "AlertEmailSubscription",
        "AWS::SNS::Subscription",
        map! { "TopicArn": reference(TOPIC), "Protocol": "email", "Endpoint": reference(EMAIL) },
    )
    .with("Condition", HAS_EMAIL)
}

/// A key of our own ($1 a month): the policy of `alias/aws/sns` cannot be changed, so CloudWatch's alarms
/// could not publish to a topic encrypted with it (SNS developer guide, "Key management").
fn key() -> Resource {
    let account = map! {
        "Sid": "Account",
        "Effect": "Allow",
        "Principal": map! { "AWS": sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root") },
        "Action": "kms:*",
        // In a key's policy this is the key itself.
        "Resource": "*",
    };
    let alarms = allow_alarms("Alarms", ["kms:GenerateDataKey*", "kms:Decrypt"].into(), "*".into());
    Resource::new(
        KEY,
        "AWS::KMS::Key",
        map! {
            "Description": "Encrypts alerts on their way through the topic",
            "EnableKeyRotation": true,
            "KeyPolicy": document(vec![account, alarms]),
        },
    )
    .because("Our own key: with the one AWS manages, alarms could not publish to the topic.")
}

fn allow_alarms(id: &'static str, action: Value, resource: Value) -> Value {
    map! {
        "Sid": id,
        "Effect": "Allow",
        "Principal": map! { "Service": "cloudwatch.amazonaws.com" },
        "Action": action,
        "Resource": resource,
        "Condition": for_this_account(),
    }
}
