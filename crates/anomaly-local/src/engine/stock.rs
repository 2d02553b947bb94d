//! The series in one thread's hands: those at hand in memory, and a card of each of the others, which are where they were
//! saved or will be with the next save.
//!
//! A series is put by when memory has no room for it, and fetched again when something is to be done with it: what comes
//! of its readings does not depend on where it was meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use anomaly_core::classify::SeriesState;
use anomaly_core::reading::SeriesId;

use super::series::Series;
use super::{Learner, Scoring};
use crate::store::run::{self, SeriesRow};
use crate::store::states::Encoded;
use crate::store::{Draft, StoreError};

/// What a series takes beside its detector: its state with the last readings, and its names. An estimate.
const SERIES_BYTES: usize = 8 << 10;
/// Of the memory there is for series, so much is free after some were put by: an eighth, so that it is not done for
/// each row.
const FREE_SHARE: usize = 8;
/// Of so many series at a time the bytes are made before they are written: made by one thread while another one writes.
const WRITTEN_AT_ONCE: usize = 16;

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

/// The series in one thread's hands.
#[derive(Debug)]
pub(super) struct Stock {
    here: HashMap<SeriesId, Here>,
    away: HashMap<SeriesId, Card>,
    draft: Option<Arc<Draft>>,
    room_bytes: usize,
    uses: u64,
    bytes: usize,
    has_put_by: bool,
}

impl Stock {
    /// Without any series, and room for so many bytes of them.
    pub(super) fn new(room_bytes: usize) -> Self {
        let (here, away) = (HashMap::new(), HashMap::new());
        Stock { here, away, draft: None, room_bytes, uses: 0, bytes: 0, has_put_by: false }
    }

    /// Puts series by in `draft` from now on.
    pub(super) fn open(&mut self, draft: Arc<Draft>) {
        self.draft = Some(draft);
    }

    /// Has the series `name`, which is not at hand, as `state`.
    pub(super) fn add(&mut self, name: SeriesId, state: &SeriesState) {
        self.away.insert(name, Card::of(state));
    }

    /// How many alerts are firing.
    pub(super) fn firing(&self) -> usize {
        let away: usize = self.away.values().map(|card| card.firing).sum();
        away + self.here.values().map(|here| Card::of(&here.series.state).firing).sum::<usize>()
    }

    /// The series `name`, fetched if need be, to be changed; `None` if there is no such one.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub(super) fn get_mut(
        &mut self,
        name: &SeriesId,
        scoring: &Scoring,
    ) -> Result<Option<&mut Series>, StoreError> {
        if let (Some(draft), true) = (&self.draft, self.away.contains_key(name)) {
            let series = fetch(draft, name, scoring)?;
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
    pub(super) fn insert(&mut self, name: SeriesId, series: Series) {
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
    pub(super) fn holding(&self, only: Option<&SeriesId>) -> Vec<SeriesId> {
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
    pub(super) fn each_state(
        &self,
        mut look: impl FnMut(&SeriesId, &[String], &SeriesState),
    ) -> Result<(), StoreError> {
        for (name, here) in &self.here {
            look(name, &here.series.features, &here.series.state);
        }
        let Some(draft) = self.draft.as_ref().filter(|_| !self.away.is_empty()) else { return Ok(()) };
        draft.each_state(|name, features, state| {
            if self.away.contains_key(&name) {
                look(&name, &features, &state);
            }
        })
    }

    /// Writes the series that may differ from what was written of them to `draft`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be written.
    pub(super) fn write_changed(&mut self, draft: &Draft, scoring: &Scoring) -> Result<(), StoreError> {
        let changed = self.here.iter().filter(|(_, here)| here.changed);
        let mut changed: Vec<(&SeriesId, &Series)> =
            changed.map(|(name, here)| (name, &here.series)).collect();
        // In the order in which they are stored.
        changed.sort_unstable_by_key(|(name, _)| *name);
        write(draft, scoring, &changed)?;
        self.here.values_mut().for_each(|here| here.changed = false);
        Ok(())
    }

    /// Whether memory had no room for some of the series.
    pub(super) fn has_put_by(&self) -> bool {
        self.has_put_by
    }

    /// Puts by what was not used for longest, until what is at hand takes clearly less than there is room for; does
    /// nothing before it takes more, and where there is nowhere to put it.
    ///
    /// # Errors
    /// [`StoreError`] if a series cannot be written.
    pub(super) fn make_room(&mut self, scoring: &Scoring) -> Result<(), StoreError> {
        let Some(draft) = self.draft.as_ref().filter(|_| self.bytes > self.room_bytes) else { return Ok(()) };
        self.has_put_by = true;
        let target = self.room_bytes - self.room_bytes / FREE_SHARE;
        let mut by_use: Vec<(u64, SeriesId)> =
            self.here.iter().map(|(name, here)| (here.used, name.clone())).collect();
        by_use.sort_unstable();
        let mut gone = Vec::new();
        for (_, name) in by_use {
            if self.bytes <= target {
                break;
            }
            if let Some(here) = self.here.remove(&name) {
                self.bytes -= here.bytes;
                self.away.insert(name.clone(), Card::of(&here.series.state));
                gone.extend(here.changed.then_some((name, here.series)));
            }
        }
        let gone: Vec<(&SeriesId, &Series)> = gone.iter().map(|(name, series)| (name, series)).collect();
        write(draft, scoring, &gone)
    }
}

fn write(draft: &Draft, scoring: &Scoring, series: &[(&SeriesId, &Series)]) -> Result<(), StoreError> {
    for some in series.chunks(WRITTEN_AT_ONCE) {
        let some: Vec<_> = some.iter().map(|(name, series)| (*name, row(series, scoring))).collect();
        draft.write(|transaction| {
            let mut run = run::Run::open(transaction)?;
            some.iter().try_for_each(|(name, row)| run.series(name, row))
        })?;
    }
    Ok(())
}

fn row<'s>(series: &'s Series, scoring: &Scoring) -> run::Series<'s> {
    run::Series {
        last_at: series.last_at,
        features: &series.features,
        detector: series.detector.as_ref().map(Learner::save),
        state: Encoded::of(&series.state),
        window: matches!(scoring, Scoring::Frozen(_)).then(|| series.window.encode()),
    }
}

fn fetch(draft: &Draft, name: &SeriesId, scoring: &Scoring) -> Result<Series, StoreError> {
    let row = draft.series(name)?;
    let series = row.map(|row| restore(row, scoring));
    let missing = || Err("it is not there any more".to_owned());
    let damaged = |error| StoreError::damaged(draft.store().path(), format!("series {name}: {error}"));
    series.unwrap_or_else(missing).map_err(damaged)
}

fn restore(row: SeriesRow, scoring: &Scoring) -> Result<Series, String> {
    let SeriesRow { features, detector, state, window, last_at, .. } = row;
    let detector = Learner::load(scoring, detector.as_deref());
    let detector =
        detector.map_err(|error| error.map_or_else(|| "no detector".to_owned(), |e| e.to_string()))?;
    Ok(Series { features, detector, window, state, last_at })
}
