//! Stage two: a scored chunk to states and transitions.

mod detector;
mod flush;
mod late;
mod order;
mod recall;

use anomaly_core::alert::Transition;
use anomaly_core::classify::{self, Judgement, Policy, SeriesState, silence};
use anomaly_core::event_time::Untimeliness;
use anomaly_core::reading::{Scored, SeriesId};
use anomaly_core::rule::Finding;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{ChunkV1, RejectV1};

pub use self::flush::{FLUSH_MAX, Flushed, flush};

use crate::fault::Fault;
use crate::ports::{Journal, Rejects, Saved, States, Stored};
use detector::Judge;
use late::Sorted;
use recall::Recall;

/// How often a series is judged anew because somebody else wrote its state meanwhile. The queue's groups let
/// that happen only while a partition is split or a message comes twice, so more than a few is a fault.
const CONFLICTS_MAX: usize = 5;

/// What became of a chunk. `received == judged - released + held + duplicates + rejects`; a late reading counts
/// like any other.
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
    /// Readings judged before, as the state or the journal knows.
    pub duplicates: usize,
    /// Readings judged beside the state, because newer ones had been judged before they came.
    pub late: usize,
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

/// What is known of series and readings, and where rejects are kept.
#[derive(Debug)]
pub struct Tables<'t, S, R, J> {
    /// The memory of the series.
    pub states: &'t S,
    /// Rejected records.
    pub rejects: &'t R,
    /// What was judged.
    pub journal: &'t J,
}

impl<'t, S, R, J> Tables<'t, S, R, J> {
    /// These three.
    pub fn new(states: &'t S, rejects: &'t R, journal: &'t J) -> Self {
        Tables { states, rejects, journal }
    }
}

impl<S, R, J> Clone for Tables<'_, S, R, J> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, R, J> Copy for Tables<'_, S, R, J> {}

/// Judges `chunk` and writes what follows. `now` is when transitions count as created.
///
/// A reading that lies behind what its series has seen was judged before, or comes late: its chunk was in the
/// dead-letter queue while others went on. The state's last write and the journal tell which. A late one is judged
/// beside the state, and its transitions say so.
///
/// Every write of a state is in the state, as its last, or in the journal: it is noted when all of the chunk is
/// judged, and a state is not written again before its last write is seen to be noted.
///
/// # Errors
/// The first fault. What was written stays written and is recognised when the chunk comes again.
pub async fn classify_chunk<S: States, R: Rejects, J: Journal>(
    tables: Tables<'_, S, R, J>,
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
        tables.rejects.keep(&chunk.rejects).await?;
    }
    let mut recall = Recall::new(tables.journal, policy.order(), &chunk);
    let ChunkV1 { partition, model, rows, .. } = chunk;
    let groups = by_series(rows.into_iter().map(|row| row.into_scored(&partition)));
    let names: Vec<SeriesId> = groups.iter().map(|(series, _)| series.clone()).collect();
    if names.is_empty() {
        return Ok(outcome);
    }
    let loaded = tables.states.load(&names).await?;
    if groups.iter().zip(&loaded).any(|(group, stored)| late::any_behind(group, stored)) {
        recall.ask().await?;
    }
    let to_write =
        groups.iter().zip(&loaded).filter_map(|(group, stored)| late::any_unwritten(&recall, group, stored));
    let to_write: Vec<_> = to_write.map(SeriesState::seen).collect();
    recall.look_up(to_write.into_iter()).await?;
    let rules = classify::Judge::new(policy, &model);
    for ((series, rows), stored) in groups.iter().zip(loaded) {
        let work = Work { tables, policy, series, rules: &rules, now };
        work.judge(rows, stored, &mut recall).await?.add_to(&mut outcome);
    }
    recall.note(now).await?;
    Ok(outcome)
}

/// The readings of each series, in the order of their places; the series in the order they first appear.
fn by_series(rows: impl Iterator<Item = Scored>) -> Vec<(SeriesId, Vec<Scored>)> {
    let mut groups: Vec<(SeriesId, Vec<Scored>)> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|(series, _)| *series == row.reading.series) {
            Some((_, group)) => group.push(row),
            None => groups.push((row.reading.series.clone(), vec![row])),
        }
    }
    for (_, rows) in &mut groups {
        let place = |row: &Scored| row.reading.position.place();
        if !rows.is_sorted_by(|a, b| place(a) < place(b)) {
            rows.sort_by_key(place);
        }
    }
    groups
}

/// A series of a chunk to be judged.
struct Work<'w, S, R, J> {
    tables: Tables<'w, S, R, J>,
    policy: &'w Policy,
    series: &'w SeriesId,
    /// For scores by the chunk's model.
    rules: &'w classify::Judge<'w>,
    now: Timestamp,
}

impl<S: States, R: Rejects, J: Journal> Work<'_, S, R, J> {
    /// Judges `rows` from the state that is `stored`, and anew where somebody else wrote it meanwhile.
    async fn judge(
        &self,
        rows: &[Scored],
        mut stored: Option<Stored>,
        recall: &mut Recall<'_, J>,
    ) -> Result<Judged, Fault> {
        let Work { tables, policy, series, rules, now } = self;
        let mut total = Judged::default();
        for _ in 0..CONFLICTS_MAX {
            let revision = stored.as_ref().map(|s| s.revision);
            let mut state = stored.map(|s| s.state).unwrap_or_default();
            recall.ask_aside(series, late::first_unsaid(recall, &state, rows)).await?;
            let Sorted { fresh, late } = late::sort(policy.order(), &state, rows, recall);
            // The late ones first: once the state is written nothing tells them from those it judged.
            let late = if late.is_empty() {
                Some(Judged::default())
            } else {
                late::judge_late(self, &state, recall, late).await?
            };
            let is_settled = late.is_some();
            if is_settled && says_nothing(series, &state, &fresh) {
                total.judged += fresh.len();
                total.fresh += fresh.len();
                return Ok(total.of(rows.len()));
            }
            late.into_iter().for_each(|judged| total.add_all(judged));
            if is_settled && fresh.is_empty() {
                return Ok(total.of(rows.len()));
            }
            if is_settled {
                let count = fresh.len();
                recall.secure(series, state.seen(), *now).await?;
                let positions = fresh.iter().map(|row| &row.reading.position);
                state.seen_mut().write(recall.order(), positions, recall.noted_in());
                let mut judge = Judge::of(policy, series, &state)?;
                let mut judged = judge_all(&mut judge, &mut state, series, &fresh, rules);
                judge.leave(&mut state);
                silence::schedule(policy, &mut state, series, *now);
                judged.fresh = count;
                self.keep_dropped(&judged).await?;
                let saved = tables.states.save(series, &state, revision, &judged.transitions, *now).await?;
                if saved == Saved::Written {
                    total.add_all(judged);
                    return Ok(total.of(rows.len()));
                }
            }
            recall.ask().await?;
            stored = tables.states.load(std::slice::from_ref(*series)).await?.pop().flatten();
        }
        Err(contended(series))
    }

    /// Keeps the readings that were dropped; before the state, which then counts them as seen.
    async fn keep_dropped(&self, judged: &Judged) -> Result<(), Fault> {
        match judged.dropped.as_slice() {
            [] => Ok(()),
            dropped => self.tables.rejects.keep(dropped).await,
        }
    }
}

/// Whether `rows` are shares of rejects of nothing rejected, and `state` has nothing in sight that they could end.
/// Nearly every batch has one: to write them all down would cost as much as a series that matters.
fn says_nothing(series: &SeriesId, state: &SeriesState, rows: &[&Scored]) -> bool {
    let is_zero = |row: &&Scored| row.reading.features.iter().all(|share| *share == 0.0);
    series.is_of_rejects() && state.is_at_rest() && rows.iter().all(is_zero)
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
    /// Rows written in the series' own state.
    fresh: usize,
    /// Rows written beside it.
    late: usize,
    duplicates: usize,
    dropped: Vec<RejectV1>,
    untimely: Untimeliness,
    watermark: Option<Timestamp>,
    anomalous: usize,
    transitions: Vec<Transition>,
}

impl Judged {
    fn add(&mut self, judgement: &mut Judgement) {
        self.judged += 1;
        self.anomalous +=
            judgement.findings.iter().filter(|f| matches!(f.finding, Finding::Anomalous(..))).count();
        self.transitions.append(&mut judgement.transitions);
    }

    fn add_all(&mut self, other: Judged) {
        self.judged += other.judged;
        self.held += other.held;
        self.released += other.released;
        self.fresh += other.fresh;
        self.late += other.late;
        self.dropped.extend(other.dropped);
        self.untimely.add(other.untimely);
        self.watermark = self.watermark.max(other.watermark);
        self.anomalous += other.anomalous;
        self.transitions.extend(other.transitions);
    }

    /// It all, of `rows` that came: what was not written was known.
    fn of(self, rows: usize) -> Self {
        Judged { duplicates: rows - self.fresh - self.late, ..self }
    }

    fn add_to(self, outcome: &mut Classified) {
        outcome.judged += self.judged;
        outcome.held += self.held;
        outcome.released += self.released;
        outcome.duplicates += self.duplicates;
        outcome.late += self.late;
        outcome.rejects += self.dropped.len();
        outcome.dropped += self.dropped.len();
        outcome.untimely.add(self.untimely);
        outcome.watermark = outcome.watermark.max(self.watermark);
        outcome.anomalous += self.anomalous;
        outcome.transitions += self.transitions.len();
    }
}

/// Judges `rows` of `series`, which `state` has not judged, or puts them by until their time has come.
fn judge_all(
    judge: &mut Judge<'_>,
    state: &mut SeriesState,
    series: &SeriesId,
    rows: &[&Scored],
    rules: &classify::Judge<'_>,
) -> Judged {
    let mut judged = Judged::default();
    order::end_if_unwanted(judge, state, series, &mut judged);
    for row in rows {
        match judge.policy.event_time() {
            None => judged.add(judge.classify(rules, state, row)),
            Some(event_time) => order::admit(judge, event_time, state, row, rules.model(), &mut judged),
        }
    }
    judged
}
