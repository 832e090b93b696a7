//! Whether the state was written to, told without opening it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::place::Place;
use crate::schema::FORMAT;

/// The identity of the state's content. Two equal stamps say that nothing was written between them: every transaction
/// makes the write-ahead log longer or, when the log was emptied, changes the database, and a state that was wiped or
/// set aside is another file. The times alone would not do, as they are coarse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    database: FileStamp,
    log: Option<FileStamp>,
}

impl Stamp {
    /// The stamp of the state in a directory. `None`: there is no state, it cannot be looked at, or it is to be set
    /// aside, so that it has to be opened.
    pub fn of(directory: &Path) -> Option<Self> {
        let place = Place::at(directory, &FORMAT);
        let stamp = |path| Some(FileStamp::of(&std::fs::metadata(path).ok()?));
        if place.damage().exists() {
            return None;
        }
        Some(Self {
            database: stamp(place.database())?,
            log: stamp(place.log()),
        })
    }
}

/// A file and when it was last changed, in whole and broken seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl FileStamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use ng_engine::time::Time;
    use tempfile::TempDir;

    use super::*;
    use crate::Store;

    const NOW: Time = Time::from_millis(1_700_000_000_000);

    fn save(store: &mut Store, rule: &str) {
        let mut transaction = store.begin().unwrap();
        let mut history = transaction.load(&[]).unwrap();
        history.rules.entry(rule.to_owned()).or_default();
        transaction.save(&history).unwrap();
        transaction.commit().unwrap();
    }

    #[test]
    fn looking_leaves_the_stamp_and_every_transaction_changes_it() {
        let directory = TempDir::new().unwrap();
        assert_eq!(Stamp::of(directory.path()), None);
        let mut store = Store::open(directory.path(), NOW).unwrap().store;
        let mut seen = vec![Stamp::of(directory.path()).unwrap()];
        for round in 0..50 {
            save(&mut store, &format!("rule-{round}"));
            let stamp = Stamp::of(directory.path()).unwrap();
            assert!(!seen.contains(&stamp), "round {round}: {stamp:?}");
            seen.push(stamp);
            Store::open(directory.path(), NOW)
                .unwrap()
                .store
                .glances()
                .unwrap();
            assert_eq!(Stamp::of(directory.path()), Some(stamp), "round {round}");
        }
    }

    #[test]
    fn a_state_that_was_emptied_into_the_database_wiped_or_damaged_has_another_stamp() {
        let directory = TempDir::new().unwrap();
        let mut store = Store::open(directory.path(), NOW).unwrap().store;
        // The first one empties the long log that creating the tables has left.
        save(&mut store, "first");
        save(&mut store, "rule");
        let full = Stamp::of(directory.path()).unwrap();
        store.database.empty_log(0);
        let emptied = Stamp::of(directory.path()).unwrap();
        assert_ne!(full, emptied);
        drop(store);

        Place::at(directory.path(), &FORMAT)
            .write_damage("a test")
            .unwrap();
        assert_eq!(Stamp::of(directory.path()), None);
        let mut store = Store::open(directory.path(), NOW).unwrap().store;
        save(&mut store, "rule");
        assert_ne!(Stamp::of(directory.path()), Some(full));
    }
}
