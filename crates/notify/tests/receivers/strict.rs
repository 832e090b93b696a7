//! Receivers that look at everything a service could look at, and answer as it would.

use std::collections::BTreeSet;
use std::sync::Mutex;

use hmac::{Hmac, KeyInit as _, Mac as _};
use ng_config::ChannelKind;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::TOKEN;
use crate::server::{Call, Reply};
use crate::strict_chats;

pub(crate) const SECRET: &str = "SECtest0123456789abcdef";

/// What is wrong with a request, in the words of the test.
pub(crate) type Checked = Result<(), String>;

pub(crate) fn ensure(holds: bool, what: impl Into<String>) -> Checked {
    if holds { Ok(()) } else { Err(what.into()) }
}

pub(crate) fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut code = Hmac::<Sha256>::new_from_slice(key).unwrap();
    code.update(text);
    code.finalize().into_bytes().to_vec()
}

/// The answer of the channel's service; what is wrong is said in it.
pub(crate) fn answer(channel: ChannelKind, call: &Call) -> Reply {
    let checked = document(call).and_then(|body| match channel {
        ChannelKind::Webhook => webhook(call, &body),
        ChannelKind::Slack => strict_chats::slack(call, &body),
        ChannelKind::Dingtalk => strict_chats::dingtalk(call, &body),
        ChannelKind::Wecom => strict_chats::wecom(call, &body),
        ChannelKind::Feishu => strict_chats::feishu(call, &body),
        ChannelKind::Teams => strict_chats::teams(call, &body),
        ChannelKind::Telegram => strict_chats::telegram(call, &body),
        ChannelKind::Pagerduty => pagerduty(call, &body),
        ChannelKind::Alertmanager => alertmanager(call, &body),
        ChannelKind::Log | ChannelKind::Email => Err("no HTTP".to_owned()),
    });
    match (checked, channel) {
        (Err(what), ChannelKind::Dingtalk) => {
            Reply::new(200, json!({"errcode": 310_000, "errmsg": what}).to_string())
        }
        (Err(what), ChannelKind::Wecom) => {
            Reply::new(200, json!({"errcode": 40_058, "errmsg": what}).to_string())
        }
        (Err(what), ChannelKind::Feishu) => {
            Reply::new(200, json!({"code": 19_021, "msg": what}).to_string())
        }
        (Err(what), ChannelKind::Telegram) => Reply::new(
            400,
            json!({"ok": false, "error_code": 400, "description": what}).to_string(),
        ),
        (Err(what), _) => Reply::new(400, what),
        (Ok(()), ChannelKind::Slack) => Reply::new(200, "ok"),
        (Ok(()), ChannelKind::Dingtalk | ChannelKind::Wecom) => {
            Reply::new(200, r#"{"errcode":0,"errmsg":"ok"}"#)
        }
        (Ok(()), ChannelKind::Feishu) => Reply::new(200, r#"{"code":0,"msg":"success","data":{}}"#),
        (Ok(()), ChannelKind::Telegram) => Reply::new(200, r#"{"ok":true,"result":{}}"#),
        (Ok(()), ChannelKind::Teams) => Reply::new(202, ""),
        (Ok(()), ChannelKind::Pagerduty) => {
            Reply::new(202, r#"{"status":"success","message":"Event processed"}"#)
        }
        (Ok(()), _) => Reply::new(200, ""),
    }
}

/// What holds for every request.
fn document(call: &Call) -> Result<Value, String> {
    ensure(call.method == "POST", "not a POST")?;
    let kind = call.header("content-type");
    ensure(
        kind == Some("application/json; charset=utf-8"),
        format!("{kind:?}"),
    )?;
    let agent = call.header("user-agent").unwrap_or_default();
    ensure(agent.starts_with("nodeguardian/"), agent)?;
    let names: BTreeSet<&str> = call.headers.iter().map(|(name, _)| name.as_str()).collect();
    ensure(names.len() == call.headers.len(), "a header twice")?;
    ensure(!names.contains("bcc"), "an injected header")?;
    ensure(names.contains("content-length"), "no length")?;
    ensure(!names.contains("transfer-encoding"), "sent in chunks")?;
    let body = serde_json::from_slice(&call.body).map_err(|error| error.to_string())?;
    Ok(body)
}

/// Every text of a document.
pub(crate) fn texts(document: &Value) -> Vec<&str> {
    match document {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// Exactly these keys.
pub(crate) fn keys(object: &Value, expected: &[&str]) -> Checked {
    let found: BTreeSet<&str> = object
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys().map(String::as_str))
        .collect();
    let expected: BTreeSet<&str> = expected.iter().copied().collect();
    ensure(
        found == expected,
        format!("{found:?} instead of {expected:?}"),
    )
}

pub(crate) fn text<'a>(object: &'a Value, key: &str) -> Result<&'a str, String> {
    object[key].as_str().ok_or(format!("{key} is no text"))
}

const WEBHOOK_KEYS: [&str; 17] = [
    "title",
    "summary",
    "description",
    "severity",
    "ruleName",
    "ruleDescription",
    "triggeredNodes",
    "timestamp",
    "type",
    "fingerprint",
    "groupKey",
    "clusterName",
    "dryRun",
    "test",
    "since",
    "total",
    "nodes",
];
const NODE_KEYS: [&str; 9] = [
    "name",
    "fingerprint",
    "since",
    "repeats",
    "guard",
    "metrics",
    "conditions",
    "actions",
    "topPods",
];

fn webhook(call: &Call, body: &Value) -> Checked {
    let code = hmac(SECRET.as_bytes(), &call.body);
    let digits: Vec<_> = code.iter().map(|byte| format!("{byte:02x}")).collect();
    let code = digits.concat();
    let signature = call.header("x-hub-signature-256");
    ensure(signature == Some(&format!("sha256={code}")), "signature")?;
    ensure(call.header("webhook-id").is_some(), "no webhook-id")?;
    keys(body, &WEBHOOK_KEYS)?;
    let (nodes, names) = (&body["nodes"], &body["triggeredNodes"]);
    let count = nodes.as_array().map_or(0, Vec::len);
    ensure(
        names.as_array().map_or(0, Vec::len) == count,
        "nodes and names differ",
    )?;
    for (index, node) in nodes.as_array().into_iter().flatten().enumerate() {
        keys(node, &NODE_KEYS)?;
        ensure(node["name"] == names[index], "another order")?;
    }
    Ok(())
}

/// Keys of incidents that are open; resolving any other is dropped silently by the service, so here it is an error.
static OPEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn pagerduty(call: &Call, body: &Value) -> Checked {
    ensure(call.target == "/v2/enqueue", &call.target)?;
    ensure(call.body.len() <= 512_000, "an event above 512 KB")?;
    ensure(body["routing_key"] == TOKEN, "routing_key")?;
    let key = text(body, "dedup_key")?;
    ensure((1..=255).contains(&key.len()), "dedup_key")?;
    let mut open = OPEN.lock().unwrap();
    match text(body, "event_action")? {
        "trigger" => {
            let payload = &body["payload"];
            ensure(text(payload, "summary")?.chars().count() <= 1024, "summary")?;
            ensure(!text(payload, "source")?.is_empty(), "source")?;
            let severity = text(payload, "severity")?;
            ensure(
                ["critical", "error", "warning", "info"].contains(&severity),
                severity,
            )?;
            open.insert(key.to_owned());
            Ok(())
        }
        "resolve" => {
            keys(body, &["routing_key", "event_action", "dedup_key"])?;
            ensure(open.remove(key), format!("{key} is not open"))
        }
        other => Err(format!("event_action {other}")),
    }
}

fn alertmanager(call: &Call, body: &Value) -> Checked {
    ensure(call.target == "/prefix/api/v2/alerts", &call.target)?;
    let alerts = body.as_array().ok_or("not an array")?;
    ensure(!alerts.is_empty(), "no alert")?;
    let mut sets = BTreeSet::new();
    for alert in alerts {
        keys(alert, &["labels", "annotations", "startsAt", "endsAt"])?;
        ensure(
            text(alert, "startsAt")? <= text(alert, "endsAt")?,
            "ends before it starts",
        )?;
        let labels = alert["labels"].as_object().ok_or("labels")?;
        for name in labels.keys() {
            let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
            ensure(name.chars().all(rest), format!("label {name}"))?;
        }
        ensure(
            sets.insert(alert["labels"].to_string()),
            "the same labels twice",
        )?;
    }
    Ok(())
}
