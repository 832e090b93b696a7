//! Simulates days of checks and says what they cost and how large the file becomes; `ng-bench` runs it.
//!
//! `week NODES METRICS DAYS` prints a line for each figure. Every check opens the history and closes it again, as a
//! run of a hook does. CPU times are of this thread, in microseconds a check; bytes are those of all files together.

#![expect(
    clippy::cast_precision_loss,
    reason = "figures for people, far below the limits of the type"
)]

use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};

use ng_engine::node::{Interest, Nodes};
use ng_engine::time::Time;
use ng_samples::{Grain, History, Recorded, Retention, Slice};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const START: i64 = 1_700_000_000_000;
const INTERVAL: Duration = Duration::from_mins(1);
const CHECKS_A_DAY: u32 = 24 * 60;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u32| {
        arguments
            .next()
            .map_or(Ok(default), |argument| argument.parse())
    };
    let (nodes, metrics, days) = (number(5_000)?, number(5)?, number(8)?);
    let directory = tempfile::tempdir()?;
    let mut world = World::new(nodes as usize, metrics as usize);
    let checks = days * CHECKS_A_DAY;
    let mut costs = Costs::default();
    for check in 0..checks {
        world.step(check);
        costs.add(directory.path(), &world, at(check))?;
    }
    costs.report(metrics);
    append(directory.path(), costs.payload / u64::from(checks))?;
    reads(directory.path(), &world, at(checks - 1))
}

fn at(check: u32) -> Time {
    Time::from_millis(START).plus(INTERVAL * check)
}

#[expect(clippy::print_stdout, reason = "the figures are the result")]
fn say(what: &str, figure: impl Display) {
    println!("{what} {figure}");
}

/// Nanoseconds of processor time of this thread, whatever else the machine does.
fn spent() -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

/// Values that move as those of machines do: by the hour of the day, by chance, and some are not known.
struct World {
    nodes: Nodes,
    metrics: Vec<String>,
    columns: Vec<Vec<f64>>,
    chance: u64,
}

impl World {
    fn new(count: usize, metrics: usize) -> Self {
        let mut nodes = Nodes::new(&Interest::default());
        for node in 0..count {
            let name = format!(
                "ip-10-{}-{}.eu-west-1.compute.internal",
                node / 256,
                node % 256
            );
            nodes
                .start(&name)
                .uid(&format!("1b9d6bcd-bbfd-4b2d-9b5d-{node:012x}"));
        }
        Self {
            nodes,
            metrics: (0..metrics)
                .map(|metric| format!("metric{metric}"))
                .collect(),
            columns: vec![vec![0.0; count]; metrics],
            chance: 0x2545_f491_4f6c_dd1d,
        }
    }

    /// Between 0 and 1.
    fn chance(&mut self) -> f64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn step(&mut self, check: u32) {
        let day = (f64::from(check) / f64::from(CHECKS_A_DAY) * std::f64::consts::TAU).sin();
        for metric in 0..self.columns.len() {
            for node in 0..self.nodes.len() {
                let usual = 30.0 + (node % 40) as f64 + 10.0 * day;
                let value = usual + 12.0 * (self.chance() - 0.5);
                let known = self.chance() > 0.003;
                self.columns[metric][node] = if known { value } else { f64::NAN };
            }
        }
    }

    fn columns(&self) -> Vec<(&str, &[f64])> {
        let names = self.metrics.iter().map(String::as_str);
        names.zip(self.columns.iter().map(Vec::as_slice)).collect()
    }
}

#[derive(Default)]
struct Costs {
    cpu: u64,
    waits: Vec<Duration>,
    sizes: Vec<u64>,
    payload: u64,
}

impl Costs {
    fn add(&mut self, directory: &Path, world: &World, at: Time) -> Outcome<()> {
        let columns = world.columns();
        let (before, clock) = (spent()?, Instant::now());
        let mut history = History::open(directory, at)?.history;
        let recorded = history.record(at, &world.nodes, &columns, &Retention::default())?;
        drop(history);
        self.waits.push(clock.elapsed());
        self.cpu += spent()? - before;
        if !matches!(recorded, Recorded::Stored(_)) {
            return Err(format!("a check was not kept: {recorded:?}").into());
        }
        // Two bytes a value is what the smallest form of a check would take.
        self.payload += 2 * columns.len() as u64 * world.nodes.len() as u64;
        self.sizes.push(size(directory)?);
        Ok(())
    }

    fn report(&mut self, metrics: u32) {
        let checks = self.sizes.len();
        say("metrics", metrics);
        say("checks", checks);
        say("check_cpu_us", self.cpu as f64 / checks as f64 / 1e3);
        self.waits.sort_unstable();
        for (what, position) in [
            ("check_wall_median_us", checks / 2),
            ("check_wall_99_us", checks * 99 / 100),
            ("check_wall_worst_us", checks - 1),
        ] {
            say(what, self.waits[position].as_micros());
        }
        let most = |sizes: &[u64]| sizes.iter().max().copied().unwrap_or(0);
        say("bytes_most", most(&self.sizes));
        // Once retention has been reached for six hours, what ends makes room for what comes.
        let full = (7 * CHECKS_A_DAY + CHECKS_A_DAY / 4) as usize;
        if let Some((before, after)) = self.sizes.split_at_checked(full) {
            say("bytes_most_before_full", most(before));
            say("bytes_most_after_full", most(after));
        }
    }
}

fn size(directory: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// The floor: as many bytes, appended to a file.
fn append(directory: &Path, bytes: u64) -> Outcome<()> {
    use std::io::Write as _;
    let rounds = 500;
    let payload = vec![0x5a; usize::try_from(bytes)?];
    let path = directory.join("floor");
    let before = spent()?;
    for _ in 0..rounds {
        let mut file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(&path)?;
        file.write_all(&payload)?;
    }
    say(
        "floor_cpu_us",
        (spent()? - before) as f64 / f64::from(rounds) / 1e3,
    );
    std::fs::remove_file(path)?;
    Ok(())
}

/// What reading costs, from opening the history on.
fn measure(
    what: &str,
    directory: &Path,
    mut read: impl FnMut(&History) -> Outcome<usize>,
) -> Outcome<()> {
    let rounds = 20;
    let before = spent()?;
    let mut found = 0;
    for _ in 0..rounds {
        let history = History::read(directory)?.ok_or("no history")?;
        found = read(&history)?;
    }
    let figure = (spent()? - before) as f64 / f64::from(rounds) / 1e3;
    say(&format!("{what}_cpu_us"), figure);
    say(&format!("{what}_found"), found);
    Ok(())
}

fn reads(directory: &Path, world: &World, now: Time) -> Outcome<()> {
    let since = |hours| now.minus(Duration::from_hours(hours));
    let last = world.nodes.len() - 1;
    let node = world.nodes.name(last);
    for (what, hours) in [("day", 24), ("week", 7 * 24)] {
        measure(what, directory, |history| {
            Ok(history.range(node, "metric0", since(hours), now)?.len())
        })?;
    }
    measure("latest", directory, |history| {
        Ok(history.latest()?.map_or(0, |latest| latest.nodes.len()))
    })?;
    let first = last.saturating_sub(700);
    let nodes: Vec<&str> = (first..last.min(first + 500))
        .map(|node| world.nodes.name(node))
        .collect();
    let metrics: Vec<&str> = world.metrics.iter().take(4).map(String::as_str).collect();
    for (what, hours, grain) in [
        ("slice_day", 24, Grain::FiveMinutes),
        ("slice_week", 7 * 24, Grain::Hours),
    ] {
        let slice = Slice {
            nodes: &nodes,
            metrics: &metrics,
            since: since(hours),
            until: now,
            grain,
        };
        measure(what, directory, |history| {
            let mut rows = 0;
            history.scan(&slice, |row| rows += usize::from(!row.values.is_empty()))?;
            Ok(rows)
        })?;
    }
    Ok(())
}
