//! How a model does on rows whose labels are known.

use anomaly_detect::Model;

use super::channel::Channel;
use super::{Failure, Hyperparameters, rows};
use crate::input::Stop;

/// Counts of the test channel: a row is called anomalous if its score lies above the mean of normal rows by more than
/// three deviations.
///
/// Source: developer guide, "How RCF Works": "scores beyond three standard deviations from the mean score are considered
/// anomalous".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Anomalous, and called so.
    pub hits: u64,
    /// Normal, and called anomalous.
    pub false_alarms: u64,
    /// Anomalous, and not called so.
    pub missed: u64,
    /// Normal, and not called anomalous.
    pub quiet: u64,
    metrics: (bool, bool),
}

impl Quality {
    /// The metrics that were asked for, by SageMaker's names (`test:f1`), each 0 to 1; a share of nothing is 0.
    pub fn metrics(&self) -> Vec<(&'static str, f64)> {
        let share = |part: u64, all: u64| if all == 0 { 0.0 } else { part as f64 / all as f64 };
        let Quality { hits, false_alarms, missed, quiet, metrics: (accuracy, others) } = *self;
        let mut metrics = Vec::new();
        if accuracy {
            metrics.push(("test:accuracy", share(hits + quiet, hits + false_alarms + missed + quiet)));
        }
        if others {
            metrics.push(("test:precision", share(hits, hits + false_alarms)));
            metrics.push(("test:recall", share(hits, hits + missed)));
            metrics.push(("test:f1", share(2 * hits, 2 * hits + false_alarms + missed)));
        }
        metrics
    }
}

/// # Errors
/// The channel cannot be read, has a row that cannot be scored or no label, or no rows: numbers that leave rows out would
/// not be those that were asked for.
pub(super) fn test(
    channel: &Channel,
    model: &Model,
    hyperparameters: &Hyperparameters,
    stop: &Stop,
) -> Result<Quality, Failure> {
    let cutoff = model.calibration().mean + 3.0 * model.calibration().deviation;
    let mut quality = Quality { metrics: hyperparameters.eval_metrics, ..Quality::default() };
    let mut wrong = None;
    rows::read(channel, hyperparameters.feature_dim, stop, &mut |place, example| {
        let judged = example.and_then(|example| {
            let label = example.label.ok_or("no label: 1 is anomalous, 0 is normal")?;
            let score = model.score(&example.row).map_err(|error| error.to_string())?;
            Ok((score > cutoff, label != 0.0))
        });
        match judged {
            Ok((true, true)) => quality.hits += 1,
            Ok((true, false)) => quality.false_alarms += 1,
            Ok((false, true)) => quality.missed += 1,
            Ok((false, false)) => quality.quiet += 1,
            Err(why) => {
                wrong.get_or_insert_with(|| format!("channel test: {place}: {why}"));
            }
        }
    })?;
    let Quality { hits, false_alarms, missed, quiet, .. } = quality;
    match wrong {
        Some(wrong) => Err(wrong.into()),
        None if hits + false_alarms + missed + quiet == 0 => {
            Err("channel test: there are no rows".to_owned().into())
        }
        None => Ok(quality),
    }
}
