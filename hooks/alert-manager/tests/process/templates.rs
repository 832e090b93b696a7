//! The templates that the hook watches: what it says of them, and what it does without them.

use serde_json::{Value, json};

use crate::support::receiver::Receiver;
use crate::support::{self, Desk, NOW, after, alert, template, tick, with};

/// A template that cannot be used and one that can.
fn templates() -> [Value; 2] {
    [
        template(
            "broken",
            &json!({"subject": "{{#if}} {{/each}}", "body": "x"}),
        ),
        template(
            "good",
            &json!({"subject": "On {{nodeName}}", "body": "Load of {{nodeName}}"}),
        ),
    ]
}

/// The first sight of templates.
fn synchronization(objects: &[Value]) -> Value {
    let objects = support::snapshot(objects);
    json!([{
        "binding": "monitor-alert-templates", "type": "Synchronization", "objects": objects,
        "snapshots": {"monitor-alert-templates": objects},
    }])
}

#[test]
fn the_status_of_a_template_is_written_when_it_differs() {
    let desk = Desk::new("");
    let run = desk.run(&synchronization(&templates()), NOW);
    assert_eq!(run.status, Some(0), "{run:?}");
    let statuses: Vec<(&Value, &Value, &Value)> = run
        .patches
        .iter()
        .map(|patch| {
            let condition = &patch["mergePatch"]["status"]["conditions"][0];
            (&patch["subresource"], &patch["name"], &condition["status"])
        })
        .collect();
    let expected = [
        (&json!("status"), &json!("broken"), &json!("False")),
        (&json!("status"), &json!("good"), &json!("True")),
    ];
    assert_eq!(statuses, expected);
    assert_eq!(
        run.logged("alert template cannot be used").len(),
        1,
        "{}",
        run.stdout
    );
    // Written as it stands there, nothing is to be said again, at whatever time.
    let mut told = templates();
    for (object, patch) in told.iter_mut().zip(&run.patches) {
        object["status"] = patch["mergePatch"]["status"].clone();
    }
    let again = desk.run(&synchronization(&told), &after(5));
    assert_eq!(
        (again.patches.len(), again.stdout.as_str()),
        (0, ""),
        "{again:?}"
    );
    desk.queue(&[alert("a", &["log"])], NOW);
    assert_eq!(desk.run(&tick(&told), &after(5)).patches.len(), 0);
    // One that cannot be read at all says why.
    let mut odd = told.clone();
    odd[0]["spec"] = json!({"subject": ["a", "list"]});
    odd[0]["metadata"]["generation"] = json!(3);
    let unread = desk.run(&synchronization(&odd), &after(7));
    let conditions = &unread.patches[0]["mergePatch"]["status"]["conditions"];
    let message = conditions[0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("expected a string"), "{message}");
    // A mended template is valid from then on.
    told[0]["spec"] = json!({"subject": "s", "body": "b"});
    told[0]["metadata"]["generation"] = json!(4);
    let mended = desk.run(&synchronization(&told), &after(10));
    let status = &mended.patches[0]["mergePatch"]["status"];
    assert_eq!(mended.patches.len(), 1);
    assert_eq!(status["observedGeneration"], 4);
    assert_eq!(status["conditions"][0]["status"], "True");
    assert_eq!(status["conditions"][0]["lastTransitionTime"], after(10));
}

#[test]
fn a_template_that_is_broken_or_absent_loses_no_alert() {
    let receiver = Receiver::good();
    let desk = Desk::new(receiver.url());
    let named = |name: &str| {
        with(
            "node-1",
            &["webhook"],
            &json!({"template": name, "rule": name}),
        )
    };
    desk.queue(&["broken", "good", "absent"].map(named), NOW);
    let run = desk.run(&tick(&templates()), &after(5));
    assert_eq!(run.status, Some(0), "{run:?}");
    let requests = receiver.requests();
    let titles: Vec<&str> = requests
        .iter()
        .filter_map(|request| request.body["title"].as_str())
        .collect();
    assert_eq!(titles.len(), 3, "{titles:?}");
    assert!(titles.contains(&"On node-1"), "{titles:?}");
    assert_eq!(run.logged("alert template").len(), 2, "{}", run.stdout);
    // Without a snapshot, templates are those last seen.
    desk.queue(&[named("good")], &after(10));
    let bare = json!([{"binding": "alert-delivery", "type": "Schedule"}]);
    desk.run(&bare, &after(10));
    assert_eq!(receiver.requests()[3].body["title"], "On node-1");
}

#[test]
fn templates_that_come_with_a_delivery_are_told_once() {
    let receiver = Receiver::good();
    let desk = Desk::new(receiver.url());
    let fields = json!({"template": "good"});
    desk.queue(&[with("node-1", &["webhook"], &fields)], NOW);
    let both = [synchronization(&templates()), tick(&templates())];
    let both = both
        .iter()
        .flat_map(|contexts| contexts.as_array().into_iter().flatten());
    let run = desk.run(&both.cloned().collect(), &after(5));
    assert_eq!(run.patches.len(), 2, "{run:?}");
    assert_eq!(
        run.logged("alert template cannot be used").len(),
        1,
        "{run:?}"
    );
    assert_eq!(receiver.requests()[0].body["title"], "On node-1");
}

#[test]
fn an_idle_tick_reads_no_template_and_writes_nothing() {
    let desk = Desk::new("");
    desk.tick(NOW);
    let before = std::fs::read(desk.path("state/state.db-wal")).expect("a log");
    // Nonsense where the snapshot should be is not even looked at.
    let contexts = json!([{
        "binding": "alert-delivery", "type": "Schedule",
        "snapshots": {"monitor-alert-templates": [{"object": {"metadata": {"name": 5}}}]},
    }]);
    let run = desk.run(&contexts, &after(5));
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    assert_eq!(
        std::fs::read(desk.path("state/state.db-wal")).expect("a log"),
        before
    );
    assert!(!run.metrics.is_empty());
}
