//! What a node's history keeps of a series, as it is at one minute: the last hour by the minute, half a day by five
//! minutes, and the days before by the hour.

use ng_engine::time::Time;
use ng_forecast::Point;

use crate::corpus::Series;

/// The most points that are kept.
const MOST: usize = 300;
const FRESH: usize = 60;
const RECENT: usize = 12 * 60;

/// The time of a minute of a series.
pub(crate) fn time(minute: f64) -> Time {
    #[expect(clippy::cast_possible_truncation, reason = "minutes of a week")]
    Time::from_millis((minute * 60_000.0) as i64)
}

#[expect(clippy::cast_precision_loss, reason = "minutes of a week")]
pub(crate) fn count(of: usize) -> f64 {
    of as f64
}

/// A series with its averages.
pub(crate) struct Kept<'a> {
    series: &'a Series,
    fives: Vec<f64>,
    hours: Vec<f64>,
}

impl<'a> Kept<'a> {
    pub(crate) fn new(series: &'a Series) -> Self {
        Self {
            series,
            fives: averages(&series.values, 5),
            hours: averages(&series.values, 60),
        }
    }

    /// The points known at a minute, the last sample being that minute's, oldest first.
    pub(crate) fn points(&self, minute: usize, into: &mut Vec<Point>) {
        into.clear();
        // Whole spans only: what is averaged ends where the finer points start.
        let fresh = (minute + 1).saturating_sub(FRESH) / 5 * 5;
        let recent = (minute + 1).saturating_sub(RECENT) / 60 * 60;
        let hours = recent / 60;
        let room = MOST.saturating_sub(minute + 1 - fresh + (fresh - recent) / 5);
        let mut push = |middle: f64, value: f64| {
            if value.is_finite() {
                into.push(Point {
                    at: time(middle),
                    value,
                });
            }
        };
        for hour in hours.saturating_sub(room)..hours {
            push(count(hour) * 60.0 + 29.5, self.hours[hour]);
        }
        for five in recent / 5..fresh / 5 {
            push(count(five) * 5.0 + 2.0, self.fives[five]);
        }
        for at in fresh..=minute {
            push(count(at), self.series.values[at]);
        }
    }
}

/// Averages of whole spans; of nothing, NaN.
fn averages(values: &[f64], span: usize) -> Vec<f64> {
    let average = |values: &[f64]| {
        let known = values.iter().filter(|value| value.is_finite());
        known.clone().sum::<f64>() / count(known.count())
    };
    values.chunks(span).map(average).collect()
}
