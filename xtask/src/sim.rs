//! `cargo xtask sim`: the simulation, built to be quick, and the mutants that show that it sees.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::cargo;

/// What `cargo xtask sim` is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds, from the first on.
    #[arg(long, default_value_t = 1_000)]
    rounds: u64,
    /// Print the story of the first round, whether it fails or not.
    #[arg(long)]
    story: bool,
    /// Break the code in every way of `tests/simulation/mutants.toml`, one at a time and in a copy, and tell
    /// how many seeds it takes to notice.
    #[arg(long)]
    mutants: bool,
    /// Of these only those whose names hold this.
    #[arg(long, requires = "mutants", default_value = "")]
    only: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.mutants {
        return mutants(args);
    }
    let mut simulate = cargo::command();
    simulate.args(["run", "--quiet", "--profile", "sim", "--package", "anomaly-simulation", "--"]);
    simulate.args(["--seed", &args.seed.to_string(), "--rounds", &args.rounds.to_string()]);
    simulate.args(args.story.then_some("--story"));
    cargo::run("simulate", &mut simulate).map(drop)
}

/// A way to break the code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    /// What is broken, in a few words.
    name: String,
    /// The file.
    file: PathBuf,
    /// What stands there, once.
    find: String,
    /// What stands there instead.
    replace: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutants {
    mutant: Vec<Mutant>,
}

fn mutants(args: &Args) -> Result<()> {
    let list = list()?;
    let copy = copy_sources()?;
    ensure!(first_failure(&copy, args)?.is_none(), "the code as it is fails; mend that first");
    let mut survivors = Vec::new();
    for mutant in list.into_iter().filter(|m| m.name.contains(&args.only)) {
        let (path, sound) = mutant.sound(&copy)?;
        let Mutant { name, find, replace, .. } = mutant;
        fs::write(&path, sound.replace(&find, &replace))?;
        let noticed = first_failure(&copy, args).with_context(|| name.clone());
        fs::write(&path, sound)?;
        match noticed? {
            Some(seed) => println!("{name}: noticed at seed {seed}"),
            None => {
                println!("{name}: not noticed");
                survivors.push(name);
            }
        }
    }
    ensure!(survivors.is_empty(), "not noticed in {} seeds: {}", args.rounds, survivors.join("; "));
    Ok(())
}

fn list() -> Result<Vec<Mutant>> {
    let list = cargo::root().join("tests/simulation/mutants.toml");
    let list: Mutants = toml::from_str(&fs::read_to_string(&list)?).context("mutants.toml")?;
    Ok(list.mutant)
}

impl Mutant {
    /// The file that it breaks under `root`, and what stands in it.
    fn sound(&self, root: &Path) -> Result<(PathBuf, String)> {
        let Mutant { name, file, find, .. } = self;
        let path = root.join(file);
        let sound = fs::read_to_string(&path).with_context(|| file.display().to_string())?;
        let found = sound.matches(find).count();
        ensure!(found == 1, "{name}: {find:?} stands {found} times in {}, not once", file.display());
        Ok((path, sound))
    }
}

/// A copy of all files under version control, as they stand now, in the target folder.
fn copy_sources() -> Result<PathBuf> {
    let copy = cargo::target()?.join("mutants/tree");
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(cargo::root()).output()?;
    ensure!(listed.status.success(), "git ls-files failed");
    for file in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        let (from, to) = (cargo::root().join(file), copy.join(file));
        let Ok(bytes) = fs::read(&from) else { continue };
        // What is unchanged keeps its time, and is not built again.
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        fs::create_dir_all(to.parent().unwrap_or(&copy))?;
        fs::write(&to, bytes).with_context(|| to.display().to_string())?;
    }
    Ok(copy)
}

/// The first seed whose round fails in the workspace `copy`, if one does.
fn first_failure(copy: &Path, args: &Args) -> Result<Option<u64>> {
    let target = cargo::target()?.join("mutants");
    let mut build = cargo::command();
    build.args(["build", "--quiet", "--profile", "sim", "--package", "anomaly-simulation"]).current_dir(copy);
    // From mutant to mutant little changes.
    build.env("CARGO_INCREMENTAL", "1");
    ensure!(build.env("CARGO_TARGET_DIR", &target).status()?.success(), "it does not build");
    let mut simulate = Command::new(target.join("sim/simulate"));
    simulate.args(["--seed", &args.seed.to_string(), "--rounds", &args.rounds.to_string()]);
    let output = simulate.output()?;
    if output.status.success() {
        return Ok(None);
    }
    let told = String::from_utf8_lossy(&output.stdout);
    let again = told.lines().rev().find_map(|line| line.strip_prefix("again: cargo xtask sim --seed "));
    match again.and_then(|rest| rest.split(' ').next()?.parse().ok()) {
        Some(seed) => Ok(Some(seed)),
        None => {
            bail!("the simulation ended without telling a seed: {}", String::from_utf8_lossy(&output.stderr))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// To break the code in every way takes an hour; that each way is still there takes no time.
    #[test]
    fn what_each_mutant_breaks_is_there() {
        let sound = |mutant: &Mutant| mutant.sound(cargo::root()).map_err(|missing| format!("{missing:#}"));
        let missing: Vec<String> = list().expect("a list").iter().filter_map(|m| sound(m).err()).collect();
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }
}
