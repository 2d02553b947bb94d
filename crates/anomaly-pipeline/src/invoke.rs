//! Stage one: readings to scored chunks on the queue.
//!
//! A good day is one request and its answer. What a bad day brings is met by one file each: [`retry`](RetryPolicy)
//! asks again within a budget, `split` finds the rows that a model refuses, the [`breaker`](Breaker) leaves an
//! endpoint alone that is down, and what cannot be scored now is wanted again from the first such reading on.

mod ask;
mod batches;
mod breaker;
mod driver;
mod entries;
mod retry;
mod split;
mod windows;

use std::borrow::Cow;

use anomaly_core::group::Groups;
use anomaly_core::reading::Reading;
use anomaly_core::records::{Decoded, Records};
use anomaly_core::settle::{Tally, settle_in_order};
use anomaly_core::wire::{self, RejectV1};

use crate::fault::Fault;
use crate::ports::{Queue, Scorer, Timer, Windows};

pub use breaker::{Admission, Breaker, BreakerPolicy, BreakerState};
pub use driver::{Driver, Effort, Limits, Turn};
pub use retry::RetryPolicy;
pub use split::REFUSED_MAX;

use entries::{Lot, Lots, lots};
use split::Part;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Invoked {
    /// The fates, counted.
    pub tally: Tally,
    /// The index of the record from which the source must resume, if any.
    pub resume_at: Option<usize>,
    /// Chunks queued.
    pub chunks: usize,
    /// The readings the model refused, which were handed on as rejects.
    pub refused: Vec<RejectV1>,
    /// Why records are wanted again; `None` if none are.
    pub fault: Option<Fault>,
}

/// Scores `records`, which are of one partition and in order, and queues them with the rejects among them.
///
/// Stops at the first reading that could not be scored: what comes before it is handed on, the rest is wanted
/// again. The source resumes at the first record of which something was not handed on: what was handed on
/// beyond it comes again, and `classify` knows it. A reading that the model refuses by itself is handed on as a reject.
pub async fn invoke<S: Scorer, T: Timer, W: Windows>(
    turn: &Turn<'_, S, T, W>,
    queue: &impl Queue,
    partition: &str,
    records: &Records,
) -> Invoked {
    let (mut lots, scoring) = judge(turn, records.entries()).await;
    // A batch of which something comes again has its share then.
    if scoring.is_none() && turn.driver.limits.shares {
        lots.add_share(records.entries());
    }
    let (handed_on, chunks, sending) =
        send(queue, turn.driver.limits.groups, partition, &lots.lots, records.entries().len()).await;
    let refused: Vec<_> = lots.refused.into_iter().filter(|(entry, _)| handed_on[*entry]).collect();
    let mut records = Cow::Borrowed(records);
    for (entry, reject) in &refused {
        records.to_mut().reject(*entry, reject.clone());
    }
    let mut fates = records.fates(|entry| handed_on[entry]);
    let resume_at = settle_in_order(&mut fates);
    Invoked {
        tally: Tally::of(records.len(), &fates),
        resume_at,
        chunks,
        refused: refused.into_iter().map(|(_, reject)| *reject).collect(),
        fault: sending.or(scoring),
    }
}

/// The entries up to the first reading that could not be scored, and why it could not.
async fn judge<S: Scorer, T: Timer, W: Windows>(
    turn: &Turn<'_, S, T, W>,
    decoded: &[Decoded],
) -> (Lots, Option<Fault>) {
    let by = turn.driver.limits.rejected_by;
    let Some(scorer) = &turn.driver.scorer else {
        return (lots(decoded, "none", by, |_| false, Vec::new()), None);
    };
    let readings: Vec<&Reading> = decoded.iter().filter_map(reading).collect();
    let (rows, fault) = match rows(turn, &readings).await {
        Ok(rows) => (rows, None),
        Err(fault) => (Vec::new(), Some(fault)),
    };
    let given: Vec<&[f64]> = rows.iter().flatten().map(AsRef::as_ref).collect();
    let part = match fault {
        None => turn.score(scorer, &given).await,
        Some(fault) => Part::failed(fault),
    };
    // Without rows for want of windows, every reading counts as having one that was not scored.
    let has_row = |index: usize| rows.get(index).is_none_or(Option::is_some);
    (lots(decoded, scorer.model(), by, has_row, part.outcomes), part.fault)
}

fn reading(entry: &Decoded) -> Option<&Reading> {
    match entry {
        Decoded::Reading(reading) => Some(reading),
        Decoded::Rejected(_) => None,
    }
}

/// What the model is to be given for each reading: its features, or those of the last readings up to it.
async fn rows<'r, S, T: Timer, W: Windows>(
    turn: &Turn<'_, S, T, W>,
    readings: &[&'r Reading],
) -> Result<Vec<Option<Cow<'r, [f64]>>>, Fault> {
    if turn.driver.shingle <= 1 {
        return Ok(readings.iter().map(|reading| Some(Cow::Borrowed(&*reading.features))).collect());
    }
    let rows = turn.windowed(readings).await?;
    Ok(rows.into_iter().map(|row| row.map(Cow::Owned)).collect())
}

/// Sends in order up to the first failure: which of the `entries` entries were sent, in how many chunks, and why
/// no more.
async fn send(
    queue: &impl Queue,
    groups: Groups,
    partition: &str,
    lots: &[Lot],
    entries: usize,
) -> (Vec<bool>, usize, Option<Fault>) {
    let (mut handed_on, mut first, mut sent) = (vec![false; entries], 0, 0);
    for lot in lots {
        for chunk in wire::chunks(groups, partition, &lot.model, &lot.entries) {
            if let Err(fault) = queue.send(&chunk).await {
                return (handed_on, sent, Some(fault));
            }
            // Behind the last entry may be the share, which is no part of a record.
            let places = chunk.entries.iter().map(|entry| first + entry).filter(|place| *place < entries);
            places.for_each(|place| handed_on[place] = true);
            sent += 1;
        }
        first += lot.entries.len();
    }
    (handed_on, sent, None)
}
