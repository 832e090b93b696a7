//! Sending: each of several receivers has a thread and one message under way; this thread alone writes to the store.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use ng_config::ChannelKind;
use ng_delivery::{Batch, Next, next};
use ng_engine::parcel::Parcel;
use ng_hook::log::{Field, Level, Value};
use ng_notify::LogValue;
use ng_notify::compose::Problem;
use ng_state::{Claim, Claimant, Settlement, Store, Transaction};

use super::ends::{end, fate, overdue};
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
    desk: &'r Desk<'d>,
    claimant: &'r Claimant,
    chance: &'r mut Chance,
    active: Vec<Active>,
    events: Inbox<Event>,
    /// The first reason why a message could not be started. The other receivers get theirs all the same.
    failed: Option<anyhow::Error>,
}

/// A receiver at work.
struct Active {
    lane: Lane,
    /// `None`: its thread does not keep to its deadlines, and gets nothing more.
    worker: Option<Worker>,
    flight: Option<Flight>,
    /// The message that was started and is sent as soon as that is committed.
    job: Option<Job>,
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

/// Whose deliveries are that are started.
#[derive(Clone, Copy)]
enum Held {
    /// Nobody's, as was seen in the same transaction.
    ByNobody,
    /// This process's, by a claim.
    ByUs,
}

impl<'r, 'd> Run<'r, 'd> {
    /// Gets everything ready that could fail before an attempt is counted.
    pub(super) fn new(
        (desk, claimant, chance): (&'r Desk<'d>, &'r Claimant, &'r mut Chance),
        lanes: Vec<Lane>,
        shared: &Arc<Shared>,
    ) -> std::io::Result<Self> {
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
                job: None,
            });
        }
        Ok(Self {
            desk,
            claimant,
            chance,
            active,
            events,
            failed: None,
        })
    }

    /// Starts the first message of each receiver and claims the others: in the transaction in which they were planned,
    /// so that what is claimed is what was looked at.
    pub(super) fn begin(&mut self, transaction: &mut Transaction<'_>) -> anyhow::Result<()> {
        for place in 0..self.active.len() {
            if let Err(error) = self.start_next(transaction, place, Held::ByNobody) {
                let Active { lane, worker, .. } = &mut self.active[place];
                *worker = None;
                let error = error.context(format!(
                    "cannot start a message on channel {}",
                    lane.channel
                ));
                let reason = format!("{error:#}");
                let fields = [
                    ("channel", (&lane.channel).into()),
                    ("reason", (&reason).into()),
                ];
                self.desk.log.error("message not started", &fields);
                self.failed.get_or_insert(error);
            }
            let lane = &self.active[place].lane;
            for batch in &lane.queue {
                transaction.claim(&lane.channel, &batch.alerts, self.claim())?;
            }
        }
        Ok(())
    }

    /// Sends everything that the run has time for, once that transaction is committed.
    pub(super) fn send(mut self, store: &mut Store) -> anyhow::Result<()> {
        let began = Instant::now();
        for place in 0..self.active.len() {
            self.hand_over(place);
        }
        while self.active.iter().any(|lane| lane.flight.is_some())
            || (began.elapsed() < PATIENCE && self.waits_for_tokens())
        {
            self.turn(store)?;
        }
        self.release(store)?;
        self.failed.map_or(Ok(()), Err)
    }

    fn claim(&self) -> Claim<'r> {
        Claim {
            claimant: self.claimant,
            until: self.desk.clock.now().plus(CLAIM),
        }
    }

    /// Waits for the next thing to happen, and goes on from there.
    fn turn(&mut self, store: &mut Store) -> anyhow::Result<()> {
        match self.events.recv_timeout(self.wait()) {
            Ok(Event::Line(line)) => self.log_line(&line),
            Ok(Event::Ended(ended)) => {
                (self.desk.step)(Step::Sent);
                self.advance(store, ended.lane, Some(ended))?;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                for place in 0..self.active.len() {
                    let late = self.active[place].is_late();
                    if late {
                        self.active[place].worker = None;
                    }
                    self.advance(store, place, late.then(|| overdue(place)))?;
                }
            }
        }
        Ok(())
    }

    fn wait(&self) -> Duration {
        const TOKEN_PAUSE: Duration = Duration::from_millis(100);
        let deadlines = self.active.iter().filter_map(|lane| lane.flight.as_ref());
        let next = deadlines.map(|flight| flight.deadline + GRACE).min();
        let wait = next.map_or(TOKEN_PAUSE, |next| {
            next.saturating_duration_since(Instant::now())
        });
        if self.waits_for_tokens() {
            wait.min(TOKEN_PAUSE)
        } else {
            wait
        }
    }

    /// Whether some receiver has more to come as soon as its rate limit allows.
    fn waits_for_tokens(&self) -> bool {
        let now = self.desk.clock.now();
        self.desk.clock.started.is_some()
            && self.active.iter().any(|lane| {
                lane.flight.is_none()
                    && lane.worker.is_some()
                    && !lane.lane.queue.is_empty()
                    && !lane.lane.state.is_paused(now)
            })
    }

    /// Settles the attempt that is over, if one is, and then starts the receiver's next message. What the receiver has is
    /// settled by itself: nothing that becomes of the next message must take it back.
    fn advance(
        &mut self,
        store: &mut Store,
        place: usize,
        ended: Option<Ended>,
    ) -> anyhow::Result<()> {
        let Some(lane) = self.active.get_mut(place) else {
            return Ok(());
        };
        if let Some(ended) = ended {
            let Some(flight) = lane.flight.take() else {
                // A thread that answers after all; its message is settled already.
                return Ok(());
            };
            let mut transaction = store.begin()?;
            let settled = self.settle(&mut transaction, place, (flight, ended))?;
            transaction.commit()?;
            (self.desk.step)(Step::Committed);
            self.log_end(&self.active[place].lane.channel, &settled);
        }
        if self.active[place].flight.is_none() && self.may_send(place) {
            let mut transaction = store.begin()?;
            self.start_next(&mut transaction, place, Held::ByUs)?;
            transaction.commit()?;
            (self.desk.step)(Step::Committed);
            self.hand_over(place);
        }
        Ok(())
    }

    /// Whether the receiver has another message that may be sent now.
    fn may_send(&self, place: usize) -> bool {
        let now = self.desk.clock.now();
        let Active { lane, worker, .. } = &self.active[place];
        let left = self.desk.deadline.saturating_duration_since(Instant::now());
        worker.is_some()
            && !lane.queue.is_empty()
            && !lane.state.is_paused(now)
            && lane.state.tokens(lane.allowance, now) > 0
            && left > WORTH_STARTING
    }

    /// Starts the receiver's next message, if it may be sent now and is not settled by somebody else meanwhile.
    fn start_next(
        &mut self,
        transaction: &mut Transaction<'_>,
        place: usize,
        held: Held,
    ) -> anyhow::Result<()> {
        while self.active[place].flight.is_none() && self.may_send(place) {
            if let Some(batch) = self.active[place].lane.queue.pop_front() {
                self.start(transaction, place, (&batch, held))?;
            }
        }
        Ok(())
    }

    fn start(
        &mut self,
        transaction: &mut Transaction<'_>,
        place: usize,
        (batch, held): (&Batch, Held),
    ) -> anyhow::Result<()> {
        let now = self.desk.clock.now();
        let claim = self.claim();
        let Active { lane, .. } = &mut self.active[place];
        let (channel, alerts) = (&lane.channel, &batch.alerts);
        let ids = match held {
            Held::ByNobody => transaction.claim_and_start(channel, batch.id, alerts, claim)?,
            Held::ByUs => transaction.start(channel, batch.id, alerts, claim)?,
        };
        if ids.is_empty() {
            return Ok(());
        }
        lane.change_state(transaction, |lane| lane.state.take(lane.allowance, now))?;
        let (parcels, ids) = self.open(transaction, place, &ids)?;
        if ids.is_empty() {
            return Ok(());
        }
        let lane = &self.active[place].lane;
        let limit = match lane.receiver.channel() {
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
            flapping: lane.flapping.contains(&ids[0]),
            parcels,
            ids,
            now,
            deadline: flight.deadline,
        };
        self.active[place].flight = Some(flight);
        self.active[place].job = Some(job);
        Ok(())
    }

    /// The alerts and their ids. Those that cannot be read are given up at once: they must not hold up the others.
    fn open(
        &self,
        transaction: &mut Transaction<'_>,
        place: usize,
        ids: &[i64],
    ) -> anyhow::Result<(Vec<Parcel>, Vec<i64>)> {
        let (mut parcels, mut readable) = (Vec::new(), Vec::with_capacity(ids.len()));
        for loaded in transaction.alerts(ids)? {
            match loaded.parcel {
                Ok(parcel) => {
                    parcels.push(parcel);
                    readable.extend(loaded.ids);
                }
                Err(error) => self.bury(transaction, place, (&loaded.ids, &error))?,
            }
        }
        Ok((parcels, readable))
    }

    fn bury(
        &self,
        transaction: &mut Transaction<'_>,
        place: usize,
        (ids, error): (&[i64], &serde_json::Error),
    ) -> anyhow::Result<()> {
        let channel = &self.active[place].lane.channel;
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
        let count = transaction.settle(channel, ids, &dead, self.desk.clock.now())?;
        Ok(transaction.tally(channel, "dead", "unreadable", count)?)
    }

    /// Has the message sent that was started, if one was.
    fn hand_over(&mut self, place: usize) {
        let active = &mut self.active[place];
        if let (Some(job), Some(worker)) = (active.job.take(), &active.worker) {
            (self.desk.step)(Step::Sending);
            worker.send(job);
        }
    }

    fn settle(
        &mut self,
        transaction: &mut Transaction<'_>,
        place: usize,
        (flight, ended): (Flight, Ended),
    ) -> anyhow::Result<Settled> {
        let now = self.desk.clock.now();
        let chance = self.chance.fraction();
        let (end, reason) = end(ended.outcome);
        let retrying = self.desk.retrying();
        let follows = next(end, flight.attempts, &retrying, now, chance);
        let alerts = flight.alerts.len();
        let (done, open): (Vec<i64>, Vec<i64>) = if follows == Next::Done {
            (flight.alerts, Vec::new())
        } else {
            let told: HashSet<i64> = ended.told.into_iter().collect();
            flight.alerts.into_iter().partition(|id| told.contains(id))
        };
        let lane = &mut self.active[place].lane;
        let channel = lane.channel.as_str();
        let delivered = transaction.settle(channel, &done, &Settlement::Done, now)?;
        transaction.tally(channel, "delivered", "", delivered)?;
        let (result, settlement) = fate(follows, &reason);
        let others = transaction.settle(channel, &open, &settlement, now)?;
        if others > 0 {
            transaction.tally(channel, result, "", others)?;
        }
        lane.change_state(transaction, |lane| {
            lane.state.ended(end, retrying.delay, now, chance);
        })?;
        Ok(Settled {
            alerts,
            attempts: flight.attempts,
            reason,
            follows,
            notes: ended.notes,
            problems: ended.problems,
        })
    }

    /// Gives back what was claimed and not tried.
    fn release(&mut self, store: &mut Store) -> anyhow::Result<()> {
        if self.active.iter().all(|lane| lane.lane.queue.is_empty()) {
            return Ok(());
        }
        let now = self.desk.clock.now();
        let mut transaction = store.begin()?;
        for Active { lane, .. } in &self.active {
            for batch in &lane.queue {
                let released = Settlement::Released;
                transaction.settle(&lane.channel, &batch.alerts, &released, now)?;
            }
        }
        transaction.commit()?;
        (self.desk.step)(Step::Committed);
        Ok(())
    }

    fn log_end(&self, channel: &str, settled: &Settled) {
        let log = self.desk.log;
        let mut fields: Vec<Field<'_>> = vec![
            ("channel", channel.into()),
            ("alerts", settled.alerts.into()),
            ("attempt", settled.attempts.into()),
        ];
        if !settled.reason.is_empty() {
            fields.push(("reason", (&settled.reason).into()));
        }
        match settled.follows {
            Next::Done => log.info("alerts delivered", &fields),
            Next::Again(at) => {
                let at = at.to_string();
                fields.push(("next_attempt", Value::Text(&at)));
                log.warn("alerts not delivered", &fields);
            }
            Next::Dead => log.error("alerts given up", &fields),
        }
        for note in &settled.notes {
            let fields = [("channel", channel.into()), ("note", note.into())];
            log.warn("delivery", &fields);
        }
        for problem in &settled.problems {
            log.warn("alert template", &[("problem", Value::Shown(problem))]);
        }
    }

    fn log_line(&self, line: &Line) {
        use ng_engine::rule::Severity;
        let level = match line.severity {
            Severity::Info => Level::Info,
            Severity::Warning => Level::Warn,
            Severity::Critical => Level::Error,
        };
        let value = |value| match value {
            &LogValue::Integer(number) => Value::Integer(number),
            &LogValue::Bool(yes) => Value::Bool(yes),
            LogValue::Text(text) => Value::Text(text),
        };
        let fields = line.fields.iter();
        let fields = fields.map(|(name, found)| (*name, value(found)));
        let fields: Vec<Field<'_>> = fields.collect();
        self.desk.alerts.log(level, &line.text, &fields);
    }
}

/// How an attempt ended, for the log.
struct Settled {
    alerts: usize,
    attempts: u32,
    reason: String,
    follows: Next,
    notes: Vec<String>,
    problems: Vec<Problem>,
}
