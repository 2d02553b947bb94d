//! What people ask of a run that has the state for itself: a file for each alert that somebody has seen, in a folder
//! beside the store. The run takes it up with a row, and removes it once that is saved.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anomaly_core::alert::Acknowledgement;
use anomaly_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The folder's name.
const ASKED: &str = "asked";
/// What a file that is not whole yet ends in.
const NEW: &str = ".new";

/// Somebody has seen an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// The alert's name.
    pub(crate) alert: String,
    /// Who, and what they say.
    #[serde(flatten)]
    pub(crate) said: Acknowledgement,
    /// When.
    pub(crate) at_ms: Timestamp,
}

/// Leaves `ask` in the state's `folder`: all of it or nothing.
pub(crate) fn leave(folder: &Path, ask: &Ask) -> io::Result<()> {
    let asked = folder.join(ASKED);
    fs::create_dir_all(&asked)?;
    let json = serde_json::to_vec(ask).map_err(io::Error::other)?;
    let new = asked.join(format!("{}{NEW}", ask.alert));
    fs::write(&new, json)?;
    fs::rename(new, asked.join(&ask.alert))
}

/// What was left in the state's `folder`, by name; what is no ask is left alone.
pub(crate) fn all(folder: &Path) -> io::Result<Vec<(PathBuf, Ask)>> {
    let entries = match fs::read_dir(folder.join(ASKED)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut asks = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_new = path.as_os_str().to_string_lossy().ends_with(NEW);
        let ask = if is_new { None } else { serde_json::from_slice(&fs::read(&path)?).ok() };
        asks.extend(ask.map(|ask| (path, ask)));
    }
    asks.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(asks)
}
