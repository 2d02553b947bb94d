//! One feature: five questions about a reading, each asked upwards and downwards, and what the answers come
//! to.

use serde::{Deserialize, Serialize};

use super::grid::{Grid, REFINEMENT_LOG2, Step};
use super::recent::{Look, Recent};
use super::season::Season;
use super::tail::Tail;

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

/// Blocks of a feature's past that are kept for its season: with 512 one feature fits into 4 KB; the features
/// of a wide series have fewer each, and see shorter or coarser seasons.
pub(super) fn season_blocks(width: usize) -> usize {
    match width {
        0..=1 => 512,
        2..=8 => 256,
        9..=64 => 128,
        _ => 64,
    }
}

/// What is known of one feature.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Channel {
    grid: Grid,
    recent: Recent,
    season: Season,
    tails: Vec<Tail>,
}

impl Channel {
    pub(super) fn new(first: f64, period: Option<f64>) -> Channel {
        Channel {
            grid: Grid::new(first),
            recent: Recent::default(),
            season: Season::new(period),
            tails: vec![Tail::new(); STATISTICS],
        }
    }

    /// How surprising `value` would be as the next one, in nats: the clearest answer and a share of the next.
    pub(super) fn surprise(&self, value: f64) -> f64 {
        let look = self.recent.look(self.grid.place(value));
        let statistics = statistics(&self.season, &look);
        clearest(QUESTIONS.iter().map(|statistics_of_question| {
            let surprise = |&i: &usize| {
                statistics[i].and_then(|statistic| self.tails[i].surprise(statistic)).unwrap_or(0.0)
            };
            statistics_of_question.iter().map(surprise).fold(0.0, f64::max)
        }))
    }

    /// Takes `value` as the next one. `bar` is the surprise from which a reading is reported; `season_blocks`
    /// is of [`season_blocks`].
    pub(super) fn learn(&mut self, value: f64, bar: f64, season_blocks: usize) {
        match self.grid.learn(value, self.recent.reach()) {
            Step::Stays => {}
            Step::Finer => self.scale(REFINEMENT_LOG2),
            Step::Coarser => self.scale(-REFINEMENT_LOG2),
        }
        let place = self.grid.place(value);
        let look = self.recent.look(place);
        let learned = |statistic: f64, up: usize, down: usize| {
            let (least, most) = (-self.tails[down].most_learned(bar), self.tails[up].most_learned(bar));
            statistic.max(least).min(most)
        };
        let learned_place = learned(place, UP, DOWN);
        let residual =
            self.season.residual(look.mean).map(|residual| learned(residual, SEASON_UP, SEASON_DOWN));
        let had_season = self.season.period().is_some();
        for (tail, statistic) in self.tails.iter_mut().zip(statistics(&self.season, &look)) {
            if let Some(statistic) = statistic {
                tail.learn(statistic, bar);
            }
        }
        self.season.learn(learned_place, residual, season_blocks);
        self.recent.learn(place);
        if had_season && self.season.period().is_none() {
            self.begin_season();
        }
    }

    /// So many readings never came: the season goes on, nothing else is learned.
    pub(super) fn miss(&mut self, readings: u32, season_blocks: usize) {
        for _ in 0..self.season.to_miss(readings) {
            self.season.skip(self.expected_place(), season_blocks);
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
        QUESTIONS[4].iter().for_each(|&i| self.tails[i] = Tail::new());
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
        self.tails[UP].blocks()
    }

    pub(super) fn is_sound(&self, season_blocks: usize) -> bool {
        self.grid.is_sound()
            && self.recent.is_sound()
            && self.season.is_sound(season_blocks)
            && self.tails.len() == STATISTICS
            && self.tails.iter().all(Tail::is_sound)
    }

    fn expected_place(&self) -> f64 {
        self.season.expected().unwrap_or_else(|| self.recent.level())
    }

    fn scale(&mut self, log2: i32) {
        let factor = 2f32.powi(log2);
        self.recent.scale(factor);
        self.season.scale_by_power(log2);
        self.tails.iter_mut().for_each(|tail| tail.scale(factor));
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
