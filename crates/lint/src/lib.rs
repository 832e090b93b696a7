//! What is wrong or doubtful in rules and templates, each alone and all together: objects and configuration in,
//! findings out.
//!
//! ```text
//! documents ──read──▶ rules, templates ──▶ conditions, marks, safety, texts ──▶ findings
//!                └── wrong types, unknown fields, everything that validation says
//! ```
//!
//! An error is what the hooks would refuse, or what can never work; a warning is what works in a way that its author
//! hardly wants. No file is read here.

mod conditions;
mod marks;
mod read;
mod safety;
mod selectors;
mod texts;

use std::collections::BTreeMap;
use std::fmt;

use ng_config::Config;
use ng_engine::rule::Rule;
use ng_engine::spec::{RuleObject, TemplateObject};
use ng_engine::validate::Defaults;

/// One object as it stands in a file.
#[derive(Clone, Debug)]
pub struct Object {
    /// Where it stands, for people: `rules.yaml`, or `rules.yaml (document 2)`.
    pub source: String,
    /// The object.
    pub value: serde_json::Value,
    /// The paths of keys that are given more than once.
    pub duplicates: Vec<String>,
}

/// What the objects are held against.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The configuration they will meet.
    pub config: &'a Config,
    /// What stands for everything a rule leaves out.
    pub defaults: &'a Defaults,
    /// How many nodes the cluster has, where that is known.
    pub nodes: Option<usize>,
}

/// Something wrong or doubtful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Which check found it.
    pub check: Check,
    /// Where the object stands.
    pub source: String,
    /// Its kind; empty where that is not known.
    pub kind: String,
    /// Its name; empty where that is not known.
    pub name: String,
    /// The field, such as `spec.conditions[0].value`; empty where all of the object is meant.
    pub path: String,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub fix: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The object is refused, or a part of it can never work.
    Error,
    /// It works, but hardly as its author wants.
    Warning,
}

impl Level {
    /// The word for reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Makes the enum of checks with their words.
macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        /// A check, by the word that stands in reports.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Check {
            $($(#[$doc])* $variant),+
        }

        impl Check {
            /// Every check.
            pub const ALL: &[Check] = &[$(Check::$variant),+];

            /// The word for reports.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Check::$variant => $word),+
                }
            }
        }
    };
}

checks! {
    /// A file or object that cannot be read at all.
    Unreadable = "unreadable",
    /// A value of the wrong type.
    WrongType = "wrong-type",
    /// A field that nobody reads.
    UnknownField = "unknown-field",
    /// What validation refuses.
    Invalid = "invalid",
    /// The same object, key, condition or mark twice.
    Duplicate = "duplicate",
    /// A channel that does not exist.
    UnknownChannel = "unknown-channel",
    /// A template that is not among the objects.
    UnknownTemplate = "unknown-template",
    /// A text that cannot be rendered, or reads what is not there.
    Template = "template",
    /// Conditions that no reading meets.
    Unreachable = "unreachable",
    /// A condition that every reading meets.
    AlwaysTrue = "always-true",
    /// A duration shorter than the time between two evaluations.
    ShortDuration = "short-duration",
    /// Recovery conditions that hold while the trigger does.
    RecoveryOverlap = "recovery-overlap",
    /// Rules that want different values of one mark on the same nodes.
    MarkConflict = "mark-conflict",
    /// A mark that no recovery action removes.
    MarkStays = "mark-stays",
    /// A recovery action for a mark that the rule does not set.
    NothingToRemove = "nothing-to-remove",
    /// A taint that makes the pods of `DaemonSets` leave, too.
    DaemonSets = "daemonsets",
    /// A safety limit that allows nothing, everything, or what another limit forbids.
    SafetyLimit = "safety-limit",
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}: ", self.level.word(), self.source)?;
        if !self.kind.is_empty() {
            write!(out, "{} {}: ", self.kind, self.name)?;
        }
        if !self.path.is_empty() {
            write!(out, "{}: ", self.path)?;
        }
        write!(out, "{}; {} [{}]", self.found, self.fix, self.check.word())
    }
}

impl Finding {
    /// That a text or object cannot be read.
    pub fn unreadable(source: &str, reason: impl fmt::Display) -> Self {
        Self {
            level: Level::Error,
            check: Check::Unreadable,
            source: source.to_owned(),
            kind: String::new(),
            name: String::new(),
            path: String::new(),
            found: format!("cannot be read: {reason}"),
            fix: "write it as a YAML or JSON object".to_owned(),
        }
    }
}

/// An object that could be read, and where it stands.
#[derive(Clone, Debug)]
struct Read<T> {
    source: String,
    object: T,
}

/// A rule, as it was written and as it is understood.
struct CheckedRule<'a> {
    source: &'a str,
    object: &'a RuleObject,
    rule: Rule,
}

/// Adds findings about one object.
struct Notes<'a> {
    source: &'a str,
    kind: &'a str,
    name: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl Notes<'_> {
    fn add(
        &mut self,
        (level, check): (Level, Check),
        path: impl Into<String>,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.findings.push(Finding {
            level,
            check,
            source: self.source.to_owned(),
            kind: self.kind.to_owned(),
            name: self.name.to_owned(),
            path: path.into(),
            found: found.into(),
            fix: fix.into(),
        });
    }
}

/// Everything that is wrong or doubtful, in the order of the objects. Objects of other kinds are passed over.
pub fn lint(objects: &[Object], settings: &Settings<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (rules, templates) = read::all(objects, &mut findings);
    duplicates(&rules, &templates, &mut findings);
    for template in &templates {
        texts::template(
            template,
            settings,
            &mut notes_of_template(template, &mut findings),
        );
    }
    let names: Vec<&str> = templates
        .iter()
        .map(|read| read.object.metadata.name.as_str())
        .collect();
    let mut checked = Vec::new();
    for read in &rules {
        let mut notes = notes_of_rule(&read.source, &read.object, &mut findings);
        texts::rule(&read.object, (&names, settings), &mut notes);
        if let Some(rule) = read::validate(&read.object, settings.defaults, &mut notes) {
            conditions::check(&read.object, &rule, &mut notes);
            marks::check(&read.object, &rule, settings.defaults, &mut notes);
            safety::check(&rule, settings, &mut notes);
            checked.push(CheckedRule {
                source: &read.source,
                object: &read.object,
                rule,
            });
        }
    }
    marks::conflicts(&checked, settings.defaults, &mut findings);
    safety::configured(settings, &mut findings);
    let order: BTreeMap<&str, usize> = objects
        .iter()
        .enumerate()
        .rev()
        .map(|(index, object)| (object.source.as_str(), index))
        .collect();
    findings.sort_by_key(|finding| order.get(finding.source.as_str()).copied());
    findings
}

/// How many of the objects are rules or templates.
pub fn count(objects: &[Object]) -> usize {
    read::count(objects)
}

fn notes_of_rule<'a>(
    source: &'a str,
    object: &'a RuleObject,
    findings: &'a mut Vec<Finding>,
) -> Notes<'a> {
    Notes {
        source,
        kind: ng_engine::spec::RULE_KIND,
        name: &object.metadata.name,
        findings,
    }
}

fn notes_of_template<'a>(
    read: &'a Read<TemplateObject>,
    findings: &'a mut Vec<Finding>,
) -> Notes<'a> {
    Notes {
        source: &read.source,
        kind: ng_engine::spec::TEMPLATE_KIND,
        name: &read.object.metadata.name,
        findings,
    }
}

/// Objects of one name: the API server keeps the last one.
fn duplicates(
    rules: &[Read<RuleObject>],
    templates: &[Read<TemplateObject>],
    findings: &mut Vec<Finding>,
) {
    let rules = rules.iter().map(|read| {
        (
            ng_engine::spec::RULE_KIND,
            &read.source,
            &read.object.metadata.name,
        )
    });
    let templates = templates.iter().map(|read| {
        (
            ng_engine::spec::TEMPLATE_KIND,
            &read.source,
            &read.object.metadata.name,
        )
    });
    let mut first: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (kind, source, name) in rules.chain(templates) {
        let Some(before) = first.get(&(kind, name.as_str())) else {
            first.insert((kind, name), source);
            continue;
        };
        let (found, fix) = (
            format!("the name is used in {before}, too"),
            "rename or remove one of them",
        );
        Notes {
            source,
            kind,
            name,
            findings,
        }
        .add(
            (Level::Error, Check::Duplicate),
            "metadata.name",
            found,
            fix,
        );
    }
}
