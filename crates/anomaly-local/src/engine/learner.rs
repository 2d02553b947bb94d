//! What learns a series as it goes.

use anomaly_detect::{Detector, Forest, ForestOptions, StateError, Streaming};

use super::{SERIES_FULL_MAX, Scoring};

/// A detector of one series, of the kind that the configuration asks for.
#[derive(Debug)]
pub(crate) enum Learner {
    /// A forest.
    Forest(Box<Forest>),
    /// The streaming detector.
    Streaming(Box<Streaming>),
}

impl Learner {
    /// For a new series, where `there` others are; `None` if nothing learns.
    pub(super) fn begin(scoring: &Scoring, there: usize) -> Option<Learner> {
        match scoring {
            // The options were checked when the run began.
            Scoring::Forest(options) => {
                Forest::new(sized(*options, there)).ok().map(|f| Learner::Forest(Box::new(f)))
            }
            Scoring::Streaming(options) => Some(Learner::Streaming(Box::new(Streaming::new(*options)))),
            Scoring::Frozen(_) | Scoring::None => None,
        }
    }

    /// The one that [`Learner::save`] wrote; `None` if nothing learns.
    ///
    /// # Errors
    /// The detector's own, with `None` where there are no bytes.
    pub(crate) fn load(
        scoring: &Scoring,
        bytes: Option<&[u8]>,
    ) -> Result<Option<Learner>, Option<StateError>> {
        match scoring {
            Scoring::Forest(_) => {
                let forest = Forest::load(bytes.ok_or(None)?).map_err(Some)?;
                Ok(Some(Learner::Forest(Box::new(forest))))
            }
            Scoring::Streaming(options) => {
                let streaming = Streaming::load(bytes.ok_or(None)?).map_err(Some)?;
                Ok(Some(Learner::Streaming(Box::new(streaming.with(*options)))))
            }
            Scoring::Frozen(_) | Scoring::None => Ok(None),
        }
    }

    pub(crate) fn save(&self) -> Vec<u8> {
        match self {
            Learner::Forest(forest) => forest.save(),
            Learner::Streaming(streaming) => streaming.save(),
        }
    }

    /// What it takes in memory for readings of so many `features`, in bytes. An estimate: 1.7 MB a feature for
    /// [`ForestOptions::default`] with a shingle of 8, and as much less as others are smaller.
    pub(super) fn bytes(&self, features: usize) -> usize {
        const FOREST_BYTES: usize = 17;
        const STREAMING_BYTES: usize = 4 << 10;
        let each = match self {
            Learner::Forest(forest) => {
                let ForestOptions { trees, sample_size, shingle, .. } = forest.options();
                trees * sample_size * shingle * FOREST_BYTES
            }
            Learner::Streaming(_) => STREAMING_BYTES,
        };
        each * features
    }

    pub(super) fn detector(&self) -> &dyn Detector {
        match self {
            Learner::Forest(forest) => forest.as_ref(),
            Learner::Streaming(streaming) => streaming.as_ref(),
        }
    }

    pub(super) fn detector_mut(&mut self) -> &mut dyn Detector {
        match self {
            Learner::Forest(forest) => forest.as_mut(),
            Learner::Streaming(streaming) => streaming.as_mut(),
        }
    }
}

fn sized(options: ForestOptions, there: usize) -> ForestOptions {
    match there < SERIES_FULL_MAX {
        true => options,
        false => ForestOptions { shingle: options.shingle, seed: options.seed, ..ForestOptions::small() },
    }
}
