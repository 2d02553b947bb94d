//! A reader of flat JSON: objects and lists as the caller expects them, borrowed text, and no way to skip
//! anything that is nested.
//!
//! It reads the envelope of a Kinesis event, which Lambda writes and whose form is known, in two thirds of the
//! time that sonic-rs takes. sonic-rs also skips unwanted values by recursion without a limit, so that its
//! input would have to be searched for depth first. Text with escapes, and whatever else is not expected, is
//! `None`: the caller has another way for it. The text must be valid JSON, or what comes out means nothing.

use std::ops::Range;

/// A place in a JSON text.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The beginning of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Cursor { text, at: 0 }
    }

    /// Reads an object: `field` is called with the bytes of each key, and reads the value.
    pub(super) fn object(&mut self, mut field: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.list(b'{', b'}', |cursor| {
            let key = cursor.quoted()?;
            cursor.token(b':')?;
            field(cursor, &cursor.text.as_bytes()[key])
        })
    }

    /// Reads a list: `item` reads each item.
    pub(super) fn array(&mut self, item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.list(b'[', b']', item)
    }

    /// Reads text without escapes.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        self.quoted().and_then(|place| self.text.get(place))
    }

    /// What was read since the cursor was at `from`.
    pub(super) fn since(&self, from: Cursor<'a>) -> &'a str {
        self.text.get(from.at..self.at).unwrap_or_default()
    }

    /// Passes what is literally `text`.
    pub(super) fn literal(&mut self, text: &str) -> Option<()> {
        let is_it = self.text.as_bytes().get(self.at..)?.starts_with(text.as_bytes());
        is_it.then(|| self.at += text.len())
    }

    /// Reads text without escapes whose quote was passed, as far as its closing quote.
    pub(super) fn rest_of_text(&mut self) -> Option<&'a str> {
        let place = self.unquoted()?;
        self.at = place.end;
        self.text.get(place)
    }

    /// Reads text, a number, true, false or null, whatever it is.
    pub(super) fn scalar(&mut self) -> Option<()> {
        match self.peek() {
            Some(b'"') => self.quoted().map(drop),
            _ => self.word().map(drop),
        }
    }

    fn list(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.token(open)?;
        if self.token(close).is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            if self.token(b',').is_none() {
                return self.token(close);
            }
        }
    }

    /// Where there is text without escapes.
    fn quoted(&mut self) -> Option<Range<usize>> {
        self.token(b'"')?;
        let place = self.unquoted()?;
        self.at = place.end + 1;
        Some(place)
    }

    /// Where text without escapes goes on, up to its closing quote.
    fn unquoted(&self) -> Option<Range<usize>> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = memchr::memchr2(b'"', b'\\', rest).filter(|end| rest[*end] == b'"')?;
        Some(self.at..self.at + length)
    }

    /// Reads the characters of a number, of `true`, `false` or `null`.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        self.peek()?;
        let rest = &self.text[self.at..];
        let is_over = |b: u8| !matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.');
        let length = rest.bytes().position(is_over).unwrap_or(rest.len());
        self.at += length;
        Some(&rest[..length]).filter(|word| !word.is_empty())
    }

    fn token(&mut self, token: u8) -> Option<()> {
        (self.peek() == Some(token)).then(|| self.at += 1)
    }

    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                byte => return byte.copied(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The scalars of an object of objects, as the caller of a cursor sees them.
    fn keys(text: &str) -> Option<Vec<&[u8]>> {
        let mut keys = Vec::new();
        Cursor::new(text).object(|cursor, key| {
            keys.push(key);
            cursor.scalar()
        })?;
        Some(keys)
    }

    #[test]
    fn reads_what_is_flat_and_refuses_the_rest() {
        assert_eq!(keys("{}"), Some(vec![]));
        assert_eq!(
            keys(r#" { "a" : "x" , "b":-1.5e+3,"c":null,"d":true } "#),
            Some(vec![&b"a"[..], b"b", b"c", b"d"])
        );
        for refused in
            [r#"{"a":[]}"#, r#"{"a":{}}"#, r#"{"a":"\n"}"#, r#"{"\u0061":1}"#, "[]", "{", "", "{\"a\""]
        {
            assert_eq!(keys(refused), None, "{refused}");
        }
        let mut numbers = Vec::new();
        let read = Cursor::new("[1795231793.831, 0]").array(|cursor| cursor.word().map(|n| numbers.push(n)));
        assert_eq!((read, numbers), (Some(()), vec!["1795231793.831", "0"]));
    }

    #[test]
    fn depth_ends_it_at_once() {
        let deep = format!(r#"{{"a":{}"#, "[".repeat(1_000_000));
        assert_eq!(keys(&deep), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}\":,a0é\\\\ .-]{0,40}") {
            let _ = keys(&text);
        }

        #[test]
        fn what_it_reads_is_what_others_read(pairs in proptest::collection::vec(("\\PC{0,8}", "\\PC{0,8}"), 0..5)) {
            let object: serde_json::Map<String, serde_json::Value> =
                pairs.into_iter().map(|(key, value)| (key, value.into())).collect();
            let text = serde_json::to_string(&object).expect("plain data");
            match keys(&text) {
                Some(read) => prop_assert_eq!(read, object.keys().map(String::as_bytes).collect::<Vec<_>>()),
                None => prop_assert!(text.contains('\\')),
            }
        }
    }
}
