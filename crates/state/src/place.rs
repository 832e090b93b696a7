//! The files of one database in the state directory, and the lock that keeps them together.
//!
//! Every open database holds the lock shared; who creates the database or sets it aside holds it alone. Without it, a
//! process could open the old database and then the new one's write-ahead log, and mix them.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::database::Format;
use crate::error::StateError;

/// Added to a database's name, these give the files that belong to it.
pub(crate) const SATELLITES: [&str; 2] = ["-wal", "-shm"];
const LOCK_PAUSE_MS: u64 = 10;
/// 5 s in all, as long as is waited for a transaction: creation and setting aside take milliseconds.
const LOCK_ATTEMPTS: u64 = 500;

/// A database in the state directory.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    directory: PathBuf,
    format: &'static Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Shared,
    Alone,
}

impl Place {
    /// Makes the directory if it is missing.
    pub(crate) fn prepare(directory: &Path, format: &'static Format) -> Result<Self, StateError> {
        if !directory.is_dir() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(StateError::file("create the state directory", directory))?;
        }
        Ok(Self::at(directory, format))
    }

    /// Makes nothing.
    pub(crate) fn at(directory: &Path, format: &'static Format) -> Self {
        Self {
            directory: directory.to_owned(),
            format,
        }
    }

    pub(crate) fn format(&self) -> &'static Format {
        self.format
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The name of the database file, to which the names of the others are put.
    pub(crate) fn name(&self) -> String {
        format!("{}.db", self.format.name)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.join(self.name())
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory
            .join(format!("{}{}", self.name(), SATELLITES[0]))
    }

    /// Its text says why the database has to be set aside.
    pub(crate) fn damage(&self) -> PathBuf {
        self.directory.join(format!("{}.damage", self.name()))
    }

    fn lock_file(&self) -> PathBuf {
        self.directory.join(format!("{}.lock", self.format.name))
    }

    /// Takes the lock; it ends with the file that is returned, also when the process is killed.
    pub(crate) fn lock(&self, hold: Hold) -> Result<File, StateError> {
        let path = self.lock_file();
        let file = private()
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StateError::file("open", &path))?;
        wait_for(file, &path, hold)
    }

    /// Takes the lock shared where that needs no right to write. `None`: there is no lock that could be taken, as in
    /// a copy of the directory; then nobody sets the file aside either.
    pub(crate) fn lock_to_read(&self) -> Result<Option<File>, StateError> {
        let path = self.lock_file();
        match File::open(&path) {
            Ok(file) => wait_for(file, &path, Hold::Shared).map(Some),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(StateError::file("open", &path)(error)),
        }
    }

    /// Makes an empty database file that only its owner can read; `SQLite` gives its other files the same mode.
    pub(crate) fn create_database(&self) -> Result<(), StateError> {
        let path = self.database();
        match private().create_new(true).open(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(StateError::file("create", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Why the operating system would refuse to write here, if it would. The database itself is not opened for
    /// this: closing it again would drop `SQLite`'s own locks.
    pub(crate) fn refusal(&self) -> Option<io::Error> {
        let path = self.directory.join(format!("{}.probe", self.format.name));
        let outcome = private()
            .create(true)
            .truncate(true)
            .open(&path)
            .and_then(|mut file| file.write_all(b"."))
            .and_then(|()| std::fs::remove_file(&path));
        outcome.err()
    }

    /// Leaves word for the next process that opens the state. Not being able to is no error of its own: the damage
    /// is found again.
    pub(crate) fn remember_damage(&self, error: &StateError) {
        if error.is_damaged() {
            drop(self.write_damage(&error.story()));
        }
    }

    pub(crate) fn write_damage(&self, reason: &str) -> Result<(), StateError> {
        let path = self.damage();
        private()
            .create(true)
            .truncate(true)
            .open(&path)
            .and_then(|mut file| file.write_all(reason.as_bytes()))
            .map_err(StateError::file("write", &path))
    }

    /// What [`Place::write_damage`] wrote.
    pub(crate) fn read_damage(&self) -> Result<Option<String>, StateError> {
        let path = self.damage();
        match std::fs::read(&path) {
            Ok(reason) => Ok(Some(String::from_utf8_lossy(&reason).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::file("read", &path)(error)),
        }
    }
}

fn wait_for(file: File, path: &Path, hold: Hold) -> Result<File, StateError> {
    for attempt in 0..LOCK_ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(LOCK_PAUSE_MS));
        }
        let taken = match hold {
            Hold::Shared => file.try_lock_shared(),
            Hold::Alone => file.try_lock(),
        };
        match taken {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(StateError::file("lock", path)(error));
            }
        }
    }
    Err(StateError::Held {
        path: path.to_owned(),
        waited_ms: LOCK_ATTEMPTS * LOCK_PAUSE_MS,
    })
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}
