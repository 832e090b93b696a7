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
            Self::Database { source, .. } => is_damage(source),
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

/// Besides what `SQLite` itself calls damage: a value of the wrong kind, and a statement that does not fit the tables.
/// All statements are constants, so the tables are not what they were.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    match error {
        Error::FromSqlConversionFailure(..)
        | Error::InvalidColumnType(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::SqlInputError { .. } => true,
        Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch => true,
            ErrorCode::Unknown => failure.extended_code == rusqlite::ffi::SQLITE_ERROR,
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn database(code: i32) -> StateError {
        StateError::Database {
            attempt: "commit",
            path: "/state/state.db".into(),
            source: Box::new(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
        }
    }

    /// Read-only, full, busy, damaged.
    fn kinds(error: &StateError) -> [bool; 4] {
        [
            error.is_read_only(),
            error.is_full(),
            error.is_busy(),
            error.is_damaged(),
        ]
    }

    #[test]
    fn each_code_is_of_one_kind() {
        let cases = [
            (ffi::SQLITE_READONLY, [true, false, false, false]),
            (ffi::SQLITE_READONLY_DBMOVED, [true, false, false, false]),
            (ffi::SQLITE_FULL, [false, true, false, false]),
            (ffi::SQLITE_BUSY, [false, false, true, false]),
            (ffi::SQLITE_BUSY_RECOVERY, [false, false, true, false]),
            (ffi::SQLITE_LOCKED, [false, false, true, false]),
            (ffi::SQLITE_CORRUPT, [false, false, false, true]),
            (ffi::SQLITE_CORRUPT_INDEX, [false, false, false, true]),
            (ffi::SQLITE_NOTADB, [false, false, false, true]),
            (ffi::SQLITE_ERROR, [false, false, false, true]),
            (ffi::SQLITE_IOERR_FSYNC, [false, false, false, false]),
            (ffi::SQLITE_NOMEM, [false, false, false, false]),
            (ffi::SQLITE_INTERRUPT, [false, false, false, false]),
        ];
        for (code, expected) in cases {
            assert_eq!(kinds(&database(code)), expected, "code {code}");
        }
    }

    #[test]
    fn each_file_error_is_of_one_kind() {
        let cases = [
            (
                io::ErrorKind::ReadOnlyFilesystem,
                [true, false, false, false],
            ),
            (io::ErrorKind::PermissionDenied, [true, false, false, false]),
            (io::ErrorKind::StorageFull, [false, true, false, false]),
            (io::ErrorKind::QuotaExceeded, [false, true, false, false]),
            (io::ErrorKind::NotFound, [false, false, false, false]),
        ];
        for (kind, expected) in cases {
            let error = StateError::file("open", Path::new("/state/state.lock"))(kind.into());
            assert_eq!(kinds(&error), expected, "{kind}");
            assert_eq!(error.to_string(), "cannot open /state/state.lock");
        }
    }
}
