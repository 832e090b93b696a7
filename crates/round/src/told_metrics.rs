//! Of which metrics readings are told, so that those that no rule asks for any more are taken away.

use std::collections::BTreeSet;

use ng_metrics::Wanted;
use ng_state::{StateError, Transaction};

/// Their names, one a line.
const TOLD: &str = "controller/readings";

/// Notes the metrics that are fetched in this run. Returns those that were told before and are not used any more.
pub(crate) fn note(
    transaction: &mut Transaction<'_>,
    wanted: &[Wanted],
    is_used: impl Fn(&str) -> bool,
) -> Result<Vec<String>, StateError> {
    let noted = transaction.note(TOLD)?.unwrap_or_default();
    let before: BTreeSet<&str> = noted.lines().collect();
    let fetched: BTreeSet<&str> = wanted.iter().map(|wanted| wanted.metric.as_str()).collect();
    let (kept, unused): (Vec<&str>, Vec<&str>) = before
        .difference(&fetched)
        .partition(|metric| is_used(metric));
    let after: BTreeSet<&str> = kept.into_iter().chain(fetched).collect();
    if after != before {
        let names: Vec<&str> = after.into_iter().collect();
        let text = (!names.is_empty()).then(|| names.join("\n"));
        transaction.set_note(TOLD, text.as_deref())?;
    }
    Ok(unused.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use ng_engine::rule::MetricsSource;
    use ng_engine::time::Time;
    use ng_state::Store;

    use super::*;

    #[test]
    fn a_metric_is_taken_away_when_no_rule_asks_for_it_and_not_when_none_is_due() {
        let directory = tempfile::tempdir().unwrap();
        let opened = Store::open(directory.path(), Time::from_millis(0)).unwrap();
        let mut store = opened.store;
        let rounds: [(&[&str], &[&str], &[&str]); 6] = [
            (&["cpu", "memory"], &["cpu", "memory"], &[]),
            (&["memory"], &["cpu", "memory"], &[]),
            (&["memory"], &["memory"], &["cpu"]),
            (&["memory"], &["memory"], &[]),
            (&["cpu"], &["cpu"], &["memory"]),
            (&[], &[], &["cpu"]),
        ];
        for (fetched, used, expected) in rounds {
            let wanted: Vec<Wanted> = fetched
                .iter()
                .map(|metric| Wanted {
                    metric: (*metric).to_owned(),
                    source: MetricsSource::default(),
                })
                .collect();
            let mut transaction = store.begin().unwrap();
            let unused = note(&mut transaction, &wanted, |metric| used.contains(&metric)).unwrap();
            transaction.commit().unwrap();
            assert_eq!(unused, expected, "{fetched:?} of {used:?}");
        }
    }
}
