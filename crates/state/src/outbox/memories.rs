//! What is remembered of nodes: one row for neighbours of whom the same is remembered.
//!
//! The rows of a rule are runs of nodes in the order of their names that do not overlap. A thousand nodes that triggered
//! together are a few rows; a node that goes its own way gets one of its own.

use std::iter::Peekable;

use ng_delivery::{Memory, Told};
use ng_engine::parcel::{self, names};
use ng_engine::time::Time;
use rusqlite::{Connection, Row, params};

use crate::lazy::Lazy;

/// The most nodes in one row: so much is written again when one of them goes its own way.
const LONGEST: usize = 256;
/// So few nodes are looked up one by one: between them there could be many others.
const FEW: usize = 16;

/// What is remembered of a node, and its alert that is held.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Remembered {
    pub(super) memory: Memory,
    pub(super) held: Option<i64>,
}

/// Nodes of whom the same is remembered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    /// Names in ascending order, one a line.
    pub(super) nodes: String,
    pub(super) remembered: Remembered,
}

impl Run {
    /// Its key.
    fn first(&self) -> &str {
        self.nodes.split('\n').next().unwrap_or_default()
    }

    fn last(&self) -> &str {
        self.nodes.rsplit('\n').next().unwrap_or_default()
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            remembered: Remembered {
                memory: read_memory(row)?,
                held: row.get(5)?,
            },
            nodes: names::unpacked(row.get_ref(6)?.as_str()?),
        })
    }
}

/// The columns of a run, in the order in which they are read.
pub(super) const COLUMNS: &str = "score, at, calm_at, held, told, held_alert, nodes";

/// Reads and writes what is remembered.
pub(super) struct Memories<'c> {
    load: Lazy<'c>,
    put: Lazy<'c>,
    forget: Lazy<'c>,
}

impl<'c> Memories<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self {
            load: Lazy::new(
                connection,
                format!(
                    "SELECT {COLUMNS} FROM memory WHERE rule = ?1 AND node <= ?2 ORDER BY node DESC"
                ),
            ),
            put: Lazy::new(
                connection,
                "REPLACE INTO memory(rule, node, nodes, score, at, calm_at, held, told, held_alert) \
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            ),
            forget: Lazy::new(
                connection,
                "DELETE FROM memory WHERE rule = ?1 AND node = ?2",
            ),
        }
    }

    /// Changes what is remembered of these nodes of a rule, which ascend; a node may be there several times. `change`
    /// gets the place of the node.
    pub(super) fn change(
        &mut self,
        rule: &str,
        nodes: &[&str],
        mut change: impl FnMut(usize, &mut Remembered),
    ) -> rusqlite::Result<()> {
        let at_once = if nodes.len() > FEW { nodes.len() } else { 1 };
        let mut place = 0;
        for some in nodes.chunks(at_once) {
            let (Some(first), Some(last)) = (some.first(), some.last()) else {
                continue;
            };
            let before = self.load(rule, (first, last))?;
            let mut all = Merged::new(known(&before));
            for node in some {
                change(place, all.seek(node));
                place += 1;
            }
            self.save(rule, &before, &all.finish())?;
        }
        Ok(())
    }

    /// Whether these nodes, whose names are one a line and stand in a column, are so many that it is worth while to know
    /// that nothing is remembered of any node from the first to the last of them.
    pub(super) fn are_strangers(
        &mut self,
        rule: &str,
        (nodes, column): (&str, &str),
    ) -> rusqlite::Result<bool> {
        let is_few = parcel::names(nodes).nth(FEW).is_none();
        if is_few || !names::is_in_order(column) {
            return Ok(false);
        }
        let first = parcel::names(nodes).next().unwrap_or_default();
        let last = nodes.rsplit('\n').next().unwrap_or_default();
        Ok(self.load(rule, (first, last))?.is_empty())
    }

    /// Remembers the same of strangers, whose names are one a line and stand in a column.
    pub(super) fn put_all(
        &mut self,
        rule: &str,
        (nodes, column): (&str, &str),
        memory: Memory,
    ) -> rusqlite::Result<()> {
        let remembered = Remembered { memory, held: None };
        if remembered == Remembered::default() {
            return Ok(());
        }
        for (first, column) in names::parts(column, nodes, LONGEST) {
            self.put_row((rule, first, &column), &remembered)?;
        }
        Ok(())
    }

    /// Runs that have nodes from the first to the last of these, in order.
    fn load(&mut self, rule: &str, (first, last): (&str, &str)) -> rusqlite::Result<Vec<Run>> {
        let mut rows = self.load.statement()?.query([rule, last])?;
        let mut runs: Vec<Run> = Vec::new();
        // The first node may be within a run that begins before it.
        while runs.last().is_none_or(|run| run.first() > first)
            && let Some(row) = rows.next()?
        {
            runs.push(Run::read(row)?);
        }
        runs.retain(|run| run.last() >= first);
        runs.reverse();
        Ok(runs)
    }

    /// Replaces runs by others of the same nodes and more.
    fn save(&mut self, rule: &str, before: &[Run], after: &[Run]) -> rusqlite::Result<()> {
        let find = |runs: &[Run], key: &str| {
            let found = runs.binary_search_by(|run| run.first().cmp(key));
            found.ok()
        };
        for run in before {
            if find(after, run.first()).is_none() {
                self.forget.statement()?.execute([rule, run.first()])?;
            }
        }
        for run in after {
            let is_same = find(before, run.first()).is_some_and(|place| before[place] == *run);
            if !is_same {
                self.put(rule, run)?;
            }
        }
        Ok(())
    }

    pub(super) fn put(&mut self, rule: &str, run: &Run) -> rusqlite::Result<()> {
        let row = (rule, run.first(), &*names::packed(&run.nodes));
        self.put_row(row, &run.remembered)
    }

    /// Of a rule, by the first of the nodes in a column.
    fn put_row(
        &mut self,
        (rule, first, column): (&str, &str, &str),
        Remembered { memory, held }: &Remembered,
    ) -> rusqlite::Result<()> {
        let row = params![
            rule,
            first,
            column,
            memory.score,
            memory.at.millis(),
            memory.calm_at.map(Time::millis),
            memory.held,
            memory.told.map(told_word),
            held,
        ];
        self.put.statement()?.execute(row).map(drop)
    }
}

/// What is remembered, node by node, while it is changed in the order of their names.
struct Merged<'a, K: Iterator> {
    known: Peekable<K>,
    /// The node that was asked for last.
    last: Option<(&'a str, Remembered)>,
    done: Runs,
}

/// What was remembered node by node.
fn known(runs: &[Run]) -> impl Iterator<Item = (&str, Remembered)> {
    runs.iter()
        .flat_map(|run| parcel::names(&run.nodes).map(|node| (node, run.remembered)))
}

impl<'a, K: Iterator<Item = (&'a str, Remembered)>> Merged<'a, K> {
    fn new(known: K) -> Self {
        Self {
            known: known.peekable(),
            last: None,
            done: Runs::default(),
        }
    }

    /// What is remembered of the node, which does not come before the one asked for last.
    fn seek(&mut self, node: &'a str) -> &mut Remembered {
        while let Some(known) = self.known.next_if(|known| known.0 <= node) {
            self.done.extend(self.last.replace(known));
        }
        if self.last.is_none_or(|(last, _)| last != node) {
            let unknown = (node, Remembered::default());
            self.done.extend(self.last.replace(unknown));
        }
        let (_, remembered) = self.last.get_or_insert((node, Remembered::default()));
        remembered
    }

    fn finish(mut self) -> Vec<Run> {
        self.done.extend(self.last);
        self.done.extend(self.known);
        self.done.finish()
    }
}

/// Neighbours of whom the same is remembered become one run.
#[derive(Default)]
struct Runs {
    runs: Vec<Run>,
    /// Nodes in the last of them.
    count: usize,
}

impl<'a> Extend<(&'a str, Remembered)> for Runs {
    fn extend<I: IntoIterator<Item = (&'a str, Remembered)>>(&mut self, nodes: I) {
        for (node, remembered) in nodes {
            let last = self.runs.last_mut();
            let last = last.filter(|run| self.count < LONGEST && run.remembered == remembered);
            if let Some(run) = last {
                self.count += 1;
                run.nodes.push('\n');
                run.nodes.push_str(node);
            } else {
                self.count = 1;
                let nodes = node.to_owned();
                self.runs.push(Run { nodes, remembered });
            }
        }
    }
}

impl Runs {
    fn finish(mut self) -> Vec<Run> {
        // Nothing is known of who was not changed.
        self.runs
            .retain(|run| run.remembered != Remembered::default());
        self.runs
    }
}

/// Runs of nodes that have calmed down, each with its rule.
pub(super) fn calm(connection: &Connection, now: Time) -> rusqlite::Result<Vec<(Run, String)>> {
    let mut statement = connection.prepare(&format!(
        "SELECT {COLUMNS}, rule FROM memory WHERE calm_at <= ?1 AND calm_at IS NOT NULL"
    ))?;
    let rows = statement.query_map([now.millis()], |row| Ok((Run::read(row)?, row.get(7)?)))?;
    rows.collect()
}

/// Forgets what is of no use.
pub(super) fn prune(
    connection: &Connection,
    is_stale: impl Fn(&Memory) -> bool,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT score, at, calm_at, held, told, rule, node FROM memory WHERE held_alert IS NULL",
    )?;
    let mut rows = statement.query([])?;
    let mut stale: Vec<(String, String)> = Vec::new();
    while let Some(row) = rows.next()? {
        if is_stale(&read_memory(row)?) {
            stale.push((row.get(5)?, row.get(6)?));
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    let mut delete = connection.prepare("DELETE FROM memory WHERE rule = ?1 AND node = ?2")?;
    for (rule, node) in stale {
        delete.execute([rule, node])?;
    }
    Ok(())
}

const fn told_word(told: Told) -> &'static str {
    match told {
        Told::Triggered => "triggered",
        Told::Recovered => "recovered",
    }
}

/// From the first five columns.
fn read_memory(row: &Row<'_>) -> rusqlite::Result<Memory> {
    let told: Option<&str> = row.get_ref(4)?.as_str_or_null()?;
    Ok(Memory {
        score: row.get(0)?,
        at: Time::from_millis(row.get(1)?),
        calm_at: row.get::<_, Option<i64>>(2)?.map(Time::from_millis),
        held: row.get(3)?,
        told: told.and_then(|word| {
            [Told::Triggered, Told::Recovered]
                .into_iter()
                .find(|told| told_word(*told) == word)
        }),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::schema;

    fn remembered(score: f64) -> Remembered {
        Remembered {
            memory: Memory {
                score,
                ..Memory::default()
            },
            held: None,
        }
    }

    fn rows(connection: &Connection) -> Vec<(String, Run)> {
        let mut statement = connection
            .prepare(&format!("SELECT {COLUMNS}, node FROM memory ORDER BY node"))
            .unwrap();
        let rows = statement
            .query_map([], |row| Ok((row.get(7)?, Run::read(row)?)))
            .unwrap();
        rows.collect::<rusqlite::Result<_>>().unwrap()
    }

    /// Whoever is changed together with whom, what is remembered of a node is what was remembered last, and the rows do
    /// not overlap.
    #[test]
    fn each_node_has_what_was_remembered_of_it_last() {
        let connection = Connection::open_in_memory().unwrap();
        for tables in schema::FORMAT.tables {
            connection.execute_batch(tables).unwrap();
        }
        let mut memories = Memories::new(&connection);
        let mut expected: BTreeMap<String, f64> = BTreeMap::new();
        let mut random: u64 = 0x2545_f491_4f6c_dd1d;
        let mut below = |limit: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % limit
        };
        let mut strangers = 0;
        for round in 0..200 {
            if round % 20 == 0 {
                connection.execute("DELETE FROM memory", []).unwrap();
                expected.clear();
            }
            let (from, step) = (below(900), 1 + below(3));
            let count = [1, 2, 10, 40, 600][usize::try_from(below(5)).unwrap()];
            let mut names: Vec<String> = (0..count)
                .map(|place| format!("node-{}", from + place * step))
                .collect();
            names.sort();
            let nodes: Vec<&str> = names.iter().map(String::as_str).collect();
            let score = f64::from(u8::try_from(below(3)).unwrap() + 1);
            let joined = nodes.join("\n");
            let column = names::packed(&joined);
            if memories.are_strangers("rule", (&joined, &column)).unwrap() {
                assert!(nodes.iter().all(|node| !expected.contains_key(*node)));
                strangers += 1;
                let memory = remembered(score).memory;
                memories
                    .put_all("rule", (&joined, &column), memory)
                    .unwrap();
            } else {
                memories
                    .change("rule", &nodes, |place, found| {
                        let known = expected.get(nodes[place]).copied().unwrap_or_default();
                        assert!((found.memory.score - known).abs() < 1e-9, "round {round}");
                        *found = remembered(score);
                    })
                    .unwrap();
            }
            expected.extend(names.iter().map(|name| (name.clone(), score)));
            let rows = rows(&connection);
            let found: Vec<(String, f64)> = rows
                .iter()
                .flat_map(|(_, run)| {
                    let nodes = run.nodes.split('\n').map(str::to_owned);
                    nodes.map(|node| (node, run.remembered.memory.score))
                })
                .collect();
            assert_eq!(found, Vec::from_iter(expected.clone()), "round {round}");
            assert!(rows.iter().all(|(key, run)| key == run.first()));
        }
        assert!(strangers > 5, "{strangers}");
    }

    #[test]
    fn what_is_known_of_many_alike_is_few_rows() {
        let connection = Connection::open_in_memory().unwrap();
        for tables in schema::FORMAT.tables {
            connection.execute_batch(tables).unwrap();
        }
        let names: Vec<String> = (0..1000).map(|place| format!("node-{place:04}")).collect();
        let nodes: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut memories = Memories::new(&connection);
        let steps = [
            (&nodes[..], 1.0, 4),
            // One goes its own way, and comes back.
            (&nodes[500..501], 2.0, 6),
            (&nodes[..], 3.0, 4),
        ];
        for (nodes, score, count) in steps {
            memories
                .change("rule", nodes, |_, found| *found = remembered(score))
                .unwrap();
            assert_eq!(rows(&connection).len(), count);
        }
    }
}
