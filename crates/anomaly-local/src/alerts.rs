//! The alerts of a `--state` folder: what people ask of them while nothing runs, or beside a run.

use std::collections::BTreeMap;
use std::path::Path;

use anomaly_core::alert::{Acknowledgement, Transition};
use anomaly_core::alerts::{Alert, alerts};
use anomaly_core::time::Timestamp;
use anomaly_pipeline::acknowledge::{self, Acknowledged};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Outbox, TransitionKey};
use futures_util::FutureExt;

use crate::state::asked::{self, Ask};
use crate::state::{STORE, StateDir};
use crate::store::{Reader, StoreError, Why};

/// Where a message id stands, of what was told on a terminal.
pub(crate) const ON_A_TERMINAL: &str = "terminal";

/// Why an alert cannot be acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AcknowledgeError {
    /// The state cannot be used, or a run uses it.
    #[error(transparent)]
    State(#[from] StoreError),
    /// It could not be written.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// No step of it is kept, so none can follow.
    #[error(
        "alert {0} fired under a release that kept no steps of alerts\n\
         hint: it can be acknowledged once it has taken another step"
    )]
    NoStep(String),
}

/// The alerts of a state.
#[derive(Debug, Default)]
pub struct Alerts {
    /// Those that are open, and those of which steps are kept; oldest first.
    pub all: Vec<Alert>,
    why: BTreeMap<TransitionKey, Why>,
    asked: Vec<Ask>,
}

impl Alerts {
    /// Those that are kept elsewhere, of whose steps no more is known than they say, and of which no run is asked.
    pub fn of(all: Vec<Alert>) -> Self {
        Alerts { all, ..Alerts::default() }
    }

    /// Who asked a run to acknowledge `alert`, which has not done so yet, and what they say.
    pub fn asked(&self, alert: &Alert) -> Option<&Acknowledgement> {
        let ask = self.asked.iter().find(|ask| ask.alert == alert.id.as_str());
        ask.filter(|_| !alert.is_acknowledged).map(|ask| &ask.said)
    }

    /// Why an alert took `step`, as it was said when it did; `None` of steps that no reading made, and of those that
    /// a release took which did not keep it.
    pub fn why(&self, step: &Transition) -> Option<&Why> {
        self.why.get(&TransitionKey::of(step))
    }
}

/// The alerts of the state in `folder`. A run may be writing it: what it saved last is what is read.
///
/// # Errors
/// [`StoreError`]: [`StoreError::Nothing`] if there is none, [`StoreError::Locked`] if a run is just beginning.
pub fn read(folder: &Path) -> Result<Alerts, StoreError> {
    if !folder.join(STORE).exists() {
        return Err(StoreError::Nothing(folder.to_owned()));
    }
    let reader = match Reader::open(&folder.join(STORE))? {
        Some(reader) => reader,
        None => {
            // Of an earlier release, or of a run that was killed: what a run would do first is done now.
            drop(StateDir::open(folder)?);
            Reader::open(&folder.join(STORE))?.ok_or_else(|| StoreError::Locked(folder.to_owned()))?
        }
    };
    let (states, taken) = reader.alerts()?;
    let (mut steps, mut why) = (Vec::new(), BTreeMap::new());
    for step in taken {
        why.extend(step.why.map(|why| (TransitionKey::of(&step.transition), why)));
        steps.push(step.transition);
    }
    let all = alerts(states.iter().map(|(series, state)| (series, state)), steps);
    let asked = asked::all(folder).map_err(|source| StoreError::io(folder, "read", source))?;
    let asked = asked.into_iter().map(|(_, ask)| ask).collect();
    Ok(Alerts { all, why, asked })
}

/// What became of an acknowledgement.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It was done, or there was nothing to do.
    Now(Acknowledged),
    /// A run has the state for itself, and was asked to.
    Asked,
}

/// Acknowledges `alert` of the state in `folder`, as `said` says at `now`; while a run uses the state, the run is asked to.
///
/// # Errors
/// [`AcknowledgeError`].
pub fn acknowledge(
    folder: &Path,
    alert: &Alert,
    said: &Acknowledgement,
    now: Timestamp,
) -> Result<Answer, AcknowledgeError> {
    let last = alert.last().ok_or_else(|| AcknowledgeError::NoStep(alert.id.to_string()))?;
    if alert.open.is_none() {
        return Ok(Answer::Now(Acknowledged::Over));
    }
    if alert.is_acknowledged && (!said.says_more() || alert.acknowledgement().as_ref() == Some(said)) {
        return Ok(Answer::Now(Acknowledged::Before));
    }
    let state = match StateDir::open(folder) {
        Err(StoreError::Locked(_)) => {
            let ask = Ask { alert: alert.id.to_string(), said: said.clone(), at_ms: now };
            asked::leave(folder, &ask).map_err(|source| StoreError::io(folder, "written", source))?;
            return Ok(Answer::Asked);
        }
        other => other?,
    };
    let store = state.store();
    let done = ready(acknowledge::acknowledge(store, last, said, now))?;
    if let Acknowledged::Now(step) = &done {
        // Who asks for it is told of it: it waits for nobody.
        ready(store.mark_sent(&TransitionKey::of(step), ON_A_TERMINAL, now))?;
    }
    Ok(Answer::Now(done))
}

/// A call of the store, which waits for the disk and for nothing else.
fn ready<T>(call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let stopped = || Err(Fault::permanent("use the store", "it did not answer at once"));
    call.now_or_never().unwrap_or_else(stopped)
}

/// What a run needs to know of a step that it told.
pub(crate) fn how_told(transition: &Transition) -> &'static str {
    if transition.held.is_some() { anomaly_pipeline::publish::HELD } else { ON_A_TERMINAL }
}
