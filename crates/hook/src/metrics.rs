//! Metrics as shell-operator takes them: groups of gauges, each group complete each time.
//!
//! Before it applies a group, shell-operator deletes all series the group had. So a group is one
//! topic, written whole by every run that writes it; counters never add up, which leaves gauges.

use std::path::Path;

use serde::{Serialize, Serializer};

use crate::patch::{OutputError, write_output};

/// All series of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricGroup {
    name: String,
    /// The gauges as lines of the metrics file: there are hundreds, and nobody needs them otherwise.
    lines: String,
}

/// One line of the metrics file.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Labels<'a>>,
    group: &'a str,
}

/// Labels as an object, in the order they were given.
struct Labels<'a>(&'a [(&'a str, &'a str)]);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl MetricGroup {
    /// A group without series: written as it is, it clears what the group had.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            lines: String::new(),
        }
    }

    /// Clears what the group had.
    pub fn expire(name: impl Into<String>) -> Self {
        Self::new(name)
    }

    /// Sets a gauge. A value that is not finite is left out, as there is no way to write it: its
    /// series is then absent, which is what "unknown" looks like.
    pub fn set(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        if !value.is_finite() {
            return;
        }
        let line = Line {
            name: Some(name),
            action: "set",
            value: Some(value),
            labels: Some(Labels(labels)),
            group: &self.name,
        };
        push(&mut self.lines, &line);
    }

    /// The same group with one gauge more.
    #[must_use]
    pub fn with(mut self, name: &str, labels: &[(&str, &str)], value: f64) -> Self {
        self.set(name, labels, value);
        self
    }

    /// The group as lines of JSON.
    pub fn to_json_lines(&self) -> String {
        if !self.lines.is_empty() {
            return self.lines.clone();
        }
        let expire = Line {
            name: None,
            action: "expire",
            value: None,
            labels: None,
            group: &self.name,
        };
        let mut text = String::new();
        push(&mut text, &expire);
        text
    }
}

fn push(text: &mut String, line: &Line<'_>) {
    // Texts and finite numbers are always JSON.
    text.push_str(&serde_json::to_string(line).unwrap_or_default());
    text.push('\n');
}

/// Writes groups, all at once, to the file; without one they go nowhere.
pub fn write(groups: &[MetricGroup], path: Option<&Path>) -> Result<(), OutputError> {
    let Some(path) = path else {
        return Ok(());
    };
    let text: String = groups.iter().map(MetricGroup::to_json_lines).collect();
    write_output("metrics", &text, Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_written_whole_and_an_empty_one_expires() {
        let full = MetricGroup::new("g")
            .with("nodeguardian_x", &[("rule", "a\"b"), ("code", "200")], 2.0)
            .with("nodeguardian_y", &[], 0.5)
            .with("nodeguardian_z", &[], f64::NAN);
        let cases = [
            (
                full,
                concat!(
                    r#"{"name":"nodeguardian_x","action":"set","value":2.0,"#,
                    r#""labels":{"rule":"a\"b","code":"200"},"group":"g"}"#,
                    "\n",
                    r#"{"name":"nodeguardian_y","action":"set","value":0.5,"labels":{},"group":"g"}"#,
                    "\n",
                ),
            ),
            (
                MetricGroup::expire("g"),
                "{\"action\":\"expire\",\"group\":\"g\"}\n",
            ),
            (
                MetricGroup::new("g").with("x", &[], f64::INFINITY),
                "{\"action\":\"expire\",\"group\":\"g\"}\n",
            ),
        ];
        for (group, expected) in cases {
            assert_eq!(group.to_json_lines(), expected);
        }
    }

    #[test]
    fn groups_go_to_the_file_or_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics");
        let groups = [MetricGroup::new("a"), MetricGroup::new("b")];
        write(&groups, None).unwrap();
        write(&groups, Some(&path)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        let error = write(&groups, Some(folder.path())).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot write the metrics to /"),
            "{error}"
        );
    }
}
