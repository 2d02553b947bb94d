//! A series' last values: what stands for a feature that a record does not give, where the user wants the
//! previous one.

use serde::{Deserialize, Serialize};

use crate::reading::{Filling, Reading};

/// The last value of each feature of a series; `None` where it never had one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Last(Vec<Option<f64>>);

impl Last {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the last values where `reading` wants them ([`Filling::Previous`]). A feature that never had one
    /// is [`Filling::Unknown`] from then on.
    pub fn fill(&self, reading: &mut Reading) {
        for filled in &mut reading.filled {
            let index = filled.feature as usize;
            if let (Filling::Previous, Some(feature)) = (filled.with, reading.features.get_mut(index)) {
                match self.0.get(index).copied().flatten() {
                    Some(last) => *feature = last,
                    None => filled.with = Filling::Unknown,
                }
            }
        }
    }

    /// Remembers the values of `reading`, which was filled in.
    pub fn remember(&mut self, reading: &Reading) {
        self.0.clear();
        self.0.extend(reading.features.iter().copied().map(Some));
        for filled in reading.filled.iter().filter(|filled| filled.with == Filling::Unknown) {
            if let Some(last) = self.0.get_mut(filled.feature as usize) {
                *last = None;
            }
        }
    }
}
