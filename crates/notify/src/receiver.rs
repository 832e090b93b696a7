//! Where the messages of one channel go.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use ng_config::{
    ChannelKind, ChatId, Config, EmailAddress, Host, HttpUrl, Port, Secret, SecretUrl, SmtpTls,
};
use sha2::{Digest as _, Sha256};

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
#[derive(Debug)]
pub struct Receiver {
    pub(crate) via: Via,
    /// Certificates to trust besides the public ones.
    pub(crate) ca_file: Option<PathBuf>,
}

/// How a channel is reached.
#[derive(Debug)]
pub(crate) enum Via {
    Log,
    Email(Box<Mailbox>),
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
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) server: Host,
    pub(crate) port: Port,
    pub(crate) tls: SmtpTls,
    pub(crate) login: Option<(Secret, Secret)>,
    pub(crate) from: EmailAddress,
    pub(crate) to: Vec<EmailAddress>,
}

/// An HTTP service of one's own.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) url: SecretUrl,
    /// Sent with every request.
    pub(crate) headers: Vec<(String, Secret)>,
    /// The key of the signature.
    pub(crate) secret: Option<Secret>,
}

/// A chat robot whose requests may be signed.
#[derive(Debug)]
pub(crate) struct Robot {
    pub(crate) url: SecretUrl,
    pub(crate) secret: Option<Secret>,
}

/// A Telegram bot and its chat.
#[derive(Debug)]
pub(crate) struct Bot {
    pub(crate) api_url: HttpUrl,
    pub(crate) token: Secret,
    pub(crate) chat: ChatId,
}

/// A `PagerDuty` integration.
#[derive(Debug)]
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
        Ok(Self { via, ca_file })
    }

    /// The channel.
    pub fn channel(&self) -> ChannelKind {
        match &self.via {
            Via::Log => ChannelKind::Log,
            Via::Email(_) => ChannelKind::Email,
            Via::Webhook(_) => ChannelKind::Webhook,
            Via::Slack(_) => ChannelKind::Slack,
            Via::Dingtalk(_) => ChannelKind::Dingtalk,
            Via::Wecom(_) => ChannelKind::Wecom,
            Via::Feishu(_) => ChannelKind::Feishu,
            Via::Teams(_) => ChannelKind::Teams,
            Via::Telegram(_) => ChannelKind::Telegram,
            Via::Pagerduty(_) => ChannelKind::Pagerduty,
            Via::Alertmanager(_) => ChannelKind::Alertmanager,
        }
    }

    /// The host that is talked to, fit for logs; none for the log.
    pub fn host(&self) -> Option<&str> {
        match &self.via {
            Via::Log => None,
            Via::Email(mailbox) => Some(mailbox.server.as_str()),
            Via::Webhook(webhook) => Some(webhook.url.host()),
            Via::Slack(url) | Via::Wecom(url) | Via::Teams(url) => Some(url.host()),
            Via::Dingtalk(robot) | Via::Feishu(robot) => Some(robot.url.host()),
            Via::Telegram(bot) => Some(bot.api_url.host()),
            Via::Pagerduty(integration) => Some(integration.url.host()),
            Via::Alertmanager(url) => Some(url.host()),
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
        let mut key = format!("{}-", self.channel());
        for byte in &hash.finalize()[..8] {
            // Writing into a text cannot fail.
            let _ = write!(key, "{byte:02x}");
        }
        key
    }

    /// What makes the destination.
    fn destination(&self) -> Vec<&str> {
        match &self.via {
            Via::Log => vec![],
            Via::Email(mailbox) => {
                let people = mailbox.to.iter().map(EmailAddress::as_str);
                std::iter::once(mailbox.server.as_str())
                    .chain(people)
                    .collect()
            }
            Via::Webhook(webhook) => vec![webhook.url.expose()],
            Via::Slack(url) | Via::Wecom(url) | Via::Teams(url) => vec![url.expose()],
            Via::Dingtalk(robot) | Via::Feishu(robot) => vec![robot.url.expose()],
            Via::Telegram(bot) => {
                vec![bot.api_url.expose(), bot.token.expose(), bot.chat.as_str()]
            }
            Via::Pagerduty(integration) => {
                vec![integration.url.expose(), integration.routing_key.expose()]
            }
            Via::Alertmanager(url) => vec![url.expose()],
        }
    }

    /// What the service bears; `None`: no limit is known.
    pub fn rate(&self) -> Option<Rate> {
        let rate = |count, seconds| {
            let per = Duration::from_secs(seconds);
            Some(Rate { count, per })
        };
        match &self.via {
            Via::Slack(_) => rate(1, 1),
            // More than this blocks a DingTalk robot for ten minutes; a Telegram group takes as much.
            Via::Dingtalk(_) | Via::Wecom(_) | Via::Telegram(_) => rate(20, 60),
            Via::Feishu(_) => rate(100, 60),
            Via::Teams(_) => rate(60, 30),
            Via::Log
            | Via::Email(_)
            | Via::Webhook(_)
            | Via::Pagerduty(_)
            | Via::Alertmanager(_) => None,
        }
    }
}

/// How the channel is reached, or the settings that are missing.
fn via(channel: ChannelKind, config: &Config) -> Result<Via, Vec<&'static str>> {
    let channels = &config.channels;
    Ok(match channel {
        ChannelKind::Log => Via::Log,
        ChannelKind::Email => Via::Email(Box::new(mailbox(config)?)),
        ChannelKind::Webhook => Via::Webhook(Webhook {
            url: need(&config.alert.webhook_url, "alert.webhookUrl")?,
            headers: Vec::new(),
            secret: None,
        }),
        ChannelKind::Slack => Via::Slack(need(&channels.slack_webhook, "slack.webhookUrl")?),
        ChannelKind::Dingtalk => Via::Dingtalk(Robot {
            url: need(&channels.dingtalk.webhook, "dingtalk.webhookUrl")?,
            secret: channels.dingtalk.secret.clone(),
        }),
        ChannelKind::Wecom => Via::Wecom(need(&channels.wecom_webhook, "wecom.webhookUrl")?),
        ChannelKind::Feishu => Via::Feishu(Robot {
            url: need(&channels.feishu.webhook, "feishu.webhookUrl")?,
            secret: channels.feishu.secret.clone(),
        }),
        ChannelKind::Teams => Via::Teams(need(&channels.teams_webhook, "teams.webhookUrl")?),
        ChannelKind::Telegram => Via::Telegram(bot(config)?),
        ChannelKind::Pagerduty => Via::Pagerduty(Integration {
            url: channels.pagerduty.url.clone(),
            routing_key: need(&channels.pagerduty.routing_key, "pagerduty.routingKey")?,
        }),
        ChannelKind::Alertmanager => {
            Via::Alertmanager(need(&channels.alertmanager_url, "alertmanager.url")?)
        }
    })
}

fn need<T: Clone>(setting: &Option<T>, name: &'static str) -> Result<T, Vec<&'static str>> {
    setting.clone().ok_or_else(|| vec![name])
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
