//! What has to be done in this run, from rules that are mostly unread.

use std::collections::BTreeMap;

use ng_engine::history::{Queue, RuleSummary};
use ng_engine::rule::Rule;
use ng_engine::spec::{ObjectMeta, RuleObject};
use ng_engine::status;
use ng_engine::time::{Time, millis};
use ng_engine::validate::{Defaults, validate};
use ng_state::Glance;

use crate::quiet;
use crate::rule_item::RuleItem;
use crate::statuses::published;

/// Which rules a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every rule, and the evictions and drains that are under way.
    Everything,
    /// Rules that hold nodes. Pods are evicted by one process only, so not in this scope.
    Held,
}

impl Scope {
    /// The queue of shell-operator in which hooks with this scope run.
    pub(crate) fn queue(self) -> Queue {
        match self {
            Self::Everything => Queue::Evaluation,
            Self::Held => Queue::Recovery,
        }
    }
}

/// The work of one run.
#[derive(Default)]
pub(crate) struct Duty<'a> {
    /// Rules to evaluate.
    pub(crate) evaluate: Vec<DueRule<'a>>,
    /// Rules that are disabled.
    pub(crate) disabled: Vec<DueRule<'a>>,
    /// Rules that cannot be evaluated.
    pub(crate) invalid: Vec<InvalidRule<'a>>,
    /// Names of remembered rules that the cluster no longer has.
    pub(crate) gone: Vec<String>,
    /// Whether an eviction or drain is under way.
    pub(crate) jobs: bool,
}

/// A rule that is due, checked.
pub(crate) struct DueRule<'a> {
    pub(crate) item: RuleItem<'a>,
    pub(crate) rule: Rule,
    pub(crate) spec_hash: u64,
}

/// A rule that is due, and what is wrong with it.
pub(crate) struct InvalidRule<'a> {
    pub(crate) item: RuleItem<'a>,
    pub(crate) problems: Vec<String>,
    pub(crate) spec_hash: u64,
}

impl Duty<'_> {
    /// Names of the rules that are looked at.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &str> {
        let due = self.evaluate.iter().chain(&self.disabled);
        due.map(|due| due.item.name.as_str())
            .chain(self.invalid.iter().map(|rule| rule.item.name.as_str()))
            .chain(self.gone.iter().map(String::as_str))
    }

    /// Specs of the rules that are looked at and exist, by name.
    pub(crate) fn specs(&self) -> impl Iterator<Item = (&str, u64)> {
        let due = self.evaluate.iter().chain(&self.disabled);
        due.map(|due| (due.item.name.as_str(), due.spec_hash))
            .chain(
                self.invalid
                    .iter()
                    .map(|rule| (rule.item.name.as_str(), rule.spec_hash)),
            )
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.evaluate.is_empty()
            && self.disabled.is_empty()
            && self.invalid.is_empty()
            && self.gone.is_empty()
            && !self.jobs
    }
}

/// What the work depends on.
pub(crate) struct Agenda<'a> {
    pub(crate) now: Time,
    pub(crate) scope: Scope,
    /// Whether what was remembered is lost, so that statuses say which rules hold nodes.
    pub(crate) lost: bool,
    pub(crate) glances: &'a BTreeMap<String, Glance>,
    pub(crate) defaults: &'a Defaults,
    /// Hash of the defaults.
    pub(crate) fingerprint: u64,
}

impl Agenda<'_> {
    /// Whether the rule has to be looked at: it is new, it was changed, or its interval is over. A clock that went
    /// back makes every rule due, since nobody knows for how long it would not be.
    pub(crate) fn is_due(&self, item: &RuleItem<'_>) -> bool {
        let Some(glance) = self.glances.get(&item.name) else {
            return true;
        };
        let Some(last) = glance.last_evaluated else {
            return true;
        };
        let elapsed = self.now.millis().saturating_sub(last.millis());
        glance.spec_hash != item.spec_hash(self.fingerprint)
            || elapsed < 0
            || elapsed >= glance.check_interval - slack(glance.check_interval)
            || self.tells_what_was_lost(item, glance)
    }

    /// Whether the rule's status tells of what was lost before its history was rebuilt.
    pub(crate) fn tells_of_before(&self, item: &RuleItem<'_>) -> bool {
        let glance = self.glances.get(&item.name);
        glance.is_some_and(|glance| self.tells_what_was_lost(item, glance))
    }

    fn tells_what_was_lost(&self, item: &RuleItem<'_>, glance: &Glance) -> bool {
        item.status.is_some()
            && status::settling(glance.rebuilt, self.now).is_some_and(|rebuilt| {
                published(item).is_some_and(|status| status::tells_of_before(&status, rebuilt))
            })
    }

    /// Whether statuses of the time before a rebuild may still show up.
    pub(crate) fn is_settling(&self) -> bool {
        let mut glances = self.glances.values();
        self.lost || glances.any(|glance| status::settling(glance.rebuilt, self.now).is_some())
    }

    /// When the first of these rules comes due by the passing of time alone, none being due now. `None`: that depends
    /// on more than the rules and what is remembered of them.
    pub(crate) fn quiet_until(&self, items: &BTreeMap<String, RuleItem<'_>>) -> Option<Time> {
        if self.is_settling() {
            return None;
        }
        let mut until = self.now.millis().saturating_add(quiet::LONGEST_MS);
        for item in items
            .values()
            .filter(|item| !item.deleting && self.is_concerned(&item.name))
        {
            let glance = self.glances.get(&item.name)?;
            let interval = glance.check_interval - slack(glance.check_interval);
            until = until.min(glance.last_evaluated?.millis().saturating_add(interval));
        }
        Some(Time::from_millis(until))
    }

    /// Whether this run is for the rule.
    fn is_concerned(&self, name: &str) -> bool {
        match self.scope {
            Scope::Everything => true,
            Scope::Held => self.glances.get(name).is_some_and(|glance| glance.held > 0),
        }
    }

    /// Sorts the rules of the cluster. `complete`: what is not among the items does not exist.
    pub(crate) fn duty<'a>(
        &self,
        items: &BTreeMap<String, RuleItem<'a>>,
        complete: bool,
    ) -> Duty<'a> {
        let jobs = || self.glances.values().any(|glance| glance.jobs > 0);
        let mut duty = Duty {
            jobs: self.scope == Scope::Everything && jobs(),
            ..Duty::default()
        };
        for item in items
            .values()
            .filter(|item| !item.deleting && self.is_due(item))
            .filter(|item| self.is_concerned(&item.name) || (self.lost && held_before(item)))
        {
            let spec_hash = item.spec_hash(self.fingerprint);
            match check(item, self.defaults) {
                Ok(rule) if rule.enabled => duty.evaluate.push(DueRule {
                    item: item.clone(),
                    rule,
                    spec_hash,
                }),
                Ok(rule) => duty.disabled.push(DueRule {
                    item: item.clone(),
                    rule,
                    spec_hash,
                }),
                Err(problems) => duty.invalid.push(InvalidRule {
                    item: item.clone(),
                    problems,
                    spec_hash,
                }),
            }
        }
        let exists = |name: &str| items.get(name).map(|item| !item.deleting);
        duty.gone = self
            .glances
            .keys()
            .filter(|name| self.is_concerned(name) && !exists(name).unwrap_or(!complete))
            .cloned()
            .collect();
        duty
    }
}

/// Whether the rule's status tells of nodes that it holds.
fn held_before(item: &RuleItem<'_>) -> bool {
    published(item).is_some_and(|status| !status.triggered_nodes.is_empty())
}

/// How much too early an evaluation may come: ticks jitter by some milliseconds, and one that is just short of an
/// interval must not wait for another tick.
fn slack(check_interval: i64) -> i64 {
    (check_interval / 10).min(1_000)
}

/// Reads and checks a rule; every problem as a sentence.
fn check(item: &RuleItem<'_>, defaults: &Defaults) -> Result<Rule, Vec<String>> {
    let text = std::str::from_utf8(item.object.bytes()).map_err(|error| vec![error.to_string()])?;
    let object = RuleObject::from_json(text)
        .map_err(|error| vec![format!("{:#}", anyhow::Error::from(error))])?;
    validate(&object, defaults)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// The rule as it was remembered, for its recovery actions after its deletion.
pub(crate) fn remembered(name: &str, summary: &RuleSummary, defaults: &Defaults) -> Option<Rule> {
    let spec = serde_json::from_str(&summary.spec).ok()?;
    let metadata = ObjectMeta {
        name: name.to_owned(),
        uid: summary.uid.clone(),
        ..ObjectMeta::default()
    };
    validate(
        &RuleObject {
            metadata,
            spec,
            status: None,
        },
        defaults,
    )
    .ok()
}

/// Notes in the summary that a rule was looked at without being evaluated.
pub(crate) fn note_seen(
    summary: &mut RuleSummary,
    item: &RuleItem<'_>,
    spec_hash: u64,
    agenda: &Agenda<'_>,
) {
    summary.uid.clone_from(&item.uid);
    summary.spec_hash = spec_hash;
    summary.last_evaluated = Some(agenda.now);
    summary.check_interval = millis(agenda.defaults.check_interval);
}
