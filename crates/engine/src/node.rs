//! The nodes of the cluster as columns: one entry a node, and of labels, annotations and conditions only those
//! that some rule asks about, so that 5,000 nodes cost a few hundred kilobytes.

use rustc_hash::FxHashMap;

use crate::bits::Bits;
use crate::rule::{NodeStatus, TaintEffect};
use crate::texts::Texts;
use crate::time::Time;

/// Annotation that keeps disruptive actions away from a node.
pub const IGNORE_ANNOTATION: &str = "nodeguardian.io/ignore";
/// Annotation with the RFC 3339 time until which alerts about a node are muted.
pub const MUTE_UNTIL_ANNOTATION: &str = "nodeguardian.io/mute-until";
/// Labels that make a node a control-plane node.
pub const CONTROL_PLANE_LABELS: [&str; 2] = [
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
];

/// The keys that are kept when nodes are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Label keys.
    pub labels: Vec<String>,
    /// Annotation keys.
    pub annotations: Vec<String>,
    /// Types of node conditions; `Ready` is always kept.
    pub conditions: Vec<String>,
    /// Why nodes are not ready.
    pub reasons: Reasons,
}

/// Whether it is kept why nodes are not ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reasons {
    /// Nobody asks.
    #[default]
    Dropped,
    /// It is.
    Kept,
}

/// A taint as it stands on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// Key.
    pub key: Box<str>,
    /// Value; empty if there is none.
    pub value: Box<str>,
    /// Effect; `None` for one we do not know, which is left alone.
    pub effect: Option<TaintEffect>,
}

/// A condition as it stands in a node's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeCondition {
    /// Its status.
    pub status: NodeStatus,
    /// `lastTransitionTime`, if it could be read.
    pub since: Option<Time>,
}

/// Amounts in a node's `capacity` and `allocatable`; `None`: not stated.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Resources {
    /// Cores.
    pub cpu: Option<f64>,
    /// Bytes.
    pub memory: Option<f64>,
    /// Pods.
    pub pods: Option<f64>,
}

/// Values of one key over all nodes, as positions in a table of distinct values.
#[derive(Clone, Debug, Default)]
struct KeyColumn {
    /// 0: absent; otherwise 1 + position in `distinct`.
    values: Vec<u32>,
    distinct: Vec<Box<str>>,
    known: FxHashMap<Box<str>, u32>,
}

impl KeyColumn {
    fn set(&mut self, node: usize, value: &str) {
        let number = if let Some(number) = self.known.get(value) {
            *number
        } else {
            self.distinct.push(value.into());
            let number = u32::try_from(self.distinct.len()).unwrap_or(u32::MAX);
            self.known.insert(value.into(), number);
            number
        };
        // Of a key that comes twice the last value counts.
        if self.values.len() <= node {
            self.values.resize(node + 1, 0);
        }
        self.values[node] = number;
    }

    fn get(&self, node: usize) -> Option<&str> {
        match self.values.get(node) {
            None | Some(0) => None,
            Some(number) => Some(&self.distinct[*number as usize - 1]),
        }
    }

    /// The nodes whose value passes `test`; it is asked once a distinct value.
    fn select(&self, len: usize, test: impl Fn(Option<&str>) -> bool) -> Bits {
        let absent = test(None);
        let verdicts: Vec<bool> = std::iter::once(absent)
            .chain(self.distinct.iter().map(|value| test(Some(value))))
            .collect();
        Bits::from_fn(len, |node| {
            self.values
                .get(node)
                .map_or(absent, |number| verdicts[*number as usize])
        })
    }
}

/// Columns by key.
#[derive(Clone, Debug, Default)]
struct Keyed {
    columns: Vec<KeyColumn>,
    index: FxHashMap<String, usize>,
}

impl Keyed {
    fn new(keys: impl IntoIterator<Item = String>) -> Self {
        let mut keyed = Self::default();
        for key in keys {
            let next = keyed.columns.len();
            if *keyed.index.entry(key).or_insert(next) == next {
                keyed.columns.push(KeyColumn::default());
            }
        }
        keyed
    }

    fn set(&mut self, node: usize, key: &str, value: &str) {
        if let Some(column) = self.index.get(key) {
            self.columns[*column].set(node, value);
        }
    }

    fn get(&self, node: usize, key: &str) -> Option<&str> {
        self.index
            .get(key)
            .and_then(|column| self.columns[*column].get(node))
    }
}

/// All nodes, in the order in which they were read; shell-operator sorts them by name.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    names: Texts,
    uids: Texts,
    labels: Keyed,
    annotations: Keyed,
    conditions: FxHashMap<String, Vec<Option<NodeCondition>>>,
    reasons: Reasons,
    not_ready: FxHashMap<usize, Box<str>>,
    taints: Vec<Vec<Taint>>,
    addresses: Texts,
    /// How many addresses there are up to and with each node.
    address_ends: Vec<usize>,
    capacity: Vec<Resources>,
    allocatable: Vec<Resources>,
    unschedulable: Vec<bool>,
    control_plane: Vec<bool>,
    ignored: Vec<bool>,
}

impl Nodes {
    /// No nodes yet; keeps only what `interest` names.
    pub fn new(interest: &Interest) -> Self {
        let mut conditions: FxHashMap<String, Vec<Option<NodeCondition>>> = interest
            .conditions
            .iter()
            .map(|kind| (kind.clone(), Vec::new()))
            .collect();
        conditions.entry("Ready".to_owned()).or_default();
        Self {
            labels: Keyed::new(interest.labels.iter().cloned()),
            annotations: Keyed::new(interest.annotations.iter().cloned()),
            conditions,
            reasons: interest.reasons,
            ..Self::default()
        }
    }

    /// Starts the next node; everything said of it through the returned value counts at once.
    pub fn start(&mut self, name: &str) -> NodeEntry<'_> {
        let position = self.names.len();
        self.names.push(name);
        self.uids.push("");
        self.taints.push(Vec::new());
        self.address_ends.push(self.addresses.len());
        self.capacity.push(Resources::default());
        self.allocatable.push(Resources::default());
        self.unschedulable.push(false);
        self.control_plane.push(false);
        self.ignored.push(false);
        for column in self.conditions.values_mut() {
            column.push(None);
        }
        NodeEntry {
            nodes: self,
            position,
        }
    }

    /// Takes back the node that was started last: it turned out to be none.
    pub fn drop_last(&mut self) {
        let len = self.names.len().saturating_sub(1);
        self.not_ready.remove(&len);
        self.names.truncate(len);
        self.uids.truncate(len);
        self.taints.truncate(len);
        self.address_ends.truncate(len);
        self.addresses
            .truncate(self.address_ends.last().copied().unwrap_or(0));
        self.capacity.truncate(len);
        self.allocatable.truncate(len);
        self.unschedulable.truncate(len);
        self.control_plane.truncate(len);
        self.ignored.truncate(len);
        for column in self.conditions.values_mut() {
            column.truncate(len);
        }
        for column in self
            .labels
            .columns
            .iter_mut()
            .chain(&mut self.annotations.columns)
        {
            column.values.truncate(len);
        }
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of a node.
    pub fn name(&self, node: usize) -> &str {
        self.names.get(node)
    }

    /// The UID of a node; empty if it was not told.
    pub fn uid(&self, node: usize) -> &str {
        self.uids.get(node)
    }

    /// Every name, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter()
    }

    /// The position of a node by name; built once by callers that ask often.
    pub fn positions(&self) -> FxHashMap<&str, usize> {
        self.names
            .iter()
            .enumerate()
            .map(|(position, name)| (name, position))
            .collect()
    }

    /// A label that [`Interest`] named.
    pub fn label(&self, node: usize, key: &str) -> Option<&str> {
        self.labels.get(node, key)
    }

    /// An annotation that [`Interest`] named.
    pub fn annotation(&self, node: usize, key: &str) -> Option<&str> {
        self.annotations.get(node, key)
    }

    /// A condition that [`Interest`] named, or `Ready`.
    pub fn condition(&self, node: usize, kind: &str) -> Option<NodeCondition> {
        self.conditions
            .get(kind)
            .and_then(|column| column.get(node).copied().flatten())
    }

    /// One condition of every node; `None` if [`Interest`] did not name it.
    pub fn condition_column(&self, kind: &str) -> Option<&[Option<NodeCondition>]> {
        self.conditions.get(kind).map(Vec::as_slice)
    }

    /// The nodes whose label passes `test`, which is asked once a distinct value and once for its absence.
    pub fn select_label(&self, key: &str, test: impl Fn(Option<&str>) -> bool) -> Bits {
        match self.labels.index.get(key) {
            Some(column) => self.labels.columns[*column].select(self.len(), test),
            None => KeyColumn::default().select(self.len(), test),
        }
    }

    /// The taints on a node.
    pub fn taints(&self, node: usize) -> &[Taint] {
        &self.taints[node]
    }

    /// The addresses in a node's status.
    pub fn addresses(&self, node: usize) -> impl Iterator<Item = &str> {
        let start = node
            .checked_sub(1)
            .map_or(0, |before| self.address_ends[before]);
        (start..self.address_ends[node]).map(|address| self.addresses.get(address))
    }

    /// The node's capacity.
    pub fn capacity(&self, node: usize) -> Resources {
        self.capacity[node]
    }

    /// What the node offers to pods.
    pub fn allocatable(&self, node: usize) -> Resources {
        self.allocatable[node]
    }

    /// Whether the node is cordoned, by anyone.
    pub fn is_unschedulable(&self, node: usize) -> bool {
        self.unschedulable[node]
    }

    /// Whether the node is ready; one that does not say so is not.
    pub fn is_ready(&self, node: usize) -> bool {
        self.condition(node, "Ready")
            .is_some_and(|ready| ready.status == NodeStatus::True)
    }

    /// Whether the node says that it is not ready. Of one that has no such condition that is not known.
    pub fn is_not_ready(&self, node: usize) -> bool {
        self.condition(node, "Ready")
            .is_some_and(|ready| ready.status != NodeStatus::True)
    }

    /// The reason of the condition `Ready` of a node that is not ready, if [`Interest`] wanted it.
    pub fn not_ready_reason(&self, node: usize) -> Option<&str> {
        self.not_ready.get(&node).map(|reason| &**reason)
    }

    /// Whether the node belongs to the control plane.
    pub fn is_control_plane(&self, node: usize) -> bool {
        self.control_plane[node]
    }

    /// Whether someone annotated the node so that it is left alone.
    pub fn is_ignored(&self, node: usize) -> bool {
        self.ignored[node]
    }
}

/// The node that is being read: the last one.
pub struct NodeEntry<'nodes> {
    nodes: &'nodes mut Nodes,
    position: usize,
}

impl NodeEntry<'_> {
    /// Sets the name, if it comes after other fields.
    pub fn name(&mut self, name: &str) {
        self.nodes.names.replace_last(name);
    }

    /// Sets the UID.
    pub fn uid(&mut self, uid: &str) {
        self.nodes.uids.replace_last(uid);
    }

    /// Adds a label; kept if it is of interest.
    pub fn label(&mut self, key: &str, value: &str) {
        if key.starts_with("node-role.kubernetes.io/") && CONTROL_PLANE_LABELS.contains(&key) {
            self.nodes.control_plane[self.position] = true;
        }
        self.nodes.labels.set(self.position, key, value);
    }

    /// Adds an annotation; kept if it is of interest.
    pub fn annotation(&mut self, key: &str, value: &str) {
        if key == IGNORE_ANNOTATION {
            self.nodes.ignored[self.position] = value == "true";
        }
        self.nodes.annotations.set(self.position, key, value);
    }

    /// Adds a taint.
    pub fn taint(&mut self, key: &str, value: &str, effect: &str) {
        self.nodes.taints[self.position].push(Taint {
            key: key.into(),
            value: value.into(),
            effect: TaintEffect::parse(effect),
        });
    }

    /// Whether a condition of this type is kept; saves reading the others.
    pub fn wants_condition(&self, kind: &str) -> bool {
        self.nodes.conditions.contains_key(kind)
    }

    /// Adds a condition; kept if it is of interest. A status that Kubernetes does not know is `Unknown`.
    pub fn condition(&mut self, kind: &str, status: &str, since: Option<Time>) {
        if let Some(column) = self.nodes.conditions.get_mut(kind) {
            let status = NodeStatus::parse(status).unwrap_or(NodeStatus::Unknown);
            column[self.position] = Some(NodeCondition { status, since });
        }
    }

    /// Adds the reason of a condition; kept if it says why the node is not ready and somebody asks.
    pub fn reason(&mut self, kind: &str, status: &str, reason: &str) {
        if self.wants_reasons() && kind == "Ready" && status != "True" {
            self.nodes.not_ready.insert(self.position, reason.into());
        }
    }

    /// Whether reasons are of interest; saves reading them.
    pub fn wants_reasons(&self) -> bool {
        self.nodes.reasons == Reasons::Kept
    }

    /// Adds an address.
    pub fn address(&mut self, address: &str) {
        self.nodes.addresses.push(address);
        self.nodes.address_ends[self.position] += 1;
    }

    /// Sets the capacity.
    pub fn capacity(&mut self, resources: Resources) {
        self.nodes.capacity[self.position] = resources;
    }

    /// Sets what the node offers to pods.
    pub fn allocatable(&mut self, resources: Resources) {
        self.nodes.allocatable[self.position] = resources;
    }

    /// Sets whether the node is cordoned.
    pub fn unschedulable(&mut self, unschedulable: bool) {
        self.nodes.unschedulable[self.position] = unschedulable;
    }
}
