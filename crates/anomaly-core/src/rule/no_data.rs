//! `no-data`: a series that is silent for longer than it should be.
//!
//! A rule sees a reading when it comes; of one that does not come nobody tells it. So this is arithmetic of deadlines
//! only, and takes a sweep to be a rule: every minute or so, whoever keeps the states asks for the series whose
//! deadline is at or before the time of arrival it has reached (a clock on AWS, the arrival of the row at hand where
//! a file is replayed), and writes what [`fall_silent`](crate::classify::silence::fall_silent) says under the condition
//! on the state's revision that `classify` uses, so that a reading that comes meanwhile wins. The deadline must be found
//! without reading every state: it is one number per series, for a sparse index. The next reading ends the silence.
//! Times are those of arrival: a stream that replays old events is not silent.

use std::time::Duration;

use super::{Basis, Margin};
use crate::config::NoData;
use crate::time::Timestamp;

/// What is known of a series' silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It was heard lately; it is silent from that time on.
    Not {
        /// The deadline.
        from: Timestamp,
    },
    /// It is silent.
    For {
        /// Since its last reading, in milliseconds.
        ms: i64,
        /// The deadline that passed: the alert's time, the same whenever the sweep comes by.
        since: Timestamp,
    },
}

impl Silence {
    /// What is to be said at `now` of a series that was last heard at `last` and should not be silent for `after`.
    /// The deadline is inclusive; a `last` ahead of `now` is no silence.
    pub fn at(last: Timestamp, after: Duration, now: Timestamp) -> Self {
        let from = deadline(last, after);
        match now >= from && from > last {
            true => Silence::For { ms: now.ms_since(last), since: from },
            false => Silence::Not { from },
        }
    }
}

impl NoData {
    /// A silence that lasts from `last`, when something came, to `now`, in seconds, against the longest there should
    /// be. The excess is their ratio.
    pub(crate) fn margin(&self, last: Timestamp, now: Timestamp) -> Margin {
        let is_silent = matches!(Silence::at(last, self.after, now), Silence::For { .. });
        let (judged, threshold) = (now.ms_since(last) as f64 / 1000.0, self.after.as_secs_f64());
        Margin::new(is_silent, judged, threshold, judged / threshold, Basis::Silence { last })
    }
}

/// When the silence of a series that was last heard at `last` has lasted for `times` as long as it should at most: the
/// first millisecond whose margin says so.
pub(crate) fn lasting(no_data: &NoData, last: Timestamp, times: f64) -> Timestamp {
    let ms = no_data.after.as_secs_f64() * 1_000.0 * times;
    let at = |ms: i64| last.as_ms().checked_add(ms).and_then(Timestamp::from_ms).unwrap_or(Timestamp::LAST);
    // Beyond what is a time the conversion saturates, and so does `at`.
    let rounded = at(ms.round() as i64);
    if no_data.margin(last, rounded).excess >= times {
        rounded
    } else {
        at((ms.round() as i64).saturating_add(1))
    }
}

/// When a series that was last heard at `last` is silent; the end of time if that lies behind it.
pub fn deadline(last: Timestamp, after: Duration) -> Timestamp {
    let after_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    last.as_ms().checked_add(after_ms).and_then(Timestamp::from_ms).unwrap_or(Timestamp::LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_lasts_so_long_from_one_millisecond_on() {
        let last = Timestamp::from_ms(100_000).expect("in range");
        for (after_ms, times) in [(600_000, 1.5), (600_000, 1.1), (1_000, 3.3), (7_001, 2.7), (600_000, 6.0)]
        {
            let no_data = NoData { after: Duration::from_millis(after_ms) };
            let from = lasting(&no_data, last, times);
            let before = Timestamp::from_ms(from.as_ms() - 1).expect("in range");
            assert!(no_data.margin(last, from).excess >= times, "{after_ms} {times}");
            assert!(no_data.margin(last, before).excess < times, "{after_ms} {times}");
        }
        assert_eq!(lasting(&NoData { after: Duration::MAX }, last, 9.0), Timestamp::LAST);
    }

    #[test]
    fn a_deadline_passes_once_and_is_the_same_whenever_one_looks() {
        let at = |s: i64| Timestamp::from_ms(s * 1000).expect("in range");
        let after = Duration::from_secs(600);
        let say = |last, now| Silence::at(at(last), after, at(now));
        assert_eq!(say(100, 100), Silence::Not { from: at(700) });
        assert_eq!(say(100, 699), Silence::Not { from: at(700) });
        assert_eq!(say(100, 700), Silence::For { ms: 600_000, since: at(700) });
        assert_eq!(say(100, 5_000), Silence::For { ms: 4_900_000, since: at(700) });
        assert_eq!(say(900, 100), Silence::Not { from: at(1_500) }, "a clock behind");
        assert_eq!(deadline(at(100), Duration::MAX), Timestamp::LAST);
        assert_eq!(
            Silence::at(Timestamp::LAST, after, Timestamp::LAST),
            Silence::Not { from: Timestamp::LAST }
        );
    }
}
