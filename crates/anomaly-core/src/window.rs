//! The last readings of a series, for models that take several of them as one row (a shingle), and for features
//! that take the series' previous value where a model is asked before the series' state is.
//!
//! A row of `n` readings is their features one reading after the other, the oldest first:
//! `[a₁, b₁, a₂, b₂, …, aₙ, bₙ]` for the features `a` and `b`. The first n − 1 readings of a series have no row.
//!
//! **What a redelivery finds.** Readings are remembered with their places, and a batch leaves behind all that it
//! takes to build its rows again: the n − 1 readings before its first one, and everything from there on, with what
//! was filled in. So a batch that begins no earlier than the last one that was taken in gets the same rows to the
//! bit, however it is cut. A source that resumes at its checkpoint does not begin earlier. A reading from before that
//! (a replay of old records) has no row, and is let through without a score; it changes nothing. The same holds for
//! what [`BYTES_MAX`] leaves no room for, and for a series whose readings are spread over several partitions: the
//! later batch of one partition may forget what the other comes to ask for. A row of one reading that was given all
//! its features needs no memory, and is always there.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::position::Position;
use crate::reading::{Filled, Filling, Reading};
use crate::reject::Reject;

/// About how large a window may become, in bytes: a row of DynamoDB has at most 400 KB. The oldest readings go
/// first; the last n − 1 always stay.
pub const BYTES_MAX: usize = 300_000;

/// The version of the encoding.
const VERSION: u8 = 1;

/// What the rows of a model are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Readings a row, 1 or more.
    pub shingle: usize,
    /// Whether a feature may take the series' previous value.
    pub fills: bool,
    /// The features' names, in the readings' order.
    pub features: Vec<String>,
}

impl Plan {
    /// As `config` says, for features of these names.
    pub fn of(config: &Config, features: &[String]) -> Self {
        let (shingle, fills) = (config.model.shingle(), config.input.fills_with_previous());
        Plan { shingle, fills, features: features.to_vec() }
    }

    /// One reading a row, and all that it is made of comes with it.
    pub fn plain() -> Self {
        Plan { shingle: 1, fills: false, features: Vec::new() }
    }

    /// Whether a row takes more than its reading.
    pub fn keeps_windows(&self) -> bool {
        self.shingle > 1 || self.fills
    }

    /// The reject of a reading for want of a value of the feature of `filled`.
    pub fn unknown(&self, filled: Filled) -> Reject {
        let index = filled.feature as usize;
        match self.features.get(index) {
            Some(name) => filled.gap.reject(name),
            None => filled.gap.reject(&format!("feature {}", index + 1)),
        }
    }
}

/// What a reading is to a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Windowed {
    /// It can be given to the model, or could be, were there enough before it.
    Known {
        /// The row that ends with it; `None` where too few readings are remembered.
        row: Option<Vec<f64>>,
        /// The reading with the series' previous values in it ([`Filling::Previous`]), or, where they are not known
        /// any more, without ([`Filling::Unknown`]); `None` for one that wants none.
        filled: Option<Box<Reading>>,
    },
    /// The feature has no value and the series never had one: a model, which needs all, cannot be given the reading.
    Unknown(Filled),
}

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
    /// With previous values filled in; none of a reading that wanted some and found none.
    features: Vec<f64>,
}

impl Kept {
    fn bytes(&self) -> usize {
        16 + 8 * self.features.len()
    }
}

impl Window {
    /// Takes in `readings`, which are of this series and in order, and may have been taken in before: what each is
    /// to a model that takes rows of `shingle` readings.
    pub fn take_in(&mut self, readings: &[&Reading], shingle: usize) -> Vec<Windowed> {
        let known: HashMap<u64, usize> =
            self.kept.iter().enumerate().map(|(index, kept)| (kept.place, index)).collect();
        let index = |reading: &&Reading| {
            let place = place(&reading.position);
            if let Some(index) = known.get(&place) {
                return Some(*index);
            }
            let is_old = self.newest.as_ref().is_some_and(|newest| newest.covers(&reading.position));
            (!is_old).then(|| self.push(place, reading))
        };
        let indexes: Vec<Option<usize>> = readings.iter().map(index).collect();
        let windowed = indexes.iter().zip(readings).map(|(index, reading)| match index {
            Some(index) => self.windowed(*index, reading, shingle),
            None => forgotten(reading, shingle),
        });
        let windowed = windowed.collect();
        if let Some(first) = indexes.into_iter().flatten().min() {
            self.forget(first, shingle);
        }
        windowed
    }

    /// The same for one reading that comes once and in order, wherever it says that it stood.
    pub fn take_in_once(&mut self, reading: &Reading, shingle: usize) -> Windowed {
        let index = self.push(place(&reading.position), reading);
        let windowed = self.windowed(index, reading, shingle);
        self.forget(index, shingle);
        windowed
    }

    /// Remembers a new reading, and gives back where.
    fn push(&mut self, place: u64, reading: &Reading) -> usize {
        self.newest = Some(reading.position.clone());
        let features = self.filled(reading).unwrap_or_default();
        self.kept.push_back(Kept { place, features });
        self.kept.len() - 1
    }

    /// The features of a new reading, with those of the last whole one where it wants them; `None` if that has none.
    fn filled(&self, reading: &Reading) -> Option<Vec<f64>> {
        let mut features = reading.features.clone();
        let mut gaps = gaps(reading).peekable();
        if gaps.peek().is_some() {
            let last = self.kept.iter().rev().find(|kept| kept.features.len() == features.len())?;
            gaps.for_each(|index| features[index] = last.features[index]);
        }
        Some(features)
    }

    /// What the reading remembered at `index` is to the model.
    fn windowed(&self, index: usize, reading: &Reading, shingle: usize) -> Windowed {
        let features = self.kept.get(index).map(|kept| kept.features.as_slice()).unwrap_or_default();
        match reading.takes_previous() {
            Some(gap) if features.is_empty() => return Windowed::Unknown(gap),
            // Remembered from before the features were changed.
            Some(_) if features.len() != reading.features.len() => return forgotten(reading, shingle),
            _ => {}
        }
        let filled = reading.takes_previous().map(|_| {
            let features = features.to_vec();
            Box::new(Reading { features, ..reading.clone() })
        });
        Windowed::Known { row: self.row(index, shingle), filled }
    }

    /// The row that ends at `index`. Readings of another width, from before the features were changed, make none.
    fn row(&self, index: usize, shingle: usize) -> Option<Vec<f64>> {
        let width = self.kept.get(index)?.features.len();
        let mut row = vec![0.0; width * shingle];
        let mut places = row.rchunks_exact_mut(width.max(1));
        let mut whole = self.kept.range(..=index).rev().filter(|kept| !kept.features.is_empty());
        for _ in 0..shingle {
            let kept = whole.next().filter(|kept| kept.features.len() == width)?;
            places.next()?.copy_from_slice(&kept.features);
        }
        Some(row)
    }

    /// Forgets what no batch that begins at `first` or later needs, and what there is no room for.
    fn forget(&mut self, first: usize, shingle: usize) {
        let before = shingle.saturating_sub(1);
        let is_whole = |kept: &Kept| !kept.features.is_empty();
        let whole = (0..first).rev().filter(|index| self.kept.get(*index).is_some_and(is_whole));
        // With fewer before it, all of those stay.
        let needed: Vec<usize> = whole.take(before).collect();
        self.kept.drain(..needed.last().copied().unwrap_or(first));
        let mut bytes: usize = self.kept.iter().map(Kept::bytes).sum();
        // The last one has what the next may have to be filled with.
        while bytes > BYTES_MAX && self.kept.len() > before.max(1) {
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

/// The features of `reading` that want the previous value, by index.
fn gaps(reading: &Reading) -> impl Iterator<Item = usize> {
    let width = reading.features.len();
    let previous = reading.filled.iter().filter(|filled| filled.with == Filling::Previous);
    previous.map(|filled| filled.feature as usize).filter(move |index| *index < width)
}

/// What a reading is that came before all that is remembered.
fn forgotten(reading: &Reading, shingle: usize) -> Windowed {
    if reading.takes_previous().is_none() {
        let row = (shingle == 1).then(|| reading.features.clone());
        return Windowed::Known { row, filled: None };
    }
    let mut filled = Box::new(reading.clone());
    let previous = filled.filled.iter_mut().filter(|filled| filled.with == Filling::Previous);
    previous.for_each(|gap| gap.with = Filling::Unknown);
    Windowed::Known { row: None, filled: Some(filled) }
}

/// The first 64 bits of a hash: among the some thousand readings of a window, no two are ever alike by chance.
fn place(position: &Position) -> u64 {
    let mut hash = Sha256::new();
    for part in [position.partition.as_bytes(), position.sequence.text().as_bytes()] {
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
    use crate::reading::{Gap, SeriesId};
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn reading(i: u64) -> Reading {
        let at = Timestamp::from_ms(i as i64).expect("in range");
        let position = Position { partition: "p".into(), sequence: Sequence::from(i), sub: 0, arrived: at };
        let series = SeriesId::new("s").expect("a name");
        Reading { series, at, features: vec![i as f64, -(i as f64)], filled: Vec::new(), position }
    }

    fn rows(window: &mut Window, range: std::ops::Range<u64>, shingle: usize) -> Vec<Option<Vec<f64>>> {
        rows_of(window, &range.map(reading).collect::<Vec<_>>(), shingle)
    }

    fn rows_of(window: &mut Window, readings: &[Reading], shingle: usize) -> Vec<Option<Vec<f64>>> {
        let windowed = window.take_in(&readings.iter().collect::<Vec<_>>(), shingle);
        let row = |windowed| match windowed {
            Windowed::Known { row, .. } => row,
            Windowed::Unknown(_) => None,
        };
        windowed.into_iter().map(row).collect()
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
        assert_eq!(rows_of(&mut window, &[wider(5), wider(6)], 2), [None, Some(vec![0.0; 6])]);
    }

    /// A reading whose second feature is missing.
    fn gap(i: u64) -> Reading {
        let filled = vec![Filled { feature: 1, gap: Gap::Null, with: Filling::Previous }];
        Reading { features: vec![i as f64, 0.0], filled, ..reading(i) }
    }

    /// The second feature of each reading, `?` where it has none, `!` where the reading is at fault, and its row.
    fn told(window: &mut Window, readings: &[Reading], shingle: usize) -> Vec<String> {
        let windowed = window.take_in(&readings.iter().collect::<Vec<_>>(), shingle);
        let tell = |(windowed, reading): (Windowed, &Reading)| match windowed {
            Windowed::Unknown(_) => "!".to_owned(),
            Windowed::Known { row, filled } => {
                let reading = filled.as_deref().unwrap_or(reading);
                let value = if reading.has(1) { reading.features[1].to_string() } else { "?".to_owned() };
                format!("{value} {:?}", row.unwrap_or_default())
            }
        };
        windowed.into_iter().zip(readings).map(tell).collect()
    }

    #[test]
    fn what_is_missing_takes_the_previous_value_and_takes_it_again() {
        let mut window = Window::default();
        let first = [gap(1), reading(2), gap(3), gap(4)];
        let said = ["!", "-2 [2.0, -2.0]", "-2 [3.0, -2.0]", "-2 [4.0, -2.0]"];
        assert_eq!(told(&mut window, &first, 1), said);
        let mut again = Window::decode(&window.encode()).expect("its own bytes");
        assert_eq!(told(&mut again, &first, 1), said, "the same batch");
        assert_eq!(again, window);
        assert_eq!(told(&mut window, &[gap(4), gap(5)], 1), ["-2 [4.0, -2.0]", "-2 [5.0, -2.0]"], "cut anew");
        assert_eq!(told(&mut window, &[reading(6), gap(7)], 1), ["-6 [6.0, -6.0]", "-6 [7.0, -6.0]"]);
        let old = [gap(1), reading(2)];
        assert_eq!(told(&mut window, &old, 1), ["? []", "-2 [2.0, -2.0]"], "forgotten, and needs no memory");
    }

    #[test]
    fn rows_are_of_whole_readings() {
        let mut window = Window::default();
        let first = [gap(1), gap(2), reading(3), gap(4), reading(5)];
        let said = ["!", "!", "-3 []", "-3 [3.0, -3.0, 4.0, -3.0]", "-5 [4.0, -3.0, 5.0, -5.0]"];
        assert_eq!(told(&mut window, &first, 2), said);
        assert_eq!(told(&mut window, &first, 2), said);
        assert_eq!(told(&mut window, &[gap(6)], 2), ["-5 [5.0, -5.0, 6.0, -5.0]"]);
        assert_eq!(window.kept.len(), 2, "{window:?}");
    }

    #[test]
    fn what_comes_once_needs_no_place_of_its_own() {
        let mut window = Window::default();
        let mut row = |i: u64, value: f64| match window
            .take_in_once(&Reading { features: vec![value], ..reading(i) }, 2)
        {
            Windowed::Known { row, .. } => row,
            Windowed::Unknown(_) => None,
        };
        // A file that was put in another's place is read from its first row again.
        let rows: Vec<_> = [(8, 1.0), (9, 2.0), (1, 3.0), (1, 4.0)].map(|(i, value)| row(i, value)).into();
        assert_eq!(rows, [None, Some(vec![1.0, 2.0]), Some(vec![2.0, 3.0]), Some(vec![3.0, 4.0])]);
        assert_eq!(window.kept.len(), 2);
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
            whole_first in 0..8u64,
            holes in proptest::collection::vec(any::<bool>(), 512),
        ) {
            // Some features are missing, and there may be no value before the first whole reading.
            let reading_or_gap = |i: u64| match i < whole_first || (i > whole_first && holes[i as usize % 512]) {
                true => gap(i),
                false => reading(i),
            };
            let mut window = Window::default();
            let mut first_time: Vec<Windowed> = Vec::new();
            let mut checkpoint = 0;
            for (settled, length, stored) in deliveries {
                let end = checkpoint + length;
                let mut taken = window.clone();
                let batch: Vec<Reading> = (checkpoint..end).map(reading_or_gap).collect();
                let windowed = taken.take_in(&batch.iter().collect::<Vec<_>>(), shingle);
                for (place, windowed) in (checkpoint..end).zip(windowed) {
                    match first_time.get(place as usize) {
                        Some(first) => prop_assert_eq!(first, &windowed, "reading {}", place),
                        None => first_time.push(windowed),
                    }
                }
                // The process may die before the window is stored; then nothing is settled.
                if stored {
                    window = Window::decode(&taken.encode()).expect("its own bytes");
                    checkpoint = (checkpoint + settled).min(end);
                }
            }
            let mut once = Window::default();
            for (place, windowed) in (0..).zip(&first_time) {
                prop_assert_eq!(windowed, &once.take_in_once(&reading_or_gap(place), shingle));
                match windowed {
                    Windowed::Unknown(_) => prop_assert!(place < whole_first),
                    Windowed::Known { row, .. } => {
                        prop_assert_eq!(row.is_some(), place + 1 >= whole_first + shingle as u64)
                    }
                }
            }
        }

        #[test]
        fn any_bytes_are_a_window_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Window::decode(&bytes);
        }
    }
}
