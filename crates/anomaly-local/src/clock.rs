//! The clock on the wall.

use std::time::{SystemTime, UNIX_EPOCH};

use anomaly_core::time::Timestamp;

/// Now; the year 1970 by a clock that is set before it.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = since.ok().and_then(|since| i64::try_from(since.as_millis()).ok());
    ms.and_then(Timestamp::from_ms).unwrap_or_default()
}
