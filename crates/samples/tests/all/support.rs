//! A small world whose values are known at every time.

use std::path::Path;
use std::time::Duration;

use ng_engine::node::{Interest, Nodes};
use ng_engine::time::Time;
use ng_samples::{History, Recorded, Retention, Stored};

/// The beginning of an hour.
pub(crate) const START: Time = Time::from_millis(1_700_002_800_000);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);

/// Ten minutes, one hour, six hours: the levels of a short history.
pub(crate) const SHORT: Retention = Retention {
    raw: Duration::from_mins(10),
    five_minutes: Duration::from_hours(1),
    hours: Duration::from_hours(6),
};

pub(crate) fn open(directory: &Path) -> History {
    History::open(directory, START).unwrap().history
}

pub(crate) fn read(directory: &Path) -> History {
    History::read(directory).unwrap().unwrap()
}

pub(crate) fn minute(number: u32) -> Time {
    START.plus(MINUTE * number)
}

/// Nodes by name and UID.
pub(crate) fn nodes(names: &[(&str, &str)]) -> Nodes {
    let mut nodes = Nodes::new(&Interest::default());
    for (name, uid) in names {
        nodes.start(name).uid(uid);
    }
    nodes
}

/// So many nodes, `node-0000` and on.
pub(crate) fn many(count: usize) -> Nodes {
    let mut nodes = Nodes::new(&Interest::default());
    for node in 0..count {
        nodes.start(&name(node)).uid(&format!("uid-{node}"));
    }
    nodes
}

pub(crate) fn name(node: usize) -> String {
    format!("node-{node:04}")
}

/// Records a check that must be kept.
pub(crate) fn keep(
    history: &mut History,
    at: Time,
    nodes: &Nodes,
    columns: &[(&str, &[f64])],
    retention: &Retention,
) -> Stored {
    match history.record(at, nodes, columns, retention).unwrap() {
        Recorded::Stored(stored) => stored,
        Recorded::Ignored(reason) => panic!("not kept: {reason:?}"),
    }
}
