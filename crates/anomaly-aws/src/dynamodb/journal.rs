//! What was judged, kept for a month.

use anomaly_core::names;
use anomaly_core::position::{Place, Runs};
use anomaly_core::time::Timestamp;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::Journal;
use aws_sdk_dynamodb::Client;

use super::item::{Item, expires_s, n, s, text};
use super::series::rows;
use crate::connect::Connector;
use crate::fault::fault;

/// Rows of one page: what one chunk covers is rarely more.
const PAGE_ROWS: i32 = 50;

/// A table of DynamoDB, its rows in the order of their last places.
///
/// A month is more than a chunk can wait: 14 days in a queue and, because the clock of a FIFO queue starts again
/// when a message is moved (SQS developer guide, "Message retention in dead-letter queues"), 14 in the next.
#[derive(Clone, Debug)]
pub struct DynamoJournal {
    client: Client,
    table: String,
}

impl DynamoJournal {
    /// The table `table`.
    pub fn new(connector: &Connector, table: &str) -> Self {
        DynamoJournal { client: connector.dynamodb(), table: table.to_owned() }
    }
}

impl Journal for DynamoJournal {
    async fn note(&self, strand: &str, runs: &Runs, now: Timestamp) -> Result<(), Fault> {
        let operation = || format!("note what was judged of {strand}");
        let Some((_, last)) = runs.ends() else { return Ok(()) };
        let body = serde_json::to_string(runs).map_err(|error| Fault::permanent(operation(), error))?;
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(names::STRAND, s(strand))
            .item(names::LAST, s(last.sortable()))
            .item(names::RUNS, s(body))
            .item(names::EXPIRES_S, n(expires_s(now)));
        request.send().await.map(drop).map_err(|error| fault(operation(), &error))
    }

    async fn find(&self, strand: &str, first: &Place, last: Option<&Place>) -> Result<Runs, Fault> {
        let operation = || format!("find what was judged of {strand}");
        let (mut found, mut start) = (Runs::default(), None);
        loop {
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("#strand = :strand AND #last >= :first")
                .expression_attribute_names("#strand", names::STRAND)
                .expression_attribute_names("#last", names::LAST)
                .expression_attribute_values(":strand", s(strand))
                .expression_attribute_values(":first", s(first.sortable()))
                .limit(PAGE_ROWS)
                .set_exclusive_start_key(start);
            let page = request.send().await.map_err(|error| fault(operation(), &error))?;
            for row in page.items.unwrap_or_default() {
                let runs = read(&row).ok_or_else(|| Fault::permanent(operation(), "a row has no runs"))?;
                if runs.ends().zip(last).is_some_and(|((begins, _), last)| begins > last) {
                    return Ok(found);
                }
                found.extend(runs);
            }
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    async fn get(&self, names: &[(String, Place)]) -> Result<Vec<Runs>, Fault> {
        const OPERATION: &str = "look up what was noted as judged";
        let key = |(strand, last): &(String, Place)| {
            Item::from([(names::STRAND.to_owned(), s(strand)), (names::LAST.to_owned(), s(last.sortable()))])
        };
        let keys = names.iter().map(key).collect();
        let found = rows(&self.client, &self.table, OPERATION, keys).await?;
        let runs = |(strand, last): &(String, Place)| {
            let last = last.sortable();
            let is_it = |row: &&Item| {
                text(row, names::STRAND) == Some(strand) && text(row, names::LAST) == Some(&last)
            };
            let Some(row) = found.iter().find(is_it) else { return Ok(Runs::default()) };
            read(row).ok_or_else(|| Fault::permanent(OPERATION, "a row has no runs"))
        };
        names.iter().map(runs).collect()
    }
}

fn read(row: &Item) -> Option<Runs> {
    serde_json::from_str(text(row, names::RUNS)?).ok()
}
