//! One run: gather, decide, save, apply.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use ng_config::Config;
use ng_engine::decide::{Due, Inputs, Retired, decide, interest};
use ng_engine::history::History;
use ng_engine::node::{Interest, Nodes};
use ng_engine::plan::{Happening, Plan};
use ng_engine::reading::Column;
use ng_engine::rule::{Rule, Test};
use ng_engine::spec::RuleStatus;
use ng_engine::status::{self, Standing};
use ng_engine::time::Time;
use ng_hook::context::ContextFile;
use ng_hook::log::Value as Field;
use ng_hook::{Logger, PatchOperation, Report, Retry};
use ng_metrics::{Fetched, Wanted};
use ng_state::{Notice, Store, Transaction};

use crate::due::{Agenda, DueRule, Duty, note_seen, remembered};
use crate::gather::{Gathered, Gatherer};
use crate::ports::{Cluster, Source, Times};
use crate::render::Values;
use crate::rule_item::RuleItem;
use crate::{evictions, gauges, node_reader, patches, report, settings};

/// How long a status that the API server does not show is left alone before it is written again: until then it is
/// taken to be on its way.
const STATUS_PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);

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
    let opened = Store::open(desk.state_dir, desk.now).with_context(|| {
        format!(
            "cannot use the state directory {}",
            desk.state_dir.display()
        )
    })?;
    let mut store = opened.store;
    let summaries = store.summaries()?;
    let defaults = settings::defaults(desk.config);
    let agenda = Agenda {
        now: desk.now,
        summaries: &summaries,
        fingerprint: settings::fingerprint(&defaults),
        defaults: &defaults,
    };
    let early = if opened.notice.is_some() || summaries.is_empty() {
        History::default()
    } else {
        peek(&mut store)?
    };
    let wish = |duty: &Duty<'_>, items: &BTreeMap<String, RuleItem<'_>>| {
        wishes(duty, items, &early, opened.notice.is_some())
    };
    let mut gatherer = Gatherer::new(&agenda, contexts.bytes().len(), &wish);
    contexts.read(&mut gatherer)?;
    let Gathered {
        mut duty,
        items,
        nodes,
    } = gatherer
        .finish()
        .context("cannot read the binding contexts")?;
    if duty.is_empty() {
        return Ok(Outcome::default());
    }
    let nodes = nodes.map_or_else(|| list_nodes(&wish(&duty, &items), desk), Ok)?;
    confirm_gone(&mut duty, &early, desk);
    let wanted = wanted(&duty.evaluate);
    let fetched = fetch(&wanted, &nodes, desk);
    let mut round = Round {
        desk,
        agenda: &agenda,
        duty,
        items,
        nodes,
        wanted,
        fetched,
        report: Report::default(),
    };
    let (plan, history) = round.settle(&mut store)?;
    round.finish(&mut store, plan, &history, started)
}

/// The records and ledgers as they are before the run, only to know which marks to look for on nodes.
fn peek(store: &mut Store) -> anyhow::Result<History> {
    Ok(store.begin()?.load(&[])?)
}

/// What has to be known of nodes.
fn wishes(
    duty: &Duty<'_>,
    items: &BTreeMap<String, RuleItem<'_>>,
    early: &History,
    lost: bool,
) -> Interest {
    let rules = duty
        .evaluate
        .iter()
        .chain(&duty.disabled)
        .map(|due| &due.rule);
    if lost {
        let mut restored = early.clone();
        restore(&mut restored, items);
        interest(rules, &restored)
    } else {
        interest(rules, early)
    }
}

/// Fills a lost history from what the rules' statuses say.
fn restore(history: &mut History, items: &BTreeMap<String, RuleItem<'_>>) {
    for item in items.values() {
        if let Some(published) = published(item) {
            status::restore(history, &item.name, &item.uid, &published);
        }
    }
}

fn published(item: &RuleItem<'_>) -> Option<RuleStatus> {
    item.status.and_then(|status| status.decode().ok())
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
        node_reader::read_objects(&objects, &mut nodes);
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
        let holds = remembered.is_some_and(|rule| {
            rule.records
                .values()
                .any(ng_engine::history::NodeRecord::is_active)
        });
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
                .map(|_| Column::unknown(nodes.len(), ng_engine::reading::Unknown::NoSample))
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

/// The run after everything was gathered.
struct Round<'a> {
    desk: &'a Desk<'a>,
    agenda: &'a Agenda<'a>,
    duty: Duty<'a>,
    items: BTreeMap<String, RuleItem<'a>>,
    nodes: Nodes,
    wanted: Vec<Wanted>,
    fetched: Fetched,
    report: Report,
}

impl Round<'_> {
    /// Decides and saves in one transaction: what is saved is what was decided, whole or not at all.
    fn settle(&mut self, store: &mut Store) -> anyhow::Result<(Plan, History)> {
        let mut transaction = store.begin()?;
        let names: Vec<&str> = self
            .duty
            .evaluate
            .iter()
            .map(|due| due.rule.name.as_str())
            .collect();
        let mut history = transaction.load(&names)?;
        for lost in transaction.lost() {
            self.desk
                .log
                .warn("state", &[("problem", Field::Text(lost))]);
        }
        if let Some(notice) = transaction.notice()? {
            self.rebuild(&mut history, &notice);
        }
        let summaries = self.agenda.summaries;
        self.duty.evaluate.retain(|due| {
            // Another process may have evaluated the rule while the readings were fetched.
            let before = summaries
                .get(&due.rule.name)
                .and_then(|summary| summary.last_evaluated);
            let present = history
                .rules
                .get(&due.rule.name)
                .and_then(|rule| rule.summary.last_evaluated);
            present <= before
                || summaries
                    .get(&due.rule.name)
                    .is_some_and(|summary| summary.spec_hash != due.spec_hash)
        });
        let plan = self.decide(&mut history);
        let operations = self.statuses(&plan, &mut history)?;
        self.account(&mut transaction, &plan)?;
        transaction.save(&history)?;
        transaction.queue(&plan.alerts, self.desk.now)?;
        transaction.commit()?;
        for change in &plan.changes {
            self.report.patches.push(patches::node(change)?);
        }
        self.report.patches.extend(operations);
        Ok((plan, history))
    }

    fn rebuild(&self, history: &mut History, notice: &Notice) {
        restore(history, &self.items);
        let restored: usize = history.rules.values().map(|rule| rule.records.len()).sum();
        match notice {
            Notice::Created { .. } => {
                if restored > 0 {
                    let fields = [("nodes", restored.into())];
                    self.desk.log.warn(
                        "there was no state; rebuilt from the rules' statuses",
                        &fields,
                    );
                }
            }
            Notice::SetAside { path, reason, .. } => {
                let path = settings::shown(path);
                let fields = [
                    ("kept_as", Field::Text(&path)),
                    ("problem", Field::Text(reason)),
                    ("nodes", restored.into()),
                ];
                self.desk.log.error(
                    "the state was damaged; rebuilt from the rules' statuses",
                    &fields,
                );
            }
        }
    }

    fn decide(&mut self, history: &mut History) -> Plan {
        let values = Values::new(self.desk.config.cluster_name.as_deref());
        let metrics: Vec<Vec<(String, &Column)>> = self
            .duty
            .evaluate
            .iter()
            .map(|due| self.metrics_for(&due.rule))
            .collect();
        let due: Vec<Due<'_>> = self
            .duty
            .evaluate
            .iter()
            .zip(&metrics)
            .map(|(due, metrics)| self.due(due, metrics))
            .collect();
        for disabled in &self.duty.disabled {
            let remembered = history.rules.entry(disabled.rule.name.clone()).or_default();
            note_seen(
                &mut remembered.summary,
                &disabled.item,
                disabled.spec_hash,
                self.agenda,
            );
        }
        for invalid in &self.duty.invalid {
            let remembered = history.rules.entry(invalid.item.name.clone()).or_default();
            note_seen(
                &mut remembered.summary,
                &invalid.item,
                invalid.spec_hash,
                self.agenda,
            );
        }
        let gone: Vec<(&str, Option<Rule>)> = self
            .duty
            .gone
            .iter()
            .map(|name| {
                let summary = history.rules.get(name).map(|rule| &rule.summary);
                (
                    name.as_str(),
                    summary.and_then(|summary| remembered(name, summary, self.agenda.defaults)),
                )
            })
            .collect();
        let disabled = self.duty.disabled.iter().map(|due| Retired {
            name: &due.rule.name,
            rule: Some(&due.rule),
            exists: true,
        });
        let deleted = gone.iter().map(|(name, rule)| Retired {
            name,
            rule: rule.as_ref(),
            exists: false,
        });
        let retired: Vec<Retired<'_>> = disabled.chain(deleted).collect();
        let plan = decide(
            history,
            &Inputs {
                now: self.desk.now,
                nodes: &self.nodes,
                due: &due,
                retired: &retired,
                safety: settings::safety(self.desk.config),
                render: &values,
            },
        );
        for problem in values.problems() {
            self.desk
                .log
                .warn("template", &[("problem", Field::Text(&problem))]);
        }
        plan
    }

    fn due<'s>(&'s self, due: &'s DueRule<'_>, metrics: &'s [(String, &'s Column)]) -> Due<'s> {
        let columns = |conditions: &ng_engine::rule::Conditions| {
            conditions
                .all
                .iter()
                .map(|condition| self.column(&due.rule, &condition.test))
                .collect::<Vec<_>>()
        };
        Due {
            rule: &due.rule,
            spec: due.item.spec_text(),
            spec_hash: due.spec_hash,
            trigger: columns(&due.rule.trigger),
            recovery: due.rule.recovery.as_ref().map(columns).unwrap_or_default(),
            metrics,
        }
    }

    fn column(&self, rule: &Rule, test: &Test) -> Option<&Column> {
        let Test::Metric { metric, .. } = test else {
            return None;
        };
        let position = self
            .wanted
            .iter()
            .position(|wanted| wanted.metric == *metric && wanted.source == rule.source)?;
        self.fetched.columns.get(position)
    }

    /// Every fetched metric, from the rule's own source where it has one.
    fn metrics_for(&self, rule: &Rule) -> Vec<(String, &Column)> {
        let mut metrics: BTreeMap<&str, &Column> = BTreeMap::new();
        for own in [false, true] {
            for (wanted, column) in self.wanted.iter().zip(&self.fetched.columns) {
                if (wanted.source == rule.source) == own {
                    metrics.insert(&wanted.metric, column);
                }
            }
        }
        metrics
            .into_iter()
            .map(|(name, column)| (name.to_owned(), column))
            .collect()
    }

    /// The statuses that differ from what the API server shows.
    fn statuses(
        &mut self,
        plan: &Plan,
        history: &mut History,
    ) -> anyhow::Result<Vec<PatchOperation>> {
        let evaluated: BTreeMap<&str, _> = plan
            .evaluated
            .iter()
            .map(|evaluated| (evaluated.rule.as_str(), evaluated))
            .collect();
        let waiting = self.desk.config.safety.paused;
        let mut operations = Vec::new();
        let standings = self
            .duty
            .evaluate
            .iter()
            .filter_map(|due| {
                Some((
                    &due.item,
                    Standing::Evaluated(evaluated.get(due.rule.name.as_str())?),
                ))
            })
            .chain(
                self.duty
                    .disabled
                    .iter()
                    .map(|due| (&due.item, Standing::Disabled { waiting })),
            )
            .chain(
                self.duty
                    .invalid
                    .iter()
                    .map(|rule| (&rule.item, Standing::Invalid(&rule.problems))),
            );
        for (item, standing) in standings {
            let published = published(item);
            let times = (published.as_ref(), self.desk.now);
            let fresh = status::of(&item.name, item.generation, &standing, history, times);
            let Some(remembered) = history.rules.get_mut(&item.name) else {
                continue;
            };
            if published.as_ref() == Some(&fresh) {
                continue;
            }
            let hash = status_hash(&fresh);
            let on_its_way = remembered
                .summary
                .status_written
                .is_some_and(|(written, at)| {
                    written == hash && self.desk.now.since(at) < STATUS_PATIENCE
                });
            if !on_its_way {
                remembered.summary.status_written = Some((hash, self.desk.now));
                operations.push(patches::status(&item.name, &fresh)?);
            }
        }
        for rule in &self.duty.invalid {
            for problem in &rule.problems {
                let fields = [
                    ("rule", Field::Text(&rule.item.name)),
                    ("problem", Field::Text(problem)),
                ];
                self.desk.log.error("invalid rule", &fields);
            }
            self.report.fail(
                anyhow::anyhow!("rule {}: {}", rule.item.name, rule.problems.join("; ")),
                Retry::Useless,
            );
        }
        Ok(operations)
    }

    /// Counts what was decided.
    fn account(&self, transaction: &mut Transaction<'_>, plan: &Plan) -> anyhow::Result<()> {
        let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for decision in &plan.decisions {
            let word = match decision.event {
                Happening::Triggered => "triggered",
                Happening::Repeated => "repeated",
                Happening::Held => "held",
                Happening::Recovered => "recovered",
                Happening::Released => "released",
                Happening::Admitted
                | Happening::Recovering
                | Happening::Relapsed
                | Happening::Gone => continue,
            };
            *counts.entry((&decision.rule, word)).or_default() += 1;
        }
        for ((rule, event), count) in counts {
            transaction.count(
                "nodeguardian_transitions_total",
                &[("rule", rule), ("event", event)],
                count,
            )?;
        }
        let mut actions: BTreeMap<&str, u64> = BTreeMap::new();
        for change in &plan.changes {
            for mark in &change.set {
                *actions.entry(set_word(&mark.key)).or_default() += 1;
            }
            for owned in &change.unset {
                *actions.entry(unset_word(&owned.mark.key)).or_default() += 1;
            }
        }
        for (action, count) in actions {
            transaction.count(
                "nodeguardian_actions_total",
                &[("action", action), ("result", "written")],
                count,
            )?;
        }
        let mut alerts: BTreeMap<&str, u64> = BTreeMap::new();
        for alert in &plan.alerts {
            *alerts.entry(alert.rule.as_str()).or_default() += 1;
        }
        for (rule, count) in alerts {
            transaction.count(
                "nodeguardian_alerts_total",
                &[("rule", rule), ("result", "queued")],
                count,
            )?;
        }
        for name in &self.duty.gone {
            transaction.forget_counters("rule", name)?;
        }
        Ok(())
    }

    /// Evictions, Events, logs and metrics.
    fn finish(
        mut self,
        store: &mut Store,
        plan: Plan,
        history: &History,
        started: Instant,
    ) -> anyhow::Result<Outcome> {
        for decision in &plan.decisions {
            report::decision(self.desk.log, decision);
        }
        let passes = evictions::run(store, history, self.desk)?;
        let uid = |rule: &str| {
            let known = history
                .rules
                .get(rule)
                .map(|rule| rule.summary.uid.as_str());
            known
                .or_else(|| {
                    self.agenda
                        .summaries
                        .get(rule)
                        .map(|summary| summary.uid.as_str())
                })
                .unwrap_or_default()
        };
        let mut notices = report::notices(&plan.decisions, uid);
        for note in &passes.notes {
            let fields = [
                ("rule", Field::Text(&note.rule)),
                ("node", Field::Text(&note.node)),
                ("result", Field::Text(&note.message)),
            ];
            if note.failed {
                self.desk.log.error("job failed", &fields);
                notices.push(report::Notice {
                    reason: "ActionFailed",
                    rule: &note.rule,
                    rule_uid: uid(&note.rule),
                    node: &note.node,
                    node_uid: &note.node_uid,
                    message: format!("rule {}: {}", note.rule, note.message),
                    at: self.desk.now,
                });
            } else {
                self.desk.log.info("job ended", &fields);
            }
        }
        if !self.desk.config.safety.paused {
            self.report.patches.extend(report::events(&notices)?);
        }
        if passes.changed {
            close_jobs(store, &passes)?;
        }
        self.report.metrics = vec![
            gauges::rules(history, &plan),
            gauges::totals(&store.counters()?, store.outbox_counts()?),
            gauges::run(
                &plan,
                self.nodes.len(),
                self.fetched.requests,
                started.elapsed().as_secs_f64(),
            ),
        ];
        if !self.wanted.is_empty() {
            self.report
                .metrics
                .push(gauges::readings(&self.wanted, &self.fetched));
        }
        Ok(Outcome {
            report: self.report,
            plan,
        })
    }
}

/// Counts what the passes did and which jobs are still open.
fn close_jobs(store: &mut Store, passes: &evictions::Passes) -> anyhow::Result<()> {
    let mut transaction = store.begin()?;
    let mut history = transaction.load(&[])?;
    for remembered in history.rules.values_mut() {
        remembered.count_jobs();
    }
    transaction.save(&history)?;
    for (result, count) in &passes.results {
        transaction.count(
            "nodeguardian_actions_total",
            &[("action", "evictPod"), ("result", result)],
            *count,
        )?;
    }
    Ok(transaction.commit()?)
}

/// Hash of a status without the times at which its conditions changed: they differ with every attempt to write it.
fn status_hash(status: &RuleStatus) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut timeless = status.clone();
    for condition in &mut timeless.conditions {
        condition.last_transition_time = None;
    }
    let mut hasher = rustc_hash::FxHasher::default();
    serde_json::to_string(&timeless)
        .unwrap_or_default()
        .hash(&mut hasher);
    hasher.finish()
}

fn set_word(key: &ng_engine::history::MarkKey) -> &'static str {
    use ng_engine::history::MarkKey;
    match key {
        MarkKey::Taint { .. } => "taint",
        MarkKey::Label { .. } => "label",
        MarkKey::Annotation { .. } => "annotation",
        MarkKey::Cordon => "cordon",
    }
}

fn unset_word(key: &ng_engine::history::MarkKey) -> &'static str {
    use ng_engine::history::MarkKey;
    match key {
        MarkKey::Taint { .. } => "removeTaint",
        MarkKey::Label { .. } => "removeLabel",
        MarkKey::Annotation { .. } => "removeAnnotation",
        MarkKey::Cordon => "uncordon",
    }
}
