//! One run: what happened to nodes, and a check of all of them if one is due.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ng_config::Config;
use ng_engine::history::Ledger;
use ng_engine::node::Nodes;
use ng_engine::reading::{Column, Reading, Unknown};
use ng_engine::rule::MetricsSource;
use ng_engine::time::Time;
use ng_hook::log::Value as Field;
use ng_hook::{Report, Run};
use ng_metrics::{Fetched, INODE_METRIC, Wanted, inodes_promql};
use ng_monitor::{Facts, Foretold, Memory, Metric, NodeEvent, Plan, Settings};
use ng_round::ports::{ApiCluster, Cluster, Source, Sources, Times};
use ng_round::{report, settings};
use ng_state::{Incident, Store, Transaction};

use crate::backfill::{Backfill, Lacks, Step};
use crate::gather::{Due, Gathered, interest};
use crate::{leases, past, told};

/// The note that says when the last check was.
const CHECKED: &str = "node-monitor/checked";

/// The note of attempts to fill a young history.
const BACKFILL: &str = "node-monitor/backfill";

/// A tick comes a little early or late; a check is not put off to the next one for that.
const TICK_SLACK: Duration = Duration::from_secs(2);

/// The part of a run that readings may take.
const READINGS_LIMIT: Duration = Duration::from_secs(12);

/// The part of a run that leases may take.
const LEASES_LIMIT: Duration = Duration::from_secs(4);

/// What filling the history may take at the end of a run; events of nodes wait for it.
const BACKFILL_LIMIT: Duration = Duration::from_secs(12);

/// Up to so many missing nodes are asked for one by one.
const ASKED_SINGLY: usize = 20;

/// What a run works with.
pub(crate) struct Desk<'a> {
    run: &'a Run,
    config: &'a Config,
    settings: Settings,
    now: Time,
    cluster: &'a dyn Cluster,
}

/// One run. An error means that nothing was done and that trying again can help.
pub(crate) fn visit(run: &Run) -> anyhow::Result<Report> {
    let loaded = settings::load(&run.env);
    report::apply_log_settings(&run.log, &loaded.config.log);
    if let Some(level) = loaded.config.node_monitor.log_level
        && let Ok(level) = level.as_str().parse()
    {
        run.log.set_level(level);
    }
    report::configuration(&run.log, &loaded);
    if !loaded.config.node_monitor.enabled {
        return Ok(told::nothing());
    }
    let cluster = ApiCluster::new(&run.env);
    let desk = Desk {
        run,
        config: &loaded.config,
        settings: Settings::of(&loaded.config),
        now: Time::from(run.env.now()?.unwrap_or(run.now)),
        cluster: &cluster,
    };
    let state = run.env.state_dir();
    let opened = report::open_state(state, desk.now, &run.log)
        .with_context(|| format!("cannot use the state directory {}", state.display()))?;
    let mut store = opened.store;
    let mut gathered = Gathered::new(due(&store, &desk)?);
    run.read_contexts(&mut gathered)
        .context("cannot read the binding contexts")?;
    desk.carry_out(&mut store, gathered)
}

/// Whether the interval has passed since the last check. After a clock was set back it has.
fn due(store: &Store, desk: &Desk<'_>) -> anyhow::Result<Due> {
    let checked = store.note(CHECKED)?.and_then(|text| text.parse().ok());
    let Some(checked) = checked.map(Time::from_millis) else {
        return Ok(Due::Yes);
    };
    let passed = desk.now.since(checked).saturating_add(TICK_SLACK) >= desk.settings.interval;
    Ok(if passed || checked > desk.now {
        Due::Yes
    } else {
        Due::NotYet
    })
}

/// What was foretold of a metric of a node.
type Outlooks = Vec<(usize, Metric, Foretold)>;

/// What a check found out before the transaction.
struct Seen {
    nodes: Nodes,
    columns: Vec<(Metric, Column)>,
    leases: Option<Vec<Option<Time>>>,
    outlooks: Outlooks,
    lacks: Option<Lacks>,
    gone: BTreeSet<String>,
    requests: u32,
}

impl Desk<'_> {
    fn carry_out(&self, store: &mut Store, mut gathered: Gathered) -> anyhow::Result<Report> {
        let started = Instant::now();
        let seen = if gathered.is_check() {
            self.look(store, gathered.nodes.take())?
        } else {
            None
        };
        if gathered.events.is_empty() && seen.is_none() {
            return Ok(Report::default());
        }
        let glances = store.glances()?;
        let ledgers = store.peek(&glances, &[])?.history().ledgers.clone();
        let backfill = self.backfill(store, seen.as_ref())?;
        let mut transaction = store.begin()?;
        let before = self.remembered(&transaction)?;
        let given = (gathered.events.as_slice(), seen.as_ref());
        let (plan, memory) = self.decide(given, &ledgers, before.clone());
        if seen.is_some() {
            let text = self.now.millis().to_string();
            transaction.set_note(CHECKED, Some(&text))?;
        }
        match backfill {
            Step::Wait => {}
            Step::Forget => transaction.set_note(BACKFILL, None)?,
            Step::Try(attempt) => transaction.set_note(BACKFILL, Some(&attempt.note()))?,
        }
        save(&mut transaction, &plan, (&before, &memory), self)?;
        transaction.commit()?;
        told::plan(&self.run.log, &plan);
        let mut report = Report::default();
        if let Some(seen) = &seen {
            let scene = told::Scene {
                now: self.now,
                nodes: &seen.nodes,
                columns: &seen.columns,
                requests: seen.requests,
                per_node: self.config.node_monitor.per_node_metrics,
                seconds: started.elapsed().as_secs_f64(),
            };
            report.metrics.push(told::gauges(&memory, &scene));
            self.fill(seen, backfill);
        }
        Ok(report)
    }

    /// Whether the history is filled after this check.
    fn backfill(&self, store: &Store, seen: Option<&Seen>) -> anyhow::Result<Step> {
        let Some(lacks) = seen.and_then(|seen| seen.lacks.as_ref()) else {
            return Ok(Step::Wait);
        };
        let note = store.note(BACKFILL)?;
        Ok(Step::of(lacks, note.as_deref(), self.now))
    }

    fn fill(&self, seen: &Seen, step: Step) {
        if let (Step::Try(attempt), Some(lacks)) = (step, &seen.lacks) {
            let backfill = Backfill {
                nodes: &seen.nodes,
                sources: &self.sources(),
                state: self.run.env.state_dir(),
                now: self.now,
                deadline: self.until(BACKFILL_LIMIT),
                log: &self.run.log,
            };
            backfill.run(lacks, attempt);
        }
    }

    fn remembered(&self, transaction: &Transaction<'_>) -> anyhow::Result<Memory> {
        let rows = transaction.monitor_rows()?;
        let rows = rows.iter().map(|(key, body)| (key.as_str(), body.as_str()));
        let (memory, lost) = Memory::of_rows(rows);
        told::lost(&self.run.log, &lost);
        Ok(memory)
    }

    /// What happened first, then the check: the snapshot is newer than the events.
    fn decide(
        &self,
        (events, seen): (&[NodeEvent], Option<&Seen>),
        ledgers: &BTreeMap<String, Ledger>,
        memory: Memory,
    ) -> (Plan, Memory) {
        let (mut plan, memory) = ng_monitor::see(events, ledgers, memory, &self.settings, self.now);
        let Some(seen) = seen else {
            return (plan, memory);
        };
        let columns = seen.columns.iter();
        let columns: Vec<(Metric, &Column)> =
            columns.map(|(metric, column)| (*metric, column)).collect();
        let facts = Facts {
            now: self.now,
            nodes: &seen.nodes,
            columns: &columns,
            leases: seen.leases.as_deref(),
            outlooks: &seen.outlooks,
            gone: &seen.gone,
            ledgers,
        };
        let (checked, memory) = ng_monitor::check(&facts, memory, &self.settings);
        plan.alerts.extend(checked.alerts);
        plan.changes.extend(checked.changes);
        plan.notes.extend(checked.notes);
        (plan, memory)
    }

    /// Everything a check needs. `None`: there is nothing to check.
    fn look(&self, store: &Store, nodes: Option<Nodes>) -> anyhow::Result<Option<Seen>> {
        let nodes = match nodes {
            Some(nodes) => nodes,
            None => self.list_nodes()?,
        };
        if nodes.is_empty() {
            self.run.log.warn("there are no nodes to check", &[]);
            return Ok(None);
        }
        let fetched = self.readings(&nodes);
        let mut columns: Vec<(Metric, Column)> =
            Metric::ALL.into_iter().zip(fetched.columns).collect();
        for (metric, column) in &mut columns {
            drop_impossible(*metric, column);
        }
        let gone = self.gone(store, &nodes)?;
        let (outlooks, lacks) = self.remember(&nodes, &columns);
        Ok(Some(Seen {
            leases: self.leases(&nodes),
            outlooks,
            lacks,
            columns,
            gone,
            requests: fetched.requests,
            nodes,
        }))
    }

    fn list_nodes(&self) -> anyhow::Result<Nodes> {
        let mut nodes = Nodes::new(&interest());
        if self.cluster.is_configured() {
            let objects = self
                .cluster
                .nodes(self.run.deadline)
                .map_err(anyhow::Error::msg)
                .context("the contexts hold no snapshot of nodes, and they cannot be listed")?;
            ng_nodes::read_objects(&objects, &mut nodes);
        }
        Ok(nodes)
    }

    /// Inodes are asked for by a query of ours, unless one is configured under that name.
    fn sources(&self) -> ng_metrics::Settings {
        let mut sources = settings::sources(self.config);
        let inodes = sources.custom.entry(INODE_METRIC.to_owned());
        inodes.or_insert_with(inodes_promql);
        sources
    }

    /// One column a metric.
    fn readings(&self, nodes: &Nodes) -> Fetched {
        let wanted = Metric::ALL.map(|metric| Wanted {
            metric: metric.name().to_owned(),
            source: MetricsSource::default(),
        });
        let sources = self.sources();
        let times = Times {
            now: self.now,
            deadline: self.until(READINGS_LIMIT),
            cluster: self.cluster,
        };
        let fetched = Sources.fetch(&wanted, nodes, &sources, &times);
        for problem in &fetched.problems {
            let fields = [("problem", Field::Shown(problem))];
            self.run.log.warn("readings", &fields);
        }
        fetched
    }

    fn leases(&self, nodes: &Nodes) -> Option<Vec<Option<Time>>> {
        if !self.cluster.is_configured() {
            return None;
        }
        let fetched = leases::fetch(self.cluster, nodes, self.until(LEASES_LIMIT));
        fetched
            .inspect_err(|error| {
                let fields = [("problem", Field::Text(error))];
                self.run
                    .log
                    .warn("the leases of kubelets are not known", &fields);
            })
            .ok()
    }

    /// Keeps the readings and makes forecasts of them; says what is lacking for these. Without a history there is
    /// neither.
    fn remember(&self, nodes: &Nodes, columns: &[(Metric, Column)]) -> (Outlooks, Option<Lacks>) {
        let log = &self.run.log;
        let Some(mut history) = past::open(self.run.env.state_dir(), self.now, log) else {
            return (Vec::new(), None);
        };
        let check = past::Check {
            now: self.now,
            interval: self.settings.interval,
            nodes,
            columns,
        };
        let retention = past::retention(&self.config.node_monitor.history);
        past::record(&mut history, &check, &retention, log);
        let Some(horizon) = self.settings.predict else {
            return (Vec::new(), None);
        };
        let outlooks = past::outlooks(&history, &check, horizon, log);
        let lacks = Some(&self.config.node_monitor)
            .filter(|monitor| monitor.backfill)
            .and_then(|_| {
                Lacks::of(&history, &check)
                    .inspect_err(|error| past::trouble(log, error))
                    .ok()
            });
        (outlooks, lacks)
    }

    fn until(&self, limit: Duration) -> Instant {
        (Instant::now() + limit).min(self.run.deadline)
    }

    /// The nodes of the last check that were deleted. shell-operator's cache can lose a node that exists, so the API
    /// server is asked where it can be; what it does not answer is left for the next check.
    fn gone(&self, store: &Store, nodes: &Nodes) -> anyhow::Result<BTreeSet<String>> {
        let rows = store.monitor_rows()?;
        let (memory, _) =
            Memory::of_rows(rows.iter().map(|(key, body)| (key.as_str(), body.as_str())));
        let missing = ng_monitor::missing(&memory, nodes);
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        if missing.is_empty() || !self.cluster.is_configured() {
            return Ok(owned(missing));
        }
        let found = if missing.len() <= ASKED_SINGLY {
            self.ask_for(&missing)
        } else {
            self.cluster.nodes(self.run.deadline).map(|objects| {
                let names = objects.into_iter().filter_map(|node| node.metadata.name);
                let present: BTreeSet<String> = names.collect();
                let gone = missing.iter().filter(|name| !present.contains(**name));
                owned(gone.copied().collect())
            })
        };
        Ok(found.unwrap_or_else(|error| {
            let fields = [("problem", Field::Text(&error))];
            self.run
                .log
                .warn("cannot ask which nodes were deleted", &fields);
            BTreeSet::new()
        }))
    }

    fn ask_for(&self, names: &[&str]) -> Result<BTreeSet<String>, String> {
        let mut gone = BTreeSet::new();
        for name in names {
            if self.cluster.node(name, self.run.deadline)?.is_none() {
                gone.insert((*name).to_owned());
            }
        }
        Ok(gone)
    }
}

fn drop_impossible(metric: Metric, column: &mut Column) {
    for node in 0..column.len() {
        if let Reading::Value { value, .. } = column.get(node)
            && !past::is_possible(metric, value)
        {
            column.set(node, Reading::Unknown(Unknown::NotFinite));
        }
    }
}

/// Memory, incidents and alerts in one transaction.
fn save(
    transaction: &mut Transaction<'_>,
    plan: &Plan,
    (before, after): (&Memory, &Memory),
    desk: &Desk<'_>,
) -> anyhow::Result<()> {
    let rows = after.changed_rows(before);
    let rows = rows
        .iter()
        .map(|(key, body)| (key.as_str(), body.as_deref()));
    transaction.set_monitor_rows(rows)?;
    transaction.record_incidents(&incidents(plan, desk.now))?;
    let kept = desk.config.node_monitor.history.hours;
    if plan
        .changes
        .iter()
        .any(|change| change.what == ng_monitor::Changed::Ended)
    {
        transaction.forget_incidents(desk.now.minus(kept))?;
    }
    for alert in &plan.alerts {
        let labels = [("rule", alert.rule.as_str())];
        transaction.count("nodeguardian_alerts_queued_total", &labels, 1)?;
    }
    transaction.queue(&plan.alerts, desk.now)?;
    Ok(())
}

/// What changed, as incidents: the last change of each counts, with the worst level.
fn incidents(plan: &Plan, now: Time) -> Vec<Incident> {
    let mut incidents: BTreeMap<(String, &str, Time), Incident> = BTreeMap::new();
    for change in &plan.changes {
        if change.what == ng_monitor::Changed::Fell {
            continue;
        }
        let subject = change.subject.name();
        let key = (subject.clone(), change.kind.word(), change.since);
        let ended = (change.what == ng_monitor::Changed::Ended).then_some(now);
        let incident = Incident {
            subject,
            kind: change.kind.word().to_owned(),
            level: change.level.word().to_owned(),
            began: change.since,
            ended,
        };
        incidents.insert(key, incident);
    }
    incidents.into_values().collect()
}
