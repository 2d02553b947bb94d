//! `anomaly train` without histories, as SageMaker starts a training container.

use std::io::{self, Write};
use std::process::ExitCode;

use anomaly_local::container::{Container, Trained};
use anomaly_local::input::Stop;
use anyhow::{Context, bail, ensure};

use super::history::say;
use super::summary;
use crate::sagemaker;

/// Trains as the container's configuration says, and leaves the model, or why there is none.
///
/// # Errors
/// If this is no training container, or there is no model.
pub(super) fn run(stop: &Stop) -> anyhow::Result<ExitCode> {
    let root = sagemaker::root();
    let container = Container::at(&root);
    ensure!(
        container.is_there(),
        "no history to learn from, and no {} as in a container of SageMaker\nhint: anomaly train HISTORY.csv",
        root.join("input/config").display()
    );
    match container.train(stop, &mut say) {
        Ok(trained) => {
            tell(&trained)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            container.fail(&failure.to_string()).context(failure.to_string())?;
            bail!(failure)
        }
    }
}

/// The log of a training job is what it prints; its metrics are found in it by a regular expression such as
/// `test:f1=([0-9.]+)`.
fn tell(trained: &Trained) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let place = sagemaker::root().join("model");
    writeln!(out, "{}", summary::as_text(&trained.model, &[], &place))?;
    for (name, value) in trained.quality.iter().flat_map(|quality| quality.metrics()) {
        writeln!(out, "{name}={value}")?;
    }
    Ok(())
}
