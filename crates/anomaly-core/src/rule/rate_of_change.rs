//! `rate-of-change`: a change since the number before that is larger than it should be.

use serde::{Deserialize, Serialize};

use super::{Basis, Margin, Nothing, Said, Side};
use crate::config::{RateOfChange, Sides};
use crate::time::Timestamp;

/// The number before, and its time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Before {
    value: f64,
    at: Timestamp,
}

impl RateOfChange {
    /// Judges the change to `value`, per `per` where it is set, else per reading.
    ///
    /// Readings of one time, or of an earlier one, have no rate: the first of them stands for all.
    pub(crate) fn judge(&self, memory: &mut Option<Before>, sides: Sides, at: Timestamp, value: f64) -> Said {
        let now = Before { value, at };
        let Some(before) = *memory else {
            *memory = Some(now);
            return Said::WarmingUp { seen: 1, needed: 2, score: None };
        };
        let elapsed_ms = at.ms_since(before.at);
        if self.per.is_some() && elapsed_ms <= 0 {
            return Said::Unjudged(Nothing::NoTimePassed);
        }
        *memory = Some(now);
        let units = self.per.map_or(1.0, |per| elapsed_ms as f64 / per.as_secs_f64() / 1000.0);
        let change = (value - before.value) / units;
        let (side, judged) = match sides {
            Sides::High => (Side::High, change),
            Sides::Low => (Side::High, -change),
            Sides::Both => (Side::High, change.abs()),
        };
        let basis = Basis::RateOfChange { before: before.value, value };
        Said::Judged(Margin {
            basis,
            ..Margin::fixed(side, judged.clamp(f64::MIN, f64::MAX), self.threshold)
        })
    }
}
