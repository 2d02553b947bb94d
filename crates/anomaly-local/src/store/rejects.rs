//! Rejected records.

use anomaly_core::position::Place;
use anomaly_core::wire::{self, RejectV1};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::Rejects;
use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::error::Trouble;
use super::{End, Store};

/// By partition and place: the reject, as JSON.
const REJECTS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("rejects");

pub(super) fn make(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(REJECTS)?;
    Ok(())
}

impl Store {
    /// All rejects, by partition and position.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn rejects(&self) -> Result<Vec<RejectV1>, Fault> {
        self.read(
            || "list rejects".to_owned(),
            |transaction| {
                let read = |json: &str| wire::read(json).map_err(|error| Trouble::Row(error.to_string()));
                transaction.open_table(REJECTS)?.iter()?.map(|row| read(row?.1.value())).collect()
            },
        )
    }
}

impl Rejects for Store {
    async fn keep(&self, rejects: &[RejectV1]) -> Result<(), Fault> {
        self.write(
            || "keep rejects".to_owned(),
            |transaction| {
                let mut table = transaction.open_table(REJECTS)?;
                for reject in rejects {
                    let place = Place { sequence: reject.sequence.clone(), sub: reject.sub };
                    let key = (reject.partition.as_str(), place.sortable());
                    table.insert((key.0, key.1.as_str()), wire::write(reject).as_str())?;
                }
                Ok(End::Commit(()))
            },
        )
    }
}
