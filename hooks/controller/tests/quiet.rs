//! A run that finds nothing due spares the next ones the reading; whatever could make something due ends that.

#[expect(
    dead_code,
    reason = "shared with the other tests of this executable, which use all of it"
)]
mod support;

use std::os::unix::fs::MetadataExt as _;

use serde_json::{Value, json};
use support::{Answer, Desk, Outcome, context, node, rule};

/// A desk after an evaluation, and after a run five seconds later that had nothing to do. For two minutes after its
/// state was made, statuses of an earlier one are looked for in every run; that is over.
fn quiet_desk() -> Desk {
    let desk = Desk::new().answering(Answer::all(50.0));
    put_rules(&desk, &[rule("hot")]);
    for now in ["2026-01-02T00:00:00Z", "2026-01-02T00:05:00Z"] {
        assert!(is_evaluated(&desk.tick(now)), "{now}");
    }
    assert!(!is_evaluated(&desk.tick("2026-01-02T00:05:05Z")));
    desk
}

fn put_rules(desk: &Desk, rules: &[Value]) {
    desk.put(
        "context.json",
        &context(rules, &[node("node-1")]).to_string(),
    );
}

/// Whether some rule was looked at in the run.
fn is_evaluated(run: &Outcome) -> bool {
    assert_eq!(run.status, Some(0), "{run:?}");
    let names = |metric: &Value| metric["name"] == "nodeguardian_evaluation_duration_seconds";
    run.metrics.iter().any(names)
}

/// When the state was last opened: the index of its log is made anew each time.
fn opened(desk: &Desk) -> (i64, i64) {
    let index = std::fs::metadata(desk.path("state/state.db-shm")).expect("the state was opened");
    (index.mtime(), index.mtime_nsec())
}

#[test]
fn the_state_is_not_opened_while_nothing_can_be_due() {
    let desk = quiet_desk();
    let before = opened(&desk);
    for now in ["2026-01-02T00:05:10Z", "2026-01-02T00:05:25Z"] {
        assert!(!is_evaluated(&desk.tick(now)), "{now}");
        assert_eq!(opened(&desk), before, "{now}");
    }
    assert!(is_evaluated(&desk.tick("2026-01-02T00:05:30Z")));
    assert_ne!(opened(&desk), before);
}

#[test]
fn a_changed_rule_is_evaluated_at_once() {
    let desk = quiet_desk();
    let mut changed = rule("hot");
    changed["spec"]["conditions"][0]["value"] = json!(40);
    put_rules(&desk, &[changed]);
    let run = desk.tick("2026-01-02T00:05:06Z");
    assert!(run.node_patch("node-1").is_some(), "{run:?}");
}

#[test]
fn a_new_rule_and_a_deleted_one_are_seen_at_once() {
    let desk = quiet_desk();
    put_rules(&desk, &[rule("hot"), rule("new")]);
    assert!(is_evaluated(&desk.tick("2026-01-02T00:05:06Z")));
    assert!(!is_evaluated(&desk.tick("2026-01-02T00:05:07Z")));
    let before = opened(&desk);
    put_rules(&desk, &[rule("new")]);
    desk.tick("2026-01-02T00:05:08Z");
    assert_ne!(opened(&desk), before);
}

#[test]
fn a_clock_that_went_back_makes_everything_due() {
    let desk = quiet_desk();
    assert!(is_evaluated(&desk.tick("2026-01-01T23:59:00Z")));
}

#[test]
fn other_defaults_make_everything_due() {
    let desk = quiet_desk();
    desk.put_config(&json!({"monitoring": {"defaultCheckInterval": "20s"}}));
    assert!(is_evaluated(&desk.tick("2026-01-02T00:05:06Z")));
}

#[test]
fn a_state_that_is_gone_is_rebuilt() {
    let desk = quiet_desk();
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        std::fs::remove_file(desk.path("state").join(name)).expect("the file was there");
    }
    assert!(is_evaluated(&desk.tick("2026-01-02T00:05:06Z")));
}

#[test]
fn a_note_that_is_no_note_is_not_believed() {
    let desk = quiet_desk();
    for text in ["", "nonsense", "0 0 9999999999999 whole 0\n"] {
        let before = opened(&desk);
        desk.put("state/evaluation.quiet", text);
        assert!(!is_evaluated(&desk.tick("2026-01-02T00:05:10Z")));
        assert_ne!(opened(&desk), before, "{text:?}");
    }
}
