//! Small numbers for nodes, so that timers of thousands of nodes are a few bytes each.

use rustc_hash::FxHashMap;

use crate::node::Nodes;

/// Which number stands for which node; a node that is replaced under its name gets a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Number, name and UID, in the order of the snapshot.
    entries: Vec<(u32, Box<str>, Box<str>)>,
    next: u32,
}

impl Roster {
    /// Takes the nodes as they are now: keeps the numbers of known ones and numbers the others.
    /// Returns whether anything changed.
    pub fn align(&mut self, nodes: &Nodes) -> bool {
        let same = self.entries.len() == nodes.len()
            && self
                .entries
                .iter()
                .enumerate()
                .all(|(node, (_, name, uid))| {
                    **name == *nodes.name(node) && **uid == *nodes.uid(node)
                });
        if same {
            return false;
        }
        let known: FxHashMap<(&str, &str), u32> = self
            .entries
            .iter()
            .map(|(number, name, uid)| ((&**name, &**uid), *number))
            .collect();
        let mut next = self.next;
        let entries = (0..nodes.len())
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
        self.entries = entries;
        self.next = next;
        true
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
            bytes.extend_from_slice(&number.to_le_bytes());
            for text in [name, uid] {
                let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
                bytes.extend_from_slice(&len.to_le_bytes());
                bytes.extend_from_slice(&text.as_bytes()[..usize::from(len)]);
            }
        }
        bytes
    }

    /// Reads what [`Roster::encode`] wrote; `None` if it is something else.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let next = u32::from_le_bytes(take(&mut bytes)?);
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            let number = u32::from_le_bytes(take(&mut bytes)?);
            let name = text(&mut bytes)?;
            let uid = text(&mut bytes)?;
            entries.push((number, name, uid));
        }
        Some(Self { entries, next })
    }
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
