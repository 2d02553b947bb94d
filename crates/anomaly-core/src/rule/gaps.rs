//! How Stream Analytics fills gaps in a series that should be evenly spaced.
//!
//! Source: its engine's `NewestObservationCarryBackImputationPolicy` (measured: `tests/azure.rs`) and, for the length
//! of an interval, its documentation ("history size and duration"): where intervals went by without a value, the next
//! value is taken in once for each of them first, `history` times at most. A long gap so fills the history with it.

use std::time::Duration;

use crate::time::Timestamp;

/// From the first day of year 1, where .NET counts from, to the first of 1970, in milliseconds.
const YEAR_1_TO_1970_MS: i64 = 62_135_596_800_000;
/// .NET ticks, of 100 ns, in a millisecond.
const TICKS_PER_MS: i64 = 10_000;

/// How many values are to be filled in before the one of `now`, if the last was of `last` and `history` values
/// take `duration`.
pub fn filled(last: Timestamp, now: Timestamp, duration: Duration, history: u32) -> u32 {
    let ticks = |at: Timestamp| (at.as_ms() + YEAR_1_TO_1970_MS).saturating_mul(TICKS_PER_MS);
    let duration_ticks = i64::try_from(duration.as_nanos() / 100).unwrap_or(i64::MAX);
    let interval_ticks = (duration_ticks / i64::from(history.max(1))).max(1);
    filled_ticks(ticks(last), ticks(now), interval_ticks, history)
}

/// The same in ticks; `interval_ticks` is above 0.
pub fn filled_ticks(last: i64, now: i64, interval_ticks: i64, history: u32) -> u32 {
    // The rounded-up quotient, of whatever sign.
    let interval =
        |ticks: i64| ticks.div_euclid(interval_ticks) + i64::from(ticks.rem_euclid(interval_ticks) != 0);
    let missed = interval(now).saturating_sub(interval(last)).saturating_sub(1);
    u32::try_from(missed.clamp(0, i64::from(history))).unwrap_or(history)
}
