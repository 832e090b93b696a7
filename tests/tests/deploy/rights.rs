//! Least privilege, shown from both sides: under each profile the hooks go through what the profile is for, as the
//! service account that is shipped. What they asked the API server for is exactly what they were given; and each
//! right, taken away, makes the request that needed it fail.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use ng_tests::audit::Request;
use ng_tests::manifests::{Profile, Step, checkout, objects, told};
use ng_tests::{Api, Clients, Load, Pod, Stack, Tools, program, wait_until};
use serde_json::{Value, json};

use crate::objects::{configuration_text, items, word};
use crate::overlays::overlay;
use crate::rig::{HOT, LIMIT, Receiver, Rig, TAINT, rule, taint};

const NAMESPACE: &str = "nodeguardian-system";
const ACCOUNT: &str = "nodeguardian";
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const PODS: [&str; 2] = ["api-1", "api-2"];

/// `patch nodes`, `get nodes.metrics.k8s.io`: a verb, and the resource with its group.
fn right(verb: &str, group: &str, resource: &str) -> String {
    let dot = if group.is_empty() { "" } else { "." };
    format!("{verb} {resource}{dot}{group}")
}

/// Everything that the roles of these steps give.
fn granted(steps: &[Step]) -> Result<BTreeSet<String>> {
    let mut rights = BTreeSet::new();
    for step in steps {
        for role in roles(*step)? {
            for rule in items(&role["rules"]) {
                for (verb, group, resource) in parts(rule) {
                    rights.insert(right(verb, group, resource));
                }
            }
        }
    }
    Ok(rights)
}

/// The roles of a step.
fn roles(step: Step) -> Result<Vec<Value>> {
    let mut all = objects(&std::fs::read_to_string(step.rights())?)?;
    all.retain(|object| ["Role", "ClusterRole"].contains(&word(&object["kind"])));
    ensure!(!all.is_empty(), "{step:?}: no role");
    Ok(all)
}

/// Verb, group and resource of everything that one rule of a role gives.
fn parts(rule: &Value) -> Vec<(&str, &str, &str)> {
    let mut parts = Vec::new();
    for group in items(&rule["apiGroups"]) {
        for resource in items(&rule["resources"]) {
            let verbs = items(&rule["verbs"]);
            parts.extend(verbs.map(|verb| (word(verb), word(group), word(resource))));
        }
    }
    parts
}

/// The same role without one right.
fn without(role: &Value, missing: &str) -> Value {
    let mut rules = Vec::new();
    for rule in items(&role["rules"]) {
        for (verb, group, resource) in parts(rule) {
            if right(verb, group, resource) != missing {
                let mut one = rule.clone();
                one["verbs"] = json!([verb]);
                one["apiGroups"] = json!([group]);
                one["resources"] = json!([resource]);
                rules.push(one);
            }
        }
    }
    let mut role = role.clone();
    role["rules"] = Value::Array(rules);
    role
}

/// What the hooks asked for so far, by the right that it takes; what was refused, too.
fn asked(rig: &mut Rig, from: usize) -> Result<BTreeMap<String, Request>> {
    let user = rig.stack.hook_user().to_owned();
    let mut asked = BTreeMap::new();
    for request in rig.stack.cluster().requests()?.into_iter().skip(from) {
        // Everybody may ask what they may do.
        if request.user != user || request.resource == "selfsubjectaccessreviews" {
            continue;
        }
        let right = right(&request.verb, &request.group, &request.resource);
        ensure!(request.code != 403, "{right} was refused: {}", request.uri);
        asked.insert(right, request);
    }
    Ok(asked)
}

/// The world that the hooks find: objects that make each of their requests worth making.
fn prepare(rig: &mut Rig) -> Result<()> {
    rig.stack.cluster().ensure_namespace("shop")?;
    rig.stack.start_kubelet(Duration::ZERO);
    for name in PODS {
        Pod::new("shop", name, HOT).create(&rig.api)?;
        rig.api.apply_object(&json!({
            "apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics",
            "metadata": {"name": name, "namespace": "shop"},
            "containers": [{"name": "main", "usage": {"cpu": "100m", "memory": "64Mi"}}],
        }))?;
    }
    rig.api.apply_object(&json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": HOT, "namespace": "kube-node-lease"},
    }))?;
    template(rig, "with-pods")
}

/// A template that names the largest pods.
fn template(rig: &Rig, name: &str) -> Result<()> {
    rig.api.apply_object(&json!({
        "apiVersion": "nodeguardian.k8s.io/v1", "kind": "AlertTemplate", "metadata": {"name": name},
        "spec": {"subject": "{{ruleName}}", "body": "{{#each topPods}}{{name}} {{/each}}"},
    }))?;
    Ok(())
}

/// What the profile is for, from load to recovery; returns when all of it has happened.
fn go_through(rig: &mut Rig, profile: Profile, receiver: &Receiver) -> Result<()> {
    let name = format!("hot-{}", profile.value());
    let alert =
        json!({"type": "alert", "alert": {"template": "with-pods", "channels": ["webhook"]}});
    let mut actions = vec![taint(), alert];
    if profile != Profile::Cordon {
        actions.push(json!({"type": "evict", "evict": {"maxPods": 1}}));
    }
    rig.api.apply_object(&rule(&name, &Value::Array(actions)))?;
    let gone = format!("gone-{}", profile.value());
    rig.api.apply_object(&rule(
        &gone,
        &json!([{"type": "alert", "alert": {"channels": ["log"]}}]),
    ))?;
    // A new one, of which the status has to say whether it is valid.
    template(rig, &name)?;
    rig.heat()?;
    rig.stack.operator().start()?;
    let status = rig.wait_held(&name, true)?;
    rig.wait_event("default", "RuleTriggered")?;
    if profile.acts() {
        rig.wait_taint(true)?;
    } else {
        ensure!(
            status["nodes"][0].to_string().contains("dryRun"),
            "{status}"
        );
    }
    if profile == Profile::Cordon {
        clean_up(rig)?;
    }
    if profile == Profile::Full {
        wait_until(LIMIT, "an eviction", || {
            let left = rig.api.list("/api/v1/namespaces/shop/pods")?;
            ensure!(left.len() < PODS.len(), "{} pods", left.len());
            Ok(())
        })?;
    }
    if profile != Profile::Detect {
        let message = receiver.wait(&name)?;
        let pods = &message["nodes"][0]["topPods"];
        ensure!(items(pods).count() > 0, "no pods in {message}");
        call(rig)?;
    }
    rig.wait_held(&gone, true)?;
    leave(rig, &gone)?;
    publish(rig)?;
    rig.wait_monitored(5.0)?;
    rig.load(Load::default(), false)?;
    rig.wait_held(&name, false)?;
    rig.wait_taint(false)?;
    rig.stack.operator().kill();
    if profile == Profile::Detect {
        ensure!(receiver.about(&name).is_empty(), "somebody was told");
    }
    rig.delete_rule(&name)
}

/// Takes everything off, as before NodeGuardian is removed: the pod that does so has the rights that NodeGuardian had.
fn clean_up(rig: &mut Rig) -> Result<()> {
    rig.stack.operator().kill();
    let kubeconfig = account(rig)?;
    let output = Command::new(program("ng-replay", "replay")?)
        .arg("cleanup")
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .output()?;
    told(output)?;
    rig.wait_taint(false)?;
    rig.stack.operator().start()
}

/// How the hooks' account reaches the cluster.
fn account(rig: &mut Rig) -> Result<PathBuf> {
    let kubeconfig = rig.stack.dir().join("call.kubeconfig");
    let cluster = rig.stack.cluster();
    cluster.write_kubeconfig(&kubeconfig, NAMESPACE, ACCOUNT)?;
    Ok(kubeconfig)
}

/// Deletes a rule that holds the node: the hooks ask whether it is really gone.
fn leave(rig: &mut Rig, rule: &str) -> Result<()> {
    rig.delete_rule(rule)?;
    let user = rig.stack.hook_user().to_owned();
    wait_until(LIMIT, "question for the rule", || {
        let requests = rig.stack.cluster().requests()?;
        let asks = |request: &Request| {
            request.user == user && request.verb == "get" && request.name == rule
        };
        ensure!(requests.iter().any(asks), "not asked yet");
        Ok(())
    })
}

/// Tells by hand, as one does in the pod, by a template of the cluster.
fn call(rig: &mut Rig) -> Result<()> {
    let kubeconfig = account(rig)?;
    let output = Command::new(program("ng-alert-manager", "alert-manager")?)
        .args([
            "with-pods",
            r#"{"metadata": {"name": "by-hand"}}"#,
            r#"["n1"]"#,
            r#"["log"]"#,
        ])
        .env("KUBECONFIG", &kubeconfig)
        .env("NODEGUARDIAN_CONFIG_DIR", rig.stack.config_dir())
        .env("NODEGUARDIAN_STATE_DIR", rig.stack.dir().join("call"))
        .output()?;
    told(output).map(|_| ())
}

/// Applies a configuration that is not valid, which the hooks have to see and tell.
fn publish(rig: &Rig) -> Result<()> {
    rig.api.apply_object(&json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "nodeguardian-config", "namespace": NAMESPACE},
        "data": {"config.json": r#"{"email": {"smtpPort": "abc"}}"#},
    }))?;
    rig.wait_event(NAMESPACE, "ConfigInvalid")?;
    rig.api.delete(&format!(
        "/api/v1/namespaces/{NAMESPACE}/configmaps/nodeguardian-config"
    ))?;
    Ok(())
}

#[test]
fn every_profile_needs_every_right_that_it_has_and_no_other() -> Result<()> {
    let (Some(tools), Some(clients)) = (Tools::for_test()?, Clients::for_test()?) else {
        return Ok(());
    };
    let builder = Stack::builder(tools)
        .shipped_rights(&[Step::Detect])
        .manifest(checkout("tests/tests/data/metrics.yaml"));
    let mut rig = Rig::start(builder)?;
    prepare(&mut rig)?;
    let receiver = Receiver::start()?;
    let mut all = BTreeMap::new();
    for profile in Profile::ALL {
        let objects = overlay(&clients.kubectl, profile, &[])?;
        let mut config: Value = serde_json::from_str(configuration_text(&objects)?)?;
        if profile != Profile::Detect {
            config["alert"]["webhookUrl"] = receiver.url.clone().into();
        }
        config["alert"]["batchTimeout"] = "1s".into();
        rig.configure(config)?;
        for step in profile.steps() {
            rig.api.apply(&std::fs::read_to_string(step.rights())?)?;
        }
        let from = rig.stack.cluster().requests()?.len();
        go_through(&mut rig, profile, &receiver).with_context(|| format!("{profile:?}"))?;
        // A watch is only in the audit log when it has ended, a moment after the hooks.
        let given = granted(profile.steps())?;
        let asked = wait_until(LIMIT, "a use of every right", || {
            let asked = asked(&mut rig, from)?;
            compare(&asked.keys().cloned().collect(), &given)?;
            Ok(asked)
        });
        let asked = asked.with_context(|| format!("{profile:?}"))?;
        all.extend(asked);
    }
    ensure!(!all.is_empty(), "{TAINT}: nothing was asked for");
    each_is_needed(&mut rig, &all)
}

/// A rule that asks for more than its profile gives is carried out as far as the rights go.
#[test]
fn without_the_right_to_evict_a_node_is_marked_and_the_refusal_is_told() -> Result<()> {
    let Some(tools) = Tools::for_test()? else {
        return Ok(());
    };
    let builder = Stack::builder(tools)
        .shipped_rights(Profile::Cordon.steps())
        .manifest(checkout("tests/tests/data/metrics.yaml"));
    let mut rig = Rig::start(builder)?;
    prepare(&mut rig)?;
    rig.configure(json!({}))?;
    let evict = json!({"type": "evict", "evict": {"maxPods": 1}});
    rig.api
        .apply_object(&rule("both", &json!([taint(), evict])))?;
    rig.heat()?;
    rig.stack.operator().start()?;
    rig.wait_taint(true)?;
    rig.wait_event("default", "ActionFailed")?;
    rig.load(Load::default(), false)?;
    rig.wait_taint(false)?;
    rig.stack.operator().kill();
    let left = rig.api.list("/api/v1/namespaces/shop/pods")?;
    ensure!(left.len() == PODS.len(), "{} pods", left.len());
    for line in rig.stack.operator().log()? {
        ensure!(!line.message().contains("Hook failed"), "{}", line.fields());
    }
    Ok(())
}

fn compare(used: &BTreeSet<String>, given: &BTreeSet<String>) -> Result<()> {
    let idle: Vec<_> = given.difference(used).collect();
    let more: Vec<_> = used.difference(given).collect();
    ensure!(
        idle.is_empty() && more.is_empty(),
        "given but not used: {idle:?}; used but not given: {more:?}"
    );
    Ok(())
}

/// Takes each right away in turn, and makes the request again that needed it.
fn each_is_needed(rig: &mut Rig, asked: &BTreeMap<String, Request>) -> Result<()> {
    let hooks = rig.stack.cluster().as_service_account(NAMESPACE, ACCOUNT)?;
    for right in granted(&Step::ALL)? {
        let request = asked.get(&right).with_context(|| right.clone())?;
        wait_allowed(&hooks, request, true)?;
        let mut holders = Vec::new();
        for step in Step::ALL {
            holders.extend(roles(step)?);
        }
        holders.retain(|role| without(role, &right) != without(role, ""));
        for role in &holders {
            rig.api.apply_object(&without(role, &right))?;
        }
        wait_allowed(&hooks, request, false).with_context(|| right.clone())?;
        ensure!(again(&hooks, request)? == Some(403), "{right}: not refused");
        for role in &holders {
            rig.api.apply_object(role)?;
        }
        wait_allowed(&hooks, request, true)?;
    }
    Ok(())
}

/// Waits until the API server knows the roles as they are now.
fn wait_allowed(hooks: &Api, request: &Request, wanted: bool) -> Result<()> {
    let (resource, subresource) = request
        .resource
        .split_once('/')
        .unwrap_or((&request.resource, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "verb": request.verb, "group": request.group, "resource": resource, "subresource": subresource,
            "namespace": request.namespace, "name": request.name,
        }},
    });
    wait_until(LIMIT, &format!("{} allowed: {wanted}", request.uri), || {
        let answer = hooks.create(REVIEWS, &review)?;
        ensure!(
            answer["status"]["allowed"] == wanted,
            "{}",
            answer["status"]
        );
        Ok(())
    })
}

/// The answer to the same request; its body does not matter, as rights come first.
fn again(hooks: &Api, request: &Request) -> Result<Option<u16>> {
    let answer = match request.verb.as_str() {
        "get" | "list" | "watch" => hooks.get(&request.uri),
        "create" => hooks.create(&request.uri, &json!({})),
        "update" => hooks.replace(&request.uri, &json!({})),
        "patch" => hooks.patch(&request.uri, &json!({})),
        verb => bail!("no method for {verb}"),
    };
    Ok(answer.err().and_then(|error| error.code()))
}
