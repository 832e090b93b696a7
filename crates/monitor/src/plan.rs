//! What comes out of a run.

use ng_engine::plan::Alert;
use ng_engine::time::Time;

use crate::kind::{Kind, Level, Subject};

/// Everything one run asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Alerts to queue.
    pub alerts: Vec<Alert>,
    /// What began, rose, fell or ended; for the log and the history of incidents.
    pub changes: Vec<Change>,
    /// What was noticed besides.
    pub notes: Vec<Note>,
}

/// A change of one episode.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// With what something is wrong.
    pub subject: Subject,
    /// What is wrong.
    pub kind: Kind,
    /// What changed.
    pub what: Changed,
    /// How bad it is now; of an end, how bad it was.
    pub level: Level,
    /// When it began.
    pub since: Time,
    /// The reading, where there is one.
    pub value: Option<f64>,
    /// A detail, such as a reason.
    pub detail: String,
}

/// How an episode changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It began.
    Began,
    /// It is worse now.
    Rose,
    /// It is less bad now.
    Fell,
    /// It ended.
    Ended,
}

impl Changed {
    /// The word in the log.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Rose => "rose",
            Self::Fell => "fell",
            Self::Ended => "ended",
        }
    }
}

/// Something that is worth a line of the log and no alert yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Someone cordoned a node.
    Cordoned(String),
    /// Someone uncordoned it.
    Uncordoned(String),
    /// A taint that keeps pods away has come: node, `key:Effect`.
    TaintAdded(String, String),
    /// It has gone.
    TaintRemoved(String, String),
    /// A node has come.
    Joined(String),
    /// A node was deleted.
    Deleted(String),
    /// The leases of so many nodes seem silent at a time that the clocks or the way to the API server are to blame.
    LeasesDoubtful(usize),
}
