use proptest::prelude::*;

use super::*;

const NOW: Time = Time::from_millis(1_700_000_000_000);
const GROUPING: Grouping = Grouping {
    batch_size: 3,
    batch_timeout: Duration::from_secs(30),
};

/// An alert in a few letters: `t`rigger, re`p`eat or `r`ecovery of a node; `!` critical, `?` just queued, `+n`
/// attempts in message 7, `-` not due yet, `*` busy.
fn alert(id: i64, text: &'static str) -> Stretch<'static> {
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
    Stretch {
        first: id,
        len: 1,
        queued: if has('?') {
            NOW
        } else {
            NOW.minus(Duration::from_secs(30))
        },
        topic: Box::leak(Box::new(topic)),
        nodes: &text[1..2],
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
    let alerts: Vec<Stretch<'static>> = texts
        .split_whitespace()
        .zip(1..)
        .map(|(text, id)| alert(id, text))
        .collect();
    let batches = plan(&alerts, grouping, NOW);
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

/// Each alert as a stretch of its own.
fn apart<'a>(stretches: &[Stretch<'a>]) -> Vec<Stretch<'a>> {
    let alerts = stretches.iter().flat_map(|stretch| {
        let alerts = stretch.ids().zip(stretch.names());
        alerts.map(|(first, nodes)| Stretch {
            first,
            len: 1,
            nodes,
            ..*stretch
        })
    });
    alerts.collect()
}

#[test]
fn a_thousand_nodes_are_few_messages_whatever_the_size() {
    let names: Vec<String> = (0..1000).map(|id| format!("node-{id}")).collect();
    let stretch = Stretch {
        len: 1000,
        nodes: &names.join("\n"),
        ..alert(0, "ta")
    };
    for batch_size in [1, 10, 333, 334, 999, 1000, 5000] {
        let grouping = Grouping {
            batch_size,
            ..GROUPING
        };
        for stretches in [vec![stretch], apart(&[stretch])] {
            let batches = plan(&stretches, &grouping, NOW);
            assert!(
                batches.len() <= MOST_MESSAGES,
                "{batch_size}: {}",
                batches.len()
            );
            let told = batches.iter().flat_map(|batch| batch.alerts.clone());
            assert!(told.eq(0..1000), "{batch_size}");
        }
    }
}

#[test]
fn a_stretch_has_as_many_names_as_alerts() {
    let cases: [(&str, usize, &[&str]); 3] = [
        ("a\nb", 3, &["a", "b", ""]),
        ("", 2, &["", ""]),
        ("a\nb\nc", 2, &["a", "b"]),
    ];
    for (nodes, len, expected) in cases {
        let stretch = Stretch {
            len,
            nodes,
            ..alert(5, "ta")
        };
        assert_eq!(stretch.names().collect::<Vec<_>>(), expected, "{nodes:?}");
    }
}

/// Nodes of a stretch, some of which others have, too.
fn nodes() -> impl Strategy<Value = Vec<&'static str>> {
    let all = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    prop::sample::subsequence(all.to_vec(), 1..=all.len()).prop_shuffle()
}

prop_compose! {
    /// Stretches in the order of their ids. Some of the messages that were tried before are of several rules.
    fn stretches()(
        drawn in prop::collection::vec(
            (
                "[tp]a!?\\??(-|\\*|a|b|c|d)?(\\+[1-3])?",
                "[a-f]",
                any::<bool>(),
                7..10_i64,
                nodes(),
                1..3_i64,
            ),
            0..10,
        ),
    ) -> Vec<Stretch<'static>> {
        let mut last = 0;
        let mut stretches: Vec<Stretch<'static>> = Vec::new();
        for (text, rule, flapping, batch, nodes, gap) in drawn {
            let alert = alert(last + gap, text.leak());
            let topic = Topic { rule, flapping, ..alert.topic.clone() };
            let stretch = Stretch {
                len: nodes.len(),
                topic: Box::leak(Box::new(topic)),
                nodes: nodes.join("\n").leak(),
                batch: alert.batch.map(|_| batch),
                ..alert
            };
            last = stretch.ids().last().unwrap();
            stretches.push(stretch);
        }
        stretches
    }
}

proptest! {
    /// Whether a rule has one stretch or many makes no difference.
    #[test]
    fn stretches_are_planned_like_their_alerts_apart(
        stretches in stretches(),
        batch_size in 1..5_usize,
    ) {
        let grouping = Grouping { batch_size, ..GROUPING };
        prop_assert_eq!(
            plan(&stretches, &grouping, NOW),
            plan(&apart(&stretches), &grouping, NOW)
        );
    }

    /// Whatever waits: nothing goes out twice, and per node everything in order and without gaps.
    #[test]
    fn order_is_kept(
        texts in prop::collection::vec("[tpr][a-d](!|\\?|-|\\*|\\+[1-3])?", 0..40),
        batch_size in 1..5_usize,
    ) {
        let alerts: Vec<Stretch<'static>> = texts
            .iter()
            .zip(1..)
            .map(|(text, id)| {
                let mut alert = alert(id, text.clone().leak());
                // One message of its own for each that was tried.
                alert.batch = alert.batch.map(|_| id);
                alert
            })
            .collect();
        let grouping = Grouping { batch_size, ..GROUPING };
        let batches = plan(&alerts, &grouping, NOW);
        let sent: Vec<i64> = batches.iter().flat_map(|batch| batch.alerts.clone()).collect();
        for node in ["a", "b", "c", "d"] {
            let all: Vec<i64> = alerts
                .iter()
                .filter(|alert| alert.nodes == node)
                .map(|alert| alert.first)
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
