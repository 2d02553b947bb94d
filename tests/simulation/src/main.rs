//! `simulate`: rounds by the thousand. `cargo xtask sim` builds and calls it.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a tool for a terminal")]

use std::process::ExitCode;
use std::time::Instant;

use anomaly_simulation::chaos::{PORTS, STRIKES};
use anomaly_simulation::round::{Counts, Question, run};
use anomaly_simulation::shrink::check;
use clap::Parser;

/// Runs the three functions in worlds made of seeds, where everything fails; every fourth twice.
#[derive(Parser)]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds, from the first on.
    #[arg(long, default_value_t = 1_000)]
    rounds: u64,
    /// Print the story of the first round, whether it fails or not.
    #[arg(long)]
    story: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.story {
        let outcome = run(&Question { keeps_lines: true, ..Question::of(args.seed) });
        outcome.trace.lines().iter().for_each(|line| println!("{line}"));
    }
    let (begun, mut counts) = (Instant::now(), Counts::default());
    for seed in args.seed..args.seed.saturating_add(args.rounds) {
        match check(seed) {
            Ok(outcome) => counts.add(&outcome.counts),
            Err(failure) => {
                println!("{failure}");
                return ExitCode::FAILURE;
            }
        }
        if (seed - args.seed) % 10_000 == 9_999 {
            eprintln!("{} rounds, {} s", seed - args.seed + 1, begun.elapsed().as_secs());
        }
    }
    print(&counts);
    let seconds = begun.elapsed().as_secs_f64();
    println!("{} rounds without a failure, {seconds:.0} s", args.rounds);
    ExitCode::SUCCESS
}

/// What the rounds went through.
fn print(counts: &Counts) {
    print!("{:>10}", "");
    STRIKES.iter().for_each(|strike| print!(" {:>10}", format!("{strike:?}")));
    println!();
    for (port, struck) in PORTS.iter().zip(&counts.strikes) {
        print!("{:>10}", format!("{port:?}"));
        struck.iter().for_each(|count| print!(" {count:>10}"));
        println!();
    }
    let Counts { records, invocations, deaths, rejects, told, told_again, .. } = counts;
    let Counts { dead_letters, deduplicated, conflicts, reshards, .. } = counts;
    println!("{records} records, {rejects} at fault; {invocations} functions run, {deaths} died");
    println!("{told} transitions told, {told_again} of them once more, each after a crash");
    println!("{reshards} shards by resharding, {dead_letters} dead letters, {deduplicated} sends repeated");
    println!("{conflicts} states written by two at once");
}
