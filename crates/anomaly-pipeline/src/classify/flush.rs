//! Series that fell silent: by the clock on the wall what waits in them is released, and their silence is told.

use anomaly_core::classify::{Policy, SeriesState, silence};
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::CHUNK_SERIES_MAX;

use super::detector::Judge;
use super::{CONFLICTS_MAX, Judged, contended, order};
use crate::fault::Fault;
use crate::ports::{Saved, States, Stored};

/// The most series one flush takes: the next one comes in a minute.
pub const FLUSH_MAX: usize = 1_000;

/// What became of a flush.
#[derive(Debug, Default, PartialEq)]
pub struct Flushed {
    /// Series of which readings were released, or whose silence was told.
    pub series: usize,
    /// Readings released and judged.
    pub released: usize,
    /// Findings that were anomalous.
    pub anomalous: usize,
    /// Transitions written to the outbox.
    pub transitions: usize,
    /// What kept series from being released; the next flush finds them again.
    pub faults: Vec<Fault>,
}

/// Releases the readings whose time no reading can come before any more, although nothing came after them, and tells
/// the silences whose deadline has passed.
///
/// Where nothing comes the watermark is the estimated time of arrival, which is `now`, less the late tolerance
/// (MicrosoftDocs/azure-docs, `event-ordering.md`). A series that fails does not hold up the others.
///
/// # Errors
/// If it cannot be found out which series are due.
pub async fn flush(states: &impl States, policy: &Policy, now: Timestamp) -> Result<Flushed, Fault> {
    let mut flushed = Flushed::default();
    if policy.event_time().is_none() && !policy.judges_silence() {
        return Ok(flushed);
    }
    let late = policy.event_time().map(|event_time| event_time.late).unwrap_or_default();
    let until = now.earlier_by(late);
    let due = states.due(until, FLUSH_MAX).await?;
    for names in due.chunks(CHUNK_SERIES_MAX) {
        let loaded = match states.load(names).await {
            Ok(loaded) => loaded,
            Err(fault) => {
                flushed.faults.push(fault);
                continue;
            }
        };
        for (series, stored) in names.iter().zip(loaded) {
            match flush_series(states, policy, series, stored, until, now).await {
                Ok(judged) => flushed.add(&judged),
                Err(fault) => flushed.faults.push(fault),
            }
        }
    }
    Ok(flushed)
}

impl Flushed {
    fn add(&mut self, judged: &Judged) {
        self.series += usize::from(judged.released > 0 || !judged.transitions.is_empty());
        self.released += judged.released;
        self.anomalous += judged.anomalous;
        self.transitions += judged.transitions.len();
    }
}

async fn flush_series(
    states: &impl States,
    policy: &Policy,
    series: &SeriesId,
    mut stored: Option<Stored>,
    until: Timestamp,
    now: Timestamp,
) -> Result<Judged, Fault> {
    for _ in 0..CONFLICTS_MAX {
        let Some(Stored { mut state, revision }) = stored else { return Ok(Judged::default()) };
        let due = state.due();
        let judged = judge(policy, series, &mut state, until, now)?;
        if judged.released == 0 && judged.transitions.is_empty() && state.due() == due {
            return Ok(judged);
        }
        match states.save(series, &state, Some(revision), &judged.transitions, now).await? {
            Saved::Written => return Ok(judged),
            Saved::Conflict => stored = states.load(std::slice::from_ref(series)).await?.pop().flatten(),
        }
    }
    Err(contended(series))
}

/// What the clock says of `series`: first of what waits, then of its silence. Leaves in `state` when to look again.
fn judge(
    policy: &Policy,
    series: &SeriesId,
    state: &mut SeriesState,
    until: Timestamp,
    now: Timestamp,
) -> Result<Judged, Fault> {
    let mut judged = Judged::default();
    let mut judge = Judge::of(policy, series, state)?;
    order::end_if_unwanted(&mut judge, state, series, &mut judged);
    let released = state.flush(series, until);
    order::release(&mut judge, state, released, &mut judged);
    if judged.released > 0 {
        judge.leave(state);
    }
    judged.transitions.extend(silence::fall_silent(policy, state, series, now));
    silence::schedule(policy, state, series, now);
    Ok(judged)
}
