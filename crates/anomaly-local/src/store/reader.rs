//! The file read, beside whoever writes it.

use std::path::{Path, PathBuf};

use anomaly_core::classify::SeriesState;
use anomaly_core::reading::SeriesId;
use redb::{DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTable};

use super::error::Trouble;
use super::states::{self, STATES};
use super::{StoreError, Taken, before, builder, check_format, head, outbox};

/// The series with their states, and steps of alerts.
pub(crate) type StatesAndSteps = (Vec<(SeriesId, SeriesState)>, Vec<Taken>);

/// The file, opened to be read.
pub(crate) struct Reader {
    path: PathBuf,
    database: ReadOnlyDatabase,
}

impl Reader {
    /// Opens the file at `path`. `None` of one that must be written to first: an earlier release wrote it, or its
    /// writer was killed.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read, another process has it for itself, a later release wrote it, or it is
    /// damaged.
    pub(crate) fn open(path: &Path) -> Result<Option<Reader>, StoreError> {
        let head = head(path).map_err(|source| StoreError::io(path, "read", source))?;
        if head.is_some_and(|head| head.starts_with(before::MAGIC)) {
            return Ok(None);
        }
        let database = match builder().open_read_only(path) {
            Err(DatabaseError::RepairAborted) => return Ok(None),
            other => other.map_err(|error| StoreError::of(path, "read", error))?,
        };
        let reader = Reader { path: path.to_owned(), database };
        let reading = reader.database.begin_read().map_err(|error| StoreError::of(path, "read", error))?;
        check_format(path, &reading)?;
        Ok(Some(reader))
    }

    /// The series with their states, and all steps of alerts, as of one moment.
    pub(crate) fn alerts(&self) -> Result<StatesAndSteps, StoreError> {
        self.reading(|transaction| Ok((all_states(transaction)?, outbox::all(transaction)?)))
    }

    fn reading<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, Trouble>) -> Result<T, StoreError> {
        let done =
            self.database.begin_read().map_err(Trouble::from).and_then(|transaction| work(&transaction));
        done.map_err(|trouble| trouble.into_error(&self.path, "read"))
    }
}

fn all_states(transaction: &ReadTransaction) -> Result<Vec<(SeriesId, SeriesState)>, Trouble> {
    let mut states = Vec::new();
    for row in transaction.open_table(STATES)?.iter()? {
        let (name, row) = row?;
        let name = states::name(name.value())?;
        let state = states::decode(&name, row.value().2)?;
        states.push((name, state));
    }
    Ok(states)
}
