//! Stage two: a scored chunk to states and transitions.

use anomaly_core::alert::Transition;
use anomaly_core::classify::{Policy, SeriesState, classify};
use anomaly_core::reading::{Scored, SeriesId};
use anomaly_core::rule::Finding;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::ChunkV1;

use crate::fault::Fault;
use crate::ports::{Rejects, Saved, States, Stored};

/// How often a series is judged anew because somebody else wrote its state meanwhile. The queue's groups let
/// that happen only while a partition is split or a message comes twice, so more than a few is a fault.
const CONFLICTS_MAX: usize = 5;

/// What became of a chunk. `received == judged + duplicates + rejects`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classified {
    /// Rows and rejects that came.
    pub received: usize,
    /// Readings judged.
    pub judged: usize,
    /// Readings judged before, by the state's memory.
    pub duplicates: usize,
    /// Rejects kept.
    pub rejects: usize,
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
        let judged = judge_series(states, policy, series, rows, stored, &chunk.model, now).await?;
        outcome.judged += judged.judged;
        outcome.duplicates += rows.len() - judged.judged;
        outcome.anomalous += judged.anomalous;
        outcome.transitions += judged.transitions.len();
    }
    Ok(outcome)
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
    states: &impl States,
    policy: &Policy,
    series: &SeriesId,
    rows: &[Scored],
    mut stored: Option<Stored>,
    model: &str,
    now: Timestamp,
) -> Result<Judged, Fault> {
    for _ in 0..CONFLICTS_MAX {
        let revision = stored.as_ref().map(|s| s.revision);
        let (state, judged) = judge(policy, stored.map(|s| s.state).unwrap_or_default(), rows, model);
        if judged.judged == 0 {
            return Ok(judged);
        }
        match states.save(series, &state, revision, &judged.transitions, now).await? {
            Saved::Written => return Ok(judged),
            Saved::Conflict => stored = states.load(std::slice::from_ref(series)).await?.pop().flatten(),
        }
    }
    let detail = format!("others wrote it {CONFLICTS_MAX} times meanwhile");
    Err(Fault::transient(format!("write the state of {series}"), detail))
}

/// What came of a series' rows.
#[derive(Default)]
struct Judged {
    judged: usize,
    anomalous: usize,
    transitions: Vec<Transition>,
}

/// Judges the rows the state has not seen.
fn judge(policy: &Policy, mut state: SeriesState, rows: &[Scored], model: &str) -> (SeriesState, Judged) {
    let mut judged = Judged::default();
    for row in rows {
        if state.has_seen(&row.reading.position) {
            continue;
        }
        let judgement = classify(policy, &mut state, row, model);
        judged.judged += 1;
        judged.anomalous += judgement.findings.iter().filter(|f| matches!(f, Finding::Anomalous(..))).count();
        judged.transitions.extend(judgement.transitions);
    }
    (state, judged)
}
