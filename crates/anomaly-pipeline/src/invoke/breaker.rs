//! Whether to ask the endpoint at all: after enough batches failed in a row, not for a while.
//!
//! A circuit breaker (Nygard, "Release It!", 2nd edition, "Circuit Breaker"), one per container of the
//! function: an endpoint that is down is not helped by every shard asking it again and again, and an
//! invocation that is sure to fail should not be waited for.

use std::time::Duration;

/// When a [`Breaker`] opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Batches in a row that must fail before it opens; 1 or more.
    pub failures_max: u32,
    /// How long nothing is asked once it is open, and how long the one question after that has.
    pub open_for: Duration,
}

impl BreakerPolicy {
    /// Five batches, thirty seconds: a batch has spent its own retries before it counts, and half a minute is
    /// how soon a person would look again.
    pub const USUAL: BreakerPolicy = BreakerPolicy { failures_max: 5, open_for: Duration::from_secs(30) };
}

/// What a batch may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Ask as usual.
    Pass,
    /// Ask once, without a second try: the answer decides for all.
    Probe,
    /// Do not ask for this long.
    Wait(Duration),
}

/// How the breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// The endpoint is asked; so many batches in a row have failed.
    Closed {
        /// Failed batches since the last that did not.
        failures: u32,
    },
    /// The endpoint is not asked.
    Open {
        /// Until then, on the clock of the caller.
        until: Duration,
    },
    /// One batch is trying whether the endpoint is back.
    HalfOpen {
        /// When the next may try, should this one never tell: on the clock of the caller.
        until: Duration,
    },
}

impl BreakerState {
    /// The state in lower case, for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed { .. } => "closed",
            BreakerState::Open { .. } => "open",
            BreakerState::HalfOpen { .. } => "half-open",
        }
    }
}

/// The state machine. Time is an argument: how long it is since any fixed moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: BreakerState,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(policy: BreakerPolicy) -> Self {
        Breaker { policy, state: BreakerState::Closed { failures: 0 } }
    }

    /// How it stands.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// What the batch that begins at `now` may do. One that may ask must tell how it went by
    /// [`Breaker::succeeded`] or [`Breaker::failed`]; a probe that dies without a word is followed by the next
    /// one after [`BreakerPolicy::open_for`].
    pub fn admit(&mut self, now: Duration) -> Admission {
        match self.state {
            BreakerState::Closed { .. } => Admission::Pass,
            BreakerState::Open { until } | BreakerState::HalfOpen { until } if now < until => {
                Admission::Wait(until - now)
            }
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => {
                self.state = BreakerState::HalfOpen { until: now + self.policy.open_for };
                Admission::Probe
            }
        }
    }

    /// A batch had its answers.
    pub fn succeeded(&mut self) {
        self.state = BreakerState::Closed { failures: 0 };
    }

    /// A batch failed, at `now`.
    pub fn failed(&mut self, now: Duration) {
        let failures = match self.state {
            BreakerState::Closed { failures } => failures.saturating_add(1),
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => self.policy.failures_max,
        };
        self.state = if failures >= self.policy.failures_max {
            BreakerState::Open { until: now + self.policy.open_for }
        } else {
            BreakerState::Closed { failures }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: BreakerPolicy = BreakerPolicy { failures_max: 3, open_for: Duration::from_secs(10) };

    /// Works through `second event` pairs: `?` asks, `+` succeeds, `-` fails; says what each came to.
    fn story(events: &[(u64, char)]) -> Vec<String> {
        let mut breaker = Breaker::new(POLICY);
        let mut tell = |&(second, event): &(u64, char)| {
            let now = Duration::from_secs(second);
            match event {
                '?' => match breaker.admit(now) {
                    Admission::Pass => "pass".to_owned(),
                    Admission::Probe => "probe".to_owned(),
                    Admission::Wait(wait) => format!("wait {}", wait.as_secs()),
                },
                '+' => {
                    breaker.succeeded();
                    breaker.state().as_str().to_owned()
                }
                _ => {
                    breaker.failed(now);
                    breaker.state().as_str().to_owned()
                }
            }
        };
        events.iter().map(&mut tell).collect()
    }

    #[test]
    fn opens_after_failures_in_a_row() {
        assert_eq!(story(&[(0, '?'), (0, '-'), (1, '-'), (2, '?')]), ["pass", "closed", "closed", "pass"]);
        assert_eq!(story(&[(0, '-'), (1, '-'), (2, '-'), (3, '?')]), ["closed", "closed", "open", "wait 9"]);
        let between = story(&[(0, '-'), (1, '-'), (2, '+'), (3, '-'), (4, '-'), (5, '?')]);
        assert_eq!(between, ["closed", "closed", "closed", "closed", "closed", "pass"]);
    }

    #[test]
    fn one_probe_decides() {
        let failing = [(0, '-'), (0, '-'), (0, '-')];
        let told = |then: &[(u64, char)]| story(&[&failing, then].concat()).split_off(3);
        assert_eq!(told(&[(9, '?'), (10, '?'), (11, '?')]), ["wait 1", "probe", "wait 9"]);
        assert_eq!(told(&[(10, '?'), (12, '+'), (12, '?')]), ["probe", "closed", "pass"]);
        assert_eq!(
            told(&[(10, '?'), (12, '-'), (12, '?'), (22, '?')]),
            ["probe", "open", "wait 10", "probe"]
        );
        // The probe's process died: the next may try when its time is over.
        assert_eq!(told(&[(10, '?'), (19, '?'), (20, '?')]), ["probe", "wait 1", "probe"]);
        // One that recovers must fail as often as at first to open again.
        assert_eq!(
            told(&[(10, '?'), (10, '+'), (11, '-'), (11, '?')]),
            ["probe", "closed", "closed", "pass"]
        );
    }

    proptest! {
        /// Whatever happens, it is never closed to everybody for longer than its time.
        #[test]
        fn never_shut_for_ever(events in proptest::collection::vec((0..30u64, 0..3u8), 0..60)) {
            let (mut breaker, mut now) = (Breaker::new(POLICY), Duration::ZERO);
            for (wait, event) in events {
                now += Duration::from_secs(wait);
                match event {
                    0 => drop(breaker.admit(now)),
                    1 => breaker.succeeded(),
                    _ => breaker.failed(now),
                }
                let mut later = breaker;
                let later = later.admit(now + POLICY.open_for);
                prop_assert!(!matches!(later, Admission::Wait(_)));
            }
        }
    }
}
