//! The states of the series, and transitions on their way into the outbox.

use anomaly_core::alert::Transition;
use anomaly_core::classify::SeriesState;
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Saved, States, Stored};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::error::Trouble;
use super::{End, Store, outbox};

/// By series: how often it was written; the time of the oldest reading that waits, in milliseconds since 1970; the
/// state's bytes.
pub(super) const STATES: TableDefinition<'_, &str, (u64, Option<i64>, &[u8])> =
    TableDefinition::new("states");
/// The series in which a sweep has something to do, by when.
const HELD: TableDefinition<'_, (i64, &str), ()> = TableDefinition::new("held");

pub(super) fn make(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(STATES)?;
    transaction.open_table(HELD)?;
    Ok(())
}

impl States for Store {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<Stored>>, Fault> {
        self.read(
            || "read the states".to_owned(),
            |transaction| {
                let table = transaction.open_table(STATES)?;
                let stored = |name: &SeriesId| {
                    let Some(row) = table.get(name.as_str())? else { return Ok(None) };
                    let (revision, _, bytes) = row.value();
                    Ok(Some(Stored { state: decode(name, bytes)?, revision }))
                };
                series.iter().map(stored).collect()
            },
        )
    }

    async fn save(
        &self,
        series: &SeriesId,
        state: &SeriesState,
        revision: Option<u64>,
        transitions: &[Transition],
        now: Timestamp,
    ) -> Result<Saved, Fault> {
        self.write(
            || format!("write the state of {series}"),
            |transaction| {
                let mut tables = Tables::open(transaction)?;
                if tables.revision(series)? != revision {
                    return Ok(End::Leave(Saved::Conflict));
                }
                tables.put(series, &Encoded::of(state), revision.map_or(1, |revision| revision + 1))?;
                outbox::add(transaction, transitions, now)?;
                Ok(End::Commit(Saved::Written))
            },
        )
    }

    async fn due(&self, until: Timestamp, limit: usize) -> Result<Vec<SeriesId>, Fault> {
        self.read(
            || "find series that fell silent".to_owned(),
            |transaction| {
                let table = transaction.open_table(HELD)?;
                let due = table.range(..(until.as_ms().saturating_add(1), ""))?.take(limit);
                due.map(|row| name(row?.0.value().1)).collect()
            },
        )
    }
}

/// A state as it is written.
pub(crate) struct Encoded {
    /// When a sweep must come by, in milliseconds since 1970.
    due: Option<i64>,
    bytes: Vec<u8>,
}

impl Encoded {
    pub(crate) fn of(state: &SeriesState) -> Self {
        Encoded { due: state.due().map(Timestamp::as_ms), bytes: state.encode() }
    }
}

/// The two tables of the states, to be written to.
pub(super) struct Tables<'t> {
    states: Table<'t, &'static str, (u64, Option<i64>, &'static [u8])>,
    held: Table<'t, (i64, &'static str), ()>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Trouble> {
        Ok(Tables { states: transaction.open_table(STATES)?, held: transaction.open_table(HELD)? })
    }

    fn revision(&self, series: &SeriesId) -> Result<Option<u64>, Trouble> {
        Ok(self.states.get(series.as_str())?.map(|row| row.value().0))
    }

    /// Writes a state over what is there, whatever it is.
    pub(super) fn replace(&mut self, series: &SeriesId, state: &Encoded) -> Result<(), Trouble> {
        let next = self.revision(series)?.map_or(1, |revision| revision + 1);
        self.put(series, state, next)
    }

    fn put(&mut self, series: &SeriesId, state: &Encoded, revision: u64) -> Result<(), Trouble> {
        let Encoded { due, bytes } = state;
        let due = *due;
        let before = self.states.insert(series.as_str(), (revision, due, bytes.as_slice()))?;
        let before = before.and_then(|row| row.value().1);
        if before == due {
            return Ok(());
        }
        if let Some(before) = before {
            self.held.remove((before, series.as_str()))?;
        }
        if let Some(due) = due {
            self.held.insert((due, series.as_str()), ())?;
        }
        Ok(())
    }
}

pub(super) fn decode(series: &SeriesId, bytes: &[u8]) -> Result<SeriesState, Trouble> {
    SeriesState::decode(bytes).map_err(|error| Trouble::Row(format!("series {series}: {error}")))
}

pub(super) fn name(text: &str) -> Result<SeriesId, Trouble> {
    SeriesId::new(text).map_err(|_| Trouble::Row(format!("{text:?} is no series")))
}
