//! `alert-manager preview`: what would go out, from files, touching nothing.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use ng_config::Format;
use ng_engine::plan::{Alert, AlertKind};
use ng_engine::spec::{RULE_KIND, TEMPLATE_KIND, TemplateObject};
use ng_hook::Env;
use ng_notify::compose::{
    Composed, Context, FIELDS, ProblemKind, TemplateChoice, check, compose, sample, wants_top_pods,
};
use ng_notify::{Receiver, preview};
use serde_json::Value;

use super::call::Call;
use super::{FAILED, Scene, USAGE, channels, complain, print};

/// The largest file that is read: an object of the API server is no larger.
const LARGEST_FILE: u64 = 4 << 20;
/// The most nodes of a preview.
const MOST_NODES: u32 = 10_000;

/// Functions that every dialect knows.
const FUNCTIONS: &str = "  default X V      V where X is nothing    upper X, lower X, title X, capitalize X, trim X
  round X N        rounded to N digits     printf \"%.1f %s\" X Y
  number X N       1,234,567.9             replace X OLD NEW, truncate X N, join LIST SEPARATOR
  bytes X          1.5 GiB                 len X, first LIST, last LIST, toJson X, urlencode X
  duration X       1h2m3s, of seconds      time X \"+08:00\" \"%Y-%m-%d %H:%M:%S\"

Handlebars: {{upper nodeName}}; Go: {{ upper .nodeName }}; Jinja: {{ nodeName|upper }}. Jinja has its own names for
some of them: format, length, tojson. In Go, default, join, replace and truncate take X last.";

/// What templates can use, for `--help`.
fn help() -> String {
    let fields = FIELDS.iter().flat_map(|(name, meaning)| {
        [
            "  ",
            name,
            &"                "[name.len()..],
            " ",
            meaning,
            "\n",
        ]
    });
    let fields: String = fields.collect();
    format!("Names in templates, in snake case, too:\n{fields}\nFunctions:\n{FUNCTIONS}")
}

/// Arguments of `preview`.
#[derive(Debug, Args)]
#[command(after_long_help = help())]
pub struct PreviewArgs {
    /// File with `AlertTemplate`s, YAML or JSON
    #[arg(long, value_name = "FILE")]
    pub template: PathBuf,
    /// Show only the template of this name [default: all of the file]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// File with the rule that sends the alert [default: a sample]
    #[arg(long, value_name = "FILE")]
    pub rule: Option<PathBuf>,
    /// Show what this channel would send, secrets masked [default: the texts]
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
    /// How many nodes the message is about
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_NODES)))]
    pub nodes: u32,
    /// What has happened
    #[arg(long, value_enum, default_value_t = Happened::Trigger)]
    pub kind: Happened,
}

/// What an alert tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Happened {
    /// The nodes triggered
    Trigger,
    /// They are still triggered
    Repeat,
    /// They recovered
    Recovery,
}

/// Prints the preview. 0: as asked; 1: a template is broken; 2: wrong usage, or a file that cannot be read.
pub fn run(env: &Env, arguments: &PreviewArgs) -> ExitCode {
    let scene = match Scene::set(env) {
        Ok(scene) => scene,
        Err(code) => return code,
    };
    match shown(arguments, &scene) {
        Ok((text, sound)) => {
            print(&text);
            if sound {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(FAILED)
            }
        }
        Err(mistake) => {
            complain(&mistake);
            ExitCode::from(USAGE)
        }
    }
}

/// The text to print, and whether every template can be used.
fn shown(arguments: &PreviewArgs, scene: &Scene) -> Result<(String, bool), String> {
    let receiver = arguments
        .channel
        .as_deref()
        .map(|name| receiver(name, scene))
        .transpose()?;
    let alerts = alerts(arguments, scene)?;
    let templates = templates(&arguments.template, arguments.name.as_deref())?;
    let several = templates.len() > 1;
    let (mut text, mut sound) = (String::new(), true);
    for template in &templates {
        let name = &template.metadata.name;
        let spec = &template.spec;
        let choice = TemplateChoice::Found { name, spec };
        let own_metrics = scene.config.metrics.keys();
        for problem in check(name, spec, own_metrics.map(ng_config::MetricName::as_str)) {
            sound &= problem.kind == ProblemKind::Doubtful;
            complain(&problem.to_string());
        }
        let composed = composed(&alerts, choice, scene);
        if several {
            // Writing into a text cannot fail.
            let _ = writeln!(text, "# {name}");
        }
        match &receiver {
            Some(receiver) => text.push_str(&preview(receiver, &composed.message, scene.now)),
            None => words(&mut text, &composed),
        }
        if several {
            text.push('\n');
        }
    }
    Ok((text, sound))
}

fn words(text: &mut String, composed: &Composed) {
    let message = &composed.message;
    let _ = writeln!(text, "Title: {}", message.title);
    if message.summary != message.title {
        let _ = writeln!(text, "Summary: {}", message.summary);
    }
    let _ = writeln!(text, "Severity: {}\n", message.severity.word());
    let _ = writeln!(text, "{}", message.body);
    if let Some(html) = &message.html {
        let _ = writeln!(text, "\nHTML:\n{html}");
    }
}

fn composed(alerts: &[Alert], choice: TemplateChoice<'_>, scene: &Scene) -> Composed {
    let pods = if wants_top_pods(choice) {
        sample::top_pods(alerts)
    } else {
        std::collections::BTreeMap::new()
    };
    let context = Context {
        cluster: scene.config.cluster_name.as_deref(),
        now: scene.now,
        language: scene.config.alert.language,
        top_pods: &pods,
    };
    compose(alerts, choice, &context)
}

/// The channel as configured, or as it would be.
fn receiver(name: &str, scene: &Scene) -> Result<Receiver, String> {
    let kind = channels::kind(name).map_err(|unusable| match unusable {
        channels::Unusable::Absent(reason) | channels::Unusable::Wrong(reason) => reason,
    })?;
    Ok(Receiver::of(kind, &scene.config).unwrap_or_else(|missing| {
        complain(&format!("{missing}; made-up settings are shown"));
        Receiver::sample(kind)
    }))
}

/// Made-up alerts, of the rule where one is given.
fn alerts(arguments: &PreviewArgs, scene: &Scene) -> Result<Vec<Alert>, String> {
    let sample = sample::alerts(usize::try_from(arguments.nodes).unwrap_or(1));
    let mut alerts = match &arguments.rule {
        None => sample,
        Some(path) => of_rule(path, &sample, scene)?,
    };
    for alert in &mut alerts {
        alert.at = scene.now;
        alert.since = scene.now;
        alert.kind = match arguments.kind {
            Happened::Trigger => AlertKind::Trigger,
            Happened::Repeat => AlertKind::Repeat,
            Happened::Recovery => AlertKind::Recovery,
        };
        if arguments.kind != Happened::Trigger {
            alert.since = scene.now.minus(std::time::Duration::from_mins(30));
        }
        if arguments.kind == Happened::Repeat {
            alert.repeats = 1;
        }
    }
    Ok(alerts)
}

/// The sample's nodes and readings under the rule of a file.
fn of_rule(path: &Path, sample: &[Alert], scene: &Scene) -> Result<Vec<Alert>, String> {
    let rules = objects(path, RULE_KIND)?;
    let [rule] = rules.as_slice() else {
        let count = rules.len();
        return Err(format!(
            "{}: expected one {RULE_KIND}, found {count}",
            path.display()
        ));
    };
    let nodes: Vec<Value> = sample
        .iter()
        .map(|alert| serde_json::json!({"name": alert.node, "metrics": alert.metrics}))
        .collect();
    let call = [
        String::new(),
        rule.to_string(),
        Value::Array(nodes).to_string(),
        "[]".to_owned(),
    ];
    let call = Call::read(&call, scene)
        .map_err(|mistakes| format!("{}: {}", path.display(), mistakes.join("; ")))?;
    for doubt in &call.doubts {
        complain(&format!("{}: {doubt}", path.display()));
    }
    Ok(call.alerts)
}

fn templates(path: &Path, name: Option<&str>) -> Result<Vec<TemplateObject>, String> {
    let mut found = Vec::new();
    for value in objects(path, TEMPLATE_KIND)? {
        let object = TemplateObject::from_json(&value.to_string())
            .map_err(|error| format!("{}: {:#}", path.display(), anyhow::Error::new(error)))?;
        if name.is_none_or(|name| object.metadata.name == name) {
            found.push(object);
        }
    }
    match (found.is_empty(), name) {
        (false, _) => Ok(found),
        (true, Some(name)) => Err(format!(
            "{}: no {TEMPLATE_KIND} named {name}",
            path.display()
        )),
        (true, None) => Err(format!("{}: no {TEMPLATE_KIND} in it", path.display())),
    }
}

/// The objects of one kind in a file.
fn objects(path: &Path, kind: &str) -> Result<Vec<Value>, String> {
    let text = read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let is_json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    let format = if is_json { Format::Json } else { Format::Yaml };
    let documents = ng_config::documents(&text, format)
        .map_err(|(number, reason)| format!("{}: document {number}: {reason}", path.display()))?;
    let values = documents.into_iter().map(|document| document.value);
    let flat = values.flat_map(|value| match value["kind"].as_str() {
        Some("List") => value["items"].as_array().cloned().unwrap_or_default(),
        _ => vec![value],
    });
    Ok(flat.filter_map(|value| object(value, kind)).collect())
}

/// The value as an object of the kind; `None` if it is of another. What says no kind may be a spec alone.
fn object(value: Value, kind: &str) -> Option<Value> {
    let bare: &[&str] = match kind {
        TEMPLATE_KIND => &["subject", "body", "title", "summary", "description"],
        _ => &["conditions", "actions"],
    };
    match value["kind"].as_str() {
        Some(found) => (found == kind).then_some(value),
        None if value.get("spec").is_some() => Some(value),
        None if bare.iter().any(|key| value.get(*key).is_some()) => {
            Some(serde_json::json!({"spec": value}))
        }
        None => None,
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let mut file = std::fs::File::open(path)?.take(LARGEST_FILE + 1);
    file.read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(std::io::Error::other("it is larger than 4 MiB"));
    }
    Ok(text)
}
