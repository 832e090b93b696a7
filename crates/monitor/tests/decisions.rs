//! Decision tables: nodes, readings and events over time, and what is told.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ng_config::{ChannelKind, Config, Language};
use ng_engine::history::Ledger;
use ng_engine::node::{Interest, Nodes, Reasons};
use ng_engine::plan::{AlertKind, Mute};
use ng_engine::reading::{Column, Origin, Reading, Unknown};
use ng_engine::rule::{NodeStatus, Severity};
use ng_engine::time::Time;
use ng_monitor::{
    Facts, Foretold, Memory, Metric, NodeEvent, Note, Occurrence, PRESSURES, Plan, Settings,
    ZONE_LABEL, check, missing, see,
};

const START: Time = Time::from_millis(1_780_000_000_000);
const MINUTE: Duration = Duration::from_mins(1);

/// A node in a few words: `a`, `a@zone`, `a!Unknown` not ready, `a#` cordoned, `a+key` tainted, `a~DiskPressure`.
#[derive(Clone, Debug)]
struct Spec {
    name: String,
    uid: String,
    zone: String,
    ready: NodeStatus,
    cordoned: bool,
    taint: String,
    pressure: String,
    mute: String,
}

fn spec(text: &str) -> Spec {
    let part = |sign: char| {
        let rest = text.split_once(sign).map_or("", |(_, rest)| rest);
        rest.split(['@', '!', '#', '+', '~', '%', '^'])
            .next()
            .unwrap()
            .to_owned()
    };
    let name = text
        .split(['@', '!', '#', '+', '~', '%', '^'])
        .next()
        .unwrap();
    Spec {
        name: name.to_owned(),
        uid: if text.contains('^') {
            format!("{name}-{}", part('^'))
        } else {
            format!("{name}-1")
        },
        zone: part('@'),
        ready: NodeStatus::parse(&part('!')).unwrap_or(NodeStatus::True),
        cordoned: text.contains('#'),
        taint: part('+'),
        pressure: part('~'),
        mute: part('%'),
    }
}

fn nodes(texts: &str) -> Nodes {
    let mut nodes = Nodes::new(&Interest {
        labels: vec![ZONE_LABEL.to_owned()],
        annotations: vec!["nodeguardian.io/mute-until".to_owned()],
        conditions: PRESSURES.map(|(kind, _)| kind.to_owned()).to_vec(),
        reasons: Reasons::Kept,
    });
    for spec in texts.split_whitespace().map(spec) {
        let mut node = nodes.start(&spec.name);
        node.uid(&spec.uid);
        if !spec.zone.is_empty() {
            node.label(ZONE_LABEL, &spec.zone);
        }
        if !spec.mute.is_empty() {
            let until = START.plus(spec.mute.parse::<u32>().unwrap() * MINUTE);
            node.annotation("nodeguardian.io/mute-until", &until.to_string());
        }
        let status = spec.ready.to_string();
        node.condition("Ready", &status, None);
        node.reason("Ready", &status, "NodeStatusUnknown");
        for (kind, _) in PRESSURES {
            let on = kind == spec.pressure;
            node.condition(kind, if on { "True" } else { "False" }, None);
        }
        if !spec.taint.is_empty() {
            node.taint(&spec.taint, "", "NoSchedule");
        }
        node.unschedulable(spec.cordoned);
    }
    nodes
}

/// The monitor over time, a minute a step.
struct Watch {
    memory: Memory,
    settings: Settings,
    now: Time,
    ledgers: BTreeMap<String, Ledger>,
}

impl Watch {
    fn new() -> Self {
        let mut config = Config::default();
        config.alert.default_channels = vec![ChannelKind::Log];
        Self {
            memory: Memory::default(),
            settings: Settings::of(&config),
            now: START,
            ledgers: BTreeMap::new(),
        }
    }

    fn pass(&mut self, minutes: u32) {
        self.now = self.now.plus(MINUTE * minutes);
    }

    /// Readings by node name: `cpu a=95 b=?`; a node that is not named has no sample.
    fn check(&mut self, texts: &str, readings: &str) -> Plan {
        let plan = self.check_with(texts, readings, &[]);
        self.pass(1);
        plan
    }

    fn check_with(
        &mut self,
        texts: &str,
        readings: &str,
        outlooks: &[(usize, Metric, Foretold)],
    ) -> Plan {
        let nodes = nodes(texts);
        let columns = self.columns(&nodes, readings);
        let columns: Vec<(Metric, &Column)> = columns
            .iter()
            .map(|(metric, column)| (*metric, column))
            .collect();
        let gone: BTreeSet<String> = missing(&self.memory, &nodes)
            .into_iter()
            .map(str::to_owned)
            .collect();
        let facts = Facts {
            now: self.now,
            nodes: &nodes,
            columns: &columns,
            leases: None,
            outlooks,
            gone: &gone,
            ledgers: &self.ledgers,
        };
        let (plan, memory) = check(&facts, self.memory.clone(), &self.settings);
        self.remember(&memory);
        plan
    }

    fn columns(&self, nodes: &Nodes, readings: &str) -> Vec<(Metric, Column)> {
        let mut columns: Vec<(Metric, Column)> = Vec::new();
        for word in readings.split_whitespace() {
            let Some((node, value)) = word.split_once('=') else {
                let metric = Metric::parse(word).unwrap();
                let column = Column::unknown(nodes.len(), Unknown::NoSample);
                columns.push((metric, column));
                continue;
            };
            let column = &mut columns.last_mut().unwrap().1;
            for position in 0..nodes.len() {
                let named = node == "*" || nodes.name(position) == node;
                if let (true, Ok(value)) = (named, value.parse()) {
                    let reading = Reading::Value {
                        value,
                        at: self.now,
                        origin: Origin::Prometheus,
                    };
                    column.set(position, reading);
                }
            }
        }
        columns
    }

    /// Through the rows of the state and back: what is kept there is all there is.
    fn remember(&mut self, memory: &Memory) {
        let mut rows: BTreeMap<String, String> = BTreeMap::new();
        for (key, body) in memory.changed_rows(&Memory::default()) {
            rows.insert(key, body.unwrap());
        }
        let rows = rows.iter().map(|(key, body)| (key.as_str(), body.as_str()));
        let (read, lost) = Memory::of_rows(rows);
        assert_eq!(lost, Vec::<String>::new());
        assert_eq!(read, *memory);
        self.memory = read;
    }

    fn see(&mut self, occurrence: Occurrence, texts: &str) -> Plan {
        let events: Vec<NodeEvent> = texts
            .split_whitespace()
            .map(|text| {
                let spec = spec(text);
                let away = Some(format!("{}:NoSchedule", spec.taint));
                NodeEvent {
                    occurrence,
                    ready: Some((spec.ready, "NodeStatusUnknown".to_owned())),
                    cordoned: spec.cordoned,
                    taints: away
                        .into_iter()
                        .filter(|_| !spec.taint.is_empty())
                        .collect(),
                    zone: spec.zone,
                    mute_until: String::new(),
                    name: spec.name,
                    uid: spec.uid,
                }
            })
            .collect();
        let (plan, memory) = see(
            &events,
            &self.ledgers,
            self.memory.clone(),
            &self.settings,
            self.now,
        );
        self.remember(&memory);
        plan
    }
}

/// What is told, in short: `+` trigger, `=` repeat, `-` recovery, `!` critical, `m` muted, and the key.
fn told(plan: &Plan) -> Vec<String> {
    plan.alerts
        .iter()
        .map(|alert| {
            let sign = match alert.kind {
                AlertKind::Trigger => '+',
                AlertKind::Repeat => '=',
                AlertKind::Recovery => '-',
            };
            let bad = if alert.severity == Severity::Critical {
                "!"
            } else {
                ""
            };
            let muted = if alert.muted.is_some() { "m" } else { "" };
            format!("{sign}{bad}{muted} {}", alert.notice.as_ref().unwrap().key)
        })
        .collect()
}

#[test]
fn thresholds_make_warnings_and_critical_alerts() {
    let cases: [(&str, &[&str]); 10] = [
        ("cpu a=70", &[]),
        ("cpu a=70.1", &["+ node_a_cpu_high"]),
        ("cpu a=90", &["+ node_a_cpu_high"]),
        ("cpu a=90.1", &["+! node_a_cpu_high"]),
        ("memory a=95", &["+! node_a_memory_high"]),
        ("disk a=85", &["+ node_a_disk_high"]),
        ("pods a=81", &["+ node_a_pod_high"]),
        ("inodes a=96", &["+! node_a_inode_high"]),
        ("load a=2.5", &["+ node_a_load_high"]),
        ("cpu a=? memory a=NaN disk", &[]),
    ];
    for (readings, expected) in cases {
        assert_eq!(
            told(&Watch::new().check("a b", readings)),
            expected,
            "{readings}"
        );
    }
}

#[test]
fn one_alert_a_key_in_a_cooldown_a_rise_at_once_and_an_end() {
    let mut watch = Watch::new();
    let steps: [(&str, &[&str]); 9] = [
        ("cpu a=75 b=10", &["+ node_a_cpu_high"]),
        ("cpu a=76 b=95", &["+! node_b_cpu_high"]),
        ("cpu a=91 b=95", &["+! node_a_cpu_high"]),
        // Just below the threshold is not yet well.
        ("cpu a=69.5 b=89.5", &[]),
        // Unknown ends nothing.
        ("cpu", &[]),
        (
            "cpu a=69 b=50",
            &["-! node_a_cpu_high", "-! node_b_cpu_high"],
        ),
        ("cpu a=10 b=10", &[]),
        // Within the cooldown of the last alert.
        ("cpu a=75 b=10", &[]),
        ("cpu a=10 b=10", &[]),
    ];
    for (readings, expected) in steps {
        assert_eq!(told(&watch.check("a b", readings)), expected, "{readings}");
    }
    watch.pass(15);
    assert_eq!(
        told(&watch.check("a b", "cpu a=75 b=10")),
        ["+ node_a_cpu_high"]
    );
    watch.pass(15);
    assert_eq!(
        told(&watch.check("a b", "cpu a=75 b=10")),
        ["= node_a_cpu_high"]
    );
}

#[test]
fn a_node_that_is_not_ready_is_told_at_once_and_hides_the_rest() {
    let mut watch = Watch::new();
    watch.check("a b", "cpu a=10 b=10");
    assert_eq!(
        told(&watch.see(Occurrence::Present, "a!Unknown")),
        ["+! node_a_not_ready"]
    );
    // Not twice, by whichever way it is noticed.
    assert_eq!(
        told(&watch.see(Occurrence::Present, "a!False")),
        Vec::<String>::new()
    );
    assert_eq!(
        told(&watch.check("a!False b", "cpu a=99 b=10")),
        Vec::<String>::new()
    );
    assert_eq!(
        told(&watch.see(Occurrence::Present, "a")),
        ["-! node_a_not_ready"]
    );
    // What it hid is still so.
    assert_eq!(
        told(&watch.check("a b", "cpu a=99 b=10")),
        ["+! node_a_cpu_high"]
    );
}

#[test]
fn a_node_that_is_not_ready_again_waits_for_the_cooldown_and_is_told_if_it_still_is() {
    let nothing = Vec::<String>::new();
    for stays in [true, false] {
        let mut watch = Watch::new();
        watch.check("a b", "");
        let began = watch.now;
        let steps: [(u64, &str, &[&str]); 3] = [
            (5, "a!Unknown", &["+! node_a_not_ready"]),
            (20, "a", &["-! node_a_not_ready"]),
            (30, "a!False", &[]),
        ];
        for (seconds, node, expected) in steps {
            watch.now = began.plus(Duration::from_secs(seconds));
            assert_eq!(told(&watch.see(Occurrence::Present, node)), expected);
        }
        for minutes in 1..=15 {
            watch.now = began.plus(MINUTE * minutes);
            assert_eq!(told(&watch.check("a!False b", "")), nothing, "{minutes}");
        }
        watch.now = began.plus(MINUTE * 15 + Duration::from_secs(5));
        let (nodes, expected) = if stays {
            ("a!False b", vec!["+! node_a_not_ready".to_owned()])
        } else {
            ("a b", nothing.clone())
        };
        assert_eq!(told(&watch.check(nodes, "")), expected);
    }
}

#[test]
fn a_node_that_is_deleted_again_waits_for_the_cooldown() {
    let mut watch = Watch::new();
    watch.check("a b", "");
    assert_eq!(
        told(&watch.see(Occurrence::Deleted, "a")),
        ["+! node_a_deleted"]
    );
    watch.pass(1);
    assert_eq!(
        told(&watch.see(Occurrence::Present, "a^2")),
        ["-! node_a_deleted"]
    );
    let again = watch.see(Occurrence::Deleted, "a^2");
    assert_eq!(told(&again), Vec::<String>::new());
    watch.pass(13);
    assert_eq!(told(&watch.check("b", "")), Vec::<String>::new());
    assert_eq!(told(&watch.check("b", "")), ["+! node_a_deleted"]);
}

#[test]
fn a_deleted_node_is_told_once_and_ends_what_was_known_of_it() {
    let mut watch = Watch::new();
    watch.check("a b", "cpu a=95 b=10");
    let plan = watch.see(Occurrence::Deleted, "a");
    assert_eq!(told(&plan), ["+! node_a_deleted", "-! node_a_cpu_high"]);
    let end = plan.alerts[1].notice.as_ref().unwrap();
    assert_eq!(
        end.title,
        "[RESOLVED] node a: CPU usage high no longer: node deleted, lasted 1m"
    );
    assert_eq!(told(&watch.check("b", "cpu b=10")), Vec::<String>::new());
    assert_eq!(
        told(&watch.see(Occurrence::Present, "a^2")),
        ["-! node_a_deleted"]
    );
    // Without an event, from the snapshot.
    watch.check("a^2 b", "cpu a=10 b=10");
    assert_eq!(told(&watch.check("a^2", "cpu a=10")), ["+! node_b_deleted"]);
    // Not again and again, and not for ever.
    watch.pass(60);
    assert_eq!(told(&watch.check("a^2", "cpu a=10")), Vec::<String>::new());
    watch.pass(24 * 60);
    assert_eq!(told(&watch.check("a^2", "cpu a=10")), Vec::<String>::new());
    assert_eq!(
        told(&watch.check("a^2 b^2", "cpu a=10")),
        Vec::<String>::new()
    );
    // The end of a node that was replaced before.
    assert_eq!(
        told(&watch.see(Occurrence::Deleted, "a^1")),
        Vec::<String>::new()
    );
}

#[test]
fn most_of_a_zone_not_ready_is_one_alert() {
    let mut watch = Watch::new();
    let all = "a@z b@z c@z d@z e@y f@y g@y";
    watch.check(all, "");
    assert_eq!(
        told(&watch.see(Occurrence::Present, "a@z!Unknown b@z!Unknown c@z!Unknown")),
        ["+! zone_z_many_not_ready"]
    );
    let plan = watch.see(Occurrence::Present, "d@z!Unknown e@y!Unknown");
    assert_eq!(told(&plan), ["+! node_e_not_ready"]);
    // One node comes back: three of four is still the zone. Then only one is left, which stands for itself.
    assert_eq!(
        told(&watch.see(Occurrence::Present, "d@z")),
        Vec::<String>::new()
    );
    let plan = watch.check("a@z!Unknown b@z c@z d@z e@y!Unknown f@y g@y", "");
    assert_eq!(
        told(&plan),
        ["-! zone_z_many_not_ready", "+! node_a_not_ready"]
    );
}

#[test]
fn a_source_that_falls_silent_is_one_alert() {
    let mut watch = Watch::new();
    watch.check("a b c", "cpu *=95 disk *=10 pods");
    assert_eq!(
        told(&watch.check("a b c", "cpu disk pods")),
        Vec::<String>::new()
    );
    let plan = watch.check("a b c", "cpu disk pods");
    assert_eq!(told(&plan), ["+ cluster_metrics_silent"]);
    let title = &plan.alerts[0].notice.as_ref().unwrap().title;
    // Pods were never known, and are not missed.
    assert!(
        title.contains("cpuUtilizationPercent (NoSample), diskUtilizationPercent (NoSample)"),
        "{title}"
    );
    assert!(!title.contains("pod"), "{title}");
    assert_eq!(
        told(&watch.check("a b c", "cpu *=95 disk *=10")),
        ["- cluster_metrics_silent"]
    );
}

#[test]
fn cordons_and_new_taints_are_noted_and_told_when_they_last() {
    let mut watch = Watch::new();
    // What a node has when it is first seen belongs to it, but for a cordon.
    watch.check("a+gpu b", "");
    let plan = watch.check("a+gpu b#", "");
    assert_eq!(
        (told(&plan), &plan.notes[..]),
        (vec![], &[Note::Cordoned("b".to_owned())][..])
    );
    let plan = watch.see(Occurrence::Present, "b#+broken");
    assert_eq!(
        plan.notes,
        [Note::TaintAdded(
            "b".to_owned(),
            "broken:NoSchedule".to_owned()
        )]
    );
    watch.pass(58);
    assert_eq!(
        told(&watch.check("a+gpu b#+broken", "")),
        Vec::<String>::new()
    );
    assert_eq!(
        told(&watch.check("a+gpu b#+broken", "")),
        ["+ node_b_cordoned"]
    );
    assert_eq!(
        told(&watch.check("a+gpu b#+broken", "")),
        ["+ node_b_tainted"]
    );
    let plan = watch.check("a+gpu b", "");
    assert_eq!(told(&plan), ["- node_b_cordoned", "- node_b_tainted"]);
}

#[test]
fn pressure_is_told_and_never_taken_for_a_percentage() {
    let mut watch = Watch::new();
    let plan = watch.check("a~DiskPressure b~PIDPressure", "disk a=?");
    assert_eq!(
        told(&plan),
        ["+ node_a_disk_pressure", "+ node_b_pid_pressure"]
    );
    assert_eq!(plan.alerts[0].metrics, BTreeMap::new());
}

#[test]
fn muted_nodes_are_marked_and_not_left_out() {
    let mut watch = Watch::new();
    let plan = watch.check("a# b%30", "cpu a=95 b=95");
    assert_eq!(told(&plan), ["+!m node_a_cpu_high", "+!m node_b_cpu_high"]);
    assert_eq!(plan.alerts[0].muted, Some(Mute::ForeignCordon));
    assert!(matches!(plan.alerts[1].muted, Some(Mute::Until(_))));
}

#[test]
fn a_forecast_is_told_once_it_is_sure_enough_and_near_enough() {
    let hours = |hours: u64| START.plus(Duration::from_hours(hours));
    let full = |expected: u64, confidence: f64| Foretold::Full {
        expected: hours(expected),
        earliest: hours(expected / 2),
        latest: Some(hours(expected * 2)),
        confidence,
    };
    let cases: [(Foretold, &str, &[&str]); 5] = [
        (full(6, 0.9), "disk a=70", &["+ node_a_disk_full_soon"]),
        (full(30, 0.9), "disk a=70", &[]),
        (full(6, 0.3), "disk a=70", &[]),
        (Foretold::Nothing, "disk a=70", &[]),
        // What is critical already needs no forecast.
        (full(6, 0.9), "disk a=95", &["+! node_a_disk_high"]),
    ];
    for (foretold, readings, expected) in cases {
        let plan = Watch::new().check_with("a", readings, &[(0, Metric::Disk, foretold)]);
        assert_eq!(told(&plan), expected, "{foretold:?}");
    }
    let mut watch = Watch::new();
    watch.check_with("a", "disk a=70", &[(0, Metric::Disk, full(6, 0.9))]);
    // A check that makes no forecast for the node changes nothing.
    assert_eq!(told(&watch.check("a", "disk a=70")), Vec::<String>::new());
    let plan = watch.check_with("a", "disk a=40", &[(0, Metric::Disk, Foretold::Nothing)]);
    assert_eq!(told(&plan), ["- node_a_disk_full_soon"]);
}

#[test]
fn the_words_are_of_the_language_that_is_set() {
    for (language, expected) in [
        (
            Language::English,
            "[CRITICAL] node a: CPU usage high: 95.2%, above 90%",
        ),
        (
            Language::Chinese,
            "【严重】节点 a CPU 使用率过高：95.2%，超过 90%",
        ),
    ] {
        let mut watch = Watch::new();
        watch.settings.language = language;
        let plan = watch.check("a", "cpu a=95.2");
        let alert = &plan.alerts[0];
        let notice = alert.notice.as_ref().unwrap();
        assert_eq!(notice.title, expected);
        assert_eq!(notice.language, language.as_str());
        assert_eq!(alert.conditions[0].test, "cpuUtilizationPercent > 90");
    }
}

#[test]
fn an_idle_check_changes_no_row() {
    let mut watch = Watch::new();
    watch.check("a b@z+gpu", "cpu *=10 disk *=20");
    let before = watch.memory.clone();
    let plan = watch.check("a b@z+gpu", "cpu *=11 disk *=21");
    assert_eq!(plan, Plan::default());
    assert_eq!(watch.memory.changed_rows(&before), []);
}

#[test]
fn events_before_the_first_check_do_not_make_the_others_newcomers() {
    let mut watch = Watch::new();
    assert_eq!(
        told(&watch.see(Occurrence::Present, "a!Unknown")),
        ["+! node_a_not_ready"]
    );
    let plan = watch.check("a!Unknown b c", "");
    assert_eq!((told(&plan), plan.notes), (Vec::new(), Vec::new()));
    assert_eq!(
        watch.check("a!Unknown b c d", "").notes,
        [Note::Joined("d".to_owned())]
    );
}

#[test]
fn a_zone_that_fails_again_is_told_again_and_ends_when_it_is_mostly_back() {
    let mut watch = Watch::new();
    let all = "a@z b@z c@z";
    let down = "a@z!Unknown b@z!Unknown c@z!Unknown";
    watch.check(all, "");
    for _ in 0..2 {
        assert_eq!(told(&watch.check(down, "")), ["+! zone_z_many_not_ready"]);
        let two = "a@z!Unknown b@z!Unknown c@z";
        assert_eq!(told(&watch.check(two, "")), Vec::<String>::new());
        let plan = watch.check(all, "");
        assert_eq!(told(&plan), ["-! zone_z_many_not_ready"]);
        let title = &plan.alerts[0].notice.as_ref().unwrap().title;
        assert!(
            title.starts_with("[RESOLVED] zone z: many nodes not ready no longer, lasted"),
            "{title}"
        );
    }
}

#[test]
fn a_title_shows_that_the_reading_is_above() {
    let plan = Watch::new().check("a", "cpu a=90.04");
    let title = &plan.alerts[0].notice.as_ref().unwrap().title;
    assert_eq!(
        title,
        "[CRITICAL] node a: CPU usage high: 90.0400%, above 90%"
    );
}
