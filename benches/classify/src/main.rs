//! Readings a second through the rules.
//!
//! `bench-classify readings DATA FOLDER` writes readings with scores: `series.csv`, one series after another, and
//! `turns.csv`, a thousand series in turn; of the CSV files (`timestamp,value`) under DATA, or of a made series where
//! DATA is `-`. `bench-classify judge READINGS RULES SAMPLES` judges them and prints, as JSON, readings a second and
//! hashes of all that was found, for `classify.py` to give the same ones.

mod judge;
mod readings;

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["readings", data, folder] => readings::write(data, Path::new(folder)),
        ["judge", readings, rules, samples] => {
            let measured = judge::measure(Path::new(readings), Path::new(rules), samples.parse()?)?;
            Ok(writeln!(std::io::stdout(), "{measured}")?)
        }
        _ => {
            bail!("usage: bench-classify readings DATA FOLDER | bench-classify judge READINGS RULES SAMPLES")
        }
    }
}
