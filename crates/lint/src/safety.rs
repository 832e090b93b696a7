//! Safety limits that come to nothing, to every node, or to what a tighter limit forbids.

use ng_config::{Config, MaxNodes as Configured};
use ng_engine::rule::{Action, MaxNodes, Rule};

use crate::{Check, Finding, Level, Notes, Settings};

/// Percentages below this come to nothing in clusters of twenty nodes, which most are smaller than.
const SMALL_PERCENT: u8 = 5;

const PATH: &str = "spec.safety.maxNodes";

/// Checks the rule's own limit, if it has one and does anything that a limit is for.
pub(crate) fn check(rule: &Rule, settings: &Settings<'_>, notes: &mut Notes<'_>) {
    let Some(own) = rule.max_nodes else {
        return;
    };
    if !rule.actions.iter().any(Action::is_disruptive) {
        let found = "the limit has no effect, as no action is disruptive";
        notes.add(
            (Level::Warning, Check::SafetyLimit),
            PATH,
            found,
            "remove the limit",
        );
        return;
    }
    let named = rule.selector.names.len();
    if let MaxNodes::Count(count) = own
        && named > 1
        && usize::try_from(count).is_ok_and(|count| count >= named)
    {
        let found = format!("{count} is every node that the rule selects");
        notes.add(
            (Level::Warning, Check::SafetyLimit),
            PATH,
            found,
            format!("write less than {named}"),
        );
        return;
    }
    if let Some((found, fix)) = extreme(own, settings.nodes) {
        notes.add((Level::Warning, Check::SafetyLimit), PATH, found, fix);
    } else if let Some(found) = looser(own, settings.config.safety.max_nodes) {
        let fix = "write less than safety.maxNodes of the configuration, or remove the limit";
        notes.add((Level::Warning, Check::SafetyLimit), PATH, found, fix);
    }
}

/// Checks the configured limit.
pub(crate) fn configured(settings: &Settings<'_>, findings: &mut Vec<Finding>) {
    if settings.config.safety.max_nodes == Config::default().safety.max_nodes {
        // Nobody chose it, and one node at a time is what it means in a small cluster.
        return;
    }
    let limit = match settings.config.safety.max_nodes {
        Configured::Count(count) => MaxNodes::Count(count.get()),
        Configured::Percent(percent) => MaxNodes::Percent(percent.value()),
    };
    if let Some((found, fix)) = extreme(limit, settings.nodes) {
        let mut notes = Notes {
            source: "configuration",
            kind: "",
            name: "",
            findings,
        };
        notes.add(
            (Level::Warning, Check::SafetyLimit),
            "safety.maxNodes",
            found,
            fix,
        );
    }
}

/// What is wrong with a limit by itself, or for a cluster of so many nodes.
fn extreme(limit: MaxNodes, nodes: Option<usize>) -> Option<(String, &'static str)> {
    const LESS: &str = "write a smaller limit";
    const MORE: &str = "write 1 for one node, or a larger percentage";
    match (limit, nodes) {
        (MaxNodes::Percent(100), _) => Some(("100% is every node".to_owned(), LESS)),
        (MaxNodes::Percent(percent), Some(nodes)) => {
            let share = nodes.saturating_mul(usize::from(percent)) / 100;
            (share == 0).then(|| (format!("{percent}% of {nodes} nodes is less than one, and counts as one"), MORE))
        }
        (MaxNodes::Percent(percent), None) => (percent < SMALL_PERCENT).then(|| {
            let enough = 100_usize.div_ceil(usize::from(percent.max(1)));
            (format!("{percent}% is less than one node in clusters of fewer than {enough}, and counts as one"), MORE)
        }),
        (MaxNodes::Count(count), Some(nodes)) => {
            let all = usize::try_from(count).is_ok_and(|count| count >= nodes);
            all.then(|| (format!("{count} is every one of {nodes} nodes"), LESS))
        }
        (MaxNodes::Count(_), None) => None,
    }
}

/// That the configured limit is tighter than the rule's, where the two can be compared without a cluster.
fn looser(own: MaxNodes, configured: Configured) -> Option<String> {
    let (own, configured, unit) = match (own, configured) {
        (MaxNodes::Count(own), Configured::Count(configured)) => (own, configured.get(), ""),
        (MaxNodes::Percent(own), Configured::Percent(configured)) => {
            (u32::from(own), u32::from(configured.value()), "%")
        }
        _ => return None,
    };
    (own > configured).then(|| {
        format!("{own}{unit} has no effect, as the configuration allows {configured}{unit} and the smaller one counts")
    })
}
