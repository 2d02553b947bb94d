//! What every streaming detector can do, and what it refuses.

use std::fmt;

use anomaly_core::alert::Attribution;
use anomaly_core::time::Timestamp;

/// The most features of one reading, as in SageMaker's Random Cut Forest.
///
/// Source: Amazon SageMaker AI developer guide, "RCF hyperparameters", `feature_dim`.
pub const WIDTH_MAX: usize = 10_000;

/// A detector of one series: it learns reading by reading, and says how strange a reading would be.
///
/// The contract, held by one test suite for every implementation:
///
/// - The readings of a series arrive in order. Its first learned reading fixes the width (the number of features).
/// - Scoring and learning are apart: what to learn from (everything, or only what is not anomalous) is the
///   caller's decision.
/// - Deterministic: the same options and the same calls give the same scores, bit for bit, also when the state
///   was saved and loaded in between.
/// - A refused reading changes nothing.
pub trait Detector: Send {
    /// How strange `features` would be as the next reading: finite, from 0 upwards, unitless, higher is stranger;
    /// `None` while the detector has learned too little to tell.
    ///
    /// Never changes the detector.
    ///
    /// # Errors
    /// [`InputError`] if the reading is empty, too wide, of another width than the first, or not finite.
    fn score(&self, features: &[f64]) -> Result<Option<f64>, InputError>;

    /// Takes `features` as the next reading of the series.
    ///
    /// # Errors
    /// As for [`Detector::score`]; the detector is then as it was before.
    fn learn(&mut self, features: &[f64]) -> Result<(), InputError>;

    /// Tells that the next reading is of `at`, before it is scored: a detector that minds time misses those that never
    /// came, and goes on as if they had been as expected. Others do nothing, and so does every one that is never told.
    ///
    /// Told once a reading that is to be learned, in their order.
    fn pass(&mut self, _at: Timestamp) {}

    /// What the next reading will be like, feature by feature, each in its own unit and finite; `None` from a detector that
    /// does not tell, and before the first reading.
    fn expected(&self) -> Option<Vec<f64>> {
        None
    }

    /// Which features a score comes from: a share for each, 0 to 1, 1 together; `None` where [`Detector::score`] is
    /// `None`, and from a detector that does not tell.
    ///
    /// # Errors
    /// As for [`Detector::score`].
    fn attribution(&self, features: &[f64]) -> Result<Option<Vec<f64>>, InputError> {
        self.score(features).map(|_| None)
    }

    /// Where a score of `features` comes from, as far as the detector tells.
    ///
    /// To be asked before they are learned, as [`Detector::score`] is.
    fn why(&self, features: &[f64]) -> Attribution {
        let shares = self.attribution(features).ok().flatten().unwrap_or_default();
        Attribution { expected: self.expected().unwrap_or_default(), shares }
    }

    /// The whole state, to be loaded by the type's own `load`. The same state makes the same bytes.
    fn save(&self) -> Vec<u8>;
}

/// What the features contribute, 0 or more each, as shares of their sum; equal ones of nothing.
pub(crate) fn shares(parts: Vec<f64>) -> Vec<f64> {
    let (sum, count) = (parts.iter().sum::<f64>(), parts.len() as f64);
    parts.into_iter().map(|part| if sum > 0.0 { part / sum } else { 1.0 / count }).collect()
}

/// Why a reading cannot be scored or learned: the reading's fault, and trying again cannot help.
#[derive(Clone, Debug, PartialEq)]
pub enum InputError {
    /// It has no feature at all.
    Empty,
    /// It has more features than the detector can take.
    TooWide {
        /// How many it has.
        found: usize,
        /// How many it may have.
        limit: usize,
    },
    /// It has another number of features than the detector learned from.
    Width {
        /// What the detector takes.
        expected: usize,
        /// What the reading has.
        found: usize,
    },
    /// A feature is NaN or infinite.
    NotFinite {
        /// Which one, from 0.
        feature_idx: usize,
        /// What it is.
        value: f64,
    },
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InputError::Empty => f.write_str("a reading without features"),
            InputError::TooWide { found, limit } => {
                write!(f, "{found} features, more than the limit of {limit}")
            }
            InputError::Width { expected, found } => {
                write!(f, "{found} features where the detector takes {expected}")
            }
            InputError::NotFinite { feature_idx, value } => {
                write!(f, "feature {} is not a finite number: {value}", feature_idx + 1)
            }
        }
    }
}

impl std::error::Error for InputError {}

/// Refuses what no detector can take; `width` is `None` while no reading has fixed it.
pub(crate) fn check(features: &[f64], width: Option<usize>, width_max: usize) -> Result<(), InputError> {
    let found = features.len();
    match width {
        Some(expected) if expected != found => return Err(InputError::Width { expected, found }),
        None if found == 0 => return Err(InputError::Empty),
        None if found > width_max => {
            return Err(InputError::TooWide { found, limit: width_max });
        }
        _ => {}
    }
    match features.iter().position(|value| !value.is_finite()) {
        Some(feature_idx) => Err(InputError::NotFinite { feature_idx, value: features[feature_idx] }),
        None => Ok(()),
    }
}
