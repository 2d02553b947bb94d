//! The function `classify`: scored chunks in, states and transitions in the tables, and what to bring again.
//!
//! Where readings wait for each other, or a rule judges silence, it is called every minute with `{"flush":true}` too:
//! it releases what waits in series that fell silent, and tells their silence.
//!
//! [`handle`] needs no Lambda around it: tests and `anomaly local classify` call it with ports of their own.

use anomaly_aws::event::{BatchResponse, EventError};
use anomaly_aws::metrics::{self, Metrics};
use anomaly_aws::sqs::{self, Incoming};
use anomaly_core::classify::Policy;
use anomaly_core::settle::{Fate, Tally};
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{ChunkV1, WireError};
use anomaly_pipeline::classify::{Classified, Flushed, Tables, classify_chunk, flush};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Journal, Rejects, States};
use serde::Deserialize;

/// Judges the chunks of `event`, in order, or, for a flush, the readings that wait although nothing comes after
/// them, and the silence. `now` is when transitions count as created.
///
/// A message that fails is wanted again, and with it all behind it in its group, so that none overtakes it
/// (AWS Lambda developer guide, "partial batch responses", FIFO queues). One that cannot be read is wanted
/// again too: the queue gives it up to its dead-letter queue in the end, where it is kept.
///
/// # Errors
/// [`EventError`] if `event` is neither, or holds a message without an id, or if a flush cannot find out what is
/// due.
pub async fn handle<S: States, R: Rejects, J: Journal>(
    tables: Tables<'_, S, R, J>,
    policy: &Policy,
    event: &str,
    now: Timestamp,
) -> Result<BatchResponse, EventError> {
    if is_flush(event) {
        let flushed = flush(tables.states, policy, now).await;
        log_flush(&flushed.map_err(|fault| EventError::WholeBatch { why: fault.to_string() })?);
        return Ok(BatchResponse::default());
    }
    let (mut fates, mut again, mut stuck) = (Vec::new(), Vec::new(), Vec::new());
    let mut total = Classified::default();
    for Incoming { id, group, chunk } in sqs::read(event)? {
        let is_held_up = group.is_some() && stuck.contains(&group);
        let judged = match is_held_up {
            true => None,
            false => judge(tables, policy, &id, chunk, now).await,
        };
        match judged {
            Some(classified) => {
                add(&mut total, classified);
                fates.push(Fate::Done);
            }
            None => {
                fates.push(Fate::Again);
                again.push(id);
                stuck.push(group);
            }
        }
    }
    log_batch(Tally::of(fates.len(), &fates), total);
    measured(&total, now).emit(now);
    Ok(BatchResponse::again(again.iter().map(String::as_str)))
}

fn is_flush(event: &str) -> bool {
    #[derive(Deserialize)]
    struct Flush {
        flush: bool,
    }
    // A chunk may have a megabyte, and is not to be read twice.
    event.len() < 100 && serde_json::from_str::<Flush>(event).is_ok_and(|event| event.flush)
}

/// Judges one message; `None`, and a line in the log, if it is wanted again.
async fn judge<S: States, R: Rejects, J: Journal>(
    tables: Tables<'_, S, R, J>,
    policy: &Policy,
    id: &str,
    chunk: Result<ChunkV1, WireError>,
    now: Timestamp,
) -> Option<Classified> {
    let chunk = chunk
        .inspect_err(|error| tracing::error!(%error, message_id = id, "message wanted again, unreadable"))
        .ok()?;
    let (partition, model) = (chunk.partition.clone(), chunk.model.clone());
    match classify_chunk(tables, policy, chunk, now).await {
        Ok(classified) => Some(classified),
        Err(fault) => {
            let kind = fault.kind.as_str();
            if fault.kind.may_pass() {
                tracing::warn!(%fault, kind, message_id = id, partition = partition.as_str(), model, "chunk wanted again");
            } else {
                tracing::error!(%fault, kind, message_id = id, partition = partition.as_str(), model, "chunk wanted again");
            }
            None
        }
    }
}

/// Adds up what became of the rows; each has exactly one fate.
fn add(total: &mut Classified, one: Classified) {
    let Classified { received, judged, held, released, duplicates, rejects, .. } = one;
    assert_eq!(received, judged - released + held + duplicates + rejects, "every row has exactly one fate");
    total.received += received;
    total.judged += judged;
    total.held += held;
    total.released += released;
    total.duplicates += duplicates;
    total.late += one.late;
    total.rejects += rejects;
    total.dropped += one.dropped;
    total.untimely.add(one.untimely);
    total.watermark = total.watermark.max(one.watermark);
    total.anomalous += one.anomalous;
    total.transitions += one.transitions;
}

/// What CloudWatch makes metrics of.
fn measured(total: &Classified, now: Timestamp) -> Metrics {
    let mut metrics = Metrics::default();
    metrics.count(metrics::LATE_INPUT_EVENTS, total.untimely.late);
    metrics.count(metrics::OUT_OF_ORDER_EVENTS, total.untimely.out_of_order);
    metrics.count(metrics::EARLY_INPUT_EVENTS, total.untimely.early);
    metrics.count(metrics::INPUT_DESERIALIZATION_ERRORS, total.rejects - total.dropped);
    if let Some(watermark) = total.watermark {
        // A clock of a device may be ahead of ours.
        let delay_ms = now.ms_since(watermark).max(0);
        metrics.seconds(metrics::WATERMARK_DELAY_SECONDS, delay_ms as f64 / 1000.0);
    }
    metrics
}

/// One line a flush, and one for each series that could not be released.
fn log_flush(flushed: &Flushed) {
    let Flushed { series, released, anomalous, transitions, faults } = flushed;
    faults.iter().for_each(log_fault);
    let failed = faults.len();
    tracing::info!(series, released, anomalous, transitions, failed, "flush settled");
}

fn log_fault(fault: &Fault) {
    let kind = fault.kind.as_str();
    if fault.kind.may_pass() {
        tracing::warn!(%fault, kind, "series wanted again");
    } else {
        tracing::error!(%fault, kind, "series wanted again");
    }
}

/// One line a batch: the fates of the messages, and what was in them.
fn log_batch(tally: Tally, total: Classified) {
    let Tally { received, done, rejected, again } = tally;
    let Classified {
        received: rows, judged, held, duplicates, late, rejects, anomalous, transitions, ..
    } = total;
    macro_rules! settled {
        ($level:ident) => {
            tracing::$level!(
                received,
                done,
                rejected,
                again,
                rows,
                judged,
                held,
                duplicates,
                late,
                rejects,
                anomalous,
                transitions,
                "batch settled"
            )
        };
    }
    if again > 0 { settled!(warn) } else { settled!(info) }
}
