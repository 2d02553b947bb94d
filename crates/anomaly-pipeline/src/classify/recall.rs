//! What is known of a chunk's readings from the times they came before.

use std::collections::BTreeMap;

use anomaly_core::position::{Place, Position, Runs};
use anomaly_core::seen::Order;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::ChunkV1;

use crate::fault::Fault;
use crate::ports::Journal;
use crate::rejects::AGAIN;

/// The most runs in a note: a row of some 30 KB.
const NOTE_RUNS_MAX: usize = 1_000;

/// A chunk's readings beside the journal.
pub(super) struct Recall<'j, J> {
    journal: &'j J,
    order: Order,
    strand: String,
    /// The readings' places in order, with their minutes of arrival.
    places: Vec<(Place, i64)>,
    /// What the journal says; `None` until it is asked.
    known: Option<Runs>,
}

impl<'j, J: Journal> Recall<'j, J> {
    /// The readings of `chunk`, of a source that promises `order`; rejects that come again are some of many.
    pub(super) fn new(journal: &'j J, order: Order, chunk: &ChunkV1) -> Self {
        let order = if chunk.partition.starts_with(AGAIN) { Order::None } else { order };
        let mut places: Vec<(Place, i64)> = chunk
            .rows
            .iter()
            .map(|row| {
                let place = Place { sequence: row.sequence.clone(), sub: row.sub };
                (place, row.arrived_ms.as_ms().div_euclid(60_000))
            })
            .collect();
        places.sort_unstable();
        Recall { journal, order, strand: chunk.strand(), places, known: None }
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

    /// Whether the journal has the reading at `position`, as far as it was asked.
    pub(super) fn knows(&self, position: &Position) -> bool {
        self.has(&position.place())
    }

    fn has(&self, place: &Place) -> bool {
        self.known.as_ref().is_some_and(|known| known.cover(place))
    }

    /// Notes the readings that the journal did not have: all of them are judged by now.
    pub(super) async fn note(&self, now: Timestamp) -> Result<(), Fault> {
        for (strand, places) in self.strands() {
            let (runs, lot) = match self.order {
                // One by one, so that notes go on not to overlap.
                Order::Kept => (self.runs(&places), 1),
                Order::None => (self.each(&places), NOTE_RUNS_MAX),
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

    /// What is read and written in order. Where the source keeps no order notes overlap, and all those of a minute
    /// of arrivals are looked through.
    fn strands(&self) -> Vec<(String, Vec<&Place>)> {
        if self.order == Order::Kept {
            return vec![(self.strand.clone(), self.places.iter().map(|(place, _)| place).collect())];
        }
        let mut minutes: BTreeMap<i64, Vec<&Place>> = BTreeMap::new();
        for (place, minute) in &self.places {
            minutes.entry(*minute).or_default().push(place);
        }
        minutes.into_iter().map(|(minute, places)| (format!("{}@{minute}", self.strand), places)).collect()
    }
}
