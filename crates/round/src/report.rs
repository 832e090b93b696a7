//! Logs and Events: what happened, for people.

use std::path::Path;

use ng_config::{Config, Issue, Loaded, State};
use ng_engine::plan::{Decision, Evaluated, Happening, Input, Seen};
use ng_engine::spec::{API_VERSION, RULE_KIND};
use ng_engine::time::Time;
use ng_hook::log::{Format, Level, Value as Field};
use ng_hook::{Logger, PatchOperation, Target};
use ng_state::{Opened, StateError, Store};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::evictions::JobNote;
use crate::settings;
use crate::tick::Desk;

/// Events written by one run at most. What goes beyond is in log and status; 2,000 Events at once load etcd.
pub(crate) const MAX_EVENTS: usize = 500;

/// The name of the `ConfigMap` that holds the configuration.
pub const CONFIG_MAP: &str = "nodeguardian-config";

/// Sets level and format as configured.
pub fn apply_log_settings(log: &Logger, settings: &ng_config::Log) {
    if let Ok(level) = settings.level.as_str().parse::<Level>() {
        log.set_level(level);
    }
    log.set_format(match settings.format {
        ng_config::LogFormat::Json => Format::Json,
        ng_config::LogFormat::Text => Format::Text,
    });
}

/// Says what is wrong with the configuration, and what is used instead.
pub fn configuration(log: &Logger, loaded: &Loaded) {
    for warning in &loaded.warnings {
        log.warn("configuration", &[("problem", Field::Shown(warning))]);
    }
    if let State::Fallback { errors, used } = &loaded.state {
        let used = format!("{used:?}");
        for error in errors {
            log.error(
                "invalid configuration",
                &[
                    ("problem", Field::Shown(error)),
                    ("used", Field::Text(&used)),
                ],
            );
        }
    }
}

/// Says that too little is known of some nodes to decide, whenever their number has changed.
pub(crate) fn unknown(log: &Logger, evaluated: &Evaluated, before: usize) {
    if evaluated.unknown == before {
        return;
    }
    let rule = ("rule", Field::Text(&evaluated.rule));
    let Some((node, test, reason)) = &evaluated.unknown_example else {
        return log.info("everything is known again", &[rule]);
    };
    log.warn(
        "too little is known to decide",
        &[
            rule,
            ("nodes", evaluated.unknown.into()),
            ("first", Field::Text(node)),
            ("test", Field::Text(test)),
            ("reason", reason.word().into()),
        ],
    );
}

/// Opens the state. If that sets a damaged one aside, it says so: no later run knows that alerts were lost with it.
pub fn open_state(directory: &Path, now: Time, log: &Logger) -> Result<Opened, StateError> {
    let opened = Store::open(directory, now)?;
    if let Some(aside) = opened.store.set_aside() {
        let path = settings::shown(&aside.path);
        let fields = [
            ("set_aside", Field::Text(&path)),
            ("reason", Field::Text(&aside.reason)),
        ];
        log.error(
            "the state was damaged, and alerts that were not sent are lost",
            &fields,
        );
    }
    Ok(opened)
}

/// The note with the errors that the last Event of a round told.
const TOLD: &str = "controller/config-invalid";

/// The note with the errors that the config-loader told last, when they were applied. A round that finds the same ones
/// mounted a minute later need not tell them again.
pub const TOLD_WHEN_APPLIED: &str = "config-loader/told";

/// What a note says of errors that are told now.
pub fn told_now(errors: &str, now: Time) -> String {
    format!("{} {errors}", now.millis())
}

/// The errors that a note says were told.
pub fn told(note: &str) -> &str {
    note.split_once(' ').map_or("", |(_, errors)| errors)
}

/// Whether a note says that these errors were told, and that their Event is still there: Events live for an hour.
fn is_told(note: Option<&str>, errors: &str, now: Time) -> bool {
    const HOUR: i64 = 3_600_000;
    let at = |note: &str| note.split_once(' ')?.0.parse().ok();
    note.is_some_and(|note| {
        let age = at(note).map(|at: i64| now.millis().saturating_sub(at));
        told(note) == errors && age.is_some_and(|age| (0..HOUR).contains(&age))
    })
}

/// Errors in one line.
pub fn in_one_line(errors: &[Issue]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// The Event about an invalid configuration: at once for each different set of errors, and again every hour. Errors
/// that the config-loader has told are not told again within that hour.
pub(crate) fn configuration_event(
    loaded: &Loaded,
    desk: &Desk<'_>,
) -> anyhow::Result<Option<PatchOperation>> {
    let State::Fallback { errors, .. } = &loaded.state else {
        return Ok(None);
    };
    let text = in_one_line(errors);
    let mut store = open_state(desk.state_dir, desk.now, desk.log)?.store;
    for key in [TOLD, TOLD_WHEN_APPLIED] {
        if is_told(store.note(key)?.as_deref(), &text, desk.now) {
            return Ok(None);
        }
    }
    let mut transaction = store.begin()?;
    transaction.set_note(TOLD, Some(&told_now(&text, desk.now)))?;
    transaction.commit()?;
    let message = format!("going on with the last valid configuration: {text}");
    configuration_notice(&loaded.config, "ConfigInvalid", &message, desk.now).map(Some)
}

/// An Event about the configuration. It regards the `ConfigMap` in our namespace.
pub fn configuration_notice(
    config: &Config,
    reason: &'static str,
    message: &str,
    at: Time,
) -> anyhow::Result<PatchOperation> {
    let namespace = config
        .namespace
        .as_ref()
        .map_or("default", |name| name.as_str());
    let regarding = Reference {
        api_version: "v1",
        kind: "ConfigMap",
        name: CONFIG_MAP,
        namespace: Some(namespace),
        uid: None,
    };
    let notice = Notice {
        reason,
        rule: "",
        rule_uid: "",
        node: "",
        node_uid: "",
        message: String::new(),
        at,
    };
    event(&notice, &regarding, message)
}

/// Logs how an eviction or drain ended.
pub(crate) fn job(log: &Logger, note: &JobNote) {
    let fields = [
        ("rule", Field::Text(&note.rule)),
        ("node", Field::Text(&note.node)),
        ("result", Field::Text(&note.message)),
    ];
    if note.failed {
        log.error("job failed", &fields);
    } else {
        log.info("job ended", &fields);
    }
}

/// Logs a decision with everything that led to it.
pub(crate) fn decision(log: &Logger, decision: &Decision) {
    let event = format!("{:?}", decision.event);
    let inputs = inputs(&decision.inputs);
    let guard = decision
        .guard
        .as_ref()
        .map(|guard| format!("{}: {guard}", guard.word()))
        .unwrap_or_default();
    let mut fields: Vec<(&'static str, Field<'_>)> = vec![
        ("rule", Field::Text(&decision.rule)),
        ("node", Field::Text(&decision.node)),
        ("event", Field::Text(&event)),
    ];
    if !inputs.is_empty() {
        fields.push(("inputs", Field::Text(&inputs)));
    }
    if !guard.is_empty() {
        fields.push(("guard", Field::Text(&guard)));
    }
    match decision.event {
        Happening::Triggered | Happening::Held => log.warn(word(decision.event), &fields),
        Happening::Repeated
        | Happening::Admitted
        | Happening::Recovering
        | Happening::Relapsed
        | Happening::Recovered
        | Happening::Released
        | Happening::Gone => log.info(word(decision.event), &fields),
    }
}

fn word(event: Happening) -> &'static str {
    match event {
        Happening::Triggered => "rule triggered",
        Happening::Repeated => "rule still triggered",
        Happening::Admitted => "guard let go",
        Happening::Held => "action held back",
        Happening::Recovering => "node is recovering",
        Happening::Relapsed => "recovery stopped",
        Happening::Recovered => "node recovered",
        Happening::Released => "node released",
        Happening::Gone => "node is gone",
    }
}

/// The conditions in one line, such as `cpuLoadRatio > 1.5: 1.9 for 3m of 3m`.
pub fn inputs(inputs: &[Input]) -> String {
    inputs.iter().map(input).collect::<Vec<_>>().join("; ")
}

fn input(input: &Input) -> String {
    let seen = match &input.seen {
        Seen::Value { value, .. } => value.to_string(),
        Seen::Status(status) => status.clone(),
        Seen::Unknown(reason) => format!("unknown ({reason})"),
    };
    let seconds = |millis: i64| format!("{}s", millis / 1_000);
    match input.true_for {
        Some(true_for) => {
            format!(
                "{}: {seen}, true for {} of {}",
                input.test,
                seconds(true_for),
                seconds(input.needed)
            )
        }
        None => format!("{}: {seen}", input.test),
    }
}

/// An Event to be written.
pub(crate) struct Notice<'a> {
    pub(crate) reason: &'static str,
    pub(crate) rule: &'a str,
    pub(crate) rule_uid: &'a str,
    pub(crate) node: &'a str,
    pub(crate) node_uid: &'a str,
    pub(crate) message: String,
    pub(crate) at: Time,
}

/// The Events of the decisions: one on the node for each, and one on the rule for all of its nodes that share a
/// reason.
pub(crate) fn notices<'a>(
    decisions: &'a [Decision],
    rule_uid: impl Fn(&str) -> &'a str,
) -> Vec<Notice<'a>> {
    decisions
        .iter()
        .filter_map(|decision| {
            let (reason, what) = match decision.event {
                Happening::Triggered => ("RuleTriggered", "triggered"),
                Happening::Recovered => ("RuleRecovered", "recovered"),
                Happening::Released => (
                    "RuleRecovered",
                    "released, as the rule is gone, disabled or selects other nodes",
                ),
                Happening::Held => ("ActionBlocked", "action held back"),
                Happening::Repeated
                | Happening::Admitted
                | Happening::Recovering
                | Happening::Relapsed
                | Happening::Gone => return None,
            };
            let mut message = format!("rule {}: {what}", decision.rule);
            if let Some(guard) = &decision.guard {
                message = format!("{message}; {}: {guard}", guard.word());
            }
            if !decision.inputs.is_empty() {
                message = format!("{message}; {}", inputs(&decision.inputs));
            }
            Some(Notice {
                reason,
                rule: &decision.rule,
                rule_uid: rule_uid(&decision.rule),
                node: &decision.node,
                node_uid: &decision.node_uid,
                message,
                at: decision.at,
            })
        })
        .collect()
}

/// The notices as objects to create. Names follow from the content, so that writing them twice makes one Event.
pub(crate) fn events(notices: &[Notice<'_>]) -> Vec<anyhow::Result<PatchOperation>> {
    let mut events = Vec::new();
    for notice in notices.iter().take(MAX_EVENTS) {
        let node = Reference {
            api_version: "v1",
            kind: "Node",
            name: notice.node,
            namespace: None,
            uid: Some(notice.node_uid),
        };
        events.push(event(notice, &node, &notice.message));
    }
    let mut done: Vec<(&str, &str)> = Vec::new();
    for notice in notices {
        if done.contains(&(notice.rule, notice.reason)) {
            continue;
        }
        done.push((notice.rule, notice.reason));
        let names: Vec<&str> = notices
            .iter()
            .filter(|other| (other.rule, other.reason) == (notice.rule, notice.reason))
            .map(|other| other.node)
            .collect();
        let message = match names.as_slice() {
            [name] => format!("{name}: {}", notice.message),
            names => format!("{} nodes: {}", names.len(), list(names)),
        };
        let rule = Reference {
            api_version: API_VERSION,
            kind: RULE_KIND,
            name: notice.rule,
            namespace: None,
            uid: Some(notice.rule_uid).filter(|uid| !uid.is_empty()),
        };
        events.push(event(notice, &rule, &message));
    }
    events
}

/// The first names, and how many more.
fn list(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        format!("{shown} and {} more", names.len() - SHOWN)
    } else {
        shown
    }
}

/// The object that an Event is about.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference<'a> {
    api_version: &'static str,
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
}

/// A core/v1 Event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: EventMeta<'a>,
    involved_object: &'a Reference<'a>,
    reason: &'static str,
    #[serde(rename = "type")]
    level: &'static str,
    message: &'a str,
    source: EventSource,
    reporting_component: &'static str,
    first_timestamp: &'a str,
    last_timestamp: &'a str,
    count: u32,
}

#[derive(Serialize)]
struct EventMeta<'a> {
    name: &'a str,
    namespace: &'a str,
}

#[derive(Serialize)]
struct EventSource {
    component: &'static str,
}

/// A core/v1 Event. Objects without a namespace have theirs in `default`.
fn event(
    notice: &Notice<'_>,
    regarding: &Reference<'_>,
    message: &str,
) -> anyhow::Result<PatchOperation> {
    let time = notice.at.to_string();
    let identity = format!(
        "{:?}/{:?}/{}/{time}/{message}",
        regarding.kind, regarding.name, notice.reason
    );
    let digest = Sha256::digest(identity.as_bytes());
    let name = digest
        .iter()
        .take(8)
        .fold(0_u64, |name, byte| name << 8 | u64::from(*byte));
    let name = format!("nodeguardian.{name:016x}");
    let namespace = regarding.namespace.unwrap_or("default");
    let event = Event {
        api_version: "v1",
        kind: "Event",
        metadata: EventMeta {
            name: &name,
            namespace,
        },
        involved_object: regarding,
        reason: notice.reason,
        level: match notice.reason {
            "RuleRecovered" | "ConfigValid" => "Normal",
            _ => "Warning",
        },
        message: clip(message),
        source: EventSource {
            component: "nodeguardian",
        },
        reporting_component: "nodeguardian.k8s.io/controller",
        first_timestamp: &time,
        last_timestamp: &time,
        count: 1,
    };
    let target = Target::namespaced("v1", "Event", namespace, &name);
    Ok(PatchOperation::create_named(target, &event)?)
}

/// The API server takes messages of up to 1,024 bytes.
fn clip(message: &str) -> &str {
    const LIMIT: usize = 1_000;
    match message
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at <= LIMIT)
        .last()
    {
        Some(at) if message.len() > LIMIT => &message[..at],
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_again_when_they_differ_or_an_hour_has_passed() {
        let at = |seconds: i64| Time::from_millis(seconds * 1_000);
        let note = told_now("a; b", at(10_000));
        for (note, errors, now, expected) in [
            (Some(note.as_str()), "a; b", 10_060, true),
            (Some(note.as_str()), "a; b", 13_599, true),
            (Some(note.as_str()), "a; b", 13_600, false),
            (Some(note.as_str()), "a", 10_060, false),
            (Some(note.as_str()), "a; b", 9_999, false),
            (None, "a; b", 10_060, false),
            (Some("soon a; b"), "a; b", 10_060, false),
        ] {
            assert_eq!(is_told(note, errors, at(now)), expected, "{note:?} {now}");
        }
        assert_eq!(told(&note), "a; b");
    }
}
