//! The pipeline on one machine: files and pipes in, alerts out, state on disk; and the SageMaker-compatible
//! server.
//!
//! Decisions are `anomaly-core`'s and scores are `anomaly-detect`'s; this crate reads, writes and carries on
//! where it stopped. It refuses to know the terminal: whoever runs it says where alerts and notes go.
//!
//! Start with [`detect::detect`] and [`input::Rows`].

pub mod alerts;
pub mod clock;
pub mod container;
pub mod detect;
pub mod engine;
pub mod input;
mod output;
pub mod periods;
pub mod serve;
mod state;
pub mod store;
