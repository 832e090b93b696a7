//! What goes to which receiver in this run.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ng_config::{ChannelKind, Config, MONITOR_CHANNEL};
use ng_delivery::{Allowance, Batch, Grouping, ReceiverState, Stretch};
use ng_hook::Logger;
use ng_notify::Receiver;
use ng_state::{Agenda, OpenParcel, Settlement, StateError, Transaction};

use super::{Desk, Unusable};

/// How many attempts more than configured are made of a message whose attempts end with the process.
const MOST_CRASHES: u32 = 10;
/// How long alerts wait for a valid configuration.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// A receiver and what it is to be sent.
#[derive(Debug)]
pub(super) struct Lane {
    /// Name of the channel, as alerts have it.
    pub(super) channel: String,
    pub(super) receiver: Arc<Receiver>,
    /// For what is remembered of the receiver.
    pub(super) key: String,
    pub(super) allowance: Option<Allowance>,
    pub(super) state: ReceiverState,
    pub(super) queue: VecDeque<Batch>,
    /// Ids of alerts that say that their nodes are flapping.
    pub(super) flapping: std::collections::HashSet<i64>,
}

impl Lane {
    /// Changes how the receiver is doing, and remembers that if it is different now.
    pub(super) fn change_state(
        &mut self,
        transaction: &mut Transaction<'_>,
        change: impl FnOnce(&mut Self),
    ) -> Result<(), StateError> {
        let before = self.state;
        change(self);
        if self.state == before {
            return Ok(());
        }
        transaction.set_receiver(&self.key, &self.state)
    }
}

/// The receivers that are sent something, and what.
pub(super) fn lanes(
    transaction: &mut Transaction<'_>,
    agenda: &Agenda,
    desk: &Desk<'_>,
) -> anyhow::Result<Vec<Lane>> {
    let now = desk.clock.now();
    let open = transaction.open_alerts(now)?;
    let mut lanes = Vec::new();
    let mut unusable = BTreeMap::new();
    for (channel, stretches) in by_channel(&open) {
        match receiver(channel, desk.config) {
            Ok(receiver) => {
                let lane = lane(transaction, (channel, receiver), &stretches, desk)?;
                lanes.extend(lane);
            }
            Err(reason) => {
                settle_unusable(transaction, channel, &stretches, &reason, desk)?;
                unusable.insert(channel.to_owned(), reason);
            }
        }
    }
    warn_unusable(transaction, agenda, &unusable, desk)?;
    Ok(lanes)
}

fn by_channel(open: &[OpenParcel]) -> BTreeMap<&str, Vec<Stretch<'_>>> {
    let mut channels: BTreeMap<&str, Vec<Stretch<'_>>> = BTreeMap::new();
    for parcel in open {
        for delivery in &parcel.deliveries {
            let stretches = channels.entry(&delivery.channel).or_default();
            stretches.extend(parcel.stretches(delivery));
        }
    }
    channels
}

/// The receiver of a channel, or why it cannot be used.
fn receiver(channel: &str, config: &Config) -> Result<Receiver, String> {
    let own = channel.strip_suffix(MONITOR_CHANNEL);
    let kind: ChannelKind = own
        .unwrap_or(channel)
        .parse()
        .map_err(|error| format!("unknown channel {channel:?}: {error}"))?;
    let receiver = match own {
        Some(_) => Receiver::of(kind, &config.with_monitor_receivers()),
        None => Receiver::of(kind, config),
    };
    receiver.map_err(|error| error.to_string())
}

/// What the receiver is sent now; `None`: nothing, because nothing is due or because it is paused.
fn lane(
    transaction: &mut Transaction<'_>,
    (channel, receiver): (&str, Receiver),
    stretches: &[Stretch<'_>],
    desk: &Desk<'_>,
) -> anyhow::Result<Option<Lane>> {
    let now = desk.clock.now();
    let key = receiver.key();
    let mut state = transaction.receiver(&key)?;
    if state.rebase(now) {
        transaction.set_receiver(&key, &state)?;
    }
    let allowance = receiver.rate().map(|rate| Allowance {
        count: rate.count,
        per: rate.per,
    });
    if state.is_paused(now) || state.tokens(allowance, now) == 0 {
        return Ok(None);
    }
    let alert = &desk.config.alert;
    let grouping = Grouping {
        batch_size: usize::try_from(alert.batch_size.get()).unwrap_or(usize::MAX),
        batch_timeout: alert.batch_timeout,
    };
    let batches = ng_delivery::plan(stretches, &grouping, now);
    let queue = give_up(transaction, channel, batches, desk)?;
    Ok((!queue.is_empty()).then(|| Lane {
        channel: channel.to_owned(),
        receiver: Arc::new(receiver),
        key,
        allowance,
        state,
        queue,
        flapping: stretches
            .iter()
            .filter(|stretch| stretch.topic.flapping)
            .flat_map(Stretch::ids)
            .collect(),
    }))
}

/// Alerts on a channel that cannot be used.
fn settle_unusable(
    transaction: &mut Transaction<'_>,
    channel: &str,
    stretches: &[Stretch<'_>],
    reason: &str,
    desk: &Desk<'_>,
) -> anyhow::Result<()> {
    let now = desk.clock.now();
    let free = stretches.iter().filter(|stretch| !stretch.busy);
    let is_old = |queued| now.since(queued) >= LONGEST_WAIT;
    let ids: Vec<i64> = free
        .filter(|stretch| desk.unusable == Unusable::Settle || is_old(stretch.queued))
        .flat_map(Stretch::ids)
        .collect();
    let reason = reason.to_owned();
    let (settlement, result) = match desk.unusable {
        Unusable::Settle => (Settlement::Skipped { reason }, "skipped"),
        Unusable::Wait => (Settlement::Dead { reason }, "dead"),
    };
    let count = transaction.settle(channel, &ids, &settlement, now)?;
    if count > 0 {
        transaction.tally(channel, result, "notConfigured", count)?;
    }
    Ok(())
}

/// Gives up what was tried again and again by processes that ended over it: without a limit, one alert that ends its
/// process would hold up all others for ever.
fn give_up(
    transaction: &mut Transaction<'_>,
    channel: &str,
    batches: Vec<Batch>,
    desk: &Desk<'_>,
) -> anyhow::Result<VecDeque<Batch>> {
    let most = desk
        .config
        .alert
        .retry_attempts
        .saturating_add(MOST_CRASHES);
    let (lost, kept): (Vec<Batch>, Vec<Batch>) =
        batches.into_iter().partition(|batch| batch.attempts > most);
    for batch in lost {
        let reason = format!(
            "{} attempts, the last of which nobody lived to see the end of",
            batch.attempts
        );
        desk.log.error(
            "alerts given up",
            &[("channel", channel.into()), ("reason", (&reason).into())],
        );
        let dead = Settlement::Dead { reason };
        let count = transaction.settle(channel, &batch.alerts, &dead, desk.clock.now())?;
        transaction.tally(channel, "dead", "crashed", count)?;
    }
    Ok(kept.into())
}

/// One warning for each channel, and again only when something about it has changed.
fn warn_unusable(
    transaction: &mut Transaction<'_>,
    agenda: &Agenda,
    unusable: &BTreeMap<String, String>,
    desk: &Desk<'_>,
) -> anyhow::Result<()> {
    let noted = agenda.warned.as_deref().unwrap_or_default();
    let mut known: BTreeMap<String, String> = serde_json::from_str(noted).unwrap_or_default();
    let before = known.clone();
    // A channel that can be used by now is worth a warning when it cannot be any more.
    known.retain(|channel, _| receiver(channel, desk.config).is_err());
    for (channel, reason) in unusable {
        if known.get(channel) != Some(reason) {
            warn(desk.log, channel, reason);
            known.insert(channel.clone(), reason.clone());
        }
    }
    if known != before {
        let noted = (!known.is_empty()).then(|| serde_json::to_string(&known));
        transaction.set_warned(noted.transpose()?.as_deref())?;
    }
    Ok(())
}

fn warn(log: &Logger, channel: &str, reason: &str) {
    log.warn(
        "alerts are not sent on a channel",
        &[("channel", channel.into()), ("reason", reason.into())],
    );
}
