//! A topic of a Kafka cluster: one's own, Amazon's, or the Kafka endpoint of an Azure Event Hubs namespace.
//!
//! Always with pollers of our own (provisioned mode): without them Lambda knows no partial answers here, no limit
//! of retries and no halves, and would step over records that `invoke` wants again.

use anomaly_core::config::{Auth, Source, SourceKind};

use super::{ARN, Part, dead, login};
use crate::permission::{Statement, allow};
use crate::value::{Entry, Value, join, map, reference, split, sub};

/// The port of an Event Hubs namespace that speaks Kafka (Azure documentation, "Event Hubs for Apache Kafka").
const EVENT_HUBS_PORT: u16 = 9_093;
/// The domain of namespaces in Azure's public cloud.
const EVENT_HUBS_DOMAIN: &str = "servicebus.windows.net";

pub(super) fn part(source: &Source) -> Part {
    let login = login::of(source);
    let is_msk = source.kind == SourceKind::Msk;
    let cluster = is_msk.then(|| super::arn_parameter(source, "kafka", "The MSK cluster to read")).flatten();
    let statements = is_msk
        .then(|| cluster_statements(source))
        .into_iter()
        .flatten()
        .chain(login.statements)
        .chain(network(source))
        .chain(dead::keep_failed_batches());
    let mut access = login.access;
    access.extend(from_network(source));
    let access = (!access.is_empty()).then(|| Entry::new("SourceAccessConfigurations", access));
    let particular = cluster_entries(source).into_iter().chain(access).chain([
        // LATEST may miss what is written while the mapping is being made.
        Entry::new("StartingPosition", "TRIM_HORIZON"),
        Entry::new(
            "ProvisionedPollerConfig",
            map! { "MinimumPollers": 1_u32, "MaximumPollers": source.pollers() },
        ),
    ]);
    let patient = super::patient(super::record_age_s_max(source.retention_hours()));
    let metrics = super::metrics(["EventCount", "ErrorCount"]);
    let mapping = super::mapping(source, particular.chain(patient).chain([metrics]));
    Part {
        parameters: cluster.into_iter().chain(login.parameters).collect(),
        resources: login.resources,
        statements: statements.collect(),
        calls: vec![mapping.because(super::PATIENT)],
        ..Part::default()
    }
}

/// Which cluster, topic and group.
fn cluster_entries(source: &Source) -> Vec<Entry> {
    let topics = Entry::new("Topics", vec![Value::from(source.topic.as_deref().unwrap_or_default())]);
    let group = map! { "ConsumerGroupId": group(source) };
    if source.kind == SourceKind::Msk {
        return vec![
            Entry::new("EventSourceArn", reference(ARN)),
            topics,
            Entry::new("AmazonManagedKafkaEventSourceConfig", group),
        ];
    }
    let brokers = brokers(source).into_iter().map(Value::from).collect::<Vec<_>>();
    let endpoints = map! { "KafkaBootstrapServers": brokers };
    vec![
        Entry::new("SelfManagedEventSource", map! { "Endpoints": endpoints }),
        topics,
        Entry::new("SelfManagedKafkaEventSourceConfig", group),
    ]
}

fn brokers(source: &Source) -> Vec<String> {
    match source.namespace.as_deref() {
        Some(host) if host.contains('.') => vec![format!("{host}:{EVENT_HUBS_PORT}")],
        Some(name) => vec![format!("{name}.{EVENT_HUBS_DOMAIN}:{EVENT_HUBS_PORT}")],
        None => source.bootstrap.clone(),
    }
}

/// Named, so that a mapping that is made anew goes on where the last one stopped.
fn group(source: &Source) -> Value {
    source.consumer_group.as_deref().map_or_else(|| sub("${AWS::StackName}-invoke"), Value::from)
}

/// What MSK asks of who reads (Lambda developer guide, "Configuring permissions for Amazon MSK").
fn cluster_statements(source: &Source) -> Vec<Statement> {
    let cluster = [reference(ARN)];
    let find = allow(
        "FindBrokers",
        ["kafka:DescribeCluster", "kafka:DescribeClusterV2", "kafka:GetBootstrapBrokers"],
        cluster.clone(),
    );
    let more = match source.auth() {
        Auth::Iam => vec![
            allow(
                "Connect",
                ["kafka-cluster:Connect", "kafka-cluster:DescribeClusterDynamicConfiguration"],
                cluster,
            ),
            allow(
                "ReadTopic",
                ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"],
                [beside_cluster("topic", source.topic.as_deref().unwrap_or_default().into())],
            ),
            allow(
                "JoinGroup",
                ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"],
                [beside_cluster("group", group(source))],
            ),
        ],
        Auth::ScramSha512 => vec![allow("FindSecret", ["kafka:ListScramSecrets"], cluster)],
        _ => Vec::new(),
    };
    [find].into_iter().chain(more).collect()
}

/// The ARN of a topic or group of the cluster: `…:cluster/NAME/ID` is `…:topic/NAME/ID/TOPIC`.
fn beside_cluster(kind: &str, name: Value) -> Value {
    let moved = join(&format!(":{kind}/"), split(":cluster/", reference(ARN)));
    join("", Value::List(vec![moved, "/".into(), name]))
}

/// What Lambda needs to reach brokers inside a network. Lambda's guide has these on every resource: it asks before
/// there is an interface to name.
fn network(source: &Source) -> Option<Statement> {
    let is_inside = source.kind == SourceKind::Msk || !source.subnets.is_empty();
    is_inside.then(|| {
        allow(
            "ReachBrokers",
            [
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            ["*".into()],
        )
    })
}

fn from_network(source: &Source) -> impl Iterator<Item = Value> {
    let subnets = source.subnets.iter().map(|id| ("VPC_SUBNET", format!("subnet:{id}")));
    let groups =
        source.security_groups.iter().map(|id| ("VPC_SECURITY_GROUP", format!("security_group:{id}")));
    subnets.chain(groups).map(|(kind, uri)| map! { "Type": kind, "URI": uri })
}
