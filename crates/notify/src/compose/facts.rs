//! What a group of alerts says together: its nodes, when it began, and names for it that stay the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ng_engine::plan::{Alert, AlertKind, Notice};
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use sha2::{Digest as _, Sha256};

use crate::message::{NodeFacts, TopPod};

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
        alerts: &'a [Alert],
        cluster: Option<&'a str>,
        top_pods: &BTreeMap<String, Vec<TopPod>>,
    ) -> Self {
        let mut newest: BTreeMap<&str, &Alert> = BTreeMap::new();
        for alert in alerts {
            let known = newest.entry(&alert.node).or_insert(alert);
            if alert.at >= known.at {
                *known = alert;
            }
        }
        let latest = alerts.iter().max_by_key(|alert| alert.at);
        let rule = latest.map_or("", |alert| &alert.rule);
        let of_node = |(name, alert): (&&str, &&Alert)| NodeFacts {
            name: (*name).to_owned(),
            fingerprint: node_fingerprint(cluster, rule, name),
            since: alert.since,
            repeats: alert.repeats,
            guard: alert.guard.clone(),
            metrics: alert.metrics.clone(),
            conditions: alert.conditions.clone(),
            actions: alert.actions.clone(),
            top_pods: top_pods.get(*name).cloned().unwrap_or_default(),
            notice: alert.notice.clone(),
        };
        // A call by hand may tell of a rule alone.
        newest.remove("");
        let nodes: Vec<NodeFacts> = newest.iter().map(of_node).collect();
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
            since: alerts.iter().map(|alert| alert.since).min().unwrap_or(at),
            repeats: nodes.iter().map(|node| node.repeats).max().unwrap_or(0),
            dry_run: alerts.iter().any(|alert| alert.dry_run),
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
        self.nodes.first()?.notice.as_ref()
    }
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
fn id(
    cluster: Option<&str>,
    rule: &str,
    kind: AlertKind,
    newest: &BTreeMap<&str, &Alert>,
) -> String {
    let head = ["message", cluster.unwrap_or_default(), rule, word(kind)].map(str::to_owned);
    let nodes = newest
        .iter()
        .flat_map(|(name, alert)| [(*name).to_owned(), alert.at.millis().to_string()]);
    digest(head.into_iter().chain(nodes))
}

/// The word for a kind of alert, in data and messages.
pub(super) const fn word(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Trigger => "trigger",
        AlertKind::Repeat => "repeat",
        AlertKind::Recovery => "recovery",
    }
}

/// 128 bits of a hash over the parts, each with its length, so that no two lists of parts are the same text.
fn digest<S: AsRef<str>>(parts: impl IntoIterator<Item = S>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.as_ref().as_bytes();
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    let mut text = String::with_capacity(32);
    for byte in &hash.finalize()[..16] {
        // Writing into a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
