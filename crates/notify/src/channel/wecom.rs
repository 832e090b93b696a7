//! `WeCom`'s group robots.

use ng_config::SecretUrl;
use serde_json::json;

use crate::channel::by_code;
use crate::http::{Answer, Request};
use crate::message::{Message, Outcome};
use crate::text::{Form, body, bytes, line, untagged};
use crate::words::{Tone, footer, heading};

/// The most bytes of a markdown message.
const LIMIT: usize = 4096;
const TEXT: Form = Form {
    limit: LIMIT,
    measure: bytes,
    escape: untagged,
};

const FLOOD: [i64; 1] = [45_009];
const REFUSED: [i64; 6] = [93_000, 93_004, 93_008, 40_058, 44_004, 40_008];

/// Markdown: heading in colour, text, footer as a quote. Old clients know no other markdown than this one.
pub(crate) fn request(url: &SecretUrl, message: &Message) -> Request {
    let colour = match Tone::of(message) {
        Tone::Good => "info",
        Tone::Info => "comment",
        Tone::Warning | Tone::Critical => "warning",
    };
    let heading = line(&heading(message), TEXT.within(512));
    let heading = format!("### <font color=\"{colour}\">{heading}</font>\n");
    let footer = line(&footer(message), TEXT.within(700));
    let footer = format!("\n\n> <font color=\"comment\">{footer}</font>");
    let left = LIMIT.saturating_sub(heading.len() + footer.len());
    let content = format!("{heading}{}{footer}", body(message, TEXT.within(left)));
    Request::json(
        url.expose(),
        &json!({"msgtype": "markdown", "markdown": {"content": content}}),
    )
}

/// The code decides.
pub(crate) fn verdict(answer: &Answer) -> Outcome {
    by_code(answer, ("errcode", "errmsg"), &FLOOD, &REFUSED)
}
