//! "M of the last N readings", where some of them are missing.
//!
//! Source: Amazon CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data" and "Avoiding
//! premature transitions to alarm state". More readings are looked at than N, so that those that are there decide
//! where they can; for what is still missing stands the treatment.

use crate::config::{MOfN, Missing};

/// How many more readings are looked at than N: "the evaluation range", 5 for an N of 3 in CloudWatch's examples.
const RANGE_MORE: u32 = 2;

/// What the last readings of a series come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Enough of them are anomalous.
    Alarm,
    /// They are not.
    Ok,
    /// None of them is there.
    InsufficientData,
    /// It stays as it was: too few of them are there.
    Retain,
}

/// The last readings, newest in the lowest bit; by default all are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// Which are anomalous.
    pub strange: u64,
    /// Which are there.
    pub there: u64,
}

impl Last {
    /// Another reading came, or did not (`None`).
    pub fn push(&mut self, strange: Option<bool>) {
        self.strange = self.strange << 1 | u64::from(strange == Some(true));
        self.there = self.there << 1 | u64::from(strange.is_some());
    }

    /// Only those that [`Last::evaluate`] looks at.
    pub fn within(self, hold: MOfN) -> Self {
        let range = range(hold.n());
        Last { strange: self.strange & range, there: self.there & range }
    }

    /// What they come to, by `hold`, if missing ones are treated as `missing` says.
    pub fn evaluate(&self, hold: MOfN, missing: Missing) -> Verdict {
        let (m, n) = (hold.m(), hold.n());
        let Last { strange, there } = self.within(hold);
        let count = there.count_ones();
        if count >= n {
            return alarm(newest(strange, there, n) >= m);
        }
        let filled = n - count;
        match missing {
            Missing::Breaching => alarm(strange.count_ones() + filled >= m),
            Missing::NotBreaching => alarm(strange.count_ones() >= m),
            Missing::Missing if count == 0 => Verdict::InsufficientData,
            Missing::Ignore if count == 0 => Verdict::Retain,
            Missing::Skip | Missing::Missing | Missing::Ignore if strange.count_ones() >= m => Verdict::Alarm,
            Missing::Missing if count < m && is_old_enough(strange, there, m) => Verdict::Alarm,
            Missing::Ignore if count < m && is_old_enough(strange, there, m) => Verdict::Retain,
            Missing::Skip | Missing::Missing | Missing::Ignore => Verdict::Ok,
        }
    }
}

fn range(n: u32) -> u64 {
    u64::MAX >> (64 - (n + RANGE_MORE).min(64))
}

fn alarm(is: bool) -> Verdict {
    if is { Verdict::Alarm } else { Verdict::Ok }
}

/// How many of the newest `n` that are there are anomalous.
fn newest(strange: u64, mut there: u64, n: u32) -> u32 {
    let mut found = 0;
    for _ in 0..n {
        let lowest = there & there.wrapping_neg();
        found += u32::from(strange & lowest != 0);
        there ^= lowest;
    }
    found
}

/// Whether the oldest anomalous reading is at least the `m`th from now, and all newer ones are anomalous or missing:
/// what has to come cannot be waited for any longer.
fn is_old_enough(strange: u64, there: u64, m: u32) -> bool {
    let age = 64 - strange.leading_zeros();
    let newer = u64::MAX.checked_shr(64 - age).unwrap_or(0);
    age >= m && there & newer == strange & newer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two tables of the user guide: `X` is anomalous, `0` is not, `-` is missing; the newest comes last. Each
    /// column is a treatment: missing, ignore, breaching, notBreaching.
    const THREE_OF_THREE: &[(&str, &str)] = &[
        ("0 - X - X", "OK OK OK OK"),
        ("- - - - 0", "OK OK OK OK"),
        ("- - - - -", "INSUFFICIENT_DATA RETAIN ALARM OK"),
        ("0 X X - X", "ALARM ALARM ALARM ALARM"),
        ("- - X - -", "ALARM RETAIN ALARM OK"),
    ];
    const TWO_OF_THREE: &[(&str, &str)] = &[
        ("0 - X - X", "ALARM ALARM ALARM ALARM"),
        ("0 0 X 0 X", "ALARM ALARM ALARM ALARM"),
        ("0 - X - -", "OK OK ALARM OK"),
        ("- - - - 0", "OK OK ALARM OK"),
        ("- - - X -", "ALARM RETAIN ALARM OK"),
    ];

    fn last(text: &str) -> Last {
        let mut last = Last::default();
        for mark in text.split(' ') {
            last.push(match mark {
                "X" => Some(true),
                "0" => Some(false),
                _ => None,
            });
        }
        last
    }

    fn say(text: &str, hold: MOfN) -> String {
        let treatments = [Missing::Missing, Missing::Ignore, Missing::Breaching, Missing::NotBreaching];
        let said = treatments.map(|missing| match last(text).evaluate(hold, missing) {
            Verdict::Alarm => "ALARM",
            Verdict::Ok => "OK",
            Verdict::InsufficientData => "INSUFFICIENT_DATA",
            Verdict::Retain => "RETAIN",
        });
        said.join(" ")
    }

    #[test]
    fn the_tables_of_the_user_guide() {
        for (m, table) in [(3, THREE_OF_THREE), (2, TWO_OF_THREE)] {
            let hold = MOfN::new(m, 3).expect("valid");
            for (text, expected) in table {
                assert_eq!(say(text, hold), *expected, "{text} with {hold}");
            }
        }
    }

    /// "The alarm does not go immediately into ALARM state when the data is either - - - - X or - - - X -".
    #[test]
    fn no_alarm_before_its_time() {
        let hold = MOfN::new(3, 3).expect("valid");
        for text in ["- - - - X", "- - - X -"] {
            assert!(say(text, hold).starts_with("OK OK ALARM"), "{text}");
        }
        assert_eq!(say("X X X X 0 0 0", hold), "OK OK OK OK", "what is behind the range is forgotten");
    }

    #[test]
    fn where_none_is_missing_it_is_m_of_n() {
        for (m, n) in [(1, 1), (2, 3), (3, 5), (40, 64)] {
            let hold = MOfN::new(m, n).expect("valid");
            let (mut last, mut bits, mut seed) = (Last::default(), 0, 9_u64);
            for i in 0..500 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let strange = seed >> 62 != 0;
                last.push(Some(strange));
                let plain = hold.push(&mut bits, strange);
                if i >= n {
                    assert_eq!(last.evaluate(hold, Missing::Missing) == Verdict::Alarm, plain);
                }
            }
        }
    }
}
