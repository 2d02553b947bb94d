//! What a run of `detect` leaves for the next one, beside the states: how far it read and wrote, and what the
//! detectors learned.

use std::collections::BTreeMap;

use anomaly_core::classify::SeriesState;
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::window::Window;
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::draft::Readable;
use super::error::Trouble;
use super::outbox::{self, Taken};
use super::states::{self, Encoded, STATES};
use super::windows::{self, WINDOWS};
use crate::state::Saved;

/// What it is of, under one key: an [`About`], as JSON, which may gain fields.
const RUN: TableDefinition<'_, &str, &str> = TableDefinition::new("run");
const RUN_KEY: &str = "run";
/// By path: how far a file was read, in the wire format of postcard 1.
const INPUTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("inputs");
/// By path: how long a file that was written was.
const OUTPUTS: TableDefinition<'_, &str, u64> = TableDefinition::new("outputs");
/// By the name of an input: the rows whose verdict is not known yet, in the wire format of postcard 1.
const WAITING: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("waiting");
/// By series: the time of its last reading, in milliseconds since 1970; its features; in how many pieces is what its
/// detector learned, 0 if it has none. Its state is in [`STATES`], its last readings, for a frozen model, in
/// [`WINDOWS`].
const SERIES: TableDefinition<'_, &str, (i64, Vec<&str>, u32)> = TableDefinition::new("series");
/// By series and piece: what its detector learned.
const LEARNED: TableDefinition<'_, (&str, u32), &[u8]> = TableDefinition::new("learned");
/// How long a piece is: a row takes a power of two of bytes, and of a forest of 1.1 MB half would be empty.
const PIECE_BYTES: usize = (64 << 10) - 2_048;

/// What is known of the run itself.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// What gave its scores.
    pub(crate) scoring: String,
    /// Whether a pipe was being read.
    pub(crate) live: bool,
}

/// A series to be written.
pub(crate) struct Series<'a> {
    pub(crate) last_at: Timestamp,
    pub(crate) features: &'a [String],
    pub(crate) detector: Option<Vec<u8>>,
    pub(crate) state: Encoded,
    /// The bytes of the last readings, where the model is given several.
    pub(crate) window: Option<Vec<u8>>,
}

/// A series as it was written.
pub(crate) struct SeriesRow {
    pub(crate) last_at: Timestamp,
    pub(crate) features: Vec<String>,
    pub(crate) detector: Option<Vec<u8>>,
    pub(crate) state: SeriesState,
    pub(crate) window: Window,
}

pub(super) fn make(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(RUN)?;
    transaction.open_table(INPUTS)?;
    transaction.open_table(OUTPUTS)?;
    transaction.open_table(WAITING)?;
    transaction.open_table(SERIES)?;
    transaction.open_table(LEARNED)?;
    Ok(())
}

/// The tables of the series, to be written to.
pub(crate) struct Run<'t> {
    series: Table<'t, &'static str, (i64, Vec<&'static str>, u32)>,
    learned: Table<'t, (&'static str, u32), &'static [u8]>,
    states: states::Tables<'t>,
    windows: windows::ToWrite<'t>,
}

impl<'t> Run<'t> {
    pub(crate) fn open(transaction: &'t WriteTransaction) -> Result<Self, Trouble> {
        Ok(Run {
            series: transaction.open_table(SERIES)?,
            learned: transaction.open_table(LEARNED)?,
            states: states::Tables::open(transaction)?,
            windows: transaction.open_table(WINDOWS)?,
        })
    }

    /// Writes a series over what is there of it.
    pub(crate) fn series(&mut self, name: &SeriesId, series: &Series<'_>) -> Result<(), Trouble> {
        let features = series.features.iter().map(String::as_str).collect();
        let pieces = self.learned(name, series.detector.as_deref().unwrap_or_default())?;
        let row = (series.last_at.as_ms(), features, pieces);
        let before = self.series.insert(name.as_str(), row)?.map_or(0, |row| row.value().2);
        for piece in pieces..before {
            self.learned.remove((name.as_str(), piece))?;
        }
        self.states.replace(name, &series.state)?;
        series.window.as_ref().map_or(Ok(()), |window| self.window(name, window))
    }

    /// Writes what a detector learned. Gives back in how many pieces.
    fn learned(&mut self, name: &SeriesId, bytes: &[u8]) -> Result<u32, Trouble> {
        let mut pieces = 0;
        for piece in bytes.chunks(PIECE_BYTES) {
            self.learned.insert((name.as_str(), pieces), piece)?;
            pieces += 1;
        }
        Ok(pieces)
    }

    /// Writes the last readings of a series over what is there of them.
    pub(crate) fn window(&mut self, name: &SeriesId, window: &[u8]) -> Result<(), Trouble> {
        windows::replace(&mut self.windows, name, window)
    }
}

/// Writes everything that is not of a series.
pub(crate) fn leave(transaction: &WriteTransaction, about: &About, saved: &Saved) -> Result<(), Trouble> {
    let about = serde_json::to_string(about).map_err(|error| Trouble::Row(error.to_string()))?;
    transaction.open_table(RUN)?.insert(RUN_KEY, about.as_str())?;
    let mut outputs = transaction.open_table(OUTPUTS)?;
    for (path, bytes) in &saved.outputs {
        outputs.insert(path.as_str(), bytes)?;
    }
    put_all(&mut transaction.open_table(INPUTS)?, &saved.inputs)?;
    put_all(&mut transaction.open_table(WAITING)?, &saved.waiting)
}

/// Keeps `steps` of alerts, which people were told of at `now`.
pub(crate) fn tell(transaction: &WriteTransaction, steps: &[Taken], now: Timestamp) -> Result<(), Trouble> {
    if steps.is_empty() { Ok(()) } else { outbox::add_told(transaction, steps, now) }
}

/// Has `rows` in `table`, and nothing else; writes what differs.
fn put_all(
    table: &mut Table<'_, &'static str, &'static [u8]>,
    rows: &BTreeMap<String, impl Serialize>,
) -> Result<(), Trouble> {
    table.retain(|name, _| rows.contains_key(name))?;
    for (name, row) in rows {
        let bytes = postcard::to_extend(row, Vec::new()).map_err(|error| Trouble::Row(error.to_string()))?;
        let is_there = table.get(name.as_str())?.is_some_and(|there| there.value() == bytes);
        if !is_there {
            table.insert(name.as_str(), bytes.as_slice())?;
        }
    }
    Ok(())
}

/// What was left; `None` by a file that no run has left anything in.
pub(crate) fn left(transaction: &ReadTransaction) -> Result<Option<(About, Saved)>, Trouble> {
    let run = transaction.open_table(RUN)?;
    let Some(about) = run.get(RUN_KEY)? else { return Ok(None) };
    let about: About = serde_json::from_str(about.value()).map_err(|e| Trouble::Row(e.to_string()))?;
    let mut outputs = BTreeMap::new();
    for row in transaction.open_table(OUTPUTS)?.iter()? {
        let (path, bytes) = row?;
        outputs.insert(path.value().to_owned(), bytes.value());
    }
    let inputs = all_of(&transaction.open_table(INPUTS)?)?;
    let waiting = all_of(&transaction.open_table(WAITING)?)?;
    let live = about.live;
    Ok(Some((about, Saved { inputs, outputs, live, waiting })))
}

fn all_of<T: DeserializeOwned>(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<BTreeMap<String, T>, Trouble> {
    let mut rows = BTreeMap::new();
    for row in table.iter()? {
        let (name, bytes) = row?;
        let read = postcard::from_bytes(bytes.value());
        let row = read.map_err(|error| Trouble::Row(format!("{}: {error}", name.value())))?;
        rows.insert(name.value().to_owned(), row);
    }
    Ok(rows)
}

/// Hands name, features and state of all series to `take`, one at a time: together they may fill the memory.
pub(crate) fn each_state(
    transaction: &impl Readable,
    mut take: impl FnMut(SeriesId, Vec<String>, SeriesState) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let states = transaction.table(STATES)?;
    for row in transaction.table(SERIES)?.iter()? {
        let (name, row) = row?;
        let name = states::name(name.value())?;
        let features = row.value().1.into_iter().map(str::to_owned).collect();
        let state = state_of(&states, &name)?;
        take(name, features, state)?;
    }
    Ok(())
}

fn state_of(
    states: &impl ReadableTable<&'static str, (u64, Option<i64>, &'static [u8])>,
    name: &SeriesId,
) -> Result<SeriesState, Trouble> {
    let state = states.get(name.as_str())?;
    let state = state.ok_or_else(|| no_state(name))?;
    states::decode(name, state.value().2)
}

/// All there is of the series `name`, as it was written; `None` if there is none.
pub(crate) fn series(transaction: &impl Readable, name: &SeriesId) -> Result<Option<Written>, Trouble> {
    let series = transaction.table(SERIES)?;
    let Some(row) = series.get(name.as_str())? else { return Ok(None) };
    let (last_at, features, pieces) = row.value();
    let learned = transaction.table(LEARNED)?;
    let mut detector = Vec::new();
    for piece in 0..pieces {
        let row = learned.get((name.as_str(), piece))?;
        let row = row.ok_or_else(|| Trouble::Row(format!("series {name}: a piece is missing")))?;
        detector.extend(row.value());
    }
    let state = transaction.table(STATES)?.get(name.as_str())?.map(|row| row.value().2.to_vec());
    let window = transaction.table(WINDOWS)?.get(name.as_str())?.map(|row| row.value().1.to_vec());
    Ok(Some(Written {
        last_at,
        features: features.into_iter().map(str::to_owned).collect(),
        detector: (pieces > 0).then_some(detector),
        state: state.ok_or_else(|| no_state(name))?,
        window,
    }))
}

/// A series, in the bytes it was written in.
pub(crate) struct Written {
    last_at: i64,
    features: Vec<String>,
    detector: Option<Vec<u8>>,
    state: Vec<u8>,
    window: Option<Vec<u8>>,
}

impl Written {
    /// What it says of the series `name`.
    pub(crate) fn read(self, name: &SeriesId) -> Result<SeriesRow, Trouble> {
        let Written { last_at, features, detector, state, window } = self;
        let window = window.map(|bytes| windows::decode(name, &bytes)).transpose()?;
        let no_time = || Trouble::Row(format!("series {name}: no time"));
        Ok(SeriesRow {
            last_at: Timestamp::from_ms(last_at).ok_or_else(no_time)?,
            features,
            detector,
            state: states::decode(name, &state)?,
            window: window.unwrap_or_default(),
        })
    }
}

fn no_state(name: &SeriesId) -> Trouble {
    Trouble::Row(format!("series {name}: no state"))
}
