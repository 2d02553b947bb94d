//! Which series there are, in the order in which they came, and in whose hands each is.

use std::collections::HashMap;

use anomaly_core::reading::SeriesId;

use super::SERIES_MAX;

/// All series of a run, by name.
#[derive(Debug)]
pub(super) struct Roster {
    hands: usize,
    series: HashMap<SeriesId, Entry>,
    /// The names of features that series have; mostly all have the same.
    features: Vec<Vec<String>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hand: usize,
    features: usize,
    /// The last lot that has a reading of it, and where those stand in it.
    lot: u64,
    group: usize,
}

/// Where the next reading of a series goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Into a group that its lot has.
    Group { hand: usize, group: usize },
    /// Into a new group, as [`Roster::grouped`] is told; `begins` says that the series is new, and how many others there
    /// are.
    New { hand: usize, begins: Option<usize> },
    /// Nowhere: the run has as many series as it may.
    TooMany,
    /// Nowhere: the series has other features, of that number.
    Unlike(usize),
}

impl Roster {
    /// Without any series, for so many hands.
    pub(super) fn new(hands: usize) -> Self {
        Roster { hands, series: HashMap::new(), features: Vec::new() }
    }

    /// How many series there are.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// The number by which features of these names are known here.
    pub(super) fn features(&mut self, names: &[String]) -> usize {
        let known = self.features.iter().position(|known| known == names);
        known.unwrap_or_else(|| {
            self.features.push(names.to_vec());
            self.features.len() - 1
        })
    }

    /// The names of the features of that number.
    pub(super) fn feature_names(&self, features: usize) -> &[String] {
        &self.features[features]
    }

    /// Adds a series. Gives back in whose hands it is: they take turns, so that all have as many.
    pub(super) fn add(&mut self, name: SeriesId, features: usize) -> usize {
        let hand = self.series.len() % self.hands;
        self.series.insert(name, Entry { hand, features, lot: 0, group: 0 });
        hand
    }

    /// In whose hands the series is; `None` if there is no such one.
    pub(super) fn hand(&self, name: &SeriesId) -> Option<usize> {
        self.series.get(name).map(|entry| entry.hand)
    }

    /// Where the next reading of the series `name` goes in that `lot` (from 1), if its features are those of that number.
    pub(super) fn place(&mut self, name: &SeriesId, features: usize, lot: u64) -> Place {
        let there = self.series.len();
        match self.series.get(name) {
            Some(entry) if entry.features != features => Place::Unlike(entry.features),
            Some(entry) if entry.lot == lot => Place::Group { hand: entry.hand, group: entry.group },
            Some(entry) => Place::New { hand: entry.hand, begins: None },
            None if there >= SERIES_MAX => Place::TooMany,
            None => Place::New { hand: self.add(name.clone(), features), begins: Some(there) },
        }
    }

    /// Notes in which group of that `lot` the readings of the series `name` stand.
    pub(super) fn grouped(&mut self, name: &SeriesId, lot: u64, group: usize) {
        if let Some(entry) = self.series.get_mut(name) {
            (entry.lot, entry.group) = (lot, group);
        }
    }
}
