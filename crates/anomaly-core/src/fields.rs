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
    /// If `json` is not one whole, valid JSON document of at most 255 levels.
    pub fn pick<'a>(&self, json: &'a [u8]) -> Result<Vec<Found<'a>>, sonic_rs::Error> {
        let mut found = vec![Found::Absent; self.count];
        let mut deserializer = sonic_rs::Deserializer::from_slice(json);
        Pick { node: &self.root, found: &mut found }.deserialize(&mut deserializer)?;
        deserializer.end()?;
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
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let _ = Fields::new(["/a/0/0"]).expect("valid").pick(deep.as_bytes());
        let _ = Fields::new(["/b"]).expect("valid").pick(deep.as_bytes());
        let open = "[".repeat(1_000_000);
        assert!(Fields::new(["/b"]).expect("valid").pick(open.as_bytes()).is_err());
    }

    #[test]
    fn names_for_people() {
        assert_eq!(display_name("/latency_ms"), "latency_ms");
        assert_eq!(display_name("/a/b"), "a/b");
        assert_eq!(display_name(&pointer("a/b~c")), "a/b~c");
    }
}
