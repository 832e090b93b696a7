//! Objects, texts and names.

use std::collections::BTreeSet;

use ng_lint::{Check, Level};

use crate::support::{check, findings_with, objects, rule, template};

#[test]
fn texts_channels_and_names_of_templates() {
    let alert = |block: &str| {
        rule(
            "r",
            &format!("actions: [{{type: alert, alert: {{{block}}}}}]"),
        )
    };
    let value = |value: &str| {
        rule(
            "r",
            &format!(
                "actions: [{{type: annotation, annotation: {{annotations: {{a: \"{value}\"}}}}}}]\nrecoveryActions: [{{type: removeAnnotation, annotation: {{keys: [a]}}}}]"
            ),
        )
    };
    let at = "spec.actions[0].annotation.annotations[\"a\"]";
    let (broken, doubtful) = (
        format!("error template {at}"),
        format!("warning template {at}"),
    );
    check(&[
        (alert("channels: [log, feishu]"), &[]),
        (
            alert("channels: [log, slak]"),
            &["error unknown-channel spec.actions[0].alert.channels[1]"],
        ),
        (alert("template: t") + &template("{subject: x}"), &[]),
        (
            alert("template: u") + &template("{subject: x}"),
            &["warning unknown-template spec.actions[0].alert.template"],
        ),
        (
            rule(
                "r",
                "recoveryActions: [{type: alert, alert: {template: u}}]",
            ),
            &["warning unknown-template spec.recoveryActions[0].alert.template"],
        ),
        (value("{{metrics.cpuLoadRatio}} on {{nodeName}}"), &[]),
        (value("{{metrics.cpu_load_ratio}} on {{node_name}}"), &[]),
        (value("{{nodName}}"), &[&doubtful]),
        (value("{{metrics.gpuTemperature}}"), &[&doubtful]),
        (value("{{#if}}"), &[&broken]),
        (
            template(
                "{subject: '{{nodeName}}', body: '{{#each topPods}}{{name}} {{memory}}{{/each}}'}",
            ),
            &[],
        ),
        (
            template("{subject: 'x {{nodName}}'}"),
            &["warning template spec"],
        ),
        (
            template("{subject: x, body: '{{#each topPods}}'}"),
            &["error template spec"],
        ),
        (template("{channels: [log]}"), &["error template spec"]),
        (
            template("{subject: '{{team}}', variables: {team: ops}}"),
            &[],
        ),
        (
            template("{subject: x, channels: [log, {type: webhok}]}"),
            &["error unknown-channel spec.channels[1]"],
        ),
        (
            template("{subject: x, channels: [{type: webhook, headers: {Host: x}}]}"),
            &["error invalid spec.channels[0].headers"],
        ),
    ]);
    let metric = findings_with(
        &value("{{metrics.gpuTemperature}}"),
        "metrics: {gpuTemperature: {query: up}}",
        None,
    );
    assert_eq!(metric, vec![]);
}

#[test]
fn objects_that_are_refused() {
    let typo = "apiVersion: nodeguardian.k8s.io/v1\nkind: NodeGuardianRule\nmetadata: {name: r}\nspec: {conditons: [], conditions: [{metric: cpuLoadRatio, operator: '>', value: 2, durration: 1m}]}\n";
    let twice = "apiVersion: nodeguardian.k8s.io/v1\nkind: AlertTemplate\nmetadata: {name: t}\nspec: {subject: a, subject: b}\n";
    check(&[
        (rule("r", "conditions: []"), &["error invalid spec.conditions"]),
        (rule("r", "conditions: [{metric: cpuLoad, operator: '>', value: 2}]"), &["error invalid spec.conditions[0].metric"]),
        (rule("Upper", ""), &["error invalid metadata.name"]),
        (rule("r", "monitoring: {checkInterval: 30}\nmetadata: {priority: high, enabled: 'yes'}"), &[
            "error wrong-type spec.metadata.enabled",
            "error wrong-type spec.metadata.priority",
            "error wrong-type spec.monitoring.checkInterval",
        ]),
        (rule("r", "conditions: [{metric: cpuLoadRatio, operator: '>', value: 2, duration: 5}]"), &["error wrong-type spec.conditions[0].duration"]),
        (rule("r", "nodeSelector: {nodeNames: [1]}"), &["error wrong-type spec.nodeSelector.nodeNames[0]"]),
        (typo.to_owned(), &["warning unknown-field spec.conditions[0].durration", "warning unknown-field spec.conditons"]),
        (twice.to_owned(), &["error duplicate spec.subject"]),
        (rule("r", "") + &rule("r", ""), &["error duplicate metadata.name"]),
        (rule("t", "") + &template("{subject: x}"), &[]),
        ("apiVersion: nodeguardian.k8s.io/v1alpha1\nkind: AlertTemplate\nmetadata: {name: t}\nspec: {subject: x}\n".to_owned(), &["error invalid apiVersion"]),
        ("apiVersion: v1\nkind: ConfigMap\nspec: 3\n".to_owned(), &[]),
        ("- 1\n- 2\n".to_owned(), &[]),
        ("apiVersion: v1\nkind: List\nitems: [{kind: AlertTemplate, apiVersion: nodeguardian.k8s.io/v1, metadata: {name: t}, spec: {}}]\n".to_owned(), &["error template spec"]),
    ]);
}

#[test]
fn a_status_that_cannot_be_read_does_not_matter() {
    let yaml = rule("r", "") + "status: {phase: 3}\n";
    assert_eq!(findings_with(&yaml, "{}", None), vec![]);
}

#[test]
fn the_shipped_examples_are_clean() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/examples");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let yaml: Vec<String> = paths
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let yaml = yaml.join("---\n");
    assert_eq!(ng_lint::count(&objects(&yaml)), 21);
    let shipped = include_str!("../../../../config/config.json");
    assert_eq!(findings_with(&yaml, shipped, None), vec![]);
}

/// Both languages have templates of the same names, for one of them to be applied.
#[test]
fn the_shipped_templates_are_clean_in_each_language() {
    for yaml in [
        include_str!("../../../../config/templates/en.yaml"),
        include_str!("../../../../config/templates/zh.yaml"),
    ] {
        assert!(ng_lint::count(&objects(yaml)) >= 2);
        assert_eq!(findings_with(yaml, "{}", None), vec![]);
    }
}

#[test]
fn the_words_of_checks_and_levels_are_different() {
    let words: BTreeSet<&str> = Check::ALL.iter().map(|check| check.word()).collect();
    assert_eq!(words.len(), Check::ALL.len());
    assert_ne!(Level::Error.word(), Level::Warning.word());
}
