//! One configuration of each kind that holds, and what is said of those that do not.

use expect_test::{Expect, expect};

use super::*;
use crate::config::Config;

fn read(source: &str) -> Result<Config, crate::config::ConfigError> {
    Config::from_toml(&format!("[source]\n{source}\n"))
}

fn refused(source: &str, expected: Expect) {
    expected.assert_eq(&read(source).expect_err("is refused").to_string());
}

#[test]
fn each_kind_has_a_configuration_that_holds() {
    let sources = [
        ("", Kinesis),
        (
            "kind = \"kinesis\"\narn = \"arn:aws:kinesis:eu-west-1:123456789012:stream/s\"\nretention = \"2d\"",
            Kinesis,
        ),
        ("kind = \"sqs\"", Sqs),
        ("kind = \"sqs\"\narn = \"arn:aws:sqs:eu-west-1:123456789012:q\"", Sqs),
        ("kind = \"sqs-fifo\"\nbatch = 10", SqsFifo),
        ("kind = \"kafka\"\nbootstrap = [\"b:9093\"]\ntopic = \"t\"\nauth = \"scram-sha-256\"", Kafka),
        (
            "kind = \"kafka\"\nbootstrap = [\"10.0.0.1:9092\"]\ntopic = \"t\"\nauth = \"none\"\n\
             subnets = [\"subnet-1\"]\nsecurity_groups = [\"sg-1\"]",
            Kafka,
        ),
        ("kind = \"msk\"\narn = \"arn:aws:kafka:eu-west-1:123456789012:cluster/c/1-2\"\ntopic = \"t\"", Msk),
        ("kind = \"event-hubs\"\nnamespace = \"n\"\ntopic = \"hub\"", EventHubs),
        (
            "kind = \"dynamodb\"\narn = \"arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/2026-01-01T00:00:00.000\"",
            Dynamodb,
        ),
        ("kind = \"sns\"", Sns),
        ("kind = \"sns\"\ndirect = true", Sns),
        ("kind = \"firehose\"", Firehose),
        ("kind = \"eventbridge\"\npattern = { source = [\"my.app\"] }", Eventbridge),
        ("kind = \"http\"", Http),
        ("kind = \"http\"\nauth = \"secret\"", Http),
    ];
    for (source, kind) in sources {
        let config = read(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        assert_eq!(config.source.kind, kind);
        assert_eq!(Config::from_json(&config.to_json()).as_ref(), Ok(&config), "{source}");
    }
    assert_eq!(SourceKind::ALL.map(|kind| sources.iter().any(|(_, k)| *k == kind)), [true; 11]);
}

#[test]
fn kinds_and_ways_are_written_as_they_are_read() {
    for kind in SourceKind::ALL {
        assert_eq!(serde_json::to_value(kind).expect("serializes"), kind.as_str());
    }
    for way in ["iam", "secret", "plain", "scram-sha-256", "scram-sha-512", "mtls", "none"] {
        let read: Auth = serde_json::from_value(way.into()).expect("is a way");
        assert_eq!(read.as_str(), way);
    }
}

/// A key that is not in the table would apply to every kind.
#[test]
fn every_key_applies_to_some_kind() {
    let known: Vec<&str> =
        super::super::KEYS.iter().map(|(key, _)| *key).filter(|key| *key != "kind").collect();
    let applies: Vec<&str> = APPLIES.iter().map(|(key, _)| *key).collect();
    assert_eq!(known, applies);
}

#[test]
fn a_key_that_does_not_apply_names_the_kinds_it_is_for() {
    refused(
        "kind = \"sqs\"\nshards = 2\ntopic = \"t\"\ndirect = true",
        expect![[r#"
            the configuration has 3 problems:
              source.shards: does not apply to kind = "sqs"; it is for kinesis
              source.topic: does not apply to kind = "sqs"; it is for kafka, msk, event-hubs
              source.direct: does not apply to kind = "sqs"; it is for sns, eventbridge"#]],
    );
    refused(
        "kind = \"http\"\nbatch = 5",
        expect![[
            r#"the configuration has a problem: source.batch: does not apply to kind = "http"; it is for kinesis, sqs, sqs-fifo, kafka, msk, event-hubs, dynamodb, sns, eventbridge"#
        ]],
    );
}

#[test]
fn what_a_kind_needs_is_asked_for_at_once() {
    refused(
        "kind = \"kafka\"",
        expect![[r#"
        the configuration has 3 problems:
          source.bootstrap: not set; kind = "kafka" needs at least one broker, as ["host:port"]
          source.topic: not set; kind = "kafka" needs the topic to read
          source.auth: not set; kind = "kafka" needs one of plain, scram-sha-256, scram-sha-512, mtls, none"#]],
    );
    refused(
        "kind = \"event-hubs\"",
        expect![[r#"
        the configuration has 2 problems:
          source.namespace: not set; kind = "event-hubs" needs the namespace, such as "mine" of mine.servicebus.windows.net
          source.topic: not set; kind = "event-hubs" needs the event hub's name"#]],
    );
    refused(
        "kind = \"msk\"",
        expect![[r#"
        the configuration has 2 problems:
          source.arn: not set; kind = "msk" needs an ARN of a cluster, arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/ID
          source.topic: not set; kind = "msk" needs the topic to read"#]],
    );
    refused(
        "kind = \"dynamodb\"",
        expect![[
            r#"the configuration has a problem: source.arn: not set; kind = "dynamodb" needs an ARN of a table's stream, arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL"#
        ]],
    );
    refused(
        "kind = \"eventbridge\"",
        expect![[
            r#"the configuration has a problem: source.pattern: not set; kind = "eventbridge" needs a pattern of events, such as { source = ["my.app"] }"#
        ]],
    );
    refused(
        "kind = \"kafka\"\nbootstrap = [\"b:9093\"]\ntopic = \"t\"\nauth = \"mtls\"\nsubnets = [\"subnet-1\"]",
        expect![[r#"
            the configuration has 2 problems:
              source.security_groups: not set; subnets need at least one
              source.secret: not set; auth = "mtls" needs a secret that is there"#]],
    );
    refused(
        "kind = \"msk\"\narn = \"arn:aws:kafka:eu-west-1:123456789012:cluster/c/1\"\ntopic = \"t\"\nauth = \"scram-sha-512\"",
        expect![[r#"
            the configuration has 2 problems:
              source.secret: not set; auth = "scram-sha-512" needs a secret that is there
              source.kms_key: not set; MSK takes only secrets under a key of your own"#]],
    );
}

#[test]
fn values_are_in_their_ranges_and_forms() {
    refused(
        "shards = 0\nretention = \"23h\"\nbatch = 10001",
        expect![[r#"
        the configuration has 3 problems:
          source.shards: 0 is not 1 to 10000
          source.retention: "23h" is not 24h to 365d
          source.batch: 10001 is not 1 to 10000"#]],
    );
    refused(
        "kind = \"sqs-fifo\"\nbatch = 11\narn = \"arn:aws:sqs:eu-west-1:123456789012:q\"",
        expect![[r#"
        the configuration has 2 problems:
          source.batch: 11 is not 1 to 10
          source.arn: "arn:aws:sqs:eu-west-1:123456789012:q" is not an ARN of a FIFO queue, arn:aws:sqs:REGION:ACCOUNT:NAME.fifo"#]],
    );
    refused(
        "kind = \"kafka\"\nbootstrap = [\"https://b:9093\", \"b\", \"b:0\"]\ntopic = \".t\"\nauth = \"iam\"\npollers = 0\n\
         retention = \"1h\"\nconsumer_group = \"$Default\"\nsecret = \"s\"\nroot_ca = \"arn:aws:s3:::b\"\n\
         subnets = [\"vpc-1\"]\nsecurity_groups = [\"1\"]\nkms_key = \"alias/k\"",
        expect![[r#"
            the configuration has 13 problems:
              source.retention: "1h" is not 2h to 365d
              source.pollers: 0 is not 1 to 2000
              source.kms_key: "alias/k" is no ARN of a key, arn:aws:kms:REGION:ACCOUNT:key/ID
              source.bootstrap: "https://b:9093" is not host:port
              source.bootstrap: "b" is not host:port
              source.bootstrap: "b:0" is not host:port
              source.topic: ".t" is no name of a topic
              source.consumer_group: "$Default" is not 1 to 200 letters, digits and -/*:_+=.@
              source.subnets: "vpc-1" does not look like subnet-0123456789abcdef0
              source.security_groups: "1" does not look like sg-0123456789abcdef0
              source.auth: "iam" does not apply to kind = "kafka"; there are plain, scram-sha-256, scram-sha-512, mtls, none
              source.secret: "s" is no ARN of a secret, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME
              source.root_ca: "arn:aws:s3:::b" is no ARN of a secret, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME"#]],
    );
    refused(
        "kind = \"event-hubs\"\nnamespace = \"sb://n/\"\ntopic = \"a b\"",
        expect![[r#"
        the configuration has 2 problems:
          source.namespace: "sb://n/" is neither a name nor a host
          source.topic: "a b" is no name of a topic"#]],
    );
    refused(
        "kind = \"eventbridge\"\npattern = {}\nbus = \"a bus\"",
        expect![[r#"
        the configuration has 2 problems:
          source.pattern: empty; name at least one field
          source.bus: "a bus" is neither a name nor an ARN of a bus"#]],
    );
    refused(
        "kind = \"sns\"\narn = \"arn:aws:sqs:eu-west-1:123456789012:q\"",
        expect![[
            r#"the configuration has a problem: source.arn: "arn:aws:sqs:eu-west-1:123456789012:q" is not an ARN of a topic, arn:aws:sns:REGION:ACCOUNT:NAME"#
        ]],
    );
    refused(
        "kind = \"http\"\nauth = \"plain\"",
        expect![[
            r#"the configuration has a problem: source.auth: "plain" does not apply to kind = "http"; there are iam, secret"#
        ]],
    );
    refused(
        "retention = \"7 days\"",
        expect![[
            r#"the configuration has a problem: line 2: "7 days" is no whole number of hours or days, such as "24h" or "7d""#
        ]],
    );
}

#[test]
fn what_cannot_be_together_is_said() {
    refused(
        "arn = \"arn:aws:kinesis:eu-west-1:123456789012:stream/s\"\nshards = 2",
        expect![
            "the configuration has a problem: source.shards: does not apply with arn: the stream that is there has its own"
        ],
    );
    refused(
        "kind = \"sqs\"\nkms_key = \"arn:aws:kms:eu-west-1:123456789012:key/1\"",
        expect![
            "the configuration has a problem: source.kms_key: applies with arn only: what is made is encrypted with a key of AWS'"
        ],
    );
    refused(
        "kind = \"sns\"\ndirect = true\nbatch = 10",
        expect![
            "the configuration has a problem: source.batch: does not apply with direct = true: each record is a call of its own"
        ],
    );
    refused(
        "kind = \"sns\"\ndirect = true\narn = \"arn:aws:sns:eu-west-1:123456789012:t.fifo\"",
        expect![
            "the configuration has a problem: source.direct: a FIFO topic delivers to queues only; leave it out"
        ],
    );
    refused(
        "kind = \"kafka\"\nbootstrap = [\"b:9092\"]\ntopic = \"t\"\nauth = \"none\"\n\
         secret = \"arn:aws:secretsmanager:eu-west-1:123456789012:secret:s\"",
        expect![[r#"
            the configuration has 2 problems:
              source.secret: does not apply to auth = "none"
              source.auth: "none" needs subnets: brokers on the internet must ask who comes"#]],
    );
    refused(
        "kind = \"event-hubs\"\nnamespace = \"n\"\ntopic = \"t\"\nkms_key = \"arn:aws:kms:eu-west-1:123456789012:key/1\"",
        expect![
            "the configuration has a problem: source.kms_key: applies with secret only: what is made is encrypted with a key of AWS'"
        ],
    );
}

#[test]
fn what_is_not_said_has_a_value() {
    let source = |toml: &str| read(toml).expect("valid").source;
    let made = source("");
    assert_eq!((made.shards(), made.retention_hours(), made.batch(), made.pollers()), (1, 168, 200, 1));
    let given = source("arn = \"arn:aws:kinesis:eu-west-1:123456789012:stream/s\"");
    assert_eq!(given.retention_hours(), 24);
    assert_eq!(source("kind = \"sqs-fifo\"").batch(), 10);
    assert_eq!(source("kind = \"http\"").auth(), Auth::Iam);
    assert_eq!(source("kind = \"event-hubs\"\nnamespace = \"n\"\ntopic = \"t\"").auth(), Auth::Plain);
}
