//! The streaming detector: a few hundred numbers for each series, no training, no settings.

mod channel;
mod grid;
mod recent;
mod season;
mod tail;

use serde::{Deserialize, Serialize};

use crate::detector::{self, Detector, InputError};
use crate::sealed::{self, StateError};
use channel::Channel;

/// The most features of one reading.
const FEATURES_MAX: usize = 1_000;

/// The surprise, in nats, at which the score is 0.5.
///
/// exp(-11.5) is one reading in 100,000, for each of the twelve statistics: together some one alert in 10,000
/// readings of noise, which is what a test holds.
const BAR: f64 = 11.5;

/// Readings before the first score: six blocks of 16, and a few more for the longest look.
const WARMUP: u64 = 100;

/// An alarm is over after so many readings below the bar; until then another needs to be so many times as
/// surprising.
const QUIET: u64 = 64;
const CLEARLY_WORSE: f64 = 3.0;

/// More than any series will ever have: a state that says more is no state.
const READINGS_MAX: u64 = 1 << 60;

/// The forest and this detector seal their states the same way; this tells them apart.
const KIND: [u8; 4] = *b"strm";

/// How a [`Streaming`] is built: `StreamingOptions::default()` for any series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamingOptions {
    /// Readings in a period of the season, 2 to 1,000,000; absent: found from the data, if there is one.
    pub period: Option<u32>,
}

/// A detector for any series: five questions about each reading, every answer a tail probability, and their sum a
/// score from 0 to 1 that means the same for every series.
///
/// Is the value out of the range it has had? Does it jump? Has the level changed (12 readings against the 12
/// before, 48 against 48)? Are the readings more restless, or quieter, than ever (24 readings)? Is this time
/// unlike the same time of the last periods of the season? Each answer is compared with its own history of
/// block maxima, so that units, offsets and noise do not matter, and a score of 0.5 says: less than once in
/// 10,000 readings, if the series goes on as it was.
///
/// - **Univariate or multivariate.** Every feature has its own answers; they count together as a feature's
///   own do, and the more features there are, the clearer one must be.
/// - **Season.** The period is found from the data and watched; what this time is like is the median of the
///   last four periods.
/// - **Trend.** What follows the level (jumps, steps, spread, season) does not mind it; the range follows
///   within its memory.
/// - **Memory.** Tails forget after 3,000 to 6,000 readings. A reading is learned up to four times the way to
///   the bar: the fault that was reported does not hide the next one. What stays becomes usual, as the bar
///   rises with every block.
/// - **State.** At most 4,096 bytes for one feature, 3.4 KB for each of several. Exact: saved and loaded, it
///   goes on to the same bits. No randomness at all.
///
/// ```
/// use anomaly_detect::{Detector, Streaming, StreamingOptions};
///
/// let mut detector = Streaming::new(StreamingOptions::default())?;
/// for n in 0..300 {
///     detector.learn(&[f64::from(n % 10)])?;
/// }
/// assert!(detector.score(&[0.0])? < Some(0.5));
/// assert!(detector.score(&[70.0])? > Some(0.5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Streaming {
    state: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    kind: [u8; 4],
    options: StreamingOptions,
    readings_learned: u64,
    /// The reading from which an alarm is a new one.
    quiet_until: u64,
    /// The surprise of the last alarm.
    alarm: f64,
    /// One for each feature; empty before the first reading.
    channels: Vec<Channel>,
}

impl Default for Streaming {
    /// A detector that has learned nothing and finds the period itself.
    fn default() -> Self {
        Streaming::unlearned(StreamingOptions::default())
    }
}

impl Streaming {
    /// A detector that has learned nothing.
    ///
    /// # Errors
    /// [`PeriodError`] if the period is outside its range.
    pub fn new(options: StreamingOptions) -> Result<Streaming, PeriodError> {
        match options.period {
            Some(period) if !(2..=1_000_000).contains(&period) => Err(PeriodError { period }),
            _ => Ok(Streaming::unlearned(options)),
        }
    }

    fn unlearned(options: StreamingOptions) -> Streaming {
        let state = State {
            kind: KIND,
            options,
            readings_learned: 0,
            quiet_until: 0,
            alarm: 0.0,
            channels: Vec::new(),
        };
        Streaming { state }
    }

    /// The detector that [`Detector::save`] wrote: it goes on exactly where it stopped.
    ///
    /// # Errors
    /// [`StateError`] if a newer build wrote the bytes, or if they are not what was written.
    pub fn load(bytes: &[u8]) -> Result<Streaming, StateError> {
        let state: State = sealed::open(bytes)?;
        let season_blocks = state.season_blocks();
        let fits = state.kind == KIND
            && state.options.period.is_none_or(|period| (2..=1_000_000).contains(&period))
            && state.channels.len() <= FEATURES_MAX
            && state.channels.is_empty() == (state.readings_learned == 0)
            && state.alarm.is_finite()
            && state.readings_learned <= READINGS_MAX
            && state.quiet_until <= state.readings_learned + QUIET
            && state.channels.iter().all(|channel| channel.is_sound(season_blocks));
        if fits {
            Ok(Streaming { state })
        } else {
            Err(StateError::Damaged { detail: "its parts do not fit together".to_owned() })
        }
    }

    /// As [`Detector::score`], but above 0.5 only where an alarm begins: one alert for one fault.
    ///
    /// After an alarm, and until 64 readings in a row have been below the bar, only a reading three times as
    /// surprising is above 0.5 again. For a receiver who keeps no alert's life himself; who does needs
    /// [`Detector::score`], which stays high while the fault lasts.
    ///
    /// # Errors
    /// As for [`Detector::score`].
    pub fn onset(&self, features: &[f64]) -> Result<Option<f64>, InputError> {
        self.state.check(features)?;
        let state = &self.state;
        let is_quiet = state.readings_learned < state.quiet_until;
        let bar = if is_quiet { BAR.max(CLEARLY_WORSE * state.alarm) } else { BAR };
        Ok(state.surprise(features).map(|surprise| scored(surprise, bar)))
    }

    /// How sure the detector is of its scores: 0 (there are none yet) to 1, the share of its memory that is
    /// filled.
    pub fn certainty(&self) -> f64 {
        let known = self.state.channels.iter().map(Channel::blocks).min().unwrap_or(0);
        let is_warm = self.state.readings_learned >= WARMUP;
        // Half of the blocks are always there once the memory was full.
        let full = tail::BLOCKS_MAX as f64 / 2.0;
        if is_warm { (known as f64 / full).min(1.0) } else { 0.0 }
    }

    /// Readings in a period of each feature's season; `None` where there is no season, or none yet.
    pub fn periods(&self) -> Vec<Option<f64>> {
        self.state.channels.iter().map(Channel::period).collect()
    }

    /// Readings learned since it was new.
    pub fn readings_learned(&self) -> u64 {
        self.state.readings_learned
    }

    /// Tells that `readings` never came, at most 100,000 of them: the season goes on, nothing is learned.
    pub fn skip(&mut self, readings: u32) {
        let season_blocks = self.state.season_blocks();
        for channel in &mut self.state.channels {
            for _ in 0..readings.min(100_000) {
                channel.skip(season_blocks);
            }
        }
    }
}

impl Detector for Streaming {
    fn score(&self, features: &[f64]) -> Result<Option<f64>, InputError> {
        self.state.check(features)?;
        Ok(self.state.surprise(features).map(|surprise| scored(surprise, BAR)))
    }

    fn learn(&mut self, features: &[f64]) -> Result<(), InputError> {
        self.state.check(features)?;
        self.state.learn(features);
        Ok(())
    }

    fn expected(&self) -> Option<Vec<f64>> {
        let channels = &self.state.channels;
        (!channels.is_empty()).then(|| channels.iter().map(Channel::expected).collect())
    }

    fn attribution(&self, features: &[f64]) -> Result<Option<Vec<f64>>, InputError> {
        self.state.check(features)?;
        if self.state.readings_learned < WARMUP {
            return Ok(None);
        }
        Ok(Some(detector::shares(of_the_largest(&self.state.surprises(features)))))
    }

    fn save(&self) -> Vec<u8> {
        sealed::seal(&self.state)
    }
}

impl State {
    fn width(&self) -> Option<usize> {
        (!self.channels.is_empty()).then_some(self.channels.len())
    }

    fn season_blocks(&self) -> usize {
        channel::season_blocks(self.channels.len())
    }

    fn check(&self, features: &[f64]) -> Result<(), InputError> {
        detector::check(features, self.width(), FEATURES_MAX)
    }

    fn surprises(&self, features: &[f64]) -> Vec<f64> {
        self.channels.iter().zip(features).map(|(channel, &value)| channel.surprise(value)).collect()
    }

    /// Of all features together, in nats; `None` before the first score. With more features there are more
    /// chances to be surprised, by their number (Bonferroni).
    fn surprise(&self, features: &[f64]) -> Option<f64> {
        if self.readings_learned < WARMUP {
            return None;
        }
        let surprises = self.channels.iter().zip(features).map(|(channel, &value)| channel.surprise(value));
        Some((channel::clearest(surprises) - (self.channels.len() as f64).ln()).max(0.0))
    }

    fn learn(&mut self, features: &[f64]) {
        if let Some(surprise) = self.surprise(features)
            && surprise >= BAR
        {
            let is_quiet = self.readings_learned < self.quiet_until;
            if !is_quiet || surprise >= CLEARLY_WORSE * self.alarm {
                self.alarm = surprise;
            }
            self.quiet_until = self.readings_learned + QUIET;
        }
        if self.channels.is_empty() {
            let channel = |&value: &f64| Channel::new(value, self.options.period);
            self.channels = features.iter().map(channel).collect();
        }
        let season_blocks = self.season_blocks();
        for (channel, &value) in self.channels.iter_mut().zip(features) {
            channel.learn(value, BAR, season_blocks);
        }
        self.readings_learned += 1;
    }
}

/// What each of `surprises` (0 or more) contributes to the largest of them, which is what counts: its Shapley value,
/// where what several have alike is shared among them. Together they are the largest.
///
/// Source: Littlechild and Owen (1973), "A simple expression for the Shapley value in a special case" (the airport
/// game).
fn of_the_largest(surprises: &[f64]) -> Vec<f64> {
    let mut ascending: Vec<usize> = (0..surprises.len()).collect();
    ascending.sort_by(|&a, &b| surprises[a].total_cmp(&surprises[b]));
    let mut parts = vec![0.0; surprises.len()];
    let (mut shared, mut below) = (0.0, 0.0);
    for (lower, &feature) in ascending.iter().enumerate() {
        shared += (surprises[feature] - below) / (surprises.len() - lower) as f64;
        below = surprises[feature];
        parts[feature] = shared;
    }
    parts
}

/// A surprise (0 or more) as a score from 0 to 1, 0.5 at the bar.
fn scored(surprise: f64, bar: f64) -> f64 {
    surprise / (surprise + bar)
}

/// A period outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodError {
    /// What was given.
    pub period: u32,
}

impl std::fmt::Display for PeriodError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a period of {} readings: must be 2 to 1000000", self.period)
    }
}

impl std::error::Error for PeriodError {}

#[cfg(test)]
mod tests {
    use super::of_the_largest;

    #[test]
    fn what_is_alike_is_shared() {
        assert_eq!(of_the_largest(&[12.0, 0.0, 0.0]), [12.0, 0.0, 0.0]);
        assert_eq!(of_the_largest(&[6.0, 6.0]), [3.0, 3.0]);
        // Four up to 4, three up to 7, one alone up to 12.
        assert_eq!(of_the_largest(&[7.0, 12.0, 4.0, 7.0]), [2.0, 7.0, 1.0, 2.0]);
    }
}
