//! The forecast beside a plain line of least squares: what it says about two corpora, and what it costs.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use ng_forecast::{Point, Question, Scratch};
use ng_forecast_trial::{Line, Score, Series, chosen, held_out, questions, score};

use crate::Table;

/// How often the cost of each history is measured.
const ROUNDS: usize = 51;

/// False alarms, what is found, and cost.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the parts of the benchmark are of one type"
)]
pub(crate) fn forecast(_: &Path, table: &mut Table) -> anyhow::Result<()> {
    let corpus = chosen();
    quality("chosen corpus", &corpus, table);
    quality("held-out corpus", &held_out(), table);
    cost(&corpus, table);
    Ok(())
}

fn quality(name: &str, corpus: &[Series], table: &mut Table) {
    let Score { ours, plain } = score(corpus);
    let share = crate::bytes(ours.false_alarms as u64) / crate::bytes(plain.false_alarms as u64);
    table.add(
        &format!("forecast, {name}: false alarms, ours / line"),
        format!(
            "{} / {} ({:.0} %)",
            ours.false_alarms,
            plain.false_alarms,
            share * 100.0
        ),
        "<= 40 %",
        share <= 0.4,
    );
    table.add(
        "  found two hours ahead, ours / line",
        format!("{} / {} of {}", ours.found, plain.found, ours.full),
        ">= the line",
        ours.found >= plain.found,
    );
    table.add(
        "  bounds held",
        format!(
            "{:.0} %, error {:.2} / {:.2}",
            ours.coverage() * 100.0,
            ours.error(),
            plain.error()
        ),
        ">= 85 %",
        ours.coverage() >= 0.85,
    );
}

/// What an answer costs, to a line through the same points: for each history the least of all rounds, as other work on
/// the machine only ever adds.
fn cost(corpus: &[Series], table: &mut Table) {
    let mut scratch = Scratch::default();
    let (mut ours, mut lines, mut most) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let asked = questions(corpus);
    for (points, question) in &asked {
        lines += least(|| {
            black_box(line(points, question));
        });
        let one = least(|| {
            black_box(ng_forecast::forecast(points, question, &mut scratch));
        });
        ours += one;
        most = most.max(one);
    }
    let count = u32::try_from(asked.len()).unwrap_or(u32::MAX).max(1);
    let ratio = ours.as_secs_f64() / lines.as_secs_f64().max(1e-9);
    table.add(
        "forecast, to a line through the same 280 points",
        format!(
            "{ratio:.0} x ({:.1?}, most {most:.1?}, line {:.2?})",
            ours / count,
            lines / count
        ),
        "<= 100 x",
        ratio <= 100.0,
    );
}

fn least(mut work: impl FnMut()) -> Duration {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..ROUNDS).map(once).min().unwrap_or_default()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of some days are exact"
)]
fn line(points: &[Point], question: &Question) -> Option<f64> {
    let minutes = |point: &Point| (point.at.millis() - question.now.millis()) as f64 / 60_000.0;
    Line::through(
        points.iter().map(|point| (minutes(point), point.value)),
        0.0,
    )?
    .minutes_left()
}
