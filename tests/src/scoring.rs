//! `anomaly serve`: the endpoint that scores.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::command;
use crate::process::Owned;

/// A running `anomaly serve`.
#[derive(Debug)]
pub struct Scoring {
    _process: Owned,
    url: String,
}

impl Scoring {
    /// Serves `model` on a port of its own choice.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub async fn serve(model: &Path) -> Result<Self> {
        let mut command = command::anomaly()?;
        command.arg("serve").arg("--model").arg(model).args(["--port", "0"]);
        let mut process = Owned::new(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
        let output = process.child().stdout.take().context("the output was asked for")?;
        let lines = BufReader::new(output).lines();
        let url = lines.map_while(Result::ok).find_map(|line| address(&line));
        Ok(Scoring { _process: process, url: url.context("anomaly serve did not say where it listens")? })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn address(line: &str) -> Option<String> {
    let begin = line.find("http://")?;
    line[begin..].split_whitespace().next().map(|url| url.trim_end_matches('/').to_owned())
}
