//! The wanted fields of a JSON document, picked out in one pass without building the document.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What stands where a field was looked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<'a> {
    /// Nothing.
    Absent,
    /// `null`.
    Null,
    /// A number; not finite only where the format can say so.
    Number(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Something that is none of these, by name: `a boolean`, `an object`, `an array`.
    Other(&'static str),
}

/// A set of JSON pointers (RFC 6901), compiled: pointer *i* fills slot *i*.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    root: Node,
    count: usize,
}

#[derive(Clone, Debug, Default)]
struct Node {
    slots: Vec<usize>,
    children: Vec<(String, Node)>,
}

impl Fields {
    /// Compiles `pointers`. The empty pointer means the document itself.
    ///
    /// # Errors
    /// The first pointer that is neither empty nor starts with `/`.
    pub fn new<'p>(pointers: impl IntoIterator<Item = &'p str>) -> Result<Self, &'p str> {
        let mut fields = Fields::default();
        for pointer in pointers {
            if !pointer.is_empty() && !pointer.starts_with('/') {
                return Err(pointer);
            }
            let node = pointer.split('/').skip(1).map(unescape).fold(&mut fields.root, Node::child);
            node.slots.push(fields.count);
            fields.count += 1;
        }
        Ok(fields)
    }

    /// Picks the fields out of `json`: one answer per pointer, in order. Where a key occurs twice, the last
    /// one counts, as in most parsers.
    ///
    /// # Errors
    /// The parser's sentence if `json` is not one whole, valid JSON document.
    pub fn pick<'a>(&self, json: &'a [u8]) -> Result<Vec<Found<'a>>, String> {
        let mut found = vec![Found::Absent; self.count];
        let pick = Pick { node: &self.root, found: &mut found };
        if deeper_than(json, DEPTH_FAST) {
            let mut deserializer = serde_json::Deserializer::from_slice(json);
            pick.deserialize(&mut deserializer)
                .and_then(|()| deserializer.end())
                .map_err(|error| error.to_string())?;
        } else {
            let mut deserializer = sonic_rs::Deserializer::from_slice(json);
            pick.deserialize(&mut deserializer)
                .and_then(|()| deserializer.end())
                .map_err(|error| first_line(&error))?;
        }
        Ok(found)
    }
}

impl Node {
    fn child(&mut self, key: String) -> &mut Node {
        let index = self.children.iter().position(|(k, _)| *k == key).unwrap_or_else(|| {
            self.children.push((key, Node::default()));
            self.children.len() - 1
        });
        &mut self.children[index].1
    }

    fn get(&self, key: &str) -> Option<&Node> {
        self.children.iter().find(|(k, _)| k == key).map(|(_, node)| node)
    }
}

/// How deep a document may be nested to be read by sonic-rs.
///
/// sonic-rs is some three times as fast as serde_json, but skips unwanted values by recursion without a limit
/// (up to 40 KB of stack a level in a debug build): a record of brackets would end the process. serde_json
/// skips without recursion, so what is deeper goes to it. Few records have even this many brackets.
const DEPTH_FAST: usize = 16;

/// Whether `json` is nested deeper than `limit`; counting brackets answers for most records.
fn deeper_than(json: &[u8], limit: usize) -> bool {
    // Sums of bytes, as long as they cannot overflow: sixteen bytes at a time instead of two. `[` and `{`
    // differ in one bit.
    let opening = |part: &[u8]| part.iter().map(|b| u8::from(b | 0x20 == b'{')).sum::<u8>();
    let opening: usize = json.chunks(255).map(|part| usize::from(opening(part))).sum();
    opening > limit && depth(json) > limit
}

fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The parser's message goes on with a picture of the place; its first line says it all.
fn first_line(error: &sonic_rs::Error) -> String {
    error.to_string().lines().next().unwrap_or("malformed").trim().to_owned()
}

/// One reference token of a pointer: `~1` is `/`, `~0` is `~` (RFC 6901, section 4).
fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// The pointer to the top-level field `name`: the inverse of reading one token.
pub fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A pointer as people name it: the bare field name for a top-level field, else without the leading `/`.
pub fn display_name(pointer: &str) -> String {
    match pointer.strip_prefix('/') {
        Some(rest) if !rest.contains('/') => unescape(rest),
        Some(rest) => rest.to_owned(),
        None => pointer.to_owned(),
    }
}

struct Pick<'n, 'f, 'a> {
    node: &'n Node,
    found: &'f mut [Found<'a>],
}

impl<'a> Pick<'_, '_, 'a> {
    fn set(self, value: Found<'a>) {
        match self.node.slots.as_slice() {
            [slot] => self.found[*slot] = value,
            slots => slots.iter().for_each(|slot| self.found[*slot] = value.clone()),
        }
    }
}

impl<'a> DeserializeSeed<'a> for Pick<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Pick<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.set(Found::Null);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.set(Found::Other("a boolean"));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.set(Found::Number(number as f64));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.set(Found::Number(number as f64));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.set(Found::Number(number));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.set(Found::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<(), E> {
        self.set(Found::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            match self.node.get(&key) {
                Some(node) => map.next_value_seed(Pick { node, found: self.found })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        self.set(Found::Other("an object"));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let more = match self.node.get(&index.to_string()) {
                Some(node) => seq.next_element_seed(Pick { node, found: self.found })?.is_some(),
                None => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        self.set(Found::Other("an array"));
        Ok(())
    }
}

/// An object's key, borrowed where it has no escapes.
struct Key;

impl<'a> DeserializeSeed<'a> for Key {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Key {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }

    fn visit_borrowed_str<E>(self, key: &'a str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(pointers: &[&str], json: &str, expected: Expect) {
        let fields = Fields::new(pointers.iter().copied()).expect("pointers are valid");
        let picked = match fields.pick(json.as_bytes()) {
            Ok(found) => found.iter().map(|f| format!("{f:?}")).collect::<Vec<_>>().join(" | "),
            Err(_) => "malformed".to_owned(),
        };
        expected.assert_eq(&picked);
    }

    #[test]
    fn picks_by_pointer() {
        check(&["/a"], r#"{"a": 1.5, "b": [1, {"a": 2}]}"#, expect!["Number(1.5)"]);
        check(&["/b/1/a", "/b/0"], r#"{"b": [-7, {"a": "x"}]}"#, expect![[r#"Text("x") | Number(-7.0)"#]]);
        check(&["/a", "/a"], r#"{"a": true}"#, expect![[r#"Other("a boolean") | Other("a boolean")"#]]);
        check(&["/a~1b", "/m~0n"], r#"{"a/b": 1, "m~n": null}"#, expect!["Number(1.0) | Null"]);
        check(&[""], "4", expect!["Number(4.0)"]);
        check(&["/a"], r#"{"a": 1, "a": 2}"#, expect!["Number(2.0)"]);
        check(&["/a"], r#"[1, 2]"#, expect!["Absent"]);
        check(&["/a"], r#"{"\u0061": "q\"\/\n"}"#, expect![[r#"Text("q\"/\n")"#]]);
    }

    #[test]
    fn malformed_is_an_error_and_deep_is_no_overflow() {
        for json in ["", "{", "{\"a\":1}x", "{\"a\":NaN}", "{'a':1}", "\u{0}"] {
            check(&["/a"], json, expect!["malformed"]);
        }
        let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        for levels in [DEPTH_FAST - 1, DEPTH_FAST, 100_000] {
            check(&["/b"], &nested(levels), expect!["Absent"]);
            check(&["/a/0"], &nested(levels), expect![[r#"Other("an array")"#]]);
        }
        check(&["/b"], &"[".repeat(1_000_000), expect!["malformed"]);
        check(&["/b"], &format!("[\"{}\\\"{}\"]", "[".repeat(500), "[".repeat(500)), expect!["Absent"]);
    }

    #[test]
    fn names_for_people() {
        assert_eq!(display_name("/latency_ms"), "latency_ms");
        assert_eq!(display_name("/a/b"), "a/b");
        assert_eq!(display_name(&pointer("a/b~c")), "a/b~c");
    }
}
