//! The beginning of an input: its form, its columns, and what the first rows hold.

use std::collections::VecDeque;
use std::fmt;

use anomaly_core::config::{Format, Input};
use anomaly_core::decode::decimal::comma_number;
use anomaly_core::fields::display_name;

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
        return Err(no_header(source, &names, delimiter));
    }
    records.expect_width(names.len());
    let columns = names.iter().map(|name| Column::new(name)).collect();
    Ok(Head { format, delimiter, columns, span: Span::of(&header) })
}

/// The first line is of the kind of those below it, `columns`: no column is a number or a time under a name, and some
/// name is one. What `input` names is a name, whatever it looks like.
pub(super) fn is_headless(input: &Input, columns: &[Column]) -> bool {
    let is_data = |column: &Column| matches!(Kind::of(&column.name), Kind::Number | Kind::Time);
    let named: Vec<String> =
        input.features.iter().chain(&input.time).map(|pointer| display_name(pointer)).collect();
    columns.iter().any(is_data)
        && !columns.iter().any(|column| column.is_unlike_its_name() || named.contains(&column.name))
}

/// A header for cells like these.
fn header_for(names: &[String]) -> Vec<String> {
    let kind = |name: &String| if comma_number(name).is_some() { Kind::Number } else { Kind::of(name) };
    let kinds: Vec<Kind> = names.iter().map(kind).collect();
    let count = |kind: Kind| kinds.iter().filter(|of| **of == kind).count();
    let time = kinds
        .iter()
        .position(|kind| *kind == Kind::Time)
        .or((kinds.len() > 1 && count(Kind::Other) == 0).then_some(0));
    let series = kinds.iter().position(|kind| *kind == Kind::Other);
    let mut values = 0;
    let several = kinds.len() - usize::from(time.is_some()) - usize::from(series.is_some()) > 1;
    let name = |(place, _): (usize, &Kind)| match place {
        place if Some(place) == time => "timestamp".to_owned(),
        place if Some(place) == series => "series".to_owned(),
        _ if several => {
            values += 1;
            format!("value{values}")
        }
        _ => "value".to_owned(),
    };
    kinds.iter().enumerate().map(name).collect()
}

pub(super) fn no_header(source: &Source, names: &[String], delimiter: u8) -> InputError {
    let header = header_for(names).join(&char::from(delimiter).to_string());
    let quoted = if delimiter == b',' { header.clone() } else { format!("'{header}'") };
    let found = names.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ");
    let error = InputError::new(&source.name, format_args!("it has no header; its first line is: {found}"));
    match source.path() {
        Some(_) => error.hint(format!("(echo {quoted}; cat '{}') | anomaly detect -", source.name)),
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
    let texts = cells.iter().map(String::from_utf8_lossy);
    columns.iter_mut().zip(texts).fold(false, |any, (column, text)| {
        let kind = Kind::of(&text);
        column.saw(kind, &text);
        any || kind == Kind::Number || comma_number(&text).is_some()
    })
}

fn see_fields(columns: &mut Vec<Column>, record: &[u8]) -> bool {
    let fields = top_level(record);
    fields.into_iter().fold(false, |any, (name, kind, text)| {
        let index = columns.iter().position(|c| c.name == name).unwrap_or_else(|| {
            columns.push(Column::new(&name));
            columns.len() - 1
        });
        columns[index].saw(kind, &text);
        any || kind == Kind::Number
    })
}

/// The fields of a JSON object and what they hold, in their order; none if it is no object.
fn top_level(record: &[u8]) -> Vec<(String, Kind, String)> {
    use serde::de::{Deserializer, MapAccess, Visitor};
    struct Ordered;
    impl<'de> Visitor<'de> for Ordered {
        type Value = Vec<(String, Kind, String)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut fields = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, serde_json::Value>()? {
                let (kind, text) = match value {
                    serde_json::Value::Null => (Kind::Empty, String::new()),
                    serde_json::Value::Number(_) => (Kind::Number, String::new()),
                    serde_json::Value::String(text) => match Kind::of(&text) {
                        Kind::Number => (Kind::Other, text),
                        kind => (kind, text),
                    },
                    other => (Kind::Other, other.to_string()),
                };
                fields.push((name, kind, text));
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
