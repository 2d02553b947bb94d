//! The wanted fields of a JSON document, picked out in one pass without building the document.

use std::borrow::Cow;

use crate::decode::scan::{Bad, Limits, Raw, Scalar, Scanner, Tag};

/// What stands where a field was looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Found<'a> {
    /// Nothing.
    #[default]
    Absent,
    /// Nothing: the array has only so many elements.
    Beyond(usize),
    /// `null`.
    Null,
    /// A number; NaN or infinite where it is written so.
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
    /// The children's names, to be found quickly.
    tags: Vec<Tag>,
    /// The children that can be elements of an array, by rising index: index and place among the children.
    elements: Vec<(usize, usize)>,
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

    /// How many fields there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Picks the fields out of `json`: one answer per pointer, in order. Where a key occurs twice, the last
    /// one counts, as in most parsers.
    ///
    /// `NaN`, `Infinity` and `-Infinity` are taken for numbers. Depth costs no stack, whatever it is.
    ///
    /// # Errors
    /// What is wrong, and where, if `json` is not one whole, valid JSON document.
    pub fn pick<'a>(&self, json: &'a [u8]) -> Result<Vec<Found<'a>>, String> {
        let mut found = vec![Found::Absent; self.count];
        let mut scanner = Scanner::new(json, Limits::NONE);
        match self.pick_next(&mut scanner, &mut found).and_then(|()| scanner.end()) {
            Ok(()) => Ok(found),
            // Without limits there is nothing else it could be.
            Err(_) => Err(format!("{} at byte {}", scanner.what(), scanner.at())),
        }
    }

    /// Picks the fields out of the next value into `found`, which has a slot per pointer, all absent.
    #[inline]
    pub(crate) fn pick_next<'a>(
        &self,
        scanner: &mut Scanner<'a>,
        found: &mut [Found<'a>],
    ) -> Result<(), Bad> {
        self.root.pick(scanner, found)
    }
}

impl Node {
    fn child(&mut self, key: String) -> &mut Node {
        let place = self.children.iter().position(|(k, _)| *k == key).unwrap_or_else(|| {
            let place = self.children.len();
            if let Some(index) = index(&key) {
                let at = self.elements.partition_point(|(other, _)| *other < index);
                self.elements.insert(at, (index, place));
            }
            self.tags.push(Tag::of(key.as_bytes()));
            self.children.push((key, Node::default()));
            place
        });
        &mut self.children[place].1
    }

    fn pick<'a>(&self, scanner: &mut Scanner<'a>, found: &mut [Found<'a>]) -> Result<(), Bad> {
        let value = match scanner.peek() {
            b'"' => {
                let raw = scanner.string()?;
                Found::Text(scanner.text(raw))
            }
            b'-' | b'0'..=b'9' => Found::Number(scanner.number()?),
            b'{' => {
                self.pick_object(scanner, found)?;
                Found::Other("an object")
            }
            b'[' => {
                self.pick_array(scanner, found)?;
                Found::Other("an array")
            }
            _ => match scanner.scalar()? {
                Scalar::Number(number) => Found::Number(number),
                Scalar::Text(raw) => Found::Text(scanner.text(raw)),
                Scalar::Null => Found::Null,
                Scalar::Boolean => Found::Other("a boolean"),
            },
        };
        self.set(found, value);
        Ok(())
    }

    fn set<'a>(&self, found: &mut [Found<'a>], value: Found<'a>) {
        match self.slots.as_slice() {
            [] => {}
            [slot] => found[*slot] = value,
            slots => slots.iter().for_each(|slot| found[*slot] = value.clone()),
        }
    }

    fn pick_object<'a>(&self, scanner: &mut Scanner<'a>, found: &mut [Found<'a>]) -> Result<(), Bad> {
        if self.children.is_empty() {
            return scanner.skip();
        }
        // A producer writes its fields in the same order each time: the next one is looked for first behind
        // the last one found.
        let mut next = 0;
        scanner.object(|scanner, name| match self.find(scanner, name, next) {
            Some(place) => {
                next = place + 1;
                self.children[place].1.pick(scanner, found)
            }
            None => scanner.skip(),
        })
    }

    #[inline]
    fn find(&self, scanner: &Scanner<'_>, name: Raw, next: usize) -> Option<usize> {
        let Some(tag) = scanner.tag(name) else {
            return self.children.iter().position(|(key, _)| scanner.says(name, key.as_bytes()));
        };
        let is_it = |place: usize| {
            let known = self.tags.get(place) == Some(&tag);
            known && (tag.is_whole() || scanner.says(name, self.children[place].0.as_bytes()))
        };
        if is_it(next) {
            return Some(next);
        }
        (0..self.tags.len()).find(|place| is_it(*place))
    }

    fn pick_array<'a>(&self, scanner: &mut Scanner<'a>, found: &mut [Found<'a>]) -> Result<(), Bad> {
        if self.elements.is_empty() {
            return scanner.skip();
        }
        let (mut length, mut wanted) = (0, self.elements.iter().peekable());
        scanner.array(|scanner| {
            let place = wanted.next_if(|(index, _)| *index == length).map(|(_, place)| *place);
            length += 1;
            match place {
                Some(place) => self.children[place].1.pick(scanner, found),
                None => scanner.skip(),
            }
        })?;
        wanted.for_each(|(_, place)| self.children[*place].1.set_all(found, length));
        Ok(())
    }

    /// An array of `length` elements ended before this one.
    fn set_all(&self, found: &mut [Found<'_>], length: usize) {
        self.slots.iter().for_each(|slot| found[*slot] = Found::Beyond(length));
        self.children.iter().for_each(|(_, child)| child.set_all(found, length));
    }
}

/// The array index a reference token stands for (RFC 6901, section 4: no leading zeros).
fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with(['0', '+']);
    token.parse().ok().filter(|_| canonical)
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
        check(&["/a/1", "/a/3/x", "/a/01"], r#"{"a":[5,6]}"#, expect!["Number(6.0) | Beyond(2) | Absent"]);
        check(&["/b", "/a"], r#"{"a":1,"b":2,"c":3,"b":NaN}"#, expect!["Number(NaN) | Number(1.0)"]);
        check(&["/a"], r#"{"\u0061": "q\"\/\n"}"#, expect![[r#"Text("q\"/\n")"#]]);
    }

    #[test]
    fn malformed_is_an_error_and_deep_is_no_overflow() {
        for json in ["", "{", "{\"a\":1}x", "{\"a\":nan}", "{'a':1}", "\u{0}", "{\"a\":1,}", "[1,]"] {
            check(&["/a"], json, expect!["malformed"]);
        }
        let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        for levels in [63, 64, 65, 128, 100_000] {
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
