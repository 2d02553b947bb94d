//! Being asked to end, by a person or by whoever runs the process.

use anomaly_local::input::Stop;
use anyhow::Context;

/// The first signal asks `stop`, and the run ends after the row at hand; the second one ends it at once.
///
/// # Errors
/// If signals cannot be heard.
pub(crate) fn stop_on_signals(stop: &Stop) -> anyhow::Result<()> {
    let stop = stop.clone();
    let hear = move || {
        if stop.is_requested() {
            // 128 + SIGINT, as shells have it.
            std::process::exit(130);
        }
        stop.request();
    };
    ctrlc::set_handler(hear).context("signals cannot be heard")
}
