//! Damaged files, refused writes: always a clear word, always a way on.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use ng_engine::history::History;
use ng_state::{Notice, StateError, Store};
use tempfile::TempDir;

use crate::support::{NOW, history, load, names, open, save};

fn saved() -> (TempDir, History) {
    let directory = TempDir::new().unwrap();
    let history = history(30, 200, 300);
    save(&mut open(directory.path()), &history);
    (directory, history)
}

fn overwrite(path: &Path, bytes: &[u8], at: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

fn sql(directory: &Path, statement: &str) {
    let connection = rusqlite::Connection::open(directory.join("state.db")).unwrap();
    connection.execute_batch(statement).unwrap();
}

fn set_aside(notice: Option<Notice>) -> (std::path::PathBuf, String) {
    let Some(Notice::SetAside { path, reason, .. }) = notice else {
        return (std::path::PathBuf::new(), format!("{notice:?}"));
    };
    (path, reason)
}

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    let directory = TempDir::new().unwrap();
    let database = directory.path().join("state.db");
    let garbage = b"not a database at all ".repeat(400);
    for round in 1..=6 {
        // The log of a small state holds all of it, and would make the damage good.
        drop(std::fs::remove_file(directory.path().join("state.db-wal")));
        std::fs::File::create(&database).unwrap();
        overwrite(&database, &garbage, 0);
        let opened = Store::open(directory.path(), NOW).unwrap();
        let by_this = opened.store.set_aside().cloned().unwrap();
        let (path, reason) = set_aside(opened.notice);
        assert_eq!((&by_this.path, &by_this.reason), (&path, &reason));
        assert_eq!(
            path,
            directory.path().join(format!("state.db.corrupt-{round}"))
        );
        assert!(reason.contains("not a database"), "{reason}");
        assert_eq!(std::fs::read(path).unwrap(), garbage);
        drop(opened.store);
        let mut store = open(directory.path());
        assert_eq!(store.set_aside(), None, "it was set aside before");
        save(&mut store, &history(1, 1, 1));
        drop(store);
        for name in ["state.db-wal", "state.db-shm"] {
            assert!(directory.path().join(name).exists(), "{name}");
        }
    }
    let kept = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".corrupt-"))
        .collect::<Vec<_>>();
    let databases = kept
        .iter()
        .filter(|name| !name.contains("-wal") && !name.contains("-shm"));
    assert_eq!(databases.count(), 3, "{kept:?}");
    assert!(
        kept.iter().all(|name| !name.contains("corrupt-3")),
        "{kept:?}"
    );
}

/// The shapes damage takes; whatever it is, two openings later there is a sound state.
#[test]
fn damage_is_found_or_harmless() {
    type Harm = fn(&Path);
    let cases: [(&str, Harm, bool); 7] = [
        ("header", |path| overwrite(path, &[0x5a; 64], 0), true),
        (
            "first page",
            |path| overwrite(path, &[0xff; 3000], 100),
            true,
        ),
        ("cut in half", |path| cut(path, 2), true),
        ("cut to a page", |path| cut(path, 1_000_000), true),
        (
            "empty",
            |path| drop(std::fs::File::create(path).unwrap()),
            false,
        ),
        (
            "inner pages",
            |path| overwrite(path, &vec![0xff; 60_000], 8192),
            true,
        ),
        (
            "user version",
            |path| overwrite(path, &[0, 0, 0, 0], 60),
            true,
        ),
    ];
    for (name, harm, found) in cases {
        let (directory, history) = saved();
        harm(&directory.path().join("state.db"));
        drop(std::fs::remove_file(directory.path().join("state.db-wal")));
        let notice = reach_sound_state(directory.path(), &history);
        match notice {
            Some(Notice::SetAside { path, .. }) => assert!(found && path.exists(), "{name}"),
            Some(Notice::Created { .. }) => assert!(!found, "{name}"),
            None => panic!("{name}: the damage was not seen"),
        }
    }
}

fn cut(path: &Path, divisor: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len((length / divisor).max(4096)).unwrap();
}

/// As a hook does it: an error ends the run, and the next run opens again.
fn reach_sound_state(directory: &Path, history: &History) -> Option<Notice> {
    let run = || -> Result<Option<Notice>, StateError> {
        let mut opened = Store::open(directory, NOW)?;
        let glances = opened.store.glances()?;
        opened.store.peek(&glances, &[])?;
        let mut transaction = opened.store.begin()?;
        transaction.load(&names(history))?;
        transaction.save(history)?;
        transaction.commit()?;
        Ok(opened.notice)
    };
    let notice = run().or_else(|error| {
        assert!(error.is_damaged(), "{error:?}");
        run()
    });
    let mut store = open(directory);
    assert_eq!(load(&mut store, &names(history)), *history);
    notice.unwrap()
}

#[test]
fn flipped_bytes_never_end_in_a_dead_end() {
    let (directory, history) = saved();
    let database = directory.path().join("state.db");
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..60 {
        for _ in 0..20 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let length = database.metadata().unwrap().len();
            overwrite(&database, &seed.to_le_bytes()[..3], seed % (length - 3));
        }
        reach_sound_state(directory.path(), &history);
    }
}

#[test]
fn a_row_that_cannot_be_read_sets_the_file_aside() {
    let (directory, history) = saved();
    sql(
        directory.path(),
        "UPDATE record SET body = '{\"uid\":3}' WHERE node = 'node-00003'",
    );
    let mut store = open(directory.path());
    let error = store.begin().unwrap().load(&[]).unwrap_err();
    assert!(error.is_damaged());
    let text = error.to_string();
    assert!(
        text.contains("state.db is damaged: record rule-003/node-00003"),
        "{text}"
    );
    drop(store);
    let (path, reason) = set_aside(Store::open(directory.path(), NOW).unwrap().notice);
    assert!(path.exists() && reason.contains("node-00003"), "{reason}");
    assert_eq!(
        load(&mut open(directory.path()), &names(&history)),
        History::default()
    );
}

#[test]
fn soft_parts_are_done_without() {
    let (directory, mut history) = saved();
    sql(
        directory.path(),
        "UPDATE timers SET body = x'ff00' WHERE rule = 'rule-002'",
    );
    let all: Vec<String> = history.rules.keys().cloned().collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    history.rules.get_mut("rule-002").unwrap().timers = ng_engine::timers::Timers::default();
    let mut store = open(directory.path());
    let mut transaction = store.begin().unwrap();
    assert_eq!(transaction.load(&all).unwrap(), history);
    assert_eq!(transaction.lost(), ["the timers of rule rule-002"]);
    transaction.save(&history).unwrap();
    transaction.commit().unwrap();
    sql(directory.path(), "INSERT INTO roster VALUES(1, x'00')");
    let mut transaction = store.begin().unwrap();
    for rule in history.rules.values_mut() {
        rule.timers = ng_engine::timers::Timers::default();
    }
    assert_eq!(transaction.load(&all).unwrap(), history);
    assert_eq!(transaction.lost(), ["the roster and all timers"]);
}

#[test]
fn no_directory_can_be_made_under_a_file() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    std::fs::File::create(&file).unwrap();
    let place = file.join("state");
    let error = Store::open(&place, NOW).unwrap_err();
    assert!(error.to_string().contains(&place.display().to_string()));
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_busy_state_is_waited_for_and_then_named() {
    let directory = TempDir::new().unwrap();
    let mut first = open(directory.path());
    let mut second = open(directory.path());
    let transaction = first.begin().unwrap();
    let error = second.begin().unwrap_err();
    assert!(
        error.is_busy() && !error.is_full() && !error.is_read_only(),
        "{error}"
    );
    drop(transaction);
    drop(second.begin().unwrap());
}

/// The worker of the test below: opens the state where it is started.
#[test]
#[ignore = "started by another test, as another user"]
fn reader() {
    let error = Store::open(Path::new("."), NOW).unwrap_err();
    assert!(error.is_read_only(), "{error:?}");
    let source = std::error::Error::source(&error).unwrap();
    println!("refused: {error}: {source}");
}

/// Root may write everywhere, so that somebody else has to try.
#[test]
fn a_read_only_state_is_refused_by_name() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;

    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let (directory, _) = saved();
    for file in std::fs::read_dir(directory.path()).unwrap() {
        mode(&file.unwrap().path(), 0o444);
    }
    mode(directory.path(), 0o555);
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "damage::reader", "--nocapture"])
        .current_dir(directory.path());
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    let output = match command.output() {
        // The test executable lies where only root can reach it.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return,
        output => output.unwrap(),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("refused: cannot open ./state.lock: Permission denied"),
        "{text}"
    );
    mode(directory.path(), 0o755);
}
