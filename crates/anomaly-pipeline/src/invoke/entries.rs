//! Decoded entries and the outcomes of their rows, put together as what `classify` is told.

use std::sync::Arc;

use anomaly_core::calibration::ID_MARK;
use anomaly_core::reading::{Reading, Scored};
use anomaly_core::records::Decoded;
use anomaly_core::rejects::{self, Versions};
use anomaly_core::wire::{Entry, RejectV1, RowV1};

use super::split::Outcome;

/// Entries that belong into chunks of one model, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lot {
    /// What gave the scores.
    pub(super) model: String,
    pub(super) entries: Vec<Entry>,
}

/// The entries up to the first reading of which nothing is known, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lots {
    pub(super) lots: Vec<Lot>,
    /// The readings that the model refused, or could not be given: which entry, and the reject it became.
    pub(super) refused: Vec<(usize, Box<RejectV1>)>,
}

/// Puts `decoded` together with `outcomes`, one for each reading that `has_row`, in order. `model` is whom the
/// rows were given to; one of its variants that answered is `model/variant`, an artifact `model/variant@id`. Readings
/// without an outcome are left to the model `rest`, which scores them later; without one they end the list. Rejects
/// say that they are `by` these.
pub(super) fn lots(
    decoded: &[Decoded],
    model: &str,
    by: Option<Versions>,
    has_row: impl Fn(usize) -> bool,
    outcomes: Vec<Outcome>,
    rest: Option<&str>,
) -> Lots {
    let stamped = |reject: RejectV1| match by {
        Some(by) => Box::new(by.stamp(reject)),
        None => Box::new(reject),
    };
    let mut outcomes = outcomes.into_iter();
    let mut put = Lots::default();
    let mut readings = 0..;
    for (index, entry) in decoded.iter().enumerate() {
        let reading = match entry {
            Decoded::Rejected(reject) => {
                put.push(None, model, Entry::Reject(stamped((**reject).clone())));
                continue;
            }
            Decoded::Reading(reading) => reading,
        };
        // Unbounded, so there is always a next.
        if !readings.next().is_some_and(&has_row) {
            put.push(None, model, row(reading, None));
            continue;
        }
        match outcomes.next() {
            Some(Outcome::Scored(score, variant)) => {
                put.push(Some(named(model, variant)), model, row(reading, Some(score)));
            }
            Some(Outcome::Refused(said)) => {
                let reject = stamped(RejectV1::refused(&said, reading));
                put.refused.push((index, reject.clone()));
                put.push(None, model, Entry::Reject(reject));
            }
            None => match rest {
                Some(rest) => put.push(Some(rest.to_owned()), model, row(reading, None)),
                None => break,
            },
        }
    }
    put
}

fn row(reading: &Reading, score: Option<f64>) -> Entry {
    Entry::Row(RowV1::new(&Scored { reading: reading.clone(), score }))
}

fn named(model: &str, variant: Option<Arc<str>>) -> String {
    match variant {
        None => model.to_owned(),
        Some(id) if id.starts_with(ID_MARK) => format!("{model}{id}"),
        Some(variant) => format!("{model}/{variant}"),
    }
}

impl Lots {
    /// Adds, behind the last of `decoded`, what share of them is rejects.
    pub(super) fn add_share(&mut self, decoded: &[Decoded]) {
        let (Some(last), Some(lot)) = (decoded.last(), self.lots.last_mut()) else { return };
        let rejected = decoded.iter().filter(|entry| matches!(entry, Decoded::Rejected(_))).count();
        let last = match last {
            Decoded::Reading(reading) => reading.position.clone(),
            Decoded::Rejected(reject) => reject.position(),
        };
        let share = rejects::share(rejected + self.refused.len(), decoded.len(), last);
        lot.entries.push(Entry::Row(RowV1::new(&share)));
    }

    /// Counts `unknown` among the refused; they are in the lots already, if those reach so far.
    pub(super) fn refuse(&mut self, unknown: Vec<(usize, Box<RejectV1>)>) {
        self.refused.extend(unknown);
        self.refused.sort_by_key(|(index, _)| *index);
    }

    /// Adds an entry scored by `scored_by`; what nobody scored goes wherever its neighbours go.
    fn push(&mut self, scored_by: Option<String>, model: &str, entry: Entry) {
        let scores =
            |lot: &Lot| lot.entries.iter().any(|e| matches!(e, Entry::Row(row) if row.score.is_some()));
        match (self.lots.last_mut(), scored_by) {
            (Some(lot), None) => lot.entries.push(entry),
            (Some(lot), Some(by)) if lot.model == by => lot.entries.push(entry),
            (Some(lot), Some(by)) if !scores(lot) => {
                lot.model = by;
                lot.entries.push(entry);
            }
            (_, by) => {
                let model = by.unwrap_or_else(|| model.to_owned());
                self.lots.push(Lot { model, entries: vec![entry] });
            }
        }
    }
}
