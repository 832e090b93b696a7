//! The project's own manifests against a real API server.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use ng_tests::manifests::Step;
use ng_tests::objects::create_nodes;
use ng_tests::{Api, Node, Stack, Tools};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn crds_rights_and_examples_are_accepted() -> Result<()> {
    let Some(tools) = Tools::for_test()? else {
        return Ok(());
    };
    let mut stack = Stack::builder(tools)
        .manifests_in(project("config/crd"))?
        .shipped_rights(&Step::ALL)
        .start()?;
    let mut examples = Vec::new();
    for entry in std::fs::read_dir(project("config/examples"))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            examples.push(path);
        }
    }
    ensure!(!examples.is_empty(), "no examples");
    for path in examples {
        let text = std::fs::read_to_string(&path)?;
        stack
            .api()
            .apply(&text)
            .with_context(|| path.display().to_string())?;
    }
    let rules = "/apis/nodeguardian.k8s.io/v1/nodeguardianrules";
    let hooks = stack
        .cluster()
        .as_service_account("nodeguardian-system", "nodeguardian")?;
    ensure!(!hooks.list(rules)?.is_empty(), "the hooks see no rule");
    let nodes: Vec<_> = (0..50)
        .map(|number| Node::new(&format!("node-{number:03}")))
        .collect();
    create_nodes(stack.api(), &nodes)?;
    let listed = hooks
        .list("/api/v1/nodes")
        .context("the hooks may not list nodes")?;
    ensure!(listed.len() == nodes.len(), "{} nodes", listed.len());
    they_may_do_no_more_than_they_need(&hooks)
}

/// Some of what the hooks need, and much of what they do not.
fn they_may_do_no_more_than_they_need(hooks: &Api) -> Result<()> {
    let by_name = "?fieldSelector=metadata.name%3Dnodeguardian-config";
    hooks
        .list(&format!("/api/v1/configmaps{by_name}"))
        .context("the hooks may not list the ConfigMap of every namespace")?;
    let attempts = [
        ("delete nodes", hooks.delete("/api/v1/nodes/n1").err()),
        (
            "list every ConfigMap",
            hooks.list("/api/v1/configmaps").err(),
        ),
        (
            "list Secrets",
            hooks
                .list("/api/v1/namespaces/nodeguardian-system/secrets")
                .err(),
        ),
        (
            "delete pods",
            hooks
                .delete("/api/v1/namespaces/nodeguardian-system/pods/p1")
                .err(),
        ),
        (
            "delete rules",
            hooks
                .delete("/apis/nodeguardian.k8s.io/v1/nodeguardianrules/r1")
                .err(),
        ),
    ];
    for (what, error) in attempts {
        let code = error.and_then(|error| error.code());
        ensure!(code == Some(403), "the hooks may {what}: {code:?}");
    }
    Ok(())
}
