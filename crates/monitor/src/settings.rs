//! The settings as a check uses them.

use std::time::Duration;

use ng_config::{Config, Language, MONITOR_CHANNEL, Thresholds};

/// How nodes are judged, and where alerts go.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Above which readings are a warning, and critical.
    pub thresholds: Thresholds,
    /// So many points below a threshold a percentage has to fall before it counts as below it; the load by so many
    /// percent of the threshold.
    pub hysteresis: f64,
    /// The least time between two alerts with the same key, but for a rise to critical.
    pub cooldown: Duration,
    /// How long a cordon or a new taint has to last before it is told.
    pub unschedulable_after: Duration,
    /// What will be full within this time is told.
    pub predict: Option<Duration>,
    /// The time between two checks.
    pub interval: Duration,
    /// The language of alerts.
    pub language: Language,
    /// Names of channels.
    pub channels: Vec<String>,
}

impl Settings {
    /// The settings of a configuration. A channel with a receiver of the monitor's own is named so that it is
    /// found again, see [`MONITOR_CHANNEL`].
    pub fn of(config: &Config) -> Self {
        let monitor = &config.node_monitor;
        let own = monitor.own_channels();
        let wanted = match (monitor.channels.is_empty(), own.is_empty()) {
            (false, _) => &monitor.channels,
            (true, false) => &own,
            (true, true) => &config.alert.default_channels,
        };
        let channels = wanted.iter().map(|kind| {
            let end = if own.contains(kind) {
                MONITOR_CHANNEL
            } else {
                ""
            };
            format!("{}{end}", kind.as_str())
        });
        Self {
            thresholds: monitor.thresholds,
            hysteresis: monitor.hysteresis,
            cooldown: monitor.alert_cooldown,
            unschedulable_after: monitor.unschedulable_after,
            predict: monitor.predict,
            interval: monitor.check_interval,
            language: monitor.language.unwrap_or(config.alert.language),
            channels: channels.collect(),
        }
    }
}
