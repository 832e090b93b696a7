//! Runs programs and tells what they used, in pairs so that a change of the machine's speed hits both alike.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

/// What one run used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Most memory at a time, in bytes.
    pub(crate) peak: u64,
}

/// A program with its arguments and environment.
#[derive(Clone, Default)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<PathBuf>,
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Program {
    /// Runs once; an exit status other than 0 is an error. `launch` stands beside every program.
    pub(crate) fn run(&self) -> anyhow::Result<Usage> {
        let launch = self.path.with_file_name("launch");
        let output = Command::new(&launch)
            .arg(&self.path)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output()
            .with_context(|| format!("cannot start {}", launch.display()))?;
        if !output.status.success() {
            bail!("{} failed", self.path.display());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let (cpu, peak) = text
            .trim()
            .split_once(' ')
            .context("launch told no usage")?;
        Ok(Usage {
            cpu: Duration::from_micros(cpu.parse()?),
            peak: peak.parse()?,
        })
    }
}

/// A subject beside its floor.
pub(crate) struct Pair {
    /// Median of the ratios of neighbouring runs.
    pub(crate) ratio: f64,
    /// Median CPU time of the subject.
    pub(crate) subject: Duration,
    /// Median CPU time of the floor.
    pub(crate) floor: Duration,
    /// Largest peak memory of the subject.
    pub(crate) peak: u64,
}

/// Runs both in turn. `before` puts the subject's surroundings back to the start of each round.
pub(crate) fn pair(
    rounds: usize,
    floor: &Program,
    subject: &Program,
    mut before: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Pair> {
    let mut usages = Vec::new();
    for round in 0..=rounds {
        before()?;
        let low = floor.run()?;
        let high = subject.run()?;
        // The first round warms caches.
        if round > 0 {
            usages.push((low, high));
        }
    }
    let ratio =
        |(low, high): &(Usage, Usage)| high.cpu.as_secs_f64() / low.cpu.as_secs_f64().max(1e-6);
    Ok(Pair {
        ratio: median(usages.iter().map(ratio).collect()),
        subject: middle(usages.iter().map(|(_, high)| high.cpu).collect()),
        floor: middle(usages.iter().map(|(low, _)| low.cpu).collect()),
        peak: usages.iter().map(|(_, high)| high.peak).max().unwrap_or(0),
    })
}

fn middle(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
