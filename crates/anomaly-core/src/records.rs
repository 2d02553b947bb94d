//! Records after decoding: what each held, and how each ends.

use crate::decode::drift::{SAMPLE_EVERY, Shape};
use crate::reading::Reading;
use crate::settle::Fate;
use crate::wire::RejectV1;

/// What a record held: a reading, or something at fault. A record may hold several, or none.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// A reading.
    Reading(Reading),
    /// A record, or one reading of it, at fault.
    Rejected(Box<RejectV1>),
}

/// The records of a partition in order, each with the entries it held, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    entries: Vec<Decoded>,
    /// Where each record's entries end: those of record `i` are `ends[i - 1]..ends[i]`.
    ends: Vec<usize>,
    /// The shapes of some of the readings.
    shapes: Vec<Shape>,
}

impl Records {
    /// Room for `records` of one entry each.
    pub fn with_capacity(records: usize) -> Self {
        Records {
            entries: Vec::with_capacity(records),
            ends: Vec::with_capacity(records),
            shapes: Vec::new(),
        }
    }

    /// Adds an entry to the record that is being decoded.
    pub fn add(&mut self, entry: Decoded) {
        self.entries.push(entry);
    }

    /// The record that is being decoded is complete, with the entries added since the one before it.
    pub fn end_record(&mut self) {
        self.ends.push(self.entries.len());
    }

    /// A record of one entry.
    pub fn push(&mut self, entry: Decoded) {
        self.add(entry);
        self.end_record();
    }

    /// Whether the next entry is one of those whose shape is looked at.
    pub(crate) fn is_sample_due(&self) -> bool {
        self.entries.len().is_multiple_of(SAMPLE_EVERY)
    }

    /// Adds a shape to the sample.
    pub(crate) fn note(&mut self, shape: Shape) {
        self.shapes.push(shape);
    }

    /// The shapes of a sample of the readings, for [`crate::decode::drift::Schema::compare`].
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The entries of all records, in order.
    pub fn entries(&self) -> &[Decoded] {
        &self.entries
    }

    /// The reading at `entry` turned out to be at fault.
    pub fn reject(&mut self, entry: usize, reject: Box<RejectV1>) {
        if let Some(place) = self.entries.get_mut(entry) {
            *place = Decoded::Rejected(reject);
        }
    }

    /// The entries of each record, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[Decoded]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        // The ends rise and the last is the number of entries, so no range is ever out of bounds.
        starts.zip(&self.ends).map(|(start, end)| self.entries.get(start..*end).unwrap_or_default())
    }

    /// Each record's fate, where `handed_on` says of an entry, by its index, whether it was handed on.
    ///
    /// A record is wanted again if one of its entries was not handed on, and rejected if all it held was at
    /// fault. One that held nothing is done.
    pub fn fates(&self, handed_on: impl Fn(usize) -> bool) -> Vec<Fate> {
        let mut first = 0;
        let fate = |entries: &[Decoded]| {
            let range = first..first + entries.len();
            first = range.end;
            let is_reject = |entry: &Decoded| matches!(entry, Decoded::Rejected(_));
            match entries {
                _ if !range.into_iter().all(&handed_on) => Fate::Again,
                [] => Fate::Done,
                entries if entries.iter().all(is_reject) => Fate::Rejected,
                _ => Fate::Done,
            }
        };
        self.iter().map(fate).collect()
    }
}

impl FromIterator<Decoded> for Records {
    /// Records of one entry each.
    fn from_iter<T: IntoIterator<Item = Decoded>>(entries: T) -> Self {
        let entries: Vec<Decoded> = entries.into_iter().collect();
        Records { ends: (1..=entries.len()).collect(), entries, shapes: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{Position, Sequence};
    use crate::reading::SeriesId;
    use crate::reject::Reject;
    use crate::time::Timestamp;

    fn position(sub: u32) -> Position {
        let arrived = Timestamp::default();
        Position { partition: "p".into(), sequence: Sequence::from(1), sub, arrived }
    }

    fn reading(sub: u32) -> Decoded {
        let series = SeriesId::new("s").expect("a name");
        let at = Timestamp::default();
        Decoded::Reading(Reading {
            series,
            at,
            features: vec![1.0],
            filled: Vec::new(),
            position: position(sub),
        })
    }

    fn reject(sub: u32) -> Decoded {
        Decoded::Rejected(Box::new(RejectV1::new(Reject::Base64, &position(sub), b"?")))
    }

    /// Records of these entries: a reading for `+`, a reject for `-`.
    fn records(shapes: &[&str]) -> Records {
        let mut records = Records::default();
        for shape in shapes {
            shape.bytes().zip(0..).for_each(|(kind, sub)| {
                records.add(if kind == b'+' { reading(sub) } else { reject(sub) });
            });
            records.end_record();
        }
        records
    }

    #[test]
    fn a_record_has_one_fate_however_many_readings_it_holds() {
        let records = records(&["+", "", "+-", "--", "-", "+++"]);
        let sizes: Vec<usize> = records.iter().map(<[Decoded]>::len).collect();
        assert_eq!((records.len(), sizes), (6, vec![1, 0, 2, 2, 1, 3]));
        use Fate::{Again, Done, Rejected};
        assert_eq!(records.fates(|_| true), [Done, Done, Done, Rejected, Rejected, Done]);
        assert_eq!(records.fates(|entry| entry < 2), [Done, Done, Again, Again, Again, Again]);
        assert_eq!(records.fates(|entry| entry != 4), [Done, Done, Done, Again, Rejected, Done]);
        assert_eq!(records.fates(|_| false), [Again, Done, Again, Again, Again, Again], "nothing to hand on");
    }

    #[test]
    fn a_reading_that_is_refused_later_counts_as_rejected() {
        let mut records = records(&["+", "++"]);
        for entry in [0, 2] {
            let Decoded::Rejected(reject) = reject(0) else { panic!("a reject") };
            records.reject(entry, reject);
        }
        assert_eq!(records.fates(|_| true), [Fate::Rejected, Fate::Done]);
    }

    #[test]
    fn single_entries_are_records() {
        let collected: Records = [reading(0), reject(0)].into_iter().collect();
        assert_eq!(collected, records(&["+", "-"]));
    }
}
