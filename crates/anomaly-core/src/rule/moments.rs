//! `sigma`: mean + *k* standard deviations of the numbers so far.

use serde::{Deserialize, Serialize};

use super::{Basis, Margin, Said, away};
use crate::config::Sides;

/// Mean and deviation of the numbers so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moments {
    count: u32,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
}

impl Moments {
    /// Judges `number` by those before it, then learns it.
    ///
    /// What lies beyond the threshold is learned as if it lay on it: a long fault cannot lift the threshold
    /// above itself, and a lasting change is still accepted in the end.
    pub(crate) fn judge(&mut self, k: f64, warmup: u32, sides: Sides, number: f64) -> Said {
        if self.count < warmup {
            self.learn(number);
            return Said::WarmingUp { seen: self.count, needed: warmup, score: None };
        }
        let margin = sigma(self.mean, self.deviation(), k, sides, number);
        let on_threshold = margin.is_beyond() && margin.threshold.is_finite();
        self.learn(if on_threshold { margin.threshold } else { number });
        Said::Judged(margin)
    }

    /// Mean and squared distances in one pass (Welford, "Note on a method for calculating corrected sums of
    /// squares and products", Technometrics 4 (3), 1962). A step that would overflow is not taken.
    fn learn(&mut self, number: f64) {
        let count = self.count.saturating_add(1);
        let distance = number - self.mean;
        let mean = self.mean + distance / f64::from(count);
        let squares = self.squares + distance * (number - mean);
        if mean.is_finite() && squares.is_finite() {
            *self = Moments { count, mean, squares };
        }
    }

    /// The standard deviation of the sample (n − 1); 0 for fewer than two numbers.
    fn deviation(&self) -> f64 {
        if self.count < 2 { 0.0 } else { (self.squares / f64::from(self.count - 1)).sqrt() }
    }
}

/// `number` against mean ± *k* deviations: the excess is the distance from the mean / (k · deviation).
pub(crate) fn sigma(mean: f64, deviation: f64, k: f64, sides: Sides, number: f64) -> Margin {
    let basis = Basis::Sigma { mean, deviation, k };
    Margin::reaching(away(sides, number, mean), number, mean, k * deviation, basis)
}
