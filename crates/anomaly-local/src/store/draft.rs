//! What is to be written with the next save, as far as it is known: a transaction that is begun and not committed, to
//! which all threads of a run write. A series that memory has no room for may go there before it is saved.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{
    Key, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError,
    Value, WriteTransaction,
};

use super::Store;
use super::error::{StoreError, Trouble};
use super::run::{self, SeriesRow};
use anomaly_core::classify::SeriesState;
use anomaly_core::reading::SeriesId;

/// The next save of a store.
pub(crate) struct Draft {
    store: Arc<Store>,
    /// `None`: nothing is written yet, and the store is as it was saved last.
    begun: Mutex<Option<WriteTransaction>>,
}

/// A transaction of which tables can be read.
pub(crate) trait Readable {
    /// A table of it.
    type Table<'t, K: Key + 'static, V: Value + 'static>: ReadableTable<K, V>
    where
        Self: 't;

    /// The table of that name.
    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<Self::Table<'_, K, V>, TableError>;
}

impl Readable for ReadTransaction {
    type Table<'t, K: Key + 'static, V: Value + 'static> = ReadOnlyTable<K, V>;

    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<ReadOnlyTable<K, V>, TableError> {
        self.open_table(definition)
    }
}

impl Readable for WriteTransaction {
    type Table<'t, K: Key + 'static, V: Value + 'static> = Table<'t, K, V>;

    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<Table<'_, K, V>, TableError> {
        self.open_table(definition)
    }
}

impl Draft {
    /// Of `store`, with nothing in it.
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Draft { store, begun: Mutex::new(None) }
    }

    /// The store it is of.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Adds what `work` writes.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written; then nothing of the draft may be saved.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let mut begun = self.begun();
        let done = || {
            let transaction = match begun.take() {
                Some(transaction) => transaction,
                None => self.store.database.begin_write()?,
            };
            let done = work(&transaction)?;
            *begun = Some(transaction);
            Ok(done)
        };
        done().map_err(|trouble: Trouble| trouble.into_error(&self.store.path, "written"))
    }

    /// Saves it: all of it or nothing.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub(crate) fn save(&self) -> Result<(), StoreError> {
        let Some(transaction) = self.begun().take() else { return Ok(()) };
        let saved = transaction.commit().map_err(Trouble::from);
        saved.map_err(|trouble| trouble.into_error(&self.store.path, "written"))
    }

    /// The series `name`, as it is here or was saved last; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub(crate) fn series(&self, name: &SeriesId) -> Result<Option<SeriesRow>, StoreError> {
        let begun = self.begun();
        let written = match &*begun {
            Some(transaction) => run::series(transaction, name),
            None => {
                // Whoever begins meanwhile writes other series: each is in one thread's hands.
                drop(begun);
                self.store.database.begin_read().map_err(Trouble::from).and_then(|t| run::series(&t, name))
            }
        };
        let read = written.and_then(|row| row.map(|row| row.read(name)).transpose());
        read.map_err(|trouble| trouble.into_error(&self.store.path, "read"))
    }

    /// Hands name, features and state of all series to `take`, one at a time, as they are here or were saved last.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub(crate) fn each_state(
        &self,
        mut take: impl FnMut(SeriesId, Vec<String>, SeriesState),
    ) -> Result<(), StoreError> {
        let mut take = |name, features, state| {
            take(name, features, state);
            Ok(())
        };
        match &*self.begun() {
            Some(transaction) => run::each_state(transaction, &mut take)
                .map_err(|trouble| trouble.into_error(&self.store.path, "read")),
            None => self.store.reading(|transaction| run::each_state(transaction, &mut take)),
        }
    }

    /// What a thread was at that ended in the middle is not saved: its run ends too.
    fn begun(&self) -> MutexGuard<'_, Option<WriteTransaction>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("store", &self.store).finish_non_exhaustive()
    }
}
