//! What happened, in order.

use std::time::Duration;

use ng_engine::plan::{Decision, Happening, Input, Seen};
use serde::Serialize;

use crate::scenario::offset;

/// One line of the timeline.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    /// Time since the start.
    #[serde(serialize_with = "as_text")]
    pub(crate) at: Duration,
    pub(crate) kind: Kind,
    /// Empty: it concerns no single node.
    pub(crate) node: String,
    /// Empty: it concerns no rule.
    pub(crate) rule: String,
    pub(crate) what: String,
    /// What led to it, one text a reason.
    pub(crate) why: Vec<String>,
    /// More of it, for those who ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<String>,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    /// Someone else did something.
    Event,
    /// Conditions became true, or are no longer.
    Pending,
    /// The controller decided.
    Decision,
    /// An object changed.
    Change,
    /// An alert was queued.
    Alert,
    /// An eviction was asked for.
    Eviction,
    /// The controller warned.
    Warning,
}

fn as_text<S: serde::Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&offset(*at))
}

impl Entry {
    pub(crate) fn new(at: Duration, kind: Kind, what: impl Into<String>) -> Self {
        Self {
            at,
            kind,
            node: String::new(),
            rule: String::new(),
            what: what.into(),
            why: Vec::new(),
            details: Vec::new(),
        }
    }

    pub(crate) fn on(mut self, node: &str, rule: &str) -> Self {
        node.clone_into(&mut self.node);
        rule.clone_into(&mut self.rule);
        self
    }

    /// A decision with everything that led to it.
    pub(crate) fn of(at: Duration, decision: &Decision) -> Self {
        let mut entry =
            Self::new(at, Kind::Decision, word(decision.event)).on(&decision.node, &decision.rule);
        if let Some(guard) = &decision.guard {
            if decision.event == Happening::Triggered {
                entry.what.push_str(", but held back");
            }
            let told = format!("guard {}: {guard}", guard.word());
            entry.why.push(told.clone());
            entry.details.push(told);
        }
        for input in &decision.inputs {
            entry
                .why
                .push(ng_round::report::inputs(std::slice::from_ref(input)));
            entry.details.push(detail(input));
        }
        entry
    }
}

fn word(event: Happening) -> &'static str {
    match event {
        Happening::Triggered => "triggered",
        Happening::Repeated => "still triggered, actions run again",
        Happening::Admitted => "guard let go, disruptive actions run",
        Happening::Held => "held back",
        Happening::Recovering => "recovering",
        Happening::Relapsed => "recovery stopped",
        Happening::Recovered => "recovered",
        Happening::Released => "released",
        Happening::Gone => "forgotten, the node is gone",
    }
}

/// An input with age, threshold and verdict.
fn detail(input: &Input) -> String {
    let seen = match &input.seen {
        Seen::Value { value, age, origin } => {
            format!("{value} from {origin}, {} old", seconds(*age))
        }
        Seen::Status(status) => status.clone(),
        Seen::Unknown(reason) => format!("unknown ({reason})"),
    };
    let lasting = match input.true_for {
        Some(true_for) => {
            format!(
                "true for {} of {} needed",
                seconds(true_for),
                seconds(input.needed)
            )
        }
        None => format!("{} needed", seconds(input.needed)),
    };
    format!("{}: {seen}; {lasting}; {:?}", input.test, input.verdict)
}

fn seconds(millis: i64) -> String {
    offset(Duration::from_millis(
        u64::try_from(millis).unwrap_or_default(),
    ))
}
