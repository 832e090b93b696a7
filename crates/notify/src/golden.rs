//! What each channel sends for a trigger, a repeat and a recovery, byte by byte, beside the test.
//!
//! After a change that is meant: `cargo test -p ng-notify --lib -- --ignored write_the_golden_files`.

use std::fmt::Write as _;
use std::path::PathBuf;

use ng_config::{ChannelKind, Config, Secret};

use crate::channel;
use crate::channel::{log::log_line, pagerduty};
use crate::email::letter;
use crate::http::Request;
use crate::message::Message;
use crate::receiver::{Http, Receiver, Via};
use crate::send::LogValue;
use crate::test_support::{AT, message, recovery, repeat};

fn path(channel: ChannelKind) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(format!("{channel}.txt"))
}

/// Every channel, with every secret that changes a request.
fn config() -> Config {
    let mut config = Config::default();
    config.alert.webhook_url = "https://hook:p%40ss@receiver.example.com/hook?team=a"
        .parse()
        .ok();
    config.alert.webhook_secret = Some(Secret::new("whsec-test"));
    let header = ("X-Team".parse().unwrap(), Secret::new("platform"));
    config.alert.webhook_headers.extend([header]);
    let channels = &mut config.channels;
    channels.slack_webhook = "https://hooks.slack.com/services/T0/B0/x".parse().ok();
    channels.dingtalk.webhook = "https://oapi.dingtalk.com/robot/send?access_token=t"
        .parse()
        .ok();
    channels.dingtalk.secret = Some(Secret::new("SECtest0123456789abcdef"));
    channels.wecom_webhook = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k"
        .parse()
        .ok();
    channels.feishu.webhook = "https://open.feishu.cn/open-apis/bot/v2/hook/t"
        .parse()
        .ok();
    channels.feishu.secret = Some(Secret::new("SECtest0123456789abcdef"));
    channels.teams_webhook = "https://x.logic.azure.com/workflows/1?sig=a%2Fb"
        .parse()
        .ok();
    channels.telegram.bot_token = Some(Secret::new("123:abc"));
    channels.telegram.chat_id = "-1001234567890".parse().ok();
    channels.pagerduty.routing_key = Some(Secret::new("0123456789abcdef0123456789abcdef"));
    channels.alertmanager_url = "http://u:p@alertmanager.monitoring.svc:9093/prefix/"
        .parse()
        .ok();
    config.email.to = vec!["Ops <ops@example.com>".parse().unwrap()];
    config.email.from = "nodeguardian@example.com".parse().unwrap();
    config.email.server = "mail.example.com".parse().unwrap();
    config
}

fn requests(http: &Http, message: &Message) -> Vec<Request> {
    match http {
        Http::Pagerduty(integration) => message
            .nodes
            .iter()
            .map(|node| {
                let texts = pagerduty::Texts::of(message);
                pagerduty::request(integration, message, &texts, Some(node))
            })
            .collect(),
        http => vec![channel::request(http, message, AT)],
    }
}

fn shown(receiver: &Receiver, message: &Message) -> String {
    let mut text = String::new();
    match &receiver.via {
        Via::Log => {
            let line = log_line(message);
            writeln!(text, "{:?} {}", line.severity, line.text).unwrap();
            for (name, value) in &line.fields {
                match value {
                    LogValue::Text(value) => writeln!(text, "{name}: {value:?}").unwrap(),
                    LogValue::Integer(value) => writeln!(text, "{name}: {value}").unwrap(),
                    LogValue::Bool(value) => writeln!(text, "{name}: {value}").unwrap(),
                }
            }
        }
        Via::Email(mailbox) => {
            let letter = letter(mailbox, message, AT).unwrap();
            text += &String::from_utf8(letter).unwrap().replace("\r\n", "\n");
        }
        Via::Http(http) => {
            for request in requests(http, message) {
                writeln!(text, "POST {}", request.url).unwrap();
                for (name, value) in &request.headers {
                    writeln!(text, "{name}: {value}").unwrap();
                }
                let body = String::from_utf8(request.body.whole()).unwrap();
                writeln!(text, "\n{body}").unwrap();
            }
        }
    }
    text
}

fn all(channel: ChannelKind) -> String {
    let receiver = Receiver::of(channel, &config()).unwrap();
    [message(), repeat(), recovery()]
        .map(|message| format!("==== {:?}\n{}", message.kind, shown(&receiver, &message)))
        .concat()
}

#[test]
fn channels_send_what_the_golden_files_say() {
    for channel in ChannelKind::ALL {
        let path = path(*channel);
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(all(*channel), expected, "{}", path.display());
    }
}

#[test]
#[ignore = "writes files; see above"]
#[expect(clippy::disallowed_methods, reason = "files of the tests, not state")]
fn write_the_golden_files() {
    for channel in ChannelKind::ALL {
        std::fs::write(path(*channel), all(*channel)).unwrap();
    }
}
