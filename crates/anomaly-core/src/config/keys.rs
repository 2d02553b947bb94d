//! Unknown keys of `anomaly.toml`, all of them, with the line and the nearest known key.
//!
//! Serde stops at the first unknown key and knows no line in nested tables; a person who mistyped two
//! keys should be told of two.

use toml::de::{DeTable, DeValue};

/// What may stand under a key.
pub(super) enum Known {
    /// A value, or a list of them.
    Value,
    /// A table of these keys, or a list of such tables.
    Table(&'static [(&'static str, Known)]),
}

use Known::{Table, Value};

/// Every section there is. A test holds the keys against the types of [`super::Config`].
const CONFIG: &[(&str, Known)] = &[
    ("input", Table(super::input::KEYS)),
    ("model", Table(super::model::KEYS)),
    ("rule", Table(super::rule::KEYS)),
    ("calendar", Table(super::calendar::KEYS)),
    ("source", Table(super::source::KEYS)),
    ("rejects", Table(super::rejects::KEYS)),
];

/// One sentence for each unknown key of `text`; none if it is not TOML (which the parser will say).
pub(super) fn unknown(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if let Ok(table) = DeTable::parse(text) {
        walk(text, table.get_ref(), CONFIG, "", &mut problems);
    }
    problems.sort_by_key(|(line, _)| *line);
    problems.into_iter().map(|(line, problem)| format!("line {line}: {problem}")).collect()
}

fn walk(
    text: &str,
    table: &DeTable<'_>,
    known: &[(&str, Known)],
    path: &str,
    problems: &mut Vec<(usize, String)>,
) {
    for (key, value) in table {
        let name: &str = key.get_ref();
        match known.iter().find(|(k, _)| *k == name) {
            Some((_, Table(inner))) => {
                descend(text, value.get_ref(), inner, &format!("{path}{name}."), problems);
            }
            Some((_, Value)) => {}
            None => {
                let line = line_of(text, key.span().start);
                let hint = nearest(name, known);
                problems.push((line, format!("unknown key `{path}{name}`; {hint}")));
            }
        }
    }
}

fn descend(
    text: &str,
    value: &DeValue<'_>,
    known: &[(&str, Known)],
    path: &str,
    problems: &mut Vec<(usize, String)>,
) {
    match value {
        DeValue::Table(table) => walk(text, table, known, path, problems),
        DeValue::Array(items) => {
            items.iter().for_each(|item| descend(text, item.get_ref(), known, path, problems));
        }
        _ => {}
    }
}

fn nearest(name: &str, known: &[(&str, Known)]) -> String {
    let by_distance = known.iter().map(|(k, _)| (strsim::damerau_levenshtein(name, k), *k)).min();
    match by_distance {
        Some((distance, key)) if distance <= 1 + name.len() / 2 => format!("the nearest is `{key}`"),
        _ => format!("there are: {}", known.iter().map(|(k, _)| *k).collect::<Vec<_>>().join(", ")),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

/// `message`, with the nearest of the words that could stand where it says that an unknown one does, as serde puts it:
/// ``unknown variant `x`, expected one of `a`, `b` ``.
pub(super) fn with_nearest(message: &str) -> String {
    let Some((_, from)) = message.split_once("unknown variant `") else { return message.to_owned() };
    let mut words = from.split('`').step_by(2);
    let given = words.next().unwrap_or_default();
    let nearest = words.map(|known| (strsim::damerau_levenshtein(given, known), known)).min();
    match nearest {
        Some((distance, known)) if distance <= 1 + given.len() / 3 => {
            format!("{message}; the nearest is `{known}`")
        }
        _ => message.to_owned(),
    }
}

/// What the TOML parser says, on one line, with the line number in front.
pub(super) fn describe(text: &str, error: &toml::de::Error) -> String {
    let message = with_nearest(&error.message().replace('\n', ": "));
    match error.span() {
        Some(span) => format!("line {}: {message}", line_of(text, span.start)),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, EventTime, Input, Untimely};
    use std::time::Duration;

    fn check(value: &serde_json::Value, known: &[(&str, Known)], path: &str) {
        let serde_json::Value::Object(object) = value else { return };
        for (name, inner) in object {
            let entry = known.iter().find(|(k, _)| k == name);
            let (_, entry) =
                entry.unwrap_or_else(|| panic!("{path}{name} is missing from the list of known keys"));
            if let Table(known) = entry {
                let items = inner.as_array().cloned().unwrap_or_else(|| vec![inner.clone()]);
                items.iter().for_each(|item| check(item, known, &format!("{path}{name}.")));
            }
        }
    }

    #[test]
    fn the_nearest_word_is_named() {
        let said = |text: &str| Config::from_toml(text).expect_err(text).problems.join("; ");
        let method = "[[rule]]\nmethod = { kind = \"robst\" }\n";
        assert!(said(method).ends_with("`no-data`; the nearest is `robust`"), "{}", said(method));
        let side = "[[rule]]\ndirection = \"hgh\"\n";
        assert!(said(side).ends_with("; the nearest is `high`"), "{}", said(side));
        let far = "[[rule]]\ndirection = \"sideways\"\n";
        assert!(!said(far).contains("nearest"), "{}", said(far));
    }

    #[test]
    fn every_key_of_the_types_is_known() {
        let methods = super::super::rule::tests::every_method();
        let rules = methods.into_iter().map(super::super::rule::tests::everything_set).collect();
        // Values at their defaults are not written.
        let second = Duration::from_secs(1);
        let event_time =
            EventTime { late: second, out_of_order: second, early: second, policy: Untimely::Drop };
        let input = Input { event_time: Some(event_time), ..Input::default() };
        let model = super::super::model::tests::everything_set();
        let calendars = vec![super::super::calendar::tests::everything_set()];
        let config = Config { input, model, rules, calendars, ..Config::default() };
        check(&serde_json::to_value(&config).expect("serializes"), CONFIG, "");
    }
}
