//! A feature without its unit: whole steps from an anchor.
//!
//! Everything behind it computes with whole numbers of steps, so the same series in another unit (°F for °C,
//! bits for bytes) gives the same scores to the last bit, not only nearly: what floating point rounds
//! differently on the way here is far below a step.

use serde::{Deserialize, Serialize};

/// Steps in the first move of a feature: fine enough for moves a thousand times smaller. Not a round number,
/// so that values on a lattice of their own do not fall half-way between two steps.
const STEPS_IN_FIRST_MOVE: f64 = 1024.0 * 0.975_310_864_19;

/// No value lies farther from the anchor, in steps: a billion first moves.
pub(super) const STEPS_MAX: f64 = (1u64 << 40) as f64;

/// After so many readings the step is looked at.
const PERIOD: u8 = 64;

/// How much finer or coarser the step becomes at once: a power of two, so that what is kept is scaled
/// exactly.
pub(super) const REFINEMENT_LOG2: i32 = 10;

/// Fewer steps than this are a move that was lost.
const LOST_BELOW: f64 = 4.0;

/// Where a feature's steps lie. The first reading is the anchor, its first move makes the step.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Grid {
    anchor: f64,
    /// Half a step, in the feature's unit (the whole one could overflow); 0 while the feature has never
    /// moved.
    half_step: f64,
    last: f64,
    seen: u8,
    lost: u8,
    clipped: u8,
}

/// What the step became while a reading was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Stays,
    /// Finer: what is kept in steps grows by 2 to the power of [`REFINEMENT_LOG2`].
    Finer,
    /// Coarser: what is kept shrinks by as much.
    Coarser,
}

impl Grid {
    pub(super) fn new(first: f64) -> Grid {
        Grid { anchor: first, last: first, ..Grid::default() }
    }

    /// `value` (finite) in whole steps from the anchor, within plus and minus [`STEPS_MAX`].
    pub(super) fn place(&self, value: f64) -> f64 {
        let half_step = if self.half_step > 0.0 { self.half_step } else { self.first_half_step(value) };
        // Halves, because two finite values can lie farther apart than the largest finite number.
        let steps = (value / 2.0 - self.anchor / 2.0) / half_step;
        // -0.0 and 0.0 are one place, but not one bit pattern: adding 0.0 makes them one.
        steps.clamp(-STEPS_MAX, STEPS_MAX).round() + 0.0
    }

    /// The value at `steps` from the anchor, in the feature's unit; finite.
    pub(super) fn value(&self, steps: f64) -> f64 {
        (2.0 * (self.anchor / 2.0 + steps * self.half_step)).clamp(f64::MIN, f64::MAX)
    }

    /// Takes `value` as the next one; `reach` is the farthest that is kept, in steps.
    pub(super) fn learn(&mut self, value: f64, reach: f64) -> Step {
        if self.half_step == 0.0 && value != self.anchor {
            self.half_step = self.first_half_step(value);
        }
        let (from, to) = (self.place(self.last), self.place(value));
        self.lost += u8::from(value != self.last && (to - from).abs() < LOST_BELOW);
        self.clipped += u8::from(to.abs() >= STEPS_MAX);
        self.last = value;
        self.seen += 1;
        if self.seen < PERIOD {
            return Step::Stays;
        }
        let (lost, clipped) = (self.lost > PERIOD / 2, self.clipped > PERIOD / 2);
        (self.seen, self.lost, self.clipped) = (0, 0, 0);
        let factor = 2f64.powi(REFINEMENT_LOG2);
        if clipped && (self.half_step * factor).is_finite() {
            self.half_step *= factor;
            Step::Coarser
        } else if lost && reach * factor < STEPS_MAX && self.half_step / factor > f64::MIN_POSITIVE {
            self.half_step /= factor;
            Step::Finer
        } else {
            Step::Stays
        }
    }

    fn first_half_step(&self, value: f64) -> f64 {
        ((value / 2.0 - self.anchor / 2.0).abs() / STEPS_IN_FIRST_MOVE).max(f64::MIN_POSITIVE)
    }

    pub(super) fn is_sound(&self) -> bool {
        self.anchor.is_finite()
            && self.last.is_finite()
            && self.half_step.is_finite()
            && self.half_step >= 0.0
            && self.seen < PERIOD
            && self.lost <= self.seen
            && self.clipped <= self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_unit_is_the_same_place() {
        let values: Vec<f64> = (0..500u32).map(|n| f64::from(n * n % 97) * 0.1).collect();
        let other: Vec<f64> = values.iter().map(|v| 3.7 * v - 120.0).collect();
        let (mut grid, mut twin) = (Grid::new(values[0]), Grid::new(other[0]));
        for (&value, &twin_value) in values.iter().zip(&other) {
            assert_eq!(grid.learn(value, 0.0), twin.learn(twin_value, 0.0));
            assert_eq!(grid.place(value), twin.place(twin_value));
            assert!((grid.value(grid.place(value)) - value).abs() < 0.01);
        }
    }

    #[test]
    fn a_first_move_that_was_no_measure_is_mended() {
        let mut grid = Grid::new(0.0);
        grid.learn(1e9, 0.0);
        for n in 0..1000 {
            grid.learn(f64::from(n % 7), 1024.0);
        }
        assert!((grid.place(6.0) - grid.place(0.0)).abs() > 100.0, "{grid:?}");
        for n in 0..1000 {
            grid.learn(f64::from(n % 7) * 1e200, 1024.0);
        }
        let far = (0..40_000).find(|n| {
            grid.learn(f64::from(n % 7) * 1e200, 1024.0);
            (grid.place(6e200) - grid.place(5e200)).abs() > 100.0
        });
        assert!(far.is_some(), "{grid:?}");
    }

    #[test]
    fn extremes_stay_finite() {
        for (first, second) in
            [(f64::MAX, f64::MIN), (0.0, 5e-324), (1e-300, 1e300), (-1e300, -1e300), (0.0, f64::MIN_POSITIVE)]
        {
            let mut grid = Grid::new(first);
            grid.learn(second, 0.0);
            for value in [first, second, f64::MAX, f64::MIN, 0.0] {
                let place = grid.place(value);
                assert!(place.abs() <= STEPS_MAX && grid.value(place).is_finite(), "{grid:?} {value}");
            }
        }
    }
}
