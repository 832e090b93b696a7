//! Small numbers for nodes, so that timers of thousands of nodes are a few bytes each.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::history::FORGET_AFTER;
use crate::node::Nodes;
use crate::time::Time;

/// Which number stands for which node; a node that is replaced under its name gets a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// In the order of the snapshot.
    entries: Vec<Numbered>,
    next: u32,
    absent: Vec<Absent>,
}

/// Number, name and UID.
type Numbered = (u32, Box<str>, Box<str>);

/// A node that is missing from the snapshot: shell-operator's cache can lose one that still exists, and its timers
/// must not begin anew for that.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Absent {
    entry: Numbered,
    since: Time,
}

/// Stands between present and missing nodes in the stored form; no node has it.
const SEPARATOR: (u32, &str, &str) = (0, "", "");

impl Roster {
    /// Takes the nodes as they are now: keeps the numbers of known ones, also for a while those of missing ones, and
    /// numbers the others. Returns whether anything changed.
    pub fn align(&mut self, nodes: &Nodes, now: Time) -> bool {
        let before = self.absent.len();
        self.absent
            .retain(|absent| now.since(absent.since) < FORGET_AFTER);
        let same = self.entries.len() == nodes.len()
            && self
                .entries
                .iter()
                .enumerate()
                .all(|(node, (_, name, uid))| {
                    **name == *nodes.name(node) && **uid == *nodes.uid(node)
                });
        if same {
            return self.absent.len() != before;
        }
        let missing = self.absent.iter().map(|absent| &absent.entry);
        let known: FxHashMap<(&str, &str), u32> = missing
            .chain(&self.entries)
            .map(|(number, name, uid)| ((&**name, &**uid), *number))
            .collect();
        let mut next = self.next;
        let entries: Vec<Numbered> = (0..nodes.len())
            .map(|node| {
                let number = known
                    .get(&(nodes.name(node), nodes.uid(node)))
                    .copied()
                    .unwrap_or_else(|| {
                        next = next.wrapping_add(1);
                        next
                    });
                (number, nodes.name(node).into(), nodes.uid(node).into())
            })
            .collect();
        self.next = next;
        self.part(entries, now);
        true
    }

    /// Goes on with these nodes, and keeps those that are missing among them and were not replaced.
    fn part(&mut self, entries: Vec<Numbered>, now: Time) {
        let names: FxHashSet<&str> = entries.iter().map(|(_, name, _)| &**name).collect();
        let gone = std::mem::take(&mut self.entries)
            .into_iter()
            .map(|entry| Absent { entry, since: now });
        let absent = std::mem::take(&mut self.absent).into_iter().chain(gone);
        self.absent = absent
            .filter(|absent| !names.contains(&*absent.entry.1))
            .collect();
        self.entries = entries;
    }

    /// Whether the number is that of a node which is missing from the snapshot.
    pub fn is_absent(&self, number: u32) -> bool {
        self.absent.iter().any(|absent| absent.entry.0 == number)
    }

    /// The number of the node at a position of the snapshot.
    pub fn number(&self, node: usize) -> u32 {
        self.entries[node].0
    }

    /// Positions by number.
    pub fn positions(&self) -> FxHashMap<u32, usize> {
        self.entries
            .iter()
            .enumerate()
            .map(|(node, (number, ..))| (*number, node))
            .collect()
    }

    /// The roster as bytes; see [`Roster::decode`].
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.next.to_le_bytes().to_vec();
        for (number, name, uid) in &self.entries {
            put(&mut bytes, (*number, name, uid));
        }
        if !self.absent.is_empty() {
            put(&mut bytes, SEPARATOR);
        }
        for absent in &self.absent {
            let (number, name, uid) = &absent.entry;
            put(&mut bytes, (*number, name, uid));
            bytes.extend_from_slice(&absent.since.millis().to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Roster::encode`] wrote; `None` if it is something else.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut roster = Self {
            next: u32::from_le_bytes(take(&mut bytes)?),
            ..Self::default()
        };
        while !bytes.is_empty() {
            let entry = numbered(&mut bytes)?;
            if (entry.0, &*entry.1, &*entry.2) == SEPARATOR {
                break;
            }
            roster.entries.push(entry);
        }
        while !bytes.is_empty() {
            let entry = numbered(&mut bytes)?;
            let since = Time::from_millis(i64::from_le_bytes(take(&mut bytes)?));
            roster.absent.push(Absent { entry, since });
        }
        Some(roster)
    }
}

fn put(bytes: &mut Vec<u8>, (number, name, uid): (u32, &str, &str)) {
    bytes.extend_from_slice(&number.to_le_bytes());
    for text in [name, uid] {
        let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&text.as_bytes()[..usize::from(len)]);
    }
}

fn numbered(bytes: &mut &[u8]) -> Option<Numbered> {
    let number = u32::from_le_bytes(take(bytes)?);
    Some((number, text(bytes)?, text(bytes)?))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn text(bytes: &mut &[u8]) -> Option<Box<str>> {
    let len = usize::from(u16::from_le_bytes(take(bytes)?));
    let (head, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    std::str::from_utf8(head).ok().map(Into::into)
}
