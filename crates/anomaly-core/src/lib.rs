//! The pure core of anomaly-alerts: from a record's bytes to an alert's message.
//!
//! Nothing in here awaits, reads the clock or the environment, logs, or knows a cloud: every decision is
//! a function from values to a value that carries its reason, so that a laptop, three Lambda functions
//! and a test give the same answer.
//!
//! A record's way through this crate:
//!
//! ```text
//! bytes ──decode──► Reading ──(a score)──► Scored ──classify──► Finding, Transition ──render──► Message
//!            └────► Reject                              └─ SeriesState
//! ```
//!
//! Start with [`reading::Reading`], [`classify::classify`] and [`config::Config`].

pub mod alert;
pub mod alerts;
pub mod calibration;
pub mod classify;
pub mod config;
pub mod decode;
pub mod event_time;
pub mod exchange;
pub mod explain;
pub mod fields;
pub mod group;
mod hash;
pub mod last;
pub mod message;
mod models;
pub mod names;
pub mod position;
pub mod reading;
pub mod records;
pub mod reject;
pub mod rejects;
pub mod rule;
pub mod seen;
pub mod settle;
pub mod sparkline;
pub mod time;
pub mod window;
pub mod wire;
