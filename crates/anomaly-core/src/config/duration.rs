//! Lengths of time in `anomaly.toml`: `"16s"`, `"5m"`, `"1h 30m"`, `"250ms"`, or ISO 8601 (`"PT16S"`).
//!
//! For `#[serde(with = "duration")]` on a [`Duration`].

use std::time::Duration;

use jiff::SignedDuration;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes the shortest form, such as `16s`.
pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown(*duration))
}

/// Reads any of the forms.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let unread =
        || D::Error::custom(format!("{text:?} is no length of time; write \"16s\", \"5m\" or \"1h\""));
    read(&text).ok_or_else(unread)
}

/// The length of time that `text` is in any of the forms.
pub(super) fn read(text: &str) -> Option<Duration> {
    let signed: SignedDuration = text.trim().parse().ok()?;
    Duration::try_from(signed).ok()
}

/// The same for `Option<Duration>`; leave `None` out with `skip_serializing_if`.
pub(super) mod optional {
    use super::{Deserializer, Duration, Serializer};

    /// As [`super::serialize`].
    pub(crate) fn serialize<S: Serializer>(duration: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, s),
            None => s.serialize_none(),
        }
    }

    /// As [`super::deserialize`].
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        super::deserialize(d).map(Some)
    }
}

/// The shortest form.
pub(super) fn shown(duration: Duration) -> String {
    SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{duration:?}"), |signed| format!("{signed:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        #[serde(with = "super")]
        wait: Duration,
    }

    fn read(text: &str) -> Result<Duration, String> {
        let json = serde_json::json!({ "wait": text });
        serde_json::from_value::<Holder>(json).map(|h| h.wait).map_err(|e| e.to_string())
    }

    #[test]
    fn reads_what_people_write() {
        for (text, ms) in
            [("16s", 16_000), ("1h 30m", 5_400_000), ("250ms", 250), ("PT16S", 16_000), ("0s", 0)]
        {
            assert_eq!(read(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "16", "-1s", "soon", "1 month"] {
            let error = read(text).expect_err(text);
            assert_eq!(error, format!("{text:?} is no length of time; write \"16s\", \"5m\" or \"1h\""));
        }
    }

    #[test]
    fn comes_back() {
        for ms in [0, 1, 16_000, 300_000, 5_400_000, 1_814_399_000] {
            let holder = Holder { wait: Duration::from_millis(ms) };
            let json = serde_json::to_string(&holder).expect("plain data");
            assert_eq!(serde_json::from_str::<Holder>(&json).expect("its own"), holder, "{json}");
        }
        assert_eq!([16, 300].map(|s| shown(Duration::from_secs(s))), ["16s", "5m"]);
    }
}
