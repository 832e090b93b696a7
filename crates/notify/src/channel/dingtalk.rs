//! `DingTalk`'s robots.

use ng_engine::time::Time;
use serde_json::{Value, json};

use crate::channel::{by_code, retry};
use crate::http::{Answer, Request, bounded};
use crate::message::{Message, Outcome};
use crate::receiver::Robot;
use crate::sign;
use crate::text::{Form, body, json_bytes, line, untagged, untagged_paragraphs};
use crate::words::{footer, heading};

/// A message may have about 20,000 bytes; heading, footer and the frame need some.
const TEXT: Form = Form {
    limit: 14_000,
    measure: json_bytes,
    escape: untagged_paragraphs,
};
/// What is tried when the robot calls a message too long all the same.
const SHORT: usize = 4_000;

const TOO_LONG: i64 = 460_101;
const FLOOD: [i64; 2] = [130_101, 410_100];
const REFUSED: [i64; 20] = [
    310_000, 300_001, 300_005, 400_101, 400_106, 400_102, 400_105, 400_013, 40_035, 43_002, 43_004,
    88, 90_030, 430_101, 430_102, 430_103, 430_104, TOO_LONG, 40_014, 40_078,
];

/// Markdown: heading, text, footer as a quote.
pub(crate) fn request(robot: &Robot, message: &Message, now: Time) -> Request {
    build(robot, message, now, TEXT)
}

/// The same with less text.
pub(crate) fn shorter(robot: &Robot, message: &Message, now: Time) -> Request {
    build(robot, message, now, TEXT.within(SHORT))
}

fn build(robot: &Robot, message: &Message, now: Time, form: Form) -> Request {
    let one = Form {
        escape: untagged,
        ..TEXT
    };
    let heading = line(&heading(message), one.within(600));
    let footer = line(&footer(message), one.within(1200));
    let text = format!("### {heading}\n\n{}\n\n> {footer}\n", body(message, form));
    let url = signed(robot, now);
    Request::json(
        &url,
        &json!({"msgtype": "markdown", "markdown": {"title": heading, "text": text}}),
    )
}

/// The address, with time and signature where the robot has a secret.
fn signed(robot: &Robot, now: Time) -> String {
    let url = robot.url.expose();
    let Some(secret) = &robot.secret else {
        return url.to_owned();
    };
    let joint = if url.contains('?') { '&' } else { '?' };
    let millis = now.millis();
    let sign = sign::dingtalk(secret.expose(), millis);
    format!("{url}{joint}timestamp={millis}&sign={sign}")
}

/// Whether the robot says that the message was too long.
pub(crate) fn is_too_long(answer: &Answer) -> bool {
    let code = answer.json().and_then(|body| body["errcode"].as_i64());
    code == Some(TOO_LONG)
}

/// The code decides; the gateway in front has an answer of its own.
pub(crate) fn verdict(answer: &Answer) -> Outcome {
    if let Some(wait) = answer
        .json()
        .filter(|body| body.get("errcode").is_none())
        .and_then(|body| body.get("wait").and_then(Value::as_f64))
    {
        return retry(answer.summary(), bounded(wait));
    }
    by_code(answer, ("errcode", "errmsg"), &FLOOD, &REFUSED)
}
