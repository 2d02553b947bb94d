//! What is said of a model that was trained.

use std::path::Path;

use anomaly_core::calibration::Quantiles;
use anomaly_core::rule::short;
use anomaly_detect::{InputError, LeftOut, Model};
use anomaly_local::periods::{Period, Periods};
use serde_json::{Map, Value, json};

use crate::terminal::count;

/// The score above which a row is anomalous by SageMaker's advice: three deviations above the mean.
fn cutoff(model: &Model) -> f64 {
    model.calibration().mean + 3.0 * model.calibration().deviation
}

/// How many of the rows that are known to be anomalous the model finds, by SageMaker's line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    above: usize,
    of: usize,
}

impl Found {
    /// # Errors
    /// One that cannot be scored: a fault of this program, since the model's other rows came from the same place.
    pub(super) fn of(model: &Model, labelled: &[Vec<f64>]) -> Result<Found, InputError> {
        let line = cutoff(model);
        let mut above = 0;
        for row in labelled {
            above += usize::from(model.score(row)? > line);
        }
        Ok(Found { above, of: labelled.len() })
    }
}

/// What the history has that was left out: the name, and the periods with their readings.
pub(super) type LeftOutOf = (&'static str, Periods);

/// So many periods are told one by one.
const PERIODS_TOLD: usize = 5;

/// For people.
pub(super) fn as_text(model: &Model, left_out: &[LeftOutOf], found: Found, path: &Path) -> String {
    let calibration = model.calibration();
    let readings = match model.shingle() {
        1 => String::new(),
        n => format!("; {n} readings a row"),
    };
    // A model that was just trained has them.
    let quantiles = calibration.quantiles.iter().flat_map(Quantiles::steps);
    let quantiles = quantiles.map(|(share, score)| format!("{} %: {}", share * 100.0, short(score)));
    let LeftOut { rejected, excluded, labelled, .. } = model.left_out();
    let mut rows = format!("rows      {} learned, {rejected} rejected", model.rows_trained());
    for (readings, what) in [(excluded, "excluded"), (labelled, "labelled as anomalous")] {
        if *readings > 0 {
            rows += &format!(", {readings} {what}");
        }
    }
    let mut lines = vec![rows];
    for (name, periods) in left_out {
        let there = || periods.counted().filter(|(_, readings)| *readings > 0);
        lines.extend(
            there()
                .take(PERIODS_TOLD)
                .map(|(period, n)| format!("{name}  {period}: {}", count(n, "reading"))),
        );
        if let more @ 1.. = there().count().saturating_sub(PERIODS_TOLD) {
            lines.push(format!("{name}  … and {}", count(more as u64, "more period")));
        }
    }
    lines.extend([
        format!("features  {}{readings}", model.features().join(", ")),
        format!(
            "scores    mean {}, deviation {}; mean + 3 deviations: {}",
            short(calibration.mean),
            short(calibration.deviation),
            short(cutoff(model))
        ),
    ]);
    if found.of > 0 {
        lines.push(format!("found     {} of {} labelled rows lie above that", found.above, found.of));
    }
    lines.push(format!("quantiles {}", quantiles.collect::<Vec<_>>().join(", ")));
    lines.push(format!("model     {} ({})", path.display(), model.id()));
    lines.join("\n")
}

/// For programs.
pub(super) fn as_json(model: &Model, left_out: &[LeftOutOf; 2], found: Found, path: &Path) -> String {
    let steps = model.calibration().quantiles.iter().flat_map(Quantiles::steps);
    let quantiles: Map<String, Value> =
        steps.map(|(share, score)| (share.to_string(), score.into())).collect();
    let periods = |periods: &Periods| {
        let told = |(period, readings): (&Period, u64)| {
            json!({
                "from": period.from.to_string(),
                "to": period.to.to_string(),
                "of": period.only,
                "readings": readings,
            })
        };
        periods.counted().map(told).collect::<Vec<_>>()
    };
    let LeftOut { rejected, excluded, labelled, .. } = model.left_out();
    json!({
        "rows_trained": model.rows_trained(),
        "rows_rejected": rejected,
        "rows_excluded": excluded,
        "rows_labelled": labelled,
        "excluded": periods(&left_out[0].1),
        "labelled": periods(&left_out[1].1),
        "labelled_found": found.above,
        "features": model.features(),
        "shingle": model.shingle(),
        "score_mean": model.calibration().mean,
        "score_deviation": model.calibration().deviation,
        "score_quantiles": quantiles,
        "score_cutoff": cutoff(model),
        "seed": model.seed(),
        "model": path.display().to_string(),
        "model_id": model.id(),
        "history_sha256": model.history_sha256(),
    })
    .to_string()
}
