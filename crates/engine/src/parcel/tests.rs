use super::*;
use crate::history::Guard;
use crate::plan::{ActionNote, AlertKind, Mute, Verdict};
use crate::rule::Severity;

const NOW: Time = Time::from_millis(1_700_000_000_000);

fn alert(node: &str, load: f64) -> Alert {
    let input = |test: &str, seen, true_for| Input {
        test: test.to_owned(),
        description: None,
        seen,
        true_for,
        needed: 180_000,
        verdict: Verdict::Holds,
    };
    let value = Seen::Value {
        value: load,
        age: 1000,
        origin: "prometheus".to_owned(),
    };
    Alert {
        kind: AlertKind::Trigger,
        at: NOW,
        rule: "load".to_owned(),
        rule_description: "High load".to_owned(),
        severity: Severity::Warning,
        node: node.to_owned(),
        template: String::new(),
        channels: vec!["log".to_owned()],
        since: NOW,
        repeats: 0,
        guard: None,
        dry_run: false,
        metrics: BTreeMap::from([("cpuLoadRatio".to_owned(), load), ("x".to_owned(), 1.0)]),
        conditions: vec![
            input("cpuLoadRatio > 1.5", value, Some(180_000)),
            input("Ready is False", Seen::Status("False".to_owned()), None),
        ],
        actions: vec![ActionNote {
            kind: "taint".to_owned(),
            description: "taint a=b".to_owned(),
        }],
        muted: None,
        notice: None,
    }
}

fn unpacked(packed: &Packed) -> Vec<Alert> {
    let places = packed.places.iter();
    places
        .map(|(parcel, place)| {
            let member = packed.parcels[*parcel].members().nth(*place);
            member.unwrap().alert()
        })
        .collect()
}

#[test]
fn alerts_come_out_as_they_went_in() {
    let changes: [fn(&mut Alert); 13] = [
        |alert| alert.since = NOW.plus(std::time::Duration::from_secs(9)),
        |alert| alert.repeats = 7,
        |alert| alert.kind = AlertKind::Recovery,
        |alert| alert.severity = Severity::Critical,
        |alert| alert.template = "hot".to_owned(),
        |alert| alert.channels.push("email".to_owned()),
        |alert| alert.dry_run = true,
        |alert| alert.muted = Some(Mute::NotReady),
        |alert| alert.guard = Some(Guard::Paused),
        |alert| {
            alert.metrics.remove("x");
        },
        |alert| alert.conditions[0].true_for = None,
        |alert| alert.conditions[1].seen = Seen::Unknown("stale".to_owned()),
        |alert| alert.conditions[1].description = Some("The node is lost".to_owned()),
    ];
    let mut alerts = vec![alert("", 0.5)];
    for (change, number) in changes.iter().zip(0..) {
        let mut other = alert(&format!("changed-{number}"), 2.5 + f64::from(number));
        change(&mut other);
        alerts.extend([other, alert(&format!("node-{number}"), f64::MAX)]);
    }
    let packed = Packed::of(&alerts);
    assert_eq!(unpacked(&packed), alerts);
    // Times and repeats may differ; the rest is a parcel each, and the first is open until there are too many.
    assert_eq!(packed.parcels[0].len(), 5 + 7);
    for parcel in &packed.parcels {
        let numbers = parcel.numbers.encode();
        let again = Parcel::from_parts(Alert::clone(&parcel.head), &parcel.nodes, &numbers);
        assert_eq!(again.as_ref(), Some(parcel));
    }
}

#[test]
fn a_node_is_once_in_a_parcel_and_its_alerts_stay_in_order() {
    let other = |node| Alert {
        template: "other".to_owned(),
        ..alert(node, 1.0)
    };
    let alerts = [
        alert("a", 1.0),
        other("a"),
        alert("b", 2.0),
        other("b"),
        alert("a", 3.0),
    ];
    let packed = Packed::of(&alerts);
    assert_eq!(packed.places, [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0)]);
    let packed = Packed::of(&[alert("c", 1.0), alert("a", 2.0), alert("b", 3.0)]);
    assert_eq!(packed.places, [(0, 2), (0, 0), (0, 1)]);
    assert_eq!(packed.parcels[0].nodes().as_str(), "a\nb\nc");
    let packed = Packed::of(&alerts);
    assert_eq!(unpacked(&packed), alerts);
}

#[test]
fn names_are_what_stands_between_line_breaks() {
    for text in ["", "a", "a\nb", "\n", "a\n\nb\n", "节点\nb"] {
        assert!(names(text).eq(text.split('\n')), "{text:?}");
    }
}

#[test]
fn parcels_are_bounded_and_can_be_thinned_out() {
    let alerts: Vec<Alert> = (0..=MOST)
        .map(|number| alert(&format!("node-{number:04}"), 1.0))
        .collect();
    let packed = Packed::of(&alerts);
    let sizes: Vec<usize> = packed.parcels.iter().map(Parcel::len).collect();
    assert_eq!(sizes, [MOST, 1]);
    let some = packed.parcels[0].only(|place| place % 500 == 3).unwrap();
    let found: Vec<Alert> = some.members().map(|member| member.alert()).collect();
    assert_eq!(found, [alerts[3].clone(), alerts[503].clone()]);
    assert_eq!(packed.parcels[0].only(|_| false), None);
}

#[test]
fn parts_that_do_not_belong_together_are_told() {
    let one = Parcel::single(alert("a", 1.0));
    let numbers = one.numbers.encode();
    let parts = |nodes: &str, numbers: &[u8]| {
        Parcel::from_parts(
            Alert::clone(&one.head),
            &Arc::new(nodes.to_owned()),
            numbers,
        )
    };
    assert_eq!(parts("a", &[]), Some(one.clone()), "as it was kept once");
    assert_eq!(parts("a\nb", &[]), None);
    assert_eq!(parts("a\nb", &numbers), None);
    assert_eq!(parts("a", &numbers[1..]), None);
}

#[test]
fn a_line_break_in_a_name_is_a_space() {
    let alerts = [alert("a\nb", 1.0), alert("c", 1.0)];
    assert_eq!(Packed::of(&alerts).parcels[0].nodes().as_str(), "a b\nc");
}
