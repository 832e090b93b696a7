//! What a group of alerts says together: its nodes, when it began, and names for it that stay the same.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ng_engine::parcel::Parcel;
use ng_engine::plan::{Alert, AlertKind, Notice};
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use sha2::{Digest as _, Sha256};

use super::digest::{Digest, SHOWN, cut, of_texts, shown};
use crate::message::{Fingerprints, NodeFacts, SharedFacts, TopPod, narrow, wide};

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
        let group = of_group(cluster, rule);
        let listed = listed(parcels);
        let since = listed.iter().map(|listed| listed.since).min();
        let newest = newest(listed, parcels);
        let names = newest.iter().map(|newest| newest.node(parcels));
        let digests = of_nodes(&group, names);
        let nodes = nodes(newest, &shared(parcels, &digests, top_pods));
        let kind = latest.map_or(AlertKind::Trigger, |alert| alert.kind);
        let at = latest.map_or(Time::from_millis(0), |alert| alert.at);
        let times = nodes.iter().map(|node| node.head().at);
        Self {
            kind,
            severity: latest.map_or(Severity::Warning, |alert| alert.severity),
            rule,
            rule_description: latest.map_or("", |alert| &alert.rule_description),
            cluster,
            at,
            since: since.unwrap_or(at),
            repeats: nodes.iter().map(|node| node.repeats).max().unwrap_or(0),
            dry_run: parcels.iter().any(|parcel| parcel.head().dry_run),
            id: shown(&[of_message(&group, latest, &digests, times)]),
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
        self.nodes.first()?.notice()
    }
}

/// An alert of a parcel, as far as it is needed to find the newest of each node.
struct Listed {
    since: Time,
    repeats: u32,
    /// Where the name of its node begins and ends among the names of the parcel.
    name: Range<u32>,
    parcel: usize,
    /// Its place in the parcel.
    place: usize,
}

// A list of alerts becomes the list of what is told of them in the same memory, which a larger item would not fit into.
const _: () = assert!(size_of::<NodeFacts>() <= size_of::<Listed>());

impl Listed {
    fn node<'p>(&self, parcels: &'p [Parcel]) -> &'p str {
        let name = wide(self.name.start)..wide(self.name.end);
        parcels[self.parcel].nodes().get(name).unwrap_or_default()
    }
}

/// All alerts.
fn listed(parcels: &[Parcel]) -> Vec<Listed> {
    let mut listed = Vec::with_capacity(parcels.iter().map(Parcel::len).sum());
    for (parcel, packed) in parcels.iter().enumerate() {
        let mut start = 0;
        for (member, place) in packed.members().zip(0..) {
            let end = start + member.node.len();
            listed.push(Listed {
                since: member.since,
                repeats: member.repeats,
                name: narrow(start)..narrow(end),
                parcel,
                place,
            });
            start = end + '\n'.len_utf8();
        }
    }
    listed
}

/// Of several alerts of a node the newest, in the order of the nodes' names.
fn newest(mut listed: Vec<Listed>, parcels: &[Parcel]) -> Vec<Listed> {
    // A call by hand may tell of a rule alone.
    listed.retain(|listed| !listed.name.is_empty());
    let node = |listed: &Listed| listed.node(parcels);
    if !listed.is_sorted_by(|one, other| node(one) < node(other)) {
        // Of several of a node the newest comes first; of those of one time, what was queued last.
        let age = |listed: &Listed| (parcels[listed.parcel].head().at, listed.parcel);
        listed.sort_by(|one, other| {
            let by_node = node(one).cmp(node(other));
            by_node.then_with(|| age(other).cmp(&age(one)))
        });
        listed.dedup_by(|one, other| node(one) == node(other));
    }
    listed
}

/// What is told of the nodes of each parcel.
fn shared(
    parcels: &[Parcel],
    digests: &[Digest],
    top_pods: &BTreeMap<String, Vec<TopPod>>,
) -> Vec<Arc<SharedFacts>> {
    let fingerprints = Arc::new(Fingerprints {
        text: shown(digests),
        length: SHOWN,
    });
    let top_pods = Arc::new(top_pods.clone());
    let of = |parcel: &Parcel| SharedFacts {
        parcel: parcel.clone(),
        fingerprints: Arc::clone(&fingerprints),
        top_pods: Arc::clone(&top_pods),
    };
    parcels.iter().map(of).map(Arc::new).collect()
}

/// What is told of each node.
fn nodes(newest: Vec<Listed>, shared: &[Arc<SharedFacts>]) -> Vec<NodeFacts> {
    let newest = newest.into_iter().enumerate();
    newest
        .map(|(number, newest)| NodeFacts {
            since: newest.since,
            repeats: newest.repeats,
            name: newest.name,
            place: narrow(newest.place),
            number: narrow(number),
            shared: Arc::clone(&shared[newest.parcel]),
        })
        .collect()
}

/// Of a node under a rule in a cluster: the same from trigger to recovery.
pub fn node_fingerprint(cluster: Option<&str>, rule: &str, node: &str) -> String {
    shown(&of_nodes(&of_group(cluster, rule), [node].into_iter()))
}

/// Of a rule in a cluster, whatever the nodes.
pub fn group_fingerprint(cluster: Option<&str>, rule: &str) -> String {
    shown(&[of_group(cluster, rule)])
}

fn of_group(cluster: Option<&str>, rule: &str) -> Digest {
    let mut hash = Sha256::new();
    for part in ["rule", cluster.unwrap_or_default(), rule] {
        add(&mut hash, part);
    }
    cut(hash)
}

/// Of nodes of a group. What stands before the name is a whole block of the hash.
fn of_nodes<'n>(group: &Digest, nodes: impl Iterator<Item = &'n str>) -> Vec<Digest> {
    let mut block = [0; 64];
    block[..group.len()].copy_from_slice(group);
    of_texts(&block, nodes)
}

/// Of a message: the same for the same alerts, and for no others, such as those of another action of the same rule.
/// Each node has a digest and a time.
fn of_message(
    group: &Digest,
    head: Option<&Alert>,
    nodes: &[Digest],
    times: impl Iterator<Item = Time>,
) -> Digest {
    let mut hash = Sha256::new();
    hash.update(group);
    if let Some(head) = head {
        for part in [word(head.kind), head.severity.word(), &head.template] {
            add(&mut hash, part);
        }
        hash.update([u8::from(head.dry_run)]);
    }
    hash.update(u64::try_from(nodes.len()).unwrap_or(u64::MAX).to_le_bytes());
    hash.update(nodes.as_flattened());
    // Most nodes have one time: it counts where it begins.
    let mut before = None;
    for (place, at) in times.enumerate() {
        if before.replace(at) != Some(at) {
            hash.update(u64::try_from(place).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(at.millis().to_le_bytes());
        }
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
