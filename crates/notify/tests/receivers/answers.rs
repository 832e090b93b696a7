//! What each service's answers mean.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ng_config::ChannelKind;
use ng_notify::message::Outcome;

use crate::server::{Reply, Server};
use crate::test_support::{message, node, recovery};
use crate::{TOKEN, attempt, config, http_channels};

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    Told,
    /// Again, after so many seconds if the service named a time; 0: it did not.
    Again(u64),
    Never,
}

use ChannelKind::{
    Alertmanager, Dingtalk, Feishu, Pagerduty, Slack, Teams, Telegram, Webhook, Wecom,
};
use Means::{Again, Never, Told};

/// Channel, status, body, meaning.
const ANSWERS: &[(ChannelKind, u16, &str, Means)] = &[
    (Webhook, 200, "", Told),
    (Webhook, 204, "", Told),
    (Webhook, 301, "", Never),
    (Webhook, 400, "no", Never),
    (Webhook, 408, "", Again(0)),
    (Webhook, 410, "", Never),
    (Webhook, 425, "", Again(0)),
    (Webhook, 500, "<html>", Again(0)),
    (Slack, 200, "ok", Told),
    (Slack, 200, "ok\n", Told),
    (Slack, 200, "", Again(0)),
    (Slack, 200, "<html>please log in</html>", Again(0)),
    (Slack, 200, "invalid_payload", Never),
    (Slack, 200, "rate_limited", Again(0)),
    (Slack, 400, "invalid_payload", Never),
    (Slack, 400, "no_text", Never),
    (Slack, 400, "too_many_attachments", Never),
    (Slack, 403, "action_prohibited", Never),
    (Slack, 403, "invalid_token", Never),
    (Slack, 404, "no_service", Never),
    (Slack, 404, "channel_not_found", Never),
    (Slack, 410, "channel_is_archived", Never),
    (Slack, 429, "rate_limited", Again(0)),
    (Slack, 500, "rollup_error", Again(0)),
    (Slack, 503, "", Again(0)),
    (Dingtalk, 200, r#"{"errcode":0,"errmsg":"ok"}"#, Told),
    (
        Dingtalk,
        200,
        r#"{"errcode":-1,"errmsg":"系统繁忙"}"#,
        Again(0),
    ),
    (
        Dingtalk,
        200,
        r#"{"errcode":130101,"errmsg":"send too fast"}"#,
        Again(60),
    ),
    (
        Dingtalk,
        200,
        r#"{"errcode":410100,"errmsg":"speed"}"#,
        Again(60),
    ),
    (
        Dingtalk,
        200,
        r#"{"errcode":310000,"errmsg":"sign not match"}"#,
        Never,
    ),
    (
        Dingtalk,
        200,
        r#"{"errcode":310000,"errmsg":"keywords not in content"}"#,
        Never,
    ),
    (
        Dingtalk,
        200,
        r#"{"errcode":300001,"errmsg":"token is not exist"}"#,
        Never,
    ),
    (
        Dingtalk,
        200,
        r#"{"errcode":400102,"errmsg":"stopped"}"#,
        Never,
    ),
    (
        Dingtalk,
        200,
        r#"{"errcode":460101,"errmsg":"too long"}"#,
        Never,
    ),
    (
        Dingtalk,
        200,
        r#"{"errcode":123456,"errmsg":"what"}"#,
        Again(0),
    ),
    (
        Dingtalk,
        200,
        r#"{"status":1111,"wait":5,"source":"x5","punish":"deny"}"#,
        Again(5),
    ),
    (Dingtalk, 200, r#"{"errcode":"0"}"#, Again(0)),
    (Dingtalk, 200, "<html>", Again(0)),
    (Dingtalk, 200, "", Again(0)),
    (Dingtalk, 502, "bad gateway", Again(0)),
    (Dingtalk, 403, "forbidden", Never),
    (Wecom, 200, r#"{"errcode":0,"errmsg":"ok"}"#, Told),
    (Wecom, 200, r#"{"errcode":-1,"errmsg":"busy"}"#, Again(0)),
    (
        Wecom,
        200,
        r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#,
        Again(60),
    ),
    (
        Wecom,
        200,
        r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#,
        Never,
    ),
    (
        Wecom,
        200,
        r#"{"errcode":93004,"errmsg":"disabled"}"#,
        Never,
    ),
    (
        Wecom,
        200,
        r#"{"errcode":93008,"errmsg":"not in group"}"#,
        Never,
    ),
    (
        Wecom,
        200,
        r#"{"errcode":40058,"errmsg":"markdown.content exceed max length 4096"}"#,
        Never,
    ),
    (
        Wecom,
        200,
        r#"{"errcode":44004,"errmsg":"empty content"}"#,
        Never,
    ),
    (
        Wecom,
        200,
        r#"{"errcode":40008,"errmsg":"invalid message type"}"#,
        Never,
    ),
    (Wecom, 200, "nothing", Again(0)),
    (Wecom, 500, r#"{"errcode":0}"#, Again(0)),
    (Feishu, 200, r#"{"code":0,"msg":"success","data":{}}"#, Told),
    (
        Feishu,
        200,
        r#"{"StatusCode":0,"StatusMessage":"success"}"#,
        Told,
    ),
    (
        Feishu,
        200,
        r#"{"StatusCode":0,"StatusMessage":"success","code":0,"msg":"success"}"#,
        Told,
    ),
    (
        Feishu,
        200,
        r#"{"code":11232,"msg":"frequency limited"}"#,
        Again(60),
    ),
    (
        Feishu,
        200,
        r#"{"code":19001,"msg":"incoming webhook access token invalid"}"#,
        Never,
    ),
    (
        Feishu,
        200,
        r#"{"code":19021,"msg":"sign match fail or timestamp is not within one hour"}"#,
        Never,
    ),
    (
        Feishu,
        200,
        r#"{"code":19022,"msg":"Ip Not Allowed"}"#,
        Never,
    ),
    (
        Feishu,
        200,
        r#"{"code":19024,"msg":"Key Words Not Found"}"#,
        Never,
    ),
    (Feishu, 400, r#"{"code":9499,"msg":"Bad Request"}"#, Never),
    (Feishu, 200, "{}", Again(0)),
    (Feishu, 200, "<html>", Again(0)),
    (Feishu, 503, "", Again(0)),
    (Teams, 202, "", Told),
    (Teams, 200, "1", Told),
    (
        Teams,
        200,
        "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId",
        Again(0),
    ),
    (
        Teams,
        200,
        "Microsoft Teams endpoint returned HTTP error 413",
        Never,
    ),
    (
        Teams,
        400,
        r#"{"error":{"code":"TriggerInputSchemaMismatch"}}"#,
        Never,
    ),
    (
        Teams,
        401,
        r#"{"error":{"code":"DirectApiAuthorizationRequired"}}"#,
        Never,
    ),
    (
        Teams,
        404,
        r#"{"error":{"code":"WorkflowNotFound"}}"#,
        Never,
    ),
    (Teams, 408, "", Again(0)),
    (Teams, 429, "", Again(0)),
    (Teams, 502, "", Again(0)),
    (Telegram, 200, r#"{"ok":true,"result":{}}"#, Told),
    (
        Telegram,
        429,
        r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 5","parameters":{"retry_after":5}}"#,
        Again(5),
    ),
    (
        Telegram,
        500,
        r#"{"ok":false,"error_code":500,"description":"Internal Server Error"}"#,
        Again(0),
    ),
    (
        Telegram,
        401,
        r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#,
        Never,
    ),
    (
        Telegram,
        403,
        r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked from the group chat"}"#,
        Never,
    ),
    (
        Telegram,
        400,
        r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
        Never,
    ),
    (
        Telegram,
        400,
        r#"{"ok":false,"error_code":400,"description":"Bad Request: can't parse entities"}"#,
        Never,
    ),
    (
        Telegram,
        400,
        r#"{"ok":false,"error_code":400,"description":"Bad Request: message is too long"}"#,
        Never,
    ),
    (Telegram, 200, "<html>", Again(0)),
    (Telegram, 502, "bad gateway", Again(0)),
    (Pagerduty, 202, r#"{"status":"success"}"#, Told),
    (
        Pagerduty,
        400,
        r#"{"status":"invalid event","message":"Event object is invalid","errors":["'routing_key' is missing"]}"#,
        Never,
    ),
    (Pagerduty, 408, "", Again(0)),
    (Pagerduty, 429, "", Again(120)),
    (Pagerduty, 500, "", Again(0)),
    (Alertmanager, 200, "", Told),
    (
        Alertmanager,
        400,
        "\"start time must be before end time\"",
        Never,
    ),
    (
        Alertmanager,
        422,
        r#"{"code":602,"message":"0.labels in body is required"}"#,
        Never,
    ),
    (Alertmanager, 429, "", Again(0)),
    (Alertmanager, 503, "", Again(0)),
];

fn meaning(outcome: &Outcome) -> Means {
    match outcome {
        Outcome::Delivered => Told,
        Outcome::Retry { after, .. } => Again(after.unwrap_or_default().as_secs()),
        Outcome::Permanent { .. } => Never,
    }
}

#[test]
fn status_and_body_together_decide() {
    let index = std::sync::Arc::new(AtomicUsize::new(0));
    let current = std::sync::Arc::clone(&index);
    let server = Server::start(move |_| {
        let (_, status, body, _) = ANSWERS[current.load(Ordering::Relaxed)];
        Reply::new(status, body)
    });
    let config = config(&server.base());
    for (row, (channel, status, body, means)) in ANSWERS.iter().enumerate() {
        index.store(row, Ordering::Relaxed);
        let sent = attempt(&config, *channel, &message());
        let found = meaning(&sent.outcome);
        assert_eq!(
            found, *means,
            "{channel} {status} {body}: {:?}",
            sent.outcome
        );
        assert_eq!(sent.told, usize::from(*means == Told));
    }
}

#[test]
fn a_named_wait_is_taken_over_within_an_hour() {
    for (header, seconds) in [
        ("30", 30),
        ("Fri, 02 Jan 2026 03:04:35 GMT", 29),
        ("99999", 3600),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("later", 0),
    ] {
        let server = Server::start(move |_| {
            let headers = vec![("retry-after", header.to_owned())];
            Reply::Answer(429, headers, "rate_limited".to_owned())
        });
        let config = config(&server.base());
        for channel in [Webhook, Slack, Teams, Alertmanager] {
            let sent = attempt(&config, channel, &message());
            assert_eq!(meaning(&sent.outcome), Again(seconds), "{channel} {header}");
        }
    }
}

#[test]
fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let server = Server::start(move |call| {
            if call.target == "/elsewhere" {
                return Reply::new(200, "ok");
            }
            let headers = vec![("location", "/elsewhere".to_owned())];
            Reply::Answer(status, headers, String::new())
        });
        for channel in http_channels() {
            let sent = attempt(&config(&server.base()), channel, &message());
            assert_eq!(meaning(&sent.outcome), Never, "{channel} {status}");
        }
        assert!(
            server
                .calls()
                .iter()
                .all(|call| call.target != "/elsewhere")
        );
    }
}

#[test]
fn a_robot_that_finds_a_message_too_long_gets_a_shorter_one() {
    let server = Server::start(|call| {
        if call.body.len() > 8_000 {
            return Reply::new(200, r#"{"errcode":460101,"errmsg":"too long"}"#);
        }
        Reply::new(200, r#"{"errcode":0,"errmsg":"ok"}"#)
    });
    let mut long = message();
    long.body = "a line of many\n".repeat(2_000);
    let sent = attempt(&config(&server.base()), Dingtalk, &long);
    assert_eq!(sent.outcome, Outcome::Delivered);
    assert_eq!(server.calls().len(), 2);
}

#[test]
fn telegram_gets_plain_text_a_short_one_or_the_new_chat() {
    let refusal = |description: &str| {
        let text = format!(r#"{{"ok":false,"error_code":400,"description":"{description}"}}"#);
        Reply::new(400, text)
    };
    let good = || Reply::new(200, r#"{"ok":true}"#);
    let moved = r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded","parameters":{"migrate_to_chat_id":-42}}"#;
    let server = Server::start(move |call| {
        let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
        if body["chat_id"] != -42 {
            return Reply::new(400, moved);
        }
        match body.get("parse_mode") {
            Some(_) => refusal("Bad Request: can't parse entities: unsupported start tag"),
            None => good(),
        }
    });
    let sent = attempt(&config(&server.base()), Telegram, &message());
    assert_eq!(sent.outcome, Outcome::Delivered);
    assert_eq!(server.calls().len(), 3);
    assert_eq!(
        sent.notes,
        ["the chat has become a supergroup: set telegram.chatId to \"-42\""]
    );

    let server = Server::start(move |call| {
        if call.body.len() > 3_000 {
            return refusal("Bad Request: message is too long");
        }
        good()
    });
    let mut long = message();
    long.body = "a line of many\n".repeat(2_000);
    let sent = attempt(&config(&server.base()), Telegram, &long);
    assert_eq!(sent.outcome, Outcome::Delivered);
    assert_eq!(server.calls().len(), 2);
}

#[test]
fn events_that_were_accepted_are_counted_whatever_comes_after() {
    let of = |nodes: usize| {
        let mut message = recovery();
        message.nodes = (0..nodes).map(|i| node(&format!("n{i:03}"))).collect();
        message.total = nodes;
        message
    };
    // The first thirty are accepted, the next are too many.
    let server = Server::start(|call| {
        let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
        if body["dedup_key"].as_str().unwrap() < "n030" {
            Reply::new(202, "{}")
        } else {
            Reply::Answer(429, vec![("retry-after", "90".to_owned())], String::new())
        }
    });
    let sent = attempt(&config(&server.base()), Pagerduty, &of(200));
    assert_eq!(meaning(&sent.outcome), Again(90), "{sent:?}");
    assert_eq!(sent.told, 30);
    let Outcome::Retry { reason, .. } = &sent.outcome else {
        panic!()
    };
    assert!(
        reason.starts_with("30 of 200 events accepted; n030: HTTP 429"),
        "{reason}"
    );
    assert!(server.calls().len() < 40, "{}", server.calls().len());

    // One event that is refused does not hold up the others.
    let server = Server::start(|call| {
        let is_bad = String::from_utf8_lossy(&call.body).contains("n005");
        Reply::new(if is_bad { 400 } else { 202 }, "{}")
    });
    let sent = attempt(&config(&server.base()), Pagerduty, &of(50));
    assert_eq!((meaning(&sent.outcome), sent.told), (Never, 5), "{sent:?}");
    assert_eq!(server.calls().len(), 50);

    // A key that nobody knows is not tried a thousand times.
    let server = Server::start(|_| Reply::new(400, "{}"));
    let sent = attempt(&config(&server.base()), Pagerduty, &of(1000));
    assert_eq!((meaning(&sent.outcome), sent.told), (Never, 0));
    assert!(server.calls().len() <= 4, "{}", server.calls().len());
}

#[test]
fn no_reason_tells_a_secret_that_the_answer_repeats() {
    for channel in http_channels() {
        for status in [200, 400, 500] {
            // Everything the receiver knows, in one line.
            let server = Server::start(move |call| {
                let body = String::from_utf8_lossy(&call.body)
                    .chars()
                    .take(60)
                    .collect::<String>();
                Reply::new(status, format!("{} {TOKEN} {body}", call.target))
            });
            let sent = attempt(&config(&server.base()), channel, &message());
            let said = format!("{sent:?}");
            assert!(!said.contains(TOKEN), "{channel}: {said}");
        }
    }
}

#[test]
fn waits_of_a_day_are_cut() {
    let server = Server::start(|_| {
        Reply::new(
            429,
            r#"{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":86400}}"#,
        )
    });
    let sent = attempt(&config(&server.base()), Telegram, &message());
    let Outcome::Retry { after, .. } = sent.outcome else {
        panic!()
    };
    assert_eq!(after, Some(Duration::from_hours(1)));
}
