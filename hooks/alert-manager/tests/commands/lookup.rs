//! What a direct call asks of the cluster and of the state: its template, and the largest pods.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::{self, Api};
use crate::support::{Desk, NOW, template};
use crate::{Done, RULE, call};

/// A template and what it makes of the rule above.
fn shout() -> Value {
    template(
        "shout",
        &json!({"subject": "LOUD {{ .ruleName }}", "body": "{{ .triggeredNodes }}!"}),
    )
}

fn remember(desk: &Desk, object: &Value) {
    let mut store = desk.store();
    let mut transaction = store.begin().expect("a transaction");
    let templates = BTreeMap::from([("shout".to_owned(), object.to_string())]);
    transaction
        .set_templates(&templates)
        .expect("templates are kept");
    transaction.commit().expect("the commit");
}

/// Calls for the template `shout` with these credentials and this one remembered.
fn look_up(kubeconfig: Option<&str>, remembered: Option<&Value>) -> Done {
    let desk = Desk::new("");
    if let Some(object) = remembered {
        remember(&desk, object);
    }
    let file = desk.path("kubeconfig").display().to_string();
    let mut variables = Vec::new();
    if let Some(text) = kubeconfig {
        desk.put("kubeconfig", text);
        variables.push(("KUBECONFIG", file.as_str()));
    }
    let arguments = ["shout", RULE, r#"["n1", "n2"]"#, r#"["log"]"#];
    call(&desk, &arguments, &variables)
}

#[test]
fn a_template_is_found_in_the_cluster_else_among_those_last_seen() {
    let old = template("shout", &json!({"subject": "OLD {{ruleName}}"}));
    let path = "/apis/nodeguardian.k8s.io/v1/alerttemplates/shout";
    let has = Api::start(move |target| (target == path).then(shout));
    let has_not = Api::start(|_| None);
    // A port that is free now may be handed to the server of another test a moment later; this one never is.
    let nobody = "127.0.0.1:1";
    for (name, kubeconfig, remembered, expected, complaints) in [
        (
            "in the cluster",
            Some(has.kubeconfig()),
            Some(&old),
            "LOUD hot",
            0,
        ),
        (
            "gone from the cluster",
            Some(has_not.kubeconfig()),
            Some(&old),
            "hot: 2 nodes triggered",
            1,
        ),
        (
            "unreachable, remembered",
            Some(api::kubeconfig(nobody)),
            Some(&old),
            "OLD hot",
            1,
        ),
        (
            "unreachable, unknown",
            Some(api::kubeconfig(nobody)),
            None,
            "hot: 2 nodes triggered",
            2,
        ),
        (
            "broken credentials",
            Some("{".to_owned()),
            Some(&old),
            "OLD hot",
            1,
        ),
        ("no credentials, remembered", None, Some(&old), "OLD hot", 0),
    ] {
        let done = look_up(kubeconfig.as_deref(), remembered);
        assert_eq!(done.status, Some(0), "{name}: {done:?}");
        assert!(done.stdout.contains(expected), "{name}: {done:?}");
        assert_eq!(done.complaints(), complaints, "{name}: {done:?}");
        assert!(!done.stderr.contains("secret-token"), "{name}: {done:?}");
    }
    assert_eq!(has.targets(), [path]);
}

#[test]
fn a_broken_template_is_told_and_the_alert_goes_out() {
    let desk = Desk::new("");
    remember(
        &desk,
        &template(
            "shout",
            &json!({"subject": "s", "body": "{{#if x}}", "channels": ["log"]}),
        ),
    );
    let done = call(&desk, &["shout", RULE, r#"["n1"]"#, "[]"], &[]);
    assert_eq!(done.status, Some(0), "{done:?}");
    assert!(done.stdout.contains("hot: n1 triggered"), "{done:?}");
    assert!(
        done.stderr.contains("body: line 1, column 1") && done.complaints() == 1,
        "{done:?}"
    );
    remember(
        &desk,
        &json!({"metadata": {"name": "shout"}, "spec": {"body": 5}}),
    );
    let done = call(&desk, &["shout", RULE, r#"["n1"]"#, r#"["log"]"#], &[]);
    assert_eq!((done.status, done.complaints()), (Some(0), 1), "{done:?}");
}

/// Pods of `n1` and `n2`, and what they use.
fn cluster(target: &str) -> Option<Value> {
    let pod =
        |namespace: &str, name: &str| json!({"metadata": {"namespace": namespace, "name": name}});
    let usage = |namespace: &str, name: &str, containers: &[(&str, &str)]| {
        let containers: Vec<Value> = containers
            .iter()
            .map(|(cpu, memory)| json!({"name": "c", "usage": {"cpu": cpu, "memory": memory}}))
            .collect();
        json!({"metadata": {"namespace": namespace, "name": name}, "timestamp": NOW, "containers": containers})
    };
    if target == "/apis/metrics.k8s.io/v1beta1/pods" {
        return Some(json!({"kind": "PodMetricsList", "metadata": {}, "items": [
            usage("a", "small", &[("1m", "1Mi")]),
            usage("a", "large", &[("250m", "1Gi"), ("250m", "512Mi")]),
            usage("b", "large", &[("100m", "700Mi")]),
            usage("b", "elsewhere", &[("9", "90Gi")]),
        ]}));
    }
    if target.ends_with("/alerttemplates/pods") {
        return Some(template(
            "pods",
            &json!({
                "subject": "{{nodeName}}",
                "body": "{{#each topPods}}{{namespace}}/{{name}} {{cpu}} {{memory}}; {{else}}none{{/each}}"
            }),
        ));
    }
    if target.starts_with("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&") {
        return Some(
            json!({"kind": "PodList", "metadata": {}, "items": [pod("a", "small"), pod("a", "large"), pod("b", "large"), pod("b", "pending")]}),
        );
    }
    (target.starts_with("/api/v1/pods?fieldSelector=spec.nodeName%3Dn2&"))
        .then(|| json!({"kind": "PodList", "metadata": {}, "items": []}))
}

#[test]
fn the_largest_pods_are_fetched_for_templates_that_show_them() {
    let direct =
        |template: &'static str, nodes: &'static str| [template, RULE, nodes, r#"["log"]"#];
    let many = r#"["n9", "n8", "n7", "n6", "n5", "n4"]"#;
    for (arguments, works, expected, requests, complaints) in [
        (
            direct("pods", r#"["n1"]"#),
            true,
            "a/large 500m 1536Mi; b/large 100m 700Mi; a/small 1m 1Mi;",
            3,
            0,
        ),
        (direct("pods", r#"["n2"]"#), true, "none", 2, 0),
        (
            direct("other", r#"["n1"]"#),
            true,
            "hot: n1 triggered",
            1,
            1,
        ),
        // Only a few nodes are asked for; each that fails is told.
        (direct("pods", many), true, "none", 4, 3),
        (direct("pods", r#"["n1"]"#), false, "none", 3, 1),
    ] {
        let api = Api::start(move |target| {
            let usage = target.contains("metrics.k8s.io");
            (works || !usage).then(|| cluster(target)).flatten()
        });
        let desk = Desk::new("");
        desk.put("kubeconfig", &api.kubeconfig());
        let file = desk.path("kubeconfig").display().to_string();
        let done = call(&desk, &arguments, &[("KUBECONFIG", &file)]);
        assert_eq!(done.status, Some(0), "{arguments:?}: {done:?}");
        assert!(done.stdout.contains(expected), "{arguments:?}: {done:?}");
        assert_eq!(api.targets().len(), requests, "{:?}", api.targets());
        assert_eq!(done.complaints(), complaints, "{arguments:?}: {done:?}");
    }
}
