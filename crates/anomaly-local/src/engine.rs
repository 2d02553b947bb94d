//! All series of a run, spread over threads: a reading is judged by the one that has its series in its hands, and what
//! came of it is given back in the order of the rows. What comes of a reading does not depend on how many there are.
//!
//! Rows are handed out by the lot. Within one, readings are judged series by series, so that each is fetched once.

mod clock;
mod hand;
mod learner;
mod roster;
mod series;
mod shard;
mod stock;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use anomaly_core::alert::{Acknowledgement, Transition};
use anomaly_core::classify::{Policy, SeriesState};
use anomaly_core::config::{self, Config, ModelKind};
use anomaly_core::reading::{Reading, SeriesId};
use anomaly_core::reject::Reject;
use anomaly_core::time::Timestamp;
use anomaly_detect::{Forest, ForestOptions, Model, OptionsError, StreamingOptions};

use crate::store::{Draft, StoreError};
use clock::Clock;
use hand::{Answer, Hand};
use roster::{Place, Roster};
use shard::{Found, Part, Shard};
use stock::Stock;

pub(crate) use learner::Learner;
pub(crate) use series::{Judged, Ready, Taken, Terms};
pub(crate) use shard::Sum;

/// The most series of a run: a column of ever new names (a request id taken for a series) must not fill the
/// memory.
pub const SERIES_MAX: usize = 10_000;
/// How many of them have a forest of full size, which takes some 1.7 MB a feature; the ones that come later
/// have [`ForestOptions::small`], a tenth of it.
pub const SERIES_FULL_MAX: usize = 500;

/// Where scores come from.
#[derive(Clone, Debug)]
pub enum Scoring {
    /// A forest for each series, which learns as it goes.
    Forest(ForestOptions),
    /// A streaming detector for each series, a few KB large, which learns as it goes.
    Streaming(StreamingOptions),
    /// A trained model, the same for all series, which never changes.
    Frozen(Box<Model>),
    /// Nowhere: rules judge the values.
    None,
}

impl Scoring {
    /// What `[model]` says; `None` for an endpoint, which is not called from here.
    pub fn of(model: &config::Model) -> Option<Scoring> {
        match model.kind {
            ModelKind::Forest => Some(Scoring::Forest(ForestOptions {
                shingle: model.shingle(),
                seed: model.seed,
                ..ForestOptions::default()
            })),
            ModelKind::Embedded => Some(Scoring::Streaming(StreamingOptions::of(model.period))),
            ModelKind::None => Some(Scoring::None),
            ModelKind::Endpoint => None,
        }
    }

    /// The name that messages carry.
    pub(crate) fn name(&self) -> &str {
        match self {
            Scoring::Forest(_) => "forest",
            Scoring::Streaming(_) => config::STREAMING,
            Scoring::Frozen(model) => model.id(),
            Scoring::None => "none",
        }
    }

    /// The rules of `config` over features of these names, with what the model brings along to judge its scores by.
    pub(crate) fn policy(&self, config: &Config, features: &[String]) -> Policy {
        let policy = Policy::new(config, features);
        match self {
            Scoring::Frozen(model) => policy.with_own(model.calibration().clone()).of_filled(),
            Scoring::Forest(_) | Scoring::Streaming(_) | Scoring::None => policy,
        }
    }

    /// What must not change between two runs of one state: scores of another scale would be judged by what was
    /// learned of these.
    pub(crate) fn identity(&self) -> String {
        match self {
            Scoring::Forest(o) => format!(
                "a forest of {} trees, sample {}, shingle {}, seed {}",
                o.trees, o.sample_size, o.shingle, o.seed
            ),
            Scoring::Streaming(_) => "a streaming detector".to_owned(),
            Scoring::Frozen(model) => format!("the model {}", model.id()),
            Scoring::None => "no model".to_owned(),
        }
    }
}

/// The most threads that judge: more only wait for the one that reads.
const THREADS_MAX: usize = 256;

/// What a run is given to judge with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means {
    /// How many threads judge at a time; with one it is the thread that asks.
    pub(crate) threads: NonZeroUsize,
    /// What series may take in memory, in bytes, where there is somewhere else to put them.
    pub(crate) memory_bytes: usize,
}

impl Means {
    /// One thread, and all the memory there is.
    #[cfg(test)]
    pub(crate) const PLAIN: Means = Means { threads: NonZeroUsize::MIN, memory_bytes: usize::MAX };
}

/// All series of a run.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) scoring: Arc<Scoring>,
    judges_silence: bool,
    roster: Roster,
    hands: Vec<Hand>,
    /// How many lots were handed out.
    lots: u64,
    /// Those that were not taken back, the oldest first.
    out: VecDeque<Lot>,
    fits: bool,
}

/// Rows that were handed out.
#[derive(Debug)]
struct Lot {
    rows: usize,
    /// The readings of series for which there is no room in the run, by row.
    too_many: Vec<usize>,
    /// By hand.
    parts: Vec<(usize, Answer<Result<Found, StoreError>>)>,
}

/// What came of a row.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The steps of alerts of series that are silent by the time it came, in the order of their deadlines.
    pub(crate) silent: Vec<Transition>,
    /// What came of its reading; nothing if it is none. A refused reading changes nothing.
    pub(crate) taken: Result<Taken, Reject>,
}

/// A series has other features than the input gives it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unlike {
    /// The row in its lot. Those before it were handed out.
    pub(crate) row: usize,
    pub(crate) series: SeriesId,
    /// The features that it has.
    pub(crate) known: Vec<String>,
}

impl Engine {
    /// Without any series, for the rules of `config`.
    pub(crate) fn new(scoring: Scoring, config: &Config, means: Means) -> Self {
        let threads = means.threads.get().min(THREADS_MAX);
        let (scoring, config) = (Arc::new(scoring), Arc::new(config.clone()));
        let shard = || Shard::new(Arc::clone(&scoring), Arc::clone(&config), means.memory_bytes / threads);
        Engine {
            judges_silence: config.judges_silence(),
            roster: Roster::new(threads),
            hands: (0..threads).map(|_| Hand::own(shard())).collect(),
            lots: 0,
            out: VecDeque::new(),
            fits: true,
            scoring,
        }
    }

    /// Has all series that were saved, none of them at hand, and puts series by in `draft` from now on.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub(crate) fn open(&mut self, draft: &Arc<Draft>) -> Result<(), StoreError> {
        for hand in &mut self.hands {
            let draft = Arc::clone(draft);
            let opened = hand.ask(move |shard| shard.open(draft));
            hand.wait(opened);
        }
        draft.each_state(|name, features, state: SeriesState| {
            let features = self.roster.features(&features);
            let hand = &mut self.hands[self.roster.add(name.clone(), features)];
            let added = hand.ask(move |shard| shard.add(name, &state));
            hand.wait(added);
        })
    }

    /// Has the threads work from now on, if there are to be several.
    pub(crate) fn start(&mut self) {
        if self.hands.len() > 1 {
            self.hands.iter_mut().for_each(Hand::start);
        }
    }

    /// How many threads judge at a time.
    pub(crate) fn threads(&self) -> usize {
        self.hands.len()
    }

    /// How many series there are.
    pub(crate) fn series(&self) -> usize {
        self.roster.len()
    }

    /// How many rows were handed out and not taken back.
    pub(crate) fn rows_out(&self) -> usize {
        self.out.iter().map(|lot| lot.rows).sum()
    }

    /// Whether memory has had room for all series so far.
    pub(crate) fn fits(&self) -> bool {
        self.fits
    }

    /// Whether some series have a small forest, to save memory.
    pub(crate) fn has_small_forests(&self) -> bool {
        matches!(*self.scoring, Scoring::Forest(_)) && self.series() > SERIES_FULL_MAX
    }

    /// Hands out the next rows to be judged by `terms`, `None` for those that are no reading. Stops before the first one
    /// whose series has other features.
    pub(crate) fn hand_out(
        &mut self,
        terms: &Arc<Terms>,
        readings: Vec<Option<Reading>>,
    ) -> Result<(), Unlike> {
        self.lots += 1;
        let features = self.roster.features(&terms.features);
        let mut parts: Vec<Part> = self.hands.iter().map(|_| Part::new(Arc::clone(terms))).collect();
        let (mut too_many, mut arrivals, mut unlike) = (Vec::new(), Vec::new(), Ok(()));
        let mut rows = readings.len();
        for (row, reading) in readings.into_iter().enumerate() {
            let arrived = reading.as_ref().map(|reading| reading.position.arrived);
            if let Some(reading) = reading {
                match self.roster.place(&reading.series, features, self.lots) {
                    Place::Group { hand, group } => parts[hand].add(row, reading, group),
                    Place::New { hand, begins } => {
                        let series = reading.series.clone();
                        let group = parts[hand].begin_group(row, reading, begins);
                        self.roster.grouped(&series, self.lots, group);
                    }
                    Place::TooMany => too_many.push(row),
                    Place::Unlike(features) => {
                        let known = self.roster.feature_names(features).to_vec();
                        unlike = Err(Unlike { row, series: reading.series, known });
                        rows = row;
                        break;
                    }
                }
            }
            if self.judges_silence {
                arrivals.push(arrived);
            }
        }
        let clock = self.judges_silence.then(|| Arc::new(Clock::new(arrivals)));
        let parts = self.hands.iter_mut().zip(parts).enumerate().filter_map(|(number, (hand, mut part))| {
            part.clock = clock.clone();
            let is_none = part.groups.is_empty() && part.clock.is_none();
            (!is_none).then(|| (number, hand.ask(|shard| shard.judge(part))))
        });
        let parts = parts.collect();
        self.out.push_back(Lot { rows, too_many, parts });
        unlike
    }

    /// Waits for the lot that was handed out before all others that are out, and takes back what came of its rows;
    /// `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if a series that is not at hand cannot be read, or one cannot be put by.
    pub(crate) fn take_back(&mut self) -> Result<Option<Vec<Outcome>>, StoreError> {
        let Some(Lot { rows, too_many, parts }) = self.out.pop_front() else { return Ok(None) };
        let nothing = || Outcome { silent: Vec::new(), taken: Ok(Taken::default()) };
        let mut outcomes: Vec<Outcome> = std::iter::repeat_with(nothing).take(rows).collect();
        for row in too_many {
            let why = format!("is one too many: a run keeps {SERIES_MAX}");
            outcomes[row].taken = Err(Reject::Series { why });
        }
        let mut silent = Vec::new();
        for (number, answer) in parts {
            let found = self.hands[number].wait(answer)?;
            self.fits &= found.fits;
            silent.extend(found.silent);
            for (row, taken) in found.taken {
                outcomes[row].taken = taken;
            }
        }
        // Stable: what is of one series is in order already.
        silent.sort_by(|(_, a), (_, b)| (a.at, &a.series).cmp(&(b.at, &b.series)));
        for (row, step) in silent {
            outcomes[row].silent.push(step);
        }
        Ok(Some(outcomes))
    }

    /// Judges all readings that wait, of all series or of `only` one, in the order of their times: nothing comes
    /// any more.
    ///
    /// # Errors
    /// As [`Engine::take_back`].
    pub(crate) fn flush(
        &mut self,
        only: Option<&SeriesId>,
        keeps_findings: bool,
    ) -> Result<Vec<Ready>, StoreError> {
        let mut ready = Vec::new();
        let flush =
            |only: Option<SeriesId>| move |shard: &mut Shard| shard.flush(only.as_ref(), keeps_findings);
        for flushed in self.ask_all(|| flush(only.cloned())) {
            ready.extend(flushed?);
        }
        // Stable: what is of one series is in order already.
        ready.sort_by(|(name, at, _), (other, other_at, _)| (at, name).cmp(&(other_at, other)));
        Ok(ready.into_iter().map(|(_, _, ready)| ready).collect())
    }

    /// Somebody has seen the alert of which `last` is the last step known, at `at`, as `said` says. Gives back that
    /// step; `None` if the alert is not open, or if that is known.
    ///
    /// # Errors
    /// [`StoreError`] if its series is not at hand and cannot be read.
    pub(crate) fn acknowledge(
        &mut self,
        last: Transition,
        said: Acknowledgement,
        at: Timestamp,
    ) -> Result<Option<Transition>, StoreError> {
        let Some(number) = self.roster.hand(&last.series) else { return Ok(None) };
        let hand = &mut self.hands[number];
        let seen = hand.ask(move |shard| shard.acknowledge(&last, &said, at));
        hand.wait(seen)
    }

    /// Writes the series that may differ from what was written of them to `draft`.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be written.
    pub(crate) fn write_changed(&mut self, draft: &Arc<Draft>) -> Result<(), StoreError> {
        let write = |draft: Arc<Draft>| move |shard: &mut Shard| shard.write_changed(&draft);
        self.ask_all(|| write(Arc::clone(draft))).into_iter().collect()
    }

    /// What there is to be said in the end.
    pub(crate) fn sum(&mut self) -> Sum {
        let mut all = Sum::default();
        for Sum { firing, counts } in self.ask_all(|| |shard: &mut Shard| shard.sum()) {
            all.firing += firing;
            all.counts += counts;
        }
        all
    }

    /// Asks all hands for `work` at once.
    fn ask_all<T, W>(&mut self, work: impl Fn() -> W) -> Vec<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Shard) -> T + Send + 'static,
    {
        let answers: Vec<Answer<T>> = self.hands.iter_mut().map(|hand| hand.ask(work())).collect();
        self.hands.iter_mut().zip(answers).map(|(hand, answer)| hand.wait(answer)).collect()
    }

    /// All there is of the series `name`, for tests to compare.
    #[cfg(test)]
    pub(crate) fn look_at(&mut self, name: &SeriesId) -> String {
        let hand = &mut self.hands[self.roster.hand(name).expect("there")];
        let name = name.clone();
        let seen = hand.ask(move |shard| shard.look_at(&name));
        hand.wait(seen)
    }
}

/// # Errors
/// What is wrong with the forest's options, before any series begins.
pub(crate) fn check(scoring: &Scoring) -> Result<(), OptionsError> {
    match scoring {
        Scoring::Forest(options) => Forest::new(*options).map(drop),
        Scoring::Streaming(_) | Scoring::Frozen(_) | Scoring::None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
