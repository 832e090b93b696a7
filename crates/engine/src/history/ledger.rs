//! What NodeGuardian set on a node, and what a snapshot says of it.

use serde::{Deserialize, Serialize};

use super::Mark;
use crate::time::Time;

/// The marks that NodeGuardian set on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// UID of the node.
    pub uid: String,
    /// One entry a mark.
    pub marks: Vec<Owned>,
    /// Since when the node is missing from the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<Time>,
}

impl Ledger {
    /// Whether some mark is being removed.
    pub(crate) fn is_leaving(&self) -> bool {
        self.marks.iter().any(|owned| owned.leaving.is_some())
    }
}

/// A mark that NodeGuardian set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// The mark as we set it.
    pub mark: Mark,
    /// The foreign value that it replaced, and that removal restores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Since when it is being removed; `None` while it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Time>,
    /// The value of ours that the node showed at the last evaluation: an earlier one while a new value is on its way
    /// or its write was lost, and none as long as the mark was not seen on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// Values that were set before, and whose writes may still show up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Earlier>,
}

/// A value of ours that another one took the place of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// The value.
    pub value: String,
    /// When the other one was wanted.
    pub until: Time,
}

/// How long a write that was not seen yet is watched for: it can still land.
pub(crate) const LINGER: std::time::Duration = std::time::Duration::from_mins(1);

/// The most earlier values that are remembered; the oldest go first.
const MOST_EARLIER: usize = 8;

impl Owned {
    /// A mark that is about to be set where `previous` stands.
    pub(crate) fn new(mark: Mark, previous: Option<String>) -> Self {
        Self {
            mark,
            previous,
            leaving: None,
            shown: None,
            earlier: Vec::new(),
        }
    }

    /// Whether the mark may stand on the node without having been seen there: its write is on its way, or lost.
    pub(crate) fn may_come(&self) -> bool {
        self.shown.as_ref() != Some(&self.mark.value)
    }

    /// Goes on with another value. The one until now may stand for a while, and for ever if the new one gets lost.
    pub(crate) fn change(&mut self, value: &str, now: Time) {
        if self.mark.value == value {
            return;
        }
        let old = std::mem::replace(&mut self.mark.value, value.to_owned());
        self.earlier.retain(|earlier| earlier.value != old);
        self.earlier.push(Earlier {
            value: old,
            until: now,
        });
        let surplus = self.earlier.len().saturating_sub(MOST_EARLIER);
        self.earlier.drain(..surplus);
    }

    /// Takes in what stands on the node now, and says what follows.
    pub(crate) fn look(&mut self, stands: Option<&str>, now: Time) -> Sight {
        self.earlier
            .retain(|earlier| now.since(earlier.until) < LINGER);
        let is_ours = |value: &&str| {
            *value == self.mark.value
                || self.shown.as_deref() == Some(*value)
                || self.earlier.iter().any(|earlier| earlier.value == *value)
        };
        if let Some(value) = stands.filter(is_ours) {
            self.shown = Some(value.to_owned());
            return Sight::Ours;
        }
        if self.shown.take().as_ref() == Some(&self.mark.value) {
            Sight::Gone
        } else {
            Sight::Unseen
        }
    }
}

/// What a snapshot says of a mark that we set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It stands as we set it, now or earlier.
    Ours,
    /// It stood and was taken away or overwritten: snapshots do not go back, so that a mark of the same form that
    /// appears from now on is someone else's.
    Gone,
    /// It was never seen: its write is on its way, or lost.
    Unseen,
}
