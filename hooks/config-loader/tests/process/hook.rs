//! The hook as shell-operator runs it.

use crate::support::{Desk, applied};
use serde_json::{Value, json};

const VALID: &str = r#"{"log": {"level": "WARN"}}"#;
const BROKEN: &str = r#"{"log": {"level": "LOUD"}, "email": {"smtpPort": "abc"}, "emial": {}}"#;

fn change(desk: &Desk, text: &str, now: &str) -> crate::support::Run {
    desk.run(&applied(&json!({"config.json": text})), now)
}

#[test]
fn the_bindings_are_printed() {
    let desk = Desk::new();
    let printed = desk.call(&["--config"]);
    assert_eq!((printed.status, printed.stderr.as_str()), (Some(0), ""));
    let printed: Value = serde_json::from_str(&printed.stdout).expect("JSON");
    let expected = json!({
        "configVersion": "v1",
        "kubernetes": [{
            "name": "config", "apiVersion": "v1", "kind": "ConfigMap", "queue": "nodeguardian-config", "group": "config",
            "allowFailure": true, "executeHookOnEvent": ["Added", "Modified", "Deleted"], "keepFullObjectsInMemory": false,
            "jqFilter": "{name: .metadata.name, namespace: .metadata.namespace, data: .data}",
            "nameSelector": {"matchNames": ["nodeguardian-config"]},
        }],
    });
    assert_eq!(printed, expected);
}

#[test]
fn what_is_applied_is_told_once_and_so_is_its_correction() {
    let desk = Desk::new();
    let gauges = |run: &crate::support::Run| {
        ["valid", "errors", "warnings"]
            .map(|name| run.gauge(&format!("nodeguardian_config_{name}")))
    };
    let first = change(&desk, VALID, "2026-01-02T00:00:00Z");
    assert_eq!((first.outcome.status, first.events()), (Some(0), vec![]));
    assert_eq!(gauges(&first), [Some(1.0), Some(0.0), Some(0.0)]);
    assert_eq!(desk.text("state/config.last-valid.json"), VALID);

    let broken = change(&desk, BROKEN, "2026-01-02T00:01:00Z");
    assert_eq!(gauges(&broken), [Some(0.0), Some(2.0), Some(1.0)]);
    let message = "the applied configuration is invalid: config.json: email.smtpPort: expected a port number, found \"abc\"; \
                   config.json: log.level: expected a log level (DEBUG, INFO, WARN or ERROR), found \"LOUD\"";
    assert_eq!(
        broken.events(),
        [("ConfigInvalid".to_owned(), message.to_owned())]
    );
    let event = &broken.patches[0]["object"];
    assert_eq!(
        event["involvedObject"],
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "name": "nodeguardian-config", "namespace": "guards",
        })
    );
    assert_eq!(
        (&event["metadata"]["namespace"], &event["type"]),
        (&json!("guards"), &json!("Warning"))
    );
    assert_eq!(
        desk.text("state/config.last-valid.json"),
        VALID,
        "the last valid one is kept"
    );
    for part in [
        "invalid configuration",
        "email.smtpPort",
        "did you mean \\\"email\\\"",
    ] {
        assert!(
            broken.outcome.stdout.contains(part),
            "{part}: {}",
            broken.outcome.stdout
        );
    }
}

#[test]
fn a_config_map_without_a_configuration_is_doubtful() {
    let warnings = |data: &Value| {
        let run = Desk::new().run(&applied(data), "2026-01-02T00:00:00Z");
        let said = run
            .outcome
            .stdout
            .contains("ConfigMap: expected config.json or config.yaml, found");
        (
            run.gauge("nodeguardian_config_valid"),
            run.gauge("nodeguardian_config_warnings"),
            said,
        )
    };
    assert_eq!(warnings(&json!({})), (Some(1.0), Some(0.0), false));
    let misnamed = json!({"config.yml": "log: {level: LOUD}", "notes": "x"});
    assert_eq!(warnings(&misnamed), (Some(1.0), Some(1.0), true));
}

#[test]
fn only_news_is_told() {
    let desk = Desk::new();
    let events = |text: &str, now: &str| change(&desk, text, now).events();
    assert_eq!(events(BROKEN, "2026-01-02T00:01:00Z").len(), 1);
    assert_eq!(
        change(&desk, BROKEN, "2026-01-02T05:00:00Z").events(),
        vec![],
        "not twice"
    );
    let other = change(&desk, "{", "2026-01-02T05:01:00Z");
    assert_eq!(other.events().len(), 1, "other errors are news");
    let mended = change(&desk, VALID, "2026-01-02T05:02:00Z");
    assert_eq!(
        mended.events(),
        [(
            "ConfigValid".to_owned(),
            "the configuration is valid again".to_owned()
        )]
    );
    assert_eq!(mended.patches[0]["object"]["type"], "Normal");
    assert_eq!(
        change(&desk, VALID, "2026-01-02T05:03:00Z").events(),
        vec![]
    );
    assert_eq!(
        change(&desk, "{", "2026-01-02T05:04:00Z").events().len(),
        1,
        "again is news again"
    );
}

#[test]
fn every_error_fits_into_some_event() {
    let desk = Desk::new();
    let recipients: Vec<String> = (0..60).map(|index| format!("nobody-{index:02}")).collect();
    let run = change(
        &desk,
        &json!({"email": {"to": recipients}}).to_string(),
        "2026-01-02T00:00:00Z",
    );
    let events = run.events();
    assert!(events.len() > 3, "{events:?}");
    let all: String = events.iter().map(|(_, message)| message.as_str()).collect();
    for recipient in &recipients {
        assert!(all.contains(&format!("\"{recipient}\"")), "{recipient}");
    }
    assert!(events.iter().all(|(_, message)| message.len() <= 1000));
    let names: std::collections::BTreeSet<String> = run
        .patches
        .iter()
        .map(|patch| patch["object"]["metadata"]["name"].to_string())
        .collect();
    assert_eq!(names.len(), events.len(), "each has a name of its own");
}

#[test]
fn every_form_of_context_is_understood() {
    let map = |text: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "nodeguardian-config", "namespace": "guards"}, "data": {"config.json": text},
        })
    };
    let filtered = |text: &str| json!({"namespace": "guards", "data": {"config.yaml": text}});
    for (contexts, valid) in [
        (
            json!([{"binding": "config", "type": "Synchronization", "objects": [{"object": map(BROKEN)}]}]),
            0.0,
        ),
        (
            json!([{"binding": "config", "type": "Event", "watchEvent": "Modified", "object": map(BROKEN)}]),
            0.0,
        ),
        (
            json!([{"binding": "config", "type": "Event", "watchEvent": "Added", "filterResult": filtered("log: {level: LOUD}")}]),
            0.0,
        ),
        (
            json!([
                {"binding": "config", "type": "Event", "watchEvent": "Modified", "object": map(BROKEN)},
                {"binding": "config", "type": "Event", "watchEvent": "Modified", "object": map(VALID)},
            ]),
            1.0,
        ),
        // What is gone does not count: the mounted one does.
        (
            json!([{"binding": "config", "type": "Event", "watchEvent": "Deleted", "object": map(BROKEN)}]),
            1.0,
        ),
        (
            json!([{"binding": "config", "type": "Group", "groupName": "config", "snapshots": {"config": []}}]),
            1.0,
        ),
        (
            json!([{"binding": "config", "type": "Synchronization", "objects": []}]),
            1.0,
        ),
        (
            json!([{"binding": "config", "type": "Synchronization", "objects": [{"filterResult": {"namespace": "guards", "data": null}}]}]),
            1.0,
        ),
        (
            json!([{"binding": "other", "type": "Event", "watchEvent": "Added", "object": map(BROKEN)}]),
            1.0,
        ),
        (json!([{"binding": "onStartup"}]), 1.0),
    ] {
        let run = Desk::new().run(&contexts, "2026-01-02T00:00:00Z");
        assert_eq!(
            (run.outcome.status, run.gauge("nodeguardian_config_valid")),
            (Some(0), Some(valid)),
            "{contexts}: {run:?}"
        );
    }
}

#[test]
fn the_mounted_secret_counts_and_is_never_shown() {
    let desk = Desk::new();
    desk.put("secrets/slack-webhook-url", "hunter2");
    let run = change(&desk, VALID, "2026-01-02T00:00:00Z");
    assert_eq!(run.gauge("nodeguardian_config_valid"), Some(0.0));
    let all = format!("{run:?}");
    assert!(
        all.contains("slack.webhookUrl") && !all.contains("hunter2"),
        "{all}"
    );
}

#[test]
fn a_damaged_state_is_set_aside_and_that_is_said() {
    let desk = Desk::new();
    desk.put(
        "state/state.db",
        "this is not a database, and longer than a header of one would have to be",
    );
    let run = change(&desk, "{}", "2026-01-02T03:04:05Z");
    assert_eq!(run.outcome.status, Some(0), "{run:?}");
    let said = "the state was damaged, and alerts that were not sent are lost";
    assert!(run.outcome.stdout.contains(said), "{run:?}");
    assert!(
        run.outcome.stdout.contains("state/state.db.corrupt-1"),
        "{run:?}"
    );
}

#[test]
fn trouble_with_the_state_directory_holds_nothing_up() {
    let desk = Desk::new();
    std::fs::remove_dir(desk.path("state")).expect("an empty folder");
    desk.put("state", "a file");
    let run = change(&desk, BROKEN, "2026-01-02T00:00:00Z");
    assert_eq!(
        (run.outcome.status, run.events().len()),
        (Some(0), 1),
        "{run:?}"
    );
    assert_eq!(run.gauge("nodeguardian_config_valid"), Some(0.0));
    assert!(
        run.outcome.stdout.contains("part of the run failed"),
        "{run:?}"
    );
}
