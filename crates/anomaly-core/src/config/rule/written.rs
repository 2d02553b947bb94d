//! A rule as people write it.

use std::time::Duration;

use serde::Deserialize;

use super::{Band, Clear, Method, On, Rule};
use crate::config::lifecycle::{Flapping, Learn, Quiet};
use crate::config::{Ignore, MOfN, Missing, Pattern, Sides, duration};

/// A rule as it is written: what `for` is depends on the method.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    name: String,
    on: On,
    series: Option<Pattern>,
    method: Method,
    calibrated: bool,
    direction: Sides,
    ignore: Ignore,
    severity: Vec<Band>,
    #[serde(rename = "for")]
    hold: Option<MOfN>,
    missing: Missing,
    #[serde(with = "duration::optional")]
    every: Option<Duration>,
    clear: Clear,
    quiet: Option<Quiet>,
    #[serde(with = "duration::optional")]
    repeat: Option<Duration>,
    flapping: Option<Flapping>,
    learn: Learn,
    accept: u32,
}

impl Default for Written {
    fn default() -> Self {
        let rule = Rule::default();
        Written {
            name: rule.name,
            on: rule.on,
            series: rule.series,
            method: rule.method,
            calibrated: rule.calibrated,
            direction: rule.sides,
            ignore: rule.ignore,
            severity: rule.severity,
            hold: None,
            missing: rule.missing,
            every: rule.every,
            clear: rule.clear,
            quiet: rule.quiet,
            repeat: rule.repeat,
            flapping: rule.flapping,
            learn: rule.learn,
            accept: rule.accept,
        }
    }
}

impl From<Written> for Rule {
    fn from(written: Written) -> Self {
        // A change is told on one reading, and on no other for as long as its history is; a silence once.
        let hold = written.hold.unwrap_or(match written.method {
            Method::ChangePoint(_) | Method::NoData(_) => MOfN::default(),
            _ => Rule::default().hold,
        });
        Rule {
            name: written.name,
            on: written.on,
            series: written.series,
            method: written.method,
            calibrated: written.calibrated,
            sides: written.direction,
            ignore: written.ignore,
            severity: written.severity,
            hold,
            missing: written.missing,
            every: written.every,
            clear: written.clear,
            quiet: written.quiet,
            repeat: written.repeat,
            flapping: written.flapping,
            learn: written.learn,
            accept: written.accept,
        }
    }
}
