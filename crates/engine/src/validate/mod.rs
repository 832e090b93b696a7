//! From [`crate::spec`] to [`crate::rule`]: every mistake of a rule at once, each with its path, the value found
//! and what was expected.

mod action;
mod condition;
pub mod duration;
mod names;
mod nearest;
mod problem;
mod recovery;
mod selector;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::rule::{MaxNodes, MetricsSource, Rule, Severity, TaintEffect};
use crate::spec::{MetadataSpec, MonitoringSpec, RuleObject, SafetySpec, Scalar};

pub use problem::Problem;
use problem::Problems;

/// Metrics that need no configuration.
pub const BUILT_IN_METRICS: [&str; 5] = [
    "cpuUtilizationPercent",
    "memoryUtilizationPercent",
    "diskUtilizationPercent",
    "cpuLoadRatio",
    "podUtilizationPercent",
];

/// The most conditions of a rule, and the most recovery conditions.
pub const MAX_CONDITIONS: usize = 256;
/// The most actions of a rule, and the most recovery actions.
pub const MAX_ACTIONS: usize = 64;
/// The shortest time between two evaluations.
pub const MIN_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// What stands for everything a rule leaves out or leaves empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Time between two evaluations.
    pub check_interval: Duration,
    /// Time between two runs of the actions.
    pub cooldown: Duration,
    /// Least time between two recoveries of one node.
    pub recovery_cooldown: Duration,
    /// How long a condition must have been true.
    pub condition_duration: Duration,
    /// Key of a taint.
    pub taint_key: String,
    /// Effect of a taint.
    pub taint_effect: TaintEffect,
    /// The most pods evicted by one trigger.
    pub max_pods: u32,
    /// Namespaces whose pods stay.
    pub exclude_namespaces: Vec<String>,
    /// Channels of alerts.
    pub channels: Vec<String>,
    /// Metrics besides [`BUILT_IN_METRICS`].
    pub known_metrics: BTreeSet<String>,
    /// Whether every rule only pretends, whatever it says itself.
    pub dry_run: bool,
}

/// The defaults without any configuration.
impl Default for Defaults {
    fn default() -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            check_interval: Duration::from_secs(30),
            cooldown: Duration::from_mins(10),
            recovery_cooldown: Duration::from_mins(2),
            condition_duration: Duration::from_mins(5),
            taint_key: "nodeguardian.io/status".to_owned(),
            taint_effect: TaintEffect::NoSchedule,
            max_pods: 10,
            exclude_namespaces: texts(&["kube-system", "kube-public", "monitoring"]),
            channels: texts(&["log", "email"]),
            known_metrics: BTreeSet::new(),
            dry_run: false,
        }
    }
}

/// Checks a rule and fills in its defaults, or says everything that is wrong with it.
pub fn validate(object: &RuleObject, defaults: &Defaults) -> Result<Rule, Vec<Problem>> {
    let mut problems = Problems::default();
    let rule = check(object, defaults, &mut problems);
    problems.into_result(rule)
}

/// The rule, with stand-ins where there are problems.
fn check(object: &RuleObject, defaults: &Defaults, problems: &mut Problems) -> Rule {
    let RuleObject { metadata, spec, .. } = object;
    let mut conditions = condition::Checker { defaults, problems };
    let trigger = conditions.trigger(&spec.conditions, &spec.condition_logic);
    let recovery = conditions.recovery(&spec.recovery_conditions, &spec.recovery_condition_logic);
    let times = Times::check(&spec.monitoring, defaults, problems);
    Rule {
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        generation: metadata.generation,
        trigger,
        selector: selector::check(&spec.node_selector, problems),
        actions: action::check(&spec.actions, defaults, problems),
        recovery,
        recovery_actions: recovery::check(&spec.recovery_actions, defaults, problems),
        check_interval: times.check_interval,
        cooldown: times.cooldown,
        recovery_cooldown: times.recovery_cooldown,
        source: source(&spec.monitoring, problems),
        priority: spec.metadata.priority.unwrap_or(100),
        enabled: spec.metadata.enabled.unwrap_or(true),
        description: spec.metadata.description.clone(),
        severity: severity(&spec.metadata, problems),
        tags: spec.metadata.tags.clone(),
        dry_run: spec.metadata.dry_run || defaults.dry_run,
        max_nodes: max_nodes(&spec.safety, problems),
    }
}

struct Times {
    check_interval: Duration,
    cooldown: Duration,
    recovery_cooldown: Duration,
}

impl Times {
    fn check(spec: &MonitoringSpec, defaults: &Defaults, problems: &mut Problems) -> Self {
        const PATH: &str = "spec.monitoring.checkInterval";
        let check_interval = problems.duration(PATH, &spec.check_interval, defaults.check_interval);
        if check_interval < MIN_CHECK_INTERVAL && !spec.check_interval.is_empty() {
            problems.unexpected(PATH, "expected at least \"1s\"", &spec.check_interval);
        }
        Self {
            check_interval,
            cooldown: problems.duration(
                "spec.monitoring.cooldownPeriod",
                &spec.cooldown_period,
                defaults.cooldown,
            ),
            recovery_cooldown: problems.duration(
                "spec.monitoring.recoveryCooldownPeriod",
                &spec.recovery_cooldown_period,
                defaults.recovery_cooldown,
            ),
        }
    }
}

fn source(spec: &MonitoringSpec, problems: &mut Problems) -> MetricsSource {
    let source = &spec.metrics_source;
    let url = source.prometheus_url.as_str();
    if !url.is_empty() && !is_http_url(url) {
        // The address may hold a password, so it is not shown.
        problems.add(
            "spec.monitoring.metricsSource.prometheusURL",
            "expected an address such as \"http://prometheus.monitoring.svc:9090\"".to_owned(),
        );
    }
    MetricsSource {
        prometheus_url: (!url.is_empty()).then(|| url.to_owned()),
        prefer_metrics_server: source.use_metrics_server,
    }
}

fn is_http_url(url: &str) -> bool {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        !host.is_empty()
            && !host.starts_with(':')
            && !rest.contains(|letter: char| letter.is_whitespace() || letter.is_control())
    })
}

fn severity(spec: &MetadataSpec, problems: &mut Problems) -> Severity {
    const WORDS: [&str; 3] = ["info", "warning", "critical"];
    if spec.severity.is_empty() {
        return Severity::Warning;
    }
    Severity::parse(&spec.severity).unwrap_or_else(|| {
        problems.not_one_of("spec.metadata.severity", &spec.severity, &WORDS);
        Severity::Warning
    })
}

fn max_nodes(spec: &SafetySpec, problems: &mut Problems) -> Option<MaxNodes> {
    let found = spec.max_nodes.as_ref()?;
    let limit = match found {
        Scalar::Number(number) => crate::spec::whole(*number)
            .and_then(|count| u32::try_from(count).ok())
            .filter(|count| *count >= 1)
            .map(MaxNodes::Count),
        Scalar::Text(text) if text.is_empty() => return None,
        Scalar::Text(text) => percent(text).map(MaxNodes::Percent),
        Scalar::Other(_) => None,
    };
    if limit.is_none() {
        problems.add(
            "spec.safety.maxNodes",
            format!("expected a number of nodes of at least 1, or a percentage from \"1%\" to \"100%\", found {found}"),
        );
    }
    limit
}

fn percent(text: &str) -> Option<u8> {
    let digits = text.strip_suffix('%')?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let percent: u8 = digits.parse().ok().filter(|_| is_plain)?;
    (1..=100).contains(&percent).then_some(percent)
}
