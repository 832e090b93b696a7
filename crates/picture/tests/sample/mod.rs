//! A cluster to draw in tests: 72 nodes at three in the morning, some of them in trouble.

use std::time::Duration;

use ng_engine::time::Time;

use ng_picture::{
    Arrival, Incident, Language, Level, Limit, Limits, Measure, Next, NoForecast, Node, Outlook,
    Point, Readiness, Readings, Report, Severity, Silence, Source, Table, Trend,
};

/// 2026-01-02T03:04:05.678Z
pub(crate) const NOW: Time = Time::from_millis(1_767_323_045_678);

/// A name that is markup, and one that steers a terminal and turns the direction of reading.
pub(crate) const HOSTILE: [&str; 2] = [
    "<script>alert(1)</script>\"'&",
    "a\u{1b}[31m\u{202e}b\u{0}\u{9b}c\u{7}\r\n\u{2066}d",
];

/// This many minutes ago.
pub(crate) fn ago(minutes: u64) -> Time {
    NOW.minus(Duration::from_mins(minutes))
}

/// In this many minutes.
pub(crate) fn later(minutes: u64) -> Time {
    NOW.plus(Duration::from_mins(minutes))
}

fn limit(warning: f64, critical: f64) -> Limit {
    Limit {
        warning: Some(warning),
        critical: Some(critical),
    }
}

pub(crate) fn limits() -> Limits {
    Limits {
        cpu: limit(85.0, 95.0),
        memory: limit(85.0, 95.0),
        disk: limit(80.0, 90.0),
        inodes: limit(80.0, 90.0),
        pods: limit(85.0, 95.0),
        load: limit(1.5, 3.0),
    }
}

/// A number between 0 and 1 that looks like chance and is always the same.
pub(crate) fn chance(seed: usize) -> f64 {
    let mixed = (seed.wrapping_mul(2_654_435_761) ^ 0x5bd1).wrapping_mul(40_503) >> 7;
    f64::from(u32::try_from(mixed % 10_000).unwrap_or_default()) / 10_000.0
}

/// A healthy node.
pub(crate) fn node(name: &str, seed: usize) -> Node {
    let reading = |salt: usize, from: f64, span: f64| Some(from + span * chance(seed * 7 + salt));
    Node {
        name: name.to_owned(),
        zone: format!("eu-central-1{}", ["a", "b", "c"][seed % 3]),
        level: Level::Ok,
        since: Some(ago(60 * 50)),
        readiness: Readiness::Ready,
        cordoned: false,
        readings: Readings {
            cpu: reading(1, 12.0, 58.0),
            memory: reading(2, 35.0, 42.0),
            disk: reading(3, 30.0, 42.0),
            inodes: reading(4, 4.0, 20.0),
            pods: reading(5, 25.0, 50.0),
            load: reading(6, 0.1, 0.9),
        },
        read_at: Some(NOW.minus(Duration::from_secs(12))),
        silence: None,
        next: None,
    }
}

/// This many nodes, of which about one in twelve is in trouble.
pub(crate) fn nodes(count: usize) -> Vec<Node> {
    let mut nodes: Vec<Node> = (0..count)
        .map(|index| node(&format!("worker-{index:04}"), index))
        .collect();
    for (index, node) in nodes.iter_mut().enumerate() {
        match index % 47 {
            7 => critical_disk(node),
            13 => high_memory(node),
            22 => silent(node),
            31 => high_load(node),
            _ => {}
        }
    }
    nodes
}

fn critical_disk(node: &mut Node) {
    node.level = Level::Critical;
    node.since = Some(ago(95));
    node.readings.disk = Some(92.4);
    node.next = Some(Next {
        measure: Measure::Disk,
        arrival: arrival(360, 240, Some(660), 0.81),
    });
}

fn high_memory(node: &mut Node) {
    node.level = Level::Warning;
    node.since = Some(ago(31));
    node.readings.memory = Some(88.0);
    node.next = Some(Next {
        measure: Measure::Memory,
        arrival: arrival(1500, 700, None, 0.42),
    });
}

fn silent(node: &mut Node) {
    node.level = Level::Unknown;
    node.since = Some(ago(12));
    node.readings = Readings {
        pods: node.readings.pods,
        ..Readings::default()
    };
    node.read_at = Some(ago(9));
    node.silence = Some(Silence::Stale);
}

fn high_load(node: &mut Node) {
    node.level = Level::Warning;
    node.since = Some(ago(8));
    node.cordoned = true;
    node.readings.load = Some(2.31);
    node.readings.cpu = Some(91.0);
}

pub(crate) fn arrival(at: u64, earliest: u64, latest: Option<u64>, confidence: f64) -> Arrival {
    Arrival {
        limit: 100.0,
        at: later(at),
        earliest: later(earliest),
        latest: latest.map(later),
        confidence,
    }
}

fn gone(node: &mut Node) {
    node.level = Level::Critical;
    node.since = Some(ago(132));
    node.readiness = Readiness::NotReady;
    node.readings = Readings::default();
    node.read_at = None;
    node.silence = Some(Silence::NoSample);
}

/// A day of points every ten minutes: `value` of the hour and a chance, without those of the hours in `missing`.
pub(crate) fn points(value: impl Fn(f64, f64) -> f64, missing: &[(u32, u32)]) -> Vec<Point> {
    let lasting = Duration::from_mins(10);
    let point = |index: u32| {
        let hour = f64::from(index) / 6.0;
        let mean = value(hour, chance(index as usize * 3));
        let spread = 1.0 + 3.0 * chance(index as usize);
        Point {
            at: ago(24 * 60).plus(lasting * index),
            lasting,
            min: mean - spread,
            mean,
            max: mean + spread * 1.4,
        }
    };
    (0..144)
        .filter(|index| {
            !missing
                .iter()
                .any(|(from, to)| (from * 6..to * 6).contains(index))
        })
        .map(point)
        .collect()
}

fn trend(node: &str, measure: Measure, (points, outlook): (Vec<Point>, Outlook)) -> Trend {
    Trend {
        node: node.to_owned(),
        measure,
        points,
        outlook,
    }
}

fn trends() -> Vec<Trend> {
    let day = |hour: f64| (hour * std::f64::consts::TAU / 24.0).sin();
    let rising = points(|hour, by| 61.0 + hour * 1.3 + by * 0.6, &[]);
    let with_gaps = points(
        |hour, by| 55.0 + hour * 1.35 + by * 3.0,
        &[(6, 9), (15, 16)],
    );
    let load = points(|hour, by| 1.2 + 0.8 * day(hour) + by * 0.7, &[]);
    let load = load.into_iter().map(|point| Point {
        min: point.mean * 0.8,
        max: point.mean * 1.25,
        ..point
    });
    vec![
        trend(
            "worker-0007",
            Measure::Disk,
            (rising, Outlook::Reaches(arrival(360, 240, Some(660), 0.81))),
        ),
        trend(
            "worker-0013",
            Measure::Memory,
            (with_gaps, Outlook::Reaches(arrival(1500, 700, None, 0.42))),
        ),
        trend(
            "worker-0054",
            Measure::Disk,
            (
                points(|hour, by| 80.0 + hour * 0.5 + by, &[]),
                Outlook::Reaches(arrival(1000, 800, Some(1300), 0.93)),
            ),
        ),
        trend(
            "worker-0031",
            Measure::Load,
            (load.collect(), Outlook::None(NoForecast::NoTrend)),
        ),
        trend(
            "worker-0022",
            Measure::Cpu,
            (
                points(|hour, by| 40.0 + 20.0 * day(hour) + by * 8.0, &[(20, 24)]),
                Outlook::None(NoForecast::Unknown),
            ),
        ),
        trend(
            "worker-0040",
            Measure::Memory,
            (Vec::new(), Outlook::None(NoForecast::TooShort)),
        ),
        trend(
            "worker-0060",
            Measure::Memory,
            (
                points(|hour, by| 70.0 + hour * 0.5 + by * 6.0, &[]),
                Outlook::None(NoForecast::Beyond(Duration::from_hours(72))),
            ),
        ),
    ]
}

fn incident(node: &str, key: &str, (severity, message): (Severity, &str)) -> Incident {
    Incident {
        node: node.to_owned(),
        key: key.to_owned(),
        severity,
        message: message.to_owned(),
        begin: ago(60),
        end: None,
    }
}

fn incidents() -> Vec<Incident> {
    let disk = (Severity::Critical, "disk 92% is at or above 90%");
    let memory = (Severity::Warning, "memory 88% is at or above 85%");
    let mut all = vec![
        Incident {
            begin: ago(132),
            ..incident(
                "worker-0003",
                "Ready",
                (Severity::Critical, "Kubelet stopped posting node status."),
            )
        },
        Incident {
            begin: ago(95),
            ..incident("worker-0007", "diskUtilizationPercent", disk)
        },
        Incident {
            begin: ago(47),
            ..incident("worker-0054", "diskUtilizationPercent", disk)
        },
        Incident {
            begin: ago(31),
            ..incident("worker-0013", "memoryUtilizationPercent", memory)
        },
        Incident {
            begin: ago(31),
            ..incident("worker-0060", "memoryUtilizationPercent", memory)
        },
        Incident {
            begin: ago(8),
            ..incident(
                "worker-0031",
                "cpuLoadRatio",
                (Severity::Warning, "load 2.31 is at or above 1.50"),
            )
        },
    ];
    for (begin, end) in [(1300, 1240), (900, 870), (500, 320)] {
        all.push(Incident {
            begin: ago(begin),
            end: Some(ago(end)),
            ..incident("worker-0031", "cpuLoadRatio", (Severity::Warning, ""))
        });
    }
    all.push(Incident {
        begin: ago(2000),
        end: Some(ago(700)),
        ..incident(
            "worker-0018",
            "podUtilizationPercent",
            (Severity::Critical, ""),
        )
    });
    all
}

/// The cluster as a report.
pub(crate) fn sample(language: Language) -> Report {
    let mut nodes = nodes(72);
    gone(&mut nodes[3]);
    Report {
        language,
        cluster: "prod-eu".to_owned(),
        at: NOW,
        source: Source::Answering,
        limits: limits(),
        nodes,
        trends: trends(),
        timeline_from: ago(24 * 60),
        incidents: incidents(),
    }
}

/// The cluster as a table.
pub(crate) fn sample_table(language: Language) -> Table {
    let Report {
        language,
        cluster,
        at,
        source,
        limits,
        nodes,
        ..
    } = sample(language);
    Table {
        language,
        cluster,
        at,
        source,
        limits,
        nodes,
    }
}
