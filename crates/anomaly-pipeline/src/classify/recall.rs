//! What is known of a chunk's readings from the times they came before.

use std::collections::{BTreeMap, BTreeSet};

use anomaly_core::position::{Place, Position, Runs};
use anomaly_core::reading::SeriesId;
use anomaly_core::seen::{NotedIn, Order, Seen, Written};
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{ChunkV1, strand};
use smol_str::SmolStr;

use crate::fault::Fault;
use crate::ports::Journal;
use crate::rejects::AGAIN;

/// The most runs in a note: a row of some 30 KB.
const NOTE_RUNS_MAX: usize = 1_000;

/// A chunk's readings beside the journal.
pub(super) struct Recall<'j, J> {
    journal: &'j J,
    /// What the source promises, and what is promised of the chunk's readings.
    promised: Order,
    order: Order,
    group: Option<String>,
    partition: SmolStr,
    /// The readings' places in order, with their minutes of arrival.
    places: Vec<(Place, i64)>,
    /// What the journal says; `None` until it is asked.
    known: Option<Runs>,
    /// What it says of the readings of one series alone.
    known_aside: Runs,
    /// Notes that were looked up, by strand and last place.
    notes: BTreeMap<(String, Place), Runs>,
}

impl<'j, J: Journal> Recall<'j, J> {
    /// The readings of `chunk`, of a source that promises `order`; rejects that come again are some of many.
    pub(super) fn new(journal: &'j J, order: Order, chunk: &ChunkV1) -> Self {
        let mut places: Vec<(Place, i64)> = chunk
            .rows
            .iter()
            .map(|row| {
                let place = Place { sequence: row.sequence.clone(), sub: row.sub };
                (place, row.arrived_ms.as_ms().div_euclid(60_000))
            })
            .collect();
        places.sort_unstable();
        Recall {
            journal,
            promised: order,
            order: order_of(order, &chunk.partition),
            group: chunk.group.clone(),
            partition: chunk.partition.clone(),
            places,
            known: None,
            known_aside: Runs::default(),
            notes: BTreeMap::new(),
        }
    }

    /// What is promised of the chunk's readings.
    pub(super) fn order(&self) -> Order {
        self.order
    }

    /// Asks the journal; anew, if it was asked before.
    pub(super) async fn ask(&mut self) -> Result<(), Fault> {
        let mut known = Runs::default();
        for (strand, places) in self.strands() {
            let Some(first) = places.first() else { continue };
            // Notes of a strand whose order is kept do not overlap: what begins behind the last is of no concern.
            let last = places.last().filter(|_| self.order == Order::Kept);
            known.extend(self.journal.find(&strand, first, last.copied()).await?);
        }
        self.known = Some(known);
        Ok(())
    }

    /// Asks the journal what it has of `series` alone, from the reading at `first` on; nothing, if that is none.
    pub(super) async fn ask_aside(
        &mut self,
        series: &SeriesId,
        first: Option<&Position>,
    ) -> Result<(), Fault> {
        self.known_aside = match first {
            Some(first) => self.journal.find(&aside(series, &self.partition), &first.place(), None).await?,
            None => Runs::default(),
        };
        Ok(())
    }

    /// Whether the journal has the reading at `position`, of the series that was asked for last, as far as it
    /// was asked.
    pub(super) fn knows(&self, position: &Position) -> bool {
        let place = position.place();
        self.has(&place) || self.known_aside.cover(&place)
    }

    /// Looks up the notes of what was written last, of all of `seen` at once.
    pub(super) async fn look_up<'s>(&mut self, seen: impl Iterator<Item = &'s Seen>) -> Result<(), Fault> {
        let written = seen.filter_map(|seen| self.written(seen));
        let names: BTreeSet<_> = written.filter_map(|written| self.note_of(&written)).collect();
        let names: Vec<_> = names.into_iter().filter(|name| !self.notes.contains_key(name)).collect();
        if !names.is_empty() {
            let found = self.journal.get(&names).await?;
            self.notes.extend(names.into_iter().zip(found));
        }
        Ok(())
    }

    /// Sees to it that the journal has what was written last of `series`, of which `seen` is what was seen: it is
    /// about to be forgotten. Its chunk's note is missing if that was given up before it was made; then it is
    /// noted for the series alone, of which alone it is known.
    pub(super) async fn secure(
        &mut self,
        series: &SeriesId,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<(), Fault> {
        self.look_up(std::iter::once(seen)).await?;
        let Some(written) = self.written(seen) else { return Ok(()) };
        let note = self.note_of(&written).and_then(|name| self.notes.get(&name));
        if note.is_some_and(|note| note.cover_all(&written.runs)) {
            return Ok(());
        }
        for lot in written.runs.lots(NOTE_RUNS_MAX) {
            self.journal.note(&aside(series, written.partition), &lot, now).await?;
        }
        Ok(())
    }

    fn written<'s>(&self, seen: &'s Seen) -> Option<Written<'s>> {
        let partition = &seen.newest()?.partition;
        seen.last_write(order_of(self.promised, partition))
    }

    /// The strand and the last place of the note that has `written`, if a chunk of this group wrote it.
    fn note_of(&self, written: &Written<'_>) -> Option<(String, Place)> {
        let NotedIn { minute, last } = written.noted_in?;
        Some((self.strand(written.partition, *minute), last.clone()))
    }

    /// Where what is written of the chunk will be noted: the note that is made last.
    pub(super) fn noted_in(&self) -> Option<NotedIn> {
        let last_of = |minute: Option<i64>| {
            let of_minute = self.places.iter().rev().find(|(_, m)| minute.is_none_or(|minute| *m == minute));
            of_minute.map(|(last, _)| NotedIn { minute, last: last.clone() })
        };
        match self.order {
            Order::Kept => last_of(None),
            Order::Gaps | Order::None => last_of(Some(self.places.iter().map(|(_, minute)| *minute).max()?)),
        }
    }

    fn strand(&self, partition: &str, minute: Option<i64>) -> String {
        let strand = strand(self.group.as_deref(), partition);
        match minute {
            Some(minute) => format!("{strand}@{minute}"),
            None => strand,
        }
    }

    /// Whether the journal has the reading at `place` among those of the chunk's strand.
    pub(super) fn has(&self, place: &Place) -> bool {
        self.known.as_ref().is_some_and(|known| known.cover(place))
    }

    /// Notes the readings that the journal did not have: all of them are judged by now.
    pub(super) async fn note(&self, now: Timestamp) -> Result<(), Fault> {
        for (strand, places) in self.strands() {
            let (runs, lot) = match self.order {
                // One by one, so that notes go on not to overlap.
                Order::Kept => (self.runs(&places), 1),
                Order::Gaps | Order::None => (self.each(&places), NOTE_RUNS_MAX),
            };
            for lot in runs.lots(lot) {
                self.journal.note(&strand, &lot, now).await?;
            }
        }
        Ok(())
    }

    /// The runs of neighbours that the journal did not have: nothing of the strand is missing between them.
    fn runs(&self, places: &[&Place]) -> Runs {
        let mut runs = Runs::default();
        for run in places.chunk_by(|a, b| self.has(a) == self.has(b)).filter(|run| !self.has(run[0])) {
            runs.push(run[0].clone(), run[run.len() - 1].clone());
        }
        runs
    }

    /// The places that the journal did not have, each by itself.
    fn each(&self, places: &[&Place]) -> Runs {
        let mut runs = Runs::default();
        for place in places.iter().filter(|place| !self.has(place)) {
            runs.push((*place).clone(), (*place).clone());
        }
        runs
    }

    /// What is read and written in order. Where others may lie between readings that come together notes overlap, and all those of a minute
    /// of arrivals are looked through.
    fn strands(&self) -> Vec<(String, Vec<&Place>)> {
        if self.order == Order::Kept {
            let strand = self.strand(&self.partition, None);
            return vec![(strand, self.places.iter().map(|(place, _)| place).collect())];
        }
        let mut minutes: BTreeMap<i64, Vec<&Place>> = BTreeMap::new();
        for (place, minute) in &self.places {
            minutes.entry(*minute).or_default().push(place);
        }
        let of_minute = |(minute, places)| (self.strand(&self.partition, Some(minute)), places);
        minutes.into_iter().map(of_minute).collect()
    }
}

/// What is promised of `partition` of a source that promises `order`: rejects that come again are some of many.
fn order_of(order: Order, partition: &str) -> Order {
    if partition.starts_with(AGAIN) { Order::None } else { order }
}

/// The strand of what is known of one series alone.
fn aside(series: &SeriesId, partition: &str) -> String {
    format!("series {series} of {partition}")
}
