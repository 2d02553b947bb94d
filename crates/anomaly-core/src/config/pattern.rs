//! Which series a rule is for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pattern of names: `*` stands for any characters, `?` for one; everything else for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

impl Pattern {
    /// Whether `name` is meant, all of it.
    pub fn matches(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Goes on from the last star that was met: more of them cannot find what that one does not, so the time is at most
/// the product of the lengths.
fn matches(pattern: &[u8], name: &str) -> bool {
    let text = name.as_bytes();
    let is_start = |i: usize| name.is_char_boundary(i);
    let next = |i: usize| (i + 1..=text.len()).find(|i| is_start(*i)).unwrap_or(text.len());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, next(t)),
            Some(byte) if *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let yes = [
            ("web", "web"),
            ("*", ""),
            ("*", "x"),
            ("web-*", "web-"),
            ("web-*", "web-1"),
            ("*-1", "web-1"),
            ("w*b*1", "web-b-21"),
            ("?", "ü"),
            ("w?b", "wüb"),
            ("*a*b", "aab"),
            ("a**", "a"),
        ];
        let no = [("web", "web1"), ("web-*", "web"), ("?", ""), ("?", "ab"), ("*-1", "web-2"), ("a?c", "ac")];
        for (pattern, name) in yes {
            assert!(Pattern(pattern.to_owned()).matches(name), "{pattern} {name}");
        }
        for (pattern, name) in no {
            assert!(!Pattern(pattern.to_owned()).matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_few() {
        let pattern = Pattern("*a".repeat(100));
        assert!(!pattern.matches(&"a".repeat(99)));
        assert!(!Pattern(format!("{}b", "*a".repeat(50))).matches(&"a".repeat(5_000)));
    }
}
