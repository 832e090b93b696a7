//! Which source is asked for what, and how the answers are put together.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ng_engine::node::Nodes;
use ng_engine::reading::{Column, Reading, Unknown};
use ng_engine::rule::MetricsSource;
use ng_engine::time::{Time, millis};

use crate::answer::Refusal;
use crate::catalogue::Builtin;
use crate::client::{Client, Question, Reply, Server};
use crate::mapping::Index;
use crate::plan::{Plan, Query};
use crate::problem::{Problem, Trouble, shorten};
use crate::prometheus::{self, Answer, Freshness, Reader};
use crate::settings::{ApiServer, MetricsServer, Settings};
use crate::usage::{self, Usage};

/// Where metrics.k8s.io lies in an API server.
const METRICS_API: &str = "/apis/metrics.k8s.io/v1beta1";

/// One column to fetch. Has no `Debug`, since a rule's address may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted {
    /// A built-in metric or an own one, by name.
    pub metric: String,
    /// Where it comes from.
    pub source: MetricsSource,
}

/// What was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// One column a [`Wanted`], in order.
    pub columns: Vec<Column>,
    /// What went wrong, once a metric and source.
    pub problems: Vec<Problem>,
    /// Number of requests that were sent, retries included.
    pub requests: u32,
}

/// When a run takes place.
#[derive(Clone, Copy, Debug)]
pub struct When {
    /// The time of the run, which may be a simulated one.
    pub now: Time,
    /// Nothing lasts longer; what has not been answered by then is unknown.
    pub deadline: Instant,
}

/// A parsed answer, or what is wrong with it.
type Outcome = Result<Answer, (Trouble, String)>;

/// Fetches every wanted column; `api` is the API server in use, if it may be asked.
pub fn fetch(
    wanted: &[Wanted],
    nodes: &Nodes,
    settings: &Settings,
    api: Option<&dyn ApiServer>,
    when: When,
) -> Fetched {
    let mut run = Run {
        nodes,
        settings,
        api,
        when,
        index: Index::new(nodes),
        client: Client::new(settings),
        api_requests: 0,
        problems: Vec::new(),
        usage: None,
    };
    let plan = Plan::new(wanted, settings, &mut run.problems);
    let columns = if nodes.is_empty() {
        vec![Column::unknown(0, Unknown::NoSample); wanted.len()]
    } else {
        run.columns(&plan)
    };
    Fetched {
        columns,
        requests: run.client.requests() + run.api_requests,
        problems: run.problems,
    }
}

/// One call of [`fetch`].
struct Run<'run> {
    nodes: &'run Nodes,
    settings: &'run Settings,
    api: Option<&'run dyn ApiServer>,
    when: When,
    index: Index<'run>,
    client: Client,
    api_requests: u32,
    problems: Vec<Problem>,
    /// The answer of metrics.k8s.io, once it was asked; nothing in it if that failed.
    usage: Option<Result<Usage, Unknown>>,
}

impl Run<'_> {
    fn columns(&mut self, plan: &Plan) -> Vec<Column> {
        let mut columns =
            vec![Column::unknown(self.nodes.len(), Unknown::NoSource); plan.wants.len()];
        let prefers: Vec<bool> = plan.wants.iter().map(|want| want.prefers_usage).collect();
        self.fill_from_usage(plan, &mut columns, &prefers);
        let asked: Vec<usize> = (0..plan.queries.len())
            .filter(|query| {
                let mut wants = plan.wants.iter().zip(&columns);
                wants.any(|(want, column)| want.query == Some(*query) && !is_complete(column))
            })
            .collect();
        let mut answers: Vec<Option<Column>> = vec![None; plan.queries.len()];
        for (query, answer) in self.ask_all(plan, &asked) {
            answers[query] = Some(self.column(plan, &plan.queries[query], answer));
        }
        for (want, column) in plan.wants.iter().zip(&mut columns) {
            if let Some(answer) = want.query.and_then(|query| answers[query].as_ref()) {
                fill(column, answer);
            }
        }
        let lacks: Vec<bool> = plan.wants.iter().map(|want| !want.prefers_usage).collect();
        self.fill_from_usage(plan, &mut columns, &lacks);
        self.report_no_source(plan, &columns);
        columns
    }

    /// Completes columns of CPU and memory from metrics.k8s.io, which is asked once, and only if one is incomplete.
    fn fill_from_usage(&mut self, plan: &Plan, columns: &mut [Column], selected: &[bool]) {
        for ((want, column), selected) in plan.wants.iter().zip(columns).zip(selected) {
            let Some(metric) = want.usage.filter(|_| *selected && !is_complete(column)) else {
                continue;
            };
            if self.usage.is_none() {
                self.usage = self.ask_usage(plan);
            }
            match &self.usage {
                Some(Ok(usage)) if metric == Builtin::Cpu => fill(column, &usage.cpu),
                Some(Ok(usage)) => fill(column, &usage.memory),
                Some(Err(reason)) => fill(column, &Column::unknown(column.len(), *reason)),
                None => {}
            }
        }
    }

    /// Whether there is a metrics.k8s.io to ask.
    fn knows_usage(&self, plan: &Plan) -> bool {
        match self.settings.metrics_server {
            MetricsServer::None => false,
            MetricsServer::Url(_) => plan.metrics_server.is_some(),
            MetricsServer::ThroughApiServer => self.api.is_some(),
        }
    }

    /// `None` if there is no metrics.k8s.io to ask.
    fn ask_usage(&mut self, plan: &Plan) -> Option<Result<Usage, Unknown>> {
        // Prometheus may have to be asked afterwards.
        let deadline = if plan
            .wants
            .iter()
            .any(|want| want.prefers_usage && want.query.is_some())
        {
            share(self.when.deadline)
        } else {
            self.when.deadline
        };
        let (source, body) = match &self.settings.metrics_server {
            MetricsServer::None => return None,
            MetricsServer::Url(_) => self.usage_at(plan.metrics_server.as_ref()?, deadline),
            MetricsServer::ThroughApiServer => {
                let api = self.api?;
                self.api_requests += 1;
                let body = api
                    .get(&format!("{METRICS_API}/nodes"), deadline)
                    .map_err(|text| (Trouble::Unreachable, shorten(&text)));
                ("metrics.k8s.io".to_owned(), body)
            }
        };
        let oldest = self.when.now.minus(self.settings.stale_after);
        let usage = body.and_then(|body| {
            usage::parse(&body, &self.index, self.nodes, oldest)
                .map_err(|text| (Trouble::BadAnswer, text))
        });
        Some(match usage {
            Ok(usage) => {
                if usage.unusable.count > 0 {
                    let text = format!(
                        "too old, or no capacity to compare with: {}",
                        usage.unusable
                    );
                    self.report(Trouble::Unusable, "", &source, text);
                }
                Ok(usage)
            }
            Err((trouble, text)) => {
                self.report(trouble, "", &source, text);
                Err(trouble.reason().unwrap_or(Unknown::BadAnswer))
            }
        })
    }

    fn usage_at(
        &self,
        server: &Server,
        deadline: Instant,
    ) -> (String, Result<Vec<u8>, (Trouble, String)>) {
        let mut body = Vec::new();
        let result = match self.client.get(server, "/nodes", &mut body, deadline) {
            Ok(reply) if reply.status == 200 => Ok(body),
            Ok(reply) => Err(refused(reply.status, &body)),
            Err(failure) => Err((failure.trouble, failure.text)),
        };
        (server.endpoint.base().to_owned(), result)
    }

    /// Sends the queries; leaves metrics.k8s.io its time if that may be asked afterwards.
    fn ask_all(&self, plan: &Plan, asked: &[usize]) -> Vec<(usize, Outcome)> {
        let can_fall_back = self.usage.is_none()
            && self.knows_usage(plan)
            && plan.wants.iter().any(|want| want.usage.is_some());
        let deadline = if can_fall_back {
            share(self.when.deadline)
        } else {
            self.when.deadline
        };
        let ask = Ask {
            client: &self.client,
            index: &self.index,
            nodes: self.nodes,
            settings: self.settings,
            when: When {
                now: self.when.now,
                deadline,
            },
        };
        ask.all(plan, asked)
    }

    /// The column of an answer; what is wrong with it is reported.
    fn column(&mut self, plan: &Plan, query: &Query, answer: Outcome) -> Column {
        let source = plan.servers[query.server].endpoint.base();
        let metric = &query.metric;
        let answer = match answer {
            Ok(answer) => answer,
            Err((trouble, text)) => {
                self.report(trouble, metric, source, text);
                let reason = trouble.reason().unwrap_or(Unknown::BadAnswer);
                return Column::unknown(self.nodes.len(), reason);
            }
        };
        for (trouble, tally, what) in [
            (
                Trouble::Unresolved,
                &answer.unresolved,
                "series of no known node",
            ),
            (
                Trouble::Ambiguous,
                &answer.ambiguous,
                "series that fit several nodes",
            ),
        ] {
            if tally.count > 0 {
                self.report(
                    trouble,
                    metric,
                    source,
                    format!("{} {what}: {tally}", tally.count),
                );
            }
        }
        if answer.stale > 0 {
            let text = format!("readings of {} nodes are too old", answer.stale);
            self.report(Trouble::Unusable, metric, source, text);
        }
        for text in answer.warnings {
            self.report(Trouble::Warning, metric, source, text);
        }
        answer.column
    }

    /// Names each metric that nobody could be asked for.
    fn report_no_source(&mut self, plan: &Plan, columns: &[Column]) {
        for (want, column) in plan.wants.iter().zip(columns) {
            if want.is_known
                && column.get(0) == Reading::Unknown(Unknown::NoSource)
                && want.query.is_none()
            {
                let text = if want.usage.is_some() {
                    "neither Prometheus nor metrics.k8s.io is configured"
                } else {
                    "no Prometheus is configured"
                };
                self.report(Trouble::NoSource, &want.metric, "", text.to_owned());
            }
        }
    }

    fn report(&mut self, trouble: Trouble, metric: &str, source: &str, text: String) {
        let problem = Problem {
            trouble,
            metric: metric.to_owned(),
            source: source.to_owned(),
            text,
        };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// What one query needs, shared by the threads.
struct Ask<'run, 'nodes> {
    client: &'run Client,
    index: &'run Index<'nodes>,
    nodes: &'nodes Nodes,
    settings: &'run Settings,
    when: When,
}

impl Ask<'_, '_> {
    /// Sends the queries on a few threads; the caller's is one of them.
    fn all(&self, plan: &Plan, asked: &[usize]) -> Vec<(usize, Outcome)> {
        let next = AtomicUsize::new(0);
        let answers = Mutex::new(Vec::with_capacity(asked.len()));
        let work = || {
            let mut body = Vec::new();
            while let Some(number) = asked.get(next.fetch_add(1, Ordering::Relaxed)) {
                let query = &plan.queries[*number];
                let server = &plan.servers[query.server];
                let answer = self.one(server, &query.expression, &mut body);
                if let Ok(mut answers) = answers.lock() {
                    answers.push((*number, answer));
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.settings.max_concurrent.min(asked.len()) {
                let started = std::thread::Builder::new().spawn_scoped(scope, work);
                if started.is_err() {
                    // The threads there are do its work.
                    break;
                }
            }
            work();
        });
        let mut answers = answers.into_inner().unwrap_or_default();
        answers.sort_by_key(|(number, _)| *number);
        answers
    }
    fn one(&self, server: &Server, expression: &str, body: &mut Vec<u8>) -> Outcome {
        let reply = self
            .client
            .ask(
                server,
                &Question::instant(expression),
                body,
                self.when.deadline,
            )
            .map_err(|failure| (failure.trouble, failure.text))?;
        let reader = Reader {
            index: self.index,
            nodes: self.nodes,
            max_samples: self.settings.max_samples,
            freshness: Freshness {
                now: self.when.now,
                server: reply.date,
                oldest_ms: millis(self.settings.stale_after),
            },
        };
        outcome(&reply, body, prometheus::parse(body, &reader))
    }
}

/// What was parsed, if the answer as a whole says that it is one to the question.
pub(crate) fn outcome<T>(
    reply: &Reply,
    body: &[u8],
    parsed: Result<T, Refusal>,
) -> Result<T, (Trouble, String)> {
    match parsed {
        Ok(answer) if reply.status == 200 => Ok(answer),
        Err(Refusal::Server { kind, text }) => {
            let text = format!("HTTP {}, {kind}: {text}", reply.status);
            Err((Trouble::BadAnswer, text))
        }
        Err(Refusal::Malformed(text)) if reply.status == 200 => Err((Trouble::BadAnswer, text)),
        Ok(_) | Err(Refusal::Malformed(_)) => Err(refused(reply.status, body)),
    }
}

/// An answer that is not one of the server asked for: a gateway says that the server behind it is down, or someone
/// refuses.
fn refused(status: u16, body: &[u8]) -> (Trouble, String) {
    let trouble = if matches!(status, 502..=504) {
        Trouble::Unreachable
    } else {
        Trouble::BadAnswer
    };
    let start = &body[..body.len().min(500)];
    let text = format!("HTTP {status}: {}", String::from_utf8_lossy(start));
    (trouble, shorten(&text))
}

/// Where a first source must have answered, so that a second one still can: after two thirds of the time.
fn share(deadline: Instant) -> Instant {
    let now = Instant::now();
    let left: Duration = deadline.saturating_duration_since(now);
    now + left / 3 * 2
}

fn is_complete(column: &Column) -> bool {
    column.values().iter().all(|value| !value.is_nan())
}

/// Puts readings where there are none. A reason stays, except for that of a source which does not exist.
fn fill(column: &mut Column, from: &Column) {
    for node in 0..column.len() {
        let Reading::Unknown(reason) = column.get(node) else {
            continue;
        };
        let found = from.get(node);
        if reason == Unknown::NoSource || matches!(found, Reading::Value { .. }) {
            column.set(node, found);
        }
    }
}
