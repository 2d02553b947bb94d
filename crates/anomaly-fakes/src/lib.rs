//! The ports in memory: for tests and for trying the stages in one process.
//!
//! [`memory`] keeps what it is given, with the semantics of the real thing (conditions, leases, order within
//! a group). [`failing`] wraps any port and fails when its script says so: a failure is a wrapper, not a mode
//! of a fake. [`conformance`] holds implementations of a port to its contract.

pub mod conformance;
pub mod failing;
pub mod memory;
