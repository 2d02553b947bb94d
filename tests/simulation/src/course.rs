//! In which order the readings of a series were judged: in the order of the stream, or late.

use std::collections::BTreeSet;

/// The longest time between the arrivals of late readings that belong together, in milliseconds.
const GAP_MS_MAX: i64 = 3_600_000;

/// A reading in a message: its number, and when and where it arrived, as the message says.
#[derive(Clone, Debug)]
pub(crate) struct Handed {
    pub(crate) number: usize,
    pub(crate) partition: String,
    pub(crate) arrived_ms: i64,
}

/// The readings of a series, as they were judged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    all: BTreeSet<usize>,
    /// Those that came in order.
    pub(crate) in_time: Vec<Handed>,
    /// Those that came after newer ones, as far as they belong together.
    pub(crate) late: Vec<Vec<Handed>>,
    /// How many of each of these a rule counted.
    counts: Vec<u32>,
}

impl Course {
    pub(crate) fn holds(&self, number: usize) -> bool {
        self.all.contains(&number)
    }

    /// The series' own state was written with what was new of `message`.
    pub(crate) fn wrote(&mut self, message: &[Handed]) {
        for reading in message {
            if self.all.insert(reading.number) {
                self.in_time.push(reading.clone());
            }
        }
    }

    /// The state beside it was written, with those of `message` that lie behind what was judged.
    pub(crate) fn wrote_late(&mut self, message: &[Handed]) {
        let Some(newest) = self.in_time.last().cloned() else { return };
        // What arrived in another shard within the same millisecond may have come after it.
        let is_behind = |r: &&Handed| {
            r.number < newest.number && (r.partition == newest.partition || r.arrived_ms < newest.arrived_ms)
        };
        let behind = message.iter().filter(is_behind).filter(|reading| !self.all.contains(&reading.number));
        let behind: Vec<Handed> = behind.cloned().collect();
        let Some(first) = behind.first() else { return };
        self.all.extend(behind.iter().map(|reading| reading.number));
        let goes_on = |last: &&mut Vec<Handed>| {
            last.last()
                .is_some_and(|l| l.number < first.number && first.arrived_ms - l.arrived_ms <= GAP_MS_MAX)
        };
        match self.late.last_mut().filter(goes_on) {
            Some(last) => last.extend(behind),
            None => {
                self.late.push(behind);
                self.counts.push(0);
            }
        }
    }

    /// The state beside the series' own says that `count` of the late readings that belong together were judged.
    pub(crate) fn count_late(&mut self, count: u32) {
        self.counts.last_mut().into_iter().for_each(|last| *last = count);
    }

    /// How many late readings were counted.
    pub(crate) fn counted_late(&self) -> u32 {
        self.counts.iter().sum()
    }
}
