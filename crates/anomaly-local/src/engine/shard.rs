//! Some of the series of a run, in one thread's hands: their readings are judged series by series, a lot at a time, as if
//! they had been judged row by row.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use anomaly_core::alert::{Acknowledgement, Transition};
use anomaly_core::classify::{Policy, SeriesState, silence};
use anomaly_core::config::Config;
use anomaly_core::reading::{Reading, SeriesId};
use anomaly_core::reject::Reject;
use anomaly_core::time::Timestamp;

use super::clock::Clock;
use super::series::{Counts, Ready, Series, Taken, Terms};
use super::{Scoring, Stock};
use crate::store::{Draft, StoreError};

/// Some of the series.
#[derive(Debug)]
pub(super) struct Shard {
    scoring: Arc<Scoring>,
    config: Arc<Config>,
    stock: Stock,
    /// When which series is silent, if nothing comes; `None` until a rule asks for it.
    silent_from: Option<BTreeSet<(Timestamp, SeriesId)>>,
    counts: Counts,
}

/// What a lot has for these series.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) terms: Arc<Terms>,
    /// Where a rule judges silence: also the rows that are of other series.
    pub(super) clock: Option<Arc<Clock>>,
    pub(super) groups: Vec<Group>,
    /// In the order of the rows.
    pub(super) items: Vec<Item>,
}

/// The readings of one series.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) series: SeriesId,
    /// How many other series there are, if this one is new.
    pub(super) begins: Option<usize>,
    /// The places of the first and of the last one among the items.
    pub(super) first: usize,
    pub(super) last: usize,
}

/// A reading of a part.
#[derive(Debug)]
pub(super) struct Item {
    /// Its row in the lot.
    pub(super) row: usize,
    /// Taken out when it is judged.
    pub(super) reading: Option<Reading>,
    /// The place of the series' next one among the items; if it is its own, there is none.
    pub(super) next: usize,
}

impl Part {
    /// Without any reading.
    pub(super) fn new(terms: Arc<Terms>) -> Self {
        Part { terms, clock: None, groups: Vec::new(), items: Vec::new() }
    }

    /// Adds the reading of `row`, the first one of its series. Gives back its group.
    pub(super) fn begin_group(&mut self, row: usize, reading: Reading, begins: Option<usize>) -> usize {
        let place = self.items.len();
        self.groups.push(Group { series: reading.series.clone(), begins, first: place, last: place });
        self.items.push(Item { row, reading: Some(reading), next: place });
        self.groups.len() - 1
    }

    /// Adds the reading of `row` to a group.
    pub(super) fn add(&mut self, row: usize, reading: Reading, group: usize) {
        let place = self.items.len();
        let before = std::mem::replace(&mut self.groups[group].last, place);
        self.items[before].next = place;
        self.items.push(Item { row, reading: Some(reading), next: place });
    }
}

/// What came of a part, by row.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The steps of alerts of series that are silent by then.
    pub(super) silent: Vec<(usize, Transition)>,
    pub(super) taken: Vec<(usize, Result<Taken, Reject>)>,
    /// Whether memory has room for all of these series.
    pub(super) fits: bool,
}

/// What there is to be said of these series when all is done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    /// How many alerts are firing.
    pub(crate) firing: usize,
    pub(crate) counts: Counts,
}

impl Shard {
    /// Without any series, and room for so many bytes of them.
    pub(super) fn new(scoring: Arc<Scoring>, config: Arc<Config>, room_bytes: usize) -> Self {
        let stock = Stock::new(room_bytes);
        Shard { scoring, config, stock, silent_from: None, counts: Counts::default() }
    }

    /// Puts series by in `draft` from now on.
    pub(super) fn open(&mut self, draft: Arc<Draft>) {
        self.stock.open(draft);
    }

    /// Has the series `name`, which is where it was saved, as `state`.
    pub(super) fn add(&mut self, name: SeriesId, state: &SeriesState) {
        self.stock.add(name, state);
    }

    /// Judges readings, and what falls silent while they come.
    ///
    /// # Errors
    /// [`StoreError`] if a series that is not at hand cannot be read, or one cannot be put by.
    pub(super) fn judge(&mut self, part: Part) -> Result<Found, StoreError> {
        let Part { terms, clock, groups, mut items } = part;
        let taken = Vec::with_capacity(items.len());
        let mut found = Found { taken, ..Found::default() };
        if let Some(clock) = &clock {
            self.fall_silent(clock, &groups, &mut found)?;
        }
        for group in groups {
            self.judge_group(&terms, clock.as_deref(), group, &mut items, &mut found)?;
            self.stock.make_room(&self.scoring)?;
        }
        found.fits = !self.stock.has_put_by();
        Ok(found)
    }

    fn judge_group(
        &mut self,
        terms: &Terms,
        clock: Option<&Clock>,
        group: Group,
        items: &mut [Item],
        found: &mut Found,
    ) -> Result<(), StoreError> {
        let Group { series: name, begins, first, .. } = group;
        let Shard { scoring, stock, silent_from, counts, .. } = self;
        if let (Some(there), Some(first)) = (begins, &items[first].reading) {
            stock.insert(name.clone(), Series::begin(scoring, there, terms, first));
        }
        let Some(series) = stock.get_mut(&name, scoring)? else { return Ok(()) };
        let policy = &terms.policy;
        let mut index = silent_from.as_mut().filter(|_| policy.judges_silence());
        let before = index.as_ref().and_then(|_| silence::silent_from(policy, &series.state, &name));
        let (mut judged, mut place) = (0, first);
        while let Some(Item { row, reading, next }) = items.get_mut(place)
            && let Some(reading) = reading.take()
        {
            let row = *row;
            place = *next;
            if let Some(clock) = clock {
                tell_silence(policy, &mut series.state, &name, clock, judged..row + 1, found);
                judged = row + 1;
            }
            found.taken.push((row, series.take_in(scoring, terms, reading, counts)));
        }
        if let Some(clock) = clock {
            tell_silence(policy, &mut series.state, &name, clock, judged..clock.rows(), found);
        }
        if let Some(index) = &mut index {
            before.map(|before| index.remove(&(before, name.clone())));
            let now = silence::silent_from(policy, &series.state, &name);
            index.extend(now.map(|now| (now, name)));
        }
        Ok(())
    }

    /// What falls silent of the series that have no reading in the lot.
    ///
    /// A row's own time tells it and not the newest: a file may hold one series behind the other, and one row with a clock
    /// ahead must not silence all that come after it.
    fn fall_silent(&mut self, clock: &Clock, groups: &[Group], found: &mut Found) -> Result<(), StoreError> {
        let Shard { scoring, config, stock, silent_from, .. } = self;
        let mut index = match silent_from.take() {
            Some(index) => index,
            None => silences(scoring, stock, config)?,
        };
        let due = |(from, _): &&(Timestamp, SeriesId)| Some(*from) <= clock.latest();
        if index.first().is_some_and(|first| due(&first)) {
            let with_readings: HashSet<&SeriesId> = groups.iter().map(|group| &group.series).collect();
            let due = index.iter().take_while(due).filter(|(_, name)| !with_readings.contains(name));
            for (from, name) in due.cloned().collect::<Vec<_>>() {
                let Some(series) = stock.get_mut(&name, scoring)? else { continue };
                let policy = scoring.policy(config, &series.features);
                tell_silence(&policy, &mut series.state, &name, clock, 0..clock.rows(), found);
                let next = silence::silent_from(&policy, &series.state, &name);
                index.remove(&(from, name.clone()));
                index.extend(next.map(|from| (from, name)));
                stock.make_room(scoring)?;
            }
        }
        *silent_from = Some(index);
        Ok(())
    }

    /// Judges all readings that wait, of all series or of `only` one, in the order of the series' names.
    ///
    /// # Errors
    /// As [`Shard::judge`].
    pub(super) fn flush(
        &mut self,
        only: Option<&SeriesId>,
        keeps_findings: bool,
    ) -> Result<Vec<(SeriesId, Timestamp, Ready)>, StoreError> {
        let Shard { scoring, config, stock, .. } = self;
        let mut ready = Vec::new();
        for name in stock.holding(only) {
            let Some(series) = stock.get_mut(&name, scoring)? else { continue };
            let features = series.features.clone();
            let terms = Terms { policy: scoring.policy(config, &features), features, keeps_findings };
            let released = series.state.flush(&name, Timestamp::LAST);
            ready.extend(released.into_iter().map(|released| {
                let at = released.scored.reading.at;
                (name.clone(), at, series.release(scoring, &terms, released))
            }));
            stock.make_room(scoring)?;
        }
        Ok(ready)
    }

    /// Somebody has seen the alert of which `last` is the last step known, at `at`, as `said` says. Gives back that
    /// step; `None` if the alert is not open, or if that is known.
    ///
    /// # Errors
    /// [`StoreError`] if its series is not at hand and cannot be read.
    pub(super) fn acknowledge(
        &mut self,
        last: &Transition,
        said: &Acknowledgement,
        at: Timestamp,
    ) -> Result<Option<Transition>, StoreError> {
        let Some(series) = self.stock.get_mut(&last.series, &self.scoring)? else { return Ok(None) };
        let knows = series.state.watches().any(|(rule, watch)| *rule == last.rule && watch.knows(said));
        Ok(if knows { None } else { series.state.acknowledge(last, said, at) })
    }

    /// Writes the series that may differ from what was written of them to `draft`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be written.
    pub(super) fn write_changed(&mut self, draft: &Draft) -> Result<(), StoreError> {
        self.stock.write_changed(draft, &self.scoring)
    }

    /// What there is to be said in the end.
    pub(super) fn sum(&self) -> Sum {
        Sum { firing: self.stock.firing(), counts: self.counts }
    }

    /// The series `name`, for tests to look at.
    #[cfg(test)]
    pub(super) fn look_at(&mut self, name: &SeriesId) -> String {
        let series = self.stock.get_mut(name, &self.scoring).expect("read").expect("there");
        let learned = series.detector.as_ref().map(super::Learner::save);
        format!("{:?} {:?} {learned:?}", series.features, (&series.state, series.last_at))
    }
}

/// Tells of the silence of a series that no reading of `rows` ends.
fn tell_silence(
    policy: &Policy,
    state: &mut SeriesState,
    name: &SeriesId,
    clock: &Clock,
    mut rows: Range<usize>,
    found: &mut Found,
) {
    while let Some(from) = silence::silent_from(policy, state, name)
        && let Some((row, now)) = clock.first(rows.clone(), from)
    {
        let steps = silence::fall_silent(policy, state, name, now);
        found.silent.extend(steps.into_iter().map(|step| (row, step)));
        rows.start = row;
    }
}

/// When which series is silent, if nothing comes.
fn silences(
    scoring: &Scoring,
    stock: &Stock,
    config: &Config,
) -> Result<BTreeSet<(Timestamp, SeriesId)>, StoreError> {
    let mut index = BTreeSet::new();
    stock.each_state(|name, features, state| {
        let policy = scoring.policy(config, features);
        index.extend(silence::silent_from(&policy, state, name).map(|from| (from, name.clone())));
    })?;
    Ok(index)
}
