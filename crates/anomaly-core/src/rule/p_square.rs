//! A quantile of all numbers so far, from five of them.
//!
//! Source: Jain and Chlamtac, "The P² algorithm for dynamic calculation of quantiles and histograms without storing
//! observations", Communications of the ACM 28 (10), 1985.

use serde::{Deserialize, Serialize};

/// Five markers: the lowest number, estimates of the quantiles q/2, q and (1 + q)/2, and the highest number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PSquare {
    heights: [f64; 5],
    /// How many numbers are at or below each marker.
    places: [f64; 5],
    count: u32,
}

impl PSquare {
    /// How many numbers there were.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The estimate of the quantile; 0 before five numbers.
    pub fn quantile(&self) -> f64 {
        self.heights[2]
    }

    /// The estimate of the quantile q/2; 0 before five numbers.
    pub fn half(&self) -> f64 {
        self.heights[1]
    }

    /// Takes in `number`; `q`, between 0 and 1, is the same each time.
    pub fn push(&mut self, number: f64, q: f64) {
        let seen = self.count as usize;
        self.count = self.count.saturating_add(1);
        if seen < 5 {
            self.heights[seen] = number;
            self.places[seen] = seen as f64 + 1.0;
            self.heights[..=seen].sort_by(f64::total_cmp);
            return;
        }
        self.heights[0] = self.heights[0].min(number);
        self.heights[4] = self.heights[4].max(number);
        let cell = (1..4).take_while(|&i| self.heights[i] <= number).count();
        self.places[cell + 1..].iter_mut().for_each(|place| *place += 1.0);
        let last = f64::from(self.count) - 1.0;
        for (i, share) in [(1, q / 2.0), (2, q), (3, (1.0 + q) / 2.0)] {
            self.adjust(i, 1.0 + last * share);
        }
    }

    /// Moves marker `i` by one place if it is a place or more from where it should be.
    fn adjust(&mut self, i: usize, wanted: f64) {
        let off = wanted - self.places[i];
        let room = if off >= 1.0 {
            self.places[i + 1] - self.places[i]
        } else {
            self.places[i] - self.places[i - 1]
        };
        if off.abs() < 1.0 || room <= 1.0 {
            return;
        }
        let step = off.signum();
        let parabolic = self.parabolic(i, step);
        let fits = self.heights[i - 1] < parabolic && parabolic < self.heights[i + 1];
        self.heights[i] = if fits { parabolic } else { self.linear(i, step) };
        self.places[i] += step;
    }

    fn parabolic(&self, i: usize, step: f64) -> f64 {
        let (q, n) = (&self.heights, &self.places);
        let above = (n[i] - n[i - 1] + step) * (q[i + 1] - q[i]) / (n[i + 1] - n[i]);
        let below = (n[i + 1] - n[i] - step) * (q[i] - q[i - 1]) / (n[i] - n[i - 1]);
        q[i] + step / (n[i + 1] - n[i - 1]) * (above + below)
    }

    fn linear(&self, i: usize, step: f64) -> f64 {
        let next = if step > 0.0 { i + 1 } else { i - 1 };
        let rise = (self.heights[next] - self.heights[i]) / (self.places[next] - self.places[i]);
        self.heights[i] + step * rise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the paper, table I: the median of 20 numbers.
    #[test]
    fn the_papers_example() {
        let numbers = [
            0.02, 0.15, 0.74, 3.39, 0.83, 22.37, 10.15, 15.43, 38.62, 15.92, 34.60, 10.28, 1.47, 0.40, 0.05,
            11.39, 0.27, 0.42, 0.09, 11.37,
        ];
        let mut markers = PSquare::default();
        numbers.iter().for_each(|number| markers.push(*number, 0.5));
        assert_eq!((markers.quantile() * 100.0).round() / 100.0, 4.44);
        assert_eq!((markers.heights[0], markers.heights[4], markers.places[4]), (0.02, 38.62, 20.0));
    }

    #[test]
    fn high_quantiles_of_many_numbers() {
        let mut markers = PSquare::default();
        let mut seed = 1_u64;
        for _ in 0..100_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            markers.push((seed >> 11) as f64 / (1_u64 << 53) as f64, 0.99);
        }
        assert!((markers.quantile() - 0.99).abs() < 0.002, "{}", markers.quantile());
        assert!((markers.half() - 0.495).abs() < 0.01, "{}", markers.half());
    }
}
