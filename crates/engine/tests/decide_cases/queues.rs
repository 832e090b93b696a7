//! Two queues of shell-operator evaluate at the same time: snapshots of different ages, and writes that come late.

use ng_engine::history::Queue::{self, Evaluation, Recovery};
use ng_engine::plan::Plan;
use ng_engine::rule::MaxNodes;
use ng_engine::rule::TaintEffect::NoSchedule;

use crate::decide_support::Story;
use crate::decide_support::cluster::Cluster;

/// A rule that cordons, and taints and labels with its name.
fn marking(metric: &str, name: &str, priority: i64) -> String {
    format!(
        "conditions: [{{metric: {metric}, operator: '>', value: 1, duration: 0s}}]
actions:
  - {{type: taint, taint: {{key: k, value: {name}, effect: NoSchedule}}}}
  - {{type: label, label: {{labels: {{l: {name}}}}}}}
  - {{type: cordon}}
recoveryActions:
  - {{type: removeTaint, taint: {{key: k}}}}
  - {{type: removeLabel, label: {{keys: [l]}}}}
  - {{type: uncordon}}
monitoring: {{cooldownPeriod: 0s, recoveryCooldownPeriod: 0s}}
metadata: {{priority: {priority}}}"
    )
}

const HOT: &str = "cpuLoadRatio";
const FULL: &str = "memoryUtilizationPercent";

/// Two rules that share every mark; on `n1` a label that is someone else's.
fn story() -> Story {
    let mut story = Story::new(["n1", "n2", "n3"])
        .rule("hot", &marking(HOT, "hot", 20))
        .rule("full", &marking(FULL, "full", 10));
    story.node("n1").label("l", "theirs");
    for metric in [HOT, FULL] {
        for node in ["n1", "n2", "n3"] {
            story.metric(metric, node, 0.0);
        }
    }
    story
}

impl Story {
    /// A run of this queue, five seconds later, that sees the given snapshot; nothing of it is written yet.
    fn sees(&mut self, queue: Queue, snapshot: &Cluster) -> Plan {
        self.now = self.now.plus(std::time::Duration::from_secs(5));
        self.queue = queue;
        self.plan(snapshot)
    }

    /// What a run planned arrives.
    fn arrive(&mut self, plan: &Plan) {
        for change in &plan.changes {
            self.cluster.apply(change);
        }
    }

    /// A run of this queue with a fresh snapshot, whose writes arrive.
    fn run(&mut self, queue: Queue) -> Plan {
        let plan = self.sees(queue, &self.cluster.clone());
        self.arrive(&plan);
        plan
    }

    /// The load falls, both queues run for some minutes; nothing of ours may be left.
    fn calm(&mut self) {
        for metric in [HOT, FULL] {
            self.metric(metric, "n1", 0.0);
        }
        for _ in 0..30 {
            self.run(Recovery);
            self.run(Evaluation);
        }
        assert_eq!(self.marks(), ["n1 l=theirs"]);
        assert!(
            self.history.ledgers.is_empty(),
            "{:?}",
            self.history.ledgers
        );
    }
}

/// `hot` holds `n1`, and both queues have seen it for a while.
fn held() -> Story {
    let mut story = story();
    story.metric(HOT, "n1", 2.0);
    for _ in 0..20 {
        story.run(Evaluation);
        story.run(Recovery);
    }
    assert_eq!(story.marks(), ["n1 k=hot:NoSchedule l=hot cordoned"]);
    story
}

#[test]
fn a_mark_that_is_gone_and_shows_in_an_older_snapshot_is_not_what_comes_back() {
    for shown in [Evaluation, Recovery] {
        let other = if shown == Evaluation {
            Recovery
        } else {
            Evaluation
        };
        let mut story = held();
        let old = story.cluster.clone();
        story.metric(HOT, "n1", 0.0);
        story.run(other);
        story.run(other);
        assert_eq!(story.marks(), ["n1 l=theirs"]);
        // A rule sets another value, by a snapshot of before the removal.
        story.metric(FULL, "n1", 2.0);
        let plan = story.sees(shown, &old);
        story.arrive(&plan);
        story.run(other);
        assert_eq!(story.marks(), ["n1 k=full:NoSchedule l=full cordoned"]);
        story.calm();
    }
}

#[test]
fn a_write_that_is_held_up_is_ours_when_it_comes() {
    for (late, minutes) in [(Evaluation, 5), (Recovery, 0)] {
        let other = if late == Evaluation {
            Recovery
        } else {
            Evaluation
        };
        let mut story = held();
        story.node("n1").taints.clear();
        story.node("n1").cordoned = false;
        let held_up = story.sees(late, &story.cluster.clone());
        assert_eq!(held_up.changes.len(), 1);
        story.run(other);
        story.run(other);
        story.metric(HOT, "n1", 0.0);
        for _ in 0..4 + 12 * minutes {
            story.run(other);
        }
        assert_eq!(story.marks(), ["n1 l=theirs"], "{late:?}");
        story.arrive(&held_up);
        assert_eq!(story.marks(), ["n1 k=hot:NoSchedule l=theirs cordoned"]);
        story.calm();
    }
}

#[test]
fn a_snapshot_that_is_older_than_a_mark_does_not_say_that_it_is_gone() {
    let mut story = story();
    let old = story.cluster.clone();
    story.metric(HOT, "n1", 2.0);
    story.run(Evaluation);
    story.run(Evaluation);
    story.metric(HOT, "n1", 0.0);
    let lost = story.sees(Evaluation, &story.cluster.clone());
    assert_eq!(lost.changes.len(), 1, "the removal, which is lost");
    for _ in 0..3 {
        let plan = story.sees(Recovery, &old);
        story.arrive(&plan);
    }
    story.calm();
}

#[test]
fn a_removal_that_one_queue_has_not_seen_keeps_its_place() {
    let mut story = story();
    story.safety.max_nodes = MaxNodes::Count(1);
    let old = story.cluster.clone();
    story.metric(HOT, "n1", 2.0);
    story.run(Evaluation);
    story.run(Evaluation);
    story.metric(HOT, "n1", 0.0);
    story.metric(HOT, "n2", 2.0);
    // The removal is lost; the recovery has a snapshot of before the mark.
    story.sees(Evaluation, &story.cluster.clone());
    let plan = story.sees(Recovery, &old);
    story.arrive(&plan);
    assert_eq!(story.guard("hot", "n2"), "maxNodes");
    story.run(Evaluation);
    story.run(Evaluation);
    assert_eq!(story.guard("hot", "n2"), "");
    assert_eq!(
        story.marks(),
        ["n1 l=theirs", "n2 k=hot:NoSchedule l=hot cordoned"]
    );
}

#[test]
fn what_someone_sets_as_ours_was_stays_once_the_removal_was_seen() {
    for queues in [[Evaluation, Recovery], [Recovery, Evaluation]] {
        let mut story = held();
        story.metric(HOT, "n1", 0.0);
        story.run(queues[0]);
        story.run(queues[0]);
        let node = story.node("n1");
        node.taint("k", "hot", NoSchedule).cordoned = true;
        for queue in queues.into_iter().cycle().take(60) {
            let plan = story.run(queue);
            assert!(plan.changes.is_empty(), "{plan:?}");
        }
        assert_eq!(story.marks(), ["n1 k=hot:NoSchedule l=theirs cordoned"]);
        assert!(story.history.ledgers.is_empty());
    }
}

#[test]
fn what_someone_sets_as_ours_was_comes_back_unless_a_queue_may_have_an_older_snapshot() {
    // The trade-off: within a minute, for the queue that has not seen the removal, it passes for ours.
    for (queue, wait, back) in [
        (Evaluation, 0, "k=hot:NoSchedule "),
        (Recovery, 0, ""),
        (Recovery, 12, "k=hot:NoSchedule "),
    ] {
        let mut story = held();
        story.metric(HOT, "n1", 0.0);
        story.run(Evaluation);
        story.run(Evaluation);
        story.node("n1").taint("k", "hot", NoSchedule);
        for _ in 0..wait {
            story.run(Evaluation);
        }
        story.metric(FULL, "n1", 2.0);
        story.run(queue);
        assert_eq!(story.marks(), ["n1 k=full:NoSchedule l=full cordoned"]);
        story.metric(FULL, "n1", 0.0);
        for _ in 0..20 {
            story.run(Evaluation);
        }
        assert_eq!(
            story.marks(),
            [format!("n1 {back}l=theirs")],
            "{queue:?} {wait}"
        );
    }
}

#[test]
fn what_is_remembered_of_a_removal_is_bounded() {
    let mut story = held();
    for round in 0..100 {
        for (metric, load) in [(HOT, 2.0), (HOT, 0.0), (FULL, 2.0), (FULL, 0.0)] {
            story.metric(metric, "n1", load);
            story.run(Evaluation);
            if round % 3 == 0 {
                story.run(Recovery);
            }
            if let Some(ledger) = story.history.ledgers.get("n1") {
                assert!(ledger.marks.len() + ledger.removed.len() <= 3, "{ledger:?}");
                let values = ledger.removed.iter().map(|removed| removed.values.len());
                let written = ledger.marks.iter().map(|owned| owned.sent.len());
                assert!(values.chain(written).all(|count| count <= 2), "{ledger:?}");
            }
        }
    }
    story.calm();
}

#[test]
fn a_held_node_is_not_written_to_memory_again_once_both_queues_have_seen_it() {
    let mut story = held();
    let before = story.history.ledgers.clone();
    for _ in 0..20 {
        story.run(Evaluation);
        story.run(Recovery);
        assert_eq!(story.history.ledgers, before);
    }
}

#[test]
fn a_ledger_of_the_former_version_is_read_and_what_it_holds_is_removed() {
    let text = r#"{"uid": "uid-n1", "marks": [
        {"mark": {"key": {"kind": "taint", "key": "k", "effect": "NoSchedule"}, "value": "hot"}, "shown": "hot"},
        {"mark": {"key": {"kind": "label", "key": "l"}, "value": "hot"}, "previous": "theirs", "shown": "hot"},
        {"mark": {"key": {"kind": "cordon"}}, "shown": ""}]}"#;
    for gone in [false, true] {
        let mut story = held();
        let ledger = serde_json::from_str(text).unwrap();
        story.history.ledgers.insert("n1".to_owned(), ledger);
        if gone {
            let node = story.node("n1");
            node.taints.clear();
            node.cordoned = false;
            node.label("l", "theirs");
        }
        story.calm();
    }
}

#[test]
fn a_cordon_of_someone_else_stays_when_only_the_recovery_has_seen_ours_and_its_removal() {
    let mut story = story();
    story.metric(HOT, "n1", 2.0);
    story.run(Evaluation);
    for _ in 0..20 {
        story.run(Recovery);
    }
    story.metric(HOT, "n1", 0.0);
    story.run(Recovery);
    story.run(Recovery);
    story.node("n1").cordoned = true;
    for _ in 0..30 {
        assert!(story.run(Recovery).changes.is_empty());
    }
    assert_eq!(story.marks(), ["n1 l=theirs cordoned"]);
    assert!(story.history.ledgers.is_empty());
}

#[test]
fn a_cordon_of_someone_else_before_our_removal_was_seen_is_lifted_once_and_then_stays() {
    for seen in [Evaluation, Recovery] {
        let mut story = held();
        story.metric(HOT, "n1", 0.0);
        story.run(Evaluation);
        story.node("n1").cordoned = true;
        story.run(seen);
        assert!(
            !story.node("n1").cordoned,
            "it looks as if the removal was lost"
        );
        story.run(seen);
        story.node("n1").cordoned = true;
        for _ in 0..20 {
            story.run(Evaluation);
            story.run(Recovery);
        }
        assert!(story.node("n1").cordoned);
    }
}

#[test]
fn a_cordon_that_someone_took_away_is_not_lifted_at_recovery() {
    // Whoever sets it just now, as the write of the recovery arrives, means it.
    let mut story = held();
    story.node("n1").cordoned = false;
    story.metric(HOT, "n1", 0.0);
    let plan = story.sees(Evaluation, &story.cluster.clone());
    story.node("n1").cordoned = true;
    story.arrive(&plan);
    story.run(Evaluation);
    assert_eq!(story.marks(), ["n1 l=theirs cordoned"]);
}

#[test]
fn a_cordon_of_someone_else_is_lifted_while_one_of_ours_may_still_come_and_not_after() {
    let mut story = held();
    story.node("n1").cordoned = false;
    story.run(Recovery);
    story.metric(HOT, "n1", 0.0);
    story.run(Evaluation);
    story.run(Evaluation);
    for seconds in (0..120).step_by(10) {
        story.node("n1").cordoned = true;
        story.run(Evaluation);
        let lifted = !story.node("n1").cordoned;
        assert!(!lifted || seconds < 60, "after {seconds} s");
        story.run(Evaluation);
    }
    assert!(story.node("n1").cordoned);
}
