//! The field of a record that says whether it is anomalous: beside what is measured, and never a part of it.

use anomaly_core::config::Format;
use anomaly_core::fields::{display_name, pointer};
use serde_json::Value;

use super::columns::{self, Column};
use super::head::Head;
use super::records::Record;
use super::text_at;

/// Where a record's label stands.
pub(super) enum Label {
    Cell(usize),
    Field(String),
}

impl Label {
    /// At the JSON pointer `place`; of CSV it names a column.
    ///
    /// # Errors
    /// There is no such column, or more than one.
    pub(super) fn find(place: &str, head: &Head) -> Result<Label, String> {
        if head.format == Format::Json {
            return Ok(Label::Field(place.to_owned()));
        }
        let is_it = |column: &Column| pointer(&column.name) == place;
        let found: Vec<usize> =
            head.columns.iter().enumerate().filter(|(_, column)| is_it(column)).map(|(i, _)| i).collect();
        match found[..] {
            [slot] => Ok(Label::Cell(slot)),
            [] => {
                let missing = columns::missing("column", &display_name(place), &head.columns);
                Err(format!("{missing}; there are: {}", columns::names(&head.columns)))
            }
            _ => Err(format!("more than one column is named {:?}", display_name(place))),
        }
    }

    /// As it is written; `None` if there is none.
    pub(super) fn of(&self, record: &Record) -> Option<String> {
        match self {
            Label::Cell(slot) => text_at(&record.cells, *slot).map(|text| text.trim().to_owned()),
            Label::Field(place) => {
                let value: Value = serde_json::from_slice(record.bytes.trim_ascii()).ok()?;
                Some(match value.pointer(place)? {
                    Value::String(text) => text.trim().to_owned(),
                    other => other.to_string(),
                })
            }
        }
    }
}
