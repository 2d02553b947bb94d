//! Bytes to records: lines, or CSV rows with their quoted line breaks, in bounded memory.

use std::io::{self, Read};

use csv_core::ReadRecordResult;
use sha2::{Digest, Sha256};

/// Bytes asked of the source at a time; a pipe gives what it has.
const CHUNK_BYTES: usize = 64 * 1024;
/// How much is kept of a record that is too large: as much as a reject keeps.
const OVERSIZE_BYTES_KEPT: usize = anomaly_core::wire::REJECT_BYTES_KEPT;
/// Room beside the limit for the line's end.
const END_BYTES: usize = 2;

/// One record as it stood in the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its bytes, without the line's end; the first of them if it is oversize.
    pub(crate) bytes: Vec<u8>,
    /// Its cells; none for lines.
    pub(crate) cells: Cells,
    /// Where it begins in the source.
    pub(crate) start: u64,
    /// Where the next one begins.
    pub(crate) end: u64,
    /// Whether a line's end follows it; the last record of a file may have none, or not yet.
    pub(crate) terminated: bool,
    /// Set if it is larger than the limit.
    pub(crate) oversize: Option<Oversize>,
}

/// What is known of a record that was skipped for its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Oversize {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// The cells of a CSV row, unquoted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cells {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start..end)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// What separates records.
enum Syntax {
    Lines,
    Csv { parser: Box<csv_core::Reader>, delimiter: u8, width: Option<usize> },
}

/// The records of a source, in order. Never holds more than the limit and a chunk.
pub(crate) struct Records {
    from: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// Where in the buffer the next record begins.
    start: usize,
    /// Where in the source that is.
    offset: u64,
    ended: bool,
    bytes_max: usize,
    syntax: Syntax,
    /// Called before the source is asked for more.
    before_filling: Option<Box<dyn FnMut() + Send>>,
    /// Room for the cells of the next row.
    spare: Cells,
}

impl Records {
    /// The records of `from`, which stands at `offset` in its source; lines until told otherwise.
    pub(crate) fn new(from: Box<dyn Read + Send>, offset: u64, bytes_max: usize) -> Self {
        let (buffer, syntax) = (Vec::new(), Syntax::Lines);
        let (before_filling, spare) = (None, Cells::default());
        Records { from, buffer, start: 0, offset, ended: false, bytes_max, syntax, before_filling, spare }
    }

    /// Takes cells that nobody needs any more: the next row's have room there.
    pub(crate) fn reuse(&mut self, cells: Cells) {
        self.spare = cells;
    }

    /// Has `call` called whenever the source is about to be asked for more.
    pub(crate) fn before_filling(&mut self, call: Box<dyn FnMut() + Send>) {
        self.before_filling = Some(call);
    }

    /// From here on, rows of cells between `delimiter`s.
    pub(crate) fn read_csv(&mut self, delimiter: u8) {
        let parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        self.syntax = Syntax::Csv { parser: Box::new(parser), delimiter, width: None };
    }

    /// How many cells a good row has; tells a stray quote from a quoted line break.
    pub(crate) fn expect_width(&mut self, cells: usize) {
        if let Syntax::Csv { width, .. } = &mut self.syntax {
            *width = Some(cells);
        }
    }

    /// What comes next without taking it: the first line, or all that there is if `at_least` bytes hold no
    /// line's end.
    pub(crate) fn peek(&mut self, at_least: usize) -> io::Result<&[u8]> {
        while !self.ended && self.rest().len() < at_least && !self.rest().contains(&b'\n') {
            self.fill()?;
        }
        Ok(self.rest())
    }

    /// Drops the next `bytes` bytes, which were peeked at.
    pub(crate) fn skip(&mut self, bytes: usize) {
        let bytes = bytes.min(self.rest().len());
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// The next record; blank lines are none.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        self.skip_blank()?;
        if self.rest().is_empty() {
            return Ok(None);
        }
        match self.syntax {
            Syntax::Lines => self.line().map(Some),
            Syntax::Csv { .. } => self.row().map(Some),
        }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn fill(&mut self) -> io::Result<()> {
        if let Some(call) = &mut self.before_filling {
            call();
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK_BYTES, 0);
        let read = loop {
            match self.from.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        Ok(())
    }

    fn skip_blank(&mut self) -> io::Result<()> {
        loop {
            let blank = self.rest().iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
            self.skip(blank);
            if !self.rest().is_empty() || self.ended {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// The next line as a record, whatever its quotes.
    fn line(&mut self) -> io::Result<Record> {
        let mut searched = 0;
        loop {
            let found = self.rest()[searched..].iter().position(|b| *b == b'\n');
            searched = found.map_or(self.rest().len(), |found| searched + found + 1);
            if searched > self.bytes_max + END_BYTES {
                return self.oversize();
            }
            if found.is_some() || self.ended {
                return Ok(self.take(searched, Cells::default()));
            }
            self.fill()?;
        }
    }

    /// The next row; a row whose quotes do not fit ends at its line's end, so that a stray quote costs one
    /// line and not all that follow.
    fn row(&mut self) -> io::Result<Record> {
        let Parsed::Row { bytes, cells } = self.parse()? else { return self.lone_line() };
        let raw = &self.rest()[..bytes];
        let Syntax::Csv { width, delimiter, .. } = self.syntax else { return self.lone_line() };
        let fits = || width.is_none_or(|width| width == cells.len()) && is_well_quoted(raw, delimiter);
        if raw.trim_ascii_end().contains(&b'\n') && !fits() {
            return self.lone_line();
        }
        Ok(self.take(bytes, cells))
    }

    fn lone_line(&mut self) -> io::Result<Record> {
        let mut record = self.line()?;
        if let Syntax::Csv { parser, .. } = &mut self.syntax {
            record.cells = cells_of(parser, &record.bytes);
        }
        Ok(record)
    }

    /// Finds the end of the row at the start of the buffer, reading on as far as it takes and the limit lets.
    fn parse(&mut self) -> io::Result<Parsed> {
        let (mut bytes, mut writer) = (0, Writer::over(std::mem::take(&mut self.spare)));
        if let Syntax::Csv { parser, .. } = &mut self.syntax {
            parser.reset();
        }
        loop {
            if bytes == self.rest().len() && !self.ended {
                self.fill()?;
            }
            let Syntax::Csv { parser, .. } = &mut self.syntax else { return Ok(Parsed::TooLong) };
            let (read, done) = writer.step(parser, &self.buffer[self.start + bytes..]);
            bytes += read;
            if bytes > self.bytes_max + END_BYTES {
                return Ok(Parsed::TooLong);
            }
            if done {
                return Ok(Parsed::Row { bytes, cells: writer.cells() });
            }
        }
    }

    /// Takes `bytes` bytes, the line's end included, as a record.
    fn take(&mut self, bytes: usize, cells: Cells) -> Record {
        let raw = &self.rest()[..bytes];
        let terminated = raw.last().is_some_and(|b| matches!(b, b'\n' | b'\r'));
        let ends = raw.iter().rev().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        let content = raw[..bytes - ends].to_vec();
        let start = self.offset;
        self.skip(bytes);
        Record { bytes: content, cells, start, end: self.offset, terminated, oversize: None }
    }

    /// Skips a line without end, hashing it on the way.
    fn oversize(&mut self) -> io::Result<Record> {
        let start = self.offset;
        let (mut kept, mut hasher, mut length) = (Vec::new(), Sha256::new(), 0_u64);
        let terminated = loop {
            let found = self.rest().iter().position(|b| *b == b'\n');
            let part = &self.rest()[..found.unwrap_or(self.rest().len())];
            let room = OVERSIZE_BYTES_KEPT.saturating_sub(kept.len()).min(part.len());
            kept.extend_from_slice(&part[..room]);
            hasher.update(part);
            length += part.len() as u64;
            let taken = part.len() + usize::from(found.is_some());
            self.skip(taken);
            if found.is_some() || self.ended {
                break found.is_some();
            }
            self.fill()?;
        };
        let sha256 = hasher.finalize().iter().map(|b| format!("{b:02x}")).collect();
        let oversize = Some(Oversize { bytes: length, sha256 });
        Ok(Record { bytes: kept, cells: Cells::default(), start, end: self.offset, terminated, oversize })
    }
}

enum Parsed {
    Row { bytes: usize, cells: Cells },
    TooLong,
}

/// Whether every quote in `raw` opens a cell, closes one or is doubled inside one.
fn is_well_quoted(raw: &[u8], delimiter: u8) -> bool {
    #[derive(PartialEq)]
    enum In {
        Start,
        Plain,
        Quotes,
        Closed,
    }
    let mut at = In::Start;
    for byte in raw {
        at = match (at, *byte) {
            (In::Quotes, b'"') => In::Closed,
            (In::Quotes, _) | (In::Start | In::Closed, b'"') => In::Quotes,
            (_, b'\n' | b'\r') => In::Start,
            (_, byte) if byte == delimiter => In::Start,
            (In::Closed, _) => return false,
            (In::Start | In::Plain, _) => In::Plain,
        };
    }
    at != In::Quotes
}

/// The cells of one line by itself.
fn cells_of(parser: &mut csv_core::Reader, line: &[u8]) -> Cells {
    parser.reset();
    let (mut writer, mut bytes) = (Writer::over(Cells::default()), 0);
    loop {
        let (read, done) = writer.step(parser, &line[bytes..]);
        bytes += read;
        if done {
            return writer.cells();
        }
    }
}

/// Where the parser puts cells: grows as it is asked to, up to the row's own size.
struct Writer {
    text: Vec<u8>,
    text_used: usize,
    ends: Vec<usize>,
    ends_used: usize,
}

impl Writer {
    /// Writes over the cells of another row.
    fn over(Cells { mut text, mut ends }: Cells) -> Self {
        text.resize(text.capacity().max(256), 0);
        ends.resize(ends.capacity().max(16), 0);
        Writer { text, text_used: 0, ends, ends_used: 0 }
    }

    /// Parses on in `input`; empty means the end of the source. Returns the bytes read and whether the row is
    /// complete.
    fn step(&mut self, parser: &mut csv_core::Reader, input: &[u8]) -> (usize, bool) {
        let (text, ends) = (&mut self.text[self.text_used..], &mut self.ends[self.ends_used..]);
        let (result, read, text, ends) = parser.read_record(input, text, ends);
        self.text_used += text;
        self.ends_used += ends;
        match result {
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
            ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            ReadRecordResult::Record | ReadRecordResult::End => return (read, true),
        }
        (read, false)
    }

    fn cells(mut self) -> Cells {
        self.text.truncate(self.text_used);
        self.ends.truncate(self.ends_used);
        Cells { text: self.text, ends: self.ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `bytes` in pieces of `piece` bytes, as a slow pipe does.
    struct Drip(Vec<u8>, usize);

    impl Read for Drip {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(into.len());
            into[..n].copy_from_slice(&self.0[..n]);
            self.0.drain(..n);
            Ok(n)
        }
    }

    fn shown(record: &Record) -> String {
        let cells: Vec<_> = record.cells.iter().map(|c| String::from_utf8_lossy(c).into_owned()).collect();
        match &record.oversize {
            Some(oversize) => format!("<{} bytes>", oversize.bytes),
            None if cells.is_empty() => String::from_utf8_lossy(&record.bytes).into_owned(),
            None => cells.join("|"),
        }
    }

    fn csv(text: &str, width: usize) -> Vec<String> {
        let all = [1, 3, 1 << 16].map(|piece| {
            let mut records = Records::new(Box::new(Drip(text.as_bytes().to_vec(), piece)), 0, 40);
            records.read_csv(b',');
            records.expect_width(width);
            let mut end = 0;
            let mut rows = Vec::new();
            while let Some(record) = records.next().expect("no IO errors") {
                assert!(record.start >= end && record.end > record.start);
                end = record.end;
                rows.push(shown(&record));
            }
            rows
        });
        assert!(all.iter().all(|rows| *rows == all[0]), "the pieces do not matter: {all:?}");
        all[0].clone()
    }

    #[test]
    fn rows_and_their_ends() {
        assert_eq!(csv("a,b\n1,2\n", 2), ["a|b", "1|2"]);
        assert_eq!(csv("a,b\r\n\r\n1,\r\n", 2), ["a|b", "1|"]);
        assert_eq!(csv("a,b\n1,2", 2), ["a|b", "1|2"]);
        assert_eq!(csv("\"a,\"\"x\",\"two\nlines\"\n1,2\n", 2), ["a,\"x|two\nlines", "1|2"]);
        assert_eq!(csv("", 2), Vec::<String>::new());
    }

    #[test]
    fn a_stray_quote_costs_one_line() {
        assert_eq!(csv("1,\"2\n3,4\n5,6\n", 2), ["1|2\n", "3|4", "5|6"].map(|s| s.trim_end()));
        assert_eq!(csv("1,\"2\n3,4\n5,\"6\n7,8\n", 2), ["1|2", "3|4", "5|6", "7|8"]);
        assert_eq!(csv("1,5\" pipe\n3,4\n", 2), ["1|5\" pipe", "3|4"]);
        assert_eq!(csv("\"1,2\n3,4\n", 2), ["1,2", "3|4"]);
    }

    #[test]
    fn a_row_over_the_limit_is_skipped_to_its_lines_end() {
        let long = "x".repeat(100);
        assert_eq!(csv(&format!("1,{long}\n3,4\n"), 2), ["<102 bytes>", "3|4"]);
        assert_eq!(csv(&format!("1,2\n3,{long}"), 2), ["1|2", "<102 bytes>"]);
        let quoted = format!("1,\"{}\n3,4\n", "x".repeat(20));
        assert_eq!(csv(&quoted.repeat(3), 2).len(), 6);
    }

    #[test]
    fn lines_are_lines() {
        let mut records = Records::new(Box::new(Drip(b"{\"a\n\n\"}\r\nx".to_vec(), 2)), 0, 40);
        let mut lines = Vec::new();
        while let Some(record) = records.next().expect("no IO errors") {
            lines.push((shown(&record), record.terminated));
        }
        assert_eq!(lines, [("{\"a".into(), true), ("\"}".into(), true), ("x".into(), false)]);
    }
}
