//! The place in a file where a run stopped, and how to tell that it is still the same file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Row;
use super::records::Record;

/// How much of a record is compared.
const SPAN_BYTES_MAX: usize = 4096;

/// Where a run stopped in a file: behind a row.
///
/// A file that still has its first record and the last one that was read, where they were, is taken for the
/// same file, however much longer it is; reading all of it again to be sure would take as long as the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub(crate) offset: u64,
    pub(crate) rows: u64,
    pub(crate) first: Span,
    pub(crate) last: Span,
}

/// The beginning of a record, by its hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    start: u64,
    bytes: u32,
    sha256: [u8; 32],
}

impl Span {
    pub(crate) fn of(record: &Record) -> Self {
        Span::at(record.start, &record.bytes)
    }

    /// Of the record that begins at `start`.
    pub(crate) fn at(start: u64, bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(SPAN_BYTES_MAX)];
        // At most 4096, by the line above.
        Span { start, bytes: bytes.len() as u32, sha256: Sha256::digest(bytes).into() }
    }

    fn is_in(&self, file: &mut File) -> io::Result<bool> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.start))?;
        file.take(u64::from(self.bytes)).read_to_end(&mut bytes)?;
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        Ok(bytes.len() == self.bytes as usize && digest == self.sha256)
    }
}

/// Makes marks of the rows of a file.
#[derive(Clone, Debug)]
pub struct Marks {
    pub(super) first: Span,
}

impl Marks {
    /// The place behind `row`, to [`Rows::resume`](super::Rows::resume) from.
    pub fn behind(&self, row: &Row) -> Mark {
        self.after(row.number, &row.place, &row.bytes)
    }

    /// The same of the row of that number, which stands at that place.
    pub(crate) fn after(&self, number: u64, place: &Range<u64>, bytes: &[u8]) -> Mark {
        let last = Span::at(place.start, bytes);
        Mark { offset: place.end, rows: number, first: self.first.clone(), last }
    }
}

impl Mark {
    /// Whether the file at `path` is the one this mark was made in, as long or longer.
    pub(crate) fn is_of(&self, path: &Path) -> io::Result<bool> {
        let mut file = File::open(path)?;
        Ok(file.metadata()?.len() >= self.offset
            && self.first.is_in(&mut file)?
            && self.last.is_in(&mut file)?)
    }
}
