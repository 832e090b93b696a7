//! Sends a message to a receiver, and says how it went.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ng_config::HttpUrl;
use ng_engine::rule::Severity;
use ng_engine::time::Time;

use crate::channel::telegram::{Reply, Style};
use crate::channel::{
    self, alertmanager, dingtalk, feishu, log, pagerduty, slack, teams, telegram, wecom,
};
use crate::email;
use crate::http::{Answer, Courier, Request};
use crate::message::{Message, NodeFacts, Outcome};
use crate::receiver::{Bot, Http, Integration, Receiver, Robot, Via};
use crate::replicas;

/// When a message is sent.
#[derive(Clone, Copy, Debug)]
pub struct When {
    /// The time, for signatures and dates.
    pub now: Time,
    /// When the attempt must be over: connecting, sending and reading together.
    pub deadline: Instant,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Whether the message is told.
    pub outcome: Outcome,
    /// How many of [`Message::nodes`], from the first on, the receiver has, whatever the outcome. Only `PagerDuty`,
    /// which takes one event a node, has some and not others; the next attempt may leave these out.
    pub told: usize,
    /// What someone should know although the message went out, such as a mail address that was refused.
    pub notes: Vec<String>,
}

/// A line for the caller's log: what the `log` channel tells.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine<'a> {
    /// How bad it is; a recovery is [`Severity::Info`].
    pub severity: Severity,
    /// The message.
    pub text: Cow<'a, str>,
    /// Flat fields by name.
    pub fields: Vec<(&'static str, LogValue<'a>)>,
}

/// The value of a field in a log line.
#[derive(Clone, Debug, PartialEq)]
pub enum LogValue<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Bool(bool),
}

/// Sends the message once; whether to try again, and when, is the caller's to decide.
///
/// `sink` takes the line of the `log` channel. Nothing takes longer than until the deadline.
pub fn send(
    receiver: &Receiver,
    message: &Message,
    when: &When,
    sink: &mut dyn FnMut(LogLine<'_>),
) -> Sent {
    let mut sent = match &receiver.via {
        Via::Log => {
            sink(log::log_line(message));
            whole(Outcome::Delivered, message)
        }
        Via::Email(mailbox) => {
            let (outcome, notes) = email::send(mailbox, receiver.ca_file(), message, when);
            Sent {
                notes,
                ..whole(outcome, message)
            }
        }
        Via::Http(http) => match receiver.courier() {
            Ok(courier) => {
                let line = Line {
                    receiver,
                    courier,
                    when,
                };
                line.tell(http, message)
            }
            // The file may be mounted later.
            Err(reason) => {
                let after = None;
                whole(Outcome::Retry { reason, after }, message)
            }
        },
    };
    hide(receiver, &mut sent);
    sent
}

/// An attempt that told all nodes or none.
fn whole(outcome: Outcome, message: &Message) -> Sent {
    Sent {
        told: if outcome == Outcome::Delivered {
            message.nodes.len()
        } else {
            0
        },
        outcome,
        notes: Vec::new(),
    }
}

/// Receivers may quote addresses and tokens in their answers.
fn hide(receiver: &Receiver, sent: &mut Sent) {
    match &mut sent.outcome {
        Outcome::Delivered => {}
        Outcome::Retry { reason, .. } | Outcome::Permanent { reason } => {
            *reason = receiver.redacted(reason);
        }
    }
    for note in &mut sent.notes {
        *note = receiver.redacted(note);
    }
}

/// A receiver that can be asked until the deadline.
struct Line<'a> {
    receiver: &'a Receiver,
    courier: &'a Courier,
    when: &'a When,
}

impl Line<'_> {
    /// One or more requests, as the channel needs.
    fn tell(&self, http: &Http, message: &Message) -> Sent {
        let once = |verdict: fn(&Answer) -> Outcome| {
            let request = channel::request(http, message, self.when.now);
            whole(self.exchange(&request, verdict), message)
        };
        match http {
            Http::Webhook(_) => once(Answer::by_status),
            Http::Slack(_) => once(slack::verdict),
            Http::Wecom(_) => once(wecom::verdict),
            Http::Feishu(_) => once(feishu::verdict),
            Http::Teams(_) => once(teams::verdict),
            Http::Alertmanager(url) => whole(self.to_alertmanagers(url, message), message),
            Http::Dingtalk(robot) => whole(self.to_dingtalk(robot, message), message),
            Http::Telegram(bot) => self.to_telegram(bot, message),
            Http::Pagerduty(integration) => self.to_pagerduty(integration, message),
        }
    }

    /// Sends one request. Secrets go from the answer before it is quoted, which may cut one in half.
    fn ask(&self, request: &Request) -> Result<Answer, Outcome> {
        let mut answer = self.courier.post(request, self.when)?;
        answer.body = self.receiver.redacted(&answer.body);
        Ok(answer)
    }

    fn exchange(&self, request: &Request, verdict: fn(&Answer) -> Outcome) -> Outcome {
        self.ask(request)
            .map_or_else(|outcome| outcome, |answer| verdict(&answer))
    }

    /// To each replica, where the address is the name of several.
    fn to_alertmanagers(&self, url: &HttpUrl, message: &Message) -> Outcome {
        let request = alertmanager::request(url, message);
        match &self.courier.replicas(&request, self.when)[..] {
            [] => self.exchange(&request, alertmanager::verdict),
            replicas => self.to_each(replicas, &request, alertmanager::verdict),
        }
    }

    fn to_each(
        &self,
        replicas: &[SocketAddr],
        request: &Request,
        verdict: fn(&Answer) -> Outcome,
    ) -> Outcome {
        replicas::tell(replicas, |address| {
            let line = Line {
                courier: &self.courier.to(address),
                ..*self
            };
            line.exchange(request, verdict)
        })
    }

    /// What the robot calls too long is sent once more with less text.
    fn to_dingtalk(&self, robot: &Robot, message: &Message) -> Outcome {
        let request = dingtalk::request(robot, message, self.when.now);
        match self.ask(&request) {
            Ok(answer) if dingtalk::is_too_long(&answer) => {
                let request = dingtalk::shorter(robot, message, self.when.now);
                self.exchange(&request, dingtalk::verdict)
            }
            Ok(answer) => dingtalk::verdict(&answer),
            Err(outcome) => outcome,
        }
    }

    /// At most three requests: the service may ask for plain or less text, and for another chat.
    fn to_telegram(&self, bot: &Bot, message: &Message) -> Sent {
        const MOST: usize = 3;
        let (mut style, mut moved) = (Style::Html, None);
        let mut outcome = Outcome::Permanent {
            reason: format!("{MOST} forms of the message were refused"),
        };
        for _ in 0..MOST {
            let request = telegram::request(bot, message, style, moved);
            let reply = self
                .ask(&request)
                .map_or_else(Reply::Settled, |answer| telegram::reply(&answer, style));
            match reply {
                Reply::Rewrite(other) => style = other,
                Reply::Moved(chat) => moved = Some(chat),
                Reply::Settled(settled) => {
                    outcome = settled;
                    break;
                }
            }
        }
        let note = moved.map(|chat| {
            format!("the chat has become a supergroup: set telegram.chatId to \"{chat}\"")
        });
        Sent {
            notes: note.into_iter().collect(),
            ..whole(outcome, message)
        }
    }

    /// One event a node, a few at a time.
    fn to_pagerduty(&self, integration: &Integration, message: &Message) -> Sent {
        let texts = pagerduty::Texts::of(message);
        let event = |node: Option<&NodeFacts>| {
            let request = pagerduty::request(integration, message, &texts, node);
            self.exchange(&request, pagerduty::verdict)
        };
        if message.nodes.is_empty() {
            return whole(event(None), message);
        }
        summed(message, &each(&message.nodes, |node| event(Some(node))))
    }
}

/// Calls `event` for every node on a few threads; `None` where it was not called, which is after a failure that
/// concerns more than one node.
fn each(nodes: &[NodeFacts], event: impl Fn(&NodeFacts) -> Outcome + Sync) -> Vec<Option<Outcome>> {
    const THREADS: usize = 4;
    let outcomes = Mutex::new(vec![None; nodes.len()]);
    let (next, stop, any) = (
        AtomicUsize::new(0),
        AtomicBool::new(false),
        AtomicBool::new(false),
    );
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(node) = nodes.get(index) else { break };
            let outcome = event(node);
            match &outcome {
                Outcome::Delivered => any.store(true, Ordering::Relaxed),
                Outcome::Retry { .. } => stop.store(true, Ordering::Relaxed),
                // A key that is refused at the first event is refused at every other.
                Outcome::Permanent { .. } => {
                    stop.fetch_or(!any.load(Ordering::Relaxed), Ordering::Relaxed);
                }
            }
            outcomes.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..THREADS.min(nodes.len()) {
            scope.spawn(work);
        }
        work();
    });
    outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

/// One outcome of many: what can be repeated comes first, since refused events stay refused.
fn summed(message: &Message, outcomes: &[Option<Outcome>]) -> Sent {
    let told = outcomes
        .iter()
        .take_while(|outcome| **outcome == Some(Outcome::Delivered))
        .count();
    let count = outcomes.len();
    let first = |wanted: fn(&Outcome) -> bool| {
        outcomes
            .iter()
            .zip(&message.nodes)
            .find_map(|(outcome, node)| Some((outcome.as_ref().filter(|o| wanted(o))?, node)))
    };
    let failed = first(|outcome| matches!(outcome, Outcome::Retry { .. }))
        .or_else(|| first(|outcome| matches!(outcome, Outcome::Permanent { .. })));
    let outcome = match failed {
        None => Outcome::Delivered,
        Some((outcome, node)) => {
            let done = outcomes
                .iter()
                .filter(|outcome| **outcome == Some(Outcome::Delivered))
                .count();
            let described = |reason: &str| {
                format!(
                    "{done} of {count} events accepted; {}: {reason}",
                    node.name()
                )
            };
            match outcome.clone() {
                Outcome::Delivered => Outcome::Delivered,
                Outcome::Retry { reason, after } => Outcome::Retry {
                    reason: described(&reason),
                    after,
                },
                Outcome::Permanent { reason } => Outcome::Permanent {
                    reason: described(&reason),
                },
            }
        }
    };
    Sent {
        outcome,
        told,
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use ng_config::ChannelKind;

    use super::*;
    use crate::test_support::{AT, message};

    /// Servers at two addresses, with one port for both; each takes one request, and gives what came.
    fn replicas() -> [(SocketAddr, thread::JoinHandle<String>); 2] {
        let serve = |listener: TcpListener| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = String::new();
            let mut part = [0; 4096];
            while !text.ends_with("}]") {
                let count = stream.read(&mut part).unwrap();
                text += std::str::from_utf8(&part[..count]).unwrap();
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
            text
        };
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let second = TcpListener::bind(("127.0.0.2", port)).unwrap();
        [first, second].map(|listener| {
            let address = listener.local_addr().unwrap();
            (address, thread::spawn(move || serve(listener)))
        })
    }

    #[test]
    fn every_alertmanager_behind_a_name_is_told_under_that_name() {
        let replicas = replicas();
        let addresses = [replicas[0].0, replicas[1].0];
        let receiver = Receiver::sample(ChannelKind::Alertmanager);
        let Via::Http(http) = &receiver.via else {
            panic!("not HTTP");
        };
        let line = Line {
            receiver: &receiver,
            courier: receiver.courier().unwrap(),
            when: &When {
                now: AT,
                deadline: Instant::now() + Duration::from_mins(1),
            },
        };
        let request = channel::request(http, &message(), AT);
        let outcome = line.to_each(&addresses, &request, alertmanager::verdict);
        assert_eq!(outcome, Outcome::Delivered);
        for (_, server) in replicas {
            let text = server.join().unwrap().to_lowercase();
            assert!(
                text.contains("host: alertmanager.example.invalid:9093"),
                "{text}"
            );
        }
    }
}
