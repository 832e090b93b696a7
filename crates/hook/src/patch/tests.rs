//! The form of operations, and those that cannot be made.

use serde_json::json;

use super::*;

fn line(operation: &PatchOperation) -> Value {
    let line = operation.to_json_line().unwrap();
    assert_eq!(line.find('\n'), Some(line.len() - 1), "one line: {line}");
    serde_json::from_str(&line).unwrap()
}

#[test]
fn patches_have_the_documented_form() {
    let rule = Target::cluster("example.io/v1", "Rule", "r1").subresource("status");
    let steps = [
        JsonPatchStep::Test {
            path: "/spec/x".into(),
            value: json!(1),
        },
        JsonPatchStep::Replace {
            path: "/spec/x".into(),
            value: json!(null),
        },
        JsonPatchStep::Add {
            path: "/metadata/labels/a".into(),
            value: json!("b"),
        },
    ];
    let steps_text = concat!(
        r#"[{"op":"test","path":"/spec/x","value":1},"#,
        r#"{"op":"replace","path":"/spec/x","value":null},"#,
        r#"{"op":"add","path":"/metadata/labels/a","value":"b"}]"#,
    );
    let cases = [
        (
            PatchOperation::merge(rule, &json!({"status": {"phase": "Active"}})),
            json!({
                "operation": "MergePatch", "apiVersion": "example.io/v1", "kind": "Rule",
                "name": "r1", "subresource": "status", "ignoreMissingObject": true,
                "mergePatch": {"status": {"phase": "Active"}},
            }),
        ),
        (
            PatchOperation::jq(Target::node("n1"), ".spec.unschedulable = true")
                .map(PatchOperation::require_object),
            json!({
                "operation": "JQPatch", "apiVersion": "v1", "kind": "Node", "name": "n1",
                "ignoreMissingObject": false, "jqFilter": ".spec.unschedulable = true",
            }),
        ),
        (
            PatchOperation::json(Target::node("n1"), &steps),
            json!({
                "operation": "JSONPatch", "apiVersion": "v1", "kind": "Node", "name": "n1",
                "ignoreMissingObject": true, "jsonPatch": steps_text,
            }),
        ),
    ];
    for (operation, expected) in cases {
        assert_eq!(line(&operation.unwrap()), expected);
    }
}

#[test]
fn creations_and_deletions_have_the_documented_form() {
    let event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": "n1.abc", "namespace": "default"}, "reason": "a\nb",
    });
    let cases = [
        (
            PatchOperation::create_if_not_exists(&event),
            json!({"operation": "CreateIfNotExists", "object": event}),
        ),
        (
            PatchOperation::delete_in_background(Target::namespaced("v1", "Pod", "ns", "p"))
                .map(PatchOperation::require_object),
            json!({
                "operation": "DeleteInBackground", "apiVersion": "v1", "kind": "Pod",
                "namespace": "ns", "name": "p",
            }),
        ),
    ];
    for (operation, expected) in cases {
        assert_eq!(line(&operation.unwrap()), expected);
    }
}

#[test]
fn what_cannot_be_repeated_or_would_be_refused_cannot_be_made() {
    let node = || Target::node("n1");
    let add = |path: &str| {
        [JsonPatchStep::Add {
            path: path.into(),
            value: json!(1),
        }]
    };
    let cases = [
        (
            PatchOperation::merge(node(), &json!({})),
            "at least one field",
        ),
        (
            PatchOperation::merge(node(), &json!([1])),
            "at least one field",
        ),
        (
            PatchOperation::merge(Target::node(""), &json!({"a": 1})),
            "name is empty",
        ),
        (PatchOperation::jq(node(), " "), "filter is empty"),
        (PatchOperation::json(node(), &[]), "no steps"),
        (
            PatchOperation::json(node(), &add("/spec/taints/-")),
            "add again",
        ),
        (
            PatchOperation::json(node(), &add("/spec/taints/0")),
            "add again",
        ),
        (
            PatchOperation::json(node(), &add("spec")),
            "expected a path",
        ),
        (
            PatchOperation::create_if_not_exists(
                &json!({"apiVersion": "v1", "kind": "Event", "metadata": {"generateName": "x-"}}),
            ),
            "name is empty",
        ),
        (
            PatchOperation::create_if_not_exists(&json!("text")),
            "apiVersion is empty",
        ),
        (
            PatchOperation::delete_in_background(Target::namespaced("v1", "Pod", "", "p")),
            "namespace is empty",
        ),
        (
            PatchOperation::delete_in_background(node().subresource("status")),
            "subresource",
        ),
    ];
    for (operation, reason) in cases {
        let error = operation.unwrap_err().to_string();
        assert!(error.contains(reason), "{error} should say {reason}");
    }
}

#[test]
fn operations_are_appended_as_lines_and_none_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("patches");
    write(&[], Some(&path)).unwrap();
    assert!(!path.exists());
    let one = PatchOperation::jq(Target::node("n1"), ".").unwrap();
    write(&[one.clone(), one.clone()], Some(&path)).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, one.to_json_line().unwrap().repeat(2));
}

#[test]
fn an_error_names_the_path() {
    let one = PatchOperation::jq(Target::node("n1"), ".").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = write(&[one], Some(folder.path())).unwrap_err().to_string();
    assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
}
