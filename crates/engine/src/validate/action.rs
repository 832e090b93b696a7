//! Actions on trigger.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::rule::{Action, AlertAction, DrainAction, EvictAction, TaintAction, TaintEffect};
use crate::spec::{ActionSpec, AlertSpec, DrainSpec, EvictSpec, Scalar, TaintSpec};

use super::names::{is_dns_label, is_key, is_kubernetes_taint};
use super::problem::Problems;
use super::selector::KEY;
use super::{Defaults, MAX_ACTIONS, duration};

/// When a drain gives up, unless it says otherwise.
const DRAIN_TIMEOUT: Duration = Duration::from_mins(5);
/// Most entries of a map or list within an action.
pub(super) const MAX_ENTRIES: usize = 64;

/// The actions in order, without disabled alerts and without those that have problems.
pub(super) fn check(
    specs: &[ActionSpec],
    defaults: &Defaults,
    problems: &mut Problems,
) -> Vec<Action> {
    if !problems.fits("spec.actions", specs, MAX_ACTIONS) {
        return Vec::new();
    }
    specs
        .iter()
        .enumerate()
        .filter_map(|(index, spec)| {
            one(&format!("spec.actions[{index}]"), spec, defaults, problems)
        })
        .collect()
}

fn one(
    path: &str,
    spec: &ActionSpec,
    defaults: &Defaults,
    problems: &mut Problems,
) -> Option<Action> {
    const KINDS: [&str; 7] = [
        "taint",
        "label",
        "annotation",
        "cordon",
        "evict",
        "drain",
        "alert",
    ];
    let found = || blocks(spec);
    match spec.kind.as_str() {
        "taint" => block_or_default(path, "taint", spec.taint.as_ref(), found, problems)
            .map(|block| taint(path, &block, defaults, problems)),
        "label" => block(path, "label", spec.label.as_ref(), found, problems)
            .and_then(|block| entries(&format!("{path}.label.labels"), &block.labels, problems))
            .map(Action::Label),
        "annotation" => block(
            path,
            "annotation",
            spec.annotation.as_ref(),
            found,
            problems,
        )
        .and_then(|block| {
            let path = format!("{path}.annotation.annotations");
            entries(&path, &block.annotations, problems)
        })
        .map(Action::Annotation),
        "cordon" => Some(Action::Cordon),
        "evict" => block_or_default(path, "evict", spec.evict.as_ref(), found, problems)
            .and_then(|block| evict(path, &block, defaults, problems)),
        "drain" => {
            let block = spec.drain.clone().unwrap_or_default();
            Some(drain(path, &block, defaults, problems))
        }
        "alert" => alert(path, spec.alert.as_ref(), defaults, problems).map(Action::Alert),
        other => {
            problems.not_one_of(format_args!("{path}.type"), other, &KINDS);
            None
        }
    }
}

/// The names of the blocks that an action has.
fn blocks(spec: &ActionSpec) -> Vec<&'static str> {
    [
        ("taint", spec.taint.is_some()),
        ("label", spec.label.is_some()),
        ("annotation", spec.annotation.is_some()),
        ("evict", spec.evict.is_some()),
        ("drain", spec.drain.is_some()),
        ("alert", spec.alert.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_there)| is_there.then_some(name))
    .collect()
}

/// The block that belongs to the type; a missing one is a problem that names what is there instead.
pub(super) fn block<'a, T>(
    path: &str,
    name: &str,
    block: Option<&'a T>,
    found: impl FnOnce() -> Vec<&'static str>,
    problems: &mut Problems,
) -> Option<&'a T> {
    if block.is_none() {
        let others = found();
        let others = if others.is_empty() {
            "none".to_owned()
        } else {
            others.join(", ")
        };
        problems.add(
            format_args!("{path}.{name}"),
            format!("expected the block {name:?}, found {others}"),
        );
    }
    block
}

/// As [`block`], for a block of whose every field there is a configured default: without any block these are meant, and
/// with that of another type it is not clear what is.
pub(super) fn block_or_default<'a, T: Clone + Default>(
    path: &str,
    name: &str,
    found_block: Option<&'a T>,
    found: impl Fn() -> Vec<&'static str>,
    problems: &mut Problems,
) -> Option<Cow<'a, T>> {
    if found_block.is_none() && found().is_empty() {
        return Some(Cow::Owned(T::default()));
    }
    block(path, name, found_block, found, problems).map(Cow::Borrowed)
}

/// A key of a taint that a rule may set or remove.
pub(super) fn taint_key(
    path: &str,
    key: &str,
    defaults: &Defaults,
    problems: &mut Problems,
) -> String {
    if key.is_empty() {
        return defaults.taint_key.clone();
    }
    problems.require(path, key, is_key, KEY);
    if is_kubernetes_taint(key) {
        problems.unexpected(
            path,
            "expected a key that Kubernetes does not set and remove itself",
            key,
        );
    }
    key.to_owned()
}

fn taint(path: &str, spec: &TaintSpec, defaults: &Defaults, problems: &mut Problems) -> Action {
    let effect = if spec.effect.is_empty() {
        Some(defaults.taint_effect)
    } else {
        TaintEffect::parse(&spec.effect)
    };
    if effect.is_none() {
        problems.not_one_of(
            format_args!("{path}.taint.effect"),
            &spec.effect,
            &["NoSchedule", "PreferNoSchedule", "NoExecute"],
        );
    }
    Action::Taint(TaintAction {
        key: taint_key(&format!("{path}.taint.key"), &spec.key, defaults, problems),
        value: spec.value.clone().unwrap_or_else(|| "true".to_owned()),
        effect: effect.unwrap_or(defaults.taint_effect),
    })
}

fn entries(
    path: &str,
    map: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> Option<Vec<(String, String)>> {
    if map.is_empty() || map.len() > MAX_ENTRIES {
        let message = format!("expected 1 to {MAX_ENTRIES} entries, found {}", map.len());
        problems.add(path, message);
        return None;
    }
    for key in map.keys() {
        problems.require(format_args!("{path}[{key:?}]"), key, is_key, KEY);
    }
    Some(map.clone().into_iter().collect())
}

fn evict(
    path: &str,
    spec: &EvictSpec,
    defaults: &Defaults,
    problems: &mut Problems,
) -> Option<Action> {
    let namespaces = format!("{path}.evict.excludeNamespaces");
    if !problems.fits(&namespaces, &spec.exclude_namespaces, MAX_ENTRIES) {
        return None;
    }
    for (index, namespace) in spec.exclude_namespaces.iter().enumerate() {
        let path = format!("{namespaces}[{index}]");
        problems.require(
            path,
            namespace,
            is_dns_label,
            "expected the name of a namespace",
        );
    }
    let max_pods = match spec.max_pods {
        None => Some(defaults.max_pods),
        Some(count) => u32::try_from(count).ok().filter(|count| *count > 0),
    };
    if let (None, Some(count)) = (max_pods, spec.max_pods) {
        problems.add(
            format_args!("{path}.evict.maxPods"),
            format!("expected a number of pods of at least 1, found {count}"),
        );
    }
    max_pods.map(|max_pods| {
        Action::Evict(EvictAction {
            max_pods,
            exclude_namespaces: or_default(&spec.exclude_namespaces, &defaults.exclude_namespaces),
        })
    })
}

fn drain(path: &str, spec: &DrainSpec, defaults: &Defaults, problems: &mut Problems) -> Action {
    Action::Drain(DrainAction {
        grace_period: grace_period(&format!("{path}.drain.gracePeriod"), spec, problems),
        timeout: problems.duration(
            format_args!("{path}.drain.timeout"),
            &spec.timeout,
            DRAIN_TIMEOUT,
        ),
        delete_empty_dir_data: spec.delete_empty_dir_data,
        force: spec.force,
        exclude_namespaces: defaults.exclude_namespaces.clone(),
    })
}

/// Seconds or a duration; -1 is what each pod says, as for `kubectl drain`.
fn grace_period(path: &str, spec: &DrainSpec, problems: &mut Problems) -> Option<Duration> {
    let found = spec.grace_period.as_ref()?;
    let period = match found {
        Scalar::Text(text) if text.is_empty() => return None,
        Scalar::Text(text) => duration::parse(text).ok(),
        Scalar::Number(number) => match crate::spec::whole(*number) {
            Some(-1) => return None,
            Some(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
            None => None,
        },
        Scalar::Other(_) => None,
    }
    .filter(|period| *period <= duration::LONGEST);
    if period.is_none() {
        let message =
            format!("expected seconds such as 30, or a duration such as \"30s\", found {found}");
        problems.add(path, message);
    }
    period
}

/// An alert; `None` if it is disabled or has problems.
pub(super) fn alert(
    path: &str,
    spec: Option<&AlertSpec>,
    defaults: &Defaults,
    problems: &mut Problems,
) -> Option<AlertAction> {
    let spec = spec.cloned().unwrap_or_default();
    let channels = format!("{path}.alert.channels");
    if !problems.fits(&channels, &spec.channels, MAX_ENTRIES) {
        return None;
    }
    for (index, channel) in spec.channels.iter().enumerate() {
        let path = format!("{channels}[{index}]");
        problems.require(
            path,
            channel,
            |name| !name.is_empty(),
            "expected the name of a channel",
        );
    }
    spec.enabled.unwrap_or(true).then(|| AlertAction {
        template: spec.template,
        channels: or_default(&spec.channels, &defaults.channels),
    })
}

fn or_default(given: &[String], default: &[String]) -> Vec<String> {
    if given.is_empty() { default } else { given }.to_vec()
}
