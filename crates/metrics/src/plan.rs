//! The least number of questions for all wanted columns.

use crate::catalogue::{Builtin, promql};
use crate::client::Server;
use crate::endpoint::Endpoint;
use crate::fetch::Wanted;
use crate::problem::{Problem, Trouble};
use crate::settings::{MetricsServer, Settings};

/// Servers and queries, each once.
pub(crate) struct Plan {
    pub(crate) servers: Vec<Server>,
    pub(crate) queries: Vec<Query>,
    /// One a wanted column, in order.
    pub(crate) wants: Vec<Want>,
    /// The address of metrics.k8s.io, if it has one of its own.
    pub(crate) metrics_server: Option<Server>,
}

/// One query to one Prometheus.
pub(crate) struct Query {
    /// Position in [`Plan::servers`].
    pub(crate) server: usize,
    pub(crate) metric: String,
    pub(crate) expression: String,
}

/// Where one wanted column comes from.
pub(crate) struct Want {
    pub(crate) metric: String,
    /// Whether the metric is built in or configured.
    pub(crate) is_known: bool,
    /// Position in [`Plan::queries`].
    pub(crate) query: Option<usize>,
    /// The metric by its name in metrics.k8s.io.
    pub(crate) usage: Option<Builtin>,
    /// Whether metrics.k8s.io is asked first.
    pub(crate) prefers_usage: bool,
}

impl Plan {
    pub(crate) fn new(wanted: &[Wanted], settings: &Settings, problems: &mut Vec<Problem>) -> Self {
        let mut plan = Self {
            servers: Vec::new(),
            queries: Vec::new(),
            wants: Vec::with_capacity(wanted.len()),
            metrics_server: None,
        };
        let configured = plan.server(settings.prometheus_url.as_deref(), settings, problems);
        if let MetricsServer::Url(url) = &settings.metrics_server {
            plan.metrics_server = Endpoint::parse(url)
                .map(Server::new)
                .map_err(|text| {
                    let text = format!("the address of metrics.k8s.io cannot be used: {text}");
                    report(problems, "", text);
                })
                .ok();
        }
        for wanted in wanted {
            let server = match wanted.source.prometheus_url.as_deref() {
                None | Some("") => configured,
                Some(url) => plan.server(Some(url), settings, problems),
            };
            let want = plan.want(wanted, server, settings);
            if !want.is_known {
                let text = "neither built in nor in the configuration's `metrics`";
                report(problems, &wanted.metric, text.to_owned());
            }
            plan.wants.push(want);
        }
        plan
    }

    fn want(&mut self, wanted: &Wanted, server: Option<usize>, settings: &Settings) -> Want {
        let builtin = Builtin::parse(&wanted.metric);
        let own = settings.custom.get(&wanted.metric).cloned();
        let expression = own.or_else(|| builtin.map(promql));
        let usage = builtin.filter(|metric| metric.in_metrics_server());
        Want {
            metric: wanted.metric.clone(),
            is_known: expression.is_some(),
            query: expression
                .zip(server)
                .map(|(expression, server)| self.query(&wanted.metric, expression, server)),
            usage,
            prefers_usage: usage.is_some() && wanted.source.prefer_metrics_server,
        }
    }

    fn query(&mut self, metric: &str, expression: String, server: usize) -> usize {
        let known = self
            .queries
            .iter()
            .position(|query| query.server == server && query.metric == metric);
        known.unwrap_or_else(|| {
            self.queries.push(Query {
                server,
                metric: metric.to_owned(),
                expression,
            });
            self.queries.len() - 1
        })
    }

    /// The server at `url`. The first one asked for is the configured one, and the only one to get the token.
    fn server(
        &mut self,
        url: Option<&str>,
        settings: &Settings,
        problems: &mut Vec<Problem>,
    ) -> Option<usize> {
        let url = url.filter(|url| !url.trim().is_empty())?;
        let is_configured = settings.prometheus_url.as_deref() == Some(url);
        let endpoint = match Endpoint::parse(url) {
            Ok(endpoint) if is_configured => endpoint.with_token(settings.bearer_token.as_deref()),
            Ok(endpoint) => endpoint,
            Err(text) => {
                let text = format!("the address of Prometheus cannot be used: {text}");
                report(problems, "", text);
                return None;
            }
        };
        let known = self
            .servers
            .iter()
            .position(|server| server.endpoint == endpoint);
        Some(known.unwrap_or_else(|| {
            self.servers.push(Server::new(endpoint));
            self.servers.len() - 1
        }))
    }
}

/// Says once that there is nobody to ask.
fn report(problems: &mut Vec<Problem>, metric: &str, text: String) {
    let problem = Problem {
        trouble: Trouble::NoSource,
        metric: metric.to_owned(),
        source: String::new(),
        text,
    };
    if !problems.contains(&problem) {
        problems.push(problem);
    }
}
