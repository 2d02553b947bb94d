//! `quantile`: beyond a quantile of all numbers so far, or *k* times as far from the median.

use serde::{Deserialize, Serialize};

use super::p_square::PSquare;
use super::{Basis, Margin, Said, Side, away};
use crate::calibration;
use crate::config::{Quantile, Sides};

/// What is remembered: of the numbers, and of the numbers mirrored where low ones count; 100 bytes each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    high: PSquare,
    low: PSquare,
}

impl Quantile {
    /// Judges `number` by those before it, and learns it: a few strange ones move a quantile little.
    pub(crate) fn judge(&self, quantiles: &mut Quantiles, sides: Sides, number: f64) -> Said {
        let seen = quantiles.high.count().max(quantiles.low.count());
        let said = if seen < self.warmup {
            Said::WarmingUp { seen: seen + 1, needed: self.warmup, score: None }
        } else {
            Said::Judged(self.margin(quantiles, sides, number))
        };
        if sides != Sides::Low {
            quantiles.high.push(number, self.q);
        }
        if sides != Sides::High {
            quantiles.low.push(-number, self.q);
        }
        said
    }

    /// Judges a score by the quantiles of a model's training; `None` on the low side, of which they say nothing.
    pub(crate) fn calibrated(
        &self,
        trained: &calibration::Quantiles,
        sides: Sides,
        score: f64,
    ) -> Option<Margin> {
        let (median, q, k) = (trained.at(0.5), self.q, self.k);
        let reach = k * (trained.at(q) - median).max(0.0);
        let basis = Basis::CalibratedQuantile { q, median, k };
        (sides == Sides::High).then(|| Margin::reaching(Side::High, score, median, reach, basis))
    }

    fn margin(&self, Quantiles { high, low }: &Quantiles, sides: Sides, number: f64) -> Margin {
        let middle = match sides {
            Sides::High => high.half(),
            Sides::Low => -low.half(),
            Sides::Both => (high.half() - low.half()) / 2.0,
        };
        let side = away(sides, number, middle);
        let quantile = if side == Side::High { high.quantile() } else { -low.quantile() };
        let reach = self.k * (quantile - middle).abs();
        let basis = Basis::Quantile { q: self.q, median: middle, k: self.k };
        Margin::reaching(side, number, middle, reach, basis)
    }
}
