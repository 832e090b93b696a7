//! Bots of Feishu and Lark.

use ng_engine::time::Time;
use serde_json::json;

use crate::channel::by_code;
use crate::http::{Answer, Request};
use crate::message::{Message, Outcome};
use crate::receiver::Robot;
use crate::sign;
use crate::text::{Form, body, json_bytes, line, plain};
use crate::words::{Tone, footer, heading};

/// A request may have 20 KB; heading, footer and the frame need some.
const TEXT: Form = Form {
    limit: 13_000,
    measure: json_bytes,
    escape: plain,
};

const FLOOD: [i64; 1] = [11_232];
const REFUSED: [i64; 6] = [19_001, 19_002, 19_021, 19_022, 19_024, 9499];

/// A card. Its texts are plain, so that nothing in them is a tag or a mention.
pub(crate) fn request(robot: &Robot, message: &Message, now: Time) -> Request {
    let template = match Tone::of(message) {
        Tone::Good => "green",
        Tone::Info => "blue",
        Tone::Warning => "orange",
        Tone::Critical => "red",
    };
    let text = |content: String| json!({"tag": "plain_text", "content": content});
    let footer = line(&footer(message), TEXT.within(1200));
    let mut document = json!({
        "msg_type": "interactive",
        "card": {
            "config": {"wide_screen_mode": true},
            "header": {
                "title": text(line(&heading(message), TEXT.within(600))),
                "template": template,
            },
            "elements": [
                {"tag": "div", "text": text(body(message, TEXT))},
                {"tag": "hr"},
                {"tag": "note", "elements": [text(footer)]},
            ],
        },
    });
    if let Some(secret) = &robot.secret {
        let seconds = now.millis().div_euclid(1000);
        document["timestamp"] = seconds.to_string().into();
        document["sign"] = sign::feishu(secret.expose(), seconds).into();
    }
    Request::json(robot.url.expose(), &document)
}

/// The code decides; older answers have it under another name.
pub(crate) fn verdict(answer: &Answer) -> Outcome {
    let is_old = answer.json().is_some_and(|body| body.get("code").is_none());
    let names = if is_old {
        ("StatusCode", "StatusMessage")
    } else {
        ("code", "msg")
    };
    by_code(answer, names, &FLOOD, &REFUSED)
}
