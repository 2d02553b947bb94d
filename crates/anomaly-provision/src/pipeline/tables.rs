//! The tables: what is known of each series, what people are to be told, what could not be read, and what
//! was judged.

use anomaly_core::config::Config;
use anomaly_core::names;

use super::flush;
use crate::has_windows;
use crate::stack::Resource;
use crate::value::{Entry, Value, attribute, list, map};

/// The logical id of the table of series states.
pub(crate) const STATES: &str = "States";
/// The logical id of the table of alert transitions.
pub(crate) const OUTBOX: &str = "Outbox";
/// The logical id of the table of rejected records.
pub(crate) const REJECTS: &str = "Rejects";

/// The logical id of the table of what was judged.
pub(crate) const JOURNAL: &str = "Journal";

/// The logical id of the table of the series' last readings.
pub(crate) const WINDOWS: &str = "Windows";

pub(super) fn resources(config: &Config) -> Vec<Resource> {
    let always = [states(config), outbox(), rejects(), journal()];
    always.into_iter().chain(has_windows(config).then(windows)).collect()
}

/// The ARN of the table `id`.
pub(super) fn arn(id: &str) -> Value {
    attribute(&format!("{id}.Arn"))
}

fn states(config: &Config) -> Resource {
    const BECAUSE: &str =
        "A row a series. Deleted with the stack; DynamoDB keeps a backup of 35 days where recovery is on.";
    let key = keys("KeySchema", &[names::SERIES]);
    if !flush::is_wanted(config) {
        return table(STATES, &[(names::SERIES, "S")], [key, recovery()]).because(BECAUSE);
    }
    let held = map! {
        "IndexName": names::HELD_INDEX,
        "KeySchema": schema(&[names::HELD, names::HELD_AT_MS]),
        // The name of the series is all that is asked for.
        "Projection": map! { "ProjectionType": "KEYS_ONLY" },
    };
    table(
        STATES,
        &[(names::SERIES, "S"), (names::HELD, "S"), (names::HELD_AT_MS, "N")],
        [key, Entry::new("GlobalSecondaryIndexes", list![held]), recovery()],
    )
    .because(BECAUSE)
}

fn windows() -> Resource {
    table(WINDOWS, &[(names::SERIES, "S")], [keys("KeySchema", &[names::SERIES])])
        .because("A row a series: its last readings, for rows of several. Without it, series warm up anew.")
}

fn outbox() -> Resource {
    let pending = map! {
        "IndexName": names::PENDING_INDEX,
        "KeySchema": schema(&[names::PENDING, names::CREATED_MS]),
        // Claiming a row answers with the row itself.
        "Projection": map! { "ProjectionType": "KEYS_ONLY" },
    };
    table(
        OUTBOX,
        &[(names::ALERT, "S"), (names::TRANSITION, "N"), (names::PENDING, "S"), (names::CREATED_MS, "N")],
        [
            keys("KeySchema", &[names::ALERT, names::TRANSITION]),
            Entry::new("GlobalSecondaryIndexes", list![pending]),
            Entry::new("StreamSpecification", map! { "StreamViewType": "NEW_IMAGE" }),
            expiry(),
            recovery(),
        ],
    )
    .because(
        "A row a transition. Only rows not yet sent have `pending`, so the index holds what is left to do.",
    )
}

fn rejects() -> Resource {
    table(
        REJECTS,
        &[(names::PARTITION, "S"), (names::POSITION, "S")],
        [keys("KeySchema", &[names::PARTITION, names::POSITION]), expiry()],
    )
    .because("A row a record at fault, with its reason and its bytes, until it expires.")
}

fn journal() -> Resource {
    table(
        JOURNAL,
        &[(names::STRAND, "S"), (names::LAST, "S")],
        [keys("KeySchema", &[names::STRAND, names::LAST]), expiry()],
    )
    .because(
        "A row a chunk judged: what comes again is told from what comes late. Rows expire after a month.",
    )
}

/// A table paid by the request. Replacing one (another key) leaves the old one behind.
fn table<const N: usize>(id: &'static str, attributes: &[(&str, &str)], more: [Entry; N]) -> Resource {
    let attributes = attributes
        .iter()
        .map(|(name, kind)| map! { "AttributeName": *name, "AttributeType": *kind })
        .collect::<Vec<Value>>();
    let mut properties =
        vec![Entry::new("BillingMode", "PAY_PER_REQUEST"), Entry::new("AttributeDefinitions", attributes)];
    properties.extend(more);
    Resource::new(id, "AWS::DynamoDB::Table", Value::Map(properties))
        .with("DeletionPolicy", "Delete")
        .with("UpdateReplacePolicy", "Retain")
}

fn keys(key: &str, names: &[&str]) -> Entry {
    Entry::new(key, schema(names))
}

/// The first name is the partition key, the second the sort key.
fn schema(names: &[&str]) -> Value {
    let kinds = ["HASH", "RANGE"];
    names
        .iter()
        .zip(kinds)
        .map(|(name, kind)| map! { "AttributeName": *name, "KeyType": kind })
        .collect::<Vec<Value>>()
        .into()
}

fn recovery() -> Entry {
    Entry::new("PointInTimeRecoverySpecification", map! { "PointInTimeRecoveryEnabled": true })
}

fn expiry() -> Entry {
    Entry::new("TimeToLiveSpecification", map! { "AttributeName": names::EXPIRES_S, "Enabled": true })
}
