//! One change of a node, as shell-operator tells it: judged at once, from what it says and what is remembered.

use std::collections::{BTreeMap, BTreeSet};

use ng_engine::history::Ledger;
use ng_engine::rule::NodeStatus;
use ng_engine::time::Time;

use crate::check::{self, Away};
use crate::draft::{About, Draft, Finding};
use crate::episode::{Hidden, Verdict};
use crate::groups;
use crate::kind::{Kind, Subject};
use crate::memory::Memory;
use crate::plan::Plan;
use crate::settings::Settings;
use crate::watch::Known;

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// It has come, or has changed.
    Present,
    /// It was deleted.
    Deleted,
}

/// A change of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEvent {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// What happened.
    pub occurrence: Occurrence,
    /// Whether it is ready, and why not; `None`: it does not say.
    pub ready: Option<(NodeStatus, String)>,
    /// Whether it is cordoned.
    pub cordoned: bool,
    /// Taints that keep pods away, as `key:Effect`.
    pub taints: BTreeSet<String>,
    /// Its zone; empty: none.
    pub zone: String,
    /// Until when its alerts are muted, as it is annotated.
    pub mute_until: String,
}

impl NodeEvent {
    /// The taints among these that keep pods away and are not set by Kubernetes itself, in the form of an event.
    pub fn away(taints: &[ng_engine::node::Taint]) -> BTreeSet<String> {
        crate::watch::away(taints)
    }
}

/// Takes in changes of nodes in the order in which they happened.
pub fn see(
    events: &[NodeEvent],
    ledgers: &BTreeMap<String, Ledger>,
    memory: Memory,
    settings: &Settings,
    now: Time,
) -> (Plan, Memory) {
    if events.is_empty() {
        return (Plan::default(), memory);
    }
    let mut draft = Draft::new(memory, settings, now);
    for event in events {
        take(&mut draft, event, ledgers.get(&event.name));
    }
    groups::observe_zones(&mut draft);
    let touched: BTreeMap<&str, &NodeEvent> = events
        .iter()
        .map(|event| (event.name.as_str(), event))
        .collect();
    let groups: Vec<Subject> = draft
        .memory
        .episodes
        .keys()
        .filter(|subject| subject.node().is_none())
        .cloned()
        .collect();
    for subject in groups {
        let hides = check::hides(&subject, None, &draft);
        draft.tell(&subject, hides, About::default);
    }
    for event in touched.into_values() {
        let subject = Subject::Node(event.name.clone());
        let group = groups::group_of(&event.name, &draft.memory);
        let hides = check::hides(&subject, Some(group), &draft);
        // An event says nothing of readings: those are for the next check.
        let hides = |kind: Kind, memory: &Memory| match kind {
            Kind::NotReady | Kind::Deleted | Kind::Cordoned | Kind::Tainted => hides(kind, memory),
            _ => Hidden::Yes,
        };
        let about = || About {
            mute: check::mute(
                Some(&event.mute_until),
                event.cordoned,
                ledgers.get(&event.name),
                now,
            ),
            ..About::default()
        };
        draft.tell(&subject, hides, about);
    }
    (draft.plan, draft.memory)
}

fn take(draft: &mut Draft<'_>, event: &NodeEvent, ledger: Option<&Ledger>) {
    let known = draft.memory.roster.get(&event.name);
    if event.occurrence == Occurrence::Deleted {
        // The end of a node that was replaced already.
        if known.is_none_or(|known| known.uid == event.uid || event.uid.is_empty()) {
            check::forget(draft, &event.name);
        }
        return;
    }
    // Before the first check nobody knows which nodes there are: it takes them in all at once.
    let first = draft.memory.roster.is_empty();
    if !first && known.is_none_or(|known| known.uid != event.uid) {
        let known = Known {
            uid: event.uid.clone(),
            zone: event.zone.clone(),
            taints: event.taints.clone(),
        };
        check::join(draft, &event.name, known);
    }
    let subject = Subject::Node(event.name.clone());
    let finding = match &event.ready {
        Some((NodeStatus::True, _)) => Finding::of(Verdict::Clear),
        Some((status, reason)) => check::not_ready(*status, reason),
        None => Finding::of(Verdict::Unknown),
    };
    draft.observe(&subject, Kind::NotReady, finding);
    let seen = Away {
        cordoned: event.cordoned,
        taints: event.taints.clone(),
    };
    check::observe_away(draft, &event.name, &seen, ledger);
}
