//! The transitions on their way to people, and those that were told.

use anomaly_core::alert::{AlertId, Step, Transition};
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, TransitionV1};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Claim, Outbox, TransitionKey};
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::{Deserialize, Serialize};

use super::error::Trouble;
use super::{End, Store};
use crate::alerts::how_told;

/// By alert and step: the transition, as [`TransitionV1`], and how it stands with it, as [`Standing`]; both as JSON,
/// which may gain fields.
pub(super) const OUTBOX: TableDefinition<'_, (&str, u32), (&str, &str)> = TableDefinition::new("outbox");
/// What nobody was told yet: when it was written, in milliseconds since 1970; its alert and step.
const PENDING: TableDefinition<'_, (i64, &str, u32), ()> = TableDefinition::new("pending");

/// When which alert that is over may be forgotten, of those that `anomaly detect` told: in milliseconds since 1970.
const EXPIRES: TableDefinition<'_, (i64, &str), ()> = TableDefinition::new("outbox-expires");
/// As long as in a stack's table: a month.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// How many alerts are forgotten with each few that are told: more than one, so that there are less and less.
const FORGOTTEN_AT_ONCE: usize = 4;

type Rows<'t> = Table<'t, (&'static str, u32), (&'static str, &'static str)>;
type Expiries<'t> = Table<'t, (i64, &'static str), ()>;

/// How it stands with a transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// When it was written.
    pub(super) created_ms: Timestamp,
    /// Until when somebody is publishing it, if somebody began to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lease_until_ms: Option<Timestamp>,
    /// Why the alert took the step, where `anomaly detect` did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<Why>,
    /// How it was told; absent while it is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) told: Option<Told>,
}

/// Why an alert took a step, as it was said when it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The input of the row that made it.
    pub input: String,
    /// The row.
    pub row: u64,
    /// Rule, numbers, and what would have changed the answer, in a few lines.
    pub text: String,
}

/// A step of an alert that people were told of, or that was held back, with why it was taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Taken {
    pub(crate) transition: Transition,
    pub(crate) why: Option<Why>,
}

/// How a transition was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// When.
    pub(super) at_ms: Timestamp,
    /// The id that the publisher gave the message.
    pub(super) message_id: String,
}

pub(super) fn make(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(OUTBOX)?;
    transaction.open_table(PENDING)?;
    transaction.open_table(EXPIRES)?;
    Ok(())
}

/// Adds `transitions`, to be told. One that is there stays as it is.
pub(super) fn add(
    transaction: &WriteTransaction,
    transitions: &[Transition],
    now: Timestamp,
) -> Result<(), Trouble> {
    let mut outbox = transaction.open_table(OUTBOX)?;
    let mut pending = transaction.open_table(PENDING)?;
    let standing = json(&Standing { created_ms: now, lease_until_ms: None, why: None, told: None })?;
    for transition in transitions {
        let key = (transition.alert.as_str(), transition.number);
        if outbox.get(key)?.is_none() {
            let body = wire::write(&TransitionV1::new(transition.clone()));
            outbox.insert(key, (body.as_str(), standing.as_str()))?;
            pending.insert((now.as_ms(), key.0, key.1), ())?;
        }
    }
    Ok(())
}

/// Adds `steps`, of which people were told `now`. One that is there stays as it is.
pub(super) fn add_told(
    transaction: &WriteTransaction,
    steps: &[Taken],
    now: Timestamp,
) -> Result<(), Trouble> {
    let mut outbox = transaction.open_table(OUTBOX)?;
    let mut expiries = transaction.open_table(EXPIRES)?;
    forget(&mut outbox, &mut expiries, now)?;
    for Taken { transition, why } in steps {
        let key = (transition.alert.as_str(), transition.number);
        if transition.step == Step::Resolved {
            expiries.insert((now.as_ms().saturating_add(KEPT_MS), key.0), ())?;
        }
        if outbox.get(key)?.is_none() {
            let told = Some(Told { at_ms: now, message_id: how_told(transition).to_owned() });
            let why = why.clone();
            let standing = json(&Standing { created_ms: now, lease_until_ms: None, why, told })?;
            let body = wire::write(&TransitionV1::new(transition.clone()));
            outbox.insert(key, (body.as_str(), standing.as_str()))?;
        }
    }
    Ok(())
}

/// Forgets some of the alerts that may be forgotten by `now`.
fn forget(outbox: &mut Rows<'_>, expiries: &mut Expiries<'_>, now: Timestamp) -> Result<(), Trouble> {
    for _ in 0..FORGOTTEN_AT_ONCE {
        let Some(first) = expiries.first()?.map(|(key, _)| key) else { break };
        let (expires, alert) = (first.value().0, first.value().1.to_owned());
        drop(first);
        if expires >= now.as_ms() {
            break;
        }
        outbox.retain_in((alert.as_str(), 0)..=(alert.as_str(), u32::MAX), |_, _| false)?;
        expiries.remove((expires, alert.as_str()))?;
    }
    Ok(())
}

/// All steps, told or not, by alert and number.
pub(crate) fn all(transaction: &ReadTransaction) -> Result<Vec<Taken>, Trouble> {
    let mut all = Vec::new();
    for row in transaction.open_table(OUTBOX)?.iter()? {
        let (key, row) = row?;
        let (body, standing) = row.value();
        let Standing { why, .. } = how_it_stands(key.value(), standing)?;
        all.push(Taken { transition: read(body)?, why });
    }
    Ok(all)
}

/// The last step of `alert`.
pub(crate) fn last(transaction: &ReadTransaction, alert: &str) -> Result<Option<Transition>, Trouble> {
    let outbox = transaction.open_table(OUTBOX)?;
    let last = outbox.range((alert, 0)..=(alert, u32::MAX))?.next_back().transpose()?;
    last.map(|(_, row)| read(row.value().0)).transpose()
}

fn how_it_stands(place: (&str, u32), standing: &str) -> Result<Standing, Trouble> {
    let damaged = |error| Trouble::Row(format!("alert {} transition {}: {error}", place.0, place.1));
    serde_json::from_str(standing).map_err(damaged)
}

/// Changes how it stands with `key`, if it is there and pending, to what `change` makes of it; nothing if that is
/// `None`. Gives back the transition, or how it stands.
fn change(
    transaction: &WriteTransaction,
    key: &TransitionKey,
    change: impl FnOnce(Standing) -> Option<Standing>,
) -> Result<End<Claim>, Trouble> {
    let mut outbox = transaction.open_table(OUTBOX)?;
    let place = (key.alert.as_str(), key.number);
    let Some((body, standing)) = row(&outbox, place)? else { return Ok(End::Leave(Claim::Sent)) };
    if standing.told.is_some() {
        return Ok(End::Leave(Claim::Sent));
    }
    let created = standing.created_ms.as_ms();
    let Some(changed) = change(standing) else { return Ok(End::Leave(Claim::Held)) };
    outbox.insert(place, (body.as_str(), json(&changed)?.as_str()))?;
    if changed.told.is_some() {
        transaction.open_table(PENDING)?.remove((created, place.0, place.1))?;
    }
    Ok(End::Commit(Claim::Taken(Box::new(read(&body)?))))
}

/// What stands at `place`: the transition as it was written, and how it stands with it.
fn row(
    outbox: &impl ReadableTable<(&'static str, u32), (&'static str, &'static str)>,
    place: (&str, u32),
) -> Result<Option<(String, Standing)>, Trouble> {
    let Some(row) = outbox.get(place)? else { return Ok(None) };
    let (body, standing) = row.value();
    Ok(Some((body.to_owned(), how_it_stands(place, standing)?)))
}

impl Outbox for Store {
    async fn claim(
        &self,
        key: &TransitionKey,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Claim, Fault> {
        self.write(
            || format!("claim alert {} transition {}", key.alert, key.number),
            |transaction| {
                change(transaction, key, |standing| {
                    let is_held = standing.lease_until_ms.is_some_and(|until| until >= now);
                    (!is_held).then_some(Standing { lease_until_ms: Some(lease_until), ..standing })
                })
            },
        )
    }

    async fn release(&self, key: &TransitionKey, lease_until: Timestamp) -> Result<(), Fault> {
        self.write(
            || format!("release alert {} transition {}", key.alert, key.number),
            |transaction| {
                change(transaction, key, |standing| {
                    let is_ours = standing.lease_until_ms == Some(lease_until);
                    is_ours.then_some(Standing { lease_until_ms: None, ..standing })
                })
            },
        )
        .map(drop)
    }

    async fn mark_sent(&self, key: &TransitionKey, message_id: &str, now: Timestamp) -> Result<(), Fault> {
        let told = Told { at_ms: now, message_id: message_id.to_owned() };
        self.write(
            || format!("mark alert {} transition {} sent", key.alert, key.number),
            |transaction| {
                change(transaction, key, |standing| {
                    Some(Standing { lease_until_ms: None, told: Some(told), ..standing })
                })
            },
        )
        .map(drop)
    }

    async fn pending(&self, created_before: Timestamp, limit: usize) -> Result<Vec<TransitionKey>, Fault> {
        self.read(
            || "list what is pending".to_owned(),
            |transaction| {
                let table = transaction.open_table(PENDING)?;
                let oldest = table.range(..(created_before.as_ms(), "", 0))?.take(limit);
                let mut keys = Vec::new();
                for row in oldest {
                    let (key, _) = row?;
                    let (_, alert, number) = key.value();
                    keys.push(TransitionKey { alert: alert_id(alert)?, number });
                }
                Ok(keys)
            },
        )
    }
}

fn read(body: &str) -> Result<Transition, Trouble> {
    let read = wire::read::<TransitionV1>(body).map_err(|error| Trouble::Row(error.to_string()))?;
    Ok(read.transition)
}

fn json(standing: &Standing) -> Result<String, Trouble> {
    serde_json::to_string(standing).map_err(|error| Trouble::Row(error.to_string()))
}

fn alert_id(text: &str) -> Result<AlertId, Trouble> {
    let deserializer: StrDeserializer<'_, ValueError> = text.into_deserializer();
    AlertId::deserialize(deserializer).map_err(|error| Trouble::Row(error.to_string()))
}
