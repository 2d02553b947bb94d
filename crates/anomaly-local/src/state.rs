//! What a run leaves for the next one, in one folder: a lock, and one file that is replaced as a whole.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anomaly_core::classify::{self, SeriesState};
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_detect::{Detector, Forest};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::{Engine, Scoring, Series};
use crate::input::Mark;

/// What the file begins with: a name, then the version that this build writes, which is the newest it reads.
const MAGIC: &[u8] = b"anomaly-state";
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder or a file in it cannot be read or written.
    #[error("the state in {path} cannot be {verb}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// `read`, `written` or `locked`.
        verb: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Another run has the folder.
    #[error("another run uses the state in {0}\nhint: wait for it, or give each run its own --state folder")]
    Locked(PathBuf),
    /// A later release wrote it.
    #[error(
        "the state in {path} has version {version}, this release reads up to {VERSION}\n\
         hint: use the release that wrote it, or another --state folder to learn anew"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u8,
    },
    /// It is not what was written.
    #[error("the state in {path} is damaged: {detail}\nhint: give another --state folder to learn anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        detail: String,
    },
    /// It was learned from other scores.
    #[error(
        "the state in {path} was learned with {then}, and this run scores with {now}\n\
         hint: use the same settings, or another --state folder"
    )]
    Scoring {
        /// The file.
        path: PathBuf,
        /// What gave its scores.
        then: String,
        /// What gives the scores now.
        now: String,
    },
}

/// Everything a run leaves.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved {
    scoring: String,
    pub(crate) inputs: Vec<SavedInput>,
    series: Vec<SavedSeries>,
    /// The files written, and how long they were.
    pub(crate) outputs: Vec<(String, u64)>,
    /// Whether a pipe was being read: what it gave after this was saved does not come again.
    pub(crate) live: bool,
}

/// How far a file was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedInput {
    pub(crate) path: String,
    /// `[input]` as it was given and as it was completed, as JSON: it may gain fields.
    pub(crate) given: String,
    pub(crate) completed: String,
    pub(crate) mark: Mark,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SavedSeries {
    name: SeriesId,
    features: Vec<String>,
    detector: Option<Vec<u8>>,
    state: Vec<u8>,
    last_at: Timestamp,
}

impl Saved {
    pub(crate) fn input(&self, path: &str) -> Option<&SavedInput> {
        self.inputs.iter().find(|input| input.path == path)
    }

    pub(crate) fn set_input(&mut self, input: SavedInput) {
        self.inputs.retain(|known| known.path != input.path);
        self.inputs.push(input);
    }

    pub(crate) fn output(&self, path: &str) -> Option<u64> {
        self.outputs.iter().find(|(known, _)| known == path).map(|(_, bytes)| *bytes)
    }

    pub(crate) fn set_output(&mut self, path: String, bytes: u64) {
        self.outputs.retain(|(known, _)| *known != path);
        self.outputs.push((path, bytes));
    }
}

/// The folder, locked for this run.
#[derive(Debug)]
pub(crate) struct StateDir {
    folder: PathBuf,
    /// Held while the run lasts; the system lets go of it however the run ends.
    _lock: File,
}

impl StateDir {
    /// Makes the folder if need be, and locks it.
    pub(crate) fn open(folder: &Path) -> Result<Self, StateError> {
        let fail = |verb| move |source| StateError::Io { path: folder.to_owned(), verb, source };
        fs::create_dir_all(folder).map_err(fail("written"))?;
        let lock = File::create(folder.join("lock")).map_err(fail("locked"))?;
        match lock.try_lock() {
            Ok(()) => Ok(StateDir { folder: folder.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::Locked(folder.to_owned())),
            Err(TryLockError::Error(source)) => Err(fail("locked")(source)),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// What the last run left, with its series put into `engine`; nothing is as good as an empty state.
    pub(crate) fn load(&self, engine: &mut Engine) -> Result<Saved, StateError> {
        let path = self.file();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Saved::default()),
            Err(source) => return Err(StateError::Io { path, verb: "read", source }),
        };
        let damaged = |detail: String| StateError::Damaged { path: path.clone(), detail };
        let body = open(&bytes).map_err(|wrong| match wrong {
            Wrong::Newer(version) => StateError::Newer { path: path.clone(), version },
            Wrong::Damaged(detail) => damaged(detail.to_owned()),
        })?;
        let mut saved: Saved = postcard::from_bytes(body).map_err(|e| damaged(e.to_string()))?;
        let now = engine.scoring.identity();
        if saved.scoring != now {
            return Err(StateError::Scoring { path, then: saved.scoring, now });
        }
        for series in std::mem::take(&mut saved.series) {
            let (name, series) = series.restore(&engine.scoring).map_err(&damaged)?;
            engine.series.insert(name, series);
        }
        saved.inputs.retain(|input| Path::new(&input.path).exists());
        Ok(saved)
    }

    /// Replaces what is there by `saved` with the series of `engine`: all of it or nothing.
    pub(crate) fn save(&self, saved: &mut Saved, engine: &Engine) -> Result<(), StateError> {
        saved.scoring = engine.scoring.identity();
        saved.series = engine.series.iter().map(SavedSeries::of).collect();
        saved.series.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let bytes = seal(saved);
        saved.series.clear();
        self.replace(&bytes).map_err(|source| StateError::Io { path: self.file(), verb: "written", source })
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let new = self.folder.join("state.new");
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.file())?;
        // The name is in the folder, and the folder must reach the disk too.
        File::open(&self.folder)?.sync_all()
    }
}

impl SavedSeries {
    fn of((name, series): (&SeriesId, &Series)) -> Self {
        SavedSeries {
            name: name.clone(),
            features: series.features.clone(),
            detector: series.detector.as_ref().map(Forest::save),
            state: series.state.encode(),
            last_at: series.last_at,
        }
    }

    fn restore(self, scoring: &Scoring) -> Result<(SeriesId, Series), String> {
        let about = |error: &dyn std::fmt::Display| format!("series {}: {error}", self.name);
        let state = SeriesState::decode(&self.state).map_err(|e: classify::StateError| about(&e))?;
        let detector = match (scoring, &self.detector) {
            (Scoring::Forest(_), Some(bytes)) => Some(Forest::load(bytes).map_err(|e| about(&e))?),
            (Scoring::Forest(_), None) => return Err(about(&"no detector")),
            (Scoring::Frozen(_) | Scoring::None, _) => None,
        };
        Ok((self.name, Series { features: self.features, detector, state, last_at: self.last_at }))
    }
}

enum Wrong {
    Newer(u8),
    Damaged(&'static str),
}

fn seal(saved: &Saved) -> Vec<u8> {
    // Writing into memory fails only for sequences of unknown length, of which there are none.
    let body = postcard::to_extend(saved, Vec::new()).unwrap_or_default();
    let checksum = Sha256::digest(&body);
    [MAGIC, &[VERSION], &checksum[..CHECKSUM_BYTES], &body].concat()
}

fn open(bytes: &[u8]) -> Result<&[u8], Wrong> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Wrong::Damaged("it does not begin as a state does"))?;
    let (&version, rest) = rest.split_first().ok_or(Wrong::Damaged("it ends too early"))?;
    if version > VERSION {
        return Err(Wrong::Newer(version));
    }
    let (checksum, body) =
        rest.split_at_checked(CHECKSUM_BYTES).ok_or(Wrong::Damaged("it ends too early"))?;
    match version == VERSION && Sha256::digest(body)[..CHECKSUM_BYTES] == *checksum {
        true => Ok(body),
        false => Err(Wrong::Damaged("the checksum is wrong")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, StateDir) {
        let dir = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(dir.path()).expect("opens");
        (dir, state)
    }

    fn engine() -> Engine {
        Engine::new(Scoring::None)
    }

    #[test]
    fn comes_back_whole() {
        let (_dir, state) = folder();
        assert_eq!(state.load(&mut engine()).expect("nothing there"), Saved::default());
        let mut saved = Saved { live: true, outputs: vec![("a".to_owned(), 7)], ..Saved::default() };
        state.save(&mut saved, &engine()).expect("written");
        assert_eq!(state.load(&mut engine()).expect("its own"), saved);
    }

    #[test]
    fn is_refused_with_the_reason() {
        let (dir, state) = folder();
        state.save(&mut Saved::default(), &engine()).expect("written");
        let file = dir.path().join("state");
        let good = fs::read(&file).expect("there");
        let said = |bytes: &[u8]| {
            fs::write(&file, bytes).expect("written");
            state.load(&mut engine()).map_err(|e| e.to_string().replace(&*file.to_string_lossy(), "F"))
        };
        let mut newer = good.clone();
        newer[MAGIC.len()] = 2;
        assert_eq!(
            said(&newer).expect_err("newer"),
            "the state in F has version 2, this release reads up to 1\n\
             hint: use the release that wrote it, or another --state folder to learn anew"
        );
        let mut flipped = good.clone();
        *flipped.last_mut().expect("not empty") ^= 1;
        for damaged in [&flipped[..], &good[..good.len() - 1], b"", b"hello"] {
            assert!(said(damaged).expect_err("damaged").contains("is damaged"));
        }
        fs::write(&file, good).expect("written");
        let forest = &mut Engine::new(Scoring::Forest(Default::default()));
        let error = state.load(forest).expect_err("other scores").to_string();
        assert!(error.contains("was learned with no model"), "{error}");
    }

    #[test]
    fn two_runs_do_not_share_it() {
        let (dir, _state) = folder();
        let error = StateDir::open(dir.path()).expect_err("locked").to_string();
        assert!(error.starts_with("another run uses the state in"), "{error}");
    }
}
