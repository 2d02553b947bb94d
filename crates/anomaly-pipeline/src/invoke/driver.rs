//! What a container of the function keeps from batch to batch, and what one batch has of it.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anomaly_core::group::Groups;
use anomaly_core::rejects::Versions;
use anomaly_core::window::Plan;
use futures_util::future::{Either, select};

use crate::ports::{NoWindows, Scorer, Timer, Windows};

use super::breaker::{Admission, Breaker, BreakerPolicy, BreakerState};
use super::retry::{Budget, Dice, RetryPolicy};

/// How many rows and requests at once, and what to do on a bad day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows a request, 1 or more; [`Scorer::fit`] may ask for fewer.
    pub rows_max: usize,
    /// Requests at a time, 1 or more.
    pub in_flight_max: usize,
    /// The groups of series into which chunks are divided.
    pub groups: Groups,
    /// Whether the share of rejects in each batch goes along, for a rule of its own.
    pub shares: bool,
    /// Whether the streaming detector, which is where the series' states are, scores what no model scores here.
    pub streaming: bool,
    /// By what records are rejected, to be said with each of them.
    pub rejected_by: Option<Versions>,
    /// When and how often to ask again.
    pub retry: RetryPolicy,
    /// When not to ask at all.
    pub breaker: BreakerPolicy,
}

impl Default for Limits {
    /// 500 rows a request, 4 requests at a time, all series in one group, no shares of rejects, no streaming detector,
    /// and nothing said of what rejected them.
    fn default() -> Self {
        Limits {
            rows_max: 500,
            in_flight_max: 4,
            groups: Groups::ONE,
            shares: false,
            streaming: false,
            rejected_by: None,
            retry: RetryPolicy::USUAL,
            breaker: BreakerPolicy::USUAL,
        }
    }
}

/// Gets scores for batches: one per container of the function, for as long as it lives.
#[derive(Debug)]
pub struct Driver<S, T, W = NoWindows> {
    /// Gives the scores; `None` where rules judge values and no model is used.
    pub(super) scorer: Option<S>,
    pub(super) timer: T,
    pub(super) windows: W,
    /// What rows are made of.
    pub(super) plan: Plan,
    pub(super) limits: Limits,
    breaker: Mutex<Breaker>,
    dice: Mutex<Dice>,
}

impl<S: Scorer, T: Timer> Driver<S, T> {
    /// A driver for models that take one reading a row. Its waits are drawn from `seed`: each container should have
    /// another, so that they do not all come back at once.
    pub fn new(scorer: Option<S>, timer: T, limits: Limits, seed: u64) -> Self {
        let breaker = Mutex::new(Breaker::new(limits.breaker));
        let dice = Mutex::new(Dice::new(seed));
        Driver { scorer, timer, windows: NoWindows, plan: Plan::plain(), limits, breaker, dice }
    }

    /// The same for rows that are made by `plan`, of what `windows` keeps of the last readings.
    pub fn with_windows<W: Windows>(self, windows: W, plan: Plan) -> Driver<S, T, W> {
        let Driver { scorer, timer, limits, breaker, dice, .. } = self;
        Driver { scorer, timer, windows, plan, limits, breaker, dice }
    }
}

impl<S, T: Timer, W> Driver<S, T, W> {
    /// For one invocation of the function, which has `left` for its requests and the waits between them: what
    /// takes longer is a fault, while there is still time to say so.
    pub fn turn(&self, left: Duration) -> Turn<'_, S, T, W> {
        let deadline = self.timer.now() + left;
        Turn { driver: self, deadline, budget: Mutex::new(Budget::new(self.limits.retry, left)) }
    }

    /// What it goes by.
    pub fn timer(&self) -> &T {
        &self.timer
    }

    /// How the breaker stands.
    pub fn breaker(&self) -> BreakerState {
        lock(&self.breaker).state()
    }

    pub(super) fn admit(&self) -> Admission {
        lock(&self.breaker).admit(self.timer.now())
    }

    pub(super) fn tell_breaker(&self, has_failed: bool) {
        let mut breaker = lock(&self.breaker);
        if has_failed { breaker.failed(self.timer.now()) } else { breaker.succeeded() }
    }

    pub(super) fn roll(&self) -> f64 {
        lock(&self.dice).roll()
    }
}

/// One invocation's use of a [`Driver`]: its time, and what it may still spend on asking again.
#[derive(Debug)]
pub struct Turn<'d, S, T, W = NoWindows> {
    pub(super) driver: &'d Driver<S, T, W>,
    /// On the driver's timer.
    pub(super) deadline: Duration,
    budget: Mutex<Budget>,
}

/// What a turn has cost, and how it leaves the container: for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Requests made, the repeated ones not counted.
    pub requests: u32,
    /// How often one was made again.
    pub retries: u32,
    /// How the breaker stands.
    pub breaker: BreakerState,
}

impl<S, T: Timer, W> Turn<'_, S, T, W> {
    /// The time until the deadline.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_sub(self.driver.timer.now())
    }

    /// What `work` comes to; `None` if the deadline comes first.
    pub(super) async fn in_time<V>(&self, work: impl Future<Output = V>) -> Option<V> {
        let left = self.left();
        if left.is_zero() {
            return None;
        }
        let (work, end) = (pin!(work), pin!(self.driver.timer.sleep(left)));
        match select(work, end).await {
            Either::Left((value, _)) => Some(value),
            Either::Right(_) => None,
        }
    }

    /// What it has cost so far.
    pub fn effort(&self) -> Effort {
        let (requests, retries) = self.budget().spent();
        Effort { requests, retries, breaker: self.driver.breaker() }
    }

    pub(super) fn budget(&self) -> MutexGuard<'_, Budget> {
        lock(&self.budget)
    }
}

/// Nothing is left half done by a holder that panicked: all changes are of one step.
fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
