//! A value as YAML for people: block style, short function tags, small lists on one line, comments kept.
//!
//! Own emitter, because no YAML crate writes `!GetAtt Scored.Arn` and comments, and because a hundred lines of
//! our own stay byte-stable when a dependency moves.

use crate::value::{Entry, Value};

/// The longest list that stays on its key's line, in characters.
const FLOW_CHARS_MAX: usize = 80;

/// The mapping's entries as a YAML document, without a header.
pub(crate) fn document(entries: &[Entry]) -> String {
    let mut out = String::new();
    mapping(&mut out, entries, 0);
    out
}

fn mapping(out: &mut String, entries: &[Entry], indent: usize) {
    let pad = " ".repeat(indent);
    for Entry { comment, key, value } in entries {
        for line in comment.iter().flat_map(|text| text.lines()) {
            out.push_str(&format!("{pad}# {line}\n"));
        }
        out.push_str(&format!("{pad}{}:", scalar(key)));
        after_key(out, value, indent);
    }
}

/// What follows `key:`, up to and with the end of the line or of the block.
fn after_key(out: &mut String, value: &Value, indent: usize) {
    if let Some(line) = one_line(value) {
        return out.push_str(&format!(" {line}\n"));
    }
    match value {
        Value::Call(name, argument) => {
            out.push_str(&format!(" !{name}"));
            after_key(out, argument, indent);
        }
        Value::Map(entries) => {
            out.push('\n');
            mapping(out, entries, indent + 2);
        }
        Value::List(items) => {
            out.push('\n');
            items.iter().for_each(|item| list_item(out, item, indent + 2));
        }
        Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

fn list_item(out: &mut String, item: &Value, indent: usize) {
    let pad = " ".repeat(indent);
    match item {
        Value::Map(entries) if !entries.is_empty() => {
            let mut block = String::new();
            mapping(&mut block, entries, indent + 2);
            // The first entry stands on the dash's line.
            out.push_str(&format!("{pad}- {}", block.trim_start()));
        }
        other => {
            out.push_str(&format!("{pad}-"));
            after_key(out, other, indent);
        }
    }
}

/// The value on one line, if it is a scalar, a function of one, empty, or a short list.
fn one_line(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::Text(text) => Some(scalar(text)),
        Value::Call(name, argument) => one_line(argument).map(|argument| format!("!{name} {argument}")),
        Value::Map(entries) if entries.is_empty() => Some("{}".to_owned()),
        Value::Map(_) => None,
        Value::List(items) => flow(items),
    }
}

fn flow(items: &[Value]) -> Option<String> {
    let items = items.iter().map(flow_item).collect::<Option<Vec<String>>>()?;
    let line = format!("[{}]", items.join(", "));
    (line.chars().count() <= FLOW_CHARS_MAX).then_some(line)
}

/// An item of a one-line list. A colon, as in `sqs:SendMessage`, sends the list to a block: inside brackets
/// parsers differ about it.
fn flow_item(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) if text.contains([':', '{', '}', '[', ']', ',']) => None,
        Value::Call(name, argument) => flow_item(argument).map(|argument| format!("!{name} {argument}")),
        Value::Map(_) => None,
        other => one_line(other),
    }
}

fn scalar(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else if text.chars().any(char::is_control) {
        // A JSON string is a YAML double-quoted scalar (YAML 1.2, 1.3 "Relation to JSON").
        serde_json::Value::from(text).to_string()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Whether every parser reads the bare text as this text. Quotes more than YAML asks for.
fn is_plain(text: &str) -> bool {
    // YAML 1.1 reads these as booleans or null, and AWS' and Python's parsers are YAML 1.1.
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '$'));
    let ends_well = !text.ends_with([':', ' ']);
    let is_word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    starts_well
        && ends_well
        && !is_word
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(|c| c.is_ascii_graphic() || c == ' ')
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::value::{attribute, given, list, map, reference, sub};

    fn check(value: Value, expected: Expect) {
        expected.assert_eq(&document(&[Entry::new("Key", value)]));
    }

    #[test]
    fn text_that_could_be_read_as_something_else_is_quoted() {
        let texts = [
            "a b",
            "",
            "*",
            "2012-10-17",
            "No",
            "a: b",
            "a #b",
            "it's",
            "{\"a\":1}",
            "line\nbreak",
            "é",
            "x:",
        ];
        check(
            Value::List(vec![map! { "Texts": texts }, map! { "A": "arn:aws:s3", "B": 7_u32, "C": true }]),
            expect![[r#"
                Key:
                  - Texts:
                      - a b
                      - ''
                      - '*'
                      - '2012-10-17'
                      - 'No'
                      - 'a: b'
                      - 'a #b'
                      - it's
                      - '{"a":1}'
                      - "line\nbreak"
                      - 'é'
                      - 'x:'
                  - A: arn:aws:s3
                    B: 7
                    C: true
            "#]],
        );
    }

    #[test]
    fn functions_have_short_tags_and_small_lists_stay_on_a_line() {
        check(
            map! {
                "Ref": reference("Scored"),
                "Att": attribute("Scored.Arn"),
                "Sub": sub("${AWS::StackName}-invoke"),
                "Given": given("AlertEmail"),
                "Small": ["EventCount"],
                "Colons": ["sqs:SendMessage"],
                "Nested": list![list!["a", 1_u32], map! {}],
                "Mixed": list![sub("${A.Arn}/*"), reference("B")],
            },
            expect![[r#"
                Key:
                  Ref: !Ref Scored
                  Att: !GetAtt Scored.Arn
                  Sub: !Sub ${AWS::StackName}-invoke
                  Given: !Not [!Equals [!Ref AlertEmail, '']]
                  Small: [EventCount]
                  Colons:
                    - sqs:SendMessage
                  Nested:
                    - [a, 1]
                    - {}
                  Mixed:
                    - !Sub ${A.Arn}/*
                    - !Ref B
            "#]],
        );
    }

    #[test]
    fn comments_stand_above_their_line() {
        let comment = Some("Generous:\nthe endpoint is ill, not the data.");
        let entries = [Entry { comment, ..Entry::new("Retries", 100_u32) }];
        expect![[r#"
            # Generous:
            # the endpoint is ill, not the data.
            Retries: 100
        "#]]
        .assert_eq(&document(&entries));
    }
}
