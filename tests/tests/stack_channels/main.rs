//! Channels against real servers: Alertmanager, and a mail server with TLS and a login.

mod alertmanager;
mod mail;
#[path = "../../../crates/notify/src/test_support.rs"]
mod test_support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use ng_config::{ChannelKind, Config};
use ng_engine::time::Time;
use ng_notify::message::{self, Message};
use ng_notify::{Receiver, Sent, When, send};
use ng_tests::tools::MODE_VARIABLE;

/// Long enough for a busy machine; nothing waits this long.
const LIMIT: Duration = Duration::from_secs(30);

/// The first of these executables that is there and passes `check`; `None`, with the reason printed, where the
/// tests of real servers may be skipped.
#[expect(clippy::print_stderr, reason = "a test that is skipped has to say why")]
fn installed(
    names: &[&str],
    package: &str,
    check: impl Fn(&Path) -> bool,
) -> Result<Option<PathBuf>> {
    let folders = variable("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&folders)
        .chain(["/usr/bin".into()])
        .collect();
    let found = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file() && check(path));
    if found.is_none() {
        let missing = format!("no {package} (a Debian package)");
        if variable(MODE_VARIABLE).as_deref() == Some("required") {
            bail!("{MODE_VARIABLE}=required, but {missing}");
        }
        eprintln!("skipped: {missing}");
    }
    Ok(found)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the harness is not a hook and has no ng_hook::Env"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

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
