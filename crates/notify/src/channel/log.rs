//! The log: one line a message.

use std::borrow::Cow;

use ng_engine::plan::AlertKind;
use ng_engine::rule::Severity;

use crate::message::{Message, NodeFacts};
use crate::send::{LogLine, LogValue};
use crate::text::{Form, body, bytes, line, names, plain};
use crate::words::{heading, kind};

/// A line of the log has an end near 9,000 bytes; texts leave room for the other fields.
const TEXT: Form = Form {
    limit: 2000,
    measure: bytes,
    escape: plain,
};
const MOST_NODES: usize = 50;

/// The message as a line.
pub(crate) fn log_line(message: &Message) -> LogLine<'_> {
    let own = |text: String| LogValue::Text(Cow::Owned(text));
    let word = |text: &'static str| LogValue::Text(Cow::Borrowed(text));
    let nodes = message.nodes.iter().map(NodeFacts::name);
    let mut fields = vec![
        ("type", word(kind(message.kind))),
        ("severity", word(message.severity.word())),
        ("rule", own(line(&message.rule, TEXT.within(300)))),
        ("nodes", own(names(nodes, MOST_NODES, message.total))),
        (
            "total",
            LogValue::Integer(i64::try_from(message.total).unwrap_or(i64::MAX)),
        ),
        ("since", own(message.since.to_string())),
        (
            "fingerprint",
            LogValue::Text(Cow::Borrowed(&message.fingerprint)),
        ),
        ("summary", own(line(&message.summary, TEXT.within(500)))),
        ("description", own(body(message, TEXT))),
    ];
    if let Some(cluster) = &message.cluster {
        fields.push(("cluster", own(line(cluster, TEXT.within(300)))));
    }
    for (name, set) in [("dryRun", message.dry_run), ("test", message.test)] {
        if set {
            fields.push((name, LogValue::Bool(true)));
        }
    }
    LogLine {
        severity: match message.kind {
            AlertKind::Trigger | AlertKind::Repeat => message.severity,
            AlertKind::Recovery => Severity::Info,
        },
        text: Cow::Owned(line(&heading(message), TEXT.within(500))),
        fields,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{hostile, recovery, repeat};

    #[test]
    fn a_line_has_flat_fields() {
        let message = repeat();
        let line = log_line(&message);
        let field = |name| {
            let found = line.fields.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| value.clone())
        };
        let text = |text: &'static str| Some(LogValue::Text(text.into()));
        assert_eq!(line.text, "High load on 3 nodes");
        assert_eq!(line.severity, Severity::Critical);
        assert_eq!(field("type"), text("repeat"));
        assert_eq!(field("nodes"), text("worker-1, worker-2, worker-3"));
        assert_eq!(field("total"), Some(LogValue::Integer(3)));
        assert_eq!(field("test"), None);
        assert_eq!(log_line(&recovery()).severity, Severity::Info);
    }

    #[test]
    fn a_line_stays_below_what_the_log_takes() {
        let mut message = hostile(5000, 1 << 20);
        message.test = true;
        let line = log_line(&message);
        let size = |value: &LogValue<'_>| match value {
            LogValue::Text(text) => text.len(),
            LogValue::Integer(_) | LogValue::Bool(_) => 20,
        };
        let sum: usize = line.fields.iter().map(|(_, value)| size(value)).sum();
        assert!(sum + line.text.len() < 6000, "{sum}");
        assert!(line.text.starts_with("[TEST] "));
    }
}
