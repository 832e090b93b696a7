//! Messages to test with.

use std::collections::BTreeMap;

use ng_engine::history::Guard;
use ng_engine::plan::{ActionNote, Alert, AlertKind, Input, Seen, Verdict};
use ng_engine::rule::Severity;
use ng_engine::time::Time;

use crate::message::{Message, NodeFacts, TopPod};

/// 2026-01-02T03:04:05.678Z, and no whole second.
pub(crate) const AT: Time = Time::from_millis(1_767_323_045_678);

/// A node that triggered four minutes ago.
pub(crate) fn alert(node: &str) -> Alert {
    Alert {
        kind: AlertKind::Trigger,
        at: AT,
        rule: "high-load".to_owned(),
        rule_description: "Load above the processors".to_owned(),
        severity: Severity::Warning,
        node: node.to_owned(),
        template: String::new(),
        channels: Vec::new(),
        since: Time::from_millis(AT.millis() - 240_678),
        repeats: 0,
        guard: None,
        dry_run: false,
        metrics: BTreeMap::from([("cpuLoadRatio".to_owned(), 1.75)]),
        conditions: vec![Input {
            test: "cpuLoadRatio > 1.5".to_owned(),
            description: None,
            seen: Seen::Value {
                value: 1.75,
                age: 15_000,
                origin: "prometheus".to_owned(),
            },
            true_for: Some(300_000),
            needed: 180_000,
            verdict: Verdict::Holds,
        }],
        actions: vec![ActionNote {
            kind: "taint".to_owned(),
            description: "taint nodeguardian.io/high-load=true:NoSchedule".to_owned(),
        }],
        muted: None,
        notice: None,
    }
}

/// What is told of the node of [`alert`].
pub(crate) fn node(name: &str) -> NodeFacts {
    NodeFacts::single(alert(name), fingerprint(name), Vec::new())
}

fn fingerprint(node: &str) -> String {
    format!("{node}-9f86d081")
}

/// A node that has everything that can be told of one.
fn full_node(name: &str) -> NodeFacts {
    let mut alert = alert(name);
    alert.repeats = 2;
    alert.guard = Some(Guard::MaxNodes {
        limit: 2,
        counted: 2,
    });
    alert.conditions.extend([
        Input {
            test: "Ready is False".to_owned(),
            description: Some("The node is lost".to_owned()),
            seen: Seen::Status("True".to_owned()),
            true_for: None,
            needed: 0,
            verdict: Verdict::Clear,
        },
        Input {
            test: "diskUtilizationPercent > 90".to_owned(),
            description: None,
            seen: Seen::Unknown("stale".to_owned()),
            true_for: None,
            needed: 60_000,
            verdict: Verdict::Unknown,
        },
    ]);
    let pod = TopPod {
        name: "web-0".to_owned(),
        namespace: "shop".to_owned(),
        cpu: 1.25,
        memory: 1_073_741_824.0,
    };
    NodeFacts::single(alert, fingerprint(name), vec![pod])
}

/// One node triggers.
pub(crate) fn message() -> Message {
    Message {
        kind: AlertKind::Trigger,
        severity: Severity::Warning,
        rule_severity: Severity::Warning,
        rule: "high-load".to_owned(),
        rule_description: "Load above the processors".to_owned(),
        cluster: Some("prod".to_owned()),
        title: "High load on worker-1".to_owned(),
        summary: "worker-1: cpuLoadRatio 1.75".to_owned(),
        body: "worker-1 is under load.\n- cpuLoadRatio: 1.75 (> 1.5)\n".to_owned(),
        html: None,
        nodes: vec![node("worker-1")],
        total: 1,
        at: AT,
        since: Time::from_millis(AT.millis() - 240_678),
        dry_run: false,
        test: false,
        id: "0192-trigger".to_owned(),
        fingerprint: "worker-1-9f86d081".to_owned(),
        group: "high-load-2c26b46b".to_owned(),
    }
}

/// Three nodes still triggered, one of them with everything that can be told of a node.
pub(crate) fn repeat() -> Message {
    let mut message = message();
    message.kind = AlertKind::Repeat;
    (message.severity, message.rule_severity) = (Severity::Critical, Severity::Critical);
    message.title = "High load on 3 nodes".into();
    message.summary = "3 nodes under load".into();
    message.body = "Under load:\n- worker-1\n- worker-2\n- worker-3\n".into();
    message.nodes = vec![full_node("worker-1"), node("worker-2"), node("worker-3")];
    message.total = 3;
    message.id = "0192-repeat".into();
    message.fingerprint = message.group.clone();
    message
}

/// The node of [`message`] recovers.
pub(crate) fn recovery() -> Message {
    let mut message = message();
    message.kind = AlertKind::Recovery;
    message.title = "worker-1 recovered".into();
    message.summary = "worker-1: cpuLoadRatio 0.4".into();
    message.body = "worker-1 is back.\n".into();
    message.id = "0192-recovery".into();
    message
}

/// A message whose every text is meant to break something, of many nodes.
pub(crate) fn hostile(nodes: usize, length: usize) -> Message {
    let text = concat!(
        "\"quoted\" \\ back\r\nBcc: eve@example.com\r\n\r\n@all @everyone <!channel> <!here> <@U1> ",
        "<at id=all></at> <at user_id=\"all\">all</at> <@all> ",
        "*bold* _it_ `code` [x](javascript:1) ![i](http://i) <b onclick=1>&amp;</b> </script>",
        "{{x}} ${y} %0a \u{0}\u{1b}[31m\u{7f} 👨\u{200d}👩\u{200d}👧 节点 e\u{301} \u{202e}rtl\n"
    );
    let long: String = text.chars().cycle().take(length).collect();
    let mut message = message();
    message.rule = text.into();
    message.rule_description.clone_from(&long);
    message.cluster = Some(text.to_owned());
    message.title.clone_from(&long);
    message.summary.clone_from(&long);
    message.body = long;
    message.nodes = (0..nodes).map(|i| node(&format!("n-{i}"))).collect();
    message.total = nodes;
    message
}
