//! `cargo xtask …`: automation that needs logic.
//!
//! Each subcommand is a module with an `Args` struct and a `run` function; this file only dispatches.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a tool for a terminal")]

mod bench;
mod cargo;
mod fuzz;
mod lint;
mod python;
mod realtime;
mod record;
mod render;
mod sim;
mod test;

use clap::{Parser, Subcommand};

/// Automation of this repository. Talk goes to stderr.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test, end to end ones included: what CI runs.
    Test(test::Args),
    /// Check formatting and lints.
    Lint(lint::Args),
    /// Write the committed files that are rendered from code.
    Render(render::Args),
    /// Record the example series.
    Record(record::Args),
    /// Run the simulation: thousands of worlds in which everything fails.
    Sim(sim::Args),
    /// Look for bytes that a reader cannot stand.
    Fuzz(fuzz::Args),
    /// Measure, and say how it was measured.
    Bench(bench::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Test(args) => test::run(&args),
        Task::Lint(args) => lint::run(&args),
        Task::Render(args) => render::run(&args),
        Task::Record(args) => record::run(&args),
        Task::Sim(args) => sim::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Bench(args) => bench::run(&args),
    }
}
