//! `anomaly render`: templates from `anomaly.toml`, the same bytes every time.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anomaly_core::config::Config;
use anomaly_provision::{File, SAM_FILE, Target, render};
use anyhow::Context;

/// Render templates from the configuration file. Needs no cloud account.
#[derive(Debug, clap::Args)]
pub(crate) struct RenderArgs {
    #[command(subcommand)]
    target: To,
}

#[derive(Debug, clap::Subcommand)]
enum To {
    /// The pipeline as a SAM template.
    Sam {
        /// Where to write it; without it, to stdout.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// The pipeline as plain CloudFormation (pipeline.yaml), and the endpoint's stack (model.yaml).
    Aws {
        /// The folder to write them to; it is made if need be.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, clap::Args)]
struct Common {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "anomaly.toml")]
    config: PathBuf,
    /// Write nothing; exit 1 if what is there (template.yaml, or the output) differs from what would be.
    #[arg(long)]
    check: bool,
}

/// A rendered text and its place; no place is stdout.
type Placed = (Option<PathBuf>, String);

/// Renders, and writes or compares.
///
/// # Errors
/// The configuration cannot be read or cannot be rendered, or a file cannot be written.
pub(crate) fn run(args: RenderArgs) -> anyhow::Result<ExitCode> {
    let (placed, check) = match args.target {
        To::Sam { output, common } => {
            // To compare there must be something to compare with.
            let place = output.or(common.check.then(|| PathBuf::from(SAM_FILE)));
            (rendered(&common, Target::Sam, |_| place.clone())?, common.check)
        }
        To::Aws { output, common } => {
            (rendered(&common, Target::Aws, |file| Some(output.join(file.name)))?, common.check)
        }
    };
    if check {
        return compare(&placed);
    }
    placed.iter().try_for_each(|(place, text)| write(place.as_deref(), text))?;
    Ok(ExitCode::SUCCESS)
}

fn rendered(
    common: &Common,
    target: Target,
    place: impl Fn(&File) -> Option<PathBuf>,
) -> anyhow::Result<Vec<Placed>> {
    let path = &common.config;
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let config = Config::from_toml(&text).with_context(|| path.display().to_string())?;
    let files = render(&config, target).with_context(|| path.display().to_string())?;
    Ok(files.into_iter().map(|file| (place(&file), file.text)).collect())
}

fn write(place: Option<&Path>, text: &str) -> anyhow::Result<()> {
    let Some(path) = place else {
        return std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout");
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// 0 if every file holds its text, else 1 and which do not.
fn compare(placed: &[Placed]) -> anyhow::Result<ExitCode> {
    let paths = placed.iter().filter_map(|(place, text)| place.as_deref().map(|path| (path, text)));
    let stale: Vec<&Path> = paths.filter(|(path, text)| !holds(path, text)).map(|(path, _)| path).collect();
    let mut talk = std::io::stderr();
    for path in &stale {
        writeln!(talk, "{} is stale: render it anew, without --check", path.display())?;
    }
    Ok(if stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A file that is missing or cannot be read does not hold the text.
fn holds(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|held| held == text)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RenderArgs,
    }

    fn run_line(line: &[&str]) -> anyhow::Result<ExitCode> {
        run(Line::try_parse_from(std::iter::once(&"render").chain(line))?.args)
    }

    const CONFIG: &str = "[input]\nseries = \"/id\"\nfeatures = [\"/x\"]\n[model]\nkind = \"none\"\n";

    #[test]
    fn writes_and_then_finds_it_fresh() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (config, out) = (path("anomaly.toml"), path("new/templates"));
        fs::write(&config, CONFIG)?;
        let line = ["aws", "-o", &out, "--config", &config, "--check"];
        assert_eq!(run_line(&line)?, ExitCode::FAILURE);
        assert_eq!(run_line(&line[..5])?, ExitCode::SUCCESS);
        assert_eq!(run_line(&line)?, ExitCode::SUCCESS);
        fs::write(path("new/templates/pipeline.yaml"), "stale")?;
        assert_eq!(run_line(&line)?, ExitCode::FAILURE);
        Ok(())
    }

    #[test]
    fn what_cannot_be_rendered_names_the_file_and_the_reasons() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("anomaly.toml");
        fs::write(&config, "")?;
        let error =
            run_line(&["sam", "--config", &config.display().to_string()]).expect_err("nothing is set");
        let chain = format!("{error:#}");
        assert!(chain.contains("anomaly.toml") && chain.contains("input.series"), "{chain}");
        Ok(())
    }
}
