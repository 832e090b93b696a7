//! Alerts of one rule into one message: facts, and words from a template or the built-in ones.
//!
//! ```text
//! alerts ──facts──▶ nodes, fingerprints ──data──▶ template ──words──▶ title, summary, body, html
//!                                                   └─ missing or broken ──builtin──▶ the same
//! ```
//!
//! Whatever a template does, there is a message: what is wrong with it comes back as [`Problem`]s, for the log and
//! the template's status. Nothing here reads the clock, the network or a file.

use std::collections::BTreeMap;

use ng_config::Language;
use ng_engine::plan::Alert;
use ng_engine::spec::TemplateSpec;
use ng_engine::time::Time;

use crate::message::{Message, TopPod};

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
    let _ = (alerts, template, context);
    unimplemented!()
}

/// Whether the template shows the largest pods of the nodes, so that they are worth a request.
pub fn wants_top_pods(template: TemplateChoice<'_>) -> bool {
    let _ = template;
    false
}

/// Everything that is wrong with a template, found with sample data: for its status, and before it is used.
pub fn check(name: &str, spec: &TemplateSpec) -> Vec<Problem> {
    let _ = (name, spec);
    Vec::new()
}
