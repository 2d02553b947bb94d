//! The function `classify`: scored chunks in, states and transitions in the tables, and what to bring again.
//!
//! [`handle`] needs no Lambda around it: tests and `anomaly local classify` call it with ports of their own.

use anomaly_aws::event::{BatchResponse, EventError};
use anomaly_aws::sqs::{self, Incoming};
use anomaly_core::classify::Policy;
use anomaly_core::settle::{Fate, Tally};
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{ChunkV1, WireError};
use anomaly_pipeline::classify::{Classified, classify_chunk};
use anomaly_pipeline::ports::{Rejects, States};

/// Judges the chunks of `event`, in order. `now` is when transitions count as created.
///
/// A message that fails is wanted again, and with it all behind it in its group, so that none overtakes it
/// (AWS Lambda developer guide, "partial batch responses", FIFO queues). One that cannot be read is wanted
/// again too: the queue gives it up to its dead-letter queue in the end, where it is kept.
///
/// # Errors
/// [`EventError`] if `event` is no SQS event, or holds a message without an id.
pub async fn handle(
    states: &impl States,
    rejects: &impl Rejects,
    policy: &Policy,
    event: &str,
    now: Timestamp,
) -> Result<BatchResponse, EventError> {
    let (mut fates, mut again, mut stuck) = (Vec::new(), Vec::new(), Vec::new());
    let mut total = Classified::default();
    for Incoming { id, group, chunk } in sqs::read(event)? {
        let is_held_up = group.is_some() && stuck.contains(&group);
        let judged = match is_held_up {
            true => None,
            false => judge(states, rejects, policy, &id, chunk, now).await,
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
    Ok(BatchResponse::again(again.iter().map(String::as_str)))
}

/// Judges one message; `None`, and a line in the log, if it is wanted again.
async fn judge(
    states: &impl States,
    rejects: &impl Rejects,
    policy: &Policy,
    id: &str,
    chunk: Result<ChunkV1, WireError>,
    now: Timestamp,
) -> Option<Classified> {
    let chunk = chunk
        .inspect_err(|error| tracing::error!(%error, message_id = id, "message wanted again, unreadable"))
        .ok()?;
    let (partition, model) = (chunk.partition.clone(), chunk.model.clone());
    match classify_chunk(states, rejects, policy, chunk, now).await {
        Ok(classified) => Some(classified),
        Err(fault) => {
            let kind = fault.kind.as_str();
            if fault.kind.may_pass() {
                tracing::warn!(%fault, kind, message_id = id, partition, model, "chunk wanted again");
            } else {
                tracing::error!(%fault, kind, message_id = id, partition, model, "chunk wanted again");
            }
            None
        }
    }
}

fn add(total: &mut Classified, one: Classified) {
    let Classified { received, judged, duplicates, rejects, anomalous, transitions } = one;
    assert_eq!(received, judged + duplicates + rejects, "every row has exactly one fate");
    total.received += received;
    total.judged += judged;
    total.duplicates += duplicates;
    total.rejects += rejects;
    total.anomalous += anomalous;
    total.transitions += transitions;
}

/// One line a batch: the fates of the messages, and what was in them.
fn log_batch(tally: Tally, total: Classified) {
    let Tally { received, done, rejected, again } = tally;
    let Classified { received: rows, judged, duplicates, rejects, anomalous, transitions } = total;
    macro_rules! settled {
        ($level:ident) => {
            tracing::$level!(
                received,
                done,
                rejected,
                again,
                rows,
                judged,
                duplicates,
                rejects,
                anomalous,
                transitions,
                "batch settled"
            )
        };
    }
    if again > 0 { settled!(warn) } else { settled!(info) }
}
