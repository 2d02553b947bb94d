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

/// What a reading counts that a rule had nothing to judge of, or that did not come ([`super::Rule::every`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Nothing: the last readings are the last that there were, however long ago.
    #[default]
    Skip,
    /// As CloudWatch's `missing`: what is there decides, as long as enough is there.
    Missing,
    /// As CloudWatch's `ignore`: where too little is there, the alert stays as it is.
    Ignore,
    /// It counts as anomalous.
    Breaching,
    /// It counts as normal.
    NotBreaching,
}

/// Deviations that are no alert, however unusual: a number is ignored if it lies within either of what is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ignore {
    /// At most so far from it, in the number's own unit; 0 or more.
    #[serde(skip_serializing_if = "is_default")]
    pub absolute: f64,
    /// At most so far from it, as a share of it: 0.2 is a fifth; 0 or more.
    #[serde(skip_serializing_if = "is_default")]
    pub relative: f64,
}

impl Ignore {
    /// Whether `value` is so near to what is usual that it is ignored; never where nobody knows what that is.
    pub fn covers(&self, value: f64, usual: Option<f64>) -> bool {
        let Some(usual) = usual.filter(|_| *self != Ignore::default()) else { return false };
        let distance = (value - usual).abs();
        distance <= self.absolute || distance <= self.relative * usual.abs()
    }
}

/// `robust`: anomalous beyond median ± *k* robust deviations of the last numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Robust {
    /// How many robust deviations; above 0.
    pub k: f64,
    /// Of how many numbers; 3 to [`HISTORY_MAX`].
    pub history: u32,
    /// How many to learn from before the first verdict; 2 to `history`.
    pub warmup: u32,
}

/// `quantile`: anomalous beyond a quantile of all numbers so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quantile {
    /// The quantile, above 0.5 and below 1; on the low side its mirror image, 1 − q.
    pub q: f64,
    /// How many times as far from the median; above 0.
    #[serde(skip_serializing_if = "is_one")]
    pub k: f64,
    /// How many numbers to learn from before the first verdict; at least 5.
    pub warmup: u32,
}

/// `evt`: anomalous beyond what is passed once in 1 / `risk` numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evt {
    /// The probability that a number like those before it is called anomalous; above 0 and below 1 − `level`.
    pub risk: f64,
    /// The share of numbers that do not belong to the tail; 0.5 or more, below 1.
    pub level: f64,
    /// How many numbers to learn from before the first verdict; at least 10 of them must belong to the tail.
    pub warmup: u32,
    /// How many numbers of the tail are kept; 10 to [`HISTORY_MAX`].
    pub peaks: u32,
    /// The tail is that of the numbers less the mean of so many before them, for series that drift; 0, none, to
    /// [`HISTORY_MAX`].
    #[serde(skip_serializing_if = "is_default")]
    pub drift: u32,
}

/// `rate-of-change`: anomalous where the change since the number before is too large.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateOfChange {
    /// What the change must exceed; 0 or more. With `direction = "low"` it is a fall that counts.
    pub threshold: f64,
    /// In what time; left out: from one reading to the next.
    #[serde(default, with = "super::duration::optional", skip_serializing_if = "Option::is_none")]
    pub per: Option<Duration>,
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

/// `no-data`: anomalous is a series from which nothing comes for longer than it should be silent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoData {
    /// How long it may be silent: after the arrival of its last reading; a second or more.
    #[serde(with = "super::duration")]
    pub after: Duration,
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

impl Default for Robust {
    /// Iglewicz and Hoaglin's 3.5, of the last 120.
    fn default() -> Self {
        Robust { k: 3.5, history: 120, warmup: 100 }
    }
}

impl Default for Quantile {
    /// One in 200.
    fn default() -> Self {
        Quantile { q: 0.995, k: 1.0, warmup: 200 }
    }
}

impl Default for Evt {
    /// One in 10,000, by a fiftieth of the first thousand: the paper's setting.
    fn default() -> Self {
        Evt { risk: 1e-4, level: 0.98, warmup: 1_000, peaks: 200, drift: 0 }
    }
}

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

fn is_one(value: &f64) -> bool {
    *value == 1.0
}

fn is_epsilon_default(epsilon: &f64) -> bool {
    *epsilon == EPSILON
}

/// One line for each setting that is out of range: the key within `method`, and what is wrong.
pub(super) type Problems = Vec<(&'static str, String)>;

fn number(problems: &mut Problems, key: &'static str, value: f64, range: &str, ok: bool) {
    if !(value.is_finite() && ok) {
        problems.push((key, format!("{value} is not {range}")));
    }
}

fn count(problems: &mut Problems, key: &'static str, value: u32, from: u32, to: u32) {
    if !(from..=to).contains(&value) {
        problems.push((key, format!("{value} is not {from} to {to}")));
    }
}

/// The longest warm-up: a number a second for more than ten days.
const WARMUP_MAX: u32 = 1_000_000;

impl Robust {
    pub(super) fn problems(&self) -> Problems {
        let mut problems = Problems::new();
        number(&mut problems, "k", self.k, "above 0", self.k > 0.0);
        count(&mut problems, "history", self.history, 3, HISTORY_MAX);
        count(&mut problems, "warmup", self.warmup, 2, self.history.max(2));
        problems
    }
}

impl Quantile {
    pub(super) fn problems(&self) -> Problems {
        let mut problems = Problems::new();
        number(&mut problems, "q", self.q, "above 0.5 and below 1", self.q > 0.5 && self.q < 1.0);
        number(&mut problems, "k", self.k, "above 0", self.k > 0.0);
        count(&mut problems, "warmup", self.warmup, 5, WARMUP_MAX);
        problems
    }
}

impl Evt {
    pub(super) fn problems(&self) -> Problems {
        let mut problems = Problems::new();
        let in_tail = 1.0 - self.level;
        number(
            &mut problems,
            "level",
            self.level,
            "0.5 or more and below 1",
            (0.5..1.0).contains(&self.level),
        );
        let within = self.risk > 0.0 && self.risk < in_tail;
        number(&mut problems, "risk", self.risk, "above 0 and below 1 − level", within);
        count(&mut problems, "warmup", self.warmup, 1, WARMUP_MAX);
        count(&mut problems, "peaks", self.peaks, 10, HISTORY_MAX);
        count(&mut problems, "drift", self.drift, 0, HISTORY_MAX);
        let first_peaks = (in_tail * f64::from(self.warmup)).ceil();
        if problems.is_empty() && !(10.0..=f64::from(HISTORY_MAX)).contains(&first_peaks) {
            let range = format!("10 to {HISTORY_MAX}");
            let what = format!("{first_peaks} of {} numbers belong to the tail, not {range}", self.warmup);
            problems.push(("warmup", what));
        }
        problems
    }
}

impl RateOfChange {
    pub(super) fn problems(&self) -> Problems {
        let mut problems = Problems::new();
        number(&mut problems, "threshold", self.threshold, "0 or more", self.threshold >= 0.0);
        if self.per.is_some_and(|per| per.is_zero()) {
            problems.push(("per", "0s is no time to change in; write \"1s\" or more".to_owned()));
        }
        problems
    }
}

impl NoData {
    pub(super) fn problems(&self) -> Problems {
        match self.after < Duration::from_secs(1) {
            true => {
                let what =
                    format!("{} is no silence; write \"1s\" or more", super::duration::shown(self.after));
                vec![("after", what)]
            }
            false => Problems::new(),
        }
    }
}

impl SpikeAndDip {
    pub(super) fn problems(&self) -> Problems {
        of_stream_analytics(self.confidence, self.history, self.engine, self.duration)
    }
}

impl ChangePoint {
    pub(super) fn problems(&self) -> Problems {
        let mut problems = of_stream_analytics(self.confidence, self.history, self.engine, self.duration);
        let within = self.epsilon > 0.0 && self.epsilon < 1.0;
        number(&mut problems, "epsilon", self.epsilon, "above 0 and below 1", within);
        if self.engine == Engine::Parity && (self.epsilon, self.martingale) != (EPSILON, Martingale::Power) {
            let what = "Stream Analytics has the power martingale of 0.1 only; with engine = \"ml-net\" or \"robust\" \
                        there are others";
            problems.push(("engine", what.to_owned()));
        }
        problems
    }
}

fn of_stream_analytics(
    confidence: f64,
    history: u32,
    engine: Engine,
    duration: Option<Duration>,
) -> Problems {
    let mut problems = Problems::new();
    number(&mut problems, "confidence", confidence, "1 to 100 percent", (1.0..=100.0).contains(&confidence));
    count(&mut problems, "history", history, 1, HISTORY_MAX);
    if let Some(duration) = duration {
        if engine == Engine::Robust {
            let what = "engine = \"robust\" fills no gaps; leave it out, or set engine = \"parity\"";
            problems.push(("duration", what.to_owned()));
        } else if duration.is_zero() {
            problems.push(("duration", "0s is no time for values to come in".to_owned()));
        }
    }
    problems
}
