//! The settings of each method that a rule can judge by.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// On which side of what is usual a number is anomalous.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    /// Above.
    #[default]
    High,
    /// Below.
    Low,
    /// Either.
    Both,
}

/// Whose arithmetic `spike-and-dip` and `change-point` follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// Stream Analytics' formulas, with the variance computed of the history at hand each time, so that it cannot
    /// go wrong.
    #[default]
    Robust,
    /// What Stream Analytics' engine computes, to the bit, with its drifting sum of squares: after a noisy stretch
    /// followed by a steady one it may see nothing any more. A fraction of a percent of confidence is cut.
    Parity,
    /// The same as ML.NET computes it: a fraction of a percent counts.
    MlNet,
}

/// `spike-and-dip`: Stream Analytics' `AnomalyDetection_SpikeAndDip`; which sides count is the mode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpikeAndDip {
    /// How sure it must be, in percent, 1 to 100; **lower finds more**. The p-value must be at most 1 − confidence/100.
    pub confidence: f64,
    /// How many values it compares with; 1 to [`HISTORY_MAX`].
    pub history: u32,
    /// What counts.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// Whose arithmetic.
    #[serde(skip_serializing_if = "is_default")]
    pub engine: Engine,
    /// How long `history` values take, as in `LIMIT DURATION`: gaps are filled as Stream Analytics does. Not with
    /// [`Engine::Robust`], which fills no gaps.
    #[serde(with = "super::duration::optional", skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
}

/// What `spike-and-dip` looks for, under Stream Analytics' names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Values above.
    Spikes,
    /// Values below.
    Dips,
    /// Both.
    #[default]
    SpikesAndDips,
}

/// `change-point`: Stream Analytics' `AnomalyDetection_ChangePoint`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChangePoint {
    /// How sure it must be, in percent, 1 to 100; **lower finds more**.
    pub confidence: f64,
    /// How many values it compares with, and over how many evidence adds up; 1 to [`HISTORY_MAX`].
    pub history: u32,
    /// Whose arithmetic.
    #[serde(skip_serializing_if = "is_default")]
    pub engine: Engine,
    /// How long `history` values take; see [`SpikeAndDip::duration`].
    #[serde(with = "super::duration::optional", skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
    /// How evidence adds up.
    #[serde(skip_serializing_if = "is_default")]
    pub martingale: Martingale,
    /// The power martingale's ε, above 0 and below 1.
    #[serde(skip_serializing_if = "is_epsilon_default")]
    pub epsilon: f64,
}

/// How the evidence of p-values adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Martingale {
    /// Bets ε·p^(ε − 1), as Stream Analytics with ε = 0.1.
    #[default]
    Power,
    /// The power martingale over all ε at once; ML.NET has it, Stream Analytics has not.
    Mixture,
}

/// The longest history of a method: each value takes 4 bytes of the series' state, 12 for `change-point`.
pub const HISTORY_MAX: u32 = 10_000;

/// Stream Analytics' ε.
const EPSILON: f64 = 0.1;

impl Default for SpikeAndDip {
    /// 95 % on the last 120 values, both ways: the call in Microsoft's own samples.
    fn default() -> Self {
        let (mode, engine) = (Mode::default(), Engine::default());
        SpikeAndDip { confidence: 95.0, history: 120, mode, engine, duration: None }
    }
}

impl Default for ChangePoint {
    /// 80 % on the last 120 values: the call in Microsoft's own samples.
    fn default() -> Self {
        ChangePoint {
            confidence: 80.0,
            history: 120,
            engine: Engine::default(),
            duration: None,
            martingale: Martingale::default(),
            epsilon: EPSILON,
        }
    }
}

/// Whether a setting need not be written.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_epsilon_default(epsilon: &f64) -> bool {
    *epsilon == EPSILON
}
