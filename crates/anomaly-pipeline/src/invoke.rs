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

use anomaly_core::config::STREAMING;
use anomaly_core::group::Groups;
use anomaly_core::reading::Reading;
use anomaly_core::records::{Decoded, Records};
use anomaly_core::settle::{Tally, settle_in_order};
use anomaly_core::window::{Window, Windowed};
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
    /// The readings the model refused, or could not be given, which were handed on as rejects.
    pub refused: Vec<RejectV1>,
    /// Why records are wanted again; `None` if none are.
    pub fault: Option<Fault>,
    /// What kept the model from scoring readings that were left to the streaming detector; `None` if none were.
    pub fallback: Option<Fault>,
}

/// Scores `records`, which are of one partition and in order, and queues them with the rejects among them.
///
/// Stops at the first reading that could not be scored: what comes before it is handed on, the rest is wanted
/// again, or, with a fallback, handed on to the streaming detector. The source resumes at the first record of which something was not handed on: what was handed on
/// beyond it comes again, and `classify` knows it. A reading that the model refuses by itself is handed on as a reject.
pub async fn invoke<S: Scorer, T: Timer, W: Windows>(
    turn: &Turn<'_, S, T, W>,
    queue: &impl Queue,
    partition: &str,
    records: &Records,
) -> Invoked {
    let Judged { mut lots, fault: scoring, fallback } = judge(turn, records.entries()).await;
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
        fallback,
    }
}

/// The entries up to the first reading that could not be scored, and why it could not; all of them with a fallback.
struct Judged {
    lots: Lots,
    fault: Option<Fault>,
    fallback: Option<Fault>,
}

async fn judge<S: Scorer, T: Timer, W: Windows>(turn: &Turn<'_, S, T, W>, decoded: &[Decoded]) -> Judged {
    let Limits { rejected_by: by, streaming, .. } = turn.driver.limits;
    let Some(scorer) = &turn.driver.scorer else {
        let model = if streaming { STREAMING } else { "none" };
        let lots = lots(decoded, model, by, |_| false, Vec::new(), None);
        return Judged { lots, fault: None, fallback: None };
    };
    let asked = match ask_for(turn, decoded).await {
        Ok(asked) => asked,
        // Every reading counts as having a row that was not scored. No fallback either: windows that were not
        // written down would lack these readings ever after.
        Err(fault) => {
            let lots = lots(decoded, scorer.model(), by, |_| true, Vec::new(), None);
            return Judged { lots, fault: Some(fault), fallback: None };
        }
    };
    let given: Vec<&[f64]> = asked.rows.iter().flatten().map(AsRef::as_ref).collect();
    let Part { outcomes, fault } = turn.score(scorer, &given).await;
    let has_row = |index: usize| asked.rows.get(index).is_some_and(Option::is_some);
    let rest = fault.as_ref().filter(|_| streaming).map(|_| STREAMING);
    let mut lots = lots(&asked.entries, scorer.model(), by, has_row, outcomes, rest);
    lots.refuse(asked.unknown);
    let (fault, fallback) = if streaming { (None, fault) } else { (fault, None) };
    Judged { lots, fault, fallback }
}

/// What a model is asked for a batch.
struct Asked<'r> {
    /// The entries, with previous values in the readings that want them; those that cannot have them are rejects.
    entries: Cow<'r, [Decoded]>,
    /// What the model is given for each reading: its features, or those of the last readings up to it.
    rows: Vec<Option<Cow<'r, [f64]>>>,
    /// The readings that became rejects: which entry, and its reject.
    unknown: Vec<(usize, Box<RejectV1>)>,
}

impl<'r> Asked<'r> {
    fn nothing(decoded: &'r [Decoded]) -> Self {
        Asked { entries: Cow::Borrowed(decoded), rows: Vec::new(), unknown: Vec::new() }
    }
}

async fn ask_for<'r, S, T: Timer, W: Windows>(
    turn: &Turn<'_, S, T, W>,
    decoded: &'r [Decoded],
) -> Result<Asked<'r>, Fault> {
    let readings = decoded.iter().enumerate().filter_map(|(index, entry)| Some((index, reading(entry)?)));
    let (indexes, readings): (Vec<usize>, Vec<&Reading>) = readings.unzip();
    let mut asked = Asked::nothing(decoded);
    let plan = &turn.driver.plan;
    let windowed = match plan.keeps_windows() {
        true => turn.windowed(&readings).await?,
        // A reject that is put in again may want what is not kept any more.
        false if readings.iter().any(|reading| reading.takes_previous().is_some()) => {
            readings.iter().map(|reading| Window::default().take_in_once(reading, 1)).collect()
        }
        false => {
            asked.rows = readings.iter().map(|reading| Some(Cow::Borrowed(&*reading.features))).collect();
            return Ok(asked);
        }
    };
    for (index, windowed) in indexes.into_iter().zip(windowed) {
        match windowed {
            Windowed::Known { row, filled } => {
                asked.rows.push(row.map(Cow::Owned));
                if let Some(filled) = filled {
                    asked.entries.to_mut()[index] = Decoded::Reading(*filled);
                }
            }
            Windowed::Unknown(gap) => {
                let Some(reading) = reading(&decoded[index]) else { continue };
                let reject = RejectV1::of_reading(plan.unknown(gap), reading);
                let reject = Box::new(match turn.driver.limits.rejected_by {
                    Some(by) => by.stamp(reject),
                    None => reject,
                });
                asked.entries.to_mut()[index] = Decoded::Rejected(reject.clone());
                asked.unknown.push((index, reject));
            }
        }
    }
    Ok(asked)
}

fn reading(entry: &Decoded) -> Option<&Reading> {
    match entry {
        Decoded::Reading(reading) => Some(reading),
        Decoded::Rejected(_) => None,
    }
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
