//! Setting a damaged database aside, in steps each of which may be the last one that is carried out.
//!
//! The database goes first: as long as it is there, its write-ahead log is, too, so a crash cannot leave an older
//! state that looks sound. What a crash leaves behind is moved by the next process.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::StateError;
use crate::place::{Place, SATELLITES};

/// How many damaged databases are kept.
const KEPT: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Step {
    /// Does it; a file that is gone already is fine.
    pub(crate) fn run(&self) -> Result<(), StateError> {
        let (attempt, path, outcome) = match self {
            Self::Rename(from, to) => ("set aside", from, std::fs::rename(from, to)),
            Self::Remove(path) => ("remove", path, std::fs::remove_file(path)),
        };
        match outcome {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StateError::file(attempt, path)(error))
            }
            _ => Ok(()),
        }
    }
}

/// What has to be done so that a new database can be made, and where the old one is afterwards, if there is or was
/// one. The last step takes away the note of the damage.
pub(crate) fn steps(place: &Place) -> Result<(Vec<Step>, Option<PathBuf>), StateError> {
    let mut kept = kept(place)?;
    let mut steps = Vec::new();
    let database = place.database();
    let aside = if database.exists() {
        let number = kept.last().map_or(1, |last| last.saturating_add(1));
        let surplus = (kept.len() + 1).saturating_sub(KEPT);
        for old in kept.drain(..surplus) {
            // The database last: as long as it is there, the others are found by its number.
            let old = path(place, old);
            steps.extend(satellites(&old).map(Step::Remove));
            steps.push(Step::Remove(old));
        }
        Some(path(place, number))
    } else {
        kept.last().map(|last| path(place, *last))
    };
    match &aside {
        Some(aside) => steps.extend(
            files(&database)
                .zip(files(aside))
                .filter(|(from, _)| from.exists())
                .map(|(from, to)| {
                    if to.exists() {
                        Step::Remove(from)
                    } else {
                        Step::Rename(from, to)
                    }
                }),
        ),
        // Nothing to put them with: somebody removed the database by hand.
        None => steps.extend(satellites(&database).map(Step::Remove)),
    }
    steps.push(Step::Remove(place.damage()));
    Ok((steps, aside))
}

/// Numbers of the databases that were set aside, oldest first.
fn kept(place: &Place) -> Result<Vec<u64>, StateError> {
    let directory = place.directory();
    let error = || StateError::file("list", directory);
    let database = place.name();
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(error())? {
        let name = entry.map_err(error())?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(&database))
            .and_then(|name| name.strip_prefix(".corrupt-"))
            .and_then(|number| number.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn path(place: &Place, number: u64) -> PathBuf {
    place
        .directory()
        .join(format!("{}.corrupt-{number}", place.name()))
}

fn files(database: &std::path::Path) -> impl Iterator<Item = PathBuf> {
    std::iter::once(database.to_owned()).chain(satellites(database))
}

fn satellites(database: &std::path::Path) -> impl Iterator<Item = PathBuf> {
    let database = database.to_owned();
    SATELLITES.into_iter().map(move |suffix| {
        let mut name = OsString::from(&database);
        name.push(suffix);
        name.into()
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ng_engine::history::History;
    use ng_engine::time::Time;
    use tempfile::TempDir;

    use super::*;
    use crate::database::Notice;
    use crate::schema::FORMAT;
    use crate::store::Store;

    const NOW: Time = Time::from_millis(1_700_000_000_000);

    /// A state with something in it, damaged, after `done` earlier ones were set aside.
    fn damaged(done: u64) -> (TempDir, Place) {
        let directory = TempDir::new().unwrap();
        for _ in 0..=done {
            let mut store = Store::open(directory.path(), NOW).unwrap().store;
            let mut transaction = store.begin().unwrap();
            transaction.save(&History::default()).unwrap();
            transaction.set_note("kept", Some("before")).unwrap();
            transaction.commit().unwrap();
            drop(store);
            let place = Place::prepare(directory.path(), &FORMAT).unwrap();
            place.write_damage("found in a test").unwrap();
        }
        let place = Place::prepare(directory.path(), &FORMAT).unwrap();
        (directory, place)
    }

    fn listing(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_crash_after_any_step_is_made_good() {
        for earlier in [0, 1, 3] {
            let (_directory, place) = damaged(earlier);
            let most = steps(&place).unwrap().0.len();
            assert!(most >= 4, "{most} steps");
            for carried_out in 0..=most {
                let (directory, place) = damaged(earlier);
                let (steps, aside) = steps(&place).unwrap();
                for step in &steps[..carried_out] {
                    step.run().unwrap();
                }
                let case = format!("{carried_out} of {steps:?}");
                let opened = Store::open(directory.path(), NOW).unwrap();
                assert_eq!(opened.store.note("kept").unwrap(), None, "{case}");
                match opened.notice {
                    Some(Notice::SetAside { path, reason, .. }) => {
                        assert_eq!(
                            (Some(path), reason.as_str()),
                            (aside.clone(), "found in a test")
                        );
                    }
                    Some(Notice::Created { .. }) => assert_eq!(carried_out, most, "{case}"),
                    None => panic!("{case}: no notice"),
                }
                let names = listing(directory.path());
                let count = names
                    .iter()
                    .filter(|name| name.contains(".corrupt-"))
                    .count();
                assert!(count <= 3 * KEPT, "{names:?}");
                assert!(!place.damage().exists(), "{case}");
                let old = rusqlite::Connection::open(aside.unwrap()).unwrap();
                let kept: String = old
                    .query_row("SELECT text FROM note WHERE key = 'kept'", [], |row| {
                        row.get(0)
                    })
                    .unwrap();
                assert_eq!(kept, "before", "{case}");
            }
        }
    }

    #[test]
    fn what_a_removed_database_leaves_is_not_taken_for_the_next() {
        let (directory, place) = damaged(0);
        Step::Remove(place.damage()).run().unwrap();
        std::fs::remove_file(place.database()).unwrap();
        let opened = Store::open(directory.path(), NOW).unwrap();
        assert_eq!(opened.notice, Some(Notice::Created { at: NOW }));
        assert_eq!(opened.store.note("kept").unwrap(), None);
        let names = listing(directory.path());
        assert!(
            names.iter().all(|name| !name.contains("corrupt")),
            "{names:?}"
        );
    }
}
