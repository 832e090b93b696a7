//! What a group of alerts says together: its nodes, when it began, and names for it that stay the same.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ng_engine::parcel::{Member, Parcel, Reading};
use ng_engine::plan::{ActionNote, Alert, AlertKind, Input, Notice};
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use sha2::{Digest as _, Sha256};

use crate::message::{Conditions, Metrics, NodeFacts, SharedText, TopPod};

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
        let group = of_group(cluster, rule);
        let digests: Vec<Digest> = newest
            .iter()
            .map(|newest| of_node(&group, newest.member.node))
            .collect();
        let fingerprints: Arc<str> = shown(&digests).into();
        let nodes: Vec<NodeFacts> = newest
            .iter()
            .enumerate()
            .map(|(number, newest)| {
                let (member, shared) = (&newest.member, &shared[newest.parcel]);
                NodeFacts {
                    name: SharedText::of(&shared.names, newest.name.clone()),
                    fingerprint: SharedText::of(
                        &fingerprints,
                        number * SHOWN..(number + 1) * SHOWN,
                    ),
                    since: member.since,
                    repeats: member.repeats,
                    guard: member.guard().cloned(),
                    metrics: Metrics::nth(&shared.metrics, &shared.values, newest.place),
                    conditions: Conditions::nth(&shared.conditions, &shared.readings, newest.place),
                    actions: Arc::clone(&shared.actions),
                    top_pods: top_pods.get(member.node).cloned().unwrap_or_default(),
                    notice: shared.notice.clone(),
                }
            })
            .collect();
        let members = || parcels.iter().flat_map(Parcel::members);
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
            id: shown(&[of_message(
                &group,
                latest,
                digests.iter().zip(newest.iter().map(|newest| newest.at)),
            )]),
            fingerprint: match digests.as_slice() {
                [only] => shown(&[*only]),
                _ => shown(&[group]),
            },
            group: shown(&[group]),
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

/// What the nodes of a parcel have in common, and what of each of them is kept together.
struct Shared {
    names: Arc<str>,
    metrics: Arc<[String]>,
    values: Arc<[f64]>,
    conditions: Arc<[Input]>,
    readings: Arc<[Reading]>,
    actions: Arc<[ActionNote]>,
    notice: Option<Arc<Notice>>,
}

impl Shared {
    fn of(parcel: &Parcel) -> Self {
        let head = parcel.head();
        let mut values = Vec::with_capacity(head.metrics.len() * parcel.len());
        let mut readings = Vec::with_capacity(head.conditions.len() * parcel.len());
        for member in parcel.members() {
            values.extend(member.readings());
            readings.extend(member.readings_of_conditions());
        }
        Self {
            names: parcel.nodes().into(),
            metrics: head.metrics.keys().cloned().collect(),
            values: values.into(),
            conditions: head.conditions.as_slice().into(),
            readings: readings.into(),
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
    /// Its place in the parcel.
    place: usize,
    /// Where its name stands among the names of the parcel.
    name: Range<usize>,
}

/// In the order of the nodes' names.
fn newest(parcels: &[Parcel]) -> Vec<Newest<'_>> {
    let mut newest: Vec<Newest<'_>> = Vec::with_capacity(parcels.iter().map(Parcel::len).sum());
    for (place, parcel) in parcels.iter().enumerate() {
        let at = parcel.head().at;
        let members = parcel.members().zip(parcel.spans()).enumerate();
        let members = members.map(|(number, (member, name))| Newest {
            member,
            at,
            parcel: place,
            place: number,
            name,
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
    shown(&[of_node(&of_group(cluster, rule), node)])
}

/// Of a rule in a cluster, whatever the nodes.
pub fn group_fingerprint(cluster: Option<&str>, rule: &str) -> String {
    shown(&[of_group(cluster, rule)])
}

/// 128 bits of a hash.
type Digest = [u8; 16];

fn of_group(cluster: Option<&str>, rule: &str) -> Digest {
    let mut hash = Sha256::new();
    for part in ["rule", cluster.unwrap_or_default(), rule] {
        add(&mut hash, part);
    }
    cut(hash)
}

fn of_node(group: &Digest, node: &str) -> Digest {
    let mut hash = Sha256::new();
    hash.update(group);
    hash.update(node);
    cut(hash)
}

/// Of a message: the same for the same alerts, and for no others, such as those of another action of the same rule.
fn of_message<'n>(
    group: &Digest,
    head: Option<&Alert>,
    alerts: impl Iterator<Item = (&'n Digest, Time)>,
) -> Digest {
    let mut hash = Sha256::new();
    hash.update(group);
    if let Some(head) = head {
        for part in [word(head.kind), head.severity.word(), &head.template] {
            add(&mut hash, part);
        }
        hash.update([u8::from(head.dry_run)]);
    }
    for (node, at) in alerts {
        hash.update(node);
        hash.update(at.millis().to_le_bytes());
    }
    cut(hash)
}

/// A part with its length, so that no two lists of parts are the same text.
fn add(hash: &mut Sha256, part: &str) {
    hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
    hash.update(part);
}

/// The word for a kind of alert, in data and messages.
pub(super) const fn word(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Trigger => "trigger",
        AlertKind::Repeat => "repeat",
        AlertKind::Recovery => "recovery",
    }
}

fn cut(hash: Sha256) -> Digest {
    let mut digest = Digest::default();
    let whole = hash.finalize();
    for (byte, of_hash) in digest.iter_mut().zip(whole) {
        *byte = of_hash;
    }
    digest
}

/// Characters of a digest.
const SHOWN: usize = 2 * size_of::<Digest>();

/// Digests in hexadecimal, one after another.
fn shown(digests: &[Digest]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = vec![b'0'; SHOWN * digests.len()];
    let (pairs, _) = text.as_chunks_mut();
    for (pair, byte) in pairs.iter_mut().zip(digests.as_flattened()) {
        *pair = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
    }
    String::from_utf8(text).unwrap_or_default()
}
