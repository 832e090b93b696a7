//! One object of each kind with every field filled in. No `..`: a new field has to be filled in here, too.

use std::collections::BTreeMap;

use ng_engine::rule::{NodeStatus, TaintEffect};
use ng_engine::spec::*;
use ng_engine::time::Time;
use serde_json::{Map, json};

fn text(text: &str) -> String {
    text.to_owned()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn map(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(text(key), text(value))])
}

fn condition() -> ConditionSpec {
    ConditionSpec {
        metric: text("cpuLoadRatio"),
        operator: text(">="),
        value: Some(Scalar::Number(1.5)),
        node_condition: text("Ready"),
        status: texts(&["False"]),
        duration: text("5m"),
        description: text("busy"),
    }
}

fn alert() -> AlertSpec {
    AlertSpec {
        enabled: Some(true),
        template: text("high-load"),
        channels: texts(&["email"]),
    }
}

fn action() -> ActionSpec {
    ActionSpec {
        kind: text("taint"),
        taint: Some(TaintSpec {
            key: text("example.com/busy"),
            value: Some(text("true")),
            effect: text("NoSchedule"),
        }),
        label: Some(LabelSpec {
            labels: map("a", "b"),
        }),
        annotation: Some(AnnotationSpec {
            annotations: map("a", "b"),
        }),
        evict: Some(EvictSpec {
            max_pods: Some(3),
            exclude_namespaces: texts(&["kube-system"]),
        }),
        drain: Some(DrainSpec {
            grace_period: Some(Scalar::Text(text("30s"))),
            timeout: text("5m"),
            delete_empty_dir_data: true,
            force: true,
        }),
        alert: Some(alert()),
    }
}

fn recovery_action() -> RecoveryActionSpec {
    let key = || KeySpec {
        key: text("example.com/busy"),
    };
    let keys = || KeysSpec {
        keys: texts(&["a"]),
    };
    RecoveryActionSpec {
        kind: text("removeTaint"),
        taint: Some(key()),
        untaint: Some(key()),
        label: Some(keys()),
        remove_label: Some(OldLabelsSpec {
            labels: Names(texts(&["a"])),
        }),
        annotation: Some(keys()),
        remove_annotation: Some(OldAnnotationsSpec {
            annotations: Names(texts(&["a"])),
        }),
        alert: Some(alert()),
    }
}

fn rule_spec() -> RuleSpec {
    RuleSpec {
        conditions: vec![condition()],
        condition_logic: text("AND"),
        node_selector: SelectorSpec {
            match_labels: map("a", "b"),
            match_expressions: vec![RequirementSpec {
                key: text("a"),
                operator: text("In"),
                values: texts(&["b"]),
            }],
            node_names: texts(&["worker-1"]),
        },
        actions: vec![action()],
        recovery_conditions: vec![condition()],
        recovery_condition_logic: text("OR"),
        recovery_actions: vec![recovery_action()],
        monitoring: MonitoringSpec {
            check_interval: text("30s"),
            cooldown_period: text("10m"),
            recovery_cooldown_period: text("2m"),
            metrics_source: MetricsSourceSpec {
                prometheus_url: text("http://prometheus:9090"),
                use_metrics_server: true,
            },
        },
        metadata: MetadataSpec {
            priority: Some(50),
            enabled: Some(true),
            description: text("a rule"),
            severity: text("critical"),
            tags: texts(&["production"]),
            dry_run: true,
        },
        safety: SafetySpec {
            max_nodes: Some(Scalar::Text(text("30%"))),
        },
    }
}

fn status_condition() -> StatusCondition {
    StatusCondition {
        kind: text("Valid"),
        status: NodeStatus::True,
        observed_generation: Some(3),
        last_transition_time: Some(Time::from_millis(0)),
        reason: text("Accepted"),
        message: text("good"),
    }
}

fn rule_status() -> RuleStatus {
    let now = Some(Time::from_millis(1_772_366_400_000));
    RuleStatus {
        phase: Some(Phase::Active),
        triggered_nodes: texts(&["worker-1"]),
        last_triggered: now,
        last_recovery: now,
        last_error: Some(text("trouble")),
        conditions: vec![status_condition()],
        observed_generation: Some(3),
        nodes: vec![NodeDetail {
            name: text("worker-1"),
            uid: text("u-1"),
            phase: NodePhase::Triggered,
            triggered_at: now,
            acted_at: now,
            recovered_at: now,
            repeats: 2,
            guard: Some(GuardDetail {
                name: text("maxNodes"),
                message: text("3 of 3"),
            }),
            admitted: true,
            marks: vec![Mark {
                kind: MarkKind::Taint,
                key: text("example.com/busy"),
                value: text("true"),
                effect: Some(TaintEffect::NoSchedule),
            }],
            owned: vec![OwnedMark {
                kind: MarkKind::Taint,
                key: text("example.com/busy"),
                value: text("true"),
                effect: Some(TaintEffect::NoSchedule),
                previous: Some(text("false")),
                shown: Some(text("earlier")),
                leaving: true,
            }],
        }],
    }
}

fn metadata() -> ObjectMeta {
    ObjectMeta {
        name: text("sample"),
        uid: text("u-2"),
        generation: 3,
        deletion_timestamp: Some(text("2026-03-01T12:00:00Z")),
    }
}

/// A rule with every field filled in.
pub(crate) fn full_rule() -> RuleObject {
    RuleObject {
        metadata: metadata(),
        spec: rule_spec(),
        status: Some(rule_status()),
    }
}

/// A template with every field filled in.
pub(crate) fn full_template() -> TemplateObject {
    TemplateObject {
        metadata: metadata(),
        spec: TemplateSpec {
            subject: text("s"),
            body: text("b"),
            channels: vec![
                ChannelSpec::Name(text("email")),
                ChannelSpec::Object(ChannelObject {
                    kind: text("webhook"),
                    enabled: Some(true),
                    url: text("http://receiver"),
                    headers: map("X-Team", "platform"),
                }),
            ],
            variables: Map::from_iter([(text("team"), json!("platform"))]),
            title: text("t"),
            summary: text("u"),
            description: text("d"),
            severity: text("critical"),
        },
        status: Some(TemplateStatus {
            conditions: vec![status_condition()],
            observed_generation: Some(3),
        }),
    }
}
