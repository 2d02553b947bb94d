//! Files and pipes to rows: CSV with a header or JSON lines, found out and read in bounded memory.
//!
//! ```no_run
//! use anomaly_core::config::Input;
//! use anomaly_local::input::{Rows, Source, Stop};
//!
//! for source in Source::all(&["history.csv".into()]) {
//!     let mut rows = Rows::open(&source, &Input::default(), &Stop::default())?;
//!     println!("{}: {}", source.name, rows.feature_names().join(", "));
//!     while let Some(row) = rows.next() {
//!         match row?.outcome {
//!             Ok(reading) => println!("{} {:?}", reading.at, reading.features),
//!             Err(reject) => println!("row {}: {}", reject.sequence, reject.reject),
//!         }
//!     }
//! }
//! # Ok::<(), anomaly_local::input::InputError>(())
//! ```

mod columns;
mod head;
mod label;
mod mark;
mod records;
mod sniff;
mod source;
pub(crate) mod stream;

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use anomaly_core::config::{Format, Input};
use anomaly_core::decode::{Decoder, Role};
use anomaly_core::fields::{Fields, Found, display_name, pointer};
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::Reading;
use anomaly_core::reject::Reject;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::RejectV1;

use crate::clock;

pub use mark::{Mark, Marks};
pub use source::Source;
pub use stream::Stop;

use columns::Column;
use head::{Head, SAMPLE_ROWS, head, no_numbers, sample};
use label::Label;
use mark::Span;
use records::{Cells, Record, Records};
use smol_str::SmolStr;

/// One row of an input, as a reading or as a reject, with its words as they stood there.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number, counting from 1; a header and blank lines are not counted.
    pub number: u64,
    /// The time as it is written in the input; the time that was given to it where the input has none.
    pub timestamp: String,
    /// The first feature as it is written in the input; empty if it is not there.
    pub value: String,
    /// What its label is, as it is written; `None` if it has none, or nobody asked ([`Rows::open_labelled`]).
    pub label: Option<String>,
    /// What it is.
    pub outcome: Result<Reading, Box<RejectV1>>,
    /// Whether a line's end follows it. A file's last row may have none because it is still being written.
    pub terminated: bool,
    /// Its bytes; the first of them if it is too large.
    pub bytes: Vec<u8>,
    /// Where it begins in its input, and where the next one does.
    pub(crate) place: Range<u64>,
}

/// Why an input cannot be read, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// The input.
    pub input: String,
    /// What is wrong.
    pub problem: String,
    /// What to do, if that is known.
    pub hint: Option<String>,
}

impl InputError {
    pub(crate) fn new(input: &str, problem: impl fmt::Display) -> Self {
        InputError { input: input.to_owned(), problem: problem.to_string(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.input, self.problem)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\nhint: {hint}"))
    }
}

impl std::error::Error for InputError {}

/// The rows of one input, in order, each read when it is asked for.
pub struct Rows {
    name: SmolStr,
    records: Records,
    /// Records that were looked at already.
    pending: VecDeque<Record>,
    input: Input,
    notes: Vec<String>,
    decoder: Decoder,
    layout: Layout,
    label: Option<Label>,
    has_words: bool,
    live: bool,
    rows: u64,
    /// The header or the first record.
    first: Span,
    offset: u64,
    bytes: Option<u64>,
    failed: bool,
}

/// Where things stand in a record.
enum Layout {
    Csv { width: usize, slots: Vec<usize>, time: Option<usize>, value: usize },
    Json { time_and_value: Fields, has_time: bool },
}

impl Rows {
    /// Opens `source`. What `input` leaves open (time, series, features) is found by name and content.
    ///
    /// # Errors
    /// [`InputError`] if it cannot be read as rows of numbers at all, with everything that is missing.
    pub fn open(source: &Source, input: &Input, stop: &Stop) -> Result<Rows, InputError> {
        let opened = source.open(stop)?;
        Self::begin(source, opened, input, None)
    }

    /// The same with the label of each row, which stands at the JSON pointer `label` and is no feature unless `input` says
    /// so.
    ///
    /// # Errors
    /// As [`Rows::open`]; or there is no such column.
    pub fn open_labelled(
        source: &Source,
        input: &Input,
        label: &str,
        stop: &Stop,
    ) -> Result<Rows, InputError> {
        let opened = source.open(stop)?;
        Self::begin(source, opened, input, Some(label))
    }

    /// The rows of `from`, as [`Rows::open`] gives them of a pipe.
    ///
    /// # Errors
    /// As [`Rows::open`].
    pub fn read(
        source: &Source,
        from: impl Read + Send + 'static,
        input: &Input,
    ) -> Result<Rows, InputError> {
        Self::begin(source, source::Opened { from: Box::new(from), bytes: None }, input, None)
    }

    /// Opens `source` behind `mark`, where an earlier run stopped; `input` is the one that run had completed
    /// ([`Rows::input`]). `None` if it is not that file any more, only longer.
    ///
    /// # Errors
    /// As [`Rows::open`].
    pub fn resume(source: &Source, input: &Input, mark: &Mark) -> Result<Option<Rows>, InputError> {
        let Some(path) = source.path() else { return Ok(None) };
        let fail = |error| InputError::new(&source.name, format_args!("cannot be read: {error}"));
        if !mark.is_of(path).map_err(fail)? {
            return Ok(None);
        }
        let mut opened = source.open(&Stop::default())?;
        let mut records = Records::new(opened.from, 0, input.record_bytes_max);
        let head = head(source, input, &mut records)?;
        opened.from = source::open_at(path, mark.offset).map_err(fail)?;
        let records = Records::new(opened.from, mark.offset, input.record_bytes_max);
        let mut rows = Self::build(source, input.clone(), head, records, opened.bytes)?;
        (rows.rows, rows.offset) = (mark.rows, mark.offset);
        Ok(Some(rows))
    }

    fn begin(
        source: &Source,
        opened: source::Opened,
        input: &Input,
        label: Option<&str>,
    ) -> Result<Rows, InputError> {
        let mut records = Records::new(opened.from, 0, input.record_bytes_max);
        let mut head = head(source, input, &mut records)?;
        let enough = if opened.bytes.is_some() { SAMPLE_ROWS } else { 1 };
        let pending = sample(source, &mut records, &mut head, enough)?;
        if head.format != Format::Json && head::is_headless(input, &head.columns) {
            let names: Vec<String> = head.columns.iter().map(|column| column.name.clone()).collect();
            return Err(head::no_header(source, &names, head.delimiter));
        }
        let mut input = input.clone();
        let comma = decimals(source, &mut input, &mut head)?;
        let found = label.map(|place| Label::find(place, &head)).transpose();
        let found = found.map_err(|problem| InputError::new(&source.name, problem))?;
        let is_label = |column: &Column| label.is_some_and(|label| label == pointer(&column.name));
        let free: Vec<Column> = head.columns.iter().filter(|column| !is_label(column)).cloned().collect();
        let chosen = columns::choose(&input, &free, &source.series)
            .map_err(|problem| no_numbers(source, problem, &head))?;
        if opened.bytes.is_some() {
            readable_time(source, &chosen.input, &head.columns)?;
        }
        let mut notes = chosen.notes;
        notes.extend(comma);
        let mut rows = Self::build(source, chosen.input, head, records, opened.bytes)?;
        rows.label = found;
        rows.pending = pending;
        rows.notes.splice(0..0, notes);
        Ok(rows)
    }

    fn build(
        source: &Source,
        input: Input,
        head: Head,
        mut records: Records,
        bytes: Option<u64>,
    ) -> Result<Rows, InputError> {
        let decoder = Decoder::new(&input).map_err(|problem| InputError::new(&source.name, problem))?;
        let live = bytes.is_none();
        let mut notes = Vec::new();
        if input.time.is_none() {
            let instead = if live { "the time of arrival" } else { "the row number, in seconds," };
            notes.push(format!("no time column; {instead} stands for it"));
        }
        let layout = match head.format {
            Format::Json => {
                notes.extend(absent_fields(&decoder, &head.columns));
                Layout::json(&input)
            }
            Format::Csv | Format::Auto => {
                records.read_csv(head.delimiter);
                records.expect_width(head.columns.len());
                Layout::csv(source, &decoder, &head.columns)?
            }
        };
        Ok(Rows {
            name: source.name.as_str().into(),
            records,
            pending: VecDeque::new(),
            input,
            notes,
            decoder,
            layout,
            label: None,
            has_words: true,
            live,
            rows: 0,
            offset: 0,
            first: head.span,
            bytes,
            failed: false,
        })
    }

    /// The input as it is read: `[input]` with everything named.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// The features' names, in the order of the readings'.
    pub fn feature_names(&self) -> &[String] {
        self.decoder.feature_names()
    }

    /// What a person should know of how the input is read, one clause each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether rows come from a pipe, and cannot be read again.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Bytes read, and bytes there were when a file was opened.
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.offset, self.bytes)
    }

    /// Rows given out, those before a [`Rows::resume`] included.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Leaves [`Row::timestamp`] and [`Row::value`] empty from now on: nobody needs them.
    pub(crate) fn leave_words_out(&mut self) {
        self.has_words = false;
    }

    /// What makes marks of rows; `None` for a pipe.
    pub fn marks(&self) -> Option<Marks> {
        (!self.live).then(|| Marks { first: self.first.clone() })
    }

    /// Has `before_waiting` called whenever the source is about to be asked for more, which a pipe may not have yet.
    pub(crate) fn before_waiting(&mut self, before_waiting: impl FnMut() + Send + 'static) {
        self.records.before_filling(Box::new(before_waiting));
    }

    fn row(&mut self, record: Record) -> Row {
        self.rows += 1;
        self.offset = record.end;
        let arrived = match self.live {
            true => Some(clock::now()),
            false => i64::try_from(self.rows).ok().and_then(|n| Timestamp::from_ms(n.saturating_mul(1000))),
        };
        let position = Position {
            partition: self.name.clone(),
            sequence: Sequence::from(self.rows),
            sub: 0,
            arrived: arrived.unwrap_or_default(),
        };
        let (time, value) =
            if self.has_words { self.words(&record) } else { (Some(String::new()), String::new()) };
        let label = self.label.as_ref().and_then(|label| label.of(&record));
        let timestamp = time.unwrap_or_else(|| position.arrived.to_string());
        let outcome = self.decode(&record, position.clone());
        let outcome = outcome.map_err(|reject| Box::new(rejected(reject, &position, &record)));
        let Record { bytes, cells, terminated, start, end, .. } = record;
        self.records.reuse(cells);
        Row { number: self.rows, timestamp, value, label, outcome, terminated, bytes, place: start..end }
    }

    fn decode(&self, record: &Record, position: Position) -> Result<Reading, Reject> {
        if let Some(oversize) = &record.oversize {
            let limit = self.input.record_bytes_max as u64;
            return Err(Reject::TooLarge { bytes: oversize.bytes, limit });
        }
        let mut reading = match &self.layout {
            Layout::Json { .. } => self.decoder.json(record.bytes.trim_ascii(), position)?,
            Layout::Csv { width, .. } if record.cells.len() != *width => {
                return Err(Reject::Columns { expected: *width, found: record.cells.len() });
            }
            Layout::Csv { slots, .. } => {
                self.decoder.check_size(record.bytes.len())?;
                let cells: Vec<_> = slots.iter().map(|slot| text_at(&record.cells, *slot)).collect();
                self.decoder.cells(cells.iter().map(Option::as_deref), position)?
            }
        };
        // "The reading's own time where the source does not say", says `Position`.
        if self.input.time.is_some() {
            reading.position.arrived = reading.at;
        }
        Ok(reading)
    }

    /// The time (if records carry one) and the first feature, as they are written.
    fn words(&self, record: &Record) -> (Option<String>, String) {
        match &self.layout {
            Layout::Csv { time, value, .. } => {
                let text = |slot| text_at(&record.cells, slot).unwrap_or_default().into_owned();
                (time.map(text), text(*value))
            }
            Layout::Json { time_and_value, has_time } => {
                let found = time_and_value.pick(record.bytes.trim_ascii()).unwrap_or_default();
                let mut texts = found.iter().map(|found| match found {
                    Found::Text(text) => text.to_string(),
                    Found::Number(number) => number.to_string(),
                    Found::Absent | Found::Beyond(_) | Found::Null | Found::Other(_) => String::new(),
                });
                let time = has_time.then(|| texts.next().unwrap_or_default());
                (time, texts.next().unwrap_or_default())
            }
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Row, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let record = match self.pending.pop_front() {
            Some(record) => Ok(Some(record)),
            None => self.records.next(),
        };
        match record {
            Ok(record) => record.map(|record| Ok(self.row(record))),
            Err(error) => {
                self.failed = true;
                let problem = format!("row {} cannot be read: {error}", self.rows + 1);
                Some(Err(InputError::new(&self.name, problem)))
            }
        }
    }
}

/// Whether the numbers of a CSV have decimal commas; it is then read so, and said.
///
/// # Errors
/// If they look like it, and could be thousands as well.
fn decimals(source: &Source, input: &mut Input, head: &mut Head) -> Result<Option<String>, InputError> {
    let seen: Vec<(&Column, (&str, bool))> =
        head.columns.iter().filter_map(|column| Some((column, column.comma()?))).collect();
    if head.format == Format::Json || seen.is_empty() {
        return Ok(None);
    }
    let (column, (example, _)) = seen[0];
    let example = format!("{example} of column {:?}", column.name);
    let is_sure = seen.iter().any(|(_, (_, is_sure))| *is_sure);
    if !is_sure && !input.decimal_comma {
        let error = InputError::new(
            &source.name,
            format_args!("the comma in {example} may part thousands or decimals"),
        );
        return Err(error.hint(
            "if decimals: set decimal_comma = true under [input] in a file for --config; if thousands: write the numbers without",
        ));
    }
    let note = (!input.decimal_comma).then(|| format!("numbers have decimal commas, such as {example}"));
    input.decimal_comma = true;
    head.columns = std::mem::take(&mut head.columns).into_iter().map(Column::with_commas).collect();
    Ok(note)
}

/// # Errors
/// If no time can be read from any of the first cells of what is to be the time.
fn readable_time(source: &Source, input: &Input, columns: &[Column]) -> Result<(), InputError> {
    let Some(name) = input.time.as_deref().map(display_name) else { return Ok(()) };
    let text = columns.iter().find(|column| column.name == name).and_then(Column::no_time);
    let Some(text) = text else { return Ok(()) };
    let error = InputError::new(
        &source.name,
        format_args!("{name:?} is to be the time, and {text:?} is none that is read"),
    );
    let date = text.split_whitespace().next().unwrap_or_default();
    let parts: Vec<&str> = date.split('/').collect();
    let hint = match parts[..] {
        [_, _, year] if year.len() == 4 => format!(
            "if the day comes first: sed -E 's#([0-9]+)/([0-9]+)/([0-9]{{4}})#\\3/\\2/\\1#' '{}' | anomaly detect -   (if the month does: \\3/\\1/\\2)",
            source.name
        ),
        _ => "write times as 2026-11-21T10:00:00Z or as seconds since 1970; --time names another column"
            .to_owned(),
    };
    Err(error.hint(hint))
}

fn text_at(cells: &Cells, slot: usize) -> Option<std::borrow::Cow<'_, str>> {
    cells.get(slot).map(String::from_utf8_lossy)
}

fn rejected(reject: Reject, position: &Position, record: &Record) -> RejectV1 {
    let mut rejected = RejectV1::new(reject, position, &record.bytes);
    if let Some(oversize) = &record.oversize {
        (rejected.bytes, rejected.sha256) = (oversize.bytes, oversize.sha256.clone());
    }
    rejected
}

impl Layout {
    fn json(input: &Input) -> Self {
        let pointers = input.time.iter().chain(input.features.first()).map(String::as_str);
        // The decoder was built from the same pointers.
        let time_and_value = Fields::new(pointers).unwrap_or_default();
        Layout::Json { time_and_value, has_time: input.time.is_some() }
    }

    fn csv(source: &Source, decoder: &Decoder, columns: &[Column]) -> Result<Self, InputError> {
        let place = |name: &str| columns.iter().position(|c| c.name == name);
        let (mut slots, mut problems, mut time, mut value) = (Vec::new(), Vec::new(), None, None);
        for (role, name) in decoder.slots() {
            match place(name) {
                None => problems.push(columns::missing("column", name, columns)),
                Some(_) if columns.iter().filter(|c| c.name == name).count() > 1 => {
                    problems.push(format!("more than one column is named {name:?}"));
                }
                Some(slot) => {
                    slots.push(slot);
                    match role {
                        Role::Time => time = Some(slot),
                        Role::Feature => value = value.or(Some(slot)),
                        Role::Series => {}
                    }
                }
            }
        }
        if !problems.is_empty() {
            problems.push(format!("there are: {}", columns::names(columns)));
        }
        match value {
            Some(value) if problems.is_empty() => {
                Ok(Layout::Csv { width: columns.len(), slots, time, value })
            }
            _ => Err(InputError::new(&source.name, problems.join("; "))),
        }
    }
}

/// A word on top-level fields that no sampled record has; later ones may.
fn absent_fields(decoder: &Decoder, columns: &[Column]) -> Vec<String> {
    let known =
        |name: &str| columns.is_empty() || name.contains('/') || columns.iter().any(|c| c.name == name);
    let absent = decoder.slots().filter(|(_, name)| !known(name));
    absent.map(|(_, name)| columns::missing("field", name, columns)).collect()
}

/// How an input is read, for people: `time ts, series by host, features a, b`.
pub fn describe(input: &Input) -> String {
    let time = input.time.as_deref().map_or_else(|| "none".to_owned(), display_name);
    let series = match input.series.strip_prefix('/') {
        Some(_) => format!("by {}", display_name(&input.series)),
        None => input.series.clone(),
    };
    let features: Vec<String> = input.features.iter().map(|f| display_name(f)).collect();
    let shown = features.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    let more = if features.len() > 8 { format!(" and {} more", features.len() - 8) } else { String::new() };
    format!("time {time}; series {series}; features {shown}{more}")
}

/// Whether `path` is the name of standard input, `-`.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

#[cfg(test)]
mod tests;
