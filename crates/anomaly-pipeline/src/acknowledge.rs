//! Somebody has seen an alert: the step is taken in the series' state, on condition, with its row in the outbox.

use anomaly_core::alert::{Acknowledgement, AlertId, Transition};
use anomaly_core::time::Timestamp;

use crate::alerts::lives_in;
use crate::fault::Fault;
use crate::ports::{Saved, States, Stored};

/// How often a state is read again because somebody else wrote it.
const ATTEMPTS_MAX: u32 = 5;

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Acknowledged {
    /// The alert took this step.
    Now(Box<Transition>),
    /// Somebody had seen it before, and said as much: nothing was changed.
    Before,
    /// It is not open: nothing was changed.
    Over,
}

/// Acknowledges the alert of which `last` is the last step known, as `said` says at `now`. Again: nothing changes,
/// unless it says something new.
///
/// # Errors
/// A [`Fault`] of the table, or if others write the state of the series all the time.
pub async fn acknowledge<S: States>(
    states: &S,
    last: &Transition,
    said: &Acknowledgement,
    now: Timestamp,
) -> Result<Acknowledged, Fault> {
    let name = lives_in(last);
    for _ in 0..ATTEMPTS_MAX {
        let stored = states.load(std::slice::from_ref(&name)).await?.pop().flatten();
        let Some(Stored { mut state, revision }) = stored else { return Ok(Acknowledged::Over) };
        let is_it = |id: &AlertId| *id == last.alert;
        let watch = state.watches().find(|(_, watch)| watch.open().is_some_and(|open| is_it(&open.id)));
        if watch.is_some_and(|(_, watch)| watch.knows(said)) {
            return Ok(Acknowledged::Before);
        }
        let Some(step) = state.acknowledge(last, said, now) else { return Ok(Acknowledged::Over) };
        let steps = std::slice::from_ref(&step);
        match states.save(&name, &state, Some(revision), steps, now).await? {
            Saved::Written => return Ok(Acknowledged::Now(Box::new(step))),
            Saved::Conflict => {}
        }
    }
    let detail =
        format!("the state of {} was written by others each time, {ATTEMPTS_MAX} times", last.series);
    Err(Fault::transient("acknowledge an alert", detail))
}
