//! The templates that ship with the project, and such as people have already.

use std::collections::BTreeSet;
use std::path::Path;

use ng_config::Language;
use ng_engine::spec::{TemplateObject, TemplateSpec};
use ng_notify::compose::{TemplateChoice, check, sample};

use crate::{add, composed_in, golden, stories};

/// Every template of a file, with its name.
fn templates(path: &Path) -> Vec<(String, TemplateSpec)> {
    let text = std::fs::read_to_string(path).unwrap();
    ng_config::documents(&text, ng_config::Format::Yaml)
        .unwrap()
        .into_iter()
        .map(|document| {
            let object = TemplateObject::from_json(&document.value.to_string()).unwrap();
            (object.metadata.name, object.spec)
        })
        .collect()
}

fn shipped(file: &str) -> Vec<(String, TemplateSpec)> {
    templates(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../config")
            .join(file),
    )
}

fn names(templates: &[(String, TemplateSpec)]) -> BTreeSet<&str> {
    templates.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn shipped_templates_render_without_a_doubt() {
    for (file, language, golden_file) in [
        (
            "examples/alert-templates.yaml",
            Language::English,
            "examples.txt",
        ),
        ("templates/en.yaml", Language::English, "shipped.en.txt"),
        ("templates/zh.yaml", Language::Chinese, "shipped.zh.txt"),
    ] {
        let mut all = String::new();
        for (name, spec) in shipped(file) {
            assert_eq!(check(&name, &spec, []), [], "{file}");
            let choice = TemplateChoice::Found {
                name: &name,
                spec: &spec,
            };
            for (story, alerts) in stories() {
                let composed = composed_in(&alerts, choice, language);
                assert_eq!(composed.problems, [], "{file}: {name}: {story}");
                if story == "trigger"
                    || (story == "three nodes, two held back" && name == "node-alert")
                {
                    add(&mut all, &format!("{name}: {story}"), &composed.message);
                }
            }
            // A rule that was deleted tells of no metrics.
            let mut bare = sample::alert();
            bare.metrics.clear();
            bare.conditions.clear();
            let composed = composed_in(&[bare], choice, language);
            assert_eq!(composed.problems, [], "{file}: {name}");
        }
        golden(golden_file, &all);
    }
}

#[test]
fn both_languages_have_the_same_templates() {
    let english = [
        shipped("examples/alert-templates.yaml"),
        shipped("templates/en.yaml"),
    ]
    .concat();
    let chinese = shipped("templates/zh.yaml");
    assert_eq!(names(&english), names(&chinese));
    for (name, spec) in &english {
        let other = &chinese.iter().find(|(other, _)| other == name).unwrap().1;
        assert_eq!(spec.channels, other.channels, "{name}");
        let reads = |text: &str| {
            let names = ng_template::Template::parse(text, None).unwrap().names();
            names.iter().map(str::to_owned).collect::<BTreeSet<_>>()
        };
        assert_eq!(reads(&spec.body), reads(&other.body), "{name}");
    }
}

/// Templates as people wrote them for the existing scripts: both of its spellings, and all three dialects.
#[test]
fn templates_of_the_existing_system_are_taken_as_they_are() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose/existing.yaml");
    let mut all = String::new();
    for (name, spec) in templates(&file) {
        assert_eq!(check(&name, &spec, []), [], "{name}");
        let choice = TemplateChoice::Found {
            name: &name,
            spec: &spec,
        };
        let composed = composed_in(&sample::alerts(2), choice, Language::English);
        assert_eq!(composed.problems, [], "{name}");
        add(&mut all, &name, &composed.message);
    }
    golden("existing.txt", &all);
}
