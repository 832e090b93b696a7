//! What of a receiver must not be seen, neither in a preview nor in what is told of its answers.

use ng_config::{MASK, Secret, SecretUrl};

use super::{Http, Receiver, Via};

/// What is shorter guards nothing, and would blot out words.
const SHORTEST_SECRET: usize = 4;
/// The shortest credential among the other parts of a path (`T00000000` of Slack has nine characters); words such as
/// `services` and `webhook` are mostly shorter.
const SHORTEST_URL_PART: usize = 9;
/// Words of paths and answers that are no credential wherever they stand. Without those of the answers a receiver
/// could not be understood.
const WORDS: [&str; 16] = [
    "alert",
    "alerts",
    "code",
    "errcode",
    "errmsg",
    "error",
    "false",
    "hook",
    "hooks",
    "invoke",
    "null",
    "send",
    "StatusCode",
    "StatusMessage",
    "true",
    "webhook",
];

impl Receiver {
    /// A text from elsewhere, such as an answer, without anything of this receiver that must not be seen: it may
    /// quote the address, whole or in parts.
    pub(crate) fn redacted(&self, text: &str) -> String {
        let mut secrets = self.secrets();
        if let Via::Http(http) = &self.via {
            secrets.extend(http.credential().into_iter().flat_map(address_parts));
        }
        masked(text, secrets)
    }

    /// A text of our own without secrets. Parts of the address may stand in it by chance, and are words then.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
        masked(text, self.secrets())
    }

    /// Secrets other than addresses, but with the logins that these may carry.
    fn secrets(&self) -> Vec<&str> {
        match &self.via {
            Via::Log => Vec::new(),
            Via::Email(mailbox) => {
                let login = mailbox.login.as_ref();
                login
                    .map(|(_, password)| password.expose())
                    .into_iter()
                    .collect()
            }
            Via::Http(http) => http.secrets(),
        }
    }
}

/// Longest first, since one may be a part of another.
fn masked(text: &str, mut secrets: Vec<&str>) -> String {
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
        .iter()
        .filter(|secret| text.contains(**secret))
        .fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
}

impl Http {
    /// The address, where knowing it is enough to send.
    fn credential(&self) -> Option<&SecretUrl> {
        match self {
            Self::Webhook(webhook) => Some(&webhook.url),
            Self::Slack(url) | Self::Wecom(url) | Self::Teams(url) => Some(url),
            Self::Dingtalk(robot) | Self::Feishu(robot) => Some(&robot.url),
            Self::Telegram(_) | Self::Pagerduty(_) | Self::Alertmanager(_) => None,
        }
    }

    /// Where a request goes, to look at. Of an address that is a credential that is scheme, host and port.
    pub(crate) fn shown_url(&self, url: &str) -> String {
        match (self.credential(), url.split_once("://")) {
            (Some(_), Some((scheme, _))) => format!("{scheme}://{}/{MASK}", host_and_port(url)),
            (Some(_), None) => MASK.to_owned(),
            (None, _) => url.to_owned(),
        }
    }

    /// Whether the value of a header is a secret.
    pub(crate) fn is_secret_header(&self, name: &str) -> bool {
        let is_own = match self {
            Self::Webhook(webhook) => webhook
                .headers
                .keys()
                .any(|own| own.as_str().eq_ignore_ascii_case(name)),
            Self::Slack(_)
            | Self::Dingtalk(_)
            | Self::Wecom(_)
            | Self::Feishu(_)
            | Self::Teams(_)
            | Self::Telegram(_)
            | Self::Pagerduty(_)
            | Self::Alertmanager(_) => false,
        };
        is_own || name.eq_ignore_ascii_case("authorization")
    }

    fn secrets(&self) -> Vec<&str> {
        let own = match self {
            Self::Webhook(webhook) => webhook.headers.values().chain(&webhook.secret).collect(),
            Self::Dingtalk(robot) | Self::Feishu(robot) => robot.secret.iter().collect(),
            Self::Telegram(bot) => vec![&bot.token],
            Self::Pagerduty(integration) => vec![&integration.routing_key],
            Self::Slack(_) | Self::Wecom(_) | Self::Teams(_) | Self::Alertmanager(_) => Vec::new(),
        };
        let own = own.into_iter().map(Secret::expose);
        let mut secrets: Vec<&str> = own.chain(login(self.url())).collect();
        secrets.retain(|text| text.len() >= SHORTEST_SECRET);
        if let Self::Telegram(bot) = self {
            // The number of the bot, and what only its owner knows.
            let parts = bot.token.expose().split(':');
            secrets.extend(parts.filter(|part| part.len() >= SHORTEST_URL_PART));
        }
        secrets
    }
}

/// Name and password of an address.
fn login(url: &str) -> impl Iterator<Item = &str> {
    let login = authority(url).rsplit_once('@');
    login.into_iter().flat_map(|(login, _)| pieces(login))
}

fn host_and_port(url: &str) -> &str {
    let authority = authority(url);
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

/// Login, host and port of an address.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// The parts of an address that must not be seen. Values of the query and the end of the path are where services put
/// their tokens; names in the query are the same for everybody.
fn address_parts(url: &SecretUrl) -> Vec<&str> {
    let text = url.expose();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut segments: Vec<&str> = path
        .split('/')
        .skip(1)
        .filter(|one| !one.is_empty())
        .collect();
    let last = segments.pop();
    let items = query.split('&');
    let values = items.map(|item| item.split_once('=').map_or(item, |(_, value)| value));
    let tokens = values
        .chain(last)
        .flat_map(|token| std::iter::once(token).chain(pieces(token)))
        .filter(|token| token.len() >= SHORTEST_SECRET)
        .filter(|token| !WORDS.iter().any(|word| word.eq_ignore_ascii_case(token)));
    let others = segments.into_iter().chain([fragment]).flat_map(pieces);
    let others = others.filter(|part| part.len() >= SHORTEST_URL_PART);
    let host = url.host();
    tokens.chain(others).filter(|part| *part != host).collect()
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let pieces = text.split(['?', '&', '=', '#', '@', ':']);
    pieces.flat_map(between_escapes)
}

/// An answer may quote a part decoded, so what stands between escapes such as `%2F` is a part, too.
fn between_escapes(text: &str) -> impl Iterator<Item = &str> {
    let mut parts = text.split('%');
    let first = parts.next();
    first
        .into_iter()
        .chain(parts.filter_map(|part| part.get(2..)))
}

#[cfg(test)]
mod tests {
    use ng_config::{ChannelKind, Config};

    use super::*;

    #[test]
    fn tokens_of_an_address_are_masked_and_its_words_are_not() {
        for (url, text, want) in [
            (
                "https://r.example/hook/SEKRETfs",
                "no SEKRETfs in hook",
                "no *** in hook",
            ),
            (
                "https://r.example/hook/SEKR/",
                "no SEKR in hook",
                "no *** in hook",
            ),
            ("https://r.example/hook", "no such hook", "no such hook"),
            (
                "https://r.example/robot/send?access_token=abcd&k=v",
                "cannot send: access_token abcd",
                "cannot send: access_token ***",
            ),
            ("https://r.example/?SEKR", "SEKR?", "***?"),
            ("https://r.example/a?sig=x%2Fabcd", "x/abcd", "x/***"),
            (
                "https://ops:pass@r.example/a",
                "r.example: pass",
                "r.example: ***",
            ),
            (
                "https://r.example/services/T00000000/x?v=true",
                "T00000000: {\"ok\": true}",
                "***: {\"ok\": true}",
            ),
        ] {
            let mut config = Config::default();
            config.channels.slack_webhook = url.parse().ok();
            let receiver = Receiver::of(ChannelKind::Slack, &config).unwrap();
            assert_eq!(receiver.redacted(text), want, "{url}");
        }
    }
}
