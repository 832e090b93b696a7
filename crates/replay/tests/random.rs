//! Random scenarios: rules that fight over marks, nodes that come and go, meddling people, lost writes, old snapshots
//! and lost state. Whatever happens, once the load is gone nothing of ours is left, what is someone else's stays,
//! nothing is written any more, and the limit held at every moment.
//!
//! A seed makes a scenario; a failing one is printed whole. `NODEGUARDIAN_LONG=1` plays thousands,
//! `NODEGUARDIAN_SEED=n` one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod random_support;

use std::path::Path;
use std::process::Command;

use random_support::scenario;

/// Scenarios of one process.
const BATCH: u64 = 25;

/// Plays the scenarios of these seeds; gives the first that fails, with what the program says.
fn play(seeds: std::ops::Range<u64>) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for seed in seeds {
        let path = folder.path().join(format!("{seed}.yaml"));
        write(&path, &scenario(seed));
        files.push(path);
    }
    let output = Command::new(env!("CARGO_BIN_EXE_replay"))
        .args(["run", "--quiet"])
        .args(&files)
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(());
    }
    for path in &files {
        let output = Command::new(env!("CARGO_BIN_EXE_replay"))
            .args(["run", "--quiet"])
            .arg(path)
            .output()
            .unwrap();
        if !output.status.success() {
            let scenario = std::fs::read_to_string(path).unwrap();
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("{}\n{scenario}\n{told}{error}", path.display()));
        }
    }
    Err(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn write(path: &Path, text: &str) {
    std::fs::File::create(path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
        .unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests' own settings, which no code under test reads"
)]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn once_the_load_is_gone_nothing_of_ours_is_left() {
    if let Some(seed) = setting("NODEGUARDIAN_SEED") {
        play(seed..seed + 1).unwrap_or_else(|problem| panic!("{problem}"));
        return;
    }
    let last = if setting("NODEGUARDIAN_LONG").is_some() {
        5_000
    } else {
        150
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        let work = |worker: u64| {
            let mut first = worker * BATCH;
            while first < last {
                play(first..first + BATCH).unwrap_or_else(|problem| panic!("{problem}"));
                first += workers * BATCH;
            }
        };
        for worker in 0..workers {
            scope.spawn(move || work(worker));
        }
    });
}
