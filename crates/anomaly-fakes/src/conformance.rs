//! What every implementation of a port is held to, whatever is behind it.
//!
//! A suite is given empty tables by a [`Bench`], and panics where they break their contract.

mod crashes;
mod journal;
mod outbox;
mod states;
mod windows;

use std::future::Future;
use std::sync::Arc;

use anomaly_core::alert::Transition;
use anomaly_core::classify::{Policy, SeriesState, classify};
use anomaly_core::config::{Clear, Config, MOfN, Method, On, Rule};
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::{Reading, Scored, SeriesId};
use anomaly_core::time::Timestamp;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Journal, Outbox, Rejects, States};

pub use crashes::crashes;
pub use journal::journal;
pub use outbox::outbox;
pub use states::states;
pub use windows::windows;

use crate::memory::MemoryTables;

/// All that a stage keeps, as one process has it open.
pub trait AllTables: Sync {
    /// The states.
    type States: States + Sync;
    /// The outbox that they write to.
    type Outbox: Outbox + Sync;
    /// What was judged.
    type Journal: Journal + Sync;
    /// What was rejected.
    type Rejects: Rejects + Sync;

    /// The states.
    fn states(&self) -> &Self::States;
    /// The outbox.
    fn outbox(&self) -> &Self::Outbox;
    /// The journal.
    fn journal(&self) -> &Self::Journal;
    /// The rejects.
    fn rejects(&self) -> &Self::Rejects;
}

/// Where a suite finds tables.
pub trait Bench {
    /// What is under test.
    type Tables: AllTables;

    /// Empty ones, apart from all that were there before.
    fn fresh(&mut self) -> impl Future<Output = Self::Tables>;

    /// What a process finds that begins now, the one that had `tables` having been killed.
    fn after_a_crash(&mut self, tables: Self::Tables) -> impl Future<Output = Self::Tables>;
}

impl AllTables for Arc<MemoryTables> {
    type States = MemoryTables;
    type Outbox = MemoryTables;
    type Journal = MemoryTables;
    type Rejects = MemoryTables;

    fn states(&self) -> &MemoryTables {
        self
    }

    fn outbox(&self) -> &MemoryTables {
        self
    }

    fn journal(&self) -> &MemoryTables {
        self
    }

    fn rejects(&self) -> &MemoryTables {
        self
    }
}

/// A [`Bench`] of tables in memory, which outlive the process that they are said to.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryBench;

impl Bench for MemoryBench {
    type Tables = Arc<MemoryTables>;

    async fn fresh(&mut self) -> Self::Tables {
        Arc::default()
    }

    async fn after_a_crash(&mut self, tables: Self::Tables) -> Self::Tables {
        tables
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms).unwrap_or_default()
}

/// # Panics
/// If `name` is none.
fn name(name: &str) -> SeriesId {
    SeriesId::new(name).unwrap_or_else(|reject| panic!("{name:?} is no series: {reject}"))
}

/// Fires on a reading above 10, and is over after the next one that is not.
fn policy() -> Policy {
    let once = MOfN::new(1, 1).unwrap_or_default();
    let rule = Rule {
        on: On::Score,
        method: Method::Static { threshold: 10.0 },
        hold: once,
        clear: Clear { hold: once, ..Clear::default() },
        ..Rule::default()
    };
    Policy::new(&Config { rules: vec![rule], ..Config::default() }, &["v".to_owned()])
}

/// The reading of second `number`, with `value` as its score.
fn scored(series: &SeriesId, number: u32, value: f64) -> Scored {
    let time = at(i64::from(number) * 1000);
    let sequence = Sequence::from(u64::from(number));
    let position = Position { partition: "p".into(), sequence, sub: 0, arrived: time };
    let (series, features, filled) = (series.clone(), vec![value], Vec::new());
    Scored { reading: Reading { series, at: time, features, filled, position }, score: Some(value) }
}

/// The state of `series` after a reading of each of `values`, and the steps that its alerts took.
fn judged(series: &SeriesId, values: &[f64]) -> (SeriesState, Vec<Transition>) {
    let (policy, mut state, mut transitions) = (policy(), SeriesState::default(), Vec::new());
    for (number, value) in (1..).zip(values) {
        let judgement = classify(&policy, &mut state, &scored(series, number, *value), "m");
        transitions.extend(judgement.transitions);
    }
    (state, transitions)
}

/// What is pending, oldest first.
async fn pending(outbox: &impl Outbox) -> Result<Vec<anomaly_pipeline::ports::TransitionKey>, Fault> {
    outbox.pending(Timestamp::LAST, 1_000).await
}
