//! Histories: files to the rows that a model learns, and what is left out of them.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Write};

use anomaly_core::config::Input;
use anomaly_core::reading::{Reading, SeriesId};
use anomaly_core::window::{Window, Windowed};
use anomaly_detect::{Fingerprint, LeftOut, PERIODS_LISTED_MAX};
use anomaly_local::input::{InputError, Rows, Source, Stop};
use anomaly_local::periods::{Period, Periods};
use anyhow::{bail, ensure};

use crate::terminal::{bar, count, plain};

/// Of rejected rows, and of periods without readings, so many are told one by one.
const TOLD: usize = 3;

/// Rows between two steps of the bar.
const ROWS_A_STEP: u64 = 1000;

/// How histories are read.
pub(crate) struct Plan {
    /// What people said of it; the first file says the rest.
    pub(crate) input: Input,
    /// Readings a row, 1 or more.
    pub(crate) shingle: usize,
    /// The pointer to the label: 0 or false where all is well; it is no feature.
    pub(crate) label: Option<String>,
    /// What is to be left out.
    pub(crate) excluded: Periods,
    /// What is known to be anomalous, and is left out as well.
    pub(crate) labels: Periods,
}

/// The rows of all files, and how they were read.
pub(crate) struct History {
    /// The names of a reading's features, in the order of the rows.
    pub(crate) features: Vec<String>,
    pub(crate) rows: Vec<Vec<f64>>,
    pub(crate) left_out: LeftOut,
    /// What is known to be anomalous, as rows that a model can be asked about.
    pub(crate) labelled: Vec<Vec<f64>>,
    /// Those of the plan, with the readings in each.
    pub(crate) excluded: Periods,
    pub(crate) labels: Periods,
}

/// Reads all rows of all files, one after the other, each with the features of the first. `None` if it was stopped.
///
/// # Errors
/// All that keeps a file from being read, or that no row can be learned.
pub(crate) fn read(sources: &[Source], plan: Plan, stop: &Stop) -> anyhow::Result<Option<History>> {
    let mut reader = Reader::new(plan);
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
    input: Input,
    shingle: usize,
    label: Option<String>,
    /// The last readings that were learned of each series.
    windows: HashMap<SeriesId, Window>,
    /// The last readings of each series, those that were left out too; kept only where there are labels.
    whole: HashMap<SeriesId, Window>,
    fingerprint: Fingerprint,
    history: History,
}

impl Reader {
    fn new(plan: Plan) -> Self {
        let Plan { input, shingle, label, excluded, labels } = plan;
        let left_out = LeftOut::default();
        let (features, rows, labelled) = (Vec::new(), Vec::new(), Vec::new());
        let history = History { features, rows, left_out, labelled, excluded, labels };
        let (windows, whole, fingerprint) = (HashMap::new(), HashMap::new(), Fingerprint::default());
        Reader { input, shingle, label, windows, whole, fingerprint, history }
    }

    fn file(&mut self, source: &Source, stop: &Stop) -> Result<(), InputError> {
        let mut rows = self.open(source, stop)?;
        self.check_times(source, &rows)?;
        let bar = rows.progress().1.map(|bytes| bar(bytes, &source.name));
        while let Some(row) = rows.next().transpose()? {
            if stop.is_requested() {
                break;
            }
            let label = self.label.as_ref().map(|_| is_anomalous(row.label.as_deref()));
            match (row.outcome, label.transpose()) {
                (Ok(reading), Ok(is_labelled)) => self.take_in(source, reading, is_labelled == Some(true)),
                (Err(reject), _) => self.reject(source, row.number, &reject.reject),
                (Ok(_), Err(why)) => self.reject(source, row.number, &why),
            }
            if let Some(bar) = bar.as_ref().filter(|_| row.number.is_multiple_of(ROWS_A_STEP)) {
                bar.set_position(rows.progress().0);
            }
        }
        bar.iter().for_each(|bar| bar.finish_and_clear());
        Ok(())
    }

    fn open(&mut self, source: &Source, stop: &Stop) -> Result<Rows, InputError> {
        let rows = match &self.label {
            Some(label) => Rows::open_labelled(source, &self.input, label, stop)?,
            None => Rows::open(source, &self.input, stop)?,
        };
        if self.history.features.is_empty() {
            rows.notes().iter().for_each(|note| say(&format!("{}: {note}", source.name)));
            self.history.features = rows.feature_names().to_vec();
            // The other files have to be of the same kind: what was found in the first is asked of them.
            self.input.features.clone_from(&rows.input().features);
        }
        Ok(rows)
    }

    fn reject(&mut self, source: &Source, row: u64, why: &dyn Display) {
        self.history.left_out.rejected += 1;
        if self.history.left_out.rejected <= TOLD as u64 {
            say(&format!("{}: row {row} is left out: {why}", source.name));
        }
    }

    /// # Errors
    /// If periods are given and nothing says when a reading was.
    fn check_times(&self, source: &Source, rows: &Rows) -> Result<(), InputError> {
        let asked = !(self.history.excluded.is_empty() && self.history.labels.is_empty());
        if asked && rows.input().time.is_none() {
            return Err(InputError {
                input: source.name.clone(),
                problem: "it has no time column, and periods are to be left out".to_owned(),
                hint: Some("name the column with --time".to_owned()),
            });
        }
        Ok(())
    }

    fn take_in(&mut self, source: &Source, reading: Reading, is_labelled: bool) {
        let History { excluded, labels, left_out, rows, labelled, .. } = &mut self.history;
        let (series, name, at) = (reading.series.as_str(), source.name.as_str(), reading.at);
        let has_labels = self.label.is_some() || !labels.is_empty();
        let is_excluded = excluded.take_in(series, name, at);
        let is_anomalous = labels.take_in(series, name, at) || is_labelled;
        left_out.excluded += u64::from(is_excluded);
        left_out.labelled += u64::from(is_anomalous && !is_excluded);
        if is_excluded || is_anomalous {
            self.fingerprint.take_in(&reading.features);
            // What follows what is only known without a gap between.
            self.windows.remove(&reading.series);
        } else {
            rows.extend(row(&mut self.windows, &reading, self.shingle));
        }
        if has_labels {
            let row = row(&mut self.whole, &reading, self.shingle);
            labelled.extend(row.filter(|_| is_anomalous && !is_excluded));
        }
    }

    fn finish(self) -> anyhow::Result<History> {
        let mut history = self.history;
        history.left_out.sha256 = self.fingerprint.finish();
        let there = history.excluded.counted().filter(|(_, readings)| *readings > 0);
        history.left_out.periods =
            there.take(PERIODS_LISTED_MAX).map(|(period, _)| period.to_string()).collect();
        let LeftOut { rejected, excluded, labelled, .. } = history.left_out;
        if let more @ 1.. = rejected.saturating_sub(TOLD as u64) {
            say(&format!("… and {}", count(more, "more row")));
        }
        tell_empty("exclude", &history.excluded);
        tell_empty("label", &history.labels);
        if history.rows.is_empty() && rejected + excluded + labelled > 0 {
            let left = [(rejected, "rejected"), (excluded, "excluded"), (labelled, "labelled as anomalous")];
            let left = left.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
            bail!("no row can be learned: {}", left.collect::<Vec<_>>().join(", "));
        }
        Ok(history)
    }
}

/// The row that ends with `reading`; the first readings of a series have too few before them.
fn row(windows: &mut HashMap<SeriesId, Window>, reading: &Reading, shingle: usize) -> Option<Vec<f64>> {
    if shingle == 1 {
        return Some(reading.features.clone());
    }
    let window = windows.entry(reading.series.clone()).or_default();
    match window.take_in_once(reading, shingle) {
        Windowed::Known { row, .. } => row,
        Windowed::Unknown(_) => None,
    }
}

/// What was asked for in vain is most likely mistyped, or in another zone. Periods of one file or series may be of
/// another run.
fn tell_empty(what: &str, periods: &Periods) {
    let all = periods.counted().count();
    if all > 1 && periods.counted().all(|(_, readings)| readings == 0) {
        return say(&format!("note: none of the {all} periods to {what} holds a reading of this history"));
    }
    let is_empty =
        |(period, readings): &(&Period, u64)| *readings == 0 && (period.only.is_none() || all == 1);
    for (period, _) in periods.counted().filter(is_empty).take(TOLD) {
        say(&format!("note: the period to {what}, {period}, holds no reading of this history"));
    }
}

/// What a label says: a number that is 0 or not, or a word.
///
/// # Errors
/// It is neither, or there is none.
fn is_anomalous(label: Option<&str>) -> Result<bool, String> {
    let label = label.filter(|label| !label.is_empty()).ok_or("it has no label")?;
    if let Some(number) = label.parse::<f64>().ok().filter(|number| number.is_finite()) {
        return Ok(number != 0.0);
    }
    match label.to_ascii_lowercase().as_str() {
        "true" | "yes" => Ok(true),
        "false" | "no" => Ok(false),
        _ => {
            let label: String = label.chars().take(40).collect();
            Err(format!("its label is {label:?}, neither a number nor true or false"))
        }
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
