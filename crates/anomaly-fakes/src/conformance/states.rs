//! States are written with their transitions, by one writer, or not at all.

use std::collections::BTreeSet;
use std::time::Duration;

use anomaly_core::classify::{Policy, SeriesState, classify, silence};
use anomaly_core::config::{Config, EventTime, Method, NoData, Rule};
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Claim, Outbox, Saved, States, TransitionKey};
use futures_util::future::join_all;

use super::{AllTables, Bench, at, judged, name, pending, scored};

/// How late what is due may be known (the DynamoDB adapter rounds up to ten seconds), in milliseconds.
const DUE_LATE_MS: i64 = 10_000;

/// States and the outbox rows written with them: on condition, all or nothing, once, by one of many.
///
/// # Errors
/// A fault of the tables.
///
/// # Panics
/// If they break their contract.
pub async fn states(bench: &mut impl Bench) -> Result<(), Fault> {
    what_is_written_comes_back(&bench.fresh().await).await?;
    only_what_was_read_is_written_over(&bench.fresh().await).await?;
    what_is_there_stays_as_it_is(&bench.fresh().await).await?;
    more_than_a_transaction_holds(&bench.fresh().await).await?;
    one_of_many_writers_wins(&bench.fresh().await).await?;
    what_is_due_is_found(&bench.fresh().await).await
}

async fn revision(tables: &impl AllTables, series: &SeriesId) -> Result<Option<u64>, Fault> {
    let loaded = tables.states().load(std::slice::from_ref(series)).await?;
    Ok(loaded.into_iter().flatten().next().map(|stored| stored.revision))
}

async fn state(tables: &impl AllTables, series: &SeriesId) -> Result<Option<SeriesState>, Fault> {
    let loaded = tables.states().load(std::slice::from_ref(series)).await?;
    Ok(loaded.into_iter().flatten().next().map(|stored| stored.state))
}

async fn what_is_written_comes_back(tables: &impl AllTables) -> Result<(), Fault> {
    let names = ["b", "nobody", "a"].map(name);
    assert_eq!(tables.states().load(&names).await?, [None, None, None], "nothing was written");
    assert_eq!(tables.states().load(&[]).await?, []);
    for (series, value) in [("a", 1.0), ("b", 2.0)] {
        let (state, _) = judged(&name(series), &[value]);
        assert_eq!(tables.states().save(&name(series), &state, None, &[], at(1)).await?, Saved::Written);
    }
    let loaded = tables.states().load(&names).await?;
    let states: Vec<_> = loaded.into_iter().map(|stored| stored.map(|stored| stored.state)).collect();
    let expected = [Some(2.0), None, Some(1.0)].into_iter().zip(&names);
    let expected: Vec<_> = expected.map(|(value, series)| value.map(|v| judged(series, &[v]).0)).collect();
    assert_eq!(states, expected, "in the order asked for");
    Ok(())
}

async fn only_what_was_read_is_written_over(tables: &impl AllTables) -> Result<(), Fault> {
    let a = name("a");
    let (before, fired) = judged(&a, &[50.0]);
    let (after, both) = judged(&a, &[50.0, 1.0]);
    let resolved = &both[fired.len()..];
    let save = async |state, revision, transitions| {
        tables.states().save(&a, state, revision, transitions, at(7)).await
    };
    assert_eq!(save(&before, Some(1), &fired).await?, Saved::Conflict, "there is nothing to write over");
    assert_eq!(state(tables, &a).await?, None, "nothing of it");
    assert_eq!(pending(tables.outbox()).await?, [], "nothing of it");

    assert_eq!(save(&before, None, &fired).await?, Saved::Written);
    assert_eq!(pending(tables.outbox()).await?, [TransitionKey::of(&fired[0])], "all of it");
    assert_eq!(save(&after, None, resolved).await?, Saved::Conflict, "there is something");
    let read = revision(tables, &a).await?;
    assert_eq!(save(&after, read.map(|revision| revision + 1), resolved).await?, Saved::Conflict);
    assert_eq!(state(tables, &a).await?.as_ref(), Some(&before), "nothing of it");
    assert_eq!(pending(tables.outbox()).await?.len(), 1, "nothing of it");

    assert_eq!(save(&after, read, resolved).await?, Saved::Written);
    assert_eq!(save(&after, read, resolved).await?, Saved::Conflict, "the same again");
    assert_eq!(state(tables, &a).await?.as_ref(), Some(&after));
    let keys: Vec<_> = both.iter().map(TransitionKey::of).collect();
    assert_eq!(pending(tables.outbox()).await?, keys, "once each, in the order of their numbers");
    Ok(())
}

/// A transition in the outbox is not made anew, whoever writes it again, and the rest of the write is written.
async fn what_is_there_stays_as_it_is(tables: &impl AllTables) -> Result<(), Fault> {
    let a = name("a");
    let (state_after, transitions) = judged(&a, &[50.0, 1.0]);
    let first = TransitionKey::of(&transitions[0]);
    let saved = tables.states().save(&a, &state_after, None, &transitions[..1], at(7)).await?;
    assert_eq!(saved, Saved::Written);
    tables.outbox().mark_sent(&first, "m-1", at(8)).await?;
    let read = revision(tables, &a).await?;
    let saved = tables.states().save(&a, &state_after, read, &transitions, at(9)).await?;
    assert_eq!(saved, Saved::Written, "what is there is no reason not to write the rest");
    assert_eq!(pending(tables.outbox()).await?, [TransitionKey::of(&transitions[1])]);
    assert_eq!(tables.outbox().claim(&first, at(10), at(20)).await?, Claim::Sent, "it was sent");
    Ok(())
}

/// DynamoDB takes 100 items in a transaction; whoever calls need not know.
async fn more_than_a_transaction_holds(tables: &impl AllTables) -> Result<(), Fault> {
    let a = name("a");
    let values: Vec<f64> = (0..150).map(|i| if i % 2 == 0 { 50.0 } else { 1.0 }).collect();
    let (after, transitions) = judged(&a, &values);
    assert_eq!(transitions.len(), 150);
    assert_eq!(tables.states().save(&a, &after, Some(1), &transitions, at(1)).await?, Saved::Conflict);
    assert_eq!(pending(tables.outbox()).await?, [], "nothing of it");
    assert_eq!(tables.states().save(&a, &after, None, &transitions, at(1)).await?, Saved::Written);
    let pending: BTreeSet<_> = pending(tables.outbox()).await?.into_iter().collect();
    assert_eq!(pending, transitions.iter().map(TransitionKey::of).collect(), "all of it");
    Ok(())
}

/// At once, as far as the tables let them.
async fn one_of_many_writers_wins(tables: &impl AllTables) -> Result<(), Fault> {
    const WRITERS: usize = 8;
    let a = name("a");
    for round in 0..2 {
        let read = revision(tables, &a).await?;
        // Each would write a state and a transition of its own.
        let offers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let calm = vec![1.0; round * WRITERS + writer + 1];
                judged(&a, &[calm, vec![50.0]].concat())
            })
            .collect();
        let before: BTreeSet<_> = pending(tables.outbox()).await?.into_iter().collect();
        let write = |(state, transitions)| tables.states().save(&a, state, read, transitions, at(1));
        let saved = join_all(offers.iter().map(|(state, steps)| write((state, steps)))).await;
        let saved = saved.into_iter().collect::<Result<Vec<_>, _>>()?;
        let winners: Vec<_> = saved.iter().zip(&offers).filter(|(s, _)| **s == Saved::Written).collect();
        let [(_, (winner, steps))] = &winners[..] else { panic!("{} writers won", winners.len()) };
        assert_eq!(state(tables, &a).await?.as_ref(), Some(winner), "the winner's state");
        let after: BTreeSet<_> = pending(tables.outbox()).await?.into_iter().collect();
        let new: Vec<_> = after.difference(&before).cloned().collect();
        assert_eq!(new, steps.iter().map(TransitionKey::of).collect::<Vec<_>>(), "the winner's transitions");
    }
    Ok(())
}

/// Whoever takes what is due, a few at a time, comes by all of it, and by nothing in which nothing ever waited.
async fn what_is_due_is_found(tables: &impl AllTables) -> Result<(), Fault> {
    const SERIES: i64 = 20;
    const LIMIT: usize = 8;
    let calm = name("calm");
    let (judged, _) = judged(&calm, &[1.0]);
    assert_eq!(tables.states().save(&calm, &judged, None, &[], at(1)).await?, Saved::Written);
    let names: Vec<SeriesId> = (0..SERIES).map(|i| name(&format!("s{i}"))).collect();
    for (i, series) in (0..).zip(&names) {
        let state = if i % 2 == 0 { waiting(series, i) } else { quiet(series, i) };
        let saved = tables.states().save(series, &state, None, &[], at(1)).await?;
        assert_eq!(saved, Saved::Written);
    }
    let until = at(SERIES * 1000 + DUE_LATE_MS);
    let mut left: BTreeSet<SeriesId> = names.iter().cloned().collect();
    while !left.is_empty() {
        let due = tables.states().due(until, LIMIT).await?;
        assert!(!due.is_empty() && due.len() <= LIMIT, "{} of {} that are left", due.len(), left.len());
        for series in due {
            assert!(left.remove(&series), "{series} is not due");
            let read = tables.states().load(std::slice::from_ref(&series)).await?;
            let Some(Some(stored)) = read.into_iter().next() else { panic!("{series} was written") };
            let mut state = stored.state;
            state.flush(&series, Timestamp::LAST);
            silence::fall_silent(&on_silence(), &mut state, &series, Timestamp::LAST);
            silence::schedule(&on_silence(), &mut state, &series, Timestamp::LAST);
            let saved = tables.states().save(&series, &state, Some(stored.revision), &[], at(2)).await?;
            assert_eq!(saved, Saved::Written);
        }
    }
    assert_eq!(tables.states().due(until, LIMIT).await?, [], "nothing waits any more");
    Ok(())
}

/// A state that is silent from second `second` on.
fn quiet(series: &SeriesId, second: u32) -> SeriesState {
    let (mut state, heard) = (SeriesState::default(), scored(series, second - 1, 1.0));
    classify(&on_silence(), &mut state, &heard, "m");
    silence::schedule(&on_silence(), &mut state, series, heard.reading.position.arrived);
    state
}

/// A second without a reading is a silence.
fn on_silence() -> Policy {
    let method = Method::NoData(NoData { after: Duration::from_secs(1) });
    Policy::new(&Config { rules: vec![Rule { method, ..Rule::default() }], ..Config::default() }, &[])
}

/// A state in which the reading of second `second` waits.
fn waiting(series: &SeriesId, second: u32) -> SeriesState {
    let policy = EventTime { out_of_order: Duration::from_secs(5), ..EventTime::default() };
    let mut state = SeriesState::default();
    state.admit(&policy, scored(series, second, 1.0), "m");
    state
}
