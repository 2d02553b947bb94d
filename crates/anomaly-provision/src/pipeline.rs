//! The pipeline's stack: source, three functions, what lies between them, and the topic.
//!
//! Resources stand in the order in which a record meets them. Everything but a function's code is the same in
//! SAM and in plain CloudFormation: roles and event source mappings are written out in both, because what SAM
//! makes of an `Events:` entry brings managed policies whose resources are `*`, and because what is tested
//! locally is then what is deployed.

pub(crate) mod alerts;
mod classify;
mod dead;
mod flush;
mod function;
mod invoke;
mod publish;
mod schedule;
pub(crate) mod scored;
pub(crate) mod source;
pub(crate) mod tables;

use anomaly_core::config::Config;

use self::function::Packaging;
pub(crate) use self::function::Stage;
use self::source::Part;
use crate::has_endpoint;
use crate::stack::{Output, Parameter, Stack};
use crate::value::{given, reference};

/// The parameter that names the endpoint.
pub(crate) const ENDPOINT_NAME: &str = "EndpointName";

const DESCRIPTION: &str = "anomaly-alerts: stream records to anomaly scores to alerts";

const SAM_HEADER: &str = "\
The pipeline as a SAM template: `sam build && sam deploy`.
Rendered by `cargo xtask render` (`anomaly render sam`) from anomaly.toml; change that file, or
crates/anomaly-provision, and render anew. A test fails while this file is stale.
The stack's name may have at most 55 characters: the functions are named after it.";

const PLAIN_HEADER: &str = "\
The pipeline as plain CloudFormation, with the functions' code in S3.
Rendered by `anomaly render aws` from anomaly.toml; change that file, or crates/anomaly-provision, and render anew.
The stack's name may have at most 55 characters: the functions are named after it.
  aws cloudformation deploy --template-file pipeline.yaml --stack-name NAME --capabilities CAPABILITY_IAM \\
    --parameter-overrides CodeBucket=BUCKET CodePrefix=PREFIX/";

/// The SAM template's stack.
pub(crate) fn sam(config: &Config) -> Stack {
    Stack {
        header: SAM_HEADER.to_owned(),
        transform: Some("AWS::Serverless-2016-10-31"),
        ..stack(config, Packaging::Sam)
    }
}

/// The plain template's stack.
pub(crate) fn plain(config: &Config) -> Stack {
    let code = [
        Parameter::text("CodeBucket", "The bucket that holds invoke.zip, classify.zip and publish.zip"),
        // With the same key and new bytes CloudFormation sees no change: a release needs a prefix of its own.
        Parameter::text(
            "CodePrefix",
            "What stands before their names, such as releases/3f2a/; new with each release",
        )
        .with("Default", ""),
    ];
    let mut stack = stack(config, Packaging::Zip);
    stack.parameters.extend(code);
    Stack { header: PLAIN_HEADER.to_owned(), ..stack }
}

fn stack(config: &Config, packaging: Packaging) -> Stack {
    let Part { parameters: asked, resources: arriving, statements, calls, outputs } = source::part(config);
    let resources = [
        arriving,
        invoke::resources(config, packaging, statements, calls),
        scored::resources(),
        classify::resources(config, packaging),
        tables::resources(config),
        publish::resources(config, packaging),
        alerts::resources(),
        dead::resources(),
    ];
    Stack {
        header: String::new(),
        description: DESCRIPTION,
        transform: None,
        parameters: parameters(config, asked),
        conditions: vec![(alerts::HAS_EMAIL, given(alerts::EMAIL))],
        resources: resources.into_iter().flatten().collect(),
        outputs: all_outputs(outputs),
    }
}

fn parameters(config: &Config, source: Vec<Parameter>) -> Vec<Parameter> {
    let endpoint = has_endpoint(config).then(|| endpoint_name(config));
    let email = Parameter::text(
        alerts::EMAIL,
        "Who is told by e-mail; AWS asks the address to confirm. Empty: nobody",
    )
    .with("Default", "")
    .with("AllowedPattern", "^$|^[^@ ]+@[^@ ]+$");
    // x86_64, because any build machine makes it: arm64 is a fifth cheaper by the second, cents a month here,
    // and needs a cross linker where the build machine is not arm64 itself.
    let architecture = Parameter::text("Architecture", "What the functions were compiled for")
        .with("Default", "x86_64")
        .with("AllowedValues", ["x86_64", "arm64"]);
    endpoint.into_iter().chain(source).chain([email, architecture]).collect()
}

/// The parameter that names the endpoint, in this stack and in the model's.
pub(crate) fn endpoint_name(config: &Config) -> Parameter {
    Parameter::text(ENDPOINT_NAME, "The SageMaker endpoint that scores")
        .with("Default", config.model.endpoint.as_deref().unwrap_or(""))
        .with("AllowedPattern", "^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$")
}

fn all_outputs(source: Vec<Output>) -> Vec<Output> {
    let [invoke, classify, publish] = Stage::ALL.map(|stage| reference(&stage.function()));
    let topic = Output::new("TopicArn", "Subscribe here to be told of alerts", reference(alerts::TOPIC));
    let rest = [
        Output::new("QueueUrl", "Scored chunks on their way to classify", reference(scored::QUEUE)),
        Output::new(
            "DeadLetterQueueUrl",
            "Scored chunks that classify gave up on",
            reference(scored::DEAD_LETTERS),
        ),
        Output::new("StatesTable", "What is known of each series", reference(tables::STATES)),
        Output::new("OutboxTable", "Every transition of every alert", reference(tables::OUTBOX)),
        Output::new("RejectsTable", "Records at fault, with the reason", reference(tables::REJECTS)),
        Output::new(
            "FailedBatchesBucket",
            "Events that a function gave up on, whole",
            reference(dead::BUCKET),
        ),
        Output::new("InvokeFunctionName", "Stream batch to scored chunks", invoke),
        Output::new("ClassifyFunctionName", "Scored chunk to transitions", classify),
        Output::new("PublishFunctionName", "Transition to messages", publish),
    ];
    [topic].into_iter().chain(source).chain(rest).collect()
}

#[cfg(test)]
mod tests;
