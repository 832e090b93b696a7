//! The built executable against real receivers: what is queued is told, whatever they do.

#[path = "../support/mod.rs"]
mod support;
mod templates;

use std::time::{Duration, Instant};

use ng_state::DeliveryState;
use serde_json::{Value, json};
use support::receiver::{Answer, Receiver};
use support::{Desk, NOW, after, alert, with};

#[test]
fn config_is_one_json_document_and_touches_nothing() {
    let desk = Desk::new("");
    let run = desk.call(&["--config"], NOW);
    assert_eq!(run.status, Some(0), "{run:?}");
    let config: Value = serde_json::from_str(&run.stdout).expect("one JSON document");
    let schedule = &config["schedule"][0];
    assert_eq!(schedule["name"], "alert-delivery");
    assert_eq!(schedule["queue"], "nodeguardian-alerts");
    assert_eq!(schedule["allowFailure"], true);
    assert_eq!(
        schedule["includeSnapshotsFrom"],
        json!(["monitor-alert-templates"])
    );
    assert_eq!(config["kubernetes"][0]["name"], "monitor-alert-templates");
    assert_eq!(run.stderr, "");
    assert!(!desk.path("state/state.db").exists());
}

#[test]
fn a_trigger_reaches_the_webhook_once() {
    let receiver = Receiver::good();
    let desk = Desk::new(receiver.url());
    desk.queue(&[alert("node-1", &["webhook", "log"])], NOW);
    let run = desk.tick(NOW);
    assert_eq!(run.status, Some(0), "{run:?}");
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    let body = &requests[0].body;
    assert_eq!(body["type"], "trigger");
    assert_eq!(body["ruleName"], "load");
    assert_eq!(body["severity"], "warning");
    assert_eq!(body["triggeredNodes"], json!(["node-1"]));
    assert!(
        body["fingerprint"].is_string() && body["nodes"][0]["metrics"].is_object(),
        "{body}"
    );
    // The log channel, in a line of its own.
    assert!(run.stdout.contains("node-1"), "{}", run.stdout);
    for channel in ["webhook", "log"] {
        let labels = [("channel", channel), ("result", "delivered")];
        assert!(
            (run.gauge("nodeguardian_alerts_total", &labels) - 1.0).abs() < 0.1,
            "{run:?}"
        );
    }
    assert!(run.gauge("nodeguardian_outbox_pending", &[]).abs() < 0.1);
    desk.tick(&after(5));
    assert_eq!(receiver.requests().len(), 1);
}

/// Makes the start of some messages fail in a way that is no damage: with a text that is too large for a row.
fn refuse_to_start(desk: &Desk, which: &str) {
    let state = rusqlite::Connection::open(desk.path("state/state.db")).expect("the state");
    let trigger = format!(
        "CREATE TRIGGER refuse BEFORE UPDATE ON delivery WHEN NEW.attempts > OLD.attempts AND {which} \
         BEGIN SELECT hex(zeroblob(999999999)); END"
    );
    state.execute_batch(&trigger).expect("a trigger");
}

fn start_again(desk: &Desk) {
    let state = rusqlite::Connection::open(desk.path("state/state.db")).expect("the state");
    state
        .execute_batch("DROP TRIGGER refuse")
        .expect("no trigger");
}

#[test]
fn what_is_told_stays_told_where_the_next_message_cannot_be_started() {
    let receiver = Receiver::good();
    let desk = Desk::new(receiver.url());
    let other = with("node-2", &["webhook"], &json!({"rule": "other"}));
    let ids = desk.queue(&[alert("node-1", &["webhook"]), other], NOW);
    refuse_to_start(&desk, &format!("NEW.first = {}", ids[1]));
    for seconds in [0, 5] {
        let run = desk.tick(&after(seconds));
        assert_eq!(run.status, Some(1), "{run:?}");
        assert_eq!(receiver.got(), ["trigger node-1"]);
        assert_eq!(desk.count(DeliveryState::Done), 1);
    }
    start_again(&desk);
    assert_eq!(desk.tick(&after(10)).status, Some(0));
    assert_eq!(receiver.got(), ["trigger node-1", "trigger node-2"]);
}

#[test]
fn a_message_that_cannot_be_started_does_not_hold_up_other_receivers() {
    let receiver = Receiver::good();
    let desk = Desk::new(receiver.url());
    desk.queue(&[alert("node-1", &["log", "webhook"])], NOW);
    refuse_to_start(&desk, "NEW.channel = 'log'");
    let run = desk.tick(NOW);
    assert_eq!(run.status, Some(1), "{run:?}");
    assert!(run.stderr.contains("channel log"), "{run:?}");
    assert_eq!(run.logged("message not started").len(), 1, "{run:?}");
    assert_eq!(receiver.got(), ["trigger node-1"]);
    assert_eq!(desk.count(DeliveryState::Done), 1);
    start_again(&desk);
    let run = desk.tick(&after(5));
    assert!(
        run.status == Some(0) && run.stdout.contains("node-1"),
        "{run:?}"
    );
    assert_eq!(receiver.got(), ["trigger node-1"]);
}

#[test]
fn a_failing_receiver_is_tried_again_with_growing_waits() {
    let receiver = Receiver::start(|number, _| match number {
        0 | 1 => Answer::Status(500, ""),
        _ => Answer::Good,
    });
    let desk = Desk::new(receiver.url());
    desk.queue(&[alert("node-1", &["webhook", "log"])], NOW);
    // 5 s and up to a quarter more after the first attempt, twice as much after the second.
    let expected = [(0, 1), (4, 1), (7, 2), (12, 2), (16, 2), (20, 3), (30, 3)];
    for (seconds, requests) in expected {
        let run = desk.tick(&after(seconds));
        assert_eq!(run.status, Some(0), "{run:?}");
        assert_eq!(receiver.requests().len(), requests, "after {seconds} s");
    }
    assert_eq!(desk.count(DeliveryState::Done), 2);
    let bodies: Vec<Value> = receiver
        .requests()
        .into_iter()
        .map(|request| request.body)
        .collect();
    assert_eq!(bodies[0], bodies[2], "the message stays the same");
}

#[test]
fn the_receiver_says_how_long_to_wait() {
    let receiver = Receiver::start(|number, _| match number {
        0 => Answer::Status(429, "Retry-After: 60\r\n"),
        _ => Answer::Good,
    });
    let desk = Desk::new(receiver.url());
    desk.queue(&[alert("node-1", &["webhook"])], NOW);
    for (seconds, requests) in [(0, 1), (30, 1), (59, 1), (61, 2)] {
        desk.tick(&after(seconds));
        assert_eq!(receiver.requests().len(), requests, "after {seconds} s");
    }
    // What comes meanwhile for the same receiver waits, too.
    assert_eq!(desk.count(DeliveryState::Done), 1);
}

#[test]
fn a_robot_gets_no_more_than_it_bears() {
    let robot = Receiver::start(|_, _| Answer::Body("{\"errcode\":0,\"errmsg\":\"ok\"}"));
    let desk = Desk::new("");
    desk.configure("", &json!({"dingtalk": {"webhookUrl": robot.url()}}));
    let of_rule = |number| {
        with(
            "node-1",
            &["dingtalk"],
            &json!({"rule": format!("rule-{number}")}),
        )
    };
    let alerts: Vec<_> = (0..25).map(of_rule).collect();
    desk.queue(&alerts, NOW);
    // 20 a minute: what goes beyond waits, over runs.
    for (seconds, requests) in [(0, 20), (1, 20), (3, 21), (9, 23), (60, 25), (65, 25)] {
        let run = desk.tick(&after(seconds));
        assert_eq!(
            robot.requests().len(),
            requests,
            "after {seconds} s: {}",
            run.stdout
        );
    }
    assert_eq!(desk.count(DeliveryState::Done), 25);
}

#[test]
fn a_hanging_receiver_delays_only_itself() {
    let hanging = Receiver::start(|_, _| Answer::Hang);
    let good = Receiver::good();
    let desk = Desk::new(good.url());
    desk.configure(good.url(), &json!({"slack": {"webhookUrl": hanging.url()}}));
    let alerts: Vec<_> = (0..5)
        .map(|number| {
            let rule = json!({"rule": format!("rule-{number}")});
            with("node-1", &["slack", "webhook"], &rule)
        })
        .collect();
    desk.queue(&alerts, NOW);
    let began = Instant::now();
    let run = desk.tick(NOW);
    assert_eq!(run.status, Some(0), "{run:?}");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(good.requests().len(), 5);
    assert_eq!(
        hanging.requests().len(),
        1,
        "one attempt shows that it hangs"
    );
    assert_eq!(desk.count(DeliveryState::Done), 5);
    assert_eq!(desk.count(DeliveryState::Pending), 5);
    assert_eq!(
        run.logged("alerts not delivered").len(),
        1,
        "{}",
        run.stdout
    );
}

#[test]
fn a_thousand_nodes_are_at_most_three_messages() {
    for batch_size in [1, 10, 400] {
        let receiver = Receiver::good();
        let desk = Desk::new(receiver.url());
        desk.configure(receiver.url(), &json!({"alert": {"batchSize": batch_size}}));
        let alerts: Vec<_> = (0..1000)
            .map(|number| alert(&format!("node-{number:04}"), &["webhook"]))
            .collect();
        desk.queue(&alerts, NOW);
        desk.tick(NOW);
        let requests = receiver.requests();
        assert!(requests.len() <= 3, "{batch_size}: {}", requests.len());
        let mut nodes: Vec<String> = requests
            .iter()
            .flat_map(support::receiver::Request::nodes)
            .collect();
        nodes.sort();
        nodes.dedup();
        assert_eq!(nodes.len(), 1000, "{batch_size}");
        assert_eq!(desk.count(DeliveryState::Done), 1000);
    }
}

#[test]
fn messages_wait_to_fill_up() {
    let receiver = Receiver::good();
    let desk = Desk::new(receiver.url());
    let waiting = json!({"alert": {"batchSize": 3, "batchTimeout": "30s"}});
    desk.configure(receiver.url(), &waiting);
    desk.queue(&[alert("a", &["webhook"])], NOW);
    desk.queue(
        &[with("b", &["webhook"], &json!({"severity": "critical"}))],
        NOW,
    );
    desk.tick(NOW);
    assert_eq!(receiver.got(), ["trigger b"], "critical alerts do not wait");
    desk.queue(&[alert("c", &["webhook"])], &after(10));
    desk.tick(&after(10));
    desk.tick(&after(29));
    assert_eq!(receiver.got().len(), 1);
    desk.tick(&after(30));
    assert_eq!(receiver.got()[1..], ["trigger a,c"]);
    desk.queue(
        &["d", "e", "f"].map(|node| alert(node, &["webhook"])),
        &after(40),
    );
    desk.tick(&after(40));
    assert_eq!(
        receiver.got()[2..],
        ["trigger d,e,f"],
        "a full message does not wait"
    );
}

#[test]
fn a_recovery_never_passes_its_trigger() {
    let receiver = Receiver::start(|number, _| match number {
        0 => Answer::Status(503, ""),
        _ => Answer::Good,
    });
    let desk = Desk::new(receiver.url());
    desk.queue(&[alert("a", &["webhook"])], NOW);
    desk.tick(NOW);
    desk.queue(
        &[with("a", &["webhook"], &json!({"type": "recovery"}))],
        &after(1),
    );
    desk.tick(&after(1));
    assert_eq!(receiver.got(), ["trigger a"]);
    // Both in one run, in order.
    desk.tick(&after(10));
    assert_eq!(receiver.got(), ["trigger a", "trigger a", "recovery a"]);
    let requests = receiver.requests();
    assert_eq!(
        requests[0].body["fingerprint"], requests[2].body["fingerprint"],
        "the same from trigger to recovery"
    );
}

#[test]
fn what_cannot_be_delivered_is_a_dead_letter_that_can_be_tried_again() {
    let receiver = Receiver::start(|number, _| match number {
        0..4 => Answer::Status(500, ""),
        _ => Answer::Good,
    });
    let desk = Desk::new(receiver.url());
    let ids = desk.queue(&[alert("node-1", &["webhook", "log"])], NOW);
    for minutes in 0..6 {
        desk.tick(&after(minutes * 60));
    }
    assert_eq!(
        receiver.requests().len(),
        4,
        "one attempt and three repetitions"
    );
    let run = desk.tick(&after(400));
    assert!(
        (run.gauge("nodeguardian_outbox_dead", &[]) - 1.0).abs() < 0.1,
        "{run:?}"
    );
    let labels = [("channel", "webhook"), ("result", "dead")];
    assert!((run.gauge("nodeguardian_alerts_total", &labels) - 1.0).abs() < 0.1);
    let id = ids[0].to_string();
    let listed = desk.call(&["outbox", "-o", "json"], &after(400));
    assert_eq!(listed.status, Some(0), "{listed:?}");
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert_eq!(listed[0]["id"], ids[0]);
    let dead = listed[0]["deliveries"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|delivery| delivery["channel"] == "webhook")
        .expect("the webhook");
    assert_eq!(
        (&dead["state"], &dead["attempts"]),
        (&json!("dead"), &json!(4))
    );
    assert!(
        dead["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("500")),
        "{dead}"
    );
    let table = desk.call(&["outbox", "list"], &after(400)).stdout;
    assert!(table.starts_with("ID") && table.contains("dead"), "{table}");
    assert_eq!(
        desk.call(&["outbox", "retry", &id], &after(400)).status,
        Some(0)
    );
    desk.tick(&after(400));
    assert_eq!(receiver.requests().len(), 5);
    assert_eq!(desk.count(DeliveryState::Dead), 0);
    assert_eq!(desk.count(DeliveryState::Done), 2);
}

#[test]
fn dead_letters_end_by_age_or_by_hand() {
    let receiver = Receiver::start(|_, _| Answer::Status(400, ""));
    let desk = Desk::new(receiver.url());
    desk.configure(receiver.url(), &json!({"alert": {"deadLetterAge": "1h"}}));
    let ids = desk.queue(&["a", "b"].map(|node| alert(node, &["webhook"])), NOW);
    desk.tick(NOW);
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(desk.count(DeliveryState::Dead), 2, "400 is for good");
    let id = ids[0].to_string();
    assert_eq!(desk.call(&["outbox", "drop", &id], NOW).status, Some(0));
    assert_eq!(desk.count(DeliveryState::Dead), 1);
    let run = desk.tick(&after(3 * 3600));
    assert!(
        run.gauge("nodeguardian_outbox_dead", &[]).abs() < 0.1,
        "{run:?}"
    );
    desk.tick(&after(100 * 3600));
    assert!(
        desk.outbox().is_empty(),
        "what is settled is forgotten in the end"
    );
}

#[test]
fn the_command_has_exit_codes() {
    let desk = Desk::new("");
    let cases: [(&[&str], i32); 9] = [
        (&["outbox"], 0),
        (&["outbox", "list", "--state", "dead"], 0),
        (&["outbox", "list", "--state", "ill"], 2),
        (&["outbox", "show", "7"], 1),
        (&["outbox", "retry", "7"], 1),
        (&["outbox", "drop", "x"], 2),
        (&["outbox", "-o", "xml"], 2),
        (&["--help"], 0),
        (&["--nonsense"], 2),
    ];
    for (arguments, status) in cases {
        let run = desk.call(arguments, NOW);
        assert_eq!(run.status, Some(status), "{arguments:?}: {run:?}");
    }
}

#[test]
fn channels_that_cannot_be_used_are_one_warning_each() {
    let receiver = Receiver::good();
    let desk = Desk::new(receiver.url());
    let channels = ["webhook", "slack", "pigeon"];
    desk.queue(&[alert("a", &channels)], NOW);
    let run = desk.tick(NOW);
    assert_eq!(run.status, Some(0), "{run:?}");
    let warnings = run.logged("alerts are not sent on a channel");
    assert_eq!(warnings.len(), 2, "{}", run.stdout);
    desk.queue(&[alert("b", &channels)], &after(5));
    let run = desk.tick(&after(5));
    assert!(
        run.logged("alerts are not sent on a channel").is_empty(),
        "{}",
        run.stdout
    );
    assert_eq!(desk.count(DeliveryState::Skipped), 4);
    assert_eq!(receiver.got(), ["trigger a", "trigger b"]);
    let labels = [
        ("channel", "slack"),
        ("result", "skipped"),
        ("reason", "notConfigured"),
    ];
    assert!((run.gauge("nodeguardian_alerts_total", &labels) - 2.0).abs() < 0.1);
}

#[test]
fn a_channel_that_could_be_used_meanwhile_is_a_warning_again() {
    let receiver = Receiver::good();
    let desk = Desk::new("");
    let addresses = ["", receiver.url(), ""];
    let warnings = addresses.iter().enumerate().map(|(number, address)| {
        desk.configure(address, &json!({}));
        let now = after(i64::try_from(number).expect("small") * 5);
        desk.queue(&[alert(&format!("node-{number}"), &["webhook"])], &now);
        let run = desk.tick(&now);
        run.logged("alerts are not sent on a channel").len()
    });
    assert_eq!(warnings.collect::<Vec<_>>(), [1, 0, 1]);
}

#[test]
fn muted_alerts_are_counted_and_not_sent() {
    let receiver = Receiver::good();
    let desk = Desk::new(receiver.url());
    let muted = json!({"muted": "notReady"});
    desk.queue(
        &[with("a", &["webhook"], &muted), alert("b", &["webhook"])],
        NOW,
    );
    let run = desk.tick(NOW);
    assert_eq!(receiver.got(), ["trigger b"]);
    let labels = [
        ("result", "muted"),
        ("reason", "notReady"),
        ("channel", "webhook"),
    ];
    assert!(
        (run.gauge("nodeguardian_alerts_total", &labels) - 1.0).abs() < 0.1,
        "{run:?}"
    );
}

#[test]
fn a_flapping_node_is_one_alert_and_then_its_last_state() {
    let receiver = Receiver::good();
    let desk = Desk::new(receiver.url());
    let flapping = json!({"alert": {"flapThreshold": 3, "flapHalfLife": "10m"}});
    desk.configure(receiver.url(), &flapping);
    for minute in 0..10 {
        let kind = if minute % 2 == 0 {
            "trigger"
        } else {
            "recovery"
        };
        let now = after(minute * 60);
        desk.queue(&[with("a", &["webhook"], &json!({"type": kind}))], &now);
        desk.tick(&now);
    }
    let expected = [
        "trigger a",
        "recovery a",
        "trigger a",
        "recovery a",
        "trigger a",
    ];
    assert_eq!(
        receiver.got(),
        expected,
        "the fifth says that it is flapping"
    );
    let body = receiver.requests()[4].body.to_string();
    assert!(body.contains("flapping"), "{body}");
    let run = desk.tick(&after(3600));
    assert_eq!(
        receiver.got()[5..],
        ["recovery a"],
        "people were told of the trigger"
    );
    let labels = [("result", "held"), ("channel", "webhook")];
    assert!(
        (run.gauge("nodeguardian_alerts_total", &labels) - 5.0).abs() < 0.1,
        "{run:?}"
    );
    assert_eq!(desk.count(DeliveryState::Held), 0);
}

#[test]
fn an_invalid_configuration_loses_no_alert() {
    let receiver = Receiver::good();
    let desk = Desk::new(receiver.url());
    desk.put("config/config.json", "{\"alert\": {\"webhookUrl\": 5}}");
    desk.queue(&[alert("a", &["webhook"])], NOW);
    let run = desk.tick(NOW);
    assert_eq!(
        (run.status, desk.count(DeliveryState::Pending)),
        (Some(0), 1),
        "{run:?}"
    );
    desk.configure(receiver.url(), &json!({}));
    desk.tick(&after(600));
    assert_eq!(receiver.got(), ["trigger a"]);
}

#[test]
fn a_state_that_cannot_be_written_fails_the_run_and_names_it() {
    let desk = Desk::new("");
    desk.put("state/state.db", "");
    std::fs::remove_dir_all(desk.path("state")).expect("the folder is there");
    // A file where the folder should be: nobody can write there, not even root.
    desk.put("state", "");
    let run = desk.tick(NOW);
    assert_eq!(run.status, Some(1), "{run:?}");
    assert!(run.stderr.contains("state"), "{}", run.stderr);
    // A Synchronization that fails would hold up every hook.
    let contexts =
        json!([{"binding": "monitor-alert-templates", "type": "Synchronization", "objects": []}]);
    let run = desk.run(&contexts, NOW);
    assert_eq!(run.status, Some(0), "{run:?}");
    assert!(
        run.stdout.contains("cannot take over the templates"),
        "{}",
        run.stdout
    );
    assert_eq!(desk.call(&["outbox"], NOW).status, Some(1));
}

#[test]
fn whoever_sets_a_damaged_state_aside_says_so() {
    let said = "the state was damaged, and alerts that were not sent are lost";
    for by_hand in [true, false] {
        let desk = Desk::new("http://127.0.0.1:1/");
        desk.put(
            "state/state.db",
            "this is not a database, and longer than a header of one would have to be",
        );
        let first = if by_hand {
            desk.call(&["outbox", "-o", "json"], NOW)
        } else {
            desk.tick(NOW)
        };
        assert_eq!(first.status, Some(0), "{first:?}");
        let log = if by_hand {
            &first.stderr
        } else {
            &first.stdout
        };
        let line = log.lines().find(|line| line.contains(said)).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        let kept = desk.path("state/state.db.corrupt-1");
        assert_eq!(line["level"], "error");
        assert_eq!(line["set_aside"], kept.display().to_string());
        assert!(
            line["reason"].as_str().unwrap().contains("not a database"),
            "{line}"
        );
        let then = desk.tick(NOW);
        assert!(!then.stdout.contains(said), "{}", then.stdout);
    }
}
