//! A queue that `invoke` reads: made, with a dead-letter queue behind it; or one that is there.
//!
//! What a topic or a bus sends goes through such a queue too.

use anomaly_core::config::{Source, SourceKind};

use super::{ARN, PATIENCE_HOURS, Part, scored};
use crate::permission::{allow, deny_without_tls, document, managed_policy};
use crate::pipeline::Stage;
use crate::stack::{Output, Resource};
use crate::value::{Entry, Value, attribute, map, reference};

/// The logical id of the queue that is made.
const QUEUE: &str = "RecordQueue";
/// The logical id of its dead-letter queue.
pub(super) const DEAD_LETTERS: &str = "RecordDlq";

/// How many calls at once read a queue: the fewest there can be (Lambda API reference, `ScalingConfig`), because
/// what is read side by side passes each other, and two still take thousands of records a second. Beyond it messages
/// wait in the queue, where without a limit they would be received in vain and end as dead letters (Lambda developer
/// guide, "Configuring maximum concurrency for Amazon SQS event sources").
const CALLS_MAX: u32 = 2;

/// The same for a FIFO queue, which keeps the order of each group however many calls read it.
const FIFO_CALLS_MAX: u32 = 10;

/// "at least six times" the function's timeout, and the window (Lambda developer guide, "Using Lambda with
/// Amazon SQS").
const HIDDEN_S: u32 = 6 * Stage::Invoke.timeout_s() + 1;

/// As often as a message comes back in the time there is to mend what is ill.
const RECEIVES_MAX: u32 = PATIENCE_HOURS * 3_600 / HIDDEN_S;

/// Who fills a queue that is made, beyond those whom their own policies allow.
pub(super) struct Filler {
    /// The service, such as `sns.amazonaws.com`.
    pub(super) service: &'static str,
    /// The ARN it acts for.
    pub(super) arn: Value,
}

pub(super) fn part(source: &Source) -> Part {
    if source.arn.is_some() {
        return there(source);
    }
    let is_fifo = source.kind == SourceKind::SqsFifo;
    let sending = allow("SendRecords", ["sqs:SendMessage", "sqs:GetQueueUrl"], [queue_arn()]);
    let mut part = made(source, is_fifo, None);
    part.resources.push(
        managed_policy("WriterPolicy", "Sends records to the queue", vec![sending])
            .because("For the roles of others: to send records."),
    );
    part.outputs.extend([
        Output::new("RecordQueueUrl", "Send records here", reference(QUEUE)),
        Output::new("RecordQueueArn", "The queue", queue_arn()),
        Output::new("WriterPolicyArn", "Attach it to who sends records", reference("WriterPolicy")),
    ]);
    part
}

/// A queue of ours, read by `invoke`, that `filler` may send to.
pub(super) fn made(source: &Source, is_fifo: bool, filler: Option<&Filler>) -> Part {
    let mut resources = vec![queue(is_fifo), dead_letters(is_fifo)];
    resources.push(policy("RecordQueuePolicy", QUEUE, filler));
    resources.push(policy("RecordDlqPolicy", DEAD_LETTERS, filler));
    resources.push(alarm());
    let outputs = vec![dead_letters_output()];
    Part { resources, outputs, ..read(source, queue_arn()) }
}

pub(super) fn queue_arn() -> Value {
    attribute(&format!("{QUEUE}.Arn"))
}

pub(super) fn dead_letters_arn() -> Value {
    attribute(&format!("{DEAD_LETTERS}.Arn"))
}

pub(super) fn alarm() -> Resource {
    scored::not_empty("RecordDlqNotEmpty", DEAD_LETTERS, "Records that could not be taken in")
}

pub(super) fn dead_letters_output() -> Output {
    Output::new("RecordDeadLetterQueueUrl", "Records that could not be taken in", reference(DEAD_LETTERS))
}

/// A queue that is there. What happens to a message that fails for ever is for its own redrive policy to say.
fn there(source: &Source) -> Part {
    let description =
        "The queue to read; messages must be hidden for 361 s or more, and failed ones redriven";
    let parameters = super::arn_parameter(source, "sqs", description)
        .into_iter()
        .chain(super::kms_key_parameter(source))
        .collect();
    let part = read(source, reference(ARN));
    let statements = part.statements.into_iter().chain(super::decrypt(source, "sqs")).collect();
    Part { parameters, statements, ..part }
}

fn read(source: &Source, arn: Value) -> Part {
    let taking = allow(
        "TakeRecords",
        ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"],
        [arn.clone()],
    );
    let is_fifo = source.kind == SourceKind::SqsFifo;
    // A FIFO queue knows no window.
    let window = (!is_fifo).then(super::window);
    let calls_max = if is_fifo { FIFO_CALLS_MAX } else { CALLS_MAX };
    let particular = [Entry::new("EventSourceArn", arn)].into_iter().chain(window).chain([
        Entry::new("ScalingConfig", map! { "MaximumConcurrency": calls_max }),
        super::metrics(["EventCount"]),
    ]);
    Part { statements: vec![taking], calls: vec![super::mapping(source, particular)], ..Part::default() }
}

fn queue(is_fifo: bool) -> Resource {
    let mut properties = kind(is_fifo);
    if is_fifo {
        // High throughput: order and deduplication hold within a group. No deduplication by content: two equal
        // readings within five minutes are two.
        properties.push(Entry::new("DeduplicationScope", "messageGroup"));
        properties.push(Entry::new("FifoThroughputLimit", "perMessageGroupId"));
    }
    properties.extend([
        Entry::new("VisibilityTimeout", HIDDEN_S),
        Entry::new("MessageRetentionPeriod", scored::RETENTION_S),
        Entry::new("MaximumMessageSize", scored::MESSAGE_BYTES_MAX),
        Entry::new("SqsManagedSseEnabled", true),
        Entry::new(
            "RedrivePolicy",
            map! { "deadLetterTargetArn": dead_letters_arn(), "maxReceiveCount": RECEIVES_MAX },
        ),
    ]);
    Resource::new(QUEUE, "AWS::SQS::Queue", Value::Map(properties)).because(
        "Patient: a record that fails comes again for a day, then lies in the queue behind this one.",
    )
}

pub(super) fn dead_letters(is_fifo: bool) -> Resource {
    let mut properties = kind(is_fifo);
    properties.extend([
        Entry::new("MessageRetentionPeriod", scored::RETENTION_S),
        Entry::new("MaximumMessageSize", scored::MESSAGE_BYTES_MAX),
        Entry::new("SqsManagedSseEnabled", true),
    ]);
    Resource::new(DEAD_LETTERS, "AWS::SQS::Queue", Value::Map(properties))
}

fn kind(is_fifo: bool) -> Vec<Entry> {
    // `false` cannot be said: CloudFormation takes the property of a FIFO queue only.
    if is_fifo { vec![Entry::new("FifoQueue", true)] } else { Vec::new() }
}

/// Nobody without TLS; `filler` for what it acts for; others by their own policies.
pub(super) fn policy(id: &'static str, queue: &str, filler: Option<&Filler>) -> Resource {
    let arn = attribute(&format!("{queue}.Arn"));
    let fills = filler.map(|Filler { service, arn: source }| {
        map! {
            "Sid": "Fill",
            "Effect": "Allow",
            "Principal": map! { "Service": *service },
            "Action": "sqs:SendMessage",
            "Resource": arn.clone(),
            "Condition": map! { "ArnEquals": map! { "aws:SourceArn": source.clone() } },
        }
    });
    let statements = fills.into_iter().chain([deny_without_tls("sqs:*", arn.clone())]).collect();
    Resource::new(
        id,
        "AWS::SQS::QueuePolicy",
        map! { "Queues": vec![reference(queue)], "PolicyDocument": document(statements) },
    )
}
