//! The tails of one statistic in little room: upwards and downwards together, a byte a block.

use serde::{Deserialize, Serialize};

use super::codes::Codes;
use super::tail::{self, BLOCK_FIRST, BLOCK_MAX, BLOCKS_MAX, Known, Moments};

/// Both tails of a statistic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pair {
    /// Upwards, downwards: block maxima, oldest first, with the one of the block that is not full.
    ways: [Codes; 2],
    filled: u16,
    block: u16,
    moments: Moments,
    /// Of each way its maxima's median and mean excess, as they follow from the full blocks.
    #[serde(skip)]
    fits: [(f32, f32); 2],
}

impl Pair {
    pub(super) fn new() -> Pair {
        Pair {
            ways: Default::default(),
            filled: 0,
            block: BLOCK_FIRST,
            moments: Moments::default(),
            fits: Default::default(),
        }
    }

    /// What is known of a way: 0 is upwards, 1 downwards.
    pub(super) fn known(&self, way: usize) -> Known {
        let (level, excess) = self.fits[way];
        // What lies between two places is not known.
        let least = self.moments.least_excess().max(self.ways[way].unit() as f32 / 2.0);
        Known { level, excess: excess.max(least), blocks: self.blocks(), block: self.block }
    }

    /// How surprising `statistic` would be as the next one, of a way ([`Known::surprise`]).
    pub(super) fn surprise(&self, way: usize, statistic: f64) -> Option<f64> {
        self.known(way).surprise(statistic, self.ways[way].values().take(self.blocks()))
    }

    /// Takes `statistic` as the next one, each way up to what a surprise of `bar` allows.
    pub(super) fn learn(&mut self, statistic: f64, bar: f64) {
        let full = self.blocks();
        let [up, down] = [0, 1].map(|way| self.known(way).most_learned(bar));
        let learned = statistic.min(up).max(-down);
        self.moments.learn(learned as f32);
        for (way, learned) in [learned, -learned].into_iter().enumerate() {
            let codes = &mut self.ways[way];
            let ruler = codes.ruler();
            if self.filled == 0 {
                codes.push(learned);
            } else {
                codes.raise_last(learned);
            }
            // On another ruler the full blocks are other numbers.
            if codes.ruler() != ruler {
                self.fit(way, full);
            }
        }
        self.filled += 1;
        if self.filled == self.block {
            self.close_block();
        }
    }

    pub(super) fn scale_by_power(&mut self, log2: i32) {
        self.ways.iter_mut().for_each(|codes| codes.scale_by_power(log2));
        self.moments.scale(2f32.powi(log2));
        self.restore();
    }

    /// Full blocks.
    pub(super) fn blocks(&self) -> usize {
        self.ways[0].len().saturating_sub(usize::from(self.filled > 0))
    }

    /// What is not saved, from what is.
    pub(super) fn restore(&mut self) {
        let full = self.blocks();
        (0..2).for_each(|way| self.fit(way, full));
    }

    pub(super) fn is_sound(&self) -> bool {
        self.ways.iter().all(|codes| codes.is_sound(BLOCKS_MAX) && codes.len() == self.ways[0].len())
            && (self.filled == 0 || !self.ways[0].is_empty())
            && self.blocks() < BLOCKS_MAX
            && self.moments.is_sound()
            && (BLOCK_FIRST..=BLOCK_MAX).contains(&self.block)
            && self.block.is_power_of_two()
            && self.filled < self.block
    }

    fn close_block(&mut self) {
        self.filled = 0;
        if self.blocks() >= BLOCKS_MAX {
            if self.block < BLOCK_MAX {
                self.ways.iter_mut().for_each(|codes| codes.merge(true, u8::max));
                self.block *= 2;
            } else {
                self.ways.iter_mut().for_each(Codes::remove_first);
            }
        }
        self.restore();
    }

    /// Of `full` blocks.
    fn fit(&mut self, way: usize, full: usize) {
        let maxima: Vec<f32> = self.ways[way].values().take(full).map(|maximum| maximum as f32).collect();
        self.fits[way] = if maxima.is_empty() { (0.0, 0.0) } else { tail::fit(maxima) };
    }
}
