//! The command `anomaly`, run as people run it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::binaries;

/// Trains `model` on all numeric columns of `history`.
///
/// # Errors
/// When the command fails.
pub fn train(history: &Path, model: &Path) -> Result<()> {
    train_shingled(history, model, 1)
}

/// As [`train`], on rows of `shingle` readings.
///
/// # Errors
/// When the command fails.
pub fn train_shingled(history: &Path, model: &Path, shingle: usize) -> Result<()> {
    let mut command = anomaly()?;
    command.arg("train").arg(history).arg("-o").arg(model).args(["--shingle", &shingle.to_string()]);
    run(command, &[0])
}

/// Judges `series`, with `model` or by what the configuration asks for, and writes its transitions to `alerts`, one a
/// line.
///
/// # Errors
/// When the command fails. That something is anomalous is no failure.
pub fn detect(config: &Path, model: Option<&Path>, series: &Path, alerts: &Path) -> Result<()> {
    let mut command = anomaly()?;
    command.arg("detect").arg(series).arg("--config").arg(config).arg("--alerts").arg(alerts);
    if let Some(model) = model {
        command.arg("--model").arg(model);
    }
    run(command, &[0, 1])
}

/// The command, yet without arguments.
///
/// # Errors
/// When it cannot be built.
pub fn anomaly() -> Result<Command> {
    Ok(Command::new(binaries::path("anomaly")?))
}

fn run(mut command: Command, accepted: &[i32]) -> Result<()> {
    let output = command.output().context("anomaly")?;
    let code = output.status.code().unwrap_or(-1);
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(accepted.contains(&code), "{command:?} ended with {code}:\n{said}");
    Ok(())
}
