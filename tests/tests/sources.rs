//! The stacks of all sources, deployed on the cloud of this machine: what one part names, another has, and what is
//! typed in becomes what is read.
//!
//! What that cloud does not do with them (polling Kafka, retries, destinations) is asserted in `templates.rs`.

use anomaly_tests::binaries;
use anomaly_tests::cloud::Cloud;
use anomaly_tests::ministack::MiniStack;
use anomaly_tests::rig::Rig;
use anomaly_tests::stack::Stack;
use anomaly_tests::template;
use anyhow::{Context, Result, ensure};

const BUCKET: &str = "code";

/// The connection string of one hub: its end has to go.
const CONNECTION_STRING: &str = "Endpoint=sb://mine.servicebus.windows.net/;SharedAccessKeyName=read;SharedAccessKey=a+b/c=;EntityPath=records";
const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

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
        deploy(&cloud, &name, &toml).await.with_context(|| name.clone())?;
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
        let sources = template::sources()?;
        let (_, toml) = sources.iter().find(|(known, _)| known == name).context("the source is there")?;
        let stack = deploy(&cloud, name, toml).await?;
        let secret: serde_json::Value =
            serde_json::from_str(&cloud.secret(stack.resource("SourceSecret")?).await?)?;
        let wanted = serde_json::json!({ "username": username, "password": password });
        ensure!(secret == wanted, "{name}: the secret is {secret}");
    }
    Ok(())
}

async fn with_code(ministack: &MiniStack) -> Result<Cloud> {
    let cloud = Cloud::of(ministack)?;
    cloud.make_bucket(BUCKET).await?;
    for program in ["invoke", "classify", "publish"] {
        cloud.put_object(&format!("{BUCKET}/{program}.zip"), binaries::archive(program)?).await?;
    }
    Ok(cloud)
}

async fn deploy(cloud: &Cloud, name: &str, toml: &str) -> Result<Stack> {
    let mut parameters = vec![("CodeBucket", BUCKET), ("CodePrefix", "")];
    parameters.extend(typed_in(name));
    Stack::deploy(cloud, name, &template::pipeline(toml)?, &parameters).await
}
