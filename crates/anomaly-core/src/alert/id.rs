//! Names of alerts.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::hash::fingerprint;
use crate::reading::SeriesId;
use crate::time::Timestamp;

/// The stable name of an alert: the same for the same reading, on a laptop and in the cloud, however often
/// it is worked through.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId {
    digits: String,
    /// The time it was made of, as long as this process knows; no part of the name.
    #[serde(skip)]
    opened_at: Option<Timestamp>,
}

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
        let name = |parts: &[&[u8]]| AlertId { digits: fingerprint(parts, 8), opened_at: Some(opened_at) };
        let at = opened_at.as_ms().to_le_bytes();
        let id = name(&[series.as_str().as_bytes(), rule.as_bytes(), &at]);
        // Where it is known when the alert before began, nearly always at another time, nothing is searched.
        let maybe_of_this_time = |previous: &&AlertId| previous.opened_at.is_none_or(|at| at == opened_at);
        let Some(previous) = previous.filter(maybe_of_this_time) else { return id };
        let again = |id: &AlertId| name(&[id.digits.as_bytes()]);
        let mut of_this_time =
            std::iter::successors(Some(id.clone()), |id| Some(again(id))).take(SAME_TIME_MAX);
        if of_this_time.any(|other| other == *previous) { again(previous) } else { id }
    }

    /// The 16 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.digits
    }
}

impl PartialEq for AlertId {
    fn eq(&self, other: &Self) -> bool {
        self.digits == other.digits
    }
}

impl Eq for AlertId {}

impl PartialOrd for AlertId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AlertId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.digits.cmp(&other.digits)
    }
}

impl Hash for AlertId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digits.hash(state);
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state that was written and read knows no more when its last alert began.
    #[test]
    fn names_are_the_same_whatever_is_known_of_the_alert_before() {
        let series = SeriesId::new("web").expect("a name");
        let [first, later] = [5_000, 6_000].map(|ms| Timestamp::from_ms(ms).expect("in range"));
        let name = |at, previous: Option<&AlertId>| AlertId::new(&series, "hot", at, previous);
        let forgot = |id: &AlertId| AlertId { opened_at: None, ..id.clone() };
        let mut known = name(first, None);
        for _ in 0..3 {
            let again = name(first, Some(&known));
            assert_ne!(again, known, "two alerts of one time");
            assert_eq!(again, name(first, Some(&forgot(&known))));
            assert_eq!(name(later, Some(&known)), name(later, Some(&forgot(&known))));
            assert_eq!(name(later, Some(&known)), name(later, None));
            known = again;
        }
    }
}
