//! Reading many rows at once, and on what condition a series' row is written.

use anomaly_core::names;
use anomaly_core::reading::SeriesId;
use anomaly_pipeline::fault::Fault;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::item::{ATTEMPTS_MAX, Item, n, pause, s};
use crate::fault::fault;

/// The most rows of one request (DynamoDB API reference, `BatchGetItem`).
const ROWS_MAX: usize = 100;

/// The rows of `series` that there are in `table`, in any order, as they were last written.
pub(super) async fn rows_of(
    client: &Client,
    table: &str,
    operation: &str,
    series: &[SeriesId],
) -> Result<Vec<Item>, Fault> {
    let key = |name: &SeriesId| Item::from([(names::SERIES.to_owned(), s(name.as_str()))]);
    rows(client, table, operation, series.iter().map(key).collect()).await
}

/// The rows with these `keys` that there are in `table`, in any order, as they were last written.
pub(super) async fn rows(
    client: &Client,
    table: &str,
    operation: &str,
    keys: Vec<Item>,
) -> Result<Vec<Item>, Fault> {
    let mut items = Vec::with_capacity(keys.len());
    for some in keys.chunks(ROWS_MAX) {
        items.extend(lot(client, table, operation, some.to_vec()).await?);
    }
    Ok(items)
}

async fn lot(client: &Client, table: &str, operation: &str, keys: Vec<Item>) -> Result<Vec<Item>, Fault> {
    let mut items = Vec::with_capacity(keys.len());
    let keys = KeysAndAttributes::builder().set_keys(Some(keys));
    let mut wanted = keys.consistent_read(true).build().map_err(|e| Fault::permanent(operation, e))?;
    // A row may be large enough that an answer (16 MB) has room for a part of the lot only: that is progress.
    let mut idle = 0;
    while idle < ATTEMPTS_MAX {
        let request = client.batch_get_item().request_items(table, wanted);
        let answer = request.send().await.map_err(|error| fault(operation, &error))?;
        let got: Vec<Item> = answer.responses.unwrap_or_default().into_values().flatten().collect();
        idle = if got.is_empty() { idle + 1 } else { 0 };
        items.extend(got);
        let left = answer.unprocessed_keys.unwrap_or_default().into_values().find(|k| !k.keys.is_empty());
        let Some(left) = left else { return Ok(items) };
        wanted = left;
        wanted.consistent_read = Some(true);
        pause(idle).await;
    }
    Err(Fault::transient(operation, format!("{} keys were left unprocessed", wanted.keys.len())))
}

/// That a row is still the one that was read.
pub(super) struct Condition {
    pub(super) expression: String,
    pub(super) name: (String, String),
    pub(super) value: Option<Item>,
}

impl Condition {
    /// `revision` is what was read; `None` if there was no row.
    pub(super) fn unchanged(revision: Option<u64>) -> Self {
        let name = |name: &str| (format!("#{name}"), name.to_owned());
        match revision {
            None => Condition {
                expression: format!("attribute_not_exists(#{})", names::SERIES),
                name: name(names::SERIES),
                value: None,
            },
            Some(revision) => Condition {
                expression: format!("#{} = :revision", names::REVISION),
                name: name(names::REVISION),
                value: Some(Item::from([(":revision".to_owned(), n(revision))])),
            },
        }
    }
}
