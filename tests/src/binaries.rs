//! The programs of this workspace, freshly built.

use std::ffi::OsStr;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::rig;

/// Set by `cargo xtask test`, which has built them already.
const FOLDER: &str = "ANOMALY_BIN";

/// The path of the program `name`, built if nobody did.
///
/// # Errors
/// When it cannot be built.
pub fn path(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = BUILT.get_or_init(|| folder().map_err(|error| format!("{error:#}")));
    let path = folder.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?.join(name);
    ensure!(path.exists(), "there is no {}", path.display());
    Ok(path)
}

fn folder() -> Result<PathBuf> {
    match std::env::var_os(FOLDER) {
        Some(folder) => Ok(folder.into()),
        None => build(),
    }
}

/// Builds them the way `cargo xtask test` does.
///
/// A test binary of this package does not make cargo build the programs of others, and a stale program
/// would be worse than none.
fn build() -> Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--workspace", "--bins", "--tests", "--features", "anomaly-cli/aws"])
        .current_dir(rig::root());
    // Set for this test by cargo; build scripts that watch them would run again for nothing.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_this_package(name)) {
        cargo.env_remove(name);
    }
    let built = cargo.output().context("cargo build")?;
    ensure!(built.status.success(), "cargo build failed:\n{}", String::from_utf8_lossy(&built.stderr));
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(Path::parent).context("a test lies in target/PROFILE/deps")?;
    Ok(folder.to_owned())
}

fn is_of_this_package(variable: &OsStr) -> bool {
    variable.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR")
}

/// The function `name` as Lambda takes it: a zip archive with an executable `bootstrap`.
///
/// # Errors
/// When the program cannot be read.
pub fn archive(name: &str) -> Result<Vec<u8>> {
    let program = without_symbols(&path(name)?)?;
    let mut archive = ZipWriter::new(Cursor::new(Vec::with_capacity(program.len() + 1024)));
    let options =
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored).unix_permissions(0o755);
    archive.start_file("bootstrap", options)?;
    archive.write_all(&program)?;
    Ok(archive.finish()?.into_inner())
}

/// The bytes of `program`, without its symbols if there is a `strip`, as there is beside most linkers: a
/// quarter is left to upload.
fn without_symbols(program: &Path) -> Result<Vec<u8>> {
    let stripped = tempfile::NamedTempFile::new()?;
    let strip = Command::new("strip").arg("-o").arg(stripped.path()).arg(program).status();
    let smaller = if strip.is_ok_and(|status| status.success()) { stripped.path() } else { program };
    std::fs::read(smaller).with_context(|| program.display().to_string())
}
