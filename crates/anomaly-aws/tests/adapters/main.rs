//! The adapters: the SDK's real clients, over HTTP, against a server on this machine.
#![cfg(all(feature = "dynamodb", feature = "sagemaker", feature = "sns", feature = "sqs"))]

mod dynamodb;
mod sagemaker;
mod server;
mod sns;
mod sqs;
