//! Objects from short texts, and findings in short words.

use std::fmt::Write as _;

use ng_config::{Config, File, Format, Inputs, documents, resolve};
use ng_engine::validate::Defaults;
use ng_lint::{Finding, Object, Settings, lint};

/// The objects of a YAML text, each with its number as source.
pub(crate) fn objects(yaml: &str) -> Vec<Object> {
    let documents = documents(yaml, Format::Yaml).unwrap();
    let object = |(index, document): (usize, ng_config::Document)| Object {
        source: (index + 1).to_string(),
        value: document.value,
        duplicates: document.duplicates,
    };
    documents.into_iter().enumerate().map(object).collect()
}

pub(crate) fn config(yaml: &str) -> Config {
    let file = Some(File {
        name: "config.yaml",
        text: yaml,
        format: Format::Yaml,
    });
    let found = resolve(&Inputs {
        file,
        ..Inputs::default()
    });
    assert_eq!(found.errors, vec![]);
    found.config
}

pub(crate) fn findings_with(yaml: &str, configuration: &str, nodes: Option<usize>) -> Vec<Finding> {
    let config = config(configuration);
    let known_metrics = config
        .metrics
        .keys()
        .map(|name| name.as_str().to_owned())
        .collect();
    let defaults = Defaults {
        known_metrics,
        ..Defaults::default()
    };
    lint(
        &objects(yaml),
        &Settings {
            config: &config,
            defaults: &defaults,
            nodes,
        },
    )
}

/// Level, check and path of every finding.
pub(crate) fn short(findings: &[Finding]) -> Vec<String> {
    let one = |finding: &Finding| {
        format!(
            "{} {} {}",
            finding.level.word(),
            finding.check.word(),
            finding.path
        )
    };
    findings.iter().map(one).collect()
}

/// A rule of this name with these lines of `spec`; what they leave out is harmless.
pub(crate) fn rule(name: &str, spec: &str) -> String {
    let mut text = format!(
        "---\napiVersion: nodeguardian.k8s.io/v1\nkind: NodeGuardianRule\nmetadata: {{name: {name}}}\nspec:\n"
    );
    for line in spec.lines() {
        writeln!(text, "  {}", line.trim()).unwrap();
    }
    if !spec.contains("conditions:") {
        text += "  conditions: [{metric: cpuLoadRatio, operator: '>', value: 2}]\n";
    }
    text
}

pub(crate) fn template(spec: &str) -> String {
    format!(
        "---\napiVersion: nodeguardian.k8s.io/v1\nkind: AlertTemplate\nmetadata: {{name: t}}\nspec: {spec}\n"
    )
}

/// Compares what is found in each text with what should be.
pub(crate) fn check(table: &[(String, &[&str])]) {
    for (yaml, expected) in table {
        let findings = findings_with(yaml, "{}", None);
        assert_eq!(short(&findings), *expected, "{yaml}\n{findings:#?}");
        for finding in &findings {
            assert!(
                !finding.fix.is_empty() && !finding.found.is_empty(),
                "{finding:?}"
            );
        }
    }
}
