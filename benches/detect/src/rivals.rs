//! What is compared: the default detector, the forest with SageMaker's advice, and the honest floor.

use anomaly_core::config::SpikeAndDip;
use anomaly_core::rule::density::Density;
use anomaly_core::time::Timestamp;
use anomaly_detect::{Detector, Forest, ForestOptions, Streaming, StreamingOptions};
use anyhow::{Result, bail};

/// Judges a series reading by reading: 0 to 1, an alert from 0.5 upwards.
pub(crate) trait Rival {
    /// What `value`, the next reading, of `at`, is worth; learns it.
    fn judge(&mut self, at: Timestamp, value: f64) -> Result<f64>;
}

/// The names, each with what it is.
pub(crate) fn named(name: &str) -> Result<Box<dyn Rival>> {
    Ok(match name {
        "streaming" => Box::new(Default { detector: Streaming::new(StreamingOptions::default()) }),
        "forest-sigma" => Box::new(Sigma::of(Forest::new(ForestOptions::default())?, 0)),
        "forest-sigma-quiet" => Box::new(Sigma::of(Forest::new(ForestOptions::default())?, QUIET)),
        "range-quiet" => Box::new(Range { seen: None, count: 0, quiet: 0 }),
        "spike-and-dip" => Box::new(Azure { settings: SpikeAndDip::default(), history: Density::default() }),
        _ => bail!(
            "no detector {name:?}: streaming, forest-sigma, forest-sigma-quiet, range-quiet or spike-and-dip"
        ),
    })
}

/// The streaming default, alerts once.
struct Default {
    detector: Streaming,
}

impl Rival for Default {
    fn judge(&mut self, at: Timestamp, value: f64) -> Result<f64> {
        self.detector.pass(at);
        let score = self.detector.onset(&[value])?;
        self.detector.learn(&[value])?;
        Ok(score.unwrap_or(0.0))
    }
}

/// Rows of quiet after an alert, of the rules that have it.
const QUIET: usize = 144;

/// A forest, and an alert where its score is more than three standard deviations above the mean of its past
/// scores: SageMaker's advice (developer guide, "How RCF works"). 0.5 is the cut-off.
struct Sigma {
    forest: Forest,
    quiet_after: usize,
    quiet: usize,
    count: f64,
    mean: f64,
    squares: f64,
}

impl Sigma {
    fn of(forest: Forest, quiet_after: usize) -> Sigma {
        Sigma { forest, quiet_after, quiet: 0, count: 0.0, mean: 0.0, squares: 0.0 }
    }
}

impl Rival for Sigma {
    fn judge(&mut self, _at: Timestamp, value: f64) -> Result<f64> {
        let score = self.forest.score(&[value])?;
        self.forest.learn(&[value])?;
        let Some(score) = score else { return Ok(0.0) };
        let cut_off = self.mean + 3.0 * (self.squares / self.count.max(1.0)).sqrt();
        let is_known = self.count > 30.0 && cut_off > 0.0;
        self.count += 1.0;
        let off = score - self.mean;
        self.mean += off / self.count;
        self.squares += off * (score - self.mean);
        self.quiet = self.quiet.saturating_sub(1);
        let judged = if is_known { score / (score + cut_off) } else { 0.0 };
        if judged > 0.5 && self.quiet_after > 0 {
            if self.quiet > 0 {
                return Ok(0.49);
            }
            self.quiet = self.quiet_after;
        }
        Ok(judged)
    }
}

/// Outside everything seen so far by a twentieth of the range, then quiet: what any detector must beat.
struct Range {
    seen: Option<(f64, f64)>,
    count: usize,
    quiet: usize,
}

impl Rival for Range {
    fn judge(&mut self, _at: Timestamp, value: f64) -> Result<f64> {
        let (low, high) = self.seen.unwrap_or((value, value));
        let margin = 0.05 * (high - low);
        let is_outside = value > high + margin || value < low - margin;
        self.seen = Some((low.min(value), high.max(value)));
        self.count += 1;
        self.quiet = self.quiet.saturating_sub(1);
        if is_outside && self.quiet == 0 && self.count > 100 {
            self.quiet = QUIET;
            return Ok(1.0);
        }
        Ok(0.0)
    }
}

/// Stream Analytics' `AnomalyDetection_SpikeAndDip` as in Microsoft's samples: 95 %, the last 120 values.
struct Azure {
    settings: SpikeAndDip,
    history: Density,
}

impl Rival for Azure {
    fn judge(&mut self, _at: Timestamp, value: f64) -> Result<f64> {
        let said = self.settings.judge(&mut self.history, value);
        let is_known = said.score > 0.0 && said.seen >= self.settings.history;
        // The logarithms of p and of what it must not exceed: alike at the limit.
        let (p, limit) = (said.score.ln(), said.threshold.ln());
        Ok(if is_known { p / (p + limit) } else { 0.0 })
    }
}
