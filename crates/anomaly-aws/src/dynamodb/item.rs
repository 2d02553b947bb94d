//! Attributes, in and out; and how long to wait for a busy table.

use std::collections::HashMap;
use std::time::Duration;

use anomaly_core::time::Timestamp;
use aws_sdk_dynamodb::types::AttributeValue;

/// How often what a busy table left undone is tried again: with [`pause`], for a second and a half.
pub(super) const ATTEMPTS_MAX: u32 = 6;
/// Rows that are done with are kept for as long as people may ask about them.
const KEPT_S: i64 = 30 * 24 * 60 * 60;

/// A row, or part of one.
pub(super) type Item = HashMap<String, AttributeValue>;

/// Waits before attempt `attempt` + 1: 50 ms, and twice as long each time.
pub(super) async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(50 << attempt.min(10))).await;
}

/// A string.
pub(super) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number.
pub(super) fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The string in `name`, if there is one.
pub(super) fn text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// The number in `name`, if there is one.
pub(super) fn number<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// When a row that is done with at `now` may be deleted, in seconds since 1970.
pub(super) fn expires_s(now: Timestamp) -> i64 {
    now.as_ms().div_euclid(1000) + KEPT_S
}
