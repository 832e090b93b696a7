//! Processes that are killed at every step, and several at once: no alert is lost, what is done is not sent again, and
//! a crash costs at most one duplicate on a channel.
//!
//! Some hundred crashes by default, ten thousand with `NODEGUARDIAN_LONG=1`.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ng_alert_manager::chance::Chance;
use ng_alert_manager::courier::Shared;
use ng_alert_manager::delivery::{self, Clock, Unusable};
use ng_alert_manager::{Templates, load_config};
use ng_engine::plan::Alert;
use ng_hook::log::Output;
use ng_hook::{Env, Logger};
use ng_state::{DeliveryState, Store};
use serde_json::{Value, json};
use support::receiver::{Answer, Receiver};
use support::{Desk, NOW, after, time, with};

/// Tells a worker from a plain run of all tests: when it is, where it ends, and what it draws its numbers from.
const WORK: &str = "work.json";
const CHANNELS: [&str; 2] = ["webhook", "alertmanager"];

#[test]
#[ignore = "the worker of the tests below, which start it themselves"]
fn worker() {
    let Ok(work) = std::fs::read_to_string(WORK) else {
        return;
    };
    let work: Value = serde_json::from_str(&work).expect("JSON");
    let now = work["now"].as_str().expect("a time");
    let left = std::cell::Cell::new(work["steps"].as_i64().expect("a number"));
    let env = Env::default().with("NODEGUARDIAN_CONFIG_DIR", "config");
    let config = Arc::new(load_config(&env).config);
    let log = Logger::new(Output::Stderr, now.parse().expect("a time"));
    let desk = delivery::Desk {
        config: &config,
        unusable: Unusable::Settle,
        log: &log,
        alerts: &log,
        clock: Clock {
            base: time(now),
            started: None,
        },
        deadline: Instant::now() + Duration::from_secs(10),
        step: &|_| {
            left.set(left.get() - 1);
            if left.get() == 0 {
                // Nothing is cleaned up, as when the process is killed.
                std::process::abort();
            }
        },
    };
    let mut store = Store::open(Path::new("state"), time(now))
        .expect("a state")
        .store;
    let agenda = store.agenda(time(now)).expect("a look");
    if !agenda.has_work() {
        return;
    }
    let share = |_: &mut Store| {
        Ok(Shared {
            config: Arc::clone(&config),
            env,
            templates: Templates::default(),
        })
    };
    let mut chance = Chance::new(work["seed"].as_u64().expect("a number"));
    delivery::deliver(&mut store, &agenda, &desk, &mut chance, share).expect("the delivery");
}

/// An alert on one channel: rule, node, kind.
type Telling = (String, String, String);

/// Two receivers, what was queued, and what they took.
struct World {
    desk: Desk,
    receivers: [Receiver; 2],
    /// Answers that were good, by the number of the request.
    taken: Arc<Mutex<[Vec<usize>; 2]>>,
    queued: Vec<Telling>,
    chance: Chance,
}

impl World {
    fn new(seed: u64) -> Self {
        let taken: Arc<Mutex<[Vec<usize>; 2]>> = Arc::default();
        let receivers = [0, 1].map(|place| {
            let taken = Arc::clone(&taken);
            let chance = Mutex::new(Chance::new(seed ^ (place as u64 + 1)));
            Receiver::start(
                move |number, _| match chance.lock().expect("no panic").number() % 10 {
                    0 => Answer::Status(503, ""),
                    1 => Answer::Close,
                    _ => {
                        taken.lock().expect("no panic")[place].push(number);
                        Answer::Good
                    }
                },
            )
        });
        let desk = Desk::new("");
        let sections = json!({
            "alertmanager": {"url": receivers[1].url()},
            "alert": {"batchSize": 2, "retryAttempts": 100, "retryDelay": "1s", "flapThreshold": 0},
        });
        desk.configure(receivers[0].url(), &sections);
        Self {
            desk,
            receivers,
            taken,
            queued: Vec::new(),
            chance: Chance::new(seed),
        }
    }

    /// Up to three triggers, or the recoveries of triggers from before.
    fn queue(&mut self, now: &str) {
        let number = self.queued.len();
        let mut alerts: Vec<Alert> = Vec::new();
        for place in 0..self.chance.number() % 4 {
            let node = format!("node-{}", number as u64 + place);
            let rule = format!("rule-{}", self.chance.number() % 2);
            alerts.push(with(&node, &CHANNELS, &json!({"rule": rule})));
        }
        if let Some((rule, node, kind)) = self.queued.last()
            && kind == "trigger"
        {
            let fields = json!({"rule": rule, "type": "recovery"});
            alerts.push(with(node, &CHANNELS, &fields));
        }
        for alert in &alerts {
            let kind = serde_json::to_value(alert.kind).expect("a word");
            let kind = kind.as_str().expect("a word").to_owned();
            self.queued
                .push((alert.rule.clone(), alert.node.clone(), kind));
        }
        self.desk.queue(&alerts, now);
    }

    /// A worker that ends at its `steps`th step; 0: it never does. Returns whether it was killed.
    fn work(&mut self, now: &str, steps: u64) -> bool {
        let work = json!({"now": now, "steps": steps, "seed": self.chance.number()});
        self.desk.put(WORK, &work.to_string());
        let status = Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "worker"])
            .current_dir(self.desk.path(""))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("a worker");
        assert!(steps > 0 || status.success(), "a worker failed");
        // What a killed worker sent may still be on its way.
        self.receivers.iter().for_each(Receiver::settle);
        !status.success()
    }

    /// What a receiver took, message by message.
    fn told(&self, place: usize) -> Vec<Vec<Telling>> {
        let taken = self.taken.lock().expect("no panic")[place].clone();
        let requests = self.receivers[place].requests();
        taken
            .into_iter()
            .map(|number| tellings(&requests[number].body, place))
            .collect()
    }

    /// What the store says is done on a channel.
    fn done(&self, channel: &str) -> BTreeSet<Telling> {
        let outbox = self.desk.outbox();
        let is_done = |delivery: &&ng_state::Delivery| {
            delivery.channel == channel && delivery.state == DeliveryState::Done
        };
        outbox
            .iter()
            .filter(|queued| queued.deliveries.iter().any(|delivery| is_done(&delivery)))
            .map(|queued| {
                let alert = queued.alert.as_ref().expect("an alert");
                let kind = serde_json::to_value(alert.kind).expect("a word");
                (
                    queued.rule.clone(),
                    queued.node.clone(),
                    kind.as_str().expect("a word").to_owned(),
                )
            })
            .collect()
    }
}

/// The alerts in a message.
fn tellings(body: &Value, place: usize) -> Vec<Telling> {
    if place == 1 {
        return Vec::new();
    }
    let text = |key: &str| body[key].as_str().expect("a text").to_owned();
    let nodes = body["triggeredNodes"].as_array().expect("a list");
    nodes
        .iter()
        .map(|node| {
            (
                text("ruleName"),
                node.as_str().expect("a name").to_owned(),
                text("type"),
            )
        })
        .collect()
}

fn is_long() -> bool {
    Env::from_process().get("NODEGUARDIAN_LONG").is_some()
}

#[test]
fn killed_at_every_step_nothing_is_lost() {
    let crashes = if is_long() { 10_000 } else { 250 };
    // A world holds some hundred alerts, so that looking at all of them stays cheap.
    let each = 125;
    for seed in 0..crashes / each {
        crash_world(0x2545_f491_4f6c_dd1d ^ seed, each);
    }
}

fn crash_world(seed: u64, crashes: u64) {
    let mut world = World::new(seed);
    let (mut round, mut killed) = (0, 0);
    while killed < crashes {
        round += 1;
        assert!(
            round < crashes.cast_signed() * 6,
            "too few crashes to tell anything"
        );
        let now = after(round * 5);
        world.queue(&now);
        let done = CHANNELS.map(|channel| world.done(channel));
        let before = [0, 1].map(|place| world.told(place).len());
        let steps = 1 + world.chance.number() % 14;
        killed += u64::from(world.work(&now, steps));
        let told = world.told(0);
        for message in &told[before[0]..] {
            for telling in message {
                assert!(!done[0].contains(telling), "{telling:?} was done already");
            }
        }
        // At most one message of the run is told and not known to be.
        let known = world.done("webhook");
        let lost = told[before[0]..]
            .iter()
            .filter(|message| message.iter().any(|telling| !known.contains(telling)));
        assert!(lost.count() <= 1, "seed {seed}, round {round}");
    }
    for _ in 0..200 {
        round += 60;
        world.work(&after(round * 5), 0);
        if world.desk.store().outbox_counts().expect("counts").pending == 0 {
            break;
        }
    }
    check_world(&world, crashes);
}

fn check_world(world: &World, crashes: u64) {
    let told = world.told(0);
    let mut first: BTreeMap<&Telling, usize> = BTreeMap::new();
    let mut messages: BTreeMap<&Vec<Telling>, u64> = BTreeMap::new();
    for (position, message) in told.iter().enumerate() {
        *messages.entry(message).or_default() += 1;
        for telling in message {
            first.entry(telling).or_insert(position);
        }
    }
    for telling in &world.queued {
        assert!(first.contains_key(telling), "{telling:?} was never told");
    }
    let duplicates: u64 = messages.values().map(|times| times - 1).sum();
    assert!(
        duplicates <= crashes,
        "{duplicates} duplicates of {crashes} crashes"
    );
    for (telling, position) in &first {
        let (rule, node, kind) = telling;
        if kind == "recovery" {
            let trigger = (rule.clone(), node.clone(), "trigger".to_owned());
            assert!(
                first[&trigger] < *position,
                "{node} recovered before it triggered"
            );
        }
    }
    let counts = world.desk.store().outbox_counts().expect("counts");
    assert_eq!((counts.pending, counts.dead), (0, 0));
    // The other channel took as many alerts, whatever the first one did.
    assert_eq!(world.done("webhook"), world.done("alertmanager"));
    assert!(!world.told(1).is_empty());
}

/// Kills the child when the test says so, wherever it is.
type Victim = Arc<Mutex<Option<Child>>>;

fn kill(victim: &Victim) {
    if let Some(child) = victim.lock().expect("no panic").as_mut() {
        child.kill().expect("the child was there");
    }
}

#[test]
fn the_real_process_is_killed_while_it_sends() {
    let kills = if is_long() { 1000 } else { 40 };
    let victim: Victim = Arc::default();
    let target = Arc::clone(&victim);
    let chance = Mutex::new(Chance::new(7));
    let receiver = Receiver::start(move |_, _| {
        let draw = chance.lock().expect("no panic").number() % 3;
        if draw == 0 {
            // Before the answer: the receiver has it, and nobody knows.
            kill(&target);
        }
        if draw == 1 {
            // While the answer is on its way.
            let target = Arc::clone(&target);
            std::thread::spawn(move || kill(&target));
        }
        Answer::Good
    });
    let desk = Desk::new(receiver.url());
    desk.configure(
        receiver.url(),
        &json!({"alert": {"retryAttempts": 100, "retryDelay": "1ms"}}),
    );
    let now = ng_hook::run::wall_clock().to_string();
    let mut killed = 0;
    let mut queued = 0;
    while killed < kills {
        queued += 1;
        assert!(queued < kills * 10, "too few kills to tell anything");
        let alert = with(&format!("node-{queued}"), &["webhook"], &json!({}));
        desk.queue(&[alert], &now);
        *victim.lock().expect("no panic") = Some(desk.start());
        let ended = wait(&victim);
        killed += usize::from(!ended);
    }
    while desk.store().outbox_counts().expect("counts").pending > 0 {
        *victim.lock().expect("no panic") = Some(desk.start());
        killed += usize::from(!wait(&victim));
    }
    let messages: Vec<Vec<String>> = receiver
        .requests()
        .iter()
        .map(support::receiver::Request::nodes)
        .collect();
    let different: BTreeSet<&Vec<String>> = messages.iter().collect();
    let duplicates = messages.len() - different.len();
    assert!(
        duplicates <= killed,
        "{duplicates} duplicates of {killed} kills"
    );
    for number in 1..=queued {
        let node = format!("node-{number}");
        assert!(
            messages.iter().any(|nodes| nodes.contains(&node)),
            "{node} is lost"
        );
    }
    assert_eq!(desk.count(DeliveryState::Done), queued);
}

/// Whether the child ended by itself.
fn wait(victim: &Victim) -> bool {
    loop {
        let status = {
            let mut child = victim.lock().expect("no panic");
            let child = child.as_mut().expect("a child");
            child.try_wait().expect("a status")
        };
        match status {
            Some(status) => return status.success(),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

#[test]
fn two_at_once_send_everything_once() {
    let receiver = Receiver::start(|_, _| {
        // Slow enough for both to be at work at the same time.
        std::thread::sleep(Duration::from_millis(10));
        Answer::Good
    });
    let desk = Desk::new(receiver.url());
    for round in 0..15 {
        let alerts: Vec<Alert> = (0..6)
            .map(|number| {
                let fields = json!({"rule": format!("rule-{number}")});
                with(&format!("node-{round}-{number}"), &["webhook"], &fields)
            })
            .collect();
        desk.queue(&alerts, NOW);
        let mut children = [desk.start(), desk.start()];
        for child in &mut children {
            assert!(child.wait().expect("a status").success());
        }
    }
    let mut nodes: Vec<String> = receiver
        .requests()
        .iter()
        .flat_map(support::receiver::Request::nodes)
        .collect();
    let all = nodes.len();
    nodes.sort();
    nodes.dedup();
    assert_eq!((all, nodes.len()), (90, 90));
    assert_eq!(desk.count(DeliveryState::Done), 90);
}
