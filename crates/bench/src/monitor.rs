//! What a check of all nodes costs without a rule.

use std::path::Path;

use crate::run::pair;
use crate::server::Server;
use crate::{Bench, MEBIBYTE, ROUNDS, Table, bytes, keep_state, world};

const NODES: usize = 5_000;

/// The most memory that a check may take.
const MEMORY: u64 = 64 * MEBIBYTE;

/// Checks before the one that is measured: enough that forecasts are made of what they found.
const BEFORE: u32 = 45;

/// The rows of the node-monitor.
pub(crate) fn monitor(binaries: &Path, table: &mut Table) -> anyhow::Result<()> {
    let (bench, server) = scene(binaries, NODES, BEFORE)?;
    let floor = bench.floor_of("context", &world::monitor_answers(NODES))?;
    keep_state(&bench.path("state"), &bench.path("kept"))?;
    server.take_requests();
    let check = bench.run_of("node-monitor", "context", "2026-01-10T00:00:00Z");
    let measured = pair(ROUNDS, &floor, &check, || {
        keep_state(&bench.path("kept"), &bench.path("state"))?;
        bench.clear_outputs()
    })?;
    let requests = server.take_requests() / (ROUNDS + 1);
    table.ratio(
        "check of 5,000 nodes, with history and forecasts",
        &measured,
        2.5,
    );
    let figure = format!("{:.1} MiB", bytes(measured.peak) / bytes(MEBIBYTE));
    table.add(
        "  peak memory",
        figure,
        "<= 64 MiB",
        measured.peak <= MEMORY,
    );
    table.add("  requests", requests.to_string(), "<= 6", requests <= 6);
    Ok(())
}

/// So many nodes that were checked so often, a minute apart.
pub(crate) fn scene(binaries: &Path, nodes: usize, before: u32) -> anyhow::Result<(Bench, Server)> {
    let server = Server::start(world::monitor_answers(nodes))?;
    let bench = Bench::new(binaries, Some(&server))?;
    bench.put("context", &world::monitor_context(nodes))?;
    // The answers are of the hour after, and so never too old.
    for minute in 60 - before..60 {
        let now = format!("2026-01-09T23:{minute:02}:00Z");
        bench.run_of("node-monitor", "context", &now).run()?;
    }
    Ok((bench, server))
}
