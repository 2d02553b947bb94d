//! The alerts of a stack: their steps are in the outbox, and whether one is open its series' state says.

use std::collections::{BTreeMap, BTreeSet};

use anomaly_core::alert::{AlertId, Step, Transition};
use anomaly_core::alerts::{self, Alert};
use anomaly_core::classify::SeriesState;
use anomaly_core::reading::SeriesId;

use crate::fault::Fault;
use crate::ports::States;

/// The alerts that took `steps`, which come in any order, and those that are open in `known`, states by the names they
/// are kept under. The states of alerts of which no end is among the steps are read, if they are not known.
///
/// # Errors
/// A [`Fault`] of the table of states.
pub async fn alerts<S: States>(
    states: &S,
    steps: Vec<Transition>,
    known: Vec<(SeriesId, SeriesState)>,
) -> Result<Vec<Alert>, Fault> {
    let mut by_name: BTreeMap<SeriesId, SeriesState> = known.into_iter().collect();
    let mut unknown = without_end(&steps);
    unknown.retain(|name| !by_name.contains_key(name));
    let stored = states.load(&unknown).await?;
    let there = unknown.into_iter().zip(stored);
    by_name.extend(there.filter_map(|(name, stored)| Some((name, stored?.state))));
    let of_series: Vec<_> = by_name.iter().map(|(name, state)| (name.itself(), state)).collect();
    Ok(alerts::alerts(of_series.iter().map(|(series, state)| (series, *state)), steps))
}

/// The names of the states in which alerts live of which `steps` tell no end.
fn without_end(steps: &[Transition]) -> Vec<SeriesId> {
    let ended: BTreeSet<&AlertId> =
        steps.iter().filter(|step| step.step == Step::Resolved).map(|step| &step.alert).collect();
    let open = steps.iter().filter(|step| !ended.contains(&step.alert));
    open.map(lives_in).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The name of the state in which the alert of `step` lives: late readings have one of their own.
pub(crate) fn lives_in(step: &Transition) -> SeriesId {
    if step.late_ms.is_some() { step.series.late() } else { step.series.clone() }
}
