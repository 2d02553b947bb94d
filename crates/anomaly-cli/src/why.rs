//! `anomaly why`: how an alert came to each of its steps, and what would have changed the answer.

use std::io::{self, Write};
use std::process::ExitCode;

use anomaly_core::alert::Transition;
use anomaly_core::alerts::{Alert, named};
use anomaly_core::explain::of_step;
use anomaly_local::alerts::Alerts;
use anyhow::bail;

use crate::alerts::{Place, Wanted};
use crate::terminal::plain;

/// Say why an alert took each of its steps: rule, numbers, and what would have changed the answer.
///
/// The words are those of `anomaly detect --explain`, as they were when the step was taken; of a stack (--stack, aws;
/// permissions as for `anomaly alerts`) what is kept with the step, in the same words.
#[derive(Debug, clap::Args)]
pub(crate) struct WhyArgs {
    /// The alert's name; the first digits are enough
    #[arg(value_name = "ALERT")]
    id: String,
    #[command(flatten)]
    place: Place,
}

/// Says why.
///
/// # Errors
/// If there is no state, or it cannot be used; if the name is no alert's or several's; if no step of it is kept.
pub(crate) fn run(args: WhyArgs) -> anyhow::Result<ExitCode> {
    let alerts = args.place.read(Wanted::Named(&args.id))?;
    let Alert { id, series, rule, steps, .. } = named(&alerts.all, &args.id)?;
    if steps.is_empty() {
        bail!(
            "none of alert {id}'s steps is kept: they are too old, or of a release that kept none\nhint: anomaly alerts show {id}"
        );
    }
    let mut text = format!("alert {id} of {series} by {rule}\n");
    steps.iter().for_each(|step| text += &why(&alerts, step));
    io::stdout().write_all(plain(&text).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn why(alerts: &Alerts, step: &Transition) -> String {
    let (by, words) = match alerts.why(step) {
        Some(why) => (format!(", by row {} of {}", why.row, why.input), why.text.clone()),
        None => (String::new(), of_step(step)),
    };
    let words: String = words.lines().map(|line| format!("  {line}\n")).collect();
    format!("\n{} {} at {}{by}\n{words}", step.number, step.step.as_str(), step.at)
}
