//! Schema drift: fields that come, go or change their type, noticed in a sample of the readings.
//!
//! A look at every field of every reading would cost more than decoding it. So one entry in
//! [`SAMPLE_EVERY`] is looked at, among them the first of each batch: some 15 instructions a reading.

use std::collections::BTreeMap;
use std::fmt;

use crate::records::Records;

use super::scan::{Limits, Scanner};

/// One entry in so many is looked at.
pub const SAMPLE_EVERY: usize = 64;
/// The most fields of a reading that are looked at, and the most that a [`Schema`] remembers.
pub const FIELDS_MAX: usize = 256;
/// The longest name that is remembered, in bytes; longer ones are not looked at.
const NAME_BYTES_MAX: usize = 128;
/// How many fields are named in a [`Drift`].
const NAMED_MAX: usize = 8;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null` or an empty cell; not a type, and never a change of it.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// Text.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// The top-level fields of a reading, and what they hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    fields: Vec<(String, Kind)>,
}

impl Shape {
    /// The shape of a JSON object; of anything else there is none.
    pub(super) fn of_json(json: &[u8]) -> Shape {
        let mut shape = Shape::default();
        let mut scanner = Scanner::new(json, Limits::NONE);
        if scanner.peek() == b'{' {
            // It was read before, and is well-formed.
            let _ = scanner.object(|scanner, name| {
                let kind = match scanner.peek() {
                    b'{' => Kind::Object,
                    b'[' => Kind::Array,
                    b'"' => Kind::Text,
                    b't' | b'f' => Kind::Boolean,
                    b'n' => Kind::Null,
                    _ => Kind::Number,
                };
                shape.push(&scanner.text(name), kind);
                scanner.skip()
            });
        }
        shape
    }

    /// The shape of a row; without names there is none.
    pub(super) fn of_row<'c>(names: &[Vec<u8>], cells: impl Iterator<Item = &'c [u8]>) -> Shape {
        let mut shape = Shape::default();
        for (name, cell) in names.iter().zip(cells) {
            let kind = match std::str::from_utf8(cell).map(str::trim) {
                Ok("") => Kind::Null,
                Ok(text) if text.parse::<f64>().is_ok() => Kind::Number,
                _ => Kind::Text,
            };
            if let Ok(name) = std::str::from_utf8(name) {
                shape.push(name, kind);
            }
        }
        shape
    }

    fn push(&mut self, name: &str, kind: Kind) {
        if self.fields.len() < FIELDS_MAX && name.len() <= NAME_BYTES_MAX {
            self.fields.push((name.to_owned(), kind));
        }
    }
}

/// The fields seen so far, at most [`FIELDS_MAX`] of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    fields: BTreeMap<String, Seen>,
    /// How many shapes there were.
    shapes: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    /// A bit per [`Kind`].
    kinds: u8,
    /// In how many shapes.
    times: u64,
}

/// What is new in a batch, of the readings that were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Fields seen for the first time, since the first shape.
    pub unknown: usize,
    /// Fields missing for the first time, that every shape had before.
    pub vanished: usize,
    /// Fields that hold something of another type than ever before.
    pub retyped: usize,
    /// The first of them, as `new firmware2`, `gone firmware`, `retyped temperature`.
    pub named: Vec<String>,
}

impl Drift {
    /// Whether nothing is new.
    pub fn is_none(&self) -> bool {
        self.unknown + self.vanished + self.retyped == 0
    }

    fn name(&mut self, what: &str, field: &str) {
        if self.named.len() < NAMED_MAX {
            self.named.push(format!("{what} {field}"));
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named.join(", "))
    }
}

impl Schema {
    /// What is new in the samples that the records of a batch hold; it is remembered, and not new the next time.
    pub fn compare<'r>(&mut self, batch: impl IntoIterator<Item = &'r Records>) -> Drift {
        let mut drift = Drift::default();
        let shapes = batch.into_iter().flat_map(Records::shapes);
        shapes.for_each(|shape| self.compare_one(shape, &mut drift));
        drift
    }

    fn compare_one(&mut self, shape: &Shape, drift: &mut Drift) {
        if shape.fields.is_empty() {
            return;
        }
        for (name, kind) in &shape.fields {
            let bit = if *kind == Kind::Null { 0 } else { 1 << *kind as u8 };
            let has_room = self.fields.len() < FIELDS_MAX;
            match self.fields.get_mut(name) {
                Some(seen) => {
                    if seen.kinds & bit == 0 && seen.kinds != 0 && bit != 0 {
                        drift.retyped += 1;
                        drift.name("retyped", name);
                    }
                    seen.kinds |= bit;
                    seen.times += 1;
                }
                None if has_room => {
                    if self.shapes > 0 {
                        drift.unknown += 1;
                        drift.name("new", name);
                    }
                    // One that comes later was not in every shape, and cannot vanish.
                    self.fields.insert(name.clone(), Seen { kinds: bit, times: 1 });
                }
                None => {}
            }
        }
        // Of a shape that was cut off nobody knows what it lacks.
        let is_whole = shape.fields.len() < FIELDS_MAX;
        for (name, seen) in &self.fields {
            // It was in every shape before, and is not in this one.
            if is_whole
                && self.shapes > 0
                && seen.times == self.shapes
                && !shape.fields.iter().any(|(n, _)| n == name)
            {
                drift.vanished += 1;
                drift.name("gone", name);
            }
        }
        self.shapes += 1;
    }
}
