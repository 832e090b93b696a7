//! Readings of nodes: numbers, or the reason why there is none.

use std::fmt;

use crate::rule::round;
use crate::time::Time;

/// What is known of one metric of one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// A finite number, and when it was sampled.
    Value {
        /// The number, rounded to six decimals.
        value: f64,
        /// When it was sampled.
        at: Time,
        /// Who answered.
        origin: Origin,
    },
    /// Nothing that could be compared. Never zero, never true, never false.
    Unknown(Unknown),
}

/// Who answered with a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A Prometheus server.
    Prometheus,
    /// The metrics.k8s.io API.
    MetricsServer,
}

impl Origin {
    /// The name used in logs, status and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::MetricsServer => "metrics-server",
        }
    }
}

/// Why a reading is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Unknown {
    /// The source answered, but not for this node.
    NoSample,
    /// The newest sample is too old.
    Stale,
    /// The sample is NaN or infinite.
    NotFinite,
    /// Several series claim the node and cannot be told apart.
    Ambiguous,
    /// The source did not answer.
    Unreachable,
    /// The source refused the query or answered something else.
    BadAnswer,
    /// No source is configured that knows this metric.
    NoSource,
    /// The node's status has no such condition.
    NoCondition,
}

impl Unknown {
    /// Every reason, for tables.
    pub const ALL: [Self; 8] = [
        Self::NoSample,
        Self::Stale,
        Self::NotFinite,
        Self::Ambiguous,
        Self::Unreachable,
        Self::BadAnswer,
        Self::NoSource,
        Self::NoCondition,
    ];

    /// The name used in logs, status and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoSample => "NoSample",
            Self::Stale => "Stale",
            Self::NotFinite => "NotFinite",
            Self::Ambiguous => "Ambiguous",
            Self::Unreachable => "Unreachable",
            Self::BadAnswer => "BadAnswer",
            Self::NoSource => "NoSource",
            Self::NoCondition => "NoCondition",
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// One metric of every node, by the node's position in [`crate::node::Nodes`].
#[derive(Clone, Debug)]
pub struct Column {
    /// NaN where unknown; the reason is then in `reasons`.
    values: Vec<f64>,
    reasons: Vec<Unknown>,
    origins: Vec<Origin>,
    at: Vec<Time>,
}

impl Column {
    /// A column of `len` nodes, all unknown for the same reason.
    pub fn unknown(len: usize, reason: Unknown) -> Self {
        Self {
            values: vec![f64::NAN; len],
            reasons: vec![reason; len],
            origins: vec![Origin::Prometheus; len],
            at: vec![Time::from_millis(0); len],
        }
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Sets one node's reading; a number that is not finite becomes [`Unknown::NotFinite`].
    pub fn set(&mut self, node: usize, reading: Reading) {
        match reading {
            Reading::Value { value, at, origin } if value.is_finite() => {
                self.values[node] = round(value);
                self.at[node] = at;
                self.origins[node] = origin;
            }
            Reading::Value { .. } => self.lose(node, Unknown::NotFinite),
            Reading::Unknown(reason) => self.lose(node, reason),
        }
    }

    fn lose(&mut self, node: usize, reason: Unknown) {
        self.values[node] = f64::NAN;
        self.reasons[node] = reason;
    }

    /// One node's reading.
    pub fn get(&self, node: usize) -> Reading {
        match self.values.get(node) {
            Some(value) if !value.is_nan() => Reading::Value {
                value: *value,
                at: self.at[node],
                origin: self.origins[node],
            },
            Some(_) => Reading::Unknown(self.reasons[node]),
            None => Reading::Unknown(Unknown::NoSample),
        }
    }

    /// Every value in node order; NaN where unknown.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}
