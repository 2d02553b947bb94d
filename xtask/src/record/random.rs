//! A small seeded generator: the same seed draws the same load and the same plan of faults.

/// SplitMix64 (Steele, Lea and Flood, 2014): one word of state, and good enough for arrivals.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// `stream` keeps the users of one seed apart from each other.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self(seed ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1].
    pub(super) fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `low..=high`.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// Exponential with the given mean: the gaps between independent arrivals.
    pub(super) fn gap(&mut self, mean: f64) -> f64 {
        -mean * self.unit().ln()
    }

    /// In place, every order equally likely.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.between(0, i as u64) as usize;
            items.swap(i, j);
        }
    }
}
