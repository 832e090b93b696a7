//! Alerts of one rule into one message: facts, and words from a template or the built-in ones.
//!
//! ```text
//! alerts ──facts──▶ nodes, fingerprints ──data──▶ template ──words──▶ title, summary, body, html
//!                                                   └─ missing or broken ──builtin──▶ the same
//! ```
//!
//! Whatever a template does, there is a message: what is wrong with it comes back as [`Problem`]s, for the log and
//! the template's status. Nothing here reads the clock, the network or a file.
//!
//! - `facts`: the nodes of a group, fingerprints; `digest`: what those are; `data`: facts for templates
//! - `words`: a template's texts
//! - `builtin`: texts in English and Chinese; `html`: bodies written in HTML
//! - [`sample`]: an alert to try templates with

mod builtin;
mod data;
mod digest;
mod facts;
mod html;
pub mod sample;
mod words;

use std::collections::BTreeMap;

use ng_config::Language;
use ng_engine::parcel::{Packed, Parcel};
use ng_engine::plan::Alert;
use ng_engine::spec::TemplateSpec;
use ng_engine::time::Time;

use crate::message::{Message, TopPod};

pub use data::FIELDS;
pub use facts::{group_fingerprint, node_fingerprint};

use facts::Facts;
use words::{Reading, Words};

/// The words an alert asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TemplateChoice<'a> {
    /// The built-in ones: the alert names no template.
    BuiltIn,
    /// Those of a template that does not exist.
    Missing {
        /// Its name.
        name: &'a str,
    },
    /// Those of a template that cannot be read.
    Unreadable {
        /// Its name.
        name: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// Those of this template.
    Found {
        /// Its name.
        name: &'a str,
        /// What it says.
        spec: &'a TemplateSpec,
    },
}

/// What a message is made of besides the alerts and the template.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The cluster's name, where one is configured.
    pub cluster: Option<&'a str>,
    /// When the message is made.
    pub now: Time,
    /// The language of built-in texts.
    pub language: Language,
    /// The largest pods by node, largest memory first; empty unless [`wants_top_pods`].
    pub top_pods: &'a BTreeMap<String, Vec<TopPod>>,
}

/// A message, and what was wrong with its template.
#[derive(Clone, Debug, PartialEq)]
pub struct Composed {
    /// What is told.
    pub message: Message,
    /// What was wrong, in the order of the texts.
    pub problems: Vec<Problem>,
}

/// Something wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the template.
    pub template: String,
    /// How bad it is.
    pub kind: ProblemKind,
    /// What is wrong, without the name.
    pub text: String,
}

/// How bad a problem of a template is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// The template is used, and prints less than its author may think.
    Doubtful,
    /// There is no such template: the built-in words are used.
    Missing,
    /// The template cannot be used: the built-in words are.
    Broken,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "template {}: {}", self.template, self.text)
    }
}

/// One message for alerts of one rule and one kind, in order. Of several alerts of one node the newest counts.
pub fn compose(alerts: &[Alert], template: TemplateChoice<'_>, context: &Context<'_>) -> Composed {
    compose_parcels(&Packed::of(alerts).parcels, template, context)
}

/// As [`compose`], of alerts as the outbox keeps them.
pub fn compose_parcels(
    parcels: &[Parcel],
    template: TemplateChoice<'_>,
    context: &Context<'_>,
) -> Composed {
    let mut facts = Facts::of(parcels, context.cluster, context.top_pods);
    let mut problems = Problems::of(template);
    let rule_severity = facts.severity;
    let words = words_of(template, &mut facts, context.language, &mut problems);
    Composed {
        message: Message {
            rule_severity,
            ..message(facts, words)
        },
        problems: problems.found,
    }
}

/// Words and facts together.
fn message(facts: Facts<'_>, words: Words) -> Message {
    Message {
        kind: facts.kind,
        severity: facts.severity,
        rule_severity: facts.severity,
        rule: facts.rule.to_owned(),
        rule_description: facts.rule_description.to_owned(),
        cluster: facts.cluster.map(str::to_owned),
        title: words.title,
        summary: words.summary,
        body: words.body,
        html: words.html,
        total: facts.nodes.len(),
        nodes: facts.nodes,
        at: facts.at,
        since: facts.since,
        dry_run: facts.dry_run,
        test: false,
        id: facts.id,
        fingerprint: facts.fingerprint,
        group: facts.group,
    }
}

/// The template's words; the built-in ones where it has none, and in full where it cannot be used.
fn words_of(
    template: TemplateChoice<'_>,
    facts: &mut Facts<'_>,
    language: Language,
    problems: &mut Problems<'_>,
) -> Words {
    let spec = match template {
        TemplateChoice::BuiltIn => return builtin::words(facts, language),
        TemplateChoice::Missing { .. } => {
            let text = "there is no such template, the built-in texts are used";
            problems.add(ProblemKind::Missing, text);
            return builtin::words(facts, language);
        }
        TemplateChoice::Unreadable { reason, .. } => {
            problems.add(ProblemKind::Broken, reason);
            return builtin::words(facts, language);
        }
        TemplateChoice::Found { spec, .. } => spec,
    };
    let mut data = data::of(facts, &spec.variables, language);
    match words::severity(spec, &data) {
        Ok(severity) => facts.severity = severity.unwrap_or(facts.severity),
        Err(doubt) => problems.add(ProblemKind::Doubtful, doubt),
    }
    data["severity"] = facts.severity.word().into();
    let mut words = builtin::words(facts, language);
    let rendered = match words::render(spec, &data, Reading::Lenient) {
        Ok(rendered) => rendered,
        Err(mistakes) => {
            problems.extend(ProblemKind::Broken, mistakes);
            return words;
        }
    };
    problems.extend(ProblemKind::Doubtful, rendered.doubts);
    let Words {
        title,
        summary,
        body,
        html,
    } = rendered.words;
    if !title.is_empty() {
        words.title = title;
        // The heading of the template says it better than a text that knows nothing of it.
        words.summary.clone_from(&words.title);
    }
    if !summary.is_empty() {
        words.summary = summary;
    }
    if !body.is_empty() {
        words.body = body;
        words.html = html;
    }
    words
}

/// Whether the template shows the largest pods of the nodes, so that they are worth a request.
pub fn wants_top_pods(template: TemplateChoice<'_>) -> bool {
    match template {
        TemplateChoice::Found { spec, .. } => words::reads_top_pods(spec),
        TemplateChoice::BuiltIn
        | TemplateChoice::Missing { .. }
        | TemplateChoice::Unreadable { .. } => false,
    }
}

/// Everything that is wrong with a template, found with sample data: for its status, and before it is used.
/// `own_metrics` are the names of configured metrics besides the built-in ones.
pub fn check<'a>(
    name: &str,
    spec: &TemplateSpec,
    own_metrics: impl IntoIterator<Item = &'a str>,
) -> Vec<Problem> {
    let mut problems = Problems {
        template: name,
        found: Vec::new(),
    };
    let mut alert = sample::alert();
    for metric in own_metrics {
        alert.metrics.insert(metric.to_owned(), 1.0);
    }
    let alerts = [alert];
    let pods = sample::top_pods(&alerts);
    let parcels = Packed::of(&alerts).parcels;
    let facts = Facts::of(&parcels, Some(sample::CLUSTER), &pods);
    let data = data::of(&facts, &spec.variables, Language::English);
    if let Err(doubt) = words::severity(spec, &data) {
        problems.add(ProblemKind::Doubtful, doubt);
    }
    match words::render(spec, &data, Reading::Strict) {
        Ok(rendered) => problems.extend(ProblemKind::Doubtful, rendered.doubts),
        Err(mistakes) => problems.extend(ProblemKind::Broken, mistakes),
    }
    problems.found
}

/// Problems of one template.
struct Problems<'a> {
    template: &'a str,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    fn of(template: TemplateChoice<'a>) -> Self {
        let template = match template {
            TemplateChoice::BuiltIn => "",
            TemplateChoice::Missing { name }
            | TemplateChoice::Unreadable { name, .. }
            | TemplateChoice::Found { name, .. } => name,
        };
        Self {
            template,
            found: Vec::new(),
        }
    }

    fn add(&mut self, kind: ProblemKind, text: impl Into<String>) {
        self.found.push(Problem {
            template: self.template.to_owned(),
            kind,
            text: text.into(),
        });
    }

    fn extend(&mut self, kind: ProblemKind, texts: Vec<String>) {
        for text in texts {
            self.add(kind, text);
        }
    }
}
