//! Telegram's bots.

use std::time::Duration;

use serde_json::{Value, json};

use crate::channel::retry;
use crate::http::{Answer, Request, bounded, quote};
use crate::message::{Message, Outcome};
use crate::receiver::Bot;
use crate::text::{Form, angle, body, line, plain, utf16};
use crate::words::{footer, heading};

/// The most code units of a text, counted after tags and escapes are taken out.
const LIMIT: usize = 4096;
/// What is tried when the service calls a text too long all the same.
const SHORT: usize = 2000;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Heading in bold.
    Html,
    /// Without any markup: when the service cannot read ours.
    Plain,
    /// The same, and short.
    Short,
}

/// What an answer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Nothing more.
    Settled(Outcome),
    /// The same message, written like this.
    Rewrite(Style),
    /// The same message to this chat: a group has become a supergroup.
    Moved(i64),
}

/// The request to the configured chat, or to the one it has moved to.
pub(crate) fn request(bot: &Bot, message: &Message, style: Style, moved: Option<i64>) -> Request {
    let chat = moved.map_or_else(|| chat(bot.chat.as_str()), Value::from);
    let mut document = json!({
        "chat_id": chat,
        "text": text(message, style),
        "link_preview_options": {"is_disabled": true},
    });
    if style == Style::Html {
        document["parse_mode"] = "HTML".into();
    }
    let base = bot.api_url.expose().trim_end_matches('/');
    let url = format!("{base}/bot{}/sendMessage", bot.token.expose());
    Request::json(&url, &document)
}

/// A number as a number: the service takes it in no other form.
fn chat(id: &str) -> Value {
    id.parse::<i64>().map_or_else(|_| id.into(), Value::from)
}

fn text(message: &Message, style: Style) -> String {
    let form = Form {
        limit: LIMIT,
        measure: unescaped,
        escape: match style {
            Style::Html => angle,
            Style::Plain | Style::Short => plain,
        },
    };
    let heading = line(&heading(message), form.within(400));
    let footer = line(&footer(message), form.within(600));
    let limit = if style == Style::Short { SHORT } else { LIMIT };
    // The empty lines between the three.
    let framing = unescaped(&heading) + unescaped(&footer) + 4;
    let body = body(message, form.within(limit.saturating_sub(framing)));
    match style {
        Style::Html => format!("<b>{heading}</b>\n\n{body}\n\n<i>{footer}</i>"),
        Style::Plain | Style::Short => format!("{heading}\n\n{body}\n\n{footer}"),
    }
}

/// Code units after escapes are taken out.
fn unescaped(text: &str) -> usize {
    let escapes = [("&amp;", 4), ("&lt;", 3), ("&gt;", 3)];
    let saved: usize = escapes
        .iter()
        .map(|(escape, saved)| text.matches(escape).count() * saved)
        .sum();
    utf16(text) - saved
}

/// What the answer to a request in this style asks for.
pub(crate) fn reply(answer: &Answer, style: Style) -> Reply {
    let Some(body) = answer.json().filter(|body| body["ok"].is_boolean()) else {
        return Reply::Settled(match answer.by_status() {
            Outcome::Delivered => retry(
                format!(
                    "{}, which is not the service's own answer",
                    answer.summary()
                ),
                answer.retry_after,
            ),
            other => other,
        });
    };
    if body["ok"] == true {
        return Reply::Settled(Outcome::Delivered);
    }
    let said = body["description"].as_str().unwrap_or_default();
    let code = body["error_code"].as_u64().unwrap_or(answer.status.into());
    let parameters = &body["parameters"];
    if let Some(chat) = parameters["migrate_to_chat_id"].as_i64() {
        return Reply::Moved(chat);
    }
    if said.contains("can't parse entities") && style == Style::Html {
        return Reply::Rewrite(Style::Plain);
    }
    if said.contains("message is too long") && style != Style::Short {
        return Reply::Rewrite(Style::Short);
    }
    let reason = format!("error {code}: {}", quote(said));
    Reply::Settled(match code {
        429 => retry(reason, wait(answer, parameters)),
        500..=599 => retry(reason, answer.retry_after),
        _ => Outcome::Permanent { reason },
    })
}

/// The wait is in the document, not reliably in a header.
fn wait(answer: &Answer, parameters: &Value) -> Option<Duration> {
    let told = parameters["retry_after"].as_f64().and_then(bounded);
    told.or(answer.retry_after)
}
