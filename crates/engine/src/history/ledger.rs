//! What NodeGuardian set on a node, and what a snapshot says of it.

use serde::{Deserialize, Serialize};

use super::{FORGET_AFTER, Mark, MarkKey};
use crate::time::Time;

/// The queue of shell-operator that a run is in. Two of them evaluate rules at the same time, each with snapshots of
/// its own, so that what one has seen says nothing about how old the snapshot of the other is. Within one queue
/// snapshots do not go back, and a run begins after the writes of the one before have arrived or were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Queue {
    /// Every rule, again and again.
    Evaluation,
    /// The rules that hold nodes: it rests once nothing is held, whatever it has written last.
    Recovery,
}

/// The marks that NodeGuardian set on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// UID of the node.
    pub uid: String,
    /// One entry a mark.
    pub marks: Vec<Owned>,
    /// Marks that one queue has seen gone, and that an older snapshot of the other may still show.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
    /// Since when the node is missing from the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<Time>,
}

impl Ledger {
    /// Whether some mark is being removed.
    pub(crate) fn is_leaving(&self) -> bool {
        self.marks.iter().any(|owned| owned.leaving.is_some())
    }

    /// Whether nothing is left to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.marks.is_empty() && self.removed.is_empty()
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
    /// The queues that saw the mark since it was set last: if it is missing for one of these, it was taken away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen_by: Vec<Queue>,
    /// Writes of the mark that may still be under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<Sent>,
}

/// A write that sets a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The queue that writes; of several writes the last one counts.
    pub by: Queue,
    /// When it was planned.
    pub at: Time,
    /// Whether the other queue has set the mark since: then a mark that stands does not say that this write is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubled: bool,
}

impl Sent {
    /// Whether the write may still arrive, as one queue sees it, which has `seen` the mark since or not. Its own have
    /// arrived or are lost. The evaluation writes many nodes at once, which takes minutes, and says with its next look
    /// that this is over; the recovery writes little, and may rest afterwards.
    fn is_under_way(self, queue: Queue, seen: bool, now: Time) -> bool {
        let patience = match self.by {
            Queue::Evaluation if self.doubled || !seen => FORGET_AFTER,
            Queue::Evaluation | Queue::Recovery => LINGER,
        };
        self.by != queue && now.since(self.at) < patience
    }
}

/// A mark that was ours and is gone.
///
/// Of a mark that shows up with one of its values it says only what was there before ours, should a rule set another
/// value there. It is never taken away because of this: within the minute it can as well be someone else's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// What was marked.
    pub key: MarkKey,
    /// Our values.
    pub values: Vec<String>,
    /// The foreign value that was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The queue that has seen it gone.
    pub by: Queue,
    /// When it has.
    pub at: Time,
}

impl Removed {
    /// Whether a snapshot that shows `stands` may be older than the removal.
    fn may_show(&self, stands: Option<&str>, queue: Queue) -> bool {
        let is_ours = stands.is_some_and(|value| self.values.iter().any(|ours| ours == value));
        is_ours && queue != self.by
    }
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

/// The most removed marks of a node that are remembered; the oldest go first.
const MOST_REMOVED: usize = 16;

impl Ledger {
    /// Remembers for a while that a mark was ours.
    pub(crate) fn bury(&mut self, owned: Owned, queue: Queue, now: Time) {
        self.removed.retain(|removed| removed.key != owned.mark.key);
        let earlier = owned.earlier.into_iter().map(|earlier| earlier.value);
        let mut values: Vec<String> = [owned.mark.value]
            .into_iter()
            .chain(owned.shown)
            .chain(earlier)
            .collect();
        values.sort_unstable();
        values.dedup();
        self.removed.push(Removed {
            key: owned.mark.key,
            values,
            previous: owned.previous,
            by: queue,
            at: now,
        });
        let surplus = self.removed.len().saturating_sub(MOST_REMOVED);
        self.removed.drain(..surplus);
    }

    /// Forgets removed marks after a while, and before that those of which the other queue has seen that they are gone.
    pub(crate) fn forget_removed<'a>(
        &mut self,
        stands: impl Fn(&MarkKey) -> Option<&'a str>,
        (queue, now): (Queue, Time),
    ) {
        self.removed.retain(|removed| {
            let is_current = now.since(removed.at) < LINGER;
            let may_show = queue == removed.by || removed.may_show(stands(&removed.key), queue);
            is_current && may_show
        });
    }

    /// What has to come back when a mark that is about to be set here is removed.
    pub(crate) fn previous(
        &self,
        key: &MarkKey,
        stands: Option<&str>,
        queue: Queue,
    ) -> Option<String> {
        let removed = self.removed.iter().find(|removed| removed.key == *key);
        match removed.filter(|removed| removed.may_show(stands, queue)) {
            Some(removed) => removed.previous.clone(),
            None => stands.map(str::to_owned),
        }
    }
}

impl Owned {
    /// A mark that is about to be set where `previous` stands.
    pub(crate) fn new(mark: Mark, previous: Option<String>) -> Self {
        Self {
            mark,
            previous,
            leaving: None,
            shown: None,
            earlier: Vec::new(),
            seen_by: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Whether the mark may stand on a node where this queue does not see it: its write is on its way or lost, or the
    /// snapshot is older than the write.
    pub(crate) fn may_come(&self, queue: Queue, now: Time) -> bool {
        self.shown.as_ref() != Some(&self.mark.value)
            || !self.seen_by.contains(&queue)
            || self.is_under_way(queue, now)
    }

    /// Whether another queue may still set the mark.
    fn is_under_way(&self, queue: Queue, now: Time) -> bool {
        let seen = self.seen_by.contains(&queue);
        let mut sent = self.sent.iter();
        sent.any(|sent| sent.is_under_way(queue, seen, now))
    }

    /// Notes that the mark is being written. Whoever saw it before that saw an earlier one.
    pub(crate) fn send(&mut self, queue: Queue, now: Time) {
        self.sent.retain(|sent| sent.by != queue);
        self.sent.iter_mut().for_each(|sent| sent.doubled = true);
        self.sent.push(Sent {
            by: queue,
            at: now,
            doubled: false,
        });
        self.seen_by.clear();
    }

    /// Whether a mark that is being removed since then, and that is not seen, may still show up.
    pub(crate) fn may_return(&self, since: Time, queue: Queue, now: Time) -> bool {
        now.since(since) < LINGER || self.is_under_way(queue, now)
    }

    /// Goes on with another value. The one until now may stand for a while, and for ever if the new one gets lost.
    pub(crate) fn change(&mut self, value: &str, now: Time) {
        if self.mark.value == value {
            return;
        }
        let old = std::mem::replace(&mut self.mark.value, value.to_owned());
        self.seen_by.clear();
        self.earlier.retain(|earlier| earlier.value != old);
        self.earlier.push(Earlier {
            value: old,
            until: now,
        });
        let surplus = self.earlier.len().saturating_sub(MOST_EARLIER);
        self.earlier.drain(..surplus);
    }

    /// Takes in what stands on the node now, as this queue sees it, and says what follows.
    pub(crate) fn look(&mut self, stands: Option<&str>, queue: Queue, now: Time) -> Sight {
        self.earlier
            .retain(|earlier| now.since(earlier.until) < LINGER);
        if stands == Some(self.mark.value.as_str()) && !self.seen_by.contains(&queue) {
            self.seen_by.push(queue);
        }
        let seen = self.seen_by.contains(&queue);
        self.sent.retain(|sent| sent.is_under_way(queue, seen, now));
        let is_ours = |value: &&str| {
            *value == self.mark.value
                || self.shown.as_deref() == Some(*value)
                || self.earlier.iter().any(|earlier| earlier.value == *value)
        };
        if let Some(value) = stands.filter(is_ours) {
            self.shown = Some(value.to_owned());
            return Sight::Ours;
        }
        if self.may_come(queue, now) {
            return Sight::Unseen;
        }
        self.shown = None;
        self.seen_by.clear();
        Sight::Gone
    }
}

/// What a snapshot says of a mark that we set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It stands as we set it, now or earlier.
    Ours,
    /// It stood and was taken away or overwritten: this queue has seen it, its snapshots do not go back, and the other
    /// one has no write under way, so that a mark of the same form that appears from now on is someone else's.
    Gone,
    /// It is not seen: its write is on its way or lost, or the snapshot is older than what the other queue has seen.
    Unseen,
}
