//! The AWS side of anomaly-alerts: events in, ports out, environment to configuration.
//!
//! [`source`] (with [`kinesis`]), [`sqs`] and [`dynamodb::stream`] read what Lambda hands over, and need no SDK. The adapters
//! behind the features `sagemaker`, `sqs`, `dynamodb` and `sns` implement the ports of
//! [`anomaly_pipeline::ports`]; `cloudformation` says where a stack keeps what. [`config`] is the only reader of the environment; it is handed a lookup
//! function, so that tests need not touch it; [`clock`] is the only reader of the time.

pub mod clock;
pub mod config;
#[cfg(feature = "connect")]
pub mod connect;
pub mod drift;
pub mod dynamodb;
pub mod event;
#[cfg(feature = "connect")]
mod fault;
pub mod kinesis;
pub mod metrics;
#[cfg(feature = "sagemaker")]
pub mod sagemaker;
#[cfg(feature = "sns")]
pub mod sns;
pub mod source;
pub mod sqs;
#[cfg(feature = "cloudformation")]
pub mod stack;
pub mod telemetry;
