//! Every HTTP channel against receivers on loopback that are as strict as the real ones, and as unkind.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what helps a test fails like a test"
)]

use ng_notify::message;

mod answers;
mod limits;
mod server;
mod strict;
mod strict_chats;
#[path = "../../src/test_support.rs"]
mod test_support;
mod told;

use std::time::{Duration, Instant};

use ng_config::{ChannelKind, Config, Secret};
use ng_notify::message::Message;
use ng_notify::{Receiver, Sent, When, send};

use crate::test_support::AT;

/// What the secrets of every channel are; long enough to be found in a reason.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Long enough for any answer on a busy machine; nothing waits this long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Every HTTP channel at `base`, with every secret set.
fn config(base: &str) -> Config {
    let at = |path: &str| format!("{base}{path}");
    let secret = || Some(Secret::new("SECtest0123456789abcdef"));
    let mut config = Config::default();
    config.alert.webhook_url = at(&format!("/hook/{TOKEN}")).parse().ok();
    config.alert.webhook_secret = secret();
    let channels = &mut config.channels;
    channels.slack_webhook = at(&format!("/services/T00000000/B00000000/{TOKEN}"))
        .parse()
        .ok();
    channels.dingtalk.webhook = at(&format!("/robot/send?access_token={TOKEN}"))
        .parse()
        .ok();
    channels.dingtalk.secret = secret();
    channels.wecom_webhook = at(&format!("/cgi-bin/webhook/send?key={TOKEN}"))
        .parse()
        .ok();
    channels.feishu.webhook = at(&format!("/open-apis/bot/v2/hook/{TOKEN}")).parse().ok();
    channels.feishu.secret = secret();
    channels.teams_webhook = at(&format!("/workflows/1/run?sig={TOKEN}%2F")).parse().ok();
    channels.telegram.api_url = base.parse().unwrap();
    channels.telegram.bot_token = Some(Secret::new(format!("123:{TOKEN}")));
    channels.telegram.chat_id = "-1001234567890".parse().ok();
    channels.pagerduty.url = at("/v2/enqueue").parse().unwrap();
    channels.pagerduty.routing_key = Some(Secret::new(TOKEN));
    let login = at("/prefix").replace("://", &format!("://ops:{TOKEN}@"));
    channels.alertmanager_url = login.parse().ok();
    config
}

/// The channels that are HTTP requests.
fn http_channels() -> impl Iterator<Item = ChannelKind> {
    let other = [ChannelKind::Log, ChannelKind::Email];
    let all = ChannelKind::ALL.iter().copied();
    all.filter(move |channel| !other.contains(channel))
}

/// One attempt that may take as long as it likes.
fn attempt(config: &Config, channel: ChannelKind, message: &Message) -> Sent {
    attempt_within(config, channel, message, PATIENCE)
}

fn attempt_within(
    config: &Config,
    channel: ChannelKind,
    message: &Message,
    limit: Duration,
) -> Sent {
    let receiver = Receiver::of(channel, config).unwrap();
    let when = When {
        now: AT,
        deadline: Instant::now() + limit,
    };
    send(&receiver, message, &when, &mut |line| {
        panic!("{channel} is not the log: {line:?}")
    })
}
