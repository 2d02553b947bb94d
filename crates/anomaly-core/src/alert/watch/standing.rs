//! How things stand between a rule and a series.

use std::fmt;

use super::{Stepped, Watch};
use crate::alert::{Held, Step};
use crate::config::{MOfN, Rule, Span};

/// How things stand between a rule and a series after a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No alert, and nothing strange in sight.
    Idle {
        /// It takes so many of so many.
        hold: MOfN,
    },
    /// No alert yet: of the last readings too few are anomalous.
    Pending {
        /// So many are.
        anomalous: u32,
        /// It takes so many of so many.
        hold: MOfN,
    },
    /// An alert took a step.
    Took {
        /// The step.
        step: Step,
        /// Why nobody is told, if nobody is.
        held: Option<Box<Held>>,
    },
    /// One that fired before goes on: of the last readings too few are calm.
    Firing {
        /// So many are.
        calm: u32,
        /// It takes so many of so many.
        hold: MOfN,
        /// It flaps, and must be calm for so long too.
        flapping: Option<Span>,
        /// Whether somebody has seen it.
        acknowledged: bool,
    },
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::Idle { hold } => write!(f, "no alert, which takes {hold}"),
            Standing::Pending { anomalous, hold } => {
                write!(f, "no alert: {anomalous} of the last {} anomalous, and it takes {hold}", hold.n())
            }
            Standing::Took { step, held } => {
                f.write_str(match step {
                    Step::Fired => "an alert fires",
                    Step::Flapping => "an alert fires, and flaps",
                    Step::Escalated => "the alert is worse than it was",
                    Step::Repeated => "the alert goes on, and is told again",
                    Step::Acknowledged => "the alert was acknowledged",
                    Step::Resolved => "the alert is over",
                })?;
                held.iter().try_for_each(|held| write!(f, "; not told: {held}"))
            }
            Standing::Firing { calm, hold, flapping, acknowledged } => {
                write!(
                    f,
                    "the alert goes on: {calm} of the last {} calm, and its end takes {hold}",
                    hold.n()
                )?;
                flapping.iter().try_for_each(|within| write!(f, " and, as it flaps, {within} of calm"))?;
                if *acknowledged { f.write_str("; acknowledged") } else { Ok(()) }
            }
        }
    }
}

impl Watch {
    fn strange_of(&self, rule: &Rule) -> u64 {
        self.strange & (u64::MAX >> (64 - rule.hold.n()))
    }

    /// How things stand after a reading, on which `stepped` came of it.
    pub(crate) fn standing(&self, rule: &Rule, stepped: Option<&Stepped>) -> Standing {
        if let Some(Stepped { step, held, .. }) = stepped {
            return Standing::Took { step: *step, held: held.clone().map(Box::new) };
        }
        match (&self.open, self.strange_of(rule).count_ones()) {
            (Some(_), _) => self.firing(rule),
            (None, 0) => Standing::Idle { hold: rule.hold },
            (None, anomalous) => Standing::Pending { anomalous, hold: rule.hold },
        }
    }

    fn firing(&self, rule: &Rule) -> Standing {
        let flaps = self.life.as_ref().is_some_and(|life| life.is_flapping());
        Standing::Firing {
            calm: self.calm.count_ones(),
            hold: rule.clear.hold,
            flapping: rule.flapping.filter(|_| flaps).map(|flapping| flapping.within),
            acknowledged: self.is_acknowledged(),
        }
    }
}
