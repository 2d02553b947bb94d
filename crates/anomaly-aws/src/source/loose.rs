//! A record's envelope of which nothing is taken for granted.

use std::borrow::Cow;

use anomaly_core::fields::{Fields, Found};
use anomaly_core::time::Timestamp;
use serde_json::value::RawValue;

use super::EXPECTED;
use crate::event::{EventError, check_source};

/// Whole numbers up to here are exact as JSON numbers: 2⁵³.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The fields of an envelope that matter, by slot, and all of its text.
#[derive(Clone, Debug)]
pub(crate) struct Loose<'a> {
    /// The envelope.
    pub(crate) raw: &'a str,
    found: Vec<Found<'a>>,
}

/// The envelopes of `records`, which are all of `source` where they say theirs in the first of `pointers`.
///
/// # Errors
/// [`EventError::Unknown`] if one is of another source.
pub(crate) fn all<'a>(
    records: &[&'a RawValue],
    pointers: impl IntoIterator<Item = &'static str>,
    source: &str,
) -> Result<Vec<Loose<'a>>, EventError> {
    // The pointers are constants, and valid.
    let fields = Fields::new(pointers).unwrap_or_default();
    let envelopes: Vec<Loose<'a>> = records.iter().map(|raw| Loose::new(raw.get(), &fields)).collect();
    for envelope in &envelopes {
        check_source(envelope.text(0), source, EXPECTED)?;
    }
    Ok(envelopes)
}

impl<'a> Loose<'a> {
    /// Picks `fields` out of `raw`. In what cannot be read there is nothing.
    pub(crate) fn new(raw: &'a str, fields: &Fields) -> Self {
        Loose { raw, found: fields.pick(raw.as_bytes()).unwrap_or_default() }
    }

    /// Text.
    pub(crate) fn text(&self, slot: usize) -> Option<&str> {
        match self.found.get(slot) {
            Some(Found::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Text, for keeping.
    pub(crate) fn owned(&self, slot: usize) -> Option<Cow<'a, str>> {
        match self.found.get(slot) {
            Some(Found::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// Text that may serve as a name: not empty.
    pub(crate) fn name(&self, slot: usize) -> Option<Cow<'a, str>> {
        self.owned(slot).filter(|text| !text.is_empty())
    }

    /// A number.
    pub(crate) fn number(&self, slot: usize) -> Option<f64> {
        match self.found.get(slot) {
            Some(Found::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// A whole number from 0, as a number or as text.
    pub(crate) fn whole(&self, slot: usize) -> Option<u64> {
        match self.found.get(slot)? {
            Found::Number(number) if number.fract() == 0.0 && (0.0..=WHOLE_MAX).contains(number) => {
                Some(*number as u64)
            }
            Found::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// An instant in milliseconds since 1970, as a number or as text.
    pub(crate) fn instant_ms(&self, slot: usize) -> Option<Timestamp> {
        self.whole(slot).and_then(|ms| i64::try_from(ms).ok()).and_then(Timestamp::from_ms)
    }

    /// Whether there is nothing, or `null`.
    pub(crate) fn is_nothing(&self, slot: usize) -> bool {
        matches!(self.found.get(slot), None | Some(Found::Absent | Found::Null))
    }
}
