//! A process that may die between any two calls: nothing is lost, and nothing is told twice but what was told and not
//! marked.

use std::sync::Arc;

use anomaly_core::reject::Reject;
use anomaly_core::wire::{ChunkV1, RejectV1, RowV1};
use anomaly_pipeline::classify::{Tables, classify_chunk};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::States;
use anomaly_pipeline::publish::{SWEEP_AGE_MS, sweep};

use super::{AllTables, Bench, at, name, policy, scored};
use crate::failing::{Failing, Failure, Script};
use crate::memory::RecordingPublisher;

/// How long a claim lasts.
const LEASE_MS: i64 = 1_000;
/// More calls than a whole life makes.
const CALLS_MAX: usize = 200;

/// Judges a few chunks and tells what comes of them, in a process that is killed before call 0, 1, 2 and so on; a
/// second one is given all of it again, and a third. People are told what they are told in a life without a crash;
/// only what was told when the first was killed before it could mark it is told twice.
///
/// # Errors
/// A fault of the tables.
///
/// # Panics
/// If something is lost, or told or judged twice.
pub async fn crashes(bench: &mut impl Bench) -> Result<(), Fault> {
    let tables = bench.fresh().await;
    let people = RecordingPublisher::default();
    let calls = live(&tables, &people, 1, None).await?;
    let (expected, states) = (people.messages(), remembered(&tables).await?);
    assert_eq!(expected.len(), 4, "two alerts fire and resolve");
    assert!(calls < CALLS_MAX, "{calls} calls");
    let mut told_twice = 0;
    for killed_at in 0..calls {
        let (mut tables, people) = (bench.fresh().await, RecordingPublisher::default());
        live(&tables, &people, 1, Some(killed_at)).await.expect_err("it was killed");
        for life in 2..4 {
            tables = bench.after_a_crash(tables).await;
            live(&tables, &people, life, None).await?;
        }
        let mut told = people.messages();
        told.dedup();
        assert_eq!(told, expected, "killed before call {killed_at}");
        told_twice += people.messages().len() - told.len();
        assert_eq!(remembered(&tables).await?, states, "killed before call {killed_at}");
    }
    assert_eq!(told_twice, expected.len(), "each once, when its mark was not made");
    Ok(())
}

/// What is known of the series, without where it was noted: which readings were judged and how alerts stand.
async fn remembered(tables: &impl AllTables) -> Result<Vec<String>, Fault> {
    let loaded = tables.states().load(&[name("a"), name("b")]).await?;
    let known = |state: anomaly_core::classify::SeriesState| {
        let watches: Vec<_> = state.watches().collect();
        let seen = |i| state.has_seen(&scored(&name("a"), i, 0.0).reading.position);
        let seen: Vec<u32> = (0..40).filter(|i| seen(*i)).collect();
        format!("{watches:?} {seen:?}")
    };
    Ok(loaded.into_iter().map(|stored| stored.map_or_else(String::new, |s| known(s.state))).collect())
}

/// The `life`th process: it is given all chunks, and tells what is pending; until call `killed_at`, if any. Gives
/// back how many calls it made.
async fn live(
    tables: &impl AllTables,
    people: &RecordingPublisher,
    life: i64,
    killed_at: Option<usize>,
) -> Result<usize, Fault> {
    let deaths: Vec<_> = killed_at.map(|call| (call, Failure::Dead)).into_iter().collect();
    let script = Arc::new(Script::new(&deaths));
    let states = Failing::by(tables.states(), &script);
    let rejects = Failing::by(tables.rejects(), &script);
    let journal = Failing::by(tables.journal(), &script);
    let outbox = Failing::by(tables.outbox(), &script);
    let publisher = Failing::by(people, &script);
    // Each life begins after the claims of the one before it have ended.
    let now = |ms: i64| at(life * 10 * SWEEP_AGE_MS + ms);
    for chunk in chunks() {
        classify_chunk(Tables::new(&states, &rejects, &journal), &policy(), chunk, now(0)).await?;
    }
    let (told_at, until) = (now(SWEEP_AGE_MS + 1), now(SWEEP_AGE_MS + 1 + LEASE_MS));
    let mut published = sweep(&outbox, &publisher, told_at, until).await?;
    published.faults.pop().map_or_else(|| Ok(script.calls()), Err)
}

/// Three chunks of two series, in which one alert of each fires and resolves, and a reject.
fn chunks() -> Vec<ChunkV1> {
    let value = |i: u32| if (12..18).contains(&i) { 50.0 } else { 1.0 };
    let row = |i: u32| RowV1::new(&scored(&name(if i.is_multiple_of(2) { "a" } else { "b" }), i, value(i)));
    let mut chunks: Vec<ChunkV1> = [0..10, 10..20, 20..30]
        .into_iter()
        .map(|range| ChunkV1 {
            v: 1,
            partition: "p".into(),
            group: None,
            model: "m".to_owned(),
            rows: range.map(row).collect(),
            rejects: Vec::new(),
        })
        .collect();
    let position = scored(&name("a"), 30, 0.0).reading.position;
    let reject = RejectV1::new(Reject::Base64, &position, b"?");
    chunks.iter_mut().for_each(|chunk| chunk.rejects.push(reject.clone()));
    chunks
}
