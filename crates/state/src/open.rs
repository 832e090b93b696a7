//! Opening the state: cheap when all is well, and always ending with a sound database.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ng_engine::time::Time;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior};
use serde::{Deserialize, Serialize};

use crate::aside;
use crate::error::StateError;
use crate::place::{Hold, Place};
use crate::schema;
use crate::store::Store;

/// The note that keeps the notice until the history is saved.
pub(crate) const NOTICE: &str = "state.notice";

/// How long is waited for another process's transaction, which takes milliseconds.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The state, and what became of the one before.
#[derive(Debug)]
pub struct Opened {
    /// The state.
    pub store: Store,
    /// Says that there is no history yet; given on every opening until one is saved.
    pub notice: Option<Notice>,
}

/// Why there is no history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Notice {
    /// There was no state file.
    Created {
        /// When the new one was made.
        at: Time,
    },
    /// The state file was damaged.
    SetAside {
        /// Where it is now.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
        /// When the new one was made.
        at: Time,
    },
}

impl Store {
    /// Opens the state in a directory; makes the directory (mode 0700) and the file where they are missing, and sets
    /// a damaged file aside as `state.db.corrupt-<n>`. `now` only goes into the notice.
    pub fn open(directory: &Path, now: Time) -> Result<Opened, StateError> {
        let place = Place::prepare(directory)?;
        let lock = place.lock(Hold::Shared)?;
        if let Some(opened) = open_sound(&place, lock)? {
            return Ok(opened);
        }
        // Shared locks end before the other one is asked for, or two processes would wait for each other.
        let lock = place.lock(Hold::Alone)?;
        renew(&place, now)?;
        drop(lock);
        let lock = place.lock(Hold::Shared)?;
        open_sound(&place, lock)?.ok_or_else(|| {
            StateError::database("open the state", &place)(rusqlite::Error::InvalidQuery)
        })
    }
}

/// The store, if the database is there, whole and of our version.
fn open_sound(place: &Place, lock: File) -> Result<Option<Opened>, StateError> {
    if place.damage().exists() || !place.database().exists() {
        return Ok(None);
    }
    match inspect(place) {
        Ok(Some((connection, notice))) => Ok(Some(Opened {
            store: Store::new(connection, lock, place.clone()),
            notice,
        })),
        Ok(None) => Ok(None),
        Err(error) if error.is_damaged() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The connection and the notice; `None` if the database was never finished.
fn inspect(place: &Place) -> Result<Option<(Connection, Option<Notice>)>, StateError> {
    let attempt = || StateError::database("open the state", place);
    let connection = connect(place)?;
    if connection.is_readonly("main").map_err(attempt())? {
        let reason = place
            .refusal()
            .unwrap_or_else(|| std::io::ErrorKind::PermissionDenied.into());
        return Err(StateError::file("write", &place.database())(reason));
    }
    match schema::version(&connection).map_err(attempt())? {
        0 => Ok(None),
        found @ 1..=schema::VERSION => {
            if found < schema::VERSION {
                schema::upgrade(&connection)
                    .map_err(StateError::database("bring the state up to date", place))?;
            }
            let notice = notice(&connection, place)?;
            Ok(Some((connection, notice)))
        }
        found @ LATER..=schema::LATEST_THINKABLE => Err(StateError::Newer {
            path: place.database(),
            found,
            known: schema::VERSION,
        }),
        found => Err(StateError::damaged(
            format!("the schema version {found}"),
            place,
        )(serde::de::Error::custom(
            "no release has written that",
        ))),
    }
}

/// The least version that we do not know.
const LATER: i64 = schema::VERSION + 1;

fn connect(place: &Place) -> Result<Connection, StateError> {
    let attempt = || StateError::database("open the state", place);
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

/// The notice that waits for a history.
pub(crate) fn notice(connection: &Connection, place: &Place) -> Result<Option<Notice>, StateError> {
    let text: Option<String> = connection
        .query_row("SELECT text FROM note WHERE key = ?1", [NOTICE], |row| {
            row.get(0)
        })
        .optional()
        .map_err(StateError::database("open the state", place))?;
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(StateError::damaged(format!("note {NOTICE}"), place))
}

/// Makes a sound database where there is none. Only for who holds the lock alone.
fn renew(place: &Place, now: Time) -> Result<(), StateError> {
    let mut notice = Notice::Created { at: now };
    match diagnose(place)? {
        Health::Sound => return Ok(()),
        Health::Unfinished => {}
        Health::Damaged(reason) => {
            place.write_damage(&reason)?;
            notice = set_aside(place, reason, now)?;
        }
    }
    place.create_database()?;
    create(place, &notice)
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
    match schema::is_empty(&connection) {
        Ok(true) => Ok(Health::Unfinished),
        Ok(false) => Ok(Health::Damaged(
            "the file has tables but no schema version".to_owned(),
        )),
        Err(error) => {
            let error = StateError::database("open the state", place)(error);
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

/// Tables and notice come in one transaction, so that a new state is never taken for one with a history.
fn create(place: &Place, notice: &Notice) -> Result<(), StateError> {
    let attempt = || StateError::database("create the state", place);
    let text =
        serde_json::to_string(notice).map_err(StateError::encode(format!("note {NOTICE}")))?;
    let mut connection = connect(place)?;
    connection
        .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .map_err(attempt())?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(attempt())?;
    schema::create(&transaction).map_err(attempt())?;
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
            let place = Place::prepare(directory.path()).unwrap();
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
        let place = Place::prepare(directory.path()).unwrap();
        let lock = place.lock(Hold::Alone).unwrap();
        let error = Store::open(directory.path(), NOW).unwrap_err();
        assert!(error.is_busy(), "{error}");
        drop(lock);
        Store::open(directory.path(), NOW).unwrap();
    }
}
