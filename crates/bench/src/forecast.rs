//! The forecast beside a plain line of least squares: what it says about two corpora, and what it costs.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use ng_forecast::{Point, Question, Scratch};
use ng_forecast_trial::{Line, Score, Series, chosen, held_out, questions, score};

use crate::Table;
use crate::run::median;

/// Rounds of the cost; each asks about every series of a corpus with both forecasts.
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

/// What an answer costs, to a line through the same points.
fn cost(corpus: &[Series], table: &mut Table) {
    let asked = questions(corpus);
    let mut scratch = Scratch::default();
    let mut ratios = Vec::new();
    let (mut least_line, mut least_ours) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for (points, question) in &asked {
            black_box(line(points, question));
        }
        let line = start.elapsed();
        let start = Instant::now();
        for (points, question) in &asked {
            black_box(ng_forecast::forecast(points, question, &mut scratch));
        }
        let ours = start.elapsed();
        ratios.push(ours.as_secs_f64() / line.as_secs_f64().max(1e-9));
        least_line = least_line.min(line);
        least_ours = least_ours.min(ours);
    }
    let count = u32::try_from(asked.len()).unwrap_or(u32::MAX).max(1);
    let ratio = median(ratios);
    table.add(
        "forecast, to a line through the same 280 points",
        format!(
            "{ratio:.0} x ({:.1?}, line {:.2?})",
            least_ours / count,
            least_line / count
        ),
        "<= 150 x",
        ratio <= 150.0,
    );
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
