//! `cargo xtask fuzz`: looks for bytes that a reader cannot stand, with cargo-fuzz.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo;

/// What `cargo xtask fuzz` is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The targets; all, if none is named.
    targets: Vec<String>,
    /// For how long each target is run, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Afterwards keep only those inputs in `fuzz/corpus` that each reach something of their own.
    #[arg(long)]
    minimize: bool,
}

/// The longest input, in bytes: long enough for several of everything.
const INPUT_BYTES_MAX: u32 = 16_384;
/// How long an input may take, in seconds, before that is a finding.
const INPUT_SECONDS_MAX: u32 = 5;

pub(crate) fn run(args: &Args) -> Result<()> {
    let all = targets()?;
    for name in &args.targets {
        ensure!(all.contains(name), "no target {name}; there are: {}", all.join(", "));
    }
    let there = cargo_fuzz().arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        bail!("cargo-fuzz is not there\nhint: cargo install cargo-fuzz (it needs a C++ compiler)");
    }
    for name in if args.targets.is_empty() { &all } else { &args.targets } {
        let corpus = cargo::root().join("fuzz/corpus").join(name);
        let mut fuzz = cargo_fuzz();
        fuzz.args(["run", name]).arg(&corpus).arg("--");
        fuzz.arg(format!("-max_total_time={}", args.seconds)).arg(format!("-max_len={INPUT_BYTES_MAX}"));
        fuzz.arg(format!("-timeout={INPUT_SECONDS_MAX}")).args(["-print_final_stats=1", "-verbosity=0"]);
        cargo::run(&format!("fuzz {name} for {} s", args.seconds), &mut fuzz)?;
        if args.minimize {
            cargo::run(&format!("minimize {name}"), cargo_fuzz().args(["cmin", name]).arg(&corpus))?;
        }
    }
    Ok(())
}

/// The targets, by the files there are for cargo-fuzz.
fn targets() -> Result<Vec<String>> {
    let folder = cargo::root().join("fuzz/targets");
    let files = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let paths = files.map(|file| Ok(file?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let mut names: Vec<String> =
        paths.iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// cargo-fuzz, with the one toolchain there is: the flags it gives the compiler are otherwise for nightly ones.
fn cargo_fuzz() -> Command {
    let mut command = cargo::command();
    command.arg("fuzz").env("RUSTC_BOOTSTRAP", "1");
    command
}
