//! A database file of the state directory: opening it is cheap when all is well, and always ends with a sound one.
//!
//! The state is one, and the history of readings is another; a damaged one never takes the other with it.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ng_engine::time::Time;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior};
use serde::{Deserialize, Serialize};

use crate::aside;
use crate::error::StateError;
use crate::log;
use crate::place::{Hold, Place};

/// The note that keeps the notice until something is saved.
const NOTICE: &str = "state.notice";

/// How long is waited for another process's transaction, which takes milliseconds.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Versions are counted, so a number beyond this one is damage, and not the mark of a later release.
const LATEST_THINKABLE: i64 = 1_000;

/// Every database has small texts by key.
const NOTES: &str = "CREATE TABLE note(key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;";

/// What a database file is called and what is in it.
#[derive(Debug)]
pub struct Format {
    /// The file is `<name>.db`, and the files that belong to it begin with the name, too.
    pub name: &'static str,
    /// Kept in `PRAGMA user_version`; 0 is a file that was never finished.
    pub version: i64,
    /// Bytes of a page, a power of two.
    pub page_size: u32,
    /// Makes the tables; `note` is there without it.
    pub tables: &'static [&'static str],
    /// Brings a database of an earlier version up to date, in one transaction; another process may have been faster.
    pub upgrade: fn(&Connection) -> rusqlite::Result<()>,
}

/// Why there is nothing in a database yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Notice {
    /// There was no file.
    Created {
        /// When the new one was made.
        at: Time,
    },
    /// The file was damaged.
    SetAside {
        /// Where it is now.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
        /// When the new one was made.
        at: Time,
    },
}

/// A damaged file, and where it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub path: PathBuf,
    /// What was wrong with it.
    pub reason: String,
}

impl SetAside {
    fn of(notice: &Notice) -> Option<Self> {
        match notice {
            Notice::SetAside { path, reason, .. } => Some(Self {
                path: path.clone(),
                reason: reason.clone(),
            }),
            Notice::Created { .. } => None,
        }
    }
}

/// Whether there is a history. Once saved it stays, for as long as the state is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    Saved,
    Missing,
}

impl Past {
    pub(crate) fn of(notice: Option<&Notice>) -> Self {
        match notice {
            Some(_) => Self::Missing,
            None => Self::Saved,
        }
    }
}

/// A database of the state directory, open in this process.
#[derive(Debug)]
pub struct Database {
    // Closed before the lock ends, as fields are dropped in this order.
    connection: Connection,
    _lock: Option<File>,
    place: Place,
    ready_to_write: bool,
    set_aside: Option<SetAside>,
}

impl Database {
    /// Opens the database in a directory; makes the directory (mode 0700) and the file where they are missing, and
    /// sets a damaged file aside as `<name>.db.corrupt-<n>`. `now` only goes into the notice, which is given on every
    /// opening until [`Database::end_notice`].
    pub fn open(
        directory: &Path,
        format: &'static Format,
        now: Time,
    ) -> Result<(Self, Option<Notice>), StateError> {
        let place = Place::prepare(directory, format)?;
        let lock = place.lock(Hold::Shared)?;
        if let Some(opened) = open_sound(&place, lock)? {
            return Ok(opened);
        }
        // Shared locks end before the other one is asked for, or two processes would wait for each other.
        let lock = place.lock(Hold::Alone)?;
        let set_aside = renew(&place, now)?;
        drop(lock);
        let lock = place.lock(Hold::Shared)?;
        let (database, notice) = open_sound(&place, lock)?.ok_or_else(|| {
            StateError::database("open the database", &place)(rusqlite::Error::InvalidQuery)
        })?;
        let database = Self {
            set_aside,
            ..database
        };
        Ok((database, notice))
    }

    /// Opens the database for reading alone, also where nothing may be written, such as a copy of the directory.
    /// `None`: there is none, or none that was finished. A damaged file is an error and stays where it is.
    pub fn read(directory: &Path, format: &'static Format) -> Result<Option<Self>, StateError> {
        let place = Place::at(directory, format);
        let path = place.database();
        if !path.try_exists().map_err(StateError::file("read", &path))? {
            return Ok(None);
        }
        let lock = place.lock_to_read()?;
        let connection = connect_to_read(&place)?;
        Ok(version(&connection, &place)?.map(|_| Self {
            connection,
            _lock: lock,
            place,
            ready_to_write: false,
            set_aside: None,
        }))
    }

    /// The database file.
    pub fn path(&self) -> PathBuf {
        self.place.database()
    }

    /// What was set aside by this opening. The notice is given to others, too, and may never be: a process that saves
    /// ends it. So whoever set a file aside is the one to say so.
    pub fn set_aside(&self) -> Option<&SetAside> {
        self.set_aside.as_ref()
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Makes the connection ready for transactions; reads need none of this.
    pub fn prepare_to_write(&mut self) -> Result<(), StateError> {
        if !self.ready_to_write {
            // OFF: a killed process loses nothing, and what a power failure must not take is synced by commit. What of
            // the log is not on disk then is known by its checksums. Only copying the log into the database needs an
            // order of writes, and that is done in one place, which asks for it.
            self.connection
                .execute_batch("PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0")
                .map_err(self.refused("begin a transaction"))?;
            self.ready_to_write = true;
        }
        Ok(())
    }

    /// Ends the notice, in the transaction that is under way.
    pub fn end_notice(&self) -> Result<(), StateError> {
        end_notice(&self.connection, &self.place)
    }

    /// Copies the log into the database once it is longer than this, and empties it. To be called after a commit,
    /// which stands whatever happens here.
    pub fn empty_log(&self, longest: u64) {
        log::empty(&self.connection, &self.place, longest);
    }

    /// Turns what `SQLite` says into an error that names the file and, where `SQLite` does not tell, what the
    /// operating system has against it.
    pub fn refused(&self, attempt: &'static str) -> impl Fn(rusqlite::Error) -> StateError {
        StateError::database(attempt, &self.place)
    }

    /// The error for a row, named by table and key, that is not what was written; the file is set aside when it is
    /// opened next.
    pub fn damaged(&self, row: String, reason: &str) -> StateError {
        StateError::damaged(row, &self.place)(serde::de::Error::custom(reason))
    }
}

/// The database, if the file is there, whole and of our version.
fn open_sound(place: &Place, lock: File) -> Result<Option<(Database, Option<Notice>)>, StateError> {
    if place.damage().exists() || !place.database().exists() {
        return Ok(None);
    }
    match inspect(place) {
        Ok(Some((connection, notice))) => {
            let database = Database {
                connection,
                _lock: Some(lock),
                place: place.clone(),
                ready_to_write: false,
                set_aside: None,
            };
            Ok(Some((database, notice)))
        }
        Ok(None) => Ok(None),
        Err(error) if error.is_damaged() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The connection and the notice; `None` if the database was never finished.
fn inspect(place: &Place) -> Result<Option<(Connection, Option<Notice>)>, StateError> {
    let attempt = || StateError::database("open the database", place);
    let connection = connect(place)?;
    if connection.is_readonly("main").map_err(attempt())? {
        let reason = place
            .refusal()
            .unwrap_or_else(|| std::io::ErrorKind::PermissionDenied.into());
        return Err(StateError::file("write", &place.database())(reason));
    }
    match version(&connection, place)? {
        None => return Ok(None),
        Some(found) if found < place.format().version => {
            (place.format().upgrade)(&connection)
                .map_err(StateError::database("bring the database up to date", place))?;
        }
        Some(_) => {}
    }
    let notice = notice(&connection, place)?;
    Ok(Some((connection, notice)))
}

/// The version of the tables, one that we know; `None`: they are not there yet.
fn version(connection: &Connection, place: &Place) -> Result<Option<i64>, StateError> {
    let known = place.format().version;
    let found = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(StateError::database("open the database", place))?;
    match found {
        0 => Ok(None),
        found if (1..=known).contains(&found) => Ok(Some(found)),
        found if (1..=LATEST_THINKABLE).contains(&found) => Err(StateError::Newer {
            path: place.database(),
            found,
            known,
        }),
        found => Err(StateError::damaged(
            format!("the schema version {found}"),
            place,
        )(serde::de::Error::custom(
            "no release has written that",
        ))),
    }
}

fn connect(place: &Place) -> Result<Connection, StateError> {
    let attempt = || StateError::database("open the database", place);
    // The file is never made here: that is for the one process that holds the lock alone.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(place.database(), flags).map_err(attempt())?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(attempt())?;
    // Closing would otherwise copy the log into the database and wait for the disk, in every run.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(attempt())?;
    Ok(connection)
}

/// Without the right to write, `SQLite` needs the files beside the database as they are, and can do without them only
/// where nothing is in the log: then the database is all there is, and nobody may be changing it.
fn connect_to_read(place: &Place) -> Result<Connection, StateError> {
    let attempt = || StateError::database("read the database", place);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let usual = Connection::open_with_flags(place.database(), flags).and_then(|connection| {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    });
    let log_is_empty = || match place.log().metadata() {
        Ok(file) => file.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    match usual {
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
            ) && log_is_empty() =>
        {
            let path = immutable(&place.database());
            Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_URI)
        }
        usual => usual,
    }
    .map_err(attempt())
}

/// The URI of a file that nobody changes.
fn immutable(path: &Path) -> OsString {
    let mut uri = b"file:".to_vec();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'%' => uri.extend(b"%25"),
            b'?' => uri.extend(b"%3f"),
            b'#' => uri.extend(b"%23"),
            byte => uri.push(*byte),
        }
    }
    uri.extend(b"?immutable=1");
    OsString::from_vec(uri)
}

/// Ends the notice, in the transaction that is under way.
pub(crate) fn end_notice(connection: &Connection, place: &Place) -> Result<(), StateError> {
    connection
        .execute("DELETE FROM note WHERE key = ?1", [NOTICE])
        .map(|_| ())
        .map_err(StateError::database("write a note", place))
}

/// The notice that waits until something is saved.
pub(crate) fn notice(connection: &Connection, place: &Place) -> Result<Option<Notice>, StateError> {
    let text: Option<String> = connection
        .query_row("SELECT text FROM note WHERE key = ?1", [NOTICE], |row| {
            row.get(0)
        })
        .optional()
        .map_err(StateError::database("open the database", place))?;
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(StateError::damaged(format!("note {NOTICE}"), place))
}

/// Makes a sound database where there is none; what was set aside for it. Only for who holds the lock alone.
fn renew(place: &Place, now: Time) -> Result<Option<SetAside>, StateError> {
    let mut notice = Notice::Created { at: now };
    match diagnose(place)? {
        Health::Sound => return Ok(None),
        Health::Unfinished => {}
        Health::Damaged(reason) => {
            place.write_damage(&reason)?;
            notice = set_aside(place, reason, now)?;
        }
    }
    place.create_database()?;
    create(place, &notice)?;
    Ok(SetAside::of(&notice))
}

enum Health {
    Sound,
    /// Missing, or made by a process that was killed before the tables were there.
    Unfinished,
    Damaged(String),
}

fn diagnose(place: &Place) -> Result<Health, StateError> {
    if let Some(reason) = place.read_damage()? {
        return Ok(Health::Damaged(reason));
    }
    if !place.database().exists() {
        // What a removed database left behind must not be taken for the new one's.
        let (steps, _) = aside::steps(place)?;
        steps.iter().try_for_each(aside::Step::run)?;
        return Ok(Health::Unfinished);
    }
    match inspect(place) {
        Ok(Some(_)) => Ok(Health::Sound),
        Ok(None) => unfinished(place),
        Err(error) if error.is_damaged() => Ok(Health::Damaged(error.story())),
        Err(error) => Err(error),
    }
}

/// A file without a version is one that was never finished, if it is empty.
fn unfinished(place: &Place) -> Result<Health, StateError> {
    let connection = connect(place)?;
    let empty = connection.query_row(
        "SELECT NOT EXISTS(SELECT * FROM sqlite_schema)",
        [],
        |row| row.get(0),
    );
    match empty {
        Ok(true) => Ok(Health::Unfinished),
        Ok(false) => Ok(Health::Damaged(
            "the file has tables but no schema version".to_owned(),
        )),
        Err(error) => {
            let error = StateError::database("open the database", place)(error);
            if error.is_damaged() {
                Ok(Health::Damaged(error.story()))
            } else {
                Err(error)
            }
        }
    }
}

fn set_aside(place: &Place, reason: String, now: Time) -> Result<Notice, StateError> {
    let (steps, path) = aside::steps(place)?;
    steps.iter().try_for_each(aside::Step::run)?;
    Ok(match path {
        Some(path) => Notice::SetAside {
            path,
            reason,
            at: now,
        },
        None => Notice::Created { at: now },
    })
}

/// Tables and notice come in one transaction, so that a new database is never taken for one with content.
fn create(place: &Place, notice: &Notice) -> Result<(), StateError> {
    let attempt = || StateError::database("create the database", place);
    let text =
        serde_json::to_string(notice).map_err(StateError::encode(format!("note {NOTICE}")))?;
    let mut connection = connect(place)?;
    let Format {
        version,
        page_size,
        tables,
        ..
    } = place.format();
    connection
        .execute_batch(&format!("PRAGMA page_size = {page_size}"))
        .map_err(attempt())?;
    connection
        .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .map_err(attempt())?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(attempt())?;
    let mark = format!("PRAGMA user_version = {version}");
    let statements = std::iter::once(&NOTES).chain(*tables).copied();
    for statements in statements.chain([mark.as_str()]) {
        transaction.execute_batch(statements).map_err(attempt())?;
    }
    transaction
        .execute("INSERT INTO note VALUES(?1, ?2)", [NOTICE, &text])
        .map_err(attempt())?;
    transaction.commit().map_err(attempt())?;
    // The log's name must outlive a power failure, because later commits only sync its content.
    File::open(place.directory())
        .and_then(|directory| directory.sync_all())
        .map_err(StateError::file("sync", place.directory()))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::schema::FORMAT;
    use crate::store::Store;

    const NOW: Time = Time::from_millis(1_700_000_000_000);

    /// How far a process got with making the database before it was killed.
    #[test]
    fn a_database_that_was_never_finished_is_finished() {
        let stages: [(&str, &[&str]); 4] = [
            ("an empty file", &[]),
            ("the log mode", &["PRAGMA journal_mode = WAL"]),
            (
                "an open transaction",
                &[
                    "PRAGMA journal_mode = WAL",
                    "BEGIN IMMEDIATE",
                    "CREATE TABLE note(key TEXT)",
                ],
            ),
            ("another mode", &["PRAGMA journal_mode = DELETE"]),
        ];
        for (stage, statements) in stages {
            let directory = TempDir::new().unwrap();
            let place = Place::prepare(directory.path(), &FORMAT).unwrap();
            place.create_database().unwrap();
            let connection = connect(&place).unwrap();
            for statement in statements {
                connection.execute_batch(statement).unwrap();
            }
            drop(connection);
            let opened = Store::open(directory.path(), NOW).unwrap();
            assert_eq!(opened.notice, Some(Notice::Created { at: NOW }), "{stage}");
            drop(opened);
            let mode: String = connect(&place)
                .unwrap()
                .query_row("PRAGMA journal_mode", [], |row| row.get(0))
                .unwrap();
            assert_eq!(mode, "wal", "{stage}");
        }
    }

    #[test]
    fn tables_without_a_version_are_set_aside() {
        let directory = TempDir::new().unwrap();
        let other = rusqlite::Connection::open(directory.path().join("state.db")).unwrap();
        other.execute_batch("CREATE TABLE other(x)").unwrap();
        drop(other);
        let notice = Store::open(directory.path(), NOW).unwrap().notice;
        assert!(
            matches!(notice, Some(Notice::SetAside { .. })),
            "{notice:?}"
        );
    }

    #[test]
    fn a_state_that_is_being_repaired_is_waited_for() {
        let directory = TempDir::new().unwrap();
        let place = Place::prepare(directory.path(), &FORMAT).unwrap();
        let lock = place.lock(Hold::Alone).unwrap();
        let error = Store::open(directory.path(), NOW).unwrap_err();
        assert!(error.is_busy(), "{error}");
        drop(lock);
        Store::open(directory.path(), NOW).unwrap();
    }

    #[test]
    fn a_path_of_a_file_that_nobody_changes_may_have_any_sign() {
        let directory = TempDir::new().unwrap();
        let place = directory.path().join("a?b#c%20d&e");
        drop(Store::open(&place, NOW).unwrap());
        let path = place.join("state.db");
        let settled = Connection::open(&path).unwrap();
        settled
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
        drop(settled);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(immutable(&path), flags).unwrap();
        let version: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(version, FORMAT.version);
    }
}
