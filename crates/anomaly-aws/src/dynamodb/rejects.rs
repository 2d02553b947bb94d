//! Rejected records, kept for a month.

use std::collections::BTreeMap;

use anomaly_core::names;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, RejectV1};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::Rejects;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};

use super::item::{ATTEMPTS_MAX, expires_s, n, pause, s, text};
use crate::connect::Connector;
use crate::fault::fault;

/// Rows of one request (DynamoDB API reference, `BatchWriteItem`).
const ROWS_MAX: usize = 25;
const OPERATION: &str = "keep rejects";

/// A table of DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoRejects {
    client: Client,
    table: String,
}

impl DynamoRejects {
    /// The table `table`.
    pub fn new(connector: &Connector, table: &str) -> Self {
        DynamoRejects { client: connector.dynamodb(), table: table.to_owned() }
    }

    /// All rejects there are, by partition and position, the newest of equal partitions last. What cannot be read
    /// (a later release wrote it) is counted.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn list(&self) -> Result<(Vec<RejectV1>, usize), Fault> {
        let (mut rejects, mut unread, mut from) = (Vec::new(), 0, None);
        loop {
            let page = self.client.scan().table_name(&self.table).set_exclusive_start_key(from).send().await;
            let page = page.map_err(|error| fault("list rejects", &error))?;
            for item in page.items.unwrap_or_default() {
                match text(&item, names::REJECT).map(wire::read::<RejectV1>) {
                    Some(Ok(reject)) => rejects.push(reject),
                    _ => unread += 1,
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                rejects.sort_by(|a, b| {
                    (&a.partition, &a.sequence, a.sub).cmp(&(&b.partition, &b.sequence, b.sub))
                });
                return Ok((rejects, unread));
            }
        }
    }

    /// Takes `reject` out of the table. Again: no change.
    ///
    /// # Errors
    /// If the table cannot be written to.
    pub async fn forget(&self, reject: &RejectV1) -> Result<(), Fault> {
        let (partition, position) = key(reject);
        let request = self.client.delete_item().table_name(&self.table);
        let request = request.key(names::PARTITION, s(partition)).key(names::POSITION, s(position));
        request.send().await.map(drop).map_err(|error| fault("forget a reject", &error))
    }

    /// The table for one invocation: what it keeps expires a month after `now`.
    pub fn at(&self, now: Timestamp) -> DynamoRejectsAt<'_> {
        DynamoRejectsAt { rejects: self, now }
    }
}

/// A [`DynamoRejects`] for one invocation of the function.
#[derive(Clone, Copy, Debug)]
pub struct DynamoRejectsAt<'r> {
    rejects: &'r DynamoRejects,
    now: Timestamp,
}

impl Rejects for DynamoRejectsAt<'_> {
    async fn keep(&self, rejects: &[RejectV1]) -> Result<(), Fault> {
        // A request that names a row twice is refused as a whole; twice the same record is one reject.
        let rows: BTreeMap<_, _> = rejects.iter().map(|reject| (key(reject), reject)).collect();
        let rows: Vec<_> = rows.into_iter().collect();
        for batch in rows.chunks(ROWS_MAX) {
            let puts = batch.iter().map(|(key, reject)| self.put(key, reject)).collect::<Result<_, _>>()?;
            self.write(puts).await?;
        }
        Ok(())
    }
}

impl DynamoRejectsAt<'_> {
    fn put(&self, (partition, position): &(&str, String), reject: &RejectV1) -> Result<WriteRequest, Fault> {
        let put = PutRequest::builder()
            .item(names::PARTITION, s(*partition))
            .item(names::POSITION, s(position))
            .item(names::REJECT, s(wire::write(reject)))
            .item(names::EXPIRES_S, n(expires_s(self.now)));
        let put = put.build().map_err(|error| Fault::permanent(OPERATION, error))?;
        Ok(WriteRequest::builder().put_request(put).build())
    }

    async fn write(&self, mut puts: Vec<WriteRequest>) -> Result<(), Fault> {
        let DynamoRejects { client, table } = self.rejects;
        for attempt in 0..ATTEMPTS_MAX {
            let answer = client.batch_write_item().request_items(table, puts).send().await;
            let left = answer.map_err(|error| fault(OPERATION, &error))?.unprocessed_items;
            puts = left.unwrap_or_default().into_values().flatten().collect();
            if puts.is_empty() {
                return Ok(());
            }
            pause(attempt).await;
        }
        Err(Fault::transient(OPERATION, format!("{} rows were left unprocessed", puts.len())))
    }
}

/// Partition key and sort key.
fn key(reject: &RejectV1) -> (&str, String) {
    (&reject.partition, format!("{}.{}", reject.sequence, reject.sub))
}
