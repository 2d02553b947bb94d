//! The stacks of all sources, deployed on the cloud of this machine: what one part names, another has, and what is
//! typed in becomes what is read.
//!
//! What that cloud does not do (poll Kafka, retry, keep what failed) or not ask for (leave to poll a queue, leave to
//! call a function) is asserted in `templates.rs` and in the files of `crates/anomaly-provision/tests/sources`.

use std::time::Duration;

use anomaly_tests::binaries;
use anomaly_tests::cloud::Cloud;
use anomaly_tests::ministack::MiniStack;
use anomaly_tests::poll;
use anomaly_tests::rig::Rig;
use anomaly_tests::stack::Stack;
use anomaly_tests::template::{self, NO_MODEL};
use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

const BUCKET: &str = "code";

/// The connection string of one hub: its end has to go.
const CONNECTION_STRING: &str = "Endpoint=sb://mine.servicebus.windows.net/;SharedAccessKeyName=read;SharedAccessKey=a+b/c=;EntityPath=records";
/// What callers of the URL bring, and its SHA-256.
const SECRET: &str = "open sesame";
const SHA256: &str = "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";

/// How long a record may take through the house.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(60);

/// What somebody who deploys the source types in.
fn typed_in(name: &str) -> &'static [(&'static str, &'static str)] {
    match name {
        "event-hubs" => &[("EventHubsConnectionString", CONNECTION_STRING)],
        "kafka" => &[("KafkaUsername", "reader"), ("KafkaPassword", "it's $ecret: ${Dead}")],
        "http-secret" => &[("HttpSecretSha256", SHA256)],
        _ => &[],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_of_every_source_stands_up() -> Result<()> {
    let Some(rig) = Rig::find("the_stack_of_every_source_stands_up")? else { return Ok(()) };
    let ministack = MiniStack::start(&rig, "http://127.0.0.1:1").await?;
    let cloud = with_code(&ministack).await?;
    for (name, toml) in template::sources()? {
        deploy(&cloud, &name, &toml, typed_in(&name)).await.with_context(|| name.clone())?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_in_to_log_in_with_becomes_the_secret_that_brokers_ask_for() -> Result<()> {
    let test = "what_is_typed_in_to_log_in_with_becomes_the_secret_that_brokers_ask_for";
    let Some(rig) = Rig::find(test)? else { return Ok(()) };
    let ministack = MiniStack::start(&rig, "http://127.0.0.1:1").await?;
    let cloud = with_code(&ministack).await?;
    let (namespace, _) = CONNECTION_STRING.split_once(";EntityPath").context("a hub's own string")?;
    let expected =
        [("event-hubs", "$ConnectionString", namespace), ("kafka", "reader", "it's $ecret: ${Dead}")];
    for (name, username, password) in expected {
        let stack = deploy(&cloud, name, &of_name(name)?, typed_in(name)).await?;
        let secret: Value = serde_json::from_str(&cloud.secret(stack.resource("SourceSecret")?).await?)?;
        let wanted = json!({ "username": username, "password": password });
        ensure!(secret == wanted, "{name}: the secret is {secret}");
    }
    Ok(())
}

/// Whatever the way in: the template's mapping and permissions bring a record to `invoke`, and the role it has there
/// takes the record on. That it becomes an alert shows in the outbox.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_each_source_becomes_an_alert() -> Result<()> {
    let Some(rig) = Rig::find("a_record_of_each_source_becomes_an_alert")? else { return Ok(()) };
    let ministack = MiniStack::start(&rig, "http://127.0.0.1:1").await?;
    let cloud = with_code(&ministack).await?;
    cloud.ask("AWSEvents.CreateEventBus", &json!({ "Name": "metrics" })).await?;
    let table = cloud.make_table("metrics").await?;
    let there = [("SourceArn", table.as_str())];
    for name in WAYS_IN {
        let parameters = if *name == "dynamodb" { &there[..] } else { typed_in(name) };
        let stack = deploy(&cloud, name, &judging_values(name)?, parameters).await?;
        send(&cloud, name, &stack).await.with_context(|| format!("{name}: sending"))?;
        let outbox = stack.output("OutboxTable")?;
        poll::until("an alert", ARRIVAL_LIMIT, || async {
            let rows = cloud.dynamodb.scan().table_name(outbox).send().await?;
            Ok((rows.count() > 0).then_some(()))
        })
        .await
        .with_context(|| (*name).to_owned())?;
    }
    Ok(())
}

/// Kafka cannot be polled here, and Firehose and Kinesis have tests of their own.
const WAYS_IN: &[&str] =
    &["sqs", "sqs-fifo", "sns", "sns-direct", "eventbridge", "eventbridge-direct", "dynamodb", "http-secret"];

/// A reading that the rule of [`NO_MODEL`] takes for an alert.
fn reading() -> Value {
    json!({ "series": "boiler", "value": 9.5 })
}

async fn send(cloud: &Cloud, name: &str, stack: &Stack) -> Result<()> {
    let reading = reading().to_string();
    match name {
        "sqs" => {
            let queue = stack.output("RecordQueueUrl")?;
            cloud.sqs.send_message().queue_url(queue).message_body(reading).send().await?;
        }
        "sqs-fifo" => {
            let send = cloud.sqs.send_message().queue_url(stack.output("RecordQueueUrl")?);
            let send = send.message_group_id("boiler").message_deduplication_id("1");
            send.message_body(reading).send().await?;
        }
        "sns" | "sns-direct" => {
            let topic = stack.output("RecordTopicArn")?;
            cloud.sns.publish().topic_arn(topic).message(reading).send().await?;
        }
        "eventbridge" | "eventbridge-direct" => {
            let bus = if name == "eventbridge" { "metrics" } else { "default" };
            let entry = json!({ "Source": "my.app", "DetailType": "measured", "Detail": reading, "EventBusName": bus });
            cloud.ask("AWSEvents.PutEvents", &json!({ "Entries": [entry] })).await?;
        }
        "dynamodb" => {
            let put = cloud.dynamodb.put_item().table_name("metrics");
            let put = put.item("id", AttributeValue::S("1".to_owned()));
            let put = put.item("series", AttributeValue::S("boiler".to_owned()));
            put.item("value", AttributeValue::N("9.5".to_owned())).send().await?;
        }
        "http-secret" => {
            let url = stack.output("RecordUrl")?;
            let refused = cloud.post(url, &[], reading.clone().into_bytes()).await?;
            ensure!(refused == 401, "without the secret the answer is {refused}");
            let taken = cloud.post(url, &[("x-anomaly-secret", SECRET)], reading.into_bytes()).await?;
            ensure!(taken == 200, "with the secret the answer is {taken}");
        }
        other => anyhow::bail!("no way to send to {other}"),
    }
    Ok(())
}

/// [`NO_MODEL`] with the source `name`.
fn judging_values(name: &str) -> Result<String> {
    let source = of_name(name)?;
    let cut = |toml: &str| toml.split_once("[source]").map(|(a, b)| (a.to_owned(), b.to_owned()));
    let ((judging, _), (_, source)) = cut(NO_MODEL).zip(cut(&source)).context("both have a [source]")?;
    Ok(format!("{judging}[source]{source}"))
}

async fn with_code(ministack: &MiniStack) -> Result<Cloud> {
    let cloud = Cloud::of(ministack)?;
    cloud.make_bucket(BUCKET).await?;
    for program in ["invoke", "classify", "publish"] {
        cloud.put_object(&format!("{BUCKET}/{program}.zip"), binaries::archive(program)?).await?;
    }
    Ok(cloud)
}

/// The configuration with the source `name`.
fn of_name(name: &str) -> Result<String> {
    let found = template::sources()?.into_iter().find(|(known, _)| known == name);
    Ok(found.with_context(|| format!("there is no source {name}"))?.1)
}

async fn deploy(cloud: &Cloud, name: &str, toml: &str, more: &[(&str, &str)]) -> Result<Stack> {
    let mut parameters = vec![("CodeBucket", BUCKET), ("CodePrefix", "")];
    parameters.extend(more);
    Stack::deploy(cloud, name, &template::pipeline(toml)?, &parameters).await
}
