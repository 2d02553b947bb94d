//! How improbable a statistic is, judged by the largest values it has had: one number a block of readings.
//!
//! Maxima of blocks, because statistics of neighbouring readings are alike (a mean of 48 moves little from
//! one reading to the next), and one fault makes many large values: of each block only one counts. Above
//! their median, the excess of block maxima is taken as exponential, the tail of every distribution that is
//! not heavy; heavy ones raise the mean excess and so the bar.
//!
//! Sources: Gumbel (1958), "Statistics of Extremes", chapters 5 and 6, on block maxima; Balkema and de Haan
//! (1974), Pickands (1975), on excesses above a threshold, here with shape 0. The margin for a young tail is
//! ours.

use serde::{Deserialize, Serialize};

use super::grid::STEPS_MAX;

/// Readings in the first blocks, and in the longest: memory grows by doubling the block when it is full.
pub(super) const BLOCK_FIRST: u16 = 16;
pub(super) const BLOCK_MAX: u16 = 128;

/// Blocks kept, less one: an even number, so that two can become one. With half as many the noise of the
/// estimate makes three times the alerts.
pub(super) const BLOCKS_MAX: usize = 48;

/// Blocks that must be there before anything is judged.
const BLOCKS_MIN: usize = 6;

/// The mean excess is uncertain while there are few blocks: it is taken larger by this over their number.
const YOUNG: f64 = 2.0;

/// The mean excess is never less than this share of the statistic's standard deviation: a few blocks may have
/// happened to be alike.
const EXCESS_MIN_SHARE: f64 = 0.05;

/// Readings over which the standard deviation is taken.
const DEVIATION_READINGS: u16 = 8192;

/// What lies above the bar is learned up to so many times the way from the median to the bar: a fault does
/// not make the next one of its kind usual; and if it stays, the bar rises by as much again with every block,
/// until it is usual.
const LEARNED_MAX: f64 = 4.0;

/// What is at least so far above the median, as a share of the way, is about as much; and what had about as much so
/// many times, each in blocks of its own, comes as often as that, wherever the mean excess puts it: a job of every
/// night is not improbable, however brief it is. Twice would do for noise; a fault is to be reported for the third time
/// still.
const ALIKE_SHARE: f64 = 0.7;
const ALIKE_TIMES: usize = 3;

/// What is kept is never scaled beyond this: its square is still finite.
const FAR: f32 = (1u64 << 60) as f32;

/// The largest surprise, in nats.
const SURPRISE_MAX: f64 = 1e6;

/// The upper tail of one statistic, in steps. Of a lower tail the statistic has the other sign.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tail {
    /// Oldest first.
    maxima: Vec<f32>,
    /// The largest of the block that is not full.
    current: f32,
    filled: u16,
    block: u16,
    /// The median of the maxima, and their mean excess above it.
    level: f32,
    excess: f32,
    moments: Moments,
}

/// Mean and variance of a statistic, over the last [`DEVIATION_READINGS`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Moments {
    mean: f32,
    variance: f32,
    seen: u16,
}

/// What a tail rests on: the median of block maxima, and their mean excess above it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) level: f32,
    pub(super) excess: f32,
    pub(super) blocks: usize,
    /// Readings in a block.
    pub(super) block: u16,
}

impl Known {
    /// How surprising `statistic` would be beside the full blocks' `maxima`: minus the natural logarithm of the
    /// probability that one reading has so much or more; 0 for what is usual. `None` while too little is known.
    pub(super) fn surprise(&self, statistic: f64, maxima: impl Iterator<Item = f64>) -> Option<f64> {
        if self.blocks < BLOCKS_MIN {
            return None;
        }
        let above = statistic - f64::from(self.level);
        if above <= 0.0 {
            return Some(0.0);
        }
        let excess = self.excess() * (1.0 + YOUNG / self.blocks as f64);
        let extrapolated = (self.median_surprise() + above / excess).min(SURPRISE_MAX);
        let readings = self.blocks as f64 * f64::from(self.block);
        let recurring = (readings / ALIKE_TIMES as f64).ln();
        if extrapolated <= recurring {
            return Some(extrapolated);
        }
        let alike = f64::from(self.level) + ALIKE_SHARE * above;
        let recurs = times(maxima.map(|maximum| maximum >= alike)) >= ALIKE_TIMES;
        Some(if recurs { recurring } else { extrapolated })
    }

    /// The most that is learned of one statistic.
    pub(super) fn most_learned(&self, bar: f64) -> f64 {
        if self.blocks < BLOCKS_MIN || self.excess <= 0.0 {
            return STEPS_MAX;
        }
        let to_bar = self.excess() * (bar - self.median_surprise()).max(1.0);
        f64::from(self.level) + LEARNED_MAX * to_bar
    }

    /// Half of the blocks have a maximum above the level: so has one reading in twice a block.
    fn median_surprise(&self) -> f64 {
        (2.0 * f64::from(self.block)).ln()
    }

    /// Never 0: below a step, and below what 32 bits can tell beside the level, there is only rounding.
    fn excess(&self) -> f64 {
        f64::from(self.excess).max(0.5).max(f64::from(self.level.abs()) * 2e-7)
    }
}

/// How many times it was so, for one block or for several on end.
fn times(blocks: impl Iterator<Item = bool>) -> usize {
    let mut before = false;
    let begins = |is: bool| !std::mem::replace(&mut before, is) && is;
    blocks.map(begins).filter(|&begins| begins).count()
}

impl Moments {
    pub(super) fn learn(&mut self, learned: f32) {
        self.seen = (self.seen + 1).min(DEVIATION_READINGS);
        let off = learned - self.mean;
        self.mean += off / f32::from(self.seen);
        self.variance += (off * (learned - self.mean) - self.variance) / f32::from(self.seen);
        self.variance = self.variance.clamp(-FAR * FAR, FAR * FAR);
    }

    pub(super) fn scale(&mut self, factor: f32) {
        self.mean = (self.mean * factor).clamp(-FAR, FAR);
        self.variance = (self.variance * factor * factor).min(FAR * FAR);
    }

    /// The least mean excess there is.
    pub(super) fn least_excess(&self) -> f32 {
        (EXCESS_MIN_SHARE * f64::from(self.variance.max(0.0)).sqrt()) as f32
    }

    pub(super) fn is_sound(&self) -> bool {
        // Rounding may take the variance below 0.
        self.mean.abs() <= FAR && self.variance.abs() <= FAR * FAR && self.seen <= DEVIATION_READINGS
    }
}

/// The median of `maxima` (at least one), and their mean excess above it.
pub(super) fn fit(mut maxima: Vec<f32>) -> (f32, f32) {
    maxima.sort_unstable_by(f32::total_cmp);
    let middle = (maxima.len() / 2).min(maxima.len() - 1);
    let (level, above) = (maxima[middle], &maxima[middle + 1..]);
    let excess: f32 = above.iter().map(|maximum| maximum - level).sum();
    (level, excess / above.len().max(1) as f32)
}

impl Tail {
    pub(super) fn new() -> Tail {
        Tail {
            maxima: Vec::new(),
            current: -FAR,
            filled: 0,
            block: BLOCK_FIRST,
            level: 0.0,
            excess: 0.0,
            moments: Moments::default(),
        }
    }

    pub(super) fn known(&self) -> Known {
        Known { level: self.level, excess: self.excess, blocks: self.maxima.len(), block: self.block }
    }

    /// How surprising `statistic` would be as the next one ([`Known::surprise`]).
    pub(super) fn surprise(&self, statistic: f64) -> Option<f64> {
        self.known().surprise(statistic, self.maxima.iter().map(|&maximum| f64::from(maximum)))
    }

    /// Takes `statistic` as the next one, up to what a surprise of `bar` allows (see [`LEARNED_MAX`]); at
    /// most `blocks_max` blocks are kept.
    pub(super) fn learn(&mut self, statistic: f64, bar: f64) {
        let learned = (statistic.min(self.known().most_learned(bar)) as f32).clamp(-FAR, FAR);
        self.moments.learn(learned);
        self.current = self.current.max(learned);
        self.filled += 1;
        if self.filled == self.block {
            self.close_block();
        }
    }

    pub(super) fn scale(&mut self, factor: f32) {
        let all = [&mut self.level, &mut self.excess, &mut self.current];
        all.into_iter().chain(&mut self.maxima).for_each(|steps| *steps = (*steps * factor).clamp(-FAR, FAR));
        self.moments.scale(factor);
    }

    pub(super) fn is_sound(&self) -> bool {
        let kept = [self.current, self.level, self.excess];
        self.maxima.len() < BLOCKS_MAX
            && kept.iter().chain(&self.maxima).all(|steps| steps.abs() <= FAR)
            && self.moments.is_sound()
            && (BLOCK_FIRST..=BLOCK_MAX).contains(&self.block)
            && self.block.is_power_of_two()
            && self.filled < self.block
    }

    fn close_block(&mut self) {
        self.maxima.push(self.current);
        (self.current, self.filled) = (-FAR, 0);
        if self.maxima.len() >= BLOCKS_MAX {
            if self.block < BLOCK_MAX {
                self.maxima =
                    self.maxima.chunks(2).map(|two| two.iter().copied().fold(-FAR, f32::max)).collect();
                self.block *= 2;
            } else {
                self.maxima.remove(0);
            }
        }
        self.fit();
    }

    fn fit(&mut self) {
        let (level, excess) = fit(self.maxima.clone());
        self.level = level;
        self.excess = excess.max(self.moments.least_excess()).min(FAR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_on_end_are_one_time() {
        let times = |blocks: &str| times(blocks.chars().map(|block| block == 'x'));
        assert_eq!(["", "...", "x", "xx.x", ".x.x.x", "xxx"].map(times), [0, 0, 1, 2, 3, 1]);
    }

    #[test]
    fn what_had_about_as_much_three_times_is_as_frequent_as_that() {
        let known = Known { level: 10.0, excess: 1.0, blocks: 40, block: 128 };
        let surprise = |maxima: &[f64]| known.surprise(50.0, maxima.iter().copied());
        let extrapolated = 256f64.ln() + 40.0 / (1.0 + 2.0 / 40.0);
        let recurring = (40.0 * 128.0 / 3.0f64).ln();
        assert_eq!(surprise(&[38.0, 10.0, 60.0, 9.0]), Some(extrapolated));
        assert_eq!(surprise(&[38.0, 10.0, 60.0, 39.0, 9.0]), Some(extrapolated));
        assert_eq!(surprise(&[38.0, 10.0, 60.0, 9.0, 38.0]), Some(recurring));
        assert_eq!(surprise(&[37.0, 10.0, 60.0, 9.0, 38.0]), Some(extrapolated));
    }
}
