//! The built-in metrics and their `PromQL`.
//!
//! Every expression answers for all nodes at once and keeps the labels that tell the node. Two jobs that scrape one
//! exporter, or an exporter's pod before and after a restart, must not fail the query with "many-to-many": a division
//! pairs series that agree in all their labels, or sides that were aggregated to the same labels before, and what is
//! left of the duplicates is reduced to their maximum.

/// The labels that may tell the node; see `mapping` for their order. A label that a series lacks costs nothing.
const NODE_LABELS: &str = "node,nodename,kubernetes_node,kubernetes_node_name,instance";

/// `iowait` and `steal` are not work, as in the node mixin. `sum without (mode)` keeps duplicates apart, so that the
/// average is taken over CPUs and never adds two copies of one. Five minutes hold four scrapes at one a minute.
///
/// Idle time is held against all time, and not against the clock: of a node that is scraped for less than the five
/// minutes, `rate` divides what little it saw by the whole window, and an idle node that has just booted would look busy.
const CPU: &str = r#"100 * (1 - avg by (LABELS) (sum without (mode) (rate(node_cpu_seconds_total{mode=~"idle|iowait|steal"}[5m])) / sum without (mode) (rate(node_cpu_seconds_total[5m]))))"#;

/// Both series of one exporter agree in all labels, so the division is one-to-one even with duplicates.
const MEMORY: &str =
    "100 * max by (LABELS) (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)";

/// The root file system, as `df` shows it to users other than root; `/host/root` and `/rootfs` are where exporters in
/// containers without `--path.rootfs` see it. A read-only image as root is always full and says nothing.
const DISK: &str = r#"100 * max by (LABELS) ((1 - node_filesystem_avail_bytes{mountpoint=~"/|/host/root|/rootfs",fstype!~"rootfs|squashfs|erofs|iso9660"} / node_filesystem_size_bytes) unless node_filesystem_readonly == 1)"#;

/// The load of one minute a CPU.
const LOAD: &str = r#"max by (LABELS) (node_load1) / max by (LABELS) (count without (cpu, mode) (node_cpu_seconds_total{mode="idle"}))"#;

/// Pods that have not finished, against what the node admits. The `exported_` labels are those of kube-state-metrics
/// where its labels are not honoured; without them all pods of a node would count as one.
const PODS: &str = r#"100 * count by (node, exported_node) (max by (node, exported_node, namespace, pod, exported_namespace, exported_pod) (kube_pod_info{node!=""}) unless on (namespace, pod, exported_namespace, exported_pod) (kube_pod_status_phase{phase=~"Succeeded|Failed"} == 1)) / max by (node, exported_node) (kube_node_status_allocatable{resource="pods"})"#;

/// The fullest file system by inodes. One that has none to count (0 in all) says nothing; a read-only image neither.
const INODES: &str = r#"100 * max by (LABELS) ((1 - node_filesystem_files_free{fstype!~"tmpfs|ramfs|overlay|rootfs|squashfs|erofs|nsfs|iso9660|fuse.*"} / (node_filesystem_files > 0)) unless node_filesystem_readonly == 1)"#;

/// The name of the metric of [`inodes_promql`].
pub const INODE_METRIC: &str = "inodeUtilizationPercent";

/// Used inodes in percent, of the file system of each node that has the fewest left. Not built in for rules, where it
/// can be configured under any name.
pub fn inodes_promql() -> String {
    INODES.replace("LABELS", NODE_LABELS)
}

/// A metric that is known without configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// `cpuUtilizationPercent`: share of the CPU time that was spent working.
    Cpu,
    /// `memoryUtilizationPercent`: share of the memory that is not available.
    Memory,
    /// `diskUtilizationPercent`: share of the root file system that is not available.
    Disk,
    /// `cpuLoadRatio`: load of one minute a CPU.
    Load,
    /// `podUtilizationPercent`: unfinished pods as a share of what the node admits.
    Pods,
}

impl Builtin {
    /// Every built-in metric, for tables.
    pub const ALL: [Self; 5] = [Self::Cpu, Self::Memory, Self::Disk, Self::Load, Self::Pods];

    /// The name used in rules.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpuUtilizationPercent",
            Self::Memory => "memoryUtilizationPercent",
            Self::Disk => "diskUtilizationPercent",
            Self::Load => "cpuLoadRatio",
            Self::Pods => "podUtilizationPercent",
        }
    }

    /// The metric that `name` names.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Whether metrics.k8s.io knows the metric, too.
    pub const fn in_metrics_server(self) -> bool {
        match self {
            Self::Cpu | Self::Memory => true,
            Self::Disk | Self::Load | Self::Pods => false,
        }
    }
}

/// The expression of a built-in metric.
pub fn promql(metric: Builtin) -> String {
    match metric {
        Builtin::Cpu => CPU,
        Builtin::Memory => MEMORY,
        Builtin::Disk => DISK,
        Builtin::Load => LOAD,
        Builtin::Pods => PODS,
    }
    .replace("LABELS", NODE_LABELS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for metric in Builtin::ALL {
            assert_eq!(Builtin::parse(metric.name()), Some(metric));
        }
        assert_eq!(Builtin::parse("cpu"), None);
    }

    #[test]
    fn every_expression_keeps_a_node_label_and_is_balanced() {
        let all = Builtin::ALL.map(promql).into_iter();
        for text in all.chain([inodes_promql()]) {
            assert!(!text.contains("LABELS"), "{text}");
            assert!(text.contains("by (node"), "{text}");
            for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
                let count = |wanted| text.chars().filter(|found| *found == wanted).count();
                assert_eq!(count(open), count(close), "{text}");
            }
        }
    }
}
