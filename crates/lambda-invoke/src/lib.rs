//! The function `invoke`: a Kinesis batch in, scored chunks on the queue, and what to bring again.
//!
//! [`handle`] needs no Lambda around it: tests and `anomaly local invoke` call it with ports of their own.

#[cfg(feature = "aws")]
pub mod payload;

use anomaly_aws::event::{BatchResponse, EventError};
use anomaly_aws::kinesis::{self, Partition};
use anomaly_core::decode::Decoder;
use anomaly_core::records::Decoded;
use anomaly_core::settle::Tally;
use anomaly_core::wire::RejectV1;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::invoke::{Effort, Invoked, Turn, invoke};
use anomaly_pipeline::ports::{Queue, Scorer, Timer, Windows};

/// Decodes, scores and queues the records of `event`.
///
/// Data never makes it fail: a record at fault is handed on with its reason. Only what is wrong on our side or
/// AWS' is wanted again, from the first record not handed on.
///
/// # Errors
/// [`EventError::Unknown`] if `event` is no Kinesis event, [`EventError::WholeBatch`] if what is wanted again
/// cannot be named.
pub async fn handle<S: Scorer, T: Timer, W: Windows>(
    turn: &Turn<'_, S, T, W>,
    queue: &impl Queue,
    decoder: &Decoder,
    event: &str,
) -> Result<BatchResponse, EventError> {
    let partitions = kinesis::read(event, decoder)?;
    partitions.iter().for_each(log_rejects);
    let (mut total, mut chunks, mut resume) = (Tally::default(), 0, None);
    for partition in &partitions {
        // After a failure nothing more is tried: what lies behind it comes again in any case.
        if resume.is_some() {
            let received = partition.records.len();
            total = add(total, Tally { received, again: received, ..Tally::default() });
            continue;
        }
        let Partition { name, records, .. } = partition;
        let Invoked { tally, resume_at, chunks: sent, refused, fault } =
            invoke(turn, queue, name, records).await;
        refused.iter().for_each(log_reject);
        fault.iter().for_each(log_fault);
        total = add(total, tally);
        chunks += sent;
        resume = resume_at.map(|index| (partition, index));
    }
    log_batch(&partitions, total, chunks, turn.effort());
    match resume {
        None => Ok(BatchResponse::default()),
        Some((partition, index)) if partitions.len() == 1 => BatchResponse::resume(&partition.names, index),
        Some(_) => Err(EventError::WholeBatch {
            why: "it mixes shards, whose sequence numbers have no common order".to_owned(),
        }),
    }
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
fn log_batch(partitions: &[Partition<'_>], total: Tally, chunks: usize, effort: Effort) {
    let Tally { received, done, rejected, again } = total;
    let Effort { requests, retries, breaker } = effort;
    let breaker = breaker.as_str();
    let came: usize = partitions.iter().map(|partition| partition.records.len()).sum();
    assert_eq!((came, received), (received, done + rejected + again), "every record has exactly one fate");
    let partition = partitions.first().map_or("none", |partition| partition.name.as_str());
    if again > 0 {
        tracing::warn!(
            received,
            done,
            rejected,
            again,
            chunks,
            requests,
            retries,
            breaker,
            partition,
            "batch settled"
        );
    } else {
        tracing::info!(
            received,
            done,
            rejected,
            again,
            chunks,
            requests,
            retries,
            breaker,
            partition,
            "batch settled"
        );
    }
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
    let reason = reject.reject.as_str();
    let (partition, sequence, bytes) = (&reject.partition, reject.sequence.as_str(), reject.bytes);
    tracing::warn!(reason, partition, sequence, bytes, "record rejected");
}

/// One line a fault: an error if somebody must act, a warning if waiting may help.
fn log_fault(fault: &Fault) {
    let kind = fault.kind.as_str();
    if fault.kind.may_pass() {
        tracing::warn!(%fault, kind, "records wanted again");
    } else {
        tracing::error!(%fault, kind, "records wanted again");
    }
}
