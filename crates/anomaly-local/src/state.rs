//! What a run leaves for the next one, in one folder: a lock, and one file that is replaced as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anomaly_core::classify::{self, SeriesState};
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::window::Window;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::detect::waiting::Waiting;
use crate::engine::{Engine, Learner, Scoring, Series};
use crate::input::Mark;

/// What the file begins with: a name, then a version.
const MAGIC: &[u8] = b"anomaly-state";
/// The version without rows that wait.
const PLAIN_VERSION: u8 = 1;
/// The version with rows that wait, behind the series.
const WAITING_VERSION: u8 = 2;
/// The version with rows that wait and the series' windows behind those; the newest this build reads.
const VERSION: u8 = 3;
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
    /// How many series follow.
    series: u64,
    /// The files written, and how long they were.
    pub(crate) outputs: Vec<(String, u64)>,
    /// Whether a pipe was being read: what it gave after this was saved does not come again.
    pub(crate) live: bool,
    /// Rows whose verdict is not known yet, by the name of their input; written only if there are any.
    #[serde(skip)]
    pub(crate) waiting: BTreeMap<String, Waiting>,
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

    /// Takes the files written as they are now for as they were left.
    pub(crate) fn outputs_as_they_are(&mut self) {
        for (path, bytes) in &mut self.outputs {
            *bytes = fs::metadata(path).map_or(*bytes, |file| file.len());
        }
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
        let fail = |source| StateError::Io { path: path.clone(), verb: "read", source };
        let damaged = |detail: String| StateError::Damaged { path: path.clone(), detail };
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Saved::default()),
            other => other.map_err(fail)?,
        };
        let bytes = file.metadata().map_err(fail)?.len();
        let mut sealed = Sealed { inner: BufReader::new(file), hasher: Sha256::new(), left: bytes };
        let version = sealed.begin().map_err(damaged)?;
        match version {
            PLAIN_VERSION..=VERSION => {}
            version if version > VERSION => return Err(StateError::Newer { path, version }),
            version => return Err(damaged(format!("it has version {version}, which never was"))),
        }
        let mut saved: Saved = sealed.part().map_err(damaged)?;
        let now = engine.scoring.identity();
        if saved.scoring != now {
            return Err(StateError::Scoring { path, then: saved.scoring, now });
        }
        let mut names = Vec::new();
        for _ in 0..saved.series {
            let series: SavedSeries = sealed.part().map_err(damaged)?;
            let (name, series) = series.restore(&engine.scoring).map_err(damaged)?;
            names.push(name.clone());
            engine.series.insert(name, series);
        }
        if version >= WAITING_VERSION {
            saved.waiting = sealed.part().map_err(damaged)?;
        }
        for name in names.iter().filter(|_| version >= VERSION) {
            let bytes: Vec<u8> = sealed.part().map_err(damaged)?;
            let window =
                Window::decode(&bytes).ok_or_else(|| damaged(format!("series {name}: no window")))?;
            if let Some(series) = engine.series.get_mut(name) {
                series.window = window;
            }
        }
        sealed.end().map_err(damaged)?;
        saved.inputs.retain(|input| Path::new(&input.path).exists());
        Ok(saved)
    }

    /// Replaces what is there by `saved` with the series of `engine`: all of it or nothing.
    pub(crate) fn save(&self, saved: &mut Saved, engine: &Engine) -> Result<(), StateError> {
        saved.scoring = engine.scoring.identity();
        saved.series = engine.series.len() as u64;
        let mut series: Vec<_> = engine.series.iter().collect();
        series.sort_unstable_by_key(|(name, _)| *name);
        let version = match (&engine.scoring, saved.waiting.is_empty()) {
            (Scoring::Frozen(_), _) => VERSION,
            (Scoring::Forest(_) | Scoring::Streaming | Scoring::None, false) => WAITING_VERSION,
            (Scoring::Forest(_) | Scoring::Streaming | Scoring::None, true) => PLAIN_VERSION,
        };
        self.replace(version, |sealed| {
            sealed.part(saved)?;
            // One at a time: together they may fill the memory.
            series.iter().try_for_each(|(name, series)| sealed.part(&SavedSeries::of(name, series)))?;
            if version >= WAITING_VERSION {
                sealed.part(&saved.waiting)?;
            }
            let mut windows = series.iter().filter(|_| version >= VERSION);
            windows.try_for_each(|(_, series)| sealed.part(&series.window.encode()))
        })
        .map_err(|source| StateError::Io { path: self.file(), verb: "written", source })
    }

    fn replace(
        &self,
        version: u8,
        write: impl FnOnce(&mut Sealed<BufWriter<File>>) -> io::Result<()>,
    ) -> io::Result<()> {
        let new = self.folder.join("state.new");
        let mut sealed =
            Sealed { inner: BufWriter::new(File::create(&new)?), hasher: Sha256::new(), left: 0 };
        sealed.inner.write_all(MAGIC)?;
        sealed.inner.write_all(&[version])?;
        write(&mut sealed)?;
        let checksum = sealed.hasher.finalize();
        sealed.inner.write_all(&checksum[..CHECKSUM_BYTES])?;
        sealed.inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&new, self.file())?;
        // The name is in the folder, and the folder must reach the disk too.
        File::open(&self.folder)?.sync_all()
    }
}

/// The file: name, version, parts (each behind its length, in the wire format of postcard 1), checksum of the
/// parts.
struct Sealed<T> {
    inner: T,
    hasher: Sha256,
    /// When reading: bytes not read yet.
    left: u64,
}

impl Sealed<BufWriter<File>> {
    fn part(&mut self, part: &impl Serialize) -> io::Result<()> {
        let bytes = postcard::to_extend(part, Vec::new()).map_err(io::Error::other)?;
        let length = (bytes.len() as u64).to_le_bytes();
        for bytes in [&length[..], &bytes] {
            self.hasher.update(bytes);
            self.inner.write_all(bytes)?;
        }
        Ok(())
    }
}

impl Sealed<BufReader<File>> {
    /// The version.
    fn begin(&mut self) -> Result<u8, String> {
        let head = self.take((MAGIC.len() + 1) as u64)?;
        match head.strip_prefix(MAGIC) {
            Some(&[version]) => Ok(version),
            _ => Err("it does not begin as a state does".to_owned()),
        }
    }

    fn part<T: for<'a> Deserialize<'a>>(&mut self) -> Result<T, String> {
        let length = self.take(8)?;
        let bytes = self.take(length.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)))?;
        self.hasher.update(&length);
        self.hasher.update(&bytes);
        postcard::from_bytes(&bytes).map_err(|error| error.to_string())
    }

    fn end(mut self) -> Result<(), String> {
        let checksum = self.take(CHECKSUM_BYTES as u64)?;
        match self.left == 0 && self.hasher.finalize()[..CHECKSUM_BYTES] == checksum {
            true => Ok(()),
            false => Err("the checksum is wrong".to_owned()),
        }
    }

    fn take(&mut self, bytes: u64) -> Result<Vec<u8>, String> {
        // A damaged length must not be believed.
        self.left = self.left.checked_sub(bytes).ok_or("it ends too early")?;
        let mut taken = Vec::new();
        let read = (&mut self.inner).take(bytes).read_to_end(&mut taken).map_err(|e| e.to_string())?;
        if read as u64 == bytes { Ok(taken) } else { Err("it ends too early".to_owned()) }
    }
}

impl SavedSeries {
    fn of(name: &SeriesId, series: &Series) -> Self {
        SavedSeries {
            name: name.clone(),
            features: series.features.clone(),
            detector: series.detector.as_ref().map(Learner::save),
            state: series.state.encode(),
            last_at: series.last_at,
        }
    }

    fn restore(self, scoring: &Scoring) -> Result<(SeriesId, Series), String> {
        let about = |error: &dyn std::fmt::Display| format!("series {}: {error}", self.name);
        let state = SeriesState::decode(&self.state).map_err(|e: classify::StateError| about(&e))?;
        let detector = Learner::load(scoring, self.detector.as_deref());
        let detector =
            detector.map_err(|error| error.map_or_else(|| about(&"no detector"), |e| about(&e)))?;
        Ok((
            self.name,
            Series {
                features: self.features,
                detector,
                window: Window::default(),
                state,
                last_at: self.last_at,
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::waiting::Line;

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
        assert_eq!(fs::read(state.file()).expect("there")[MAGIC.len()], PLAIN_VERSION);
        let mut waiting = Waiting::default();
        waiting.push(Line::new(7, "noon".to_owned(), "1.5".to_owned(), None));
        saved.waiting.insert("a.csv".to_owned(), waiting);
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
        newer[MAGIC.len()] = VERSION + 1;
        assert_eq!(
            said(&newer).expect_err("newer"),
            "the state in F has version 4, this release reads up to 3\n\
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
