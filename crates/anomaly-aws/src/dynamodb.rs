//! DynamoDB: the tables of states, windows, transitions, rejects and what was judged, and the stream of the outbox.

pub mod stream;

#[cfg(feature = "dynamodb")]
mod item;
#[cfg(feature = "dynamodb")]
mod journal;
#[cfg(feature = "dynamodb")]
mod outbox;
#[cfg(feature = "dynamodb")]
mod rejects;
#[cfg(feature = "dynamodb")]
mod series;
#[cfg(feature = "dynamodb")]
mod states;
#[cfg(feature = "dynamodb")]
mod windows;

#[cfg(feature = "dynamodb")]
pub use journal::DynamoJournal;
#[cfg(feature = "dynamodb")]
pub use outbox::DynamoOutbox;
#[cfg(feature = "dynamodb")]
pub use rejects::{DynamoRejects, DynamoRejectsAt};
#[cfg(feature = "dynamodb")]
pub use states::DynamoStates;
#[cfg(feature = "dynamodb")]
pub use windows::DynamoWindows;
