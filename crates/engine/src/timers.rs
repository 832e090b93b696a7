//! Since when the conditions of a rule are true, for every node where one is.
//!
//! A condition that stays true costs no write: `seen` is only kept where it differs from the rule's last
//! evaluation, that is, after a gap.

use crate::time::Time;

/// Timers of one rule, by condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timers {
    /// One item for each distinct test of the trigger that asks for a duration.
    pub tests: Vec<TestTimers>,
}

/// Timers of one test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestTimers {
    /// The test in words; timers survive an edit of the rule that leaves the test as it was.
    pub test: String,
    /// Ordered as the nodes in the snapshot.
    pub entries: Vec<Entry>,
}

/// The timer of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The node's number in the roster.
    pub node: u32,
    /// When the test was first true.
    pub since: Time,
    /// When it was last true, if that was before the rule's last evaluation (it was unknown then).
    pub seen: Option<Time>,
}

const NO_GAP: i64 = i64::MIN;

impl Timers {
    /// The entries of a test, empty if there are none.
    pub fn of(&self, test: &str) -> &[Entry] {
        self.tests
            .iter()
            .find(|timers| timers.test == test)
            .map_or(&[], |timers| &timers.entries)
    }

    /// The timers as bytes; see [`Timers::decode`].
    pub fn encode(&self) -> Vec<u8> {
        let count: usize = self.tests.iter().map(|timers| timers.entries.len()).sum();
        let mut bytes = Vec::with_capacity(count * 20 + self.tests.len() * 64);
        for timers in &self.tests {
            put_len(&mut bytes, timers.test.len());
            bytes.extend_from_slice(timers.test.as_bytes());
            put_len(&mut bytes, timers.entries.len());
            for entry in &timers.entries {
                bytes.extend_from_slice(&entry.node.to_le_bytes());
                bytes.extend_from_slice(&entry.since.millis().to_le_bytes());
                bytes.extend_from_slice(&entry.seen.map_or(NO_GAP, Time::millis).to_le_bytes());
            }
        }
        bytes
    }

    /// Reads what [`Timers::encode`] wrote; `None` if it is something else.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let len = get_len(&mut bytes)?;
            let (name, rest) = bytes.split_at_checked(len)?;
            let test = std::str::from_utf8(name).ok()?.to_owned();
            bytes = rest;
            let count = get_len(&mut bytes)?;
            let (entries, rest) = bytes.split_at_checked(count.checked_mul(20)?)?;
            bytes = rest;
            let entries = entries
                .chunks_exact(20)
                .map(Entry::read)
                .collect::<Option<_>>()?;
            all.push(TestTimers { test, entries });
        }
        Some(Self { tests: all })
    }
}

impl Entry {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (node, rest) = bytes.split_first_chunk::<4>()?;
        let (since, rest) = rest.split_first_chunk::<8>()?;
        let (seen, _) = rest.split_first_chunk::<8>()?;
        let seen = i64::from_le_bytes(*seen);
        Some(Self {
            node: u32::from_le_bytes(*node),
            since: Time::from_millis(i64::from_le_bytes(*since)),
            seen: (seen != NO_GAP).then(|| Time::from_millis(seen)),
        })
    }
}

fn put_len(bytes: &mut Vec<u8>, len: usize) {
    bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

fn get_len(bytes: &mut &[u8]) -> Option<usize> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    usize::try_from(u32::from_le_bytes(*len)).ok()
}
