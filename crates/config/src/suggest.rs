//! Finds the name somebody probably meant.

/// Names longer than this are not compared: nobody mistypes them, and the work grows with the square.
const MAX_LEN: usize = 64;

/// The known name nearest to a written one, if one is near enough to be meant.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = written.to_lowercase();
    let allowed = (lower.chars().count() / 3).max(1);
    known
        .into_iter()
        .filter_map(|name| distance(&lower, &name.to_lowercase()).map(|distance| (distance, name)))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours between two names.
fn distance(a: &str, b: &str) -> Option<usize> {
    let a: Vec<char> = a.chars().take(MAX_LEN + 1).collect();
    let b: Vec<char> = b.chars().take(MAX_LEN + 1).collect();
    if a.len() > MAX_LEN || b.len() > MAX_LEN {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_nothing_far() {
        let known = ["smtpServer", "smtpPort", "username", "useTLS", "useSSL"];
        for (written, expected) in [
            ("smtpserver", Some("smtpServer")),
            ("smptPort", Some("smtpPort")),
            ("smtp_port", Some("smtpPort")),
            ("useTls", Some("useTLS")),
            ("user", None),
            ("", None),
            ("colour", None),
        ] {
            assert_eq!(nearest(written, known), expected, "{written}");
        }
        assert_eq!(nearest(&"x".repeat(1000), known), None);
    }
}
