//! What a function is handed, what it answers, and when it cannot.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Why an invocation fails as a whole: its source brings all of the event again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The event is not one this function takes: the trigger is wired to the wrong function.
    #[error("this function takes {expected}, and the event {found}")]
    Unknown {
        /// What it takes.
        expected: &'static str,
        /// What the event is, as far as can be told.
        found: String,
    },
    /// What failed has no name that could be returned, so that all of the batch must come again.
    #[error("all of the batch is wanted again: {why}")]
    WholeBatch {
        /// Why.
        why: String,
    },
}

/// The answer to an event source mapping with `ReportBatchItemFailures`.
///
/// No failures: the batch is done. For a stream the source resumes at the one failure named, and for a queue
/// it brings again those that are named (AWS Lambda developer guide, "partial batch responses"). An empty or
/// unknown name would fail the whole batch, so none is ever made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BatchResponse {
    /// What is wanted again.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<ItemFailure>,
}

/// One item that is wanted again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemFailure {
    /// A record's sequence number, or a message's id.
    #[serde(rename = "itemIdentifier")]
    pub id: String,
}

impl BatchResponse {
    /// Everything named in `ids` is wanted again.
    pub fn again<'i>(ids: impl IntoIterator<Item = &'i str>) -> Self {
        BatchResponse { failures: ids.into_iter().map(|id| ItemFailure { id: id.to_owned() }).collect() }
    }

    /// The stream resumes at the record `index`, or at the nearest one before it that has a name: what comes
    /// twice is recognised, what is skipped is lost.
    ///
    /// # Errors
    /// [`EventError::WholeBatch`] if neither it nor any record before it has a name.
    pub fn resume(names: &[Option<impl AsRef<str>>], index: usize) -> Result<Self, EventError> {
        let named = names.iter().take(index + 1).rev().flatten().next().map(AsRef::as_ref);
        let why = || "the first record wanted again has no sequence number, nor has any before it".to_owned();
        named.map(|name| Self::again([name])).ok_or_else(|| EventError::WholeBatch { why: why() })
    }
}

/// The records of an event, each still as its text.
///
/// # Errors
/// [`EventError::Unknown`] if the event has no list of records.
pub(crate) fn records<'a>(event: &'a str, expected: &'static str) -> Result<Vec<&'a RawValue>, EventError> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow, rename = "Records")]
        records: Option<Vec<&'a RawValue>>,
    }
    let unknown = |found: String| EventError::Unknown { expected, found };
    match serde_json::from_str::<Event<'a>>(event) {
        Ok(Event { records: Some(records) }) => Ok(records),
        Ok(Event { records: None }) => Err(unknown("has no Records".to_owned())),
        Err(error) => Err(unknown(format!("has no list of Records: {error}"))),
    }
}

/// The fields of a JSON object, in order, each value still as its text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads `json`; `None` if it is no object.
    pub(crate) fn new(json: &'a str) -> Option<Self> {
        struct Fields;
        impl<'a> Visitor<'a> for Fields {
            type Value = Vec<(Cow<'a, str>, &'a RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
                let mut fields = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    fields.push((key, value));
                }
                Ok(fields)
            }
        }
        serde_json::Deserializer::from_str(json).deserialize_map(Fields).ok().map(Object)
    }

    /// Every field, in order; a name that occurs twice is there twice.
    pub(crate) fn into_fields(self) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        self.0
    }

    /// The names of the fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// A field's text, as JSON.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }

    /// A field that is text.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        serde_json::from_str(self.raw(name)?).ok().map(|Text(text)| text)
    }

    /// A field that is a list.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.raw(name)?).ok()
    }
}

/// Refuses records of another source. One that does not say its source is taken for what is expected.
pub(crate) fn check_source(
    found: Option<&str>,
    source: &str,
    expected: &'static str,
) -> Result<(), EventError> {
    match found {
        Some(found) if found != source => {
            Err(EventError::Unknown { expected, found: format!("has records of {found:?}") })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&'static str]) -> Vec<Option<&'static str>> {
        names.iter().map(|n| (!n.is_empty()).then_some(*n)).collect()
    }

    #[test]
    fn resumes_at_the_nearest_name_before() {
        let at = |names, index| BatchResponse::resume(&named(names), index);
        assert_eq!(at(&["1", "2", "3"], 1), Ok(BatchResponse::again(["2"])));
        assert_eq!(at(&["1", "", ""], 2), Ok(BatchResponse::again(["1"])));
        assert!(matches!(at(&["", "2"], 0), Err(EventError::WholeBatch { .. })), "never past it");
    }

    #[test]
    fn answers_as_lambda_reads_them() {
        let json = |response| serde_json::to_string(&response).expect("plain data");
        assert_eq!(json(BatchResponse::default()), r#"{"batchItemFailures":[]}"#);
        assert_eq!(json(BatchResponse::again(["7"])), r#"{"batchItemFailures":[{"itemIdentifier":"7"}]}"#);
    }
}
