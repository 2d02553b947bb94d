//! The formats 1 to 3: one file that was replaced as a whole, of a name, a version, parts (each behind its length, in
//! the wire format of postcard 1), and a checksum of the parts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use redb::WriteTransaction;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::error::{StoreError, Trouble};
use super::run::{About, Run, Series};
use super::states::Encoded;
use super::{make, states, windows};
use crate::detect::waiting::Waiting;
use crate::state::{Saved, SavedInput};

/// What the file begins with.
pub(super) const MAGIC: &[u8] = b"anomaly-state";
/// The first version with rows that wait, behind the series.
const WAITING_VERSION: u8 = 2;
/// The version with the series' windows behind those; the last one.
const WINDOWS_VERSION: u8 = 3;
const CHECKSUM_BYTES: usize = 8;

/// The first part.
#[derive(Deserialize)]
struct Head {
    scoring: String,
    inputs: Vec<SavedInput>,
    /// How many series follow.
    series: u64,
    outputs: Vec<(String, u64)>,
    live: bool,
}

/// A part for each series.
#[derive(Deserialize)]
struct SeriesPart {
    name: SeriesId,
    features: Vec<String>,
    detector: Option<Vec<u8>>,
    state: Vec<u8>,
    last_at: Timestamp,
}

/// Puts a store in the place of the file at `path`: all of it or nothing.
///
/// # Errors
/// [`StoreError`] if it cannot be read or written, or it is damaged.
pub(super) fn bring_up_to_date(path: &Path) -> Result<(), StoreError> {
    let fail = |source| StoreError::io(path, "read", source);
    let file = File::open(path).map_err(fail)?;
    let left = file.metadata().map_err(fail)?.len();
    let mut parts = Parts { inner: BufReader::new(file), hasher: Sha256::new(), left };
    match parts.begin().map_err(|detail| StoreError::damaged(path, detail))? {
        version @ 1..=WINDOWS_VERSION => make(path, |transaction| fill(transaction, version, parts)),
        0 => Err(StoreError::damaged(path, "it has version 0, which never was")),
        version => Err(StoreError::Newer { path: path.to_owned(), version: version.into() }),
    }
}

fn fill(transaction: &WriteTransaction, version: u8, mut parts: Parts) -> Result<(), Trouble> {
    let head: Head = parts.part()?;
    let mut names = Vec::new();
    let mut run = Run::open(transaction)?;
    for _ in 0..head.series {
        // One at a time: together they may fill the memory.
        let SeriesPart { name, features, detector, state, last_at } = parts.part()?;
        let state = Encoded::of(&states::decode(&name, &state)?);
        let features = &features;
        run.series(&name, &Series { last_at, features, detector, state, window: None })?;
        names.push(name);
    }
    let waiting: BTreeMap<String, Waiting> =
        if version >= WAITING_VERSION { parts.part()? } else { BTreeMap::new() };
    for name in names.iter().filter(|_| version >= WINDOWS_VERSION) {
        let bytes: Vec<u8> = parts.part()?;
        run.window(name, &windows::decode(name, &bytes)?.encode())?;
    }
    parts.end()?;
    let Head { scoring, inputs, outputs, live, .. } = head;
    let inputs = inputs.into_iter().map(|input| (input.path.clone(), input)).collect();
    let saved = Saved { inputs, outputs: outputs.into_iter().collect(), live, waiting };
    super::run::leave(transaction, &About { scoring, live: saved.live }, &saved)
}

/// The file, from part to part.
struct Parts {
    inner: BufReader<File>,
    hasher: Sha256,
    /// Bytes not read yet.
    left: u64,
}

impl Parts {
    /// The version.
    fn begin(&mut self) -> Result<u8, String> {
        let head = self.take((MAGIC.len() + 1) as u64)?;
        match head.strip_prefix(MAGIC) {
            Some(&[version]) => Ok(version),
            _ => Err("it does not begin as a state does".to_owned()),
        }
    }

    fn part<T: for<'a> Deserialize<'a>>(&mut self) -> Result<T, Trouble> {
        let length = self.take(8).map_err(Trouble::Row)?;
        let bytes = length.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let bytes = self.take(bytes).map_err(Trouble::Row)?;
        self.hasher.update(&length);
        self.hasher.update(&bytes);
        postcard::from_bytes(&bytes).map_err(|error| Trouble::Row(error.to_string()))
    }

    fn end(mut self) -> Result<(), Trouble> {
        let checksum = self.take(CHECKSUM_BYTES as u64).map_err(Trouble::Row)?;
        match self.left == 0 && self.hasher.finalize()[..CHECKSUM_BYTES] == checksum {
            true => Ok(()),
            false => Err(Trouble::Row("the checksum is wrong".to_owned())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, run};
    use anomaly_core::classify::SeriesState;
    use std::fs;

    /// What releases of before wrote: an alert that is open, readings that wait, windows.
    fn written_by(version: u8) -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/states/version-{version}"));
        fs::read(path).expect("it is there")
    }

    fn open(bytes: &[u8]) -> Result<(tempfile::TempDir, Store), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        fs::write(&path, bytes).expect("written");
        let opened = Store::open(&path);
        let there: Vec<_> = fs::read_dir(&folder).expect("there").flatten().map(|f| f.file_name()).collect();
        assert_eq!(there, ["state"], "nothing is left beside it");
        if opened.is_err() {
            assert_eq!(fs::read(&path).expect("there"), bytes, "what is refused stays as it is");
        }
        let opened = opened.map_err(|e| e.to_string().replace(&*path.to_string_lossy(), "F"));
        opened.map(|store| (folder, store))
    }

    #[test]
    fn what_earlier_releases_wrote_is_read() {
        let scorings = ["no model", "no model", "the model ab0bb373bb5d"];
        for (version, scoring) in (1..=WINDOWS_VERSION).zip(scorings) {
            let (_folder, store) = open(&written_by(version)).expect("brought up to date");
            let (about, saved) = store.reading(run::left).expect("read").expect("left");
            assert_eq!(about, About { scoring: scoring.to_owned(), live: true });
            assert_eq!(saved.waiting.contains_key("stdin"), version == WAITING_VERSION, "{version}");
            let mut names = Vec::new();
            let take = |name, features: Vec<String>, state: SeriesState| {
                assert_eq!(features, ["latency_ms", "requests"]);
                let open = state.watches().filter(|(_, watch)| watch.open().is_some()).count();
                assert_eq!(open, usize::from(version == 1), "{version}");
                assert_eq!(state.hold().is_some(), version == WAITING_VERSION, "{version}");
                names.push(name);
                Ok(())
            };
            store.reading(|transaction| run::each_state(transaction, take)).expect("read");
            let row = store.reading(|transaction| run::series(transaction, &names[0])).expect("read");
            let window = row.expect("there").read(&names[0]).expect("whole").window;
            assert_eq!(window != Default::default(), version == WINDOWS_VERSION, "{version}");
            assert_eq!(names.len(), 1);
        }
    }

    #[test]
    fn what_cannot_be_trusted_is_refused() {
        for version in 1..=WINDOWS_VERSION {
            let good = written_by(version);
            for index in [MAGIC.len() + 1, good.len() / 2, good.len() - 1] {
                let mut flipped = good.clone();
                flipped[index] ^= 1;
                for damaged in [&flipped[..], &good[..index]] {
                    let said = open(damaged).expect_err("damaged");
                    assert!(said.starts_with("the state in F is damaged: "), "{version} {index}: {said}");
                }
            }
        }
        let mut newer = written_by(1);
        newer[MAGIC.len()] = 99;
        assert_eq!(
            open(&newer).expect_err("newer"),
            "the state in F has version 99, this release reads up to 4\n\
             hint: use the release that wrote it, or another --state folder to learn anew"
        );
    }
}
