//! What went wrong on our side or on AWS': never the record's fault.

use std::fmt;

/// A failed operation. The record is wanted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What may cure it.
    pub kind: FaultKind,
    /// What was tried, and on what: `invoke endpoint web-detector`.
    pub operation: String,
    /// What came back, with the service's error code where there is one.
    pub detail: String,
}

/// What may cure a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Waiting: time-outs, a service that is ill.
    Transient,
    /// Waiting, and asking less often: the service is well and has enough to do, or a model is being loaded.
    Throttled,
    /// Asking for less: the service is well and something about these rows is not to its liking. Asked for
    /// fewer of them, it tells which; where it refuses every one of them, somebody must act.
    Refused,
    /// Somebody must act: missing permissions, a name that does not exist, an answer that makes no sense.
    Permanent,
}

impl FaultKind {
    /// Whether the same call may succeed later, without anybody's help.
    pub fn may_pass(self) -> bool {
        matches!(self, FaultKind::Transient | FaultKind::Throttled)
    }

    /// The kind in lower case: in logs, and the value of a metric's dimension.
    pub fn as_str(self) -> &'static str {
        match self {
            FaultKind::Transient => "transient",
            FaultKind::Throttled => "throttled",
            FaultKind::Refused => "refused",
            FaultKind::Permanent => "permanent",
        }
    }
}

impl Fault {
    /// A fault that waiting may cure.
    pub fn transient(operation: impl Into<String>, detail: impl fmt::Display) -> Self {
        Fault { kind: FaultKind::Transient, operation: operation.into(), detail: detail.to_string() }
    }

    /// A fault that waiting may cure, if less is asked.
    pub fn throttled(operation: impl Into<String>, detail: impl fmt::Display) -> Self {
        Fault { kind: FaultKind::Throttled, operation: operation.into(), detail: detail.to_string() }
    }

    /// A fault that lies in some of the rows.
    pub fn refused(operation: impl Into<String>, detail: impl fmt::Display) -> Self {
        Fault { kind: FaultKind::Refused, operation: operation.into(), detail: detail.to_string() }
    }

    /// A fault that somebody must cure.
    pub fn permanent(operation: impl Into<String>, detail: impl fmt::Display) -> Self {
        Fault { kind: FaultKind::Permanent, operation: operation.into(), detail: detail.to_string() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.detail)
    }
}

impl std::error::Error for Fault {}
