//! Makes a message of a batch and sends it: one thread for each of several receivers, so that a slow one delays only
//! itself.
//!
//! The threads are never waited for. They end with the process, and what they were at is told as an attempt that
//! failed: everything a run does ends with the run.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Inbox, SendError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ng_config::{ChannelKind, Config};
use ng_engine::parcel::Parcel;
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use ng_hook::Env;
use ng_kube::{Client, Credentials, Options, SERVICE_ACCOUNT_DIR};
use ng_notify::compose::{self, Context, Problem, TemplateChoice};
use ng_notify::message::{Message, NodeFacts, Outcome};
use ng_notify::{LogLine, LogValue, Receiver, When, send};

use crate::pods;
use crate::templates::Templates;
use crate::words;

/// The part of an attempt's time that asking for pods may take.
const PODS_LIMIT: Duration = Duration::from_secs(3);

/// A message to make and to send.
#[derive(Debug)]
pub struct Job {
    /// Which receiver, by its place in the list.
    pub lane: usize,
    /// The alerts, all of one topic.
    pub parcels: Vec<Parcel>,
    /// An id for each of them.
    pub ids: Vec<i64>,
    /// Whether they say that their nodes are flapping.
    pub flapping: bool,
    /// The time, for signatures and dates.
    pub now: Time,
    /// When the attempt must be over.
    pub deadline: Instant,
}

/// What the threads report.
#[derive(Debug)]
pub enum Event {
    /// A line of the `log` channel.
    Line(Line),
    /// An attempt is over.
    Ended(Ended),
}

/// A line of the `log` channel.
#[derive(Debug)]
pub struct Line {
    /// How bad it is.
    pub severity: Severity,
    /// The message.
    pub text: String,
    /// Flat fields by name.
    pub fields: Vec<(&'static str, LogValue<'static>)>,
}

/// How an attempt ended.
#[derive(Debug)]
pub struct Ended {
    /// Which receiver.
    pub lane: usize,
    /// Whether the message is told.
    pub outcome: Outcome,
    /// Alerts that the receiver has, whatever the outcome.
    pub told: Vec<i64>,
    /// What someone should know.
    pub notes: Vec<String>,
    /// What is wrong with the template.
    pub problems: Vec<Problem>,
}

/// What all threads share.
#[derive(Debug)]
pub struct Shared {
    /// The configuration.
    pub config: Arc<Config>,
    /// The environment, for reaching the Kubernetes API.
    pub env: Env,
    /// The templates.
    pub templates: Templates,
}

/// What sends the messages of one receiver.
#[derive(Debug)]
pub struct Desk {
    /// The receiver.
    pub receiver: Arc<Receiver>,
    /// What all have in common.
    pub shared: Arc<Shared>,
    /// Where it tells how it went.
    pub events: Sender<Event>,
}

impl Desk {
    /// Whether each of its attempts is over at the deadline, whatever the receiver does. Mail servers are waited for
    /// step by step.
    pub fn keeps_to_deadlines(&self) -> bool {
        self.receiver.channel() != ChannelKind::Email
    }

    /// `Err`: nobody listens any more, since the run is over.
    fn work(&self, job: Job) -> Result<(), SendError<Event>> {
        let ended = attempt(&self.receiver, &self.shared, job, &self.events);
        self.events.send(Event::Ended(ended))
    }
}

/// Where messages are sent.
#[derive(Debug)]
pub enum Worker {
    /// In a thread of their own.
    Thread(Sender<Job>),
    /// Where they are handed over: with one receiver, nobody else is kept waiting.
    Here(Desk),
}

impl Worker {
    /// Starts a thread.
    pub fn start(desk: Desk) -> std::io::Result<Self> {
        let (jobs, inbox) = channel();
        std::thread::Builder::new()
            .name(desk.receiver.channel().to_string())
            .spawn(move || serve(&desk, &inbox))?;
        Ok(Self::Thread(jobs))
    }

    /// Has a message sent; how it went is told by an event.
    pub fn send(&self, job: Job) {
        match self {
            // Without its thread the message is overdue in the end.
            Self::Thread(jobs) => drop(jobs.send(job)),
            // The one who listens is the one who calls.
            Self::Here(desk) => drop(desk.work(job)),
        }
    }
}

fn serve(desk: &Desk, inbox: &Inbox<Job>) {
    while let Ok(job) = inbox.recv() {
        if desk.work(job).is_err() {
            return;
        }
    }
}

fn attempt(receiver: &Receiver, shared: &Shared, job: Job, events: &Sender<Event>) -> Ended {
    let Job {
        lane,
        parcels,
        ids,
        flapping,
        now,
        deadline,
    } = job;
    let mut notes = Vec::new();
    let name = parcels.first().map_or("", |first| &first.head().template);
    let choice = shared.templates.choice(name);
    let top_pods = top_pods(choice, &parcels, shared, deadline, &mut notes);
    let context = Context {
        cluster: shared.config.cluster_name.as_deref(),
        now,
        language: shared.config.alert.language,
        top_pods: &top_pods,
    };
    let mut composed = compose::compose_parcels(&parcels, choice, &context);
    if flapping {
        words::add_flapping(&mut composed.message, context.language);
    }
    let mut sink = |line: LogLine<'_>| {
        // Without a listener the run is over, and the line is sent again by the next one.
        drop(events.send(Event::Line(owned(line))));
    };
    let sent = send(
        receiver,
        &composed.message,
        &When { now, deadline },
        &mut sink,
    );
    notes.extend(sent.notes);
    Ended {
        lane,
        outcome: sent.outcome,
        told: told(&composed.message, sent.told, (&ids, &parcels)),
        notes,
        problems: composed.problems,
    }
}

/// Ids of the alerts of the first `count` nodes of the message.
fn told(message: &Message, count: usize, (ids, parcels): (&[i64], &[Parcel])) -> Vec<i64> {
    if count == message.nodes.len() && count > 0 {
        return ids.to_vec();
    }
    let nodes = message.nodes.iter().take(count);
    let names: HashSet<&str> = nodes.map(NodeFacts::name).collect();
    let members = parcels.iter().flat_map(Parcel::members);
    ids.iter()
        .zip(members)
        .filter(|(_, member)| names.contains(member.node))
        .map(|(id, _)| *id)
        .collect()
}

fn top_pods(
    choice: TemplateChoice<'_>,
    parcels: &[Parcel],
    shared: &Shared,
    deadline: Instant,
    notes: &mut Vec<String>,
) -> BTreeMap<String, Vec<ng_notify::message::TopPod>> {
    if !compose::wants_top_pods(choice) {
        return BTreeMap::new();
    }
    let members = parcels.iter().flat_map(Parcel::members);
    let names: Vec<&str> = members.map(|member| member.node).collect();
    let deadline = deadline.min(Instant::now() + PODS_LIMIT);
    match connect(&shared.env) {
        Ok(client) => {
            let found = pods::top_pods(&names, &client, deadline);
            notes.extend(found.warnings);
            found.by_node
        }
        Err(reason) => {
            notes.push(format!("the largest pods are left out: {reason:#}"));
            BTreeMap::new()
        }
    }
}

/// The Kubernetes API, where there are credentials for it.
fn connect(env: &Env) -> anyhow::Result<Client> {
    let variable = |name: &str| env.get(name).map(str::to_owned);
    let credentials = Credentials::discover(&variable, Path::new(SERVICE_ACCOUNT_DIR))?;
    let credentials = credentials.context("there are no Kubernetes credentials")?;
    Ok(Client::connect(&credentials, Options::default())?)
}

fn owned(line: LogLine<'_>) -> Line {
    let value = |value| match value {
        LogValue::Text(text) => LogValue::Text(std::borrow::Cow::Owned(text.into_owned())),
        LogValue::Integer(number) => LogValue::Integer(number),
        LogValue::Bool(yes) => LogValue::Bool(yes),
    };
    Line {
        severity: line.severity,
        text: line.text.into_owned(),
        fields: line
            .fields
            .into_iter()
            .map(|(name, found)| (name, value(found)))
            .collect(),
    }
}
