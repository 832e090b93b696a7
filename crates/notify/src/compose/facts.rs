//! What a group of alerts says together: its nodes, when it began, and names for it that stay the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use ng_engine::parcel::{Member, Parcel};
use ng_engine::plan::{ActionNote, AlertKind, Input, Notice};
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use sha2::{Digest as _, Sha256};

use crate::message::{Conditions, Metrics, NodeFacts, TopPod};

/// The facts of one message.
pub(super) struct Facts<'a> {
    pub(super) kind: AlertKind,
    pub(super) severity: Severity,
    pub(super) rule: &'a str,
    pub(super) rule_description: &'a str,
    pub(super) cluster: Option<&'a str>,
    /// In the order of their names, each once.
    pub(super) nodes: Vec<NodeFacts>,
    pub(super) at: Time,
    pub(super) since: Time,
    /// The most that any of the nodes has.
    pub(super) repeats: u32,
    pub(super) dry_run: bool,
    pub(super) id: String,
    pub(super) fingerprint: String,
    pub(super) group: String,
}

impl<'a> Facts<'a> {
    /// The facts of alerts of one rule and one kind. Of several alerts of a node the newest counts, and the earliest
    /// `since`.
    pub(super) fn of(
        parcels: &'a [Parcel],
        cluster: Option<&'a str>,
        top_pods: &BTreeMap<String, Vec<TopPod>>,
    ) -> Self {
        let latest = parcels.iter().map(Parcel::head).max_by_key(|head| head.at);
        let rule = latest.map_or("", |head| &head.rule);
        let shared: Vec<Shared> = parcels.iter().map(Shared::of).collect();
        let newest = newest(parcels);
        let nodes: Vec<NodeFacts> = newest
            .iter()
            .map(|Newest { member, parcel, .. }| {
                let shared = &shared[*parcel];
                NodeFacts {
                    name: member.node.to_owned(),
                    fingerprint: node_fingerprint(cluster, rule, member.node),
                    since: member.since,
                    repeats: member.repeats,
                    guard: member.guard().cloned(),
                    metrics: Metrics::of(&shared.metrics, member.readings()),
                    conditions: Conditions::of(&shared.conditions, member.readings_of_conditions()),
                    actions: Arc::clone(&shared.actions),
                    top_pods: top_pods.get(member.node).cloned().unwrap_or_default(),
                    notice: shared.notice.clone(),
                }
            })
            .collect();
        let members = || parcels.iter().flat_map(Parcel::members);
        let group = group_fingerprint(cluster, rule);
        let kind = latest.map_or(AlertKind::Trigger, |alert| alert.kind);
        let at = latest.map_or(Time::from_millis(0), |alert| alert.at);
        Self {
            kind,
            severity: latest.map_or(Severity::Warning, |alert| alert.severity),
            rule,
            rule_description: latest.map_or("", |alert| &alert.rule_description),
            cluster,
            at,
            since: members().map(|member| member.since).min().unwrap_or(at),
            repeats: nodes.iter().map(|node| node.repeats).max().unwrap_or(0),
            dry_run: parcels.iter().any(|parcel| parcel.head().dry_run),
            id: id(cluster, rule, kind, &newest),
            fingerprint: match nodes.as_slice() {
                [only] => only.fingerprint.clone(),
                _ => group.clone(),
            },
            group,
            nodes,
        }
    }
}

impl Facts<'_> {
    /// The words that came with the alerts, where no rule stands behind them: those of the first node.
    pub(super) fn notice(&self) -> Option<&Notice> {
        self.nodes.first()?.notice.as_deref()
    }
}

/// What the nodes of a parcel have in common.
struct Shared {
    metrics: Arc<[String]>,
    conditions: Arc<[Input]>,
    actions: Arc<[ActionNote]>,
    notice: Option<Arc<Notice>>,
}

impl Shared {
    fn of(parcel: &Parcel) -> Self {
        let head = parcel.head();
        Self {
            metrics: head.metrics.keys().cloned().collect(),
            conditions: head.conditions.as_slice().into(),
            actions: head.actions.as_slice().into(),
            notice: head.notice.clone().map(Arc::new),
        }
    }
}

/// The newest alert of a node.
struct Newest<'p> {
    member: Member<'p>,
    at: Time,
    parcel: usize,
}

/// In the order of the nodes' names.
fn newest(parcels: &[Parcel]) -> Vec<Newest<'_>> {
    let mut newest: Vec<Newest<'_>> = Vec::with_capacity(parcels.iter().map(Parcel::len).sum());
    for (place, parcel) in parcels.iter().enumerate() {
        let at = parcel.head().at;
        let members = parcel.members().map(|member| Newest {
            member,
            at,
            parcel: place,
        });
        // A call by hand may tell of a rule alone.
        newest.extend(members.filter(|newest| !newest.member.node.is_empty()));
    }
    let is_sorted = newest.is_sorted_by(|one, other| one.member.node < other.member.node);
    if !is_sorted {
        // Of several of a node the newest comes first; of those of one time, what was queued last.
        newest.sort_by(|one, other| {
            let by_node = one.member.node.cmp(other.member.node);
            by_node.then_with(|| (other.at, other.parcel).cmp(&(one.at, one.parcel)))
        });
        newest.dedup_by_key(|newest| newest.member.node);
    }
    newest
}

/// Of a node under a rule in a cluster: the same from trigger to recovery.
pub fn node_fingerprint(cluster: Option<&str>, rule: &str, node: &str) -> String {
    digest(["node", cluster.unwrap_or_default(), rule, node])
}

/// Of a rule in a cluster, whatever the nodes.
pub fn group_fingerprint(cluster: Option<&str>, rule: &str) -> String {
    digest(["rule", cluster.unwrap_or_default(), rule])
}

/// The same for the same alerts, and for no others.
fn id(cluster: Option<&str>, rule: &str, kind: AlertKind, newest: &[Newest<'_>]) -> String {
    let mut hash = Sha256::new();
    for part in ["message", cluster.unwrap_or_default(), rule, word(kind)] {
        add(&mut hash, part);
    }
    let mut time = (Time::from_millis(0), "0".to_owned());
    for newest in newest {
        if newest.at != time.0 {
            time = (newest.at, newest.at.millis().to_string());
        }
        add(&mut hash, newest.member.node);
        add(&mut hash, &time.1);
    }
    shown(hash)
}

/// The word for a kind of alert, in data and messages.
pub(super) const fn word(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Trigger => "trigger",
        AlertKind::Repeat => "repeat",
        AlertKind::Recovery => "recovery",
    }
}

/// 128 bits of a hash over the parts.
fn digest<'p>(parts: impl IntoIterator<Item = &'p str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        add(&mut hash, part);
    }
    shown(hash)
}

/// A part with its length, so that no two lists of parts are the same text.
fn add(hash: &mut Sha256, part: &str) {
    hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
    hash.update(part);
}

fn shown(hash: Sha256) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    let (pairs, _) = text.as_chunks_mut();
    for (pair, byte) in pairs.iter_mut().zip(hash.finalize()) {
        *pair = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
    }
    str::from_utf8(&text).unwrap_or_default().to_owned()
}
