use proptest::prelude::*;

use super::*;

const NOW: Time = Time::from_millis(1_700_000_000_000);
const GROUPING: Grouping = Grouping {
    batch_size: 3,
    batch_timeout: Duration::from_secs(30),
};

/// An alert in a few letters: `t`rigger, re`p`eat or `r`ecovery of a node; `!` critical, `?` just queued, `+n`
/// attempts in message 7, `-` not due yet, `*` busy.
fn waiting(id: i64, text: &'static str) -> Waiting<'static> {
    let has = |sign: char| text.contains(sign);
    let kind = match &text[..1] {
        "t" => AlertKind::Trigger,
        "p" => AlertKind::Repeat,
        _ => AlertKind::Recovery,
    };
    let topic = Topic {
        rule: "load".to_owned(),
        kind,
        severity: if has('!') {
            Severity::Critical
        } else {
            Severity::Warning
        },
        template: String::new(),
        dry_run: false,
        flapping: false,
    };
    let attempts = text
        .split_once('+')
        .map_or(0, |(_, rest)| rest[..1].parse().unwrap());
    Waiting {
        id,
        queued: if has('?') {
            NOW
        } else {
            NOW.minus(Duration::from_secs(30))
        },
        topic: Box::leak(Box::new(topic)),
        node: &text[1..2],
        attempts,
        next_attempt: if has('-') {
            NOW.plus(Duration::from_secs(1))
        } else {
            NOW
        },
        batch: (attempts > 0).then_some(7),
        busy: has('*'),
    }
}

fn planned(texts: &'static str, grouping: &Grouping) -> String {
    let waiting: Vec<Waiting<'static>> = texts
        .split_whitespace()
        .zip(1..)
        .map(|(text, id)| waiting(id, text))
        .collect();
    let batches = plan(&waiting, grouping, NOW);
    let shown = batches.iter().map(|batch| {
        let ids: Vec<String> = batch.alerts.iter().map(ToString::to_string).collect();
        ids.join(",")
    });
    shown.collect::<Vec<_>>().join(" | ")
}

#[test]
fn alerts_of_one_topic_go_out_together_and_in_order() {
    let cases = [
        ("", ""),
        ("ta tb", "1,2"),
        ("ta rb tc", "1,3 | 2"),
        // A trigger that has recovered before it was sent: both are told, in order.
        ("ta tb ra", "1,2 | 3"),
        // Nobody is twice in one message, nor before what came earlier.
        ("ta ra ta ra", "1 | 2 | 3 | 4"),
        ("ta tb ra rb ta tc", "1,2 | 3,4 | 5,6"),
        // A message fills up to its size; the rest of it has waited long enough.
        ("ta tb tc td", "1,2,3 | 4"),
        ("ta tb tc td te tf tg th ti", "1,2,3 | 4,5,6 | 7,8,9"),
        // More than three messages are one.
        ("ta tb tc td te tf tg th ti tj", "1,2,3,4,5,6,7,8,9,10"),
    ];
    for (texts, expected) in cases {
        assert_eq!(planned(texts, &GROUPING), expected, "{texts}");
    }
}

#[test]
fn messages_wait_to_fill_up_unless_critical() {
    let cases = [
        ("ta? tb?", ""),
        ("ta tb?", "1,2"),
        ("ta? tb? tc?", "1,2,3"),
        ("ta? tb? tc? td?", "1,2,3"),
        ("ta!?", "1"),
        // What waits holds up what comes later for the same node, and nothing else.
        ("tb? ra rb", "2"),
        ("ta? ra!", ""),
    ];
    for (texts, expected) in cases {
        let found = planned(texts, &GROUPING);
        assert_eq!(found, expected, "{texts}");
    }
    let at_once = Grouping {
        batch_timeout: Duration::ZERO,
        ..GROUPING
    };
    assert_eq!(planned("ta? tb?", &at_once), "1,2");
}

#[test]
fn what_failed_is_tried_as_it_was_and_after_the_others() {
    let cases = [
        ("ta+1 tb+1 tc", "3 | 1,2"),
        ("ta+1 tb+1 ra tc", "4 | 1,2 | 3"),
        // Not due: what comes later for the node waits, too.
        ("ta+1- tb+1- ra tc", "4"),
        ("ta* ra tb rb", "3 | 4"),
        ("ta+1* ra", ""),
    ];
    for (texts, expected) in cases {
        assert_eq!(planned(texts, &GROUPING), expected, "{texts}");
    }
}

#[test]
fn a_thousand_nodes_are_few_messages_whatever_the_size() {
    for batch_size in [1, 10, 333, 334, 999, 1000, 5000] {
        let grouping = Grouping {
            batch_size,
            ..GROUPING
        };
        let names: Vec<String> = (0..1000).map(|id| format!("node-{id}")).collect();
        let waiting: Vec<Waiting<'_>> = names
            .iter()
            .zip(0..)
            .map(|(node, id)| Waiting {
                node,
                ..waiting(id, "ta")
            })
            .collect();
        let batches = plan(&waiting, &grouping, NOW);
        assert!(
            batches.len() <= MOST_MESSAGES,
            "{batch_size}: {}",
            batches.len()
        );
        let told: usize = batches.iter().map(|batch| batch.alerts.len()).sum();
        assert_eq!(told, 1000, "{batch_size}");
    }
}

proptest! {
    /// Whatever waits: nothing goes out twice, and per node everything in order and without gaps.
    #[test]
    fn order_is_kept(
        texts in prop::collection::vec("[tpr][a-d](!|\\?|-|\\*|\\+[1-3])?", 0..40),
        batch_size in 1..5_usize,
    ) {
        let waiting: Vec<Waiting<'static>> = texts
            .iter()
            .zip(1..)
            .map(|(text, id)| {
                let mut waiting = waiting(id, text.clone().leak());
                // One message of its own for each that was tried.
                waiting.batch = waiting.batch.map(|_| id);
                waiting
            })
            .collect();
        let grouping = Grouping { batch_size, ..GROUPING };
        let batches = plan(&waiting, &grouping, NOW);
        let sent: Vec<i64> = batches.iter().flat_map(|batch| batch.alerts.clone()).collect();
        for node in ["a", "b", "c", "d"] {
            let all: Vec<i64> = waiting
                .iter()
                .filter(|waiting| waiting.node == node)
                .map(|waiting| waiting.id)
                .collect();
            let of_node: Vec<i64> =
                sent.iter().copied().filter(|id| all.contains(id)).collect();
            prop_assert_eq!(&of_node[..], &all[..of_node.len()]);
            for batch in &batches {
                let twice = batch.alerts.iter().filter(|id| all.contains(id)).count();
                prop_assert!(twice <= 1);
            }
        }
    }
}
