//! The settings of the node monitor, which has thresholds of its own and needs no rules.
//!
//! They stand in the section `nodeMonitor` of the configuration, or in a file in the form of the former stand-alone
//! monitor, where plain numbers are seconds, minutes or hours as each key says. A part of a section that is left out
//! keeps its default.

use std::time::Duration;

use serde_json::{Number, Value, json};

use crate::choice::{ChannelKind, Language, LogLevel};
use crate::key::{Key, Part, key};
use crate::model::{Monitoring, SignedWebhook};
use crate::reader::{Reader, Section};
use crate::secret::SecretUrl;
use crate::sections;
use crate::setting::{Setting, Wrong, in_digits, wrong_node, wrong_text};
use crate::tree::Node;
use crate::{Channels, Config, duration};

/// Settings of the node monitor.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeMonitor {
    /// Whether it does anything.
    pub enabled: bool,
    /// How often nodes are checked.
    pub check_interval: Duration,
    /// The least important message it logs; `None`: as the others.
    pub log_level: Option<LogLevel>,
    /// The least time between two alerts about the same thing, but for a rise to critical.
    pub alert_cooldown: Duration,
    /// Above which readings are a warning, and critical.
    pub thresholds: Thresholds,
    /// So far below a threshold a reading has to fall before it counts as below it.
    pub hysteresis: f64,
    /// How long a cordon or a taint that came later has to last before it is told.
    pub unschedulable_after: Duration,
    /// What will be full within this time is told; `None`: nothing is foretold.
    pub predict: Option<Duration>,
    /// Whether a history that is too young for forecasts is filled from Prometheus.
    pub backfill: bool,
    /// How long readings are kept.
    pub history: Retention,
    /// Whether readings of each node are published.
    pub per_node_metrics: bool,
    /// The language of its alerts; `None`: that of the other alerts.
    pub language: Option<Language>,
    /// Where its alerts go; empty: to its own receivers, or where it has none to the default channels.
    pub channels: Vec<ChannelKind>,
    /// Receivers of its own, which take the place of the installation's.
    pub receivers: Receivers,
}

/// Receivers that only the node monitor writes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Receivers {
    /// Chat and paging services.
    pub channels: Channels,
    /// An HTTP service.
    pub webhook_url: Option<SecretUrl>,
}

/// A warning and a critical threshold; a reading counts when it is above.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels {
    /// Above this it is a warning.
    pub warning: f64,
    /// Above this it is critical.
    pub critical: f64,
}

/// The thresholds of each reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// CPU time in percent.
    pub cpu: Levels,
    /// Memory in percent.
    pub memory: Levels,
    /// The root file system in percent.
    pub disk: Levels,
    /// Pods in percent of what the node admits.
    pub pods: Levels,
    /// Inodes of the fullest file system in percent.
    pub inodes: Levels,
    /// Load of one minute a CPU.
    pub load: Levels,
}

/// How long readings are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Each of them.
    pub raw: Duration,
    /// Their aggregates of five minutes.
    pub five_minutes: Duration,
    /// Their aggregates of an hour.
    pub hours: Duration,
}

/// The end of the name of a channel that leads to a receiver of the node monitor's own: `slack@node-monitor`.
pub const MONITOR_CHANNEL: &str = "@node-monitor";

impl Config {
    /// The configuration with the node monitor's own receivers in the place of the installation's.
    #[must_use]
    pub fn with_monitor_receivers(&self) -> Self {
        let mut config = self.clone();
        let Receivers {
            channels,
            webhook_url,
        } = self.node_monitor.receivers.clone();
        if webhook_url.is_some() {
            config.alert.webhook_url = webhook_url;
            // Credentials are for the receiver that they were given for.
            config.alert.webhook_headers.clear();
            config.alert.webhook_secret = None;
        }
        let own = &mut config.channels;
        for kind in self.node_monitor.own_channels() {
            match kind {
                ChannelKind::Slack => own.slack_webhook.clone_from(&channels.slack_webhook),
                ChannelKind::Dingtalk => own.dingtalk.clone_from(&channels.dingtalk),
                ChannelKind::Wecom => own.wecom_webhook.clone_from(&channels.wecom_webhook),
                ChannelKind::Feishu => own.feishu.clone_from(&channels.feishu),
                ChannelKind::Teams => own.teams_webhook.clone_from(&channels.teams_webhook),
                ChannelKind::Telegram => own.telegram.clone_from(&channels.telegram),
                ChannelKind::Pagerduty => own.pagerduty.clone_from(&channels.pagerduty),
                ChannelKind::Alertmanager => {
                    own.alertmanager_url.clone_from(&channels.alertmanager_url);
                }
                ChannelKind::Log | ChannelKind::Email | ChannelKind::Webhook => {}
            }
        }
        config
    }
}

impl NodeMonitor {
    /// The receivers that it has of its own, in the order of [`ChannelKind`].
    pub fn own_channels(&self) -> Vec<ChannelKind> {
        let Receivers {
            channels,
            webhook_url,
        } = &self.receivers;
        let has = [
            (ChannelKind::Webhook, webhook_url.is_some()),
            (ChannelKind::Slack, channels.slack_webhook.is_some()),
            (ChannelKind::Dingtalk, channels.dingtalk.webhook.is_some()),
            (ChannelKind::Wecom, channels.wecom_webhook.is_some()),
            (ChannelKind::Feishu, channels.feishu.webhook.is_some()),
            (ChannelKind::Teams, channels.teams_webhook.is_some()),
            (ChannelKind::Telegram, channels.telegram.bot_token.is_some()),
            (
                ChannelKind::Pagerduty,
                channels.pagerduty.routing_key.is_some(),
            ),
            (
                ChannelKind::Alertmanager,
                channels.alertmanager_url.is_some(),
            ),
        ];
        has.into_iter()
            .filter_map(|(kind, has)| has.then_some(kind))
            .collect()
    }
}

pub(crate) fn read(reader: &mut Reader<'_>, monitoring: &Monitoring) -> NodeMonitor {
    reader.monitor(|s| {
        // The messages of the former monitor were Chinese, and who brings its file expects them.
        let language = s.own_file().map(|_| Language::Chinese);
        NodeMonitor {
            enabled: s.read(key("enabled", "Whether nodes are watched without rules"), true),
            check_interval: interval(s, monitoring.health_check_interval),
            log_level: s.read(
                key("logLevel", "The least important message it logs; absent: `log.level`"),
                None,
            ),
            alert_cooldown: cooldown(s),
            thresholds: thresholds(s),
            hysteresis: s
                .read(
                    key(
                        "hysteresis",
                        "So far below a threshold a reading falls before it counts as below",
                    ),
                    Level(1.0),
                )
                .0,
            unschedulable_after: s.read(
                key(
                    "unschedulableAfter",
                    "How long a cordon or a new taint lasts before it is told",
                ),
                Duration::from_hours(1),
            ),
            predict: predict(s),
            backfill: s.read(
                key("backfill", "Whether a history too young for forecasts is filled from Prometheus, once"),
                true,
            ),
            history: s.section("history", "nodeMonitor.history", retention),
            per_node_metrics: s.read(
                key("perNodeMetrics", "Whether the readings of each node are published"),
                false,
            ),
            language: s.read(
                key("language", "The language of its alerts; absent: `alert.language`, and `zh` for a file of the former monitor"),
                language,
            ),
            channels: s.read(
                key("channels", "Where its alerts go; empty: its own receivers, else `alert.defaultChannels`"),
                Vec::new(),
            ),
            receivers: receivers(s),
        }
    })
}

fn interval(s: &mut Section<'_, '_>, default: Duration) -> Duration {
    let key = key(
        "checkInterval",
        "How often nodes are checked, in seconds or as a duration",
    );
    // What is taken over from another setting is spelled as it is there.
    let spelling = s.shown("monitoring.healthCheckInterval").map(str::to_owned);
    let spelling = spelling.unwrap_or_else(|| duration::format(default));
    s.read_spelled(key, Span::<1, true>(default), &spelling).0
}

fn cooldown(s: &mut Section<'_, '_>) -> Duration {
    let key = key(
        "alertCooldown",
        "The least time between two alerts about the same thing, in minutes or as a duration",
    );
    span::<60, false>(s, key, "15m")
}

fn span<const UNIT: u32, const POSITIVE: bool>(
    s: &mut Section<'_, '_>,
    key: Key,
    default: &str,
) -> Duration {
    let value = Span::<UNIT, POSITIVE>(sections::built_in_duration(default));
    s.read_spelled(key, value, default).0
}

fn predict(s: &mut Section<'_, '_>) -> Option<Duration> {
    let key = key(
        "predictHours",
        "What will be full within this time is told, in hours or as a duration; 0: nothing is",
    );
    let horizon = span::<3600, false>(s, key, "24h");
    Some(horizon).filter(|horizon| !horizon.is_zero())
}

fn retention(s: &mut Section<'_, '_>) -> Retention {
    let mut keep = |name, doc, default| span::<3600, true>(s, key(name, doc), default);
    Retention {
        raw: keep("raw", "How long each reading is kept", "6h"),
        five_minutes: keep(
            "fiveMinutes",
            "How long aggregates of five minutes are kept",
            "48h",
        ),
        hours: keep("hours", "How long aggregates of an hour are kept", "7d"),
    }
}

fn thresholds(s: &mut Section<'_, '_>) -> Thresholds {
    const WARNING: &str = "Above this it is a warning";
    const CRITICAL: &str = "Above this it is critical";
    s.section("thresholds", "nodeMonitor.thresholds", |s| {
        let mut levels = |warning: &'static str, critical: &'static str, [low, high]: [f64; 2]| {
            let (lower, upper) = (key(warning, WARNING), key(critical, CRITICAL));
            // Who sets only one of the two does not want the other in its way.
            let levels = if s.is_set(upper) && !s.is_set(lower) {
                let critical = s.read(upper, Level(high)).0;
                let warning = s.read(lower, Level(low.min(critical))).0;
                Levels { warning, critical }
            } else {
                let warning = s.read(lower, Level(low)).0;
                let critical = s.read(upper, Level(high.max(warning))).0;
                Levels { warning, critical }
            };
            if levels.warning > levels.critical {
                s.error(
                    warning,
                    format!(
                        "expected at most {critical}, {}, found {}",
                        levels.critical, levels.warning
                    ),
                );
            }
            levels
        };
        Thresholds {
            cpu: levels("cpuWarning", "cpuCritical", [70.0, 90.0]),
            memory: levels("memoryWarning", "memoryCritical", [70.0, 90.0]),
            disk: levels("diskWarning", "diskCritical", [80.0, 90.0]),
            pods: levels("podsWarning", "podsCritical", [80.0, 95.0]),
            inodes: levels("inodesWarning", "inodesCritical", [80.0, 95.0]),
            load: levels("loadWarning", "loadCritical", [2.0, 4.0]),
        }
    })
}

fn receivers(s: &mut Section<'_, '_>) -> Receivers {
    fn address(env: Option<&'static str>) -> Key {
        let key = key("webhookURL", "The address of a webhook of its own").alias("webhookUrl");
        env.map_or(key, |variable| key.env(variable, Part::Whole))
    }
    let secret = key("secret", "The key that signs requests");
    let signed = |s: &mut Section<'_, '_>| SignedWebhook {
        webhook: s.read(address(None), None),
        secret: s.read(secret, None),
    };
    let webhook = |s: &mut Section<'_, '_>| s.read(address(None), None);
    Receivers {
        webhook_url: s.section("webhook", "nodeMonitor.webhook", |s| {
            s.read(
                key("url", "The address of an HTTP service of its own"),
                None,
            )
        }),
        channels: Channels {
            slack_webhook: s.section("slack", "nodeMonitor.slack", |s| {
                s.read(address(Some("SLACK_WEBHOOK_URL")), None)
            }),
            dingtalk: s.section("dingtalk", "nodeMonitor.dingtalk", |s| SignedWebhook {
                webhook: s.read(address(Some("DINGTALK_WEBHOOK_URL")), None),
                secret: s.read(secret.env("DINGTALK_SECRET", Part::Whole), None),
            }),
            wecom_webhook: s.section("wecom", "nodeMonitor.wecom", webhook),
            feishu: s.section("feishu", "nodeMonitor.feishu", signed),
            teams_webhook: s.section("teams", "nodeMonitor.teams", webhook),
            telegram: s.section("telegram", "nodeMonitor.telegram", sections::telegram),
            pagerduty: s.section("pagerduty", "nodeMonitor.pagerduty", sections::pagerduty),
            alertmanager_url: s.section(
                "alertmanager",
                "nodeMonitor.alertmanager",
                sections::alertmanager,
            ),
        },
    }
}

/// A duration that may stand as a plain number of units of so many seconds; `POSITIVE`: zero is refused.
struct Span<const UNIT: u32, const POSITIVE: bool>(Duration);

impl<const UNIT: u32, const POSITIVE: bool> Span<UNIT, POSITIVE> {
    const EXPECTED: &str = match (UNIT, POSITIVE) {
        (1, _) => "a number of seconds above zero, or a duration such as \"60s\"",
        (60, _) => "a number of minutes, or a duration such as \"15m\"",
        (_, false) => "a number of hours, or a duration such as \"24h\"",
        (_, true) => "a number of hours above zero, or a duration such as \"6h\"",
    };

    fn checked(duration: Duration) -> Option<Self> {
        let fits = duration <= duration::MAX && !(POSITIVE && duration.is_zero());
        fits.then_some(Self(duration))
    }

    fn from_number(number: &Number) -> Option<Self> {
        let seconds = number.as_f64()? * f64::from(UNIT);
        Self::checked(Duration::try_from_secs_f64(seconds).ok()?)
    }
}

impl<const UNIT: u32, const POSITIVE: bool> Setting for Span<UNIT, POSITIVE> {
    fn from_node(node: &Node<'_>) -> Result<Self, Vec<Wrong>> {
        match node {
            Node::Number(number) => Self::from_number(number),
            Node::Text(text) => return Self::from_text(text),
            _ => None,
        }
        .ok_or_else(|| wrong_node(Self::EXPECTED, node, None))
    }

    fn from_text(text: &str) -> Result<Self, Vec<Wrong>> {
        if let Some(span) = text
            .parse::<Number>()
            .ok()
            .and_then(|number| Self::from_number(&number))
        {
            return Ok(span);
        }
        let (span, why) = match duration::parse(text) {
            Ok(duration) => (Self::checked(duration), None),
            Err(error) => (None, Some(error.to_string())),
        };
        span.ok_or_else(|| wrong_text(Self::EXPECTED, text, why))
    }

    fn show(&self) -> Value {
        duration::format(self.0).into()
    }

    fn show_as(&self, written: &Node<'_>) -> Value {
        match written {
            Node::Text(text) => text.as_ref().into(),
            Node::Number(number) => in_digits(number),
            Node::Null | Node::Bool(_) | Node::List(_) | Node::Map(_) => self.show(),
        }
    }

    fn schema() -> Value {
        let mut schema = json!({"type": ["string", "number"], "minimum": 0});
        if POSITIVE {
            schema = json!({"type": ["string", "number"], "exclusiveMinimum": 0});
        }
        schema
    }
}

/// A threshold or a distance from one.
struct Level(f64);

impl Level {
    const EXPECTED: &str = "a number from 0 to 1000";

    fn checked(value: f64) -> Option<Self> {
        (0.0..=1000.0).contains(&value).then_some(Self(value))
    }
}

impl Setting for Level {
    fn from_node(node: &Node<'_>) -> Result<Self, Vec<Wrong>> {
        let value = match node {
            Node::Number(number) => number.as_f64().and_then(Self::checked),
            _ => None,
        };
        value.ok_or_else(|| wrong_node(Self::EXPECTED, node, None))
    }

    fn from_text(text: &str) -> Result<Self, Vec<Wrong>> {
        let value = text.parse().ok().and_then(Self::checked);
        value.ok_or_else(|| wrong_text(Self::EXPECTED, text, None))
    }

    fn show(&self) -> Value {
        // As people write it: 70, and not 70.0.
        let whole = format!("{}", self.0).parse::<u64>().ok();
        whole.map_or_else(|| self.0.into(), Value::from)
    }

    fn schema() -> Value {
        json!({"type": "number", "minimum": 0, "maximum": 1000})
    }
}
