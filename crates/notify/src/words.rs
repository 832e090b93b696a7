//! What the channels say besides the message's own text: heading, colour, and a line of facts.

use ng_engine::plan::AlertKind;
use ng_engine::rule::Severity;

use crate::message::Message;
use crate::text::{grouped, one_line};

/// The product, as receivers see it.
pub(crate) const PRODUCT: &str = "nodeguardian";

/// What a test says of itself, wherever there is room for a sentence.
pub(crate) const TEST_NOTICE: &str = "This is a test message; nothing happened to any node.";

/// The colour of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Info,
    Warning,
    Critical,
}

impl Tone {
    pub(crate) fn of(message: &Message) -> Self {
        match (message.kind, message.severity) {
            (AlertKind::Recovery, _) => Self::Good,
            (_, Severity::Info) => Self::Info,
            (_, Severity::Warning) => Self::Warning,
            (_, Severity::Critical) => Self::Critical,
        }
    }

    /// `#RRGGBB`.
    pub(crate) const fn hex(self) -> &'static str {
        match self {
            Self::Good => "#2e7d32",
            Self::Info => "#1565c0",
            Self::Warning => "#ef6c00",
            Self::Critical => "#c62828",
        }
    }
}

/// The word for what is told.
pub(crate) const fn kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Trigger => "trigger",
        AlertKind::Repeat => "repeat",
        AlertKind::Recovery => "recovery",
    }
}

/// The title in one line; a test and a rule that only pretends say so first.
pub(crate) fn heading(message: &Message) -> String {
    if message.title.trim().is_empty() {
        return marked(message, &message.rule);
    }
    marked(message, &message.title)
}

/// The text in one line, with the marks of a test and of a rule that only pretends.
pub(crate) fn marked(message: &Message, text: &str) -> String {
    let text = one_line(text);
    let text = text.trim();
    let says = |word: &str| text.to_ascii_lowercase().contains(word);
    let trial = if message.test { "[TEST] " } else { "" };
    let dry_run = message.dry_run && !says("dry run") && !says("dry-run") && !says("演练");
    let dry_run = if dry_run { "[DRY RUN] " } else { "" };
    format!("{trial}{dry_run}{text}")
}

/// The facts in one line below the text. A template may show them, too, and any of them may be missing there.
pub(crate) fn footer(message: &Message) -> String {
    let mut facts = vec![
        message.severity.word().to_owned(),
        status(message),
        format!("rule {}", one_line(&message.rule)),
    ];
    if let Some(cluster) = &message.cluster {
        facts.push(format!("cluster {}", one_line(cluster)));
    }
    match (&message.nodes[..], message.total) {
        (_, 0) => {}
        ([node], 1) => facts.push(format!("node {}", node.name())),
        (_, 1) => facts.push("1 node".to_owned()),
        (_, total) => facts.push(format!("{} nodes", grouped(total))),
    }
    facts.push(format!("since {}", message.since));
    if message.dry_run {
        facts.push("dry run: nothing in the cluster is changed".to_owned());
    }
    let line = facts.join(" · ");
    if message.test {
        format!("{TEST_NOTICE} {line}")
    } else {
        line
    }
}

fn status(message: &Message) -> String {
    match message.kind {
        AlertKind::Trigger => "triggered".to_owned(),
        AlertKind::Repeat => {
            let repeats = message.nodes.iter().map(|node| node.repeats).max();
            match repeats.unwrap_or(0) {
                0 | 1 => "still triggered".to_owned(),
                repeats => format!("still triggered, repeated {repeats} times"),
            }
        }
        AlertKind::Recovery => "recovered".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{message, node};

    #[test]
    fn tests_and_dry_runs_say_so_once() {
        let table = [
            ("High load", false, false, "High load"),
            (" High\r\nload ", true, false, "[TEST] High  load"),
            ("High load", false, true, "[DRY RUN] High load"),
            (
                "(dry run) High load",
                true,
                true,
                "[TEST] (dry run) High load",
            ),
        ];
        for (title, test, dry_run, expected) in table {
            let mut message = message();
            message.title = title.to_owned();
            (message.test, message.dry_run) = (test, dry_run);
            assert_eq!(heading(&message), expected);
        }
    }

    #[test]
    fn a_recovery_is_good_whatever_its_severity() {
        let mut message = message();
        message.severity = Severity::Critical;
        assert_eq!(Tone::of(&message), Tone::Critical);
        message.kind = AlertKind::Recovery;
        assert_eq!(Tone::of(&message), Tone::Good);
    }

    #[test]
    fn the_footer_counts_nodes_and_repeats() {
        let mut message = message();
        assert_eq!(
            footer(&message),
            "warning · triggered · rule high-load · cluster prod · node worker-1 · since 2026-01-02T03:00:05Z"
        );
        message.kind = AlertKind::Repeat;
        message.nodes = (0..12).map(|i| node(&format!("n{i:02}"))).collect();
        message.nodes[3].repeats = 4;
        message.total = 1012;
        message.cluster = None;
        (message.dry_run, message.test) = (true, true);
        assert_eq!(
            footer(&message),
            "This is a test message; nothing happened to any node. warning · still triggered, repeated 4 times · \
             rule high-load · 1,012 nodes · since 2026-01-02T03:00:05Z · dry run: nothing in the cluster is changed"
        );
    }
}
