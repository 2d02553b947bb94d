//! `cargo xtask render`: writes the committed files that are rendered from code.

use std::fs;
use std::path::Path;

use anomaly_core::config::Config;
use anomaly_provision::{Target, render};
use anyhow::Context;

/// No arguments: what is committed is rendered from the committed `anomaly.toml`.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("anomaly.toml")).context("reading anomaly.toml")?;
    let config = Config::from_toml(&text).context("anomaly.toml")?;
    for file in render(&config, Target::Sam)? {
        fs::write(root.join(file.name), file.text).with_context(|| format!("writing {}", file.name))?;
    }
    Ok(())
}
