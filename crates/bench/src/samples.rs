//! What the history of node metrics costs, over eight simulated days of a large cluster.
//!
//! The days are simulated by an example of the crate, which opens the history for every check as a hook does; here its
//! figures are held against their bounds.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::{MEBIBYTE, Table, bytes};

const NODES: u32 = 5_000;
const METRICS: u32 = 5;
/// A day more than is kept, so that it shows whether the file goes on growing.
const DAYS: u32 = 8;

/// The rows of the history.
pub(crate) fn samples(binaries: &Path, table: &mut Table) -> anyhow::Result<()> {
    let figures = Figures::measure(&binaries.join("examples/week"))?;
    writes(&figures, table)?;
    sizes(&figures, table)?;
    reads(&figures, table)
}

struct Figures(BTreeMap<String, f64>);

impl Figures {
    fn measure(program: &Path) -> anyhow::Result<Self> {
        let output = Command::new(program)
            .args([NODES, METRICS, DAYS].map(|number| number.to_string()))
            .output()
            .with_context(|| format!("cannot start {}", program.display()))?;
        ensure!(
            output.status.success(),
            "{} failed: {}",
            program.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        let figure = |line: &str| -> Option<(String, f64)> {
            let (what, figure) = line.split_once(' ')?;
            Some((what.to_owned(), figure.parse().ok()?))
        };
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(Self(text.lines().filter_map(figure).collect()))
    }

    fn get(&self, what: &str) -> anyhow::Result<f64> {
        let figure = self.0.get(what).copied();
        figure.with_context(|| format!("the simulation did not tell {what}"))
    }
}

fn writes(figures: &Figures, table: &mut Table) -> anyhow::Result<()> {
    let (cost, floor) = (figures.get("check_cpu_us")?, figures.get("floor_cpu_us")?);
    let hundred = cost / f64::from(NODES / 100) / 1e3;
    table.add(
        "a check of 5,000 nodes x 5 metrics, for each 100 nodes",
        format!("{hundred:.3} ms of CPU"),
        "<= 0.1 ms",
        hundred <= 0.1,
    );
    let ratio = cost / floor.max(1e-3);
    table.add(
        "  to a program that appends two bytes a value",
        format!("{ratio:.0} x ({cost:.0} us of CPU, floor {floor:.0} us)"),
        "<= 200 x",
        ratio <= 200.0,
    );
    Ok(())
}

fn sizes(figures: &Figures, table: &mut Table) -> anyhow::Result<()> {
    let mebibytes = |figure: f64| format!("{:.1} MiB", figure / bytes(MEBIBYTE));
    let most = figures.get("bytes_most")?;
    table.add(
        "  size with the log, at most in eight days",
        mebibytes(most),
        "<= 256 MiB",
        most <= 256.0 * bytes(MEBIBYTE),
    );
    let (before, after) = (
        figures.get("bytes_most_before_full")?,
        figures.get("bytes_most_after_full")?,
    );
    table.add(
        "  growth after seven days and six hours",
        mebibytes(after - before),
        "<= 2 MiB",
        after - before <= 2.0 * bytes(MEBIBYTE),
    );
    Ok(())
}

fn reads(figures: &Figures, table: &mut Table) -> anyhow::Result<()> {
    for (what, figure, points, bound) in [
        ("  one metric of one node, a day", "day", 1.0, 10.0),
        ("  one metric of one node, a week", "week", 1.0, 20.0),
        ("  the newest check, all nodes", "latest", 5_000.0, 10.0),
        (
            "  500 nodes x 4 metrics, a day by five minutes",
            "slice_day",
            1_152.0,
            25.0,
        ),
        (
            "  500 nodes x 4 metrics, a week by hours",
            "slice_week",
            672.0,
            25.0,
        ),
    ] {
        let cost = figures.get(&format!("{figure}_cpu_us"))? / 1e3;
        let found = figures.get(&format!("{figure}_found"))?;
        table.add(
            what,
            format!("{cost:.1} ms of CPU for {found}"),
            &format!("<= {bound} ms"),
            cost <= bound && found >= points,
        );
    }
    Ok(())
}
