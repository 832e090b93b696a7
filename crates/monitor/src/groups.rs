//! One alert for a common cause: most nodes of a zone not ready, readings of nearly all nodes gone.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::draft::{Draft, Finding};
use crate::episode::Verdict;
use crate::kind::{Kind, Level, Subject};
use crate::memory::{Memory, SourceSeen};

/// Fewer nodes that are not ready than this have each a cause of its own.
const FEWEST: usize = 3;

/// How many names a message lists.
const NAMED: usize = 10;

/// After so long a silence a source counts as taken away.
const TAKEN_AWAY: Duration = Duration::from_hours(24);

/// The group of a node: its zone, or the cluster.
pub(crate) fn group(zone: &str) -> Subject {
    if zone.is_empty() {
        Subject::Cluster
    } else {
        Subject::Zone(zone.to_owned())
    }
}

/// The group of a node that was there at the last check.
pub(crate) fn group_of(node: &str, memory: &Memory) -> Subject {
    memory
        .roster
        .get(node)
        .map_or(Subject::Cluster, |known| group(&known.zone))
}

/// Takes in how many nodes of each zone are not ready. A group begins with at least three that are more than half, and
/// ends when they are fewer than a third, or only one.
pub(crate) fn observe_zones(draft: &mut Draft<'_>) {
    let mut zones: BTreeMap<&str, (usize, Vec<&str>)> = BTreeMap::new();
    for (name, known) in &draft.memory.roster {
        let zone = zones.entry(&known.zone).or_default();
        zone.0 += 1;
        let node = Subject::Node(name.clone());
        if draft.memory.open(&node, Kind::NotReady).is_some() {
            zone.1.push(name);
        }
    }
    let mut findings: Vec<(Subject, Finding)> = Vec::new();
    for (zone, (total, silent)) in zones {
        let subject = group(zone);
        let is_open = draft.memory.open(&subject, Kind::ManyNotReady).is_some();
        let count = silent.len();
        let many = if is_open {
            count > 1 && count * 3 >= total
        } else {
            count >= FEWEST && count * 2 > total
        };
        let finding = if many {
            Finding::of(Verdict::Bad(Level::Critical)).detail(named(&silent, total))
        } else {
            Finding::of(Verdict::Clear)
        };
        findings.push((subject, finding));
    }
    // Zones that have lost their last node.
    let open = draft.memory.episodes.keys();
    let gone: Vec<Subject> = open
        .filter(|subject| !matches!(subject, Subject::Node(_)))
        .filter(|subject| !findings.iter().any(|(known, _)| known == *subject))
        .cloned()
        .collect();
    for (subject, finding) in findings {
        draft.observe(&subject, Kind::ManyNotReady, finding);
    }
    for subject in gone {
        draft.observe(&subject, Kind::ManyNotReady, Finding::of(Verdict::Clear));
    }
}

/// How many of how many, and the first of them.
fn named(names: &[&str], total: usize) -> String {
    let shown = names.len().min(NAMED);
    let more = if names.len() > shown { ", …" } else { "" };
    format!(
        "{}/{total}: {}{more}",
        names.len(),
        names[..shown].join(", ")
    )
}

/// What one check found out about a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coverage {
    pub(crate) metric: &'static str,
    pub(crate) known: usize,
    pub(crate) nodes: usize,
    /// Why the most of the others are unknown.
    pub(crate) reason: &'static str,
}

/// Takes in how much is known. A metric that was never known is not missed; one that was, and is unknown for nine
/// nodes of ten at two checks in a row, is.
pub(crate) fn observe_sources(draft: &mut Draft<'_>, coverage: &[Coverage]) {
    let now = draft.now;
    for seen in coverage.iter().filter(|seen| seen.nodes > 0) {
        let silent = seen.known * 10 <= seen.nodes && seen.known < seen.nodes;
        let sources = &mut draft.memory.sources;
        match (sources.get_mut(seen.metric), silent) {
            (_, false) => {
                sources.insert(seen.metric.to_owned(), SourceSeen::default());
            }
            (Some(source), true) => {
                let since = source
                    .silent
                    .take()
                    .map_or(now, |(since, _)| since.min(now));
                source.silent = Some((since, seen.reason.to_owned()));
            }
            (None, true) => {}
        }
    }
    draft.memory.sources.retain(|_, source| {
        let silent = source.silent.as_ref();
        silent.is_none_or(|(since, _)| now.since(*since) < TAKEN_AWAY)
    });
    let patience = draft.settings.interval / 2;
    let silent: Vec<String> = draft
        .memory
        .sources
        .iter()
        .filter_map(|(metric, source)| {
            let (since, reason) = source.silent.as_ref()?;
            (now.since(*since) >= patience).then(|| format!("{metric} ({reason})"))
        })
        .collect();
    let finding = if silent.is_empty() {
        Finding::of(Verdict::Clear)
    } else {
        Finding::of(Verdict::Bad(Level::Warning)).detail(silent.join(", "))
    };
    draft.observe(&Subject::Cluster, Kind::MetricsSilent, finding);
}
