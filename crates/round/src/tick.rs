//! One run: gather, decide, save, apply.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use ng_config::Config;
use ng_engine::decide::interest;
use ng_engine::history::{History, NodeRecord};
use ng_engine::node::{Interest, Nodes};
use ng_engine::plan::Plan;
use ng_engine::reading::{Column, Unknown};
use ng_engine::rule::Test;
use ng_engine::status;
use ng_engine::time::Time;
use ng_hook::context::ContextFile;
use ng_hook::log::Value as Field;
use ng_hook::{Logger, Report};
use ng_metrics::{Fetched, Wanted};
use ng_state::{Glances, Opened, Peeked, StateError, Store};

use crate::due::{Agenda, DueRule, Duty, Scope};
use crate::gather::{Gathered, Gatherer};
use crate::ports::{Cluster, Source, Times};
use crate::quiet::{self, Basis};
use crate::round::Round;
use crate::rule_item::RuleItem;
use crate::statuses::published;
use crate::turns;
use crate::{report, settings};

/// What a run works with.
pub struct Desk<'a> {
    /// The checked configuration.
    pub config: &'a Config,
    /// The log.
    pub log: &'a Logger,
    /// The time of the run.
    pub now: Time,
    /// When the run has to be over.
    pub deadline: Instant,
    /// Where state is kept.
    pub state_dir: &'a Path,
    /// Which rules this run is for.
    pub scope: Scope,
    /// The Kubernetes API.
    pub cluster: &'a dyn Cluster,
    /// Where readings come from.
    pub source: &'a dyn Source,
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// For shell-operator.
    pub report: Report,
    /// What was decided.
    pub plan: Plan,
}

/// One run over these contexts. An error means that nothing was done.
pub fn tick(contexts: &ContextFile, desk: &Desk<'_>) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let defaults = settings::defaults(desk.config);
    let fingerprint = settings::fingerprint(&defaults);
    let basis = Basis::of(desk, fingerprint);
    if basis.is_some_and(|basis| quiet::is_told(desk, basis, contexts.bytes())) {
        return Ok(Outcome::default());
    }
    let opened = open(desk)?;
    let lost = opened.notice.is_some();
    let mut store = opened.store;
    if turns::gives_way(&store, desk.scope, desk.now)? {
        return Ok(Outcome::default());
    }
    let first_sight = store.glances()?;
    let agenda = Agenda {
        now: desk.now,
        scope: desk.scope,
        lost,
        glances: &first_sight.rules,
        fingerprint,
        defaults: &defaults,
    };
    let early = Early {
        store: &store,
        seen: &first_sight,
        agenda: &agenda,
        settling: agenda.is_settling(),
        peeked: OnceCell::new(),
        nothing: History::default(),
    };
    let Some((mut round, peeked)) = gather(contexts, desk, early, basis)? else {
        return Ok(Outcome::default());
    };
    let (plan, history) = round.settle(&mut store, peeked)?;
    round.finish(&mut store, plan, &history, started)
}

/// Everything that the round decides on; `None` if nothing is due.
fn gather<'a>(
    contexts: &'a ContextFile,
    desk: &'a Desk<'a>,
    early: Early<'a, '_>,
    basis: Option<Basis>,
) -> anyhow::Result<Option<(Round<'a>, Option<Peeked>)>> {
    let agenda = early.agenda;
    let wish = |duty: &Duty<'_>, items: &BTreeMap<String, RuleItem<'_>>| {
        wishes(duty, items, early.history(duty, items), early.settling)
    };
    let mut gatherer = Gatherer::new(agenda, contexts.bytes().len(), &wish);
    contexts.read(&mut gatherer)?;
    let Gathered {
        mut duty,
        items,
        nodes,
        extent,
    } = gatherer
        .finish()
        .context("cannot read the binding contexts")?;
    if duty.is_empty() {
        if let (Some(basis), Some(extent)) = (basis, extent)
            && let Some(until) = agenda.quiet_until(&items)
        {
            quiet::tell(desk, basis, (contexts.bytes(), extent), until);
        }
        return Ok(None);
    }
    let nodes = nodes.map_or_else(|| list_nodes(&wish(&duty, &items), desk), Ok)?;
    let known = early.history(&duty, &items);
    confirm_gone(&mut duty, known, desk);
    let peeked = early.finish()?;
    let wanted = wanted(&duty.evaluate);
    let fetched = fetch(&wanted, &nodes, desk);
    let round = Round {
        desk,
        agenda,
        duty,
        items,
        nodes,
        wanted,
        fetched,
        report: Report::default(),
        gone_uids: BTreeMap::new(),
        unused_metrics: Vec::new(),
        complete: extent.is_some(),
    };
    Ok(Some((round, peeked)))
}

fn open(desk: &Desk<'_>) -> anyhow::Result<Opened> {
    report::open_state(desk.state_dir, desk.now, desk.log).with_context(|| {
        format!(
            "cannot use the state directory {}",
            desk.state_dir.display()
        )
    })
}

/// The history as it is before the run, as far as the run concerns it: it tells which marks to look for on nodes. It
/// is read when it is first asked for, which a run with nothing to do never does.
struct Early<'a, 's> {
    store: &'s Store,
    seen: &'a Glances,
    agenda: &'a Agenda<'a>,
    settling: bool,
    peeked: OnceCell<Result<Peeked, StateError>>,
    nothing: History,
}

impl Early<'_, '_> {
    fn history(&self, duty: &Duty<'_>, items: &BTreeMap<String, RuleItem<'_>>) -> &History {
        if self.agenda.lost || self.seen.rules.is_empty() {
            return &self.nothing;
        }
        let peek = || {
            let mut rules: Vec<&str> = duty.rules().collect();
            if self.settling {
                let late = items
                    .values()
                    .filter(|item| self.agenda.tells_of_before(item));
                rules.extend(late.map(|item| item.name.as_str()));
            }
            self.store.peek(self.seen, &rules)
        };
        match self.peeked.get_or_init(peek) {
            Ok(peeked) => peeked.history(),
            Err(_) => &self.nothing,
        }
    }

    /// What was read, or the error if it could not be.
    fn finish(self) -> Result<Option<Peeked>, StateError> {
        self.peeked.into_inner().transpose()
    }
}

/// What has to be known of nodes.
fn wishes(
    duty: &Duty<'_>,
    items: &BTreeMap<String, RuleItem<'_>>,
    early: &History,
    settling: bool,
) -> Interest {
    let rules = duty
        .evaluate
        .iter()
        .chain(&duty.disabled)
        .map(|due| &due.rule);
    let mut wishes = interest(rules, early);
    if settling {
        let mut told = History::default();
        restore(&mut told, items);
        let told = interest([], &told);
        wishes.labels.extend(told.labels);
        wishes.annotations.extend(told.annotations);
    }
    wishes
}

/// Fills a lost history from what the rules' statuses say.
pub(crate) fn restore(history: &mut History, items: &BTreeMap<String, RuleItem<'_>>) {
    for item in items.values() {
        if let Some(published) = published(item) {
            status::restore(history, &item.name, &item.uid, &published);
        }
    }
}

/// Nodes from the API, when the contexts bring none.
fn list_nodes(interest: &Interest, desk: &Desk<'_>) -> anyhow::Result<Nodes> {
    let mut nodes = Nodes::new(interest);
    if desk.cluster.is_configured() {
        let objects = desk
            .cluster
            .nodes(desk.deadline)
            .map_err(anyhow::Error::msg)
            .context("the contexts hold no snapshot of nodes, and they cannot be listed")?;
        ng_nodes::read_objects(&objects, &mut nodes);
    } else {
        desk.log.warn(
            "the contexts hold no snapshot of nodes, and there are no credentials to list them",
            &[],
        );
    }
    Ok(nodes)
}

/// A rule that is missing from a snapshot may still exist: shell-operator's cache can lose an object. What such a
/// rule holds is released only when the API server says that it is gone, wherever it can be asked.
fn confirm_gone(duty: &mut Duty<'_>, early: &History, desk: &Desk<'_>) {
    duty.gone.retain(|name| {
        let remembered = early.rules.get(name);
        let holds = remembered.is_some_and(|rule| rule.records.values().any(NodeRecord::is_active));
        if !holds || !desk.cluster.is_configured() {
            return true;
        }
        let uid = remembered
            .map(|rule| rule.summary.uid.as_str())
            .unwrap_or_default();
        let problem = match desk.cluster.rule_exists(name, uid, desk.deadline) {
            Ok(false) => return true,
            Ok(true) => {
                "the snapshot lacks the rule, but the API server has it: nothing is released"
                    .to_owned()
            }
            Err(error) => {
                format!("cannot ask whether the rule is deleted: {error}; nothing is released")
            }
        };
        desk.log.warn(
            "rule is missing",
            &[
                ("rule", Field::Text(name)),
                ("problem", Field::Text(&problem)),
            ],
        );
        false
    });
}

/// The readings that the due rules ask for, once each.
fn wanted(due: &[DueRule<'_>]) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for rule in due.iter().map(|due| &due.rule) {
        let recovery = rule.recovery.iter().flat_map(|recovery| &recovery.all);
        for condition in rule.trigger.all.iter().chain(recovery) {
            let Test::Metric { metric, .. } = &condition.test else {
                continue;
            };
            let known = wanted
                .iter()
                .any(|known| known.metric == *metric && known.source == rule.source);
            if !known {
                wanted.push(Wanted {
                    metric: metric.clone(),
                    source: rule.source.clone(),
                });
            }
        }
    }
    wanted
}

fn fetch(wanted: &[Wanted], nodes: &Nodes, desk: &Desk<'_>) -> Fetched {
    if wanted.is_empty() || nodes.is_empty() {
        return Fetched {
            columns: wanted
                .iter()
                .map(|_| Column::unknown(nodes.len(), Unknown::NoSample))
                .collect(),
            problems: Vec::new(),
            requests: 0,
        };
    }
    let deadline = (Instant::now() + settings::READINGS_LIMIT).min(desk.deadline);
    let times = Times {
        now: desk.now,
        deadline,
        cluster: desk.cluster,
    };
    let fetched = desk
        .source
        .fetch(wanted, nodes, &settings::sources(desk.config), &times);
    for problem in &fetched.problems {
        desk.log
            .warn("readings", &[("problem", Field::Shown(problem))]);
    }
    fetched
}
