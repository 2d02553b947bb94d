//! Readings by event time: taken in as they come, judged in the order of their times.

use anomaly_core::classify::{SeriesState, silence};
use anomaly_core::config::EventTime;
use anomaly_core::event_time::{Hold, Placement, Released};
use anomaly_core::reading::{Scored, SeriesId};
use anomaly_core::reject::Reject;
use anomaly_core::wire::{self, RejectV1, RowV1};

use super::Judged;
use super::detector::Judge;

/// Takes in `row`, which the state has not seen, and judges what need not wait any longer.
pub(super) fn admit(
    judge: &mut Judge<'_>,
    event_time: &EventTime,
    state: &mut SeriesState,
    row: &Scored,
    model: &str,
    judged: &mut Judged,
) {
    judged.transitions.extend(silence::hear(judge.policy, state, &row.reading));
    let admission = state.admit(event_time, row.clone(), model);
    judged.untimely.count(&admission.placement);
    match admission.placement {
        Placement::Placed { .. } => judged.held += 1,
        Placement::Dropped(reject) => {
            judged.dropped.push(judge.policy.versions().stamp(dropped(reject, row)))
        }
    }
    release(judge, state, admission.released, judged);
    judged.watermark = state.hold().map(Hold::clock).and_then(|clock| clock.watermark(event_time));
}

/// Judges readings whose time has come.
pub(super) fn release(
    judge: &mut Judge<'_>,
    state: &mut SeriesState,
    released: Vec<Released>,
    judged: &mut Judged,
) {
    for Released { scored, model } in released {
        judged.add(judge.judge(state, &scored, &model));
        judged.released += 1;
    }
}

/// Judges what was put by before the configuration stopped asking for it.
pub(super) fn end_if_unwanted(
    judge: &mut Judge<'_>,
    state: &mut SeriesState,
    series: &SeriesId,
    judged: &mut Judged,
) {
    if let (None, Some(_)) = (judge.policy.event_time(), state.hold()) {
        let released = state.end_hold(series);
        release(judge, state, released, judged);
    }
}

/// The record's bytes stayed with `invoke`: what is kept is the reading, as it was scored.
fn dropped(reject: Reject, row: &Scored) -> RejectV1 {
    RejectV1::new(reject, &row.reading.position, wire::write(&RowV1::new(row)).as_bytes())
}
