//! Microsoft Teams, by a workflow that waits for a webhook request.

use ng_config::SecretUrl;
use serde_json::json;

use crate::channel::retry;
use crate::http::{Answer, Request};
use crate::message::{Message, Outcome};
use crate::text::{Form, body, json_bytes, line, untagged, untagged_paragraphs};
use crate::words::{Tone, footer, heading};

/// A message may have 28 KB, of which the service uses some itself; 21 KB are safe.
const TEXT: Form = Form {
    limit: 14_000,
    measure: json_bytes,
    escape: untagged_paragraphs,
};

/// An adaptive card. A mention would need an entry of its own, so nothing in the text is one.
pub(crate) fn request(url: &SecretUrl, message: &Message) -> Request {
    let colour = match Tone::of(message) {
        Tone::Good => "Good",
        Tone::Info => "Accent",
        Tone::Warning => "Warning",
        Tone::Critical => "Attention",
    };
    let one = Form {
        escape: untagged,
        ..TEXT
    };
    let footer = line(&footer(message), one.within(1200));
    let heading = line(&heading(message), one.within(600));
    // `contentUrl: null` is left out: a workflow with a strict schema refuses it.
    Request::json(
        url.expose(),
        &json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [
                        {"type": "TextBlock", "text": heading, "weight": "Bolder", "size": "Medium",
                         "color": colour, "wrap": true},
                        {"type": "TextBlock", "text": body(message, TEXT), "wrap": true},
                        {"type": "TextBlock", "text": footer, "size": "Small", "isSubtle": true,
                         "wrap": true},
                    ],
                    "msteams": {"width": "Full"},
                },
            }],
        }),
    )
}

/// The status decides, but for old connectors, which report what went wrong behind them in a 200 answer.
pub(crate) fn verdict(answer: &Answer) -> Outcome {
    if !(200..=299).contains(&answer.status) || !answer.body.contains("returned HTTP error") {
        return answer.by_status();
    }
    if answer.body.contains("HTTP error 413") {
        return Outcome::Permanent {
            reason: answer.summary(),
        };
    }
    retry(answer.summary(), answer.retry_after)
}
