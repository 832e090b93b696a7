//! The configuration as a round uses it.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::time::Duration;

use ng_config::{Config, Loaded, MaxNodes, MetricsServer, Sources, State};
use ng_engine::decide::Safety;
use ng_engine::rule::{MaxNodes as Limit, TaintEffect};
use ng_engine::validate::{BUILT_IN_METRICS, Defaults};
use ng_hook::{Env, MetricGroup};
use rustc_hash::FxHasher;

/// Reads the mounted configuration; whatever is wrong with it, there is one to run on.
pub fn load(env: &Env) -> Loaded {
    ng_config::load(&Sources {
        config_dir: env.config_dir().to_path_buf(),
        secrets_dir: env.secrets_dir().to_path_buf(),
        state_dir: env.state_dir().to_path_buf(),
        env: env.variables(),
    })
}

/// What an empty field of a rule means.
pub fn defaults(config: &Config) -> Defaults {
    let texts = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    let own = config.metrics.keys().map(|name| name.as_str().to_owned());
    let known: BTreeSet<String> = texts(&BUILT_IN_METRICS).into_iter().chain(own).collect();
    Defaults {
        check_interval: config.monitoring.default_check_interval,
        cooldown: config.monitoring.default_cooldown_period,
        taint_key: config.node.default_taint_key.as_str().to_owned(),
        taint_effect: TaintEffect::parse(config.node.default_taint_effect.as_str())
            .unwrap_or(TaintEffect::NoSchedule),
        max_pods: config.node.max_eviction_pods,
        exclude_namespaces: config
            .node
            .exclude_namespaces
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect(),
        channels: config
            .alert
            .default_channels
            .iter()
            .map(|channel| channel.as_str().to_owned())
            .collect(),
        known_metrics: known,
        dry_run: config.safety.dry_run,
        ..Defaults::default()
    }
}

/// A number that changes with the defaults: rules are looked at anew when it does.
pub fn fingerprint(defaults: &Defaults) -> u64 {
    let mut hasher = FxHasher::default();
    format!("{defaults:?}").hash(&mut hasher);
    hasher.finish()
}

/// The configured limits.
pub fn safety(config: &Config) -> Safety {
    let max_nodes = match config.safety.max_nodes {
        MaxNodes::Count(count) => Limit::Count(count.get()),
        MaxNodes::Percent(percent) => Limit::Percent(percent.value()),
    };
    Safety {
        max_nodes,
        paused: config.safety.paused,
        dry_run: config.safety.dry_run,
    }
}

/// Where readings come from.
pub fn sources(config: &Config) -> ng_metrics::Settings {
    let prometheus = &config.prometheus;
    ng_metrics::Settings {
        prometheus_url: prometheus.url.as_ref().map(|url| url.expose().to_owned()),
        timeout: prometheus.timeout,
        query_timeout: prometheus.query_timeout,
        retries: prometheus.retries,
        max_samples: usize::try_from(prometheus.max_samples.get()).unwrap_or(usize::MAX),
        metrics_server: match &config.monitoring.metrics_server {
            MetricsServer::ApiServer => ng_metrics::MetricsServer::ThroughApiServer,
            MetricsServer::Url(url) => ng_metrics::MetricsServer::Url(url.expose().to_owned()),
        },
        custom: config
            .metrics
            .iter()
            .map(|(name, metric)| (name.as_str().to_owned(), metric.query.clone()))
            .collect(),
        max_concurrent: usize::try_from(config.monitoring.max_concurrent_checks.get())
            .unwrap_or(usize::MAX),
        ..ng_metrics::Settings::default()
    }
}

/// The gauge that says whether the mounted configuration is in use.
pub(crate) fn validity(loaded: &Loaded) -> MetricGroup {
    let valid = matches!(loaded.state, State::Valid);
    let mut group = MetricGroup::new("controller-config");
    group.set(
        "nodeguardian_controller_config_valid",
        &[],
        f64::from(u8::from(valid)),
    );
    group
}

/// The part of the run's time that readings may take, so that enough is left to act.
pub(crate) const READINGS_LIMIT: Duration = Duration::from_secs(12);

/// Whether the state directory is this one; only used in messages.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_metric_of_inodes_is_what_the_node_monitor_asks() {
        let resolution = ng_config::resolve(&ng_config::Inputs::default());
        let custom = sources(&resolution.config).custom;
        assert_eq!(
            custom.get(ng_metrics::INODE_METRIC),
            Some(&ng_metrics::inodes_promql())
        );
    }

    #[test]
    fn no_ready_metric_has_the_name_of_a_built_in_one() {
        for ready in ng_config::ReadyMetric::ALL {
            assert!(!BUILT_IN_METRICS.contains(&ready.name), "{}", ready.name);
        }
    }
}
