//! The answer to `--config`: which bindings a hook has, as shell-operator's schema `v1` wants it.
//!
//! An explicit `null` or an empty list is refused there, and one bad hook stops the operator: what
//! is not set is left out, but for `executeHookOnEvent: []`, which means "never on events".

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// The bindings of a hook.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookConfig {
    config_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_startup: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Settings>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    schedule: Vec<Schedule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kubernetes: Vec<Kubernetes>,
}

/// Limits on how often a hook runs; both fields are needed, so both are set.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    execution_min_interval: &'static str,
    execution_burst: u32,
}

/// A binding to a crontab.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    name: &'static str,
    crontab: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_failure: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include_snapshots_from: Vec<&'static str>,
}

/// A binding to a kind of Kubernetes objects.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kubernetes {
    name: &'static str,
    api_version: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_failure: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execute_hook_on_event: Option<Vec<ObjectEvent>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execute_hook_on_synchronization: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_full_objects_in_memory: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jq_filter: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name_selector: Option<Names>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_selector: Option<Labels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<Namespaces>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include_snapshots_from: Vec<&'static str>,
}

/// A change of an object that runs the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ObjectEvent {
    /// The object has come into view.
    Added,
    /// Its filtered form has changed.
    Modified,
    /// It has gone out of view.
    Deleted,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Names {
    match_names: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Labels {
    match_labels: BTreeMap<&'static str, &'static str>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Namespaces {
    name_selector: Names,
}

impl Default for HookConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl HookConfig {
    /// A configuration without bindings; shell-operator wants at least one.
    pub fn new() -> Self {
        Self {
            config_version: "v1",
            on_startup: None,
            settings: None,
            schedule: Vec::new(),
            kubernetes: Vec::new(),
        }
    }

    /// Runs the hook when the operator starts, lower orders first.
    #[must_use]
    pub fn on_startup(mut self, order: i32) -> Self {
        self.on_startup = Some(order);
        self
    }

    /// Lets the hook run `burst` times at once, and once per interval after that. This counts its
    /// start-up runs, too, and so delays other hooks.
    #[must_use]
    pub fn throttled(mut self, interval: &'static str, burst: u32) -> Self {
        self.settings = Some(Settings {
            execution_min_interval: interval,
            execution_burst: burst,
        });
        self
    }

    /// Adds a crontab.
    #[must_use]
    pub fn schedule(mut self, binding: Schedule) -> Self {
        self.schedule.push(binding);
        self
    }

    /// Adds a kind of objects.
    #[must_use]
    pub fn kubernetes(mut self, binding: Kubernetes) -> Self {
        self.kubernetes.push(binding);
        self
    }

    /// What shell-operator would refuse, or confuse, in these bindings; for the tests of a hook.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.on_startup.is_none() && self.schedule.is_empty() && self.kubernetes.is_empty() {
            problems.push("no binding at all".to_owned());
        }
        let mut names = BTreeSet::new();
        for name in self.names() {
            if name.is_empty() || !names.insert(name) {
                problems.push(format!("binding name {name:?} is empty or used twice"));
            }
        }
        for (binding, snapshots) in self.snapshot_uses() {
            self.check_snapshots(binding, snapshots, &mut problems);
        }
        problems
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        let schedules = self.schedule.iter().map(|binding| binding.name);
        schedules.chain(self.kubernetes.iter().map(|binding| binding.name))
    }

    fn snapshot_uses(&self) -> impl Iterator<Item = (&'static str, &[&'static str])> {
        let schedules = self
            .schedule
            .iter()
            .map(|binding| (binding.name, &*binding.include_snapshots_from));
        let kinds = self
            .kubernetes
            .iter()
            .map(|binding| (binding.name, &*binding.include_snapshots_from));
        schedules.chain(kinds)
    }

    fn check_snapshots(&self, binding: &str, snapshots: &[&str], problems: &mut Vec<String>) {
        let mut seen = BTreeSet::new();
        for snapshot in snapshots {
            if !self.kubernetes.iter().any(|kind| kind.name == *snapshot) {
                problems.push(format!(
                    "{binding}: no kubernetes binding is named {snapshot}"
                ));
            }
            if !seen.insert(snapshot) {
                problems.push(format!("{binding}: snapshot {snapshot} is named twice"));
            }
        }
    }

    /// The configuration as one JSON document.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// The options that both kinds of bindings have.
macro_rules! common_options {
    () => {
        /// The queue the binding's runs wait in; hooks that name the same queue share it.
        #[must_use]
        pub fn queue(mut self, queue: &'static str) -> Self {
            self.queue = Some(queue);
            self
        }

        /// The group whose runs are merged, and whose snapshots every member gets.
        #[must_use]
        pub fn group(mut self, group: &'static str) -> Self {
            self.group = Some(group);
            self
        }

        /// Drops a failed run instead of repeating it.
        #[must_use]
        pub fn allow_failure(mut self) -> Self {
            self.allow_failure = Some(true);
            self
        }

        /// Adds snapshots of `kubernetes` bindings of the same hook to each context.
        #[must_use]
        pub fn snapshots(mut self, bindings: impl IntoIterator<Item = &'static str>) -> Self {
            self.include_snapshots_from.extend(bindings);
            self
        }
    };
}

impl Schedule {
    /// A binding that ticks by a crontab: five fields, or six with leading seconds.
    pub fn new(name: &'static str, crontab: &'static str) -> Self {
        Self {
            name,
            crontab,
            queue: None,
            group: None,
            allow_failure: None,
            include_snapshots_from: Vec::new(),
        }
    }

    common_options!();
}

impl Kubernetes {
    /// A binding to all objects of a kind.
    pub fn new(name: &'static str, api_version: &'static str, kind: &'static str) -> Self {
        Self {
            name,
            api_version,
            kind,
            queue: None,
            group: None,
            allow_failure: None,
            execute_hook_on_event: None,
            execute_hook_on_synchronization: None,
            keep_full_objects_in_memory: None,
            jq_filter: None,
            name_selector: None,
            label_selector: None,
            namespace: None,
            include_snapshots_from: Vec::new(),
        }
    }

    common_options!();

    /// Runs the hook on these changes only; none means never.
    #[must_use]
    pub fn on_events(mut self, events: impl IntoIterator<Item = ObjectEvent>) -> Self {
        self.execute_hook_on_event = Some(events.into_iter().collect());
        self
    }

    /// Does not run the hook with the first state of the objects.
    #[must_use]
    pub fn without_synchronization(mut self) -> Self {
        self.execute_hook_on_synchronization = Some(false);
        self
    }

    /// Only keeps a snapshot: no run on events, none on the first state.
    #[must_use]
    pub fn snapshot_only(self) -> Self {
        self.on_events([]).without_synchronization()
    }

    /// Hands out filtered objects only.
    #[must_use]
    pub fn without_full_objects(mut self) -> Self {
        self.keep_full_objects_in_memory = Some(false);
        self
    }

    /// What of each object counts as a change and is handed out. The filter must never raise an
    /// error: one would block the operator's start, or leave a stale object in the snapshot.
    #[must_use]
    pub fn jq_filter(mut self, filter: &'static str) -> Self {
        self.jq_filter = Some(filter);
        self
    }

    /// Watches only the objects of these names, each with a watch of its own.
    #[must_use]
    pub fn names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.name_selector = names_selector(names);
        self
    }

    /// Watches only the objects with these labels.
    #[must_use]
    pub fn labels(
        mut self,
        labels: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Self {
        let match_labels: BTreeMap<_, _> = labels.into_iter().collect();
        self.label_selector = (!match_labels.is_empty()).then_some(Labels { match_labels });
        self
    }

    /// Watches only the objects in these namespaces.
    #[must_use]
    pub fn namespaces<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.namespace = names_selector(names).map(|name_selector| Namespaces { name_selector });
        self
    }
}

fn names_selector<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Option<Names> {
    let match_names: Vec<String> = names.into_iter().map(Into::into).collect();
    (!match_names.is_empty()).then_some(Names { match_names })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(config: &HookConfig) -> serde_json::Value {
        serde_json::from_str(&config.to_json().unwrap()).unwrap()
    }

    #[test]
    fn what_is_not_set_is_left_out() {
        let config = HookConfig::new()
            .schedule(Schedule::new("tick", "* * * * *").snapshots([]))
            .kubernetes(
                Kubernetes::new("nodes", "v1", "Node")
                    .names::<&str>([])
                    .labels([]),
            );
        let expected = json!({
            "configVersion": "v1",
            "schedule": [{"name": "tick", "crontab": "* * * * *"}],
            "kubernetes": [{"name": "nodes", "apiVersion": "v1", "kind": "Node"}],
        });
        assert_eq!(printed(&config), expected);
    }

    #[test]
    fn every_option_has_its_documented_name() {
        let nodes = Kubernetes::new("nodes", "v1", "Node")
            .snapshot_only()
            .without_full_objects()
            .jq_filter(".metadata.name")
            .group("g")
            .queue("q");
        let maps = Kubernetes::new("config", "v1", "ConfigMap")
            .names(["settings"])
            .namespaces(["ns"])
            .labels([("app", "x")])
            .on_events([
                ObjectEvent::Added,
                ObjectEvent::Modified,
                ObjectEvent::Deleted,
            ])
            .allow_failure()
            .snapshots(["nodes"]);
        let tick = Schedule::new("tick", "*/30 * * * * *")
            .queue("q")
            .group("g")
            .allow_failure()
            .snapshots(["nodes"]);
        let config = HookConfig::new()
            .on_startup(10)
            .throttled("10s", 1)
            .schedule(tick)
            .kubernetes(nodes)
            .kubernetes(maps);
        let expected = json!({
            "configVersion": "v1",
            "onStartup": 10,
            "settings": {"executionMinInterval": "10s", "executionBurst": 1},
            "schedule": [{
                "name": "tick", "crontab": "*/30 * * * * *", "queue": "q", "group": "g",
                "allowFailure": true, "includeSnapshotsFrom": ["nodes"],
            }],
            "kubernetes": [
                {
                    "name": "nodes", "apiVersion": "v1", "kind": "Node", "queue": "q", "group": "g",
                    "executeHookOnEvent": [], "executeHookOnSynchronization": false,
                    "keepFullObjectsInMemory": false, "jqFilter": ".metadata.name",
                },
                {
                    "name": "config", "apiVersion": "v1", "kind": "ConfigMap", "allowFailure": true,
                    "executeHookOnEvent": ["Added", "Modified", "Deleted"],
                    "nameSelector": {"matchNames": ["settings"]},
                    "labelSelector": {"matchLabels": {"app": "x"}},
                    "namespace": {"nameSelector": {"matchNames": ["ns"]}},
                    "includeSnapshotsFrom": ["nodes"],
                },
            ],
        });
        assert_eq!(printed(&config), expected);
        assert_eq!(config.problems(), Vec::<String>::new());
    }

    #[test]
    fn problems_name_every_mistake() {
        let config = HookConfig::new()
            .schedule(Schedule::new("tick", "* * * * *").snapshots(["nodes", "nodes"]))
            .schedule(Schedule::new("tick", "* * * * *"))
            .schedule(Schedule::new("tock", "* * * * *").snapshots(["tick"]))
            .kubernetes(Kubernetes::new("nodes", "v1", "Node"));
        let problems = config.problems();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert_eq!(HookConfig::new().problems(), ["no binding at all"]);
    }
}
