//! The time, for the functions' `main`s: everything behind them is told it.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

use anomaly_core::time::Timestamp;
use anomaly_pipeline::ports::Timer;

/// Kept at the end of an invocation, for queueing what was scored and for saying what was not.
const RESERVE: Duration = Duration::from_secs(5);

/// Now.
pub fn now() -> Timestamp {
    instant(SystemTime::now())
}

/// `instant` in whole milliseconds.
pub fn instant(instant: SystemTime) -> Timestamp {
    let since = instant.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).ok().and_then(Timestamp::from_ms).unwrap_or_default()
}

/// How long an invocation may spend on requests, out of the time until its `deadline`: all but five seconds,
/// or all but a quarter where that is shorter.
pub fn budget(deadline: SystemTime) -> Duration {
    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
    left - RESERVE.min(left / 4)
}

/// When an invocation with this `deadline` is surely gone, and its leases with it: a second later, for clocks
/// that differ.
pub fn surely_gone(deadline: SystemTime) -> Timestamp {
    instant(deadline + Duration::from_secs(1))
}

/// A number that differs from process to process: where the jitter of waits begins.
pub fn seed() -> u64 {
    RandomState::new().hash_one(0)
}

/// Time as it passes for this process. Sleeping needs a runtime of tokio with its timer.
#[derive(Clone, Copy, Debug)]
pub struct Monotonic(Instant);

impl Monotonic {
    /// A timer that begins now.
    pub fn start() -> Self {
        Monotonic(Instant::now())
    }
}

impl Timer for Monotonic {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }
}
