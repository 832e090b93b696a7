//! Marks, conflicts and safety limits.

use crate::support::{check, findings_with, rule, short};

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
