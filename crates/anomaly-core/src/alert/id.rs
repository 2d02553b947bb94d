//! Names of alerts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hash::fingerprint;
use crate::reading::SeriesId;
use crate::time::Timestamp;

/// The stable name of an alert: the same for the same reading, on a laptop and in the cloud, however often
/// it is worked through.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(String);

/// The most alerts of one series, rule and time that have names of their own: as many as readings that wait for
/// each other and may be moved to one time.
const SAME_TIME_MAX: usize = 1_000;

impl AlertId {
    /// The hash of series, rule and the event time of the reading that opened the alert, as 16 hexadecimal
    /// digits. `previous` is the alert before it: where readings carry the same time, their alerts must still
    /// differ, so the id is hashed once more for each that came before, up to [`SAME_TIME_MAX`].
    pub(super) fn new(
        series: &SeriesId,
        rule: &str,
        opened_at: Timestamp,
        previous: Option<&AlertId>,
    ) -> Self {
        let at = opened_at.as_ms().to_le_bytes();
        let id = AlertId(fingerprint(&[series.as_str().as_bytes(), rule.as_bytes(), &at], 8));
        let again = |id: &AlertId| Some(AlertId(fingerprint(&[id.0.as_bytes()], 8)));
        let mut of_this_time = std::iter::successors(Some(id.clone()), again).take(SAME_TIME_MAX);
        let is_there = previous.is_some_and(|previous| of_this_time.any(|other| other == *previous));
        if is_there { previous.and_then(again).unwrap_or(id) } else { id }
    }

    /// The 16 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
