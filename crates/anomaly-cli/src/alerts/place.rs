//! Where alerts are kept: a folder on this machine, or the tables of a deployed stack.

use std::path::PathBuf;

use anomaly_core::alert::Acknowledgement;
use anomaly_core::alerts::Alert;
use anomaly_core::time::Timestamp;
use anomaly_local::alerts::{Alerts, Answer, acknowledge, read};

/// Where the alerts are.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The folder that `anomaly detect --state` keeps
    #[arg(long = "state", value_name = "DIR", default_value = ".anomaly")]
    pub(crate) folder: PathBuf,
    /// The deployed stack of this name in its place, with the region and keys of the environment (aws)
    #[arg(long, value_name = "NAME", conflicts_with = "folder")]
    pub(crate) stack: Option<String>,
}

/// What is to be known of a stack's alerts: what is not asked for need not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    /// Those of which a step is kept.
    Kept,
    /// Those too that are open and took no step for so long that none is kept.
    Every,
    /// The one whose name begins so.
    Named(&'a str),
}

impl Place {
    /// The alerts that are kept there; of a folder all of them, whatever is wanted.
    ///
    /// # Errors
    /// If there is no state or no stack, or it cannot be read.
    pub(crate) fn read(&self, wanted: Wanted<'_>) -> anyhow::Result<Alerts> {
        match &self.stack {
            None => Ok(read(&self.folder)?),
            Some(stack) => stack_alerts(stack, wanted),
        }
    }

    /// Acknowledges `alert`, as `said` says at `now`.
    ///
    /// # Errors
    /// If no step of it is kept, or the state cannot be written.
    pub(crate) fn acknowledge(
        &self,
        alert: &Alert,
        said: &Acknowledgement,
        now: Timestamp,
    ) -> anyhow::Result<Answer> {
        match &self.stack {
            None => Ok(acknowledge(&self.folder, alert, said, now)?),
            Some(stack) => acknowledge_in(stack, alert, said, now),
        }
    }
}

#[cfg(feature = "aws")]
use super::stack::{acknowledge as acknowledge_in, read as stack_alerts};

#[cfg(not(feature = "aws"))]
fn stack_alerts(stack: &str, wanted: Wanted<'_>) -> anyhow::Result<Alerts> {
    let _ = wanted;
    Err(crate::cloud::left_out(&format!("alerts … --stack {stack}")))
}

#[cfg(not(feature = "aws"))]
fn acknowledge_in(stack: &str, _: &Alert, _: &Acknowledgement, _: Timestamp) -> anyhow::Result<Answer> {
    Err(crate::cloud::left_out(&format!("alerts ack … --stack {stack}")))
}
