//! `spike-and-dip`: a value that is improbable among the last ones.
//!
//! Source: `AnomalyDetection_SpikeAndDip` (Stream Analytics query language reference), which is ML.NET's
//! `IidSpikeDetector`: anomalous if the history is full and the p-value is at most 1 − confidence/100. The score is
//! the p-value: **lower is stranger**, and looking both ways never above 0.5.

use super::density::{Density, clamped};
use crate::config::{Engine, Mode, SpikeAndDip};
use crate::rule::Side;

/// What is said of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    /// The p-value, 1e-8 to 1 − 1e-8; 0 where the engine has none.
    pub score: f64,
    /// What it must not exceed.
    pub threshold: f64,
    /// Whether it is anomalous.
    pub anomalous: bool,
    /// Which side of the history the value lies on.
    pub side: Side,
    /// The history's mean before the value.
    pub expected: f64,
    /// How many values the history holds now; nothing is anomalous before it is full.
    pub seen: u32,
}

impl SpikeAndDip {
    /// Judges `value`, and takes it into the history. What is not a number is scored 0 and not taken in.
    pub fn judge(&self, history: &mut Density, value: f64) -> Said {
        let threshold = 1.0 - percent(self.confidence, self.engine) / 100.0;
        let seen = |history: &Density| u32::try_from(history.len()).unwrap_or(u32::MAX);
        if value.is_nan() {
            let (side, seen) = (Side::High, seen(history));
            return Said { score: 0.0, threshold, anomalous: false, side, expected: 0.0, seen };
        }
        let tail = history.take(single(value, self.engine), self.history, self.engine);
        let p = match self.mode {
            Mode::Spikes => tail.upper,
            Mode::Dips => 1.0 - tail.upper,
            Mode::SpikesAndDips => lower(tail.upper, 1.0 - tail.upper),
        };
        let p = clamped(p);
        let anomalous = history.len() >= self.history as usize && p <= threshold;
        let side = if tail.upper > 0.5 { Side::Low } else { Side::High };
        let score = if p.is_nan() { 0.0 } else { p };
        Said { score, threshold, anomalous, side, expected: tail.mean, seen: seen(history) }
    }
}

/// The confidence as the engine takes it: Stream Analytics' of 2020 cuts it to a whole percent.
pub(crate) fn percent(confidence: f64, engine: Engine) -> f64 {
    if engine == Engine::Parity { confidence.trunc() } else { confidence }
}

/// The engine works on singles. What is too large for one poisons it; ours takes the largest there is.
pub(crate) fn single(value: f64, engine: Engine) -> f32 {
    let single = value as f32;
    if engine == Engine::Robust { single.clamp(f32::MIN, f32::MAX) } else { single }
}

/// The lower one, and no number if either is none.
pub(crate) fn lower(a: f64, b: f64) -> f64 {
    if a <= b || a.is_nan() { a } else { b }
}
