//! Channels against real servers: Alertmanager, and a mail server with TLS and a login; and the node-monitor's alerts
//! on their whole way.

mod alertmanager;
mod mail;
mod monitor;
#[path = "../../../crates/notify/src/test_support.rs"]
mod test_support;

use std::time::{Duration, Instant};

use anyhow::Result;
use ng_config::{ChannelKind, Config};
use ng_engine::time::Time;
use ng_notify::message::{self, Message};
use ng_notify::{Receiver, Sent, When, send};
use ng_tests::tools::installed;

/// Long enough for a busy machine; nothing waits this long.
const LIMIT: Duration = Duration::from_secs(30);

/// The clock: real servers go by it.
#[expect(
    clippy::disallowed_methods,
    reason = "real servers compare with their own clock"
)]
fn now() -> Time {
    jiff::Timestamp::now().into()
}

fn tell(config: &Config, channel: ChannelKind, message: &Message) -> Result<Sent> {
    let receiver = Receiver::of(channel, config)?;
    let when = When {
        now: now(),
        deadline: Instant::now() + LIMIT,
    };
    Ok(send(&receiver, message, &when, &mut |_| ()))
}
