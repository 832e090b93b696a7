//! The overlays and components, and the chart beside them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use ng_tests::Clients;
use ng_tests::manifests::{Profile, checkout, kustomize, template};
use ng_tests::server::write_file;

use crate::objects::{Objects, by_name, configuration, configuration_text, count, one, plain, pod};

/// Components, and the arguments of the chart that mean the same.
const COMPONENTS: [(&str, &str); 6] = [
    ("persistence", "persistence.enabled=true"),
    (
        "priority-class",
        "priorityClass.create=true,priorityClass.name=nodeguardian",
    ),
    ("pod-monitor", "podMonitor.enabled=true"),
    ("service-monitor", "serviceMonitor.enabled=true"),
    ("prometheus-rule", "prometheusRule.enabled=true"),
    ("dashboards", "dashboards.enabled=true"),
];

/// What an overlay with these components would apply.
pub(crate) fn overlay(kubectl: &Path, profile: Profile, components: &[&str]) -> Result<Objects> {
    let dir = tempfile::tempdir()?;
    let place = dir.path().canonicalize()?;
    // Kustomize takes no absolute paths.
    let up = "../".repeat(place.components().count() - 1);
    let path = |path: &str| -> Result<String> {
        let absolute = checkout(path).canonicalize()?;
        Ok(format!(
            "{up}{}",
            absolute.display().to_string().trim_start_matches('/')
        ))
    };
    let components: Result<Vec<String>> = components
        .iter()
        .map(|name| path(&format!("deploy/components/{name}")))
        .collect();
    let kustomization = serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": [path(profile.overlay())?], "components": components?,
    });
    write_file(&place.join("kustomization.yaml"), kustomization.to_string())?;
    by_name(kustomize(kubectl, &place)?)
}

/// Fails with every object that is not the same in both.
fn same(overlay: &Objects, chart: &Objects) -> Result<()> {
    let names: BTreeSet<String> = overlay.keys().chain(chart.keys()).cloned().collect();
    let configurations = (configuration(overlay)?, configuration(chart)?);
    ensure!(
        configurations.0 == configurations.1,
        "configuration: {:#?} and {:#?}",
        configurations.0,
        configurations.1
    );
    for name in names {
        // Helm makes the namespace itself; and that both configurations mean the same was compared.
        if name.starts_with("Namespace ") || name.ends_with("/nodeguardian-config") {
            continue;
        }
        let one = overlay.get(&name).cloned().map(plain);
        let other = chart.get(&name).cloned().map(plain);
        ensure!(one == other, "{name}: overlay {one:#?}, chart {other:#?}");
    }
    Ok(())
}

#[test]
fn kubectl_apply_k_deploy_is_the_full_overlay_with_the_shipped_configuration() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    let objects = by_name(kustomize(&clients.kubectl, &checkout("deploy"))?)?;
    ensure!(objects == overlay(&clients.kubectl, Profile::Full, &[])?);
    let shipped = std::fs::read_to_string(checkout("config/config.json"))?;
    ensure!(
        configuration_text(&objects)? == shipped,
        "not word for word"
    );
    ensure!(count(&objects, "CustomResourceDefinition") == 2);
    Ok(())
}

#[test]
fn chart_and_overlays_are_the_same_for_every_profile() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    for profile in Profile::ALL {
        let set = format!("profile={}", profile.value());
        let chart = by_name(template(&clients.helm, &["--set", &set])?)?;
        same(&overlay(&clients.kubectl, profile, &[])?, &chart).context(set)?;
    }
    // The defaults of the chart are the profile full.
    let chart = by_name(template(&clients.helm, &[])?)?;
    same(&overlay(&clients.kubectl, Profile::Full, &[])?, &chart)
}

#[test]
fn chart_and_components_are_the_same() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    for (component, values) in COMPONENTS {
        let chart = by_name(template(&clients.helm, &["--set", values])?)?;
        let overlay = overlay(&clients.kubectl, Profile::Full, &[component])?;
        let without = by_name(template(&clients.helm, &[])?)?;
        ensure!(chart != without, "{values} changes nothing");
        same(&overlay, &chart).with_context(|| component.to_owned())?;
    }
    let names = COMPONENTS.map(|(component, _)| component);
    let known: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(checkout("deploy/components"))? {
        found.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    ensure!(found == known, "{found:?}");
    // All at once but for one of the monitors: no component undoes another.
    for left_out in ["pod-monitor", "service-monitor"] {
        let taken = COMPONENTS.into_iter().filter(|(name, _)| *name != left_out);
        let (names, values): (Vec<_>, Vec<_>) = taken.unzip();
        let chart = by_name(template(&clients.helm, &["--set", &values.join(",")])?)?;
        same(&overlay(&clients.kubectl, Profile::Full, &names)?, &chart)
            .with_context(|| format!("without {left_out}"))?;
    }
    Ok(())
}

#[test]
fn an_overlay_has_only_its_rights_and_without_those_to_act_it_pretends() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    for profile in Profile::ALL {
        let objects = overlay(&clients.kubectl, profile, &[])?;
        let pretends = configuration(&objects)?.safety.dry_run;
        ensure!(pretends != profile.acts(), "{profile:?}: {pretends}");
        let wanted: BTreeSet<String> = profile
            .steps()
            .iter()
            .map(|step| format!("ClusterRole /nodeguardian-{}", step.word()))
            .collect();
        let found: BTreeSet<String> = objects
            .keys()
            .filter(|name| name.starts_with("ClusterRole "))
            .cloned()
            .collect();
        ensure!(found == wanted, "{profile:?}: {found:?}");
        let mounts_secret = pod(&objects)?["volumes"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|volume| volume["secret"].is_object());
        ensure!(mounts_secret == (profile != Profile::Detect), "{profile:?}");
    }
    Ok(())
}

#[test]
fn what_selects_pods_selects_the_deployments() -> Result<()> {
    let Some(clients) = Clients::for_test()? else {
        return Ok(());
    };
    let monitors = ["pod-monitor", "service-monitor"];
    let objects = overlay(&clients.kubectl, Profile::Full, &monitors)?;
    let deployment = one(&objects, "Deployment")?;
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    for (kind, pointer) in [
        ("Deployment", "/spec/selector/matchLabels"),
        ("Service", "/spec/selector"),
        ("NetworkPolicy", "/spec/podSelector/matchLabels"),
        ("PodMonitor", "/spec/selector/matchLabels"),
    ] {
        let selected = one(&objects, kind)?.pointer(pointer);
        ensure!(selected == Some(labels), "{kind}: {selected:?}");
    }
    let port = &pod(&objects)?["containers"][0]["ports"][0]["name"];
    ensure!(one(&objects, "Service")?["spec"]["ports"][0]["targetPort"] == *port);
    ensure!(one(&objects, "NetworkPolicy")?["spec"]["ingress"][0]["ports"][0]["port"] == *port);
    let service = one(&objects, "Service")?;
    let selected = &one(&objects, "ServiceMonitor")?["spec"]["selector"]["matchLabels"];
    ensure!(
        *selected == service["metadata"]["labels"],
        "ServiceMonitor: {selected}"
    );
    let service_port = &service["spec"]["ports"][0]["name"];
    for (kind, list, port) in [
        ("PodMonitor", "podMetricsEndpoints", port),
        ("ServiceMonitor", "endpoints", service_port),
    ] {
        let endpoints = one(&objects, kind)?["spec"][list].as_array();
        for endpoint in endpoints.with_context(|| format!("{kind}: no {list}"))? {
            ensure!(endpoint["port"] == *port, "{kind}: {endpoint}");
        }
    }
    Ok(())
}
