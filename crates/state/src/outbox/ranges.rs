//! Ids one after another, which share a delivery for as long as they share its fate.

use rusqlite::{Connection, Statement, params};

/// Ids one after another, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Range {
    pub(super) const fn one(id: i64) -> Self {
        Self {
            first: id,
            last: id,
        }
    }

    pub(super) fn ids(self) -> std::ops::RangeInclusive<i64> {
        self.first..=self.last
    }

    pub(super) fn len(self) -> u64 {
        self.last.saturating_sub(self.first).unsigned_abs() + 1
    }

    /// What is left of it without these parts.
    pub(super) fn without(self, parts: &[Self]) -> Vec<Self> {
        let mut parts = parts.to_vec();
        parts.sort_unstable_by_key(|part| part.first);
        let mut left = Vec::new();
        let mut first = self.first;
        for part in parts {
            if first < part.first {
                let last = part.first - 1;
                left.push(Self { first, last });
            }
            first = first.max(part.last + 1);
        }
        if first <= self.last {
            left.push(Self { first, ..self });
        }
        left
    }
}

/// The ids in as few ranges as they need, in the order given.
pub(super) fn of(ids: impl IntoIterator<Item = i64>) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some(range) if range.last + 1 == id => range.last = id,
            Some(_) | None => ranges.push(Range::one(id)),
        }
    }
    ranges
}

/// Parts the deliveries of a parcel where their fates part.
pub(super) struct Scissors<'c> {
    connection: &'c Connection,
    insert: Statement<'c>,
}

/// The delivery that reaches over an id and began before it. It is in the parcel of that id, so that no other is
/// looked at.
const REACHES_OVER: &str = "first < ?1 AND last >= ?1 \
     AND first >= (SELECT max(first) FROM parcel WHERE first <= ?1) AND (?2 IS NULL OR channel = ?2)";

impl<'c> Scissors<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            insert: connection.prepare(&format!(
                "INSERT INTO delivery(first, channel, last, state, attempts, next_attempt, last_error, batch, claim, \
                 claimed_until, settled) \
                 SELECT ?1, channel, last, state, attempts, next_attempt, last_error, batch, claim, claimed_until, \
                 settled FROM delivery WHERE {REACHES_OVER}"
            ))?,
        })
    }

    /// Afterwards no delivery of the channel, or of any, lies on both sides of an end of the range.
    pub(super) fn cut(&mut self, range: Range, channel: Option<&str>) -> rusqlite::Result<()> {
        for edge in [range.first, range.last + 1] {
            if self.insert.execute(params![edge, channel])? > 0 {
                self.connection.execute(
                    &format!("UPDATE delivery SET last = ?1 - 1 WHERE {REACHES_OVER}"),
                    params![edge, channel],
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn range(first: i64, last: i64) -> Range {
        Range { first, last }
    }

    #[test]
    fn what_is_left_of_a_range_is_all_but_its_parts() {
        let cases: [(&[Range], &[Range]); 5] = [
            (&[], &[range(3, 9)]),
            (&[range(3, 9)], &[]),
            (&[range(8, 9), range(3, 4)], &[range(5, 7)]),
            (&[range(5, 5)], &[range(3, 4), range(6, 9)]),
            (&[range(3, 3), range(4, 4)], &[range(5, 9)]),
        ];
        for (parts, left) in cases {
            assert_eq!(range(3, 9).without(parts), left, "{parts:?}");
        }
    }

    #[test]
    fn neighbours_share_a_range() {
        let cases: [(&[i64], &[Range]); 4] = [
            (&[], &[]),
            (&[7], &[range(7, 7)]),
            (
                &[1, 2, 3, 5, 6, 9],
                &[range(1, 3), range(5, 6), range(9, 9)],
            ),
            (&[2, 1, 1], &[range(2, 2), range(1, 1), range(1, 1)]),
        ];
        for (ids, expected) in cases {
            assert_eq!(of(ids.iter().copied()), expected, "{ids:?}");
        }
    }
}
