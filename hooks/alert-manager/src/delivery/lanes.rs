//! Sending: each of several receivers has a thread and one message under way; this thread alone writes to the store.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use ng_config::ChannelKind;
use ng_delivery::{Batch, Next, next};
use ng_hook::log::{Field, Level, Value};
use ng_notify::LogValue;
use ng_notify::message::Outcome;
use ng_state::{Claim, Claimant, Settlement, Store};

use super::plan::Lane;
use super::{CLAIM, Desk, Step};
use crate::chance::Chance;
use crate::courier::{self, Ended, Event, Job, Line, Shared, Worker};

/// The longest attempt. Mail servers take their time before they greet.
const ATTEMPT: Duration = Duration::from_secs(10);
const MAIL_ATTEMPT: Duration = Duration::from_secs(15);
/// An attempt that would have less time than this is left to the next run.
const WORTH_STARTING: Duration = Duration::from_secs(2);
/// How long after its beginning a run waits for the rate limit of a receiver: the next one comes soon.
const PATIENCE: Duration = Duration::from_millis(4500);
/// What a thread that does not keep to its deadline is given on top.
const GRACE: Duration = Duration::from_millis(500);

/// The part of a run that sends.
pub(super) struct Run<'r, 'd> {
    pub(super) store: &'r mut Store,
    pub(super) desk: &'r Desk<'d>,
    pub(super) claimant: &'r Claimant,
    pub(super) chance: &'r mut Chance,
}

/// A receiver at work.
struct Active {
    lane: Lane,
    /// `None`: its thread does not keep to its deadlines, and gets nothing more.
    worker: Option<Worker>,
    flight: Option<Flight>,
}

impl Active {
    fn is_late(&self) -> bool {
        let deadline = self.flight.as_ref().map(|flight| flight.deadline + GRACE);
        deadline.is_some_and(|deadline| deadline <= Instant::now())
    }
}

/// The message that is under way.
struct Flight {
    alerts: Vec<i64>,
    /// Attempts, this one included.
    attempts: u32,
    deadline: Instant,
}

impl Run<'_, '_> {
    /// Sends everything that the run has time for.
    pub(super) fn send(mut self, lanes: Vec<Lane>, shared: &Arc<Shared>) -> anyhow::Result<()> {
        let began = Instant::now();
        let (sender, events) = channel();
        let mut active = Vec::with_capacity(lanes.len());
        let is_alone = lanes.len() == 1;
        for lane in lanes {
            let desk = courier::Desk {
                receiver: Arc::clone(&lane.receiver),
                shared: Arc::clone(shared),
                events: sender.clone(),
            };
            let worker = if is_alone && desk.keeps_to_deadlines() {
                Worker::Here(desk)
            } else {
                Worker::start(desk)?
            };
            active.push(Active {
                lane,
                worker: Some(worker),
                flight: None,
            });
        }
        drop(sender);
        for place in 0..active.len() {
            self.advance(&mut active, place, None)?;
        }
        while active.iter().any(|lane| lane.flight.is_some())
            || (began.elapsed() < PATIENCE && self.waits_for_tokens(&active))
        {
            self.turn(&mut active, &events)?;
        }
        self.release(&active)
    }

    /// Waits for the next thing to happen, and goes on from there.
    fn turn(&mut self, active: &mut [Active], events: &Inbox<Event>) -> anyhow::Result<()> {
        match events.recv_timeout(self.wait(active)) {
            Ok(Event::Line(line)) => self.log_line(&line),
            Ok(Event::Ended(ended)) => {
                (self.desk.step)(Step::Sent);
                let place = ended.lane;
                self.advance(active, place, Some(ended))?;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                for place in 0..active.len() {
                    let late = active[place].is_late();
                    if late {
                        active[place].worker = None;
                    }
                    self.advance(active, place, late.then(|| overdue(place)))?;
                }
            }
        }
        Ok(())
    }

    fn wait(&self, active: &[Active]) -> Duration {
        const TOKEN_PAUSE: Duration = Duration::from_millis(100);
        let deadlines = active.iter().filter_map(|lane| lane.flight.as_ref());
        let next = deadlines.map(|flight| flight.deadline + GRACE).min();
        let wait = next.map_or(TOKEN_PAUSE, |next| {
            next.saturating_duration_since(Instant::now())
        });
        if self.waits_for_tokens(active) {
            wait.min(TOKEN_PAUSE)
        } else {
            wait
        }
    }

    /// Whether some receiver has more to come as soon as its rate limit allows.
    fn waits_for_tokens(&self, active: &[Active]) -> bool {
        let now = self.desk.clock.now();
        self.desk.clock.started.is_some()
            && active.iter().any(|lane| {
                lane.flight.is_none()
                    && lane.worker.is_some()
                    && !lane.lane.queue.is_empty()
                    && !lane.lane.state.is_paused(now)
            })
    }

    /// Settles the attempt that is over, if one is, and then starts the receiver's next message.
    fn advance(
        &mut self,
        active: &mut [Active],
        place: usize,
        ended: Option<Ended>,
    ) -> anyhow::Result<()> {
        let Some(lane) = active.get_mut(place) else {
            return Ok(());
        };
        if ended.is_some() && lane.flight.is_none() {
            // A thread that answers after all; its message is settled already.
            return Ok(());
        }
        if let Some(ended) = ended {
            self.settle(lane, ended)?;
        }
        while lane.flight.is_none() {
            let Some(batch) = self.take(lane) else {
                return Ok(());
            };
            self.start(lane, place, &batch)?;
        }
        Ok(())
    }

    /// The receiver's next message, if it may be sent now.
    fn take(&self, lane: &mut Active) -> Option<Batch> {
        let now = self.desk.clock.now();
        lane.worker.as_ref()?;
        let lane = &mut lane.lane;
        let left = self.desk.deadline.saturating_duration_since(Instant::now());
        let may = !lane.state.is_paused(now)
            && lane.state.tokens(lane.allowance, now) > 0
            && left > WORTH_STARTING;
        may.then(|| lane.queue.pop_front()).flatten()
    }

    fn start(&mut self, lane: &mut Active, place: usize, batch: &Batch) -> anyhow::Result<()> {
        let now = self.desk.clock.now();
        let channel = lane.lane.channel.as_str();
        let claim = Claim {
            claimant: self.claimant,
            until: now.plus(CLAIM),
        };
        let mut transaction = self.store.begin()?;
        let ids = transaction.start(channel, batch.id, &batch.alerts, claim)?;
        if ids.is_empty() {
            return Ok(());
        }
        lane.lane.change_state(&mut transaction, |lane| {
            lane.state.take(lane.allowance, now);
        })?;
        let found = transaction.alerts(&ids)?;
        transaction.commit()?;
        (self.desk.step)(Step::Committed);
        let (mut parcels, mut ids) = (Vec::new(), Vec::with_capacity(ids.len()));
        for loaded in found {
            match loaded.parcel {
                Ok(parcel) => {
                    parcels.push(parcel);
                    ids.extend(loaded.ids);
                }
                Err(error) => self.bury(&lane.lane.channel, &loaded.ids, &error)?,
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        let limit = match lane.lane.receiver.channel() {
            ChannelKind::Email => MAIL_ATTEMPT,
            _ => ATTEMPT,
        };
        let flight = Flight {
            alerts: ids.clone(),
            attempts: batch.attempts + 1,
            deadline: self.desk.deadline.min(Instant::now() + limit),
        };
        let job = Job {
            lane: place,
            flapping: lane.lane.flapping.contains(&flight.alerts[0]),
            parcels,
            ids,
            now,
            deadline: flight.deadline,
        };
        (self.desk.step)(Step::Sending);
        lane.flight = Some(flight);
        if let Some(worker) = &lane.worker {
            worker.send(job);
        }
        Ok(())
    }

    /// Alerts that cannot be read are given up at once: they must not hold up the others.
    fn bury(
        &mut self,
        channel: &str,
        ids: &[i64],
        error: &serde_json::Error,
    ) -> anyhow::Result<()> {
        let which = match ids {
            [one] => format!("alert {one}"),
            [first, .., last] => format!("alerts {first} to {last}"),
            [] => return Ok(()),
        };
        let reason = format!("the stored {which} cannot be read: {error}");
        self.desk.log.error(
            "alert given up",
            &[("channel", channel.into()), ("reason", (&reason).into())],
        );
        let dead = Settlement::Dead { reason };
        let mut transaction = self.store.begin()?;
        let count = transaction.settle(channel, ids, &dead, self.desk.clock.now())?;
        transaction.tally(channel, "dead", "unreadable", count)?;
        Ok(transaction.commit()?)
    }

    fn settle(&mut self, lane: &mut Active, ended: Ended) -> anyhow::Result<()> {
        let Some(flight) = lane.flight.take() else {
            return Ok(());
        };
        let now = self.desk.clock.now();
        let chance = self.chance.fraction();
        let (end, reason) = end(ended.outcome);
        let retrying = self.desk.retrying();
        let follows = next(end, flight.attempts, &retrying, now, chance);
        let (done, open): (Vec<i64>, Vec<i64>) = if follows == Next::Done {
            (flight.alerts, Vec::new())
        } else {
            let told: HashSet<i64> = ended.told.into_iter().collect();
            flight.alerts.into_iter().partition(|id| told.contains(id))
        };
        let (result, settlement) = match follows {
            Next::Done => ("delivered", Settlement::Done),
            Next::Again(at) => {
                let reason = reason.clone();
                ("failed", Settlement::Again { at, reason })
            }
            Next::Dead => {
                let reason = reason.clone();
                ("dead", Settlement::Dead { reason })
            }
        };
        let channel = lane.lane.channel.as_str();
        let mut transaction = self.store.begin()?;
        let delivered = transaction.settle(channel, &done, &Settlement::Done, now)?;
        transaction.tally(channel, "delivered", "", delivered)?;
        let others = transaction.settle(channel, &open, &settlement, now)?;
        if others > 0 {
            transaction.tally(channel, result, "", others)?;
        }
        lane.lane.change_state(&mut transaction, |lane| {
            lane.state.ended(end, retrying.delay, now, chance);
        })?;
        transaction.commit()?;
        (self.desk.step)(Step::Committed);
        let channel = lane.lane.channel.as_str();
        let told = Told {
            channel,
            alerts: done.len() + open.len(),
            attempts: flight.attempts,
            reason: &reason,
        };
        self.log_end(&told, follows);
        self.log_notes(channel, &ended.notes, &ended.problems);
        Ok(())
    }

    /// Gives back what was claimed and not tried.
    fn release(&mut self, active: &[Active]) -> anyhow::Result<()> {
        if active.iter().all(|lane| lane.lane.queue.is_empty()) {
            return Ok(());
        }
        let now = self.desk.clock.now();
        let mut transaction = self.store.begin()?;
        for lane in active {
            for batch in &lane.lane.queue {
                transaction.settle(
                    &lane.lane.channel,
                    &batch.alerts,
                    &Settlement::Released,
                    now,
                )?;
            }
        }
        transaction.commit()?;
        (self.desk.step)(Step::Committed);
        Ok(())
    }

    fn log_end(&self, told: &Told<'_>, follows: Next) {
        let Told {
            channel,
            alerts,
            attempts,
            reason,
        } = *told;
        let mut fields: Vec<Field<'_>> = vec![
            ("channel", channel.into()),
            ("alerts", alerts.into()),
            ("attempt", attempts.into()),
        ];
        if !reason.is_empty() {
            fields.push(("reason", reason.into()));
        }
        match follows {
            Next::Done => self.desk.log.info("alerts delivered", &fields),
            Next::Again(at) => {
                let at = at.to_string();
                fields.push(("next_attempt", Value::Text(&at)));
                self.desk.log.warn("alerts not delivered", &fields);
            }
            Next::Dead => self.desk.log.error("alerts given up", &fields),
        }
    }

    fn log_notes(&self, channel: &str, notes: &[String], problems: &[ng_notify::compose::Problem]) {
        for note in notes {
            self.desk.log.warn(
                "delivery",
                &[("channel", channel.into()), ("note", note.into())],
            );
        }
        for problem in problems {
            self.desk
                .log
                .warn("alert template", &[("problem", Value::Shown(problem))]);
        }
    }

    fn log_line(&self, line: &Line) {
        use ng_engine::rule::Severity;
        let level = match line.severity {
            Severity::Info => Level::Info,
            Severity::Warning => Level::Warn,
            Severity::Critical => Level::Error,
        };
        let fields: Vec<Field<'_>> = line
            .fields
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    LogValue::Text(text) => Value::Text(text),
                    LogValue::Integer(number) => Value::Integer(*number),
                    LogValue::Bool(yes) => Value::Bool(*yes),
                };
                (*name, value)
            })
            .collect();
        self.desk.alerts.log(level, &line.text, &fields);
    }
}

/// What is logged of an attempt.
struct Told<'a> {
    channel: &'a str,
    alerts: usize,
    attempts: u32,
    reason: &'a str,
}

fn end(outcome: Outcome) -> (ng_delivery::Ended, String) {
    match outcome {
        Outcome::Delivered => (ng_delivery::Ended::Delivered, String::new()),
        Outcome::Retry { reason, after } => (ng_delivery::Ended::Retry { after }, reason),
        Outcome::Permanent { reason } => (ng_delivery::Ended::Permanent, reason),
    }
}

fn overdue(lane: usize) -> Ended {
    Ended {
        lane,
        outcome: Outcome::Retry {
            reason: "no answer in the time of a run".to_owned(),
            after: None,
        },
        told: Vec::new(),
        notes: Vec::new(),
        problems: Vec::new(),
    }
}
