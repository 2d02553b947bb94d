//! `evt`: beyond what the stream passes once in 1 / `risk` numbers. SPOT, on both sides bi-SPOT, and DSPOT where
//! numbers drift.
//!
//! Source: Siffer, Fouque, Termier, Largouët, "Anomaly detection in streams with extreme value theory", KDD 2017,
//! algorithm 2 (SPOT) and §4.3.1 (DSPOT: numbers are taken relative to the mean of the last ones that were normal).

use serde::{Deserialize, Serialize};

use super::tail::{Settings, Tail};
use super::window::Window;
use super::{Basis, Margin, Said, Side};
use crate::config::{Evt, Sides};

/// What is remembered: 4 bytes a peak and, with drift, a number of its depth; two tails where both sides count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Extremes {
    high: Tail,
    /// Of the numbers mirrored.
    low: Tail,
    drift: Window,
}

impl Evt {
    /// Judges `number` by those before it, and learns it unless it is anomalous.
    pub(crate) fn judge(&self, extremes: &mut Extremes, sides: Sides, number: f64) -> Said {
        let depth = self.drift as usize;
        let needed = self.warmup.saturating_add(self.drift);
        let before = u32::try_from(extremes.drift.len()).unwrap_or(u32::MAX);
        if extremes.drift.len() < depth {
            extremes.drift.push(number, self.drift);
            return Said::WarmingUp { seen: before + 1, needed, score: None };
        }
        let base = if depth > 0 { extremes.drift.mean() } else { 0.0 };
        let settings =
            Settings { risk: self.risk, level: self.level, warmup: self.warmup, peaks: self.peaks };
        let relative = number - base;
        let Extremes { high, low, drift } = extremes;
        let of_high =
            (sides != Sides::Low).then(|| self.side(high, Side::High, relative, base, &settings)).flatten();
        let of_low =
            (sides != Sides::High).then(|| self.side(low, Side::Low, relative, base, &settings)).flatten();
        let strangest = match (of_high, of_low) {
            (Some(a), Some(b)) => Some(if b.excess > a.excess { b } else { a }),
            (a, b) => a.or(b),
        };
        if depth > 0 && !strangest.is_some_and(|margin| margin.is_beyond()) {
            drift.push(number, self.drift);
        }
        let seen = high.count().max(low.count()).saturating_add(self.drift);
        strangest.map_or(Said::WarmingUp { seen, needed, score: None }, Said::Judged)
    }

    /// Judges on one side, and learns there.
    fn side(
        &self,
        tail: &mut Tail,
        side: Side,
        relative: f64,
        base: f64,
        settings: &Settings,
    ) -> Option<Margin> {
        let sign = if side == Side::High { 1.0 } else { -1.0 };
        let mirrored = sign * relative;
        let limits = tail.limits(settings);
        tail.learn(mirrored, settings);
        let (from, limit) = limits?;
        let basis = Basis::Evt { risk: self.risk, tail: base + sign * from };
        let excess = if mirrored == from { 0.0 } else { (mirrored - from) / (limit - from) };
        Some(Margin::new(mirrored > limit, base + relative, base + sign * limit, excess, basis))
    }
}
