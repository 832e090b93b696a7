//! Answers of Prometheus and metrics.k8s.io into readings of nodes.
