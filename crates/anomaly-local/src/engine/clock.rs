//! When the rows of a lot arrived, for the series that fall silent meanwhile.

use std::ops::Range;

use anomaly_core::time::Timestamp;

/// Of so many rows in a row the latest is known, so that they need not be looked at one by one.
const BLOCK_ROWS: usize = 64;

/// The arrivals of the rows of a lot, in the order of the rows; `None` where a row is no reading.
#[derive(Debug)]
pub(super) struct Clock {
    arrivals: Vec<Option<Timestamp>>,
    /// The latest of each block.
    latest: Vec<Option<Timestamp>>,
}

impl Clock {
    pub(super) fn new(arrivals: Vec<Option<Timestamp>>) -> Self {
        let latest = arrivals.chunks(BLOCK_ROWS).map(|block| block.iter().copied().max().flatten()).collect();
        Clock { arrivals, latest }
    }

    /// All rows.
    pub(super) fn rows(&self) -> usize {
        self.arrivals.len()
    }

    /// The latest arrival; `None` without any.
    pub(super) fn latest(&self) -> Option<Timestamp> {
        self.latest.iter().copied().max().flatten()
    }

    /// The first of `rows` that arrived at `from` or later, and when that was.
    pub(super) fn first(&self, rows: Range<usize>, from: Timestamp) -> Option<(usize, Timestamp)> {
        let mut row = rows.start;
        while row < rows.end {
            let block = row / BLOCK_ROWS;
            let end = rows.end.min((block + 1) * BLOCK_ROWS);
            if self.latest[block] >= Some(from) {
                let found = self.arrivals[row..end].iter().position(|arrival| *arrival >= Some(from));
                if let Some((row, Some(arrival))) =
                    found.map(|found| (row + found, self.arrivals[row + found]))
                {
                    return Some((row, arrival));
                }
            }
            row = end;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_found_is_what_looking_at_each_finds(
            arrivals in prop::collection::vec(prop::option::of(0..1_000_i64), 0..300),
            (a, b) in (0..300_usize, 0..300_usize),
            from in 0..1_100_i64,
        ) {
            let time = |ms| Timestamp::from_ms(ms).expect("in range");
            let arrivals: Vec<_> = arrivals.into_iter().map(|ms| ms.map(time)).collect();
            let rows = a.min(b).min(arrivals.len())..a.max(b).min(arrivals.len());
            let each = rows.clone().find(|row| arrivals[*row] >= Some(time(from)));
            let clock = Clock::new(arrivals.clone());
            prop_assert_eq!(clock.first(rows, time(from)).map(|(row, _)| row), each);
            prop_assert_eq!(clock.latest(), arrivals.into_iter().max().flatten());
        }
    }
}
