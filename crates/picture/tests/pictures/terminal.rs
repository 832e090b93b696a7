//! The table as a terminal or a file gets it.

use crate::LANGUAGES;
use crate::sample::{HOSTILE, ago, node, sample_table};
use ng_picture::{Language, Node, Paint, Readings, Screen, Source, Table, table};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

fn screen(width: usize, lines: usize, paint: Paint) -> Screen {
    Screen {
        width,
        lines: Some(lines),
        paint,
    }
}

/// The text without codes for colours; any other code stays and is found.
fn bare(text: &str) -> String {
    let mut bare = text.to_owned();
    for code in ["0", "1", "2", "33", "36", "1;31"] {
        bare = bare.replace(&format!("\u{1b}[{code}m"), "");
    }
    bare
}

#[test]
fn a_pipe_of_eighty_columns_gets_plain_text() {
    let shown = table(
        &sample_table(Language::English),
        &screen(80, 12, Paint::Plain),
    );
    let expected = "\
prod-eu  2026-01-02 03:04 UTC  72 nodes  3 critical  3 warning  2 unknown  64 ok
Node        State CPU      MEM      Disk     Pods     Load     Full next  Age
worker-0003 CRIT!        ?        ?        ?        ?        ? -            ?
worker-0007 CRIT  #..  40% ##.  76% ###  92% ##.  52% ... 0.45 Disk 6h    12s
worker-0054 CRIT  ...  15% #..  46% ###  92% ##.  67% ... 0.27 Disk 6h    12s
worker-0013 WARN  ##.  68% ###  88% #..  30% #..  45% #.. 0.80 MEM 25h    12s
worker-0060 WARN  ##.  64% ###  88% ##.  59% ##.  59% ... 0.14 MEM 25h    12s
worker-0031 WARN  ###  91% #..  40% #..  33% #..  40% ##. 2.31 -          12s
worker-0022 unkn         ?        ?        ? ##.  74%        ? -           9m
worker-0069 unkn         ?        ?        ? ##.  70%        ? -           9m
worker-0047 ok    ##.  67% ##.  75% #..  44% #..  43% #.. 0.84 -          12s
... 63 more nodes
";
    assert_eq!(shown, expected);
}

#[test]
fn a_terminal_gets_colours_blocks_and_its_language() {
    let shown = table(
        &sample_table(Language::Chinese),
        &screen(110, 7, Paint::Terminal),
    );
    assert!(shown.contains("\u{1b}[1;31m"), "{shown}");
    let expected = "\
prod-eu  2026-01-02 03:04 UTC  72 个节点  3 严重  3 警告  2 未知  64 正常
";
    assert!(bare(&shown).starts_with(expected), "{}", bare(&shown));
    assert!(bare(&shown).contains("磁盘 6时"));
    assert!(shown.contains('█'));
}

#[test]
fn no_line_is_wider_than_the_screen_and_no_table_is_longer() {
    for language in LANGUAGES {
        for paint in [Paint::Plain, Paint::Terminal] {
            for width in 20..200 {
                let lines = 4 + width % 30;
                let shown = bare(&table(
                    &sample_table(language),
                    &screen(width, lines, paint),
                ));
                assert!(shown.lines().count() <= lines.max(6), "{width}: {shown}");
                for line in shown.lines() {
                    assert!(line.width() <= width, "{width}: {line}");
                }
            }
        }
    }
}

#[test]
fn without_a_number_of_lines_every_node_is_shown() {
    let all = Screen {
        lines: None,
        ..screen(80, 0, Paint::Plain)
    };
    assert_eq!(
        table(&sample_table(Language::English), &all)
            .lines()
            .count(),
        2 + 72
    );
}

fn with_names(names: &[&str]) -> Table {
    let nodes: Vec<Node> = names
        .iter()
        .enumerate()
        .map(|(seed, name)| node(name, seed))
        .collect();
    Table {
        nodes,
        ..sample_table(Language::English)
    }
}

#[test]
fn wide_signs_do_not_break_the_columns() {
    let names = [
        "节点-一",
        "worker-1",
        "ノード-２",
        "노드",
        "é",
        "a-very-long-name-of-a-node-that-is-cut.example.internal",
    ];
    for width in [40, 80, 100] {
        let shown = table(&with_names(&names), &screen(width, 20, Paint::Plain));
        let rows: Vec<&str> = shown.lines().filter(|line| line.contains(" ok ")).collect();
        assert_eq!(rows.len(), names.len(), "{shown}");
        for row in &rows {
            let (name, rest) = row.split_once(" ok ").unwrap();
            let (other, other_rest) = rows[0].split_once(" ok ").unwrap();
            assert_eq!(name.width(), other.width(), "{shown}");
            assert_eq!(rest.width(), other_rest.width(), "{shown}");
        }
    }
}

#[test]
fn names_cannot_steer_the_terminal() {
    for paint in [Paint::Plain, Paint::Terminal] {
        let mut data = with_names(&HOSTILE);
        data.cluster = HOSTILE[1].to_owned();
        let shown = bare(&table(&data, &screen(160, 20, paint)));
        let unseen = |sign: char| {
            (sign.is_control() && sign != '\n')
                || matches!(sign, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!shown.contains(unseen), "{shown:?}");
        assert!(shown.contains("\\u{1b}[31m"), "{shown}");
    }
}

#[test]
fn unknown_is_a_question_mark_without_a_bar() {
    let nan = Some(f64::NAN);
    let mut data = with_names(&["worker-1"]);
    data.nodes[0].readings = Readings {
        cpu: nan,
        ..Readings::default()
    };
    data.nodes[0].read_at = None;
    for width in [40, 80, 160] {
        let shown = table(&data, &screen(width, 9, Paint::Plain));
        let row = shown.lines().last().unwrap();
        assert!(!row.contains(['#', '.', '%', '0']), "{row}");
        assert!(row.contains('?'), "{row}");
    }
}

#[test]
fn a_silent_source_is_the_second_line() {
    let data = Table {
        source: Source::Silent { since: ago(77) },
        ..sample_table(Language::English)
    };
    let shown = table(&data, &screen(80, 9, Paint::Plain));
    assert_eq!(shown.lines().nth(1), Some("! no metrics for 1 h 17 min"));
}

proptest! {
    #[test]
    fn any_name_and_any_number_keep_to_their_columns(
        name in any::<String>(),
        value in prop_oneof![any::<f64>(), -10.0..2000.0],
        width in 0_usize..200,
    ) {
        let mut data = with_names(&[&name]);
        data.nodes[0].readings.cpu = Some(value);
        data.nodes[0].readings.load = Some(value);
        for paint in [Paint::Plain, Paint::Terminal] {
            let shown = bare(&table(&data, &screen(width, 9, paint)));
            for line in shown.lines() {
                prop_assert!(line.width() <= width.max(20), "{}", line);
            }
        }
    }
}
