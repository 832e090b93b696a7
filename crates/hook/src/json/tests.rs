//! The reader against `serde_json`, and against documents that are wrong.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Reads any value into a tree, to compare.
fn tree(reader: &mut Reader<'_>) -> Result<Value, Error> {
    Ok(match reader.peek()? {
        Kind::Object => {
            let mut object = serde_json::Map::new();
            reader.fields(|reader, key| {
                object.insert(key.to_string(), tree(reader)?);
                Ok(())
            })?;
            Value::Object(object)
        }
        Kind::Array => {
            let mut list = Vec::new();
            reader.items(|reader, _| {
                list.push(tree(reader)?);
                Ok(())
            })?;
            Value::Array(list)
        }
        Kind::String => Value::String(reader.string()?.into_owned()),
        Kind::Number => {
            let text = reader.number_text()?;
            match text.parse::<i64>() {
                Ok(number) => number.into(),
                // As serde_json does, nothing is taken that no f64 can hold, such as 1e999.
                Err(_) => Reader::new(text.as_bytes()).number()?.into(),
            }
        }
        Kind::Bool => Value::Bool(reader.bool()?),
        Kind::Null => {
            reader.null()?;
            Value::Null
        }
    })
}

fn document(bytes: &[u8]) -> Result<Value, Error> {
    let mut reader = Reader::new(bytes);
    let value = tree(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

fn skipped(bytes: &[u8]) -> Result<Raw<'_>, Error> {
    let mut reader = Reader::new(bytes);
    let raw = reader.raw()?;
    reader.finish()?;
    Ok(raw)
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "\\PC{0,40}",
        "[\"\\\\<>&{}\\[\\]\n\u{1}é]{0,12}",
        "[a-z./-]{0,40}"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1000i32..1000).prop_map(|number| Value::from(f64::from(number) / 8.0)),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 80, 8, |inner| {
        let key = prop_oneof!["[a-zA-Z]{0,10}", "\\PC{0,6}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The text as Go writes it: `<`, `>` and `&` escaped.
fn go_text(value: &Value) -> String {
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

proptest! {
    #[test]
    fn reads_what_serde_json_reads(value in any_json()) {
        for text in [value.to_string(), go_text(&value), format!("{value:#}\n")] {
            prop_assert_eq!(document(text.as_bytes()), Ok(value.clone()));
        }
    }

    #[test]
    fn skips_a_value_to_its_end(value in any_json()) {
        for text in [go_text(&value), format!("{value:#}")] {
            prop_assert_eq!(skipped(text.as_bytes()).unwrap().bytes(), text.as_bytes());
            let list = format!(" [ {text} , 1 ]");
            let mut reader = Reader::new(list.as_bytes());
            let mut count = 0;
            reader.items(|_, _| { count += 1; Ok(()) }).unwrap();
            prop_assert!(count == 2 && reader.finish().is_ok());
        }
    }

    #[test]
    fn accepts_nothing_that_serde_json_refuses(
        value in any_json(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = go_text(&value).into_bytes();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let read = document(&bytes);
        let expected = serde_json::from_slice::<Value>(&bytes);
        prop_assert_eq!(read.is_ok(), expected.is_ok(), "{:?} {:?}", read, expected);
        if let Ok(raw) = skipped(&bytes) {
            prop_assert!(raw.bytes().len() <= bytes.len());
        } else {
            prop_assert!(expected.is_err());
        }
    }

    #[test]
    fn a_cut_document_is_an_error(value in any_json(), cut in any::<prop::sample::Index>()) {
        let text = format!("[{}]", go_text(&value));
        let bytes = &text.as_bytes()[..cut.index(text.len())];
        prop_assert!(document(bytes).is_err());
        prop_assert!(skipped(bytes).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = document(&bytes);
        let _ = skipped(&bytes);
    }
}

#[test]
fn strings_are_borrowed_unless_they_hold_escapes() {
    let cases = [
        (
            r#""plain text, longer than a word""#,
            "plain text, longer than a word",
            true,
        ),
        (r#""""#, "", true),
        (r#""é𝄞""#, "é𝄞", true),
        (r#""a\u003cb""#, "a<b", false),
        (
            r#""\"\\\/\b\f\n\r\t\u00e9\ud834\udd1E""#,
            "\"\\/\u{8}\u{c}\n\r\té𝄞",
            false,
        ),
    ];
    for (text, expected, borrowed) in cases {
        let read = Reader::new(text.as_bytes()).string().unwrap();
        assert_eq!(read, expected);
        assert_eq!(matches!(read, Cow::Borrowed(_)), borrowed, "{text}");
    }
}

#[test]
fn a_wrong_document_is_an_error_that_names_the_offset() {
    let cases: [(&[u8], usize); 27] = [
        (b"", 0),
        (b"  ", 2),
        (b"[1,]", 3),
        (b"[1 2]", 3),
        (b"[,1]", 1),
        (b"{\"a\":1,}", 7),
        (b"{\"a\" 1}", 5),
        (b"{a:1}", 1),
        (b"[1}", 2),
        (b"1 2", 2),
        (b"01", 1),
        (b"-", 1),
        (b"1.", 2),
        (b"1e+", 3),
        (b"+1", 0),
        (b"nul", 0),
        (b"truE", 0),
        (b"\"abc", 4),
        (b"\"a\nb\"", 2),
        (b"\"a\\", 3),
        (b"\"a\\x\"", 2),
        (b"\"\\u12g4\"", 3),
        (b"\"\\ud800\"", 1),
        (b"\"\\udc00\"", 1),
        (b"\"\\ud800\\u0041\"", 1),
        (b"\"ab\xff\"", 3),
        (b"[\"\\u003c\xc3\"]", 8),
    ];
    for (bytes, offset) in cases {
        let error = document(bytes).unwrap_err();
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(error.offset(), offset, "{shown}: {error}");
    }
}

#[test]
fn numbers_are_checked_for_what_is_asked() {
    assert_eq!(Reader::new(b"-0.5e2").number(), Ok(-50.0));
    assert_eq!(
        Reader::new(b"9007199254740993").integer(),
        Ok(9_007_199_254_740_993)
    );
    for bad in ["1.5", "99999999999999999999"] {
        let error = Reader::new(bad.as_bytes())
            .integer()
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            format!("expected a whole number, found {bad} at byte 0")
        );
    }
    assert!(Reader::new(b"1e999").number().is_err());
}

#[test]
fn nesting_is_limited_when_read_and_when_skipped() {
    for (depth, fine) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(document(text.as_bytes()).is_ok(), fine);
        assert_eq!(skipped(text.as_bytes()).is_ok(), fine);
        let mut half = Reader::new(text.as_bytes());
        half.begin_array().unwrap();
        half.next_item().unwrap();
        assert_eq!(half.skip().is_ok(), fine, "the levels above count");
    }
}

#[test]
fn escapes_across_the_blocks_of_a_skip_are_counted() {
    for lead in 40..140 {
        for backslashes in 0..6 {
            // Ends in an escaped quote, too, when the last escape is one.
            for end in ["", "\\\""] {
                let lead = "x".repeat(lead);
                let text = format!(r#"["{lead}{}{end}]}}","]"]"#, r"\\".repeat(backslashes));
                let followed = format!("{text}]");
                let raw = Reader::new(followed.as_bytes()).raw().unwrap();
                assert_eq!(raw.bytes(), text.as_bytes());
            }
        }
    }
}

#[test]
fn what_is_not_utf_8_is_found_where_it_is_read() {
    for lead in [0, 10, 1000, 1020, 1030] {
        // The split character makes a stretch end early; the next string starts a new one.
        let text = format!("[\"{}é\",\"ok\",\"a", "x".repeat(lead));
        let mut bytes = text.clone().into_bytes();
        bytes.extend(b"\xff\"]");
        let error = document(&bytes).unwrap_err();
        assert_eq!(error.path(), "[2]");
        assert_eq!(error.offset(), text.len());
        assert!(skipped(&bytes).is_ok(), "what is skipped is not checked");
    }
}

#[test]
fn a_value_left_half_read_is_an_error() {
    let mut reader = Reader::new(b"[[1,2]]");
    let error = reader.items(|reader, _| reader.begin_array()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "[0]: a value was left half read at byte 2"
    );
}
