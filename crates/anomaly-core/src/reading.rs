//! What a record says, once it is parsed: it cannot be wrong any more.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use crate::position::Position;
use crate::reject::Reject;
use crate::time::Timestamp;

/// The name of a series: the key whose history belongs together. 1 to 256 bytes, no control characters.
///
/// 256 bytes keep it well inside a DynamoDB key (2,048) and an SNS attribute filter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesId(SmolStr);

impl SeriesId {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 256;

    /// What the name of late readings' state ends in.
    const LATE: &str = "\u{1f}late";

    /// What the name of a partition's shares of rejects begins with.
    const REJECTS_OF: &str = "rejects of ";

    /// # Errors
    /// [`Reject::Series`] if the name is empty, too long, holds a control character, or is of the kind that
    /// [`SeriesId::rejects_of`] makes.
    pub fn new(name: &str) -> Result<Self, Reject> {
        let why = match name {
            "" => "is empty",
            n if n.len() > Self::BYTES_MAX => "is longer than 256 bytes",
            n if holds_control(n) => "holds a control character",
            n if n.starts_with(Self::REJECTS_OF) => "begins with \"rejects of \", as only our own do",
            n => return Ok(Self(n.into())),
        };
        Err(Reject::Series { why: why.to_owned() })
    }

    /// The series of the shares of `partition`'s batches that were rejected: a name no record can have.
    pub fn rejects_of(partition: &str) -> Self {
        let (mut name, most) = (Self::REJECTS_OF.to_owned(), Self::BYTES_MAX);
        let fits = |c: &char| !c.is_control();
        for c in partition.chars().filter(fits) {
            if name.len() + c.len_utf8() <= most {
                name.push(c);
            }
        }
        Self(name.into())
    }

    /// Whether it is the name of shares of rejects.
    pub fn is_of_rejects(&self) -> bool {
        self.0.starts_with(Self::REJECTS_OF)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name under which the state of the series' late readings is kept. No series has it: it holds a control
    /// character.
    pub fn late(&self) -> SeriesId {
        SeriesId(format_smolstr!("{}{}", self.0, Self::LATE))
    }

    /// The series itself, where this is the name that [`SeriesId::late`] gave; else this.
    pub fn itself(&self) -> SeriesId {
        self.0.strip_suffix(Self::LATE).map_or_else(|| self.clone(), |name| SeriesId(name.into()))
    }
}

/// Whether a control character is in `name`; of nearly all names the bytes tell, many at a time.
fn holds_control(name: &str) -> bool {
    let is_plain = name.bytes().fold(true, |so_far, byte| so_far & (0x20..0x7f).contains(&byte));
    !is_plain && name.chars().any(char::is_control)
}

impl fmt::Display for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One reading: the values of a series at an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Whose reading it is.
    pub series: SeriesId,
    /// The event's time; the arrival time where records carry none.
    pub at: Timestamp,
    /// The features, in the order of the configuration; all finite; at least one.
    pub features: Vec<f64>,
    /// Which of them the record did not give, by rising index; mostly none.
    pub filled: Vec<Filled>,
    /// Where it stood in its source.
    pub position: Position,
}

impl Reading {
    /// Whether the feature at `index` has a value, be it filled in.
    pub fn has(&self, index: usize) -> bool {
        let is_unknown =
            |filled: &Filled| filled.feature as usize == index && filled.with == Filling::Unknown;
        self.filled.is_empty() || !self.filled.iter().any(is_unknown)
    }

    /// The first feature that wants the series' previous value, or has it already.
    pub fn takes_previous(&self) -> Option<Filled> {
        self.filled.iter().copied().find(|filled| filled.with == Filling::Previous)
    }
}

/// A feature that the record did not give, and what stands in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// The feature's index, from 0.
    pub feature: u32,
    /// Why it had to be filled in.
    pub gap: Gap,
    /// What stands there.
    pub with: Filling,
}

/// What was wrong where a feature had to be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gap {
    /// The field is not there.
    Missing,
    /// The field is null, or an empty cell.
    Null,
    /// The number is NaN or infinite.
    NotFinite,
    /// The array or the row that holds it is too short, or the row is too long.
    Width,
}

impl Gap {
    /// What was wrong, in a word or two: `missing`, `null`, `not finite`, `cut short`.
    pub fn as_str(self) -> &'static str {
        match self {
            Gap::Missing => "missing",
            Gap::Null => "null",
            Gap::NotFinite => "not finite",
            Gap::Width => "cut short",
        }
    }

    /// The reject of a reading whose feature `field` has the gap.
    pub fn reject(self, field: &str) -> Reject {
        let field = field.to_owned();
        match self {
            Gap::NotFinite => Reject::NotFinite { field },
            Gap::Missing | Gap::Null | Gap::Width => Reject::Missing { field },
        }
    }
}

/// What stands in the place of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filling {
    /// The constant of the configuration.
    Constant,
    /// The series' previous value; 0 until what knows it has put it there: the state of the series, or its window
    /// where a model is given the reading before.
    Previous,
    /// Nothing, and 0 is written: the series has no previous value yet. Rules do not judge the feature.
    Unknown,
}

/// A reading with its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The reading.
    pub reading: Reading,
    /// The detector's score: finite, higher is stranger. `None` while a detector has learned too little,
    /// and where no model is used.
    pub score: Option<f64>,
}
