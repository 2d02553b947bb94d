//! Where a record stood in its source: what tells a redelivery from news.

mod sequence;

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

pub use sequence::Sequence;

use crate::time::Timestamp;

/// The place of one reading in its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The source partition: a Kinesis shard, a file.
    pub partition: SmolStr,
    /// The record's number within the partition.
    pub sequence: Sequence,
    /// The reading's number within the record, from 0.
    pub sub: u32,
    /// When the source took the record; the reading's own time where the source does not say.
    pub arrived: Timestamp,
}

impl Position {
    /// The place within the partition.
    pub fn place(&self) -> Place {
        Place { sequence: self.sequence.clone(), sub: self.sub }
    }

    /// Which of two in one partition comes first.
    #[inline(always)]
    pub(crate) fn cmp_place(&self, other: &Position) -> Ordering {
        self.sequence.cmp(&other.sequence).then(self.sub.cmp(&other.sub))
    }

    /// Becomes `other`, which is of the same partition, if that comes behind it; whether it does.
    #[inline(always)]
    pub(crate) fn move_on_to(&mut self, other: &Position) -> bool {
        let is_behind = other.cmp_place(self).is_gt();
        if is_behind {
            self.sequence.clone_from(&other.sequence);
            (self.sub, self.arrived) = (other.sub, other.arrived);
        }
        is_behind
    }

    /// Whether a series that has seen `self` has seen `other` too.
    ///
    /// Within a partition the sequence decides. A series that moved to another partition (a reshard) is
    /// taken to go on there with records that arrived no earlier: sequence numbers of different shards
    /// are not promised to be ordered.
    pub fn covers(&self, other: &Position) -> bool {
        if self.partition == other.partition {
            other.cmp_place(self).is_le()
        } else {
            other.arrived < self.arrived
        }
    }
}

/// The place of a reading within its partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The record's number.
    pub sequence: Sequence,
    /// The reading's number within the record, from 0.
    pub sub: u32,
}

impl fmt::Display for Place {
    /// `4959….0`: the record's number and the reading's within it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sequence, self.sub)
    }
}

impl Place {
    /// Text that sorts as the place does: a number with more digits is the larger one.
    pub fn sortable(&self) -> String {
        format!("{:05}:{}.{:010}", self.sequence.length(), self.sequence, self.sub)
    }

    /// What [`Place`] prints; `None` for anything else.
    fn parse(text: &str) -> Option<Self> {
        let (sequence, sub) = text.rsplit_once('.')?;
        Some(Place { sequence: Sequence::of_text(sequence), sub: sub.parse().ok()? })
    }
}

/// Places of one partition that were judged: runs of them, from a first to a last, both included, none empty.
///
/// As JSON a list: a place alone as text, a longer run as a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<RunText>", try_from = "Vec<RunText>")]
pub struct Runs(Vec<(Place, Place)>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum RunText {
    Place(String),
    Run(String, String),
}

impl From<Runs> for Vec<RunText> {
    fn from(runs: Runs) -> Self {
        let text = |(first, last): (Place, Place)| match first == last {
            true => RunText::Place(first.to_string()),
            false => RunText::Run(first.to_string(), last.to_string()),
        };
        runs.0.into_iter().map(text).collect()
    }
}

impl TryFrom<Vec<RunText>> for Runs {
    type Error = &'static str;

    fn try_from(texts: Vec<RunText>) -> Result<Self, Self::Error> {
        let run = |text: RunText| match text {
            RunText::Place(place) => Place::parse(&place).map(|place| (place.clone(), place)),
            RunText::Run(first, last) => Place::parse(&first).zip(Place::parse(&last)),
        };
        texts.into_iter().map(run).collect::<Option<_>>().map(Runs).ok_or("no place of a reading")
    }
}

impl Runs {
    /// Adds the run from `first` to `last`.
    pub fn push(&mut self, first: Place, last: Place) {
        self.0.push((first, last));
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Runs) {
        self.0.extend(other.0);
    }

    /// Whether `place` lies in one of them.
    pub fn cover(&self, place: &Place) -> bool {
        self.0.iter().any(|(first, last)| (first..=last).contains(&place))
    }

    /// Whether each of `other` lies in one of them.
    pub fn cover_all(&self, other: &Runs) -> bool {
        let covers = |(first, last): &(Place, Place)| self.0.iter().any(|(f, l)| f <= first && last <= l);
        other.0.iter().all(covers)
    }

    /// The runs, in lots of at most `runs_max` of them.
    pub fn lots(&self, runs_max: usize) -> impl Iterator<Item = Runs> + '_ {
        self.0.chunks(runs_max.max(1)).map(|lot| Runs(lot.to_vec()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lowest first and the highest last place; `None` if there is none.
    pub fn ends(&self) -> Option<(&Place, &Place)> {
        let first = self.0.iter().map(|(first, _)| first).min()?;
        Some((first, self.0.iter().map(|(_, last)| last).max()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: &str, sequence: &str, sub: u32, arrived_ms: i64) -> Position {
        Position {
            partition: partition.into(),
            sequence: Sequence::new(sequence),
            sub,
            arrived: Timestamp::from_ms(arrived_ms).unwrap_or_default(),
        }
    }

    proptest::proptest! {
        #[test]
        fn text_sorts_as_places_do(
            a in ("[0-9]{1,130}", proptest::prelude::any::<u32>()),
            b in ("[0-9]{1,130}", proptest::prelude::any::<u32>()),
        ) {
            let [a, b] = [a, b].map(|(digits, sub)| Place { sequence: Sequence::new(&digits), sub });
            proptest::prop_assert_eq!(a.sortable().cmp(&b.sortable()), a.cmp(&b));
        }
    }

    #[test]
    fn runs_cover_what_lies_in_them() {
        let place = |sequence: u64, sub| Place { sequence: Sequence::from(sequence), sub };
        let mut runs = Runs::default();
        assert_eq!(runs.ends(), None);
        runs.push(place(9, 1), place(10, 0));
        runs.extend(Runs(vec![(place(3, 0), place(3, 0))]));
        assert!([(9, 1), (9, 7), (10, 0), (3, 0)].iter().all(|(n, sub)| runs.cover(&place(*n, *sub))));
        assert!(![(9, 0), (10, 1), (4, 0)].iter().any(|(n, sub)| runs.cover(&place(*n, *sub))));
        assert_eq!(runs.ends(), Some((&place(3, 0), &place(10, 0))));
        let json = serde_json::to_string(&runs).expect("plain data");
        assert_eq!(json, r#"[["9.1","10.0"],"3.0"]"#);
        assert_eq!(serde_json::from_str::<Runs>(&json).expect("its own"), runs);
        assert!(serde_json::from_str::<Runs>(r#"["9"]"#).is_err());
        let run = |first, last| Runs(vec![(place(first, 0), place(last, 0))]);
        assert!(runs.cover_all(&run(10, 10)) && runs.cover_all(&runs) && runs.cover_all(&Runs::default()));
        assert!(![run(3, 4), run(3, 10), run(11, 11)].iter().any(|other| runs.cover_all(other)));
        assert_eq!(runs.lots(1).map(|lot| lot.0.len()).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn covers_what_came_before() {
        let seen = at("s1", "100", 1, 5_000);
        assert!(seen.covers(&at("s1", "100", 1, 5_000)), "itself");
        assert!(seen.covers(&at("s1", "99", 7, 9_000)), "older, whatever its arrival");
        assert!(!seen.covers(&at("s1", "100", 2, 5_000)), "later in the same record");
        assert!(!seen.covers(&at("s1", "101", 0, 4_000)));
        assert!(!seen.covers(&at("s2", "7", 0, 5_000)), "moved to another shard, same instant");
        assert!(seen.covers(&at("s2", "7000", 0, 4_999)), "a straggler of the parent shard");
    }
}
