//! The readings in a text of JSON: objects, arrays of objects, and any number of either, back to back or line
//! by line. A broken one is found out and left out alone, as far as one can tell where it ends.

use crate::config::Input;
use crate::fields::Found;
use crate::records::Decoded;
use crate::reject::Reject;

use super::drift::Shape;
use super::scan::{Bad, Limits, Scanner};
use super::taking::Taking;

/// Slots that need no memory of their own: a series, a time, and six features.
const SLOTS_FEW: usize = 8;

/// Takes every reading of `text`.
pub(super) fn read(text: &[u8], taking: &mut Taking<'_, '_>) {
    let mut few = [const { Found::Absent }; SLOTS_FEW];
    let mut many = Vec::new();
    let slots = taking.decoder.fields.len();
    let found = match few.get_mut(..slots) {
        Some(few) => few,
        None => {
            many.resize(slots, Found::Absent);
            many.as_mut_slice()
        }
    };
    let limits = limits(&taking.decoder.input);
    let mut documents = Documents { text, scanner: Scanner::new(text, limits), found, taking };
    if documents.scanner.peek() == 0 && documents.scanner.is_at_end() {
        let detail = "it is empty".to_owned();
        return documents.taking.take(Err(Reject::Json { detail }), text);
    }
    while documents.document() {}
}

/// The limits on one reading.
pub(super) fn limits(input: &Input) -> Limits {
    Limits { depth: input.depth_max, fields: input.fields_max }
}

/// What became of it, as a reject.
pub(super) fn reject(bad: Bad, scanner: &Scanner<'_>, input: &Input) -> Reject {
    match bad {
        Bad::Syntax => Reject::Json { detail: format!("{} at byte {}", scanner.what(), scanner.at()) },
        Bad::Depth => Reject::Depth { limit: input.depth_max as u64 },
        Bad::Fields => Reject::Fields { limit: input.fields_max as u64 },
    }
}

struct Documents<'s, 'a, 't, 'd, 'r> {
    text: &'a [u8],
    scanner: Scanner<'a>,
    found: &'s mut [Found<'a>],
    taking: &'t mut Taking<'d, 'r>,
}

/// What may follow a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The end of the text or of the line, or another object or array.
    Alone,
    /// A comma, the end of the array, or, where that was forgotten, the end of the line.
    InArray,
}

impl Documents<'_, '_, '_, '_, '_> {
    /// Takes the next document; whether there is one more.
    fn document(&mut self) -> bool {
        match self.scanner.peek() {
            0 if self.scanner.is_at_end() => false,
            b'[' if !self.is_row() => self.array(),
            _ => self.value(Place::Alone),
        }
    }

    /// Whether the array that was peeked at is a reading itself: fields are named by position, and what it
    /// holds are no readings.
    fn is_row(&self) -> bool {
        let mut ahead = self.scanner.clone();
        ahead.advance();
        self.taking.decoder.by_position && !matches!(ahead.peek(), b'{' | b'[' | b']')
    }

    fn array(&mut self) -> bool {
        self.scanner.advance();
        if self.scanner.peek() == b']' {
            self.scanner.advance();
            return true;
        }
        while self.value(Place::InArray) {
            match self.scanner.peek() {
                b',' => self.scanner.advance(),
                b']' => {
                    self.scanner.advance();
                    return true;
                }
                0 if self.scanner.is_at_end() => {
                    self.unclosed();
                    return false;
                }
                // At a new line, with which the next element begins, or behind a broken one.
                _ => {}
            }
        }
        false
    }

    /// The text ends in an array. What was whole of it is kept, but that more is missing must not go unsaid.
    fn unclosed(&mut self) {
        if let Some(Decoded::Reading(_)) = self.taking.records.entries().last() {
            let detail = format!("the array is cut off at byte {}", self.text.len());
            self.taking.take(Err(Reject::Json { detail }), b"");
        }
    }

    /// Takes one value as a reading; whether to go on.
    fn value(&mut self, place: Place) -> bool {
        let kind = self.scanner.peek();
        let from = self.scanner.at();
        if !self.taking.has_room() {
            let limit = self.taking.decoder.input.readings_max as u64;
            self.taking.take(Err(Reject::Readings { limit }), self.text.get(from..).unwrap_or_default());
            return false;
        }
        self.scanner.restart(from);
        match self.pick(kind, place) {
            Ok(to) => {
                let bytes = self.text.get(from..to).unwrap_or_default();
                if self.taking.records.is_sample_due() {
                    self.taking.records.note(Shape::of_json(bytes));
                }
                let outcome = match name_of_other(kind, self.taking.decoder.by_position) {
                    None => self.taking.reading(self.found),
                    Some(what) => {
                        Err(Reject::Json { detail: format!("{what} stands where an object is expected") })
                    }
                };
                self.taking.take(outcome, bytes);
            }
            Err(bad) => {
                let why = reject(bad, &self.scanner, &self.taking.decoder.input);
                let to = behind(self.text, from, place);
                self.taking.take(Err(why), self.text.get(from..to).unwrap_or_default().trim_ascii());
                self.scanner.restart(to);
            }
        }
        true
    }

    /// Picks the fields out of the next value; where it ends.
    fn pick(&mut self, kind: u8, place: Place) -> Result<usize, Bad> {
        self.found.fill(Found::Absent);
        match name_of_other(kind, self.taking.decoder.by_position) {
            None => self.taking.decoder.fields.pick_next(&mut self.scanner, self.found)?,
            Some(_) => self.scanner.skip()?,
        }
        let to = self.scanner.at();
        let next = self.scanner.peek();
        let is_new_line = || self.text.get(to..self.scanner.at()).is_some_and(|blank| blank.contains(&b'\n'));
        match (next, place) {
            (b',' | b']', Place::InArray) | (b'{' | b'[', Place::Alone) => Ok(to),
            (0, _) if self.scanner.is_at_end() => Ok(to),
            _ if is_new_line() => Ok(to),
            (_, Place::Alone) => Err(self.scanner.syntax("it goes on behind its end")),
            (_, Place::InArray) => Err(self.scanner.syntax("`,` or `]` is expected")),
        }
    }
}

/// What stands where a reading is expected, by its first byte; `None` if it can be one.
fn name_of_other(first: u8, by_position: bool) -> Option<&'static str> {
    match first {
        b'{' => None,
        b'[' if by_position => None,
        b'[' => Some("an array"),
        b'"' => Some("text"),
        b't' | b'f' => Some("a boolean"),
        b'n' => Some("null"),
        _ => Some("a number"),
    }
}

/// Where the broken value that begins at `from` ends, as its brackets have it, without reading it.
///
/// A line that begins with a brace or a bracket begins a new value, whatever is still open: otherwise a line
/// of JSON lines that was cut off would take the next ones with it. (Indented JSON has no such lines but its
/// first.)
fn behind(text: &[u8], from: usize, place: Place) -> usize {
    let (mut depth, mut in_text, mut at) = (0_usize, false, from);
    while let Some(byte) = text.get(at) {
        let is_new = at > from && depth == 0;
        match byte {
            b'\n' if matches!(text.get(at + 1), Some(b'{' | b'[')) => return at,
            b'\n' if is_new && place == Place::Alone => return at,
            b'\\' if in_text && text.get(at + 1) != Some(&b'\n') => at += 1,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' if is_new && place == Place::Alone => return at,
            b'{' | b'[' => depth += 1,
            b',' | b'}' | b']' if is_new && place == Place::InArray => return at,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    text.len()
}
