//! The stream of the outbox: which transitions were written.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};

use anomaly_core::alert::AlertId;
use anomaly_core::names;
use anomaly_pipeline::ports::TransitionKey;

use crate::event::{EventError, check_source, records};

const EXPECTED: &str = "an event of the outbox's DynamoDB stream, or {\"sweep\":true}";
const SOURCE: &str = "aws:dynamodb";

/// A record of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The sequence number by which Lambda knows it.
    pub name: Option<String>,
    /// What happened.
    pub kind: ChangeKind,
}

/// What happened to the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A transition was written.
    Inserted(TransitionKey),
    /// A row was changed or has expired: our own doing, and nothing to do.
    Other,
    /// It cannot be told which transition was written. Its row is pending in the table, where the sweep
    /// finds it; the stream need not stop for it.
    Unreadable(String),
}

/// Reads an event.
///
/// # Errors
/// [`EventError::Unknown`] if it is no event of a DynamoDB stream.
pub fn read(event: &str) -> Result<Vec<Change>, EventError> {
    let mut changes = Vec::new();
    for raw in records(event, EXPECTED)? {
        changes.push(match serde_json::from_str::<Record>(raw.get()) {
            Ok(record) => {
                check_source(record.event_source.as_deref(), SOURCE, EXPECTED)?;
                record.into_change()
            }
            Err(error) => Change { name: None, kind: ChangeKind::Unreadable(error.to_string()) },
        });
    }
    Ok(changes)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_source: Option<String>,
    event_name: Option<String>,
    dynamodb: Option<Row>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    sequence_number: Option<String>,
    keys: Option<Keys>,
}

#[derive(Deserialize)]
struct Keys {
    alert: Option<Attribute>,
    transition: Option<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(rename = "S")]
    text: Option<String>,
    #[serde(rename = "N")]
    number: Option<String>,
}

impl Record {
    fn into_change(self) -> Change {
        let is_insert = self.event_name.as_deref() == Some("INSERT");
        let Row { sequence_number, keys } =
            self.dynamodb.unwrap_or(Row { sequence_number: None, keys: None });
        let kind = match keys.and_then(key) {
            _ if !is_insert => ChangeKind::Other,
            Some(key) => ChangeKind::Inserted(key),
            None => ChangeKind::Unreadable(format!("no keys {} and {}", names::ALERT, names::TRANSITION)),
        };
        Change { name: sequence_number.filter(|name| !name.is_empty()), kind }
    }
}

fn key(keys: Keys) -> Option<TransitionKey> {
    let alert = alert_id(&keys.alert?.text?)?;
    let number = keys.transition?.number?.parse().ok()?;
    Some(TransitionKey { alert, number })
}

/// The alert's id out of a key: any text but none.
pub(crate) fn alert_id(text: &str) -> Option<AlertId> {
    let deserializer: StrDeserializer<'_, ValueError> = text.into_deserializer();
    AlertId::deserialize(deserializer).ok().filter(|id| !id.as_str().is_empty())
}
