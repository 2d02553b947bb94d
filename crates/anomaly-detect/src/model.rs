//! A frozen model: trained once on a history, then one row in, one score out, for ever the same.

use std::fmt;

use crate::detector::{self, InputError, WIDTH_MAX};
use crate::scale::{self, Scale};
use crate::trees::{self, Boxes, Fading, OptionsError, Plan, Trees};

/// The fewest rows a model can be trained on.
pub const ROWS_MIN: usize = 32;

/// Parts of the training rows, each scored by a forest that has not seen it.
const FOLDS: usize = 5;

/// The most rows that are scored for the calibration; of a longer history every second, third … is taken. The mean of so
/// many scores is known to a hundredth of their deviation.
const CALIBRATION_ROWS_MAX: usize = 20_000;

/// How a [`Model`] is trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainOptions {
    /// Names of the features, in the order of the rows; if empty, `feature_1`, `feature_2` and so on.
    pub features: Vec<String>,
    /// Trees, 1 to 1000.
    pub trees: usize,
    /// Rows kept by each tree, 2 to 2048.
    pub sample_size: usize,
    /// Where the randomness comes from.
    pub seed: u64,
}

impl Default for TrainOptions {
    /// 100 trees of 256 rows, as SageMaker's Random Cut Forest has by default; seed 0; features not named.
    fn default() -> Self {
        TrainOptions { features: Vec::new(), trees: 100, sample_size: 256, seed: 0 }
    }
}

/// Mean and standard deviation of the scores of normal rows, to be judged against: SageMaker's advice is to call
/// a row anomalous whose score lies more than three deviations above the mean.
///
/// Training rows scored by the very trees that hold them would look more familiar than any new row can. So the
/// history is cut into five parts, and the rows of each are scored by a forest trained on the other four: these
/// scores are like those of new rows of the same kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Mean score, in the scores' unit.
    pub mean: f64,
    /// Standard deviation of the scores (of the population), in the scores' unit; 0 or more.
    pub deviation: f64,
}

/// A frozen random cut forest with all that is needed to use it: names and scales of its features, and the
/// [`Calibration`] of its scores.
///
/// One row in, one score out, in no order and without memory, as SageMaker's own Random Cut Forest does (a shingle of
/// 1): a series' history is not part of the question.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) features: Vec<String>,
    pub(crate) rows_trained: u64,
    pub(crate) seed: u64,
    pub(crate) trees_count: usize,
    pub(crate) sample_size: usize,
    pub(crate) calibration: Calibration,
    pub(crate) scales: Vec<Scale>,
    pub(crate) trees: Trees,
    pub(crate) id: String,
}

impl Model {
    /// Trains on the rows of a history, each with the features in the same order.
    ///
    /// The same rows, options and build make the same model, byte for byte.
    ///
    /// # Errors
    /// [`TrainError`]: fewer than [`ROWS_MIN`] rows, a row that cannot be learned, names that do not match the rows, or
    /// sizes outside their ranges.
    pub fn train(
        rows: impl IntoIterator<Item = Vec<f64>>,
        options: &TrainOptions,
    ) -> Result<Model, TrainError> {
        trees::check_sizes(options.trees, options.sample_size, 1).map_err(TrainError::Options)?;
        let rows = checked(rows)?;
        let width = rows[0].len();
        let features = named(&options.features, width)?;
        let scales = scale::fit_all(rows.iter().map(Vec::as_slice), width);
        let points: Vec<Vec<f32>> = rows.iter().map(|row| scale::apply_all(&scales, row)).collect();
        drop(rows);
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
            rows_trained: points.len() as u64,
            seed: options.seed,
            trees_count: options.trees,
            sample_size: options.sample_size,
            calibration: calibrate(&plan, &points)?,
            scales,
            trees: grow(&plan, points.iter())?,
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
    pub fn score(&self, features: &[f64]) -> Result<f64, InputError> {
        detector::check(features, Some(self.features.len()), WIDTH_MAX)?;
        let point = scale::apply_all(&self.scales, features);
        Ok(self.trees.score(&point).expect("trees that were read or trained whole answer every finite point"))
    }

    /// A short hash of the model's bytes: 12 hexadecimal digits, the beginning of the SHA-256 of its `model.json`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Names of the features, in the order that [`Model::score`] takes them.
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// What scores of normal rows look like.
    pub fn calibration(&self) -> Calibration {
        self.calibration
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
    /// The names given do not match the rows.
    Names {
        /// Features of a row.
        expected: usize,
        /// Names given.
        found: usize,
    },
    /// The trees' own check of their state failed: a fault of this program, not of the data.
    Inconsistent,
}

impl fmt::Display for TrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrainError::Options(problem) => write!(f, "{problem}"),
            TrainError::TooFewRows { found, least } => write!(
                f,
                "{found} rows are too few to train on: at least {least} are needed\n\
                 hint: a few hundred rows of normal operation make a useful model"
            ),
            TrainError::Row { row_idx, problem } => write!(f, "row {}: {problem}", row_idx + 1),
            TrainError::Names { expected, found } => {
                write!(f, "{found} feature names for rows of {expected} features")
            }
            TrainError::Inconsistent => {
                f.write_str("the trees contradict themselves; please report this history")
            }
        }
    }
}

impl std::error::Error for TrainError {}

/// All rows, if all can be learned and there are enough.
fn checked(rows: impl IntoIterator<Item = Vec<f64>>) -> Result<Vec<Vec<f64>>, TrainError> {
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
    match rows.len() {
        found if found < ROWS_MIN => Err(TrainError::TooFewRows { found, least: ROWS_MIN }),
        _ => Ok(rows),
    }
}

fn named(names: &[String], width: usize) -> Result<Vec<String>, TrainError> {
    match names.len() {
        0 => Ok((1..=width).map(|n| format!("feature_{n}")).collect()),
        found if found == width => Ok(names.to_vec()),
        found => Err(TrainError::Names { expected: width, found }),
    }
}

fn grow<'a>(plan: &Plan, points: impl Iterator<Item = &'a Vec<f32>>) -> Result<Trees, TrainError> {
    let mut trees = Trees::new(plan).map_err(TrainError::Options)?;
    for point in points {
        trees.learn(point).map_err(|_| TrainError::Inconsistent)?;
    }
    Ok(trees)
}

/// Scores each fold by a forest of the other folds. Row `i` is in fold `i` modulo 5, so that each fold has rows of all
/// of the history's phases.
fn calibrate(plan: &Plan, points: &[Vec<f32>]) -> Result<Calibration, TrainError> {
    let points: Vec<_> = points.iter().step_by(points.len().div_ceil(CALIBRATION_ROWS_MAX)).collect();
    let fold = |fold_idx: usize, inside: bool| {
        let rows = points.iter().enumerate();
        rows.filter(move |(i, _)| (i % FOLDS == fold_idx) == inside).map(|(_, point)| *point)
    };
    let mut scores = Vec::with_capacity(points.len());
    for fold_idx in 0..FOLDS {
        let trees = grow(plan, fold(fold_idx, false))?;
        for point in fold(fold_idx, true) {
            scores.push(trees.score(point).map_err(|_| TrainError::Inconsistent)?);
        }
    }
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / n;
    Ok(Calibration { mean, deviation: variance.sqrt() })
}
