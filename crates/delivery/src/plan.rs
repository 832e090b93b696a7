//! Which alerts go out together on one channel now, and in which order.
//!
//! Alerts of one topic go into one message. Per node and rule the order of queueing is kept: an alert never passes one
//! that still waits, whatever it waits for. A message that was tried before is tried again as it was.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::mem::discriminant;
use std::time::Duration;

use ng_engine::plan::AlertKind;
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use rustc_hash::FxBuildHasher;

/// More messages than this are never made of the alerts of one topic that wait together.
pub const MOST_MESSAGES: usize = 3;
/// The most alerts in one message, whatever is configured: so much is held in memory at a time.
pub const MOST_IN_ONE: usize = ng_engine::parcel::MOST;

/// What the alerts of one message have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Name of the rule.
    pub rule: String,
    /// What is told.
    pub kind: AlertKind,
    /// How bad it is.
    pub severity: Severity,
    /// Name of the template; empty: the built-in one.
    pub template: String,
    /// Whether the rule only pretends.
    pub dry_run: bool,
    /// Whether the alert says that the node is flapping.
    pub flapping: bool,
}

impl Hash for Topic {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (&self.rule, &self.template, self.dry_run, self.flapping).hash(hasher);
        (discriminant(&self.kind), discriminant(&self.severity)).hash(hasher);
    }
}

/// An alert that is not yet told on the channel: what decides when and with which others it goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting<'a> {
    /// Its id; a smaller one was queued before.
    pub id: i64,
    /// When it was queued.
    pub queued: Time,
    /// What it is about.
    pub topic: &'a Topic,
    /// Name of the node.
    pub node: &'a str,
    /// Attempts so far.
    pub attempts: u32,
    /// Not to be tried before.
    pub next_attempt: Time,
    /// The message it was tried in.
    pub batch: Option<i64>,
    /// Whether another process is at it.
    pub busy: bool,
}

/// How many alerts go into one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// The most alerts, unless that would be more than [`MOST_MESSAGES`] messages.
    pub batch_size: usize,
    /// The longest wait for a message to fill; critical ones do not wait.
    pub batch_timeout: Duration,
}

/// The alerts of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Stays the same when the message is sent again: the id of its first alert at the first attempt.
    pub id: i64,
    /// Ids of the alerts, in order.
    pub alerts: Vec<i64>,
    /// Attempts so far.
    pub attempts: u32,
}

/// A node under a rule, by number.
type Subject = usize;

/// A waiting alert and its subject.
type Member<'a> = (Subject, &'a Waiting<'a>);

/// Alerts of one topic, or of one message that was tried before.
struct Group<'a> {
    /// The message that was tried before.
    retried: Option<i64>,
    busy: bool,
    members: Vec<Member<'a>>,
}

/// The messages to send now on one channel, in the order of sending. Takes everything that waits for the channel, in
/// the order of ids. A message may only be sent when those before it were.
pub fn plan(waiting: &[Waiting<'_>], grouping: &Grouping, now: Time) -> Vec<Batch> {
    let subjects = subjects(waiting);
    let mut blocked = vec![false; waiting.len()];
    let mut ranks = vec![0; waiting.len()];
    let mut batches = Vec::new();
    for mut group in groups(waiting, &subjects) {
        group.members.retain(|(subject, _)| !blocked[*subject]);
        let size = group.chunk_size(grouping);
        for chunk in group.members.chunks(size) {
            if !group.is_ready(chunk, size, grouping, now) {
                for (subject, _) in chunk {
                    blocked[*subject] = true;
                }
                continue;
            }
            let Some(batch) = batch(&group, chunk) else {
                continue;
            };
            let earlier = chunk.iter().map(|(subject, _)| ranks[*subject]);
            let rank = earlier.fold(batch.attempts, u32::max);
            for (subject, _) in chunk {
                ranks[*subject] = rank;
            }
            batches.push((rank, batch));
        }
    }
    // What has failed before goes last, so that one message that cannot be sent does not hold up the others. What must
    // come after it has at least its rank, and the sort is stable.
    batches.sort_by_key(|(rank, _)| *rank);
    batches.into_iter().map(|(_, batch)| batch).collect()
}

/// The subject of each alert, numbered from 0: names are compared once.
fn subjects(waiting: &[Waiting<'_>]) -> Vec<Subject> {
    let mut numbers: HashMap<(&str, &str), Subject, FxBuildHasher> = HashMap::default();
    numbers.reserve(waiting.len());
    waiting
        .iter()
        .map(|waiting| {
            let count = numbers.len();
            let subject = (waiting.topic.rule.as_str(), waiting.node);
            *numbers.entry(subject).or_insert(count)
        })
        .collect()
}

fn batch(group: &Group<'_>, chunk: &[Member<'_>]) -> Option<Batch> {
    let (_, first) = chunk.first()?;
    Some(Batch {
        id: group.retried.unwrap_or(first.id),
        alerts: chunk.iter().map(|(_, member)| member.id).collect(),
        attempts: chunk.iter().map(|(_, member)| member.attempts).max()?,
    })
}

/// Groups such that all alerts of a subject are in groups one after another: nobody joins a group that lies before one
/// in which the subject already is.
fn groups<'a>(waiting: &'a [Waiting<'a>], subjects: &[Subject]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut newest: Newest<'a> = Newest::default();
    let mut retried: HashMap<i64, usize> = HashMap::new();
    let mut last: Vec<Option<usize>> = vec![None; waiting.len()];
    for (subject, member) in subjects.iter().copied().zip(waiting) {
        let passed = last[subject];
        let found = match member.batch {
            Some(batch) => retried.get(&batch).copied(),
            None => newest
                .get(member)
                .filter(|place| passed.is_none_or(|passed| passed < *place)),
        };
        let place = found.unwrap_or(groups.len());
        if found.is_none() {
            groups.push(Group {
                retried: member.batch,
                busy: false,
                members: Vec::new(),
            });
            match member.batch {
                Some(batch) => {
                    retried.insert(batch, place);
                }
                None => newest.set(member, place),
            }
        }
        groups[place].busy |= member.busy;
        groups[place].members.push((subject, member));
        last[subject] = Some(passed.map_or(place, |passed| passed.max(place)));
    }
    groups
}

/// The newest group of each topic.
#[derive(Default)]
struct Newest<'a> {
    by_topic: HashMap<(&'a Topic, bool), usize>,
    /// The one that was asked for last: neighbours have their topic in common.
    last: Option<(&'a Topic, bool, usize)>,
}

impl<'a> Newest<'a> {
    fn get(&mut self, member: &Waiting<'a>) -> Option<usize> {
        if let Some((topic, busy, place)) = self.last
            && std::ptr::eq(topic, member.topic)
            && busy == member.busy
        {
            return Some(place);
        }
        let place = *self.by_topic.get(&(member.topic, member.busy))?;
        self.last = Some((member.topic, member.busy, place));
        Some(place)
    }

    fn set(&mut self, member: &Waiting<'a>, place: usize) {
        self.by_topic.insert((member.topic, member.busy), place);
        self.last = Some((member.topic, member.busy, place));
    }
}

impl Group<'_> {
    /// How many of the members go into one message.
    fn chunk_size(&self, grouping: &Grouping) -> usize {
        let wanted = grouping.batch_size.clamp(1, MOST_IN_ONE);
        if self.retried.is_some() {
            self.members.len().max(1)
        } else if self.members.len() > wanted.saturating_mul(MOST_MESSAGES) {
            MOST_IN_ONE
        } else {
            wanted
        }
    }

    fn is_ready(&self, chunk: &[Member<'_>], size: usize, grouping: &Grouping, now: Time) -> bool {
        let oldest = chunk.iter().map(|(_, member)| member.queued).min();
        let (Some((_, first)), Some(oldest)) = (chunk.first(), oldest) else {
            return false;
        };
        if self.busy || chunk.iter().any(|(_, member)| member.next_attempt > now) {
            return false;
        }
        let is_flood = self.members.len() > grouping.batch_size.saturating_mul(MOST_MESSAGES);
        self.retried.is_some()
            || is_flood
            || chunk.len() == size
            || first.topic.severity == Severity::Critical
            || now.since(oldest) >= grouping.batch_timeout
            // Queued in the future: the clock was set back, and waiting for it could take for ever.
            || oldest.since(now) > grouping.batch_timeout
    }
}
