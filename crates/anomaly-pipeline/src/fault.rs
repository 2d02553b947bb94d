//! What went wrong on our side or on AWS': never the record's fault.

use std::fmt;

/// A failed operation. The record is wanted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether waiting may help.
    pub kind: FaultKind,
    /// What was tried, and on what: `invoke endpoint web-detector`.
    pub operation: String,
    /// What came back, with the service's error code where there is one.
    pub detail: String,
}

/// Whether waiting may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Throttling, time-outs, a service that is ill.
    Transient,
    /// Missing permissions, a name that does not exist, an answer that makes no sense: somebody must act.
    Permanent,
}

impl Fault {
    /// A fault that waiting may cure.
    pub fn transient(operation: impl Into<String>, detail: impl fmt::Display) -> Self {
        Fault { kind: FaultKind::Transient, operation: operation.into(), detail: detail.to_string() }
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
