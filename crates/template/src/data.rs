//! Prepares data for templates: plain numbers, and names in both spellings.

use serde_json::{Map, Number, Value};

/// The end of a metric's name in snake case, and the shorter one that older templates use.
const UTILIZATION: (&str, &str) = ("_utilization_percent", "_utilization");

/// The largest integer below which every integer is exact in an `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A number as templates should see it: an integer if it is integral, else rounded to six
/// decimals; null for what is not a number.
pub fn number(value: f64) -> Value {
    if !value.is_finite() {
        return Value::Null;
    }
    let rounded = (value * 1e6).round() / 1e6;
    let rounded = if rounded.is_finite() { rounded } else { value };
    if rounded.fract() == 0.0 && rounded.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "integral and within 2^53")]
        return Value::from(rounded as i64);
    }
    Number::from_f64(rounded).map_or(Value::Null, Value::Number)
}

/// Adds to every object, at every level, a snake case twin of each camel case key.
///
/// A key that exists already is never replaced. Utilization percentages also get their short old
/// name, for example `memory_utilization` for `memoryUtilizationPercent`. Below a key that holds
/// names from elsewhere (`labels`, `annotations`) nothing is added.
pub fn with_snake_case(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(with_snake_case).collect()),
        Value::Object(fields) => Value::Object(twins(fields)),
        scalar => scalar,
    }
}

fn twins(fields: Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    let mut extra = Vec::new();
    for (key, value) in fields {
        let foreign = matches!(key.as_str(), "labels" | "annotations");
        let value = if foreign {
            value
        } else {
            with_snake_case(value)
        };
        let snake = snake_case(&key);
        if let Some(what) = snake.strip_suffix(UTILIZATION.0) {
            extra.push((format!("{what}{}", UTILIZATION.1), value.clone()));
        }
        if snake != key {
            extra.push((snake, value.clone()));
        }
        out.insert(key, value);
    }
    for (key, value) in extra {
        out.entry(key).or_insert(value);
    }
    out
}

/// `cpuLoadRatio` as `cpu_load_ratio`; names with other characters are left alone.
pub(crate) fn snake_case(name: &str) -> String {
    let camel = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_alphanumeric());
    if !camel {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len() + 4);
    let bytes = name.as_bytes();
    for (i, &byte) in bytes.iter().enumerate() {
        let starts_word = byte.is_ascii_uppercase()
            && (!bytes[i - 1].is_ascii_uppercase()
                || bytes.get(i + 1).is_some_and(u8::is_ascii_lowercase));
        if starts_word {
            out.push('_');
        }
        out.push(char::from(byte.to_ascii_lowercase()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_plain() {
        for (value, want) in [
            (80.0, json!(80)),
            (-0.0, json!(0)),
            (91.256_000_04, json!(91.256)),
            (0.1 + 0.2, json!(0.3)),
            (1e-9, json!(0)),
            (f64::NAN, Value::Null),
            (f64::INFINITY, Value::Null),
        ] {
            assert_eq!(number(value), want, "{value}");
        }
    }

    #[test]
    fn keys_get_snake_case_twins() {
        let data = json!({
            "nodeName": "n", "metrics": {
                "memoryUtilizationPercent": 1, "cpuLoadRatio": 2, "podUtilizationPercent": 3,
                "inodeUtilizationPercent": 4, "gpuUtilizationPercent": 5, "utilizationPercent": 6,
            },
            "actions": [{"dryRun": true}], "labels": {"appName": "x"}, "podCPU": 1
        });
        let got = with_snake_case(data);
        assert_eq!(got["node_name"], "n");
        assert_eq!(got["metrics"]["memory_utilization"], 1);
        assert_eq!(got["metrics"]["memory_utilization_percent"], 1);
        assert_eq!(got["metrics"]["cpu_load_ratio"], 2);
        assert_eq!(got["metrics"]["pod_utilization"], 3);
        assert_eq!(got["metrics"]["inode_utilization"], 4);
        assert_eq!(got["metrics"]["gpu_utilization"], 5);
        assert_eq!(got["metrics"]["utilization_percent"], 6);
        assert_eq!(got["actions"][0]["dry_run"], true);
        assert_eq!(got["labels"], json!({"appName": "x"}));
        assert_eq!(got["pod_cpu"], 1);
    }

    #[test]
    fn an_existing_key_is_kept() {
        let got = with_snake_case(json!({"nodeName": "a", "node_name": "b"}));
        assert_eq!(got, json!({"nodeName": "a", "node_name": "b"}));
    }
}
