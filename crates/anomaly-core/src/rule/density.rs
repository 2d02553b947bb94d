//! How unusual a value is among those before it: the p-value under which `spike-and-dip` and `change-point` stand.
//!
//! Source: ML.NET `IidAnomalyDetectionBase` and `SequentialAnomalyDetectionTransformBase` (`ComputeKernelPValue`),
//! which Stream Analytics' engine calls: a density of Gaussian kernels, one on each value of the history, as wide as
//! the history's standard deviation. Measured against that engine and ML.NET: `tests/azure.rs`.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::config::Engine;

/// The narrowest kernel.
const BANDWIDTH_MIN: f64 = 1e-6;
/// The smallest p-value, and 1 less the largest.
const P_VALUE_MIN: f64 = 1e-8;

/// The last values of a series, 4 bytes each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Density {
    /// Oldest first.
    values: VecDeque<f32>,
    /// The sum of the squared differences of all pairs of values, as the engine keeps it; not used by
    /// [`Engine::Robust`].
    squares: f64,
}

/// What the history says of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tail {
    /// The probability of a value at least as high; not a number where the engine went blind.
    pub(crate) upper: f64,
    /// The history's mean; the value itself if there is no history.
    pub(crate) mean: f64,
}

impl Density {
    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// What the values so far say of `value`, which is then one of them: of the last `history`.
    pub(crate) fn take(&mut self, value: f32, history: u32, engine: Engine) -> Tail {
        let history = history.max(1) as usize;
        while self.values.len() > history {
            self.values.pop_front();
        }
        let is_full = self.values.len() == history;
        let tail = self.tail(f64::from(value), engine);
        if engine != Engine::Robust {
            self.add_squares(value, is_full);
        }
        if is_full {
            self.values.pop_front();
        }
        self.values.push_back(value);
        tail
    }

    fn tail(&self, value: f64, engine: Engine) -> Tail {
        let count = self.values.len() as f64;
        if self.values.is_empty() {
            return Tail { upper: 0.5, mean: value };
        }
        let mean = self.values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
        let squares = match engine {
            Engine::Robust => count * self.values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>(),
            Engine::Parity | Engine::MlNet => self.squares,
        };
        let deviation = if self.values.len() == 1 { 1.0 } else { squares.sqrt() / count };
        let bandwidth = std::f64::consts::SQRT_2 * deviation;
        // Not `max`, which would turn the engine's NaN into a number.
        let bandwidth = if bandwidth < BANDWIDTH_MIN { BANDWIDTH_MIN } else { bandwidth };
        let sum = self.values.iter().fold(0.0, |sum, v| sum - erf((value - f64::from(*v)) / bandwidth));
        Tail { upper: 0.5 + sum / (2.0 * count), mean }
    }

    /// The engine's running sum: it adds differences of doubles and takes away differences of floats.
    fn add_squares(&mut self, value: f32, is_full: bool) {
        for other in &self.values {
            self.squares += (f64::from(value) - f64::from(*other)).powi(2);
        }
        if let (Some(oldest), true) = (self.values.front().copied(), is_full) {
            for other in self.values.iter().skip(1) {
                self.squares -= f64::from(oldest - *other).powi(2);
            }
            self.squares -= (f64::from(oldest) - f64::from(value)).powi(2);
        }
    }
}

/// `p` within what the engine gives; not a number stays none.
pub(crate) fn clamped(p: f64) -> f64 {
    p.clamp(P_VALUE_MIN, 1.0 - P_VALUE_MIN)
}

/// The error function, to 1.5e-7. Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26, as
/// ML.NET's `ProbabilityFunctions.Erf` has it.
fn erf(x: f64) -> f64 {
    let z = x.abs();
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let poly =
        ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    let value = 1.0 - poly * (-(z * z)).exp();
    if x < 0.0 { -value } else { value }
}
