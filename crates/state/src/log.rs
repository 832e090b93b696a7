//! The write-ahead log between two runs.

use std::fs::File;

use rusqlite::Connection;

use crate::database::BUSY_TIMEOUT;
use crate::error::StateError;
use crate::place::Place;

/// For the state. The first process to open it reads the whole log, which at this size is a twentieth of a millisecond.
pub(crate) const LONGEST: u64 = 64 * 1024;

/// Puts what was committed on disk. On failure it is still visible, but a power failure can take it.
pub(crate) fn sync(place: &Place) -> Result<(), StateError> {
    let path = place.log();
    // `SQLite` holds no lock on this file, so closing it here drops none.
    File::open(&path)
        .and_then(|file| file.sync_data())
        .map_err(StateError::file("sync", &path))
}

/// Copies a long log into the database and empties it. `SQLite`'s own checkpoints are not enough: what one process
/// has copied is unknown to the next, so with one commit a process the log would never begin anew.
///
/// Runs after the commit, which stands whatever happens here: where a reader is in the way, the next commit tries
/// again; where the disk is full, the log holds everything until it is full, too, and then a commit says so.
pub(crate) fn empty(connection: &Connection, place: &Place, longest: u64) {
    let long = place
        .log()
        .metadata()
        .is_ok_and(|file| file.len() > longest);
    if long {
        drop(checkpoint(connection));
    }
}

fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    // Waiting for readers would hold up this run for the sake of the next.
    connection.busy_timeout(std::time::Duration::ZERO)?;
    // The log has to be on disk before it is copied, and the copy before the log is emptied.
    connection.execute_batch("PRAGMA synchronous = NORMAL")?;
    let outcome = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.execute_batch("PRAGMA synchronous = OFF")?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    outcome
}
