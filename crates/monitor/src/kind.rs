//! What can be wrong, with what, and how bad it is.

use std::fmt;

use ng_config::{Levels, Thresholds};
use ng_engine::rule::Severity;
use serde::{Deserialize, Serialize};

/// Alerts of the monitor name this where others name a rule, with the kind behind it. No rule can have such a name.
pub const RULE_PREFIX: &str = "node-monitor/";

/// A reading that is held against thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// CPU time in percent.
    Cpu,
    /// Memory in percent.
    Memory,
    /// The root file system in percent.
    Disk,
    /// Pods in percent of what the node admits.
    Pods,
    /// Inodes of the fullest file system in percent.
    Inodes,
    /// Load of one minute a CPU.
    Load,
}

impl Metric {
    /// Every one, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Cpu,
        Self::Memory,
        Self::Disk,
        Self::Pods,
        Self::Inodes,
        Self::Load,
    ];

    /// The name of the metric, as rules use it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpuUtilizationPercent",
            Self::Memory => "memoryUtilizationPercent",
            Self::Disk => "diskUtilizationPercent",
            Self::Pods => "podUtilizationPercent",
            Self::Inodes => "inodeUtilizationPercent",
            Self::Load => "cpuLoadRatio",
        }
    }

    /// A short name, for commands and tables.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Pods => "pods",
            Self::Inodes => "inodes",
            Self::Load => "load",
        }
    }

    /// The metric of either name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|metric| metric.name() == name || metric.short() == name)
    }

    /// Whether it is a share of something that can be full.
    pub const fn can_be_full(self) -> bool {
        match self {
            Self::Memory | Self::Disk | Self::Pods | Self::Inodes => true,
            Self::Cpu | Self::Load => false,
        }
    }

    /// Its thresholds.
    pub const fn levels(self, thresholds: &Thresholds) -> Levels {
        match self {
            Self::Cpu => thresholds.cpu,
            Self::Memory => thresholds.memory,
            Self::Disk => thresholds.disk,
            Self::Pods => thresholds.pods,
            Self::Inodes => thresholds.inodes,
            Self::Load => thresholds.load,
        }
    }

    /// What it means when the reading is high.
    pub const fn high(self) -> Kind {
        match self {
            Self::Cpu => Kind::CpuHigh,
            Self::Memory => Kind::MemoryHigh,
            Self::Disk => Kind::DiskHigh,
            Self::Pods => Kind::PodHigh,
            Self::Inodes => Kind::InodeHigh,
            Self::Load => Kind::LoadHigh,
        }
    }

    /// What it means when it will be full.
    pub const fn foretold(self) -> Option<Kind> {
        match self {
            Self::Memory => Some(Kind::MemoryFullSoon),
            Self::Disk => Some(Kind::DiskFullSoon),
            Self::Pods => Some(Kind::PodFullSoon),
            Self::Inodes => Some(Kind::InodeFullSoon),
            Self::Cpu | Self::Load => None,
        }
    }
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Someone should look.
    Warning,
    /// Someone should come.
    Critical,
}

impl Level {
    /// The severity of its alerts.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Warning => Severity::Warning,
            Self::Critical => Severity::Critical,
        }
    }

    /// The word in logs and metrics.
    pub const fn word(self) -> &'static str {
        self.severity().word()
    }
}

/// Makes the kinds with the words in their keys.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal),+ $(,)?) => {
        /// What can be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[$doc])* #[serde(rename = $word)] $kind),+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The word at the end of its key, also used in logs and metrics.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$kind => $word),+
                }
            }
        }
    };
}

kinds! {
    /// The node is not ready.
    NotReady = "not_ready",
    /// The node was deleted.
    Deleted = "deleted",
    /// CPU time above a threshold.
    CpuHigh = "cpu_high",
    /// Memory above a threshold.
    MemoryHigh = "memory_high",
    /// The root file system above a threshold.
    DiskHigh = "disk_high",
    /// Pods above a threshold.
    PodHigh = "pod_high",
    /// Inodes above a threshold.
    InodeHigh = "inode_high",
    /// Load above a threshold.
    LoadHigh = "load_high",
    /// The kubelet says that memory is short.
    MemoryPressure = "memory_pressure",
    /// The kubelet says that disk space is short.
    DiskPressure = "disk_pressure",
    /// The kubelet says that process ids are short.
    PidPressure = "pid_pressure",
    /// The node's network is not set up.
    NetworkUnavailable = "network_unavailable",
    /// The kubelet has not renewed its lease, though the node still counts as ready.
    LeaseSilent = "lease_silent",
    /// Cordoned for long.
    Cordoned = "cordoned",
    /// A taint that keeps pods away came and has stayed.
    Tainted = "tainted",
    /// Memory will be full.
    MemoryFullSoon = "memory_full_soon",
    /// The root file system will be full.
    DiskFullSoon = "disk_full_soon",
    /// No more pods will fit.
    PodFullSoon = "pod_full_soon",
    /// Inodes will run out.
    InodeFullSoon = "inode_full_soon",
    /// Most nodes of a zone, or of the cluster, are not ready: one cause, one alert.
    ManyNotReady = "many_not_ready",
    /// Readings that were there have become unknown for nearly all nodes.
    MetricsSilent = "metrics_silent",
}

impl Kind {
    /// What stands where other alerts name their rule.
    pub fn rule(self) -> String {
        format!("{RULE_PREFIX}{}", self.word())
    }

    /// The kind that [`Kind::rule`] named.
    pub fn of_rule(rule: &str) -> Option<Self> {
        let word = rule.strip_prefix(RULE_PREFIX)?;
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }

    /// The metric behind it.
    pub fn metric(self) -> Option<Metric> {
        Metric::ALL
            .into_iter()
            .find(|metric| metric.high() == self || metric.foretold() == Some(self))
    }

    /// Whether it is told again while it lasts. What is slow, or over and done with, is told once.
    pub(crate) const fn repeats(self) -> bool {
        match self {
            Self::Deleted
            | Self::Cordoned
            | Self::Tainted
            | Self::MemoryFullSoon
            | Self::DiskFullSoon
            | Self::PodFullSoon
            | Self::InodeFullSoon => false,
            Self::NotReady
            | Self::CpuHigh
            | Self::MemoryHigh
            | Self::DiskHigh
            | Self::PodHigh
            | Self::InodeHigh
            | Self::LoadHigh
            | Self::MemoryPressure
            | Self::DiskPressure
            | Self::PidPressure
            | Self::NetworkUnavailable
            | Self::LeaseSilent
            | Self::ManyNotReady
            | Self::MetricsSilent => true,
        }
    }

    /// Whether a new episode waits for the cooldown of the one before. A common cause does not: it stands for nodes that
    /// it hides, and if it waited, their first alerts would wait with it.
    pub(crate) const fn waits(self) -> bool {
        !matches!(self, Self::ManyNotReady)
    }

    /// Whether it is told of a node that someone else has cordoned: what is about the node's being there at all.
    pub(crate) const fn outlives_cordon(self) -> bool {
        matches!(self, Self::Deleted | Self::Cordoned | Self::Tainted)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// What something is wrong with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A node, by name.
    Node(String),
    /// The nodes of a zone.
    Zone(String),
    /// All nodes, or those without a zone.
    Cluster,
}

impl Subject {
    /// The node, if it is one.
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::Node(name) => Some(name),
            Self::Zone(_) | Self::Cluster => None,
        }
    }

    /// The name where alerts have a node's; a zone is marked, so that it is not taken for a node.
    pub fn name(&self) -> String {
        match self {
            Self::Node(name) => name.clone(),
            Self::Zone(name) => format!("zone/{name}"),
            Self::Cluster => "cluster".to_owned(),
        }
    }

    /// The key of what is wrong with it: the same from the first alert to the last.
    pub fn key(&self, kind: Kind) -> String {
        match self {
            Self::Node(name) => format!("node_{name}_{kind}"),
            Self::Zone(name) => format!("zone_{name}_{kind}"),
            Self::Cluster => format!("cluster_{kind}"),
        }
    }

    /// The key of its row in the state.
    pub(crate) fn row(&self) -> String {
        match self {
            Self::Node(name) => format!("node/{name}"),
            Self::Zone(name) => format!("zone/{name}"),
            Self::Cluster => "cluster".to_owned(),
        }
    }

    /// The subject of a row.
    pub(crate) fn of_row(row: &str) -> Option<Self> {
        match row.split_once('/') {
            Some(("node", name)) => Some(Self::Node(name.to_owned())),
            Some(("zone", name)) => Some(Self::Zone(name.to_owned())),
            None if row == "cluster" => Some(Self::Cluster),
            _ => None,
        }
    }
}
