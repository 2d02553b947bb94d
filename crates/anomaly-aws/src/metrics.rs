//! Metrics: lines of CloudWatch's embedded metric format on standard output, of which Lambda makes metrics
//! without a call to CloudWatch.
//!
//! They are in the namespace [`NAMESPACE`], by the one dimension `FunctionName`: each further dimension would
//! be paid for as a metric of its own. A count that is zero is left out, and so is a line without metrics.

use std::io::{self, Write};
use std::sync::OnceLock;

use anomaly_core::time::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of all of them.
pub const NAMESPACE: &str = "anomaly-alerts";

/// Readings that came later than allowed, moved or dropped (Stream Analytics: Late Input Events).
pub const LATE_INPUT_EVENTS: &str = "LateInputEvents";
/// Readings before their series' watermark, moved or dropped (Stream Analytics: Out-of-Order Events).
pub const OUT_OF_ORDER_EVENTS: &str = "OutOfOrderEvents";
/// Readings from too far ahead, dropped (Stream Analytics: Early Input Events).
pub const EARLY_INPUT_EVENTS: &str = "EarlyInputEvents";
/// How far the largest watermark of a batch lies behind the clock, in seconds; only with
/// `[input.event_time]` (Stream Analytics: Watermark Delay).
pub const WATERMARK_DELAY_SECONDS: &str = "WatermarkDelaySeconds";
/// Records that could not be read as readings (Stream Analytics: Input Deserialization Errors).
pub const INPUT_DESERIALIZATION_ERRORS: &str = "InputDeserializationErrors";

/// Fields seen for the first time in a process, in a sample of the readings.
pub const UNKNOWN_FIELDS: &str = "UnknownFields";
/// Fields missing for the first time that every reading of the sample had before.
pub const VANISHED_FIELDS: &str = "VanishedFields";
/// Fields of another type than ever before.
pub const RETYPED_FIELDS: &str = "RetypedFields";

const DIMENSION: &str = "FunctionName";

/// The function whose metrics these are; nothing is written before it is known.
static FUNCTION: OnceLock<String> = OnceLock::new();

/// Has metrics written from now on, by the name in `AWS_LAMBDA_FUNCTION_NAME`; not where there is none.
///
/// A second call changes nothing.
pub fn init(lookup: impl Fn(&str) -> Option<String>) {
    if let Some(name) = lookup("AWS_LAMBDA_FUNCTION_NAME").filter(|name| !name.is_empty()) {
        FUNCTION.get_or_init(|| name);
    }
}

/// The metrics of one batch. At most 100 (CloudWatch user guide, "Specification: Embedded metric format").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    values: Vec<Metric>,
}

#[derive(Clone, Debug, PartialEq)]
struct Metric {
    name: &'static str,
    unit: &'static str,
    value: Value,
}

impl Metrics {
    /// Adds a number of things; 0 is left out.
    pub fn count(&mut self, name: &'static str, count: usize) {
        if count > 0 {
            self.values.push(Metric { name, unit: "Count", value: count.into() });
        }
    }

    /// Adds a length of time.
    pub fn seconds(&mut self, name: &'static str, seconds: f64) {
        self.values.push(Metric { name, unit: "Seconds", value: seconds.into() });
    }

    /// The line of the function `function` for a batch that ended at `now`; `None` without metrics.
    pub fn line(&self, function: &str, now: Timestamp) -> Option<String> {
        if self.values.is_empty() {
            return None;
        }
        let described: Vec<Value> =
            self.values.iter().map(|m| json!({ "Name": m.name, "Unit": m.unit })).collect();
        let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": described });
        let mut line = Map::new();
        let about = json!({ "Timestamp": now.as_ms(), "CloudWatchMetrics": [directive] });
        line.insert("_aws".to_owned(), about);
        line.insert(DIMENSION.to_owned(), function.into());
        line.extend(self.values.iter().map(|m| (m.name.to_owned(), m.value.clone())));
        Some(Value::Object(line).to_string())
    }

    /// Writes the line, in a function.
    pub fn emit(&self, now: Timestamp) {
        if let Some(line) = FUNCTION.get().and_then(|function| self.line(function, now)) {
            // Metrics are no reason to fail.
            let _ = writeln!(io::stdout().lock(), "{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let mut metrics = Metrics::default();
        metrics.count(LATE_INPUT_EVENTS, 3);
        metrics.count(EARLY_INPUT_EVENTS, 0);
        metrics.seconds(WATERMARK_DELAY_SECONDS, 6.25);
        let now = Timestamp::from_ms(1_795_234_260_120).expect("in range");
        let line = metrics.line("stack-classify", now).expect("has metrics");
        let object: Value = serde_json::from_str(&line).expect("one JSON object");
        expect![[r#"
            {
              "FunctionName": "stack-classify",
              "LateInputEvents": 3,
              "WatermarkDelaySeconds": 6.25,
              "_aws": {
                "CloudWatchMetrics": [
                  {
                    "Dimensions": [
                      [
                        "FunctionName"
                      ]
                    ],
                    "Metrics": [
                      {
                        "Name": "LateInputEvents",
                        "Unit": "Count"
                      },
                      {
                        "Name": "WatermarkDelaySeconds",
                        "Unit": "Seconds"
                      }
                    ],
                    "Namespace": "anomaly-alerts"
                  }
                ],
                "Timestamp": 1795234260120
              }
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&object).expect("plain data"));
        assert!(!line.contains('\n'));
    }

    #[test]
    fn nothing_to_say_is_no_line() {
        let mut metrics = Metrics::default();
        metrics.count(LATE_INPUT_EVENTS, 0);
        assert_eq!(metrics.line("f", Timestamp::default()), None);
    }
}
