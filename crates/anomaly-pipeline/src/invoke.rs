//! Stage one: readings to scored chunks on the queue.

use anomaly_core::group::Groups;
use anomaly_core::reading::Scored;
use anomaly_core::records::{Decoded, Records};
use anomaly_core::settle::{Tally, settle_in_order};
use anomaly_core::wire::{self, Entry, RowV1};

use crate::fault::Fault;
use crate::ports::{Queue, Scorer};

/// How a batch is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Rows per call of the scorer, at least 1.
    pub rows_max: usize,
    /// The groups of series into which chunks are divided.
    pub groups: Groups,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Invoked {
    /// The fates, counted.
    pub tally: Tally,
    /// The index of the record from which the source must resume, if any.
    pub resume_at: Option<usize>,
    /// Chunks queued.
    pub chunks: usize,
    /// Why records are wanted again; `None` if none are.
    pub fault: Option<Fault>,
}

/// Scores `records`, which are of one partition and in order, and queues them with the rejects among them.
///
/// Stops at the first failure. The source resumes at the first record of which something was not handed on:
/// what was handed on beyond it comes again, and `classify` knows it. `scorer` is `None` where rules judge
/// values and no model is used.
pub async fn invoke(
    scorer: Option<&impl Scorer>,
    queue: &impl Queue,
    partition: &str,
    records: &Records,
    cut: Cut,
) -> Invoked {
    let model = scorer.map_or("none", Scorer::model);
    let (entries, scoring) = score(scorer, records.entries(), cut.rows_max).await;
    let packed = wire::chunks(cut.groups, partition, model, &entries);
    let (chunks, sending) = send(queue, &packed).await;

    let mut handed_on = vec![false; records.entries().len()];
    packed[..chunks].iter().flat_map(|chunk| &chunk.entries).for_each(|entry| handed_on[*entry] = true);
    let mut fates = records.fates(|entry| handed_on[entry]);
    let resume_at = settle_in_order(&mut fates);
    Invoked { tally: Tally::of(records.len(), &fates), resume_at, chunks, fault: sending.or(scoring) }
}

/// The entries up to the first row that could not be scored, and why it could not.
async fn score(
    scorer: Option<&impl Scorer>,
    decoded: &[Decoded],
    rows_max: usize,
) -> (Vec<Entry>, Option<Fault>) {
    let rows: Vec<&[f64]> = decoded
        .iter()
        .filter_map(|entry| match entry {
            Decoded::Reading(reading) => Some(reading.features.as_slice()),
            Decoded::Rejected(_) => None,
        })
        .collect();
    let (scores, fault) = match scorer {
        Some(scorer) => score_rows(scorer, &rows, rows_max).await,
        None => (vec![None; rows.len()], None),
    };
    let mut scores = scores.into_iter();
    let entry = |entry: &Decoded| match entry {
        Decoded::Reading(reading) => {
            let score = scores.next()?;
            Some(Entry::Row(RowV1::new(&Scored { reading: reading.clone(), score })))
        }
        Decoded::Rejected(reject) => Some(Entry::Reject(reject.clone())),
    };
    (decoded.iter().map_while(entry).collect(), fault)
}

async fn score_rows(
    scorer: &impl Scorer,
    rows: &[&[f64]],
    rows_max: usize,
) -> (Vec<Option<f64>>, Option<Fault>) {
    let mut scores = Vec::with_capacity(rows.len());
    while scores.len() < rows.len() {
        let rest = &rows[scores.len()..];
        let batch = &rest[..rest.len().min(rows_max.max(1))];
        let batch = &batch[..scorer.fit(batch).clamp(1, batch.len())];
        match scorer.score(batch).await.and_then(|answer| check(scorer.model(), batch.len(), answer.scores)) {
            Ok(answer) => scores.extend(answer.into_iter().map(Some)),
            Err(fault) => return (scores, Some(fault)),
        }
    }
    (scores, None)
}

/// One finite score per row, or no score at all is believed: a score must never stand beside the wrong row.
fn check(model: &str, rows: usize, scores: Vec<f64>) -> Result<Vec<f64>, Fault> {
    let fault = |detail: String| Fault::permanent(format!("read the scores of {model}"), detail);
    if scores.len() != rows {
        return Err(fault(format!("{} scores for {rows} rows", scores.len())));
    }
    match scores.iter().position(|score| !score.is_finite()) {
        Some(index) => Err(fault(format!("the score of row {index} is {}", scores[index]))),
        None => Ok(scores),
    }
}

/// Sends in order up to the first failure: how many chunks were sent, and why no more.
async fn send(queue: &impl Queue, chunks: &[wire::Chunk]) -> (usize, Option<Fault>) {
    for (index, chunk) in chunks.iter().enumerate() {
        if let Err(fault) = queue.send(chunk).await {
            return (index, Some(fault));
        }
    }
    (chunks.len(), None)
}
