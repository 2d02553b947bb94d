//! When a reading counts: Stream Analytics' policies for readings that come early, late or out of order.
//!
//! [`place`] decides by the reading's own time, its arrival and the clock of its series, and by nothing else.
//! The rule and its order are those of MicrosoftDocs/azure-docs, `event-ordering.md` and
//! `stream-analytics-time-handling.md`, with each series as a substream (`TIMESTAMP BY … OVER`): the watermark
//! is the series' own, and lateness is measured against arrival.

mod hold;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{EventTime, Untimely};
use crate::reject::Reject;
use crate::time::Timestamp;

pub use hold::{Admission, HELD_BYTES_MAX, HELD_MAX, Hold, Released};

/// How far the time of a series has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// The largest time that was given to a reading.
    newest: Option<Timestamp>,
    /// The largest time released ahead of the watermark: because the series fell silent, or too much waited.
    floor: Option<Timestamp>,
}

impl Clock {
    /// The time before which a reading is out of order: the newest less the tolerance. `None` before the first
    /// reading.
    pub fn watermark(&self, policy: &EventTime) -> Option<Timestamp> {
        self.newest.map(|newest| newest.earlier_by(policy.out_of_order))
    }

    /// A reading was placed at `at`.
    pub(crate) fn advance(&mut self, at: Timestamp) {
        self.newest = self.newest.max(Some(at));
    }

    /// A reading of `at` was released ahead of the watermark.
    pub(crate) fn raise_floor(&mut self, at: Timestamp) {
        self.floor = self.floor.max(Some(at));
    }
}

/// What becomes of a reading, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It counts, as of `at`: its own time if it is in time and in order.
    Placed {
        /// When it counts.
        at: Timestamp,
        /// It came later than allowed and was moved to the earliest time that is in time.
        late: bool,
        /// It (or the time it was moved to) lies before the watermark, to which it was moved.
        out_of_order: bool,
    },
    /// It does not count: [`Reject::EarlyInputEvent`], [`Reject::LateInputEvent`] or
    /// [`Reject::OutOfOrderEvent`].
    Dropped(Reject),
}

/// Where a reading of time `event`, which arrived at `arrived`, belongs in a series whose clock is `clock`.
///
/// 1. Early (`event - arrived` above `policy.early`): dropped.
/// 2. Late (`arrived - event` above `policy.late`): moved to `arrived - late`, or dropped.
/// 3. Out of order (before the watermark): moved to the watermark, or dropped.
/// 4. Before what was released ahead of the watermark: moved to that, whatever the policy. It is not the
///    stream that disordered it, but a flush of ours that came before a delayed delivery; nothing is lost
///    for that.
pub fn place(policy: &EventTime, clock: &Clock, event: Timestamp, arrived: Timestamp) -> Placement {
    if let Some(early) = beyond(event, arrived, policy.early) {
        return Placement::Dropped(Reject::EarlyInputEvent { ahead_ms: early, limit_ms: ms(policy.early) });
    }
    let drops = policy.policy == Untimely::Drop;
    let late = beyond(arrived, event, policy.late);
    if let (Some(behind_ms), true) = (late, drops) {
        return Placement::Dropped(Reject::LateInputEvent { behind_ms, limit_ms: ms(policy.late) });
    }
    let in_time = if late.is_some() { arrived.earlier_by(policy.late) } else { event };
    let out_of_order = clock.newest.and_then(|newest| beyond(newest, in_time, policy.out_of_order));
    if let (Some(behind_ms), true) = (out_of_order, drops) {
        return Placement::Dropped(Reject::OutOfOrderEvent { behind_ms, limit_ms: ms(policy.out_of_order) });
    }
    let least = clock.watermark(policy).max(clock.floor);
    let at = least.map_or(in_time, |least| least.max(in_time));
    Placement::Placed { at, late: late.is_some(), out_of_order: at != in_time }
}

/// How far `later` lies behind `earlier`, in milliseconds, if that is more than `limit`.
fn beyond(later: Timestamp, earlier: Timestamp, limit: Duration) -> Option<i64> {
    Some(later.ms_since(earlier)).filter(|distance| *distance > ms(limit))
}

fn ms(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

/// Readings that were not in time or not in order, dropped or moved: what Stream Analytics' metrics of these
/// names count. A reading that is both is counted in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Untimeliness {
    /// Early: dropped.
    pub early: usize,
    /// Late.
    pub late: usize,
    /// Out of order.
    pub out_of_order: usize,
}

impl Untimeliness {
    /// Counts one reading.
    pub fn count(&mut self, placement: &Placement) {
        match placement {
            Placement::Placed { late, out_of_order, .. } => {
                self.late += usize::from(*late);
                self.out_of_order += usize::from(*out_of_order);
            }
            Placement::Dropped(Reject::EarlyInputEvent { .. }) => self.early += 1,
            Placement::Dropped(Reject::LateInputEvent { .. }) => self.late += 1,
            Placement::Dropped(_) => self.out_of_order += 1,
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Untimeliness) {
        let Untimeliness { early, late, out_of_order } = other;
        self.early += early;
        self.late += late;
        self.out_of_order += out_of_order;
    }
}

#[cfg(test)]
mod tests;
