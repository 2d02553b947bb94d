//! The last values of a series, for its messages.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{FEATURES_KEPT, RECENT_KEPT};

/// The last readings, [`RECENT_KEPT`] at most. Encoded as a list of lists, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    rows: Vec<Row>,
    /// Where the oldest one is: the next takes its place.
    oldest: usize,
}

/// The first values of a reading, [`FEATURES_KEPT`] at most, in one piece of memory with its neighbours.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    length: u8,
    /// Anything behind the last one.
    values: [f32; FEATURES_KEPT],
}

impl Recent {
    /// Remembers the values of a reading, and forgets the oldest one's.
    #[inline(always)]
    pub(super) fn push(&mut self, features: &[f64]) {
        if self.rows.len() < RECENT_KEPT {
            return self.rows_mut().push(Row::of(features));
        }
        self.rows[self.oldest].take(features);
        self.oldest = if self.oldest + 1 == RECENT_KEPT { 0 } else { self.oldest + 1 };
    }

    /// With room for all that is kept, and no more.
    #[cold]
    fn rows_mut(&mut self) -> &mut Vec<Row> {
        self.rows.reserve_exact(RECENT_KEPT - self.rows.len());
        &mut self.rows
    }

    /// Oldest first.
    fn rows(&self) -> impl Iterator<Item = &Row> {
        let (newer, older) = self.rows.split_at(self.oldest);
        older.iter().chain(newer)
    }

    /// The values of the feature at `index`, oldest first.
    pub(super) fn of(&self, index: usize) -> Vec<f32> {
        self.rows().filter_map(|row| row.as_slice().get(index).copied()).collect()
    }
}

impl PartialEq for Recent {
    fn eq(&self, other: &Self) -> bool {
        self.rows().map(Row::as_slice).eq(other.rows().map(Row::as_slice))
    }
}

impl Serialize for Recent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.rows.len()))?;
        self.rows().try_for_each(|row| list.serialize_element(row))?;
        list.end()
    }
}

impl<'de> Deserialize<'de> for Recent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = Vec::deserialize(deserializer)?;
        match rows.len() {
            0..=RECENT_KEPT => Ok(Recent { rows, oldest: 0 }),
            more => Err(D::Error::invalid_length(more, &"the last values of a series")),
        }
    }
}

impl Row {
    fn of(features: &[f64]) -> Self {
        let mut row = Row::default();
        row.take(features);
        row
    }

    #[inline(always)]
    fn take(&mut self, features: &[f64]) {
        self.length = features.len().min(FEATURES_KEPT) as u8;
        for (kept, value) in self.values.iter_mut().zip(features) {
            // An infinite f32 would be `null` in JSON and make the message unreadable.
            *kept = (*value as f32).clamp(f32::MIN, f32::MAX);
        }
    }

    fn as_slice(&self) -> &[f32] {
        &self.values[..usize::from(self.length)]
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {FEATURES_KEPT} values")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Row, A::Error> {
                let mut row = Row::default();
                while let Some(value) = values.next_element()? {
                    let index = usize::from(row.length);
                    let kept = row
                        .values
                        .get_mut(index)
                        .ok_or_else(|| A::Error::invalid_length(index + 1, &self))?;
                    *kept = value;
                    row.length += 1;
                }
                Ok(row)
            }
        }
        deserializer.deserialize_seq(Values)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// States are full of what it was once.
    #[test]
    fn it_is_encoded_as_lists_of_a_list_are() {
        let mut recent = Recent::default();
        let mut lists: VecDeque<Vec<f32>> = VecDeque::new();
        for i in 0..60 {
            let features: Vec<f64> = (0..i % 7).map(|j| f64::from(10 * i + j)).collect();
            recent.push(&features);
            lists.push_back(features.iter().take(FEATURES_KEPT).map(|value| *value as f32).collect());
            lists.drain(..lists.len().saturating_sub(RECENT_KEPT));
            let bytes = postcard::to_extend(&lists, Vec::new()).expect("into memory");
            assert_eq!(postcard::to_extend(&recent, Vec::new()).expect("into memory"), bytes);
            assert_eq!(postcard::from_bytes::<Recent>(&bytes).expect("its own"), recent);
            assert_eq!(recent.of(2), lists.iter().filter_map(|row| row.get(2).copied()).collect::<Vec<_>>());
        }
        let wide = postcard::to_extend(&vec![vec![0.0_f32; FEATURES_KEPT + 1]], Vec::new());
        assert!(postcard::from_bytes::<Recent>(&wide.expect("into memory")).is_err());
    }

    #[test]
    fn what_is_too_large_for_a_message_is_as_large_as_it_can_be() {
        let mut recent = Recent::default();
        recent.push(&[f64::MAX, f64::MIN]);
        assert_eq!([recent.of(0), recent.of(1)], [[f32::MAX], [f32::MIN]]);
    }
}
