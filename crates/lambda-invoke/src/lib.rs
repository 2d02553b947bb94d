//! The function `invoke`: records of any source in, scored chunks on the queue, and what to bring again.
//!
//! [`handle`] needs no Lambda around it: tests and `anomaly local invoke` call it with ports of their own.

#[cfg(feature = "aws")]
pub mod payload;

use anomaly_aws::drift;
use anomaly_aws::event::EventError;
use anomaly_aws::source::{Batch, Intake, Partition, Reply};
use anomaly_core::records::Decoded;
use anomaly_core::settle::Tally;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::RejectV1;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::invoke::{Effort, Invoked, Turn, invoke};
use anomaly_pipeline::ports::{Queue, Scorer, Timer, Windows};

/// Decodes, scores and queues the records of `event`. `now` stands for times that records do not carry.
///
/// Data never makes it fail: a record at fault is handed on with its reason. Only what is wrong on our side or
/// AWS' is wanted again, from the first record of each partition that was not handed on.
///
/// # Errors
/// [`EventError::Unknown`] if `event` is of no source that is known, [`EventError::WholeBatch`] if what is wanted
/// again cannot be named.
pub async fn handle<S: Scorer, T: Timer, W: Windows>(
    turn: &Turn<'_, S, T, W>,
    queue: &impl Queue,
    intake: &Intake,
    event: &str,
    now: Timestamp,
) -> Result<Reply, EventError> {
    let mut batch = intake.read(event, now)?;
    batch.partitions.iter().for_each(log_rejects);
    drift::tell(&intake.drift.compare(batch.partitions.iter().map(|partition| &partition.records)), now);
    let (mut total, mut chunks, mut resume_at) = (Tally::default(), 0, Vec::new());
    let is_worth_going_on = batch.is_worth_going_on();
    for partition in &mut batch.partitions {
        let Partition { name, records, .. } = partition;
        // What comes again in any case is not tried.
        if resume_at.iter().any(Option::is_some) && !is_worth_going_on {
            let received = records.len();
            total = add(total, Tally { received, again: received, ..Tally::default() });
            resume_at.push(Some(0));
            continue;
        }
        let Invoked { tally, resume_at: at, chunks: sent, refused, fault, fallback } =
            invoke(turn, queue, name, records).await;
        refused.iter().for_each(log_reject);
        refused.into_iter().for_each(|reject| partition.refuse(reject));
        fault.iter().for_each(log_fault);
        fallback.iter().for_each(log_fallback);
        total = add(total, tally);
        chunks += sent;
        resume_at.push(at);
    }
    let reply = batch.reply(&resume_at);
    log_batch(&batch, total, chunks, turn.effort(), reply.as_ref().ok().and_then(Reply::status));
    reply
}

fn add(a: Tally, b: Tally) -> Tally {
    Tally {
        received: a.received + b.received,
        done: a.done + b.done,
        rejected: a.rejected + b.rejected,
        again: a.again + b.again,
    }
}

/// One line a batch.
fn log_batch(batch: &Batch<'_>, total: Tally, chunks: usize, effort: Effort, status: Option<u16>) {
    let Tally { received, done, rejected, again } = total;
    let Effort { requests, retries, breaker } = effort;
    let breaker = breaker.as_str();
    let (source, came) = (batch.source, batch.len());
    assert_eq!((came, received), (received, done + rejected + again), "every record has exactly one fate");
    let partition = batch.partitions.first().map_or("none", |partition| partition.name.as_str());
    // The level must be known to the compiler, the fields need be written but once.
    macro_rules! log_at {
        ($level:ident) => {
            tracing::$level!(
                source,
                received,
                done,
                rejected,
                again,
                chunks,
                requests,
                retries,
                breaker,
                partition,
                status,
                "batch settled"
            )
        };
    }
    if again > 0 { log_at!(warn) } else { log_at!(info) }
}

/// One line a reject; never its content.
fn log_rejects(partition: &Partition<'_>) {
    for record in partition.records.entries() {
        if let Decoded::Rejected(reject) = record {
            log_reject(reject);
        }
    }
}

fn log_reject(reject: &RejectV1) {
    let (reason, data_error) = (reject.reject.as_str(), reject.reject.data_error());
    let (partition, sequence, bytes) = (reject.partition.as_str(), &reject.sequence, reject.bytes);
    tracing::warn!(reason, data_error, partition, %sequence, bytes, "record rejected");
}

/// One line a fault: an error if somebody must act, a warning if waiting may help.
fn log_fallback(fault: &Fault) {
    let kind = fault.kind.as_str();
    if fault.kind.may_pass() {
        tracing::warn!(%fault, kind, "readings left to the streaming detector");
    } else {
        tracing::error!(%fault, kind, "readings left to the streaming detector");
    }
}

fn log_fault(fault: &Fault) {
    let kind = fault.kind.as_str();
    if fault.kind.may_pass() {
        tracing::warn!(%fault, kind, "records wanted again");
    } else {
        tracing::error!(%fault, kind, "records wanted again");
    }
}
