//! The three stages over ports: what happens to a batch, without knowing whether a cloud or a laptop is behind.
//!
//! [`invoke::invoke`] scores readings and queues chunks, [`classify::classify_chunk`] judges a chunk and writes
//! states and transitions, [`publish::publish`] tells people. Each gives every record exactly one
//! [`anomaly_core::settle::Fate`]. The ports in [`ports`] speak the core's types; a port's doc comment is its
//! contract, and every implementation is held to it.

pub mod acknowledge;
pub mod alerts;
pub mod classify;
pub mod fault;
pub mod invoke;
pub mod ports;
pub mod publish;
pub mod rejects;
