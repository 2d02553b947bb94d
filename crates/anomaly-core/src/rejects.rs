//! Rejected records: as they are kept, and how many they are.

use crate::config::Config;
use crate::hash::{fingerprint, first_bytes, hex};
use crate::position::Position;
use crate::reading::{Reading, Scored, SeriesId};
use crate::reject::Reject;
use crate::wire::{Data, RejectV1, RejectedBy};

/// The share of a batch's `entries` readings that were `rejected`, as a reading of the partition's own series
/// ([`SeriesId::rejects_of`]): 0 to 1, behind the `last` of them.
pub fn share(rejected: usize, entries: usize, last: Position) -> Scored {
    let series = SeriesId::rejects_of(&last.partition);
    let (at, position) = (last.arrived, Position { sub: u32::MAX, ..last });
    let features = vec![rejected as f64 / entries.max(1) as f64];
    Scored { reading: Reading { series, at, features, filled: Vec::new(), position }, score: None }
}

/// Names for what of a configuration rejects records: equal ones reject the same records, as long as the release
/// is the same.
///
/// `[input]` decides what can be read and what comes in time; what a model refuses depends on `[model]` too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    input: [u8; 6],
    model: [u8; 6],
}

impl Versions {
    /// Those of `config`: the first six bytes of the SHA-256 of the sections as compact JSON, defaults and all.
    pub fn of(config: &Config) -> Self {
        // Plain data in memory.
        let input = serde_json::to_vec(&config.input).unwrap_or_default();
        let model = serde_json::to_vec(&config.model).unwrap_or_default();
        Versions { input: first_bytes(&[&input]), model: first_bytes(&[&input, &model]) }
    }

    /// What says that `reject` was made by these.
    pub fn by(&self, reject: &Reject) -> RejectedBy {
        let bytes = if let Reject::Refused { .. } = reject { self.model } else { self.input };
        RejectedBy { configuration: hex(&bytes), release: env!("CARGO_PKG_VERSION").to_owned() }
    }

    /// `reject`, which says that it was made by these.
    pub fn stamp(&self, mut reject: RejectV1) -> RejectV1 {
        reject.by = Some(self.by(&reject.reject));
        reject
    }
}

impl RejectV1 {
    /// Its name among the rejects: 12 hexadecimal digits, of where it stood.
    pub fn id(&self) -> String {
        let sub = self.sub.to_le_bytes();
        fingerprint(&[self.partition.as_bytes(), self.sequence.text().as_bytes(), &sub], 6)
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
    use crate::time::Timestamp;
    use crate::wire::REJECT_BYTES_KEPT;
    use proptest::prelude::*;

    fn reject(sequence: u64, sub: u32, bytes: &[u8]) -> RejectV1 {
        let position = Position {
            partition: "p".into(),
            sequence: Sequence::from(sequence),
            sub,
            arrived: Timestamp::default(),
        };
        RejectV1::new(Reject::Base64, &position, bytes)
    }

    #[test]
    fn versions_are_of_what_decides() {
        let config = |text: &str| Versions::of(&Config::from_toml(text).expect("valid"));
        let said = |versions: Versions| {
            let refused = Reject::refused("no");
            [Reject::Base64, refused].map(|reject| versions.by(&reject).configuration)
        };
        let [read, refused] = said(config(""));
        assert!(read != refused && read.len() == 12 && read.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(said(config("[source]\nkind = \"sqs\"\n")), [read.clone(), refused.clone()]);
        assert_eq!(
            said(config("[input]\nrecord_bytes_max = 1048576\n")),
            [read.clone(), refused.clone()],
            "the default"
        );
        let other = said(config("[model]\nkind = \"none\"\n"));
        assert!(other[0] == read && other[1] != refused);
        let other = said(config("[input]\nrecord_bytes_max = 77\n"));
        assert!(other[0] != read && other[1] != refused, "what is read is what the model is given");
    }

    #[test]
    fn a_reject_says_by_what_and_old_ones_are_read() {
        let old = reject(1, 0, b"a");
        let json = crate::wire::write(&old);
        assert!(!json.contains("\"by\""));
        assert_eq!(crate::wire::read(&json), Ok(old.clone()));
        let stamped = Versions::of(&Config::default()).stamp(old.clone());
        assert_eq!(stamped.by.as_ref().map(|by| by.release.as_str()), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(crate::wire::read(&crate::wire::write(&stamped)), Ok(stamped.clone()));
        assert_eq!((stamped.id(), RejectV1 { by: None, ..stamped }), (old.id(), old));
    }

    #[test]
    fn shares_are_readings_of_a_series_that_no_record_can_have() {
        let found = share(3, 4, reject(9, 0, b"").position()).reading;
        assert_eq!((found.features.as_slice(), found.series.as_str()), (&[0.75][..], "rejects of p"));
        assert_eq!(
            (found.position.sequence.to_string(), found.position.sub),
            ("9".to_owned(), u32::MAX),
            "behind the last"
        );
        assert!(found.series.is_of_rejects() && SeriesId::new(found.series.as_str()).is_err());
        assert_eq!(SeriesId::rejects_of(&"é".repeat(300)).as_str().len(), 255);
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
