//! The `AlertTemplate`s: read, checked, remembered for those without a snapshot, and told in their status.

use std::collections::BTreeMap;

use anyhow::Context as _;
use ng_config::Config;
use ng_engine::rule::NodeStatus;
use ng_engine::spec::{
    API_VERSION, StatusCondition, TEMPLATE_KIND, TemplateObject, TemplateSpec, TemplateStatus,
};
use ng_engine::time::Time;
use ng_hook::{Logger, PatchOperation, Target};
use ng_notify::compose::{self, Problem, ProblemKind, TemplateChoice};
use ng_state::Store;
use serde_json::{Value, json};

use crate::bindings::Snapshot;

/// The condition of a template's status.
const VALID: &str = "Valid";
/// The longest message of a condition that the API server takes.
const LONGEST_MESSAGE: usize = 8_000;

/// Templates by name, or why one cannot be read.
#[derive(Debug, Default)]
pub struct Templates {
    by_name: BTreeMap<String, Result<TemplateSpec, String>>,
}

impl Templates {
    /// The templates that were last seen.
    pub fn remembered(store: &Store) -> anyhow::Result<Self> {
        Ok(Self::of(store.templates()?))
    }

    /// From their texts by name.
    fn of(stored: BTreeMap<String, String>) -> Self {
        let read = |(name, text): (String, String)| (name, spec(&text));
        Self {
            by_name: stored.into_iter().map(read).collect(),
        }
    }

    /// What an alert that names this template gets.
    pub fn choice<'a>(&'a self, name: &'a str) -> TemplateChoice<'a> {
        match self.by_name.get(name) {
            _ if name.is_empty() => TemplateChoice::BuiltIn,
            None => TemplateChoice::Missing { name },
            Some(Ok(spec)) => TemplateChoice::Found { name, spec },
            Some(Err(reason)) => TemplateChoice::Unreadable { name, reason },
        }
    }
}

fn spec(text: &str) -> Result<TemplateSpec, String> {
    TemplateObject::from_json(text)
        .map(|object| object.spec)
        .map_err(|error| format!("{:#}", anyhow::Error::new(error)))
}

/// Remembers what the contexts hold. Returns all templates that are known then, and the statuses to write: only those
/// that differ from what stands there.
pub(crate) fn take_over(
    snapshot: &Snapshot<'_>,
    store: &mut Store,
    desk: &Desk<'_>,
) -> anyhow::Result<(Templates, Vec<PatchOperation>)> {
    let stored = store.templates()?;
    let mut templates = if snapshot.complete {
        BTreeMap::new()
    } else {
        stored.clone()
    };
    for name in &snapshot.gone {
        templates.remove(name);
    }
    let mut patches = Vec::new();
    for (name, object) in &snapshot.objects {
        let text = String::from_utf8_lossy(object.bytes());
        templates.insert(name.clone(), essence(&text));
        if let Some(patch) = status_patch(name, &text, desk)
            .with_context(|| format!("cannot write the status of AlertTemplate {name}"))?
        {
            patches.push(patch);
        }
    }
    if templates != stored {
        let mut transaction = store.begin()?;
        transaction.set_templates(&templates)?;
        transaction.commit()?;
    }
    Ok((Templates::of(templates), patches))
}

/// What checking needs.
pub(crate) struct Desk<'a> {
    pub(crate) config: &'a Config,
    pub(crate) log: &'a Logger,
    pub(crate) now: Time,
}

/// The object without what changes without its author.
fn essence(text: &str) -> String {
    let Ok(Value::Object(mut object)) = serde_json::from_str(text) else {
        return text.to_owned();
    };
    object.remove("status");
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.retain(|key, _| ["name", "uid", "generation"].contains(&key.as_str()));
    }
    Value::Object(object).to_string()
}

/// An error and what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The status to write; `None` if it stands there already.
fn status_patch(name: &str, text: &str, desk: &Desk<'_>) -> anyhow::Result<Option<PatchOperation>> {
    let parsed = TemplateObject::from_json(text);
    let (generation, before) = match &parsed {
        Ok(object) => (object.metadata.generation, object.status.clone()),
        Err(_) => outline(text),
    };
    let verdict = match &parsed {
        Ok(object) => Verdict::of(compose::check(
            name,
            &object.spec,
            desk.config
                .metrics
                .keys()
                .map(ng_config::MetricName::as_str),
        )),
        Err(error) => Verdict::broken(with_causes(error)),
    };
    let before = before.unwrap_or_default();
    let wanted = verdict.status(&before, generation, desk.now);
    if wanted == before {
        return Ok(None);
    }
    verdict.log(name, desk.log);
    let status = json!({"status": wanted});
    let target = Target::cluster(API_VERSION, TEMPLATE_KIND, name).subresource("status");
    Ok(Some(PatchOperation::merge(target, &status)?))
}

/// Generation and status of an object whose spec cannot be read.
fn outline(text: &str) -> (i64, Option<TemplateStatus>) {
    let object: Value = serde_json::from_str(text).unwrap_or_default();
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    let status = serde_json::from_value(object["status"].clone()).ok();
    (generation, status)
}

/// What is to be said of a template.
struct Verdict {
    status: NodeStatus,
    reason: &'static str,
    message: String,
}

impl Verdict {
    fn of(problems: Vec<Problem>) -> Self {
        let worst = problems.iter().map(|problem| problem.kind).max();
        let texts: Vec<String> = problems.into_iter().map(|problem| problem.text).collect();
        let message = clip(texts.join("; "));
        match worst {
            None => Self {
                status: NodeStatus::True,
                reason: "Parsed",
                message,
            },
            Some(ProblemKind::Doubtful) => Self {
                status: NodeStatus::True,
                reason: "Doubtful",
                message,
            },
            Some(ProblemKind::Missing | ProblemKind::Broken) => Self::broken(message),
        }
    }

    fn broken(message: String) -> Self {
        Self {
            status: NodeStatus::False,
            reason: "Broken",
            message: clip(message),
        }
    }

    fn status(&self, before: &TemplateStatus, generation: i64, now: Time) -> TemplateStatus {
        let known = before.conditions.iter().find(|known| known.kind == VALID);
        let since = known
            .filter(|known| known.status == self.status)
            .and_then(|known| known.last_transition_time);
        let condition = StatusCondition {
            kind: VALID.to_owned(),
            status: self.status,
            observed_generation: Some(generation),
            last_transition_time: Some(since.unwrap_or(now.whole_second())),
            reason: self.reason.to_owned(),
            message: self.message.clone(),
        };
        let others = before.conditions.iter().filter(|known| known.kind != VALID);
        TemplateStatus {
            conditions: others.cloned().chain([condition]).collect(),
            observed_generation: Some(generation),
        }
    }

    fn log(&self, name: &str, log: &Logger) {
        let fields = [
            ("template", name.into()),
            ("problem", (&self.message).into()),
        ];
        match (self.status, self.message.is_empty()) {
            (NodeStatus::False, _) => log.warn("alert template cannot be used", &fields),
            (_, false) => log.warn("alert template is doubtful", &fields),
            (_, true) => log.info("alert template is valid", &fields[..1]),
        }
    }
}

fn clip(mut message: String) -> String {
    let cut = message.floor_char_boundary(LONGEST_MESSAGE);
    message.truncate(cut);
    message
}
