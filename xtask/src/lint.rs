//! `cargo xtask lint`: formatting and lints, every warning an error.

use anyhow::Result;

use crate::cargo;

/// No arguments.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> Result<()> {
    cargo::run("formatting", cargo::command().args(["fmt", "--all", "--check"]))?;
    let mut clippy = cargo::command();
    clippy.args(["clippy", "--workspace", "--all-targets", "--features", "anomaly-cli/aws"]);
    cargo::run("lints", clippy.args(["--", "--deny", "warnings"])).map(drop)
}
