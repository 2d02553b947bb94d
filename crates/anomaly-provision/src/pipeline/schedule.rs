//! A schedule that calls a function for work that nothing else brings: the call, and what becomes of one that
//! fails.

use super::function::Stage;
use super::scored;
use crate::permission::{self, Statement, allow};
use crate::stack::Resource;
use crate::value::{attribute, map, reference};

/// A function called every so many minutes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// The logical id; those of its role and queue begin with it.
    pub(super) id: &'static str,
    pub(super) stage: Stage,
    pub(super) minutes: u32,
    /// What the function is sent.
    pub(super) event: &'static str,
    pub(super) description: &'static str,
    /// Why there is one.
    pub(super) because: &'static str,
    /// The name of the statement that lets calls which failed be kept.
    pub(super) keep_failed: &'static str,
    /// What the alarm says when one has failed.
    pub(super) alarm: &'static str,
}

impl Schedule {
    /// The schedule, its role, what is done about failures, and where they go.
    pub(super) fn resources(&self) -> Vec<Resource> {
        let alarm = format!("{}NotEmpty", self.dead());
        vec![
            self.schedule(),
            self.role(),
            self.retries(),
            self.queue(),
            scored::not_empty(alarm, &self.dead(), self.alarm),
        ]
    }

    /// What the function's role needs: Lambda hands a failed call on in the function's own name.
    pub(super) fn statement(&self) -> Statement {
        allow(self.keep_failed, ["sqs:SendMessage"], [attribute(&format!("{}.Arn", self.dead()))])
    }

    fn dead(&self) -> String {
        format!("{}Dlq", self.id)
    }

    fn schedule(&self) -> Resource {
        let unit = if self.minutes == 1 { "minute" } else { "minutes" };
        Resource::new(
            self.id,
            "AWS::Scheduler::Schedule",
            map! {
                "Description": self.description,
                "ScheduleExpression": format!("rate({} {unit})", self.minutes),
                "FlexibleTimeWindow": map! { "Mode": "OFF" },
                "Target": map! {
                    "Arn": attribute(&format!("{}.Arn", self.stage.function())),
                    "RoleArn": attribute(&format!("{}Role.Arn", self.id)),
                    "Input": self.event,
                    // Older than this, the next one is there already.
                    "RetryPolicy": map! { "MaximumEventAgeInSeconds": self.minutes * 60, "MaximumRetryAttempts": 3_u32 },
                    "DeadLetterConfig": map! { "Arn": attribute(&format!("{}.Arn", self.dead())) },
                },
            },
        )
        .because(self.because)
    }

    fn role(&self) -> Resource {
        let trust = map! {
            "Effect": "Allow",
            "Principal": map! { "Service": "scheduler.amazonaws.com" },
            "Action": "sts:AssumeRole",
            "Condition": permission::for_this_account(),
        };
        let function = attribute(&format!("{}.Arn", self.stage.function()));
        let call = match self.stage {
            Stage::Invoke => "CallInvoke",
            Stage::Classify => "CallClassify",
            Stage::Publish => "CallPublish",
        };
        let call = allow(call, ["lambda:InvokeFunction"], [function]);
        permission::role_trusting(format!("{}Role", self.id), trust, vec![call, self.statement()])
    }

    /// The schedule hands the event over and is done: what the function does with it is for Lambda to watch.
    fn retries(&self) -> Resource {
        Resource::new(
            format!("{}Retries", self.id),
            "AWS::Lambda::EventInvokeConfig",
            map! {
                "FunctionName": reference(&self.stage.function()),
                "Qualifier": "$LATEST",
                "MaximumEventAgeInSeconds": self.minutes * 60,
                "MaximumRetryAttempts": 0_u32,
                "DestinationConfig": map! {
                    "OnFailure": map! { "Destination": attribute(&format!("{}.Arn", self.dead())) },
                },
            },
        )
        .because("A failed call is not repeated: the next one does the same work.")
    }

    fn queue(&self) -> Resource {
        Resource::new(
            self.dead(),
            "AWS::SQS::Queue",
            map! { "MessageRetentionPeriod": scored::RETENTION_S, "SqsManagedSseEnabled": true },
        )
    }
}
