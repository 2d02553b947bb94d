//! The ports in memory keep their contracts.

use anomaly_fakes::conformance::{self, MemoryBench};
use anomaly_fakes::memory::{MemoryTables, MemoryWindows};

#[tokio::test]
async fn the_journal_in_memory_is_a_journal() {
    conformance::journal(&MemoryTables::default()).await.expect("no fault");
}

#[tokio::test]
async fn the_states_in_memory_are_states() {
    conformance::states(&mut MemoryBench).await.expect("no fault");
}

#[tokio::test]
async fn the_outbox_in_memory_is_an_outbox() {
    conformance::outbox(&mut MemoryBench).await.expect("no fault");
}

#[tokio::test]
async fn the_windows_in_memory_are_windows() {
    conformance::windows(&MemoryWindows::default()).await.expect("no fault");
}

#[tokio::test]
async fn the_tables_in_memory_survive_a_crash_between_any_two_calls() {
    conformance::crashes(&mut MemoryBench).await.expect("no fault");
}
