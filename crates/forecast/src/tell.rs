//! From points to an answer: what follows from a line that is believed.

use std::time::Duration;

use ng_engine::time::Time;

use crate::history;
use crate::judge::{Believed, Growth, Judge};
use crate::outlook::{Full, Outlook, Point, Question, Reason, Scratch};
use crate::swing::swings;

/// Rates change more than a fit through the past can know.
const FASTER_YET: f64 = 1.1;
const SLOWER_YET: f64 = 0.85;
/// Deviations from the line within which the level is taken to be.
const SLACK: f64 = 2.0;
/// Longer than any horizon, in seconds: some thirty years.
const LONGEST: f64 = 1e9;

/// Tells when a history becomes full, or why that cannot be told. Any input has an answer.
pub fn forecast(points: &[Point], question: &Question, scratch: &mut Scratch) -> Outlook {
    match told(points, question, scratch) {
        Ok(full) => Outlook::Full(full),
        Err(reason) => Outlook::None(reason),
    }
}

fn told(points: &[Point], question: &Question, scratch: &mut Scratch) -> Result<Full, Reason> {
    let Scratch {
        samples,
        numbers,
        lows,
    } = scratch;
    history::usable(points, question, samples)?;
    let swings = swings(samples, numbers);
    if swings.level >= question.full {
        return Err(Reason::AlreadyFull);
    }
    let mut judge = Judge {
        samples,
        swings,
        full: question.full,
        numbers,
        lows,
    };
    full(&judge.judge()?, question)
}

fn full(believed: &Believed, question: &Question) -> Result<Full, Reason> {
    let Believed {
        line,
        growth,
        room,
        agreement: _,
    } = *believed;
    let rate = growth.rate();
    let hours = room / rate;
    let expected = after(question.now, hours);
    if expected > question.now.plus(question.horizon) {
        return Err(Reason::BeyondHorizon);
    }
    let slack = SLACK * line.spread;
    let soonest = (room - slack).max(0.0) / (line.slope.high * FASTER_YET);
    let longest = (room + slack + line.tops.max(0.0)) / (line.slope.low * SLOWER_YET);
    Ok(Full {
        expected,
        earliest: after(question.now, soonest).min(expected),
        latest: match growth {
            Growth::Lasting(_) => Some(after(question.now, longest).max(expected)),
            Growth::Parting(_) => None,
        },
        confidence: confidence(believed, hours),
        per_hour: rate,
    })
}

/// How sure the rate is, how far it is drawn out, how much of the window has samples, and how many windows agree.
fn confidence(believed: &Believed, hours: f64) -> f64 {
    let line = &believed.line;
    let sure = line.slope.low / line.slope.middle;
    let near = (2.0 * line.length / hours.max(0.1)).min(1.0);
    let agreed = f64::midpoint(1.0, believed.agreement);
    let kind = match believed.growth {
        Growth::Lasting(_) => 1.0,
        Growth::Parting(_) => 0.5,
    };
    (sure * near * line.filled * agreed * kind)
        .sqrt()
        .clamp(0.0, 1.0)
}

/// `hours` after a time, to the millisecond; saturates.
fn after(now: Time, hours: f64) -> Time {
    let seconds = (hours * 3600.0).min(LONGEST);
    let millis = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    // Half a millisecond more, as `plus` cuts off.
    now.plus(millis.saturating_add(Duration::from_micros(500)))
}
