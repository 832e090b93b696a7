//! One delivery run: what is new is admitted, what is due is claimed, sent and settled.
//!
//! ```text
//! [admit ─▶ plan ─▶ claim] ─▶ [start] ─▶ send ─▶ [settle] ─▶ [start the next] ─▶ …
//!                              one message of a receiver at a time
//! ```
//!
//! Brackets are transactions. An attempt is counted before it is made and settled before the receiver gets its next
//! message, so a process that is killed costs at most one duplicate on a channel.

mod lanes;
mod plan;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ng_config::Config;
use ng_delivery::{Admission, Flapping, Memory, Retrying};
use ng_engine::time::Time;
use ng_hook::Logger;
use ng_state::{Keep, Store, Transaction};

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

/// Delivers what is due; to be called where [`Store::has_work`]. `share` is only called when there is something to send.
pub fn deliver(
    store: &mut Store,
    desk: &Desk<'_>,
    chance: &mut Chance,
    share: impl FnOnce(&mut Store) -> anyhow::Result<Shared>,
) -> anyhow::Result<()> {
    let claimant = store.claimant(chance.number())?;
    let mut transaction = store.begin()?;
    let news = admit(&mut transaction, desk)?;
    let lanes = plan::claim(&mut transaction, desk, &claimant)?;
    transaction.commit()?;
    (desk.step)(Step::Committed);
    news.log(desk.log);
    if lanes.is_empty() {
        return Ok(());
    }
    let shared = Arc::new(share(store)?);
    lanes::Run {
        store,
        desk,
        claimant: &claimant,
        chance,
    }
    .send(lanes, &shared)
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

/// Decides about new alerts, and lets go of what has calmed down.
fn admit(transaction: &mut Transaction<'_>, desk: &Desk<'_>) -> anyhow::Result<News> {
    let now = desk.clock.now();
    let flapping = desk.flapping();
    let mut news = News::default();
    transaction.admit(now, |alert, memory| {
        let admission = memory.admit(&alert.fresh, &flapping);
        match admission {
            Admission::Mute => news.muted += 1,
            Admission::SendFlapping => {
                news.began.push(format!("{} of {}", alert.node, alert.rule));
            }
            Admission::Send | Admission::Hold => {}
        }
        admission
    })?;
    news.calm = transaction.calm_down(now, Memory::calm_down)?;
    Ok(news)
}

/// The note of the last time the outbox was cleared up.
const CLEARED: &str = "alert-manager/cleared";
/// Where runs have something to do.
const CLEARING_INTERVAL: Duration = Duration::from_mins(1);
/// Where they have not, so that dead letters do not stay for ever.
const IDLE_INTERVAL: Duration = Duration::from_hours(1);
const KEPT: Duration = Duration::from_hours(24);
const MOST_KEPT: u32 = 2000;
const RECEIVERS_KEPT: Duration = Duration::from_hours(24 * 7);

/// Whether nothing has been cleared up for long.
pub(crate) fn is_clearing_overdue(store: &Store, now: Time) -> anyhow::Result<bool> {
    is_due(store, IDLE_INTERVAL, now)
}

fn is_due(store: &Store, interval: Duration, now: Time) -> anyhow::Result<bool> {
    let noted = store.note(CLEARED)?.and_then(|text| text.parse().ok());
    // A time to come is one of a clock that was set back.
    Ok(noted
        .map(Time::from_millis)
        .is_none_or(|last| last > now || now.since(last) >= interval))
}

/// Clears up the outbox once in a while.
pub(crate) fn clear_up(store: &mut Store, desk: &Desk<'_>) -> anyhow::Result<()> {
    let now = desk.clock.now();
    if !is_due(store, CLEARING_INTERVAL, now)? {
        return Ok(());
    }
    let keep = Keep {
        dead: desk.config.alert.dead_letter_age,
        settled: KEPT,
        most_settled: MOST_KEPT,
        receivers: RECEIVERS_KEPT,
    };
    let flapping = desk.flapping();
    let mut transaction = store.begin()?;
    transaction.prune(&keep, now, |memory| memory.is_stale(now, &flapping))?;
    transaction.set_note(CLEARED, Some(&now.millis().to_string()))?;
    transaction.commit()?;
    Ok(())
}
