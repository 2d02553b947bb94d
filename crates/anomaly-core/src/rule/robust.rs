//! `robust`: median + *k* robust deviations of the last numbers.
//!
//! Source: Iglewicz and Hoaglin, "How to detect and handle outliers", 1993, chapter 3, which flags what lies more than
//! 3.5 of them away. Up to half of the numbers may be strange without moving the threshold, so all are learned; a new
//! level is the normal one once it fills half of the history.

use super::window::Window;
use super::{Basis, Margin, Said, away};
use crate::config::{Robust, Sides};

impl Robust {
    /// Judges `number` by those before it, and learns it.
    pub(crate) fn judge(&self, window: &mut Window, sides: Sides, number: f64) -> Said {
        let seen = u32::try_from(window.len()).unwrap_or(u32::MAX);
        let said = if seen < self.warmup {
            Said::WarmingUp { seen: seen + 1, needed: self.warmup, score: None }
        } else {
            let median = window.median();
            let deviation = window.deviation(median);
            let basis = Basis::Robust { median, deviation, k: self.k };
            Said::Judged(Margin::reaching(
                away(sides, number, median),
                number,
                median,
                self.k * deviation,
                basis,
            ))
        };
        window.push(number, self.history);
        said
    }
}
