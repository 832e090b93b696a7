//! Measures the controller against minimal programs that run in the same round.
//!
//! Machines are noisy and differ, so every figure is a ratio of CPU times of neighbouring runs, and its bound stands
//! beside it. `cargo run --release -p ng-bench --bin ng-bench` builds the release executables, measures, and prints a table; it
//! exits 1 if a bound is not met. `ng-bench FOLDER [PART…]` measures the executables in a folder, and only these parts:
//! `sizes`, `starts`, `evaluation`, `growth`, `alerts`, `forecast`, `samples`,
//! `monitor`. `ng-bench --layout` measures nothing and writes `hooks/layout.ld` anew; it needs Valgrind.

mod alerts;
mod forecast;
mod layout;
mod monitor;
mod run;
mod samples;
mod server;
mod world;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, bail};

use run::{Pair, Program, pair};
use server::Server;
use world::Heat;

/// Rounds of each measurement; an odd number has a median.
const ROUNDS: usize = 15;
const MEBIBYTE: u64 = 1 << 20;

type Part = fn(&Path, &mut Table) -> anyhow::Result<()>;

/// What is measured, by the name that chooses it.
const PARTS: [(&str, Part); 8] = [
    ("sizes", sizes),
    ("starts", starts),
    ("evaluation", evaluation),
    ("growth", growth),
    ("alerts", alerts::alerts),
    ("forecast", forecast::forecast),
    ("samples", samples::samples),
    ("monitor", monitor::monitor),
];

fn main() -> anyhow::Result<ExitCode> {
    // A folder of executables that are already built may be given instead, and the parts to measure.
    let mut arguments = std::env::args_os().skip(1);
    let given = arguments.next().map(PathBuf::from);
    if given.as_deref() == Some(Path::new("--layout")) {
        layout::write(Path::new("hooks/layout.ld"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let chosen: Vec<_> = arguments.collect();
    let copies = copies(&given.map_or_else(build, Ok)?)?;
    let binaries = copies.path().to_path_buf();
    let mut table = Table::default();
    for (name, part) in PARTS {
        if chosen.is_empty() || chosen.iter().any(|chosen| chosen == name) {
            // What was measured before is shown, too.
            part(&binaries, &mut table).inspect_err(|_| table.print())?;
        }
    }
    table.print();
    Ok(if table.is_met() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Where Cargo puts examples, in the folder of the executables.
const EXAMPLES: &str = "examples";

/// Builds what is measured, as it is shipped, and says where it is: beside this program.
fn build() -> anyhow::Result<PathBuf> {
    let status = Command::new("cargo")
        .args([
            "build",
            "--release",
            "--locked",
            "-p",
            "ng-controller",
            "-p",
            "ng-alert-manager",
            "-p",
            "ng-config-loader",
            "-p",
            "ng-node-monitor",
            "-p",
            "ng-recovery-manager",
            "-p",
            "ng-replay",
            "-p",
            "ng-bench",
            "-p",
            "ng-samples",
            "--bins",
            "--example",
            "week",
        ])
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("the release build failed");
    }
    folder()
}

/// Where executables are built.
fn folder() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe().context("cannot find this program")?;
    Ok(here.parent().unwrap_or(Path::new(".")).to_path_buf())
}

/// Copies of all executables in the folder, which are measured in their place. A linker writes a file piece by piece and
/// the page cache keeps it that way, so that each first touch of a page costs more than with a file of an image, which
/// is written from start to end.
fn copies(folder: &Path) -> anyhow::Result<tempfile::TempDir> {
    let copies = tempfile::tempdir().context("cannot make a folder")?;
    copy_programs(folder, copies.path())?;
    let examples = folder.join(EXAMPLES);
    // Only one part needs them, so a given folder may do without.
    if examples.is_dir() {
        let to = copies.path().join(EXAMPLES);
        std::fs::create_dir(&to).context("cannot make a folder")?;
        copy_programs(&examples, &to)?;
    }
    Ok(copies)
}

fn copy_programs(from: &Path, to: &Path) -> anyhow::Result<()> {
    let attempt = || format!("cannot copy the executables in {}", from.display());
    for entry in std::fs::read_dir(from).with_context(attempt)? {
        let path = entry.with_context(attempt)?.path();
        if let (true, None, Some(name)) = (path.is_file(), path.extension(), path.file_name()) {
            let bytes = std::fs::read(&path).with_context(attempt)?;
            write_program(&to.join(name), &bytes).with_context(attempt)?;
        }
    }
    Ok(())
}

fn write_program(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o755)
        .open(path)?
        .write_all(bytes)
}

/// The figures and whether they are within their bounds.
#[derive(Default)]
struct Table {
    rows: Vec<(String, String, String, bool)>,
}

impl Table {
    fn add(&mut self, what: &str, figure: String, bound: &str, met: bool) {
        self.rows
            .push((what.to_owned(), figure, bound.to_owned(), met));
    }

    fn ratio(&mut self, what: &str, pair: &Pair, bound: f64) {
        let figure = format!(
            "{:.2} x ({:.2?} of CPU, floor {:.2?})",
            pair.ratio, pair.subject, pair.floor
        );
        self.add(what, figure, &format!("<= {bound} x"), pair.ratio <= bound);
    }

    fn is_met(&self) -> bool {
        self.rows.iter().all(|(.., met)| *met)
    }

    #[expect(clippy::print_stdout, reason = "the table is this program's result")]
    fn print(&self) {
        for (what, figure, bound, met) in &self.rows {
            println!(
                "{} {what:<52} {figure:<48} {bound}",
                if *met { "ok  " } else { "MISS" }
            );
        }
    }
}

fn sizes(binaries: &Path, table: &mut Table) -> anyhow::Result<()> {
    for name in [
        "alert-manager",
        "config-loader",
        "controller",
        "node-monitor",
        "recovery-manager",
        "replay",
    ] {
        let path = binaries.join(name);
        let size = std::fs::metadata(&path)
            .with_context(|| format!("cannot look at {}", path.display()))?
            .len();
        let figure = format!("{:.1} MB", bytes(size) / 1e6);
        table.add(
            &format!("size of {name}"),
            figure,
            "<= 6 MB",
            size <= 6_000_000,
        );
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "sizes here stay far below 2^53")]
fn bytes(count: u64) -> f64 {
    count as f64
}

/// One controller in its own folder with a context, a configuration and an empty state.
struct Bench {
    folder: tempfile::TempDir,
    binaries: PathBuf,
}

impl Bench {
    fn new(binaries: &Path, server: Option<&Server>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        for name in ["config", "secrets", "state"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        let url = server.map_or("", |server| server.url.as_str());
        let config = serde_json::json!({
            "prometheus": {"url": url, "maxSamples": 50_000},
            "alert": {"defaultChannels": ["log"]},
        });
        let bench = Self {
            folder,
            binaries: binaries.to_owned(),
        };
        bench.put("config/config.json", config.to_string().as_bytes())?;
        Ok(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "input for a measurement, not state"
    )]
    fn put(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    /// A run of the controller at a time of the simulated clock.
    fn tick(&self, context: &str, now: &str) -> Program {
        self.run_of("controller", context, now)
    }

    /// A run of a hook at a time of the simulated clock.
    fn run_of(&self, hook: &str, context: &str, now: &str) -> Program {
        let text = |name: &str| self.path(name).display().to_string();
        Program {
            path: self.binaries.join(hook),
            arguments: Vec::new(),
            environment: vec![
                ("BINDING_CONTEXT_PATH", text(context)),
                ("KUBERNETES_PATCH_PATH", text("patches")),
                ("METRICS_PATH", text("metrics")),
                ("NODEGUARDIAN_CONFIG_DIR", text("config")),
                ("NODEGUARDIAN_SECRETS_DIR", text("secrets")),
                ("NODEGUARDIAN_STATE_DIR", text("state")),
                ("NODEGUARDIAN_NOW", now.to_owned()),
            ],
        }
    }

    /// The floor of a run: a program that reads the same context and the same answers.
    fn floor_of(&self, context: &str, answers: &[Vec<u8>]) -> anyhow::Result<Program> {
        let mut arguments = vec![self.path(context)];
        for (index, answer) in answers.iter().enumerate() {
            let name = format!("answer-{index}");
            self.put(&name, answer)?;
            arguments.push(self.path(&name));
        }
        Ok(Program {
            path: self.binaries.join("floor_tick"),
            arguments,
            environment: Vec::new(),
        })
    }

    fn clear_outputs(&self) -> anyhow::Result<()> {
        self.put("patches", b"")?;
        self.put("metrics", b"")
    }
}

fn hello(binaries: &Path) -> Program {
    Program {
        path: binaries.join("floor_hello"),
        ..Program::default()
    }
}

/// Starts, ticks with nothing to do, and rule events.
fn starts(binaries: &Path, table: &mut Table) -> anyhow::Result<()> {
    let bench = Bench::new(binaries, None)?;
    let config = Program {
        path: binaries.join("controller"),
        arguments: vec!["--config".into()],
        environment: Vec::new(),
    };
    let floor = hello(binaries);
    table.ratio(
        "--config, to a program that prints a line",
        &pair(ROUNDS * 7, &floor, &config, || Ok(()))?,
        1.3,
    );
    bench.put("context", &world::context(5_000, 100))?;
    // A state that was just made is looked at more closely for two minutes.
    for evaluation in ["2026-01-10T00:00:00Z", "2026-01-10T00:05:00Z"] {
        bench.tick("context", evaluation).run()?;
    }
    keep_state(&bench.path("state"), &bench.path("kept"))?;
    let idle = bench.tick("context", "2026-01-10T00:05:05Z");
    table.ratio(
        "tick with nothing due, 5,000 nodes x 100 rules",
        &pair(ROUNDS * 3, &floor, &idle, || bench.clear_outputs())?,
        3.0,
    );
    // What the usual one is spared: rules and what is remembered of them are read to find that nothing is due.
    let first = pair(ROUNDS * 3, &floor, &idle, || {
        keep_state(&bench.path("kept"), &bench.path("state"))?;
        bench.clear_outputs()
    })?;
    table.ratio("  the first one after a change", &first, 4.0);
    rule_events(binaries, &floor, table)
}

/// What a rule event and a Synchronization cost over a start, on a small cluster whose rules are known already.
fn rule_events(binaries: &Path, floor: &Program, table: &mut Table) -> anyhow::Result<()> {
    let bench = Bench::new(binaries, None)?;
    bench.put("context", &world::context(10, 100))?;
    bench.tick("context", "2026-01-10T00:00:00Z").run()?;
    bench.put("changed", &world::changed_context(10, 100))?;
    keep_state(&bench.path("state"), &bench.path("kept"))?;
    for (what, context) in [
        ("Synchronization of 100 rules", "context"),
        ("event of one of 100 rules", "changed"),
    ] {
        let subject = bench.tick(context, "2026-01-10T00:00:05Z");
        let measured = pair(ROUNDS * 3, floor, &subject, || {
            keep_state(&bench.path("kept"), &bench.path("state"))?;
            bench.clear_outputs()
        })?;
        let over = measured.subject.saturating_sub(measured.floor);
        table.add(
            what,
            format!("{over:.2?} over a start"),
            "<= 2 ms",
            over <= Duration::from_millis(2),
        );
    }
    Ok(())
}

/// The main figure: one evaluation of everything.
fn evaluation(binaries: &Path, table: &mut Table) -> anyhow::Result<()> {
    let measured = measure(binaries, 5_000, 100, Heat::Usual)?;
    table.ratio(
        "evaluation, 5,000 nodes x 100 rules x 2 conditions",
        &measured.pair,
        1.5,
    );
    measured.memory(table, 12);
    let figure = measured.requests.to_string();
    table.add("  requests", figure, "<= 3", measured.requests <= 3);
    let share = measured.output.as_secs_f64() / measured.pair.subject.as_secs_f64().max(1e-6);
    table.add(
        "  patches and metrics, built and written by a floor",
        format!("{:.1} %", share * 100.0),
        "<= 15 %",
        share <= 0.15,
    );
    bad_day(binaries, table)
}

/// The same with ten times as many hot nodes: five hundred triggers at once, each with its alert, its Event and its
/// part in patches and statuses. What all of that is cannot be compared with a floor that writes nothing.
fn bad_day(binaries: &Path, table: &mut Table) -> anyhow::Result<()> {
    let measured = measure(binaries, 5_000, 100, Heat::High)?;
    let floor = measured.pair.floor + measured.output;
    let ratio = measured.pair.subject.as_secs_f64() / floor.as_secs_f64().max(1e-6);
    let figure = format!(
        "{ratio:.2} x ({:.2?} of CPU, floor {floor:.2?})",
        measured.pair.subject
    );
    table.add(
        "500 triggers in it, to a floor with the same output",
        figure,
        "<= 2 x",
        ratio <= 2.0,
    );
    measured.memory(table, 16);
    Ok(())
}

struct Measured {
    pair: Pair,
    input: u64,
    requests: usize,
    /// What a program uses that builds and writes the same output, over a start.
    output: Duration,
}

impl Measured {
    /// Peak memory, which may be so many MiB more than the input.
    fn memory(&self, table: &mut Table, more: u64) {
        let figure = format!(
            "{:.1} MiB, input {:.1} MiB",
            bytes(self.pair.peak) / bytes(MEBIBYTE),
            bytes(self.input) / bytes(MEBIBYTE)
        );
        table.add(
            "  peak memory",
            figure,
            &format!("<= input + {more} MiB"),
            self.pair.peak <= self.input + more * MEBIBYTE,
        );
    }
}

/// A world whose conditions have been true for a minute, at the moment when they trigger.
struct Scene {
    bench: Bench,
    server: Server,
    floor: Program,
    subject: Program,
    input: u64,
}

impl Scene {
    /// Puts everything back to the start of a round.
    fn restore(&self) -> anyhow::Result<()> {
        keep_state(&self.bench.path("kept"), &self.bench.path("state"))?;
        self.bench.clear_outputs()
    }
}

fn scene(binaries: &Path, nodes: usize, rules: usize, heat: Heat) -> anyhow::Result<Scene> {
    let answers: Vec<Vec<u8>> = (0..world::METRICS.len())
        .map(|metric| world::answer(metric, nodes, heat))
        .collect();
    let server = Server::start(answers.clone())?;
    let bench = Bench::new(binaries, Some(&server))?;
    let context = world::context(nodes, rules);
    let input = context.len() + answers.iter().map(Vec::len).sum::<usize>();
    bench.put("context", &context)?;
    let floor = bench.floor_of("context", &answers)?;
    // Seven evaluations, half a minute apart, lead to the one that triggers; each round starts from a copy of the
    // state before it.
    for tick in 0..6 {
        bench
            .tick(
                "context",
                &format!("2026-01-10T00:0{}:{:02}Z", tick / 2, tick % 2 * 30),
            )
            .run()?;
    }
    keep_state(&bench.path("state"), &bench.path("kept"))?;
    server.take_requests();
    Ok(Scene {
        subject: bench.tick("context", "2026-01-10T00:03:00Z"),
        bench,
        server,
        floor,
        input: u64::try_from(input)?,
    })
}

fn measure(binaries: &Path, nodes: usize, rules: usize, heat: Heat) -> anyhow::Result<Measured> {
    let scene = scene(binaries, nodes, rules, heat)?;
    let pair = pair(ROUNDS, &scene.floor, &scene.subject, || scene.restore())?;
    let requests = scene.server.take_requests() / (ROUNDS + 1);
    let output = Program {
        path: binaries.join("floor_output"),
        arguments: ["patches", "metrics"]
            .map(|name| scene.bench.path(name))
            .to_vec(),
        environment: Vec::new(),
    };
    let output = self::pair(ROUNDS, &hello(binaries), &output, || Ok(()))?;
    Ok(Measured {
        pair,
        input: scene.input,
        requests,
        output: output.subject.saturating_sub(output.floor),
    })
}

/// Makes `to` a copy of `from`.
fn keep_state(from: &Path, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The least milliseconds of CPU of each scene, subject and floor: other work on the machine only ever adds. One after
/// the other in every round, so that a machine that is slower for a while is so for all.
fn least(scenes: &[Scene; 3]) -> anyhow::Result<[[f64; 2]; 3]> {
    let mut least = [[f64::INFINITY; 2]; 3];
    for _ in 0..ROUNDS * 2 {
        for (scene, least) in scenes.iter().zip(&mut least) {
            scene.restore()?;
            for (program, least) in [&scene.subject, &scene.floor].into_iter().zip(least) {
                *least = least.min(program.run()?.cpu.as_secs_f64() * 1e3);
            }
        }
    }
    Ok(least)
}

/// Whether cost is proportional to nodes and to rules: the slope of the second half of the range against the first.
/// What reading the input costs grows faster than the input once it leaves the processor's cache, so the slope by
/// nodes is compared with that of the floor.
fn growth(binaries: &Path, table: &mut Table) -> anyhow::Result<()> {
    let scene = |nodes, rules| scene(binaries, nodes, rules, Heat::Usual);
    let by_nodes = least(&[scene(100, 100)?, scene(7_550, 100)?, scene(15_000, 100)?])?;
    let by_rules = least(&[scene(2_000, 1)?, scene(2_000, 250)?, scene(2_000, 500)?])?;
    let slope = |[low, middle, high]: [f64; 3]| (high - middle) / (middle - low);
    let subject = |costs: [[f64; 2]; 3]| costs.map(|[subject, _]| subject);
    let floor = |costs: [[f64; 2]; 3]| costs.map(|[_, floor]| floor);
    let nodes = slope(subject(by_nodes)) / slope(floor(by_nodes));
    let rules = slope(subject(by_rules));
    for (what, costs, slope) in [
        (
            "cost from 100 to 15,000 nodes, to the floor",
            subject(by_nodes),
            nodes,
        ),
        ("cost from 1 to 500 rules", subject(by_rules), rules),
    ] {
        let [low, middle, high] = costs;
        let figure = format!("{low:.1} / {middle:.1} / {high:.1} ms, slope {slope:.2}");
        table.add(what, figure, "slope <= 1.15", slope <= 1.15);
    }
    Ok(())
}
