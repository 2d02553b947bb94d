//! The random cut trees themselves: a thin wall around `krcf`, the only place that knows it.
//!
//! Source of the method: Guha, Mishra, Roy, Schrijvers (2016), "Robust Random Cut Forest Based Anomaly Detection
//! on Streams", ICML 33. `krcf` builds on the Rust code of AWS's own random-cut-forest-by-aws.

use std::fmt;
use std::ops::RangeInclusive;

use krcf::{RandomCutForest, RandomCutForestOptions};
use serde::{Deserialize, Serialize};

/// Trees of a forest: SageMaker's upper bound; fewer than its 50 are allowed for many small series.
const TREES: RangeInclusive<usize> = 1..=1000;

/// Readings kept by each tree: SageMaker's upper bound, and at least two to cut between.
const SAMPLE_SIZE: RangeInclusive<usize> = 2..=2048;

/// Readings in one shingle.
const SHINGLE: RangeInclusive<usize> = 1..=256;

/// Above this many dimensions bounding boxes are never kept, whatever was asked for: they would take hundreds of
/// kilobytes a dimension.
const DIMENSIONS_WITH_KEPT_BOXES: usize = 256;

/// What becomes of the bounding boxes of a tree's branches, which every score and every update needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Boxes {
    /// Kept: two to four times as fast. Up to 256 dimensions (features by shingle).
    Kept,
    /// Made anew each time: the state is two to six times smaller.
    Recomputed,
}

/// What a forest cannot be built with: all that is wrong, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError {
    problems: Vec<String>,
}

impl OptionsError {
    /// What is wrong, one sentence each; at least one.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the forest cannot be built: {}", self.problems.join("; "))
    }
}

impl std::error::Error for OptionsError {}

/// Refuses sizes outside their ranges.
pub(crate) fn check_sizes(trees: usize, sample_size: usize, shingle: usize) -> Result<(), OptionsError> {
    let problems: Vec<String> =
        [("trees", trees, TREES), ("sample size", sample_size, SAMPLE_SIZE), ("shingle", shingle, SHINGLE)]
            .into_iter()
            .filter(|(_, value, range)| !range.contains(value))
            .map(|(name, value, range)| {
                format!("{name} is {value}, must be {} to {}", range.start(), range.end())
            })
            .collect();
    if problems.is_empty() { Ok(()) } else { Err(OptionsError { problems }) }
}

/// How old readings fade from the sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fading {
    /// All readings have the same chance to be kept: for training on a history.
    Never,
    /// Newer readings are likelier to be kept, with a memory of about ten samples: for streams.
    ///
    /// The rate, a tenth by sample size for each reading, is the default of AWS's implementation.
    TenSamples,
}

/// What trees are built from. Sizes have passed [`check_sizes`]; `width` is at least 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) width: usize,
    pub(crate) shingle: usize,
    pub(crate) trees: usize,
    pub(crate) sample_size: usize,
    pub(crate) seed: u64,
    pub(crate) fading: Fading,
    pub(crate) boxes: Boxes,
}

/// A forest of random cut trees over points that are finite and of one width.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trees(RandomCutForest);

/// The trees' own check of their state failed. Never seen; kept apart so that it cannot be taken for a score.
#[derive(Debug)]
pub(crate) struct Inconsistent;

impl Trees {
    pub(crate) fn new(plan: &Plan) -> Result<Trees, OptionsError> {
        let (fading, initial_accept) = match plan.fading {
            Fading::Never => (0.0, 1.0),
            Fading::TenSamples => (0.1 / plan.sample_size as f64, 0.125),
        };
        let kept_boxes = plan.boxes == Boxes::Kept && plan.width * plan.shingle <= DIMENSIONS_WITH_KEPT_BOXES;
        RandomCutForest::new(RandomCutForestOptions {
            dimensions: plan.width,
            shingle_size: plan.shingle,
            num_trees: Some(plan.trees),
            sample_size: Some(plan.sample_size),
            random_seed: Some(plan.seed),
            lambda: Some(fading),
            initial_accept_fraction: Some(initial_accept),
            bounding_box_cache_fraction: Some(if kept_boxes { 1.0 } else { 0.0 }),
            output_after: Some(1),
            id: Some(0),
            ..RandomCutForestOptions::default()
        })
        .map(Trees)
        .map_err(|e| OptionsError { problems: vec![e.to_string()] })
    }

    /// How strange `point` would be as the next one: 0 to about 8 for trees of 256 points, 1 on average.
    pub(crate) fn score(&self, point: &[f32]) -> Result<f64, Inconsistent> {
        self.0.score(point).ok().filter(|score| score.is_finite()).ok_or(Inconsistent)
    }

    /// How much of the score of `point` comes from each feature, at all places of the shingle together; 0 or more.
    pub(crate) fn attribution(&self, point: &[f32]) -> Result<Vec<f64>, Inconsistent> {
        let parts = self.0.attribution(point).map_err(|_| Inconsistent)?;
        let mut features = vec![0.0; self.width()];
        let width = features.len().max(1);
        for (place, (high, low)) in parts.high.iter().zip(&parts.low).enumerate() {
            features[place % width] += high + low;
        }
        match features.iter().all(|part| part.is_finite() && *part >= 0.0) {
            true => Ok(features),
            false => Err(Inconsistent),
        }
    }

    /// The next point, by those that followed the likes of the last ones; `None` without shingles, which tell nothing
    /// of what follows.
    pub(crate) fn expected(&self) -> Option<Vec<f32>> {
        if self.0.shingle_size() < 2 || !self.0.is_output_ready() {
            return None;
        }
        let next = self.0.extrapolate(1).ok()?.values;
        (next.len() == self.width() && next.iter().all(|value| value.is_finite())).then_some(next)
    }

    pub(crate) fn learn(&mut self, point: &[f32]) -> Result<(), Inconsistent> {
        self.0.update(point).map_err(|_| Inconsistent)
    }

    /// Whole shingles learned so far.
    pub(crate) fn shingles_learned(&self) -> u64 {
        self.0.entries_seen()
    }

    /// Values of one point.
    pub(crate) fn width(&self) -> usize {
        self.0.dimensions() / self.0.shingle_size().max(1)
    }
}
