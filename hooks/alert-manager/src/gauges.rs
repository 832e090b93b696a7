//! The metrics of the outbox, one group, written whole by every run.

use ng_engine::time::Time;
use ng_hook::MetricGroup;
use ng_state::Store;

/// Everything the outbox has to say. The number of alerts that were queued is the controller's to publish.
pub(crate) fn outbox(store: &Store, now: Time) -> anyhow::Result<MetricGroup> {
    let mut group = MetricGroup::new("alert-manager");
    for tally in store.tallies()? {
        group.set(
            "nodeguardian_alerts_total",
            &[
                ("channel", &tally.channel),
                ("result", &tally.result),
                ("reason", &tally.reason),
            ],
            float(tally.value),
        );
    }
    let counts = store.outbox_counts()?;
    group.set("nodeguardian_outbox_pending", &[], float(counts.pending));
    group.set("nodeguardian_outbox_held", &[], float(counts.held));
    group.set("nodeguardian_outbox_dead", &[], float(counts.dead));
    let age = counts
        .oldest_pending
        .map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
    group.set("nodeguardian_outbox_oldest_pending_seconds", &[], age);
    Ok(group)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
