//! The ports in memory keep their contracts.

use anomaly_fakes::conformance;
use anomaly_fakes::memory::MemoryTables;

#[tokio::test]
async fn the_journal_in_memory_is_a_journal() {
    conformance::journal(&MemoryTables::default()).await.expect("no fault");
}
