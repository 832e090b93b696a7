//! Deadlines, certificates, and receivers that are not there.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use ng_config::ChannelKind;
use ng_notify::message::Outcome;
use ng_notify::{NotConfigured, Receiver};

use crate::server::{Reply, Server};
use crate::test_support::{message, node};
use crate::{attempt, attempt_within, config, http_channels};

const LIMIT: Duration = Duration::from_millis(400);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(5);

fn is_retry(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Retry { .. })
}

#[test]
fn a_receiver_that_does_not_answer_ends_at_the_deadline() {
    let silences = [Reply::Silence, Reply::DrippingHeaders, Reply::DrippingBody];
    for reply in silences {
        let own = reply.clone();
        let server = Server::start(move |_| own.clone());
        let config = config(&server.base());
        for channel in [
            ChannelKind::Slack,
            ChannelKind::Dingtalk,
            ChannelKind::Pagerduty,
        ] {
            let mut message = message();
            message.nodes = (0..20).map(|i| node(&format!("n{i}"))).collect();
            let start = Instant::now();
            let sent = attempt_within(&config, channel, &message, LIMIT);
            let took = start.elapsed();
            assert!(took < LIMIT + SLACK, "{channel} {reply:?}: {took:?}");
            let is_drip = matches!(reply, Reply::DrippingBody);
            // A status of 2xx is all that PagerDuty has to say.
            if !(is_drip && channel == ChannelKind::Pagerduty) {
                assert!(is_retry(&sent.outcome), "{channel} {reply:?}: {sent:?}");
                assert_eq!(sent.told, 0);
            }
        }
    }
}

#[test]
fn a_server_that_accepts_and_never_speaks_tls_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let start = Instant::now();
    let sent = attempt_within(&config(&base), ChannelKind::Slack, &message(), LIMIT);
    assert!(is_retry(&sent.outcome), "{sent:?}");
    assert!(start.elapsed() < LIMIT + SLACK);
}

#[test]
fn no_time_left_is_no_request() {
    let server = Server::start(|_| Reply::new(200, "ok"));
    let sent = attempt_within(
        &config(&server.base()),
        ChannelKind::Slack,
        &message(),
        Duration::ZERO,
    );
    assert!(is_retry(&sent.outcome));
    assert!(server.calls().is_empty());
}

#[test]
fn a_receiver_that_is_not_there_can_come_back() {
    // A port that no server of another test is handed meanwhile.
    let closed = "http://127.0.0.1:1".to_owned();
    let close = Server::start(|_| Reply::Close);
    for base in [closed, close.base()] {
        for channel in http_channels() {
            let sent = attempt(&config(&base), channel, &message());
            assert!(is_retry(&sent.outcome), "{channel}: {sent:?}");
            let said = format!("{sent:?}");
            assert!(!said.contains(crate::TOKEN), "{said}");
        }
    }
}

#[test]
fn a_private_authority_is_trusted_besides_the_public_ones() {
    let (server, authority) = Server::start_tls(|_| Reply::new(200, "ok"));
    let (_, stranger) = Server::start_tls(|_| Reply::new(200, "ok"));
    let mut config = config(&server.base());
    let refused = attempt(&config, ChannelKind::Slack, &message());
    assert!(is_retry(&refused.outcome), "{refused:?}");
    assert!(
        format!("{refused:?}").contains("certificate"),
        "{refused:?}"
    );

    let mut file = tempfile::NamedTempFile::new().unwrap();
    config.alert.ca_file = Some(file.path().to_owned());
    file.write_all(stranger.as_bytes()).unwrap();
    let refused = attempt(&config, ChannelKind::Slack, &message());
    assert!(is_retry(&refused.outcome), "{refused:?}");
    assert!(server.calls().is_empty());

    file.write_all(authority.as_bytes()).unwrap();
    let sent = attempt(&config, ChannelKind::Slack, &message());
    assert_eq!(sent.outcome, Outcome::Delivered);
    assert_eq!(server.calls().len(), 1);
}

#[test]
fn a_file_without_certificates_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let missing = file.path().with_extension("missing");
    for (path, what) in [(file.path(), "no certificate"), (&*missing, "No such file")] {
        let mut config = config("https://127.0.0.1:1");
        config.alert.ca_file = Some(path.to_owned());
        let sent = attempt(&config, ChannelKind::Slack, &message());
        let said = format!("{sent:?}");
        assert!(is_retry(&sent.outcome), "{said}");
        assert!(
            said.contains("alert.caFile") && said.contains(what),
            "{said}"
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    let missing = |channel| {
        let config = ng_config::Config::default();
        Receiver::of(channel, &config)
            .err()
            .map(|error: NotConfigured| error.to_string())
    };
    let expected = [
        (ChannelKind::Log, None),
        (
            ChannelKind::Webhook,
            Some("channel webhook is not configured: alert.webhookUrl is missing"),
        ),
        (
            ChannelKind::Telegram,
            Some(
                "channel telegram is not configured: telegram.botToken and telegram.chatId are missing",
            ),
        ),
        (
            ChannelKind::Pagerduty,
            Some("channel pagerduty is not configured: pagerduty.routingKey is missing"),
        ),
    ];
    for (channel, text) in expected {
        assert_eq!(missing(channel).as_deref(), text);
    }
}

#[test]
fn a_key_tells_destinations_apart_and_nothing_of_them() {
    let mut keys = std::collections::BTreeSet::new();
    let (one, other) = (config("http://127.0.0.1:1"), config("http://127.0.0.1:2"));
    for channel in http_channels() {
        let key = |config| Receiver::of(channel, config).unwrap().key();
        assert_eq!(key(&one), key(&one));
        assert!(
            keys.insert(key(&one)) && keys.insert(key(&other)),
            "{channel}"
        );
        let receiver = Receiver::of(channel, &one).unwrap();
        assert_eq!(receiver.host(), Some("127.0.0.1"));
        let shown = format!("{receiver:?} {}", receiver.key());
        assert!(!shown.contains(crate::TOKEN), "{shown}");
        assert!(receiver.key().starts_with(channel.as_str()));
    }
}

#[test]
fn rates_are_those_of_the_services() {
    let config = config("http://127.0.0.1:1");
    let rate = |channel| {
        let rate = Receiver::of(channel, &config).unwrap().rate()?;
        Some((rate.count, rate.per.as_secs()))
    };
    assert_eq!(rate(ChannelKind::Slack), Some((1, 1)));
    for channel in [
        ChannelKind::Dingtalk,
        ChannelKind::Wecom,
        ChannelKind::Telegram,
    ] {
        assert_eq!(rate(channel), Some((20, 60)), "{channel}");
    }
    assert_eq!(rate(ChannelKind::Webhook), None);
}
