//! Rejected records come again when they can be read.

use anomaly_core::config::Input;
use anomaly_core::decode::Decoder;
use anomaly_core::group::Groups;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reject::Reject;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, ChunkV1, RejectV1};
use anomaly_fakes::failing::{Failing, Failure};
use anomaly_fakes::memory::{MemoryQueue, SumScorer};
use anomaly_pipeline::invoke::Cut;
use anomaly_pipeline::rejects::{Redriven, redrive};

const CUT: Cut = Cut { rows_max: 10, groups: Groups::ONE };

fn decoder() -> Decoder {
    let input = Input {
        series: "s".to_owned(),
        features: vec!["/b".to_owned()],
        record_bytes_max: 100_000,
        ..Input::default()
    };
    Decoder::new(&input).expect("valid")
}

fn reject(partition: &str, sequence: u64, sub: u32, bytes: &[u8]) -> RejectV1 {
    let position = Position {
        partition: partition.to_owned(),
        sequence: Sequence::from(sequence),
        sub,
        arrived: Timestamp::from_ms(sequence as i64).expect("in range"),
    };
    RejectV1::new(Reject::Missing { field: "a".to_owned() }, &position, bytes)
}

/// Two of one partition, out of order, that can be read now; one that cannot; one too long to have been kept.
fn rejects() -> Vec<RejectV1> {
    let long = format!("{{\"b\":1,\"c\":\"{}\"}}", "x".repeat(70_000));
    vec![
        reject("p", 9, 2, br#"{"b":2}"#),
        reject("p", 7, 0, br#"{"b":1}"#),
        reject("p", 8, 0, br#"{"a":1}"#),
        reject("q", 1, 0, long.as_bytes()),
        reject("q", 2, 0, br#"{"b":3}"#),
    ]
}

fn sequences(rejects: &[RejectV1]) -> Vec<&str> {
    rejects.iter().map(|r| r.sequence.as_str()).collect()
}

#[tokio::test]
async fn what_can_be_read_now_is_queued_where_it_stood() {
    let queue = MemoryQueue::default();
    let Redriven { queued, refused, left, fault } =
        redrive(Some(&SumScorer), &queue, &decoder(), rejects(), CUT).await;
    assert_eq!((sequences(&queued), left, fault), (vec!["7", "9", "2"], vec![], None));
    let why: Vec<_> =
        refused.iter().map(|(r, why)| (r.sequence.as_str(), why.as_ref().map(Reject::as_str))).collect();
    assert_eq!(why, [("8", Some("missing")), ("1", None)]);
    let chunks: Vec<ChunkV1> =
        queue.chunks().iter().map(|c| wire::read(&c.body).expect("its own message")).collect();
    assert_eq!(chunks.iter().map(|c| c.partition.as_str()).collect::<Vec<_>>(), ["rejects:p", "rejects:q"]);
    let rows: Vec<_> =
        chunks[0].rows.iter().map(|r| (r.sequence.as_str(), r.sub, r.arrived_ms.as_ms(), r.score)).collect();
    assert_eq!(rows, [("7", 0, 7, Some(1.0)), ("9", 2, 9, Some(2.0))]);
}

#[tokio::test]
async fn what_fails_stays_a_reject() {
    for failure in [Failure::Before, Failure::After] {
        let queue = Failing::new(MemoryQueue::default(), &[(1, failure)]);
        let redriven = redrive(Some(&SumScorer), &queue, &decoder(), rejects(), CUT).await;
        assert_eq!((sequences(&redriven.queued), sequences(&redriven.left)), (vec!["7", "9"], vec!["2"]));
        assert!(redriven.fault.is_some());
    }
    let scorer = Failing::new(SumScorer, &[(0, Failure::Before)]);
    let redriven = redrive(Some(&scorer), &MemoryQueue::default(), &decoder(), rejects(), CUT).await;
    assert_eq!((redriven.queued.len(), redriven.refused.len(), redriven.left.len()), (0, 1, 4));
}
