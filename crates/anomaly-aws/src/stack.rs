//! Where a deployed stack keeps what: the outputs of its CloudFormation stack.

use anomaly_pipeline::fault::Fault;
use aws_sdk_cloudformation::types::Output;

use crate::connect::Connector;
use crate::dynamodb::{DynamoOutbox, DynamoStates};
use crate::fault::fault;

/// The output that names the table of states; `anomaly-provision` writes it.
const STATES: &str = "StatesTable";
/// The output that names the outbox.
const OUTBOX: &str = "OutboxTable";

/// The tables that know of alerts.
#[derive(Debug)]
pub struct AlertTables {
    /// The states of the series, in which open alerts live.
    pub states: DynamoStates,
    /// The steps of alerts.
    pub outbox: DynamoOutbox,
}

impl AlertTables {
    /// Those of the stack `stack`, by its name or ARN.
    ///
    /// # Errors
    /// If it cannot be asked for (`cloudformation:DescribeStacks`), or is not one of ours.
    pub async fn of(connector: &Connector, stack: &str) -> Result<Self, Fault> {
        let operation = || format!("look up the stack {stack}");
        let answer = connector.cloudformation().describe_stacks().stack_name(stack).send().await;
        let stacks = answer.map_err(|error| fault(operation(), &error))?.stacks.unwrap_or_default();
        let outputs = stacks.first().map(|stack| stack.outputs()).unwrap_or_default();
        let named = |name: &str| {
            let of = |output: &&Output| output.output_key() == Some(name);
            let value = outputs.iter().find(of).and_then(Output::output_value);
            let none =
                || Fault::permanent(operation(), format!("it has no output {name}, and is none of ours"));
            value.ok_or_else(none)
        };
        let (states, outbox) = (named(STATES)?, named(OUTBOX)?);
        Ok(AlertTables {
            states: DynamoStates::new(connector, states, outbox),
            outbox: DynamoOutbox::new(connector, outbox),
        })
    }
}
