//! Follows a taint over all nodes without missing a change.

use std::collections::BTreeSet;
use std::io::BufRead as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use ng_tests::{Api, wait_until};
use serde_json::Value;

use crate::rig::{LIMIT, has_taint};

/// What was seen so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Nodes with the taint at this moment.
    pub(crate) tainted: BTreeSet<String>,
    /// The most nodes that had it at one moment.
    pub(crate) most: usize,
    /// Nodes that had it and lost it.
    pub(crate) lost: BTreeSet<String>,
}

impl Seen {
    fn note(&mut self, node: &Value, key: &str) {
        let Some(name) = node["metadata"]["name"].as_str() else {
            return;
        };
        if has_taint(node, key) {
            self.tainted.insert(name.to_owned());
            self.most = self.most.max(self.tainted.len());
        } else if self.tainted.remove(name) {
            self.lost.insert(name.to_owned());
        }
    }
}

/// A thread that watches: it sees every version of every node, in their order.
#[derive(Debug)]
pub(crate) struct Watcher {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    api: Api,
    key: String,
}

impl Watcher {
    pub(crate) fn start(api: &Api, key: &str) -> Result<Self> {
        let watcher = Self {
            seen: Arc::default(),
            stop: Arc::default(),
            api: api.clone(),
            key: key.to_owned(),
        };
        let (seen, stop) = (Arc::clone(&watcher.seen), Arc::clone(&watcher.stop));
        let (api, key) = (watcher.api.clone(), watcher.key.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                follow(&api, &key, &seen, &stop);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        watcher.caught_up()?;
        Ok(watcher)
    }

    /// What was seen, once that is no less than what a list shows.
    pub(crate) fn seen(&self) -> Result<Seen> {
        self.caught_up()?;
        Ok(lock(&self.seen).clone())
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn caught_up(&self) -> Result<()> {
        wait_until(LIMIT, "watch that is up to date", || {
            let nodes = self.api.list("/api/v1/nodes")?;
            let listed = nodes
                .iter()
                .filter(|node| has_taint(node, &self.key))
                .count();
            let seen = lock(&self.seen).tainted.len();
            anyhow::ensure!(listed == seen, "{seen} seen, {listed} listed");
            Ok(())
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Follows one watch until it breaks; a new one tells about all nodes again.
fn follow(api: &Api, key: &str, seen: &Mutex<Seen>, stop: &AtomicBool) {
    let Ok(lines) = api.watch("/api/v1/nodes?watch=1&timeoutSeconds=300") else {
        return;
    };
    for line in lines.lines() {
        let Ok(line) = line else { return };
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        lock(seen).note(&event["object"], key);
    }
}
