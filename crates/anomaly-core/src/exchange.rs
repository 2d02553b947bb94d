//! How rows are put to an endpoint, and how scores are read from its answer.
//!
//! ```text
//! rows ──Encoder──► a request's body ──(the endpoint)──► an answer's body ──Reader──► one score a row
//! ```
//!
//! Both directions know four media types (CSV, JSON, JSON lines, RecordIO with protobuf); a request can also
//! follow a template of the user's, and an answer be read through a JSON pointer. Numbers keep their 64 bits,
//! except where a format has room for 32 (said there). Scores are never paired with rows by guessing: an
//! answer that does not hold exactly one finite score for each row is an [`AnswerError`] and nothing else.
//!
//! The placeholders of a template ([`Model::request`](crate::config::Model::request)):
//!
//! | placeholder | where | becomes |
//! |---|---|---|
//! | `${rows}` | `request` | a JSON array of all rows of the request |
//! | `${lines}` | `request` | all rows, one a line |
//! | `${row}` | `request_row` | the row's numbers as a JSON array |
//! | `${feature.NAME}` | `request_row` | one feature of the row, as a number |
//!
//! `request_row` is how each row in `${rows}` or `${lines}` is written; left out, it is `${row}`. A `request` with
//! neither of the two takes `${row}` and `${feature.NAME}` itself, and carries one row. `$$` is a dollar sign.
//!
//! Memory: reading takes at most [`READ_FACTOR`] times the body's length, whatever its bytes; sparse rows besides what
//! [`SPARSE_NUMBERS_MAX`] says.

mod answer;
mod inference_id;
mod media;
mod pointer;
pub mod recordio;
mod request;
mod sparse;
mod template;

pub use answer::{AnswerError, Blame, Reader};
pub use inference_id::InferenceId;
pub use media::Media;
pub use request::{Encoder, RowError};
pub use sparse::{SPARSE_NUMBERS_MAX, Sparse};

/// The largest body either way, in bytes.
///
/// Source: the service model of SageMaker Runtime (botocore 1.43), `BodyBlob`.
pub const BODY_BYTES_MAX: usize = 6_291_456;

/// How many bytes of memory reading a body takes for each of its bytes, at most; a test counts them.
///
/// The worst known is 15: one-digit scores, two bytes of text for eight of a number, in a list that doubles when
/// it is full while the old one is still there, and maps of protobuf with thousands of names.
pub const READ_FACTOR: usize = 24;
