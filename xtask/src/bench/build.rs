//! The programs of ours that are measured, built as they are for Lambda.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::python::output;
use super::{say, workspace};

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

/// Measures the decoders.
pub(super) fn decode(event: &Path) -> Result<Decoded> {
    let program = build("bench-decode", "function", "bench-decode")?;
    let answer: serde_json::Value =
        serde_json::from_str(&output(Command::new(program).arg(event).arg("201"))?)?;
    let figure =
        |name: &str| answer[name].as_f64().with_context(|| format!("bench-decode printed no {name:?}"));
    Ok(Decoded { ours: figure("ours")?, stock: figure("stock")? })
}

fn build(package: &str, profile: &str, program: &str) -> Result<PathBuf> {
    say(&format!("building {package}"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", package, "--profile", profile])
        .current_dir(workspace())
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("{package} does not build");
    }
    Ok(workspace().join("target").join(profile).join(program))
}
