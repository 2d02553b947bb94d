//! A time in whole hours.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whole hours; written `"24h"` or, in days, `"7d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hours(pub u32);

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            hours if hours > 0 && hours.is_multiple_of(24) => write!(f, "{}d", hours / 24),
            hours => write!(f, "{hours}h"),
        }
    }
}

impl Serialize for Hours {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        read(&text).map(Hours).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "{text:?} is no whole number of hours or days, such as \"24h\" or \"7d\""
            ))
        })
    }
}

fn read(text: &str) -> Option<u32> {
    let (digits, each) = match text.strip_suffix('d') {
        Some(days) => (days, 24),
        None => (text.strip_suffix('h')?, 1),
    };
    digits.parse::<u32>().ok()?.checked_mul(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_days() {
        for (text, hours) in [("24h", 24), ("7d", 168), ("25h", 25), ("0h", 0)] {
            assert_eq!(read(text), Some(hours), "{text}");
            assert_eq!(read(&Hours(hours).to_string()), Some(hours), "{hours}");
        }
        for text in ["", "h", "24", "1.5d", "-1h", "24 h", "4294967295d"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
