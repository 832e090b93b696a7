//! Metrics as shell-operator takes them: groups of gauges, each group complete each time.
//!
//! Before it applies a group, shell-operator deletes all series the group had. So a group is one
//! topic, written whole by every run that writes it; counters never add up, which leaves gauges.

use std::path::Path;

use crate::patch::{OutputError, write_output};

/// All series of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricGroup {
    name: String,
    /// The gauges as lines of the metrics file: there are hundreds, and nobody needs them otherwise.
    lines: String,
}

impl MetricGroup {
    /// A group without series: written as it is, it clears what the group had.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            lines: String::new(),
        }
    }

    /// The group's name.
    pub fn name(&self) -> &str {
        &self.name
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
        let text = &mut self.lines;
        text.push_str("{\"name\":");
        push_string(text, name);
        text.push_str(",\"action\":\"set\",\"value\":");
        push_number(text, value);
        text.push_str(",\"labels\":{");
        for (index, (name, value)) in labels.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            push_string(text, name);
            text.push(':');
            push_string(text, value);
        }
        text.push_str("},\"group\":");
        push_string(text, &self.name);
        text.push_str("}\n");
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
        let mut text = "{\"action\":\"expire\",\"group\":".to_owned();
        push_string(&mut text, &self.name);
        text.push_str("}\n");
        text
    }
}

/// Most texts need no escapes, and looking for that is far cheaper than writing them one character at a time.
fn push_string(text: &mut String, value: &str) {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if value.bytes().all(plain) {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        text.push_str(&serde_json::Value::from(value).to_string());
    }
}

/// A finite number; most are counts.
fn push_number(text: &mut String, value: f64) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole numbers up to 2^53 are exact in both types"
    )]
    let number = if value.fract() == 0.0 && value.abs() <= EXACT {
        (value as i64).to_string()
    } else {
        serde_json::Value::from(value).to_string()
    };
    text.push_str(&number);
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
                    r#"{"name":"nodeguardian_x","action":"set","value":2,"#,
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
