//! "M of the last N": how many readings it takes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// M of the last N readings; written `"3 of 5"`. 1 ≤ M ≤ N ≤ 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MOfN {
    m: u8,
    n: u8,
}

impl MOfN {
    /// `None` unless 1 ≤ `m` ≤ `n` ≤ 64.
    pub fn new(m: u32, n: u32) -> Option<Self> {
        (1 <= m && m <= n && n <= 64).then_some(MOfN { m: m as u8, n: n as u8 })
    }

    /// How many it takes.
    pub fn m(self) -> u32 {
        u32::from(self.m)
    }

    /// Of how many.
    pub fn n(self) -> u32 {
        u32::from(self.n)
    }

    /// Pushes `hit` onto `last`, a history of one bit per reading, newest lowest, and says whether the
    /// last N readings now hold M hits. Readings before the first count as none.
    pub fn push(self, last: &mut u64, hit: bool) -> bool {
        let window = u64::MAX >> (64 - self.n);
        *last = ((*last << 1) | u64::from(hit)) & window;
        // Mostly there is none, and that is told without counting.
        *last != 0 && last.count_ones() >= self.m()
    }
}

/// One of one: every reading by itself.
impl Default for MOfN {
    fn default() -> Self {
        MOfN { m: 1, n: 1 }
    }
}

impl fmt::Display for MOfN {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.m, self.n)
    }
}

impl Serialize for MOfN {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MOfN {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = text
            .split_once(" of ")
            .and_then(|(m, n)| Some((m.trim().parse().ok()?, n.trim().parse().ok()?)))
            .and_then(|(m, n)| MOfN::new(m, n));
        parsed.ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "{text:?} is not \"M of N\" with M from 1 to N and N up to 64, such as \"3 of 5\""
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rule: MOfN, hits: &str) -> String {
        let mut last = 0;
        hits.chars().map(|c| if rule.push(&mut last, c == 'x') { 'F' } else { '.' }).collect()
    }

    #[test]
    fn counts_the_last_n() {
        assert_eq!(run(MOfN::default(), ".x.x"), ".F.F");
        assert_eq!(run(MOfN::new(2, 3).expect("valid"), "x..xx.x..x"), "....FFF...");
        assert_eq!(run(MOfN::new(64, 64).expect("valid"), &"x".repeat(65)), format!("{}FF", ".".repeat(63)));
    }

    #[test]
    fn bounds() {
        for (m, n) in [(0, 1), (2, 1), (1, 65)] {
            assert_eq!(MOfN::new(m, n), None);
        }
    }
}
