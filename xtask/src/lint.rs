//! `cargo xtask lint`: formatting and lints, every warning an error.

use anyhow::Result;

use crate::cargo;

/// No arguments.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> Result<()> {
    let formatted = cargo::run("formatting", cargo::command().args(["fmt", "--all", "--check"]));
    let mut clippy = cargo::command();
    clippy.args(["clippy", "--workspace", "--all-targets", "--features", "anomaly-cli/aws"]);
    let linted = cargo::run("lints", clippy.args(["--", "--deny", "warnings"]));
    // Both are run before either is heard, so that one run tells all there is to mend.
    formatted.and(linted).map(drop)
}
