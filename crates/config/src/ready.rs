//! Metrics that every configuration has: what rules often ask for beyond the built-in ones, as `PromQL` of the usual
//! exporters. One of the same name in the file replaces it, so each is a default like that of any setting.
//!
//! Every query answers for all nodes at once, keeps only labels that tell the node, and takes the largest of several
//! series of one node: two jobs that scrape one exporter must not count twice.

/// A metric that is there without being configured.
#[derive(Debug, Clone, Copy)]
pub struct ReadyMetric {
    /// The name that rules use.
    pub name: &'static str,
    /// What it says, in one line.
    pub doc: &'static str,
    query: &'static str,
}

impl ReadyMetric {
    /// Every one.
    pub const ALL: [ReadyMetric; 6] = [
        ReadyMetric {
            name: "inodeUtilizationPercent",
            doc: "Used inodes of the file system that has the fewest left; node exporter",
            // One that has none to count (0 in all) says nothing; a read-only image neither.
            query: r#"100 * max by (LABELS) ((1 - node_filesystem_files_free{fstype!~"tmpfs|ramfs|overlay|rootfs|squashfs|erofs|nsfs|iso9660|fuse.*"} / (node_filesystem_files > 0)) unless node_filesystem_readonly == 1)"#,
        },
        ReadyMetric {
            name: "cpuPressurePercent",
            doc: "Share of the time in which some task waited for a CPU; node exporter, pressure stall information",
            query: "100 * max by (LABELS) (rate(node_pressure_cpu_waiting_seconds_total[5m]))",
        },
        ReadyMetric {
            name: "memoryPressurePercent",
            doc: "Share of the time in which some task waited for memory; node exporter, pressure stall information",
            query: "100 * max by (LABELS) (rate(node_pressure_memory_waiting_seconds_total[5m]))",
        },
        ReadyMetric {
            name: "ioPressurePercent",
            doc: "Share of the time in which some task waited for input or output; node exporter, pressure stall information",
            query: "100 * max by (LABELS) (rate(node_pressure_io_waiting_seconds_total[5m]))",
        },
        ReadyMetric {
            name: "readyChanges",
            doc: "How often the node became ready or not ready within half an hour; kube-state-metrics",
            query: r#"max by (node, exported_node) (changes(kube_node_status_condition{condition="Ready",status="true"}[30m]))"#,
        },
        ReadyMetric {
            name: "notReadyPercent",
            doc: "Share of all nodes that are not ready, the same for every node; kube-state-metrics",
            query: r#"100 * scalar(1 - avg(max by (node, exported_node) (kube_node_status_condition{condition="Ready",status="true"}))) * max by (node, exported_node) (kube_node_status_condition{condition="Ready",status="true"} >= bool 0)"#,
        },
    ];

    /// Its `PromQL`.
    pub fn query(self) -> String {
        self.query.replace("LABELS", NODE_LABELS)
    }
}

/// The labels that may tell the node; a label that a series lacks costs nothing.
const NODE_LABELS: &str = "node,nodename,kubernetes_node,kubernetes_node_name,instance";
