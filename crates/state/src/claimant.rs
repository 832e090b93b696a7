//! A process that delivers alerts, and how the others see that it is still there.
//!
//! What it is at is marked with its token. As long as it lives it holds a lock on a file of that name; the lock ends
//! with the process, however it ends, so what a killed process was at is free again at once.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::StateError;
use crate::place::Place;

const PREFIX: &str = "sender-";
const SUFFIX: &str = ".lock";

/// This process as one that delivers alerts; when it is dropped, what it is at is free for others.
#[derive(Debug)]
pub struct Claimant {
    token: String,
    path: PathBuf,
    _lock: File,
}

impl Claimant {
    /// What marks the deliveries this process is at.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A new one, whose name is made of a random number. Removes the files of those that were killed.
    pub(crate) fn new(place: &Place, chance: u64) -> Result<Self, StateError> {
        sweep(place)?;
        let token = format!("{chance:016x}");
        let path = path(place, &token);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(StateError::file("create", &path))?;
        let locked = file.try_lock().is_ok();
        if locked && is_same(&file, &path) {
            return Ok(Self {
                token,
                path,
                _lock: file,
            });
        }
        // Somebody swept it away between both steps; another number is another file.
        Self::new(place, chance.wrapping_mul(0x5851_f42d_4c95_7f2d) | 1)
    }
}

impl Drop for Claimant {
    fn drop(&mut self) {
        // What stays is removed by the next one.
        drop(std::fs::remove_file(&self.path));
    }
}

/// Whether the process behind a token is still there.
pub(crate) fn is_alive(place: &Place, token: &str) -> bool {
    match File::open(path(place, token)) {
        Ok(file) => file.try_lock_shared().is_err(),
        Err(_) => false,
    }
}

fn sweep(place: &Place) -> Result<(), StateError> {
    let directory = place.directory();
    let error = || StateError::file("list", directory);
    for entry in std::fs::read_dir(directory).map_err(error())? {
        let name = entry.map_err(error())?.file_name();
        let path = directory.join(&name);
        if is_ours(&name)
            && let Ok(file) = File::open(&path)
            && file.try_lock().is_ok()
        {
            // Held while it is removed, so that nobody takes it for a file of its own.
            drop(std::fs::remove_file(&path));
        }
    }
    Ok(())
}

fn is_ours(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
}

fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.metadata()) {
        (Ok(held), Ok(found)) => held.ino() == found.ino() && held.dev() == found.dev(),
        _ => false,
    }
}

fn path(place: &Place, token: &str) -> PathBuf {
    place.directory().join(format!("{PREFIX}{token}{SUFFIX}"))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_claimant_is_alive_until_it_is_dropped() {
        let directory = TempDir::new().unwrap();
        let place = Place::prepare(directory.path(), &crate::schema::FORMAT).unwrap();
        let one = Claimant::new(&place, 1).unwrap();
        let other = Claimant::new(&place, 2).unwrap();
        let token = one.token().to_owned();
        assert!(is_alive(&place, &token) && is_alive(&place, other.token()));
        drop(one);
        assert!(!is_alive(&place, &token) && is_alive(&place, other.token()));
        // What a killed process leaves behind is no sign of life, and is cleared away.
        let left = path(&place, "7");
        File::create(&left).unwrap();
        assert!(!is_alive(&place, "7"));
        let third = Claimant::new(&place, 3).unwrap();
        assert!(!left.exists() && is_alive(&place, third.token()));
        assert!(is_alive(&place, other.token()));
        assert_ne!(
            Claimant::new(&place, 2).unwrap().token(),
            other.token(),
            "a number that is taken"
        );
    }
}
