//! Stage one: readings to scored chunks on the queue.

use anomaly_core::reading::Scored;
use anomaly_core::records::{Decoded, Records};
use anomaly_core::settle::{Tally, settle_in_order};
use anomaly_core::wire::{self, Entry, RowV1};

use crate::fault::Fault;
use crate::ports::{Queue, Scorer};

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

/// Scores `records`, which are of one partition and in order, at most `rows_max` rows a call, and queues them
/// with the rejects among them.
///
/// Stops at the first failure: what comes before it is handed on, the rest is wanted again. `scorer` is `None`
/// where rules judge values and no model is used.
pub async fn invoke(
    scorer: Option<&impl Scorer>,
    queue: &impl Queue,
    partition: &str,
    records: &Records,
    rows_max: usize,
) -> Invoked {
    let model = scorer.map_or("none", Scorer::model);
    let (entries, scoring) = score(scorer, records.entries(), rows_max).await;
    let (queued, chunks, sending) = send(queue, &wire::chunks(partition, model, &entries)).await;

    let mut fates = records.fates(|entry| entry < queued);
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

/// Sends in order up to the first failure: how many entries and chunks were sent, and why no more.
async fn send(queue: &impl Queue, chunks: &[wire::Chunk]) -> (usize, usize, Option<Fault>) {
    let mut queued = 0;
    for (index, chunk) in chunks.iter().enumerate() {
        if let Err(fault) = queue.send(chunk).await {
            return (queued, index, Some(fault));
        }
        queued += chunk.entries;
    }
    (queued, chunks.len(), None)
}
