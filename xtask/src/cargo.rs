//! Running cargo, and saying how long it took.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where cargo puts the programs of this profile: where this one lies.
///
/// # Errors
/// When the operating system does not say.
pub(crate) fn programs() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    Ok(this.parent().context("a program lies in a folder")?.to_owned())
}

/// Cargo's target folder.
///
/// # Errors
/// When the operating system does not say where this program lies.
pub(crate) fn target() -> Result<PathBuf> {
    Ok(programs()?.parent().context("programs lie in target/PROFILE")?.to_owned())
}

/// Cargo itself, to be run at the root.
///
/// It must be the one that runs this program. The variables cargo sets for `cargo run` are taken away:
/// build scripts watch some of them, and would run again for nothing.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `command` with its output going where ours goes.
///
/// # Errors
/// When it cannot be run or fails.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<Duration> {
    let begun = Instant::now();
    eprintln!("── {what}");
    let status = command.status().with_context(|| what.to_owned())?;
    ensure!(status.success(), "{what} failed");
    Ok(begun.elapsed())
}

/// Runs `command`, shows each line of its standard output and hands it to `read`.
///
/// # Errors
/// When it cannot be run. Whether it succeeded is the answer, not an error.
pub(crate) fn run_reading(what: &str, command: &mut Command, mut read: impl FnMut(&str)) -> Result<bool> {
    eprintln!("── {what}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| what.to_owned())?;
    let lines = BufReader::new(child.stdout.take().context("the output was asked for")?);
    for line in lines.lines() {
        let line = line?;
        writeln!(std::io::stdout(), "{line}")?;
        read(&line);
    }
    Ok(child.wait()?.success())
}
