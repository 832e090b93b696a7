//! Changes of deliveries, which part where the fates of their alerts do.

use rusqlite::{Connection, ToSql};

use super::ranges::{self, Range, Scissors};
use super::read_range;
use crate::lazy::Lazy;
use crate::transaction::Transaction;

/// A change of deliveries, in SQL.
pub(super) struct Change<'a> {
    /// What is set.
    pub(super) set: &'a str,
    /// Which of them are changed.
    pub(super) which: &'a str,
    /// Of the parameters from the fourth on; the first three are both ends of a range and the channel.
    pub(super) values: &'a [&'a dyn ToSql],
}

impl<'a> Change<'a> {
    /// Changes the delivery that is all of the range.
    fn of_one<'c>(&self, connection: &'c Connection) -> Lazy<'c> {
        let Self { set, which, .. } = self;
        let text = format!(
            "UPDATE delivery SET {set} WHERE first = ?1 AND channel = ?3 AND last = ?2 AND {which}"
        );
        Lazy::new(connection, text)
    }

    /// Changes all deliveries that lie within the range, and returns their ranges.
    fn of_all<'c>(&self, connection: &'c Connection) -> Lazy<'c> {
        let Self { set, which, .. } = self;
        let text = format!(
            "UPDATE delivery SET {set} WHERE first BETWEEN ?1 AND ?2 AND last <= ?2 AND channel = ?3 AND {which} \
             RETURNING first, last"
        );
        Lazy::new(connection, text)
    }

    fn values<'v>(&self, range: &'v Range, channel: &'v &'v str) -> Vec<&'v dyn ToSql>
    where
        'a: 'v,
    {
        let mut values: Vec<&dyn ToSql> = vec![&range.first, &range.last, channel];
        values.extend(self.values);
        values
    }
}

impl Transaction<'_> {
    /// Changes the deliveries of alerts on a channel, and returns their ranges.
    pub(super) fn change(
        &self,
        (channel, alerts): (&str, &[i64]),
        change: &Change<'_>,
    ) -> rusqlite::Result<Vec<Range>> {
        let (mut whole, mut within) = (change.of_one(&self.inner), change.of_all(&self.inner));
        let mut changed = Vec::new();
        for range in ranges::of(alerts.iter().copied()) {
            let values = change.values(&range, &channel);
            // Most often a range is one delivery.
            if whole.statement()?.execute(&values[..])? > 0 {
                changed.push(range);
                continue;
            }
            let before = changed.len();
            let mut change = |range: Range, changed: &mut Vec<Range>| -> rusqlite::Result<()> {
                let values = change.values(&range, &channel);
                for row in within.statement()?.query_map(&values[..], read_range)? {
                    changed.push(row?);
                }
                Ok(())
            };
            change(range, &mut changed)?;
            let left = range.without(&changed[before..]);
            if left.is_empty() {
                continue;
            }
            // Some share their deliveries with others, or are not to be changed any more.
            let mut scissors = Scissors::new(&self.inner)?;
            for range in left {
                scissors.cut(range, Some(channel))?;
                change(range, &mut changed)?;
            }
        }
        Ok(changed)
    }
}
