//! Schema drift, as one process notices it: what was seen of its records' fields, from batch to batch.

use std::sync::{Arc, Mutex, PoisonError};

use anomaly_core::decode::drift::{Drift, Schema};
use anomaly_core::records::Records;
use anomaly_core::time::Timestamp;

use crate::metrics::{self, Metrics};

/// What one process knows of its records' fields; its clones know the same.
#[derive(Clone, Debug, Default)]
pub struct DriftWatch(Arc<Mutex<Schema>>);

impl DriftWatch {
    /// What is new in a batch; it is not new the next time.
    pub fn compare<'r>(&self, batch: impl IntoIterator<Item = &'r Records>) -> Drift {
        // Nothing in a schema is left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).compare(batch)
    }
}

/// One line and the metrics of a batch that brought something new; nothing for one that did not.
pub fn tell(drift: &Drift, now: Timestamp) {
    if drift.is_none() {
        return;
    }
    let Drift { unknown, vanished, retyped, .. } = *drift;
    tracing::warn!(unknown, vanished, retyped, fields = %drift, "schema drift");
    let mut metrics = Metrics::default();
    metrics.count(metrics::UNKNOWN_FIELDS, unknown);
    metrics.count(metrics::VANISHED_FIELDS, vanished);
    metrics.count(metrics::RETYPED_FIELDS, retyped);
    metrics.emit(now);
}
