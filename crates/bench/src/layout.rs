//! Writes `hooks/layout.ld`, which puts the functions that usual runs pass through next to each other.
//!
//! A run is short, so most of what it executes it meets for the first time: each page of code has to be mapped, and
//! each line of it fetched. Where an executable has these functions scattered over five megabytes, that is a fifteenth
//! of a delivery.
//!
//! The runs are followed by Valgrind, the linker's map tells the section of each address, and a section is named by a
//! pattern that leaves out what changes with each version of a compiler or a package. A name that is not found any more
//! costs nothing but its place.

mod section;
mod trace;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::alerts::Outbox;
use crate::run::Program;
use crate::world::{self, Heat};
use crate::{Bench, monitor};
use section::{Map, twins};
use trace::Trace;

/// The executables that are followed; the layout is for all of them and for what else is linked with it.
const FOLLOWED: [&str; 5] = [
    "alert-manager",
    "controller",
    "node-monitor",
    "recovery-manager",
    "config-loader",
];

const HEAD: &str = "\
/* What usual runs pass through, in the order in which they do: together, it takes fewer pages. `*` stands for what
   changes with each version of a compiler or a package. Written by `ng-bench --layout`. */
SECTIONS
{
  .text.first :
  {
";

const TAIL: &str = "\
  }
}
INSERT BEFORE .text;
";

/// Builds the executables, follows them, and writes the layout.
pub(crate) fn write(path: &Path) -> anyhow::Result<()> {
    let binaries = crate::folder()?;
    build("ng-bench", "launch", &[])?;
    let mut trace = Trace::default();
    for name in FOLLOWED {
        let map = binaries.join(format!("{name}.map"));
        let to_map = format!("-Clink-arg=-Wl,-Map={}", map.display());
        build(&format!("ng-{name}"), name, &[to_map])?;
        trace.add(name, Map::read(&map)?);
    }
    follow(&binaries, &mut trace)?;
    let mut lines = String::new();
    for pattern in trace.patterns() {
        for pattern in [vec![pattern.to_owned()], twins(pattern)].concat() {
            lines.extend(["    ", &pattern, "\n"]);
        }
    }
    put(path, &format!("{HEAD}{lines}{TAIL}"))
}

#[expect(clippy::disallowed_methods, reason = "a file of the sources")]
fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Builds an executable of a package for release, with arguments for its compiler.
fn build(package: &str, name: &str, arguments: &[String]) -> anyhow::Result<()> {
    let status = Command::new("cargo")
        .args(["rustc", "--release", "--locked"])
        .args(["-p", package, "--bin", name, "--"])
        .args(arguments)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "{name} was not built");
    Ok(())
}

/// The runs: what costs most comes first, and what happens most often.
fn follow(binaries: &Path, trace: &mut Trace) -> anyhow::Result<()> {
    alerts(binaries, trace)?;
    evaluations(binaries, trace)?;
    let (bench, _server) = monitor::scene(binaries, 200, 2)?;
    trace.follow(&bench.run_of("node-monitor", "context", "2026-01-10T00:00:00Z"))?;
    recovery(binaries, trace)?;
    configuration(binaries, trace)?;
    for name in FOLLOWED {
        trace.follow(&Program {
            path: binaries.join(name),
            arguments: vec!["--config".into()],
            environment: Vec::new(),
        })?;
    }
    Ok(())
}

/// A message of a thousand alerts, then a run with nothing to do.
fn alerts(binaries: &Path, trace: &mut Trace) -> anyhow::Result<()> {
    let outbox = Outbox::of(binaries, 1_000)?;
    trace.follow(&outbox.delivery())?;
    ensure!(
        !outbox.server.take_posted().is_empty(),
        "nothing was delivered"
    );
    trace.follow(&outbox.delivery())
}

/// Ticks with nothing to do, a changed rule, and an evaluation that triggers.
fn evaluations(binaries: &Path, trace: &mut Trace) -> anyhow::Result<()> {
    let bench = Bench::new(binaries, None)?;
    bench.put("context", &world::context(50, 20))?;
    for now in ["2026-01-10T00:00:00Z", "2026-01-10T00:05:00Z"] {
        bench.tick("context", now).run()?;
    }
    for now in ["2026-01-10T00:05:05Z", "2026-01-10T00:05:10Z"] {
        trace.follow(&bench.tick("context", now))?;
    }
    bench.put("context", &world::changed_context(50, 20))?;
    trace.follow(&bench.tick("context", "2026-01-10T00:05:15Z"))?;
    let scene = crate::scene(binaries, 200, 10, Heat::High)?;
    scene.restore()?;
    trace.follow(&scene.subject)
}

fn recovery(binaries: &Path, trace: &mut Trace) -> anyhow::Result<()> {
    let scene = crate::scene(binaries, 200, 10, Heat::High)?;
    scene.subject.run()?;
    let mut contexts: Value = serde_json::from_slice(&world::context(200, 10))?;
    contexts[0]["binding"] = "recovery-check".into();
    contexts[0]["groupName"] = "recovery".into();
    scene
        .bench
        .put("recovery", contexts.to_string().as_bytes())?;
    for now in ["2026-01-10T00:03:03Z", "2026-01-10T00:03:13Z"] {
        trace.follow(&scene.bench.run_of("recovery-manager", "recovery", now))?;
    }
    Ok(())
}

fn configuration(binaries: &Path, trace: &mut Trace) -> anyhow::Result<()> {
    let bench = Bench::new(binaries, None)?;
    let data = json!({"config.json": "{\"log\":{\"level\":\"info\"}}"});
    let map = json!({"name": "nodeguardian-config", "namespace": "nodeguardian", "data": data});
    let contexts = json!([{
        "binding": "config", "groupName": "config", "type": "Group", "snapshots": {"config": [{"filterResult": map}]},
    }]);
    bench.put("context", contexts.to_string().as_bytes())?;
    trace.follow(&bench.run_of("config-loader", "context", "2026-01-10T00:00:00Z"))?;
    trace.follow(&bench.run_of("config-loader", "context", "2026-01-10T00:05:00Z"))
}
