//! Where the messages of one channel go.

mod secrets;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use ng_config::{
    ChannelKind, ChatId, Config, EmailAddress, HeaderName, Host, HttpUrl, Port, Secret, SecretUrl,
    SignedWebhook, SmtpTls,
};
use sha2::{Digest as _, Sha256};

use crate::http::Courier;
use crate::sign::hex;

/// A channel's settings are incomplete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("channel {channel} is not configured: {} missing", list(.missing))]
pub struct NotConfigured {
    /// The channel.
    pub channel: ChannelKind,
    /// The settings it lacks, as they are called in the configuration.
    pub missing: Vec<&'static str>,
}

fn list(missing: &[&str]) -> String {
    let verb = if missing.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", missing.join(" and "))
}

/// The most messages in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many messages
    pub count: u32,
    /// in this time.
    pub per: Duration,
}

/// Where the messages of one channel go. Holds credentials; shows none.
pub struct Receiver {
    pub(crate) via: Via,
    /// Certificates to trust besides the public ones.
    ca_file: Option<PathBuf>,
    /// Made when it is needed, and kept with its connections.
    courier: OnceLock<Courier>,
}

/// How a channel is reached.
pub(crate) enum Via {
    Log,
    Email(Box<Mailbox>),
    Http(Http),
}

/// The channels that are HTTP requests.
pub(crate) enum Http {
    Webhook(Webhook),
    Slack(SecretUrl),
    Dingtalk(Robot),
    Wecom(SecretUrl),
    Feishu(Robot),
    Teams(SecretUrl),
    Telegram(Bot),
    Pagerduty(Integration),
    Alertmanager(HttpUrl),
}

/// A mail account and who is written to.
pub(crate) struct Mailbox {
    pub(crate) server: Host,
    pub(crate) port: Port,
    pub(crate) tls: SmtpTls,
    pub(crate) login: Option<(Secret, Secret)>,
    pub(crate) from: EmailAddress,
    pub(crate) to: Vec<EmailAddress>,
}

/// An HTTP service of one's own.
pub(crate) struct Webhook {
    pub(crate) url: SecretUrl,
    /// Sent with every request.
    pub(crate) headers: BTreeMap<HeaderName, Secret>,
    /// The key of the signature.
    pub(crate) secret: Option<Secret>,
}

/// A chat robot whose requests may be signed.
pub(crate) struct Robot {
    pub(crate) url: SecretUrl,
    pub(crate) secret: Option<Secret>,
}

/// A Telegram bot and its chat.
pub(crate) struct Bot {
    pub(crate) api_url: HttpUrl,
    pub(crate) token: Secret,
    pub(crate) chat: ChatId,
}

/// A `PagerDuty` integration.
pub(crate) struct Integration {
    pub(crate) url: HttpUrl,
    pub(crate) routing_key: Secret,
}

impl Receiver {
    /// The receiver of a channel as it is configured.
    pub fn of(channel: ChannelKind, config: &Config) -> Result<Self, NotConfigured> {
        let via = via(channel, config).map_err(|missing| NotConfigured { channel, missing })?;
        let ca_file = match channel {
            ChannelKind::Log => None,
            ChannelKind::Email => config.email.ca_file.clone(),
            _ => config.alert.ca_file.clone(),
        };
        Ok(Self {
            via,
            ca_file,
            courier: OnceLock::new(),
        })
    }

    /// The certificates to trust besides the public ones.
    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// What sends the requests; fails while the certificates cannot be read.
    pub(crate) fn courier(&self) -> Result<&Courier, String> {
        if let Some(courier) = self.courier.get() {
            return Ok(courier);
        }
        let courier = Courier::new(self.ca_file())?;
        Ok(self.courier.get_or_init(|| courier))
    }

    /// The channel.
    pub fn channel(&self) -> ChannelKind {
        match &self.via {
            Via::Log => ChannelKind::Log,
            Via::Email(_) => ChannelKind::Email,
            Via::Http(http) => http.channel(),
        }
    }

    /// The host that is talked to, fit for logs; none for the log.
    pub fn host(&self) -> Option<&str> {
        match &self.via {
            Via::Log => None,
            Via::Email(mailbox) => Some(mailbox.server.as_str()),
            Via::Http(http) => Some(http.host()),
        }
    }

    /// The same for the same destination and no other: for what is remembered of a receiver. It tells nothing of
    /// addresses and credentials.
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        for part in self.destination() {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        format!("{}-{}", self.channel(), hex(&hash.finalize()[..8]))
    }

    /// What makes the destination.
    fn destination(&self) -> Vec<&str> {
        match &self.via {
            Via::Log => Vec::new(),
            Via::Email(mailbox) => {
                let people = mailbox.to.iter().map(EmailAddress::as_str);
                let server = mailbox.server.as_str();
                std::iter::once(server).chain(people).collect()
            }
            Via::Http(http) => http.destination(),
        }
    }

    /// What the service bears; `None`: no limit is known.
    pub fn rate(&self) -> Option<Rate> {
        let Via::Http(http) = &self.via else {
            return None;
        };
        let (count, seconds) = match http {
            Http::Slack(_) => (1, 1),
            // More than this blocks a DingTalk robot for ten minutes; a Telegram group takes as much.
            Http::Dingtalk(_) | Http::Wecom(_) | Http::Telegram(_) => (20, 60),
            Http::Feishu(_) => (100, 60),
            Http::Teams(_) => (60, 30),
            Http::Webhook(_) | Http::Pagerduty(_) | Http::Alertmanager(_) => return None,
        };
        let per = Duration::from_secs(seconds);
        Some(Rate { count, per })
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Receiver").field(&self.key()).finish()
    }
}

impl Http {
    fn channel(&self) -> ChannelKind {
        match self {
            Self::Webhook(_) => ChannelKind::Webhook,
            Self::Slack(_) => ChannelKind::Slack,
            Self::Dingtalk(_) => ChannelKind::Dingtalk,
            Self::Wecom(_) => ChannelKind::Wecom,
            Self::Feishu(_) => ChannelKind::Feishu,
            Self::Teams(_) => ChannelKind::Teams,
            Self::Telegram(_) => ChannelKind::Telegram,
            Self::Pagerduty(_) => ChannelKind::Pagerduty,
            Self::Alertmanager(_) => ChannelKind::Alertmanager,
        }
    }

    /// Where requests go.
    fn url(&self) -> &str {
        match self {
            Self::Webhook(webhook) => webhook.url.expose(),
            Self::Slack(url) | Self::Wecom(url) | Self::Teams(url) => url.expose(),
            Self::Dingtalk(robot) | Self::Feishu(robot) => robot.url.expose(),
            Self::Telegram(bot) => bot.api_url.expose(),
            Self::Pagerduty(integration) => integration.url.expose(),
            Self::Alertmanager(url) => url.expose(),
        }
    }

    fn host(&self) -> &str {
        match self {
            Self::Webhook(webhook) => webhook.url.host(),
            Self::Slack(url) | Self::Wecom(url) | Self::Teams(url) => url.host(),
            Self::Dingtalk(robot) | Self::Feishu(robot) => robot.url.host(),
            Self::Telegram(bot) => bot.api_url.host(),
            Self::Pagerduty(integration) => integration.url.host(),
            Self::Alertmanager(url) => url.host(),
        }
    }

    fn destination(&self) -> Vec<&str> {
        let mut parts = vec![self.url()];
        match self {
            Self::Telegram(bot) => parts.extend([bot.token.expose(), bot.chat.as_str()]),
            Self::Pagerduty(integration) => parts.push(integration.routing_key.expose()),
            Self::Webhook(_)
            | Self::Slack(_)
            | Self::Dingtalk(_)
            | Self::Wecom(_)
            | Self::Feishu(_)
            | Self::Teams(_)
            | Self::Alertmanager(_) => {}
        }
        parts
    }
}

/// How the channel is reached, or the settings that are missing.
fn via(channel: ChannelKind, config: &Config) -> Result<Via, Vec<&'static str>> {
    let channels = &config.channels;
    Ok(Via::Http(match channel {
        ChannelKind::Log => return Ok(Via::Log),
        ChannelKind::Email => return Ok(Via::Email(Box::new(mailbox(config)?))),
        ChannelKind::Webhook => Http::Webhook(Webhook {
            url: need(config.alert.webhook_url.as_ref(), "alert.webhookUrl")?,
            headers: config.alert.webhook_headers.clone(),
            secret: config.alert.webhook_secret.clone(),
        }),
        ChannelKind::Slack => {
            Http::Slack(need(channels.slack_webhook.as_ref(), "slack.webhookUrl")?)
        }
        ChannelKind::Dingtalk => Http::Dingtalk(robot(&channels.dingtalk, "dingtalk.webhookUrl")?),
        ChannelKind::Wecom => {
            Http::Wecom(need(channels.wecom_webhook.as_ref(), "wecom.webhookUrl")?)
        }
        ChannelKind::Feishu => Http::Feishu(robot(&channels.feishu, "feishu.webhookUrl")?),
        ChannelKind::Teams => {
            Http::Teams(need(channels.teams_webhook.as_ref(), "teams.webhookUrl")?)
        }
        ChannelKind::Telegram => Http::Telegram(bot(config)?),
        ChannelKind::Pagerduty => {
            let key = channels.pagerduty.routing_key.as_ref();
            Http::Pagerduty(Integration {
                url: channels.pagerduty.url.clone(),
                routing_key: need(key, "pagerduty.routingKey")?,
            })
        }
        ChannelKind::Alertmanager => {
            let url = channels.alertmanager_url.as_ref();
            Http::Alertmanager(need(url, "alertmanager.url")?)
        }
    }))
}

fn need<T: Clone>(setting: Option<&T>, name: &'static str) -> Result<T, Vec<&'static str>> {
    setting.cloned().ok_or_else(|| vec![name])
}

fn robot(settings: &SignedWebhook, name: &'static str) -> Result<Robot, Vec<&'static str>> {
    Ok(Robot {
        url: need(settings.webhook.as_ref(), name)?,
        secret: settings.secret.clone(),
    })
}

fn bot(config: &Config) -> Result<Bot, Vec<&'static str>> {
    let telegram = &config.channels.telegram;
    match (&telegram.bot_token, &telegram.chat_id) {
        (Some(token), Some(chat)) => Ok(Bot {
            api_url: telegram.api_url.clone(),
            token: token.clone(),
            chat: chat.clone(),
        }),
        (token, chat) => {
            let token = token.is_none().then_some("telegram.botToken");
            let chat = chat.is_none().then_some("telegram.chatId");
            Err(token.into_iter().chain(chat).collect())
        }
    }
}

fn mailbox(config: &Config) -> Result<Mailbox, Vec<&'static str>> {
    let email = &config.email;
    let mut missing = Vec::new();
    if email.to.is_empty() {
        missing.push("email.to");
    }
    let login = match (&email.username, &email.password) {
        (Some(username), Some(password)) => Some((username.clone(), password.clone())),
        (Some(_), None) => {
            missing.push("email.password");
            None
        }
        (None, Some(_)) => {
            missing.push("email.username");
            None
        }
        (None, None) => None,
    };
    if missing.is_empty() && !email.is_configured() {
        missing.extend(["email.username", "email.password"]);
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    Ok(Mailbox {
        server: email.server.clone(),
        port: email.port,
        tls: email.tls,
        login,
        from: email.from.clone(),
        to: email.to.clone(),
    })
}
