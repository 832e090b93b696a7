//! What a mail says: the same in text and HTML, and headers that tie a recovery to its trigger.

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{MessageBuilder, MultiPart, MultiPartKind, SinglePart};
use ng_engine::plan::AlertKind;
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use sha2::{Digest as _, Sha256};
use std::time::{Duration, SystemTime};

use super::Addresses;
use crate::http::USER_AGENT;
use crate::message::Message;
use crate::sign::hex;
use crate::text::{Form, angle, body, bytes, line, plain};
use crate::words::{Tone, footer, heading};

/// A text this long is read by nobody, and servers take many times as much.
const TEXT: Form = Form {
    limit: 200_000,
    measure: bytes,
    escape: plain,
};
/// Some servers refuse lines of more than 998 bytes; a subject this long is no subject.
const SUBJECT: Form = Form { limit: 250, ..TEXT };
/// Episodes named in the headers of one mail.
const MOST_THREADS: usize = 10;

/// The mail as it goes over the wire.
pub(super) fn build(
    addresses: &Addresses,
    message: &Message,
    now: Time,
) -> Result<Vec<u8>, String> {
    let domain = addresses.from.email.domain();
    let threads = threads(message, domain);
    let mut builder = lettre::Message::builder()
        .from(addresses.from.clone())
        .subject(subject(message))
        .date(date(now))
        .message_id(Some(format!("<{}@{domain}>", word(&message.id))))
        .user_agent(USER_AGENT.to_owned())
        .in_reply_to(threads[0].clone())
        .references(threads.join(" "));
    for recipient in &addresses.to {
        builder = builder.to(recipient.clone());
    }
    builder = raw(builder, "Auto-Submitted", "auto-generated");
    builder = raw(builder, "X-Auto-Response-Suppress", "All");
    if message.severity == Severity::Critical && message.kind != AlertKind::Recovery {
        builder = raw(builder, "X-Priority", "1");
    }
    let (text, html) = (text(message), html(message));
    let part = |kind: ContentType, text: String| SinglePart::builder().header(kind).body(text);
    let parts = MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(boundary(&text, &html))
        .singlepart(part(ContentType::TEXT_PLAIN, text))
        .singlepart(part(ContentType::TEXT_HTML, html));
    builder
        .multipart(parts)
        .map(|letter| letter.formatted())
        .map_err(|error| format!("the mail cannot be built: {error}"))
}

/// One short line, the same in the header and above the text.
fn subject(message: &Message) -> String {
    line(&heading(message), SUBJECT)
}

fn raw(builder: MessageBuilder, name: &'static str, value: &str) -> MessageBuilder {
    let name = HeaderName::new_from_ascii_str(name);
    builder.raw_header(HeaderValue::new(name, value.to_owned()))
}

/// What a mail refers to: one mail that was never sent for each episode, named by node and beginning, so that
/// trigger, repeats and recovery of a node stand together, and apart from its next episode.
fn threads(message: &Message, domain: &str) -> Vec<String> {
    let root = |fingerprint: &str, since: Time| {
        format!("<{}.{}@{domain}>", word(fingerprint), since.millis() / 1000)
    };
    if message.nodes.is_empty() {
        return vec![root(&message.fingerprint, message.since)];
    }
    message
        .nodes
        .iter()
        .take(MOST_THREADS)
        .map(|node| root(node.fingerprint(), node.since))
        .collect()
}

/// What may stand in a message id.
fn word(text: &str) -> String {
    text.chars()
        .take(200)
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

/// No text holds a hash over itself, so no part can end itself.
fn boundary(text: &str, html: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(text.as_bytes());
    hash.update(html.as_bytes());
    hex(&hash.finalize()[..16])
}

fn date(now: Time) -> SystemTime {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// The text part.
pub(crate) fn text(message: &Message) -> String {
    let (subject, body) = (subject(message), body(message, TEXT));
    format!("{subject}\n\n{body}\n\n{}\n", footer(message))
}

/// The HTML part: the template's own, or the text, beside the colour of the severity.
fn html(message: &Message) -> String {
    let own = message
        .html
        .as_ref()
        .filter(|html| html.len() <= TEXT.limit);
    if let Some(html) = own
        && !message.test
        && is_document(html)
    {
        return html.clone();
    }
    let colour = Tone::of(message).hex();
    let title = angle(&subject(message)).into_owned();
    let content = own.cloned().unwrap_or_else(|| {
        let form = Form {
            escape: angle,
            ..TEXT
        };
        format!(
            "<div style=\"white-space:pre-wrap\">{}</div>",
            body(message, form)
        )
    });
    let footer = footer(message);
    let footer = angle(&footer);
    format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head>\n\
         <body style=\"font-family:sans-serif;font-size:14px\">\n\
         <div style=\"border-left:6px solid {colour};padding-left:12px\">\n\
         <h2 style=\"color:{colour};font-size:18px\">{title}</h2>\n{content}\n\
         <p style=\"color:#666;font-size:12px\">{footer}</p>\n</div>\n</body></html>\n"
    )
}

/// Whether a template's HTML is a page of its own.
fn is_document(html: &str) -> bool {
    let start = html.trim_start().get(..9).unwrap_or_default();
    start.eq_ignore_ascii_case("<!doctype")
        || start[..start.len().min(5)].eq_ignore_ascii_case("<html")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::NodeFacts;
    use crate::test_support::{AT, alert, hostile, message, recovery, repeat};

    fn built(message: &Message) -> String {
        let addresses = Addresses {
            from: "NodeGuardian <alerts@example.com>".parse().unwrap(),
            to: vec![
                "ops@example.com".parse().unwrap(),
                "\"On, Call\" <oncall@example.com>".parse().unwrap(),
            ],
        };
        String::from_utf8(build(&addresses, message, AT).unwrap()).unwrap()
    }

    fn header(mail: &str, name: &str) -> Option<String> {
        let head = mail.split("\r\n\r\n").next().unwrap();
        let start = format!("{name}: ");
        let unfolded = head.replace("\r\n ", " ");
        let found = unfolded.lines().find(|line| line.starts_with(&start))?;
        Some(found[start.len()..].to_owned())
    }

    #[test]
    fn trigger_and_recovery_of_a_node_share_a_thread() {
        let (trigger, recovery) = (built(&message()), built(&recovery()));
        assert_eq!(
            header(&trigger, "References"),
            header(&recovery, "References")
        );
        assert_eq!(
            header(&trigger, "In-Reply-To").unwrap(),
            "<worker-1-9f86d081.1767322805@example.com>"
        );
        assert_ne!(
            header(&trigger, "Message-ID"),
            header(&recovery, "Message-ID")
        );
        let repeat = built(&repeat());
        assert!(
            header(&repeat, "References")
                .unwrap()
                .contains("<worker-1-9f86d081.1767322805@")
        );
        let mut next = message();
        next.nodes[0].since = next.nodes[0].since.plus(Duration::from_mins(1));
        assert_ne!(
            header(&trigger, "References"),
            header(&built(&next), "References")
        );
    }

    #[test]
    fn the_same_message_makes_the_same_mail() {
        assert_eq!(built(&message()), built(&message()));
    }

    #[test]
    fn priority_is_for_what_is_critical_and_not_over() {
        assert_eq!(
            header(&built(&repeat()), "X-Priority").as_deref(),
            Some("1")
        );
        assert_eq!(header(&built(&message()), "X-Priority"), None);
        let mut over = recovery();
        over.severity = Severity::Critical;
        assert_eq!(header(&built(&over), "X-Priority"), None);
    }

    #[test]
    fn no_text_makes_a_header_or_ends_a_part() {
        let mut message = hostile(5000, 1 << 20);
        message.id = "x\r\nBcc: eve@example.com".to_owned();
        let fingerprint = "y>\r\nBcc: eve@example.com".to_owned();
        message.nodes[0] = NodeFacts::single(alert("n-0"), fingerprint, Vec::new());
        let mail = built(&message);
        let head = mail.split("\r\n\r\n").next().unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(mail.lines().all(|line| line.len() <= 998));
        assert!(mail.is_ascii(), "encoded for any server");
        let boundary = header(&mail, "Content-Type").unwrap();
        let boundary = boundary.split('"').nth(1).unwrap();
        let marks = mail.matches(&format!("--{boundary}")).count();
        assert_eq!(marks, 3, "two parts and the end");
        assert!(mail.len() < 2 << 20, "{}", mail.len());
    }

    #[test]
    fn html_has_the_colour_and_no_markup_of_values() {
        let mut message = hostile(1, 1000);
        message.test = true;
        let page = html(&message);
        assert!(page.contains("border-left:6px solid #ef6c00"));
        assert!(page.contains("[TEST] ") && page.contains("This is a test message"));
        assert!(
            !page.contains("<b onclick") && !page.contains("</script>"),
            "{page}"
        );
        message.html = Some("<!DOCTYPE html><p>own</p>".to_owned());
        assert!(html(&message).contains("This is a test message"));
        message.test = false;
        assert_eq!(html(&message), "<!DOCTYPE html><p>own</p>");
        message.html = Some("<p>own</p>".to_owned());
        assert!(html(&message).contains("<p>own</p>\n<p style"));
    }
}
