//! `cargo xtask lint`: not written yet.

/// No arguments yet.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("`cargo xtask lint` is not written yet")
}
