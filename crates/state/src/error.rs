//! What can go wrong with the state, and what callers need to know about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::place::Place;

/// Why the state could not be read or written. Nothing is half applied after any of these.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or the state directory could not be used.
    #[error("cannot {attempt} {}", path.display())]
    File {
        /// What was attempted.
        attempt: &'static str,
        /// Which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The database refused.
    #[error("cannot {attempt} in {}", path.display())]
    Database {
        /// What was attempted.
        attempt: &'static str,
        /// The database file.
        path: PathBuf,
        /// What `SQLite` said.
        source: Box<rusqlite::Error>,
    },
    /// A row is not what was written; the file is set aside when it is opened next.
    #[error("{} is damaged: {row} cannot be read", path.display())]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// Table and key.
        row: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Another process repairs or uses the file for longer than is waited.
    #[error("{} has been held by another process for {waited_ms} ms", path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// How long was waited.
        waited_ms: u64,
    },
    /// A later release wrote the file.
    #[error(
        "{} has schema version {found}, and this release knows versions up to {known}: run the later release, or \
         move the file away", path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The latest known version.
        known: i64,
    },
    /// A value could not be written as JSON.
    #[error("cannot write {row} as JSON")]
    Encode {
        /// Table and key.
        row: String,
        /// Why not.
        source: serde_json::Error,
    },
}

impl StateError {
    /// Whether the directory or the file may not be written.
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::File { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ),
            Self::Database { .. } => self.code() == Some(ErrorCode::ReadOnly),
            _ => false,
        }
    }

    /// Whether there is no space left.
    pub fn is_full(&self) -> bool {
        match self {
            Self::File { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            Self::Database { .. } => self.code() == Some(ErrorCode::DiskFull),
            _ => false,
        }
    }

    /// Whether another process was in the way for too long; trying again later can help.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Held { .. } => true,
            Self::Database { .. } => matches!(
                self.code(),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            ),
            _ => false,
        }
    }

    /// Whether the file is damaged; [`crate::Store::open`] sets it aside the next time.
    pub fn is_damaged(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Database { .. } => matches!(
                self.code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            _ => false,
        }
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Database { source, .. } => source.sqlite_error_code(),
            _ => None,
        }
    }

    pub(crate) fn file(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File {
            attempt,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn encode(row: String) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Encode { row, source }
    }

    /// Names the file and, where `SQLite` does not tell, what the operating system has against it.
    pub(crate) fn database(
        attempt: &'static str,
        place: &Place,
    ) -> impl Fn(rusqlite::Error) -> Self {
        move |source| {
            let path = place.database();
            let reason = match source.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => Some(io::ErrorKind::StorageFull.into()),
                Some(
                    ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::PermissionDenied,
                ) => place.refusal(),
                _ => None,
            };
            let error = match reason {
                Some(source) => Self::File {
                    attempt,
                    path,
                    source,
                },
                None => Self::Database {
                    attempt,
                    path,
                    source: Box::new(source),
                },
            };
            place.remember_damage(&error);
            error
        }
    }

    pub(crate) fn damaged(row: String, place: &Place) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| {
            let error = Self::Damaged {
                path: place.database(),
                row,
                source,
            };
            place.remember_damage(&error);
            error
        }
    }

    /// The whole chain of reasons in one line.
    pub(crate) fn story(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}
