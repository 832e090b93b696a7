//! Slack's incoming webhooks.

use ng_config::SecretUrl;
use serde_json::json;

use crate::channel::retry;
use crate::http::{Answer, Request, quote};
use crate::message::{Message, Outcome};
use crate::text::{Form, angle, body, characters, line};
use crate::words::{Tone, footer, heading};

/// Slack recommends 4,000 characters of text and cuts at 40,000.
const TEXT: Form = Form {
    limit: 4000,
    measure: characters,
    escape: angle,
};

/// The heading as text, which notifications show; the rest in an attachment, which has the colour.
pub(crate) fn request(url: &SecretUrl, message: &Message) -> Request {
    let heading = line(&heading(message), TEXT.within(300));
    let colour = match Tone::of(message) {
        Tone::Good => "good",
        Tone::Warning => "warning",
        Tone::Critical => "danger",
        Tone::Info => Tone::Info.hex(),
    };
    Request::json(
        url.expose(),
        &json!({
            "text": heading,
            "attachments": [{
                "color": colour,
                "fallback": line(&message.summary, TEXT.within(1000)),
                "text": body(message, TEXT),
                "mrkdwn_in": ["text"],
                "footer": line(&footer(message), TEXT.within(300)),
                "ts": message.at.millis().div_euclid(1000),
            }],
        }),
    )
}

/// Only `ok` is success. Slack's errors are single words; anything else comes from something in between.
pub(crate) fn verdict(answer: &Answer) -> Outcome {
    let said = answer.body.trim();
    let is_word = answer.whole
        && !said.is_empty()
        && said
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit());
    match (answer.status, said) {
        (200, "ok") => Outcome::Delivered,
        (_, "rate_limited" | "ratelimited" | "rollup_error") => {
            retry(answer.summary(), answer.retry_after)
        }
        (200..=299, _) if is_word => Outcome::Permanent {
            reason: quote(said),
        },
        (200..=299, _) => retry(
            format!("{}, which is not Slack's \"ok\"", answer.summary()),
            answer.retry_after,
        ),
        _ => answer.by_status(),
    }
}
