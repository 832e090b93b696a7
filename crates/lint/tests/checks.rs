//! Each check with objects that it speaks of and objects that it must not speak of.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeSet;

use ng_config::{Config, File, Format, Inputs, documents, resolve};
use ng_engine::validate::Defaults;
use ng_lint::{Check, Finding, Level, Object, Settings, lint};

/// The objects of a YAML text, each with its number as source.
fn objects(yaml: &str) -> Vec<Object> {
    let documents = documents(yaml, Format::Yaml).unwrap();
    let object = |(index, document): (usize, ng_config::Document)| Object {
        source: (index + 1).to_string(),
        value: document.value,
        duplicates: document.duplicates,
    };
    documents.into_iter().enumerate().map(object).collect()
}

fn config(yaml: &str) -> Config {
    let file = Some(File {
        name: "config.yaml",
        text: yaml,
        format: Format::Yaml,
    });
    let found = resolve(&Inputs {
        file,
        ..Inputs::default()
    });
    assert_eq!(found.errors, vec![]);
    found.config
}

fn findings_with(yaml: &str, configuration: &str, nodes: Option<usize>) -> Vec<Finding> {
    let config = config(configuration);
    let known_metrics = config
        .metrics
        .keys()
        .map(|name| name.as_str().to_owned())
        .collect();
    let defaults = Defaults {
        known_metrics,
        ..Defaults::default()
    };
    lint(
        &objects(yaml),
        &Settings {
            config: &config,
            defaults: &defaults,
            nodes,
        },
    )
}

/// Level, check and path of every finding.
fn short(findings: &[Finding]) -> Vec<String> {
    let one = |finding: &Finding| {
        format!(
            "{} {} {}",
            finding.level.word(),
            finding.check.word(),
            finding.path
        )
    };
    findings.iter().map(one).collect()
}

/// A rule of this name with these lines of `spec`; what they leave out is harmless.
fn rule(name: &str, spec: &str) -> String {
    let mut text = format!(
        "---\napiVersion: nodeguardian.k8s.io/v1\nkind: NodeGuardianRule\nmetadata: {{name: {name}}}\nspec:\n"
    );
    for line in spec.lines() {
        text += &format!("  {}\n", line.trim());
    }
    if !spec.contains("conditions:") {
        text += "  conditions: [{metric: cpuLoadRatio, operator: '>', value: 2}]\n";
    }
    text
}

fn template(spec: &str) -> String {
    format!(
        "---\napiVersion: nodeguardian.k8s.io/v1\nkind: AlertTemplate\nmetadata: {{name: t}}\nspec: {spec}\n"
    )
}

/// Every check that some table has seen to fire.
fn check(table: &[(String, &[&str])]) {
    for (yaml, expected) in table {
        let findings = findings_with(yaml, "{}", None);
        assert_eq!(short(&findings), *expected, "{yaml}\n{findings:#?}");
        for finding in &findings {
            assert!(
                !finding.fix.is_empty() && !finding.found.is_empty(),
                "{finding:?}"
            );
        }
    }
}

#[test]
fn conditions_that_can_never_hold() {
    let conditions = |logic: &str, conditions: &str| {
        rule(
            "r",
            &format!("conditionLogic: {logic}\nconditions: [{conditions}]"),
        )
    };
    let cpu = |operator: &str, value: &str| {
        format!("{{metric: cpuUtilizationPercent, operator: '{operator}', value: {value}}}")
    };
    let ready = |status: &str| format!("{{nodeCondition: Ready, status: [{status}]}}");
    let never =
        |level: &str, index: usize| format!("{level} unreachable spec.conditions[{index}].value");
    check(&[
        (conditions("AND", &cpu(">", "99.9")), &[]),
        (conditions("AND", &cpu(">=", "100")), &[]),
        (conditions("AND", &cpu(">", "100")), &[&never("error", 0)]),
        (conditions("AND", &cpu(">=", "101")), &[&never("error", 0)]),
        (conditions("AND", &cpu("<", "0")), &[&never("error", 0)]),
        (conditions("AND", &cpu("==", "-1")), &[&never("error", 0)]),
        (
            conditions("OR", &format!("{}, {}", cpu(">", "100"), cpu(">", "90"))),
            &[&never("warning", 0)],
        ),
        (
            conditions("AND", &cpu(">=", "0")),
            &["warning always-true spec.conditions[0].value"],
        ),
        (
            conditions("AND", &cpu("!=", "200")),
            &["warning always-true spec.conditions[0].value"],
        ),
        (conditions("AND", &cpu("!=", "0")), &[]),
        (
            conditions("AND", "{metric: cpuLoadRatio, operator: '>', value: 500}"),
            &[],
        ),
        (
            conditions("AND", "{metric: cpuLoadRatio, operator: '<', value: 0}"),
            &[&never("error", 0)],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu(">", "80"), cpu("<", "90"))),
            &[],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu(">", "80"), cpu("<", "70"))),
            &["error unreachable spec.conditions[1]"],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu(">=", "80"), cpu("<=", "80"))),
            &[],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu(">", "80"), cpu("<=", "80"))),
            &["error unreachable spec.conditions[1]"],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu("==", "80"), cpu("!=", "80"))),
            &["error unreachable spec.conditions[1]"],
        ),
        (
            conditions("OR", &format!("{}, {}", cpu(">", "80"), cpu("<", "70"))),
            &[],
        ),
        (
            conditions(
                "AND",
                &format!("{}, {}", ready("'True'"), ready("'False', Unknown")),
            ),
            &["error unreachable spec.conditions[1]"],
        ),
        (
            conditions(
                "AND",
                &format!(
                    "{}, {}",
                    ready("'True', Unknown"),
                    ready("'False', Unknown")
                ),
            ),
            &[],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu(">", "80"), cpu(">", "80"))),
            &["warning duplicate spec.conditions[1]"],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu(">", "80"), cpu(">", "81"))),
            &[],
        ),
    ]);
}

#[test]
fn durations_shorter_than_the_check_interval() {
    let condition = |duration: &str, interval: &str| {
        rule(
            "r",
            &format!(
                "monitoring: {{checkInterval: {interval}}}\nconditions: [{{metric: cpuLoadRatio, operator: '>', value: 2, duration: {duration}}}]"
            ),
        )
    };
    check(&[
        (
            condition("10s", "1m"),
            &["warning short-duration spec.conditions[0].duration"],
        ),
        (condition("1m", "1m"), &[]),
        (condition("0s", "1m"), &[]),
        (
            condition("29s", "''"),
            &["warning short-duration spec.conditions[0].duration"],
        ),
    ]);
}

#[test]
fn recoveries_that_hold_while_the_trigger_does() {
    let both = |logic: &str, trigger: &str, recovery_logic: &str, recovery: &str| {
        let list = |tests: &str| {
            let one = |test: &str| {
                let words: Vec<&str> = test.split_whitespace().collect();
                format!(
                    "{{metric: {}, operator: '{}', value: {}}}",
                    words[0], words[1], words[2]
                )
            };
            tests.split(',').map(one).collect::<Vec<_>>().join(", ")
        };
        rule(
            "r",
            &format!(
                "conditionLogic: {logic}\nconditions: [{}]\nrecoveryConditionLogic: {recovery_logic}\nrecoveryConditions: [{}]",
                list(trigger),
                list(recovery)
            ),
        )
    };
    let (cpu, mem) = ("cpuUtilizationPercent", "memoryUtilizationPercent");
    check(&[
        (
            both("AND", &format!("{cpu} > 80"), "AND", &format!("{cpu} < 70")),
            &[],
        ),
        (
            both(
                "AND",
                &format!("{cpu} > 80"),
                "AND",
                &format!("{cpu} <= 80"),
            ),
            &[],
        ),
        (
            both("AND", &format!("{cpu} > 80"), "AND", &format!("{cpu} < 90")),
            &["error recovery-overlap spec.recoveryConditions[0]"],
        ),
        (
            both(
                "AND",
                &format!("{cpu} >= 80"),
                "AND",
                &format!("{cpu} <= 80"),
            ),
            &["error recovery-overlap spec.recoveryConditions[0]"],
        ),
        (
            both(
                "AND",
                &format!("{cpu} > 80,{mem} > 90"),
                "AND",
                &format!("{cpu} < 70"),
            ),
            &[],
        ),
        (
            both(
                "AND",
                &format!("{cpu} > 80,{mem} > 90"),
                "OR",
                &format!("{cpu} < 70,{mem} < 80"),
            ),
            &[],
        ),
        (
            both(
                "OR",
                &format!("{cpu} > 80,{mem} > 90"),
                "AND",
                &format!("{cpu} < 70,{mem} < 80"),
            ),
            &[],
        ),
        (
            both(
                "OR",
                &format!("{cpu} > 80,{mem} > 90"),
                "OR",
                &format!("{cpu} < 70,{mem} < 80"),
            ),
            &["warning recovery-overlap spec.recoveryConditions"],
        ),
        (
            both(
                "OR",
                &format!("{cpu} > 80,{mem} > 90"),
                "AND",
                &format!("{cpu} < 70"),
            ),
            &["warning recovery-overlap spec.recoveryConditions"],
        ),
        (
            both("AND", &format!("{cpu} > 80"), "AND", &format!("{mem} < 50")),
            &["warning recovery-overlap spec.recoveryConditions"],
        ),
        (
            both(
                "AND",
                &format!("{cpu} > 80"),
                "AND",
                &format!("{cpu} < 70,{cpu} > 75"),
            ),
            &["error unreachable spec.recoveryConditions[1]"],
        ),
        (
            both("AND", &format!("{cpu} > 80"), "AND", &format!("{cpu} < 0")),
            &["error unreachable spec.recoveryConditions[0].value"],
        ),
    ]);
    check(&[
        (
            rule(
                "r",
                "conditions: [{nodeCondition: Ready, status: ['False', Unknown]}]\nrecoveryConditions: [{nodeCondition: Ready, status: ['True']}]",
            ),
            &[],
        ),
        (
            rule(
                "r",
                "conditions: [{nodeCondition: Ready, status: ['False', Unknown]}]\nrecoveryConditions: [{nodeCondition: Ready, status: ['True', Unknown]}]",
            ),
            &["error recovery-overlap spec.recoveryConditions[0]"],
        ),
    ]);
}

#[test]
fn marks_that_stay_and_marks_that_are_not_there() {
    let taint = "actions: [{type: taint, taint: {key: a.io/hot, effect: NoSchedule}}]";
    check(&[
        (
            rule(
                "r",
                &format!(
                    "{taint}\nrecoveryActions: [{{type: removeTaint, taint: {{key: a.io/hot}}}}]"
                ),
            ),
            &[],
        ),
        (
            rule(
                "r",
                &format!(
                    "{taint}\nrecoveryActions: [{{type: untaint, untaint: {{key: a.io/hot}}}}]"
                ),
            ),
            &[],
        ),
        (
            rule("r", taint),
            &["warning mark-stays spec.actions[0].taint"],
        ),
        (
            rule(
                "r",
                &format!(
                    "{taint}\nrecoveryActions: [{{type: removeTaint, taint: {{key: a.io/cold}}}}]"
                ),
            ),
            &[
                "warning mark-stays spec.actions[0].taint",
                "warning nothing-to-remove spec.recoveryActions",
            ],
        ),
        // Left out, the key is the configured one on both sides.
        (
            rule(
                "r",
                "actions: [{type: taint, taint: {}}]\nrecoveryActions: [{type: removeTaint, taint: {}}]",
            ),
            &[],
        ),
        (
            rule(
                "r",
                "actions: [{type: label, label: {labels: {a: b, c: d}}}]\nrecoveryActions: [{type: removeLabel, label: {keys: [a]}}]",
            ),
            &["warning mark-stays spec.actions[0].label.labels[\"c\"]"],
        ),
        (
            rule(
                "r",
                "actions: [{type: annotation, annotation: {annotations: {a: b}}}]\nrecoveryActions: [{type: removeAnnotation, annotation: {keys: [a]}}]",
            ),
            &[],
        ),
        (
            rule(
                "r",
                "actions: [{type: annotation, annotation: {annotations: {a: b}}}]\nrecoveryActions: [{type: removeLabel, label: {keys: [a]}}]",
            ),
            &[
                "warning mark-stays spec.actions[0].annotation.annotations[\"a\"]",
                "warning nothing-to-remove spec.recoveryActions",
            ],
        ),
        (
            rule("r", "actions: [{type: cordon}]"),
            &["warning mark-stays spec.actions[0]"],
        ),
        (
            rule(
                "r",
                "actions: [{type: drain}]\nrecoveryActions: [{type: uncordon}]",
            ),
            &[],
        ),
        (
            rule(
                "r",
                "actions: [{type: cordon}, {type: drain}]\nrecoveryActions: [{type: uncordon}]",
            ),
            &[],
        ),
        (
            rule(
                "r",
                "actions: [{type: label, label: {labels: {a: b}}}, {type: label, label: {labels: {a: c}}}]\nrecoveryActions: [{type: removeLabel, label: {keys: [a]}}]",
            ),
            &["warning duplicate spec.actions[1].label.labels[\"a\"]"],
        ),
        (
            rule(
                "r",
                "actions: [{type: taint, taint: {key: a, effect: NoExecute}}]\nrecoveryActions: [{type: removeTaint, taint: {key: a}}]",
            ),
            &["warning daemonsets spec.actions[0].taint.effect"],
        ),
    ]);
}

#[test]
fn rules_that_fight_over_a_mark() {
    let sets = |name: &str, value: &str, more: &str| {
        rule(
            name,
            &format!(
                "actions: [{{type: taint, taint: {{key: a.io/hot, value: {value}, effect: NoSchedule}}}}]\nrecoveryActions: [{{type: removeTaint, taint: {{key: a.io/hot}}}}]\n{more}"
            ),
        )
    };
    let pair = |one: (&str, &str), two: (&str, &str)| {
        sets("one", one.0, one.1) + &sets("two", two.0, two.1)
    };
    let worker = "nodeSelector: {matchLabels: {role: worker}}";
    check(&[
        (pair(("x", ""), ("x", "")), &[]),
        (
            pair(("x", ""), ("y", "")),
            &["error mark-conflict spec.actions[0].taint"],
        ),
        (
            pair(("x", "metadata: {priority: 5}"), ("y", "")),
            &["warning mark-conflict spec.actions[0].taint"],
        ),
        (
            pair(
                ("x", worker),
                ("y", "nodeSelector: {matchLabels: {role: gpu}}"),
            ),
            &[],
        ),
        (
            pair(
                ("x", worker),
                (
                    "y",
                    "nodeSelector: {matchExpressions: [{key: role, operator: Exists}]}",
                ),
            ),
            &["error mark-conflict spec.actions[0].taint"],
        ),
        (pair(("x", "metadata: {enabled: false}"), ("y", "")), &[]),
    ]);
    let label = |name: &str, value: &str| {
        rule(
            name,
            &format!(
                "actions: [{{type: label, label: {{labels: {{state: {value}}}}}}}]\nrecoveryActions: [{{type: removeLabel, label: {{keys: [state]}}}}]"
            ),
        )
    };
    let findings = findings_with(&(label("one", "hot") + &label("two", "full")), "{}", None);
    assert_eq!(
        findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "error: 2: NodeGuardianRule two: spec.actions[0].label.labels[\"state\"]: the label state is set to \"full\" here and to \"hot\" by one (1), \
          on nodes that both select; both have the same priority; use another key or effect, give the rules different priorities, \
          or let them select different nodes [mark-conflict]"
        ]
    );
}

#[test]
fn safety_limits_that_limit_nothing_or_everything() {
    let with = |limit: &str, more: &str| {
        rule(
            "r",
            &format!(
                "safety: {{maxNodes: {limit}}}\nactions: [{{type: cordon}}]\nrecoveryActions: [{{type: uncordon}}]\n{more}"
            ),
        )
    };
    let own = "warning safety-limit spec.safety.maxNodes";
    for (limit, more, configured, nodes, expected) in [
        ("1", "", "1", None, vec![]),
        ("20%", "", "30%", None, vec![]),
        ("100%", "", "30%", None, vec![own]),
        ("1%", "", "30%", None, vec![own]),
        ("5%", "", "30%", None, vec![]),
        ("5%", "", "30%", Some(10), vec![own]),
        ("10%", "", "30%", Some(10), vec![]),
        ("40%", "", "30%", None, vec![own]),
        ("3", "", "2", None, vec![own]),
        ("3", "", "30%", Some(3), vec![own]),
        ("3", "", "30%", Some(10), vec![]),
        (
            "2",
            "nodeSelector: {nodeNames: [a, b]}",
            "30%",
            None,
            vec![own],
        ),
        (
            "1",
            "nodeSelector: {nodeNames: [a, b]}",
            "30%",
            None,
            vec![],
        ),
        ("1", "nodeSelector: {nodeNames: [a]}", "30%", None, vec![]),
        (
            "1",
            "",
            "100%",
            None,
            vec!["warning safety-limit safety.maxNodes"],
        ),
    ] {
        let findings = findings_with(
            &with(limit, more),
            &format!("safety: {{maxNodes: {configured}}}"),
            nodes,
        );
        assert_eq!(
            short(&findings),
            expected,
            "{limit} {more} {configured} {nodes:?}: {findings:?}"
        );
    }
    check(&[(
        rule("r", "safety: {maxNodes: 1}\nactions: [{type: alert}]"),
        &[own],
    )]);
}

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
            template("{subject: '{{nodName}}'}"),
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
    assert_eq!(ng_lint::count(&objects(&yaml)), 7);
    let shipped = include_str!("../../../config/config.json");
    assert_eq!(findings_with(&yaml, shipped, None), vec![]);
}

#[test]
fn the_words_of_checks_and_levels_are_different() {
    let words: BTreeSet<&str> = Check::ALL.iter().map(|check| check.word()).collect();
    assert_eq!(words.len(), Check::ALL.len());
    assert_ne!(Level::Error.word(), Level::Warning.word());
}
