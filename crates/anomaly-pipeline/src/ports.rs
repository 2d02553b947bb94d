//! What the stages need of the world.
//!
//! Every port has at least an AWS and an in-memory implementation. All calls may be repeated: a batch comes
//! again after a crash anywhere, so each port says what a second call with the same arguments does.

use std::future::Future;
use std::time::Duration;

use anomaly_core::alert::{AlertId, Transition};
use anomaly_core::classify::SeriesState;
use anomaly_core::message::Message;
use anomaly_core::position::{Place, Runs};
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::window::Window;
use anomaly_core::wire::{Chunk, RejectV1};

use crate::fault::Fault;

/// Gives rows their scores: a SageMaker endpoint, or a frozen model in process.
pub trait Scorer {
    /// What gives the scores: an endpoint's name, a model's id. Travels with the scores.
    fn model(&self) -> &str;

    /// How many of `rows`, from the first on, one call takes: a request has a limit in bytes. 1 to the number of
    /// rows, which is not 0. A row that is too large by itself counts as 1, and its call is
    /// [`FaultKind::Refused`](crate::fault::FaultKind::Refused).
    fn fit(&self, rows: &[&[f64]]) -> usize {
        rows.len()
    }

    /// The scores of `rows`, one each, in order; higher is stranger. `rows` is not empty, all rows are of one
    /// width and finite, and there are no more of them than [`Scorer::fit`].
    ///
    /// The caller checks count and finiteness; an implementation returns what it was told. Repeating a call
    /// gives the same scores (a frozen model) at the price of another inference.
    fn score(&self, rows: &[&[f64]]) -> impl Future<Output = Result<Answer, Fault>> + Send;
}

impl<S: Scorer + Sync> Scorer for &S {
    fn model(&self) -> &str {
        (*self).model()
    }

    fn fit(&self, rows: &[&[f64]]) -> usize {
        (*self).fit(rows)
    }

    fn score(&self, rows: &[&[f64]]) -> impl Future<Output = Result<Answer, Fault>> + Send {
        (*self).score(rows)
    }
}

/// What a scorer answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The scores it gave, in its order.
    pub scores: Vec<f64>,
    /// Which of several models behind one name gave them, where the scorer says so: SageMaker's
    /// `InvokedProductionVariant`, and behind an `@` the id of the artifact, where the container tells it. What is
    /// known of one variant's scores says nothing of another's.
    pub variant: Option<String>,
}

impl From<Vec<f64>> for Answer {
    /// Scores of a model that has its name to itself.
    fn from(scores: Vec<f64>) -> Self {
        Answer { scores, variant: None }
    }
}

/// Time passing: what back-off, deadlines and the breaker go by. Rules see event time only.
pub trait Timer {
    /// How long it is since some fixed moment; never goes back.
    fn now(&self) -> Duration;

    /// Is ready once `wait` has passed.
    fn sleep(&self, wait: Duration) -> impl Future<Output = ()> + Send;
}

impl<T: Timer + Sync> Timer for &T {
    fn now(&self) -> Duration {
        (*self).now()
    }

    fn sleep(&self, wait: Duration) -> impl Future<Output = ()> + Send {
        (*self).sleep(wait)
    }
}

/// Takes scored chunks to `classify`.
pub trait Queue {
    /// Queues `chunk` behind all chunks of its group. On success the queue has taken responsibility for it.
    ///
    /// A second call with the same deduplication id may or may not queue it again: `classify` copes.
    fn send(&self, chunk: &Chunk) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// A state as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The state.
    pub state: SeriesState,
    /// How often it was written; the condition of the next write.
    pub revision: u64,
}

/// What became of a write under a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It was written, all of it.
    Written,
    /// Somebody else wrote the state meanwhile; nothing was written.
    Conflict,
}

/// The memory of the series, and the way transitions get into the outbox.
pub trait States {
    /// The states of `series` (no name twice, at most [`anomaly_core::wire::CHUNK_SERIES_MAX`]), in order;
    /// `None` for a series never seen. What is read is what was last written (strongly consistent).
    fn load(&self, series: &[SeriesId]) -> impl Future<Output = Result<Vec<Option<Stored>>, Fault>> + Send;

    /// Writes `state` if the stored revision is still `revision` (`None`: if there is none), together with
    /// `transitions` as pending rows of the outbox: all or nothing. A transition already in the outbox stays
    /// as it is. `now` is when the rows count as created.
    fn save(
        &self,
        series: &SeriesId,
        state: &SeriesState,
        revision: Option<u64>,
        transitions: &[Transition],
        now: Timestamp,
    ) -> impl Future<Output = Result<Saved, Fault>> + Send;

    /// Series in which there is something to do ([`SeriesState::due`]) at `until` or before, in any order, at
    /// most `limit`. May name one that has nothing due (any more), and may be some seconds behind.
    fn due(
        &self,
        until: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<SeriesId>, Fault>> + Send;
}

/// A window as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredWindow {
    /// The window.
    pub window: Window,
    /// How often it was written; the condition of the next write.
    pub revision: u64,
}

/// The last readings of the series, for models that take several as one row.
pub trait Windows {
    /// The windows of `series` (no name twice, any number), in order; `None` for a series never seen. What is
    /// read is what was last written (strongly consistent).
    fn load(
        &self,
        series: &[SeriesId],
    ) -> impl Future<Output = Result<Vec<Option<StoredWindow>>, Fault>> + Send;

    /// Writes `window` if the stored revision is still `revision` (`None`: if there is none).
    fn save(
        &self,
        series: &SeriesId,
        window: &Window,
        revision: Option<u64>,
    ) -> impl Future<Output = Result<Saved, Fault>> + Send;
}

impl<W: Windows + Sync> Windows for &W {
    fn load(
        &self,
        series: &[SeriesId],
    ) -> impl Future<Output = Result<Vec<Option<StoredWindow>>, Fault>> + Send {
        (*self).load(series)
    }

    fn save(
        &self,
        series: &SeriesId,
        window: &Window,
        revision: Option<u64>,
    ) -> impl Future<Output = Result<Saved, Fault>> + Send {
        (*self).save(series, window, revision)
    }
}

/// No windows: for models that take one reading a row. Nothing is ever asked of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWindows;

impl Windows for NoWindows {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<StoredWindow>>, Fault> {
        Ok(vec![None; series.len()])
    }

    async fn save(&self, _: &SeriesId, _: &Window, _: Option<u64>) -> Result<Saved, Fault> {
        Ok(Saved::Written)
    }
}

/// Windows, or none where a row is one reading.
impl<W: Windows + Sync> Windows for Option<W> {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<StoredWindow>>, Fault> {
        match self {
            Some(windows) => windows.load(series).await,
            None => NoWindows.load(series).await,
        }
    }

    async fn save(&self, series: &SeriesId, window: &Window, revision: Option<u64>) -> Result<Saved, Fault> {
        match self {
            Some(windows) => windows.save(series, window, revision).await,
            None => NoWindows.save(series, window, revision).await,
        }
    }
}

/// Keeps rejected records.
pub trait Rejects {
    /// Keeps `rejects`. The same reject again changes nothing.
    fn keep(&self, rejects: &[RejectV1]) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// Remembers which readings were judged, for as long as they may come again.
///
/// A *strand* is what comes in order: the readings of a partition in a group. Its notes do not overlap where the
/// source keeps the partition's order.
pub trait Journal {
    /// Notes that the readings of `strand` in `runs` were judged. They are forgotten a month after `now`. The same
    /// again changes nothing; other runs with the same last place take the place of what was noted.
    fn note(
        &self,
        strand: &str,
        runs: &Runs,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// What was noted of `strand`, from the note that `first` may lie in, up to the one behind that in which
    /// `last` may lie, or to the end; maybe more. What is read is what was last written.
    fn find(
        &self,
        strand: &str,
        first: &Place,
        last: Option<&Place>,
    ) -> impl Future<Output = Result<Runs, Fault>> + Send;

    /// What the notes with these strands and last places (no name twice, any number) say, in order; no runs
    /// where there is none. What is read is what was last written.
    fn get(&self, names: &[(String, Place)]) -> impl Future<Output = Result<Vec<Runs>, Fault>> + Send;
}

/// The name of a transition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransitionKey {
    /// The alert.
    pub alert: AlertId,
    /// The step's number, counting from 1.
    pub number: u32,
}

impl TransitionKey {
    /// The name of `transition`.
    pub fn of(transition: &Transition) -> Self {
        TransitionKey { alert: transition.alert.clone(), number: transition.number }
    }
}

/// What became of an attempt to claim a transition for publishing.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// It is ours until the lease ends.
    Taken(Box<Transition>),
    /// Somebody else is publishing it. If they die, the sweep takes it after their lease.
    Held,
    /// It was sent before, or its row has expired.
    Sent,
}

/// The transitions on their way to people.
pub trait Outbox {
    /// Claims the pending transition `key` until `lease_until`, if nobody holds it at `now`.
    fn claim(
        &self,
        key: &TransitionKey,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> impl Future<Output = Result<Claim, Fault>> + Send;

    /// Gives up the claim on `key` that lasts until `lease_until`, so that the next attempt need not wait for its
    /// end. If it is not ours any more: no change. It may fail: the lease ends by itself.
    fn release(
        &self,
        key: &TransitionKey,
        lease_until: Timestamp,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Marks `key` sent with the publisher's `message_id`; it is pending no more. Again: no change.
    fn mark_sent(
        &self,
        key: &TransitionKey,
        message_id: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// The pending transitions created before `created_before`, oldest first, at most `limit`.
    fn pending(
        &self,
        created_before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<TransitionKey>, Fault>> + Send;
}

/// Tells people.
pub trait Publisher {
    /// Hands `message` over and returns the id it was given. Again: people are told again.
    fn publish(&self, message: &Message) -> impl Future<Output = Result<String, Fault>> + Send;
}

impl<P: Publisher + Sync> Publisher for &P {
    fn publish(&self, message: &Message) -> impl Future<Output = Result<String, Fault>> + Send {
        (*self).publish(message)
    }
}
