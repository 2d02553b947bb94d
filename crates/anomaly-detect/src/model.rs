//! A frozen model: trained once on a history, then one row in, one score out, for ever the same.

use std::fmt;
use std::ops::ControlFlow;

use anomaly_core::calibration::Calibration;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::artifact;
use crate::detector::{self, InputError, WIDTH_MAX};
use crate::scale::{self, Scale};
use crate::trees::{self, Boxes, Fading, OptionsError, Plan, Trees};

/// The fewest rows a model can be trained on, for each reading of a row.
pub const ROWS_MIN: usize = 32;

/// The most readings of a row, as the configuration's `model.shingle` has it.
pub const SHINGLE_MAX: usize = 128;

/// Parts of the training rows, each scored by a forest that has not seen it.
const FOLDS: usize = 5;

/// The most rows that are scored for the calibration; of a longer history every second, third … is taken. The mean of so
/// many scores is known to a hundredth of their deviation.
const CALIBRATION_ROWS_MAX: usize = 20_000;

/// Rows learned between two words of how far training is: some tens of milliseconds.
const ROWS_BETWEEN_WORDS: u64 = 1000;

/// How far a training is, in rows that trees learn: those of the model, and those of the forests it is calibrated by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Rows learned.
    pub done: u64,
    /// Rows there are to learn, from the first word on; never less than `done`.
    pub all: u64,
}

/// The most periods that a [`LeftOut`] lists: an artifact has room for names of many features besides.
pub const PERIODS_LISTED_MAX: usize = 1000;

/// What a history has that a model was not trained on; of readings, not of rows of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Records that could not be read.
    pub rejected: u64,
    /// Readings in periods that were to be left out.
    pub excluded: u64,
    /// Readings that are known to be anomalous and in no such period.
    pub labelled: u64,
    /// The periods that were to be left out, in words, the first [`PERIODS_LISTED_MAX`] that hold readings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub periods: Vec<String>,
    /// The [`Fingerprint`] of the readings that were excluded or labelled.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
}

/// How a [`Model`] is trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainOptions {
    /// Names of a reading's features, in the order of the rows; if empty, `feature_1`, `feature_2` and so on.
    pub features: Vec<String>,
    /// Readings per row, 1 to [`SHINGLE_MAX`]: a row is their features one reading after the other, the oldest
    /// first.
    pub shingle: usize,
    /// Trees, 1 to 1000.
    pub trees: usize,
    /// Rows kept by each tree, 2 to 2048.
    pub sample_size: usize,
    /// Where the randomness comes from.
    pub seed: u64,
    /// What of the history is not among the rows: the artifact says so.
    pub left_out: LeftOut,
}

impl Default for TrainOptions {
    /// 100 trees of 256 rows, as SageMaker's Random Cut Forest has by default; seed 0; one reading a row; features not
    /// named; nothing left out.
    fn default() -> Self {
        let left_out = LeftOut::default();
        TrainOptions { features: Vec::new(), shingle: 1, trees: 100, sample_size: 256, seed: 0, left_out }
    }
}

impl TrainOptions {
    /// What is outside its range, a sentence each; none, if a model can be trained so.
    pub fn problems(&self) -> Vec<String> {
        let sizes = trees::check_sizes(self.trees, self.sample_size, 1).err();
        let mut problems = sizes.map(|error| error.problems().to_vec()).unwrap_or_default();
        if !(1..=SHINGLE_MAX).contains(&self.shingle) {
            problems.push(TrainError::Shingle { shingle: self.shingle }.to_string());
        }
        problems
    }
}

/// A frozen random cut forest with all that is needed to use it: names and scales of its features, and the
/// [`Calibration`] of its scores.
///
/// One row in, one score out, in no order and without memory, as SageMaker's own Random Cut Forest does. A row is one
/// reading, or, for a model with a shingle, the last readings of a series, which whoever asks has put together.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) features: Vec<String>,
    pub(crate) shingle: usize,
    pub(crate) rows_trained: u64,
    pub(crate) history_sha256: Option<String>,
    pub(crate) left_out: LeftOut,
    pub(crate) seed: u64,
    pub(crate) trees_count: usize,
    pub(crate) sample_size: usize,
    pub(crate) calibration: Calibration,
    pub(crate) scales: Vec<Scale>,
    pub(crate) trees: Trees,
    pub(crate) id: String,
}

impl Model {
    /// Trains on the rows of a history, each with the features in the same order, or with those of as many readings as
    /// the options' shingle says, the oldest first.
    ///
    /// The same rows, options and build make the same model, byte for byte.
    ///
    /// # Errors
    /// [`TrainError`]: fewer than [`ROWS_MIN`] rows for each reading of a row, a row that cannot be learned, names that
    /// do not match the rows, or sizes outside their ranges.
    pub fn train(
        rows: impl IntoIterator<Item = Vec<f64>>,
        options: &TrainOptions,
    ) -> Result<Model, TrainError> {
        Model::train_watched(rows, options, &mut |_| ControlFlow::Continue(()))
    }

    /// As [`Model::train`]; `watch` is told how far it is, at first and after each thousand rows, and may end it.
    /// What it says makes no difference to the model.
    ///
    /// # Errors
    /// Those of [`Model::train`], and [`TrainError::Stopped`] if `watch` ended it.
    pub fn train_watched(
        rows: impl IntoIterator<Item = Vec<f64>>,
        options: &TrainOptions,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Model, TrainError> {
        trees::check_sizes(options.trees, options.sample_size, 1).map_err(TrainError::Options)?;
        let shingle = options.shingle;
        if !(1..=SHINGLE_MAX).contains(&shingle) {
            return Err(TrainError::Shingle { shingle });
        }
        let rows = checked(rows, shingle)?;
        let width = rows[0].len();
        let features = named(&options.features, width, shingle)?;
        let history_sha256 = fingerprint(&rows);
        // A feature has one scale, wherever in a row it stands: every reading but a few is the last of a row.
        let last = rows.iter().map(|row| &row[width - features.len()..]);
        let scales = scale::fit_all(last, features.len());
        let points: Vec<Vec<f32>> = rows.iter().map(|row| scale::apply_all(&scales, row)).collect();
        drop(rows);
        let folds = Folds::of(points.len(), shingle);
        let mut work =
            Work { progress: Progress { done: 0, all: folds.learned() + points.len() as u64 }, watch };
        work.tell()?;
        let plan = Plan {
            width,
            shingle: 1,
            trees: options.trees,
            sample_size: options.sample_size,
            seed: options.seed,
            fading: Fading::Never,
            boxes: Boxes::Kept,
        };
        let model = Model {
            features,
            shingle,
            rows_trained: points.len() as u64,
            history_sha256: Some(history_sha256),
            left_out: options.left_out.clone(),
            seed: options.seed,
            trees_count: options.trees,
            sample_size: options.sample_size,
            calibration: calibrate(&plan, &points, &folds, &mut work)?,
            scales,
            trees: grow(&plan, points.iter(), &mut work)?,
            id: String::new(),
        };
        Ok(model.identified())
    }

    /// How strange a row is: finite, 0 to about 8, around 1 for what is usual, higher is stranger.
    ///
    /// The same artifact and row give the same bits.
    ///
    /// # Errors
    /// [`InputError`] if the row has another width than the training rows, or is not finite.
    pub fn score(&self, row: &[f64]) -> Result<f64, InputError> {
        detector::check(row, Some(self.trees.width()), WIDTH_MAX)?;
        let point = scale::apply_all(&self.scales, row);
        Ok(self.trees.score(&point).expect("trees that were read or trained whole answer every finite point"))
    }

    /// A short hash of the model's bytes: 12 hexadecimal digits, the beginning of the SHA-256 of its `model.json`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Names of a reading's features, in the order that [`Model::score`] takes them.
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// Readings per row, 1 or more.
    pub fn shingle(&self) -> usize {
        self.shingle
    }

    /// What each number of a row is: its feature's name, and of an earlier reading how many it is back, `cpu[-1]`.
    pub fn columns(&self) -> Vec<String> {
        let reading = |back: usize| {
            let column = move |name: &String| match back {
                0 => name.clone(),
                back => format!("{name}[-{back}]"),
            };
            self.features.iter().map(column)
        };
        (0..self.shingle).rev().flat_map(reading).collect()
    }

    /// What scores of normal rows look like, to be judged against.
    ///
    /// Training rows scored by the very trees that hold them would look more familiar than any new row can. So the
    /// history is cut into parts, and the rows of each are scored by a forest that has seen none of their readings:
    /// these scores are like those of new rows of the same kind.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// The SHA-256 of the rows it was trained on, 64 hexadecimal digits; `None` of a model that does not say, from
    /// version 1 of the artifact.
    pub fn history_sha256(&self) -> Option<&str> {
        self.history_sha256.as_deref()
    }

    /// What of its history it was not trained on.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// Rows it was trained on.
    pub fn rows_trained(&self) -> u64 {
        self.rows_trained
    }

    /// The seed it was trained with.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

/// Why a model cannot be trained.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainError {
    /// Sizes outside their ranges.
    Options(OptionsError),
    /// Another number of readings per row than 1 to [`SHINGLE_MAX`].
    Shingle {
        /// How many were asked for.
        shingle: usize,
    },
    /// The history is too short.
    TooFewRows {
        /// Its rows.
        found: usize,
        /// The fewest it must have.
        least: usize,
    },
    /// A row cannot be learned.
    Row {
        /// Which one, from 0.
        row_idx: usize,
        /// What is wrong with it.
        problem: InputError,
    },
    /// The names given do not match the rows, or the rows do not consist of so many readings.
    Names {
        /// Numbers of a row.
        expected: usize,
        /// Names given.
        found: usize,
    },
    /// Who watched ended it.
    Stopped,
    /// The trees' own check of their state failed: a fault of this program, not of the data.
    Inconsistent,
}

impl fmt::Display for TrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrainError::Options(problem) => write!(f, "{problem}"),
            TrainError::Shingle { shingle } => {
                write!(f, "{shingle} readings a row are not 1 to {SHINGLE_MAX}")
            }
            TrainError::TooFewRows { found, least } => {
                let hint = match least / ROWS_MIN {
                    1 => "a few hundred rows of normal operation make a useful model",
                    _ => "rows of fewer readings need less of a history",
                };
                let rows = if *found == 1 { "1 row is" } else { &format!("{found} rows are") };
                write!(f, "{rows} too few to train on: at least {least} are needed\nhint: {hint}")
            }
            TrainError::Row { row_idx, problem } => write!(f, "row {}: {problem}", row_idx + 1),
            TrainError::Names { expected, found } => {
                write!(f, "{found} feature names for rows of {expected} features")
            }
            TrainError::Stopped => f.write_str("stopped before the end"),
            TrainError::Inconsistent => {
                f.write_str("the trees contradict themselves; please report this history")
            }
        }
    }
}

impl std::error::Error for TrainError {}

/// All rows, if all can be learned and there are enough.
fn checked(rows: impl IntoIterator<Item = Vec<f64>>, shingle: usize) -> Result<Vec<Vec<f64>>, TrainError> {
    let mut width = None;
    let rows: Vec<Vec<f64>> = rows
        .into_iter()
        .enumerate()
        .map(|(row_idx, row)| {
            detector::check(&row, width, WIDTH_MAX)
                .map_err(|problem| TrainError::Row { row_idx, problem })?;
            width = Some(row.len());
            Ok(row)
        })
        .collect::<Result<_, _>>()?;
    match (rows.len(), ROWS_MIN * shingle) {
        (found, least) if found < least => Err(TrainError::TooFewRows { found, least }),
        _ => Ok(rows),
    }
}

fn named(names: &[String], width: usize, shingle: usize) -> Result<Vec<String>, TrainError> {
    match names.len() {
        0 if width.is_multiple_of(shingle) => {
            Ok((1..=width / shingle).map(|n| format!("feature_{n}")).collect())
        }
        found if found * shingle == width && found > 0 => Ok(names.to_vec()),
        found => Err(TrainError::Names { expected: width, found: found * shingle }),
    }
}

/// The SHA-256 of rows of numbers: of each the number of its values, then the values, all as 64 bits, the lowest byte
/// first.
#[derive(Clone, Debug, Default)]
pub struct Fingerprint {
    hash: Sha256,
    rows: u64,
}

impl Fingerprint {
    /// Takes in the next row.
    pub fn take_in(&mut self, row: &[f64]) {
        self.rows += 1;
        self.hash.update((row.len() as u64).to_le_bytes());
        row.iter().for_each(|value| self.hash.update(value.to_le_bytes()));
    }

    /// The hash of all rows, 64 hexadecimal digits; empty, if there were none.
    pub fn finish(self) -> String {
        if self.rows == 0 { String::new() } else { artifact::hex(&self.hash.finalize()) }
    }
}

fn fingerprint(rows: &[Vec<f64>]) -> String {
    let mut fingerprint = Fingerprint::default();
    rows.iter().for_each(|row| fingerprint.take_in(row));
    fingerprint.finish()
}

/// Training as it goes, and who is told of it.
struct Work<'w> {
    progress: Progress,
    watch: &'w mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl Work<'_> {
    fn learned_one(&mut self) -> Result<(), TrainError> {
        self.progress.done += 1;
        if self.progress.done.is_multiple_of(ROWS_BETWEEN_WORDS) { self.tell() } else { Ok(()) }
    }

    fn tell(&mut self) -> Result<(), TrainError> {
        match (self.watch)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(TrainError::Stopped),
        }
    }
}

fn grow<'a>(
    plan: &Plan,
    points: impl Iterator<Item = &'a Vec<f32>>,
    work: &mut Work,
) -> Result<Trees, TrainError> {
    let mut trees = Trees::new(plan).map_err(TrainError::Options)?;
    for point in points {
        trees.learn(point).map_err(|_| TrainError::Inconsistent)?;
        work.learned_one()?;
    }
    Ok(trees)
}

/// How the rows of a history are dealt out to be scored by a forest that has seen none of their readings.
///
/// Rows of one reading are dealt out in turn, so that each part has rows of all of the history's phases. Rows of several
/// share readings with their neighbours: they are dealt out by the block, and the rows that reach into a block are not
/// learned for it.
struct Folds {
    /// Each so many rows of the history one is taken.
    step: usize,
    /// How many are taken.
    rows: usize,
    /// How many rows before and behind it share readings with a row.
    reach: usize,
    block: usize,
}

impl Folds {
    fn of(rows: usize, shingle: usize) -> Folds {
        let step = rows.div_ceil(CALIBRATION_ROWS_MAX).max(1);
        let (rows, reach) = (rows.div_ceil(step), (shingle - 1) / step);
        let block = match reach {
            0 => 1,
            reach => (rows / (2 * FOLDS)).clamp(reach + 1, 8 * (reach + 1)),
        };
        Folds { step, rows, reach, block }
    }

    fn is_in(&self, row_idx: usize, fold_idx: usize) -> bool {
        row_idx / self.block % FOLDS == fold_idx
    }

    /// Whether the row has readings of rows of that part.
    fn touches(&self, row_idx: usize, fold_idx: usize) -> bool {
        [row_idx.saturating_sub(self.reach), row_idx, row_idx + self.reach]
            .iter()
            .any(|row_idx| self.is_in(*row_idx, fold_idx))
    }

    /// How many rows are learned for all parts together.
    fn learned(&self) -> u64 {
        let learned = |fold_idx| (0..self.rows).filter(move |row_idx| !self.touches(*row_idx, fold_idx));
        (0..FOLDS).map(|fold_idx| learned(fold_idx).count() as u64).sum()
    }
}

/// Scores each part of the rows by a forest that has seen none of their readings.
fn calibrate(
    plan: &Plan,
    points: &[Vec<f32>],
    folds: &Folds,
    work: &mut Work,
) -> Result<Calibration, TrainError> {
    let mut scores = Vec::with_capacity(folds.rows);
    for fold_idx in 0..FOLDS {
        let rows = || points.iter().step_by(folds.step).enumerate();
        let others = rows().filter(|(row_idx, _)| !folds.touches(*row_idx, fold_idx));
        let trees = grow(plan, others.map(|(_, point)| point), work)?;
        for (_, point) in rows().filter(|(row_idx, _)| folds.is_in(*row_idx, fold_idx)) {
            scores.push(trees.score(point).map_err(|_| TrainError::Inconsistent)?);
        }
    }
    Ok(Calibration::of(String::new(), scores))
}
