//! JSON, read from its bytes in one pass: what is wanted is taken, what is not is checked and skipped.
//!
//! A scanner of our own, because decoding is where a record's time goes: it builds nothing, takes no memory for
//! what it skips, counts depth and fields on the way, and knows where a broken value begins, so that its
//! neighbours can still be read. It takes RFC 8259, and besides `NaN`, `Infinity` and `-Infinity` as numbers,
//! which Python and others write: the field that holds one can then be named.

use std::borrow::Cow;

/// How much of a document is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Levels of nesting.
    pub(crate) depth: usize,
    /// Named fields of objects, at any depth.
    pub(crate) fields: usize,
}

impl Limits {
    /// None: for documents whose bytes are limited and whose writer is known.
    pub(crate) const NONE: Limits = Limits { depth: usize::MAX, fields: usize::MAX };
}

/// Why a document is not read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// It is not JSON: [`Scanner::what`] and [`Scanner::at`] tell why and where.
    Syntax,
    /// It is nested too deep.
    Depth,
    /// It has too many fields.
    Fields,
}

/// What a scalar is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number(f64),
    /// Text.
    Text(Raw),
}

/// The place of a text between its quotes. Small enough for registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    from: u32,
    to: u32,
    escaped: bool,
}

/// A field's name, to be compared quickly: its length, and its first eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    length: usize,
    start: u64,
}

impl Tag {
    pub(crate) fn of(name: &[u8]) -> Self {
        let start = name.iter().take(8).rev().fold(0, |start, byte| start << 8 | u64::from(*byte));
        Tag { length: name.len(), start }
    }

    /// Whether it is the name itself, too.
    pub(crate) fn is_whole(self) -> bool {
        self.length <= 8
    }
}

/// A place in a JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: Limits,
    depth: usize,
    fields: usize,
    what: &'static str,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8], limits: Limits) -> Self {
        // Places are kept in 32 bits; no limit on a record comes near.
        let bytes = bytes.get(..bytes.len().min(u32::MAX as usize)).unwrap_or_default();
        Scanner { bytes, at: 0, limits, depth: 0, fields: 0, what: "" }
    }

    /// What is wrong, after [`Bad::Syntax`].
    pub(crate) fn what(&self) -> &'static str {
        self.what
    }

    /// The place, in bytes from the beginning.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes to `at`, where a new document begins, or nothing is known of what came before.
    pub(crate) fn restart(&mut self, at: usize) {
        (self.at, self.depth, self.fields) = (at, 0, 0);
    }

    /// The next byte that is no white space; 0, which no JSON holds, at the end.
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        loop {
            match self.byte(self.at) {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return byte,
            }
        }
    }

    /// Takes the byte that was peeked at.
    pub(crate) fn advance(&mut self) {
        self.at += 1;
    }

    /// Whether all was read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[cold]
    pub(crate) fn syntax(&mut self, what: &'static str) -> Bad {
        self.what = if self.is_at_end() { "it ends too early" } else { what };
        self.at = self.at.min(self.bytes.len());
        Bad::Syntax
    }

    /// # Errors
    /// [`Bad::Syntax`] if anything but white space follows.
    pub(crate) fn end(&mut self) -> Result<(), Bad> {
        match self.peek() {
            0 if self.is_at_end() => Ok(()),
            _ => Err(self.syntax("it goes on behind its end")),
        }
    }

    /// Reads an object: `field` is called with each name, and must take the value. `{` was peeked at.
    #[inline]
    pub(crate) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, Raw) -> Result<(), Bad>,
    ) -> Result<(), Bad> {
        self.enter()?;
        if self.peek() == b'}' {
            return self.leave();
        }
        loop {
            let name = self.name()?;
            field(self, name)?;
            match self.peek() {
                b',' => self.at += 1,
                b'}' => return self.leave(),
                _ => return Err(self.syntax("`,` or `}` is expected")),
            }
        }
    }

    /// Reads an array: `element` is called at each value, and must take it. `[` was peeked at.
    pub(crate) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), Bad>) -> Result<(), Bad> {
        self.enter()?;
        if self.peek() == b']' {
            return self.leave();
        }
        loop {
            element(self)?;
            match self.peek() {
                b',' => self.at += 1,
                b']' => return self.leave(),
                _ => return Err(self.syntax("`,` or `]` is expected")),
            }
        }
    }

    /// Checks and skips a value, however deep it is, without recursion.
    pub(crate) fn skip(&mut self) -> Result<(), Bad> {
        match self.peek() {
            b'{' | b'[' => self.skip_nested(),
            _ => self.scalar().map(drop),
        }
    }

    /// Reads a value that is neither an object nor an array.
    #[inline]
    pub(crate) fn scalar(&mut self) -> Result<Scalar, Bad> {
        match self.peek() {
            b'"' => self.string().map(Scalar::Text),
            b'-' | b'0'..=b'9' => self.number().map(Scalar::Number),
            b't' => self.word(b"true", Scalar::Boolean),
            b'f' => self.word(b"false", Scalar::Boolean),
            b'n' => self.word(b"null", Scalar::Null),
            b'N' => self.word(b"NaN", Scalar::Number(f64::NAN)),
            b'I' => self.word(b"Infinity", Scalar::Number(f64::INFINITY)),
            _ => Err(self.syntax("a value is expected")),
        }
    }

    /// The name at `raw`, to be compared; `None` where it has escapes.
    #[inline]
    pub(crate) fn tag(&self, raw: Raw) -> Option<Tag> {
        let (from, length) = (raw.from as usize, (raw.to - raw.from) as usize);
        if raw.escaped {
            return None;
        }
        let eight = self.bytes.get(from..).and_then(|rest| rest.first_chunk::<8>());
        Some(match eight {
            Some(eight) if length < 8 => {
                Tag { length, start: u64::from_le_bytes(*eight) & !(u64::MAX << (8 * length)) }
            }
            Some(eight) => Tag { length, start: u64::from_le_bytes(*eight) },
            None => Tag::of(self.raw(raw)),
        })
    }

    /// Whether `raw` says `text`.
    pub(crate) fn says(&self, raw: Raw, text: &[u8]) -> bool {
        match raw.escaped {
            false => self.raw(raw) == text,
            true => self.text(raw).as_bytes() == text,
        }
    }

    /// The text at `raw`, borrowed where it has no escapes.
    #[inline]
    pub(crate) fn text(&self, raw: Raw) -> Cow<'a, str> {
        // It was checked when it was read.
        match raw.escaped {
            false => Cow::Borrowed(std::str::from_utf8(self.raw(raw)).unwrap_or_default()),
            true => Cow::Owned(unescape(self.raw(raw)).unwrap_or_default()),
        }
    }

    fn raw(&self, raw: Raw) -> &'a [u8] {
        self.bytes.get(raw.from as usize..raw.to as usize).unwrap_or_default()
    }

    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn enter(&mut self) -> Result<(), Bad> {
        self.at += 1;
        self.depth += 1;
        if self.depth > self.limits.depth { Err(Bad::Depth) } else { Ok(()) }
    }

    fn leave(&mut self) -> Result<(), Bad> {
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    /// A field's name and the colon behind it.
    #[inline]
    fn name(&mut self) -> Result<Raw, Bad> {
        if self.peek() != b'"' {
            return Err(self.syntax("a field's name is expected"));
        }
        let name = self.string()?;
        if self.peek() != b':' {
            return Err(self.syntax("`:` is expected"));
        }
        self.at += 1;
        self.fields += 1;
        if self.fields > self.limits.fields { Err(Bad::Fields) } else { Ok(name) }
    }

    fn skip_nested(&mut self) -> Result<(), Bad> {
        let mut open = Open::default();
        loop {
            match self.peek() {
                b'{' => {
                    self.enter()?;
                    open.push(true);
                    if self.peek() != b'}' {
                        self.name()?;
                        continue;
                    }
                }
                b'[' => {
                    self.enter()?;
                    open.push(false);
                    if self.peek() != b']' {
                        continue;
                    }
                }
                _ => drop(self.scalar()?),
            }
            // Behind a value, or in something empty.
            loop {
                let in_object = open.last();
                match self.peek() {
                    b',' => {
                        self.at += 1;
                        if in_object {
                            self.name()?;
                        }
                        break;
                    }
                    b'}' if in_object => self.leave()?,
                    b']' if !in_object => self.leave()?,
                    _ if in_object => return Err(self.syntax("`,` or `}` is expected")),
                    _ => return Err(self.syntax("`,` or `]` is expected")),
                }
                if open.pop() {
                    return Ok(());
                }
            }
        }
    }

    /// Reads text; a quote was peeked at.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Raw, Bad> {
        let from = self.at + 1;
        let (mut rest, mut at) = (self.bytes.get(from..).unwrap_or_default(), from);
        // Eight bytes at a time, as long as they are plain ASCII.
        while let Some((eight, more)) = rest.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(*eight);
            let stops = (special(word) | word) & HIGH;
            if stops != 0 {
                let bits = stops.trailing_zeros() & !7;
                if (word >> bits) as u8 != b'"' {
                    break;
                }
                let to = at + (bits / 8) as usize;
                self.at = to + 1;
                // `Scanner::new` sees to it that places fit.
                return Ok(Raw { from: from as u32, to: to as u32, escaped: false });
            }
            (rest, at) = (more, at + 8);
        }
        self.string_slowly(from)
    }

    /// Reads any text, from behind its quote.
    fn string_slowly(&mut self, from: usize) -> Result<Raw, Bad> {
        let mut escaped = false;
        self.at = from;
        loop {
            match self.byte(self.at) {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                0..0x20 => return Err(self.syntax("a control character stands in text")),
                _ => self.at += 1,
            }
        }
        let raw = Raw { from: from as u32, to: self.at as u32, escaped };
        self.check(raw)?;
        self.at += 1;
        Ok(raw)
    }

    /// # Errors
    /// [`Bad::Syntax`] if the text at `raw` is not UTF-8 or has an escape that is none.
    fn check(&mut self, raw: Raw) -> Result<(), Bad> {
        let bytes = self.raw(raw);
        let what = match std::str::from_utf8(bytes) {
            Err(_) => "text is not UTF-8",
            Ok(_) if raw.escaped && unescape(bytes).is_none() => "an escape in text is none",
            Ok(_) => return Ok(()),
        };
        self.at = raw.from as usize;
        Err(self.syntax(what))
    }

    /// Reads a number: to the nearest of 64 bits, ties to even.
    pub(crate) fn number(&mut self) -> Result<f64, Bad> {
        let from = self.at;
        let negative = self.byte(from) == b'-';
        self.at += usize::from(negative);
        if negative && self.byte(self.at) == b'I' {
            return self.word(b"Infinity", f64::NEG_INFINITY);
        }
        let (first, mut mantissa) = (self.at, 0);
        self.digits(&mut mantissa)?;
        if self.byte(first) == b'0' && self.at > first + 1 {
            self.at = first;
            return Err(self.syntax("a number starts with 0"));
        }
        let (mut count, mut exponent) = (self.at - first, 0_i64);
        if self.byte(self.at) == b'.' {
            self.at += 1;
            let point = self.at;
            self.digits(&mut mantissa)?;
            exponent = -((self.at - point) as i64);
            count += self.at - point;
        }
        if matches!(self.byte(self.at), b'e' | b'E') {
            exponent = exponent.saturating_add(self.exponent()?);
        }
        // Exact where the digits fit into the 53 bits of a mantissa and the power of ten is exact (W. Clinger,
        // "How to read floating point numbers accurately", 1990).
        let power = POWERS_OF_TEN.get(exponent.unsigned_abs() as usize);
        let number = match power {
            Some(power) if count <= 19 && mantissa <= 1 << 53 => match exponent < 0 {
                true => mantissa as f64 / power,
                false => mantissa as f64 * power,
            },
            _ => return Ok(self.any_number(from)),
        };
        Ok(if negative { -number } else { number })
    }

    fn any_number(&self, from: usize) -> f64 {
        let text = self.bytes.get(from..self.at).and_then(|digits| std::str::from_utf8(digits).ok());
        // JSON's numbers are a part of Rust's.
        text.and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
    }

    #[inline]
    fn digits(&mut self, number: &mut u64) -> Result<(), Bad> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let mut count = 0;
        for byte in rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            *number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
        }
        self.at += count;
        if count == 0 { Err(self.syntax("a digit is expected")) } else { Ok(()) }
    }

    fn exponent(&mut self) -> Result<i64, Bad> {
        self.at += 1;
        let negative = self.byte(self.at) == b'-';
        if matches!(self.byte(self.at), b'+' | b'-') {
            self.at += 1;
        }
        let (from, mut exponent) = (self.at, 0);
        self.digits(&mut exponent)?;
        // So many digits are beyond any number there is, and may have wrapped around.
        let exponent = if self.at - from > 15 { i64::MAX >> 1 } else { exponent as i64 };
        Ok(if negative { -exponent } else { exponent })
    }

    fn word<T>(&mut self, word: &[u8], value: T) -> Result<T, Bad> {
        match self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            true => {
                self.at += word.len();
                Ok(value)
            }
            false => Err(self.syntax("a value is expected")),
        }
    }
}

/// The powers of ten that 64 bits hold exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of each of eight bytes that is a quote, a backslash or a control character, up to the first
/// of them; what is behind it may be wrong (H. S. Warren, "Hacker's Delight", section 6-1).
#[inline]
fn special(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c)) | control) & HIGH
}

/// What is open, innermost last, a bit each: set for an object.
#[derive(Default)]
struct Open {
    /// The last up to 64.
    last: u64,
    count: usize,
    /// The ones before, 64 at a time.
    before: Vec<u64>,
}

impl Open {
    fn push(&mut self, is_object: bool) {
        if self.count > 0 && self.count.is_multiple_of(64) {
            self.before.push(self.last);
        }
        self.last = self.last << 1 | u64::from(is_object);
        self.count += 1;
    }

    fn last(&self) -> bool {
        self.last & 1 == 1
    }

    /// Closes the innermost; whether it was the outermost too.
    fn pop(&mut self) -> bool {
        self.count -= 1;
        self.last >>= 1;
        if self.count > 0 && self.count.is_multiple_of(64) {
            self.last = self.before.pop().unwrap_or_default();
        }
        self.count == 0
    }
}

/// `bytes` without escapes; `None` if one of them is none, or half of a pair (RFC 8259, section 7).
fn unescape(bytes: &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(next) = rest.iter().position(|b| *b == b'\\') {
        let (plain, escape) = rest.split_at(next);
        text.extend_from_slice(plain);
        let (letter, mut after) = escape.get(1..)?.split_first()?;
        match letter {
            b'"' | b'\\' | b'/' => text.push(*letter),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'u' => {
                let mut unit = hex(&mut after)?;
                if (0xd800..0xdc00).contains(&unit) {
                    after = after.strip_prefix(b"\\u")?;
                    let low = hex(&mut after)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    unit = 0x10000 + ((unit - 0xd800) << 10 | low);
                }
                let character = char::from_u32(unit)?;
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return None,
        }
        rest = after;
    }
    text.extend_from_slice(rest);
    String::from_utf8(text).ok()
}

/// Four hexadecimal digits, taken from `rest`.
fn hex(rest: &mut &[u8]) -> Option<u32> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(json: &[u8], limits: Limits) -> Result<(), Bad> {
        whole(&mut Scanner::new(json, limits))
    }

    fn whole(scanner: &mut Scanner<'_>) -> Result<(), Bad> {
        scanner.skip()?;
        scanner.end()
    }

    fn number(json: &str) -> Option<f64> {
        let mut scanner = Scanner::new(json.as_bytes(), Limits::NONE);
        match scanner.scalar() {
            Ok(Scalar::Number(number)) if scanner.is_at_end() => Some(number),
            _ => None,
        }
    }

    #[test]
    fn numbers() {
        for text in ["0", "-0", "1", "-1.5", "1e3", "1E-3", "12.5e+2", "9007199254740993", "1e22", "1e23"] {
            assert_eq!(number(text).map(f64::to_bits), text.parse().ok().map(f64::to_bits), "{text}");
        }
        for text in ["01", "-", "1.", ".5", "+1", "1e", "1e+", "0x1", "1_0", "--1", "1.e3", "-Inf", "nan"] {
            assert_eq!(number(text), None, "{text}");
        }
        let far = format!("1e{}", "9".repeat(400));
        assert_eq!((number(&far), number(&far.replace('e', "e-"))), (Some(f64::INFINITY), Some(0.0)));
        assert_eq!(number("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(number("NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn limits_are_inclusive() {
        let nested = format!("{}{}", "[".repeat(70), "]".repeat(70));
        assert_eq!(scan(nested.as_bytes(), Limits { depth: 70, fields: 0 }), Ok(()));
        assert_eq!(scan(nested.as_bytes(), Limits { depth: 69, fields: 0 }), Err(Bad::Depth));
        let two = br#"[{"a":1},{"b":2}]"#;
        assert_eq!(scan(two, Limits { depth: 2, fields: 2 }), Ok(()));
        assert_eq!(scan(two, Limits { depth: 2, fields: 1 }), Err(Bad::Fields));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let what = |json: &[u8]| {
            let mut scanner = Scanner::new(json, Limits::NONE);
            assert_eq!(whole(&mut scanner), Err(Bad::Syntax));
            format!("{} at {}", scanner.what(), scanner.at())
        };
        assert_eq!(what(b"{\"a\":1,}"), "a field's name is expected at 7");
        assert_eq!(what(b"{\"a\" 1}"), "`:` is expected at 5");
        assert_eq!(what(b"{\"a\":}"), "a value is expected at 5");
        assert_eq!(what(b"[1 2]"), "`,` or `]` is expected at 3");
        assert_eq!(what(b"[\"a"), "it ends too early at 3");
        assert_eq!(what(b"\"a\nb\""), "a control character stands in text at 2");
        assert_eq!(what(b"\"\\x\""), "an escape in text is none at 1");
        assert_eq!(what(b"\"\xff\""), "text is not UTF-8 at 1");
        assert_eq!(what(b"1 1"), "it goes on behind its end at 2");
        assert_eq!(what(b"{\"a\":[[{}, {\"b\": tru}]]}"), "a value is expected at 17");
    }

    /// JSON-like text: mostly well-formed, often broken.
    fn jsonish() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            "-?[0-9]{1,25}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{0,4})?",
            "\"[a-zé\\\\/nu0d8c]{0,12}\"",
            "\"\\\\u[0-9a-fD]{4}(\\\\u[dD][c-f0-9]{3})?\"",
            "true|false|null|[a-zA-Z]{1,4}",
            "\\PC{0,6}",
        ];
        scalar.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(|v| format!("[{}]", v.join(" , "))),
                proptest::collection::vec(("\"[a-z]{0,3}\"", inner), 0..5).prop_map(|pairs| {
                    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}:{value}")).collect();
                    format!("{{{}}}", pairs.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_takes_what_serde_json_takes(json in jsonish(), cut in 0_usize..100) {
            for json in [json.as_str(), json.get(..json.len().saturating_sub(cut)).unwrap_or_default()] {
                let theirs = serde_json::from_str::<serde_json::Value>(json);
                // What it does not take: numbers beyond 64 bits, and those that are no numbers.
                let huge = theirs.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
                prop_assume!(!huge && !json.contains("NaN") && !json.contains("Infinity"));
                prop_assert_eq!(scan(json.as_bytes(), Limits::NONE).is_ok(), theirs.is_ok(), "{}", json);
            }
        }

        #[test]
        fn text_comes_out_as_serde_json_reads_it(text in "[\\PC\\n\"\\\\\u{0}-\u{20}\u{10000}-\u{10010}]{0,30}") {
            let json = serde_json::to_string(&text).expect("text");
            let mut scanner = Scanner::new(json.as_bytes(), Limits::NONE);
            let Ok(Scalar::Text(raw)) = scanner.scalar() else { panic!("{json} is text") };
            prop_assert_eq!(scanner.text(raw), text.as_str());
            prop_assert!(scanner.says(raw, text.as_bytes()) && scanner.is_at_end());
        }

        #[test]
        fn numbers_are_rounded_as_rust_rounds_them(text in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?") {
            let expected: f64 = text.parse().expect("a number");
            prop_assert_eq!(number(&text).map(f64::to_bits), Some(expected.to_bits()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(json in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = scan(&json, Limits::NONE);
        }
    }
}
