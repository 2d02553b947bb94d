//! What a record's envelope shares with the one before it.
//!
//! Lambda writes the records of an event one like the other: five values differ, and some three hundred bytes
//! between them do not. A stencil is one record's envelope with those five cut out. Laid on the next record it
//! compares what is between them, and reads nothing but them.

use super::Record;
use super::cursor::Cursor;

/// A record's envelope with its values cut out, in the order of the text.
pub(super) struct Stencil<'a> {
    /// What stands before each value, from the record's brace or the value before.
    cuts: [(&'a str, Value); 5],
    /// What stands behind the last value, with the record's closing brace.
    end: &'a str,
    record: Record<'a>,
}

/// A value in which records differ.
#[derive(Clone, Copy)]
enum Value {
    Key,
    Sequence,
    Data,
    Arrived,
    EventId,
}

impl<'a> Stencil<'a> {
    /// The stencil of `record`, read from the whole of `text`; `None` if one of the values is not in it.
    pub(super) fn of(text: &'a str, record: Record<'a>) -> Option<Self> {
        let place = |value: &str| {
            let from = value.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
            (from + value.len() <= text.len()).then(|| from..from + value.len())
        };
        let mut values = [
            (place(record.key)?, Value::Key),
            (place(record.sequence)?, Value::Sequence),
            (place(record.data?)?, Value::Data),
            (place(record.arrived)?, Value::Arrived),
            (place(record.event_id)?, Value::EventId),
        ];
        values.sort_unstable_by_key(|(place, _)| place.start);
        let mut at = 0;
        let mut cuts = [("", Value::Key); 5];
        for (cut, (place, value)) in cuts.iter_mut().zip(values) {
            *cut = (text.get(at..place.start)?, value);
            at = place.end;
        }
        Some(Stencil { cuts, end: text.get(at..)?, record })
    }

    /// Reads the record at the cursor; `None`, with the cursor where it was, if it differs in more than the values.
    pub(super) fn read(&self, cursor: &mut Cursor<'a>) -> Option<Record<'a>> {
        let mut ahead = *cursor;
        let mut record = self.record;
        for (before, value) in &self.cuts {
            ahead.literal(before)?;
            match value {
                Value::Key => record.key = ahead.rest_of_text()?,
                Value::Sequence => record.sequence = ahead.rest_of_text()?,
                Value::Data => record.data = Some(ahead.rest_of_text()?),
                Value::Arrived => record.arrived = ahead.word()?,
                Value::EventId => record.event_id = ahead.rest_of_text()?,
            }
        }
        ahead.literal(self.end)?;
        *cursor = ahead;
        Some(record)
    }
}
