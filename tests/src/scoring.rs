//! `anomaly serve`: the endpoint that scores.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::command;
use crate::process::Owned;

/// A running `anomaly serve`.
#[derive(Debug)]
pub struct Scoring {
    _process: Owned,
    url: String,
}

impl Scoring {
    /// Serves `model` on a port of its own choice, with the faults it is told to have.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub fn serve(model: &Path, faults: &[&str]) -> Result<Self> {
        Self::serve_at("127.0.0.1:0", model, faults)
    }

    /// Stops: nobody listens at the address that is given back.
    pub fn stop(self) -> String {
        self.url
    }

    /// As [`Scoring::serve`], at `address`.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub fn serve_at(address: &str, model: &Path, faults: &[&str]) -> Result<Self> {
        let mut command = command::anomaly()?;
        command.arg("serve").arg("--model").arg(model).args(["--address", address]);
        command.args(faults.iter().flat_map(|fault| ["--fault", fault]));
        let mut process =
            Owned::new(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
        let output = process.child().stdout.take().context("the output was asked for")?;
        let mut url = String::new();
        BufReader::new(output).read_line(&mut url)?;
        ensure!(url.starts_with("http://"), "anomaly serve did not say where it listens, but {url:?}");
        Ok(Scoring { _process: process, url: url.trim().to_owned() })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }
}
