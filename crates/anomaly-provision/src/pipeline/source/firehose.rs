//! A Firehose stream that has its records transformed by `invoke`, which hands them back as they came.
//!
//! Firehose calls by its own role and keeps by itself what fails, so all that is needed is a policy for that role.

use super::{Part, function_arn};
use crate::permission::{allow, managed_policy};
use crate::pipeline::Stage;
use crate::stack::Output;
use crate::value::{reference, sub};

pub(super) fn part() -> Part {
    // Firehose names a version, `$LATEST` if nothing else.
    let versions = sub(&format!("${{{}.Arn}}:*", Stage::Invoke.function()));
    let calling = allow(
        "TransformRecords",
        ["lambda:InvokeFunction", "lambda:GetFunctionConfiguration"],
        [function_arn(), versions],
    );
    Part {
        calls: vec![
            managed_policy("TransformPolicy", "Has records of a Firehose stream looked at", vec![calling])
                .because("For the role of the Firehose stream."),
        ],
        outputs: vec![
            Output::new(
                "TransformPolicyArn",
                "Attach it to the Firehose stream's role",
                reference("TransformPolicy"),
            ),
            Output::new("InvokeFunctionArn", "The Firehose stream's transformation", function_arn()),
        ],
        ..Part::default()
    }
}
