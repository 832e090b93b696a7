//! Which nodes a rule looks at.

use crate::decide_support::Story;

/// Selectors and the nodes they select of n1: zone=a, slots=5; n2: zone=b, slots=x; n3; n4: zone=a, slots=-3.
const TABLE: [(&str, &str); 16] = [
    ("{}", "n1 n2 n3 n4"),
    ("{matchLabels: {zone: a}}", "n1 n4"),
    ("{matchLabels: {zone: a, slots: '5'}}", "n1"),
    ("{matchLabels: {zone: c}}", ""),
    (
        "{matchExpressions: [{key: zone, operator: In, values: [b, c]}]}",
        "n2",
    ),
    (
        "{matchExpressions: [{key: zone, operator: NotIn, values: [a]}]}",
        "n2 n3",
    ),
    (
        "{matchExpressions: [{key: zone, operator: Exists}]}",
        "n1 n2 n4",
    ),
    (
        "{matchExpressions: [{key: zone, operator: DoesNotExist}]}",
        "n3",
    ),
    (
        "{matchExpressions: [{key: slots, operator: Gt, values: ['4']}]}",
        "n1",
    ),
    (
        "{matchExpressions: [{key: slots, operator: Gt, values: ['5']}]}",
        "",
    ),
    (
        "{matchExpressions: [{key: slots, operator: Lt, values: ['5']}]}",
        "n4",
    ),
    (
        "{matchExpressions: [{key: slots, operator: Lt, values: ['6']}]}",
        "n1 n4",
    ),
    ("{nodeNames: [n3, n1, missing]}", "n1 n3"),
    ("{nodeNames: [missing]}", ""),
    ("{nodeNames: [n1, n2], matchLabels: {zone: b}}", "n2"),
    (
        "{matchLabels: {zone: a}, matchExpressions: [{key: slots, operator: Lt, values: ['0']}]}",
        "n4",
    ),
];

#[test]
fn all_given_parts_must_match() {
    for (selector, expected) in TABLE {
        let rule = format!(
            "conditions: [{{nodeCondition: Ready, status: ['True'], duration: 0s}}]\nnodeSelector: {selector}"
        );
        let mut story = Story::new(["n1", "n2", "n3", "n4"]).rule("all", &rule);
        story.node("n1").label("zone", "a").label("slots", "5");
        story.node("n2").label("zone", "b").label("slots", "x");
        story.node("n4").label("zone", "a").label("slots", "-3");
        let plan = story.after(30);
        let names = ["n1", "n2", "n3", "n4"];
        let triggered: Vec<&str> = names
            .into_iter()
            .filter(|name| story.is_triggered("all", name))
            .collect();
        assert_eq!(triggered.join(" "), expected, "{selector}");
        assert_eq!(plan.evaluated[0].selected, triggered.len(), "{selector}");
    }
}
