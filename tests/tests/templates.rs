//! The templates: accepted by the strict reader, and no more allowed than needed.
//!
//! What is asserted here is what the cloud on this machine would not notice: it takes unknown properties,
//! and ignores retries, bisecting and destinations. That the committed template is fresh is tested in
//! `anomaly-provision`, and so is the exact list of what each role may do.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anomaly_core::config::Config;
use anomaly_provision::{Target, render};
use anomaly_tests::rig::Rig;
use anomaly_tests::template::{self, ENDPOINT, EVENT_TIME, NO_MODEL, Template};
use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

const ROLES: [&str; 3] = ["InvokeRole", "ClassifyRole", "PublishRole"];

/// Actions that know no resource (AWS service authorization reference, Kinesis and DynamoDB).
const WITHOUT_RESOURCE: [&str; 2] = ["kinesis:ListStreams", "dynamodb:ListStreams"];

/// Actions on networks, which AWS documents on every resource (Lambda developer guide, "Using Lambda with
/// self-managed Apache Kafka", "Execution role permissions").
const NETWORK: [&str; 6] = [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
];

#[test]
fn cfn_lint_finds_nothing_in_any_template() -> Result<()> {
    let Some(rig) = Rig::find("cfn_lint_finds_nothing_in_any_template")? else { return Ok(()) };
    let folder = TempDir::new()?;
    // A process a target, side by side: it is the slowest test of all.
    let linting = [Target::Aws, Target::Sam].map(|target| -> Result<Child> {
        let mut lint = Command::new(rig.cfn_lint());
        lint.args(written(folder.path(), target)?).stdout(Stdio::piped());
        Ok(lint.spawn()?)
    });
    for linting in linting {
        let linted = linting?.wait_with_output()?;
        let findings = String::from_utf8_lossy(&linted.stdout);
        ensure!(linted.status.success() && findings.trim().is_empty(), "cfn-lint:\n{findings}");
    }
    Ok(())
}

/// The templates of every configuration there is, each of the same text once.
fn written(folder: &Path, target: Target) -> Result<Vec<PathBuf>> {
    let (mut paths, mut texts) = (Vec::new(), HashSet::new());
    for (name, toml) in configurations()? {
        for file in render(&Config::from_toml(&toml)?, target)? {
            let path = folder.join(format!("{name}-{}", file.name));
            if texts.insert(file.text.clone()) {
                std::fs::write(&path, file.text)?;
                paths.push(path);
            }
        }
    }
    Ok(paths)
}

/// With and without a model, with event time, and with every source.
fn configurations() -> Result<Vec<(String, String)>> {
    let own = [("endpoint", ENDPOINT), ("no-model", NO_MODEL), ("event-time", EVENT_TIME)];
    let own = own.map(|(name, toml)| (name.into(), toml.into()));
    Ok(own.into_iter().chain(template::sources()?).collect())
}

#[test]
fn a_role_or_policy_names_every_action_and_every_resource() -> Result<()> {
    for (name, toml) in configurations()? {
        let template = Template::read(&template::pipeline(&toml)?)?;
        let roles = template.of_type("AWS::IAM::Role");
        for (id, _) in roles.chain(template.of_type("AWS::IAM::ManagedPolicy")) {
            let permissions = template.permissions(id);
            ensure!(!permissions.is_empty(), "{name}: {id} allows nothing");
            for permission in permissions {
                let action = permission.action.as_str();
                // GenerateDataKey and its variants are what SNS asks of a key; AWS documents the star.
                ensure!(!action.contains('*') || action == "kms:GenerateDataKey*", "{name}: {id}: {action}");
                let anything = permission.resource == "*";
                let may = WITHOUT_RESOURCE.contains(&action) || NETWORK.contains(&action);
                ensure!(!anything || may, "{name}: {id}: {action} on anything");
            }
        }
    }
    Ok(())
}

/// Only brokers in a network are reached from inside it.
#[test]
fn a_role_may_touch_networks_only_where_brokers_are_in_one() -> Result<()> {
    let mut inside = Vec::new();
    for (name, toml) in configurations()? {
        let template = Template::read(&template::pipeline(&toml)?)?;
        let permissions = template.permissions("InvokeRole");
        if permissions.iter().any(|permission| NETWORK.contains(&permission.action.as_str())) {
            inside.push(name);
        }
    }
    ensure!(inside == ["kafka-inside", "msk", "msk-scram"], "{inside:?}");
    Ok(())
}

/// What the cloud on this machine does not ask for, and AWS does: what Lambda itself does in a function's
/// name, the endpoint, the key. What functions do to queue, tables and topic is refused there as well, and so
/// proven end to end.
#[test]
fn a_role_allows_what_only_aws_would_miss() -> Result<()> {
    let template = Template::read(&template::pipeline(ENDPOINT)?)?;
    for (role, needed) in ROLES.into_iter().zip([INVOKE, CLASSIFY, PUBLISH]) {
        let permissions = template.permissions(role);
        let allowed: Vec<String> =
            permissions.into_iter().map(|p| format!("{} {}", p.action, p.resource)).collect();
        let missing: Vec<_> = needed.iter().filter(|need| !allowed.iter().any(|has| has == *need)).collect();
        ensure!(missing.is_empty(), "{role} lacks {missing:#?}\nit allows {allowed:#?}");
    }
    Ok(())
}

const INVOKE: &[&str] = &[
    "kinesis:DescribeStream Records.Arn",
    "kinesis:DescribeStreamSummary Records.Arn",
    "kinesis:GetRecords Records.Arn",
    "kinesis:GetShardIterator Records.Arn",
    "kinesis:ListShards Records.Arn",
    "logs:CreateLogStream InvokeLog.Arn",
    "logs:PutLogEvents InvokeLog.Arn",
    "s3:ListBucket Dead.Arn",
    "s3:PutObject ${Dead.Arn}/aws/lambda/*",
    "sagemaker:InvokeEndpoint \
     arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/${EndpointName}",
];

const CLASSIFY: &[&str] = &[
    "logs:CreateLogStream ClassifyLog.Arn",
    "logs:PutLogEvents ClassifyLog.Arn",
    "sqs:DeleteMessage Scored.Arn",
    "sqs:GetQueueAttributes Scored.Arn",
    "sqs:ReceiveMessage Scored.Arn",
];

const PUBLISH: &[&str] = &[
    "dynamodb:DescribeStream Outbox.StreamArn",
    "dynamodb:GetRecords Outbox.StreamArn",
    "dynamodb:GetShardIterator Outbox.StreamArn",
    "dynamodb:ListStreams *",
    "kms:Decrypt AlertsKey.Arn",
    "kms:GenerateDataKey* AlertsKey.Arn",
    "logs:CreateLogStream PublishLog.Arn",
    "logs:PutLogEvents PublishLog.Arn",
    "s3:ListBucket Dead.Arn",
    "s3:PutObject ${Dead.Arn}/aws/lambda/*",
];

#[test]
fn without_a_model_no_endpoint_may_be_asked() -> Result<()> {
    let template = Template::read(&template::pipeline(NO_MODEL)?)?;
    let asks = template.permissions("InvokeRole").into_iter().any(|p| p.action.starts_with("sagemaker:"));
    ensure!(!asks, "InvokeRole may ask an endpoint though there is no model");
    Ok(())
}

/// The failure table's promises that rest on settings of the event source mappings.
#[test]
fn a_stream_is_given_up_on_late_by_halves_and_into_the_bucket() -> Result<()> {
    for toml in [ENDPOINT, NO_MODEL] {
        let template = Template::read(&template::pipeline(toml)?)?;
        let kept_s = template.properties("Records")["RetentionPeriodHours"].as_u64().unwrap_or(0) * 3600;
        for (source, kept_s) in [("InvokeSource", kept_s), ("PublishSource", 24 * 3600)] {
            let source = template.properties(source);
            let age_s = source["MaximumRecordAgeInSeconds"].as_u64().unwrap_or(u64::MAX);
            ensure!(age_s <= kept_s, "given up on after {age_s} s, though kept for {kept_s} s only");
            ensure!(source["BisectBatchOnFunctionError"] == true, "not bisected: {source:?}");
            ensure!(!source["DestinationConfig"]["OnFailure"]["Destination"].is_null(), "lost: {source:?}");
        }
    }
    Ok(())
}

#[test]
fn every_mapping_takes_partial_answers() -> Result<()> {
    for (name, toml) in configurations()? {
        let template = Template::read(&template::pipeline(&toml)?)?;
        let mut mappings = 0;
        for (id, mapping) in template.of_type("AWS::Lambda::EventSourceMapping") {
            ensure!(mapping["FunctionResponseTypes"][0] == "ReportBatchItemFailures", "{name}: {id}");
            mappings += 1;
        }
        let asks = ["firehose", "http", "http-secret", "sns-direct", "eventbridge-direct"];
        let expected = if asks.contains(&name.as_str()) { 2 } else { 3 };
        ensure!(mappings == expected, "{name}: {mappings} event source mappings");
    }
    Ok(())
}

/// Without pollers of its own a Kafka mapping has no partial answers, no halves and no limits (Lambda developer
/// guide, "Configuring error handling controls for Kafka event sources").
#[test]
fn kafka_has_pollers_and_gives_up_late_by_halves_and_into_the_bucket() -> Result<()> {
    for name in ["kafka", "kafka-inside", "msk", "msk-scram", "event-hubs"] {
        let template = source(name)?;
        let mapping = template.properties("InvokeSource");
        for key in ["MinimumPollers", "MaximumPollers"] {
            ensure!(mapping["ProvisionedPollerConfig"][key].as_u64() > Some(0), "{name}: {key}");
        }
        ensure!(mapping["BisectBatchOnFunctionError"] == true, "{name}: not bisected");
        ensure!(
            mapping["MaximumRecordAgeInSeconds"].as_u64() <= Some(24 * 3600),
            "{name}: never given up on"
        );
        ensure!(!mapping["DestinationConfig"]["OnFailure"]["Destination"].is_null(), "{name}: lost");
    }
    Ok(())
}

/// CloudFormation would fill in `${ConnectionString}`, and a shell `$ConnectionString`; the broker wants it as it is.
#[test]
fn an_event_hubs_user_is_called_connection_string() -> Result<()> {
    let template = source("event-hubs")?;
    let secret = serde_yaml_ng::to_string(&template.properties("SourceSecret")["SecretString"])?;
    ensure!(secret.contains(r#"{"username":"$ConnectionString","password":""#), "{secret}");
    ensure!(secret.contains(";EntityPath="), "a hub's own string is not cut: {secret}");
    Ok(())
}

/// What is typed in to log in with is shown to nobody again, and stands nowhere but in the secret.
#[test]
fn passwords_are_not_echoed() -> Result<()> {
    for (name, parameter) in [("kafka", "KafkaPassword"), ("event-hubs", "EventHubsConnectionString")] {
        let template = source(name)?;
        ensure!(template.parameter(parameter)["NoEcho"] == true, "{parameter} is shown");
        let text = sources_text(name)?;
        ensure!(
            text.matches(&format!("!Ref {parameter}")).count() == 1,
            "{parameter} goes to more than the secret"
        );
    }
    Ok(())
}

fn sources_text(name: &str) -> Result<String> {
    let sources = template::sources()?;
    let (_, toml) = sources.into_iter().find(|(known, _)| known == name).context("the source is there")?;
    template::pipeline(&toml)
}

fn source(name: &str) -> Result<Template> {
    Template::read(&sources_text(name)?)
}

/// "Set the queue's visibility timeout to at least six times the timeout that you configure on your
/// function" (Lambda developer guide, "Using Lambda with Amazon SQS").
#[test]
fn a_chunk_stays_hidden_while_it_may_still_be_worked_on() -> Result<()> {
    let template = Template::read(&template::pipeline(ENDPOINT)?)?;
    let timeout = template.properties("ClassifyFunction")["Timeout"].as_u64().unwrap_or(u64::MAX);
    let hidden = template.properties("Scored")["VisibilityTimeout"].as_u64().unwrap_or(0);
    ensure!(hidden >= 6 * timeout, "hidden for {hidden} s, worked on for up to {timeout} s");
    ensure!(template.properties("ScoredDlq")["FifoQueue"] == true, "a FIFO queue needs a FIFO one behind it");
    Ok(())
}

#[test]
fn a_record_stays_hidden_while_it_may_still_be_worked_on_and_comes_back_for_a_day() -> Result<()> {
    for name in ["sqs", "sqs-fifo", "sns", "sns-there", "eventbridge"] {
        let template = source(name)?;
        let timeout = template.properties("InvokeFunction")["Timeout"].as_u64().unwrap_or(u64::MAX);
        let window = template.properties("InvokeSource")["MaximumBatchingWindowInSeconds"].as_u64();
        let queue = template.properties("RecordQueue");
        let hidden = queue["VisibilityTimeout"].as_u64().unwrap_or(0);
        ensure!(hidden >= 6 * timeout + window.unwrap_or(0), "{name}: hidden for {hidden} s");
        let receives = queue["RedrivePolicy"]["maxReceiveCount"].as_u64().unwrap_or(0);
        let hours = receives * hidden / 3600;
        ensure!((23..=24).contains(&hours), "{name}: {receives} receives are {hours} hours");
        let fifo = (&queue["FifoQueue"], &template.properties("RecordDlq")["FifoQueue"]);
        ensure!(fifo.0 == fifo.1, "{name}: a FIFO queue needs a FIFO one behind it");
        ensure!(queue["ContentBasedDeduplication"].is_null(), "{name}: equal readings would be dropped");
    }
    Ok(())
}

/// With a secret anybody may call the function's URL, and only that; else nobody may whom no policy allows.
#[test]
fn a_url_is_open_only_where_the_function_asks_for_a_secret() -> Result<()> {
    let signed = source("http")?;
    ensure!(signed.properties("InvokeUrl")["AuthType"] == "AWS_IAM", "open to anybody");
    ensure!(signed.of_type("AWS::Lambda::Permission").next().is_none(), "somebody may call without a policy");
    let secret = source("http-secret")?;
    ensure!(
        !secret.variable("InvokeFunction", "HTTP_SECRET_SHA256").is_empty(),
        "the function asks for nothing"
    );
    for (id, permission) in secret.of_type("AWS::Lambda::Permission") {
        let by_url =
            permission["FunctionUrlAuthType"] == "NONE" || permission["InvokedViaFunctionUrl"] == true;
        ensure!(by_url, "{id}: anybody may call past the URL");
    }
    Ok(())
}

#[test]
fn the_topic_refuses_whoever_comes_without_tls() -> Result<()> {
    let template = Template::read(&template::pipeline(ENDPOINT)?)?;
    let statements = template.properties("AlertsPolicy")["PolicyDocument"]["Statement"].as_sequence();
    let refuses = statements.into_iter().flatten().any(|statement| {
        statement["Effect"] == "Deny"
            && statement["Principal"] == "*"
            && statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"
    });
    ensure!(refuses, "no statement of AlertsPolicy denies plain HTTP");
    Ok(())
}
