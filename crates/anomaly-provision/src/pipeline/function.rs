//! The three functions: what they have in common.

use anomaly_core::config::Config;

use crate::environment;
use crate::permission::{self, Statement, allow};
use crate::stack::Resource;
use crate::value::{Entry, Value, attribute, map, reference, sub};

/// A function of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Invoke,
    Classify,
    Publish,
}

/// How a function gets its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packaging {
    /// `sam build` compiles it.
    Sam,
    /// It lies zipped in a bucket.
    Zip,
}

impl Stage {
    pub(crate) const ALL: [Stage; 3] = [Stage::Invoke, Stage::Classify, Stage::Publish];

    /// The name of the binary, of the zip, and the end of the function's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Invoke => "invoke",
            Stage::Classify => "classify",
            Stage::Publish => "publish",
        }
    }

    /// How long one call may take. `invoke` waits for an endpoint, which has 60 seconds for an answer, and
    /// retries within its own time.
    pub(crate) const fn timeout_s(self) -> u32 {
        match self {
            Stage::Invoke => 60,
            Stage::Classify | Stage::Publish => 30,
        }
    }

    /// The logical id of the function.
    pub(crate) fn function(self) -> String {
        format!("{}Function", self.title())
    }

    /// The logical id of the function's role.
    pub(crate) fn role(self) -> String {
        format!("{}Role", self.title())
    }

    /// The logical id of the function's log group.
    fn log(self) -> String {
        format!("{}Log", self.title())
    }

    fn title(self) -> &'static str {
        match self {
            Stage::Invoke => "Invoke",
            Stage::Classify => "Classify",
            Stage::Publish => "Publish",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Stage::Invoke => "Stream batch to scored chunks",
            Stage::Classify => "Scored chunk to state and alert transitions",
            Stage::Publish => "Alert transition to messages",
        }
    }
}

/// The function, its log group, and its role with `statements` and the right to write that log.
pub(super) fn resources(
    stage: Stage,
    config: &Config,
    packaging: Packaging,
    statements: impl IntoIterator<Item = Statement>,
) -> Vec<Resource> {
    let statements = statements.into_iter().chain([write_log(stage)]).collect();
    vec![
        function(stage, config, packaging),
        log(stage),
        permission::role(stage.role(), "lambda.amazonaws.com", statements),
    ]
}

fn function(stage: Stage, config: &Config, packaging: Packaging) -> Resource {
    let name = stage.name();
    let variables = environment::of(stage, config).into_iter().map(|v| Entry::new(v.name, v.value)).collect();
    let (kind, code) = match packaging {
        // The whole workspace is the code: one target folder for the three binaries instead of three.
        Packaging::Sam => ("AWS::Serverless::Function", Entry::new("CodeUri", ".")),
        Packaging::Zip => ("AWS::Lambda::Function", Entry::new("Code", code_in_s3(name))),
    };
    let properties = vec![
        // A name of its own, so that `cargo lambda deploy` finds it.
        Entry::new("FunctionName", sub(&format!("${{AWS::StackName}}-{name}"))),
        Entry::new("Description", stage.description()),
        code,
        Entry::new("Runtime", "provided.al2023"),
        Entry::new("Handler", "bootstrap"),
        Entry::new("Architectures", vec![reference("Architecture")]),
        Entry::new("MemorySize", 256_u32),
        Entry::new("Timeout", stage.timeout_s()),
        Entry::new("Role", attribute(&format!("{}.Arn", stage.role()))),
        // Naming the group makes it exist first; else Lambda makes one that keeps logs for ever.
        Entry::new("LoggingConfig", map! { "LogGroup": reference(&stage.log()) }),
        Entry::new("Environment", map! { "Variables": Value::Map(variables) }),
    ];
    let resource = Resource::new(stage.function(), kind, Value::Map(properties));
    match packaging {
        Packaging::Sam => resource.with(
            "Metadata",
            map! { "BuildMethod": "rust-cargolambda", "BuildProperties": map! { "Binary": name } },
        ),
        Packaging::Zip => resource,
    }
}

fn code_in_s3(name: &str) -> Value {
    map! { "S3Bucket": reference("CodeBucket"), "S3Key": sub(&format!("${{CodePrefix}}{name}.zip")) }
}

fn log(stage: Stage) -> Resource {
    Resource::new(
        stage.log(),
        "AWS::Logs::LogGroup",
        map! {
            "LogGroupName": sub(&format!("/aws/lambda/${{AWS::StackName}}-{}", stage.name())),
            "RetentionInDays": 30_u32,
        },
    )
}

fn write_log(stage: Stage) -> Statement {
    allow(
        "WriteLog",
        ["logs:CreateLogStream", "logs:PutLogEvents"],
        [attribute(&format!("{}.Arn", stage.log()))],
    )
}
