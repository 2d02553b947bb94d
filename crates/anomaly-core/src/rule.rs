//! What a rule says of one number, and what it remembers for the next.

use std::fmt;

use serde::{Deserialize, Serialize};

pub mod change_point;
pub mod density;
pub mod gaps;
pub mod spike_and_dip;

use crate::calibration::Calibration;
use crate::config::{Band, Method, Severity};

/// What a rule says of one reading, and why.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Too little is known yet to say anything.
    WarmingUp {
        /// Judgements learned from so far.
        seen: u32,
        /// Judgements needed.
        needed: u32,
    },
    /// There is nothing to judge: the detector gives no score yet, or the feature is not there.
    Unjudged,
    /// Within the threshold.
    Normal(Margin),
    /// Beyond the threshold.
    Anomalous(Margin, Severity),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::WarmingUp { seen, needed } => write!(f, "warming up {seen}/{needed}"),
            Finding::Unjudged => f.write_str("unjudged"),
            Finding::Normal(margin) => write!(f, "normal: {margin}"),
            Finding::Anomalous(margin, severity) => write!(f, "{severity}: {margin}"),
        }
    }
}

/// Which side of what is usual a number lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Above.
    High,
    /// Below.
    Low,
}

/// A number beside its threshold, and where the threshold comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Margin {
    /// The number judged: the score, or a feature's value.
    pub judged: f64,
    /// What it must exceed.
    pub threshold: f64,
    /// How far it goes: 1 at the threshold, 2 twice as far from what is usual; see [`Margin::fixed`] and
    /// [`Margin::sigma`].
    pub excess: f64,
    /// Where the threshold comes from.
    pub basis: Basis,
}

/// Where a threshold comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The configuration.
    Fixed,
    /// Mean + *k* standard deviations.
    Sigma {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        deviation: f64,
        /// How many of them.
        k: f64,
    },
    /// The same, of the scores of the training rows and not of this series'.
    Calibrated {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        deviation: f64,
        /// How many of them.
        k: f64,
    },
}

impl Margin {
    /// Against a fixed threshold: the excess is judged / threshold for thresholds above 0, and in general
    /// 1 + (judged − threshold) / |threshold|, with 1 in place of a threshold of 0.
    pub fn fixed(judged: f64, threshold: f64) -> Self {
        let unit = if threshold == 0.0 { 1.0 } else { threshold.abs() };
        let excess = 1.0 + (judged - threshold) / unit;
        Margin { judged, threshold, excess: excess.clamp(-EXCESS_MAX, EXCESS_MAX), basis: Basis::Fixed }
    }

    /// Against mean + *k* deviations: the excess is (judged − mean) / (k · deviation).
    ///
    /// A deviation of 0 (all equal so far) makes any higher number infinitely strange; the excess is then
    /// cut to [`EXCESS_MAX`], as it is for any other.
    pub fn sigma(judged: f64, mean: f64, deviation: f64, k: f64) -> Self {
        let distance = judged - mean;
        let reach = k * deviation;
        let excess = if distance == 0.0 { 0.0 } else { distance / reach };
        let basis = Basis::Sigma { mean, deviation, k };
        let threshold = (mean + reach).clamp(f64::MIN, f64::MAX);
        Margin { judged, threshold, excess: excess.clamp(-EXCESS_MAX, EXCESS_MAX), basis }
    }

    /// Whether the number exceeds the threshold; equal does not, as in SageMaker's own RCF example
    /// (`score > score_cutoff`).
    pub fn is_beyond(&self) -> bool {
        self.judged > self.threshold
    }

    /// The number on a scale from 0 to 1 with 0.5 at the threshold, comparable between series and models:
    /// excess / (excess + 1), 0 for anything below what is usual.
    pub fn anomaly_score(&self) -> f64 {
        let excess = self.excess.max(0.0);
        let score = excess / (excess + 1.0);
        // Rounding must not put a number on the wrong side of the boundary.
        if self.is_beyond() { score.max(0.5) } else { score.min(0.5_f64.next_down()) }
    }
}

/// The largest excess: a number with 15 digits still prints as one.
pub const EXCESS_MAX: f64 = 1e6;

impl fmt::Display for Margin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} against {}", short(self.judged), short(self.threshold))?;
        match self.basis {
            Basis::Fixed => f.write_str(" (fixed)"),
            Basis::Calibrated { mean, deviation, k } => {
                write!(f, " (trained mean {} + {k} × deviation {})", short(mean), short(deviation))
            }
            Basis::Sigma { mean, deviation, k } => {
                write!(f, " (mean {} + {k} × deviation {})", short(mean), short(deviation))
            }
        }
    }
}

/// A number for people: four significant digits, no exponent between 0.0001 and a billion.
pub fn short(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 {
        "0".to_owned()
    } else if (1e-4..1e9).contains(&size) {
        let decimals = (3 - size.log10().floor() as i32).clamp(0, 8) as usize;
        let text = format!("{number:.decimals$}");
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        }
    } else {
        format!("{number:.3e}")
    }
}

/// What `sigma` says of a score by a model whose scores are known from its training: at once, and the same for
/// every series. Other methods need no calibration: `None`.
pub(crate) fn calibrated(
    calibration: &Calibration,
    method: Method,
    bands: &[Band],
    score: f64,
) -> Option<Finding> {
    let Method::Sigma { k, .. } = method else { return None };
    let Calibration { mean, deviation, .. } = calibration;
    let (mean, deviation) = (*mean, *deviation);
    let margin = Margin::sigma(score, mean, deviation, k);
    Some(finding(Margin { basis: Basis::Calibrated { mean, deviation, k }, ..margin }, bands))
}

fn finding(margin: Margin, bands: &[Band]) -> Finding {
    match margin.is_beyond() {
        true => Finding::Anomalous(margin, severity(bands, &margin)),
        false => Finding::Normal(margin),
    }
}

/// What a rule remembers of a series' numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    count: u32,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
}

impl Memory {
    /// Judges `number` by `method`, then learns from it.
    ///
    /// What lies beyond the threshold is learned as if it lay on it: a long fault cannot lift the threshold
    /// above itself, and a lasting change is still accepted in the end.
    pub fn judge(&mut self, method: Method, bands: &[Band], number: f64) -> Finding {
        let margin = match method {
            Method::Static { threshold } => Margin::fixed(number, threshold),
            Method::Sigma { warmup, .. } if self.count < warmup => {
                self.learn(number);
                return Finding::WarmingUp { seen: self.count, needed: warmup };
            }
            Method::Sigma { k, .. } => {
                let margin = Margin::sigma(number, self.mean, self.deviation(), k);
                self.learn(number.min(margin.threshold.max(self.mean)));
                margin
            }
        };
        finding(margin, bands)
    }

    /// Mean and squared distances in one pass (Welford, "Note on a method for calculating corrected sums of
    /// squares and products", Technometrics 4 (3), 1962). A step that would overflow is not taken.
    fn learn(&mut self, number: f64) {
        let count = self.count.saturating_add(1);
        let distance = number - self.mean;
        let mean = self.mean + distance / f64::from(count);
        let squares = self.squares + distance * (number - mean);
        if mean.is_finite() && squares.is_finite() {
            *self = Memory { count, mean, squares };
        }
    }

    /// The standard deviation of the sample (n − 1); 0 for fewer than two numbers.
    fn deviation(&self) -> f64 {
        if self.count < 2 { 0.0 } else { (self.squares / f64::from(self.count - 1)).sqrt() }
    }
}

/// The highest band that `margin` reaches; the lowest one if it reaches none.
fn severity(bands: &[Band], margin: &Margin) -> Severity {
    let reached = bands.iter().rev().find(|band| margin.excess >= band.at).or(bands.first());
    reached.map_or(Severity::Warning, |band| band.level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rule;
    use proptest::prelude::*;

    const SIGMA: Method = Method::Sigma { k: 3.0, warmup: 4 };

    fn judge(memory: &mut Memory, method: Method, number: f64) -> String {
        memory.judge(method, &Rule::default().severity, number).to_string()
    }

    #[test]
    fn sigma_warms_up_then_judges() {
        let mut memory = Memory::default();
        let said: Vec<String> =
            [1.0, 2.0, 3.0, 2.0, 3.0, 9.0, 4.0].map(|n| judge(&mut memory, SIGMA, n)).into();
        assert_eq!(
            said,
            [
                "warming up 1/4",
                "warming up 2/4",
                "warming up 3/4",
                "warming up 4/4",
                "normal: 3 against 4.449 (mean 2 + 3 × deviation 0.8165)",
                "critical: 9 against 4.71 (mean 2.2 + 3 × deviation 0.8367)",
                "normal: 4 against 6.425 (mean 2.618 + 3 × deviation 1.269)",
            ]
        );
    }

    #[test]
    fn a_long_fault_does_not_hide_the_next() {
        let mut memory = Memory::default();
        (0..200).for_each(|i| drop(judge(&mut memory, SIGMA, f64::from(i % 5))));
        (0..20).for_each(|_| drop(judge(&mut memory, SIGMA, 1000.0)));
        assert!(judge(&mut memory, SIGMA, 1000.0).starts_with("critical"));
    }

    #[test]
    fn fixed_thresholds_are_exclusive_and_may_be_negative() {
        let mut memory = Memory::default();
        let mut say = |threshold, n| judge(&mut memory, Method::Static { threshold }, n);
        assert_eq!(say(80.0, 80.0), "normal: 80 against 80 (fixed)");
        assert_eq!(say(80.0, 81.0), "warning: 81 against 80 (fixed)");
        assert_eq!(say(80.0, 120.0), "critical: 120 against 80 (fixed)");
        assert_eq!(say(-10.0, -11.0), "normal: -11 against -10 (fixed)");
        assert_eq!(say(-10.0, -4.0), "critical: -4 against -10 (fixed)");
        assert_eq!(say(0.0, 0.1), "warning: 0.1 against 0 (fixed)");
    }

    #[test]
    fn constant_numbers_are_normal_and_a_step_is_not() {
        let mut memory = Memory::default();
        (0..10).for_each(|_| drop(judge(&mut memory, SIGMA, 5.0)));
        assert!(judge(&mut memory, SIGMA, 5.0).starts_with("normal"));
        assert!(judge(&mut memory, SIGMA, 5.1).starts_with("critical"));
    }

    #[test]
    fn numbers_for_people() {
        let shown = [0.0, 1.0, 12.345678, -0.000123456, 123456.7, 1e12, 3e-9, 100.0].map(short);
        assert_eq!(shown, ["0", "1", "12.35", "-0.0001235", "123457", "1.000e12", "3.000e-9", "100"]);
    }

    proptest! {
        #[test]
        fn scores_are_on_the_side_of_their_verdict(numbers in proptest::collection::vec(-1e300..1e300f64, 5..40)) {
            let mut memory = Memory::default();
            for number in numbers {
                match memory.judge(SIGMA, &Rule::default().severity, number) {
                    Finding::Normal(m) => prop_assert!((0.0..0.5).contains(&m.anomaly_score())),
                    Finding::Anomalous(m, _) => prop_assert!((0.5..=1.0).contains(&m.anomaly_score())),
                    Finding::WarmingUp { .. } | Finding::Unjudged => {}
                }
            }
        }
    }
}
