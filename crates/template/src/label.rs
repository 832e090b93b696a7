//! Makes any text a legal Kubernetes label value.

/// Longest label value that Kubernetes accepts.
const LIMIT: usize = 63;

/// Turns `text` into a legal label value, unchanged if it is one already.
///
/// Every character that is not allowed becomes a `-`; what may not stand at the ends is dropped
/// there. The result may be empty, which is legal too.
pub fn value(text: &str) -> String {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fit: String = text
        .trim_start_matches(|c: char| !c.is_ascii_alphanumeric())
        .chars()
        .take(LIMIT)
        .map(|c| if inner(c) { c } else { '-' })
        .collect();
    fit.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::value;
    use proptest::prelude::*;

    #[test]
    fn texts_become_label_values() {
        let long = format!("{}-tail", "a".repeat(62));
        for (text, want) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03-04-05Z"),
            ("", ""),
            (" .-_ ", ""),
            ("node 1 / disk", "node-1---disk"),
            ("-x-", "x"),
            ("größe", "gr--e"),
            ("ab\u{1F600}", "ab"),
            (&long, &"a".repeat(62)),
        ] {
            assert_eq!(value(text), want, "{text:?}");
        }
    }

    fn legal(text: &str) -> bool {
        let end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
        text.len() <= 63
            && end(text.chars().next())
            && end(text.chars().last())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    }

    proptest! {
        #[test]
        fn output_is_always_legal(text in "\\PC{0,200}|.{0,80}") {
            let out = value(&text);
            prop_assert!(legal(&out), "{out:?}");
            prop_assert_eq!(value(&out), out);
        }

        #[test]
        fn legal_input_is_unchanged(text in "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?") {
            prop_assert_eq!(value(&text), text);
        }
    }
}
