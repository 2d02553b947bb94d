//! `invoke`: its role, and what has it called.

use anomaly_core::config::Config;

use super::function::{self, Packaging, Stage};
use super::{scored, tables};
use crate::permission::{Statement, allow};
use crate::stack::Resource;
use crate::value::{Value, attribute, map, reference, sub};
use crate::{has_endpoint, has_windows};

/// `reading` is what the source needs of the role, `calls` what has the function called.
pub(super) fn resources(
    config: &Config,
    packaging: Packaging,
    reading: Vec<Statement>,
    calls: Vec<Resource>,
) -> Vec<Resource> {
    let mut resources = function::resources(Stage::Invoke, config, packaging, statements(config, reading));
    resources.extend(calls);
    resources.push(silent());
    resources
}

fn statements(config: &Config, reading: Vec<Statement>) -> Vec<Statement> {
    let endpoint = has_endpoint(config).then(|| ask_endpoint(config));
    let component = endpoint.as_ref().and(config.model.inference_component.as_deref()).map(ask_component);
    let queue = allow("QueueScored", ["sqs:SendMessage"], [attribute(&format!("{}.Arn", scored::QUEUE))]);
    let windows = has_windows(config).then(|| {
        let actions = ["dynamodb:BatchGetItem", "dynamodb:PutItem"];
        allow("ReadAndWriteWindows", actions, [tables::arn(tables::WINDOWS)])
    });
    reading.into_iter().chain(endpoint).chain(component).chain(windows).chain([queue]).collect()
}

/// One endpoint. SageMaker writes names in lower case in its ARNs, and IAM compares letter by letter; a
/// template cannot lower a parameter, so the configured name is added in lower case where that differs.
fn ask_endpoint(config: &Config) -> Statement {
    const ARN: &str = "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/";
    let id = "AskEndpoint";
    let given = sub(&format!("{ARN}${{{}}}", super::ENDPOINT_NAME));
    match config.model.endpoint.as_deref() {
        Some(name) if name.contains(|c: char| c.is_ascii_uppercase()) => {
            let lower = sub(&format!("{ARN}{}", name.to_ascii_lowercase()));
            allow(id, ["sagemaker:InvokeEndpoint"], [given, lower])
        }
        _ => allow(id, ["sagemaker:InvokeEndpoint"], [given]),
    }
}

/// One inference component, for which SageMaker wants a permission beside its endpoint's; as given and in lower case,
/// as above.
fn ask_component(name: &str) -> Statement {
    const ARN: &str = "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:inference-component/";
    let (id, given, lower) = ("AskComponent", sub(&format!("{ARN}{name}")), name.to_ascii_lowercase());
    match lower == name {
        true => allow(id, ["sagemaker:InvokeEndpoint"], [given]),
        false => allow(id, ["sagemaker:InvokeEndpoint"], [given, sub(&format!("{ARN}{lower}"))]),
    }
}

/// No input makes no error anywhere: only its absence can be seen.
fn silent() -> Resource {
    let dimension = map! { "Name": "FunctionName", "Value": reference(&Stage::Invoke.function()) };
    Resource::new(
        "Silent",
        "AWS::CloudWatch::Alarm",
        map! {
            "AlarmDescription": "No record has arrived for an hour",
            "Namespace": "AWS/Lambda",
            "MetricName": "Invocations",
            "Dimensions": Value::List(vec![dimension]),
            "Statistic": "Sum",
            "Period": 3_600_u32,
            "EvaluationPeriods": 1_u32,
            "Threshold": 1_u32,
            "ComparisonOperator": "LessThanThreshold",
            "TreatMissingData": "breaching",
            "AlarmActions": vec![reference(super::alerts::TOPIC)],
        },
    )
}
