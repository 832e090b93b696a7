//! What a real API server says to everything that is rendered.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ng_tests::manifests::{Profile, checkout, kustomize, objects, template, told};
use ng_tests::server::write_file;
use ng_tests::{Api, Clients, Stack, Tools};
use serde_json::{Value, json};

use crate::objects::{by_name, one, pod};
use crate::overlays::overlay;

/// Components that go together; with them one of the monitors, which the chart calls so.
const COMPONENTS: [&str; 4] = [
    "persistence",
    "priority-class",
    "prometheus-rule",
    "dashboards",
];
const MONITORS: [(&str, &str); 2] = [
    ("pod-monitor", "podMonitor"),
    ("service-monitor", "serviceMonitor"),
];
/// Values that render every template.
const EVERYTHING: &str = "persistence.enabled=true,priorityClass.create=true,priorityClass.name=nodeguardian,\
    prometheusRule.enabled=true,dashboards.enabled=true,secret.data.slack-webhook-url=u,\
    networkPolicy.egress[0].ports[0].port=443";

/// An API server with the namespace as it is shipped and the kinds of the Prometheus operator.
fn server() -> Result<Option<(Stack, Clients)>> {
    let (Some(tools), Some(clients)) = (Tools::for_test()?, Clients::for_test()?) else {
        return Ok(None);
    };
    let stack = Stack::builder(tools)
        .manifest(checkout("deploy/base/namespace.yaml"))
        .manifest(checkout("tests/tests/data/prometheus-operator.yaml"))
        .start()?;
    Ok(Some((stack, clients)))
}

fn every_one(api: &Api, objects: &[Value]) -> Result<()> {
    ensure!(!objects.is_empty(), "nothing was rendered");
    for object in objects {
        let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
        api.dry_run(object).context(name)?;
    }
    Ok(())
}

#[test]
fn everything_that_is_rendered_is_accepted() -> Result<()> {
    let Some((stack, clients)) = server()? else {
        return Ok(());
    };
    let api = stack.api();
    every_one(api, &kustomize(&clients.kubectl, &checkout("deploy"))?)?;
    for profile in Profile::ALL {
        for (monitor, value) in MONITORS {
            let components = [&COMPONENTS[..], &[monitor]].concat();
            let overlay = overlay(&clients.kubectl, profile, &components)?;
            every_one(api, &overlay.into_values().collect::<Vec<_>>())?;
            let set = format!(
                "profile={},{value}.enabled=true,{EVERYTHING}",
                profile.value()
            );
            every_one(api, &template(&clients.helm, &["--set", &set])?)?;
        }
    }
    let secret = std::fs::read_to_string(checkout("deploy/secret.example.yaml"))?;
    every_one(api, &objects(&secret)?)?;
    // A dry run that takes anything would say nothing.
    let mut broken = kustomize(&clients.kubectl, &checkout("deploy"))?;
    broken.retain(|object| object["kind"] == "Deployment");
    broken[0]["spec"]["template"]["spec"]["tolerance"] = json!([]);
    ensure!(
        every_one(api, &broken).is_err(),
        "an unknown field was taken"
    );
    Ok(())
}

/// A change of the pod, as where and what; each makes it more than the level "restricted" allows.
fn weakened() -> Vec<(&'static str, Value)> {
    vec![
        ("/securityContext/seccompProfile/type", json!("Unconfined")),
        ("/securityContext/runAsNonRoot", json!(false)),
        ("/securityContext/runAsUser", json!(0)),
        (
            "/containers/0/securityContext/allowPrivilegeEscalation",
            json!(true),
        ),
        ("/containers/0/securityContext/capabilities/drop", json!([])),
        (
            "/containers/0/securityContext/capabilities",
            json!({"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
        ),
        (
            "/containers/0/ports/0",
            json!({"containerPort": 9115, "hostPort": 9115}),
        ),
        (
            "/volumes/0",
            json!({"name": "config", "hostPath": {"path": "/"}}),
        ),
    ]
}

#[test]
fn the_namespace_takes_our_pod_and_none_that_is_weakened() -> Result<()> {
    let Some((stack, clients)) = server()? else {
        return Ok(());
    };
    let api = stack.api();
    let objects = overlay(&clients.kubectl, Profile::Full, &[])?;
    api.apply_object(one(&objects, "ServiceAccount")?)?;
    let template = &one(&objects, "Deployment")?["spec"]["template"];
    let as_pod = |spec: &Value| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "spec": spec,
            "metadata": {
                "name": "nodeguardian-test", "namespace": "nodeguardian-system",
                "labels": template["metadata"]["labels"],
            },
        })
    };
    let spec = pod(&objects)?;
    let admitted = api.dry_run(&as_pod(spec))?;
    ensure!(
        admitted["spec"]["priority"].as_i64() > Some(0),
        "no priority: {admitted}"
    );
    for (pointer, value) in weakened() {
        let mut spec = spec.clone();
        let place = spec
            .pointer_mut(pointer)
            .with_context(|| format!("no {pointer}"))?;
        ensure!(*place != value, "{pointer} is {value} already");
        *place = value;
        let Err(error) = api.dry_run(&as_pod(&spec)) else {
            anyhow::bail!("{pointer}: a weakened pod was admitted");
        };
        let text = format!("{error:#}");
        ensure!(
            text.contains("violates PodSecurity \"restricted"),
            "{pointer}: {text}"
        );
    }
    Ok(())
}

#[test]
fn prometheus_takes_the_rules_of_both() -> Result<()> {
    let (Some(promtool), Some(clients)) = (Tools::promtool_for_test()?, Clients::for_test()?)
    else {
        return Ok(());
    };
    let dir = tempfile::tempdir()?;
    let chart = by_name(template(
        &clients.helm,
        &["--set", "prometheusRule.enabled=true"],
    )?)?;
    let overlay = overlay(&clients.kubectl, Profile::Full, &["prometheus-rule"])?;
    for (name, objects) in [("chart.yaml", chart), ("overlay.yaml", overlay)] {
        let file = dir.path().join(name);
        write_file(&file, one(&objects, "PrometheusRule")?["spec"].to_string())?;
        let output = Command::new(&promtool)
            .args(["check", "rules"])
            .arg(&file)
            .output()?;
        told(output).with_context(|| name.to_owned())?;
    }
    Ok(())
}
