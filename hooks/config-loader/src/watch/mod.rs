//! The hook: what was applied to the `ConfigMap` is checked at once, while the kubelet takes its time to mount it.
//!
//! Each hook that runs on the mounted configuration says for itself whether it does (`..._controller_config_valid`),
//! and tells of errors again every hour. This one speaks of what was applied, and only when that changes.

mod applied;
mod tell;

use ng_config::{Issue, Loaded, State};
use ng_engine::time::Time;
use ng_hook::log::Value as Field;
use ng_hook::{HookConfig, Kubernetes, MetricGroup, ObjectEvent, Report, Retry, Run};
use ng_round::report;

use crate::commands::sources;

/// The binding's name.
const CONFIG: &str = "config";
const QUEUE: &str = "nodeguardian-config";
/// One run for however many changes, with one copy of the snapshot.
const GROUP: &str = "config";

/// What is read of the `ConfigMap`, and so what wakes the hook.
const FILTER: &str = "{name: .metadata.name, namespace: .metadata.namespace, data: .data}";

/// The answer to `--config`. The namespace is not named, as it is not known here: the right to read `ConfigMaps` of
/// this name is enough, and [`handle`] passes over those of other namespaces.
pub(crate) fn bindings() -> HookConfig {
    let events = [
        ObjectEvent::Added,
        ObjectEvent::Modified,
        ObjectEvent::Deleted,
    ];
    HookConfig::new().kubernetes(
        Kubernetes::new(CONFIG, "v1", "ConfigMap")
            .names([report::CONFIG_MAP])
            .jq_filter(FILTER)
            .without_full_objects()
            .on_events(events)
            .queue(QUEUE)
            .group(GROUP)
            // What fails here fails again, and must not hold up the start of other hooks.
            .allow_failure(),
    )
}

/// One run: checks, keeps what is valid, and says so.
pub(crate) fn handle(run: &Run) -> anyhow::Result<Report> {
    let sources = sources(&run.env);
    let maps = applied::read(run)?;
    let namespace = run.env.get(ng_hook::env::NAMESPACE);
    let loaded = match applied::choose(maps, namespace) {
        Ok(Some(map)) => ng_config::load_applied(&sources, &map.data),
        // Without a ConfigMap, what is mounted is all there is.
        Ok(None) => ng_config::load(&sources),
        Err(namespaces) => {
            let fields = [("namespaces", Field::Text(&namespaces))];
            run.log.warn(
                "several ConfigMaps, and NODEGUARDIAN_NAMESPACE does not say which: the mounted one counts",
                &fields,
            );
            ng_config::load(&sources)
        }
    };
    report::apply_log_settings(&run.log, &loaded.config.log);
    report::configuration(&run.log, &loaded);
    let mut report = Report::default();
    report.metrics.push(metrics(&loaded));
    let now = Time::from(run.now);
    let is_news = tell::is_news(&loaded, run, now).unwrap_or_else(|error| {
        // Repeating the run would not mend the state directory. Told twice is better than not at all.
        report.fail(error, Retry::Useless);
        !errors(&loaded).is_empty()
    });
    if is_news {
        report.patches.extend(tell::events(&loaded, now)?);
    }
    Ok(report)
}

fn errors(loaded: &Loaded) -> &[Issue] {
    match &loaded.state {
        State::Valid => &[],
        State::Fallback { errors, .. } => errors,
    }
}

/// Whether what was applied is valid, and how much is wrong or doubtful.
fn metrics(loaded: &Loaded) -> MetricGroup {
    let count = |issues: &[Issue]| f64::from(u32::try_from(issues.len()).unwrap_or(u32::MAX));
    let errors = errors(loaded);
    MetricGroup::new("config-loader")
        .with(
            "nodeguardian_config_valid",
            &[],
            f64::from(u8::from(errors.is_empty())),
        )
        .with("nodeguardian_config_errors", &[], count(errors))
        .with("nodeguardian_config_warnings", &[], count(&loaded.warnings))
}

#[cfg(test)]
mod tests {
    #[test]
    fn shell_operator_takes_the_bindings() {
        assert_eq!(super::bindings().problems(), Vec::<String>::new());
    }
}
