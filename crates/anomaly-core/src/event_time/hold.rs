//! Readings of a series that wait for those that may still come before them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Clock, Placement, place};
use crate::config::EventTime;
use crate::position::Position;
use crate::reading::{Filled, Reading, Scored, SeriesId};
use crate::time::Timestamp;

/// The most readings that wait, of one series.
pub const HELD_MAX: usize = 1_000;
/// The most bytes they take in the encoded state: half of a DynamoDB item, which holds 400 KB (DynamoDB
/// developer guide, "Service, account, and table quotas").
pub const HELD_BYTES_MAX: usize = 200_000;

/// The clock of a series, and its readings that wait, in the order of their times; equal times in the order
/// in which they came.
///
/// A reading is released once nothing that may still come can lie before it: when the watermark has reached
/// it. Where more waits than [`HELD_MAX`] or [`HELD_BYTES_MAX`] allow, the oldest is released ahead of its
/// time, and what comes later and lies before it is moved to it: less is sorted, and nothing is lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    clock: Clock,
    held: VecDeque<Held>,
}

/// A reading that waits; the series is the state's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Held {
    at: Timestamp,
    features: Vec<f64>,
    filled: Vec<Filled>,
    score: Option<f64>,
    position: Position,
    model: String,
}

/// A reading whose time has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Released {
    /// The reading; its time is when it counts.
    pub scored: Scored,
    /// What gave its score.
    pub model: String,
}

/// What came of a reading's arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    /// What became of the reading itself. One that was placed is among the released, or waits.
    pub placement: Placement,
    /// The readings to be judged now, in order.
    pub released: Vec<Released>,
}

impl Hold {
    /// Places `scored`, and releases what need not wait any longer.
    pub(crate) fn admit(&mut self, policy: &EventTime, mut scored: Scored, model: &str) -> Admission {
        let Scored { reading, .. } = &mut scored;
        let placement = place(policy, &self.clock, reading.at, reading.position.arrived);
        let Placement::Placed { at, .. } = placement else {
            return Admission { placement, released: Vec::new() };
        };
        reading.at = at;
        let series = reading.series.clone();
        self.clock.advance(at);
        self.insert(Held::new(scored, model));
        let mut released = match self.clock.watermark(policy) {
            Some(watermark) => self.take_until(&series, watermark),
            None => Vec::new(),
        };
        while self.held.len() > HELD_MAX || self.bytes() > HELD_BYTES_MAX {
            let Some(oldest) = self.held.pop_front() else { break };
            self.clock.raise_floor(oldest.at);
            released.push(oldest.into_released(&series));
        }
        Admission { placement, released }
    }

    /// Releases what lies at or before `until`, because nothing comes that could move the watermark.
    pub(crate) fn flush(&mut self, series: &SeriesId, until: Timestamp) -> Vec<Released> {
        let released = self.take_until(series, until);
        if let Some(last) = released.last() {
            self.clock.raise_floor(last.scored.reading.at);
        }
        released
    }

    /// How many readings wait.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The time of the oldest reading that waits.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.held.front().map(|held| held.at)
    }

    /// The clock of the series.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    fn insert(&mut self, held: Held) {
        // Most come in order: their place is near the end.
        let later = self.held.iter().rev().take_while(|other| other.at > held.at).count();
        self.held.insert(self.held.len() - later, held);
    }

    fn take_until(&mut self, series: &SeriesId, until: Timestamp) -> Vec<Released> {
        let due = self.held.iter().take_while(|held| held.at <= until).count();
        self.held.drain(..due).map(|held| held.into_released(series)).collect()
    }

    /// At least the bytes that the readings take in the encoded state.
    fn bytes(&self) -> usize {
        self.held.iter().map(Held::bytes).sum()
    }
}

impl Held {
    fn new(scored: Scored, model: &str) -> Self {
        let Scored { reading: Reading { at, features, filled, position, .. }, score } = scored;
        Held { at, features, filled, score, position, model: model.to_owned() }
    }

    fn into_released(self, series: &SeriesId) -> Released {
        let Held { at, features, filled, score, position, model } = self;
        let reading = Reading { series: series.clone(), at, features, filled, position };
        Released { scored: Scored { reading, score }, model }
    }

    fn bytes(&self) -> usize {
        // Times, score, number within the record, and the lengths of five lists: 10 bytes each at most.
        let fixed = 90;
        let Position { partition, sequence, .. } = &self.position;
        fixed
            + 8 * self.features.len()
            + 7 * self.filled.len()
            + partition.len()
            + sequence.length()
            + self.model.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Untimely;
    use crate::position::Sequence;
    use proptest::prelude::*;

    fn series() -> SeriesId {
        SeriesId::new("s").expect("a name")
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms).expect("in range")
    }

    /// The `number`th reading, of second `event`, arrived at second `arrived`.
    fn scored(number: u64, event_s: i64, arrived_s: i64) -> Scored {
        let position = Position {
            partition: "p".into(),
            sequence: Sequence::from(number),
            sub: 0,
            arrived: at(arrived_s * 1000),
        };
        let reading = Reading {
            series: series(),
            at: at(event_s * 1000),
            features: vec![1.0],
            filled: Vec::new(),
            position,
        };
        Scored { reading, score: Some(0.5) }
    }

    fn policy(late_s: u64, out_of_order_s: u64, policy: Untimely) -> EventTime {
        let [late, out_of_order] = [late_s, out_of_order_s].map(Duration::from_secs);
        EventTime { late, out_of_order, policy, ..EventTime::default() }
    }

    /// `number@second` of each.
    fn shown(released: &[Released]) -> String {
        let one = |r: &Released| {
            let Reading { at, position, .. } = &r.scored.reading;
            format!("{}@{}", position.sequence, at.as_ms() / 1000)
        };
        released.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn readings_wait_for_those_before_them() {
        let policy = policy(16, 5, Untimely::Adjust);
        let mut hold = Hold::default();
        let mut admit =
            |number, event| shown(&hold.admit(&policy, scored(number, event, event), "m").released);
        assert_eq!(admit(1, 100), "");
        assert_eq!(admit(2, 104), "");
        assert_eq!(admit(3, 102), "", "within the tolerance");
        assert_eq!(admit(4, 102), "");
        assert_eq!(admit(5, 107), "1@100 3@102 4@102", "by time, then as they came");
        assert_eq!(admit(6, 90), "6@102", "moved to the watermark, and nothing can come before that");
        assert_eq!((hold.len(), hold.oldest()), (2, Some(at(104_000))));
    }

    #[test]
    fn without_a_tolerance_nothing_waits() {
        let policy = policy(16, 0, Untimely::Adjust);
        let mut hold = Hold::default();
        for (number, event, expected) in [(1, 100, "1@100"), (2, 101, "2@101"), (3, 99, "3@101")] {
            let admission = hold.admit(&policy, scored(number, event, event), "m");
            assert_eq!(shown(&admission.released), expected);
        }
        assert!(hold.is_empty());
    }

    #[test]
    fn a_flush_releases_what_is_due_and_time_does_not_go_back() {
        let policy = policy(16, 5, Untimely::Adjust);
        let mut hold = Hold::default();
        for (number, event) in [(1, 103), (2, 101), (3, 105)] {
            assert_eq!(shown(&hold.admit(&policy, scored(number, event, event), "m").released), "");
        }
        assert_eq!(shown(&hold.flush(&series(), at(100_000))), "");
        assert_eq!(shown(&hold.flush(&series(), at(103_000))), "2@101 1@103");
        assert_eq!(shown(&hold.admit(&policy, scored(4, 102, 106), "m").released), "");
        assert_eq!(shown(&hold.flush(&series(), at(200_000))), "4@103 3@105");
    }

    #[test]
    fn at_the_bound_the_oldest_goes() {
        let policy = policy(16, 1_000_000, Untimely::Drop);
        let mut hold = Hold::default();
        let max = HELD_MAX as u64;
        for number in 0..max {
            let second = 5 + number as i64;
            assert_eq!(hold.admit(&policy, scored(number, second, second), "m").released, []);
        }
        let newest = 5 + max as i64;
        let admission = hold.admit(&policy, scored(max, newest, newest), "m");
        assert_eq!((shown(&admission.released), hold.len()), ("0@5".to_owned(), HELD_MAX));
        let admission = hold.admit(&policy, scored(max + 1, 4, 4), "m");
        assert_eq!(shown(&admission.released), format!("{}@5", max + 1), "moved, whatever the policy");
    }

    #[test]
    fn wide_readings_are_bounded_by_their_bytes() {
        let policy = policy(16, 1_000, Untimely::Adjust);
        let mut hold = Hold::default();
        let mut released = 0;
        for number in 0..50 {
            let mut wide = scored(number, number as i64, number as i64);
            wide.reading.features = vec![0.1; 1_000];
            released += hold.admit(&policy, wide, "m").released.len();
            assert!(encoded(&hold) <= HELD_BYTES_MAX + 100, "and its clock");
        }
        assert_eq!((released, hold.len()), (26, 24));
        let mut widest = scored(50, 50, 50);
        widest.reading.features = vec![0.1; 100_000];
        assert_eq!(hold.admit(&policy, widest, "m").released.len(), 25, "even itself");
    }

    fn encoded(hold: &Hold) -> usize {
        postcard::to_extend(hold, Vec::new()).expect("into memory").len()
    }

    fn readings() -> impl Strategy<Value = Vec<(i64, i64)>> {
        // Arrivals go on by some seconds; times lie around them, early and late and out of order.
        proptest::collection::vec((0..4_i64, -310..30_i64), 1..120)
    }

    fn any_policy() -> impl Strategy<Value = EventTime> {
        let untimely = prop_oneof![Just(Untimely::Adjust), Just(Untimely::Drop)];
        (0..40_u64, 0..20_u64, untimely).prop_map(|(late, out_of_order, p)| policy(late, out_of_order, p))
    }

    proptest! {
        /// Every reading is released or dropped, once; time never goes back; and flushes in between change
        /// neither.
        #[test]
        fn released_once_and_in_order(
            policy in any_policy(),
            readings in readings(),
            flushes in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let (mut hold, mut now, mut out, mut dropped) = (Hold::default(), 1_000, Vec::new(), Vec::new());
            let flushes: Vec<usize> = flushes.iter().map(|index| index.index(readings.len())).collect();
            for (number, (pause, behind)) in readings.iter().enumerate() {
                now += pause;
                let admission = hold.admit(&policy, scored(number as u64, now - behind, now), "m");
                if let Placement::Dropped(_) = admission.placement {
                    prop_assert!(admission.released.is_empty());
                    dropped.push(number as u64);
                }
                out.extend(admission.released);
                if flushes.contains(&number) {
                    out.extend(hold.flush(&series(), at((now + 7) * 1000)));
                }
                prop_assert!(encoded(&hold) <= hold.bytes() + 40);
            }
            out.extend(hold.flush(&series(), at(i64::from(i32::MAX) * 1000)));
            prop_assert!(hold.is_empty());
            prop_assert!(out.windows(2).all(|w| w[0].scored.reading.at <= w[1].scored.reading.at));
            let sequence = |r: &Released| r.scored.reading.position.sequence.text().parse::<u64>();
            let mut numbers: Vec<u64> = out.iter().map(|r| sequence(r).expect("a number")).collect();
            numbers.extend(dropped);
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..readings.len() as u64).collect::<Vec<_>>());
        }
    }
}
