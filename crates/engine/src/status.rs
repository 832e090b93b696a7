//! What is published about a rule, made from history, and history made from what was published.
//!
//! Nothing in a status moves while nothing happens: no ages, no counters, no readings. An idle cluster is not
//! written to.

mod restore;

use crate::history::{
    Guard, History, Mark, MarkKey, NodeRecord, Owned, Phase as RecordPhase, RuleHistory,
};
use crate::plan::Evaluated;
use crate::rule::{NodeStatus, TaintEffect};
use crate::spec::{
    GuardDetail, Mark as PublishedMark, MarkKind, NodeDetail, NodePhase, OwnedMark, Phase,
    RuleStatus, StatusCondition,
};
use crate::time::Time;

pub use restore::{learn, restore, settling, tells_of_before};

/// The most nodes listed with details. 2,000 details of about 300 bytes stay well below what etcd takes.
pub const MAX_DETAILS: usize = 2_000;

/// How a rule stands, besides its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It is evaluated.
    Evaluated(&'a Evaluated),
    /// It is disabled; what it held is released, unless `waiting`.
    Disabled {
        /// The emergency stop keeps what it held.
        waiting: bool,
    },
    /// It cannot be evaluated, for these reasons.
    Invalid(&'a [String]),
}

/// The status of one rule. `published` is the status that the API server shows; from it come the times at which
/// conditions last changed. Every time is a whole second: a status that is read back equals the one that was written,
/// or each tick would write it again.
pub fn of(
    name: &str,
    generation: i64,
    standing: &Standing<'_>,
    history: &History,
    (published, now): (Option<&RuleStatus>, Time),
) -> RuleStatus {
    let empty = RuleHistory::default();
    let remembered = history.rules.get(name).unwrap_or(&empty);
    let active: Vec<(&String, &NodeRecord)> = remembered
        .records
        .iter()
        .filter(|(_, record)| record.is_active() && record.absent.is_none())
        .collect();
    let observed_generation = (generation > 0).then_some(generation);
    let mut conditions = conditions(standing, &active);
    for condition in &mut conditions {
        let before = published.and_then(|status| {
            status
                .conditions
                .iter()
                .find(|old| old.kind == condition.kind)
        });
        let unchanged = before.filter(|before| before.status == condition.status);
        condition.last_transition_time = Some(
            unchanged
                .and_then(|before| before.last_transition_time)
                .unwrap_or(now.whole_second()),
        );
        condition.observed_generation = observed_generation;
    }
    let fresh = RuleStatus {
        phase: Some(match standing {
            Standing::Evaluated(_) => Phase::Active,
            Standing::Disabled { .. } => Phase::Inactive,
            Standing::Invalid(_) => Phase::Error,
        }),
        triggered_nodes: active.iter().map(|(name, _)| (*name).clone()).collect(),
        last_triggered: remembered.summary.last_triggered.map(Time::whole_second),
        last_recovery: remembered.summary.last_recovery.map(Time::whole_second),
        last_error: match standing {
            Standing::Invalid(problems) => Some(joined(problems)),
            Standing::Evaluated(_) | Standing::Disabled { .. } => None,
        },
        conditions,
        observed_generation,
        nodes: details(standing, remembered, history),
    };
    match published {
        Some(published) if is_same_but_expired(published, &fresh) => published.clone(),
        _ => fresh,
    }
}

/// All problems in one text that fits into a status.
fn joined(problems: &[String]) -> String {
    const LIMIT: usize = 4_096;
    let text = problems.join("; ");
    if text.len() <= LIMIT {
        return text;
    }
    let end = (0..=LIMIT)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    format!("{}… ({} problems in all)", &text[..end], problems.len())
}

fn condition(kind: &str, status: NodeStatus, reason: &str, message: String) -> StatusCondition {
    StatusCondition {
        kind: kind.to_owned(),
        status,
        observed_generation: None,
        last_transition_time: None,
        reason: reason.to_owned(),
        message,
    }
}

fn conditions(standing: &Standing<'_>, active: &[(&String, &NodeRecord)]) -> Vec<StatusCondition> {
    let valid = match standing {
        Standing::Invalid(problems) => {
            condition("Valid", NodeStatus::False, "InvalidSpec", joined(problems))
        }
        Standing::Evaluated(_) | Standing::Disabled { .. } => {
            condition("Valid", NodeStatus::True, "Accepted", String::new())
        }
    };
    vec![
        valid,
        data_available(standing),
        actions_allowed(active),
        ready(standing),
    ]
}

fn data_available(standing: &Standing<'_>) -> StatusCondition {
    match standing {
        Standing::Evaluated(Evaluated {
            unknown: 0,
            selected,
            ..
        }) => {
            let message = if *selected == 0 {
                "the selector matches no node".to_owned()
            } else {
                String::new()
            };
            condition("DataAvailable", NodeStatus::True, "Complete", message)
        }
        Standing::Evaluated(evaluated) => {
            let example = evaluated
                .unknown_example
                .as_ref()
                .map_or_else(String::new, |(node, test, reason)| {
                    format!("; first {node}: {test} is unknown ({reason})")
                });
            let message = format!(
                "{} of {} nodes cannot be decided{example}",
                evaluated.unknown, evaluated.selected
            );
            condition("DataAvailable", NodeStatus::False, "Unknown", message)
        }
        Standing::Disabled { .. } | Standing::Invalid(_) => condition(
            "DataAvailable",
            NodeStatus::Unknown,
            "NotEvaluated",
            String::new(),
        ),
    }
}

fn actions_allowed(active: &[(&String, &NodeRecord)]) -> StatusCondition {
    let mut held = active
        .iter()
        .filter_map(|(name, record)| record.guard.as_ref().map(|guard| (*name, guard)));
    match held.next() {
        Some((name, guard)) => {
            let more = held.count();
            let others = if more == 0 {
                String::new()
            } else {
                format!(" and {more} more")
            };
            let message = format!("{name}{others}: {guard}");
            condition(
                "ActionsAllowed",
                NodeStatus::False,
                &reason_word(guard),
                message,
            )
        }
        None => condition(
            "ActionsAllowed",
            NodeStatus::True,
            "NothingHeld",
            String::new(),
        ),
    }
}

/// The guard's name as a condition's reason, which has to start with a capital.
fn reason_word(guard: &Guard) -> String {
    let word = guard.word();
    word[..1].to_ascii_uppercase() + &word[1..]
}

fn ready(standing: &Standing<'_>) -> StatusCondition {
    match standing {
        Standing::Evaluated(_) => condition("Ready", NodeStatus::True, "Evaluated", String::new()),
        Standing::Disabled { waiting: false } => condition(
            "Ready",
            NodeStatus::False,
            "Disabled",
            "metadata.enabled is false".to_owned(),
        ),
        Standing::Disabled { waiting: true } => condition(
            "Ready",
            NodeStatus::False,
            "Disabled",
            "metadata.enabled is false; nodes stay as they are while safety.paused is set"
                .to_owned(),
        ),
        Standing::Invalid(_) => condition(
            "Ready",
            NodeStatus::False,
            "InvalidSpec",
            "the rule is not evaluated; nodes it holds stay as they are".to_owned(),
        ),
    }
}

/// The nodes of which a rebuild has to know: those in an episode, and those that recovered, while their cooldowns
/// run or marks of ours have to go.
fn details(
    standing: &Standing<'_>,
    remembered: &RuleHistory,
    history: &History,
) -> Vec<NodeDetail> {
    let mut details: Vec<NodeDetail> = remembered
        .records
        .iter()
        .filter(|(_, record)| record.absent.is_none())
        .map(|(name, record)| detail(name, record, history))
        .filter(|detail| match (detail.phase, standing) {
            (NodePhase::Triggered | NodePhase::Recovering, _)
            | (NodePhase::Recovered, Standing::Evaluated(_)) => true,
            (NodePhase::Recovered, Standing::Disabled { .. } | Standing::Invalid(_)) => {
                !detail.owned.is_empty()
            }
        })
        .collect();
    if details.len() > MAX_DETAILS {
        // Those that hold something come first: they are what a rebuild must not miss.
        details.sort_by_key(|detail| {
            let recovered = detail.phase == NodePhase::Recovered;
            (holds_nothing(detail), recovered)
        });
        details.truncate(MAX_DETAILS);
        details.sort_by(|one, other| one.name.cmp(&other.name));
    }
    details
}

fn holds_nothing(detail: &NodeDetail) -> bool {
    detail.owned.is_empty() && !detail.admitted
}

/// Whether triggered nodes of which a status has no details may have marks of ours. Where details had to be left out,
/// one of a node that holds nothing shows that all nodes that hold something are there.
pub fn may_leave_out_marks(status: &RuleStatus) -> bool {
    status.nodes.len() < MAX_DETAILS || !status.nodes.iter().any(holds_nothing)
}

fn detail(name: &str, record: &NodeRecord, history: &History) -> NodeDetail {
    let phase = match record.phase {
        RecordPhase::Idle => NodePhase::Recovered,
        RecordPhase::Triggered => NodePhase::Triggered,
        RecordPhase::Recovering => NodePhase::Recovering,
    };
    let ledger = history.ledgers.get(name);
    let owned = ledger.into_iter().flat_map(|ledger| &ledger.marks);
    NodeDetail {
        name: name.to_owned(),
        uid: record.uid.clone(),
        phase,
        triggered_at: Some(record.triggered_at.whole_second()),
        acted_at: Some(record.acted_at.whole_second()),
        recovered_at: record.recovered_at.map(Time::whole_second),
        repeats: record.repeats,
        guard: record.guard.as_ref().map(|guard| GuardDetail {
            name: guard.word().to_owned(),
            message: guard.to_string(),
        }),
        admitted: record.admitted,
        marks: record.marks.iter().map(publish).collect(),
        owned: owned
            .filter(|owned| record.is_active() || owned.leaving.is_some())
            .map(publish_owned)
            .collect(),
    }
}

/// Whether nothing but the end of cooldowns tells the two apart: that is not worth a write.
fn is_same_but_expired(published: &RuleStatus, fresh: &RuleStatus) -> bool {
    let may_stay = |detail: &&NodeDetail| {
        detail.phase == NodePhase::Recovered
            && detail.owned.is_empty()
            && !fresh.nodes.iter().any(|node| node.name == detail.name)
    };
    let kept = published.nodes.iter().filter(|detail| !may_stay(detail));
    kept.eq(&fresh.nodes)
        && *fresh
            == RuleStatus {
                nodes: fresh.nodes.clone(),
                ..published.clone()
            }
}

fn parts(key: &MarkKey) -> (MarkKind, String, Option<TaintEffect>) {
    match key {
        MarkKey::Taint { key, effect } => (MarkKind::Taint, key.clone(), Some(*effect)),
        MarkKey::Label { key } => (MarkKind::Label, key.clone(), None),
        MarkKey::Annotation { key } => (MarkKind::Annotation, key.clone(), None),
        MarkKey::Cordon => (MarkKind::Cordon, String::new(), None),
    }
}

fn publish(mark: &Mark) -> PublishedMark {
    let (kind, key, effect) = parts(&mark.key);
    PublishedMark {
        kind,
        key,
        value: mark.value.clone(),
        effect,
    }
}

fn publish_owned(owned: &Owned) -> OwnedMark {
    let (kind, key, effect) = parts(&owned.mark.key);
    OwnedMark {
        kind,
        key,
        value: owned.mark.value.clone(),
        effect,
        previous: owned.previous.clone(),
        shown: owned
            .shown
            .clone()
            .filter(|shown| *shown != owned.mark.value),
        leaving: owned.leaving.is_some(),
    }
}
