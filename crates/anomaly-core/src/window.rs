//! The last readings of a series, for models that take several of them as one row (a shingle).
//!
//! A row of `n` readings is their features one reading after the other, the oldest first:
//! `[a₁, b₁, a₂, b₂, …, aₙ, bₙ]` for the features `a` and `b`. The first n − 1 readings of a series have no row.
//!
//! **What a redelivery finds.** Readings are remembered with their places, and a batch leaves behind all that it
//! takes to build its rows again: the n − 1 readings before its first one, and everything from there on. So a
//! batch that begins no earlier than the last one that was taken in gets the same rows to the bit, however it
//! is cut. A source that resumes at its checkpoint does not begin earlier. A reading from before that (a replay
//! of old records) has no row, and is let through without a score; it changes nothing. The same holds for what
//! [`BYTES_MAX`] leaves no room for, and for a series whose readings are spread over several partitions: the
//! later batch of one partition may forget what the other comes to ask for.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::position::Position;
use crate::reading::Reading;

/// About how large a window may become, in bytes: a row of DynamoDB has at most 400 KB. The oldest readings go
/// first; the last n − 1 always stay.
pub const BYTES_MAX: usize = 300_000;

/// The version of the encoding.
const VERSION: u8 = 1;

/// The last readings of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Where the last reading stood.
    newest: Option<Position>,
    /// Oldest first.
    kept: VecDeque<Kept>,
}

/// A reading that is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// A hash of where it stood: that is up to 200 bytes of text.
    place: u64,
    features: Vec<f64>,
}

impl Kept {
    fn bytes(&self) -> usize {
        16 + 8 * self.features.len()
    }
}

impl Window {
    /// Takes in `readings`, which are of this series and in order, and gives the row of `shingle` readings that
    /// ends with each; `None` where too few are remembered.
    pub fn rows(&mut self, readings: &[&Reading], shingle: usize) -> Vec<Option<Vec<f64>>> {
        let indexes = self.take_in(readings);
        let rows = indexes.iter().map(|index| self.row((*index)?, shingle)).collect();
        if let Some(first) = indexes.into_iter().flatten().min() {
            self.forget(first, shingle);
        }
        rows
    }

    /// Where each of `readings` is remembered now; `None` for one that is older than what is.
    fn take_in(&mut self, readings: &[&Reading]) -> Vec<Option<usize>> {
        let known: HashMap<u64, usize> =
            self.kept.iter().enumerate().map(|(index, kept)| (kept.place, index)).collect();
        let index = |reading: &&Reading| {
            let place = place(&reading.position);
            if let Some(index) = known.get(&place) {
                return Some(*index);
            }
            if self.newest.as_ref().is_some_and(|newest| newest.covers(&reading.position)) {
                return None;
            }
            self.newest = Some(reading.position.clone());
            self.kept.push_back(Kept { place, features: reading.features.clone() });
            Some(self.kept.len() - 1)
        };
        readings.iter().map(index).collect()
    }

    /// The row that ends at `index`. Readings of another width, from before the features were changed, make none.
    fn row(&self, index: usize, shingle: usize) -> Option<Vec<f64>> {
        let first = (index + 1).checked_sub(shingle)?;
        let width = self.kept.get(index)?.features.len();
        let mut row = Vec::with_capacity(width * shingle);
        for kept in self.kept.range(first..=index) {
            if kept.features.len() != width {
                return None;
            }
            row.extend_from_slice(&kept.features);
        }
        Some(row)
    }

    /// Forgets what no batch that begins at `first` or later needs, and what there is no room for.
    fn forget(&mut self, first: usize, shingle: usize) {
        let before = shingle.saturating_sub(1);
        self.kept.drain(..first.saturating_sub(before));
        let mut bytes: usize = self.kept.iter().map(Kept::bytes).sum();
        while bytes > BYTES_MAX && self.kept.len() > before {
            bytes -= self.kept.pop_front().map_or(0, |kept| kept.bytes());
        }
    }

    /// The window as bytes: a version, then postcard.
    pub fn encode(&self) -> Vec<u8> {
        // Postcard into memory fails only for sequences of unknown length, of which the window has none.
        postcard::to_extend(self, vec![VERSION]).unwrap_or_default()
    }

    /// The window that [`Window::encode`] wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => match postcard::take_from_bytes(rest) {
                Ok((window, [])) => Some(window),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The first 64 bits of a hash: among the some thousand readings of a window, no two are ever alike by chance.
fn place(position: &Position) -> u64 {
    let mut hash = Sha256::new();
    for part in [position.partition.as_bytes(), position.sequence.as_str().as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(position.sub.to_le_bytes());
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |place, byte| place << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Sequence;
    use crate::reading::SeriesId;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn reading(i: u64) -> Reading {
        let at = Timestamp::from_ms(i as i64).expect("in range");
        let position = Position { partition: "p".into(), sequence: Sequence::from(i), sub: 0, arrived: at };
        let series = SeriesId::new("s").expect("a name");
        Reading { series, at, features: vec![i as f64, -(i as f64)], filled: Vec::new(), position }
    }

    fn rows(window: &mut Window, range: std::ops::Range<u64>, shingle: usize) -> Vec<Option<Vec<f64>>> {
        let readings: Vec<Reading> = range.map(reading).collect();
        window.rows(&readings.iter().collect::<Vec<_>>(), shingle)
    }

    #[test]
    fn the_oldest_first_features_side_by_side() {
        let mut window = Window::default();
        assert_eq!(rows(&mut window, 1..3, 3), [None, None]);
        assert_eq!(rows(&mut window, 3..4, 3), [Some(vec![1.0, -1.0, 2.0, -2.0, 3.0, -3.0])]);
        assert_eq!(rows(&mut Window::default(), 7..9, 1), [Some(vec![7.0, -7.0]), Some(vec![8.0, -8.0])]);
    }

    #[test]
    fn what_is_older_than_the_window_has_no_row_and_changes_nothing() {
        let mut window = Window::default();
        rows(&mut window, 10..20, 3);
        rows(&mut window, 20..25, 3);
        let before = window.clone();
        assert_eq!(rows(&mut window, 12..14, 3), [None, None]);
        assert_eq!(window, before);
    }

    #[test]
    fn readings_of_another_width_make_no_row() {
        let mut window = Window::default();
        rows(&mut window, 0..5, 2);
        let wider = |i| Reading { features: vec![0.0; 3], ..reading(i) };
        let (one, two) = (wider(5), wider(6));
        assert_eq!(window.rows(&[&one, &two], 2), [None, Some(vec![0.0; 6])]);
    }

    #[test]
    fn a_window_never_outgrows_its_row() {
        let mut window = Window::default();
        rows(&mut window, 0..40_000, 3);
        assert!(window.encode().len() < 400_000, "{}", window.encode().len());
        let row = rows(&mut window, 39_999..40_001, 3).pop().flatten().expect("the last are still there");
        assert_eq!(row, [39_998.0, -39_998.0, 39_999.0, -39_999.0, 40_000.0, -40_000.0]);
    }

    #[test]
    fn other_bytes_are_no_window() {
        assert_eq!(Window::decode(&[]), None);
        assert_eq!(Window::decode(&[9, 0, 0]), None);
        let mut bytes = Window::default().encode();
        bytes.push(0);
        assert_eq!(Window::decode(&bytes), None);
    }

    proptest! {
        /// A source checkpoints, and delivers from there as often and in as large batches as it likes.
        #[test]
        fn a_redelivered_batch_has_the_same_rows(
            shingle in 1usize..6,
            deliveries in proptest::collection::vec((0..8u64, 1..12u64, any::<bool>()), 1..40),
        ) {
            let mut window = Window::default();
            let mut first_time: Vec<Option<Vec<f64>>> = Vec::new();
            let mut checkpoint = 0;
            for (settled, length, stored) in deliveries {
                let end = checkpoint + length;
                let mut taken = window.clone();
                for (place, row) in (checkpoint..end).zip(rows(&mut taken, checkpoint..end, shingle)) {
                    match first_time.get(place as usize) {
                        Some(first) => prop_assert_eq!(first, &row, "reading {}", place),
                        None => first_time.push(row),
                    }
                }
                // The process may die before the window is stored; then nothing is settled.
                if stored {
                    window = Window::decode(&taken.encode()).expect("its own bytes");
                    checkpoint = (checkpoint + settled).min(end);
                }
            }
            for (place, row) in first_time.iter().enumerate() {
                prop_assert_eq!(row.is_some(), place + 1 >= shingle);
            }
        }

        #[test]
        fn any_bytes_are_a_window_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Window::decode(&bytes);
        }
    }
}
