//! An item of DynamoDB as plain JSON.
//!
//! `{"at":{"N":"1.50"},"tags":{"SS":["a"]}}` is `{"at":1.50,"tags":["a"]}`: a number keeps every digit, a set is
//! an array, binary stays Base64 (DynamoDB API reference, `AttributeValue`).

use serde_json::{Map, Value};

const NO_ITEM: &str = "NewImage is no item of DynamoDB";

/// The item `image` as plain JSON.
///
/// # Errors
/// A few words if it is no item.
pub(super) fn plain(image: &str) -> Result<String, &'static str> {
    // serde_json goes 128 levels deep at most, and an item 32, of two levels each here.
    let Ok(Value::Object(item)) = serde_json::from_str(image) else { return Err(NO_ITEM) };
    let mut json = String::with_capacity(image.len());
    write_item(&mut json, &item)?;
    Ok(json)
}

fn write_item(json: &mut String, item: &Map<String, Value>) -> Result<(), &'static str> {
    list(json, ['{', '}'], item, |json, (name, value)| {
        write_text(json, name);
        json.push(':');
        write_attribute(json, value)
    })
}

/// An attribute is an object of one field, which tells the type.
fn write_attribute(json: &mut String, attribute: &Value) -> Result<(), &'static str> {
    let fields = attribute.as_object().filter(|fields| fields.len() == 1);
    match fields.and_then(|fields| fields.iter().next()).map(|(kind, value)| (kind.as_str(), value)) {
        Some(("S" | "B", Value::String(text))) => write_text(json, text),
        Some(("N", Value::String(number))) => write_number(json, number),
        Some(("BOOL", Value::Bool(is_true))) => json.push_str(if *is_true { "true" } else { "false" }),
        Some(("NULL", _)) => json.push_str("null"),
        Some(("M", Value::Object(item))) => write_item(json, item)?,
        Some(("L", Value::Array(values))) => list(json, ['[', ']'], values, write_attribute)?,
        Some(("SS" | "BS", Value::Array(texts))) => list(json, ['[', ']'], texts, |json, text| {
            text.as_str().map(|text| write_text(json, text)).ok_or(NO_ITEM)
        })?,
        Some(("NS", Value::Array(numbers))) => list(json, ['[', ']'], numbers, |json, number| {
            number.as_str().map(|number| write_number(json, number)).ok_or(NO_ITEM)
        })?,
        _ => return Err(NO_ITEM),
    }
    Ok(())
}

fn list<T>(
    json: &mut String,
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    json.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        write(json, item)?;
    }
    json.push(close);
    Ok(())
}

fn write_text(json: &mut String, text: &str) {
    // Text cannot fail to serialize into memory.
    json.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// The digits as they are. What JSON would not take for a number stays text, for the decoder to judge.
fn write_number(json: &mut String, number: &str) {
    let is_number = number.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && serde_json::from_str::<&serde_json::value::RawValue>(number).is_ok();
    match is_number {
        true => json.push_str(number),
        false => write_text(json, number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn check(image: &str, expected: Expect) {
        let json = plain(image).unwrap_or_else(|why| why.to_owned());
        expected.assert_eq(&json);
    }

    #[test]
    fn every_type_has_its_plain_form() {
        check(
            r#"{"s":{"S":"a\"b\u0001"},"n":{"N":"1.50"},"b":{"B":"AAE="},"t":{"BOOL":true},"f":{"BOOL":false},"z":{"NULL":true}}"#,
            expect![[r#"{"b":"AAE=","f":false,"n":1.50,"s":"a\"b\u0001","t":true,"z":null}"#]],
        );
        check(
            r#"{"m":{"M":{"x":{"L":[{"N":"1"},{"S":"two"},{"L":[]},{"M":{}}]}}}}"#,
            expect![[r#"{"m":{"x":[1,"two",[],{}]}}"#]],
        );
        check(
            r#"{"ss":{"SS":["a","b"]},"ns":{"NS":["1","2.0"]},"bs":{"BS":["AA==","AQ=="]}}"#,
            expect![[r#"{"bs":["AA==","AQ=="],"ns":[1,2.0],"ss":["a","b"]}"#]],
        );
        check("{}", expect!["{}"]);
    }

    #[test]
    fn numbers_keep_every_digit() {
        // 38 digits are what DynamoDB keeps (developer guide, "Data types", Number).
        let digits = "12345678901234567890123456789012345678";
        for number in [digits, &format!("-{digits}"), "0.1", "1E+125", "-9.9e-130", "0"] {
            let json = plain(&format!(r#"{{"n":{{"N":"{number}"}}}}"#)).expect("an item");
            assert_eq!(json, format!(r#"{{"n":{number}}}"#));
        }
        for odd in ["", "NaN", "Infinity", "+1", "01", "1,2", "0x1", "1 2", " 1", "1}", ".5"] {
            let json = plain(&format!(r#"{{"n":{{"N":"{odd}"}}}}"#)).expect("an item");
            assert_eq!(json, format!(r#"{{"n":"{odd}"}}"#), "text, which no decoder takes for a number");
        }
    }

    #[test]
    fn what_is_no_item_is_said() {
        for image in [
            "7",
            "[]",
            "null",
            r#"{"a":7}"#,
            r#"{"a":{}}"#,
            r#"{"a":{"S":7}}"#,
            r#"{"a":{"N":7}}"#,
            r#"{"a":{"S":"x","N":"1"}}"#,
            r#"{"a":{"X":"x"}}"#,
            r#"{"a":{"NS":[7]}}"#,
            r#"{"a":{"SS":"x"}}"#,
            r#"{"a":{"L":[7]}}"#,
        ] {
            check(image, expect![[r#"NewImage is no item of DynamoDB"#]]);
        }
        let deep = format!(r#"{{"a":{}{{"NULL":true}}{}}}"#, r#"{"L":["#.repeat(5_000), "]}".repeat(5_000));
        assert_eq!(plain(&deep), Err(NO_ITEM), "and no overflow");
    }

    /// Any item, and what it is in plain JSON.
    fn attribute() -> impl Strategy<Value = (Value, Value)> {
        let leaf = prop_oneof![
            "\\PC{0,6}".prop_map(|s| (serde_json::json!({ "S": s }), Value::from(s))),
            any::<i64>().prop_map(|n| (serde_json::json!({ "N": n.to_string() }), Value::from(n))),
            any::<bool>().prop_map(|b| (serde_json::json!({ "BOOL": b }), Value::from(b))),
            Just((serde_json::json!({ "NULL": true }), Value::Null)),
        ];
        leaf.prop_recursive(4, 30, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(|all| {
                    let (from, to): (Vec<_>, Vec<_>) = all.into_iter().unzip();
                    (serde_json::json!({ "L": from }), Value::from(to))
                }),
                proptest::collection::btree_map("[a-z\"é]{0,4}", inner, 0..4).prop_map(|all| {
                    let of = |pick: fn(&(Value, Value)) -> &Value| -> Map<String, Value> {
                        all.iter().map(|(name, both)| (name.clone(), pick(both).clone())).collect()
                    };
                    (serde_json::json!({ "M": of(|both| &both.0) }), Value::from(of(|both| &both.1)))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_item_is_its_plain_form((image, expected) in attribute()) {
            let json = plain(&serde_json::json!({ "a": image }).to_string()).expect("an item");
            let read: Value = serde_json::from_str(&json).expect("JSON");
            prop_assert_eq!(read, serde_json::json!({ "a": expected }));
        }
    }
}
