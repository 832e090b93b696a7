//! What lines look like, and how long they get.

use super::*;

const NOW: &str = "2026-01-02T03:04:05Z";

fn logged(level: Level, format: Format, log: impl FnOnce(&Logger)) -> String {
    let (logger, lines) = Logger::in_memory(NOW.parse().unwrap());
    logger.set_level(level);
    logger.set_format(format);
    log(&logger);
    let bytes = lines.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_record_is_one_flat_object() {
    let line = logged(Level::Info, Format::Json, |log| {
        let fields = [
            ("rule", "a\"\\\n\u{1}é".into()),
            ("nodes", 3usize.into()),
            ("value", 0.5.into()),
            ("unknown", f64::NAN.into()),
            ("dry_run", true.into()),
            ("at", Value::Shown(&log.clock.now)),
        ];
        log.warn("node \"x\" is hot", &fields);
    });
    let expected = concat!(
        r#"{"time":"2026-01-02T03:04:05.000Z","level":"warn","msg":"node \"x\" is hot","#,
        r#""rule":"a\"\\\n\u0001é","nodes":3,"value":0.5,"unknown":null,"dry_run":true,"#,
        r#""at":"2026-01-02T03:04:05Z"}"#,
        "\n",
    );
    assert_eq!(line, expected);
    serde_json::from_str::<serde_json::Value>(&line).unwrap();
}

#[test]
fn text_lines_are_one_line_and_never_look_like_json() {
    let line = logged(Level::Info, Format::Text, |log| {
        log.info(
            "{\nx",
            &[("a", "b c".into()), ("d", "e".into()), ("f", 1usize.into())],
        );
    });
    assert_eq!(
        line,
        "2026-01-02T03:04:05.000Z info  { x a=\"b c\" d=e f=1\n"
    );
}

#[test]
fn records_below_the_level_are_left_out() {
    for (level, count) in Level::ALL.into_iter().zip([5, 4, 3, 2, 1]) {
        let lines = logged(level, Format::Json, |log| {
            log.trace("", &[]);
            log.debug("", &[]);
            log.info("", &[]);
            log.warn("", &[]);
            log.error("", &[]);
            assert_eq!(log.level(), level);
        });
        assert_eq!(lines.lines().count(), count, "{level:?}");
    }
}

#[test]
fn long_lines_are_cut_and_stay_whole_objects() {
    for text in ["x", "\u{1}", "é", "\"", "𝄞"] {
        let long = text.repeat(20_000);
        for format in [Format::Json, Format::Text] {
            let line = logged(Level::Info, format, |log| {
                log.info(&long, &vec![("a", long.as_str().into()); 500]);
                log.info("short", &vec![("a", Value::Integer(i64::MIN)); 500]);
            });
            for line in line.lines() {
                assert!(line.len() < 10_000, "{} bytes", line.len());
                if format == Format::Json {
                    serde_json::from_str::<serde_json::Value>(line).unwrap();
                }
            }
            assert_eq!(line.lines().count(), 2);
        }
    }
}

#[test]
fn levels_have_the_names_of_the_operator() {
    for (name, level) in [
        ("DEBUG", Level::Debug),
        ("warning", Level::Warn),
        ("fatal", Level::Error),
        (" Info ", Level::Info),
    ] {
        assert_eq!(name.parse(), Ok(level));
    }
    assert!(
        "loud"
            .parse::<Level>()
            .unwrap_err()
            .to_string()
            .contains("\"loud\"")
    );
}
