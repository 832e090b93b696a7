//! What would go out, to look at: secrets are masked, and nothing is sent.

use std::fmt::Write as _;

use ng_config::{ChannelKind, Config, MASK};
use ng_engine::time::Time;

use crate::channel;
use crate::channel::log::log_line;
use crate::email::letter_text;
use crate::http::Request;
use crate::message::Message;
use crate::receiver::{Http, Receiver, Via};
use crate::send::LogValue;
use crate::text::grouped;
use crate::words::heading;

/// The message as the receiver's channel would send it: a request, a mail's text, or a line of the log.
pub fn preview(receiver: &Receiver, message: &Message, now: Time) -> String {
    let text = match &receiver.via {
        Via::Log => log(message),
        Via::Email(mailbox) => {
            let to: Vec<&str> = mailbox
                .to
                .iter()
                .map(ng_config::EmailAddress::as_str)
                .collect();
            format!(
                "From: {}\nTo: {}\nSubject: {}\n\n{}",
                mailbox.from,
                to.join(", "),
                heading(message),
                letter_text(message)
            )
        }
        Via::Http(http) => {
            let mut text = shown(http, &channel::request(http, message, now));
            let events = message.nodes.len();
            if matches!(http, Http::Pagerduty(_)) && events > 1 {
                let more = grouped(events - 1);
                // Writing into a text cannot fail.
                let _ = writeln!(text, "… and {more} more events, one for each node");
            }
            text
        }
    };
    receiver.without_secrets(&text)
}

fn log(message: &Message) -> String {
    let line = log_line(message);
    let mut text = format!("{}: {}\n", line.severity.word(), line.text);
    for (name, value) in &line.fields {
        let _ = match value {
            LogValue::Text(value) => writeln!(text, "  {name}: {value:?}"),
            LogValue::Integer(value) => writeln!(text, "  {name}: {value}"),
            LogValue::Bool(value) => writeln!(text, "  {name}: {value}"),
        };
    }
    text
}

fn shown(http: &Http, request: &Request) -> String {
    let mut text = format!("POST {}\n", http.shown_url(&request.url));
    for (name, value) in &request.headers {
        let is_secret = http.is_secret_header(name);
        let value = if is_secret { MASK } else { value };
        let _ = writeln!(text, "{name}: {value}");
    }
    let body = request.body.whole();
    let body = serde_json::from_slice::<serde_json::Value>(&body)
        .and_then(|body| serde_json::to_string_pretty(&body))
        .unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned());
    let _ = writeln!(text, "\n{body}");
    text
}

impl Receiver {
    /// A receiver that nobody has, to preview a channel that is not configured.
    ///
    /// # Panics
    ///
    /// Never: it gives every setting that a channel needs.
    pub fn sample(channel: ChannelKind) -> Self {
        let mut config = Config::default();
        let url = |name: &str| format!("https://{name}.example.invalid/webhook");
        config.alert.webhook_url = url("receiver").parse().ok();
        let channels = &mut config.channels;
        channels.slack_webhook = url("slack").parse().ok();
        channels.dingtalk.webhook = url("dingtalk").parse().ok();
        channels.wecom_webhook = url("wecom").parse().ok();
        channels.feishu.webhook = url("feishu").parse().ok();
        channels.teams_webhook = url("teams").parse().ok();
        channels.telegram.bot_token = Some(ng_config::Secret::new("token"));
        channels.telegram.chat_id = "-100".parse().ok();
        channels.pagerduty.routing_key = Some(ng_config::Secret::new("routing-key"));
        channels.alertmanager_url = "http://alertmanager.example.invalid:9093".parse().ok();
        config.email.to.extend("ops@example.invalid".parse());
        config.email.username = Some(ng_config::Secret::new("nodeguardian"));
        config.email.password = Some(ng_config::Secret::new("password"));
        Self::of(channel, &config).expect("every setting that a channel needs is above")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use ng_config::Secret;

    use crate::test_support::{AT, message, repeat};

    #[test]
    fn every_channel_shows_the_message_and_no_secret() {
        let mut message = repeat();
        message.test = true;
        for channel in ChannelKind::ALL {
            let text = preview(&Receiver::sample(*channel), &message, AT);
            assert!(text.contains("worker-1"), "{text}");
            assert!(
                text.contains("[TEST] ") && text.contains("High load on 3 nodes"),
                "{text}"
            );
            for secret in ["password", "routing-key\"", "bottoken"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }

    #[test]
    fn of_an_address_that_is_a_credential_the_host_is_shown() {
        let address = "https://ops:pw@chat.example:8443/hook/SEK?key=k&access_token=prod";
        let mut config = Config::default();
        config.alert.webhook_url = address.parse().ok();
        config.alert.webhook_headers =
            BTreeMap::from([("X-Key".parse().unwrap(), Secret::new("xyz"))]);
        let channels = &mut config.channels;
        channels.slack_webhook = address.parse().ok();
        channels.dingtalk.webhook = address.parse().ok();
        channels.wecom_webhook = address.parse().ok();
        channels.feishu.webhook = address.parse().ok();
        channels.teams_webhook = address.parse().ok();
        let message = message();
        for channel in [
            ChannelKind::Webhook,
            ChannelKind::Slack,
            ChannelKind::Dingtalk,
            ChannelKind::Wecom,
            ChannelKind::Feishu,
            ChannelKind::Teams,
        ] {
            let receiver = Receiver::of(channel, &config).unwrap();
            let text = preview(&receiver, &message, AT);
            let (head, body) = text.split_once("\n\n").unwrap();
            let line = "POST https://chat.example:8443/***\n";
            assert!(head.starts_with(line), "{channel}: {head}");
            for secret in ["SEK", "key=k", "pw@", "xyz"] {
                assert!(!head.contains(secret), "{channel}: {head}");
            }
            // What is a word in the message stays one.
            assert!(
                channel != ChannelKind::Webhook || body.contains("\"prod\""),
                "{body}"
            );
        }
    }
}
