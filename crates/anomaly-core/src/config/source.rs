//! `[source]`: where records come from on AWS.
//!
//! One rule for all kinds: what holds nobody's data yet is made (a stream, a queue, a topic), unless `arn` names
//! one that is there; what is somebody's (a table, a cluster, a namespace, a bus) must be named.

mod check;

use serde::{Deserialize, Serialize};

use super::Hours;
use super::keys::Known;
use crate::group::Groups;
use crate::seen::Order;

/// The section's keys.
pub(super) const KEYS: &[(&str, Known)] = &[
    ("kind", Known::Value),
    ("arn", Known::Value),
    ("shards", Known::Value),
    ("retention", Known::Value),
    ("batch", Known::Value),
    ("kms_key", Known::Value),
    ("bootstrap", Known::Value),
    ("namespace", Known::Value),
    ("topic", Known::Value),
    ("consumer_group", Known::Value),
    ("auth", Known::Value),
    ("secret", Known::Value),
    ("root_ca", Known::Value),
    ("subnets", Known::Value),
    ("security_groups", Known::Value),
    ("pollers", Known::Value),
    ("pattern", Known::Value),
    ("bus", Known::Value),
    ("direct", Known::Value),
    ("groups", Known::Value),
];

/// `[source]`: where records come from on AWS. A key that does not apply to the kind is a problem.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// The kind of source.
    pub kind: SourceKind,
    /// `kinesis`, `sqs`, `sqs-fifo`, `sns`: the one to read instead of making one. `dynamodb`: the table's
    /// stream. `msk`: the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// `kinesis` without `arn`: how many shards the stream has, 1 to 10,000; 1 if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<u32>,
    /// `kinesis`, `kafka`, `msk`, `event-hubs`: how long records are kept ([`Source::retention_hours`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Hours>,
    /// Records per invocation, 1 to 10,000, and to 10 for `sqs-fifo` ([`Source::batch`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// The customer managed key that the source named by `arn`, or the secret, is encrypted with. Left out:
    /// a key of AWS'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// `kafka`: the brokers, `host:port`, 1 to 10.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bootstrap: Vec<String>,
    /// `event-hubs`: the namespace, its name or its host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `kafka`, `msk`: the topic. `event-hubs`: the event hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// `kafka`, `msk`, `event-hubs`: the consumer group, which nobody else may use; named after the stack if
    /// not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer_group: Option<String>,
    /// `kafka`, `msk`, `http`: how one side knows the other ([`Source::auth`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// `kafka`, `msk`, `event-hubs`: the secret in Secrets Manager to log in with. Left out: one is made of
    /// parameters that are not shown again, where that can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// `kafka`: the secret with the root certificate of a private authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_ca: Option<String>,
    /// `kafka`, `event-hubs`: the subnets to call from, at most 16; none: brokers are reached over the internet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
    /// `kafka`, `event-hubs`: the security groups to call with, at most 5; with `subnets` only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
    /// `kafka`, `msk`, `event-hubs`: the most pollers, each paid by the hour and good for some 5 MB a second;
    /// 1 to 2,000; 1 if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pollers: Option<u32>,
    /// `eventbridge`: which events, as EventBridge writes its patterns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<serde_json::Map<String, serde_json::Value>>,
    /// `eventbridge`: the bus, its name or its ARN; the account's default bus if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bus: Option<String>,
    /// `sns`, `eventbridge`: call the function at once, a record at a time, rather than through a queue.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub direct: bool,
    /// Into how many groups the series are divided, which are judged side by side: 1 to 10,000
    /// ([`Source::groups`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<u32>,
}

/// The kinds of source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// A Kinesis data stream.
    #[default]
    Kinesis,
    /// A standard SQS queue.
    Sqs,
    /// A FIFO queue of SQS: in order within a message group.
    SqsFifo,
    /// A topic of an Apache Kafka cluster of one's own.
    Kafka,
    /// A topic of an Amazon MSK cluster.
    Msk,
    /// An Azure event hub, through its namespace's Kafka endpoint.
    EventHubs,
    /// The stream of a DynamoDB table.
    Dynamodb,
    /// An SNS topic.
    Sns,
    /// A Firehose stream that has its records transformed.
    Firehose,
    /// Events of an EventBridge bus.
    Eventbridge,
    /// Whoever posts to the function's URL.
    Http,
}

/// How one side knows the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `msk`, `http`: identities of AWS, by their policies.
    Iam,
    /// `http`: a header whose SHA-256 the function knows.
    Secret,
    /// `kafka`: user name and password as they are (SASL/PLAIN), through TLS.
    Plain,
    /// `kafka`: SASL/SCRAM with SHA-256.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// `kafka`, `msk`: SASL/SCRAM with SHA-512.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
    /// `kafka`, `msk`: a client certificate.
    Mtls,
    /// `kafka` inside a network, `msk`: nothing.
    None,
}

impl SourceKind {
    /// Every kind there is.
    pub const ALL: [SourceKind; 11] = [
        SourceKind::Kinesis,
        SourceKind::Sqs,
        SourceKind::SqsFifo,
        SourceKind::Kafka,
        SourceKind::Msk,
        SourceKind::EventHubs,
        SourceKind::Dynamodb,
        SourceKind::Sns,
        SourceKind::Firehose,
        SourceKind::Eventbridge,
        SourceKind::Http,
    ];

    /// The kind as `anomaly.toml` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::Kinesis => "kinesis",
            SourceKind::Sqs => "sqs",
            SourceKind::SqsFifo => "sqs-fifo",
            SourceKind::Kafka => "kafka",
            SourceKind::Msk => "msk",
            SourceKind::EventHubs => "event-hubs",
            SourceKind::Dynamodb => "dynamodb",
            SourceKind::Sns => "sns",
            SourceKind::Firehose => "firehose",
            SourceKind::Eventbridge => "eventbridge",
            SourceKind::Http => "http",
        }
    }
}

impl Auth {
    /// The way as `anomaly.toml` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Auth::Iam => "iam",
            Auth::Secret => "secret",
            Auth::Plain => "plain",
            Auth::ScramSha256 => "scram-sha-256",
            Auth::ScramSha512 => "scram-sha-512",
            Auth::Mtls => "mtls",
            Auth::None => "none",
        }
    }
}

impl Source {
    /// How many shards the stream has that is made: `shards`, or 1.
    pub fn shards(&self) -> u32 {
        self.shards.unwrap_or(1)
    }

    /// How long the source keeps records, in hours: `retention`; else a week for a stream that is made, and a
    /// day, which is the least that is usual, for one that is there.
    pub fn retention_hours(&self) -> u32 {
        let is_made = self.kind == SourceKind::Kinesis && self.arn.is_none();
        self.retention.map_or(if is_made { 168 } else { 24 }, |hours| hours.0)
    }

    /// Records per invocation: `batch`; else 200, or 10 of a FIFO queue, which is the most there.
    pub fn batch(&self) -> u32 {
        self.batch.unwrap_or(if self.kind == SourceKind::SqsFifo { 10 } else { 200 })
    }

    /// The most pollers of a Kafka source: `pollers`, or 1.
    pub fn pollers(&self) -> u32 {
        self.pollers.unwrap_or(1)
    }

    /// How one side knows the other: `auth`; else by policies of AWS, and at an event hub by user name and
    /// password, which is all that its Kafka endpoint takes.
    pub fn auth(&self) -> Auth {
        self.auth.unwrap_or(if self.kind == SourceKind::EventHubs { Auth::Plain } else { Auth::Iam })
    }

    /// Whether the readings of a partition come in order, one after another: between two that came together none
    /// is missing. A table's stream is one partition of many shards, and Firehose passes on what is numbered and
    /// what is not.
    pub fn order(&self) -> Order {
        match self.kind {
            SourceKind::Kinesis | SourceKind::Kafka | SourceKind::Msk | SourceKind::EventHubs => Order::Kept,
            // Messages are taken off the queue one by one.
            SourceKind::SqsFifo => Order::Gaps,
            SourceKind::Sqs
            | SourceKind::Dynamodb
            | SourceKind::Sns
            | SourceKind::Firehose
            | SourceKind::Eventbridge
            | SourceKind::Http => Order::None,
        }
    }

    /// The groups of series: `groups`; else as many as the stream that is made has shards, and four for what
    /// is there, whose parts nobody has counted. More of them judge more side by side, and cut each batch into
    /// more chunks.
    pub fn groups(&self) -> Groups {
        let is_made = self.kind == SourceKind::Kinesis && self.arn.is_none();
        Groups::new(self.groups.unwrap_or(if is_made { self.shards() } else { 4 }))
    }
}
