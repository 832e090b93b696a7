//! Contexts as shell-operator writes them, and as it might.

use super::*;
use crate::Env;

/// Notes all it is given; reads the snapshots it is told to.
#[derive(Default)]
struct Notes {
    wanted: Vec<&'static str>,
    stop: bool,
    told: Vec<String>,
}

impl<'a> Sink<'a> for Notes {
    fn wants(&mut self, snapshot: &str) -> bool {
        self.wanted.contains(&snapshot)
    }

    fn snapshot(&mut self, name: &str, list: &mut Reader<'a>) -> Result<Flow, Error> {
        let mut names = Vec::new();
        list.items(|item, _| {
            item.fields(|item, key| {
                if key == "filterResult" {
                    names.push(item.string()?.into_owned());
                }
                Ok(())
            })
        })?;
        self.told.push(format!("{name}={}", names.join(",")));
        Ok(if self.stop {
            Flow::Stop
        } else {
            Flow::Continue
        })
    }

    fn context(&mut self, context: &Context<'a>) -> Result<Flow, Error> {
        let head = &context.head;
        let mut note = format!("{} {:?}", head.binding, head.kind);
        let parts = [
            ("objects", context.objects),
            ("object", context.object),
            ("filterResult", context.filter_result),
            ("review", context.review),
        ];
        for (name, part) in parts {
            if let Some(part) = part {
                let text = std::str::from_utf8(part.bytes()).unwrap();
                note.extend([" ", name, ":", text]);
            }
        }
        self.told.push(note);
        Ok(Flow::Continue)
    }
}

fn notes(text: &str, mut sink: Notes) -> Result<Vec<String>, Error> {
    read(text.as_bytes(), &mut sink).map(|()| sink.told)
}

#[test]
fn every_kind_of_context_is_told() {
    let cases = [
        (r#"{"binding":"onStartup"}"#, "onStartup OnStartup"),
        (
            r#"{"binding":"tick","type":"Schedule","snapshots":{}}"#,
            "tick Schedule",
        ),
        (
            r#"{"binding":"nodes","objects":[{"filterResult":1}],"type":"Synchronization"}"#,
            r#"nodes Synchronization objects:[{"filterResult":1}]"#,
        ),
        (
            r#"{"binding":"n","objects":null,"snapshots":null,"type":"Synchronization"}"#,
            "n Synchronization",
        ),
        (
            r#"{"binding":"n","filterResult":null,"object":{"a":1},"type":"Event","watchEvent":"Deleted"}"#,
            r#"n Event { watch_event: Deleted } object:{"a":1} filterResult:null"#,
        ),
        (
            r#"{"type":"Event","watchEvent":"Vanished","binding":"n"}"#,
            "n Event { watch_event: Unknown }",
        ),
        (
            r#"{"binding":"n","groupName":"g","new":[{}],"type":"Group"}"#,
            r#"n Group { name: "g" }"#,
        ),
        (
            r#"{"binding":"v","review":{"uid":"1"},"type":"Validating"}"#,
            r#"v Validating review:{"uid":"1"}"#,
        ),
        (
            r#"{"binding":"c","fromVersion":"a","type":"Conversion"}"#,
            "c Conversion",
        ),
        (r#"{"type":"Mutating"}"#, " Mutating"),
        (r#"{"binding":"x","type":"Later"}"#, r#"x Unknown("Later")"#),
        ("{}", " OnStartup"),
    ];
    let (contexts, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let text = format!(" [\n{} ] \n", contexts.join(" ,\n"));
    assert_eq!(notes(&text, Notes::default()).unwrap(), expected);
}

const REPEATED: &str = r#"[
  {"binding":"a","snapshots":{"nodes":[{"filterResult":"n1"},{"filterResult":"n\u003c"}],"rules":[{"object":{}}]},"type":"Group","groupName":"g"},
  {"type":"Schedule","snapshots":{"nodes":[{"filterResult":"n1"}],"none":null},"binding":"b"}
]"#;

#[test]
fn snapshots_come_before_the_head_and_only_when_wanted() {
    let wanted = |wanted| Notes {
        wanted,
        ..Notes::default()
    };
    let group = r#"a Group { name: "g" }"#;
    let cases: [(Vec<&'static str>, Vec<&str>); 3] = [
        (vec![], vec![group, "b Schedule"]),
        (
            vec!["nodes"],
            vec!["nodes=n1,n<", group, "nodes=n1", "b Schedule"],
        ),
        (vec!["none"], vec![group, "none=", "b Schedule"]),
    ];
    for (names, expected) in cases {
        assert_eq!(notes(REPEATED, wanted(names)).unwrap(), expected);
    }
}

#[test]
fn after_a_stop_the_rest_is_not_read() {
    let sink = || Notes {
        wanted: vec!["nodes"],
        stop: true,
        ..Notes::default()
    };
    assert_eq!(notes(REPEATED, sink()).unwrap(), ["nodes=n1,n<"]);
    let cut = REPEATED.split("\"rules\"").next().unwrap();
    assert_eq!(notes(cut, sink()).unwrap(), ["nodes=n1,n<"]);
}

#[test]
fn a_wrong_document_is_an_error_with_offset_and_path() {
    let cases = [
        (
            "",
            "expected a list, found the end of the document at byte 0",
        ),
        ("{}", "expected a list, found an object at byte 0"),
        (
            "[{}",
            "expected `,` or `]`, found the end of the document at byte 3",
        ),
        (
            "[{}] x",
            "expected the end of the document, found `x` at byte 5",
        ),
        ("[{},null]", "[1]: expected an object, found `n` at byte 4"),
        (
            r#"[{"type":1}]"#,
            "[0].type: expected a string, found `1` at byte 9",
        ),
        (
            r#"[{},{"snapshots":{"nodes":[{},{"filterResult":7}]}}]"#,
            "[1].snapshots.nodes[1].filterResult: expected a string, found `7` at byte 46",
        ),
        (
            r#"[{"snapshots":{"x":[{"a":1]}}]"#,
            "[0].snapshots.x: a bracket closes one of the other kind at byte 26",
        ),
    ];
    for (text, expected) in cases {
        let sink = Notes {
            wanted: vec!["nodes"],
            ..Notes::default()
        };
        assert_eq!(
            notes(text, sink).unwrap_err().to_string(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn errors_inside_a_part_name_offsets_of_the_whole_file() {
    struct Strict;
    impl<'a> Sink<'a> for Strict {
        fn context(&mut self, context: &Context<'a>) -> Result<Flow, Error> {
            let object = context.object.unwrap();
            assert!(
                object
                    .decode::<Vec<u8>>()
                    .unwrap_err()
                    .to_string()
                    .contains("at byte 11")
            );
            object
                .reader()
                .fields(|reader, _| reader.bool().map(drop))?;
            Ok(Flow::Continue)
        }
    }
    let error = read(br#"[{"object":{"ready":"yes"}}]"#, &mut Strict).unwrap_err();
    assert_eq!(
        error.to_string(),
        "[0].ready: expected true or false, found a string at byte 20"
    );
}

#[test]
fn the_file_is_named_in_every_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("context.json");
    let shown = |result: Result<(), ContextError>| {
        let error = anyhow::Error::new(result.unwrap_err());
        format!("{error:#}")
    };
    let open = || ContextFile::open(&path).and_then(|file| file.read(&mut Notes::default()));
    let name = path.to_str().unwrap();

    let absent = shown(open());
    assert!(
        absent.contains(name) && absent.contains("BINDING_CONTEXT_PATH"),
        "{absent}"
    );
    assert!(absent.contains("No such file"), "{absent}");
    std::fs::File::create(&path).unwrap();
    let empty = shown(open());
    assert!(
        empty.contains(name) && empty.contains("is empty"),
        "{empty}"
    );
    #[expect(clippy::disallowed_methods, reason = "a test's input")]
    std::fs::write(&path, "[{\"binding\":tru").unwrap();
    let garbage = shown(open());
    assert!(
        garbage.contains(name) && garbage.ends_with("at byte 12"),
        "{garbage}"
    );
    let unset = shown(ContextFile::from_env(&Env::default()).map(drop));
    assert!(unset.contains("BINDING_CONTEXT_PATH is not set"), "{unset}");
}
