//! What a record holds, as it is taken into [`Records`], one after the other.

use crate::fields::Found;
use crate::position::Position;
use crate::reading::Reading;
use crate::records::{Decoded, Records};
use crate::reject::Reject;
use crate::wire::RejectV1;

use super::Decoder;

/// A record, or a part of one, being decoded.
pub(super) struct Taking<'d, 'r> {
    pub(super) decoder: &'d Decoder,
    pub(super) records: &'r mut Records,
    position: &'r Position,
    taken: u32,
}

impl<'d, 'r> Taking<'d, 'r> {
    pub(super) fn new(decoder: &'d Decoder, position: &'r Position, records: &'r mut Records) -> Self {
        Taking { decoder, records, position, taken: 0 }
    }

    /// The number of the next reading or reject.
    pub(super) fn sub(&self) -> u32 {
        self.position.sub.saturating_add(self.taken)
    }

    /// Whether the record may hold one more reading.
    pub(super) fn has_room(&self) -> bool {
        (self.taken as usize) < self.decoder.input.readings_max
    }

    /// What was found, as a reading.
    pub(super) fn reading(&self, found: &[Found<'_>]) -> Result<Reading, Reject> {
        let Position { partition, sequence, arrived, .. } = self.position;
        let (partition, sequence) = (partition.clone(), sequence.clone());
        self.decoder.reading(found, Position { partition, sequence, sub: self.sub(), arrived: *arrived })
    }

    /// Takes a reading, or what was wrong with it; `bytes` are its own.
    pub(super) fn take(&mut self, outcome: Result<Reading, Reject>, bytes: &[u8]) {
        self.records.add(match outcome {
            Ok(reading) => Decoded::Reading(reading),
            Err(reject) => Decoded::Rejected(Box::new(self.rejected(reject, bytes))),
        });
        self.taken += 1;
    }

    fn rejected(&self, reject: Reject, bytes: &[u8]) -> RejectV1 {
        let position = Position { sub: self.sub(), ..self.position.clone() };
        RejectV1::new(reject, &position, bytes)
    }
}
