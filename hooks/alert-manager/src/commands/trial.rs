//! `alert-manager test`: a message that says that it is a test, to one channel.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use ng_config::Language;
use ng_engine::plan::Alert;
use ng_engine::rule::Severity;
use ng_hook::Env;
use ng_notify::compose::{Context, TemplateChoice, compose, sample};
use ng_notify::message::{Message, Outcome};
use ng_notify::{LogLine, Receiver, When, send};

use super::{FAILED, Scene, USAGE, channels, complain, outcome_text, print, tell_on};

/// The longest wait for a receiver.
const SEND_LIMIT: Duration = Duration::from_secs(30);

/// Arguments of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The channel to test; may be given more than once
    #[arg(long, value_name = "NAME", required = true)]
    pub channel: Vec<String>,
}

/// Sends, and prints how each channel took it. 0: all have it; 1: one failed or is not configured; 2: wrong usage.
pub fn run(env: &Env, arguments: &TestArgs) -> ExitCode {
    let scene = match Scene::set(env) {
        Ok(scene) => scene,
        Err(code) => return code,
    };
    let mut kinds = Vec::new();
    let mut unknown = false;
    for name in &arguments.channel {
        match channels::kind(name) {
            Ok(kind) => kinds.push(kind),
            Err(channels::Unusable::Absent(reason) | channels::Unusable::Wrong(reason)) => {
                complain(&reason);
                unknown = true;
            }
        }
    }
    if unknown {
        return ExitCode::from(USAGE);
    }
    let message = message(&scene);
    let mut all = true;
    for kind in kinds {
        let (told, line) = match Receiver::of(kind, &scene.config) {
            Ok(receiver) => attempt(&receiver, &message, &scene),
            Err(missing) => (false, missing.to_string()),
        };
        all &= told;
        print(&format!("{kind}: {line}\n"));
    }
    if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

/// Sends once; tells whether the receiver has it, and how it went in a line.
fn attempt(receiver: &Receiver, message: &Message, scene: &Scene) -> (bool, String) {
    let when = When {
        now: scene.now,
        deadline: Instant::now() + SEND_LIMIT,
    };
    let sink = &mut |line: LogLine<'_>| tell_on(&scene.results, &line);
    let sent = send(receiver, message, &when, sink);
    let host = receiver.host().map(|host| format!(" to {host}"));
    let host = host.unwrap_or_default();
    let notes: Vec<&str> = sent.notes.iter().flat_map(|note| ["; ", note]).collect();
    let notes = notes.concat();
    let told = sent.outcome == Outcome::Delivered;
    let line = if told {
        format!("delivered{host}{notes}")
    } else {
        format!("failed{host}: {}{notes}", outcome_text(&sent.outcome))
    };
    (told, line)
}

/// A message about a node that does not exist.
fn message(scene: &Scene) -> Message {
    let (rule, text) = match scene.config.alert.language {
        Language::English => (
            "nodeguardian-test",
            "This is a test of the channel; nothing has happened",
        ),
        Language::Chinese => (
            "nodeguardian-test",
            "这是一条渠道测试消息，没有发生任何事情",
        ),
    };
    let alert = Alert {
        at: scene.now,
        since: scene.now,
        rule: rule.to_owned(),
        rule_description: text.to_owned(),
        severity: Severity::Info,
        node: "test-node".to_owned(),
        actions: Vec::new(),
        ..sample::alert()
    };
    let context = Context {
        cluster: scene.config.cluster_name.as_deref(),
        now: scene.now,
        language: scene.config.alert.language,
        top_pods: &BTreeMap::new(),
    };
    let mut message = compose(&[alert], TemplateChoice::BuiltIn, &context).message;
    message.test = true;
    message
}
