//! DynamoDB: the tables of states, transitions and rejects, and the stream of the outbox.

pub mod stream;

#[cfg(feature = "dynamodb")]
mod item;
#[cfg(feature = "dynamodb")]
mod outbox;
#[cfg(feature = "dynamodb")]
mod rejects;
#[cfg(feature = "dynamodb")]
mod states;

#[cfg(feature = "dynamodb")]
pub use outbox::DynamoOutbox;
#[cfg(feature = "dynamodb")]
pub use rejects::{DynamoRejects, DynamoRejectsAt};
#[cfg(feature = "dynamodb")]
pub use states::DynamoStates;
