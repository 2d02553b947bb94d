//! Chunks that come back: from the dead-letter queue days later, twice, cut differently, after a crash anywhere,
//! and from shards that were split meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use anomaly_core::alert::{Step, Transition};
use anomaly_core::classify::Policy;
use anomaly_core::config::{Clear, Config, EventTime, MOfN, Method, On, Rule, Source, SourceKind};
use anomaly_core::group::Groups;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::{Reading, Scored, SeriesId};
use anomaly_core::records::{Decoded, Records};
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, ChunkV1, RowV1};
use anomaly_fakes::failing::{Failing, Failure};
use anomaly_fakes::memory::{MemoryQueue, MemoryTables, SkippingTimer, SumScorer};
use anomaly_pipeline::classify::{Classified, Tables, classify_chunk};
use anomaly_pipeline::invoke::{Driver, Limits, invoke};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms).expect("in range")
}

fn series(name: &str) -> SeriesId {
    SeriesId::new(name).expect("a name")
}

/// Judges values against 10, on two of three; calm for three ends an alert.
fn config() -> Config {
    let rule = Rule {
        name: "high".to_owned(),
        on: On::Value,
        method: Method::Static { threshold: 10.0 },
        hold: MOfN::new(2, 3).expect("valid"),
        clear: Clear { below: 1.0, hold: MOfN::new(3, 3).expect("valid") },
        ..Rule::default()
    };
    Config { rules: vec![rule], ..Config::default() }
}

fn policy() -> Policy {
    Policy::new(&config(), &["v".to_owned()])
}

/// A reading of `name` in `partition`: the `number`th record, which arrived in second `second`.
fn row_at(partition: &str, name: &str, number: u64, second: i64, value: f64) -> RowV1 {
    let position = Position {
        partition: partition.into(),
        sequence: Sequence::from(number),
        sub: 0,
        arrived: at(second * 1000),
    };
    let (series, at) = (series(name), at(second * 1000));
    let reading = Reading { series, at, features: vec![value], filled: Vec::new(), position };
    RowV1::new(&Scored { reading, score: None })
}

fn row(number: u64, value: f64) -> RowV1 {
    row_at("s/0", "a", number, number as i64, value)
}

fn chunk_of(partition: &str, rows: Vec<RowV1>) -> ChunkV1 {
    let (partition, group) = (partition, Some("0-of-1".to_owned()));
    ChunkV1 { v: 1, partition: partition.into(), group, model: "none".to_owned(), rows, rejects: Vec::new() }
}

/// The readings of these numbers, those from 4 to 6 high, as one chunk.
fn chunk(numbers: std::ops::RangeInclusive<u64>) -> ChunkV1 {
    chunk_of("s/0", numbers.map(|i| row(i, if (4..=6).contains(&i) { 50.0 } else { 1.0 })).collect())
}

async fn judge_by(policy: &Policy, tables: &MemoryTables, chunk: ChunkV1, now_ms: i64) -> Classified {
    let all = Tables::new(tables, tables, tables);
    classify_chunk(all, policy, chunk, at(now_ms)).await.expect("no faults")
}

async fn judge(tables: &MemoryTables, chunk: ChunkV1) -> Classified {
    judge_by(&policy(), tables, chunk, 2 * DAY_MS).await
}

/// The fates of the readings: judged, duplicates, late.
fn fates(outcome: Classified) -> (usize, usize, usize) {
    let Classified { received, judged, duplicates, late, rejects, .. } = outcome;
    assert_eq!(received, judged + duplicates + rejects);
    (judged - late, duplicates, late)
}

fn transitions(tables: &MemoryTables) -> Vec<Transition> {
    tables.outbox().into_iter().map(|row| row.transition).collect()
}

/// Second, step, and how late in seconds, of each transition, by the time of the step.
fn told(tables: &MemoryTables) -> Vec<(i64, Step, Option<i64>)> {
    let mut told: Vec<_> = transitions(tables)
        .iter()
        .map(|t| (t.at.as_ms() / 1000, t.step, t.late_ms.map(|late| late / 1000)))
        .collect();
    told.sort_by_key(|(second, ..)| *second);
    told
}

/// Everything there is, to be compared.
fn all(tables: &MemoryTables) -> (Vec<Transition>, [Option<Vec<u8>>; 4]) {
    let names = [series("a"), series("a").late(), series("b"), series("b").late()];
    (transitions(tables), names.map(|name| tables.state(&name)))
}

/// Two days after the others, the chunk in which the fault was comes back.
#[tokio::test]
async fn a_chunk_from_the_dead_letter_queue_alerts_late_and_leaves_the_state_alone() {
    let tables = MemoryTables::default();
    judge(&tables, chunk(1..=3)).await;
    judge(&tables, chunk(9..=20)).await;
    assert_eq!(told(&tables), []);
    let state = tables.state(&series("a"));

    assert_eq!(fates(judge(&tables, chunk(4..=8)).await), (0, 0, 5));
    assert_eq!(told(&tables), [(5, Step::Fired, Some(172_795))]);
    assert_eq!(tables.state(&series("a")), state, "to the byte");

    assert_eq!(fates(judge(&tables, chunk(4..=8)).await), (0, 5, 0), "twice is once");
    assert_eq!((told(&tables).len(), tables.state(&series("a"))), (1, state));
    judge(&tables, chunk(21..=22)).await;
    assert_eq!(told(&tables).len(), 1, "the series goes on as if nothing had been");
}

/// In order, what was lost in an outage is one story, not one alert a chunk.
#[tokio::test]
async fn late_chunks_go_on_where_the_last_one_stopped() {
    let tables = MemoryTables::default();
    judge(&tables, chunk(20..=30)).await;
    for lost in [1..=4, 5..=5, 6..=7, 8..=8, 9..=19] {
        judge(&tables, chunk(lost)).await;
    }
    let [(5, Step::Fired, Some(_)), (9, Step::Resolved, Some(_))] = told(&tables)[..] else {
        panic!("one alert, from 5 to 9: {:?}", told(&tables))
    };
    assert_eq!(fates(judge(&tables, chunk(1..=30)).await), (0, 30, 0));
}

/// The order in which they are moved back is nobody's promise.
#[tokio::test]
async fn late_chunks_in_the_wrong_order_are_still_judged_once() {
    let tables = MemoryTables::default();
    judge(&tables, chunk(20..=30)).await;
    for lost in [8..=12, 4..=7, 1..=3] {
        assert_eq!(fates(judge(&tables, chunk(lost.clone())).await).1, 0, "{lost:?} is news");
    }
    assert_eq!(told(&tables).iter().filter(|(_, step, _)| *step == Step::Fired).count(), 1);
    for lost in [8..=12, 4..=7, 1..=3] {
        let count = lost.clone().count();
        assert_eq!(fates(judge(&tables, chunk(lost)).await), (0, count, 0));
    }
}

/// The batch was cut elsewhere the second time, and a part of it had been lost.
#[tokio::test]
async fn another_cut_tells_known_from_late_from_new() {
    let tables = MemoryTables::default();
    judge(&tables, chunk(1..=3)).await;
    judge(&tables, chunk(8..=10)).await;
    assert_eq!(fates(judge(&tables, chunk(2..=12)).await), (2, 5, 4));
    for again in [1..=12, 3..=9, 7..=11, 5..=5, 12..=12] {
        let count = again.clone().count();
        assert_eq!(fates(judge(&tables, chunk(again)).await), (0, count, 0));
    }
    assert_eq!(told(&tables), [(5, Step::Fired, Some(172_795))]);
}

/// The chunk of one group says nothing of the readings of another, though they stood between its own.
#[tokio::test]
async fn what_one_group_judged_is_not_known_of_another() {
    let tables = MemoryTables::default();
    let of_group = |group: &str, name: &str, numbers: &[u64]| {
        let rows = numbers.iter().map(|i| row_at("s/0", name, *i, *i as i64, 50.0)).collect();
        ChunkV1 { group: Some(group.to_owned()), ..chunk_of("s/0", rows) }
    };
    judge(&tables, of_group("0-of-2", "a", &[1, 3, 5, 7])).await;
    judge(&tables, of_group("1-of-2", "b", &[8, 10])).await;
    assert_eq!(fates(judge(&tables, of_group("1-of-2", "b", &[2, 4, 6])).await), (0, 0, 3));
}

/// A crash between any two writes, or an answer that was lost: the second delivery brings all to the same end,
/// and the third changes nothing.
#[tokio::test]
async fn a_crash_anywhere_adds_nothing() {
    // Two series; of each something is known, something late and something new.
    let values = |i: u64| if (4..=6).contains(&i) || i > 21 { 50.0 } else { 1.0 };
    let both = |numbers: std::ops::RangeInclusive<u64>| {
        let rows = numbers.map(|i| row_at("s/0", ["a", "b"][i as usize % 2], i, i as i64, values(i)));
        chunk_of("s/0", rows.collect())
    };
    let prepared = async || {
        let tables = MemoryTables::default();
        judge(&tables, both(1..=2)).await;
        judge(&tables, both(13..=20)).await;
        // Late readings were judged before, and these go on where they stopped.
        judge(&tables, both(3..=4)).await;
        tables
    };
    let undisturbed = prepared().await;
    let outcome = judge(&undisturbed, both(1..=26)).await;
    assert_eq!(fates(outcome), (6, 12, 8));
    assert!(told(&undisturbed).len() >= 4, "{:?}", told(&undisturbed));

    let mut calls = 0;
    for call in 0.. {
        let mut was_made = false;
        for failure in [Failure::Before, Failure::After] {
            let tables = prepared().await;
            let failing = Failing::new(&tables, &[(call, failure)]);
            let ports = Tables::new(&failing, &failing, &failing);
            let first = classify_chunk(ports, &policy(), both(1..=26), at(2 * DAY_MS)).await;
            was_made |= first.is_err();
            judge(&tables, both(1..=26)).await;
            assert_eq!(all(&tables), all(&undisturbed), "call {call} {failure:?}");
            assert_eq!(fates(judge(&tables, both(1..=26)).await), (0, 26, 0), "call {call} {failure:?}");
        }
        if !was_made {
            break;
        }
        calls += 1;
    }
    // The states, the journal, the note of their last write; of each series what is known of it alone, its late
    // state, the journal for that, twice, that and the own one written; the note of the late ones' last write; two
    // notes.
    assert_eq!(calls, 3 + 2 * 6 + 1 + 2);
}

/// Judges `chunk` with the `call`th call of a port failing.
async fn judge_failing(
    policy: &Policy,
    tables: &MemoryTables,
    chunk: ChunkV1,
    call: usize,
    how: Failure,
) -> bool {
    let failing = Failing::new(tables, &[(call, how)]);
    let ports = Tables::new(&failing, &failing, &failing);
    classify_chunk(ports, policy, chunk, at(2 * DAY_MS)).await.is_err()
}

/// Crashed after its states were written and before its note, given up, and brought back when others had been
/// judged: what the states wrote last is not what is asked for, and the chunk's note is not there.
#[tokio::test]
async fn a_chunk_that_was_judged_and_given_up_before_its_note_is_known() {
    let sqs = Source { kind: SourceKind::Sqs, ..Source::default() };
    let fifo = Source { kind: SourceKind::SqsFifo, ..Source::default() };
    let of = |source| Policy::new(&Config { source, ..config() }, &["v".to_owned()]);
    for policy in [policy(), of(sqs), of(fifo)] {
        let tables = MemoryTables::default();
        assert!(judge_failing(&policy, &tables, chunk(1..=10), 2, Failure::Before).await, "the note");
        for others in [11..=20, 21..=30] {
            judge_by(&policy, &tables, chunk(others), 0).await;
        }
        let before = all(&tables);
        assert_eq!(told(&tables), [(5, Step::Fired, None), (9, Step::Resolved, None)]);
        for again in [5..=10, 1..=10, 3..=12] {
            let count = again.clone().count();
            assert_eq!(fates(judge_by(&policy, &tables, chunk(again), 0).await), (0, count, 0));
        }
        assert_eq!(all(&tables), before);
    }
}

/// The same of late ones, which are written beside the series' own.
#[tokio::test]
async fn a_late_chunk_that_was_judged_and_given_up_before_its_note_is_known() {
    let tables = MemoryTables::default();
    judge(&tables, chunk(101..=110)).await;
    // The states, the journal, the last note, what is known of the series alone, its late state, that written.
    assert!(judge_failing(&policy(), &tables, chunk(1..=8), 6, Failure::Before).await, "the note");
    assert_eq!(told(&tables).len(), 1, "it was judged");
    assert_eq!(fates(judge(&tables, chunk(20..=30)).await), (0, 0, 11));
    let before = all(&tables);
    assert_eq!(fates(judge(&tables, chunk(1..=8)).await), (0, 8, 0));
    assert_eq!(all(&tables), before);
}

/// Part of a chunk was judged, and nothing of it noted: that part is known, and the other is not.
#[tokio::test]
async fn what_is_known_of_one_series_is_not_taken_for_known_of_another() {
    let tables = MemoryTables::default();
    let both = |numbers: std::ops::RangeInclusive<u64>| {
        let rows = numbers.map(|i| row_at("s/0", ["a", "b"][i as usize % 2], i, i as i64, 50.0));
        chunk_of("s/0", rows.collect())
    };
    assert!(judge_failing(&policy(), &tables, both(1..=10), 2, Failure::Before).await, "the second series");
    assert_eq!(fates(judge(&tables, both(11..=20)).await), (10, 0, 0));
    assert_eq!(fates(judge(&tables, both(1..=10)).await), (0, 5, 5));
}

/// Wherever it fails to see to what the chunk before it left: the second delivery brings all to the same end.
#[tokio::test]
async fn a_crash_anywhere_behind_a_chunk_without_a_note_adds_nothing() {
    let both = |numbers: std::ops::RangeInclusive<u64>| {
        let rows = numbers.map(|i| row_at("s/0", ["a", "b"][i as usize % 2], i, i as i64, 50.0));
        chunk_of("s/0", rows.collect())
    };
    let mut calls = 0;
    loop {
        let mut was_made = false;
        for failure in [Failure::Before, Failure::After] {
            let tables = MemoryTables::default();
            assert!(judge_failing(&policy(), &tables, both(1..=10), 3, Failure::Before).await, "the note");
            was_made |= judge_failing(&policy(), &tables, both(11..=20), calls, failure).await;
            let (judged, known, late) = fates(judge(&tables, both(11..=20)).await);
            assert!(late == 0 && judged + known == 10);
            let before = all(&tables);
            assert_eq!(fates(judge(&tables, both(1..=20)).await), (0, 20, 0), "call {calls} {failure:?}");
            assert_eq!(all(&tables), before);
        }
        if !was_made {
            break;
        }
        calls += 1;
    }
    // The states, the note that is missing, a note for each series alone and its state, the chunk's own note.
    assert_eq!(calls, 2 + 2 * 2 + 1);
}

/// Where the chunk before is noted, a chunk costs one look more, and no more writes.
#[tokio::test]
async fn a_chunk_after_another_looks_up_one_note() {
    let tables = MemoryTables::default();
    let both = |numbers: std::ops::RangeInclusive<u64>| {
        let rows = numbers.map(|i| row_at("s/0", ["a", "b"][i as usize % 2], i, i as i64, 50.0));
        chunk_of("s/0", rows.collect())
    };
    judge(&tables, both(1..=10)).await;
    let failing = Failing::new(&tables, &[]);
    let ports = Tables::new(&failing, &failing, &failing);
    classify_chunk(ports, &policy(), both(11..=20), at(0)).await.expect("no faults");
    // The states, the note, two states, a note.
    assert_eq!(failing.calls(), 1 + 1 + 2 + 1);
}

/// Two readings of one second, one in time and one late, open an alert each, of one name. The late one must not
/// end the one that is firing.
#[tokio::test]
async fn a_late_reading_does_not_end_the_alert_that_is_firing() {
    let tables = MemoryTables::default();
    let rows = |numbers: std::ops::RangeInclusive<u64>, value| -> Vec<RowV1> {
        numbers.map(|i| row_at("s/0", "a", i, 100, value)).collect()
    };
    judge(&tables, chunk_of("s/0", rows(11..=14, 50.0))).await;
    let late = [rows(1..=4, 50.0), rows(5..=9, 1.0)].concat();
    assert_eq!(fates(judge(&tables, chunk_of("s/0", late)).await), (0, 0, 9));
    assert_eq!(told(&tables), [(100, Step::Fired, None)]);
    judge(&tables, chunk(201..=203)).await;
    assert_eq!(told(&tables), [(100, Step::Fired, None), (203, Step::Resolved, None)]);
}

/// Alerts whose readings carry one time have different names, by the alert before. Late readings of that time find
/// the names of those in time, and the outbox keeps what it has.
#[tokio::test]
async fn a_name_that_was_hashed_once_more_makes_no_second_alert() {
    let rows = |from: u64| -> Vec<RowV1> {
        let values = [50.0, 50.0, 1.0, 1.0, 1.0, 50.0, 50.0, 1.0, 1.0, 1.0];
        values.iter().zip(from..).map(|(value, i)| row_at("s/0", "a", i, 100, *value)).collect()
    };
    let tables = MemoryTables::default();
    judge(&tables, chunk_of("s/0", rows(11))).await;
    judge(&tables, chunk(101..=103)).await;
    let before = tables.outbox();
    assert_eq!(before.len(), 4, "two alerts of one second");
    for part in [rows(1)[5..].to_vec(), rows(1)] {
        judge(&tables, chunk_of("s/0", part)).await;
        assert_eq!(tables.outbox(), before);
    }
}

/// A rule that has not learned enough says nothing of late readings, and does not learn from them either.
#[tokio::test]
async fn warming_up_is_not_shortened_by_late_readings() {
    let mut config = config();
    config.rules[0].method = Method::Sigma { k: 3.0, warmup: 20 };
    let policy = Policy::new(&config, &["v".to_owned()]);
    let tables = MemoryTables::default();
    judge_by(&policy, &tables, chunk(101..=110), 0).await;
    let state = tables.state(&series("a"));
    assert_eq!(fates(judge_by(&policy, &tables, chunk(1..=8), 0).await), (0, 0, 8));
    assert_eq!((told(&tables), tables.state(&series("a"))), (Vec::new(), state));
}

/// Whatever became of their chunks' order, a series' readings in parent and child are judged in order or late,
/// each once.
#[tokio::test]
async fn a_reshard_keeps_the_order_of_a_series() {
    // Parent up to second 5, children from second 5 on: the last and the first share a millisecond, and the
    // child's numbers are lower.
    let parent = |numbers: std::ops::RangeInclusive<u64>| {
        let rows = numbers.map(|i| row_at("s/0", "a", 1_000 + i, i as i64, if i > 3 { 50.0 } else { 1.0 }));
        chunk_of("s/0", rows.collect())
    };
    let child = |numbers: std::ops::RangeInclusive<u64>| {
        let rows = numbers.map(|i| row_at("s/1", "a", i, i as i64, if i < 7 { 50.0 } else { 1.0 }));
        chunk_of("s/1", rows.collect())
    };
    let in_order = MemoryTables::default();
    for chunk in [parent(1..=3), parent(4..=5), child(5..=5)] {
        assert_eq!(fates(judge(&in_order, chunk.clone()).await), (chunk.rows.len(), 0, 0));
    }
    assert_eq!(fates(judge(&in_order, parent(4..=5)).await), (0, 2, 0), "as old as the child's, and known");
    for chunk in [child(6..=6), child(7..=9)] {
        assert_eq!(fates(judge(&in_order, chunk.clone()).await), (chunk.rows.len(), 0, 0));
    }
    assert_eq!(told(&in_order), [(5, Step::Fired, None), (9, Step::Resolved, None)]);
    let state = in_order.state(&series("a"));
    for chunk in [parent(1..=3), child(5..=6), parent(3..=5), child(7..=9), parent(1..=5), child(5..=9)] {
        assert_eq!(fates(judge(&in_order, chunk.clone()).await), (0, chunk.rows.len(), 0));
    }
    assert_eq!((told(&in_order).len(), in_order.state(&series("a"))), (2, state));

    // The parent's last chunk was lost and comes back when the child's are judged.
    let lost = MemoryTables::default();
    for chunk in [parent(1..=3), child(5..=6), child(7..=9)] {
        assert_eq!(fates(judge(&lost, chunk.clone()).await).0, chunk.rows.len());
    }
    let state = lost.state(&series("a"));
    assert_eq!(fates(judge(&lost, parent(4..=5)).await), (0, 0, 2));
    assert_eq!(lost.state(&series("a")), state);
    assert_eq!(fates(judge(&lost, parent(1..=5)).await), (0, 5, 0));
}

/// Through `invoke`: the chunks of parent and child are in one group, whatever else there is.
#[tokio::test]
async fn parent_and_child_queue_up_in_one_group() {
    let queue = MemoryQueue::default();
    let limits = Limits { groups: Groups::new(8), ..Limits::default() };
    let driver = Driver::new(Some(SumScorer), SkippingTimer::default(), limits, 0);
    for partition in ["s/0", "s/1", "s/2"] {
        let reading = |i: u64| {
            let name = format!("series-{}", i % 20);
            Decoded::Reading(
                row_at(partition, &name, i, i as i64, 1.0).into_scored(&partition.into()).reading,
            )
        };
        let records: Records = (0..60).map(reading).collect();
        let turn = driver.turn(Duration::from_secs(60));
        assert_eq!(invoke(&turn, &queue, partition, &records).await.resume_at, None);
    }
    let mut homes = BTreeMap::new();
    for chunk in queue.chunks() {
        let read: ChunkV1 = wire::read(&chunk.body).expect("its own message");
        assert_eq!(read.group.as_ref(), Some(&chunk.group));
        for row in read.rows {
            assert_eq!(homes.entry(row.series).or_insert(chunk.group.clone()), &chunk.group);
        }
    }
    assert_eq!(homes.len(), 20);
}

/// Where the source keeps no order, a reading between two that were judged is news, not a duplicate, and is judged
/// as it comes.
#[tokio::test]
async fn without_order_readings_are_known_one_by_one() {
    let source = Source { kind: SourceKind::Sqs, ..Source::default() };
    let policy = Policy::new(&Config { source, ..config() }, &["v".to_owned()]);
    let tables = MemoryTables::default();
    let some = |numbers: &[u64]| {
        let rows = numbers.iter().map(|i| row_at("q", "a", *i, *i as i64, if *i < 10 { 50.0 } else { 1.0 }));
        chunk_of("q", rows.collect())
    };
    assert_eq!(fates(judge_by(&policy, &tables, some(&[1, 3, 5]), 0).await), (3, 0, 0));
    assert_eq!(fates(judge_by(&policy, &tables, some(&[2, 4, 6]), 0).await), (3, 0, 0), "in between");
    assert_eq!(fates(judge_by(&policy, &tables, some(&[2, 3, 4, 7]), 0).await), (1, 3, 0));
    assert_eq!(fates(judge_by(&policy, &tables, some(&[5, 1]), 0).await), (0, 2, 0));
    assert_eq!(told(&tables).len(), 1);

    // Five minutes later it is late.
    judge_by(&policy, &tables, some(&[400]), 0).await;
    let state = tables.state(&series("a"));
    assert_eq!(fates(judge_by(&policy, &tables, some(&[8, 9]), 0).await), (0, 0, 2));
    assert_eq!(fates(judge_by(&policy, &tables, some(&[9, 8, 7]), 0).await), (0, 3, 0));
    assert_eq!(tables.state(&series("a")), state);
}

/// A message of a FIFO queue whose deletion was lost comes again together with news: what came between them is in
/// another chunk, which was given up, and is not known for that.
#[tokio::test]
async fn with_gaps_readings_are_known_one_by_one_and_in_order() {
    let source = Source { kind: SourceKind::SqsFifo, ..Source::default() };
    let policy = Policy::new(&Config { source, ..config() }, &["v".to_owned()]);
    let tables = MemoryTables::default();
    let some = |numbers: &[u64]| {
        let rows =
            numbers.iter().map(|i| row_at("q/g", "a", *i, *i as i64, if *i < 10 { 50.0 } else { 1.0 }));
        chunk_of("q/g", rows.collect())
    };
    assert_eq!(fates(judge_by(&policy, &tables, some(&[1, 7, 8]), 0).await), (3, 0, 0));
    assert_eq!(
        fates(judge_by(&policy, &tables, some(&[1, 2, 3]), 0).await),
        (0, 1, 2),
        "not in time, but news"
    );
    for again in [&[1, 2, 3][..], &[1, 7, 8], &[2, 8]] {
        assert_eq!(fates(judge_by(&policy, &tables, some(again), 0).await), (0, again.len(), 0));
    }
    judge_by(&policy, &tables, some(&[20, 21]), 0).await;
    assert_eq!(fates(judge_by(&policy, &tables, some(&[1, 4, 8, 20]), 0).await), (0, 3, 1));
}

/// By event time, readings wait for those that may come before them. Before late ones nothing comes any more.
#[tokio::test]
async fn late_readings_wait_for_nothing() {
    let mut config = config();
    config.input.event_time =
        Some(EventTime { out_of_order: Duration::from_secs(5), ..EventTime::default() });
    let policy = Policy::new(&config, &["v".to_owned()]);
    let tables = MemoryTables::default();
    let first = judge_by(&policy, &tables, chunk(101..=110), 0).await;
    assert_eq!((first.held, first.released), (10, 5));
    let late = judge_by(&policy, &tables, chunk(1..=8), 0).await;
    assert_eq!((late.late, late.held, late.released, late.judged), (8, 8, 8, 8));
    assert_eq!(told(&tables).len(), 1);
    assert_eq!(fates(judge_by(&policy, &tables, chunk(1..=8), 0).await), (0, 8, 0));
}

/// Rejects that are put in again are some of many: those between two of them are news when they come.
#[tokio::test]
async fn rejects_put_in_again_are_known_one_by_one_and_late() {
    let tables = MemoryTables::default();
    judge(&tables, chunk(101..=110)).await;
    let state = tables.state(&series("a"));
    let again = |numbers: &[u64]| {
        let rows = numbers.iter().map(|i| row_at("rejects:s/0", "a", *i, *i as i64, 50.0));
        chunk_of("rejects:s/0", rows.collect())
    };
    assert_eq!(fates(judge(&tables, again(&[5, 9])).await), (0, 0, 2));
    assert_eq!(fates(judge(&tables, again(&[7])).await), (0, 0, 1));
    assert_eq!(fates(judge(&tables, again(&[5, 7, 8, 9])).await), (0, 3, 1));
    assert_eq!(tables.state(&series("a")), state, "though nearly in time");
}

/// A chunk queued by the release before: no group, and its strand is the partition.
#[tokio::test]
async fn chunks_from_before_there_were_groups_are_judged_and_known() {
    let tables = MemoryTables::default();
    let before = |numbers| ChunkV1 { group: None, ..chunk(numbers) };
    assert_eq!(fates(judge(&tables, before(1..=3)).await), (3, 0, 0));
    assert_eq!(fates(judge(&tables, before(9..=12)).await), (4, 0, 0));
    assert_eq!(fates(judge(&tables, before(2..=9)).await), (0, 3, 5));
}
