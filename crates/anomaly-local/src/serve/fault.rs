//! Faults an endpoint can be told to have, so that callers can be tested against them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One line for each form of a fault, for `--help`.
pub const HELP: &str = "\
Faults, each KIND or KIND:WHEN, may be repeated; of those that are due, the first decides, and delays add up.
KIND: throttle        HTTP 400 ThrottlingException without a message, as the runtime API throttles
      model-error     HTTP 424 ModelError with OriginalStatusCode 500
      internal        HTTP 500 InternalFailure
      wrong-count     one score too few
      slow=DURATION   the answer comes that much later (250ms, 2s)
WHEN: N               the first N requests for scores
      at=N            the N-th request only
      every=N         every N-th request
      (nothing)       every request
Example: --fault throttle:3 --fault internal:every=5 --fault slow=2s:at=1
On /invocations, where no SageMaker stands in front, throttle is 429, model-error and internal are 500.";

/// A fault and the requests it befalls. Written `KIND` or `KIND:WHEN`, see [`HELP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// For which requests.
    pub when: When,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ThrottlingException`, HTTP 400, without a message.
    Throttle,
    /// The container fails: `ModelError`, HTTP 424, with original status 500.
    ModelError,
    /// SageMaker fails: `InternalFailure`, HTTP 500.
    Internal,
    /// One score too few, as if the model had lost a row.
    WrongCount,
    /// The answer comes this much later, and is otherwise as it would be.
    Slow(Duration),
}

/// Which requests for scores, counted from 1 in the order of their arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// All.
    Always,
    /// The first so many.
    First(u64),
    /// One.
    At(u64),
    /// Each so many.
    Every(u64),
}

impl When {
    fn includes(self, number: u64) -> bool {
        match self {
            When::Always => true,
            When::First(count) => number <= count,
            When::At(at) => number == at,
            When::Every(step) => number.is_multiple_of(step),
        }
    }
}

/// How much later the `number`-th request is answered.
pub(crate) fn delay(faults: &[Fault], number: u64) -> Duration {
    faults
        .iter()
        .filter(|fault| fault.when.includes(number))
        .map(|fault| match fault.kind {
            Kind::Slow(delay) => delay,
            _ => Duration::ZERO,
        })
        .fold(Duration::ZERO, Duration::saturating_add)
}

/// What befalls the `number`-th request, delays apart.
pub(crate) fn due(faults: &[Fault], number: u64) -> Option<Kind> {
    faults
        .iter()
        .filter(|fault| !matches!(fault.kind, Kind::Slow(_)))
        .find(|fault| fault.when.includes(number))
        .map(|fault| fault.kind)
}

/// A fault that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultError {
    found: String,
    problem: &'static str,
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.found, self.problem)
    }
}

impl std::error::Error for FaultError {}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Fault, FaultError> {
        let wrong = |problem| FaultError { found: text.to_owned(), problem };
        let (kind, when) = match text.split_once(':') {
            Some((kind, when)) => (kind, Some(when)),
            None => (text, None),
        };
        let kind = kind_of(kind).ok_or_else(|| {
            wrong("must begin with throttle, model-error, internal, wrong-count or slow=DURATION (250ms, 2s)")
        })?;
        let when = match when {
            None => When::Always,
            Some(when) => when_of(when)
                .ok_or_else(|| wrong("must end with N, at=N or every=N, with N from 1 upwards"))?,
        };
        Ok(Fault { kind, when })
    }
}

fn kind_of(text: &str) -> Option<Kind> {
    match text {
        "throttle" => Some(Kind::Throttle),
        "model-error" => Some(Kind::ModelError),
        "internal" => Some(Kind::Internal),
        "wrong-count" => Some(Kind::WrongCount),
        _ => text.strip_prefix("slow=").and_then(duration_of).map(Kind::Slow),
    }
}

fn when_of(text: &str) -> Option<When> {
    let (make, number): (fn(u64) -> When, &str) = match text.split_once('=') {
        Some(("every", number)) => (When::Every, number),
        Some(("at", number)) => (When::At, number),
        Some(_) => return None,
        None => (When::First, text),
    };
    number.parse().ok().filter(|&n| n > 0).map(make)
}

fn duration_of(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(number) => number.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let fault = |text: &str| text.parse::<Fault>().map(|f| (f.kind, f.when)).map_err(|e| e.to_string());
        assert_eq!(fault("throttle:3"), Ok((Kind::Throttle, When::First(3))));
        assert_eq!(fault("internal:every=5"), Ok((Kind::Internal, When::Every(5))));
        assert_eq!(fault("model-error"), Ok((Kind::ModelError, When::Always)));
        assert_eq!(fault("wrong-count:at=2"), Ok((Kind::WrongCount, When::At(2))));
        assert_eq!(fault("slow=250ms:1"), Ok((Kind::Slow(Duration::from_millis(250)), When::First(1))));
        assert_eq!(fault("slow=2s"), Ok((Kind::Slow(Duration::from_secs(2)), When::Always)));
        for bad in [
            "",
            "throttl",
            "throttle:",
            "throttle:0",
            "throttle:-1",
            "internal:every=0",
            "slow",
            "slow=5",
            "slow=-1s",
            "throttle:when=3",
            "throttle:3:4",
        ] {
            assert!(fault(bad).is_err_and(|e| e.contains(&format!("{bad:?}"))), "{bad}");
        }
    }

    #[test]
    fn the_first_that_is_due_decides_and_delays_add_up() {
        let faults: Vec<Fault> = ["slow=1s:every=2", "throttle:2", "internal:every=2", "slow=1s:at=4"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let seen: Vec<_> = (1..=4).map(|n| (due(&faults, n), delay(&faults, n).as_secs())).collect();
        assert_eq!(
            seen,
            [(Some(Kind::Throttle), 0), (Some(Kind::Throttle), 1), (None, 0), (Some(Kind::Internal), 2)]
        );
    }
}
