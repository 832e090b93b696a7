//! Texts: templates of alerts, templates in the values of marks, and the names of templates and channels.

use ng_config::{ChannelKind, Config, HeaderName};
use ng_engine::rule::Severity;
use ng_engine::spec::{ActionSpec, AlertSpec, ChannelSpec, RuleObject, TemplateObject};
use ng_engine::validate::BUILT_IN_METRICS;
use ng_notify::compose::{ProblemKind, check};
use ng_template::{Template, with_snake_case};
use serde_json::{Map, Value, json};

use crate::{Check, Level, Notes, Read, Settings};

/// Checks a template: its texts, with sample data, and its channels.
pub(crate) fn template(
    read: &Read<TemplateObject>,
    settings: &Settings<'_>,
    notes: &mut Notes<'_>,
) {
    let TemplateObject { metadata, spec, .. } = &read.object;
    let texts = [
        &spec.subject,
        &spec.body,
        &spec.title,
        &spec.summary,
        &spec.description,
    ];
    if texts.iter().all(|text| text.is_empty()) {
        notes.add(
            (Level::Error, Check::Template),
            "spec",
            "expected subject or body, found neither",
            "write what the alert says",
        );
    }
    for problem in check(&metadata.name, spec, own_metrics(settings.config)) {
        let (level, fix) = match problem.kind {
            ProblemKind::Broken | ProblemKind::Missing => (
                Level::Error,
                "correct the text: until then the built-in words are sent",
            ),
            ProblemKind::Doubtful => (
                Level::Warning,
                "correct the name, or test for it with an if",
            ),
        };
        notes.add((level, Check::Template), "spec", problem.text, fix);
    }
    for (index, channel) in spec.channels.iter().enumerate() {
        let path = format!("spec.channels[{index}]");
        known_channel(&path, channel.name(), notes);
        if let ChannelSpec::Object(object) = channel {
            for name in object.headers.keys() {
                if let Err(error) = name.parse::<HeaderName>() {
                    let found = format!("{error}, found {name:?}");
                    notes.add(
                        (Level::Error, Check::Invalid),
                        format!("{path}.headers"),
                        found,
                        "remove the header",
                    );
                }
            }
        }
    }
}

fn own_metrics(config: &Config) -> impl Iterator<Item = &str> {
    config.metrics.keys().map(ng_config::MetricName::as_str)
}

fn known_channel(path: &str, name: &str, notes: &mut Notes<'_>) {
    if name.parse::<ChannelKind>().is_err() {
        let words: Vec<&str> = ChannelKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let found = format!("there is no channel {name:?}");
        notes.add(
            (Level::Error, Check::UnknownChannel),
            path,
            found,
            format!("use one of {}", words.join(", ")),
        );
    }
}

/// Checks the alerts of a rule, and the templates in its values.
pub(crate) fn rule(
    object: &RuleObject,
    (templates, settings): (&[&str], &Settings<'_>),
    notes: &mut Notes<'_>,
) {
    let data = sample(object, settings.config);
    for (index, action) in object.spec.actions.iter().enumerate() {
        let path = format!("spec.actions[{index}]");
        if let Some(spec) = &action.alert {
            alert(&path, spec, templates, notes);
        }
        for (path, text) in values(&path, action) {
            value(&path, text, &data, notes);
        }
    }
    for (index, action) in object.spec.recovery_actions.iter().enumerate() {
        if let Some(spec) = &action.alert {
            alert(
                &format!("spec.recoveryActions[{index}]"),
                spec,
                templates,
                notes,
            );
        }
    }
}

fn alert(path: &str, spec: &AlertSpec, templates: &[&str], notes: &mut Notes<'_>) {
    let name = &spec.template;
    if !name.is_empty() && !templates.contains(&name.as_str()) {
        let found = format!(
            "there is no AlertTemplate {name:?} here: without it the built-in words are sent"
        );
        let fix = "correct the name, or check the file that holds the template, too";
        notes.add(
            (Level::Warning, Check::UnknownTemplate),
            format!("{path}.alert.template"),
            found,
            fix,
        );
    }
    for (index, channel) in spec.channels.iter().enumerate() {
        // Validation speaks of empty ones.
        if !channel.is_empty() {
            known_channel(&format!("{path}.alert.channels[{index}]"), channel, notes);
        }
    }
}

/// The values of an action that may be templates.
fn values<'a>(path: &str, action: &'a ActionSpec) -> Vec<(String, &'a str)> {
    let taint = action
        .taint
        .iter()
        .filter_map(|taint| taint.value.as_deref());
    let labels = action.label.iter().flat_map(|block| &block.labels);
    let annotations = action
        .annotation
        .iter()
        .flat_map(|block| &block.annotations);
    taint
        .map(|text| (format!("{path}.taint.value"), text))
        .chain(labels.map(|(key, text)| (format!("{path}.label.labels[{key:?}]"), text.as_str())))
        .chain(annotations.map(|(key, text)| {
            (
                format!("{path}.annotation.annotations[{key:?}]"),
                text.as_str(),
            )
        }))
        .collect()
}

fn value(path: &str, text: &str, data: &Value, notes: &mut Notes<'_>) {
    let rendered = Template::parse(text, None).and_then(|template| template.render(data));
    match rendered {
        Err(error) => {
            let fix = "correct the template: until then the value is empty";
            notes.add(
                (Level::Error, Check::Template),
                path,
                error.to_string(),
                fix,
            );
        }
        Ok(rendered) => {
            for warning in rendered.warnings {
                let fix = "correct the name, or test for it with an if";
                notes.add((Level::Warning, Check::Template), path, warning, fix);
            }
        }
    }
}

/// What the values of marks can read, made up.
fn sample(object: &RuleObject, config: &Config) -> Value {
    let metrics: Map<String, Value> = BUILT_IN_METRICS
        .into_iter()
        .chain(own_metrics(config))
        .map(|name| (name.to_owned(), json!(50)))
        .collect();
    with_snake_case(json!({
        "ruleName": object.metadata.name,
        "ruleDescription": object.spec.metadata.description,
        "severity": Severity::Warning.word(),
        "nodeName": "worker-1",
        "triggeredNodes": ["worker-1"],
        "metrics": metrics,
        "timestamp": "2026-01-02T03:04:05Z",
        "clusterName": "example",
    }))
}
