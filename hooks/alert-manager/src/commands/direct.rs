//! The direct call of the existing scripts: one alert to its channels, at once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ng_config::Config;
use ng_engine::spec::ChannelSpec;
use ng_hook::{Env, Logger};
use ng_notify::compose::{Context, TemplateChoice, compose, wants_top_pods};
use ng_notify::message::{Message, Outcome, TopPod};
use ng_notify::{LogLine, Receiver, When, send};

use super::call::Call;
use super::channels::{self, Unusable};
use super::lookup::{Lookup, look_up};
use super::{FAILED, Scene, USAGE, outcome_text, tell_on};
use crate::pods;

/// The arguments of a direct call: template, rule, nodes and channels.
pub type Arguments = [String; 4];

/// First words that are commands and no names of templates.
const COMMANDS: [&str; 4] = ["help", "outbox", "preview", "test"];

/// The longest wait for a receiver.
const SEND_LIMIT: Duration = Duration::from_secs(30);
/// The longest wait for the largest pods.
const PODS_LIMIT: Duration = Duration::from_secs(3);

/// The arguments, if this is a direct call: four of them, of which the first is no command. Compared by hand, since
/// building a command line parser would take longer than the call.
pub fn arguments(all: &[OsString]) -> Option<Arguments> {
    let [template, rule, nodes, channels] = all else {
        return None;
    };
    let text = |argument: &OsString| argument.to_str().map(str::to_owned);
    let arguments = [text(template)?, text(rule)?, text(nodes)?, text(channels)?];
    let is_command = arguments[0].starts_with('-') || COMMANDS.contains(&arguments[0].as_str());
    (!is_command || arguments[1].starts_with('{')).then_some(arguments)
}

/// Delivers at once. 0: every channel that could be used has it; 1: one failed; 2: wrong usage.
pub fn run(env: &Env, arguments: &Arguments) -> ExitCode {
    let scene = match Scene::set(env) {
        Ok(scene) => scene,
        Err(code) => return code,
    };
    let call = match Call::read(arguments, &scene) {
        Ok(call) => call,
        Err(mistakes) => {
            for mistake in mistakes {
                scene
                    .log
                    .error("wrong usage", &[("problem", (&mistake).into())]);
            }
            return ExitCode::from(USAGE);
        }
    };
    for doubt in &call.doubts {
        let fields = [("problem", doubt.into())];
        scene.log.warn("cannot read all of the call", &fields);
    }
    let Lookup { found, client } = look_up(&call.template, env, scene.now, &scene.log);
    let choice = found.choice(&call.template);
    let top_pods = if wants_top_pods(choice) {
        largest_pods(&call, client.as_ref(), &scene.log)
    } else {
        BTreeMap::new()
    };
    let message = message(&call, choice, &scene, &top_pods);
    let channels = addressed(&call.channels, found.channels(), &scene.config);
    let (receivers, wrong) = receivers(&channels, &scene);
    if deliver(&receivers, &message, &scene) && !wrong {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

fn largest_pods(
    call: &Call,
    client: Option<&ng_kube::Client>,
    log: &Logger,
) -> BTreeMap<String, Vec<TopPod>> {
    let Some(client) = client else {
        let reason = "there are no Kubernetes credentials";
        log.warn(
            "the largest pods are left out",
            &[("reason", reason.into())],
        );
        return BTreeMap::new();
    };
    let nodes: Vec<&str> = call
        .alerts
        .iter()
        .map(|alert| alert.node.as_str())
        .collect();
    let found = pods::top_pods(&nodes, client, Instant::now() + PODS_LIMIT);
    for warning in &found.warnings {
        log.warn(warning, &[]);
    }
    found.by_node
}

/// The message; what is wrong with its template goes to the log.
fn message(
    call: &Call,
    choice: TemplateChoice<'_>,
    scene: &Scene,
    top_pods: &BTreeMap<String, Vec<TopPod>>,
) -> Message {
    let context = Context {
        cluster: scene.config.cluster_name.as_deref(),
        now: scene.now,
        language: scene.config.alert.language,
        top_pods,
    };
    let composed = compose(&call.alerts, choice, &context);
    for problem in &composed.problems {
        let fields = [
            ("template", (&problem.template).into()),
            ("problem", (&problem.text).into()),
        ];
        scene.log.warn("trouble with the template", &fields);
    }
    composed.message
}

/// The channels of the call; without any, those of the template; without these, the configured ones.
fn addressed<'a>(
    call: &'a [ChannelSpec],
    template: &'a [ChannelSpec],
    config: &Config,
) -> Cow<'a, [ChannelSpec]> {
    match (call, template) {
        ([], []) => {
            let names = config.alert.default_channels.iter();
            Cow::Owned(
                names
                    .map(|kind| ChannelSpec::Name(kind.to_string()))
                    .collect(),
            )
        }
        ([], template) => Cow::Borrowed(template),
        (call, _) => Cow::Borrowed(call),
    }
}

/// The receivers, each once, and whether a channel came with settings that cannot be used.
fn receivers(channels: &[ChannelSpec], scene: &Scene) -> (Vec<Receiver>, bool) {
    let mut receivers: Vec<Receiver> = Vec::new();
    let mut wrong = false;
    for channel in channels.iter().filter(|channel| channel.is_enabled()) {
        match channels::receiver(channel, &scene.config) {
            Ok(receiver) if receivers.iter().any(|known| known.key() == receiver.key()) => {}
            Ok(receiver) => receivers.push(receiver),
            Err(Unusable::Absent(reason)) => scene.log.warn(&reason, &[]),
            Err(Unusable::Wrong(reason)) => {
                wrong = true;
                scene.log.error(&reason, &[]);
            }
        }
    }
    (receivers, wrong)
}

/// Sends to all receivers at the same time; tells whether every one has the message.
fn deliver(receivers: &[Receiver], message: &Message, scene: &Scene) -> bool {
    let when = When {
        now: scene.now,
        deadline: Instant::now() + SEND_LIMIT,
    };
    let attempt = |receiver: &Receiver| {
        let sink = &mut |line: LogLine<'_>| tell_on(&scene.results, &line);
        let sent = send(receiver, message, &when, sink);
        let channel = receiver.channel().as_str();
        for note in &sent.notes {
            scene.log.warn(note, &[("channel", channel.into())]);
        }
        if sent.outcome != Outcome::Delivered {
            let reason = outcome_text(&sent.outcome);
            let fields = [("channel", channel.into()), ("reason", (&reason).into())];
            scene.log.error("cannot deliver the alert", &fields);
        } else if receiver.host().is_some() {
            scene
                .log
                .info("alert delivered", &[("channel", channel.into())]);
        }
        sent.outcome == Outcome::Delivered
    };
    // A thread costs more than a line of the log.
    let (here, elsewhere): (Vec<_>, Vec<_>) = receivers
        .iter()
        .partition(|receiver| receiver.host().is_none());
    std::thread::scope(|scope| {
        let threads: Vec<_> = elsewhere
            .into_iter()
            .map(|receiver| scope.spawn(move || attempt(receiver)))
            .collect();
        let failed_here = here.into_iter().filter(|one| !attempt(one)).count();
        let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        let failed = ended.filter(|end| !matches!(end, Ok(true))).count();
        failed_here + failed == 0
    })
}
