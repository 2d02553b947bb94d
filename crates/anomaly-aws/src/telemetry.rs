//! Logs: one JSON object a line on standard output, as CloudWatch and Lambda's JSON format read them.

use tracing_subscriber::filter::LevelFilter;

use crate::metrics;

/// Starts [`metrics`], and logging at the level of `AWS_LAMBDA_LOG_LEVEL` (which the console and the template set), else of
/// `RUST_LOG`, else `info`. The runtime's span puts the request id on every line.
///
/// A second call changes nothing.
pub fn init(lookup: impl Fn(&str) -> Option<String>) {
    metrics::init(&lookup);
    let names = ["AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"];
    let level = names.into_iter().filter_map(lookup).find_map(|text| level(&text));
    // A subscriber that is there already is a test's or an earlier call's.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_ansi(false)
        .with_max_level(level.unwrap_or(LevelFilter::INFO))
        .try_init();
}

/// Starts logging for somebody who runs a handler by hand: errors only, as text, on standard error.
pub fn init_for_people() {
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_max_level(LevelFilter::ERROR)
        .try_init();
}

/// The levels of Lambda's logging configuration; `FATAL` is nothing of ours.
fn level(text: &str) -> Option<LevelFilter> {
    match text.trim().to_ascii_lowercase().as_str() {
        "fatal" => Some(LevelFilter::ERROR),
        other => other.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lambdas_levels() {
        let levels = ["TRACE", "debug", " info ", "WARN", "ERROR", "FATAL"].map(level);
        let expected = [
            LevelFilter::TRACE,
            LevelFilter::DEBUG,
            LevelFilter::INFO,
            LevelFilter::WARN,
            LevelFilter::ERROR,
            LevelFilter::ERROR,
        ];
        assert_eq!(levels, expected.map(Some));
        assert_eq!(level("loud"), None);
    }
}
