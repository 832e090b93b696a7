//! Templates in the values of taints, labels and annotations.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use ng_engine::decide::{Facts, Place, Render};
use ng_template::{Template, label, number, with_snake_case};
use serde_json::json;

/// Renders values, and keeps what was wrong with their templates.
pub(crate) struct Values<'a> {
    cluster_name: Option<&'a str>,
    problems: RefCell<BTreeSet<String>>,
    /// By text: a rule's templates are the same on all of its nodes.
    parsed: RefCell<BTreeMap<String, Result<Template, String>>>,
}

impl<'a> Values<'a> {
    pub(crate) fn new(cluster_name: Option<&'a str>) -> Self {
        Self {
            cluster_name,
            problems: RefCell::default(),
            parsed: RefCell::default(),
        }
    }

    /// What was wrong, once each.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.borrow().iter().cloned().collect()
    }

    fn text(&self, template: &str, facts: &Facts<'_>) -> Result<String, String> {
        let mut parsed = self.parsed.borrow_mut();
        if !parsed.contains_key(template) {
            let fresh = Template::parse(template, None).map_err(|error| error.to_string());
            parsed.insert(template.to_owned(), fresh);
        }
        let parsed = match parsed.get(template) {
            Some(Ok(parsed)) => parsed,
            Some(Err(error)) => return Err(error.clone()),
            None => return Ok(String::new()),
        };
        let metrics: serde_json::Map<String, serde_json::Value> = facts
            .metrics
            .iter()
            .map(|(name, value)| (name.clone(), number(*value)))
            .collect();
        let data = with_snake_case(json!({
            "ruleName": facts.rule.name,
            "ruleDescription": facts.rule.description,
            "severity": facts.rule.severity.word(),
            "nodeName": facts.node,
            "triggeredNodes": [facts.node],
            "metrics": metrics,
            "timestamp": facts.now.to_string(),
            "clusterName": self.cluster_name.unwrap_or_default(),
        }));
        parsed
            .render(&data)
            .map(|rendered| rendered.text)
            .map_err(|error| error.to_string())
    }
}

impl Render for Values<'_> {
    fn value(&self, template: &str, facts: &Facts<'_>, place: Place) -> String {
        let plain =
            !template.contains("{{") && !template.contains("{%") && !template.contains("{#");
        let text = if plain {
            Ok(template.to_owned())
        } else {
            self.text(template, facts)
        };
        let text = text.unwrap_or_else(|error| {
            let problem = format!("rule {}: value {template:?}: {error}", facts.rule.name);
            self.problems.borrow_mut().insert(problem);
            // The mark matters more than its value: it is set without one.
            String::new()
        });
        match place {
            Place::Taint | Place::Label => label::value(&text),
            Place::Annotation => text,
        }
    }
}
