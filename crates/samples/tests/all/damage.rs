//! Damaged files, and directories that may not be written: always a clear word, always a way on.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ng_engine::time::Time;
use ng_samples::{History, Notice, Recorded, StateError};
use tempfile::TempDir;

use crate::support::{SHORT, START, keep, many, minute, name, open, read};

const CHECKS: u32 = 90;

fn filled() -> TempDir {
    let directory = TempDir::new().unwrap();
    fill(directory.path(), 0..CHECKS);
    directory
}

fn fill(directory: &Path, checks: std::ops::Range<u32>) {
    let nodes = many(300);
    let column = vec![5.0; 300];
    for at in checks {
        let columns: [(&str, &[f64]); 2] = [("cpu", &column), ("load", &column)];
        keep(&mut open(directory), minute(at), &nodes, &columns, &SHORT);
    }
}

/// Copies the log into the file, which then has everything.
fn settle(directory: &Path) {
    sql(directory, "PRAGMA wal_checkpoint(TRUNCATE)");
}

fn sql(directory: &Path, statement: &str) {
    let connection = rusqlite::Connection::open(directory.join("history.db")).unwrap();
    connection
        .query_row(statement, [], |_| Ok(()))
        .or_else(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => Ok(()),
            error => Err(error),
        })
        .unwrap();
}

fn overwrite(path: &Path, bytes: &[u8], at: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

/// As a hook does it: an error ends what has to do with the history, and the next run opens again.
fn run(directory: &Path, at: Time) -> Result<Option<Notice>, StateError> {
    let mut opened = History::open(directory, START)?;
    let column = vec![7.0; 300];
    let recorded = opened
        .history
        .record(at, &many(300), &[("cpu", &column)], &SHORT)?;
    assert!(matches!(recorded, Recorded::Stored(_)), "{recorded:?}");
    opened.history.latest()?;
    let far = minute(100_000);
    for node in [0, 299] {
        opened.history.range(&name(node), "cpu", START, far)?;
    }
    Ok(opened.notice)
}

fn set_aside(notice: Option<Notice>) -> (PathBuf, String) {
    match notice {
        Some(Notice::SetAside { path, reason, .. }) => (path, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_is_no_database_is_set_aside_and_the_state_is_not() {
    let directory = TempDir::new().unwrap();
    let state = ng_state::Store::open(directory.path(), START).unwrap();
    drop(state);
    let database = directory.path().join("history.db");
    let garbage = b"not a database at all ".repeat(400);
    File::create(&database).unwrap();
    overwrite(&database, &garbage, 0);
    let error = History::read(directory.path()).unwrap_err();
    assert!(error.is_damaged(), "{error}");

    let (path, reason) = set_aside(run(directory.path(), minute(0)).unwrap());
    assert_eq!(path, directory.path().join("history.db.corrupt-1"));
    assert!(reason.contains("not a database"), "{reason}");
    assert_eq!(std::fs::read(path).unwrap(), garbage);
    assert_eq!(run(directory.path(), minute(1)).unwrap(), None);
    let state = std::fs::read_dir(directory.path())
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("state.db.corrupt")
        });
    assert_eq!(state.count(), 0);
}

#[test]
fn the_notice_is_given_until_something_is_kept() {
    let directory = TempDir::new().unwrap();
    assert!(History::read(directory.path()).unwrap().is_none());
    for _ in 0..2 {
        let notice = History::open(directory.path(), START).unwrap().notice;
        assert_eq!(notice, Some(Notice::Created { at: START }));
    }
    let history = read(directory.path());
    assert!(history.latest().unwrap().is_none());
    assert_eq!(history.range("a", "cpu", START, minute(9)).unwrap(), []);
    fill(directory.path(), 0..1);
    assert_eq!(History::open(directory.path(), START).unwrap().notice, None);
}

#[test]
fn rows_that_cannot_be_read_set_the_file_aside() {
    for (table, body) in [("raw", "x'0a'"), ("five", "x'ffffffff'"), ("hour", "x''")] {
        let directory = filled();
        sql(
            directory.path(),
            &format!("UPDATE {table} SET body = {body} RETURNING 1"),
        );
        // The rows of `five` are found damaged once an hour is made of them, and those of `hour` when they are asked
        // for.
        let mut next = CHECKS..CHECKS + 200;
        let error = next
            .find_map(|at| run(directory.path(), minute(at)).err())
            .unwrap_or_else(|| panic!("{table}: the damage was not seen"));
        assert!(error.is_damaged(), "{table}: {error:?}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("history.db is damaged: {table} at ")),
            "{text}"
        );
        let at = next.next().unwrap();
        let (path, reason) = set_aside(run(directory.path(), minute(at)).unwrap());
        assert!(path.exists() && reason.contains(table), "{reason}");
    }
}

#[test]
fn flipped_bytes_never_end_in_a_dead_end() {
    let directory = filled();
    let database = directory.path().join("history.db");
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut at = CHECKS;
    let mut found = 0;
    for _ in 0..40 {
        settle(directory.path());
        for _ in 0..30 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let length = database.metadata().unwrap().len();
            overwrite(&database, &seed.to_le_bytes()[..3], seed % (length - 3));
        }
        at += 1;
        // A flipped number may be a time that lies ahead; nothing else may be in the way for longer.
        let attempt = |at| std::panic::catch_unwind(|| run(directory.path(), minute(at)));
        match attempt(at) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                assert!(error.is_damaged(), "{error:?}");
                found += 1;
                at += 1;
                set_aside(run(directory.path(), minute(at)).unwrap());
                fill(directory.path(), at + 1..at + 40);
                at += 40;
            }
            Err(_) => {
                std::fs::remove_file(&database).unwrap();
                fill(directory.path(), at + 1..at + 40);
                at += 40;
            }
        }
    }
    assert!(found >= 3, "{found}");
}

#[test]
fn a_reader_does_not_wait_for_a_writer() {
    let directory = filled();
    let writer = rusqlite::Connection::open(directory.path().join("history.db")).unwrap();
    writer
        .execute_batch("BEGIN IMMEDIATE; DELETE FROM raw")
        .unwrap();
    let begin = std::time::Instant::now();
    let history = read(directory.path());
    assert_eq!(history.latest().unwrap().unwrap().at, minute(CHECKS - 1));
    // Far less than a writer is waited for.
    assert!(begin.elapsed().as_secs() < 4);
    writer.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn no_directory_can_be_made_under_a_file() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    File::create(&file).unwrap();
    let place = file.join("state");
    let error = History::open(&place, START).unwrap_err();
    assert!(error.to_string().contains(&place.display().to_string()));
    assert!(std::error::Error::source(&error).is_some());
}

/// The worker of the test below: reads the history where it is started, and fails to write it.
#[test]
#[ignore = "started by another test, as another user"]
fn reader() {
    let directory = Path::new(".");
    let latest = read(directory).latest().unwrap().unwrap();
    let points = read(directory)
        .range(&name(299), "load", START, minute(CHECKS))
        .unwrap();
    let checks: u32 = points.iter().map(|point| point.checks).sum();
    let error = History::open(directory, START).unwrap_err();
    assert!(error.is_read_only(), "{error:?}");
    let source = std::error::Error::source(&error).unwrap();
    println!(
        "read {checks} up to {}, refused: {error}: {source}",
        latest.at
    );
}

/// Root may write everywhere, so that somebody else has to try.
#[test]
fn a_copy_that_may_not_be_written_can_be_read() {
    // As it is left behind; and with all of it in the database, without the files beside it.
    for whole in [true, false] {
        let directory = filled();
        let left: &[&str] = if whole {
            &[]
        } else {
            settle(directory.path());
            &["history.db-wal", "history.db-shm", "history.lock"]
        };
        for file in left {
            drop(std::fs::remove_file(directory.path().join(file)));
        }
        let Some(text) = read_as_another_user(directory.path()) else {
            return;
        };
        let expected = format!(
            "read {CHECKS} up to {}, refused: cannot open ./history.lock",
            minute(CHECKS - 1)
        );
        assert!(text.contains(&expected), "{text}");
    }
}

/// `None`: the test executable lies where only root can reach it.
fn read_as_another_user(directory: &Path) -> Option<String> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;

    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for file in std::fs::read_dir(directory).unwrap() {
        mode(&file.unwrap().path(), 0o444);
    }
    mode(directory, 0o555);
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "damage::reader", "--nocapture"])
        .current_dir(directory);
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    let output = command.output();
    mode(directory, 0o755);
    let output = match output {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return None,
        output => output.unwrap(),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(text)
}
