//! The `anomaly` command: each subcommand reads its arguments, and leaves the work to a library.

mod alerts;
mod cloud;
mod detect;
#[cfg(feature = "aws")]
mod local;
mod rejects;
mod render;
mod sagemaker;
mod serve;
mod signals;
mod terminal;
mod train;
mod why;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Stream records in, alerts out.
///
/// Data goes to stdout, talk to stderr. Exit codes: 0 nothing anomalous (or success), 1 anomalies found (or a
/// difference), 2 an error, even if some input was fine.
#[derive(Debug, Parser)]
#[command(name = "anomaly", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Detect(detect::DetectArgs),
    Alerts(alerts::AlertsArgs),
    Why(why::WhyArgs),
    Train(train::TrainArgs),
    Serve(serve::ServeArgs),
    Render(render::RenderArgs),
    Rejects(rejects::RejectsArgs),
    #[cfg(feature = "aws")]
    Local(local::LocalArgs),
    #[cfg(not(feature = "aws"))]
    Local(WithoutAws),
}

/// Run a function's own handler on an event file (needs a build with the feature `aws`).
#[cfg(not(feature = "aws"))]
#[derive(Debug, clap::Args)]
struct WithoutAws {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<std::ffi::OsString>,
}

#[cfg(not(feature = "aws"))]
impl WithoutAws {
    fn run(self) -> anyhow::Result<ExitCode> {
        let rest: Vec<_> = self.rest.iter().map(|arg| arg.to_string_lossy()).collect();
        let rest = if rest.is_empty() { "…".to_owned() } else { rest.join(" ") };
        Err(cloud::left_out(&format!("local {rest}")))
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Detect(args) => detect::run(args),
        Command::Alerts(args) => alerts::run(args),
        Command::Why(args) => why::run(args),
        Command::Train(args) => train::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Render(args) => render::run(args),
        Command::Rejects(args) => rejects::run(args),
        #[cfg(feature = "aws")]
        Command::Local(args) => local::run(args),
        #[cfg(not(feature = "aws"))]
        Command::Local(args) => args.run(),
    };
    done.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
        ExitCode::from(2)
    })
}
