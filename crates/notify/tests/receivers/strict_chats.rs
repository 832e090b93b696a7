//! The strictness of the chat services.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::TOKEN;
use crate::server::Call;
use crate::strict::{Checked, SECRET, ensure, hmac, keys, text, texts};
use crate::test_support::AT;

/// No text opens a tag or a mention.
fn no_tags(text: &str) -> Checked {
    let opens = |c: char| c.is_ascii_alphabetic() || matches!(c, '@' | '/' | '!');
    let found = text
        .match_indices('<')
        .find(|(at, _)| text[at + 1..].starts_with(opens));
    ensure(found.is_none(), format!("a tag at {found:?}"))
}

fn printable(text: &str) -> Checked {
    let found = text
        .chars()
        .find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    ensure(found.is_none(), format!("control character {found:?}"))
}

/// Only the three escapes, and neither `<` nor `>`.
fn escaped(text: &str) -> Checked {
    printable(text)?;
    ensure(!text.contains(['<', '>']), "an unescaped angle")?;
    for (at, _) in text.match_indices('&') {
        let rest = &text[at..];
        let known = ["&amp;", "&lt;", "&gt;"]
            .iter()
            .any(|escape| rest.starts_with(escape));
        ensure(known, format!("a bare & at {at}"))?;
    }
    Ok(())
}

pub(crate) fn slack(call: &Call, body: &Value) -> Checked {
    let path = format!("/services/T00000000/B00000000/{TOKEN}");
    ensure(call.target == path, "no_service")?;
    keys(body, &["text", "attachments"])?;
    let shown = text(body, "text")?;
    ensure((1..=40_000).contains(&shown.chars().count()), "no_text")?;
    let attachments = body["attachments"].as_array().ok_or("attachments")?;
    ensure(attachments.len() <= 20, "too_many_attachments")?;
    for attachment in attachments {
        keys(
            attachment,
            &["color", "fallback", "text", "mrkdwn_in", "footer", "ts"],
        )?;
        ensure(text(attachment, "footer")?.chars().count() <= 300, "footer")?;
        ensure(attachment["ts"] == AT.millis() / 1000, "ts")?;
    }
    texts(body).into_iter().try_for_each(escaped)
}

pub(crate) fn dingtalk(call: &Call, body: &Value) -> Checked {
    ensure(
        call.query("access_token") == Some(TOKEN),
        "token is not exist",
    )?;
    let millis = call.query("timestamp").ok_or("no timestamp")?;
    ensure(millis == AT.millis().to_string(), "invalid timestamp")?;
    let sign = call.query("sign").ok_or("no sign")?;
    let expected = hmac(SECRET.as_bytes(), format!("{millis}\n{SECRET}").as_bytes());
    let decoded = sign
        .replace("%2B", "+")
        .replace("%2F", "/")
        .replace("%3D", "=");
    ensure(decoded == STANDARD.encode(expected), "sign not match")?;
    ensure(!sign.contains(['+', '/', '=']), "sign is not encoded")?;
    ensure(
        call.body.len() <= 20_000,
        format!("{} bytes", call.body.len()),
    )?;
    keys(body, &["msgtype", "markdown"])?;
    ensure(body["msgtype"] == "markdown", "msgtype")?;
    keys(&body["markdown"], &["title", "text"])?;
    ensure(!text(&body["markdown"], "title")?.is_empty(), "no title")?;
    let shown = text(&body["markdown"], "text")?;
    printable(shown)?;
    no_tags(shown)
}

pub(crate) fn wecom(call: &Call, body: &Value) -> Checked {
    ensure(call.query("key") == Some(TOKEN), "invalid webhook url")?;
    keys(body, &["msgtype", "markdown"])?;
    keys(&body["markdown"], &["content"])?;
    let content = text(&body["markdown"], "content")?;
    ensure(
        (1..=4096).contains(&content.len()),
        format!("{} bytes", content.len()),
    )?;
    printable(content)?;
    let fonts = ["info", "comment", "warning"].map(|colour| format!("<font color=\"{colour}\">"));
    let opened: usize = fonts
        .iter()
        .map(|font| content.matches(font.as_str()).count())
        .sum();
    ensure(
        opened == 2 && content.matches("</font>").count() == 2,
        "fonts are not closed",
    )?;
    let mut rest = content.replace("</font>", "");
    for font in &fonts {
        rest = rest.replace(font.as_str(), "");
    }
    no_tags(&rest)
}

pub(crate) fn feishu(call: &Call, body: &Value) -> Checked {
    ensure(
        call.target == format!("/open-apis/bot/v2/hook/{TOKEN}"),
        "token",
    )?;
    ensure(
        call.body.len() <= 20 * 1024,
        format!("{} bytes", call.body.len()),
    )?;
    keys(body, &["timestamp", "sign", "msg_type", "card"])?;
    let seconds = text(body, "timestamp")?;
    ensure(seconds == (AT.millis() / 1000).to_string(), "timestamp")?;
    let expected = hmac(format!("{seconds}\n{SECRET}").as_bytes(), b"");
    ensure(
        text(body, "sign")? == STANDARD.encode(expected),
        "sign match fail",
    )?;
    ensure(body["msg_type"] == "interactive", "msg_type")?;
    let card = &body["card"];
    keys(card, &["config", "header", "elements"])?;
    ensure(card["header"]["title"]["tag"] == "plain_text", "title")?;
    let template = text(&card["header"], "template")?;
    ensure(
        ["green", "blue", "orange", "red"].contains(&template),
        template,
    )?;
    for element in card["elements"].as_array().ok_or("elements")? {
        match text(element, "tag")? {
            "div" => ensure(element["text"]["tag"] == "plain_text", "a text with markup")?,
            "note" => ensure(
                element["elements"][0]["tag"] == "plain_text",
                "a note with markup",
            )?,
            "hr" => {}
            other => return Err(format!("element {other}")),
        }
    }
    texts(body).into_iter().try_for_each(printable)
}

pub(crate) fn teams(call: &Call, body: &Value) -> Checked {
    ensure(
        call.query("sig") == Some(&format!("{TOKEN}%2F")),
        "sig was changed",
    )?;
    ensure(
        call.body.len() <= 21 * 1024,
        format!("{} bytes", call.body.len()),
    )?;
    keys(body, &["type", "attachments"])?;
    let attachment = &body["attachments"][0];
    keys(attachment, &["contentType", "content"])?;
    let card = &attachment["content"];
    ensure(
        card["type"] == "AdaptiveCard" && card["version"] == "1.4",
        "card",
    )?;
    for block in card["body"].as_array().ok_or("body")? {
        ensure(block["type"] == "TextBlock", "block")?;
        let shown = text(block, "text")?;
        ensure(!shown.is_empty(), "an empty text")?;
        printable(shown)?;
        no_tags(shown)?;
    }
    ensure(card["msteams"].get("entities").is_none(), "a mention")
}

pub(crate) fn telegram(call: &Call, body: &Value) -> Checked {
    ensure(
        call.target == format!("/bot123:{TOKEN}/sendMessage"),
        "Not Found",
    )?;
    keys(
        body,
        &["chat_id", "text", "link_preview_options", "parse_mode"],
    )?;
    ensure(body["chat_id"] == -1_001_234_567_890_i64, "chat not found")?;
    let mut shown = text(body, "text")?.to_owned();
    for tag in ["<b>", "</b>", "<i>", "</i>"] {
        ensure(
            shown.matches(tag).count() == 1,
            format!("can't parse entities: {tag}"),
        )?;
        shown = shown.replace(tag, "");
    }
    escaped(&shown).map_err(|what| format!("can't parse entities: {what}"))?;
    let shown = shown
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let length = shown.encode_utf16().count();
    ensure(
        (1..=4096).contains(&length),
        format!("message is too long: {length}"),
    )
}
