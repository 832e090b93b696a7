//! Where a value stands in the document: `email.to[0]`.

use std::fmt;
use std::str::FromStr;

/// A way from the top of the document to a value; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// The text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a path such as \"email.smtpPort\" or \"email.to[0]\", found {found:?}")]
pub struct PathError {
    found: String,
}

impl Path {
    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The value at this path of a document.
    pub fn find<'a>(&self, document: &'a serde_json::Value) -> Option<&'a serde_json::Value> {
        self.0.iter().try_fold(document, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let steps: Option<Vec<_>> = text.split('.').map(steps_of).collect();
        match steps {
            Some(steps) => Ok(Path(steps.concat())),
            None => Err(PathError {
                found: text.to_owned(),
            }),
        }
    }
}

/// `to[0]` as a key and an index.
fn steps_of(part: &str) -> Option<Vec<Step>> {
    let (key, indexes) = part
        .find('[')
        .map_or((part, ""), |start| part.split_at(start));
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != ']';
    if key.is_empty() || !key.chars().all(plain) {
        return None;
    }
    let mut steps = vec![Step::Key(key.to_owned())];
    let mut rest = indexes;
    while !rest.is_empty() {
        let (digits, after) = rest.strip_prefix('[')?.split_once(']')?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        steps.push(Step::Index(digits.parse().ok()?));
        rest = after;
    }
    Some(steps)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if place == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_back_or_is_none() {
        for good in [
            "a",
            "email.to[0]",
            "metrics.gpu_1.query",
            "a[1][2].b",
            "alert.webhookHeaders.X-Team",
        ] {
            assert_eq!(good.parse::<Path>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            ".",
            "a.",
            "a..b",
            "[0]",
            "a[]",
            "a[-1]",
            "a[+1]",
            "a[0",
            "a[0]b",
            "a]",
            "a b",
            "a[99999999999999999999]",
        ] {
            assert!(bad.parse::<Path>().is_err(), "{bad}");
        }
    }
}
