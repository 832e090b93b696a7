//! The page as text: nothing gets out of its place, nothing refers outside, nothing unknown looks known.

use ng_picture::{
    Incident, Language, Limits, Measure, NoForecast, Node, Outlook, Point, Readings, Report,
    Severity, Source, Trend, report,
};
use proptest::prelude::*;

use crate::LANGUAGES;
use crate::markup;
use crate::sample::{self, HOSTILE, NOW, ago, node, nodes, points};

/// What a page must not contain, whatever anybody calls a node.
const OUTSIDE: [&str; 9] = [
    "http://",
    "https://",
    "src=",
    "url(",
    "href=",
    "@import",
    "javascript:",
    "srcset=",
    "<link",
];

fn hostile(text: &str) -> Report {
    let mut report = sample::sample(Language::English);
    text.clone_into(&mut report.cluster);
    for node in &mut report.nodes {
        text.clone_into(&mut node.name);
        text.clone_into(&mut node.zone);
    }
    for trend in &mut report.trends {
        text.clone_into(&mut trend.node);
    }
    for incident in &mut report.incidents {
        text.clone_into(&mut incident.node);
        text.clone_into(&mut incident.key);
        text.clone_into(&mut incident.message);
    }
    report
}

fn check(page: &str) {
    markup::check(page);
    for outside in OUTSIDE {
        assert!(!page.contains(outside), "{outside} in the page");
    }
    let unseen = page.chars().find(|sign| {
        (sign.is_control() && *sign != '\n')
            || matches!(sign, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    });
    assert_eq!(unseen, None);
}

#[test]
fn the_sample_is_well_formed_and_refers_to_nothing() {
    for language in LANGUAGES {
        check(&report(&sample::sample(language)));
    }
}

#[test]
fn hostile_text_stays_text() {
    let addresses =
        "https://example.com/?src=x url(y) @import javascript:z <link href='q'> http://";
    let plain = markup::elements(&report(&hostile("worker-1")));
    for text in HOSTILE.into_iter().chain([addresses]) {
        let page = report(&hostile(text))
            .replace("@import", "")
            .replace("javascript:", "");
        check(&page);
        assert!(!page.contains("<script>alert"));
        assert_eq!(
            markup::elements(&page),
            plain,
            "no element more than with a plain name"
        );
    }
    let page = report(&hostile(HOSTILE[0]));
    assert!(page.contains("&lt;script&gt;alert&#40;1)&lt;&#47;script&gt;&quot;&#39;&amp;</b>"));
    let page = report(&hostile(HOSTILE[1]));
    assert!(page.contains(r"a\u{1b}[31m\u{202e}b\u{0}\u{9b}c\u{7}\u{d}\u{a}\u{2066}d"));
}

#[test]
fn an_empty_cluster_has_a_page() {
    for language in LANGUAGES {
        let page = report(&Report {
            cluster: String::new(),
            nodes: Vec::new(),
            trends: Vec::new(),
            incidents: Vec::new(),
            ..sample::sample(language)
        });
        check(&page);
    }
}

#[test]
fn five_thousand_nodes_are_a_small_file_and_grow_in_a_line() {
    let size = |count: usize| {
        let mut nodes = nodes(count);
        for node in &mut nodes {
            node.name = format!("{}.eu-central-1.compute.internal", node.name);
        }
        report(&Report {
            nodes,
            ..sample::sample(Language::English)
        })
        .len()
    };
    let (few, half, whole) = (size(1000), size(3000), size(5000));
    assert!(whole < 1_500_000, "{whole} bytes");
    let (first, second) = (half - few, whole - half);
    assert!(
        first.abs_diff(second) < first / 20,
        "{first} bytes, then {second}"
    );
}

fn trend(points: Vec<Point>) -> Report {
    let trend = Trend {
        node: "worker-0001".to_owned(),
        measure: Measure::Disk,
        points,
        outlook: Outlook::None(NoForecast::Gaps),
    };
    Report {
        trends: vec![trend],
        ..sample::sample(Language::English)
    }
}

/// The stretches of the curve: from where to where on the horizontal axis.
fn stretches(page: &str) -> Vec<(f64, f64)> {
    let (_, path) = page.split_once("class=\"mean\" d=\"").expect("a curve");
    let (path, _) = path.split_once('"').expect("its end");
    let x = |corner: &str| corner.split(' ').next()?.parse().ok();
    let stretch = |part: &str| {
        let xs: Option<Vec<f64>> = part.split('L').map(x).collect();
        let xs = xs.expect("numbers");
        (xs[0], xs[xs.len() - 1])
    };
    path.split('M').skip(1).map(stretch).collect()
}

#[test]
fn no_line_crosses_a_gap() {
    let missing = [(6, 9), (15, 16)];
    let page = report(&trend(points(|hour, by| 40.0 + hour + by, &missing)));
    let found = stretches(&page);
    assert_eq!(found.len(), 3);
    // The picture is 318 wide and ends five seconds after the last point, a day after the first.
    let hour = 318.0 / 24.0;
    for (index, (from, to)) in missing.into_iter().enumerate() {
        assert!(
            (found[index].1 - f64::from(from) * hour).abs() < 0.2,
            "{found:?}"
        );
        assert!(
            (found[index + 1].0 - f64::from(to) * hour).abs() < 0.2,
            "{found:?}"
        );
    }
    assert_eq!(
        page.matches("class=\"gap\"").count(),
        2 + 1,
        "two, and the one of the legend"
    );
    assert!(page.contains("2 gaps"));
}

#[test]
fn what_is_no_number_is_a_gap() {
    let mut points = points(|_, by| 40.0 + by, &[]);
    for point in &mut points[30..40] {
        point.mean = f64::NAN;
    }
    points[90].max = f64::INFINITY;
    assert_eq!(stretches(&report(&trend(points))).len(), 3);
}

#[test]
fn a_single_point_is_seen_and_no_point_is_said() {
    let page = report(&trend(points(|_, _| 40.0, &[])[10..11].to_vec()));
    let found = stretches(&page);
    assert!(
        found.len() == 1 && found[0].1 > found[0].0 + 1.0,
        "{found:?}"
    );
    let page = report(&trend(Vec::new()));
    assert!(page.contains("Nothing was measured in this time."));
    assert_eq!(
        page.matches("<svg class=\"plot\"").count(),
        5,
        "only those of the legend"
    );
}

fn dark(name: &str) -> Node {
    let nan = Some(f64::NAN);
    Node {
        readings: Readings {
            cpu: nan,
            load: Some(f64::INFINITY),
            ..Readings::default()
        },
        read_at: None,
        ..node(name, 1)
    }
}

#[test]
fn unknown_is_never_drawn_as_a_number() {
    let page = report(&Report {
        nodes: vec![dark("worker-1")],
        trends: Vec::new(),
        incidents: Vec::new(),
        limits: Limits::default(),
        ..sample::sample(Language::English)
    });
    let (_, row) = page.split_once("<tr role=\"row\" class=").unwrap();
    let (row, _) = row.split_once("</tr>").unwrap();
    assert_eq!(
        row.matches(">unknown</span>").count(),
        6 + 1,
        "six readings and an age: {row}"
    );
    assert!(
        !row.contains("class=\"bar\"") && !row.contains('%') && !row.contains("0.0"),
        "{row}"
    );
    let (_, cell) = page.split_once("title=\"worker-1:").unwrap();
    let (cell, _) = cell.split_once('"').unwrap();
    assert_eq!(cell.matches("unknown").count(), 6, "{cell}");
    assert!(page.contains("Every measure: unknown for 1 node &#40;no reason known)"));
}

#[test]
fn the_first_lines_say_what_is_broken_and_what_fills_up() {
    let page = report(&sample::sample(Language::English));
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    let order = [
        "<b>3</b> critical",
        "Broken now",
        "<b>worker-0003</b> Ready <span class=\"since\">for 2 h 12 min &#40;since 00:52 UTC)",
        "<b>worker-0007</b> diskUtilizationPercent",
        "<b>worker-0013</b> memoryUtilizationPercent",
        "<h2>Full next",
        "full in 6 h &#40;4 h to 11 h), confidence 0.8",
        "Every node",
    ];
    let places: Vec<usize> = order.into_iter().map(place).collect();
    assert!(places.is_sorted(), "{places:?}");
    let page = report(&sample::sample(Language::Chinese));
    assert!(page.contains("6 小时后用满（4 小时到 11 小时），置信度 0.8"));
}

#[test]
fn a_critical_node_without_an_alert_is_broken_too() {
    let report = report(&Report {
        incidents: Vec::new(),
        ..sample::sample(Language::English)
    });
    let (_, broken) = report.split_once("Broken now").unwrap();
    let (broken, _) = broken.split_once("Full next").unwrap();
    assert!(broken.contains("<b>worker-0003</b> not ready <span class=\"since\">for 2 h 12 min"));
}

#[test]
fn a_silent_source_is_said_at_the_top() {
    let page = report(&Report {
        source: Source::Silent { since: ago(77) },
        ..sample::sample(Language::English)
    });
    let said = page
        .find("No metrics for 1 h 17 min: no source has answered since 01:47 UTC.")
        .unwrap();
    assert!(said < page.find("Broken now").unwrap());
}

#[test]
fn incidents_of_the_future_and_of_long_ago_are_not_on_the_timeline() {
    let incident = |node: &str, begin, end| Incident {
        node: node.to_owned(),
        key: "Ready".to_owned(),
        severity: Severity::Warning,
        message: String::new(),
        begin,
        end,
    };
    let page = report(&Report {
        incidents: vec![
            incident("before", ago(5000), Some(ago(4000))),
            incident("across", ago(5000), Some(ago(400))),
            incident("backwards", ago(300), Some(ago(400))),
        ],
        ..sample::sample(Language::English)
    });
    let (_, timeline) = page.split_once("class=\"timeline\">").unwrap();
    assert!(!timeline.contains("before") && timeline.contains("across"));
    check(&page);
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        0.0..120.0,
        any::<f64>(),
        Just(f64::NAN),
        Just(f64::NEG_INFINITY),
        Just(f64::MAX)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_leaves_the_page_whole(text in any::<String>()) {
        let page = report(&hostile(&text));
        markup::check(&page);
        prop_assert!(!page.contains("://") && !page.contains("src=") && !page.contains("url("));
    }

    #[test]
    fn any_number_is_drawn_or_left_out(values in proptest::array::uniform8(any_number()), minutes in any::<i64>()) {
        let mut report = sample::sample(Language::English);
        let [cpu, load, mean, limit, critical, confidence, min, max] = values;
        report.nodes[0].readings = Readings { cpu: Some(cpu), load: Some(load), ..Readings::default() };
        report.limits.disk.critical = Some(critical);
        report.limits.load.critical = Some(critical);
        for trend in &mut report.trends {
            for point in trend.points.iter_mut().step_by(3) {
                *point = Point { min, mean, max, ..*point };
            }
            if let Outlook::Reaches(arrival) = &mut trend.outlook {
                arrival.limit = limit;
                arrival.confidence = confidence;
                arrival.earliest = ng_engine::time::Time::from_millis(minutes);
                arrival.at = NOW.plus(std::time::Duration::from_millis(minutes.unsigned_abs()));
            }
        }
        let page = ng_picture::report(&report);
        markup::check(&page);
        let drawn = page.split(" d=\"").skip(1).filter_map(|rest| rest.split('"').next());
        for path in drawn {
            prop_assert!(!path.contains("NaN") && !path.contains("inf"), "{}", path);
        }
    }
}
