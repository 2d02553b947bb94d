//! `sigma`: mean + *k* standard deviations of the numbers so far.

use serde::{Deserialize, Serialize};

use super::{Basis, Margin, away};
use crate::config::Sides;

/// Mean and deviation of the numbers so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Learned", into = "Learned")]
pub(crate) struct Moments {
    learned: Learned,
    /// The standard deviation of the sample (n − 1); 0 for fewer than two numbers. It is there before the next number
    /// is, which would have to wait for it.
    deviation: f64,
}

/// What is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Learned {
    count: u32,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
}

impl From<Learned> for Moments {
    #[inline(always)]
    fn from(learned: Learned) -> Self {
        let Learned { count, squares, .. } = learned;
        let deviation = if count < 2 { 0.0 } else { (squares / f64::from(count - 1)).sqrt() };
        Moments { learned, deviation }
    }
}

impl From<Moments> for Learned {
    fn from(moments: Moments) -> Self {
        moments.learned
    }
}

impl Moments {
    /// Judges `number` by those before it, then learns it.
    ///
    /// What lies beyond the threshold is learned as if it lay on it: a long fault cannot lift the threshold
    /// above itself, and a lasting change is still accepted in the end.
    ///
    /// # Errors
    /// How many there were, as long as they are no more than `warmup`.
    #[inline(always)]
    pub(crate) fn judge(&mut self, k: f64, warmup: u32, sides: Sides, number: f64) -> Result<Margin, u32> {
        if self.learned.count < warmup {
            self.learn(number);
            return Err(self.learned.count);
        }
        let margin = sigma(self.learned.mean, self.deviation, k, sides, number);
        match margin.is_beyond() && !margin.threshold.is_nan() {
            true => self.learn_rarely(margin.threshold),
            false => self.learn(number),
        }
        Ok(margin)
    }

    /// Away from the other: were one of both learned, whichever it is, what is learned would have to wait for the
    /// root and the divisions that tell which.
    #[cold]
    #[inline(never)]
    fn learn_rarely(&mut self, number: f64) {
        self.learn(number);
    }

    /// Mean and squared distances in one pass (Welford, "Note on a method for calculating corrected sums of
    /// squares and products", Technometrics 4 (3), 1962). A step that would overflow is not taken.
    #[inline(always)]
    fn learn(&mut self, number: f64) {
        let count = self.learned.count.saturating_add(1);
        let distance = number - self.learned.mean;
        let mean = self.learned.mean + distance / f64::from(count);
        let squares = self.learned.squares + distance * (number - mean);
        // Nor is this a number where the mean is none: it lies infinitely far from every number.
        if squares.is_finite() {
            *self = Learned { count, mean, squares }.into();
        }
    }
}

/// `number` against mean ± *k* deviations: the excess is the distance from the mean / (k · deviation).
pub(crate) fn sigma(mean: f64, deviation: f64, k: f64, sides: Sides, number: f64) -> Margin {
    let basis = Basis::Sigma { mean, deviation, k };
    Margin::reaching(away(sides, number, mean), number, mean, k * deviation, basis)
}
