//! The beginning of an input: its form, its columns, and what the first rows hold.

use std::collections::VecDeque;
use std::fmt;

use anomaly_core::config::{Format, Input};

use super::columns::{Column, Kind};
use super::mark::Span;
use super::records::{Cells, Record, Records};
use super::{InputError, Source, sniff};

/// Rows looked at to tell which columns hold numbers. A pipe is looked at only until a number was seen: its
/// first row must not wait for its hundredth.
pub(super) const SAMPLE_ROWS: usize = 100;

/// What was found at the beginning of an input.
pub(super) struct Head {
    pub(super) format: Format,
    pub(super) delimiter: u8,
    pub(super) columns: Vec<Column>,
    pub(super) span: Span,
}

/// Looks at the beginning of an input, and takes the header of a CSV.
pub(super) fn head(source: &Source, input: &Input, records: &mut Records) -> Result<Head, InputError> {
    let fail = |problem: &str| InputError::new(&source.name, problem);
    let unreadable = |error: std::io::Error| fail(&format!("cannot be read: {error}"));
    if records.peek(sniff::BOM.len()).map_err(unreadable)?.starts_with(sniff::BOM) {
        records.skip(sniff::BOM.len());
    }
    let start = records.peek(4096).map_err(unreadable)?;
    if start.is_empty() {
        return Err(fail("it is empty"));
    }
    let path = source.path().map(|_| source.name.as_str());
    let format =
        sniff::form(start, input.format, path).map_err(|wrong| fail(&wrong.what).hint(wrong.hint))?;
    if format == Format::Json {
        return Ok(Head { format, delimiter: b',', columns: Vec::new(), span: Span::default() });
    }
    let line = start.split(|b| *b == b'\n').next().unwrap_or_default();
    let delimiter = sniff::delimiter(line);
    records.read_csv(delimiter);
    let header = records.next().map_err(unreadable)?.ok_or_else(|| fail("it is empty"))?;
    let names: Vec<String> =
        header.cells.iter().map(|cell| String::from_utf8_lossy(cell.trim_ascii()).into_owned()).collect();
    if header.oversize.is_some() {
        return Err(fail("its header is larger than input.record_bytes_max"));
    }
    if names.iter().any(|name| name.chars().any(|c| c.is_control() && !c.is_whitespace())) {
        return Err(fail("it is not text (control characters stand in its first line)"));
    }
    if names.iter().all(|name| matches!(Kind::of(name), Kind::Number | Kind::Time)) {
        return Err(no_header(source, &names));
    }
    records.expect_width(names.len());
    let columns = names.iter().map(|name| Column::new(name)).collect();
    Ok(Head { format, delimiter, columns, span: Span::of(&header) })
}

fn no_header(source: &Source, names: &[String]) -> InputError {
    let header = match names.len() {
        1 => "value".to_owned(),
        2 => "timestamp,value".to_owned(),
        n => format!("timestamp,{}", (1..n).map(|i| format!("value{i}")).collect::<Vec<_>>().join(",")),
    };
    let found = names.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ");
    let error = InputError::new(&source.name, format_args!("it has no header; its first line is: {found}"));
    match source.path() {
        Some(_) => error.hint(format!("(echo {header}; cat '{}') | anomaly detect -", source.name)),
        None => error.hint(format!("send the columns' names first: {header}")),
    }
}

/// Reads ahead to see what columns hold.
pub(super) fn sample(
    source: &Source,
    records: &mut Records,
    head: &mut Head,
    enough: usize,
) -> Result<VecDeque<Record>, InputError> {
    let mut seen = VecDeque::new();
    let mut with_numbers = 0;
    while with_numbers < enough && seen.len() < SAMPLE_ROWS {
        let record = records.next();
        let record =
            record.map_err(|e| InputError::new(&source.name, format_args!("cannot be read: {e}")))?;
        let Some(record) = record else { break };
        with_numbers += usize::from(match head.format {
            Format::Json => see_fields(&mut head.columns, &record.bytes),
            Format::Csv | Format::Auto => see_cells(&mut head.columns, &record.cells),
        });
        seen.push_back(record);
    }
    match seen.front() {
        None => Err(InputError::new(&source.name, "it has a header and no rows")),
        Some(first) => {
            if head.format == Format::Json {
                head.span = Span::of(first);
            }
            Ok(seen)
        }
    }
}

fn see_cells(columns: &mut [Column], cells: &Cells) -> bool {
    if columns.len() != cells.len() {
        return false;
    }
    let kinds = cells.iter().map(|cell| Kind::of(&String::from_utf8_lossy(cell)));
    columns.iter_mut().zip(kinds).fold(false, |any, (column, kind)| {
        column.saw(kind);
        any || kind == Kind::Number
    })
}

fn see_fields(columns: &mut Vec<Column>, record: &[u8]) -> bool {
    let fields = top_level(record);
    fields.into_iter().fold(false, |any, (name, kind)| {
        let index = columns.iter().position(|c| c.name == name).unwrap_or_else(|| {
            columns.push(Column::new(&name));
            columns.len() - 1
        });
        columns[index].saw(kind);
        any || kind == Kind::Number
    })
}

/// The fields of a JSON object and what they hold, in their order; none if it is no object.
fn top_level(record: &[u8]) -> Vec<(String, Kind)> {
    use serde::de::{Deserializer, MapAccess, Visitor};
    struct Ordered;
    impl<'de> Visitor<'de> for Ordered {
        type Value = Vec<(String, Kind)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut fields = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, serde_json::Value>()? {
                let kind = match value {
                    serde_json::Value::Null => Kind::Empty,
                    serde_json::Value::Number(_) => Kind::Number,
                    serde_json::Value::String(text) => match Kind::of(&text) {
                        Kind::Number => Kind::Other,
                        kind => kind,
                    },
                    _ => Kind::Other,
                };
                fields.push((name, kind));
            }
            Ok(fields)
        }
    }
    serde_json::Deserializer::from_slice(record).deserialize_map(Ordered).unwrap_or_default()
}

pub(super) fn no_numbers(source: &Source, problem: String, head: &Head) -> InputError {
    let error = InputError::new(&source.name, problem);
    match head.format {
        Format::Json => error.hint("name nested fields by JSON pointers: --value /metrics/latency"),
        Format::Csv | Format::Auto => error,
    }
}
