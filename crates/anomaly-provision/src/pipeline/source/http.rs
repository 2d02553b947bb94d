//! The function's URL, for whoever posts records: with AWS' signature, or with a secret in a header.
//!
//! Who comes from outside AWS, such as what stands behind Azure Stream Analytics' Function output, cannot sign.
//! For it there is a secret; what is kept here is its SHA-256, so that neither the template, nor the function's
//! settings, nor the stack's history has anything to steal.

use anomaly_core::config::{Auth, Source};

use super::{Part, function_arn};
use crate::permission::{allow, managed_policy};
use crate::stack::{Output, Parameter, Resource};
use crate::value::{Entry, Value, attribute, map, reference};

/// The parameter with the SHA-256 of the secret.
pub(crate) const SECRET_SHA256: &str = "HttpSecretSha256";

/// Two of 64 digits and a comma.
pub(crate) const SECRET_SHA256_CHARS_MAX: usize = 129;

const URL: &str = "InvokeUrl";

pub(super) fn part(source: &Source) -> Part {
    let output = Output::new("RecordUrl", "Post records here", attribute(&format!("{URL}.FunctionUrl")));
    match source.auth() {
        Auth::Secret => Part {
            parameters: vec![secret_sha256()],
            calls: [url("NONE")].into_iter().chain(anybody()).collect(),
            outputs: vec![output],
            ..Part::default()
        },
        _ => {
            let writer =
                Output::new("WriterPolicyArn", "Attach it to who posts records", reference("WriterPolicy"));
            Part {
                calls: vec![url("AWS_IAM"), writer_policy()],
                outputs: vec![output, writer],
                ..Part::default()
            }
        }
    }
}

fn secret_sha256() -> Parameter {
    Parameter::text(
        SECRET_SHA256,
        "The SHA-256 of the secret that callers bring, as sha256sum prints it; two, with a comma, while one \
         replaces another",
    )
    .with("AllowedPattern", "^[0-9a-f]{64}(,[0-9a-f]{64})?$")
}

fn url(auth: &str) -> Resource {
    Resource::new(
        URL,
        "AWS::Lambda::Url",
        map! { "TargetFunctionArn": function_arn(), "AuthType": auth, "InvokeMode": "BUFFERED" },
    )
}

/// Anybody may call, through the URL only: the function asks for the secret. Two permissions, as Lambda has asked
/// for since October 2025 (Lambda developer guide, "Control access to function URLs").
fn anybody() -> [Resource; 2] {
    let permission = |id: &'static str, action: &str, only: Entry| {
        let properties = vec![
            Entry::new("FunctionName", function_arn()),
            Entry::new("Action", action),
            Entry::new("Principal", "*"),
            only,
        ];
        Resource::new(id, "AWS::Lambda::Permission", Value::Map(properties))
    };
    [
        permission("AnybodyMayPost", "lambda:InvokeFunctionUrl", Entry::new("FunctionUrlAuthType", "NONE"))
            .because("The function itself asks for the secret."),
        permission("AnybodyMayCall", "lambda:InvokeFunction", Entry::new("InvokedViaFunctionUrl", true)),
    ]
}

/// The same two, for the roles it is attached to.
fn writer_policy() -> Resource {
    let post = allow("PostRecords", ["lambda:InvokeFunctionUrl"], [function_arn()])
        .when(map! { "StringEquals": map! { "lambda:FunctionUrlAuthType": "AWS_IAM" } });
    let call = allow("ThroughTheUrl", ["lambda:InvokeFunction"], [function_arn()])
        .when(map! { "Bool": map! { "lambda:InvokedViaFunctionUrl": "true" } });
    managed_policy("WriterPolicy", "Posts records to the function's URL", vec![post, call])
        .because("For the roles of others: to post records.")
}
