//! The nodes as they are, held against thresholds and against what they were.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ng_config::Levels;
use ng_engine::history::{Ledger, MarkKey};
use ng_engine::node::{MUTE_UNTIL_ANNOTATION, Nodes};
use ng_engine::plan::Mute;
use ng_engine::reading::{Column, Reading, Unknown};
use ng_engine::rule::NodeStatus;
use ng_engine::time::Time;

use crate::draft::{About, Draft, Finding};
use crate::episode::{Hidden, Verdict};
use crate::groups::{self, Coverage};
use crate::kind::{Kind, Level, Metric, Subject};
use crate::memory::Memory;
use crate::plan::{Note, Plan};
use crate::settings::Settings;
use crate::watch::{self, Known, Watch};

/// The label that names a node's zone.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// A lease is renewed every ten seconds; a node whose lease is older than 40 or 50 s is marked by Kubernetes itself.
const LEASE_SILENT: Duration = Duration::from_mins(2);

/// Below this a forecast is not told.
const LEAST_CONFIDENCE: f64 = 0.6;

/// Conditions of a node that say that something is short, and what that is here.
pub const PRESSURES: [(&str, Kind); 4] = [
    ("MemoryPressure", Kind::MemoryPressure),
    ("DiskPressure", Kind::DiskPressure),
    ("PIDPressure", Kind::PidPressure),
    ("NetworkUnavailable", Kind::NetworkUnavailable),
];

/// What a forecast says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Foretold {
    /// Full at about this time.
    Full {
        /// The most likely time.
        expected: Time,
        /// Hardly before.
        earliest: Time,
        /// Hardly after; `None`: perhaps never.
        latest: Option<Time>,
        /// From 0 to 1.
        confidence: f64,
    },
    /// Nothing that could be relied on, or not within the horizon.
    Nothing,
}

/// What a check is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The time of the check.
    pub now: Time,
    /// The nodes as they are.
    pub nodes: &'a Nodes,
    /// Readings of all nodes.
    pub columns: &'a [(Metric, &'a Column)],
    /// When each node's kubelet last renewed its lease; `None`: leases are not known.
    pub leases: Option<&'a [Option<Time>]>,
    /// Forecasts that were made in this run: position of the node, metric.
    pub outlooks: &'a [(usize, Metric, Foretold)],
    /// Nodes that are missing and of which it is sure that they were deleted; see [`missing`].
    pub gone: &'a BTreeSet<String>,
    /// What NodeGuardian itself has set on nodes.
    pub ledgers: &'a BTreeMap<String, Ledger>,
}

/// The nodes of the last check that are not there any more. A snapshot can lack a node that exists, so the caller
/// finds out which of them were deleted.
pub fn missing<'m>(memory: &'m Memory, nodes: &Nodes) -> Vec<&'m str> {
    let present: BTreeSet<&str> = nodes.names().collect();
    let known = memory.roster.keys().map(String::as_str);
    known.filter(|name| !present.contains(name)).collect()
}

/// Checks every node.
pub fn check(facts: &Facts<'_>, memory: Memory, settings: &Settings) -> (Plan, Memory) {
    let mut draft = Draft::new(memory, settings, facts.now);
    align(&mut draft, facts);
    let_go(&mut draft);
    let busy = Busy::of(&draft.memory, facts.nodes);
    observe_nodes(&mut draft, facts, &busy);
    observe_readings(&mut draft, facts, &busy);
    observe_leases(&mut draft, facts, &busy);
    observe_outlooks(&mut draft, facts);
    groups::observe_zones(&mut draft);
    groups::observe_sources(&mut draft, &coverage(facts));
    tell(&mut draft, facts);
    (draft.plan, draft.memory)
}

/// Nodes of which something is remembered. Of the others only what is bad counts, and they are nearly all.
struct Busy(Vec<bool>);

impl Busy {
    fn of(memory: &Memory, nodes: &Nodes) -> Self {
        let mut busy = vec![false; nodes.len()];
        let positions = nodes.positions();
        let with_episodes = memory.episodes.keys().filter_map(Subject::node);
        let watched = memory.watched.keys().map(String::as_str);
        for node in with_episodes.chain(watched) {
            if let Some(node) = positions.get(node) {
                busy[*node] = true;
            }
        }
        Self(busy)
    }

    /// Whether anything can follow from a finding.
    fn heeds(&self, node: usize, verdict: Verdict) -> bool {
        self.0[node] || matches!(verdict, Verdict::Bad(_))
    }
}

/// A deletion is remembered for so long, in case a node of that name comes back.
const DELETION_REMEMBERED: Duration = Duration::from_hours(24);

/// Nodes that do not come back: what was told of them stands.
fn let_go(draft: &mut Draft<'_>) {
    let now = draft.now;
    draft.memory.episodes.retain(|_, episodes| {
        episodes.retain(|kind, episode| {
            let old = now.since(episode.since) >= DELETION_REMEMBERED;
            !(old && *kind == Kind::Deleted && episode.is_open())
        });
        !episodes.is_empty()
    });
}

/// Takes nodes that came and went into the roster.
fn align(draft: &mut Draft<'_>, facts: &Facts<'_>) {
    for name in facts.gone {
        if draft.memory.roster.contains_key(name) {
            forget(draft, name);
        }
    }
    let first = draft.memory.roster.is_empty();
    for node in 0..facts.nodes.len() {
        let name = facts.nodes.name(node);
        let (uid, zone) = (
            facts.nodes.uid(node),
            facts.nodes.label(node, ZONE_LABEL).unwrap_or_default(),
        );
        match draft.memory.roster.get_mut(name) {
            Some(known) if known.uid == uid => {
                if known.zone != zone {
                    zone.clone_into(&mut known.zone);
                }
            }
            _ => {
                let known = Known {
                    uid: uid.to_owned(),
                    zone: zone.to_owned(),
                    taints: watch::away(facts.nodes.taints(node)),
                };
                join(draft, name, known);
                if !first {
                    draft.note(Note::Joined(name.to_owned()));
                }
            }
        }
    }
}

/// A node has come, or another one under its name.
pub(crate) fn join(draft: &mut Draft<'_>, name: &str, known: Known) {
    draft.memory.watched.remove(name);
    draft.memory.roster.insert(name.to_owned(), known);
    let subject = Subject::Node(name.to_owned());
    draft.observe(&subject, Kind::Deleted, Finding::of(Verdict::Clear));
}

/// A node was deleted: that is told, and everything else about it is over.
pub(crate) fn forget(draft: &mut Draft<'_>, name: &str) {
    draft.memory.roster.remove(name);
    draft.memory.watched.remove(name);
    let subject = Subject::Node(name.to_owned());
    let kinds: Vec<Kind> = draft
        .memory
        .episodes
        .get(&subject)
        .map(|episodes| episodes.keys().copied().collect())
        .unwrap_or_default();
    for kind in kinds.into_iter().filter(|kind| *kind != Kind::Deleted) {
        let deleted = crate::words::kind_name(Kind::Deleted, draft.settings.language);
        let finding = Finding::of(Verdict::Clear).detail(deleted);
        draft.observe(&subject, kind, finding);
        // Its last reading says nothing about the end.
        let episodes = draft.memory.episodes.get_mut(&subject);
        if let Some(episode) = episodes.and_then(|episodes| episodes.get_mut(&kind)) {
            episode.value = None;
        }
    }
    let finding = Finding::of(Verdict::Bad(Level::Critical));
    draft.observe(&subject, Kind::Deleted, finding);
    draft.note(Note::Deleted(name.to_owned()));
}

/// Conditions, cordons and taints.
fn observe_nodes(draft: &mut Draft<'_>, facts: &Facts<'_>, busy: &Busy) {
    let nodes = facts.nodes;
    for node in 0..nodes.len() {
        observe_ready(draft, node, facts, busy);
        for (condition, kind) in PRESSURES {
            let status = nodes.condition(node, condition);
            let verdict = match status.map(|status| status.status) {
                Some(NodeStatus::True) => Verdict::Bad(Level::Warning),
                Some(NodeStatus::False) => Verdict::Clear,
                Some(NodeStatus::Unknown) | None => Verdict::Unknown,
            };
            if busy.heeds(node, verdict) {
                let subject = Subject::Node(nodes.name(node).to_owned());
                draft.observe(&subject, kind, Finding::of(verdict));
            }
        }
        let cordoned = nodes.is_unschedulable(node);
        if busy.0[node] || cordoned || !nodes.taints(node).is_empty() {
            let seen = Away {
                cordoned,
                taints: watch::away(nodes.taints(node)),
            };
            let name = nodes.name(node);
            observe_away(draft, name, &seen, facts.ledgers.get(name));
        }
    }
}

fn observe_ready(draft: &mut Draft<'_>, node: usize, facts: &Facts<'_>, busy: &Busy) {
    let ready = facts.nodes.condition(node, "Ready");
    let finding = match ready.map(|ready| ready.status) {
        Some(NodeStatus::True) => Finding::of(Verdict::Clear),
        Some(status) => {
            let reason = facts.nodes.not_ready_reason(node);
            not_ready(status, reason.unwrap_or_default())
        }
        // A node that has not reported yet.
        None => Finding::of(Verdict::Unknown),
    };
    if busy.heeds(node, finding.verdict) {
        let subject = Subject::Node(facts.nodes.name(node).to_owned());
        draft.observe(&subject, Kind::NotReady, finding);
    }
}

/// What is said of a node that is not ready.
pub(crate) fn not_ready(status: NodeStatus, reason: &str) -> Finding {
    let detail = match reason {
        "" => status.to_string(),
        reason => reason.to_owned(),
    };
    Finding::of(Verdict::Bad(Level::Critical)).detail(detail)
}

/// What keeps pods away from a node.
pub(crate) struct Away {
    pub(crate) cordoned: bool,
    pub(crate) taints: BTreeSet<String>,
}

/// Remembers since when a node is cordoned and which taints came while it was watched; what lasts is told. What
/// NodeGuardian set itself is told by its rule.
pub(crate) fn observe_away(
    draft: &mut Draft<'_>,
    name: &str,
    seen: &Away,
    ledger: Option<&Ledger>,
) {
    let ours = |wanted: &dyn Fn(&MarkKey) -> bool| {
        ledger.is_some_and(|ledger| ledger.marks.iter().any(|owned| wanted(&owned.mark.key)))
    };
    let is_our_taint = |taint: &str| {
        ours(&|key| match key {
            MarkKey::Taint { key, effect } => taint == format!("{key}:{}", effect.word()),
            MarkKey::Cordon | MarkKey::Label { .. } | MarkKey::Annotation { .. } => false,
        })
    };
    let cordoned = seen.cordoned && !ours(&|key| matches!(key, MarkKey::Cordon));
    let known = draft.memory.roster.get(name);
    let new: Vec<&String> = seen
        .taints
        .iter()
        .filter(|taint| known.is_none_or(|known| !known.taints.contains(*taint)))
        .filter(|taint| !is_our_taint(taint))
        .collect();
    let before = draft.memory.watched.get(name).cloned().unwrap_or_default();
    if !cordoned && new.is_empty() && before.is_empty() {
        return;
    }
    let since = |taint: &String| {
        let known = before.taints.iter().find(|(known, _)| known == taint);
        known.map_or(draft.now, |(_, since)| *since)
    };
    let after = Watch {
        cordoned: cordoned.then(|| before.cordoned.unwrap_or(draft.now)),
        taints: new
            .into_iter()
            .map(|taint| (taint.clone(), since(taint)))
            .collect(),
    };
    note_differences(draft, name, &before, &after);
    let lasts = |since: Time| draft.now.since(since) >= draft.settings.unschedulable_after;
    let verdict = |bad: bool| {
        if bad {
            Verdict::Bad(Level::Warning)
        } else {
            Verdict::Clear
        }
    };
    let cordon = Finding::of(verdict(after.cordoned.is_some_and(lasts)));
    let stay: Vec<&str> = after
        .taints
        .iter()
        .filter(|(_, since)| lasts(*since))
        .map(|(taint, _)| taint.as_str())
        .collect();
    let taint = Finding::of(verdict(!stay.is_empty())).detail(stay.join(", "));
    let subject = Subject::Node(name.to_owned());
    draft.observe(&subject, Kind::Cordoned, cordon);
    draft.observe(&subject, Kind::Tainted, taint);
    if after.is_empty() {
        draft.memory.watched.remove(name);
    } else {
        draft.memory.watched.insert(name.to_owned(), after);
    }
}

fn note_differences(draft: &mut Draft<'_>, name: &str, before: &Watch, after: &Watch) {
    let name = || name.to_owned();
    match (before.cordoned, after.cordoned) {
        (None, Some(_)) => draft.note(Note::Cordoned(name())),
        (Some(_), None) => draft.note(Note::Uncordoned(name())),
        (None, None) | (Some(_), Some(_)) => {}
    }
    let lacks =
        |watch: &Watch, taint: &String| !watch.taints.iter().any(|(known, _)| known == taint);
    for (taint, _) in after
        .taints
        .iter()
        .filter(|(taint, _)| lacks(before, taint))
    {
        draft.note(Note::TaintAdded(name(), taint.clone()));
    }
    for (taint, _) in before
        .taints
        .iter()
        .filter(|(taint, _)| lacks(after, taint))
    {
        draft.note(Note::TaintRemoved(name(), taint.clone()));
    }
}

fn observe_readings(draft: &mut Draft<'_>, facts: &Facts<'_>, busy: &Busy) {
    for (metric, column) in facts.columns {
        let levels = metric.levels(&draft.settings.thresholds);
        let slack = match metric {
            Metric::Load => levels.warning * draft.settings.hysteresis / 100.0,
            _ => draft.settings.hysteresis,
        };
        for (node, value) in column.values().iter().enumerate() {
            // What is unknown is NaN, of which nothing follows.
            if value.is_nan() || !busy.0[node] && *value <= levels.warning {
                continue;
            }
            let subject = Subject::Node(facts.nodes.name(node).to_owned());
            let open = draft.memory.open(&subject, metric.high());
            let verdict = judge(*value, levels, slack, open.map(|episode| episode.level));
            let finding = Finding {
                value: Some(*value),
                ..Finding::of(verdict)
            };
            draft.observe(&subject, metric.high(), finding);
        }
    }
}

/// Above a threshold is bad; what was above stays so until it is clearly below.
fn judge(value: f64, levels: Levels, slack: f64, before: Option<Level>) -> Verdict {
    let above = |threshold: f64, level: Level| {
        let stays = before.is_some_and(|before| before >= level);
        value > threshold || stays && value > threshold - slack
    };
    if above(levels.critical, Level::Critical) {
        Verdict::Bad(Level::Critical)
    } else if above(levels.warning, Level::Warning) {
        Verdict::Bad(Level::Warning)
    } else {
        Verdict::Clear
    }
}

/// A kubelet that is silent while its node still counts as ready. Where most are, the clocks or the way to the API
/// server are to blame, and nothing is said of single nodes.
fn observe_leases(draft: &mut Draft<'_>, facts: &Facts<'_>, busy: &Busy) {
    let Some(leases) = facts.leases else { return };
    let age = |node: usize| {
        let renewed = leases.get(node).copied().flatten()?;
        Some(facts.now.since(renewed))
    };
    let is_silent = |node: usize| {
        facts.nodes.is_ready(node) && age(node).is_some_and(|age| age >= LEASE_SILENT)
    };
    let silent = (0..facts.nodes.len())
        .filter(|node| is_silent(*node))
        .count();
    if silent >= 3 && silent * 2 > facts.nodes.len() {
        draft.note(Note::LeasesDoubtful(silent));
        return;
    }
    for node in 0..facts.nodes.len() {
        let finding = match age(node) {
            None => Finding::of(Verdict::Unknown),
            Some(age) if is_silent(node) => {
                let age = crate::words::duration(age);
                Finding::of(Verdict::Bad(Level::Warning)).detail(age)
            }
            Some(_) => Finding::of(Verdict::Clear),
        };
        if busy.heeds(node, finding.verdict) {
            let subject = Subject::Node(facts.nodes.name(node).to_owned());
            draft.observe(&subject, Kind::LeaseSilent, finding);
        }
    }
}

fn observe_outlooks(draft: &mut Draft<'_>, facts: &Facts<'_>) {
    let Some(horizon) = draft.settings.predict else {
        return;
    };
    for (node, metric, foretold) in facts.outlooks {
        let Some(kind) = metric.foretold() else {
            continue;
        };
        let subject = Subject::Node(facts.nodes.name(*node).to_owned());
        // What was told stays for a little longer, or an answer at the edge would come and go.
        let open = draft.memory.open(&subject, kind).is_some();
        let horizon = if open { horizon * 5 / 4 } else { horizon };
        let mut finding = Finding::of(Verdict::Clear);
        if let Foretold::Full {
            expected,
            earliest,
            latest,
            confidence,
        } = *foretold
            && expected <= facts.now.plus(horizon)
            && confidence >= LEAST_CONFIDENCE
        {
            let until = latest.map_or_else(|| "?".to_owned(), |latest| latest.to_string());
            finding = Finding::of(Verdict::Bad(Level::Warning))
                .detail(format!("{earliest} – {until}, {:.0}%", confidence * 100.0));
            finding.expected = Some(expected);
        }
        let column = facts.columns.iter().find(|(known, _)| known == metric);
        finding.value = column.and_then(|(_, column)| value(column, *node));
        draft.observe(&subject, kind, finding);
    }
}

fn value(column: &Column, node: usize) -> Option<f64> {
    match column.get(node) {
        Reading::Value { value, .. } => Some(value),
        Reading::Unknown(_) => None,
    }
}

fn coverage(facts: &Facts<'_>) -> Vec<Coverage> {
    let of_column = |(metric, column): &(Metric, &Column)| {
        let known = column
            .values()
            .iter()
            .filter(|value| !value.is_nan())
            .count();
        let unknown = (0..column.len()).find_map(|node| match column.get(node) {
            Reading::Unknown(reason) => Some(reason),
            Reading::Value { .. } => None,
        });
        Coverage {
            metric: metric.name(),
            known,
            nodes: column.len(),
            reason: unknown.map_or("", Unknown::word),
        }
    };
    facts.columns.iter().map(of_column).collect()
}

/// Tells of every subject what there is to tell.
fn tell(draft: &mut Draft<'_>, facts: &Facts<'_>) {
    let positions = facts.nodes.positions();
    let mut subjects: Vec<Subject> = draft.memory.episodes.keys().cloned().collect();
    // The common cause before what it explains.
    subjects.sort_by_key(|subject| subject.node().is_some());
    for subject in subjects {
        let group = subject
            .node()
            .map(|node| groups::group_of(node, &draft.memory));
        let hides = hides(&subject, group, draft);
        let about = || {
            let node = subject.node().and_then(|node| positions.get(node));
            node.map_or_else(About::default, |node| about(*node, facts))
        };
        draft.tell(&subject, hides, about);
    }
}

/// What explains what: a node that is not ready explains the rest of what is wrong with it, a common cause explains
/// that it is not ready, and what is nearly full needs no forecast.
pub(crate) fn hides(
    subject: &Subject,
    group: Option<Subject>,
    draft: &Draft<'_>,
) -> impl Fn(Kind, &Memory) -> Hidden + use<> {
    let memory = &draft.memory;
    // An alert that nobody was told hides nothing.
    let by_group = group.is_some_and(|group| {
        let episode = memory.open(&group, Kind::ManyNotReady);
        episode.is_some_and(|episode| episode.told.is_some())
    });
    let not_ready = memory.open(subject, Kind::NotReady).is_some();
    let critical: Vec<Kind> = Metric::ALL
        .into_iter()
        .filter(|metric| {
            let open = memory.open(subject, metric.high());
            open.is_some_and(|episode| episode.level == Level::Critical)
        })
        .filter_map(Metric::foretold)
        .collect();
    move |kind, _| {
        let hidden = match kind {
            Kind::NotReady => by_group,
            Kind::Deleted | Kind::ManyNotReady | Kind::MetricsSilent => false,
            kind => not_ready || critical.contains(&kind),
        };
        if hidden { Hidden::Yes } else { Hidden::No }
    }
}

fn about(node: usize, facts: &Facts<'_>) -> About {
    let metrics = facts.columns.iter().filter_map(|(metric, column)| {
        let value = value(column, node)?;
        Some((metric.name().to_owned(), value))
    });
    let until = facts.nodes.annotation(node, MUTE_UNTIL_ANNOTATION);
    let ledger = facts.ledgers.get(facts.nodes.name(node));
    About {
        metrics: metrics.collect(),
        mute: mute(until, facts.nodes.is_unschedulable(node), ledger, facts.now),
    }
}

/// Why alerts about a node are not sent.
pub(crate) fn mute(
    until: Option<&str>,
    cordoned: impl Into<bool>,
    ledger: Option<&Ledger>,
    now: Time,
) -> Option<Mute> {
    let until = until.and_then(|text| text.parse::<Time>().ok());
    if let Some(until) = until.filter(|until| *until > now) {
        return Some(Mute::Until(until));
    }
    let ours = ledger.is_some_and(|ledger| {
        let mut marks = ledger.marks.iter();
        marks.any(|owned| owned.mark.key == MarkKey::Cordon)
    });
    (cordoned.into() && !ours).then_some(Mute::ForeignCordon)
}
