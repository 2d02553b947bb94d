//! Embedded detectors: how strange is this reading, for a series that is learned as it goes or for a
//! model that was trained before and is frozen.
//!
//! Pure: no clock, no environment, no log, no runtime. Randomness comes from a seed that the caller gives,
//! so the same readings and the same seed make the same scores, on any day, after any number of restarts.
//!
//! ```
//! use anomaly_detect::{Detector, Forest, ForestOptions};
//!
//! let mut forest = Forest::new(ForestOptions { seed: 7, ..ForestOptions::default() })?;
//! for n in 0..300 {
//!     forest.learn(&[f64::from(n % 10)])?;
//! }
//! let (usual, strange) = (forest.score(&[4.0])?, forest.score(&[70.0])?);
//! assert!(strange > usual);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Start with [`Detector`], [`Streaming`] (the default: small and quick), [`Forest`] and [`Model`].

mod artifact;
mod canonical;
mod detector;
mod forest;
mod model;
mod scale;
mod sealed;
mod streaming;
mod trees;

pub use artifact::ArtifactError;
pub use detector::{Detector, InputError, WIDTH_MAX};
pub use forest::{Forest, ForestOptions};
pub use model::{
    Fingerprint, LeftOut, Model, PERIODS_LISTED_MAX, Progress, ROWS_MIN, SHINGLE_MAX, TrainError,
    TrainOptions,
};
pub use sealed::StateError;
pub use streaming::{Period, PeriodError, Streaming, StreamingOptions};
pub use trees::{Boxes, OptionsError};
