//! A random cut forest that learns one series as it streams by.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::detector::{self, Detector, InputError};
use crate::scale::{self, REACH, Scale};
use crate::sealed::{self, StateError};
use crate::trees::{self, Boxes, Fading, OptionsError, Plan, Trees};

/// The most values of one point (features by shingle): some 200 KB for each tree at this size.
const DIMENSIONS_MAX: usize = 10_000;

/// Readings after which the scales are fitted for the first time.
const FIRST_FIT: u64 = 32;

/// Recent readings kept to fit scales and to rebuild the trees, in samples.
const KEPT_SAMPLES: usize = 2;

/// The form of the state that this build writes.
const VERSION: u8 = 1;

/// How a [`Forest`] is built. All fields have defaults: `ForestOptions { seed: 7, ..ForestOptions::default() }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForestOptions {
    /// Trees, 1 to 1000. More are steadier and slower.
    pub trees: usize,
    /// Shingles kept by each tree, 2 to 2048. The forest remembers about ten times as many readings.
    pub sample_size: usize,
    /// Consecutive readings judged together, 1 to 256: 1 sees values only, more see shapes, and answer later.
    pub shingle: usize,
    /// Readings before the first score; at least the shingle.
    pub warmup: usize,
    /// Speed or small state.
    pub boxes: Boxes,
    /// Where the randomness comes from.
    pub seed: u64,
}

impl Default for ForestOptions {
    /// 50 trees of 256 shingles (AWS's defaults), a shingle of 4, a first score after 64 readings (a quarter of
    /// the sample, as in AWS's implementation), boxes kept, seed 0.
    ///
    /// The shingle was chosen on the 29 public NAB series, by one and the same alert rule (a mean of ten scores four
    /// deviations above all before, then 100 rows of quiet): event F1 0.46 for a shingle of 1, 0.49 for 2, 0.50 for 4,
    /// 0.45 for 8 and 0.43 for 12; recall grows with the shingle (0.42, 0.50, 0.58, 0.65, 0.63), and false alerts
    /// grow faster. On four features of a web server, second by second, all of 2, 4 and 8 see all faults, 8 most clearly.
    ///
    /// The saved state of one feature takes about 780 KB, of four 2.1 MB.
    fn default() -> Self {
        ForestOptions { trees: 50, sample_size: 256, shingle: 4, warmup: 64, boxes: Boxes::Kept, seed: 0 }
    }
}

impl ForestOptions {
    /// For state that is stored after every batch: 20 trees of 64 shingles, boxes not kept. The saved state takes
    /// about 34 KB for one feature and 59 KB for four.
    ///
    /// The price, on the data and by the rule of [`ForestOptions::default`]: an event F1 of 0.42 rather than 0.50.
    /// Where 250 KB are affordable, the default with [`Boxes::Recomputed`] scores as well as the default.
    pub fn small() -> Self {
        ForestOptions { trees: 20, sample_size: 64, boxes: Boxes::Recomputed, ..ForestOptions::default() }
    }
}

/// A streaming random cut forest: a [`Detector`] for one series of any width.
///
/// Scores lie between 0 and about 8, are around 1 for what is usual, and do not depend on units: each feature is
/// measured in its own spreads (trimmed, about the median) before it reaches the trees, and cut off at 10,000 of
/// them, so that no value, however large, makes a score that is not finite.
///
/// **Scales stand still.** A normalisation that followed every reading would move the meaning of the points that the
/// trees already hold: the same value would look new again. So scales are fitted to the last `2 * sample_size`
/// readings, looked at again when the count of readings reaches a power of two or a multiple of the sample size,
/// and replaced only when they have become wrong by a factor that matters (`misfits` in this file); the trees are then
/// rebuilt from the same readings. For a single feature that practically never happens: a forest of one feature
/// does not depend on its scale.
///
/// Source of the method: Guha et al. (2016), ICML 33.
#[derive(Clone, Debug)]
pub struct Forest {
    state: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    options: ForestOptions,
    readings_learned: u64,
    /// How often the trees were built; part of their seed.
    generation: u64,
    recent: VecDeque<Vec<f64>>,
    /// One for each feature; empty until the first fit.
    scales: Vec<Scale>,
    trees: Option<Trees>,
}

impl Forest {
    /// A forest that has learned nothing.
    ///
    /// # Errors
    /// [`OptionsError`] with everything that is outside its range.
    pub fn new(options: ForestOptions) -> Result<Forest, OptionsError> {
        trees::check_sizes(options.trees, options.sample_size, options.shingle)?;
        let state = State {
            options,
            readings_learned: 0,
            generation: 0,
            recent: VecDeque::new(),
            scales: Vec::new(),
            trees: None,
        };
        Ok(Forest { state })
    }

    /// The forest that [`Detector::save`] wrote: it goes on exactly where it stopped.
    ///
    /// # Errors
    /// [`StateError`] if a newer build wrote the bytes, or if they are not what was written.
    pub fn load(bytes: &[u8]) -> Result<Forest, StateError> {
        let state: State = sealed::open(bytes, VERSION)?;
        let options = state.options;
        let fits = trees::check_sizes(options.trees, options.sample_size, options.shingle).is_ok()
            && state.recent.iter().all(|row| Some(row.len()) == state.width())
            && state.trees.as_ref().is_none_or(|t| t.width() == state.scales.len())
            && (state.scales.is_empty() || Some(state.scales.len()) == state.width());
        if fits {
            Ok(Forest { state })
        } else {
            Err(StateError::Damaged { detail: "its parts do not fit together".to_owned() })
        }
    }

    /// The options it was built with.
    pub fn options(&self) -> ForestOptions {
        self.state.options
    }

    /// Readings learned since it was new.
    pub fn readings_learned(&self) -> u64 {
        self.state.readings_learned
    }
}

impl Detector for Forest {
    fn score(&self, features: &[f64]) -> Result<Option<f64>, InputError> {
        self.state.check(features)?;
        let point = || scale::apply_all(&self.state.scales, features);
        Ok(self.state.warm_trees().and_then(|trees| trees.score(&point()).ok()))
    }

    fn expected(&self) -> Option<Vec<f64>> {
        let next = self.state.warm_trees()?.expected()?;
        Some(self.state.scales.iter().zip(next).map(|(scale, spreads)| scale.value(spreads)).collect())
    }

    fn attribution(&self, features: &[f64]) -> Result<Option<Vec<f64>>, InputError> {
        self.state.check(features)?;
        let point = || scale::apply_all(&self.state.scales, features);
        let parts = self.state.warm_trees().and_then(|trees| trees.attribution(&point()).ok());
        Ok(parts.map(detector::shares))
    }

    fn learn(&mut self, features: &[f64]) -> Result<(), InputError> {
        self.state.check(features)?;
        self.state.learn(features);
        Ok(())
    }

    fn save(&self) -> Vec<u8> {
        sealed::seal(&self.state, VERSION)
    }
}

impl State {
    /// The trees, once they have seen enough to score by.
    fn warm_trees(&self) -> Option<&Trees> {
        let warm = self.readings_learned >= self.options.warmup as u64;
        self.trees.as_ref().filter(|trees| warm && trees.shingles_learned() > 0)
    }

    fn width(&self) -> Option<usize> {
        self.recent.front().map(Vec::len)
    }

    fn check(&self, features: &[f64]) -> Result<(), InputError> {
        detector::check(features, self.width(), DIMENSIONS_MAX / self.options.shingle)
    }

    fn learn(&mut self, features: &[f64]) {
        if self.recent.len() == KEPT_SAMPLES * self.options.sample_size {
            self.recent.pop_front();
        }
        self.recent.push_back(features.to_vec());
        self.readings_learned += 1;
        if self.fit_is_due() && self.refit() {
            return;
        }
        let point = scale::apply_all(&self.scales, features);
        if let Some(trees) = &mut self.trees
            && trees.learn(&point).is_err()
        {
            // The trees cannot be trusted any more; the recent readings can.
            self.rebuild();
        }
    }

    fn first_fit(&self) -> u64 {
        FIRST_FIT.min(self.options.warmup as u64).max(self.options.shingle as u64)
    }

    fn fit_is_due(&self) -> bool {
        let (n, first) = (self.readings_learned, self.first_fit());
        n == first || n > first && (n.is_power_of_two() || n.is_multiple_of(self.options.sample_size as u64))
    }

    /// Fits the scales to the recent readings; true if the trees had to be rebuilt for it.
    fn refit(&mut self) -> bool {
        let width = self.width().unwrap_or(0);
        let fitted = scale::fit_all(self.recent.iter().map(Vec::as_slice), width);
        let young = self.readings_learned <= (KEPT_SAMPLES * self.options.sample_size) as u64;
        let stays = self.trees.is_some()
            && self.scales.iter().zip(&fitted).all(|(&old, &new)| !misfits(old, new, width, young));
        if !stays {
            self.scales = fitted;
            self.rebuild();
        }
        !stays
    }

    /// New trees, which learn the recent readings in order.
    fn rebuild(&mut self) {
        self.generation += 1;
        let ForestOptions { trees, sample_size, shingle, boxes, seed, .. } = self.options;
        let plan = Plan {
            width: self.scales.len(),
            shingle,
            trees,
            sample_size,
            // The first trees take the seed as it is.
            seed: seed.wrapping_add((self.generation - 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            fading: Fading::TenSamples,
            boxes,
        };
        self.trees = Trees::new(&plan).ok().and_then(|mut trees| {
            let mut rows = self.recent.iter();
            rows.try_for_each(|row| trees.learn(&scale::apply_all(&self.scales, row))).ok()?;
            Some(trees)
        });
    }
}

/// Whether a feature's scale has become wrong enough to rebuild the trees.
///
/// Always, if values would come near the cut-off or lose digits beside it. Among several features also if one
/// takes much more of the cuts than it should (drowning the others: a factor of 4) or much less (8, because a
/// quiet hour must not make the forest forget the busy ones). While `young`, the first fits were made from few
/// readings, and a factor of 1.5 is enough.
fn misfits(old: Scale, new: Scale, width: usize, young: bool) -> bool {
    let far = f64::from(REACH) / 10.0;
    let (shift, growth) = ((new.center - old.center).abs() / old.spread, new.spread / old.spread);
    let (shrunk, grown) = match (width, young) {
        (1, _) => (1.0 / far, far),
        (_, true) => (1.0 / 1.5, 1.5),
        (_, false) => (1.0 / 8.0, 4.0),
    };
    shift > far || !(shrunk..=grown).contains(&growth)
}
