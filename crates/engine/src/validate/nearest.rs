//! The known word that someone probably meant.

/// The word of `known` that is nearest to `found`, unless none is near; upper and lower case are near.
pub(super) fn nearest<'a>(
    found: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if found.is_empty() || found.len() > LONGEST {
        return None;
    }
    let folded = found.to_lowercase();
    known
        .into_iter()
        .map(|word| (distance(&folded, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance < word.len() && *distance <= (word.len() / 3).max(1))
        // Of words equally near, one that starts the same: `=` is meant to be `==`.
        .min_by_key(|(distance, word)| (*distance, word.chars().next() != found.chars().next()))
        .map(|(_, word)| word)
}

/// How many characters have to be added, dropped or replaced.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near_or_nothing() {
        let known = ["GreaterThan", "LessThan", "cpuLoadRatio", ">=", "=="];
        for (found, expected) in [
            ("GreaterThen", Some("GreaterThan")),
            ("greaterthan", Some("GreaterThan")),
            ("cpuload", None),
            ("cpu_load_ratio", Some("cpuLoadRatio")),
            ("LesThan", Some("LessThan")),
            ("=", Some("==")),
            ("", None),
            ("banana", None),
            (&"x".repeat(65), None),
        ] {
            assert_eq!(nearest(found, known), expected, "{found}");
        }
    }

    #[test]
    fn distance_counts_edits() {
        for (left, right, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("täint", "taint", 1),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }
}
