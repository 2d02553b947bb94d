//! Any port, failing by a script.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anomaly_core::alert::Transition;
use anomaly_core::classify::SeriesState;
use anomaly_core::message::Message;
use anomaly_core::position::{Place, Runs};
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::window::Window;
use anomaly_core::wire::{Chunk, RejectV1};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{
    Answer, Claim, Journal, Outbox, Publisher, Queue, Rejects, Saved, Scorer, States, Stored, StoredWindow,
    TransitionKey, Windows,
};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing happens, and the caller is told.
    Before,
    /// It happens, and the caller is told that it did not: the answer was lost.
    After,
    /// The process is gone: nothing happens, at this call and all that come after it.
    Dead,
}

/// When calls fail, counting from 0 over all methods of all ports that go by it.
#[derive(Debug, Default)]
pub struct Script {
    failures: Vec<(usize, Failure)>,
    calls: AtomicUsize,
}

impl Script {
    /// The calls of `failures` fail.
    pub fn new(failures: &[(usize, Failure)]) -> Self {
        Script { failures: failures.to_vec(), calls: AtomicUsize::new(0) }
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn next(&self) -> Option<Failure> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let is_now = |(at, failure): &&(usize, Failure)| match failure {
            Failure::Dead => call >= *at,
            Failure::Before | Failure::After => call == *at,
        };
        self.failures.iter().find(is_now).map(|(_, failure)| *failure)
    }
}

/// A port that fails by a script.
#[derive(Debug)]
pub struct Failing<P> {
    inner: P,
    script: Arc<Script>,
}

impl<P> Failing<P> {
    /// `inner`, failing on the calls of `script`, counting from 0 over all its methods.
    pub fn new(inner: P, script: &[(usize, Failure)]) -> Self {
        Failing::by(inner, &Arc::new(Script::new(script)))
    }

    /// `inner`, failing by `script`, which others may go by too.
    pub fn by(inner: P, script: &Arc<Script>) -> Self {
        Failing { inner, script: Arc::clone(script) }
    }

    /// The port itself.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// How often it, and those that go by the same script, were called.
    pub fn calls(&self) -> usize {
        self.script.calls()
    }

    async fn run<T>(&self, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let scripted = || Fault::transient("a scripted call", "failed as told");
        match self.script.next() {
            None => call.await,
            Some(Failure::Before | Failure::Dead) => Err(scripted()),
            Some(Failure::After) => call.await.and_then(|_| Err(scripted())),
        }
    }
}

impl<P: Scorer + Sync> Scorer for Failing<P> {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn fit(&self, rows: &[&[f64]]) -> usize {
        self.inner.fit(rows)
    }

    async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        self.run(self.inner.score(rows)).await
    }
}

impl<P: Windows + Sync> Windows for Failing<P> {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<StoredWindow>>, Fault> {
        self.run(self.inner.load(series)).await
    }

    async fn save(&self, series: &SeriesId, window: &Window, revision: Option<u64>) -> Result<Saved, Fault> {
        self.run(self.inner.save(series, window, revision)).await
    }
}

impl<P: Queue + Sync> Queue for Failing<P> {
    async fn send(&self, chunk: &Chunk) -> Result<(), Fault> {
        self.run(self.inner.send(chunk)).await
    }
}

impl<P: Publisher + Sync> Publisher for Failing<P> {
    async fn publish(&self, message: &Message) -> Result<String, Fault> {
        self.run(self.inner.publish(message)).await
    }
}

impl<P: States + Sync> States for Failing<&P> {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<Stored>>, Fault> {
        self.run(self.inner.load(series)).await
    }

    async fn save(
        &self,
        series: &SeriesId,
        state: &SeriesState,
        revision: Option<u64>,
        transitions: &[Transition],
        now: Timestamp,
    ) -> Result<Saved, Fault> {
        self.run(self.inner.save(series, state, revision, transitions, now)).await
    }

    async fn due(&self, until: Timestamp, limit: usize) -> Result<Vec<SeriesId>, Fault> {
        self.run(self.inner.due(until, limit)).await
    }
}

impl<P: Rejects + Sync> Rejects for Failing<&P> {
    async fn keep(&self, rejects: &[RejectV1]) -> Result<(), Fault> {
        self.run(self.inner.keep(rejects)).await
    }
}

impl<P: Journal + Sync> Journal for Failing<&P> {
    async fn note(&self, strand: &str, runs: &Runs, now: Timestamp) -> Result<(), Fault> {
        self.run(self.inner.note(strand, runs, now)).await
    }

    async fn find(&self, strand: &str, first: &Place, last: Option<&Place>) -> Result<Runs, Fault> {
        self.run(self.inner.find(strand, first, last)).await
    }

    async fn get(&self, names: &[(String, Place)]) -> Result<Vec<Runs>, Fault> {
        self.run(self.inner.get(names)).await
    }
}

impl<P: Outbox + Sync> Outbox for Failing<&P> {
    async fn claim(
        &self,
        key: &TransitionKey,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Claim, Fault> {
        self.run(self.inner.claim(key, now, lease_until)).await
    }

    async fn release(&self, key: &TransitionKey, lease_until: Timestamp) -> Result<(), Fault> {
        self.run(self.inner.release(key, lease_until)).await
    }

    async fn mark_sent(&self, key: &TransitionKey, id: &str, now: Timestamp) -> Result<(), Fault> {
        self.run(self.inner.mark_sent(key, id, now)).await
    }

    async fn pending(&self, before: Timestamp, limit: usize) -> Result<Vec<TransitionKey>, Fault> {
        self.run(self.inner.pending(before, limit)).await
    }
}
