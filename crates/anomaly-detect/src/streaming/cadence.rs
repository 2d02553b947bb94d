//! How regularly readings come: so that those that never came are missed, and a period of time is one of readings.
//!
//! A series counts as regular while two of three readings, and more, come at their time. Of one that is not,
//! nothing can be missing, and a length of time is no number of readings.

use serde::{Deserialize, Serialize};

/// A reading that comes within this share of the interval is in time.
const TOLERANCE: f64 = 0.25;

/// A reading in time adds one to the trust, any other takes so much from it; there is no more than so much of it,
/// and from half of it a series is regular.
const LOST_TRUST: u8 = 2;
const TRUST_MAX: u8 = 64;

/// The interval is the mean of so many, and then follows as slowly.
const INTERVALS: u16 = 1024;

/// Who is away for longer is not missed: it began anew.
const MISSED_MAX: f64 = 100_000.0;

/// When the last reading came, and how far apart they are.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Cadence {
    /// Since 1970; `None` before the first reading.
    last_ms: Option<i64>,
    /// 0 before the second reading.
    interval_ms: f64,
    intervals: u16,
    trust: u8,
}

impl Cadence {
    /// The next reading is of `at_ms`. Gives back how many were to come between it and the last one.
    pub(super) fn pass(&mut self, at_ms: i64) -> u32 {
        let Some(last_ms) = self.last_ms else {
            self.last_ms = Some(at_ms);
            return 0;
        };
        let since_ms = at_ms.saturating_sub(last_ms) as f64;
        let missed = self.interval_ms().map_or(0.0, |interval| (since_ms / interval).round() - 1.0);
        if (since_ms - self.interval_ms).abs() <= TOLERANCE * self.interval_ms {
            self.intervals = (self.intervals + 1).min(INTERVALS);
            self.interval_ms += (since_ms - self.interval_ms) / f64::from(self.intervals);
            self.trust = (self.trust + 1).min(TRUST_MAX);
        } else {
            self.trust = self.trust.saturating_sub(LOST_TRUST);
        }
        if self.trust == 0 {
            (self.interval_ms, self.intervals) = (since_ms.max(0.0), 1);
        }
        // Who comes late does not turn time back, unless all do.
        if since_ms > 0.0 || self.trust == 0 {
            self.last_ms = Some(at_ms);
        }
        if (1.0..=MISSED_MAX).contains(&missed) { missed as u32 } else { 0 }
    }

    /// Milliseconds between two readings, where they come regularly; more than 0.
    pub(super) fn interval_ms(&self) -> Option<f64> {
        (self.trust >= TRUST_MAX / 2 && self.interval_ms > 0.0).then_some(self.interval_ms)
    }

    pub(super) fn is_sound(&self) -> bool {
        (0.0..=1e15).contains(&self.interval_ms) && self.intervals <= INTERVALS && self.trust <= TRUST_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of the readings at `seconds` says was missed before it.
    fn missed(seconds: impl IntoIterator<Item = i64>) -> (Cadence, Vec<u32>) {
        let mut cadence = Cadence::default();
        let missed = seconds.into_iter().map(|second| cadence.pass(second * 1000)).collect();
        assert!(cadence.is_sound());
        (cadence, missed)
    }

    #[test]
    fn what_never_came_is_missed_once_the_pace_is_known() {
        let hole = |n: &i64| ![5, 50, 51, 52].contains(n);
        let (cadence, missed) = missed((0..100).filter(hole).map(|n| n * 60));
        // The fifth was before there was a pace.
        assert_eq!(missed.iter().sum::<u32>(), 3);
        assert_eq!(missed[49], 3, "{missed:?}");
        assert_eq!(cadence.interval_ms(), Some(60_000.0));
    }

    #[test]
    fn a_pace_that_wavers_is_one_and_its_mean_is_right() {
        let (cadence, missed) = missed((0..300).map(|n| n * 60 + (n * 37 % 11) - 5));
        assert_eq!(missed, [0; 300]);
        let interval = cadence.interval_ms().expect("regular");
        assert!((interval / 60_000.0 - 1.0).abs() < 0.005, "{interval}");
    }

    #[test]
    fn what_comes_at_random_is_never_missed() {
        let mut at = 0;
        let (_, missed) = missed((0..500_i64).map(|n| {
            at += 1 + (n * n * 31 % 97) * (n % 5) * 3;
            at
        }));
        assert_eq!(missed, [0; 500]);
        // Nor where all are of one time.
        assert_eq!(super::tests::missed([7; 100]).1, [0; 100]);
    }

    #[test]
    fn another_pace_is_taken_up() {
        let (cadence, missed) = missed((0..200).chain((0..200).map(|n| 200 + 5 * n)));
        assert_eq!(cadence.interval_ms(), Some(5000.0));
        // Till it was noticed.
        assert!(missed.iter().sum::<u32>() < 100, "{missed:?}");
    }

    #[test]
    fn a_clock_that_was_wrong_is_forgotten() {
        let wrong = |n: i64| if n == 100 { 1_000_000_000 } else { n };
        let (cadence, missed) = missed((0..300).map(wrong));
        assert_eq!(missed, [0; 300]);
        assert_eq!(cadence.interval_ms(), Some(1000.0));
        assert_eq!(cadence.last_ms, Some(299_000));
        let mut extreme = Cadence::default();
        for at_ms in [0, 1, 2, i64::MAX, i64::MIN, i64::MAX] {
            extreme.pass(at_ms);
        }
        assert_eq!(super::tests::missed([0, 1]).0.interval_ms(), None);
    }
}
