//! What is wrong with `[source]`: keys that do not apply to the kind, keys it needs, values out of range.

use std::ops::RangeInclusive;

use super::SourceKind::{self, *};
use super::{Auth, Source};

/// Which kinds each optional key applies to. A test holds the keys against [`super::KEYS`].
const APPLIES: &[(&str, &[SourceKind])] = &[
    ("arn", &[Kinesis, Sqs, SqsFifo, Msk, Dynamodb, Sns]),
    ("shards", &[Kinesis]),
    ("retention", &[Kinesis, Kafka, Msk, EventHubs]),
    ("batch", &[Kinesis, Sqs, SqsFifo, Kafka, Msk, EventHubs, Dynamodb, Sns, Eventbridge]),
    ("kms_key", &[Kinesis, Sqs, SqsFifo, Kafka, Msk, EventHubs, Dynamodb]),
    ("bootstrap", &[Kafka]),
    ("namespace", &[EventHubs]),
    ("topic", &[Kafka, Msk, EventHubs]),
    ("consumer_group", &[Kafka, Msk, EventHubs]),
    ("auth", &[Kafka, Msk, Http]),
    ("secret", &[Kafka, Msk, EventHubs]),
    ("root_ca", &[Kafka]),
    ("subnets", &[Kafka, EventHubs]),
    ("security_groups", &[Kafka, EventHubs]),
    ("pollers", &[Kafka, Msk, EventHubs]),
    ("pattern", &[Eventbridge]),
    ("bus", &[Eventbridge]),
    ("direct", &[Sns, Eventbridge]),
    ("groups", &SourceKind::ALL),
];

/// An event pattern may have 2,048 characters (EventBridge quotas, "Event pattern size").
const PATTERN_CHARS_MAX: usize = 2_048;

impl Source {
    pub(in super::super) fn problems(&self, problems: &mut Vec<String>) {
        let strangers = self.strangers();
        let applies = strangers.is_empty();
        problems.extend(strangers);
        if !applies {
            // What else is missing depends on the kind that was meant.
            return;
        }
        let mut check = Check { source: self, problems };
        check.ranges();
        match self.kind {
            Kinesis | Sqs | SqsFifo | Dynamodb | Sns => check.arn(),
            Kafka | Msk | EventHubs => check.kafka(),
            Eventbridge => check.eventbridge(),
            Http => check.auth(&[Auth::Iam, Auth::Secret]),
            Firehose => {}
        }
    }

    /// The keys that were given and say nothing about this kind.
    fn strangers(&self) -> Vec<String> {
        let given = serde_json::to_value(self).unwrap_or_default();
        let is_given = |key: &str| given.get(key).is_some();
        let kind = self.kind;
        APPLIES
            .iter()
            .filter(|(key, kinds)| is_given(key) && !kinds.contains(&kind))
            .map(|(key, kinds)| {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
                let kinds = kinds.join(", ");
                format!("source.{key}: does not apply to kind = {:?}; it is for {kinds}", kind.as_str())
            })
            .collect()
    }
}

struct Check<'a> {
    source: &'a Source,
    problems: &'a mut Vec<String>,
}

impl Check<'_> {
    fn problem(&mut self, key: &str, text: &str) {
        self.problems.push(format!("source.{key}: {text}"));
    }

    fn range(&mut self, key: &str, value: Option<u32>, range: RangeInclusive<u32>) {
        if let Some(value) = value.filter(|value| !range.contains(value)) {
            self.problem(key, &format!("{value} is not {} to {}", range.start(), range.end()));
        }
    }

    fn ranges(&mut self) {
        let source = self.source;
        self.range("shards", source.shards, 1..=10_000);
        // The least of Kinesis is a day. An event hub may keep records for an hour, in which there would be no
        // time to give up on one and keep it.
        let least = if source.kind == Kinesis { 24 } else { 2 };
        if let Some(hours) = source.retention.filter(|hours| !(least..=8_760).contains(&hours.0)) {
            self.problem("retention", &format!("\"{hours}\" is not {least}h to 365d"));
        }
        // Lambda API reference, `BatchSize`: 10 for FIFO queues.
        self.range("batch", source.batch, 1..=if source.kind == SqsFifo { 10 } else { 10_000 });
        self.range("pollers", source.pollers, 1..=2_000);
        self.range("groups", source.groups, 1..=10_000);
        if let Some(key) =
            source.kms_key.as_deref().filter(|key| !is_arn(key, "kms", |it| it.starts_with("key/")))
        {
            self.problem(
                "kms_key",
                &format!("{key:?} is no ARN of a key, arn:aws:kms:REGION:ACCOUNT:key/ID"),
            );
        }
        if source.direct && source.batch.is_some() {
            self.problem("batch", "does not apply with direct = true: each record is a call of its own");
        }
    }

    fn arn(&mut self) {
        let Source { kind, arn, shards, kms_key, direct, .. } = self.source;
        let (service, form) = form(*kind);
        match arn.as_deref() {
            Some(arn) if !is_arn(arn, service, |resource| is_resource(*kind, resource)) => {
                self.problem("arn", &format!("{arn:?} is not {form}"));
            }
            None if *kind == Dynamodb || *kind == Msk => self.missing("arn", form),
            _ => {}
        }
        if arn.is_some() && shards.is_some() {
            self.problem("shards", "does not apply with arn: the stream that is there has its own");
        }
        if arn.is_none() && kms_key.is_some() && matches!(kind, Kinesis | Sqs | SqsFifo) {
            self.problem("kms_key", "applies with arn only: what is made is encrypted with a key of AWS'");
        }
        if *direct && arn.as_deref().is_some_and(|arn| arn.ends_with(".fifo")) {
            self.problem("direct", "a FIFO topic delivers to queues only; leave it out");
        }
    }

    fn missing(&mut self, key: &str, what: &str) {
        let kind = self.source.kind.as_str();
        self.problem(key, &format!("not set; kind = {kind:?} needs {what}"));
    }

    fn kafka(&mut self) {
        match self.source.kind {
            Kafka => self.bootstrap(),
            Msk => self.arn(),
            _ => self.namespace(),
        }
        self.topic();
        self.network();
        match self.source.kind {
            Kafka => self.auth(&[Auth::Plain, Auth::ScramSha256, Auth::ScramSha512, Auth::Mtls, Auth::None]),
            Msk => self.auth(&[Auth::Iam, Auth::ScramSha512, Auth::Mtls, Auth::None]),
            _ => {}
        }
        self.secrets();
    }

    fn bootstrap(&mut self) {
        let brokers = &self.source.bootstrap;
        if brokers.is_empty() {
            self.missing("bootstrap", "at least one broker, as [\"host:port\"]");
        }
        if brokers.len() > 10 {
            self.problem("bootstrap", &format!("{} brokers; at most 10", brokers.len()));
        }
        for broker in brokers {
            let is_broker = broker.rsplit_once(':').is_some_and(|(host, port)| {
                is_made_of(host, 1..=253, ".-") && port.parse::<u16>().is_ok_and(|port| port > 0)
            });
            if !is_broker {
                self.problem("bootstrap", &format!("{broker:?} is not host:port"));
            }
        }
    }

    fn namespace(&mut self) {
        match self.source.namespace.as_deref() {
            None => {
                self.missing("namespace", "the namespace, such as \"mine\" of mine.servicebus.windows.net")
            }
            Some(name) if !is_made_of(name, 1..=253, ".-") => {
                self.problem("namespace", &format!("{name:?} is neither a name nor a host"));
            }
            Some(_) => {}
        }
    }

    fn topic(&mut self) {
        let Source { kind, topic, consumer_group, .. } = self.source;
        let what = if *kind == EventHubs { "the event hub's name" } else { "the topic to read" };
        match topic.as_deref() {
            None => self.missing("topic", what),
            // Lambda API reference, `Topic`.
            Some(topic) if !is_made_of(topic, 1..=249, "._-") || topic.starts_with('.') => {
                self.problem("topic", &format!("{topic:?} is no name of a topic"));
            }
            Some(_) => {}
        }
        // Lambda API reference, `ConsumerGroupId`; an event hub's own `$Default` is no group of Kafka's.
        if let Some(group) =
            consumer_group.as_deref().filter(|group| !is_made_of(group, 1..=200, "-/*:_+=.@"))
        {
            self.problem(
                "consumer_group",
                &format!("{group:?} is not 1 to 200 letters, digits and -/*:_+=.@"),
            );
        }
    }

    fn network(&mut self) {
        let Source { subnets, security_groups, .. } = self.source;
        for (key, ids, prefix, max) in
            [("subnets", subnets, "subnet-", 16), ("security_groups", security_groups, "sg-", 5)]
        {
            if ids.len() > max {
                self.problem(key, &format!("{} of them; at most {max}", ids.len()));
            }
            for id in ids {
                let is_id = id.strip_prefix(prefix).is_some_and(|rest| is_made_of(rest, 1..=32, ""));
                if !is_id {
                    self.problem(key, &format!("{id:?} does not look like {prefix}0123456789abcdef0"));
                }
            }
        }
        match (subnets.is_empty(), security_groups.is_empty()) {
            (false, true) => self.problem("security_groups", "not set; subnets need at least one"),
            (true, false) => self.problem("subnets", "not set; security_groups need at least one"),
            _ => {}
        }
    }

    fn auth(&mut self, ways: &[Auth]) {
        let listed = ways.iter().map(|way| way.as_str()).collect::<Vec<_>>().join(", ");
        match self.source.auth {
            // Of Kafka there is no way that most clusters take, and a wrong one shows only at run time.
            None if self.source.kind == Kafka => self.missing("auth", &format!("one of {listed}")),
            Some(auth) if !ways.contains(&auth) => {
                let (kind, auth) = (self.source.kind.as_str(), auth.as_str());
                self.problem(
                    "auth",
                    &format!("{auth:?} does not apply to kind = {kind:?}; there are {listed}"),
                );
            }
            _ => {}
        }
    }

    fn secrets(&mut self) {
        let Source { kind, secret, root_ca, subnets, kms_key, .. } = self.source;
        let auth = self.source.auth();
        for (key, arn) in [("secret", secret), ("root_ca", root_ca)] {
            let is_secret = |arn: &&String| is_arn(arn, "secretsmanager", |it| it.starts_with("secret:"));
            if let Some(arn) = arn.as_ref().filter(|arn| !is_secret(arn)) {
                let form = "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME";
                self.problem(key, &format!("{arn:?} is no ARN of a secret, {form}"));
            }
        }
        let by_certificate = auth == Auth::Mtls;
        if secret.is_none() && (by_certificate || (*kind == Msk && auth == Auth::ScramSha512)) {
            // A certificate is no parameter to type in, and MSK takes only a secret that the cluster knows.
            let auth = auth.as_str();
            self.problem("secret", &format!("not set; auth = {auth:?} needs a secret that is there"));
        }
        if *kind == Msk && auth == Auth::ScramSha512 && kms_key.is_none() {
            // MSK developer guide, "Sign-in credentials authentication": no secret under a key of AWS'.
            self.problem("kms_key", "not set; MSK takes only secrets under a key of your own");
        }
        let asks_for_none = auth == Auth::None || (*kind == Msk && auth == Auth::Iam);
        if secret.is_some() && asks_for_none {
            self.problem("secret", &format!("does not apply to auth = {:?}", auth.as_str()));
        }
        if *kind == Kafka && auth == Auth::None && subnets.is_empty() {
            self.problem("auth", "\"none\" needs subnets: brokers on the internet must ask who comes");
        }
        if kms_key.is_some() && secret.is_none() && root_ca.is_none() {
            self.problem("kms_key", "applies with secret only: what is made is encrypted with a key of AWS'");
        }
    }

    fn eventbridge(&mut self) {
        let Source { pattern, bus, .. } = self.source;
        match pattern {
            None => self.missing("pattern", "a pattern of events, such as { source = [\"my.app\"] }"),
            Some(pattern) if pattern.is_empty() => self.problem("pattern", "empty; name at least one field"),
            Some(pattern) => {
                let chars = serde_json::to_string(pattern).unwrap_or_default().chars().count();
                if chars > PATTERN_CHARS_MAX {
                    self.problem("pattern", &format!("{chars} characters; at most {PATTERN_CHARS_MAX}"));
                }
            }
        }
        let is_bus = |bus: &&str| {
            is_made_of(bus, 1..=256, "/.-_") || is_arn(bus, "events", |it| it.starts_with("event-bus/"))
        };
        if let Some(bus) = bus.as_deref().filter(|bus| !is_bus(bus)) {
            self.problem("bus", &format!("{bus:?} is neither a name nor an ARN of a bus"));
        }
    }
}

/// What `arn` names for a kind: the service, and the ARN's form in words.
fn form(kind: SourceKind) -> (&'static str, &'static str) {
    match kind {
        Sqs => ("sqs", "an ARN of a standard queue, arn:aws:sqs:REGION:ACCOUNT:NAME"),
        SqsFifo => ("sqs", "an ARN of a FIFO queue, arn:aws:sqs:REGION:ACCOUNT:NAME.fifo"),
        Sns => ("sns", "an ARN of a topic, arn:aws:sns:REGION:ACCOUNT:NAME"),
        Dynamodb => (
            "dynamodb",
            "an ARN of a table's stream, arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL",
        ),
        Msk => ("kafka", "an ARN of a cluster, arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/ID"),
        _ => ("kinesis", "an ARN of a stream, arn:aws:kinesis:REGION:ACCOUNT:stream/NAME"),
    }
}

/// Whether `resource`, the end of an ARN, is what `arn` names for `kind`.
fn is_resource(kind: SourceKind, resource: &str) -> bool {
    let parts: Vec<&str> = resource.split('/').collect();
    match (kind, parts.as_slice()) {
        (Sqs, [name]) => !name.ends_with(".fifo"),
        (SqsFifo, [name]) => name.ends_with(".fifo"),
        (Sns, [name]) => !name.contains(':'),
        (Dynamodb, ["table", table, "stream", label]) => !table.is_empty() && !label.is_empty(),
        (Msk, ["cluster", name, id]) => !name.is_empty() && !id.is_empty(),
        (Kinesis, ["stream", name]) => !name.is_empty(),
        _ => false,
    }
}

/// Whether `text` is `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE` of that service and such a resource.
fn is_arn(text: &str, service: &str, is_resource: impl Fn(&str) -> bool) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", partition, of, region, account, resource] => {
            partition.starts_with("aws")
                && *of == service
                && !region.is_empty()
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && !resource.is_empty()
                && is_resource(resource)
        }
        _ => false,
    }
}

/// Whether `text` has so many characters, all of them ASCII letters, digits or one of `more`.
fn is_made_of(text: &str, chars: RangeInclusive<usize>, more: &str) -> bool {
    chars.contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

#[cfg(test)]
mod tests;
