//! A mail server with STARTTLS, implicit TLS and a login.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ng_config::{ChannelKind, Config, Port, Secret, SmtpTls};
use ng_notify::message::Outcome;
use ng_tests::server::{Launch, Server, free_port, write_file};
use ng_tests::wait_until;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;

use crate::test_support::{hostile, message, recovery, repeat};
use crate::{LIMIT, installed, tell};

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/stack_channels/mail_server.py"
);

/// A running mail server, and the authority that signed for it.
pub(crate) struct MailServer {
    _server: Server,
    dir: tempfile::TempDir,
    ports: [u16; 3],
}

/// The ports of [`MailServer`].
const PLAIN: usize = 0;
pub(crate) const STARTTLS: usize = 1;
const IMPLICIT: usize = 2;

impl MailServer {
    pub(crate) fn start() -> Result<Option<Self>> {
        let Some(python) = installed(&["python3"], "python3-aiosmtpd", has_aiosmtpd)? else {
            return Ok(None);
        };
        let dir = tempfile::tempdir()?;
        let path = |name: &str| dir.path().join(name);
        certificates(dir.path())?;
        let ports = [free_port()?, free_port()?, free_port()?];
        let mut launch = Launch::new(&python, path("log")).arg(SCRIPT);
        for name in ["server.pem", "server.key", "taken"] {
            launch = launch.arg(path(name).display().to_string());
        }
        for port in ports {
            launch = launch.arg(port.to_string());
        }
        let mut server = launch.start()?;
        wait_until(LIMIT, "readiness of the mail server", || {
            server.check_running()?;
            let said = std::fs::read_to_string(server.log())?;
            ensure!(said.contains("ready"), "{said}");
            Ok(())
        })?;
        Ok(Some(Self {
            _server: server,
            dir,
            ports,
        }))
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.dir.path().join("authority.pem")
    }

    pub(crate) fn port(&self, port: usize) -> u16 {
        self.ports[port]
    }

    /// What the server has taken so far.
    pub(crate) fn taken(&self) -> Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.dir.path().join("taken")).unwrap_or_default();
        let mails = text.lines().map(serde_json::from_str);
        Ok(mails.collect::<Result<_, _>>()?)
    }

    /// With the right login, for one of the ports.
    fn config(&self, port: usize) -> Result<Config> {
        let mut config = Config::default();
        config.email.server = "127.0.0.1".parse()?;
        config.email.port = Port::new(self.ports[port]).context("port")?;
        config.email.tls = [SmtpTls::None, SmtpTls::StartTls, SmtpTls::Implicit][port];
        config.email.ca_file = Some(self.authority());
        config.email.username = Some(Secret::new("alerts"));
        config.email.password = Some(Secret::new("s3cret word"));
        config.email.from = "NodeGuardian <alerts@example.com>".parse()?;
        config.email.to = vec!["Ops <ops@example.com>".parse()?];
        Ok(config)
    }
}

fn has_aiosmtpd(python: &Path) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", "import aiosmtpd.controller"]);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn certificates(dir: &Path) -> Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    write_file(&dir.join("authority.pem"), params.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate()?;
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    write_file(
        &dir.join("server.pem"),
        params.signed_by(&own, &issuer)?.pem(),
    )?;
    write_file(&dir.join("server.key"), own.serialize_pem())
}

fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Delivered => "",
        Outcome::Retry { reason, .. } | Outcome::Permanent { reason } => reason,
    }
}

#[test]
fn mail_arrives_over_every_kind_of_connection() -> Result<()> {
    let Some(server) = MailServer::start()? else {
        return Ok(());
    };
    for (port, login) in [
        (PLAIN, false),
        (PLAIN, true),
        (STARTTLS, true),
        (IMPLICIT, true),
    ] {
        let mut config = server.config(port)?;
        if !login {
            (config.email.username, config.email.password) = (None, None);
        }
        let sent = tell(&config, ChannelKind::Email, &message())?;
        ensure!(
            sent.outcome == Outcome::Delivered,
            "{port} {login}: {sent:?}"
        );
        let mails = server.taken()?;
        let mail = mails.last().context("nothing was taken")?;
        ensure!(
            mail["tls"] == (port != PLAIN) && mail["login"] == login,
            "{mail}"
        );
    }
    let mails = server.taken()?;
    let mail = mails.last().context("nothing was taken")?;
    ensure!(mail["defects"] == serde_json::json!([]), "{mail}");
    let headers = &mail["headers"];
    ensure!(headers["subject"] == "High load on worker-1", "{headers}");
    ensure!(
        headers["message-id"] == "<0192-trigger@example.com>",
        "{headers}"
    );
    ensure!(headers["auto-submitted"] == "auto-generated", "{headers}");
    ensure!(
        headers["from"] == "NodeGuardian <alerts@example.com>",
        "{headers}"
    );
    let (text, html) = (&mail["parts"]["text/plain"], &mail["parts"]["text/html"]);
    let has = |part: &Value, text: &str| part.as_str().is_some_and(|part| part.contains(text));
    ensure!(has(text, "cpuLoadRatio: 1.75 (> 1.5)"), "{text}");
    ensure!(
        has(html, "cpuLoadRatio: 1.75 (&gt; 1.5)") && has(html, "#ef6c00"),
        "{html}"
    );
    Ok(())
}

#[test]
fn a_recovery_stands_in_the_thread_of_its_trigger() -> Result<()> {
    let Some(server) = MailServer::start()? else {
        return Ok(());
    };
    let config = server.config(STARTTLS)?;
    for message in [message(), repeat(), recovery()] {
        let sent = tell(&config, ChannelKind::Email, &message)?;
        ensure!(sent.outcome == Outcome::Delivered, "{sent:?}");
    }
    let mails = server.taken()?;
    for header in ["references", "in-reply-to"] {
        let [one, other] = [0, 2].map(|index| &mails[index]["headers"][header]);
        ensure!(one.is_string() && one == other, "{header}: {one} {other}");
    }
    let [trigger, several, recovery] = [0, 1, 2].map(|index| &mails[index]["headers"]);
    ensure!(
        trigger["message-id"] != recovery["message-id"],
        "the same mail twice"
    );
    let thread = trigger["references"].as_str().context("no references")?;
    let threads = several["references"].as_str().context("no references")?;
    ensure!(threads.contains(thread), "{threads} without {thread}");
    Ok(())
}

#[test]
fn one_bad_recipient_does_not_lose_the_others() -> Result<()> {
    let Some(server) = MailServer::start()? else {
        return Ok(());
    };
    let mut config = server.config(IMPLICIT)?;
    config.email.to = vec!["nobody@example.com".parse()?, "ops@example.com".parse()?];
    let sent = tell(&config, ChannelKind::Email, &message())?;
    ensure!(sent.outcome == Outcome::Delivered, "{sent:?}");
    ensure!(
        sent.notes.len() == 1 && sent.notes[0].contains("nobody@example.com"),
        "{sent:?}"
    );
    ensure!(server.taken()?[0]["to"] == serde_json::json!(["ops@example.com"]));

    config.email.to = vec!["later@example.com".parse()?, "ops@example.com".parse()?];
    let sent = tell(&config, ChannelKind::Email, &message())?;
    let after = match &sent.outcome {
        Outcome::Retry { after, .. } => *after,
        Outcome::Delivered | Outcome::Permanent { .. } => None,
    };
    ensure!(after == Some(Duration::from_mins(5)), "{sent:?}");
    let mails = server.taken()?;
    ensure!(mails.len() == 2, "the others have it: {mails:?}");

    config.email.to = vec!["nobody@example.com".parse()?];
    let sent = tell(&config, ChannelKind::Email, &message())?;
    ensure!(
        matches!(sent.outcome, Outcome::Permanent { .. }),
        "{sent:?}"
    );
    ensure!(server.taken()?.len() == 2);
    Ok(())
}

#[test]
fn wrong_logins_and_strange_certificates_are_told_apart() -> Result<()> {
    let Some(server) = MailServer::start()? else {
        return Ok(());
    };
    let mut wrong = server.config(STARTTLS)?;
    wrong.email.password = Some(Secret::new("a wrong password"));
    let sent = tell(&wrong, ChannelKind::Email, &message())?;
    ensure!(
        matches!(sent.outcome, Outcome::Permanent { .. }),
        "{sent:?}"
    );
    ensure!(
        reason(&sent.outcome).starts_with("login: "),
        "login {sent:?}"
    );
    ensure!(
        !format!("{sent:?}").contains("a wrong password"),
        "{sent:?}"
    );

    for port in [STARTTLS, IMPLICIT] {
        let mut strange = server.config(port)?;
        strange.email.ca_file = None;
        let sent = tell(&strange, ChannelKind::Email, &message())?;
        ensure!(
            matches!(sent.outcome, Outcome::Retry { .. }),
            "{port}: {sent:?}"
        );
        ensure!(
            reason(&sent.outcome).contains("certificate"),
            "{port}: {sent:?}"
        );
    }

    // STARTTLS that is not offered is never taken for none.
    let mut bare = server.config(PLAIN)?;
    bare.email.tls = SmtpTls::StartTls;
    let sent = tell(&bare, ChannelKind::Email, &message())?;
    ensure!(
        matches!(sent.outcome, Outcome::Permanent { .. }),
        "{sent:?}"
    );
    ensure!(reason(&sent.outcome).contains("STARTTLS"), "{sent:?}");
    ensure!(server.taken()?.is_empty(), "nothing went out");
    Ok(())
}

#[test]
fn hostile_words_are_a_mail_like_any_other() -> Result<()> {
    let Some(server) = MailServer::start()? else {
        return Ok(());
    };
    let config = server.config(STARTTLS)?;
    let sent = tell(&config, ChannelKind::Email, &hostile(5000, 1 << 20))?;
    ensure!(sent.outcome == Outcome::Delivered, "{sent:?}");
    let mail = server.taken()?.remove(0);
    ensure!(
        mail["defects"] == serde_json::json!([]),
        "{}",
        mail["defects"]
    );
    ensure!(mail["headers"].get("bcc").is_none(), "{}", mail["headers"]);
    ensure!(
        mail["to"] == serde_json::json!(["ops@example.com"]),
        "{}",
        mail["to"]
    );
    let text = mail["parts"]["text/plain"].as_str().context("no text")?;
    ensure!(text.contains("节点 e\u{301}"), "the words are all there");
    Ok(())
}
