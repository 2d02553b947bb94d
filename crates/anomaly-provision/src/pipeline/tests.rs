//! What each function may do, what each is told, and that nothing is named that is not there.

use std::collections::BTreeSet;

use anomaly_core::config::{Config, Fill, ModelKind};
use expect_test::{Expect, expect};

use super::{Stage, plain, sam, source};
use crate::environment;
use crate::stack::Stack;
use crate::value::{Entry, Value};
use crate::{PlanError, Target, render};

fn config(model: &str) -> Config {
    let text = format!("[input]\nseries = \"/id\"\nfeatures = [\"/x\"]\n[model]\n{model}\n");
    Config::from_toml(&text).expect("valid")
}

fn with_endpoint() -> Config {
    config("kind = \"endpoint\"\nendpoint = \"scorer\"")
}

fn get<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Map(entries) => entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.value),
        _ => None,
    })
}

fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::List(items) => items.iter().collect(),
        one => vec![one],
    }
}

/// A scalar as the template writes it, without the tag's exclamation mark.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Call(_, argument) => shown(argument),
        other => format!("{other:?}"),
    }
}

/// One line a statement: the actions, the resources, and whether a condition holds them back.
fn permissions(stack: &Stack, role: &str) -> String {
    let role = stack.resources.iter().find(|resource| resource.id == role).expect("the role is there");
    let policies = get(&role.properties, &["Policies"]).expect("policies");
    let mut lines = Vec::new();
    for policy in items(policies) {
        for statement in items(get(policy, &["PolicyDocument", "Statement"]).expect("statements")) {
            let field =
                |key| items(get(statement, &[key]).expect(key)).into_iter().map(shown).collect::<Vec<_>>();
            let mark = if get(statement, &["Condition"]).is_some() { " (condition)" } else { "" };
            lines.push(format!("{} on {}{mark}\n", field("Action").join(", "), field("Resource").join(", ")));
        }
    }
    lines.concat()
}

fn check(config: &Config, role: &str, expected: Expect) {
    expected.assert_eq(&permissions(&plain(config), role));
}

#[test]
fn invoke_reads_the_stream_asks_one_endpoint_and_queues() {
    check(
        &with_endpoint(),
        "InvokeRole",
        expect![[r#"
            kinesis:DescribeStream, kinesis:DescribeStreamSummary, kinesis:GetRecords, kinesis:GetShardIterator, kinesis:ListShards on Records.Arn
            kinesis:ListStreams on *
            s3:PutObject on ${Dead.Arn}/aws/lambda/*
            s3:ListBucket on Dead.Arn
            sagemaker:InvokeEndpoint on arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/${EndpointName}
            sqs:SendMessage on Scored.Arn
            logs:CreateLogStream, logs:PutLogEvents on InvokeLog.Arn
        "#]],
    );
}

#[test]
fn without_an_endpoint_nobody_asks_sagemaker() {
    let stack = plain(&config("kind = \"none\""));
    assert!(!permissions(&stack, "InvokeRole").contains("sagemaker"));
    assert!(!stack.to_yaml().contains("EndpointName"));
}

/// SageMaker's ARNs are in lower case.
#[test]
fn an_endpoint_with_capitals_is_allowed_in_lower_case_too() {
    let stack = plain(&config("kind = \"endpoint\"\nendpoint = \"My-Scorer\""));
    let role = permissions(&stack, "InvokeRole");
    assert!(role.contains("endpoint/${EndpointName}, ") && role.contains("endpoint/my-scorer\n"), "{role}");
}

#[test]
fn an_inference_component_is_allowed_beside_its_endpoint() {
    let stack = plain(&config("kind = \"endpoint\"\nendpoint = \"e\"\ninference_component = \"Forest-1\""));
    let role = permissions(&stack, "InvokeRole");
    assert!(
        role.contains("inference-component/Forest-1, ")
            && role.contains("inference-component/forest-1\n")
            && role.contains("endpoint/${EndpointName}\n"),
        "{role}"
    );
    assert!(!permissions(&plain(&with_endpoint()), "InvokeRole").contains("component"));
}

#[test]
fn classify_takes_chunks_and_writes_four_tables() {
    check(
        &with_endpoint(),
        "ClassifyRole",
        expect![[r#"
            sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes, sqs:ChangeMessageVisibility on Scored.Arn
            dynamodb:BatchGetItem, dynamodb:PutItem, dynamodb:ConditionCheckItem on States.Arn
            dynamodb:PutItem on Outbox.Arn
            dynamodb:BatchWriteItem on Rejects.Arn
            dynamodb:BatchGetItem, dynamodb:PutItem, dynamodb:Query on Journal.Arn
            logs:CreateLogStream, logs:PutLogEvents on ClassifyLog.Arn
        "#]],
    );
}

#[test]
fn publish_claims_marks_and_sends() {
    check(
        &with_endpoint(),
        "PublishRole",
        expect![[r#"
        dynamodb:DescribeStream, dynamodb:GetRecords, dynamodb:GetShardIterator on Outbox.StreamArn
        dynamodb:ListStreams on *
        dynamodb:UpdateItem on Outbox.Arn
        dynamodb:Query on ${Outbox.Arn}/index/pending
        sns:Publish on Alerts
        kms:GenerateDataKey*, kms:Decrypt on AlertsKey.Arn (condition)
        sqs:SendMessage on SweepDlq.Arn
        s3:PutObject on ${Dead.Arn}/aws/lambda/*
        s3:ListBucket on Dead.Arn
        logs:CreateLogStream, logs:PutLogEvents on PublishLog.Arn
    "#]],
    );
}

fn by_event_time(lines: &str) -> Config {
    let text = format!(
        "[input]\nseries = \"/id\"\ntime = \"/ts\"\nfeatures = [\"/x\"]\n[input.event_time]\n{lines}\n\
         [model]\nkind = \"none\"\n"
    );
    Config::from_toml(&text).expect("valid")
}

#[test]
fn where_readings_wait_a_schedule_releases_those_of_silent_series() {
    let config = by_event_time("late = \"16s\"\nout_of_order = \"5s\"");
    check(
        &config,
        "ClassifyRole",
        expect![[r#"
            sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes, sqs:ChangeMessageVisibility on Scored.Arn
            dynamodb:BatchGetItem, dynamodb:PutItem, dynamodb:ConditionCheckItem on States.Arn
            dynamodb:PutItem on Outbox.Arn
            dynamodb:BatchWriteItem on Rejects.Arn
            dynamodb:BatchGetItem, dynamodb:PutItem, dynamodb:Query on Journal.Arn
            dynamodb:Query on ${States.Arn}/index/held
            sqs:SendMessage on FlushDlq.Arn
            logs:CreateLogStream, logs:PutLogEvents on ClassifyLog.Arn
        "#]],
    );
    check(
        &config,
        "FlushRole",
        expect![[r#"
        lambda:InvokeFunction on ClassifyFunction.Arn
        sqs:SendMessage on FlushDlq.Arn
    "#]],
    );
    let yaml = plain(&config).to_yaml();
    assert!(yaml.contains("ScheduleExpression: rate(1 minute)\n"), "in the singular");
    assert!(yaml.contains("IndexName: held\n"));
}

/// A rule on silence needs what readings that wait need, and nothing more.
#[test]
fn where_silence_is_judged_a_schedule_looks_for_it() {
    let quiet = Config::rule_in_short("no-data:after=10m").expect("a rule");
    let silent = Config { rules: vec![quiet], ..with_endpoint() };
    let waiting = by_event_time("late = \"16s\"\nout_of_order = \"5s\"");
    for (config, role) in [(&silent, "ClassifyRole"), (&silent, "FlushRole")] {
        let of = |config: &Config| plain(config).to_yaml();
        let section = |yaml: String| {
            let from = yaml.find(&format!("  {role}:\n")).expect("there");
            yaml[from..].split("\n\n").next().unwrap_or_default().to_owned()
        };
        assert_eq!(section(of(config)), section(of(&waiting)), "{role}");
    }
    let yaml = plain(&silent).to_yaml();
    assert!(yaml.contains("ScheduleExpression: rate(1 minute)\n") && yaml.contains("IndexName: held\n"));
}

/// What is not asked for is not paid for.
#[test]
fn where_none_waits_there_is_neither_schedule_nor_index() {
    for config in [with_endpoint(), by_event_time("late = \"16s\"")] {
        let yaml = plain(&config).to_yaml();
        assert!(!yaml.contains("Flush") && !yaml.contains("held"), "{yaml}");
    }
}

#[test]
fn event_time_needs_a_time() {
    let mut config = by_event_time("");
    config.input.time = None;
    refused(
        &config,
        expect![
            "cannot render for AWS: input.event_time: of no use without input.time; a record without a time of its own counts as of its arrival, which is always in time"
        ],
    );
}

#[test]
fn the_schedule_may_call_publish() {
    check(
        &with_endpoint(),
        "SweepRole",
        expect![[r#"
        lambda:InvokeFunction on PublishFunction.Arn
        sqs:SendMessage on SweepDlq.Arn
    "#]],
    );
}

/// The list actions have no resource level, and Lambda's guide has network interfaces on every one; anything else
/// on `*` would be too much.
#[test]
fn only_what_cannot_be_narrowed_is_on_everything() {
    let mut wide = BTreeSet::new();
    let sources = source::tests::configs().into_iter().map(|(_, config)| config);
    for config in sources.chain([with_endpoint()]) {
        for stack in [plain(&config), sam(&config)] {
            let roles = stack.resources.iter().filter(|resource| resource.kind == "AWS::IAM::Role");
            let lines: Vec<String> = roles.map(|role| permissions(&stack, &role.id)).collect();
            let on_all = lines.concat();
            wide.extend(on_all.lines().filter(|line| line.contains(" on *")).map(str::to_owned));
            assert!(!stack.to_yaml().contains("ManagedPolicyArns"));
        }
    }
    let wide: Vec<String> = wide.into_iter().map(|line| format!("{line}\n")).collect();
    expect![[r#"
        dynamodb:ListStreams on *
        ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSecurityGroups, ec2:DescribeSubnets, ec2:DescribeVpcs on *
        kinesis:ListStreams on *
    "#]].assert_eq(&wide.concat());
}

#[test]
fn the_functions_are_told_what_they_read() {
    let told = |config: &Config| {
        let lines = Stage::ALL.map(|stage| {
            let names: Vec<&str> =
                environment::of(stage, config).iter().map(|variable| variable.name).collect();
            format!("{}: {}\n", stage.name(), names.join(" "))
        });
        lines.concat()
    };
    expect![[r#"
        invoke: ANOMALY_CONFIG QUEUE_URL ENDPOINT_NAME
        classify: ANOMALY_CONFIG STATES_TABLE OUTBOX_TABLE REJECTS_TABLE JOURNAL_TABLE
        publish: OUTBOX_TABLE TOPIC_ARN
    "#]]
    .assert_eq(&told(&with_endpoint()));
    assert!(!told(&config("kind = \"none\"")).contains("ENDPOINT_NAME"));
    let asks_for_a_secret = source::tests::configs().into_iter().filter(|(_, config)| {
        environment::of(Stage::Invoke, config).iter().any(|variable| variable.name == "HTTP_SECRET_SHA256")
    });
    assert_eq!(asks_for_a_secret.map(|(name, _)| name).collect::<Vec<_>>(), ["http-secret"]);
}

/// The names in `value` that `!Ref`, `!GetAtt` and `!Sub` look up.
fn named(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Call("Sub", argument) => {
            let text = shown(argument);
            names.extend(
                text.split("${").skip(1).filter_map(|rest| rest.split(['.', '}']).next().map(str::to_owned)),
            );
        }
        Value::Call("Ref" | "GetAtt", argument) => {
            names.extend(shown(argument).split('.').next().map(str::to_owned));
        }
        Value::Call(_, argument) => named(argument, names),
        Value::List(items) => items.iter().for_each(|item| named(item, names)),
        Value::Map(entries) => entries.iter().for_each(|entry| named(&entry.value, names)),
        Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

#[test]
fn every_name_that_is_looked_up_is_there() {
    let sources = source::tests::configs().into_iter().map(|(_, config)| config);
    for model in sources.chain([with_endpoint()]) {
        let mut stacks = vec![plain(&model), sam(&model)];
        if model.model.kind == ModelKind::Endpoint {
            stacks.push(crate::model::stack(&model));
        }
        for stack in stacks {
            let top = Value::Map(stack.sections());
            let ids = |section: &str| match get(&top, &[section]) {
                Some(Value::Map(entries)) => entries.iter().map(|entry: &Entry| entry.key.clone()).collect(),
                _ => Vec::new(),
            };
            let there: BTreeSet<String> = ["Parameters", "Resources"].into_iter().flat_map(ids).collect();
            let mut looked_up = BTreeSet::new();
            named(&top, &mut looked_up);
            looked_up.retain(|name| !name.starts_with("AWS::") && !there.contains(name));
            assert!(looked_up.is_empty(), "named but not there: {looked_up:?}");
        }
    }
}

fn refused(config: &Config, expected: Expect) {
    let error: PlanError = render(config, Target::Sam).expect_err("is refused");
    expected.assert_eq(&error.to_string());
}

#[test]
fn everything_that_cannot_run_on_aws_is_said_at_once() {
    let mut config = Config::from_toml("[model]\nkind = \"forest\"").expect("valid");
    config.input.record_bytes_max = 10_485_760;
    refused(
        &config,
        expect![[r#"
            cannot render for AWS: 4 problems
              input.series: not set; a stream has no file to name its series after: give a pointer such as "/series", or a constant name
              input.features: empty; name at least one field that holds a number
              input.record_bytes_max: 10485760 does not fit the event a function is called with; at most 4194304
              model.kind: a forest for each series does not fit into a function; let the streaming detector learn them (kind = "embedded"), or name a SageMaker endpoint (kind = "endpoint")"#]],
    );
}

#[test]
fn a_state_fits_into_an_item() {
    let toml = |features: u32| {
        let names: Vec<String> = (0..features).map(|i| format!("\"/f{i}\"")).collect();
        format!("[input]\nseries = \"/s\"\nfeatures = [{}]", names.join(", "))
    };
    render(&Config::from_toml(&toml(117)).expect("valid"), Target::Sam)
        .expect("as many as there is room for");
    refused(
        &Config::from_toml(&toml(118)).expect("valid on a laptop"),
        expect![
            "cannot render for AWS: model: the streaming detector takes up to 151040 bytes of a series' state for 118 features, and the rules' histories 0, and there is room for 150000; name fewer features"
        ],
    );
}

#[test]
fn an_endpoint_has_a_name_that_sagemaker_takes() {
    let endpoint = |name: &str| config(&format!("kind = \"endpoint\"\nendpoint = \"{name}\""));
    refused(
        &endpoint("no_underscores"),
        expect![[
            r#"cannot render for AWS: model.endpoint: "no_underscores" is no name of an endpoint; 1 to 63 letters, digits and hyphens, with a letter or digit at both ends"#
        ]],
    );
    for name in ["-a", "a-", &"a".repeat(64)] {
        assert!(render(&endpoint(name), Target::Aws).is_err(), "{name}");
    }
    assert!(render(&endpoint(&"a".repeat(63)), Target::Aws).is_ok());
}

#[test]
fn a_configuration_too_large_for_a_functions_environment_is_refused() {
    let mut config = with_endpoint();
    let template = config.rules[0].clone();
    config.rules = (0..24)
        .map(|n| anomaly_core::config::Rule { name: format!("rule-{n}"), ..template.clone() })
        .collect();
    refused(
        &config,
        expect![[r#"
            cannot render for AWS: 2 problems
              the environment of invoke: up to 5404 bytes, and Lambda takes 4096; shorten the configuration by 1308: fewer rules, shorter names
              the environment of classify: up to 5849 bytes, and Lambda takes 4096; shorten the configuration by 1753: fewer rules, shorter names"#]],
    );
}

#[test]
fn larger_records_are_asked_of_the_stream() {
    let mut config = with_endpoint();
    assert!(!plain(&config).to_yaml().contains("MaxRecordSizeInKiB"));
    config.input.record_bytes_max = 2_000_000;
    assert!(plain(&config).to_yaml().contains("MaxRecordSizeInKiB: 1954\n"));
}

/// A model of several readings a row needs the last ones kept, by `invoke` alone; any other costs no table.
#[test]
fn windows_are_there_where_a_row_is_several_readings() {
    let shingled = config("kind = \"endpoint\"\nendpoint = \"scorer\"\nshingle = 4");
    let lines = permissions(&plain(&shingled), "InvokeRole");
    assert!(lines.contains("dynamodb:BatchGetItem, dynamodb:PutItem on Windows.Arn\n"), "{lines}");
    assert!(plain(&shingled).to_yaml().contains("WINDOWS_TABLE: !Ref Windows"));
    let mut filled = with_endpoint();
    filled.input.null = Fill::Previous;
    assert!(
        plain(&filled).to_yaml().contains("WINDOWS_TABLE: !Ref Windows"),
        "previous values are in it too"
    );
    for without in [with_endpoint(), config("kind = \"none\"\nshingle = 4")] {
        assert!(!plain(&without).to_yaml().contains("Windows"));
    }
}
