//! The readings in a text of CSV: quotes and line ends as in RFC 4180, one reading a row.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::fields::Found;
use crate::reject::Reject;

use super::Decoder;
use super::drift::Shape;
use super::taking::Taking;
use crate::config::Fill;

/// How long a header may be to be kept in front of each rejected row, in bytes: a row alone could not be read
/// again.
const HEADER_KEPT: usize = 1_024;

/// Takes every row of `text` as a reading.
pub(super) fn read(text: &[u8], taking: &mut Taking<'_, '_>) {
    let decoder = taking.decoder;
    let mut rows = Rows::new(text, delimiter_of(decoder, text), decoder.input.fields_max);
    let header = match decoder.has_header {
        true => match rows.next() {
            None => return taking.take(Err(Reject::Json { detail: "it is empty".to_owned() }), text),
            Some(Row { is_too_wide: true, .. }) => return taking.take(Err(too_wide(decoder)), text),
            Some(row) => Header { bytes: row.bytes, names: rows.cells(&row).map(trimmed).collect() },
        },
        false => Header::default(),
    };
    let places = Places::new(decoder, &header);
    while let Some(row) = rows.next() {
        if !taking.has_room() {
            let limit = decoder.input.readings_max as u64;
            let rest = rows.from(&row);
            return taking.take(Err(Reject::Readings { limit }), &header.in_front_of(rest));
        }
        let outcome = match places.find(&rows, &row, decoder) {
            _ if row.is_too_wide => Err(too_wide(decoder)),
            Err(reject) => Err(reject),
            Ok(found) => taking.reading(&found),
        };
        if taking.records.is_sample_due() && !row.is_too_wide {
            taking.records.note(Shape::of_row(&header.names, rows.cells(&row)));
        }
        match outcome {
            Ok(reading) => taking.take(Ok(reading), &[]),
            Err(reject) => taking.take(Err(reject), &header.in_front_of(row.bytes)),
        }
    }
}

/// Whether `text` is CSV for `decoder`: its first line names a field that is read, or columns go by position.
pub(super) fn is_csv(decoder: &Decoder, text: &[u8]) -> bool {
    if !decoder.has_header {
        return true;
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut rows = Rows::new(line, delimiter_of(decoder, line), decoder.input.fields_max);
    let Some(row) = rows.next() else { return false };
    let names = |cell: &[u8]| decoder.names.iter().any(|name| name.as_bytes() == cell.trim_ascii());
    decoder.by_position || rows.cells(&row).any(names)
}

/// The delimiter of a CSV whose header is `line`: the commonest of comma, semicolon, tab and bar outside
/// quotes; comma if there is none.
pub fn delimiter(line: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in line {
        quoted ^= *byte == b'"';
        if let Some((_, count)) = counts.iter_mut().find(|(d, _)| !quoted && d == byte) {
            *count += 1;
        }
    }
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

fn delimiter_of(decoder: &Decoder, text: &[u8]) -> u8 {
    let set = decoder.input.delimiter.as_ref().and_then(|delimiter| delimiter.bytes().next());
    set.unwrap_or_else(|| delimiter(text.split(|byte| *byte == b'\n').next().unwrap_or_default()))
}

fn trimmed(cell: &[u8]) -> Vec<u8> {
    cell.trim_ascii().to_vec()
}

fn too_wide(decoder: &Decoder) -> Reject {
    Reject::Fields { limit: decoder.input.fields_max as u64 }
}

/// The first row, if it names the columns.
#[derive(Default)]
struct Header<'t> {
    bytes: &'t [u8],
    names: Vec<Vec<u8>>,
}

impl Header<'_> {
    /// `rows` as a record of their own.
    fn in_front_of(&self, rows: &[u8]) -> Vec<u8> {
        let kept = if self.bytes.len() <= HEADER_KEPT { self.bytes } else { &[] };
        let end: &[u8] = if kept.is_empty() { b"" } else { b"\n" };
        [kept, end, rows].concat()
    }
}

/// Where the slots' columns are.
struct Places {
    columns: Vec<Option<usize>>,
    /// The width a row must have; without a header, the least.
    width: usize,
    has_header: bool,
}

impl Places {
    fn new(decoder: &Decoder, header: &Header<'_>) -> Self {
        let has_header = decoder.has_header;
        let place = |name: &String| match decoder.by_position {
            true => name.parse().ok(),
            false => header.names.iter().rposition(|column| column == name.as_bytes()),
        };
        let columns: Vec<Option<usize>> = decoder.names.iter().map(place).collect();
        let least = columns.iter().flatten().max().map_or(0, |last| last + 1);
        Places { columns, width: if has_header { header.names.len() } else { least }, has_header }
    }

    fn find<'r>(
        &self,
        rows: &'r Rows<'_>,
        row: &Row<'_>,
        decoder: &Decoder,
    ) -> Result<Vec<Found<'r>>, Reject> {
        let fits = if self.has_header { row.count == self.width } else { row.count >= self.width };
        if !fits && decoder.input.width == Fill::Reject {
            return Err(Reject::Columns { expected: self.width, found: row.count });
        }
        let found =
            |(column, (role, _)): (&Option<usize>, (_, &str))| match column.map(|c| (c, rows.cell(row, c))) {
                None => Found::Absent,
                Some((column, None)) if column < self.width => Found::Beyond(row.count),
                Some((_, None)) => Found::Absent,
                Some((_, Some(cell))) => match std::str::from_utf8(cell) {
                    Ok(cell) => decoder.understand(role, Some(cell)),
                    Err(_) => Found::Other("no UTF-8"),
                },
            };
        Ok(self.columns.iter().zip(decoder.slots()).map(found).collect())
    }
}

/// A row; its cells are with [`Rows`] until the next one is read.
struct Row<'t> {
    bytes: &'t [u8],
    from: usize,
    count: usize,
    is_too_wide: bool,
}

/// The rows of a text, blank ones left out, each in memory no larger than the text.
struct Rows<'t> {
    text: &'t [u8],
    reader: Reader,
    at: usize,
    cells: Vec<u8>,
    ends: Vec<usize>,
    columns_max: usize,
}

impl<'t> Rows<'t> {
    fn new(text: &'t [u8], delimiter: u8, columns_max: usize) -> Self {
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        // A cell never grows when its quotes are taken off.
        Rows { text, reader, at: 0, cells: vec![0; text.len()], ends: vec![0; 16], columns_max }
    }

    fn next(&mut self) -> Option<Row<'t>> {
        let (from, mut written, mut count, mut is_too_wide) = (self.at, 0, 0, false);
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let (cells, ends) = (self.cells.get_mut(written..)?, self.ends.get_mut(count..)?);
            let (result, read, wrote, ended) = self.reader.read_record(rest, cells, ends);
            self.at += read;
            written += wrote;
            count += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputEndsFull if count <= self.columns_max => {
                    self.ends.resize((2 * count).min(self.columns_max + 1), 0);
                }
                // Too many: the cells are not wanted, only where the row ends.
                ReadRecordResult::OutputEndsFull | ReadRecordResult::OutputFull => {
                    (written, count, is_too_wide) = (0, 0, true);
                }
                ReadRecordResult::Record => {
                    let bytes = self.text.get(from..self.at).unwrap_or_default().trim_ascii();
                    return Some(Row {
                        bytes,
                        from,
                        count,
                        is_too_wide: is_too_wide || count > self.columns_max,
                    });
                }
                ReadRecordResult::End => return None,
            }
        }
    }

    fn cells(&self, row: &Row<'_>) -> impl Iterator<Item = &[u8]> {
        (0..row.count).filter_map(|column| self.cell(row, column))
    }

    fn cell(&self, row: &Row<'_>, column: usize) -> Option<&[u8]> {
        let ends = self.ends.get(..row.count)?;
        let from = column.checked_sub(1).map_or(Some(0), |before| ends.get(before).copied())?;
        self.cells.get(from..*ends.get(column)?)
    }

    /// The text from `row` on.
    fn from(&self, row: &Row<'_>) -> &'t [u8] {
        self.text.get(row.from..).unwrap_or_default().trim_ascii()
    }
}
