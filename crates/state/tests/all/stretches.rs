//! Alerts that wait, as far as they can be planned as one.

use ng_delivery::Admission;
use ng_state::Settlement;
use tempfile::TempDir;

use crate::support::{NOW, alert, open};

#[test]
fn alerts_wait_as_one_unless_their_nodes_flap_or_their_fates_differ() {
    let cases: [(&str, &[i64], &[&str]); 4] = [
        ("", &[], &["1 a b c d e f"]),
        ("ad", &[], &["1! a", "2 b c", "4! d", "5 e f"]),
        ("", &[3], &["1 a b", "4 d e f"]),
        ("def", &[1, 5], &["2 b c", "4! d", "6! f"]),
    ];
    for (flapping, done, expected) in cases {
        assert_eq!(stretches(flapping, done), expected, "{flapping:?} {done:?}");
    }
}

/// The id of the first alert of each stretch, `!` if it says that the node is flapping, and the nodes. Of six alerts.
fn stretches(flapping: &str, done: &[i64]) -> Vec<String> {
    let directory = TempDir::new().unwrap();
    let mut store = open(directory.path());
    let mut transaction = store.begin().unwrap();
    let alerts = ["a", "b", "c", "d", "e", "f"].map(|node| alert(node, &["log"]));
    transaction.queue(&alerts, NOW).unwrap();
    // So few nodes are decided about one by one.
    let admitted = transaction.admit(NOW, |alerts, _| {
        if flapping.contains(alerts.nodes) {
            Admission::SendFlapping
        } else {
            Admission::Send
        }
    });
    assert_eq!(admitted.unwrap(), 6);
    for id in done {
        let settled = transaction.settle("log", &[*id], &Settlement::Done, NOW);
        assert_eq!(settled.unwrap(), 1);
    }
    let open = transaction.open_alerts(NOW).unwrap();
    let mut shown = Vec::new();
    for parcel in &open {
        for stretch in parcel
            .deliveries
            .iter()
            .flat_map(|delivery| parcel.stretches(delivery))
        {
            let sign = if stretch.topic.flapping { "!" } else { "" };
            let names: Vec<&str> = stretch.names().collect();
            shown.push(format!("{}{sign} {}", stretch.first, names.join(" ")));
        }
    }
    shown
}
