//! A JSON pointer with a wildcard, and the numbers it leads to, read without building the document.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The longest pointer, in bytes: a generous bound of our own.
const POINTER_BYTES_MAX: usize = 256;

/// A JSON pointer (RFC 6901) in which `*` stands for every element of an array, in order: `/predictions/*/score`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Every,
    /// A key of an object, or, in digits, the index in an array.
    Key(String),
}

/// Why a document has no scores where the pointer leads.
#[derive(Debug)]
pub(super) struct Miss {
    /// Whether all is as it should be but for `null`, or what Python writes for a number that is not finite, in
    /// a score's place.
    pub(super) is_null: bool,
    /// What the parser says, and where.
    pub(super) error: serde_json::Error,
}

impl Pointer {
    /// Reads a pointer; the empty one means the document itself.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn parse(pointer: &str) -> Result<Self, String> {
        if pointer.len() > POINTER_BYTES_MAX {
            return Err(format!("a pointer of {} bytes; {POINTER_BYTES_MAX} are allowed", pointer.len()));
        }
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(format!("{pointer:?} is no JSON pointer; write \"/{pointer}\""));
        }
        let steps: Vec<&str> = pointer.split('/').skip(1).collect();
        Ok(Pointer::of(&steps))
    }

    /// The pointer of these steps, escaped as in a pointer.
    pub(super) fn of(steps: &[&str]) -> Self {
        let step = |step: &&str| match *step {
            "*" => Step::Every,
            key => Step::Key(key.replace("~1", "/").replace("~0", "~")),
        };
        Pointer(steps.iter().map(step).collect())
    }

    /// Appends the numbers that the pointer leads to in `json`, in the document's order, to `found`; what was
    /// appended before a miss stays. Numbers keep their 64 bits.
    ///
    /// # Errors
    /// The first place where there is no number.
    pub(super) fn pick(&self, json: &[u8], found: &mut Vec<f64>) -> Result<(), Miss> {
        let before = found.len();
        let missed = match self.walk(json, found) {
            Err(miss) if !miss.error.is_data() => miss,
            other => return other,
        };
        // Python's json writes NaN, Infinity and -Infinity, which are no JSON. Read as null, they tell the row.
        match without_words(json) {
            Cow::Borrowed(_) => Err(missed),
            Cow::Owned(json) => {
                found.truncate(before);
                self.walk(&json, found)
            }
        }
    }

    fn walk(&self, json: &[u8], found: &mut Vec<f64>) -> Result<(), Miss> {
        let mut is_null = false;
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let walk = Walk { steps: &self.0, found, is_null: &mut is_null };
        let read = walk.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        read.map_err(|error| Miss { is_null, error })
    }
}

/// `json` with `null` in place of `NaN`, `Infinity` and `-Infinity` outside of strings; borrowed if there are none.
fn without_words(json: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    let (mut out, mut copied, mut at) = (Vec::new(), 0, 0);
    let (mut in_string, mut escaped) = (false, false);
    while let Some(byte) = json.get(at) {
        let word = WORDS.iter().find(|word| !in_string && json[at..].starts_with(word));
        if let Some(word) = word {
            out.extend_from_slice(&json[copied..at]);
            out.extend_from_slice(b"null");
            at += word.len();
            copied = at;
            continue;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ => {}
        }
        at += 1;
    }
    if out.is_empty() {
        return Cow::Borrowed(json);
    }
    out.extend_from_slice(&json[copied..]);
    Cow::Owned(out)
}

/// Follows the steps that are left.
struct Walk<'w> {
    steps: &'w [Step],
    found: &'w mut Vec<f64>,
    is_null: &'w mut bool,
}

impl Walk<'_> {
    fn next(&mut self) -> Walk<'_> {
        Walk { steps: &self.steps[1..], found: self.found, is_null: self.is_null }
    }

    fn push<E>(self, number: f64) -> Result<(), E> {
        self.found.push(number);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.steps.first() {
            None => f.write_str("a score"),
            Some(Step::Every) => f.write_str("an array, for \"*\""),
            Some(Step::Key(key)) => write!(f, "an object with {key:?}"),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        match self.steps {
            [] => self.push(number),
            _ => Err(E::invalid_type(serde::de::Unexpected::Float(number), &self)),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        *self.is_null = self.steps.is_empty();
        Err(E::invalid_type(serde::de::Unexpected::Unit, &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let wanted: usize = match self.steps.first() {
            Some(Step::Every) => {
                while seq.next_element_seed(self.next())?.is_some() {}
                return Ok(());
            }
            Some(Step::Key(key)) => {
                key.parse().map_err(|_| A::Error::invalid_type(serde::de::Unexpected::Seq, &self))?
            }
            None => {
                return Err(A::Error::custom(
                    "an array where a score was expected; write /* behind the pointer",
                ));
            }
        };
        for _ in 0..wanted {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        if seq.next_element_seed(self.next())?.is_none() {
            return Err(A::Error::custom(format_args!("nothing at index {wanted}")));
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let Some(Step::Key(wanted)) = self.steps.first() else {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
        };
        let mut times = 0;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if key != wanted.as_str() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            times += 1;
            if times > 1 {
                return Err(A::Error::custom(format_args!("two of {wanted:?}")));
            }
            map.next_value_seed(self.next())?;
        }
        if times == 0 {
            return Err(A::Error::custom(format_args!("no {wanted:?}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn pick(pointer: &str, json: &str) -> Result<Vec<f64>, (Vec<f64>, String)> {
        let mut found = Vec::new();
        match Pointer::parse(pointer).expect("a pointer").pick(json.as_bytes(), &mut found) {
            Ok(()) => Ok(found),
            Err(miss) if miss.is_null => Err((found, "no number".to_owned())),
            Err(miss) => Err((found, miss.error.to_string())),
        }
    }

    #[test]
    fn numbers_are_found_in_order() {
        for (pointer, json, expected) in [
            ("", "0.5", &[0.5][..]),
            ("/*", "[1, -2, 0.1, 18446744073709551615]", &[1.0, -2.0, 0.1, 18446744073709551615.0]),
            ("/*", "[]", &[]),
            (
                "/predictions/*/score",
                r#"{"x":{"score":9},"predictions":[{"score":1,"id":"a"},{"id":"b","score":2}]}"#,
                &[1.0, 2.0],
            ),
            ("/*/0", "[[0.1,7],[0.2,8]]", &[0.1, 0.2]),
            ("/*/*", "[[0.1],[],[0.2,0.3]]", &[0.1, 0.2, 0.3]),
            ("/outputs/1/data/*", r#"{"outputs":[{"data":[9]},{"data":[1,2]},3]}"#, &[1.0, 2.0]),
            ("/a~1b/m~0n/", r#"{"a/b":{"m~n":{"":4}}}"#, &[4.0]),
            ("/sc\u{f6}re", r#"{"sc\u00f6re":4}"#, &[4.0]),
        ] {
            assert_eq!(pick(pointer, json), Ok(expected.to_vec()), "{pointer} {json}");
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        let told = [
            ("/s/*/score", r#"{"s":[{"score":1},{"sc":2}]}"#),
            ("/s/*/score", r#"{"s":[{"score":1},{"score":null}]}"#),
            ("/s/*/score", r#"{"s":[{"score":NaN},{"score":2}]}"#),
            ("/s/*/score", r#"{"t":"NaN","s":[{"score":1},{"score":-Infinity}]}"#),
            ("/NaN/*", r#"{"NaN":[1,"\"",NaN]}"#),
            ("/NaN/*", r#"{"NaN":[1,NaN]}"#),
            ("/s/*/score", r#"{"s":null}"#),
            ("/s/*", r#"{"s":["1"]}"#),
            ("/s/*", r#"{"s":[true]}"#),
            ("/s", r#"{"s":[1]}"#),
            ("/s/*", r#"{"s":{"a":1}}"#),
            ("/s/x", r#"{"s":[1]}"#),
            ("/s/x", r#"{"s":1}"#),
            ("/1", "[1]"),
            ("/s", r#"{"s":1,"s":2}"#),
            ("/s", r#"{"s":1} 2"#),
            ("/*", "[1,2"),
            ("/*", "[1,NaN"),
            ("/*", "[1,1e999]"),
            ("/*", ""),
        ]
        .map(|(pointer, json)| match pick(pointer, json) {
            Ok(found) => panic!("{pointer} {json}: {found:?}"),
            Err((found, why)) => format!("{pointer} {json}: {found:?}, then {why}\n"),
        });
        expect![[r#"
            /s/*/score {"s":[{"score":1},{"sc":2}]}: [1.0], then no "score" at line 1 column 26
            /s/*/score {"s":[{"score":1},{"score":null}]}: [1.0], then no number
            /s/*/score {"s":[{"score":NaN},{"score":2}]}: [], then no number
            /s/*/score {"t":"NaN","s":[{"score":1},{"score":-Infinity}]}: [1.0], then no number
            /NaN/* {"NaN":[1,"\"",NaN]}: [1.0], then invalid type: string "\"", expected a score at line 1 column 14
            /NaN/* {"NaN":[1,NaN]}: [1.0], then no number
            /s/*/score {"s":null}: [], then invalid type: null, expected an array, for "*" at line 1 column 9
            /s/* {"s":["1"]}: [], then invalid type: string "1", expected a score at line 1 column 9
            /s/* {"s":[true]}: [], then invalid type: boolean `true`, expected a score at line 1 column 10
            /s {"s":[1]}: [], then an array where a score was expected; write /* behind the pointer at line 1 column 6
            /s/* {"s":{"a":1}}: [], then invalid type: map, expected an array, for "*" at line 1 column 6
            /s/x {"s":[1]}: [], then invalid type: sequence, expected an object with "x" at line 1 column 6
            /s/x {"s":1}: [], then invalid type: floating point `1.0`, expected an object with "x" at line 1 column 6
            /1 [1]: [], then nothing at index 1 at line 1 column 3
            /s {"s":1,"s":2}: [1.0], then two of "s" at line 1 column 10
            /s {"s":1} 2: [1.0], then trailing characters at line 1 column 9
            /* [1,2: [1.0, 2.0], then EOF while parsing a list at line 1 column 4
            /* [1,NaN: [1.0], then no number
            /* [1,1e999]: [1.0], then number out of range at line 1 column 8
            /* : [], then EOF while parsing a value at line 1 column 0
        "#]].assert_eq(&told.concat());
    }

    #[test]
    fn only_pointers_are_pointers() {
        assert_eq!(Pointer::parse("score"), Err("\"score\" is no JSON pointer; write \"/score\"".to_owned()));
        let long = "/x".repeat(129);
        assert_eq!(Pointer::parse(&long), Err("a pointer of 258 bytes; 256 are allowed".to_owned()));
    }

    #[test]
    fn depth_does_not_end_the_process() {
        let deep = format!(r#"{{"x":{}1{},"s":2}}"#, "[".repeat(100_000), "]".repeat(100_000));
        // Unwanted, it is skipped without recursion; wanted, the parser's limit of 128 holds.
        assert_eq!(pick("/s", &deep), Ok(vec![2.0]));
        let steps = "/*".repeat(128);
        let deep = format!("{}1{}", "[".repeat(128), "]".repeat(128));
        assert!(pick(&steps, &deep).is_err_and(|(_, why)| why.contains("recursion limit")));
    }
}
