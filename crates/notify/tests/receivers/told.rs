//! Messages that arrive.

use ng_config::{ChannelKind, HeaderName, Secret};
use ng_engine::plan::AlertKind;
use ng_notify::message::Outcome;
use ng_notify::{LogLine, Receiver, When, send};

use crate::server::Server;
use crate::strict::{answer, texts};
use crate::test_support::{AT, hostile, message, recovery, repeat};
use crate::{PATIENCE, attempt, config, http_channels};

fn strict(channel: ChannelKind) -> Server {
    Server::start(move |call| answer(channel, call))
}

#[test]
fn every_channel_tells_trigger_repeat_and_recovery() {
    for channel in http_channels() {
        let server = strict(channel);
        let config = config(&server.base());
        for (message, requests) in [(message(), 1), (repeat(), 3), (recovery(), 1)] {
            let before = server.calls().len();
            let sent = attempt(&config, channel, &message);
            assert_eq!(
                sent.outcome,
                Outcome::Delivered,
                "{channel} {:?}",
                message.kind
            );
            assert_eq!(sent.told, message.nodes.len(), "{channel}");
            let own = if channel == ChannelKind::Pagerduty {
                requests
            } else {
                1
            };
            assert_eq!(server.calls().len() - before, own, "{channel}");
        }
    }
}

#[test]
fn nothing_in_a_message_breaks_a_request_or_calls_anyone() {
    let sizes = [(1, 300), (3, 100_000), (5000, 1 << 20)];
    for channel in http_channels() {
        let server = strict(channel);
        let config = config(&server.base());
        for (nodes, length) in sizes {
            // One event a node: thousands say no more than some hundred.
            let nodes = if channel == ChannelKind::Pagerduty {
                nodes.min(300)
            } else {
                nodes
            };
            for kind in [AlertKind::Trigger, AlertKind::Recovery] {
                let mut message = hostile(nodes, length);
                message.kind = kind;
                let sent = attempt(&config, channel, &message);
                assert_eq!(
                    sent.outcome,
                    Outcome::Delivered,
                    "{channel} {nodes} {length}"
                );
            }
        }
    }
}

#[test]
fn a_test_says_so_everywhere() {
    let mut test = message();
    test.test = true;
    for channel in http_channels() {
        let server = strict(channel);
        let sent = attempt(&config(&server.base()), channel, &test);
        assert_eq!(sent.outcome, Outcome::Delivered, "{channel}");
        let body = serde_json::from_slice(&server.calls()[0].body).unwrap();
        let says = texts(&body).iter().any(|text| text.contains("[TEST] "));
        assert!(says, "{channel}: {body}");
    }
    let mut lines = Vec::new();
    let receiver = Receiver::of(ChannelKind::Log, &config("http://127.0.0.1:1")).unwrap();
    let when = When {
        now: AT,
        deadline: std::time::Instant::now() + PATIENCE,
    };
    let mut sink = |line: LogLine<'_>| lines.push(line.text.into_owned());
    let sent = send(&receiver, &test, &when, &mut sink);
    assert_eq!((sent.outcome, sent.told), (Outcome::Delivered, 1));
    assert_eq!(lines, ["[TEST] High load on worker-1"]);
}

#[test]
fn a_message_that_names_no_node_goes_out_too() {
    let mut empty = message();
    empty.nodes.clear();
    empty.total = 0;
    for channel in http_channels() {
        let server = strict(channel);
        let sent = attempt(&config(&server.base()), channel, &empty);
        assert_eq!(sent.outcome, Outcome::Delivered, "{channel}");
    }
}

#[test]
fn the_webhook_has_its_headers_and_either_signature() {
    let server = Server::start(|_| crate::server::Reply::new(204, ""));
    let mut config = config(&server.base());
    let header = |name: &str| name.parse::<HeaderName>().unwrap();
    config.alert.webhook_headers.extend([
        (header("X-Team"), Secret::new("platform")),
        (header("Authorization"), Secret::new("Bearer abc")),
    ]);
    config.alert.webhook_secret = Some(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    let sent = attempt(&config, ChannelKind::Webhook, &message());
    assert_eq!(sent.outcome, Outcome::Delivered);
    config.alert.webhook_secret = None;
    attempt(&config, ChannelKind::Webhook, &message());
    let calls = server.calls();
    assert_eq!(calls[0].header("x-team"), Some("platform"));
    assert_eq!(calls[0].header("authorization"), Some("Bearer abc"));
    assert_eq!(calls[0].header("webhook-id"), Some("0192-trigger"));
    assert_eq!(calls[0].header("webhook-timestamp"), Some("1767323045"));
    assert!(
        calls[0]
            .header("webhook-signature")
            .unwrap()
            .starts_with("v1,")
    );
    assert_eq!(calls[0].header("x-hub-signature-256"), None);
    assert_eq!(calls[1].header("webhook-id"), Some("0192-trigger"));
    for signature in ["webhook-signature", "x-hub-signature-256"] {
        assert_eq!(calls[1].header(signature), None);
    }
}
