//! Rules as people write them: which are accepted, what becomes of them, and what is said of the others.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use ng_engine::rule::{
    Action, AlertAction, Comparison, Condition, Conditions, DrainAction, EvictAction,
    LabelOperator, Logic, MaxNodes, MetricsSource, NodeSelector, NodeStatus, RecoveryAction,
    Requirement, Rule, Severity, TaintAction, TaintEffect, Test, Threshold,
};
use ng_engine::spec::RuleObject;
use ng_engine::validate::{Defaults, Problem, validate};

fn object(spec_yaml: &str) -> RuleObject {
    let spec: serde_json::Value = serde_yaml::from_str(spec_yaml).unwrap();
    let object = serde_json::json!({
        "apiVersion": "nodeguardian.k8s.io/v1",
        "kind": "NodeGuardianRule",
        "metadata": {"name": "sample", "uid": "u-1", "generation": 3, "labels": {"a": "b"}},
        "spec": spec,
    });
    RuleObject::from_json(&object.to_string()).unwrap()
}

fn defaults() -> Defaults {
    Defaults {
        known_metrics: BTreeSet::from(["inodesUsedPercent".to_owned()]),
        ..Defaults::default()
    }
}

fn rule(spec_yaml: &str) -> Rule {
    validate(&object(spec_yaml), &defaults()).unwrap_or_else(|problems| {
        let problems: Vec<String> = problems.iter().map(Problem::to_string).collect();
        panic!("{spec_yaml}\n{problems:#?}")
    })
}

fn problems(spec_yaml: &str) -> Vec<String> {
    match validate(&object(spec_yaml), &defaults()) {
        Ok(rule) => panic!("accepted: {spec_yaml}\n{rule:#?}"),
        Err(problems) => problems.iter().map(Problem::to_string).collect(),
    }
}

/// A rule with one good condition and `rest`.
fn with(rest: &str) -> String {
    format!("conditions: [{{metric: cpuLoadRatio, operator: '>', value: 1}}]\n{rest}")
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn metric(metric: &str, comparison: Comparison, value: f64, seconds: u64) -> Condition {
    Condition {
        test: Test::Metric {
            metric: metric.to_owned(),
            comparison,
            threshold: Threshold::new(value).unwrap(),
        },
        duration: Duration::from_secs(seconds),
        description: String::new(),
    }
}

#[test]
fn the_least_rule_gets_every_default() {
    let expected = Rule {
        name: "sample".to_owned(),
        uid: "u-1".to_owned(),
        generation: 3,
        trigger: Conditions {
            logic: Logic::And,
            all: vec![metric("cpuLoadRatio", Comparison::GreaterThan, 1.0, 300)],
        },
        selector: NodeSelector::default(),
        actions: vec![],
        recovery: None,
        recovery_actions: vec![],
        check_interval: Duration::from_secs(30),
        cooldown: Duration::from_mins(10),
        recovery_cooldown: Duration::from_mins(2),
        source: MetricsSource::default(),
        priority: 100,
        enabled: true,
        description: String::new(),
        severity: Severity::Warning,
        tags: vec![],
        dry_run: false,
        max_nodes: None,
    };
    assert_eq!(rule(&with("")), expected);
}

#[test]
fn empty_means_the_default_too() {
    let spelled_out = with(
        "conditionLogic: ''
nodeSelector: {}
recoveryConditions: []
recoveryConditionLogic: ''
recoveryActions: []
actions: []
monitoring: {checkInterval: '', cooldownPeriod: '', recoveryCooldownPeriod: '', metricsSource: {prometheusURL: ''}}
metadata: {severity: '', tags: []}
safety: {maxNodes: ''}
somethingNew: {a: [1]}",
    );
    assert_eq!(rule(&spelled_out), rule(&with("")));
}

#[test]
fn a_rule_of_the_existing_system_is_accepted_unchanged() {
    let rule = rule(
        r#"
conditions:
  - {metric: "cpuLoadRatio", operator: "GreaterThan", value: 1.5, duration: "3m", description: "busy"}
  - {metric: "memoryUtilizationPercent", operator: "GreaterThan", value: 90, duration: "2m"}
conditionLogic: "AND"
nodeSelector: {matchLabels: {node-role.kubernetes.io/worker: "true"}}
actions:
  - {type: "taint", taint: {key: "nodeguardian/high-load", value: "true", effect: "NoSchedule"}}
  - {type: "alert", alert: {enabled: true, template: "high-load-alert", channels: ["webhook", "email"]}}
  - {type: "label", label: {labels: {nodeguardian.io/status: "high-load", nodeguardian.io/triggered-at: "{{ .timestamp }}"}}}
recoveryConditions:
  - {metric: "cpuLoadRatio", operator: "LessThan", value: 0.8, duration: "5m"}
recoveryActions:
  - {type: "removeTaint", taint: {key: "nodeguardian/high-load"}}
  - {type: "removeLabel", label: {keys: ["nodeguardian.io/status", "nodeguardian.io/triggered-at"]}}
  - {type: "alert", alert: {template: "recovery-alert", channels: ["log", "email"]}}
monitoring: {checkInterval: "30s", metricsSource: {prometheusURL: "http://prometheus-k8s.monitoring.svc:9090"}, cooldownPeriod: "10m"}
metadata: {priority: 100, enabled: true, description: "isolates", tags: ["production", "critical"]}
"#,
    );
    assert_eq!(rule.severity, Severity::Warning);
    assert_eq!(rule.tags, ["production", "critical"]);
    assert_eq!(
        rule.actions[0],
        Action::Taint(TaintAction {
            key: "nodeguardian/high-load".to_owned(),
            value: "true".to_owned(),
            effect: TaintEffect::NoSchedule,
        })
    );
    assert_eq!(
        rule.selector.labels,
        [Requirement {
            key: "node-role.kubernetes.io/worker".to_owned(),
            operator: LabelOperator::In(texts(&["true"])),
        }]
    );
    assert_eq!(
        rule.recovery_actions,
        [
            RecoveryAction::RemoveTaint("nodeguardian/high-load".to_owned()),
            RecoveryAction::RemoveLabel(texts(&[
                "nodeguardian.io/status",
                "nodeguardian.io/triggered-at"
            ])),
            RecoveryAction::Alert(AlertAction {
                template: "recovery-alert".to_owned(),
                channels: texts(&["log", "email"]),
            }),
        ]
    );
    assert_eq!(
        rule.source.prometheus_url.as_deref(),
        Some("http://prometheus-k8s.monitoring.svc:9090")
    );
}

#[test]
fn conditions_become_tests() {
    let node = Test::Node {
        condition: "Ready".to_owned(),
        statuses: vec![NodeStatus::False, NodeStatus::Unknown],
    };
    for (yaml, expected) in [
        (
            "{metric: inodesUsedPercent, operator: '!=', value: 3, duration: 0s}",
            metric("inodesUsedPercent", Comparison::NotEqualTo, 3.0, 0),
        ),
        (
            "{metric: podUtilizationPercent, operator: LessThanOrEqual, value: 0.5, duration: 1m30s}",
            metric(
                "podUtilizationPercent",
                Comparison::LessThanOrEqual,
                0.5,
                90,
            ),
        ),
        (
            "{nodeCondition: Ready, status: ['False', Unknown, 'False'], duration: 7d, description: down}",
            Condition {
                test: node,
                duration: Duration::from_hours(7 * 24),
                description: "down".to_owned(),
            },
        ),
    ] {
        let rule = rule(&format!("conditions: [{yaml}]\nconditionLogic: OR"));
        assert_eq!(rule.trigger.logic, Logic::Or);
        assert_eq!(rule.trigger.all, [expected], "{yaml}");
    }
}

#[test]
fn every_label_operator_is_read() {
    let rule = rule(&with(
        "nodeSelector:
  matchExpressions:
    - {key: a, operator: In, values: [x, '']}
    - {key: b, operator: NotIn, values: [y]}
    - {key: c, operator: Exists}
    - {key: d, operator: DoesNotExist, values: []}
    - {key: e, operator: Gt, values: ['-3']}
    - {key: f, operator: Lt, values: ['8']}
  nodeNames: [worker-1, worker-2.local]",
    ));
    let operators: Vec<LabelOperator> = rule
        .selector
        .labels
        .into_iter()
        .map(|requirement| requirement.operator)
        .collect();
    assert_eq!(
        operators,
        [
            LabelOperator::In(texts(&["x", ""])),
            LabelOperator::NotIn(texts(&["y"])),
            LabelOperator::Exists,
            LabelOperator::DoesNotExist,
            LabelOperator::Gt(-3),
            LabelOperator::Lt(8),
        ]
    );
    assert_eq!(rule.selector.names, ["worker-1", "worker-2.local"]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn actions_get_the_configured_defaults() {
    let drain = |grace_period, timeout| {
        Action::Drain(DrainAction {
            grace_period,
            timeout: Duration::from_secs(timeout),
            delete_empty_dir_data: false,
            force: false,
            exclude_namespaces: defaults().exclude_namespaces,
        })
    };
    let alert = |template: &str, channels: &[&str]| {
        Action::Alert(AlertAction {
            template: template.to_owned(),
            channels: texts(channels),
        })
    };
    let evict = |max_pods, namespaces: &[&str]| {
        Action::Evict(EvictAction {
            max_pods,
            exclude_namespaces: texts(namespaces),
        })
    };
    let usual = ["kube-system", "kube-public", "monitoring"];
    let taint = |key: &str, value: &str, effect| {
        Action::Taint(TaintAction {
            key: key.to_owned(),
            value: value.to_owned(),
            effect,
        })
    };
    for (yaml, expected) in [
        (
            "{type: taint, taint: {}}",
            taint("nodeguardian.io/status", "true", TaintEffect::NoSchedule),
        ),
        (
            "{type: taint, taint: {key: k, value: '', effect: NoExecute}}",
            taint("k", "", TaintEffect::NoExecute),
        ),
        (
            "{type: label, label: {labels: {a: not legal but made so}}}",
            Action::Label(vec![("a".to_owned(), "not legal but made so".to_owned())]),
        ),
        (
            "{type: annotation, annotation: {annotations: {x.io/a: '{{ nodeName }}'}}}",
            Action::Annotation(vec![("x.io/a".to_owned(), "{{ nodeName }}".to_owned())]),
        ),
        ("{type: cordon}", Action::Cordon),
        ("{type: evict, evict: {}}", evict(10, &usual)),
        (
            "{type: evict, evict: {maxPods: 3, excludeNamespaces: [a]}}",
            evict(3, &["a"]),
        ),
        ("{type: drain}", drain(None, 300)),
        (
            "{type: drain, drain: {gracePeriod: 30, timeout: 1m}}",
            drain(Some(Duration::from_secs(30)), 60),
        ),
        (
            "{type: drain, drain: {gracePeriod: '1m30s'}}",
            drain(Some(Duration::from_secs(90)), 300),
        ),
        ("{type: drain, drain: {gracePeriod: -1}}", drain(None, 300)),
        ("{type: alert}", alert("", &["log", "email"])),
        (
            "{type: alert, alert: {template: t, channels: [slack]}}",
            alert("t", &["slack"]),
        ),
    ] {
        let rule = rule(&with(&format!("actions: [{yaml}]")));
        assert_eq!(rule.actions, [expected], "{yaml}");
    }
}

#[test]
fn disabled_alerts_are_dropped() {
    let rule = rule(&with(
        "actions: [{type: alert, alert: {enabled: false}}, {type: cordon}]
recoveryActions: [{type: alert, alert: {enabled: false}}, {type: uncordon}]",
    ));
    assert_eq!(rule.actions, [Action::Cordon]);
    assert_eq!(rule.recovery_actions, [RecoveryAction::Uncordon]);
}

#[test]
fn both_spellings_of_recovery_are_one() {
    let keys = || texts(&["a", "b"]);
    for (yaml, expected) in [
        (
            "{type: removeTaint, taint: {key: k}}",
            RecoveryAction::RemoveTaint("k".to_owned()),
        ),
        (
            "{type: untaint, untaint: {key: k}}",
            RecoveryAction::RemoveTaint("k".to_owned()),
        ),
        (
            "{type: removeTaint, untaint: {key: k}}",
            RecoveryAction::RemoveTaint("k".to_owned()),
        ),
        (
            "{type: removeTaint, taint: {}}",
            RecoveryAction::RemoveTaint("nodeguardian.io/status".to_owned()),
        ),
        (
            "{type: removeLabel, label: {keys: [a, b]}}",
            RecoveryAction::RemoveLabel(keys()),
        ),
        (
            "{type: removeLabel, removeLabel: {labels: [a, b]}}",
            RecoveryAction::RemoveLabel(keys()),
        ),
        (
            "{type: removeLabel, removeLabel: {labels: {b: '', a: x}}}",
            RecoveryAction::RemoveLabel(keys()),
        ),
        (
            "{type: removeAnnotation, annotation: {keys: [a, b]}}",
            RecoveryAction::RemoveAnnotation(keys()),
        ),
        (
            "{type: removeAnnotation, removeAnnotation: {annotations: [a, b]}}",
            RecoveryAction::RemoveAnnotation(keys()),
        ),
        (
            "{type: removeAnnotation, removeAnnotation: {annotations: {a: 1, b: null}}}",
            RecoveryAction::RemoveAnnotation(keys()),
        ),
        ("{type: uncordon}", RecoveryAction::Uncordon),
    ] {
        let rule = rule(&with(&format!("recoveryActions: [{yaml}]")));
        assert_eq!(rule.recovery_actions, [expected], "{yaml}");
    }
}

#[test]
fn safety_limits_are_numbers_or_shares() {
    for (yaml, expected) in [
        ("1", Some(MaxNodes::Count(1))),
        ("4.0", Some(MaxNodes::Count(4))),
        ("'1%'", Some(MaxNodes::Percent(1))),
        ("'100%'", Some(MaxNodes::Percent(100))),
    ] {
        let rule = rule(&with(&format!("safety: {{maxNodes: {yaml}}}")));
        assert_eq!(rule.max_nodes, expected, "{yaml}");
    }
}

#[test]
fn a_problem_names_path_value_and_expectation() {
    let table = include_str!("data/problems.yaml");
    let cases: Vec<(String, Vec<String>)> = serde_yaml::from_str(table).unwrap();
    assert!(cases.len() > 50);
    let mut wrong = String::new();
    for (yaml, expected) in cases {
        let spec = if yaml.contains("conditions:") {
            yaml.clone()
        } else {
            with(&yaml)
        };
        let found = problems(&spec);
        if found != expected {
            let case = serde_yaml::to_string(&(yaml, found)).unwrap();
            wrong.push_str(&case);
        }
    }
    assert!(wrong.is_empty(), "found instead:\n{wrong}");
}

#[test]
fn an_action_without_a_block_takes_what_is_configured() {
    for (short, long) in [
        (
            "actions: [{type: taint}]",
            "actions: [{type: taint, taint: {}}]",
        ),
        (
            "actions: [{type: evict}]",
            "actions: [{type: evict, evict: {}}]",
        ),
        (
            "recoveryActions: [{type: removeTaint}, {type: untaint}]",
            "recoveryActions: [{type: removeTaint, taint: {}}, {type: untaint, untaint: {key: ''}}]",
        ),
    ] {
        assert_eq!(rule(&with(short)), rule(&with(long)), "{short}");
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    let found = problems(
        "conditions: [{metric: cpu, operator: above, value: high, duration: soon}, {}]
conditionLogic: XOR
actions: [{type: taint, drain: {}}, {type: explode}]
monitoring: {checkInterval: 10ms}
metadata: {severity: fatal}
safety: {maxNodes: 0}",
    );
    let paths: Vec<&str> = found
        .iter()
        .map(|problem| problem.split_once(": ").unwrap().0)
        .collect();
    assert_eq!(
        paths,
        [
            "spec.conditionLogic",
            "spec.conditions[0].metric",
            "spec.conditions[0].operator",
            "spec.conditions[0].value",
            "spec.conditions[0].duration",
            "spec.conditions[1]",
            "spec.monitoring.checkInterval",
            "spec.actions[0].taint",
            "spec.actions[1].type",
            "spec.metadata.severity",
            "spec.safety.maxNodes",
        ]
    );
}

#[test]
fn ten_thousand_conditions_are_one_problem() {
    let condition = "{metric: nonsense, operator: '?', value: x}";
    let spec = format!("conditions: [{}]", vec![condition; 10_000].join(", "));
    assert_eq!(
        problems(&spec),
        ["spec.conditions: expected at most 256 items, found 10000"]
    );
}

#[test]
fn an_address_in_a_problem_hides_its_password() {
    let found = problems(&with(
        "monitoring: {metricsSource: {prometheusURL: 'ftp://user:hunter2@host'}}",
    ));
    assert_eq!(
        found,
        [
            "spec.monitoring.metricsSource.prometheusURL: expected an address such as \
             \"http://prometheus.monitoring.svc:9090\""
        ]
    );
}
