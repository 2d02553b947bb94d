//! The states of the series, and transitions on their way into the outbox.

use anomaly_core::alert::Transition;
use anomaly_core::classify::SeriesState;
use anomaly_core::names;
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, TransitionV1};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Saved, States, Stored};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};

use super::item::{ATTEMPTS_MAX, Item, n, number, pause, s, text};
use super::series::{Condition, rows_of};
use crate::connect::Connector;
use crate::fault::fault;

/// Transitions in one transaction: 100 items (DynamoDB API reference, `TransactWriteItems`) less the state.
const TRANSITIONS_MAX: usize = 99;

/// Two tables of DynamoDB: the states, and the outbox.
///
/// State and transitions are written in one transaction. Where a chunk makes more transitions of one series
/// than a transaction holds, the first ones are written before the state, each lot on condition that the
/// state is still the one that was read. A crash in between leaves transitions without their state: the chunk
/// comes again, is judged from the same state, makes the same transitions by the same names, and finds them
/// there.
#[derive(Clone, Debug)]
pub struct DynamoStates {
    client: Client,
    states_table: String,
    outbox_table: String,
}

impl DynamoStates {
    /// The tables of these names.
    pub fn new(connector: &Connector, states_table: &str, outbox_table: &str) -> Self {
        DynamoStates {
            client: connector.dynamodb(),
            states_table: states_table.to_owned(),
            outbox_table: outbox_table.to_owned(),
        }
    }
}

impl States for DynamoStates {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<Stored>>, Fault> {
        let items = rows_of(&self.client, &self.states_table, "read the states", series).await?;
        let stored = |name: &SeriesId| {
            let item = items.iter().find(|item| text(item, names::SERIES) == Some(name.as_str()));
            item.map(|item| read(name, item)).transpose()
        };
        series.iter().map(stored).collect()
    }

    async fn save(
        &self,
        series: &SeriesId,
        state: &SeriesState,
        revision: Option<u64>,
        transitions: &[Transition],
        now: Timestamp,
    ) -> Result<Saved, Fault> {
        let write =
            Write { tables: self, series, revision, operation: format!("write the state of {series}") };
        let lots: Vec<&[Transition]> = transitions.chunks(TRANSITIONS_MAX).collect();
        let Some((last, first)) = lots.split_last() else {
            return write.put(state).await;
        };
        for lot in first {
            if write.transact(write.unchanged()?, write.rows(lot, now)?).await? == Saved::Conflict {
                return Ok(Saved::Conflict);
            }
        }
        write.transact(write.state(state)?, write.rows(last, now)?).await
    }

    async fn due(&self, until: Timestamp, limit: usize) -> Result<Vec<SeriesId>, Fault> {
        let each = limit.div_ceil(names::HELD_SHARDS);
        let mut due = Vec::new();
        for shard in 0..names::HELD_SHARDS {
            due.extend(self.due_of(shard, until, each).await?);
        }
        due.truncate(limit);
        Ok(due)
    }
}

impl DynamoStates {
    /// The states in which an alert is open, by the names they are kept under, read page by page from among all: half
    /// a read unit for each 4 KB of the table. What was written in the last second may be missing.
    ///
    /// # Errors
    /// If the table or a state cannot be read.
    pub async fn open(&self) -> Result<Vec<(SeriesId, SeriesState)>, Fault> {
        let (mut open, mut from) = (Vec::new(), None);
        loop {
            let request = self.client.scan().table_name(&self.states_table).set_exclusive_start_key(from);
            let page =
                request.send().await.map_err(|error| fault("read the states of all series", &error))?;
            for item in page.items.unwrap_or_default() {
                let Some(name) = text(&item, names::SERIES).and_then(stored_name) else { continue };
                let state = read(&name, &item)?.state;
                if state.watches().any(|(_, watch)| watch.open().is_some()) {
                    open.push((name, state));
                }
            }
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok(open);
            }
        }
    }

    /// What of [`States::due`] has the number `shard`, oldest first.
    async fn due_of(&self, shard: usize, until: Timestamp, limit: usize) -> Result<Vec<SeriesId>, Fault> {
        let request = self
            .client
            .query()
            .table_name(&self.states_table)
            .index_name(names::HELD_INDEX)
            .key_condition_expression("#held = :shard AND #at <= :until")
            .expression_attribute_names("#held", names::HELD)
            .expression_attribute_names("#at", names::HELD_AT_MS)
            .expression_attribute_values(":shard", s(shard.to_string()))
            .expression_attribute_values(":until", n(until.as_ms()))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = request.send().await;
        let page = page.map_err(|error| fault("find series that fell silent", &error))?;
        let name = |item: &Item| SeriesId::new(text(item, names::SERIES)?).ok();
        // A row by another name is none of ours, and must not keep the others waiting.
        Ok(page.items.unwrap_or_default().iter().filter_map(name).collect())
    }
}

/// The name of a row: of a series, or of one's late readings.
fn stored_name(name: &str) -> Option<SeriesId> {
    let deserializer: StrDeserializer<'_, ValueError> = name.into_deserializer();
    SeriesId::deserialize(deserializer).ok()
}

fn read(series: &SeriesId, item: &Item) -> Result<Stored, Fault> {
    let corrupt = |detail: &str| Fault::permanent(format!("read the state of {series}"), detail);
    let bytes = item.get(names::STATE).and_then(|value| value.as_b().ok());
    let bytes = bytes.ok_or_else(|| corrupt("the row has no state"))?;
    let revision = number(item, names::REVISION).ok_or_else(|| corrupt("the row has no revision"))?;
    let state = SeriesState::decode(bytes.as_ref()).map_err(|error| corrupt(&error.to_string()))?;
    Ok(Stored { state, revision })
}

/// One write of a series' state.
struct Write<'w> {
    tables: &'w DynamoStates,
    series: &'w SeriesId,
    revision: Option<u64>,
    operation: String,
}

impl Write<'_> {
    /// The state alone: no transaction, at half the price.
    async fn put(&self, state: &SeriesState) -> Result<Saved, Fault> {
        let Condition { expression, name, value } = self.condition();
        let request = self.tables.client.put_item().table_name(&self.tables.states_table);
        let request = request
            .set_item(Some(self.item(state)))
            .condition_expression(expression)
            .expression_attribute_names(name.0, name.1)
            .set_expression_attribute_values(value);
        match request.send().await {
            Ok(_) => Ok(Saved::Written),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(Saved::Conflict)
            }
            Err(error) => Err(fault(&self.operation, &error)),
        }
    }

    /// Writes `first`, which concerns the state, and `rows`, all or nothing; without the rows that are there.
    async fn transact(
        &self,
        first: TransactWriteItem,
        mut rows: Vec<TransactWriteItem>,
    ) -> Result<Saved, Fault> {
        let mut busy = 0;
        loop {
            let request = self.tables.client.transact_write_items().transact_items(first.clone());
            let items = rows.iter().cloned().fold(request, |request, row| request.transact_items(row));
            let Err(error) = items.send().await else { return Ok(Saved::Written) };
            match verdict(&error) {
                Verdict::Conflict => return Ok(Saved::Conflict),
                Verdict::Present(present) => {
                    let mut index = 0..;
                    rows.retain(|_| index.next().is_none_or(|i| !present.contains(&i)));
                }
                Verdict::Busy if busy < ATTEMPTS_MAX => {
                    pause(busy).await;
                    busy += 1;
                }
                Verdict::Busy => {
                    return Err(Fault::transient(&self.operation, "others write the same rows"));
                }
                Verdict::Refused => return Err(fault(&self.operation, &error)),
            }
        }
    }

    fn condition(&self) -> Condition {
        Condition::unchanged(self.revision)
    }

    fn item(&self, state: &SeriesState) -> Item {
        let revision = self.revision.map_or(1, |revision| revision + 1);
        let mut item = Item::from([
            (names::SERIES.to_owned(), s(self.series.as_str())),
            (names::STATE.to_owned(), AttributeValue::B(Blob::new(state.encode()))),
            (names::REVISION.to_owned(), n(revision)),
        ]);
        if let Some(due) = state.due() {
            item.insert(names::HELD.to_owned(), s(shard(self.series).to_string()));
            item.insert(names::HELD_AT_MS.to_owned(), n(held_at_ms(due)));
        }
        item
    }

    /// The state is written, if nobody else wrote it.
    fn state(&self, state: &SeriesState) -> Result<TransactWriteItem, Fault> {
        let Condition { expression, name, value } = self.condition();
        let put = Put::builder().table_name(&self.tables.states_table).set_item(Some(self.item(state)));
        let put = put
            .condition_expression(expression)
            .expression_attribute_names(name.0, name.1)
            .set_expression_attribute_values(value);
        self.built(put.build().map(|put| TransactWriteItem::builder().put(put).build()))
    }

    /// Nobody else wrote the state.
    fn unchanged(&self) -> Result<TransactWriteItem, Fault> {
        let Condition { expression, name, value } = self.condition();
        let check = ConditionCheck::builder()
            .table_name(&self.tables.states_table)
            .key(names::SERIES, s(self.series.as_str()))
            .condition_expression(expression)
            .expression_attribute_names(name.0, name.1)
            .set_expression_attribute_values(value);
        self.built(check.build().map(|check| TransactWriteItem::builder().condition_check(check).build()))
    }

    fn rows(&self, transitions: &[Transition], now: Timestamp) -> Result<Vec<TransactWriteItem>, Fault> {
        let row = |transition: &Transition| {
            let put = Put::builder()
                .table_name(&self.tables.outbox_table)
                .item(names::ALERT, s(transition.alert.as_str()))
                .item(names::TRANSITION, n(transition.number))
                .item(names::BODY, s(wire::write(&TransitionV1::new(transition.clone()))))
                .item(names::PENDING, s(names::PENDING_VALUE))
                .item(names::CREATED_MS, n(now.as_ms()))
                .condition_expression(format!("attribute_not_exists(#{})", names::ALERT))
                .expression_attribute_names(format!("#{}", names::ALERT), names::ALERT);
            self.built(put.build().map(|put| TransactWriteItem::builder().put(put).build()))
        };
        transitions.iter().map(row).collect()
    }

    fn built(&self, built: Result<TransactWriteItem, BuildError>) -> Result<TransactWriteItem, Fault> {
        built.map_err(|error| Fault::permanent(&self.operation, error))
    }
}

/// Which part of the index a series is in.
fn shard(series: &SeriesId) -> usize {
    series.as_str().bytes().map(usize::from).sum::<usize>() % names::HELD_SHARDS
}

/// `due`, or up to ten seconds later: a series that goes on is written to the index every ten seconds, and
/// not with every chunk.
fn held_at_ms(due: Timestamp) -> i64 {
    const STEP_MS: i64 = 10_000;
    let past = due.as_ms().rem_euclid(STEP_MS);
    due.as_ms() + (STEP_MS - past) % STEP_MS
}

/// Why a transaction was cancelled, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The state is not the one that was read.
    Conflict,
    /// These transitions are in the outbox already.
    Present(Vec<usize>),
    /// Somebody is writing to the same rows, or to too many: later.
    Busy,
    /// It will not do, or it is the service's trouble: the error says which.
    Refused,
}

fn verdict(error: &SdkError<TransactWriteItemsError>) -> Verdict {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            let reasons = cancelled.cancellation_reasons();
            judge(&reasons.iter().map(|reason| reason.code().unwrap_or("None")).collect::<Vec<_>>())
        }
        Some(TransactWriteItemsError::TransactionInProgressException(_)) => Verdict::Busy,
        _ => Verdict::Refused,
    }
}

/// The codes, one per item in the order of the request (DynamoDB API reference,
/// `TransactionCanceledException`): the state's, then the transitions'.
fn judge(codes: &[&str]) -> Verdict {
    const FAILED: &str = "ConditionalCheckFailed";
    const BUSY: [&str; 3] = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
    let Some((state, transitions)) = codes.split_first() else { return Verdict::Refused };
    let present: Vec<usize> =
        transitions.iter().enumerate().filter(|(_, code)| **code == FAILED).map(|(i, _)| i).collect();
    match () {
        () if *state == FAILED => Verdict::Conflict,
        () if !present.is_empty() => Verdict::Present(present),
        () if codes.iter().any(|code| BUSY.contains(code)) => Verdict::Busy,
        () => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_never_ahead_of_the_state() {
        let held = |ms| held_at_ms(Timestamp::from_ms(ms).expect("in range"));
        assert_eq!([0, 1, 9_999, 10_000, -1, -10_001].map(held), [0, 10_000, 10_000, 10_000, 0, -10_000]);
    }

    #[test]
    fn the_state_decides_before_the_transitions() {
        const FAILED: &str = "ConditionalCheckFailed";
        assert_eq!(judge(&[FAILED, FAILED]), Verdict::Conflict);
        assert_eq!(judge(&["None", "None", FAILED]), Verdict::Present(vec![1]));
        assert_eq!(judge(&["None", FAILED, "TransactionConflict"]), Verdict::Present(vec![0]));
        assert_eq!(judge(&["TransactionConflict", "None"]), Verdict::Busy);
        assert_eq!(judge(&["None", "ThrottlingError"]), Verdict::Busy);
        assert_eq!(judge(&["ValidationError", "None"]), Verdict::Refused);
        assert_eq!(judge(&[]), Verdict::Refused);
    }
}
