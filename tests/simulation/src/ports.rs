//! The functions' ports, into the world.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

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
    Timer, TransitionKey, Windows,
};

use crate::chaos::{Plan, Port, Strike};
use crate::scenario::EPOCH_MS;
use crate::world::{Event, World};

/// The world, as the ports of a container of a function see it.
#[derive(Clone)]
pub(crate) struct Ports {
    world: Arc<Mutex<World>>,
    /// What the container works at.
    invocation: Arc<AtomicU64>,
}

/// The guard of a world in which nothing panicked; if something did, the round has failed in any case.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ports {
    pub(crate) fn new(world: &Arc<Mutex<World>>) -> Self {
        Ports { world: Arc::clone(world), invocation: Arc::default() }
    }

    /// The container is given `invocation` to work at; one at a time.
    pub(crate) fn work_at(&self, invocation: u64) {
        self.invocation.store(invocation, Ordering::Relaxed);
    }

    fn invocation(&self) -> u64 {
        self.invocation.load(Ordering::Relaxed)
    }

    /// A call that does `effect` to the world: two waits, one before and one after it, and at either the call
    /// may fail and the process may die.
    async fn call<T: Send + 'static>(
        &self,
        port: Port,
        plan: Plan,
        key: Option<TransitionKey>,
        effect: impl FnOnce(&mut World) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.wait(plan.before_ms).await;
        if let (Some(strike), Some(key)) = (plan.strike, &key) {
            lock(&self.world).struck(self.invocation(), port, strike, key);
        }
        let failed = || Fault::transient(format!("{port:?}"), "struck");
        match plan.strike {
            None | Some(Strike::Slow) => {
                let result = effect(&mut lock(&self.world));
                self.wait(plan.after_ms).await;
                result
            }
            Some(Strike::FailBefore) => {
                self.wait(plan.after_ms).await;
                Err(failed())
            }
            Some(Strike::FailAfter) => {
                let _ = effect(&mut lock(&self.world));
                self.wait(plan.after_ms).await;
                Err(failed())
            }
            Some(Strike::KillBefore) => self.die().await,
            Some(Strike::KillAfter) => {
                let _ = effect(&mut lock(&self.world));
                self.wait(plan.after_ms).await;
                self.die().await
            }
            Some(Strike::KillLate) => {
                let late = Box::new(|world: &mut World| drop(effect(world)));
                lock(&self.world).after(plan.late_ms, Event::Late(late));
                self.die().await
            }
        }
    }

    fn plan(&self, port: Port, what: std::fmt::Arguments<'_>) -> Plan {
        lock(&self.world).plan(self.invocation(), port, what)
    }

    async fn wait(&self, ms: i64) {
        let mut due_ms = None;
        poll_fn(|context| {
            let mut world = lock(&self.world);
            match due_ms {
                None => {
                    due_ms = Some(world.now_ms + ms);
                    world.after(ms, Event::Wake(context.waker().clone()));
                    Poll::Pending
                }
                Some(due_ms) if world.now_ms < due_ms => Poll::Pending,
                Some(_) => Poll::Ready(()),
            }
        })
        .await;
    }

    async fn die<T>(&self) -> T {
        lock(&self.world).dying.insert(self.invocation());
        std::future::pending().await
    }
}

impl Scorer for Ports {
    fn model(&self) -> &str {
        "model"
    }

    async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        let rows: Vec<Vec<f64>> = rows.iter().map(|row| row.to_vec()).collect();
        let plan = self.plan(Port::Score, format_args!("{rows:?}"));
        self.call(Port::Score, plan, None, move |world| world.score(&rows).map(Answer::from)).await
    }
}

impl Timer for Ports {
    fn now(&self) -> Duration {
        Duration::from_millis(lock(&self.world).now_ms.unsigned_abs())
    }

    async fn sleep(&self, wait: Duration) {
        self.wait(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)).await;
    }
}

impl Queue for Ports {
    async fn send(&self, chunk: &Chunk) -> Result<(), Fault> {
        let plan = self.plan(Port::Send, format_args!("{} {}", chunk.deduplication, chunk.body));
        let chunk = chunk.clone();
        self.call(Port::Send, plan, None, move |world| {
            world.send(&chunk.group, &chunk.deduplication, &chunk.body);
            Ok(())
        })
        .await
    }
}

impl States for Ports {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<Stored>>, Fault> {
        let plan = self.plan(Port::Load, format_args!("{series:?}"));
        let series = series.to_vec();
        self.call(Port::Load, plan, None, move |world| {
            let stored = |(bytes, revision): &(Vec<u8>, u64)| {
                let state = SeriesState::decode(bytes).map_err(|e| Fault::permanent("read a state", e))?;
                Ok(Stored { state, revision: *revision })
            };
            series.iter().map(|name| world.tables.states.get(name).map(stored).transpose()).collect()
        })
        .await
    }

    async fn save(
        &self,
        series: &SeriesId,
        state: &SeriesState,
        revision: Option<u64>,
        transitions: &[Transition],
        now: Timestamp,
    ) -> Result<Saved, Fault> {
        let steps: Vec<String> = transitions.iter().map(|t| format!("{} {}", t.alert, t.number)).collect();
        let plan = self.plan(Port::Save, format_args!("{series} over {revision:?} {steps:?}"));
        let (series, state, transitions) = (series.clone(), state.clone(), transitions.to_vec());
        let invocation = self.invocation();
        self.call(Port::Save, plan, None, move |world| {
            let saved = world.tables.save(&series, &state, revision, &transitions, now.as_ms() - EPOCH_MS);
            world.note(format_args!("{saved:?} {series}"));
            if saved == Saved::Written {
                world.wrote(invocation, &series, &state);
            }
            world.tell_publish();
            Ok(saved)
        })
        .await
    }

    async fn due(&self, until: Timestamp, limit: usize) -> Result<Vec<SeriesId>, Fault> {
        let plan = self.plan(Port::Due, format_args!("until {until}"));
        self.call(Port::Due, plan, None, move |world| Ok(world.tables.due(until, limit))).await
    }
}

impl Rejects for Ports {
    async fn keep(&self, rejects: &[RejectV1]) -> Result<(), Fault> {
        let plan = self.plan(Port::Keep, format_args!("{}", rejects.len()));
        let rejects = rejects.to_vec();
        self.call(Port::Keep, plan, None, move |world| {
            world.tables.keep(&rejects);
            Ok(())
        })
        .await
    }
}

impl Journal for Ports {
    async fn note(&self, strand: &str, runs: &Runs, _: Timestamp) -> Result<(), Fault> {
        let plan = self.plan(Port::Note, format_args!("{strand} {:?}", runs.ends()));
        let (strand, runs) = (strand.to_owned(), runs.clone());
        self.call(Port::Note, plan, None, move |world| {
            world.tables.note(&strand, runs);
            Ok(())
        })
        .await
    }

    async fn find(&self, strand: &str, first: &Place, last: Option<&Place>) -> Result<Runs, Fault> {
        let plan = self.plan(Port::Find, format_args!("{strand} {first}"));
        let (strand, first, last) = (strand.to_owned(), first.clone(), last.cloned());
        self.call(Port::Find, plan, None, move |world| Ok(world.tables.find(&strand, first, last.as_ref())))
            .await
    }

    async fn get(&self, names: &[(String, Place)]) -> Result<Vec<Runs>, Fault> {
        let plan = self.plan(Port::Get, format_args!("{}", names.len()));
        let names = names.to_vec();
        self.call(Port::Get, plan, None, move |world| {
            let note = |name| world.tables.journal.get(name).cloned().unwrap_or_default();
            Ok(names.iter().map(note).collect())
        })
        .await
    }
}

impl Windows for Ports {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<StoredWindow>>, Fault> {
        let plan = self.plan(Port::LoadWindows, format_args!("{series:?}"));
        let series = series.to_vec();
        self.call(Port::LoadWindows, plan, None, move |world| world.tables.windows(&series)).await
    }

    async fn save(&self, series: &SeriesId, window: &Window, revision: Option<u64>) -> Result<Saved, Fault> {
        let plan = self.plan(Port::SaveWindow, format_args!("{series} over {revision:?}"));
        let (series, window) = (series.clone(), window.clone());
        self.call(Port::SaveWindow, plan, None, move |world| {
            Ok(world.tables.save_window(&series, &window, revision))
        })
        .await
    }
}

impl Outbox for Ports {
    async fn claim(
        &self,
        key: &TransitionKey,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Claim, Fault> {
        let plan = self.plan(Port::Claim, format_args!("{} {}", key.alert, key.number));
        let (key, now, until) = (key.clone(), now.as_ms(), lease_until.as_ms());
        self.call(Port::Claim, plan, None, move |world| {
            let claim = world.tables.claim(&key, now, until);
            world.tell_publish();
            Ok(claim)
        })
        .await
    }

    async fn release(&self, key: &TransitionKey, lease_until: Timestamp) -> Result<(), Fault> {
        let plan = self.plan(Port::Release, format_args!("{} {}", key.alert, key.number));
        let (key, until) = (key.clone(), lease_until.as_ms());
        self.call(Port::Release, plan, None, move |world| {
            world.tables.release(&key, until);
            world.tell_publish();
            Ok(())
        })
        .await
    }

    async fn mark_sent(&self, key: &TransitionKey, message_id: &str, _: Timestamp) -> Result<(), Fault> {
        let plan = self.plan(Port::Mark, format_args!("{} {} {message_id}", key.alert, key.number));
        let (marked, id, invocation) = (key.clone(), message_id.to_owned(), self.invocation());
        self.call(Port::Mark, plan, Some(key.clone()), move |world| {
            world.mark_sent(invocation, &marked, &id);
            Ok(())
        })
        .await
    }

    async fn pending(&self, created_before: Timestamp, limit: usize) -> Result<Vec<TransitionKey>, Fault> {
        let before_ms = created_before.as_ms() - EPOCH_MS;
        let plan = self.plan(Port::Pending, format_args!("before {before_ms}"));
        self.call(Port::Pending, plan, None, move |world| Ok(world.tables.pending(before_ms, limit))).await
    }
}

impl Publisher for Ports {
    async fn publish(&self, message: &Message) -> Result<String, Fault> {
        let key = key_of(message).ok_or_else(|| Fault::permanent("publish", "no key in the attributes"))?;
        let plan = self.plan(Port::Publish, format_args!("{} {}", key.alert, key.number));
        let (message, invocation, told) = (message.clone(), self.invocation(), key.clone());
        self.call(Port::Publish, plan, Some(key), move |world| Ok(world.publish(invocation, &told, &message)))
            .await
    }
}

/// The transition that a message tells of, by its attributes: what a receiver goes by.
fn key_of(message: &Message) -> Option<TransitionKey> {
    let attribute = |name| message.attributes.iter().find(|(n, _)| *n == name).map(|(_, value)| value);
    let alert = serde_json::from_value(attribute("alert")?.as_str().into()).ok()?;
    Some(TransitionKey { alert, number: attribute("transition")?.parse().ok()? })
}
