//! One file that holds what the tables of a stack hold: states, the outbox, the journal, windows and rejects.
//!
//! It is a database of the `redb` crate: a transaction is there as a whole or not at all, whenever the process ends.
//! One process writes it; others may read it meanwhile, and see what was last committed. A call waits for the disk
//! and for nothing else, so its future is ready at once.

mod before;
mod draft;
mod error;
mod journal;
pub(crate) mod outbox;
mod reader;
mod rejects;
pub(crate) mod run;
pub(crate) mod states;
mod windows;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anomaly_pipeline::fault::Fault;
use redb::{ConcurrencyMode, Database, ReadTransaction, ReadableDatabase, TableDefinition, WriteTransaction};

pub(crate) use draft::Draft;
pub use error::StoreError;
pub(crate) use error::Trouble;
pub(crate) use outbox::Taken;
pub use outbox::Why;
pub(crate) use reader::Reader;

/// The newest format this build reads, and the one it writes. The first three were one file that was replaced as a
/// whole (`before.rs`), and are brought up to date when they are opened.
pub const FORMAT: u64 = 4;
/// The key of the format in [`ABOUT`].
const FORMAT_KEY: &str = "format";
/// What every file of `redb` begins with (its `docs/design.md`, "Super-header").
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// How much of the file is kept in memory: enough for the inner nodes, and for what one transaction writes.
const CACHE_BYTES: usize = 64 << 20;

/// What the file is.
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");

/// The file, opened to be written to by nobody else.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    database: Database,
}

/// Whether a transaction is to be written.
pub(crate) enum End<T> {
    /// All of it.
    Commit(T),
    /// Nothing of it: nothing was changed.
    Leave(T),
}

impl Store {
    /// Opens the file at `path`, or makes one; one of an earlier release is brought up to date: all of it or nothing.
    /// All of it is read, to be sure that it is whole.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read or written, another process writes it, a later release wrote it, or it is
    /// damaged.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        match head(path).map_err(|source| StoreError::io(path, "read", source))? {
            None => make(path, |_| Ok(()))?,
            Some(head) if head.starts_with(MAGIC) => {}
            Some(head) if head.starts_with(before::MAGIC) => before::bring_up_to_date(path)?,
            Some(_) => return Err(StoreError::damaged(path, "it does not begin as a state does")),
        }
        let opened = builder().set_check_integrity_on_open(true).open(path);
        let database = opened.map_err(|error| StoreError::of(path, "read", error))?;
        let store = Store { path: path.to_owned(), database };
        let reading = store.database.begin_read().map_err(|error| StoreError::of(path, "read", error))?;
        check_format(path, &reading)?;
        Ok(store)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what one transaction has committed.
    pub(crate) fn reading<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let done =
            self.database.begin_read().map_err(Trouble::from).and_then(|transaction| work(&transaction));
        done.map_err(|trouble| trouble.into_error(&self.path, "read"))
    }

    /// Writes in one transaction.
    pub(crate) fn writing<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<End<T>, Trouble>,
    ) -> Result<T, StoreError> {
        let done = || {
            let transaction = self.database.begin_write()?;
            match work(&transaction)? {
                End::Commit(done) => {
                    transaction.commit()?;
                    Ok(done)
                }
                End::Leave(done) => {
                    transaction.abort()?;
                    Ok(done)
                }
            }
        };
        done().map_err(|trouble: Trouble| trouble.into_error(&self.path, "written"))
    }

    fn read<T>(
        &self,
        operation: impl Fn() -> String,
        work: impl FnOnce(&ReadTransaction) -> Result<T, Trouble>,
    ) -> Result<T, Fault> {
        self.reading(work).map_err(|error| error.fault(operation()))
    }

    fn write<T>(
        &self,
        operation: impl Fn() -> String,
        work: impl FnOnce(&WriteTransaction) -> Result<End<T>, Trouble>,
    ) -> Result<T, Fault> {
        self.writing(work).map_err(|error| error.fault(operation()))
    }
}

/// The first bytes of the file, as many as any format needs to be told; fewer if it has no more, `None` if there is no file.
fn head(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut head = Vec::new();
    file.take(MAGIC.len().max(before::MAGIC.len()) as u64).read_to_end(&mut head)?;
    Ok(Some(head))
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

/// Makes one beside `path`, with what `fill` puts into it, and moves it there.
fn make(path: &Path, fill: impl FnOnce(&WriteTransaction) -> Result<(), Trouble>) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    let written = |source| StoreError::io(path, "written", source);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(written(error)),
        _ => {}
    }
    let begin = || {
        let database = builder().create(&new)?;
        let transaction = database.begin_write()?;
        transaction.open_table(ABOUT)?.insert(FORMAT_KEY, FORMAT)?;
        states::make(&transaction)?;
        outbox::make(&transaction)?;
        journal::make(&transaction)?;
        windows::make(&transaction)?;
        rejects::make(&transaction)?;
        run::make(&transaction)?;
        fill(&transaction)?;
        transaction.commit()?;
        Ok(database.close()?)
    };
    begin().map_err(|trouble: Trouble| {
        // What cannot be removed now is removed by the next one.
        let _ = fs::remove_file(&new);
        trouble.into_error(path, "written")
    })?;
    replace(&new, path).map_err(written)
}

/// Moves the file `new`, which is closed, to `path`, whatever was there: all of it or nothing.
fn replace(new: &Path, path: &Path) -> io::Result<()> {
    File::open(new)?.sync_all()?;
    fs::rename(new, path)?;
    // The name is in the folder, and the folder must reach the disk too.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn check_format(path: &Path, transaction: &ReadTransaction) -> Result<(), StoreError> {
    let format = || Ok(transaction.open_table(ABOUT)?.get(FORMAT_KEY)?.map(|format| format.value()));
    match format().map_err(|trouble: Trouble| trouble.into_error(path, "read"))? {
        Some(FORMAT) => Ok(()),
        Some(version) if version > FORMAT => Err(StoreError::Newer { path: path.to_owned(), version }),
        _ => Err(StoreError::damaged(path, "it does not say what format it has")),
    }
}
