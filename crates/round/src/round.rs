//! The run after everything was gathered: one transaction, then what follows from it.

use std::collections::BTreeMap;
use std::time::Instant;

use ng_engine::decide::{Due, Inputs, Retired, decide};
use ng_engine::history::History;
use ng_engine::node::Nodes;
use ng_engine::plan::Plan;
use ng_engine::reading::Column;
use ng_engine::rule::{Rule, Test};
use ng_engine::spec::RuleStatus;
use ng_engine::status;
use ng_hook::log::Value as Field;
use ng_hook::{PatchOperation, Report, Retry};
use ng_metrics::{Fetched, Wanted};
use ng_state::{Notice, Peeked, Store};

use crate::due::{Agenda, DueRule, Duty, Scope, note_seen, remembered};
use crate::render::Values;
use crate::rule_item::RuleItem;
use crate::tick::{Desk, Outcome, restore};
use crate::{account, evictions, gauges, patches, report, settings, statuses, told_metrics, turns};

/// The run after everything was gathered.
pub(crate) struct Round<'a> {
    pub(crate) desk: &'a Desk<'a>,
    pub(crate) agenda: &'a Agenda<'a>,
    pub(crate) duty: Duty<'a>,
    pub(crate) items: BTreeMap<String, RuleItem<'a>>,
    pub(crate) nodes: Nodes,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) fetched: Fetched,
    pub(crate) report: Report,
    /// UIDs of deleted rules, whose history ends in this round.
    pub(crate) gone_uids: BTreeMap<String, String>,
    /// Metrics of which readings were told before, and which no rule asks for any more.
    pub(crate) unused_metrics: Vec<String>,
    /// Whether the items are all rules there are.
    pub(crate) complete: bool,
}

impl Round<'_> {
    /// Decides and saves in one transaction: what is saved is what was decided, whole or not at all.
    pub(crate) fn settle(
        &mut self,
        store: &mut Store,
        peeked: Option<Peeked>,
    ) -> anyhow::Result<(Plan, History)> {
        let mut transaction = store.begin()?;
        let names: Vec<&str> = self
            .duty
            .evaluate
            .iter()
            .map(|due| due.rule.name.as_str())
            .collect();
        let mut history = transaction.load_after(peeked, &names)?;
        for lost in transaction.lost() {
            self.desk
                .log
                .warn("state", &[("problem", Field::Text(lost))]);
        }
        // A state that had a history when it was opened keeps it.
        if self.agenda.lost
            && let Some(notice) = transaction.notice()?
        {
            self.rebuild(&mut history, &notice);
        }
        self.learn(&mut history);
        self.note_gone(&history);
        let Desk { scope, now, .. } = *self.desk;
        if self.is_overtaken(&history) {
            turns::lost(transaction, scope, now)?;
            return Ok((Plan::default(), history));
        }
        turns::taken(&mut transaction, scope)?;
        if scope == Scope::Everything {
            self.unused_metrics = told_metrics::note(&mut transaction, &self.wanted, |metric| {
                !self.complete || self.items.values().any(|item| item.asks_for(metric))
            })?;
        }
        self.leave_out_evaluated(&history);
        let plan = self.decide(&mut history);
        let operations = statuses::writes(&self.duty, &plan, &mut history, self.desk);
        self.report_invalid();
        account::decided(&mut transaction, &plan, &self.duty.gone)?;
        transaction.save(&history)?;
        transaction.queue(&plan.alerts, self.desk.now)?;
        transaction.commit()?;
        for change in &plan.changes {
            self.write(patches::node(change));
        }
        for operation in operations {
            self.write(operation);
        }
        Ok((plan, history))
    }

    /// Whether another process that began later has decided since this one began: what it saw is newer, and going
    /// back to what was seen here would undo it. Whatever is left is done by the next run.
    fn is_overtaken(&self, history: &History) -> bool {
        let before = |name: &str| self.agenda.glances.get(name)?.last_evaluated;
        history.rules.iter().any(|(name, rule)| {
            let last = rule.summary.last_evaluated;
            last > Some(self.desk.now) && last != before(name)
        })
    }

    /// Leaves out what another process has evaluated while the readings were fetched.
    fn leave_out_evaluated(&mut self, history: &History) {
        let glances = self.agenda.glances;
        self.duty.evaluate.retain(|due| {
            let before = glances.get(&due.rule.name);
            let present = history.rules.get(&due.rule.name);
            present.and_then(|rule| rule.summary.last_evaluated)
                <= before.and_then(|glance| glance.last_evaluated)
                || before.is_some_and(|glance| glance.spec_hash != due.spec_hash)
        });
    }

    fn note_gone(&mut self, history: &History) {
        let uid = |name: &String| {
            let remembered = history.rules.get(name)?;
            Some((name.clone(), remembered.summary.uid.clone()))
        };
        self.gone_uids = self.duty.gone.iter().filter_map(uid).collect();
    }

    /// Hands a write to shell-operator. One that cannot be made, such as for an object whose name is
    /// none, is reported and does not stop the others.
    fn write(&mut self, operation: anyhow::Result<PatchOperation>) {
        match operation {
            Ok(operation) => self.report.patches.push(operation),
            Err(error) => {
                let problem = format!("{error:#}");
                self.desk
                    .log
                    .error("cannot write", &[("problem", Field::Text(&problem))]);
                self.report.fail(error, Retry::Useless);
            }
        }
    }

    /// Takes in what statuses say of the time before a rebuild, as long as such may show up.
    fn learn(&self, history: &mut History) {
        let settling = |item: &&RuleItem<'_>| {
            let remembered = history.rules.get(&item.name);
            remembered.is_some_and(|rule| rule.summary.settling(self.desk.now).is_some())
        };
        let late: Vec<(&str, RuleStatus)> = self
            .items
            .values()
            .filter(settling)
            .filter_map(|item| Some((item.name.as_str(), statuses::published(item)?)))
            .collect();
        status::learn(history, &late, &self.nodes);
    }

    fn rebuild(&self, history: &mut History, notice: &Notice) {
        restore(history, &self.items);
        for item in self.items.values().filter(|item| !item.deleting) {
            let remembered = history.rules.entry(item.name.clone()).or_default();
            remembered.summary.rebuilt = Some(self.desk.now);
        }
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
        self.note_unevaluated(history);
        let gone = self.gone(history);
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
                queue: self.desk.scope.queue(),
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
        for bad in &plan.bad_mutes {
            self.desk
                .log
                .warn("mute", &[("problem", Field::Shown(bad))]);
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

    /// Notes that disabled and invalid rules were looked at.
    fn note_unevaluated(&self, history: &mut History) {
        let disabled = self
            .duty
            .disabled
            .iter()
            .map(|due| (&due.item, due.spec_hash));
        let invalid = self
            .duty
            .invalid
            .iter()
            .map(|rule| (&rule.item, rule.spec_hash));
        for (item, spec_hash) in disabled.chain(invalid) {
            let remembered = history.rules.entry(item.name.clone()).or_default();
            note_seen(&mut remembered.summary, item, spec_hash, self.agenda);
        }
    }

    /// The deleted rules as they were last valid.
    fn gone(&self, history: &History) -> Vec<(&str, Option<Rule>)> {
        let known = |name: &str| {
            let summary = &history.rules.get(name)?.summary;
            remembered(name, summary, self.agenda.defaults)
        };
        self.duty
            .gone
            .iter()
            .map(|name| (name.as_str(), known(name)))
            .collect()
    }

    fn report_invalid(&mut self) {
        for rule in &self.duty.invalid {
            for problem in &rule.problems {
                let fields = [
                    ("rule", Field::Text(&rule.item.name)),
                    ("problem", Field::Text(problem)),
                ];
                self.desk.log.error("invalid rule", &fields);
            }
            let problems = rule.problems.join("; ");
            self.report.fail(
                anyhow::anyhow!("rule {}: {problems}", rule.item.name),
                Retry::Useless,
            );
        }
    }

    /// Evictions, Events, logs and metrics.
    pub(crate) fn finish(
        mut self,
        store: &mut Store,
        plan: Plan,
        history: &History,
        started: Instant,
    ) -> anyhow::Result<Outcome> {
        for evaluated in &plan.evaluated {
            let before = self.agenda.glances.get(&evaluated.rule);
            report::unknown(
                self.desk.log,
                evaluated,
                before.map_or(0, |before| before.unknown),
            );
        }
        for decision in &plan.decisions {
            report::decision(self.desk.log, decision);
        }
        let passes = match self.desk.scope {
            Scope::Everything => evictions::run(store, history, self.desk)?,
            Scope::Held => evictions::Passes::default(),
        };
        for note in &passes.notes {
            report::job(self.desk.log, note);
        }
        if passes.changed {
            account::evicted(store, &passes)?;
        }
        if !self.desk.config.safety.paused {
            let notices = self.notices(&plan, &passes, history);
            for event in report::events(&notices) {
                self.write(event);
            }
        }
        match self.desk.scope {
            Scope::Everything => self.publish(store, &plan, history, started)?,
            // shell-operator tells series apart by hook: the same ones from two hooks would count twice.
            Scope::Held => {}
        }
        Ok(Outcome {
            report: self.report,
            plan,
        })
    }

    /// Whether some rule was looked at because its time had come, and not only because it was changed. Such a run
    /// writes the gauges of all rules: shell-operator may have been started since the last one, and begun with none.
    fn is_scheduled(&self) -> bool {
        let known = |name: &str| Some(self.agenda.glances.get(name)?.spec_hash);
        let mut specs = self.duty.specs();
        specs.any(|(name, hash)| known(name) == Some(hash))
    }

    fn publish(
        &mut self,
        store: &Store,
        plan: &Plan,
        history: &History,
        started: Instant,
    ) -> anyhow::Result<()> {
        let rules = gauges::Rules {
            glances: self.agenda.glances,
            history,
            gone: &self.duty.gone,
        };
        let mut metrics = if self.agenda.lost {
            rules.anew()
        } else if self.is_scheduled() {
            rules.all()
        } else {
            rules.changed()
        };
        metrics.extend(plan.out_of_service.map(gauges::safety));
        metrics.push(gauges::totals(&store.counters()?));
        metrics.push(gauges::run(
            plan,
            self.nodes.len(),
            self.fetched.requests,
            started.elapsed().as_secs_f64(),
        ));
        self.report.metrics = metrics;
        let readings = gauges::readings(&self.wanted, &self.fetched);
        self.report.metrics.extend(readings);
        let unused = gauges::no_readings(&self.unused_metrics);
        self.report.metrics.extend(unused);
        Ok(())
    }

    fn notices<'s>(
        &'s self,
        plan: &'s Plan,
        passes: &'s evictions::Passes,
        history: &'s History,
    ) -> Vec<report::Notice<'s>> {
        let uid = |rule: &str| {
            let known = history
                .rules
                .get(rule)
                .map(|rule| rule.summary.uid.as_str());
            let gone = || self.gone_uids.get(rule).map(String::as_str);
            known.or_else(gone).unwrap_or_default()
        };
        let mut notices = report::notices(&plan.decisions, uid);
        notices.extend(
            passes
                .notes
                .iter()
                .filter(|note| note.failed)
                .map(|note| report::Notice {
                    reason: "ActionFailed",
                    rule: &note.rule,
                    rule_uid: uid(&note.rule),
                    node: &note.node,
                    node_uid: &note.node_uid,
                    message: format!("rule {}: {}", note.rule, note.message),
                    at: self.desk.now,
                }),
        );
        notices
    }
}
