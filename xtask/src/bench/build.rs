//! The programs of ours that are measured, built as they are for Lambda.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::python::output;
use crate::cargo;

/// Records a second of our decoder and of the stock one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decoded {
    pub(super) ours: f64,
    pub(super) stock: f64,
}

/// The function.
pub(super) fn invoke() -> Result<PathBuf> {
    build("lambda-invoke", "function", "invoke")
}

/// The process that stands for SageMaker and SQS; it is not measured, so it need not be slow to link.
pub(super) fn endpoint() -> Result<PathBuf> {
    build("bench-endpoint", "release", "bench-endpoint")
}

/// The program that measures the decoders.
pub(super) fn decode() -> Result<PathBuf> {
    build("bench-decode", "function", "bench-decode")
}

/// The program that measures judging.
pub(super) fn classify() -> Result<PathBuf> {
    build("bench-classify", "function", "bench-classify")
}

/// The program that runs the detectors.
pub(super) fn detect() -> Result<PathBuf> {
    build("bench-detect", "release", "bench-detect")
}

/// The command, as it is released.
pub(super) fn anomaly() -> Result<PathBuf> {
    build("anomaly-cli", "release", "anomaly")
}

impl Decoded {
    /// What `program` measures on `event`.
    pub(super) fn measure(program: &Path, event: &Path) -> Result<Self> {
        let answer: serde_json::Value =
            serde_json::from_str(&output(Command::new(program).arg(event).arg("201"))?)?;
        let figure =
            |name: &str| answer[name].as_f64().with_context(|| format!("bench-decode printed no {name:?}"));
        Ok(Self { ours: figure("ours")?, stock: figure("stock")? })
    }
}

fn build(package: &str, profile: &str, program: &str) -> Result<PathBuf> {
    let build = &mut cargo::command();
    cargo::run(
        &format!("build {package}"),
        build.args(["build", "--quiet", "--package", package, "--profile", profile]),
    )?;
    Ok(cargo::target()?.join(profile).join(program))
}
