//! The tables of DynamoDB, with conditional writes and the stream of the outbox.

use std::collections::BTreeMap;

use anomaly_core::alert::Transition;
use anomaly_core::classify::SeriesState;
use anomaly_core::position::{Place, Runs};
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::window::Window;
use anomaly_core::wire::RejectV1;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Claim, Saved, StoredWindow, TransitionKey};

use crate::mapping::{Cursor, Span};

/// A row of the outbox.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) transition: Transition,
    pub(crate) created_ms: i64,
    pub(crate) lease_until_ms: Option<i64>,
    pub(crate) message_id: Option<String>,
}

/// A change of the outbox, as its stream tells it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    event: &'static str,
    key: TransitionKey,
}

/// A shard of the outbox's stream. A row's changes are all in one, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shard {
    pub(crate) changes: Vec<Change>,
    pub(crate) cursor: Cursor,
    pub(crate) not_before_ms: i64,
}

/// How many shards the outbox's stream has.
pub(crate) const OUTBOX_SHARDS: usize = 2;

/// The tables.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub(crate) states: BTreeMap<SeriesId, (Vec<u8>, u64)>,
    pub(crate) outbox: BTreeMap<TransitionKey, Row>,
    /// By partition, sequence number and place in the record.
    pub(crate) rejects: BTreeMap<(String, String, u32), RejectV1>,
    /// By strand and last place.
    pub(crate) journal: BTreeMap<(String, Place), Runs>,
    /// The last readings of the series, by series.
    windows: BTreeMap<SeriesId, (Vec<u8>, u64)>,
    pub(crate) shards: Vec<Shard>,
    /// Whether the mapping's filter lets only new rows through.
    is_filtered: bool,
    /// How many writes found that somebody else had written.
    pub(crate) conflicts: u64,
}

impl Tables {
    pub(crate) fn new(is_filtered: bool) -> Self {
        Tables {
            states: BTreeMap::new(),
            outbox: BTreeMap::new(),
            rejects: BTreeMap::new(),
            journal: BTreeMap::new(),
            windows: BTreeMap::new(),
            shards: vec![Shard::default(); OUTBOX_SHARDS],
            is_filtered,
            conflicts: 0,
        }
    }

    /// Notes what was judged.
    pub(crate) fn note(&mut self, strand: &str, runs: Runs) {
        if let Some((_, last)) = runs.ends() {
            self.journal.insert((strand.to_owned(), last.clone()), runs);
        }
    }

    /// What was noted between two places, and no more than must be told.
    pub(crate) fn find(&self, strand: &str, first: Place, last: Option<&Place>) -> Runs {
        let mut found = Runs::default();
        let rows =
            self.journal.range((strand.to_owned(), first)..).take_while(|((other, _), _)| other == strand);
        for (_, runs) in rows {
            if runs.ends().zip(last).is_some_and(|((begins, _), last)| begins > last) {
                break;
            }
            found.extend(runs.clone());
        }
        found
    }

    /// The windows of `series`, in order.
    pub(crate) fn windows(&self, series: &[SeriesId]) -> Result<Vec<Option<StoredWindow>>, Fault> {
        let stored = |(bytes, revision): &(Vec<u8>, u64)| {
            let window = Window::decode(bytes).ok_or_else(|| Fault::permanent("read a window", "damaged"))?;
            Ok(StoredWindow { window, revision: *revision })
        };
        series.iter().map(|name| self.windows.get(name).map(stored).transpose()).collect()
    }

    /// Writes a window, unless somebody else did.
    pub(crate) fn save_window(&mut self, series: &SeriesId, window: &Window, revision: Option<u64>) -> Saved {
        if self.windows.get(series).map(|(_, stored)| *stored) != revision {
            return Saved::Conflict;
        }
        self.windows.insert(series.clone(), (window.encode(), revision.map_or(1, |r| r + 1)));
        Saved::Written
    }

    /// Writes state and transitions, all or nothing.
    pub(crate) fn save(
        &mut self,
        series: &SeriesId,
        state: &SeriesState,
        revision: Option<u64>,
        transitions: &[Transition],
        now_ms: i64,
    ) -> Saved {
        if self.states.get(series).map(|(_, stored)| *stored) != revision {
            self.conflicts += 1;
            return Saved::Conflict;
        }
        self.states.insert(series.clone(), (state.encode(), revision.map_or(1, |r| r + 1)));
        for transition in transitions {
            let key = TransitionKey::of(transition);
            if self.outbox.contains_key(&key) {
                continue;
            }
            let (transition, created_ms) = (transition.clone(), now_ms);
            let row = Row { transition, created_ms, lease_until_ms: None, message_id: None };
            self.outbox.insert(key.clone(), row);
            self.tell("INSERT", &key);
        }
        Saved::Written
    }

    /// Series in which there is something to do at `until` or before.
    pub(crate) fn due(&self, until: Timestamp, limit: usize) -> Vec<SeriesId> {
        let states = self.states.iter().map(|(series, (bytes, _))| (series, SeriesState::decode(bytes)));
        let is_due = |state: &SeriesState| state.due().is_some_and(|due| due <= until);
        let due = states.filter(|(_, state)| state.as_ref().is_ok_and(is_due));
        due.take(limit).map(|(series, _)| series.clone()).collect()
    }

    /// Whether a reading waits for its time in any series.
    pub(crate) fn has_held(&self) -> bool {
        let state = |bytes| SeriesState::decode(bytes).unwrap_or_default();
        self.states.values().any(|(bytes, _)| state(bytes).hold().is_some_and(|hold| !hold.is_empty()))
    }

    pub(crate) fn keep(&mut self, rejects: &[RejectV1]) {
        for reject in rejects {
            let place = (reject.partition.to_string(), reject.sequence.to_string(), reject.sub);
            self.rejects.insert(place, reject.clone());
        }
    }

    pub(crate) fn claim(&mut self, key: &TransitionKey, now_ms: i64, until_ms: i64) -> Claim {
        let claim = match self.outbox.get_mut(key) {
            None => return Claim::Sent,
            Some(row) if row.message_id.is_some() => return Claim::Sent,
            Some(row) if row.lease_until_ms.is_some_and(|until| until >= now_ms) => return Claim::Held,
            Some(row) => {
                row.lease_until_ms = Some(until_ms);
                Claim::Taken(Box::new(row.transition.clone()))
            }
        };
        self.tell("MODIFY", key);
        claim
    }

    pub(crate) fn release(&mut self, key: &TransitionKey, until_ms: i64) {
        if let Some(row) = self.outbox.get_mut(key)
            && row.message_id.is_none()
            && row.lease_until_ms == Some(until_ms)
        {
            row.lease_until_ms = None;
            self.tell("MODIFY", key);
        }
    }

    pub(crate) fn mark_sent(&mut self, key: &TransitionKey, message_id: &str) {
        if let Some(row) = self.outbox.get_mut(key)
            && row.message_id.is_none()
        {
            row.message_id = Some(message_id.to_owned());
            row.lease_until_ms = None;
            self.tell("MODIFY", key);
        }
    }

    /// What is not sent and older than `before_ms`, oldest first, an alert's steps in order.
    pub(crate) fn pending(&self, before_ms: i64, limit: usize) -> Vec<TransitionKey> {
        let pending = self.outbox.iter().filter(|(_, r)| r.message_id.is_none() && r.created_ms < before_ms);
        let mut pending: Vec<_> = pending.collect();
        pending.sort_by_key(|(_, row)| row.created_ms);
        pending.into_iter().take(limit).map(|(key, _)| key.clone()).collect()
    }

    fn tell(&mut self, event: &'static str, key: &TransitionKey) {
        if event == "INSERT" || !self.is_filtered {
            let shard = key.alert.as_str().bytes().map(usize::from).sum::<usize>() % OUTBOX_SHARDS;
            self.shards[shard].changes.push(Change { event, key: key.clone() });
        }
    }

    /// The event in which Lambda hands over a span of a shard of the outbox's stream.
    pub(crate) fn event(&self, shard: usize, span: Span) -> String {
        let changes = self.shards[shard].changes[span.start..span.end].iter().zip(span.start..);
        let changes = changes.map(|(Change { event, key }, index)| {
            format!(
                r#"{{"eventID":"{index}","eventName":"{event}","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1","dynamodb":{{"Keys":{{"alert":{{"S":"{}"}},"transition":{{"N":"{}"}}}},"SequenceNumber":"{}","StreamViewType":"NEW_IMAGE"}},"eventSourceARN":"arn:aws:dynamodb:eu-west-1:123456789012:table/outbox/stream/1"}}"#,
                key.alert,
                key.number,
                change_name(index),
            )
        });
        format!(r#"{{"Records":[{}]}}"#, changes.collect::<Vec<_>>().join(","))
    }
}

/// The sequence number of the change at `index` of a shard.
pub(crate) fn change_name(index: usize) -> String {
    format!("{}", 111_000_000_000_000_000_000_u128 + index as u128)
}
