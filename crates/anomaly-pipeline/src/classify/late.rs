//! Readings that come late: older than what was judged, and not judged themselves.

use anomaly_core::classify::SeriesState;
use anomaly_core::position::Position;
use anomaly_core::reading::{Scored, SeriesId};
use anomaly_core::seen::Order;
use anomaly_core::time::Timestamp;

use super::detector::Judge;
use super::recall::Recall;
use super::{Judged, Work, judge_all};
use crate::fault::Fault;
use crate::ports::{Journal, Rejects, Saved, States, Stored};

/// How much older than the newest a reading of a source without order may be, in milliseconds, to be judged as it
/// comes: five minutes. A chunk that fails is hidden longer than that before it gets to the dead-letter queue
/// (five receives of three minutes), so what is older came from there, or was stuck as long.
pub(super) const IN_TIME_MS: i64 = 5 * 60 * 1_000;

/// A series' readings by what is to become of them; what is in neither list is known.
pub(super) struct Sorted<'r> {
    /// To be judged, in order.
    pub(super) fresh: Vec<&'r Scored>,
    /// Behind what the series has seen, and known to neither its state nor the journal.
    pub(super) late: Vec<&'r Scored>,
}

/// Sorts `rows`, which are in the order of their places, of a source that promises `promised`.
pub(super) fn sort<'r, J: Journal>(
    promised: Order,
    state: &SeriesState,
    rows: &'r [Scored],
    recall: &Recall<'_, J>,
) -> Sorted<'r> {
    let mut sorted = Sorted { fresh: Vec::new(), late: Vec::new() };
    let newest = state.seen().newest().map(|newest| newest.arrived);
    let mut before = None;
    for row in rows {
        let position = &row.reading.position;
        if before.replace(position) == Some(position) {
            continue;
        }
        let is_in_time =
            || promised == Order::None && newest.is_some_and(|n| n.ms_since(position.arrived) <= IN_TIME_MS);
        match () {
            () if !state.has_seen(position) => sorted.fresh.push(row),
            () if state.seen().wrote(recall.order(), position) || recall.knows(position) => {}
            () if is_in_time() => sorted.fresh.push(row),
            () => sorted.late.push(row),
        }
    }
    sorted
}

/// Judges late readings beside `state`, which stays as it is; they have a state of their own. `None` if somebody
/// else wrote that meanwhile.
pub(super) async fn judge_late<S: States, R: Rejects, J: Journal>(
    work: &Work<'_, S, R, J>,
    state: &SeriesState,
    recall: &mut Recall<'_, J>,
    mut rows: Vec<&Scored>,
) -> Result<Option<Judged>, Fault> {
    let Work { tables, policy, series, now, .. } = work;
    let name = series.late();
    let stored = tables.states.load(std::slice::from_ref(&name)).await?.pop().flatten();
    let (before, revision) = match stored {
        Some(Stored { state, revision }) => (Some(state), Some(revision)),
        None => (None, None),
    };
    let order = recall.order();
    if let (Some(before), Some(first)) = (&before, rows.first()) {
        // What was written there is in it or in the journal, if the journal is asked after it was read.
        recall.ask().await?;
        recall.ask_aside(series, Some(&first.reading.position)).await?;
        let is_known = |position| before.seen().wrote(order, position) || recall.knows(position);
        rows.retain(|row| !is_known(&row.reading.position));
    }
    let Some(first) = rows.first() else { return Ok(Some(Judged::default())) };
    if let Some(before) = &before {
        recall.secure(series, before.seen(), *now).await?;
    }
    let mut late = state.beside(before, &first.reading.position);
    let positions = rows.iter().map(|row| &row.reading.position);
    late.seen_mut().write(order, positions, recall.noted_in());
    let mut judge = Judge::of(policy, series, &late)?;
    let mut judged = judge_all(&mut judge, &mut late, series, &rows, work.rules);
    // Nothing comes that they could wait for.
    let released = late.end_hold(series);
    super::order::release(&mut judge, &mut late, released, &mut judged);
    judge.leave(&mut late);
    judged.late = rows.len();
    forget_open(state, &mut judged);
    say_late(&rows, *now, &mut judged);
    work.keep_dropped(&judged).await?;
    match tables.states.save(&name, &late, revision, &judged.transitions, *now).await? {
        Saved::Written => Ok(Some(judged)),
        Saved::Conflict => Ok(None),
    }
}

/// Leaves out the steps of an alert that is firing in the series' own state: it takes its own. That is how it is
/// where a late reading and one in time carry the same time, and each opened an alert.
fn forget_open(state: &SeriesState, judged: &mut Judged) {
    let open: Vec<_> = state.watches().filter_map(|(_, watch)| watch.open()).map(|open| &open.id).collect();
    judged.transitions.retain(|transition| !open.contains(&&transition.alert));
}

fn say_late(rows: &[&Scored], now: Timestamp, judged: &mut Judged) {
    for transition in &mut judged.transitions {
        let row = rows.iter().find(|row| row.reading.at == transition.at).or(rows.last());
        transition.late_ms = row.map(|row| now.ms_since(row.reading.position.arrived).max(0));
    }
}

/// The state that is `stored`, if any of `rows` was not of its last write, which they will then take the place of.
pub(super) fn any_unwritten<'s, J: Journal>(
    recall: &Recall<'_, J>,
    (_, rows): &(SeriesId, Vec<Scored>),
    stored: &'s Option<Stored>,
) -> Option<&'s SeriesState> {
    let state = &stored.as_ref()?.state;
    rows.iter().any(|row| !state.seen().wrote(recall.order(), &row.reading.position)).then_some(state)
}

/// The first of `rows` that lies behind what `state` has seen, and of which neither it nor the journal of the
/// chunk's strand says that it was judged.
pub(super) fn first_unsaid<'r, J: Journal>(
    recall: &Recall<'_, J>,
    state: &SeriesState,
    rows: &'r [Scored],
) -> Option<&'r Position> {
    let is_unsaid = |position: &&Position| {
        state.has_seen(position)
            && !state.seen().wrote(recall.order(), position)
            && !recall.has(&position.place())
    };
    rows.iter().map(|row| &row.reading.position).find(is_unsaid)
}

/// Whether any of `rows` lies behind what the series has seen.
pub(super) fn any_behind((_, rows): &(SeriesId, Vec<Scored>), stored: &Option<Stored>) -> bool {
    let behind = |state: &SeriesState| rows.iter().any(|row| state.has_seen(&row.reading.position));
    stored.as_ref().is_some_and(|stored| behind(&stored.state))
}
