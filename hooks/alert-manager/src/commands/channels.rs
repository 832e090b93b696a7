//! Channels as a call or a template names them: `"email"`, or `{type, enabled, url, headers}`.

use std::borrow::Cow;

use ng_config::{ChannelKind, Config, HeaderName, Secret};
use ng_engine::spec::{ChannelObject, ChannelSpec};
use ng_notify::Receiver;

/// Why a channel is not sent to, in a sentence without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// There is no such channel, or it is not configured: nobody waits for a message there.
    Absent(String),
    /// Address or headers that came with the channel cannot be used.
    Wrong(String),
}

/// The names of all channels.
fn known() -> String {
    let names: Vec<&str> = ChannelKind::ALL.iter().map(|kind| kind.as_str()).collect();
    names.join(", ")
}

/// The channel that a name means.
pub(crate) fn kind(name: &str) -> Result<ChannelKind, Unusable> {
    let name = name.trim();
    name.to_ascii_lowercase().parse().map_err(|_| {
        let known = known();
        Unusable::Absent(format!(
            "there is no channel {name:?}, expected one of {known}"
        ))
    })
}

/// The receiver of a channel: as configured, or with the address and headers that come with it.
pub fn receiver(channel: &ChannelSpec, config: &Config) -> Result<Receiver, Unusable> {
    let kind = kind(channel.name())?;
    let config = match channel {
        ChannelSpec::Name(_) => Cow::Borrowed(config),
        ChannelSpec::Object(object) => with_own(kind, object, config)?,
    };
    Receiver::of(kind, &config).map_err(|missing| Unusable::Absent(missing.to_string()))
}

/// The configuration with what the object says in the place of what it has.
fn with_own<'c>(
    kind: ChannelKind,
    object: &ChannelObject,
    config: &'c Config,
) -> Result<Cow<'c, Config>, Unusable> {
    let url = object.url.trim();
    if url.is_empty() && (object.headers.is_empty() || kind != ChannelKind::Webhook) {
        return Ok(Cow::Borrowed(config));
    }
    let wrong = |reason: String| Unusable::Wrong(format!("channel {kind}: {reason}"));
    let mut own = config.clone();
    if !url.is_empty() {
        set_url(kind, url, &mut own).map_err(|error| wrong(format!("url: {error}")))?;
    }
    if kind == ChannelKind::Webhook {
        for (name, value) in &object.headers {
            let name: HeaderName = name
                .parse()
                .map_err(|error| wrong(format!("headers: {name:?}: {error}")))?;
            own.alert
                .webhook_headers
                .insert(name, Secret::new(value.as_str()));
        }
    }
    Ok(Cow::Owned(own))
}

/// Puts the address where the channel has one; a channel without an address leaves it alone.
fn set_url(kind: ChannelKind, url: &str, config: &mut Config) -> Result<(), String> {
    let secret = || {
        url.parse()
            .map(Some)
            .map_err(|error: ng_config::UrlError| error.to_string())
    };
    let open = || {
        url.parse()
            .map_err(|error: ng_config::UrlError| error.to_string())
    };
    let channels = &mut config.channels;
    match kind {
        ChannelKind::Log | ChannelKind::Email => {}
        ChannelKind::Webhook => config.alert.webhook_url = secret()?,
        ChannelKind::Slack => channels.slack_webhook = secret()?,
        ChannelKind::Dingtalk => channels.dingtalk.webhook = secret()?,
        ChannelKind::Wecom => channels.wecom_webhook = secret()?,
        ChannelKind::Feishu => channels.feishu.webhook = secret()?,
        ChannelKind::Teams => channels.teams_webhook = secret()?,
        ChannelKind::Telegram => channels.telegram.api_url = open()?,
        ChannelKind::Pagerduty => channels.pagerduty.url = open()?,
        ChannelKind::Alertmanager => channels.alertmanager_url = Some(open()?),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, url: &str) -> ChannelSpec {
        ChannelSpec::Object(ChannelObject {
            kind: kind.to_owned(),
            url: url.to_owned(),
            ..ChannelObject::default()
        })
    }

    #[test]
    fn an_address_that_comes_with_a_channel_is_used() {
        let config = Config::default();
        let own = "https://own.example.com/x";
        for kind in ChannelKind::ALL {
            let found = receiver(&object(kind.as_str(), own), &config);
            let host = found
                .as_ref()
                .map(|receiver| receiver.host().unwrap_or("none"));
            match kind {
                ChannelKind::Log => assert_eq!(host, Ok("none")),
                // These need more than an address.
                ChannelKind::Email | ChannelKind::Telegram | ChannelKind::Pagerduty => {
                    assert!(matches!(found, Err(Unusable::Absent(_))), "{kind}");
                }
                _ => assert_eq!(host, Ok("own.example.com"), "{kind}"),
            }
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_without_the_address() {
        let config = Config::default();
        for (channel, want) in [
            (
                object("pager", ""),
                "there is no channel \"pager\", expected one of log,",
            ),
            (
                object("slack", ""),
                "channel slack is not configured: slack.webhookUrl is missing",
            ),
            (
                object("slack", "token"),
                "channel slack: url: it must begin with http",
            ),
            (
                object("alertmanager", "http://"),
                "channel alertmanager: url: its host",
            ),
        ] {
            let reason = match receiver(&channel, &config) {
                Err(Unusable::Absent(reason) | Unusable::Wrong(reason)) => reason,
                Ok(receiver) => format!("{receiver:?}"),
            };
            assert!(reason.starts_with(want), "{reason}");
            assert!(!reason.contains("token"), "{reason}");
        }
    }
}
