//! Setting a damaged database aside, in steps each of which may be the last one that is carried out.
//!
//! The database goes first: as long as it is there, its write-ahead log is, too, so a crash cannot leave an older
//! state that looks sound. What a crash leaves behind is moved by the next process.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::StateError;
use crate::place::{DATABASE, Place, SATELLITES};

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
            steps.extend(files(&path(place, old)).map(Step::Remove));
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
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(error())? {
        let name = entry.map_err(error())?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(DATABASE))
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
        .join(format!("{DATABASE}.corrupt-{number}"))
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
