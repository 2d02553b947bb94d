//! One feature: five questions about a reading, each asked upwards and downwards, and what the answers come
//! to.

use serde::{Deserialize, Serialize};

use super::grid::{Grid, REFINEMENT_LOG2, Step};
use super::pair::Pair;
use super::past::Past;
use super::recent::{Look, Recent};
use super::season::{Season, SeasonV1};
use super::tail::{Known, Tail};

/// The statistics of a reading: six, each with both signs.
const STATISTICS: usize = 12;

/// The statistics by the question they answer. Is the value out of range? Does it jump? Has the level
/// changed? Are the readings more restless than ever, or too quiet? Is it unlike this time of the season?
const QUESTIONS: [&[usize]; 5] = [&[0, 1], &[2, 3], &[4, 5, 6, 7], &[8, 9], &[SEASON_UP, SEASON_DOWN]];

/// The statistics of the value itself, upwards and downwards.
const UP: usize = 0;
const DOWN: usize = 1;

/// The statistics of the difference from the season.
const SEASON_UP: usize = 10;
const SEASON_DOWN: usize = 11;

/// The answers count together: the clearest, and this share of the next clearest. Independent answers would
/// count in full; these all look at the same readings.
pub(super) const SECOND_SHARE: f64 = 0.2;

/// What is known of one feature.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Channel {
    grid: Grid,
    recent: Recent,
    season: Season,
    tails: Tails,
}

/// The tails of all statistics.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Tails {
    /// Of the only feature of a series.
    Single(Vec<Tail>),
    /// Of one of several.
    Paired(Vec<Pair>),
}

/// A channel as version 1 wrote it.
#[derive(Deserialize)]
pub(super) struct ChannelV1 {
    grid: Grid,
    recent: Vec<f32>,
    season: SeasonV1,
    tails: Vec<Tail>,
}

impl From<ChannelV1> for Channel {
    fn from(then: ChannelV1) -> Channel {
        let (recent, tails) = (Recent::Long(then.recent), Tails::Single(then.tails));
        Channel { grid: then.grid, recent, season: then.season.into(), tails }
    }
}

impl Tails {
    fn known(&self, i: usize) -> Known {
        match self {
            Tails::Single(tails) => tails[i].known(),
            Tails::Paired(pairs) => pairs[i / 2].known(i % 2),
        }
    }

    fn surprise(&self, i: usize, statistic: Option<f64>) -> f64 {
        let surprise = |statistic| match self {
            Tails::Single(tails) => tails[i].surprise(statistic),
            Tails::Paired(pairs) => pairs[i / 2].surprise(i % 2, statistic),
        };
        statistic.and_then(surprise).unwrap_or(0.0)
    }

    fn learn(&mut self, statistics: &[Option<f64>; STATISTICS], bar: f64) {
        for (i, statistic) in statistics.iter().enumerate() {
            match (&mut *self, statistic) {
                (Tails::Single(tails), Some(statistic)) => tails[i].learn(*statistic, bar),
                (Tails::Paired(pairs), Some(statistic)) if i % 2 == 0 => pairs[i / 2].learn(*statistic, bar),
                _ => {}
            }
        }
    }

    /// That of one question begins anew.
    fn forget(&mut self, question: &[usize]) {
        for &i in question {
            match self {
                Tails::Single(tails) => tails[i] = Tail::new(),
                Tails::Paired(pairs) => pairs[i / 2] = Pair::new(),
            }
        }
    }

    fn scale_by_power(&mut self, log2: i32) {
        match self {
            Tails::Single(tails) => tails.iter_mut().for_each(|tail| tail.scale(2f32.powi(log2))),
            Tails::Paired(pairs) => pairs.iter_mut().for_each(|pair| pair.scale_by_power(log2)),
        }
    }

    fn is_sound(&self) -> bool {
        match self {
            Tails::Single(tails) => tails.len() == STATISTICS && tails.iter().all(Tail::is_sound),
            Tails::Paired(pairs) => pairs.len() == STATISTICS / 2 && pairs.iter().all(Pair::is_sound),
        }
    }
}

impl Channel {
    /// The only one of a series, whose first value is `first`.
    pub(super) fn single(first: f64, period: Option<f64>) -> Channel {
        Channel {
            grid: Grid::new(first),
            recent: Recent::long(),
            season: Season::new(Past::fine(), period),
            tails: Tails::Single(vec![Tail::new(); STATISTICS]),
        }
    }

    /// One of several, in a third of the room: as sure (a byte a block is fine enough), but for a coarser past.
    pub(super) fn of_several(first: f64, period: Option<f64>) -> Channel {
        Channel {
            grid: Grid::new(first),
            recent: Recent::short(),
            season: Season::new(Past::coarse(), period),
            tails: Tails::Paired(vec![Pair::new(); STATISTICS / 2]),
        }
    }

    /// How surprising `value` would be as the next one, in nats: the clearest answer and a share of the next.
    pub(super) fn surprise(&self, value: f64) -> f64 {
        let look = self.recent.look(self.grid.place(value));
        let statistics = statistics(&self.season, &look);
        clearest(QUESTIONS.iter().map(|statistics_of_question| {
            let surprise = |&i: &usize| self.tails.surprise(i, statistics[i]);
            statistics_of_question.iter().map(surprise).fold(0.0, f64::max)
        }))
    }

    /// Takes `value` as the next one. `bar` is the surprise from which a reading is reported; `width`
    /// is the number of features.
    pub(super) fn learn(&mut self, value: f64, bar: f64, width: usize) {
        match self.grid.learn(value, self.recent.reach()) {
            Step::Stays => {}
            Step::Finer => self.scale(REFINEMENT_LOG2),
            Step::Coarser => self.scale(-REFINEMENT_LOG2),
        }
        let place = self.grid.place(value);
        let look = self.recent.look(place);
        let learned = |statistic: f64, up: usize, down: usize| {
            let (least, most) =
                (-self.tails.known(down).most_learned(bar), self.tails.known(up).most_learned(bar));
            statistic.max(least).min(most)
        };
        let learned_place = learned(place, UP, DOWN);
        let residual =
            self.season.residual(look.mean).map(|residual| learned(residual, SEASON_UP, SEASON_DOWN));
        let had_season = self.season.period().is_some();
        self.tails.learn(&statistics(&self.season, &look), bar);
        self.season.learn(learned_place, residual, width);
        self.recent.learn(place);
        if had_season && self.season.period().is_none() {
            self.begin_season();
        }
    }

    /// So many readings never came: the season goes on, nothing else is learned.
    pub(super) fn miss(&mut self, readings: u32, width: usize) {
        for _ in 0..self.season.to_miss(readings) {
            self.season.skip(self.expected_place(), width);
        }
    }

    /// The period is given, in readings, or is to be found.
    pub(super) fn give_period(&mut self, period: Option<f64>) {
        if self.season.give(period) {
            self.begin_season();
        }
    }

    /// The next season is another one.
    fn begin_season(&mut self) {
        self.tails.forget(QUESTIONS[4]);
    }

    /// What the next value will be like, in the feature's unit.
    pub(super) fn expected(&self) -> f64 {
        self.grid.value(self.expected_place())
    }

    /// Readings in a period of the season, where one is known.
    pub(super) fn period(&self) -> Option<f64> {
        self.season.period()
    }

    /// Blocks that the judgement of the value itself rests on.
    pub(super) fn blocks(&self) -> usize {
        self.tails.known(UP).blocks
    }

    pub(super) fn is_sound(&self, width: usize) -> bool {
        self.grid.is_sound() && self.recent.is_sound() && self.season.is_sound(width) && self.tails.is_sound()
    }

    /// What is not saved, from what is; once it is sound.
    pub(super) fn restore(&mut self) {
        if let Tails::Paired(pairs) = &mut self.tails {
            pairs.iter_mut().for_each(Pair::restore);
        }
    }

    fn expected_place(&self) -> f64 {
        self.season.expected().unwrap_or_else(|| self.recent.level())
    }

    fn scale(&mut self, log2: i32) {
        let factor = 2f32.powi(log2);
        self.recent.scale(factor);
        self.season.scale_by_power(log2);
        self.tails.scale_by_power(log2);
    }
}

/// The clearest answer and a share of the next clearest; 0 or more.
pub(super) fn clearest(surprises: impl Iterator<Item = f64>) -> f64 {
    let (mut first, mut second) = (0.0, 0.0);
    for surprise in surprises {
        if surprise > first {
            (first, second) = (surprise, first);
        } else if surprise > second {
            second = surprise;
        }
    }
    first + SECOND_SHARE * second
}

/// In the order of [`QUESTIONS`]; `None` where too little is known.
fn statistics(season: &Season, look: &Look) -> [Option<f64>; STATISTICS] {
    let six = [
        Some(look.value),
        look.jump,
        look.short_step,
        look.long_step,
        look.spread,
        season.residual(look.mean),
    ];
    std::array::from_fn(|i| six[i / 2].map(|statistic| if i % 2 == 0 { statistic } else { -statistic }))
}
