//! The transitions on their way to people.

use anomaly_core::alert::Transition;
use anomaly_core::names;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, TransitionV1};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Claim, Outbox, TransitionKey};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::item::{Item, expires_s, n, number, s, text};
use super::stream::alert_id;
use crate::connect::Connector;
use crate::fault::fault;

/// A table of DynamoDB with its sparse index of what is pending.
#[derive(Clone, Debug)]
pub struct DynamoOutbox {
    client: Client,
    table: String,
}

impl DynamoOutbox {
    /// The table `table`.
    pub fn new(connector: &Connector, table: &str) -> Self {
        DynamoOutbox { client: connector.dynamodb(), table: table.to_owned() }
    }

    /// All steps that are kept, in any order, read page by page: half a read unit for each 4 KB of the table, however
    /// many are wanted. What was written in the last second may be missing. What cannot be read (a later release
    /// wrote it) is counted.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn steps(&self) -> Result<(Vec<Transition>, usize), Fault> {
        let (mut read, mut from) = (Read::default(), None);
        loop {
            let request = self
                .client
                .scan()
                .table_name(&self.table)
                .projection_expression("#body")
                .expression_attribute_names("#body", names::BODY)
                .set_exclusive_start_key(from);
            let page = request.send().await.map_err(|error| fault("list the steps of alerts", &error))?;
            read.take(page.items.unwrap_or_default());
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok((read.steps, read.newer));
            }
        }
    }

    /// The steps that are kept of the alert whose whole name is `alert`, in order, as they were last written; and how many cannot be read.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn steps_of(&self, alert: &str) -> Result<(Vec<Transition>, usize), Fault> {
        let (mut read, mut from) = (Read::default(), None);
        loop {
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("#alert = :alert")
                .expression_attribute_names("#alert", names::ALERT)
                .expression_attribute_values(":alert", s(alert))
                .set_exclusive_start_key(from);
            let page = request.send().await;
            let page = page.map_err(|error| fault(format!("read the steps of alert {alert}"), &error))?;
            read.take(page.items.unwrap_or_default());
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok((read.steps, read.newer));
            }
        }
    }

    /// An update of `key`, in which `#pending` and `#lease` stand for the attributes.
    fn update(&self, key: &TransitionKey) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key(names::ALERT, s(key.alert.as_str()))
            .key(names::TRANSITION, n(key.number))
            .expression_attribute_names("#pending", names::PENDING)
            .expression_attribute_names("#lease", names::LEASE_UNTIL_MS)
    }
}

/// Steps that were read, and how many could not be.
#[derive(Default)]
struct Read {
    steps: Vec<Transition>,
    newer: usize,
}

impl Read {
    fn take(&mut self, rows: Vec<Item>) {
        for row in rows {
            match text(&row, names::BODY).map(wire::read::<TransitionV1>) {
                Some(Ok(read)) => self.steps.push(read.transition),
                _ => self.newer += 1,
            }
        }
    }
}

impl Outbox for DynamoOutbox {
    async fn claim(
        &self,
        key: &TransitionKey,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Claim, Fault> {
        let operation = format!("claim alert {} transition {}", key.alert, key.number);
        let request = self
            .update(key)
            .update_expression("SET #lease = :until")
            .condition_expression(
                "attribute_exists(#pending) AND (attribute_not_exists(#lease) OR #lease < :now)",
            )
            .expression_attribute_values(":until", n(lease_until.as_ms()))
            .expression_attribute_values(":now", n(now.as_ms()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let error = match request.send().await {
            Ok(updated) => return taken(&operation, &updated.attributes.unwrap_or_default()),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let is_pending = failed.item().is_some_and(|row| row.contains_key(names::PENDING));
                Ok(if is_pending { Claim::Held } else { Claim::Sent })
            }
            _ => Err(fault(operation, &error)),
        }
    }

    async fn release(&self, key: &TransitionKey, lease_until: Timestamp) -> Result<(), Fault> {
        let request = self
            .update(key)
            .update_expression("REMOVE #lease")
            .condition_expression("attribute_exists(#pending) AND #lease = :until")
            .expression_attribute_values(":until", n(lease_until.as_ms()));
        done(request.send().await, || format!("release alert {} transition {}", key.alert, key.number))
    }

    async fn mark_sent(&self, key: &TransitionKey, message_id: &str, now: Timestamp) -> Result<(), Fault> {
        let request = self
            .update(key)
            .update_expression(
                "REMOVE #pending, #lease SET #sent = :now, #message = :message, #expires = :expires",
            )
            // Marked before, or expired since: an update must not bring half a row to life.
            .condition_expression("attribute_exists(#pending)")
            .expression_attribute_names("#sent", names::SENT_MS)
            .expression_attribute_names("#message", names::MESSAGE_ID)
            .expression_attribute_names("#expires", names::EXPIRES_S)
            .expression_attribute_values(":now", n(now.as_ms()))
            .expression_attribute_values(":message", s(message_id))
            .expression_attribute_values(":expires", n(expires_s(now)));
        done(request.send().await, || format!("mark alert {} transition {} sent", key.alert, key.number))
    }

    async fn pending(&self, created_before: Timestamp, limit: usize) -> Result<Vec<TransitionKey>, Fault> {
        const OPERATION: &str = "list what is pending";
        let (mut rows, mut start) = (Vec::new(), None);
        loop {
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(names::PENDING_INDEX)
                .key_condition_expression("#pending = :pending AND #created < :before")
                .expression_attribute_names("#pending", names::PENDING)
                .expression_attribute_names("#created", names::CREATED_MS)
                .expression_attribute_values(":pending", s(names::PENDING_VALUE))
                .expression_attribute_values(":before", n(created_before.as_ms()))
                .limit(i32::try_from(limit - rows.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start);
            let page = request.send().await.map_err(|error| fault(OPERATION, &error))?;
            rows.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() || rows.len() >= limit {
                break;
            }
        }
        in_order(&rows).ok_or_else(|| Fault::permanent(OPERATION, "a row of the index has no keys"))
    }
}

/// An update whose condition need not hold: where it does not, there is nothing left to do.
fn done(
    updated: Result<UpdateItemOutput, SdkError<UpdateItemError>>,
    operation: impl Fn() -> String,
) -> Result<(), Fault> {
    match updated {
        Ok(_) => Ok(()),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
        {
            Ok(())
        }
        Err(error) => Err(fault(operation(), &error)),
    }
}

fn taken(operation: &str, row: &Item) -> Result<Claim, Fault> {
    let body = text(row, names::BODY).unwrap_or_default();
    let read = wire::read::<TransitionV1>(body).map_err(|error| Fault::permanent(operation, error))?;
    Ok(Claim::Taken(Box::new(read.transition)))
}

/// Oldest first. Transitions written together have one time, and the index has no order among them: an
/// alert's end must not come before its beginning.
fn in_order(rows: &[Item]) -> Option<Vec<TransitionKey>> {
    let key = |row: &Item| {
        let alert = alert_id(text(row, names::ALERT)?)?;
        let key = TransitionKey { alert, number: number(row, names::TRANSITION)? };
        Some((number::<i64>(row, names::CREATED_MS)?, key))
    };
    let mut keys: Vec<(i64, TransitionKey)> = rows.iter().map(key).collect::<Option<_>>()?;
    keys.sort();
    Some(keys.into_iter().map(|(_, key)| key).collect())
}
