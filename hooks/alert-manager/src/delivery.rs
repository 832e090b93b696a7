//! One delivery run: what is new is admitted, what is due is claimed, sent and settled.
//!
//! ```text
//! [admit ─▶ plan ─▶ start, claim the others] ─▶ send ─▶ [settle] ─▶ [start the next] ─▶ send ─▶ …
//!                              one message of a receiver at a time
//! ```
//!
//! Brackets are transactions. An attempt is counted before it is made and settled before the receiver gets its next
//! message, so a process that is killed costs at most one duplicate on a channel.

mod ends;
mod lanes;
mod plan;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ng_config::Config;
use ng_delivery::{Admission, Flapping, Memory, Retrying};
use ng_engine::time::Time;
use ng_hook::Logger;
use ng_state::{Agenda, Keep, Store, Transaction};

use crate::chance::Chance;
use crate::courier::Shared;

/// How long a claim holds although its process lives: longer than any run.
const CLAIM: Duration = Duration::from_mins(1);

/// The time of a run, which goes on unless it was given.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// When the run began.
    pub base: Time,
    /// `None`: the time was given, and stands still.
    pub started: Option<Instant>,
}

impl Clock {
    /// The time.
    pub fn now(&self) -> Time {
        self.started
            .map_or(self.base, |started| self.base.plus(started.elapsed()))
    }
}

/// A point at which a process that is killed leaves another trace. Tests end the process there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was written.
    Committed,
    /// A message is about to be sent.
    Sending,
    /// An attempt is over and not yet settled.
    Sent,
}

/// What becomes of alerts on a channel that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The configuration is as it should be: they are settled.
    Settle,
    /// Something stands in for an invalid configuration, which may have had the channel: they wait for it for a while.
    Wait,
}

/// What a run works with.
pub struct Desk<'a> {
    /// The configuration.
    pub config: &'a Arc<Config>,
    /// What becomes of alerts on a channel it does not have.
    pub unusable: Unusable,
    /// The log.
    pub log: &'a Logger,
    /// Where the `log` channel writes: the same, whatever level is configured.
    pub alerts: &'a Logger,
    /// The time.
    pub clock: Clock,
    /// When sending has to be over.
    pub deadline: Instant,
    /// Called at each point at which a process that is killed leaves another trace.
    pub step: &'a dyn Fn(Step),
}

impl Desk<'_> {
    fn flapping(&self) -> Flapping {
        Flapping {
            threshold: self.config.alert.flap_threshold,
            half_life: self.config.alert.flap_half_life,
        }
    }

    fn retrying(&self) -> Retrying {
        Retrying {
            attempts: self.config.alert.retry_attempts,
            delay: self.config.alert.retry_delay,
        }
    }
}

/// Delivers what is due; to be called where there is work. `share` comes first: once an attempt is counted, nothing may
/// fail before it is made. Returns whether there was something to send.
pub fn deliver(
    store: &mut Store,
    agenda: &Agenda,
    desk: &Desk<'_>,
    chance: &mut Chance,
    share: impl FnOnce(&mut Store) -> anyhow::Result<Shared>,
) -> anyhow::Result<bool> {
    let claimant = store.claimant(chance.number())?;
    let shared = Arc::new(share(store)?);
    let mut transaction = store.begin()?;
    let news = admit(&mut transaction, agenda, desk)?;
    let lanes = plan::lanes(&mut transaction, agenda, desk)?;
    let has_some = !lanes.is_empty();
    let mut run = lanes::Run::new((desk, &claimant, chance), lanes, &shared)?;
    run.begin(&mut transaction)?;
    transaction.commit()?;
    (desk.step)(Step::Committed);
    store.give_back_memory();
    news.log(desk.log);
    run.send(store)?;
    Ok(has_some)
}

/// What was decided about new alerts.
#[derive(Default)]
struct News {
    muted: usize,
    /// Nodes that have begun to flap.
    began: Vec<String>,
    /// How many have calmed down.
    calm: usize,
}

impl News {
    fn log(&self, log: &Logger) {
        for node in &self.began {
            log.warn("node is flapping", &[("node", node.into())]);
        }
        if self.muted > 0 {
            log.info("alerts muted", &[("alerts", self.muted.into())]);
        }
        if self.calm > 0 {
            log.info("nodes have calmed down", &[("nodes", self.calm.into())]);
        }
    }
}

/// Decides about new alerts, and lets go of what has calmed down. What has come up since the look at the agenda is left
/// to the next run.
fn admit(
    transaction: &mut Transaction<'_>,
    agenda: &Agenda,
    desk: &Desk<'_>,
) -> anyhow::Result<News> {
    let now = desk.clock.now();
    let flapping = desk.flapping();
    let mut news = News::default();
    if agenda.fresh {
        transaction.admit(now, |alerts, memory| {
            let admission = memory.admit(&alerts.fresh, &flapping);
            match admission {
                Admission::Mute => news.muted += alerts.len,
                Admission::SendFlapping => {
                    let nodes = ng_engine::parcel::names(alerts.nodes);
                    let began = nodes.map(|node| format!("{node} of {}", alerts.rule));
                    news.began.extend(began);
                }
                Admission::Send | Admission::Hold => {}
            }
            admission
        })?;
    }
    if agenda.calm {
        news.calm = transaction.calm_down(now, Memory::calm_down)?;
    }
    Ok(news)
}

/// How long nothing is cleared up after runs that have something to send: those that only wait come in between.
pub(crate) const BUSY_INTERVAL: Duration = Duration::from_mins(5);
/// After runs that have something to do and nothing to send.
pub(crate) const CLEARING_INTERVAL: Duration = Duration::from_mins(1);
/// After runs that have nothing to do, so that dead letters do not stay for ever.
pub(crate) const IDLE_INTERVAL: Duration = Duration::from_hours(1);
const KEPT: Duration = Duration::from_hours(24);
const MOST_KEPT: u32 = 2000;
const RECEIVERS_KEPT: Duration = Duration::from_hours(24 * 7);

/// Whether nothing has been cleared up for this long.
pub(crate) fn is_clearing_due(agenda: &Agenda, interval: Duration, now: Time) -> bool {
    // A time to come is one of a clock that was set back.
    agenda
        .cleared
        .is_none_or(|last| last > now || now.since(last) >= interval)
}

/// Clears up the outbox, unless another process has done so since the look at the agenda.
pub(crate) fn clear_up(store: &mut Store, agenda: &Agenda, desk: &Desk<'_>) -> anyhow::Result<()> {
    let now = desk.clock.now();
    let keep = Keep {
        dead: desk.config.alert.dead_letter_age,
        settled: KEPT,
        most_settled: MOST_KEPT,
        receivers: RECEIVERS_KEPT,
    };
    let flapping = desk.flapping();
    let mut transaction = store.begin()?;
    if transaction.cleared()? != agenda.cleared {
        return Ok(());
    }
    transaction.prune(&keep, now, |memory| memory.is_stale(now, &flapping))?;
    transaction.commit()?;
    Ok(())
}
