//! The season of a feature: its period, found from the data, and what this time of the period was like
//! before.
//!
//! The past is kept as means of blocks of readings. When the room is full, two blocks become one: the past
//! reaches back twice as far, half as fine. When the period is known, blocks stay fine enough for it, and the
//! oldest are forgotten.
//!
//! Source of the period: the autocorrelation function and its first high peak after a trough (Box and
//! Jenkins, "Time Series Analysis", chapter 2).

use serde::{Deserialize, Serialize};

use super::past::Past;
use super::recent::WINDOW;

/// After so many new blocks the period is looked for again.
const SEARCH_BLOCKS: u16 = 64;

/// No sum of steps comes near it: a state in which one does is no state.
const FAR: f64 = (1u128 << 100) as f64;

/// The autocorrelation a period must have, and how far it must rise above the trough before it.
const CORRELATION_MIN: f64 = 0.5;
const PROMINENCE_MIN: f64 = 0.3;

/// A longer period must correlate better than a shorter one by this, and a new one better than the known one.
const LONGER_GAIN: f64 = 0.02;
const CHANGE_GAIN: f64 = 0.05;

/// The known period stays while it correlates by this share of [`CORRELATION_MIN`].
const KEEP_SHARE: f64 = 0.9;

/// The shortest period, in blocks.
const PERIOD_BLOCKS_MIN: usize = 4;

/// Blocks are not made longer than an eighth of the known period.
const BLOCKS_PER_PERIOD_MIN: f64 = 8.0;

/// A given period that differs by less is the same, better known.
const SAME_PERIOD: f64 = 0.1;

/// The longest lag, as a share of the past: more than two periods must be there.
const LAG_SHARE: f64 = 0.45;

/// This time of the last so many periods is looked at, and the median taken: what happened once is not
/// expected again.
const PERIODS: usize = 4;

/// The past in blocks, and the period.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Season {
    past: Past,
    /// Readings in a block.
    block: u32,
    sum: f64,
    filled: u32,
    unsearched: u16,
    /// Readings in a period; 0 while there is none.
    period: f64,
    /// Whether the period was given.
    given: bool,
    /// What the last periods differ from this one by.
    offset: f64,
}

/// The same as version 1 wrote it.
#[derive(Deserialize)]
pub(super) struct SeasonV1 {
    blocks: Vec<[u8; 2]>,
    shift: i16,
    block: u32,
    sum: f64,
    filled: u32,
    unsearched: u16,
    period: f64,
    given: bool,
    offset: f64,
}

impl From<SeasonV1> for Season {
    fn from(then: SeasonV1) -> Season {
        let SeasonV1 { blocks, shift, block, sum, filled, unsearched, period, given, offset } = then;
        let past = Past::Fine { blocks, shift };
        Season { past, block, sum, filled, unsearched, period, given, offset }
    }
}

impl Season {
    /// With nothing in its `past`; `period`, in readings, where it is known.
    pub(super) fn new(past: Past, period: Option<f64>) -> Season {
        Season {
            past,
            block: 1,
            sum: 0.0,
            filled: 0,
            unsearched: 0,
            period: period.unwrap_or(0.0),
            given: period.is_some(),
            offset: 0.0,
        }
    }

    /// The period is given, in readings, or is to be found from now on. Whether what was known of the season is
    /// of no use any more.
    pub(super) fn give(&mut self, period: Option<f64>) -> bool {
        let was_given = std::mem::replace(&mut self.given, period.is_some());
        let Some(period) = period else { return false };
        let is_another = (self.period / period - 1.0).abs() > SAME_PERIOD;
        self.period = period;
        if is_another {
            self.offset = 0.0;
            // Blocks as long as these cannot tell its times apart; and if two periods were given, one after the other,
            // readings may have come at another pace.
            if was_given || f64::from(self.block) * BLOCKS_PER_PERIOD_MIN > period {
                *self = Season::new(self.past.anew(), Some(period));
            }
        }
        is_another
    }

    /// How many of `readings` that never came the season has to go on by: whole periods make no difference. Where no
    /// period is known, it is the past as it is told that must not be made up of them.
    pub(super) fn to_miss(&self, readings: u32) -> u32 {
        match self.period() {
            Some(period) => (f64::from(readings) % period).round() as u32,
            None if u64::from(readings) <= self.past.len() as u64 * u64::from(self.block) / 2 => readings,
            None => 0,
        }
    }

    /// Readings in a period, where one is known.
    pub(super) fn period(&self) -> Option<f64> {
        (self.period > 0.0).then_some(self.period)
    }

    /// What the mean of the [`WINDOW`] readings that end with the next one differs from what the season lets
    /// expect.
    pub(super) fn residual(&self, mean: f64) -> Option<f64> {
        Some(mean - self.usual(WINDOW)? - self.offset)
    }

    /// What the next reading will be like, by this time of the last periods.
    pub(super) fn expected(&self) -> Option<f64> {
        Some(self.usual(1)? + self.offset)
    }

    /// Takes the next reading, and what the window that ends with it differed by from the expected, of
    /// one of `width` features.
    pub(super) fn learn(&mut self, value: f64, residual: Option<f64>, width: usize) {
        match residual {
            // Half a period: a level that stays is soon the season's own.
            Some(residual) if self.period > 0.0 => self.offset += (2.0 / self.period).min(1.0) * residual,
            _ => self.offset = 0.0,
        }
        self.skip(value, width);
    }

    /// Time goes on by a reading, of which no more is known than `value`, what was expected.
    pub(super) fn skip(&mut self, value: f64, width: usize) {
        self.sum += value;
        self.filled += 1;
        if self.filled == self.block {
            self.close_block(width);
        }
    }

    pub(super) fn scale_by_power(&mut self, log2: i32) {
        self.past.scale_by_power(log2);
        let factor = 2f64.powi(log2);
        self.sum *= factor;
        self.offset *= factor;
    }

    pub(super) fn is_sound(&self, width: usize) -> bool {
        self.past.is_sound(width)
            && self.block >= 1
            && self.filled < self.block
            && self.sum.abs() <= FAR
            && self.offset.abs() <= FAR
            && (0.0..=1e12).contains(&self.period)
    }

    fn close_block(&mut self, width: usize) {
        if self.past.len() >= self.past.blocks_max(width) {
            if self.period > 0.0 && self.period / f64::from(self.block) < 2.0 * BLOCKS_PER_PERIOD_MIN {
                self.past.remove_first();
            } else if let Some(longer) = self.block.checked_mul(2) {
                self.halve(longer);
                return;
            }
        }
        let mean = self.sum / f64::from(self.block);
        (self.sum, self.filled) = (0.0, 0);
        self.past.push(mean);
        self.unsearched += 1;
        if self.unsearched >= SEARCH_BLOCKS && !self.given {
            self.search();
        }
    }

    /// Two blocks become one; the block that is just full is the first half of the next.
    fn halve(&mut self, longer: u32) {
        self.past.halve();
        self.block = longer;
        if !self.given {
            self.search();
        }
    }

    /// The middle of what the readings at this time of the last periods were, over the `window` that ends
    /// with the next one.
    fn usual(&self, window: usize) -> Option<f64> {
        let period = self.period()?;
        let now = self.past.len() as f64 * f64::from(self.block) + f64::from(self.filled) + 1.0;
        let parts = (window / self.block as usize).max(1);
        let (mut usual, mut count) = ([0.0; PERIODS], 0);
        for past in 1..=PERIODS {
            let from = now - past as f64 * period - window as f64;
            let part = |i: usize| self.at(from + (i as f64 + 0.5) * window as f64 / parts as f64);
            let Some(sum) = (0..parts).map(part).sum::<Option<f64>>() else { break };
            usual[count] = sum / parts as f64;
            count += 1;
        }
        let known = &mut usual[..count];
        known.sort_unstable_by(f64::total_cmp);
        let middle = |i: usize| known.get(i).copied();
        Some((middle(count.checked_sub(1)? / 2)? + middle(count / 2)?) / 2.0)
    }

    /// The past at a place in readings since its beginning: between the middles of two blocks, straight on.
    fn at(&self, place: f64) -> Option<f64> {
        let block = place / f64::from(self.block) - 0.5;
        if block < 0.0 {
            return None;
        }
        let (before, share) = (block.floor() as usize, block.fract());
        Some(self.past.get(before)? * (1.0 - share) + self.past.get(before + 1)? * share)
    }

    fn search(&mut self) {
        self.unsearched = 0;
        let correlation = autocorrelation(&self.past.shape());
        let mut best = highest_peak(&correlation);
        if let Some(known) = self.known_peak(&correlation)
            && best.is_none_or(|lag| correlation[lag] < correlation[known] + CHANGE_GAIN)
        {
            best = Some(known);
        }
        self.period =
            best.map_or(0.0, |lag| (lag as f64 + vertex(&correlation, lag)) * f64::from(self.block));
    }

    /// The lag of the known period, if it still correlates.
    fn known_peak(&self, correlation: &[f64]) -> Option<usize> {
        let lag = (self.period()? / f64::from(self.block)).round() as usize;
        let near = lag.checked_sub(1)?..lag + 2;
        let around = correlation.get(near.clone())?;
        let peak = near.max_by(|&a, &b| correlation[a].total_cmp(&correlation[b]))?;
        let highest = around.iter().copied().fold(f64::MIN, f64::max);
        let fits = lag >= PERIOD_BLOCKS_MIN && peak + 1 < correlation.len();
        (fits && highest > CORRELATION_MIN * KEEP_SHARE).then_some(peak)
    }
}

/// The best period, as a lag in blocks: high enough, after a trough, and no shorter one nearly as good.
fn highest_peak(correlation: &[f64]) -> Option<usize> {
    let (mut best, mut trough): (Option<usize>, f64) = (None, 1.0);
    for lag in 2..correlation.len().saturating_sub(1) {
        let here = correlation[lag];
        trough = trough.min(here);
        let is_peak = here >= correlation[lag - 1] && here >= correlation[lag + 1];
        let is_high = here > CORRELATION_MIN && here - trough > PROMINENCE_MIN;
        let is_better = best.is_none_or(|best| here > correlation[best] + LONGER_GAIN);
        if is_peak && is_high && is_better && lag >= PERIOD_BLOCKS_MIN {
            best = Some(lag);
        }
    }
    best
}

/// Where between the lags the peak is: the vertex of the parabola through three of them, within half a lag.
fn vertex(correlation: &[f64], lag: usize) -> f64 {
    let (before, here, after) = (correlation[lag - 1], correlation[lag], correlation[lag + 1]);
    let bend = before - 2.0 * here + after;
    if bend.abs() < 1e-12 { 0.0 } else { (0.5 * (before - after) / bend).clamp(-0.5, 0.5) }
}

/// Correlation of the blocks with themselves, lag by lag; outliers (2 % on each side) count as what is beside
/// them.
fn autocorrelation(codes: &[f32]) -> Vec<f64> {
    let mut ascending = codes.to_vec();
    ascending.sort_unstable_by(f32::total_cmp);
    let (Some(&low), Some(&high)) =
        (ascending.get(codes.len() / 50), ascending.get(codes.len().saturating_sub(1 + codes.len() / 50)))
    else {
        return Vec::new();
    };
    let mean = codes.iter().sum::<f32>() / codes.len() as f32;
    let around: Vec<f32> = codes.iter().map(|&code| code.clamp(low, high) - mean).collect();
    let mut squares = 0.0;
    // Squares of all before each place, as wide as the sums of products below.
    let before: Vec<f64> = std::iter::once(0.0)
        .chain(around.iter().map(|&v| {
            squares += f64::from(v) * f64::from(v);
            squares
        }))
        .collect();
    let lags = (codes.len() as f64 * LAG_SHARE) as usize;
    let n = around.len();
    (0..lags)
        .map(|lag| {
            let norm = (before[n - lag] * (before[n] - before[lag])).sqrt();
            if norm > 0.0 { f64::from(product(&around[lag..], &around[..n - lag])) / norm } else { 0.0 }
        })
        .collect()
}

/// The sum of products, in eight sums of their own: an order that the processor can follow eight at a time,
/// the same on every machine.
fn product(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (left_eights, right_eights) = (left.chunks_exact(8), right.chunks_exact(8));
    let rest: f32 = left_eights.remainder().iter().zip(right_eights.remainder()).map(|(l, r)| l * r).sum();
    for (l, r) in left_eights.zip(right_eights) {
        for i in 0..8 {
            sums[i] += l[i] * r[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::super::recent::Recent;
    use super::*;

    fn learned(width: usize, readings: u32, wave: impl Fn(f64) -> f64) -> Season {
        let (mut season, mut recent) = (Season::new(Past::fine(), None), Recent::long());
        for n in 0..readings {
            let value = (1000.0 * wave(f64::from(n))).round();
            let residual = season.residual(recent.look(value).mean);
            season.learn(value, residual.map(|r| r.clamp(-300.0, 300.0)), width);
            recent.learn(value);
            assert!(season.is_sound(width), "{season:?}");
        }
        season
    }

    /// A number that looks random: -1 to 1.
    fn noise(n: f64) -> f64 {
        let mut x = (n as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    #[test]
    fn the_period_is_found_at_any_length() {
        for (period, readings) in [(24.0, 200), (288.0, 900), (100.5, 2000), (2016.0, 8000)] {
            let season = learned(1, readings, |n| (n * std::f64::consts::TAU / period).sin());
            let found = season.period().expect("a plain wave");
            assert!((found / period - 1.0).abs() < 0.02, "{period}: {found}");
            let expected = season.expected().expect("a period is known");
            let comes = 1000.0 * (f64::from(readings) * std::f64::consts::TAU / period).sin();
            assert!((expected - comes).abs() < 200.0, "{period}: {expected} for {comes}");
        }
    }

    #[test]
    fn there_is_no_season_in_noise_or_in_a_trend() {
        assert_eq!(learned(1, 5000, noise).period(), None);
        assert_eq!(learned(1, 5000, |n| n / 100.0).period(), None);
        assert_eq!(learned(1, 5000, |_| 0.0).period(), None);
    }

    #[test]
    fn what_happened_once_is_not_expected_again() {
        let day = |n: f64| (n * std::f64::consts::TAU / 48.0).sin();
        let fault = |n: f64| if (480.0..486.0).contains(&n) { 50.0 } else { day(n) };
        // A day later, at the same time.
        let season = learned(1, 530, fault);
        let expected = season.expected().expect("a period is known");
        assert!(expected.abs() < 1500.0, "{expected}");
    }

    #[test]
    fn a_value_out_of_all_measure_is_kept_as_far_as_there_is_room() {
        let season = learned(65, 300, |n| if n == 100.0 { 1e9 } else { n % 12.0 });
        assert!(matches!(season.past, Past::Fine { shift: 1.., .. }) && season.past.len() <= 64);
    }
}
