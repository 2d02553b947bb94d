//! The streaming detector: a few hundred numbers for each series, no training, no settings.

mod cadence;
mod channel;
mod codes;
mod grid;
mod pair;
mod past;
mod recent;
mod season;
mod tail;

use std::time::Duration;

use anomaly_core::config::Span;
use anomaly_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::detector::{self, Detector, InputError};
use crate::sealed::{self, StateError};
use cadence::Cadence;
use channel::{Channel, ChannelV1};

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
const CLEARLY_WORSE: f64 = 4.0;

/// More than any series will ever have: a state that says more is no state.
const READINGS_MAX: u64 = 1 << 60;

/// The forest and this detector seal their states the same way; this tells them apart.
const KIND: [u8; 4] = *b"strm";

/// The form of the state that this build writes: since 2 it knows of time.
const VERSION: u8 = 2;

/// How a [`Streaming`] is built: `StreamingOptions::default()` for any series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamingOptions {
    /// How long a period of the season is; absent: found from the data, if there is one.
    pub period: Option<Period>,
}

impl StreamingOptions {
    /// As `[model]` says, where a period that cannot be is refused; here it is none.
    pub fn of(period: Option<Span>) -> StreamingOptions {
        StreamingOptions { period: period.and_then(|span| Period::try_from(span).ok()) }
    }
}

/// How long a period of the season is: 2 to 1,000,000 readings, or a length of time.
///
/// A length of time is as many readings as come in it, by what [`Detector::pass`] is told. Where they come too
/// irregularly to tell, or fewer or more than that, the period is found from the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period(Length);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Length {
    Readings(u32),
    Millis(u64),
}

/// Readings in a period.
const PERIODS: std::ops::RangeInclusive<u32> = 2..=1_000_000;

impl Period {
    /// So many readings.
    ///
    /// # Errors
    /// [`PeriodError`] if they are not 2 to 1,000,000.
    pub fn readings(readings: u32) -> Result<Period, PeriodError> {
        Period::try_from(Span::Readings(readings))
    }

    /// So long.
    ///
    /// # Errors
    /// [`PeriodError`] if that is shorter than a millisecond.
    pub fn time(time: Duration) -> Result<Period, PeriodError> {
        Period::try_from(Span::Time(time))
    }

    fn is_sound(self) -> bool {
        match self.0 {
            Length::Readings(readings) => PERIODS.contains(&readings),
            Length::Millis(millis) => millis > 0,
        }
    }
}

impl TryFrom<Span> for Period {
    type Error = PeriodError;

    fn try_from(span: Span) -> Result<Period, PeriodError> {
        let period = Period(match span {
            Span::Readings(readings) => Length::Readings(readings),
            Span::Time(time) => Length::Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        });
        if period.is_sound() { Ok(period) } else { Err(PeriodError { period: span }) }
    }
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
/// - **Season.** The period is given, or found from the data and watched; what this time is like is the median of the
///   last four periods. Readings that never came are missed by their times: the season goes on without them.
/// - **Trend.** What follows the level (jumps, steps, spread, season) does not mind it; the range follows
///   within its memory.
/// - **Memory.** Tails forget after 3,000 to 6,000 readings. A reading is learned up to four times the way to
///   the bar: the fault that was reported does not hide the next one. What stays becomes usual, as the bar
///   rises with every block, and so does what has come three times within the memory, however brief.
/// - **State.** At most 4,096 bytes for up to four features, 1,280 for each of more. Exact: saved and loaded, it
///   goes on to the same bits. No randomness at all.
///
/// ```
/// use anomaly_detect::{Detector, Streaming, StreamingOptions};
///
/// let mut detector = Streaming::new(StreamingOptions::default());
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
    cadence: Cadence,
    /// One for each feature; empty before the first reading.
    channels: Vec<Channel>,
}

/// The state before it knew of time.
#[derive(Deserialize)]
struct StateV1 {
    kind: [u8; 4],
    period: Option<u32>,
    readings_learned: u64,
    quiet_until: u64,
    alarm: f64,
    channels: Vec<ChannelV1>,
}

impl From<StateV1> for State {
    fn from(then: StateV1) -> State {
        State {
            kind: then.kind,
            options: StreamingOptions {
                period: then.period.map(|readings| Period(Length::Readings(readings))),
            },
            readings_learned: then.readings_learned,
            quiet_until: then.quiet_until,
            alarm: then.alarm,
            cadence: Cadence::default(),
            channels: then.channels.into_iter().map(Channel::from).collect(),
        }
    }
}

impl Default for Streaming {
    /// A detector that has learned nothing and finds the period itself.
    fn default() -> Self {
        Streaming::new(StreamingOptions::default())
    }
}

impl Streaming {
    /// A detector that has learned nothing.
    pub fn new(options: StreamingOptions) -> Streaming {
        let state = State {
            kind: KIND,
            options,
            readings_learned: 0,
            quiet_until: 0,
            alarm: 0.0,
            cadence: Cadence::default(),
            channels: Vec::new(),
        };
        Streaming { state }
    }

    /// The same with other options, which are for what comes. With another period only the season is learned anew,
    /// and of its past what can be used; with none any more the period is watched, and may change by itself.
    pub fn with(mut self, options: StreamingOptions) -> Streaming {
        if options != self.state.options {
            self.state.options = options;
            self.state.follow_period();
        }
        self
    }

    /// One with the same options that has learned nothing.
    pub fn anew(&self) -> Streaming {
        Streaming::new(self.state.options)
    }

    /// The detector that [`Detector::save`] wrote: it goes on exactly where it stopped.
    ///
    /// # Errors
    /// [`StateError`] if a newer build wrote the bytes, or if they are not what was written.
    pub fn load(bytes: &[u8]) -> Result<Streaming, StateError> {
        let mut state: State = match sealed::version(bytes) {
            Some(1) => sealed::open::<StateV1>(bytes, 1)?.into(),
            _ => sealed::open(bytes, VERSION)?,
        };
        let width = state.channels.len();
        let fits = state.kind == KIND
            && state.options.period.is_none_or(Period::is_sound)
            && state.channels.len() <= FEATURES_MAX
            && state.channels.is_empty() == (state.readings_learned == 0)
            && state.alarm.is_finite()
            && state.readings_learned <= READINGS_MAX
            && state.quiet_until <= state.readings_learned + QUIET
            && state.cadence.is_sound()
            && state.channels.iter().all(|channel| channel.is_sound(width));
        if fits {
            state.channels.iter_mut().for_each(Channel::restore);
            Ok(Streaming { state })
        } else {
            Err(StateError::Damaged { detail: "its parts do not fit together".to_owned() })
        }
    }

    /// As [`Detector::score`], but above 0.5 only where an alarm begins: one alert for one fault.
    ///
    /// After an alarm, and until 64 readings in a row have been below the bar, only a reading four times as
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

    fn pass(&mut self, at: Timestamp) {
        let missed = self.state.cadence.pass(at.as_ms());
        if missed > 0 {
            let width = self.state.channels.len();
            self.state.channels.iter_mut().for_each(|channel| channel.miss(missed, width));
        }
        if let Some(Period(Length::Millis(_))) = self.state.options.period {
            self.state.follow_period();
        }
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
        sealed::seal(&self.state, VERSION)
    }
}

impl State {
    fn width(&self) -> Option<usize> {
        (!self.channels.is_empty()).then_some(self.channels.len())
    }

    fn check(&self, features: &[f64]) -> Result<(), InputError> {
        detector::check(features, self.width(), FEATURES_MAX)
    }

    /// The period that is given, in readings; `None` where none is, or it cannot be told in readings.
    fn period(&self) -> Option<f64> {
        let readings = match self.options.period?.0 {
            Length::Readings(readings) => f64::from(readings),
            Length::Millis(millis) => millis as f64 / self.cadence.interval_ms()?,
        };
        (f64::from(*PERIODS.start())..=f64::from(*PERIODS.end())).contains(&readings).then_some(readings)
    }

    fn follow_period(&mut self) {
        let period = self.period();
        self.channels.iter_mut().for_each(|channel| channel.give_period(period));
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
            let period = self.period();
            let channel = |&value: &f64| match features.len() {
                1 => Channel::single(value, period),
                _ => Channel::of_several(value, period),
            };
            self.channels = features.iter().map(channel).collect();
        }
        for (channel, &value) in self.channels.iter_mut().zip(features) {
            channel.learn(value, BAR, features.len());
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
    pub period: Span,
}

impl std::fmt::Display for PeriodError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a period of {}: must be 2 to 1000000 readings, or a length of time", self.period)
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
