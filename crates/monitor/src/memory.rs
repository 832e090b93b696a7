//! What is remembered from one run to the next, as rows of the state.

use std::collections::{BTreeMap, BTreeSet};

use ng_engine::time::Time;
use serde::{Deserialize, Serialize};

use crate::episode::Episode;
use crate::kind::{Kind, Subject};
use crate::watch::{Known, Watch};

/// The row of the nodes that were there.
const ROSTER: &str = "roster";
/// The row of the sources.
const SOURCES: &str = "sources";

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// What is wrong, or was within the cooldown.
    pub episodes: BTreeMap<Subject, BTreeMap<Kind, Episode>>,
    /// The nodes of the last check, by name.
    pub(crate) roster: BTreeMap<String, Known>,
    /// Cordons and taints that came while the node was watched.
    pub(crate) watched: BTreeMap<String, Watch>,
    /// The metrics that were known of most nodes at some time, and since when they are not.
    pub sources: BTreeMap<String, SourceSeen>,
}

/// What is remembered of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceSeen {
    /// Since when it is not, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<(Time, String)>,
}

/// A row of the state: its key, and its text or nothing if it has to go.
pub type Row = (String, Option<String>);

/// A subject's row.
#[derive(Serialize, Deserialize)]
struct SubjectRow {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    episodes: BTreeMap<Kind, Episode>,
    #[serde(default, skip_serializing_if = "Watch::is_empty")]
    watch: Watch,
}

impl Memory {
    /// Reads the rows; what cannot be read is forgotten, and named in the second part.
    pub fn of_rows<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Self, Vec<String>) {
        let mut memory = Self::default();
        let mut lost = Vec::new();
        for (key, text) in rows {
            if !memory.take_row(key, text) {
                lost.push(key.to_owned());
            }
        }
        (memory, lost)
    }

    fn take_row(&mut self, key: &str, text: &str) -> bool {
        match key {
            ROSTER => {
                self.roster = text.lines().filter_map(Known::of_line).collect();
                true
            }
            SOURCES => serde_json::from_str(text)
                .map(|sources| self.sources = sources)
                .is_ok(),
            _ => {
                let row: Option<SubjectRow> = serde_json::from_str(text).ok();
                let (Some(subject), Some(row)) = (Subject::of_row(key), row) else {
                    return false;
                };
                if let Some(node) = subject.node().filter(|_| !row.watch.is_empty()) {
                    self.watched.insert(node.to_owned(), row.watch);
                }
                if !row.episodes.is_empty() {
                    self.episodes.insert(subject, row.episodes);
                }
                true
            }
        }
    }

    /// The rows that differ from those of `before`.
    pub fn changed_rows(&self, before: &Self) -> Vec<Row> {
        let mut rows = Vec::new();
        if self.roster != before.roster {
            let lines: Vec<String> = self.roster.iter().map(Known::line).collect();
            rows.push((ROSTER.to_owned(), Some(lines.join("\n"))));
        }
        if self.sources != before.sources {
            rows.push((SOURCES.to_owned(), json(&self.sources)));
        }
        for subject in self.subjects(before) {
            let (row, old) = (self.row(&subject), before.row(&subject));
            if row != old {
                rows.push((subject.row(), row));
            }
        }
        rows
    }

    /// Every subject that has a row here or there.
    fn subjects(&self, other: &Self) -> BTreeSet<Subject> {
        [self, other]
            .into_iter()
            .flat_map(|memory| {
                let watched = memory.watched.keys().cloned().map(Subject::Node);
                memory.episodes.keys().cloned().chain(watched)
            })
            .collect()
    }

    fn row(&self, subject: &Subject) -> Option<String> {
        let watch = subject.node().and_then(|node| self.watched.get(node));
        let episodes = self.episodes.get(subject);
        if watch.is_none() && episodes.is_none_or(BTreeMap::is_empty) {
            return None;
        }
        json(&SubjectRow {
            episodes: episodes.cloned().unwrap_or_default(),
            watch: watch.cloned().unwrap_or_default(),
        })
    }

    /// The episode of a subject, if it goes on.
    pub fn open(&self, subject: &Subject, kind: Kind) -> Option<&Episode> {
        let episode = self.episodes.get(subject)?.get(&kind)?;
        Some(episode).filter(|episode| episode.is_open())
    }

    /// The nodes of the last check, with their zones; an empty zone: none.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &str)> {
        let nodes = self.roster.iter();
        nodes.map(|(name, known)| (name.as_str(), known.zone.as_str()))
    }

    /// Whether someone else has cordoned a node.
    pub fn is_cordoned(&self, node: &str) -> bool {
        let watch = self.watched.get(node);
        watch.is_some_and(|watch| watch.cordoned.is_some())
    }

    /// What goes on with a subject.
    pub fn open_episodes(&self, subject: &Subject) -> impl Iterator<Item = (Kind, &Episode)> {
        let episodes = self.episodes.get(subject).into_iter().flatten();
        episodes
            .filter(|(_, episode)| episode.is_open())
            .map(|(kind, episode)| (*kind, episode))
    }
}

/// Maps with texts as keys and finite numbers always have a JSON form.
fn json<T: Serialize>(value: &T) -> Option<String> {
    serde_json::to_string(value).ok()
}
