//! That somebody has seen an alert, and what they say of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::{Timestamp, human_duration};

/// The longest note, in characters: it lies in the series' state as long as the alert is open.
pub const NOTE_CHARS_MAX: usize = 200;

/// Somebody has seen an alert: people are not reminded of it any more, unless it gets worse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// What they say of it.
    pub note: Option<String>,
    /// For how long, in milliseconds, from the next reading on that is not calm: then people are told again, if the
    /// alert goes on. Absent: until it is over.
    pub for_ms: Option<u64>,
}

impl Acknowledgement {
    /// By `by`, who says no more.
    pub fn by(by: &str) -> Self {
        Acknowledgement { by: by.to_owned(), ..Acknowledgement::default() }
    }

    /// Who, what and for how long, as a transition holds them.
    pub(crate) fn parts(said: Option<Box<Self>>) -> (Option<String>, Option<String>, Option<u64>) {
        said.map_or((None, None, None), |said| (Some(said.by), said.note, said.for_ms))
    }

    /// Whether it says more than who.
    pub fn says_more(&self) -> bool {
        self.note.is_some() || self.for_ms.is_some()
    }
}

/// `ann, for 2 h: the disk is being replaced`.
impl fmt::Display for Acknowledgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.by)?;
        if let Some(ms) = self.for_ms {
            write!(f, ", for {}", human_duration(i64::try_from(ms).unwrap_or(i64::MAX)))?;
        }
        self.note.iter().try_for_each(|note| write!(f, ": {note}"))
    }
}

/// What a series' state keeps of an acknowledgement that says more than who.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    said: Acknowledgement,
    /// When its time is over; unknown until a reading says what time it is.
    until: Option<Timestamp>,
}

impl Noted {
    pub(super) fn new(said: Acknowledgement) -> Self {
        Noted { said, until: None }
    }

    pub(super) fn said(&self) -> &Acknowledgement {
        &self.said
    }

    pub(super) fn into_said(self) -> Acknowledgement {
        self.said
    }

    /// It is `at`: its time begins, unless it has begun.
    pub(super) fn begin(&mut self, at: Timestamp) {
        let Some(ms) = self.said.for_ms.and_then(|ms| i64::try_from(ms).ok()) else { return };
        let end = || at.as_ms().checked_add(ms).and_then(Timestamp::from_ms).unwrap_or(Timestamp::LAST);
        self.until.get_or_insert_with(end);
    }

    /// Whether its time is over.
    pub(super) fn is_past(&self, at: Timestamp) -> bool {
        self.until.is_some_and(|until| at >= until)
    }
}
