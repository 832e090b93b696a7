//! A process that delivers alerts, and how the others see that it is still there.
//!
//! What it is at is marked with its token: a seat and a random number. As long as it lives it holds a lock on the file
//! of the seat, in which the number stands; the lock ends with the process, however it ends, so what a killed process
//! was at is free again at once. The files stay for the next ones: making and removing one costs more than the rest.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use crate::error::StateError;
use crate::place::Place;

/// Hexadecimal digits of the random number.
const DIGITS: usize = 16;

/// This process as one that delivers alerts; when it is dropped, what it is at is free for others.
#[derive(Debug)]
pub struct Claimant {
    token: String,
    _lock: File,
}

impl Claimant {
    /// What marks the deliveries this process is at.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A new one on the first free seat; `chance` is a random number, so that nobody is taken for who had it before.
    pub(crate) fn new(place: &Place, chance: u64) -> Result<Self, StateError> {
        let mut seat: u32 = 0;
        loop {
            let path = path(place, &seat.to_string());
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(StateError::file("open", &path))?;
            match file.try_lock() {
                Ok(()) => {
                    let number = format!("{chance:0DIGITS$x}");
                    file.write_all_at(number.as_bytes(), 0)
                        .map_err(StateError::file("write", &path))?;
                    return Ok(Self {
                        token: format!("{seat}-{number}"),
                        _lock: file,
                    });
                }
                Err(TryLockError::WouldBlock) => seat += 1,
                Err(TryLockError::Error(error)) => {
                    return Err(StateError::file("lock", &path)(error));
                }
            }
        }
    }
}

/// Whether the process behind a token is still there.
pub(crate) fn is_alive(place: &Place, token: &str) -> bool {
    let Some((seat, number)) = token.split_once('-') else {
        return false;
    };
    let Ok(file) = File::open(path(place, seat)) else {
        return false;
    };
    let mut found = [0; DIGITS];
    let is_its_own = file.read_exact_at(&mut found, 0).is_ok() && found == number.as_bytes();
    is_its_own && file.try_lock_shared().is_err()
}

fn path(place: &Place, seat: &str) -> PathBuf {
    place.directory().join(format!("sender-{seat}.lock"))
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
        // The next one has its seat, and is somebody else.
        let third = Claimant::new(&place, 3).unwrap();
        assert_eq!(third.token().split('-').next(), token.split('-').next());
        assert!(is_alive(&place, third.token()) && !is_alive(&place, &token));
        assert!(is_alive(&place, other.token()));
    }

    #[test]
    fn what_is_no_token_is_nobodys() {
        let directory = TempDir::new().unwrap();
        let place = Place::prepare(directory.path(), &crate::schema::FORMAT).unwrap();
        let claimant = Claimant::new(&place, 7).unwrap();
        for token in [
            "",
            "-",
            "0",
            "0-",
            "0-7",
            "9-0000000000000007",
            "0000000000000007",
        ] {
            assert!(!is_alive(&place, token), "{token:?}");
        }
        assert!(is_alive(&place, claimant.token()));
    }
}
