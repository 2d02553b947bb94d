//! Why the file cannot be used.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anomaly_pipeline::fault::Fault;

use super::FORMAT;

/// Why a state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
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
    /// Another process writes it.
    #[error("another run uses the state in {0}\nhint: wait for it, or give each run its own --state folder")]
    Locked(PathBuf),
    /// A later release wrote it.
    #[error(
        "the state in {path} has version {version}, this release reads up to {FORMAT}\n\
         hint: use the release that wrote it, or another --state folder to learn anew"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u64,
    },
    /// It is not what was written.
    #[error("the state in {path} is damaged: {detail}\nhint: give another --state folder to learn anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        detail: String,
    },
    /// There is none.
    #[error("there is no state in {0}\nhint: `anomaly detect FILE --state {0}` keeps one there")]
    Nothing(PathBuf),
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

impl StoreError {
    pub(crate) fn io(path: &Path, verb: &'static str, source: io::Error) -> Self {
        StoreError::Io { path: path.to_owned(), verb, source }
    }

    pub(crate) fn damaged(path: &Path, detail: impl Into<String>) -> Self {
        StoreError::Damaged { path: path.to_owned(), detail: detail.into() }
    }

    /// As a fault of a port.
    pub(super) fn fault(self, operation: String) -> Fault {
        match self {
            StoreError::Io { path, source, .. } => {
                Fault::permanent(operation, format!("{}: {source}", path.display()))
            }
            other => Fault::permanent(operation, other),
        }
    }

    /// Of the database in `path`, which was about to be `verb`.
    pub(super) fn of(path: &Path, verb: &'static str, error: impl Into<redb::Error>) -> Self {
        match error.into() {
            // The database says so of a file that is cut short or is none of its own.
            redb::Error::Io(source)
                if matches!(source.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
            {
                StoreError::damaged(path, source.to_string())
            }
            redb::Error::Io(source) => StoreError::io(path, verb, source),
            redb::Error::DatabaseAlreadyOpen => StoreError::Locked(path.to_owned()),
            other => StoreError::damaged(path, other.to_string()),
        }
    }
}

/// What went wrong within a transaction.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The database's.
    Database(Box<redb::Error>),
    /// A row is not what it should be.
    Row(String),
}

impl Trouble {
    /// As an error of the file at `path`, which was about to be `verb`.
    pub(crate) fn into_error(self, path: &Path, verb: &'static str) -> StoreError {
        match self {
            Trouble::Database(error) => StoreError::of(path, verb, *error),
            Trouble::Row(detail) => StoreError::damaged(path, detail),
        }
    }
}

/// The database has an error type for each kind of call; together they are one.
macro_rules! of_the_database {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for Trouble {
            fn from(error: redb::$error) -> Self {
                Trouble::Database(Box::new(error.into()))
            }
        })*
    };
}

of_the_database!(CommitError, DatabaseError, StorageError, TableError, TransactionError);
