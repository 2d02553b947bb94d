//! All series of a run: those at hand in memory, and a card of each of the others, which are where they were saved.
//!
//! A series may be put by once it is saved as it is, and is fetched again when something is to be done with it: what
//! comes of its readings does not depend on where it was meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anomaly_core::classify::SeriesState;
use anomaly_core::reading::SeriesId;

use super::{Learner, Scoring, Series};
use crate::store::run::{self, SeriesRow};
use crate::store::{Store, StoreError, Trouble};

/// What a series takes beside its detector: its state with the last readings, and its names. An estimate.
const SERIES_BYTES: usize = 8 << 10;
/// Of the memory there is for series, so much is free after some were put by: an eighth, so that it is not done for
/// each row.
const FREE_SHARE: usize = 8;

/// What is known of a series that is not at hand.
#[derive(Clone, Copy, Debug)]
struct Card {
    /// Whether readings of it wait.
    holds: bool,
    /// How many alerts of it are firing.
    firing: usize,
}

impl Card {
    fn of(state: &SeriesState) -> Self {
        let firing = state.watches().filter(|(_, watch)| watch.open().is_some()).count();
        Card { holds: state.hold().is_some_and(|hold| !hold.is_empty()), firing }
    }
}

/// A series at hand.
#[derive(Debug)]
struct Here {
    series: Series,
    /// Whether it may differ from what was saved of it last.
    changed: bool,
    /// The number of its last use.
    used: u64,
    /// What it takes in memory, in bytes.
    bytes: usize,
}

/// All series of a run.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    here: HashMap<SeriesId, Here>,
    away: HashMap<SeriesId, Card>,
    store: Option<Arc<Store>>,
    uses: u64,
    bytes: usize,
}

impl Stock {
    /// Has all series of `store`, none of them at hand.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub(crate) fn open(&mut self, store: Arc<Store>) -> Result<(), StoreError> {
        store.reading(|transaction| {
            run::each_state(transaction, |name, _, state| {
                self.away.insert(name, Card::of(&state));
                Ok(())
            })
        })?;
        self.store = Some(store);
        Ok(())
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.here.len() + self.away.len()
    }

    /// How many alerts are firing.
    pub(crate) fn firing(&self) -> usize {
        let away: usize = self.away.values().map(|card| card.firing).sum();
        away + self.here.values().map(|here| Card::of(&here.series.state).firing).sum::<usize>()
    }

    /// The series `name`, fetched if need be, to be changed; `None` if there is no such one.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub(crate) fn get_mut(
        &mut self,
        name: &SeriesId,
        scoring: &Scoring,
    ) -> Result<Option<&mut Series>, StoreError> {
        if let (true, Some(store)) = (self.away.contains_key(name), &self.store) {
            let series = fetch(store, name, scoring)?;
            self.away.remove(name);
            self.put(name.clone(), series, false);
        }
        self.uses += 1;
        let used = self.uses;
        Ok(self.here.get_mut(name).map(|here| {
            (here.changed, here.used) = (true, used);
            &mut here.series
        }))
    }

    /// Adds a new series.
    pub(crate) fn insert(&mut self, name: SeriesId, series: Series) {
        self.put(name, series, true);
    }

    fn put(&mut self, name: SeriesId, series: Series, changed: bool) {
        let detector = series.detector.as_ref().map_or(0, |learner| learner.bytes(series.features.len()));
        let bytes = SERIES_BYTES + detector;
        self.bytes += bytes;
        self.uses += 1;
        self.here.insert(name, Here { series, changed, used: self.uses, bytes });
    }

    /// The series of which readings wait, or `only` one of them, by name.
    pub(crate) fn holding(&self, only: Option<&SeriesId>) -> Vec<SeriesId> {
        let away = self.away.iter().filter(|(_, card)| card.holds).map(|(name, _)| name);
        let holds = |here: &Here| Card::of(&here.series.state).holds;
        let here = self.here.iter().filter(|(_, here)| holds(here)).map(|(name, _)| name);
        let of_these = |name: &&SeriesId| only.is_none_or(|only| only == *name);
        let mut names: Vec<SeriesId> = away.chain(here).filter(of_these).cloned().collect();
        names.sort_unstable();
        names
    }

    /// Shows features and state of all series to `look`, in any order; fetches none.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub(crate) fn each_state(
        &self,
        mut look: impl FnMut(&SeriesId, &[String], &SeriesState),
    ) -> Result<(), StoreError> {
        for (name, here) in &self.here {
            look(name, &here.series.features, &here.series.state);
        }
        let Some(store) = self.store.as_ref().filter(|_| !self.away.is_empty()) else { return Ok(()) };
        store.reading(|transaction| {
            run::each_state(transaction, |name, features, state| {
                if self.away.contains_key(&name) {
                    look(&name, &features, &state);
                }
                Ok(())
            })
        })
    }

    /// The series that may differ from what was saved of them, by name: the order in which they are stored.
    pub(crate) fn changed(&self) -> BTreeMap<&SeriesId, &Series> {
        let changed = self.here.iter().filter(|(_, here)| here.changed);
        changed.map(|(name, here)| (name, &here.series)).collect()
    }

    /// Notes that all series are saved as they are.
    pub(crate) fn saved(&mut self) {
        self.here.values_mut().for_each(|here| here.changed = false);
    }

    /// Whether those at hand take more than `bytes`, and there is somewhere to put them.
    pub(crate) fn is_over(&self, bytes: usize) -> bool {
        self.store.is_some() && self.bytes > bytes
    }

    /// Puts by what is saved and was not used for longest, until what is at hand takes clearly less than `bytes`.
    pub(crate) fn put_by(&mut self, bytes: usize) {
        if !self.is_over(bytes) {
            return;
        }
        let target = bytes - bytes / FREE_SHARE;
        let saved = self.here.iter().filter(|(_, here)| !here.changed);
        let mut saved: Vec<(u64, SeriesId)> = saved.map(|(name, here)| (here.used, name.clone())).collect();
        saved.sort_unstable();
        for (_, name) in saved {
            if self.bytes <= target {
                break;
            }
            if let Some(here) = self.here.remove(&name) {
                self.bytes -= here.bytes;
                self.away.insert(name, Card::of(&here.series.state));
            }
        }
    }
}

fn fetch(store: &Store, name: &SeriesId, scoring: &Scoring) -> Result<Series, StoreError> {
    store.reading(|transaction| {
        let row = run::series(transaction, name)?;
        let series = row.map(|row| restore(row, scoring));
        let missing = || Err("it is not there any more".to_owned());
        series.unwrap_or_else(missing).map_err(|error| Trouble::Row(format!("series {name}: {error}")))
    })
}

fn restore(row: SeriesRow, scoring: &Scoring) -> Result<Series, String> {
    let SeriesRow { features, detector, state, window, last_at, .. } = row;
    let detector = Learner::load(scoring, detector.as_deref());
    let detector =
        detector.map_err(|error| error.map_or_else(|| "no detector".to_owned(), |e| e.to_string()))?;
    Ok(Series { features, detector, window, state, last_at })
}
