//! The alerts of a deployed stack.

use std::io::{self, Write};

use anomaly_aws::stack::AlertTables;
use anomaly_core::alert::Acknowledgement;
use anomaly_core::alerts::Alert;
use anomaly_core::time::Timestamp;
use anomaly_local::alerts::{Alerts, Answer};
use anomaly_pipeline::acknowledge;
use anomaly_pipeline::alerts::alerts;
use anyhow::bail;

use super::place::Wanted;
use crate::cloud::{connect, runtime};

/// The digits of an alert's whole name.
const DIGITS: usize = 16;

/// The alerts of the stack `stack`.
///
/// # Errors
/// If the environment names no region or keys, there is no such stack, or a table cannot be read.
pub(super) fn read(stack: &str, wanted: Wanted<'_>) -> anyhow::Result<Alerts> {
    let connector = connect("alerts")?;
    runtime()?.block_on(async {
        let tables = AlertTables::of(&connector, stack).await?;
        let (mut steps, mut unread) = (Vec::new(), 0);
        if let Wanted::Named(name) = wanted
            && name.len() == DIGITS
        {
            (steps, unread) = tables.outbox.steps_of(name).await?;
        }
        // By a part of its name, or if it is none, it is looked for among all.
        if steps.is_empty() {
            (steps, unread) = tables.outbox.steps().await?;
        }
        if unread > 0 {
            let plural = if unread == 1 { "" } else { "s" };
            writeln!(
                io::stderr(),
                "note: {unread} more step{plural} by a later release cannot be read by this one"
            )?;
        }
        let open = if wanted == Wanted::Every { tables.states.open().await? } else { Vec::new() };
        Ok(Alerts::of(alerts(&tables.states, steps, open).await?))
    })
}

/// Acknowledges `alert` in the stack `stack`; who is told of its alerts is told of it.
///
/// # Errors
/// As [`read`], and if no step of the alert is kept.
pub(super) fn acknowledge(
    stack: &str,
    alert: &Alert,
    said: &Acknowledgement,
    now: Timestamp,
) -> anyhow::Result<Answer> {
    let Some(last) = alert.last() else {
        bail!(
            "alert {} took its last step so long ago that none is kept\nhint: it can be acknowledged once it has taken another step",
            alert.id
        )
    };
    let connector = connect("alerts")?;
    runtime()?.block_on(async {
        let tables = AlertTables::of(&connector, stack).await?;
        Ok(Answer::Now(acknowledge::acknowledge(&tables.states, last, said, now).await?))
    })
}
