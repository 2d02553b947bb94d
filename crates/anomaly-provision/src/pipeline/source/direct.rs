//! A source that calls the function itself and does not wait for the answer.
//!
//! There is no partial answer and no batch. Lambda tries a failed call twice more, within minutes; then the event
//! is kept whole in the bucket.

use super::queue::{self, Filler};
use super::{Part, dead};
use crate::pipeline::Stage;
use crate::stack::Resource;
use crate::value::{map, reference};

/// The most there is (Lambda API reference, `PutFunctionEventInvokeConfig`).
const RETRIES: u32 = 2;
/// Six hours, the most there is: as long an event waits while the function is throttled.
const AGE_S_MAX: u32 = 21_600;

/// What Lambda does with a failed call, and a queue for what `filler` cannot hand over.
pub(super) fn part(filler: &Filler) -> Part {
    let calls = Resource::new(
        "InvokeRetries",
        "AWS::Lambda::EventInvokeConfig",
        map! {
            "FunctionName": reference(&Stage::Invoke.function()),
            "Qualifier": "$LATEST",
            "MaximumEventAgeInSeconds": AGE_S_MAX,
            "MaximumRetryAttempts": RETRIES,
            "DestinationConfig": dead::on_failure(),
        },
    )
    .because("As patient as can be: three tries within minutes. What is given up on is kept whole.");
    Part {
        resources: vec![
            queue::dead_letters(false),
            queue::policy("RecordDlqPolicy", queue::DEAD_LETTERS, Some(filler)),
            queue::alarm(),
        ],
        statements: dead::keep_failed_batches().into(),
        calls: vec![calls],
        outputs: vec![queue::dead_letters_output()],
        ..Part::default()
    }
}
