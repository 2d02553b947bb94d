//! The embedded store keeps the contracts of the ports, and a file that it cannot trust is refused.

use std::fs;
use std::path::{Path, PathBuf};

use anomaly_core::position::{Place, Runs, Sequence};
use anomaly_core::reading::SeriesId;
use anomaly_core::reject::Reject;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::RejectV1;
use anomaly_fakes::conformance::{self, AllTables, Bench};
use anomaly_local::store::{Store, StoreError};
use anomaly_pipeline::ports::{Journal, Rejects, Saved, States};
use futures_util::FutureExt;
use redb::{Database, ReadableDatabase, TableDefinition};
use tempfile::TempDir;

/// Stores in a folder, one after the other.
struct Files {
    folder: TempDir,
    files: u32,
}

struct Opened(Store);

impl Files {
    fn new() -> Self {
        Files { folder: tempfile::tempdir().expect("a folder"), files: 0 }
    }

    fn next(&mut self) -> PathBuf {
        self.files += 1;
        self.folder.path().join(format!("{}.redb", self.files))
    }
}

impl Bench for Files {
    type Tables = Opened;

    async fn fresh(&mut self) -> Opened {
        Opened(Store::open(&self.next()).expect("opens"))
    }

    /// What a killed process leaves is the file as it stands, not closed.
    async fn after_a_crash(&mut self, tables: Opened) -> Opened {
        let copy = self.next();
        fs::copy(tables.0.path(), &copy).expect("copied while it is open");
        Opened(Store::open(&copy).expect("opens"))
    }
}

impl AllTables for Opened {
    type States = Store;
    type Outbox = Store;
    type Journal = Store;
    type Rejects = Store;

    fn states(&self) -> &Store {
        &self.0
    }

    fn outbox(&self) -> &Store {
        &self.0
    }

    fn journal(&self) -> &Store {
        &self.0
    }

    fn rejects(&self) -> &Store {
        &self.0
    }
}

#[tokio::test]
async fn its_states_are_states() {
    conformance::states(&mut Files::new()).await.expect("no fault");
}

#[tokio::test]
async fn its_outbox_is_an_outbox() {
    conformance::outbox(&mut Files::new()).await.expect("no fault");
}

#[tokio::test]
async fn its_journal_is_a_journal() {
    conformance::journal(&Files::new().fresh().await.0).await.expect("no fault");
}

#[tokio::test]
async fn its_windows_are_windows() {
    conformance::windows(&Files::new().fresh().await.0).await.expect("no fault");
}

#[tokio::test]
async fn it_survives_a_crash_between_any_two_calls() {
    conformance::crashes(&mut Files::new()).await.expect("no fault");
}

#[test]
fn one_of_many_threads_wins() {
    let store = Store::open(&Files::new().next()).expect("opens");
    let a = SeriesId::new("a").expect("a name");
    let write = || store.save(&a, &Default::default(), None, &[], Timestamp::default()).now_or_never();
    let saved: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(write)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let won = saved.iter().filter(|saved| **saved == Some(Ok(Saved::Written))).count();
    let lost = saved.iter().filter(|saved| **saved == Some(Ok(Saved::Conflict))).count();
    assert_eq!((won, lost), (1, 3), "{saved:?}");
}

#[tokio::test]
async fn what_was_judged_is_forgotten_after_a_month() {
    let Opened(store) = Files::new().fresh().await;
    let place = |number: u64| Place { sequence: Sequence::from(number), sub: 0 };
    let day = |day: i64| Timestamp::from_ms(day * 86_400_000).expect("in range");
    let note = async |number: u64, on: i64| {
        let mut runs = Runs::default();
        runs.push(place(number), place(number));
        store.note("s", &runs, day(on)).await.expect("noted");
    };
    let is_known = async |number: u64| {
        store.get(&[("s".to_owned(), place(number))]).await.expect("found")[0].ends().is_some()
    };
    note(1, 0).await;
    note(2, 0).await;
    note(2, 20).await;
    note(3, 29).await;
    assert_eq!([is_known(1).await, is_known(2).await, is_known(3).await], [true, true, true]);
    note(4, 31).await;
    assert_eq!([is_known(1).await, is_known(2).await, is_known(3).await], [false, true, true]);
}

#[tokio::test]
async fn rejects_are_kept_once_in_order() {
    let Opened(store) = Files::new().fresh().await;
    let reject = |sequence: &str| {
        let mut reject = RejectV1::of_reading(Reject::Base64, &reading());
        reject.sequence = Sequence::new(sequence);
        reject
    };
    let all = ["9", "10", "100"].map(reject);
    for order in [[2, 0, 1], [0, 1, 2]] {
        store.keep(&order.map(|i| all[i].clone())).await.expect("kept");
        assert_eq!(store.rejects().expect("listed"), all);
    }
}

fn reading() -> anomaly_core::reading::Reading {
    let arrived = Timestamp::default();
    let position =
        anomaly_core::position::Position { partition: "p".into(), sequence: 1.into(), sub: 0, arrived };
    let series = SeriesId::new("a").expect("a name");
    anomaly_core::reading::Reading { series, at: arrived, features: vec![1.0], filled: Vec::new(), position }
}

fn refused(path: &Path) -> String {
    let error = Store::open(path).expect_err("it is refused");
    error.to_string().replace(&*path.to_string_lossy(), "F")
}

#[test]
fn a_file_of_a_later_release_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state");
    drop(Store::open(&path).expect("made"));
    let database = Database::open(&path).expect("opens");
    let transaction = database.begin_write().expect("begins");
    let about = TableDefinition::<&str, u64>::new("about");
    transaction.open_table(about).expect("there").insert("format", 5).expect("written");
    transaction.commit().expect("committed");
    drop(database);
    assert_eq!(
        refused(&path),
        "the state in F has version 5, this release reads up to 4\n\
         hint: use the release that wrote it, or another --state folder to learn anew"
    );
}

#[test]
fn a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state");
    let store = Store::open(&path).expect("made");
    let a = SeriesId::new("a").expect("a name");
    let saved = store.save(&a, &Default::default(), None, &[], Timestamp::default()).now_or_never();
    assert_eq!(saved, Some(Ok(Saved::Written)));
    drop(store);
    let good = fs::read(&path).expect("there");
    for damaged in [&b""[..], b"hello", b"redb", &good[..good.len() / 2], &good[..20]] {
        fs::write(&path, damaged).expect("written");
        let said = refused(&path);
        assert!(said.starts_with("the state in F is damaged: "), "{said}");
        assert!(said.ends_with("hint: give another --state folder to learn anew"), "{said}");
    }
    // Wherever a row lies, another bit in it is seen.
    let name = good.windows(6).position(|bytes| bytes == b"format").expect("a row");
    let mut flipped = good.clone();
    flipped[name] ^= 1;
    fs::write(&path, &flipped).expect("written");
    assert!(refused(&path).starts_with("the state in F is damaged: "), "{}", refused(&path));
    fs::write(&path, &good).expect("written");
    drop(Store::open(&path).expect("it was not the file"));
}

#[test]
fn two_do_not_write_it() {
    let mut files = Files::new();
    let path = files.next();
    let store = Store::open(&path).expect("made");
    assert!(matches!(Store::open(&path), Err(StoreError::Locked(_))));
    let reader = Database::builder()
        .set_concurrency_mode(redb::ConcurrencyMode::SingleWriter)
        .open_read_only(&path)
        .expect("one may read what another writes");
    drop(reader.begin_read().expect("reads"));
    drop(store);
    Store::open(&path).expect("nobody has it any more");
}
