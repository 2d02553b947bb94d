//! The templates: accepted by the strict reader, and no more allowed than needed.
//!
//! What is asserted here is what the cloud on this machine would not notice: it takes unknown properties,
//! and ignores retries, bisecting and destinations. That the committed template is fresh is tested in
//! `anomaly-provision`, and so is the exact list of what each role may do.

use std::process::Command;

use anomaly_core::config::Config;
use anomaly_provision::{Target, render};
use anomaly_tests::rig::Rig;
use anomaly_tests::template::{self, ENDPOINT, NO_MODEL, Template};
use anyhow::{Result, ensure};
use tempfile::TempDir;

const ROLES: [&str; 3] = ["InvokeRole", "ClassifyRole", "PublishRole"];

/// Actions that know no resource (AWS service authorization reference, Kinesis and DynamoDB).
const WITHOUT_RESOURCE: [&str; 2] = ["kinesis:ListStreams", "dynamodb:ListStreams"];

#[test]
fn cfn_lint_finds_nothing_in_any_template() -> Result<()> {
    let Some(rig) = Rig::find("cfn_lint_finds_nothing_in_any_template")? else { return Ok(()) };
    let folder = TempDir::new()?;
    let mut paths = Vec::new();
    for (name, toml) in [("endpoint", ENDPOINT), ("no-model", NO_MODEL)] {
        let config = Config::from_toml(toml)?;
        for file in render(&config, Target::Aws)?.into_iter().chain(render(&config, Target::Sam)?) {
            let path = folder.path().join(format!("{name}-{}", file.name));
            std::fs::write(&path, file.text)?;
            paths.push(path);
        }
    }
    let linted = Command::new(rig.cfn_lint()).args(&paths).output()?;
    let findings = String::from_utf8_lossy(&linted.stdout);
    ensure!(linted.status.success() && findings.trim().is_empty(), "cfn-lint:\n{findings}");
    Ok(())
}

#[test]
fn a_role_names_every_action_and_every_resource() -> Result<()> {
    for toml in [ENDPOINT, NO_MODEL] {
        let template = Template::read(&template::pipeline(toml)?)?;
        for (role, _) in template.of_type("AWS::IAM::Role") {
            for permission in template.permissions(role) {
                let action = permission.action.as_str();
                // GenerateDataKey and its variants are what SNS asks of a key; AWS documents the star.
                ensure!(!action.contains('*') || action == "kms:GenerateDataKey*", "{role}: {action}");
                let anything = permission.resource == "*";
                ensure!(!anything || WITHOUT_RESOURCE.contains(&action), "{role}: {action} on anything");
            }
        }
    }
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
fn every_source_takes_partial_answers() -> Result<()> {
    let template = Template::read(&template::pipeline(ENDPOINT)?)?;
    let mut sources = 0;
    for (name, source) in template.of_type("AWS::Lambda::EventSourceMapping") {
        ensure!(source["FunctionResponseTypes"][0] == "ReportBatchItemFailures", "{name}");
        sources += 1;
    }
    ensure!(sources == 3, "{sources} event sources");
    Ok(())
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
