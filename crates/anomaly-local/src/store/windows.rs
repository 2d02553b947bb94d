//! The last readings of the series.

use anomaly_core::reading::SeriesId;
use anomaly_core::window::Window;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Saved, StoredWindow, Windows};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::error::Trouble;
use super::{End, Store};

/// By series: how often it was written, and the window's bytes.
pub(super) const WINDOWS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("windows");

pub(super) fn make(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(WINDOWS)?;
    Ok(())
}

impl Windows for Store {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<StoredWindow>>, Fault> {
        self.read(
            || "read the windows".to_owned(),
            |transaction| {
                let table = transaction.open_table(WINDOWS)?;
                let stored = |name: &SeriesId| {
                    let Some(row) = table.get(name.as_str())? else { return Ok(None) };
                    let (revision, bytes) = row.value();
                    Ok(Some(StoredWindow { window: decode(name, bytes)?, revision }))
                };
                series.iter().map(stored).collect()
            },
        )
    }

    async fn save(&self, series: &SeriesId, window: &Window, revision: Option<u64>) -> Result<Saved, Fault> {
        self.write(
            || format!("write the window of {series}"),
            |transaction| {
                let mut table = transaction.open_table(WINDOWS)?;
                let there = table.get(series.as_str())?.map(|row| row.value().0);
                if there != revision {
                    return Ok(End::Leave(Saved::Conflict));
                }
                let next = revision.map_or(1, |revision| revision + 1);
                table.insert(series.as_str(), (next, window.encode().as_slice()))?;
                Ok(End::Commit(Saved::Written))
            },
        )
    }
}

/// The table, to be written to.
pub(super) type ToWrite<'t> = Table<'t, &'static str, (u64, &'static [u8])>;

/// Writes a window over what is there, whatever it is.
pub(super) fn replace(table: &mut ToWrite<'_>, series: &SeriesId, window: &[u8]) -> Result<(), Trouble> {
    let next = table.get(series.as_str())?.map_or(1, |row| row.value().0 + 1);
    table.insert(series.as_str(), (next, window))?;
    Ok(())
}

pub(super) fn decode(series: &SeriesId, bytes: &[u8]) -> Result<Window, Trouble> {
    Window::decode(bytes).ok_or_else(|| Trouble::Row(format!("series {series}: no window")))
}
