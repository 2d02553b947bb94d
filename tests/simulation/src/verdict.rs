//! What must hold at the end of a round.

use std::collections::{BTreeMap, BTreeSet};

use anomaly_core::alert::{Step, Transition};
use anomaly_core::classify::{Policy, SeriesState, classify};
use anomaly_core::position::Position;
use anomaly_core::reading::{Reading, Scored, SeriesId};
use anomaly_core::rejects::Versions;
use anomaly_core::seen::Order;
use anomaly_core::time::Timestamp;
use anomaly_pipeline::ports::TransitionKey;

use crate::course::{Course, Handed};
use crate::reference::{Demand, Kind, demands};
use crate::scenario::{self, Truth};
use crate::world::{World, counting};

/// Every promise that does not hold.
pub(crate) fn problems(world: &World, policy: &Policy) -> Vec<String> {
    let mut problems = Vec::new();
    rejects(world, &mut problems);
    if !world.scenario.is_by_event_time {
        states(world, policy, &mut problems);
    }
    judged(world, &mut problems);
    lateness(world, &mut problems);
    alerts(world, &mut problems);
    repetitions(world, &mut problems);
    order(world, &mut problems);
    problems
}

/// The records at fault are kept, each with its reason, and no other record is.
fn rejects(world: &World, problems: &mut Vec<String>) {
    let mut kept = world.tables.rejects.clone();
    let by = Versions::of(&world.scenario.config);
    for (position, truth) in world.truths() {
        let place = (position.partition.to_string(), position.sequence.to_string(), position.sub);
        let found = kept.remove(&place);
        if let Some(reject) = &found
            && reject.by.as_ref() != Some(&by.by(&reject.reject))
        {
            problems.push(format!("record {place:?} was rejected by {:?}", reject.by));
        }
        let reason = found.map(|reject| reject.reject.as_str());
        let wanted = match truth {
            Truth::Fault(reason) => Some(*reason),
            Truth::Reading(_) => None,
        };
        if reason != wanted {
            problems
                .push(format!("record {place:?} was rejected as {reason:?}, and should be as {wanted:?}"));
        }
    }
    problems.extend(kept.into_keys().map(|place| format!("{place:?} was rejected and never put")));
}

/// Every reading that was not late was judged once, in order: each state is what one process makes of the same
/// records.
fn states(world: &World, policy: &Policy, problems: &mut Vec<String>) {
    let mut wanted: BTreeMap<SeriesId, SeriesState> = BTreeMap::new();
    for (position, truth) in world.truths() {
        let Truth::Reading(reading) = truth else { continue };
        let Some(scored) = scored(reading, position) else { continue };
        let series = scored.reading.series.clone();
        if is_late(world, &series, &scored.reading.position) {
            continue;
        }
        classify(policy, wanted.entry(series).or_default(), &scored, "model");
    }
    for (series, state) in &wanted {
        // What was written last depends on how readings were cut into chunks, and is no matter of the verdict.
        let mut found =
            world.tables.states.get(series).and_then(|(bytes, _)| SeriesState::decode(bytes).ok());
        found.iter_mut().for_each(|found| found.seen_mut().write(Order::Kept, std::iter::empty(), None));
        if found.as_ref() != Some(state) {
            problems.push(format!("the state of {series} is {found:?}, and should be {state:?}"));
        }
    }
    let is_known = |name: &SeriesId| wanted.keys().any(|series| series == name || series.late() == *name);
    let extra = world.tables.states.keys().filter(|name| !is_known(name));
    problems.extend(extra.map(|series| format!("a state of {series}, of which there are no readings")));
}

fn is_late(world: &World, series: &SeriesId, position: &Position) -> bool {
    let number = world.number_at(position);
    let late = world.courses.get(series).into_iter().flat_map(|course| course.late.iter().flatten());
    number.is_some_and(|number| late.into_iter().any(|reading| reading.number == number))
}

/// Every reading was judged once, in time or late: a rule counts them.
fn judged(world: &World, problems: &mut Vec<String>) {
    let mut wanted: BTreeMap<&str, u32> = BTreeMap::new();
    let truths = world.truths();
    for (_, truth) in &truths {
        if let Truth::Reading(reading) = truth {
            *wanted.entry(&reading.series).or_default() += 1;
        }
    }
    for (series, wanted) in wanted {
        let Ok(name) = SeriesId::new(series) else { continue };
        let state =
            world.tables.states.get(&name).map(|(bytes, _)| SeriesState::decode(bytes).unwrap_or_default());
        let in_time = state.as_ref().and_then(counting).map_or(0, |open| open.anomalous);
        let late = world.courses.get(&name).map_or(0, Course::counted_late);
        if in_time + late != wanted {
            problems.push(format!("{in_time} readings of {series} were judged and {late} late, of {wanted}"));
        }
    }
}

/// Only what was in the dead-letter queue is late; everything else was judged in the order of the stream.
fn lateness(world: &World, problems: &mut Vec<String>) {
    let dead = world.dead();
    for (series, course) in &world.courses {
        // Two shards promise no order among readings that arrived within a millisecond.
        let is_in_order = |a: &Handed, b: &Handed| {
            a.number < b.number || (a.partition != b.partition && a.arrived_ms == b.arrived_ms)
        };
        if !course.in_time.is_sorted_by(is_in_order) {
            problems.push(format!("readings of {series} were judged out of order: {:?}", course.in_time));
        }
        for reading in course.late.iter().flatten().filter(|reading| !dead.contains(&reading.number)) {
            problems.push(format!("a reading of {series} was late, and never a dead letter: {reading:?}"));
        }
    }
}

fn scored(reading: &scenario::Reading, position: Position) -> Option<Scored> {
    let scenario::Reading { series, at_ms, features, score } = reading;
    let (series, at) = (SeriesId::new(series).ok()?, Timestamp::from_ms(*at_ms)?);
    let reading = Reading { series, at, features: features.to_vec(), filled: Vec::new(), position };
    Some(Scored { score: *score, reading })
}

/// People were told of all that the reference model demands, and of nothing else; what they must not be told is
/// written down.
fn alerts(world: &World, problems: &mut Vec<String>) {
    let all = demanded(world);
    let (held, mut left): (Vec<_>, Vec<_>) = all.iter().partition(|(demand, _)| demand.is_held);
    let written = || world.tables.outbox.values().map(|row| &row.transition);
    for (demand, _) in held {
        let is_meant = |other: &Transition| other.held.is_some() && is_met(demand, other);
        if !written().any(is_meant) && !written().any(|other| has_name(demand, other)) {
            problems.push(format!("nothing is written of {demand:?}"));
        }
    }
    let mut told: BTreeMap<TransitionKey, &Transition> = BTreeMap::new();
    for delivery in &world.deliveries {
        if let Some(before) = told.insert(delivery.key.clone(), &delivery.transition)
            && *before != delivery.transition
        {
            problems.push(format!("{:?} was told in two ways", delivery.key));
        }
    }
    for transition in told.values() {
        match left.iter().position(|(demand, _)| is_met(demand, transition)) {
            Some(index) => drop(left.swap_remove(index)),
            None => problems.push(format!("nobody demanded {transition:?}")),
        }
    }
    for (demand, run) in left {
        // An alert's name is its series, its rule and the time at which it opened: where a record that was put
        // twice opens a second one of the same name, one is enough; and if the second is late, the first one's
        // steps are, be it late too, or held.
        let is_met = told.values().any(|transition| has_name(demand, transition));
        let is_anothers = || all.iter().any(|(other, of)| of != run && is_of_one_alert(demand, other));
        if !(is_met || *run > 0 && is_anothers()) {
            problems.push(format!("nobody was told of {demand:?}"));
        }
    }
}

fn is_of_one_alert(one: &Demand, other: &Demand) -> bool {
    (&one.series, one.rule, one.opened_ms) == (&other.series, other.rule, other.opened_ms)
}

/// What the reference model says of the readings as they came: those in time, and those that came late together,
/// each for themselves. With each demand: 0 if it is of those in time, else which late ones it is of.
fn demanded(world: &World) -> Vec<(Demand, usize)> {
    let reading = |handed: &Handed| world.reading(handed.number);
    let (rules, works) = (&world.scenario.rules, world.scenario.works.as_ref());
    let mut demanded = Vec::new();
    for course in world.courses.values() {
        let mut in_time: Vec<&scenario::Reading> = course.in_time.iter().filter_map(reading).collect();
        if world.scenario.is_by_event_time {
            in_time.sort_by_key(|reading| reading.at_ms);
        }
        demanded.extend(demands(rules, works, in_time).into_iter().map(|demand| (demand, 0)));
        for (run, late) in (1..).zip(&course.late) {
            let late = demands(rules, works, late.iter().filter_map(reading));
            demanded.extend(late.into_iter().map(|demand| (demand, run)));
        }
    }
    demanded
}

fn has_name(demand: &Demand, transition: &Transition) -> bool {
    let Demand { series, rule, number, step, opened_ms, .. } = demand;
    (transition.series.as_str(), transition.rule.as_str()) == (series, rule)
        && (transition.number, transition.fired_at.as_ms()) == (*number, *opened_ms)
        && transition.step
            == match step {
                Kind::Begins => Step::Fired,
                Kind::Worse => Step::Escalated,
                Kind::Again => Step::Repeated,
                Kind::Ends => Step::Resolved,
            }
}

fn is_met(demand: &Demand, transition: &Transition) -> bool {
    let Demand { at_ms, since_ms, judged, peak, anomalous, .. } = demand;
    has_name(demand, transition)
        && (transition.at.as_ms(), transition.since.as_ms()) == (*at_ms, *since_ms)
        && (transition.margin.judged, transition.peak.judged) == (*judged, *peak)
        && transition.anomalous == *anomalous
}

/// Nothing was told twice, unless a crash or a lost answer fell between the topic's taking it and the mark.
fn repetitions(world: &World, problems: &mut Vec<String>) {
    let mut times: BTreeMap<&TransitionKey, u32> = BTreeMap::new();
    world.deliveries.iter().for_each(|delivery| *times.entry(&delivery.key).or_default() += 1);
    for (key, times) in times {
        let excused = world.excused.get(key).copied().unwrap_or_default();
        if times > 1 + excused {
            problems.push(format!("{key:?} was told {times} times, with {excused} crashes to excuse it"));
        }
    }
}

/// An alert's steps were told in order, as long as no process died or dawdled while it held a claim.
fn order(world: &World, problems: &mut Vec<String>) {
    if world.is_order_excused {
        return;
    }
    let mut told = BTreeSet::new();
    for TransitionKey { alert, number } in world.deliveries.iter().map(|delivery| &delivery.key) {
        let before = TransitionKey { alert: alert.clone(), number: number - 1 };
        let is_held = || world.tables.outbox.get(&before).is_some_and(|row| row.transition.held.is_some());
        if *number > 1 && !told.contains(&(alert, number - 1)) && !is_held() {
            problems.push(format!("step {number} of {alert} was told before the one before it"));
        }
        told.insert((alert, *number));
    }
}
