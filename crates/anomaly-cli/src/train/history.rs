//! Histories: files to the rows that a model learns.

use std::collections::HashMap;
use std::io::{self, Write};

use anomaly_core::config::Input;
use anomaly_core::reading::{Reading, SeriesId};
use anomaly_core::window::{Window, Windowed};
use anomaly_local::input::{InputError, Rows, Source, Stop};
use anyhow::ensure;

use crate::terminal::{bar, count, plain};

/// Rejected rows that are told one by one.
const REJECTS_TOLD: u64 = 3;

/// Rows between two steps of the bar.
const ROWS_A_STEP: u64 = 1000;

/// How histories are read.
pub(crate) struct Plan {
    /// What people said of it; the first file says the rest.
    pub(crate) input: Input,
    /// Readings a row, 1 or more.
    pub(crate) shingle: usize,
}

/// The rows of all files, and how they were read.
pub(crate) struct History {
    /// The names of a reading's features, in the order of the rows.
    pub(crate) features: Vec<String>,
    pub(crate) rows: Vec<Vec<f64>>,
    pub(crate) rejected: u64,
}

/// Reads all rows of all files, one after the other, each with the features of the first. `None` if it was stopped.
///
/// # Errors
/// All that keeps a file from being read, or that no row can be learned.
pub(crate) fn read(sources: &[Source], plan: Plan, stop: &Stop) -> anyhow::Result<Option<History>> {
    let history = History { features: Vec::new(), rows: Vec::new(), rejected: 0 };
    let mut reader = Reader { plan, windows: HashMap::new(), history };
    let mut problems = Vec::new();
    for source in sources {
        problems.extend(reader.file(source, stop).err().map(|error| for_training(error).to_string()));
        if stop.is_requested() {
            return Ok(None);
        }
    }
    ensure!(problems.is_empty(), problems.join("\n"));
    reader.finish().map(Some)
}

struct Reader {
    plan: Plan,
    windows: HashMap<SeriesId, Window>,
    history: History,
}

impl Reader {
    fn file(&mut self, source: &Source, stop: &Stop) -> Result<(), InputError> {
        let mut rows = self.open(source, stop)?;
        let bar = rows.progress().1.map(|bytes| bar(bytes, &source.name));
        while let Some(row) = rows.next().transpose()? {
            if stop.is_requested() {
                break;
            }
            match row.outcome {
                Ok(reading) => self.take_in(reading),
                Err(reject) => {
                    self.history.rejected += 1;
                    if self.history.rejected <= REJECTS_TOLD {
                        say(&format!("{}: row {} is left out: {}", source.name, row.number, reject.reject));
                    }
                }
            }
            if let Some(bar) = bar.as_ref().filter(|_| row.number.is_multiple_of(ROWS_A_STEP)) {
                bar.set_position(rows.progress().0);
            }
        }
        bar.iter().for_each(|bar| bar.finish_and_clear());
        Ok(())
    }

    fn open(&mut self, source: &Source, stop: &Stop) -> Result<Rows, InputError> {
        let rows = Rows::open(source, &self.plan.input, stop)?;
        if self.history.features.is_empty() {
            rows.notes().iter().for_each(|note| say(&format!("{}: {note}", source.name)));
            self.history.features = rows.feature_names().to_vec();
            // The other files have to be of the same kind: what was found in the first is asked of them.
            self.plan.input.features.clone_from(&rows.input().features);
        }
        Ok(rows)
    }

    fn take_in(&mut self, reading: Reading) {
        if self.plan.shingle == 1 {
            return self.history.rows.push(reading.features);
        }
        let window = self.windows.entry(reading.series.clone()).or_default();
        // The first readings of a series have too few before them.
        if let Windowed::Known { row: Some(row), .. } = window.take_in_once(&reading, self.plan.shingle) {
            self.history.rows.push(row);
        }
    }

    fn finish(self) -> anyhow::Result<History> {
        let History { rejected, rows, .. } = &self.history;
        if *rejected > REJECTS_TOLD {
            say(&format!("… and {}", count(rejected - REJECTS_TOLD, "more row")));
        }
        ensure!(
            !rows.is_empty() || *rejected == 0,
            "no row can be learned: {} rejected",
            if *rejected == 1 { "the only one is".to_owned() } else { format!("all {rejected} are") }
        );
        Ok(self.history)
    }
}

/// The features that have one and the same value in all rows.
pub(crate) fn resting(history: &History) -> impl Iterator<Item = &str> {
    let first = history.rows.first();
    // The first reading of a row says enough: it has been every other one.
    history.features.iter().enumerate().filter_map(move |(i, name)| {
        let rests = history.rows.iter().all(|row| first.is_some_and(|first| first[i] == row[i]));
        (rests && first.is_some()).then_some(name.as_str())
    })
}

/// The same error, with a hint for this command.
fn for_training(mut error: InputError) -> InputError {
    error.hint = error.hint.map(|hint| hint.replace("anomaly detect", "anomaly train"));
    error
}

/// To whoever watches.
pub(crate) fn say(text: &str) {
    // Nobody is left to be told that stderr is closed.
    let _ = writeln!(io::stderr().lock(), "{}", plain(text));
}
