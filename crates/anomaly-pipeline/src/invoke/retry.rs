//! Whether and when to ask again: back-off, jitter, and a budget that keeps retries from becoming a storm.
//!
//! A caller that gives up and asks again keeps a busy endpoint's queue full of answers that nobody waits for.
//! So retries are a bounded part of a batch, in number and in time, and a request that was still unanswered
//! when the time was over is not asked again at all.

use std::time::Duration;

use crate::fault::FaultKind;

/// How often and how patiently a batch asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts at one request, the first included.
    pub attempts_max: u32,
    /// The longest first wait after a fault that may pass; it doubles with each attempt.
    pub wait_first: Duration,
    /// The same where the endpoint said that it is asked too often, or that its model is being loaded.
    pub wait_first_throttled: Duration,
    /// The longest wait of all.
    pub wait_max: Duration,
    /// Retries a batch has in any case …
    pub retries_least: u32,
    /// … and one more for so many requests.
    pub requests_per_retry: u32,
    /// The part of the batch's time that may be spent waiting: one in so many.
    pub wait_share: u32,
}

impl RetryPolicy {
    /// Four attempts; waits of up to 0.2 s, or 1 s after throttling, doubling to 8 s at most; three retries a
    /// batch and one more for five requests; half of the time.
    ///
    /// Sources: four attempts and full jitter as the SDKs' own standard mode has about them (AWS SDKs reference
    /// guide, "Retry behavior"); a share of the load as the budget (Google, "Site Reliability Engineering",
    /// chapter 21, which takes a tenth: a small function has too few requests for that to be one).
    pub const USUAL: RetryPolicy = RetryPolicy {
        attempts_max: 4,
        wait_first: Duration::from_millis(200),
        wait_first_throttled: Duration::from_secs(1),
        wait_max: Duration::from_secs(8),
        retries_least: 3,
        requests_per_retry: 5,
        wait_share: 2,
    };
}

/// What a batch has spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    policy: RetryPolicy,
    /// What the batch may wait in all.
    wait_most: Duration,
    requests: u32,
    retries: u32,
    waited: Duration,
}

impl Budget {
    /// The budget of a batch that has `left` for everything.
    pub(super) fn new(policy: RetryPolicy, left: Duration) -> Self {
        let wait_most = left / policy.wait_share.max(1);
        Budget { policy, wait_most, requests: 0, retries: 0, waited: Duration::ZERO }
    }

    /// A request is made for the first time.
    pub(super) fn request(&mut self) {
        self.requests = self.requests.saturating_add(1);
    }

    /// How long to wait before asking again after attempt `attempt` (from 1) met `kind`; `None` if it is not to
    /// be asked again. `left` is the time until the deadline; `roll` is in `0..1`.
    ///
    /// Full jitter: anything between nothing and the longest wait (AWS Architecture Blog, "Exponential Backoff
    /// And Jitter", 2015), so that callers who failed together do not come back together.
    pub(super) fn retry(
        &mut self,
        kind: FaultKind,
        attempt: u32,
        left: Duration,
        roll: f64,
    ) -> Option<Duration> {
        let RetryPolicy { attempts_max, retries_least, requests_per_retry, .. } = self.policy;
        let retries_most = retries_least.saturating_add(self.requests / requests_per_retry.max(1));
        if !kind.may_pass() || attempt >= attempts_max || self.retries >= retries_most {
            return None;
        }
        let wait = self.longest(kind, attempt).mul_f64(roll);
        if wait >= left || self.waited + wait > self.wait_most {
            return None;
        }
        self.retries += 1;
        self.waited += wait;
        Some(wait)
    }

    fn longest(&self, kind: FaultKind, attempt: u32) -> Duration {
        let first = match kind {
            FaultKind::Throttled => self.policy.wait_first_throttled,
            _ => self.policy.wait_first,
        };
        let doubled = first.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        doubled.min(self.policy.wait_max)
    }

    /// Requests made for the first time, and how often one was made again.
    pub(super) fn spent(&self) -> (u32, u32) {
        (self.requests, self.retries)
    }
}

/// Where jitter comes from: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014). Not for secrets; the same seed, the same waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// A number in `0..1`.
    pub(super) fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The upper 53 bits: as many as a float holds.
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn waits(kind: FaultKind, left: Duration, roll: f64) -> Vec<Option<u64>> {
        let mut budget = Budget::new(RetryPolicy::USUAL, MINUTE);
        budget.request();
        let wait = |attempt| budget.retry(kind, attempt, left, roll).map(|wait| wait.as_millis() as u64);
        (1..=4).map(wait).collect()
    }

    #[test]
    fn waits_double_and_end() {
        let waits = |kind| waits(kind, MINUTE, 0.5);
        assert_eq!(waits(FaultKind::Transient), [Some(100), Some(200), Some(400), None]);
        assert_eq!(waits(FaultKind::Throttled), [Some(500), Some(1000), Some(2000), None]);
        assert_eq!(waits(FaultKind::Permanent), [None; 4]);
        assert_eq!(waits(FaultKind::Refused), [None; 4], "the rows are at fault, not the hour");
    }

    #[test]
    fn no_wait_outlasts_the_time_that_is_left() {
        assert_eq!(waits(FaultKind::Throttled, Duration::from_millis(500), 0.5)[0], None);
        assert_eq!(waits(FaultKind::Throttled, Duration::from_millis(501), 0.5)[0], Some(500));
    }

    #[test]
    fn retries_are_a_small_part_of_the_requests() {
        let mut budget = Budget::new(RetryPolicy::USUAL, MINUTE);
        let mut granted = 0;
        for _ in 0..100 {
            budget.request();
            granted += usize::from(budget.retry(FaultKind::Transient, 1, MINUTE, 0.0).is_some());
        }
        assert_eq!((granted, budget.spent()), (23, (100, 23)), "3, and one for five requests");
    }

    #[test]
    fn dice_are_fair_enough_and_repeat() {
        let (mut one, mut two) = (Dice::new(7), Dice::new(7));
        let rolls: Vec<f64> = (0..1000).map(|_| one.roll()).collect();
        assert!(rolls.iter().all(|roll| (0.0..1.0).contains(roll) && *roll == two.roll()));
        let mean = rolls.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
        assert_ne!(Dice::new(8).roll(), rolls[0]);
    }

    proptest! {
        #[test]
        fn waiting_is_bounded(left_ms in 0..100_000u64, rolls in proptest::collection::vec((0.0..1.0f64, 1..6u32), 0..200)) {
            let left = Duration::from_millis(left_ms);
            let mut budget = Budget::new(RetryPolicy::USUAL, left);
            let mut waited = Duration::ZERO;
            for (roll, attempt) in rolls {
                budget.request();
                waited += budget.retry(FaultKind::Throttled, attempt, left, roll).unwrap_or_default();
            }
            prop_assert!(waited <= left / 2);
        }
    }
}
