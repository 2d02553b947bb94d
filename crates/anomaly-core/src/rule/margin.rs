//! A number beside its threshold: how far it goes, and where the threshold comes from.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::{Timestamp, human_duration};

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
    /// The number judged: the score, a feature's value, or what the method makes of it ([`Basis`]).
    pub judged: f64,
    /// What it must go beyond.
    pub threshold: f64,
    /// How far it goes: 1 at the threshold, 2 twice as far from what is usual. Above 1 exactly if the number is
    /// beyond the threshold; −[`EXCESS_MAX`] to [`EXCESS_MAX`].
    pub excess: f64,
    /// Where the threshold comes from.
    pub basis: Basis,
}

/// Where a threshold comes from. States and messages are full of these: new ones come last.
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
    /// Median + *k* robust deviations.
    Robust {
        /// The median.
        median: f64,
        /// The robust deviation: as large as the standard deviation where numbers are normally distributed.
        deviation: f64,
        /// How many of them.
        k: f64,
    },
    /// The median, and from there *k* times the way to a quantile.
    Quantile {
        /// The quantile, 0 to 1.
        q: f64,
        /// The median.
        median: f64,
        /// How many times the way.
        k: f64,
    },
    /// What is exceeded once in 1 / `risk` numbers, by the tail of their distribution.
    Evt {
        /// The probability.
        risk: f64,
        /// From where on a number belongs to the tail.
        tail: f64,
    },
    /// The configuration, for the change since the number before; judged is the change.
    RateOfChange {
        /// The number before.
        before: f64,
        /// This one.
        value: f64,
    },
    /// 1 − confidence; judged is the p-value, and lower is stranger.
    SpikeAndDip {
        /// The number that has it.
        value: f64,
        /// The mean of those before it.
        expected: f64,
    },
    /// The confidence; judged is the martingale.
    ChangePoint {
        /// The number on which it was reached.
        value: f64,
        /// The mean of those before it.
        expected: f64,
    },
    /// The rule's `for`, for readings that are anomalous or missing; judged is how many.
    Missing {
        /// How many are missing.
        missing: u32,
    },
    /// As [`Basis::Quantile`], of the scores of the training rows and not of this series'.
    CalibratedQuantile {
        /// The quantile, 0 to 1.
        q: f64,
        /// The median.
        median: f64,
        /// How many times the way.
        k: f64,
    },
    /// The configuration, for how long nothing came; both in seconds.
    Silence {
        /// When the last reading arrived.
        last: Timestamp,
    },
}

impl Margin {
    /// `excess` is put on the side of the threshold that `beyond` says, if rounding lost it.
    #[inline(always)]
    pub(crate) fn new(beyond: bool, judged: f64, threshold: f64, excess: f64, basis: Basis) -> Self {
        // Both subtractions and divisions of infinities give nothing; a number in sight of its threshold is no excess.
        let excess = if excess.is_nan() { 0.0 } else { excess.clamp(-EXCESS_MAX, EXCESS_MAX) };
        let excess = if beyond { excess.max(1.0_f64.next_up()) } else { excess.min(1.0) };
        Margin { judged, threshold: threshold.clamp(f64::MIN, f64::MAX), excess, basis }
    }

    /// Against a fixed threshold: the excess is judged / threshold for thresholds above 0, and in general
    /// 1 + (judged − threshold) / |threshold|, with 1 in place of a threshold of 0; on the low side mirrored.
    ///
    /// The threshold is exclusive, as in SageMaker's own RCF example (`score > score_cutoff`).
    pub(crate) fn fixed(side: Side, judged: f64, threshold: f64) -> Self {
        let unit = if threshold == 0.0 { 1.0 } else { threshold.abs() };
        let (distance, beyond) = match side {
            Side::High => (judged - threshold, judged > threshold),
            Side::Low => (threshold - judged, judged < threshold),
        };
        Margin::new(beyond, judged, threshold, 1.0 + distance / unit, Basis::Fixed)
    }

    /// Against a number that lies `reach`, 0 or more, from what is usual, `middle`, on `side` of it: the excess
    /// is the distance / reach.
    ///
    /// A reach of 0 (all equal so far) makes any other number infinitely strange.
    #[inline(always)]
    pub(crate) fn reaching(side: Side, judged: f64, middle: f64, reach: f64, basis: Basis) -> Self {
        let (distance, threshold) = match side {
            Side::High => (judged - middle, (middle + reach).min(f64::MAX)),
            Side::Low => (middle - judged, (middle - reach).max(f64::MIN)),
        };
        let excess = if distance == 0.0 { 0.0 } else { distance / reach };
        let beyond = match side {
            Side::High => judged > threshold,
            Side::Low => judged < threshold,
        };
        Margin::new(beyond, judged, threshold, excess, basis)
    }

    /// Whether the number is beyond the threshold.
    pub fn is_beyond(&self) -> bool {
        self.excess > 1.0
    }

    /// Which side of what is usual is judged.
    pub fn side(&self) -> Side {
        match self.basis {
            Basis::SpikeAndDip { value, expected } | Basis::ChangePoint { value, expected } => {
                if value < expected { Side::Low } else { Side::High }
            }
            Basis::RateOfChange { before, value } => {
                if value < before {
                    Side::Low
                } else {
                    Side::High
                }
            }
            Basis::Silence { .. } => Side::High,
            _ if (self.judged > self.threshold) == self.is_beyond() => Side::High,
            _ => Side::Low,
        }
    }

    /// The number itself, of which the one judged may have been made.
    pub fn value(&self) -> f64 {
        match self.basis {
            Basis::RateOfChange { value, .. }
            | Basis::SpikeAndDip { value, .. }
            | Basis::ChangePoint { value, .. } => value,
            _ => self.judged,
        }
    }

    /// What would have been usual in its place; `None` where nobody knows.
    pub fn expected(&self) -> Option<f64> {
        match self.basis {
            Basis::Fixed | Basis::Missing { .. } | Basis::Silence { .. } => None,
            Basis::Sigma { mean, .. } | Basis::Calibrated { mean, .. } => Some(mean),
            Basis::Robust { median, .. }
            | Basis::Quantile { median, .. }
            | Basis::CalibratedQuantile { median, .. } => Some(median),
            Basis::Evt { tail, .. } => Some(tail),
            Basis::RateOfChange { before, .. } => Some(before),
            Basis::SpikeAndDip { expected, .. } | Basis::ChangePoint { expected, .. } => Some(expected),
        }
    }

    /// The number on a scale from 0 to 1 with 0.5 at the threshold, comparable between series and models:
    /// excess / (excess + 1), 0 for anything below what is usual.
    pub fn anomaly_score(&self) -> f64 {
        let excess = self.excess.max(0.0);
        let score = excess / (excess + 1.0);
        // Rounding must not put a number on the wrong side of the boundary.
        if self.is_beyond() { score.max(0.5) } else { score.min(0.5_f64.next_down()) }
    }

    /// The numbers without where they come from: `21 against 10`, `p-value 1e-8 against 0.05`.
    pub fn against(&self) -> String {
        let what = match self.basis {
            Basis::Silence { .. } => {
                return format!("no data for {}, silent from {}", self.silent_for(), seconds(self.threshold));
            }
            Basis::SpikeAndDip { .. } => "p-value ",
            Basis::ChangePoint { .. } => "martingale ",
            Basis::RateOfChange { .. } => "change ",
            _ => "",
        };
        format!("{what}{} against {}", short(self.judged), short(self.threshold))
    }

    /// How long nothing came, for people; of a silence ([`Basis::Silence`]).
    pub fn silent_for(&self) -> String {
        seconds(self.judged)
    }

    /// The numbers in a few words: `21 over 10`, `3 under 5`, `500 where 0.1 is usual`.
    pub fn brief(&self) -> String {
        let (judged, threshold) = (short(self.judged), short(self.threshold));
        match (self.basis, self.side()) {
            (Basis::SpikeAndDip { value, expected } | Basis::ChangePoint { value, expected }, _) => {
                format!("{} where {} is usual", short(value), short(expected))
            }
            (Basis::Missing { missing }, _) => format!("{missing} missing"),
            (Basis::Silence { .. }, _) => format!("no data for {}", self.silent_for()),
            (Basis::RateOfChange { before, value }, _) => {
                format!("from {} to {}", short(before), short(value))
            }
            (_, Side::High) => format!("{judged} over {threshold}"),
            (_, Side::Low) => format!("{judged} under {threshold}"),
        }
    }
}

/// The largest excess: a number with 15 digits still prints as one.
pub const EXCESS_MAX: f64 = 1e6;

impl fmt::Display for Margin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.against())?;
        let sign = if self.side() == Side::Low { '−' } else { '+' };
        match self.basis {
            Basis::Fixed => f.write_str(" (fixed)"),
            Basis::Calibrated { mean, deviation, k } => {
                write!(f, " (trained mean {} {sign} {k} × deviation {})", short(mean), short(deviation))
            }
            Basis::Sigma { mean, deviation, k } => {
                write!(f, " (mean {} {sign} {k} × deviation {})", short(mean), short(deviation))
            }
            Basis::Robust { median, deviation, k } => {
                write!(f, " (median {} {sign} {k} × deviation {})", short(median), short(deviation))
            }
            Basis::Quantile { q, median, k } => {
                let k = if k == 1.0 { String::new() } else { format!("{k} × ") };
                write!(f, " ({k}the {} % quantile; median {})", short(q * 100.0), short(median))
            }
            Basis::CalibratedQuantile { q, median, k } => {
                let k = if k == 1.0 { String::new() } else { format!("{k} × ") };
                write!(f, " ({k}the trained {} % quantile; median {})", short(q * 100.0), short(median))
            }
            Basis::Evt { risk, tail } => {
                write!(f, " (passed once in {}; tail from {})", short(1.0 / risk), short(tail))
            }
            Basis::RateOfChange { before, value } => {
                write!(f, " (from {} to {})", short(before), short(value))
            }
            Basis::SpikeAndDip { value, expected } | Basis::ChangePoint { value, expected } => {
                write!(f, " ({} where {} is usual)", short(value), short(expected))
            }
            Basis::Missing { missing } => write!(f, " (anomalous or missing, {missing} missing)"),
            Basis::Silence { last } => write!(f, " (last seen {last})"),
        }
    }
}

/// A length of time in seconds, for people.
fn seconds(seconds: f64) -> String {
    human_duration((seconds * 1000.0).round() as i64)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_for_people() {
        let shown = [0.0, 1.0, 12.345678, -0.000123456, 123456.7, 1e12, 3e-9, 100.0].map(short);
        assert_eq!(shown, ["0", "1", "12.35", "-0.0001235", "123457", "1.000e12", "3.000e-9", "100"]);
    }

    #[test]
    fn each_basis_says_its_numbers() {
        let say = |margin: Margin| format!("{margin} | {}", margin.brief());
        let robust = Basis::Robust { median: 5.0, deviation: 0.5, k: 2.0 };
        assert_eq!(
            [
                say(Margin::fixed(Side::Low, 3.0, 5.0)),
                say(Margin::fixed(Side::Low, 7.0, 5.0)),
                say(Margin::reaching(Side::Low, 3.0, 5.0, 1.0, robust)),
                say(Margin::reaching(Side::High, 3.0, 5.0, 1.0, robust)),
                say(Margin::new(true, 1e-8, 0.05, 6.1, Basis::SpikeAndDip { value: 500.0, expected: 0.1 })),
                say(Margin::new(true, 9.0, 4.0, 2.1, Basis::ChangePoint { value: 2.0, expected: 7.0 })),
                say(Margin::new(true, 9.0, 4.0, 2.1, Basis::RateOfChange { before: 2.0, value: 11.0 })),
                say(Margin::new(true, 9.0, 4.0, 2.1, Basis::Evt { risk: 1e-4, tail: 3.5 })),
                say(Margin::new(true, 9.0, 4.0, 2.1, Basis::Quantile { q: 0.995, median: 1.0, k: 1.5 })),
                say(Margin::new(true, 3.0, 3.0, 1.0, Basis::Missing { missing: 2 })),
            ],
            [
                "3 against 5 (fixed) | 3 under 5",
                "7 against 5 (fixed) | 7 under 5",
                "3 against 4 (median 5 − 2 × deviation 0.5) | 3 under 4",
                "3 against 6 (median 5 + 2 × deviation 0.5) | 3 over 6",
                "p-value 1.000e-8 against 0.05 (500 where 0.1 is usual) | 500 where 0.1 is usual",
                "martingale 9 against 4 (2 where 7 is usual) | 2 where 7 is usual",
                "change 9 against 4 (from 2 to 11) | from 2 to 11",
                "9 against 4 (passed once in 10000; tail from 3.5) | 9 over 4",
                "9 against 4 (1.5 × the 99.5 % quantile; median 1) | 9 over 4",
                "3 against 3 (anomalous or missing, 2 missing) | 2 missing",
            ]
        );
    }

    proptest! {
        /// Whatever the numbers, the excess is on the side of the verdict, and the side is the one that was judged.
        #[test]
        fn the_excess_tells_the_verdict(judged in any::<f64>(), middle in any::<f64>(), reach in 0.0..1e300f64) {
            prop_assume!(judged.is_finite() && middle.is_finite());
            for side in [Side::High, Side::Low] {
                let sigma = Basis::Sigma { mean: middle, deviation: reach, k: 1.0 };
                for margin in [
                    Margin::fixed(side, judged, middle),
                    Margin::reaching(side, judged, middle, reach, sigma),
                ] {
                    let beyond = match side {
                        Side::High => judged > margin.threshold,
                        Side::Low => judged < margin.threshold,
                    };
                    prop_assert_eq!(margin.is_beyond(), beyond);
                    prop_assert!(margin.excess.abs() <= EXCESS_MAX);
                    prop_assert_eq!(margin.anomaly_score() >= 0.5, beyond);
                    prop_assert!(judged == margin.threshold || margin.side() == side, "{:?}", margin);
                }
            }
        }
    }
}
