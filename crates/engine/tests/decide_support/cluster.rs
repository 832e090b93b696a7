//! Nodes as the API server has them, and what a planned change does to them.

use std::collections::BTreeMap;

use ng_engine::history::{Mark, MarkKey, Owned};
use ng_engine::node::{IGNORE_ANNOTATION, Interest, Nodes};
use ng_engine::plan::NodeChange;
use ng_engine::rule::TaintEffect;

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) uid: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) taints: BTreeMap<(String, TaintEffect), String>,
    pub(crate) cordoned: bool,
    /// Whether the cordon is someone else's.
    pub(crate) foreign_cordon: bool,
    /// Whether our cordon was lifted and no evaluation has seen that yet: a cordon set by someone else just then
    /// looks exactly as if the removal had been lost.
    pub(crate) just_lifted: bool,
    pub(crate) conditions: BTreeMap<String, String>,
}

impl Node {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            uid: format!("uid-{name}"),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            taints: BTreeMap::new(),
            cordoned: false,
            foreign_cordon: false,
            just_lifted: false,
            conditions: [("Ready".to_owned(), "True".to_owned())].into(),
        }
    }

    pub(crate) fn label(&mut self, key: &str, value: &str) -> &mut Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn annotation(&mut self, key: &str, value: &str) -> &mut Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn taint(&mut self, key: &str, value: &str, effect: TaintEffect) -> &mut Self {
        self.taints
            .insert((key.to_owned(), effect), value.to_owned());
        self
    }

    pub(crate) fn condition(&mut self, kind: &str, status: &str) -> &mut Self {
        self.conditions.insert(kind.to_owned(), status.to_owned());
        self
    }

    pub(crate) fn ignore(&mut self) -> &mut Self {
        self.annotation(IGNORE_ANNOTATION, "true")
    }

    /// Someone else writes or removes a mark; foreign values begin with `f`.
    pub(crate) fn meddle(&mut self, key: &MarkKey, value: Option<&str>) {
        if *key == MarkKey::Cordon {
            if self.just_lifted {
                return;
            }
            self.foreign_cordon = value.is_some() && (self.foreign_cordon || !self.cordoned);
        }
        self.put(key, value);
    }

    /// Whether what stands under a key is someone else's.
    fn is_foreign(&self, key: &MarkKey) -> bool {
        match key {
            MarkKey::Cordon => self.foreign_cordon,
            _ => self.stands(key).is_some_and(|value| value.starts_with('f')),
        }
    }

    /// Whether a disruptive mark of ours stands on the node.
    pub(crate) fn is_held(&self) -> bool {
        (self.cordoned && !self.foreign_cordon)
            || self.taints.iter().any(|((_, effect), value)| {
                *effect != TaintEffect::PreferNoSchedule && value.starts_with('r')
            })
    }

    /// What stands under a key.
    pub(crate) fn stands(&self, key: &MarkKey) -> Option<&str> {
        match key {
            MarkKey::Taint { key, effect } => {
                self.taints.get(&(key.clone(), *effect)).map(String::as_str)
            }
            MarkKey::Label { key } => self.labels.get(key).map(String::as_str),
            MarkKey::Annotation { key } => self.annotations.get(key).map(String::as_str),
            MarkKey::Cordon => self.cordoned.then_some(""),
        }
    }

    /// Puts a value under a key, or takes it away.
    pub(crate) fn put(&mut self, key: &MarkKey, value: Option<&str>) {
        fn entry<K: Ord>(map: &mut BTreeMap<K, String>, key: K, value: Option<&str>) {
            match value {
                Some(value) => map.insert(key, value.to_owned()),
                None => map.remove(&key),
            };
        }
        match key {
            MarkKey::Taint { key, effect } => {
                entry(&mut self.taints, (key.clone(), *effect), value);
            }
            MarkKey::Label { key } => entry(&mut self.labels, key.clone(), value),
            MarkKey::Annotation { key } => entry(&mut self.annotations, key.clone(), value),
            MarkKey::Cordon => self.cordoned = value.is_some(),
        }
    }

    fn set(&mut self, mark: &Mark) {
        self.put(&mark.key, Some(&mark.value));
    }

    fn unset(&mut self, owned: &Owned) {
        self.put(&owned.mark.key, owned.previous.as_deref());
    }
}

/// Every node by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) nodes: BTreeMap<String, Node>,
    /// What was done to marks of others.
    pub(crate) harm: Vec<String>,
}

impl Cluster {
    /// Carries a change out as the patches do: labels and annotations alone are overwritten by a merge, everything
    /// else is compared with what stands there first.
    pub(crate) fn apply(&mut self, change: &NodeChange) {
        let Some(node) = self
            .nodes
            .get_mut(&change.node)
            .filter(|node| node.uid == change.uid)
        else {
            return;
        };
        let is_pair =
            |key: &MarkKey| matches!(key, MarkKey::Label { .. } | MarkKey::Annotation { .. });
        let merge = change.set.iter().all(|mark| is_pair(&mark.key))
            && change.unset.iter().all(|owned| is_pair(&owned.mark.key));
        let ignored = node.annotations.get(IGNORE_ANNOTATION).map(String::as_str) == Some("true");
        if change.is_disruptive() && ignored {
            return;
        }
        for owned in &change.unset {
            if merge || node.stands(&owned.mark.key) == Some(owned.mark.value.as_str()) {
                if node.is_foreign(&owned.mark.key) {
                    self.harm.push(format!("{}: {owned:?}", change.node));
                }
                node.unset(owned);
                node.just_lifted |= owned.mark.key == MarkKey::Cordon;
            }
        }
        for mark in &change.set {
            node.set(mark);
        }
    }

    /// The nodes as the engine reads them, in this order.
    pub(crate) fn read<'a>(
        &self,
        interest: &Interest,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Nodes {
        let mut nodes = Nodes::new(interest);
        for name in names {
            let node = &self.nodes[name];
            let mut entry = nodes.start(name);
            entry.uid(&node.uid);
            for (key, value) in &node.labels {
                entry.label(key, value);
            }
            for (key, value) in &node.annotations {
                entry.annotation(key, value);
            }
            for ((key, effect), value) in &node.taints {
                entry.taint(key, value, effect.word());
            }
            for (kind, status) in &node.conditions {
                entry.condition(kind, status, None);
            }
            entry.unschedulable(node.cordoned);
        }
        nodes
    }

    /// Everything the nodes carry, one line a node that carries anything.
    pub(crate) fn marks(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, node) in &self.nodes {
            let mut words = Vec::new();
            for ((key, effect), value) in &node.taints {
                words.push(format!("{key}={value}:{}", effect.word()));
            }
            for (key, value) in node.labels.iter().chain(&node.annotations) {
                words.push(format!("{key}={value}"));
            }
            if node.cordoned {
                words.push("cordoned".to_owned());
            }
            if !words.is_empty() {
                lines.push(format!("{name} {}", words.join(" ")));
            }
        }
        lines
    }
}
