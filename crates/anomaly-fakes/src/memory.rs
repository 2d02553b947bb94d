//! Ports that keep what they are given.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anomaly_core::alert::Transition;
use anomaly_core::classify::SeriesState;
use anomaly_core::message::Message;
use anomaly_core::position::{Place, Runs, Sequence};
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::window::Window;
use anomaly_core::wire::{Chunk, RejectV1};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{
    Answer, Claim, Journal, Outbox, Publisher, Queue, Rejects, Saved, Scorer, States, Stored, StoredWindow,
    Timer, TransitionKey, Windows,
};

/// A mutex whose holder panicked still holds what it held: tests look at it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Scores a row by its sum: easy to foresee.
#[derive(Debug, Default)]
pub struct SumScorer;

impl Scorer for SumScorer {
    fn model(&self) -> &str {
        "sum"
    }

    async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        let scores: Vec<f64> = rows.iter().map(|row| row.iter().sum()).collect();
        Ok(scores.into())
    }
}

/// A timer that stands still until somebody sleeps: then the time is over at once.
#[derive(Debug, Default)]
pub struct SkippingTimer {
    now: Mutex<Duration>,
    slept: Mutex<Vec<Duration>>,
}

impl SkippingTimer {
    /// Lets `time` pass.
    pub fn pass(&self, time: Duration) {
        *lock(&self.now) += time;
    }

    /// The waits that were waited for, in order.
    pub fn slept(&self) -> Vec<Duration> {
        lock(&self.slept).clone()
    }
}

impl Timer for SkippingTimer {
    fn now(&self) -> Duration {
        *lock(&self.now)
    }

    /// Nothing happens until it is waited for: a deadline beside work that is done first never passes.
    async fn sleep(&self, wait: Duration) {
        self.pass(wait);
        lock(&self.slept).push(wait);
    }
}

/// Windows in memory.
#[derive(Debug, Default)]
pub struct MemoryWindows {
    windows: Mutex<BTreeMap<SeriesId, (Vec<u8>, u64)>>,
}

impl MemoryWindows {
    /// The encoded window of `series`.
    pub fn window(&self, series: &SeriesId) -> Option<Vec<u8>> {
        lock(&self.windows).get(series).map(|(bytes, _)| bytes.clone())
    }
}

impl Windows for MemoryWindows {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<StoredWindow>>, Fault> {
        let windows = lock(&self.windows);
        let stored = |(bytes, revision): &(Vec<u8>, u64)| {
            let window = Window::decode(bytes).ok_or_else(|| Fault::permanent("read a window", "damaged"))?;
            Ok(StoredWindow { window, revision: *revision })
        };
        series.iter().map(|name| windows.get(name).map(stored).transpose()).collect()
    }

    async fn save(&self, series: &SeriesId, window: &Window, revision: Option<u64>) -> Result<Saved, Fault> {
        let mut windows = lock(&self.windows);
        if windows.get(series).map(|(_, stored)| *stored) != revision {
            return Ok(Saved::Conflict);
        }
        windows.insert(series.clone(), (window.encode(), revision.map_or(1, |r| r + 1)));
        Ok(Saved::Written)
    }
}

/// A FIFO queue: drops a deduplication id it has seen, as SQS does within five minutes.
#[derive(Debug, Default)]
pub struct MemoryQueue {
    chunks: Mutex<Vec<Chunk>>,
}

impl MemoryQueue {
    /// What was queued, in order.
    pub fn chunks(&self) -> Vec<Chunk> {
        lock(&self.chunks).clone()
    }
}

impl Queue for MemoryQueue {
    async fn send(&self, chunk: &Chunk) -> Result<(), Fault> {
        let mut chunks = lock(&self.chunks);
        if chunks.iter().all(|c| c.deduplication != chunk.deduplication) {
            chunks.push(chunk.clone());
        }
        Ok(())
    }
}

/// One row of the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The transition.
    pub transition: Transition,
    /// When it was written.
    pub created: Timestamp,
    /// Until when somebody is publishing it.
    pub lease_until: Option<Timestamp>,
    /// The id of its message, once it was sent.
    pub message_id: Option<String>,
}

/// States, outbox, rejects and journal in one, as they are in one database.
#[derive(Debug, Default)]
pub struct MemoryTables {
    states: Mutex<BTreeMap<SeriesId, (Vec<u8>, u64)>>,
    outbox: Mutex<BTreeMap<TransitionKey, Row>>,
    rejects: Mutex<BTreeMap<(String, Sequence, u32), RejectV1>>,
    journal: Mutex<BTreeMap<(String, Place), Runs>>,
}

impl MemoryTables {
    /// The outbox, by alert and number.
    pub fn outbox(&self) -> Vec<Row> {
        lock(&self.outbox).values().cloned().collect()
    }

    /// The names of the transitions in the outbox.
    pub fn keys(&self) -> Vec<TransitionKey> {
        lock(&self.outbox).keys().cloned().collect()
    }

    /// The rejects, by position.
    pub fn rejects(&self) -> Vec<RejectV1> {
        lock(&self.rejects).values().cloned().collect()
    }

    /// The encoded state of `series`.
    pub fn state(&self, series: &SeriesId) -> Option<Vec<u8>> {
        lock(&self.states).get(series).map(|(bytes, _)| bytes.clone())
    }
}

impl States for MemoryTables {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<Stored>>, Fault> {
        let states = lock(&self.states);
        let stored = |(bytes, revision): &(Vec<u8>, u64)| {
            let state = SeriesState::decode(bytes).map_err(|e| Fault::permanent("read a state", e))?;
            Ok(Stored { state, revision: *revision })
        };
        series.iter().map(|name| states.get(name).map(stored).transpose()).collect()
    }

    async fn save(
        &self,
        series: &SeriesId,
        state: &SeriesState,
        revision: Option<u64>,
        transitions: &[Transition],
        now: Timestamp,
    ) -> Result<Saved, Fault> {
        let mut states = lock(&self.states);
        if states.get(series).map(|(_, stored)| *stored) != revision {
            return Ok(Saved::Conflict);
        }
        states.insert(series.clone(), (state.encode(), revision.map_or(1, |r| r + 1)));
        let mut outbox = lock(&self.outbox);
        for transition in transitions {
            let row =
                Row { transition: transition.clone(), created: now, lease_until: None, message_id: None };
            outbox.entry(TransitionKey::of(transition)).or_insert(row);
        }
        Ok(Saved::Written)
    }

    async fn due(&self, until: Timestamp, limit: usize) -> Result<Vec<SeriesId>, Fault> {
        let states = lock(&self.states);
        let is_due = |bytes: &[u8]| {
            let state = SeriesState::decode(bytes).unwrap_or_default();
            state.due().is_some_and(|due| due <= until)
        };
        let due = states.iter().filter(|(_, (bytes, _))| is_due(bytes));
        Ok(due.map(|(series, _)| series.clone()).take(limit).collect())
    }
}

impl Rejects for MemoryTables {
    async fn keep(&self, rejects: &[RejectV1]) -> Result<(), Fault> {
        let mut kept = lock(&self.rejects);
        for reject in rejects {
            kept.insert((reject.partition.to_string(), reject.sequence.clone(), reject.sub), reject.clone());
        }
        Ok(())
    }
}

impl Journal for MemoryTables {
    async fn note(&self, strand: &str, runs: &Runs, _: Timestamp) -> Result<(), Fault> {
        if let Some((_, last)) = runs.ends() {
            lock(&self.journal).insert((strand.to_owned(), last.clone()), runs.clone());
        }
        Ok(())
    }

    async fn find(&self, strand: &str, first: &Place, last: Option<&Place>) -> Result<Runs, Fault> {
        let journal = lock(&self.journal);
        let behind = |runs: &Runs| runs.ends().zip(last).is_some_and(|((first, _), last)| first > last);
        let mut found = Runs::default();
        for ((other, _), runs) in journal.range((strand.to_owned(), first.clone())..) {
            if other != strand || behind(runs) {
                break;
            }
            found.extend(runs.clone());
        }
        Ok(found)
    }

    async fn get(&self, names: &[(String, Place)]) -> Result<Vec<Runs>, Fault> {
        let journal = lock(&self.journal);
        Ok(names.iter().map(|name| journal.get(name).cloned().unwrap_or_default()).collect())
    }
}

impl Outbox for MemoryTables {
    async fn claim(
        &self,
        key: &TransitionKey,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Claim, Fault> {
        Ok(match lock(&self.outbox).get_mut(key) {
            Some(row) if row.message_id.is_some() => Claim::Sent,
            Some(row) if row.lease_until.is_some_and(|until| until >= now) => Claim::Held,
            Some(row) => {
                row.lease_until = Some(lease_until);
                Claim::Taken(Box::new(row.transition.clone()))
            }
            None => Claim::Sent,
        })
    }

    async fn release(&self, key: &TransitionKey, lease_until: Timestamp) -> Result<(), Fault> {
        if let Some(row) = lock(&self.outbox).get_mut(key) {
            row.lease_until = row.lease_until.filter(|until| *until != lease_until);
        }
        Ok(())
    }

    async fn mark_sent(&self, key: &TransitionKey, message_id: &str, _: Timestamp) -> Result<(), Fault> {
        if let Some(row) = lock(&self.outbox).get_mut(key) {
            row.message_id.get_or_insert_with(|| message_id.to_owned());
        }
        Ok(())
    }

    async fn pending(&self, created_before: Timestamp, limit: usize) -> Result<Vec<TransitionKey>, Fault> {
        let outbox = lock(&self.outbox);
        let mut pending: Vec<_> = outbox
            .iter()
            .filter(|(_, row)| row.message_id.is_none() && row.created < created_before)
            .collect();
        pending.sort_by_key(|(_, row)| row.created);
        Ok(pending.into_iter().take(limit).map(|(key, _)| key.clone()).collect())
    }
}

/// Keeps the messages.
#[derive(Debug, Default)]
pub struct RecordingPublisher {
    messages: Mutex<Vec<Message>>,
}

impl RecordingPublisher {
    /// What was published, in order.
    pub fn messages(&self) -> Vec<Message> {
        lock(&self.messages).clone()
    }
}

impl Publisher for RecordingPublisher {
    async fn publish(&self, message: &Message) -> Result<String, Fault> {
        let mut messages = lock(&self.messages);
        messages.push(message.clone());
        Ok(format!("message-{}", messages.len()))
    }
}
