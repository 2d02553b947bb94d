//! State as bytes: a version, a checksum, the content. A damaged state is told apart before it is used.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::canonical;

/// Checksum bytes: enough to tell damage; not a protection against a forger.
const CHECKSUM_BYTES: usize = 8;

/// Why saved state cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// There are no bytes.
    Empty,
    /// A newer build wrote it.
    Newer {
        /// Its version.
        found: u8,
        /// The newest version this build reads.
        known: u8,
    },
    /// It is not what was written: cut short, altered, or never a detector's state.
    Damaged {
        /// What gave it away.
        detail: String,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Empty => f.write_str("the detector's state is empty"),
            StateError::Newer { found, known } => write!(
                f,
                "the detector's state has version {found}, this build reads up to {known}\n\
                 hint: use the build that wrote it or a newer one, or remove the state to learn anew"
            ),
            StateError::Damaged { detail } => {
                write!(f, "the detector's state is damaged: {detail}\nhint: remove the state to learn anew")
            }
        }
    }
}

impl std::error::Error for StateError {}

/// Version byte, checksum, content.
pub(crate) fn seal(content: &impl Serialize, version: u8) -> Vec<u8> {
    let body = canonical::to_vec(content);
    let mut bytes = Vec::with_capacity(1 + CHECKSUM_BYTES + body.len());
    bytes.push(version);
    bytes.extend_from_slice(&Sha256::digest(&body)[..CHECKSUM_BYTES]);
    bytes.extend_from_slice(&body);
    bytes
}

/// The version of what [`seal`] made; `None` of nothing.
pub(crate) fn version(bytes: &[u8]) -> Option<u8> {
    bytes.first().copied()
}

/// The content of what [`seal`] made of `version`, the newest that is known.
pub(crate) fn open<T: DeserializeOwned>(bytes: &[u8], version: u8) -> Result<T, StateError> {
    let damaged = |detail: &str| StateError::Damaged { detail: detail.to_owned() };
    let (&found, rest) = bytes.split_first().ok_or(StateError::Empty)?;
    match found {
        _ if found == version => {}
        _ if found > version => return Err(StateError::Newer { found, known: version }),
        _ => return Err(damaged(&format!("it has version {found}, which never was"))),
    }
    let (checksum, body) =
        rest.split_at_checked(CHECKSUM_BYTES).ok_or_else(|| damaged("it ends within the checksum"))?;
    if Sha256::digest(body)[..CHECKSUM_BYTES] != *checksum {
        return Err(damaged("the checksum is wrong"));
    }
    let (content, left) = postcard::take_from_bytes(body).map_err(|e| damaged(&e.to_string()))?;
    if !left.is_empty() {
        return Err(damaged(&format!("{} bytes too many", left.len())));
    }
    Ok(content)
}
