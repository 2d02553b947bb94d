//! Stage two: a scored chunk to states and transitions.

mod flush;
mod order;

use anomaly_core::alert::Transition;
use anomaly_core::classify::{Judgement, Policy, SeriesState, classify};
use anomaly_core::event_time::Untimeliness;
use anomaly_core::reading::{Scored, SeriesId};
use anomaly_core::rule::Finding;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{ChunkV1, RejectV1};

pub use self::flush::{FLUSH_MAX, Flushed, flush};

use crate::fault::Fault;
use crate::ports::{Rejects, Saved, States, Stored};

/// How often a series is judged anew because somebody else wrote its state meanwhile. The queue's groups let
/// that happen only while a partition is split or a message comes twice, so more than a few is a fault.
const CONFLICTS_MAX: usize = 5;

/// What became of a chunk. `received == judged - released + held + duplicates + rejects`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classified {
    /// Rows and rejects that came.
    pub received: usize,
    /// Readings judged, those released among them.
    pub judged: usize,
    /// Readings put by to be judged in the order of their times, maybe at once; none without event time.
    pub held: usize,
    /// Readings that had been put by, in this chunk or before.
    pub released: usize,
    /// Readings judged before, by the state's memory.
    pub duplicates: usize,
    /// Rejects kept: those that came, and the readings dropped.
    pub rejects: usize,
    /// Readings dropped as early, late or out of order.
    pub dropped: usize,
    /// Readings that were not in time or not in order, dropped or moved.
    pub untimely: Untimeliness,
    /// The largest watermark of the series that came; `None` without event time.
    pub watermark: Option<Timestamp>,
    /// Findings that were anomalous.
    pub anomalous: usize,
    /// Transitions written to the outbox.
    pub transitions: usize,
}

/// Judges `chunk` and writes what follows. `now` is when transitions count as created.
///
/// # Errors
/// The first fault. What was written stays written and is recognised when the chunk comes again.
pub async fn classify_chunk(
    states: &impl States,
    rejects: &impl Rejects,
    policy: &Policy,
    chunk: ChunkV1,
    now: Timestamp,
) -> Result<Classified, Fault> {
    let mut outcome = Classified {
        received: chunk.rows.len() + chunk.rejects.len(),
        rejects: chunk.rejects.len(),
        ..Classified::default()
    };
    if !chunk.rejects.is_empty() {
        rejects.keep(&chunk.rejects).await?;
    }
    let groups = by_series(chunk.rows.into_iter().map(|row| row.into_scored(&chunk.partition)));
    let names: Vec<SeriesId> = groups.iter().map(|(series, _)| series.clone()).collect();
    if names.is_empty() {
        return Ok(outcome);
    }
    let loaded = states.load(&names).await?;
    for ((series, rows), stored) in groups.iter().zip(loaded) {
        let tables = Tables { states, rejects };
        let judged = judge_series(tables, policy, (series, rows), stored, &chunk.model, now).await?;
        judged.add_to(&mut outcome);
    }
    Ok(outcome)
}

/// What a series' readings are written to.
struct Tables<'t, S, R> {
    states: &'t S,
    rejects: &'t R,
}

/// The readings of each series, in order; the series in the order they first appear.
fn by_series(rows: impl Iterator<Item = Scored>) -> Vec<(SeriesId, Vec<Scored>)> {
    let mut groups: Vec<(SeriesId, Vec<Scored>)> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|(series, _)| *series == row.reading.series) {
            Some((_, group)) => group.push(row),
            None => groups.push((row.reading.series.clone(), vec![row])),
        }
    }
    groups
}

async fn judge_series(
    Tables { states, rejects }: Tables<'_, impl States, impl Rejects>,
    policy: &Policy,
    (series, rows): (&SeriesId, &[Scored]),
    mut stored: Option<Stored>,
    model: &str,
    now: Timestamp,
) -> Result<Judged, Fault> {
    for _ in 0..CONFLICTS_MAX {
        let revision = stored.as_ref().map(|s| s.revision);
        let (state, judged) = judge(policy, stored.map(|s| s.state).unwrap_or_default(), rows, model);
        if judged.duplicates == rows.len() {
            return Ok(judged);
        }
        if !judged.dropped.is_empty() {
            // Before the state, which then counts them as seen.
            rejects.keep(&judged.dropped).await?;
        }
        match states.save(series, &state, revision, &judged.transitions, now).await? {
            Saved::Written => return Ok(judged),
            Saved::Conflict => stored = states.load(std::slice::from_ref(series)).await?.pop().flatten(),
        }
    }
    Err(contended(series))
}

fn contended(series: &SeriesId) -> Fault {
    let detail = format!("others wrote it {CONFLICTS_MAX} times meanwhile");
    Fault::transient(format!("write the state of {series}"), detail)
}

/// What came of a series' rows.
#[derive(Default)]
struct Judged {
    judged: usize,
    held: usize,
    released: usize,
    duplicates: usize,
    dropped: Vec<RejectV1>,
    untimely: Untimeliness,
    watermark: Option<Timestamp>,
    anomalous: usize,
    transitions: Vec<Transition>,
}

impl Judged {
    fn add(&mut self, judgement: Judgement) {
        self.judged += 1;
        self.anomalous += judgement.findings.iter().filter(|f| matches!(f, Finding::Anomalous(..))).count();
        self.transitions.extend(judgement.transitions);
    }

    fn add_to(self, outcome: &mut Classified) {
        outcome.judged += self.judged;
        outcome.held += self.held;
        outcome.released += self.released;
        outcome.duplicates += self.duplicates;
        outcome.rejects += self.dropped.len();
        outcome.dropped += self.dropped.len();
        outcome.untimely.add(self.untimely);
        outcome.watermark = outcome.watermark.max(self.watermark);
        outcome.anomalous += self.anomalous;
        outcome.transitions += self.transitions.len();
    }
}

/// Judges the rows the state has not seen, or puts them by until their time has come.
fn judge(policy: &Policy, mut state: SeriesState, rows: &[Scored], model: &str) -> (SeriesState, Judged) {
    let mut judged = Judged::default();
    order::end_if_unwanted(policy, &mut state, rows, &mut judged);
    for row in rows {
        if state.has_seen(&row.reading.position) {
            judged.duplicates += 1;
            continue;
        }
        match policy.event_time() {
            None => judged.add(classify(policy, &mut state, row, model)),
            Some(event_time) => order::admit(policy, event_time, &mut state, row, model, &mut judged),
        }
    }
    (state, judged)
}
