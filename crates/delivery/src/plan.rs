//! Which alerts go out together on one channel now, and in which order.
//!
//! Alerts of one topic go into one message. Per node and rule the order of queueing is kept: an alert never passes one
//! that still waits, whatever it waits for. A message that was tried before is tried again as it was.

mod pieces;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::mem::discriminant;
use std::time::Duration;

use ng_engine::parcel;
use ng_engine::plan::AlertKind;
use ng_engine::rule::Severity;
use ng_engine::time::Time;

use self::pieces::{Piece, chunks, count, pieces};

/// More messages than this are never made of the alerts of one topic that wait together.
pub const MOST_MESSAGES: usize = 3;
/// The most alerts in one message, whatever is configured: so much is held in memory at a time.
pub const MOST_IN_ONE: usize = parcel::MOST;

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

/// Alerts that are not yet told on the channel and have all in common that decides when and with which others they go
/// out, except for their nodes. Their ids are one after another, and no two of them are of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch<'a> {
    /// Id of the first alert; a smaller one was queued before.
    pub first: i64,
    /// How many alerts there are; at least one.
    pub len: usize,
    /// When they were queued.
    pub queued: Time,
    /// What they are about.
    pub topic: &'a Topic,
    /// Names of their nodes in order, one a line; more may follow.
    pub nodes: &'a str,
    /// Attempts so far.
    pub attempts: u32,
    /// Not to be tried before.
    pub next_attempt: Time,
    /// The message they were tried in.
    pub batch: Option<i64>,
    /// Whether another process is at them.
    pub busy: bool,
}

impl<'a> Stretch<'a> {
    /// Ids of the alerts, in order.
    pub fn ids(&self) -> impl Iterator<Item = i64> + use<> {
        (self.first..).take(self.len)
    }

    /// Names of the nodes, in the order of the ids. Where the text is too short, the rest of the names is empty.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let names = parcel::names(self.nodes).chain(std::iter::repeat(""));
        names.take(self.len)
    }
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

/// Alerts of one topic, or of one message that was tried before.
struct Group<'a> {
    /// The message that was tried before.
    retried: Option<i64>,
    busy: bool,
    pieces: Vec<Piece<'a>>,
}

/// The messages to send now on one channel, in the order of sending. Takes everything that waits for the channel, in
/// the order of ids. A message may only be sent when those before it were.
pub fn plan(stretches: &[Stretch<'_>], grouping: &Grouping, now: Time) -> Vec<Batch> {
    let pieces = pieces(stretches);
    let mut blocked = vec![false; pieces.len()];
    let mut ranks = vec![0; pieces.len()];
    let mut batches = Vec::new();
    for mut group in groups(&pieces) {
        group.pieces.retain(|piece| !blocked[piece.subject]);
        let size = group.chunk_size(grouping);
        for chunk in chunks(&group.pieces, size) {
            if !group.is_ready(&chunk, size, grouping, now) {
                for piece in chunk {
                    blocked[piece.subject] = true;
                }
                continue;
            }
            let Some(batch) = batch(&group, &chunk) else {
                continue;
            };
            let earlier = chunk.iter().map(|piece| ranks[piece.subject]);
            let rank = earlier.fold(batch.attempts, u32::max);
            for piece in chunk {
                ranks[piece.subject] = rank;
            }
            batches.push((rank, batch));
        }
    }
    // What has failed before goes last, so that one message that cannot be sent does not hold up the others. What must
    // come after it has at least its rank, and the sort is stable.
    batches.sort_by_key(|(rank, _)| *rank);
    batches.into_iter().map(|(_, batch)| batch).collect()
}

fn batch(group: &Group<'_>, chunk: &[Piece<'_>]) -> Option<Batch> {
    let mut alerts = Vec::with_capacity(count(chunk));
    alerts.extend(chunk.iter().flat_map(Piece::ids));
    Some(Batch {
        id: group.retried.or(alerts.first().copied())?,
        alerts,
        attempts: chunk.iter().map(|piece| piece.stretch.attempts).max()?,
    })
}

/// Groups such that all alerts of a subject are in groups one after another: nobody joins a group that lies before one
/// in which the subject already is.
fn groups<'a>(pieces: &[Piece<'a>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut newest: Newest<'a> = Newest::default();
    let mut retried: HashMap<i64, usize> = HashMap::new();
    let mut last: Vec<Option<usize>> = vec![None; pieces.len()];
    for piece in pieces {
        let stretch = piece.stretch;
        let passed = last[piece.subject];
        let found = match stretch.batch {
            Some(batch) => retried.get(&batch).copied(),
            None => newest
                .get(stretch)
                .filter(|place| passed.is_none_or(|passed| passed < *place)),
        };
        let place = found.unwrap_or(groups.len());
        if found.is_none() {
            groups.push(Group {
                retried: stretch.batch,
                busy: false,
                pieces: Vec::new(),
            });
            match stretch.batch {
                Some(batch) => {
                    retried.insert(batch, place);
                }
                None => newest.set(stretch, place),
            }
        }
        groups[place].busy |= stretch.busy;
        groups[place].pieces.push(*piece);
        last[piece.subject] = Some(passed.map_or(place, |passed| passed.max(place)));
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
    fn get(&mut self, stretch: &Stretch<'a>) -> Option<usize> {
        if let Some((topic, busy, place)) = self.last
            && std::ptr::eq(topic, stretch.topic)
            && busy == stretch.busy
        {
            return Some(place);
        }
        let place = *self.by_topic.get(&(stretch.topic, stretch.busy))?;
        self.last = Some((stretch.topic, stretch.busy, place));
        Some(place)
    }

    fn set(&mut self, stretch: &Stretch<'a>, place: usize) {
        self.by_topic.insert((stretch.topic, stretch.busy), place);
        self.last = Some((stretch.topic, stretch.busy, place));
    }
}

impl Group<'_> {
    /// How many of the alerts go into one message.
    fn chunk_size(&self, grouping: &Grouping) -> usize {
        let wanted = grouping.batch_size.clamp(1, MOST_IN_ONE);
        let count = count(&self.pieces);
        if self.retried.is_some() {
            count.max(1)
        } else if count > wanted.saturating_mul(MOST_MESSAGES) {
            MOST_IN_ONE
        } else {
            wanted
        }
    }

    fn is_ready(&self, chunk: &[Piece<'_>], size: usize, grouping: &Grouping, now: Time) -> bool {
        let oldest = chunk.iter().map(|piece| piece.stretch.queued).min();
        let (Some(first), Some(oldest)) = (chunk.first(), oldest) else {
            return false;
        };
        if self.busy || chunk.iter().any(|piece| piece.stretch.next_attempt > now) {
            return false;
        }
        self.retried.is_some()
            || count(chunk) == size
            || first.stretch.topic.severity == Severity::Critical
            || now.since(oldest) >= grouping.batch_timeout
            // Queued in the future: the clock was set back, and waiting for it could take for ever.
            || oldest.since(now) > grouping.batch_timeout
            // A flood.
            || count(&self.pieces) > grouping.batch_size.saturating_mul(MOST_MESSAGES)
    }
}
