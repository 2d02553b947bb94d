//! `change-point`: values that keep being improbable among the last ones.
//!
//! Source: `AnomalyDetection_ChangePoint` (Stream Analytics query language reference), which is ML.NET's
//! `IidChangePointDetector`: p-values of both sides are bet against, and the bets of the last `history` values
//! multiplied (Vovk, Nouretdinov, Gammerman, "Testing exchangeability on-line", ICML 2003, §3: the power martingale
//! ε·p^(ε − 1); §4: its mixture over all ε). The score is that product; it is told once in `history` values.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::density::{Density, clamped};
use super::spike_and_dip::{lower, percent, single};
use crate::config::{ChangePoint, Martingale};
use crate::rule::Side;

/// What is remembered: 12 bytes a value of the history, and 20.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    density: Density,
    /// The logarithms of the last bets, oldest first.
    bets: VecDeque<f64>,
    /// Their sum, as the engine keeps it.
    sum: f64,
    /// For how many values more nothing is told.
    quiet: u32,
}

/// What is said of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    /// The martingale; 0 where the engine has none.
    pub score: f64,
    /// What it must reach.
    pub threshold: f64,
    /// The logarithms of both: the numbers themselves may be too small or too large to compare.
    pub logarithms: (f64, f64),
    /// Whether this is the value on which the change is told.
    pub anomalous: bool,
    /// The p-value of this value.
    pub p: f64,
    /// Which side of the history the value lies on.
    pub side: Side,
    /// The history's mean before the value.
    pub expected: f64,
    /// How many values the history holds now; nothing is anomalous before it is full.
    pub seen: u32,
}

impl ChangePoint {
    /// Judges `value`, and takes it into the history. What is not a number is scored 0 and not taken in.
    pub fn judge(&self, evidence: &mut Evidence, value: f64) -> Said {
        let limit = f64::from(self.history) * self.bet(1.0 - percent(self.confidence, self.engine) / 100.0);
        let mut said = Said {
            score: 0.0,
            threshold: limit.exp(),
            logarithms: (f64::NEG_INFINITY, limit),
            anomalous: false,
            p: f64::NAN,
            side: Side::High,
            expected: 0.0,
            seen: evidence.seen(),
        };
        if value.is_nan() {
            return said;
        }
        let tail = evidence.density.take(single(value, self.engine), self.history, self.engine);
        let p = clamped(lower(tail.upper, 1.0 - tail.upper));
        evidence.add(self.bet(p), self.history as usize);
        let score = evidence.sum.exp();
        let is_full = evidence.density.len() >= self.history as usize;
        if is_full && score >= said.threshold && evidence.quiet == 0 {
            said.anomalous = true;
            evidence.quiet = self.history;
        }
        evidence.quiet = evidence.quiet.saturating_sub(1);
        said.side = if tail.upper > 0.5 { Side::Low } else { Side::High };
        (said.p, said.expected, said.seen) = (p, tail.mean, evidence.seen());
        if !score.is_nan() {
            (said.score, said.logarithms.0) = (score, evidence.sum);
        }
        said
    }

    /// The logarithm of the bet that a p-value wins.
    fn bet(&self, p: f64) -> f64 {
        match self.martingale {
            Martingale::Power => self.epsilon.ln() + (self.epsilon - 1.0) * p.ln(),
            Martingale::Mixture => {
                let log = p.ln();
                (p * log + 1.0 - p).ln() - 2.0 * (-log).ln() - log
            }
        }
    }
}

impl Evidence {
    fn seen(&self) -> u32 {
        u32::try_from(self.density.len()).unwrap_or(u32::MAX)
    }

    /// The first bet stands for all before it, and so does the first of another length of history.
    fn add(&mut self, bet: f64, history: usize) {
        match self.bets.pop_front() {
            Some(oldest) if self.bets.len() + 1 == history => {
                self.sum += bet;
                self.sum -= oldest;
                self.bets.push_back(bet);
            }
            _ => {
                self.bets.clear();
                self.bets.resize(history, bet);
                self.sum = history as f64 * bet;
            }
        }
    }
}
