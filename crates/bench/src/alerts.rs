//! What delivering alerts costs.

use std::path::{Path, PathBuf};
use std::slice;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use crate::run::{Program, Usage, pair};
use crate::server::Server;
use crate::world::Heat;
use crate::{Bench, MEBIBYTE, ROUNDS, Table, bytes, hello, keep_state, world};

/// The most memory that a full outbox may take.
const MEMORY: u64 = 48 * MEBIBYTE;

/// The rows of the alert-manager.
pub(crate) fn alerts(binaries: &Path, table: &mut Table) -> anyhow::Result<()> {
    direct_call(binaries, table)?;
    one_rule(binaries, table)?;
    full_outbox(binaries, table)
}

fn direct_call(binaries: &Path, table: &mut Table) -> anyhow::Result<()> {
    let bench = Bench::new(binaries, None)?;
    let rule = r#"{"metadata":{"name":"hot"},"spec":{"metadata":{"severity":"warning"}}}"#;
    let mut call = bench.run_of("alert-manager", "context", "2026-01-10T00:00:00Z");
    call.arguments = ["builtin", rule, r#"["node-1"]"#, r#"["log"]"#]
        .map(PathBuf::from)
        .to_vec();
    table.ratio(
        "direct call with the log channel",
        &pair(ROUNDS * 3, &hello(binaries), &call, || Ok(()))?,
        3.0,
    );
    Ok(())
}

/// An outbox with one alert of one rule for each of so many nodes.
pub(crate) struct Outbox {
    bench: Bench,
    pub(crate) server: Server,
}

impl Outbox {
    pub(crate) fn of(binaries: &Path, nodes: usize) -> anyhow::Result<Self> {
        let answers = (0..world::METRICS.len())
            .map(|metric| world::answer(metric, nodes, Heat::Usual))
            .collect();
        let server = Server::start(answers)?;
        let bench = Bench::new(binaries, Some(&server))?;
        let config = json!({
            "prometheus": {"url": server.url, "maxSamples": 50_000},
            "alert": {"webhookUrl": format!("{}/hook", server.url), "defaultChannels": ["webhook"]},
        });
        bench.put("config/config.json", config.to_string().as_bytes())?;
        let delivery = json!([{
            "binding": "alert-delivery", "type": "Schedule", "snapshots": {"monitor-alert-templates": []},
        }]);
        bench.put("delivery", delivery.to_string().as_bytes())?;
        // As in a cluster, where one message follows another: there was one before, of another rule.
        let name = "ip-10-0-0-0.eu-central-1.compute.internal";
        let before = world::alert_rule("before", &json!({"kubernetes.io/hostname": name}));
        let everywhere = world::alert_rule("everywhere", &json!({}));
        bench.put(
            "context",
            &world::context_of(nodes, slice::from_ref(&before)),
        )?;
        bench.tick("context", "2026-01-09T23:58:00Z").run()?;
        bench
            .run_of("alert-manager", "delivery", "2026-01-09T23:59:00Z")
            .run()?;
        ensure!(
            server.take_posted().len() == 1,
            "one message comes before the others"
        );
        bench.put("context", &world::context_of(nodes, &[before, everywhere]))?;
        bench.tick("context", "2026-01-10T00:00:00Z").run()?;
        keep_state(&bench.path("state"), &bench.path("kept"))?;
        server.take_posted();
        Ok(Self { bench, server })
    }

    fn restore(&self) -> anyhow::Result<()> {
        keep_state(&self.bench.path("kept"), &self.bench.path("state"))?;
        self.bench.clear_outputs()
    }

    /// A delivery long after the alerts were queued, so that nothing waits for a batch to fill.
    pub(crate) fn delivery(&self) -> Program {
        self.bench
            .run_of("alert-manager", "delivery", "2026-01-10T00:02:00Z")
    }
}

fn one_rule(binaries: &Path, table: &mut Table) -> anyhow::Result<()> {
    let outbox = Outbox::of(binaries, 1_000)?;
    let delivery = outbox.delivery();
    delivery.run()?;
    let bodies = outbox.server.take_posted();
    ensure!(!bodies.is_empty(), "nothing was delivered");
    let mut arguments = vec![PathBuf::from(
        outbox.server.url.trim_start_matches("http://"),
    )];
    for (index, body) in bodies.iter().enumerate() {
        let name = format!("body-{index}");
        outbox.bench.put(&name, body)?;
        arguments.push(outbox.bench.path(&name));
    }
    let floor = Program {
        path: binaries.join("floor_post"),
        arguments,
        environment: Vec::new(),
    };
    let what = format!("1,000 alerts of one rule, in {} messages", bodies.len());
    let measured = pair(ROUNDS * 3, &floor, &delivery, || outbox.restore())?;
    table.ratio(&what, &measured, 3.0);
    Ok(())
}

fn full_outbox(binaries: &Path, table: &mut Table) -> anyhow::Result<()> {
    let outbox = |nodes| Outbox::of(binaries, nodes);
    let outboxes = [outbox(2_500)?, outbox(6_250)?, outbox(10_000)?];
    let mut least = [Duration::MAX; 3];
    let mut peak = 0;
    // One after the other in every round, so that a machine that is slower for a while is so for all.
    for _ in 0..ROUNDS * 2 {
        for (outbox, least) in outboxes.iter().zip(&mut least) {
            outbox.restore()?;
            let Usage { cpu, peak: memory } = outbox.delivery().run()?;
            *least = cpu.min(*least);
            peak = peak.max(memory);
            ensure!(
                !outbox.server.take_posted().is_empty(),
                "nothing was delivered"
            );
        }
    }
    let [low, middle, high] = least.map(|least| least.as_secs_f64() * 1e3);
    let slope = (high - middle) / (middle - low);
    let figure = format!("{low:.1} / {middle:.1} / {high:.1} ms, slope {slope:.2}");
    table.add(
        "2,500 to 10,000 queued alerts",
        figure,
        "slope <= 1.15",
        slope <= 1.15,
    );
    let figure = format!("{:.1} MiB", bytes(peak) / bytes(MEBIBYTE));
    table.add("  peak memory", figure, "<= 48 MiB", peak <= MEMORY);
    Ok(())
}
