//! Rejected records as they are kept: named, and whole or cut.

use crate::hash::fingerprint;
use crate::position::Position;
use crate::wire::{Data, RejectV1};

impl RejectV1 {
    /// Its name among the rejects: 12 hexadecimal digits, of where it stood.
    pub fn id(&self) -> String {
        let sub = self.sub.to_le_bytes();
        fingerprint(&[self.partition.as_bytes(), self.sequence.as_str().as_bytes(), &sub], 6)
    }

    /// Where it stood.
    pub fn position(&self) -> Position {
        Position {
            partition: self.partition.clone(),
            sequence: self.sequence.clone(),
            sub: self.sub,
            arrived: self.arrived_ms,
        }
    }

    /// The record's bytes; `None` if it was longer than what is kept.
    pub fn whole(&self) -> Option<Vec<u8>> {
        let bytes = self.data.to_bytes();
        (bytes.len() as u64 == self.bytes).then_some(bytes)
    }
}

impl Data {
    /// The bytes. What is no hexadecimal digit in [`Data::Hex`], which only a hand can have put there, ends them.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Data::Text(text) => text.as_bytes().to_vec(),
            Data::Hex(digits) => {
                let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
                digits
                    .as_bytes()
                    .chunks_exact(2)
                    .map_while(|two| Some(digit(&two[0])? << 4 | digit(&two[1])?))
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Sequence;
    use crate::reject::Reject;
    use crate::time::Timestamp;
    use crate::wire::REJECT_BYTES_KEPT;
    use proptest::prelude::*;

    fn reject(sequence: u64, sub: u32, bytes: &[u8]) -> RejectV1 {
        let position = Position {
            partition: "p".to_owned(),
            sequence: Sequence::from(sequence),
            sub,
            arrived: Timestamp::default(),
        };
        RejectV1::new(Reject::Base64, &position, bytes)
    }

    #[test]
    fn names_tell_them_apart_and_stay() {
        assert_eq!(reject(1, 0, b"a").id(), reject(1, 0, b"b").id());
        assert_ne!(reject(1, 0, b"").id(), reject(1, 1, b"").id());
        assert_ne!(reject(1, 0, b"").id(), reject(2, 0, b"").id());
        assert_eq!(reject(7, 3, b"").position().sub, 3);
    }

    #[test]
    fn what_was_cut_is_not_whole() {
        for byte in [b'a', 0xff] {
            let kept = vec![byte; REJECT_BYTES_KEPT];
            assert_eq!(reject(1, 0, &kept).whole(), Some(kept.clone()));
            assert_eq!(reject(1, 0, &[kept, vec![byte]].concat()).whole(), None);
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(reject(1, 0, &bytes).whole(), Some(bytes));
        }
    }
}
