//! The function `publish`: transitions in, people told, and what to bring again.
//!
//! It takes the stream of the outbox, and every five minutes the sweep `{"sweep":true}`, which publishes what
//! was left pending. [`handle`] needs no Lambda around it: tests and `anomaly local publish` call it with
//! ports of their own.

use anomaly_aws::dynamodb::stream::{self, Change, ChangeKind};
use anomaly_aws::event::{BatchResponse, EventError};
use anomaly_core::settle::{Fate, Tally};
use anomaly_core::time::Timestamp;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Outbox, Publisher, TransitionKey};
use anomaly_pipeline::publish::{Published, publish, sweep};
use serde::Deserialize;

/// Publishes the transitions that `event` tells of, or, for the sweep, those that were left.
///
/// `lease_until` is when this process is surely gone, and its claims with it.
///
/// # Errors
/// [`EventError::Unknown`] if `event` is neither, [`EventError::WholeBatch`] if what is wanted again cannot be
/// named, or if a sweep cannot find out what is pending.
pub async fn handle(
    outbox: &impl Outbox,
    publisher: &impl Publisher,
    event: &str,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<BatchResponse, EventError> {
    if is_sweep(event) {
        let swept = sweep(outbox, publisher, now, lease_until).await;
        let published = swept.map_err(|fault| EventError::WholeBatch { why: fault.to_string() })?;
        published.faults.iter().for_each(log_fault);
        log_batch("sweep settled", published.tally, published.sent);
        return Ok(BatchResponse::default());
    }
    let changes = stream::read(event)?;
    changes.iter().for_each(log_unreadable);
    let (places, keys): (Vec<usize>, Vec<TransitionKey>) =
        changes.iter().enumerate().filter_map(inserted).unzip();
    let Published { resume_at, sent, faults, .. } = publish(outbox, publisher, &keys, now, lease_until).await;
    faults.iter().for_each(log_fault);
    let resume_at = resume_at.map(|index| places[index]);
    log_batch("batch settled", tally(&changes, resume_at), sent);
    let names: Vec<Option<&str>> = changes.iter().map(|change| change.name.as_deref()).collect();
    resume_at.map_or_else(|| Ok(BatchResponse::default()), |index| BatchResponse::resume(&names, index))
}

fn is_sweep(event: &str) -> bool {
    #[derive(Deserialize)]
    struct Sweep {
        sweep: bool,
    }
    serde_json::from_str::<Sweep>(event).is_ok_and(|event| event.sweep)
}

fn inserted((place, change): (usize, &Change)) -> Option<(usize, TransitionKey)> {
    match &change.kind {
        ChangeKind::Inserted(key) => Some((place, key.clone())),
        ChangeKind::Other | ChangeKind::Unreadable(_) => None,
    }
}

fn tally(changes: &[Change], resume_at: Option<usize>) -> Tally {
    let fate = |(index, change): (usize, &Change)| match change.kind {
        _ if resume_at.is_some_and(|first| index >= first) => Fate::Again,
        ChangeKind::Unreadable(_) => Fate::Rejected,
        ChangeKind::Inserted(_) | ChangeKind::Other => Fate::Done,
    };
    let fates: Vec<Fate> = changes.iter().enumerate().map(fate).collect();
    Tally::of(changes.len(), &fates)
}

/// One line a batch.
fn log_batch(what: &str, Tally { received, done, rejected, again }: Tally, sent: usize) {
    if again > 0 {
        tracing::warn!(received, done, rejected, again, sent, "{what}");
    } else {
        tracing::info!(received, done, rejected, again, sent, "{what}");
    }
}

/// A row that the stream tells of and nobody can read: its transition waits in the table for the sweep.
fn log_unreadable(change: &Change) {
    if let ChangeKind::Unreadable(why) = &change.kind {
        tracing::error!(why, sequence = change.name.as_deref(), "record rejected");
    }
}

/// One line a fault: an error if somebody must act, a warning if waiting may help.
fn log_fault(fault: &Fault) {
    let kind = fault.kind.as_str();
    if fault.kind.may_pass() {
        tracing::warn!(%fault, kind, "transition wanted again");
    } else {
        tracing::error!(%fault, kind, "transition wanted again");
    }
}
