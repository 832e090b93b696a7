//! Each channel's form of a message, and what its answers mean. Nothing here talks.
//!
//! - [`log`]: a line with flat fields
//! - [`webhook`]: every fact as JSON, signed
//! - [`slack`], [`dingtalk`], [`wecom`], [`feishu`], [`teams`], [`telegram`]: chats
//! - [`pagerduty`], [`alertmanager`]: services that know a recovery from a trigger

pub(crate) mod alertmanager;
pub(crate) mod dingtalk;
pub(crate) mod feishu;
pub(crate) mod log;
pub(crate) mod pagerduty;
pub(crate) mod slack;
pub(crate) mod teams;
pub(crate) mod telegram;
pub(crate) mod webhook;
pub(crate) mod wecom;

use std::time::Duration;

use ng_engine::time::Time;
use serde_json::Value;

use crate::http::{Answer, Request, quote};
use crate::message::{Message, Outcome};
use crate::receiver::Http;

/// The request that tells the message; of a channel that may need several, the first.
pub(crate) fn request(http: &Http, message: &Message, now: Time) -> Request {
    match http {
        Http::Webhook(hook) => webhook::request(hook, message, now),
        Http::Slack(url) => slack::request(url, message),
        Http::Dingtalk(robot) => dingtalk::request(robot, message, now),
        Http::Wecom(url) => wecom::request(url, message),
        Http::Feishu(robot) => feishu::request(robot, message, now),
        Http::Teams(url) => teams::request(url, message),
        Http::Telegram(bot) => telegram::request(bot, message, telegram::Style::Html, None),
        Http::Pagerduty(integration) => {
            let texts = pagerduty::Texts::of(message);
            pagerduty::request(integration, message, &texts, message.nodes.first())
        }
        Http::Alertmanager(url) => alertmanager::request(url, message),
    }
}

/// What a chat robot asks for when it is written to too often, where it names no time.
const FLOOD_WAIT: Duration = Duration::from_mins(1);

/// A failure that can pass.
fn retry(reason: String, after: Option<Duration>) -> Outcome {
    Outcome::Retry { reason, after }
}

/// Reads the answer of a robot that reports its errors by a code in the body, mostly with HTTP 200.
///
/// `flood` and `refused` are the codes for "too often" and "will not work"; of a code that is in neither, nothing is
/// known, and another attempt is cheaper than a lost alert.
fn by_code(answer: &Answer, names: (&str, &str), flood: &[i64], refused: &[i64]) -> Outcome {
    let body = answer.json().unwrap_or_default();
    let Some(code) = body.get(names.0).and_then(Value::as_i64) else {
        // Gateways in front of the robot answer in forms of their own, with any status.
        return match answer.by_status() {
            Outcome::Delivered => retry(
                format!("{}, which is not the robot's own answer", answer.summary()),
                answer.retry_after,
            ),
            other => other,
        };
    };
    let said = quote(body[names.1].as_str().unwrap_or_default());
    let reason = format!("{} {code}: {said}", names.0);
    if code == 0 && answer.status == 200 {
        Outcome::Delivered
    } else if flood.contains(&code) {
        let wait = answer.retry_after.unwrap_or_default().max(FLOOD_WAIT);
        retry(reason, Some(wait))
    } else if refused.contains(&code) {
        Outcome::Permanent { reason }
    } else {
        retry(reason, answer.retry_after)
    }
}
