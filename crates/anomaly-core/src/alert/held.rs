//! Why a step of an alert is written down and not told.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::AlertId;
use crate::time::Timestamp;

/// Why nobody is told of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum Held {
    /// The rule's quiet time after another alert, and this one is not clearly worse ([`crate::config::Quiet`]).
    Quiet {
        /// The other alert.
        after: AlertId,
        /// The time of the reading on which people were last told of it.
        told_at: Timestamp,
    },
    /// A calendar says so ([`crate::config::Calendar`]).
    Calendar {
        /// Its name.
        name: String,
    },
    /// It is over, and nobody was told that it began.
    Untold,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Held::Quiet { after, told_at } => {
                write!(f, "in the quiet time after alert {after}, told at {told_at}, and not clearly worse")
            }
            Held::Calendar { name } => write!(f, "the calendar {name:?} holds it"),
            Held::Untold => f.write_str("nobody was told that it began"),
        }
    }
}
