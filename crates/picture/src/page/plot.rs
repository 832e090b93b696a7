//! One measure of one node over time: mean, range, limits, gaps, and the forecast as a ray.

use std::time::Duration;

use ng_engine::time::Time;

use super::markup::Page;
use crate::model::{Arrival, Level, Measure, Outlook, Point, Report, Trend};
use crate::say::{self, Units};
use crate::scale::{middle, share};
use crate::words::Word;

/// The area of the curve inside a picture of 360 by 132.
const WIDTH: f64 = 318.0;
const HEIGHT: f64 = 100.0;
/// Where what is far outside the picture is put, so that no number in it gets long.
const FAR: f64 = 1e6;
/// Labels closer than this to another one are left out.
const LABEL: f64 = 11.0;
/// The future takes at most as much room as the past, and with a forecast at least a tenth of it.
const LEAST_FUTURE: f64 = 0.1;

/// A picture with its scales.
pub(super) struct Plot<'a> {
    trend: &'a Trend,
    points: Vec<Point>,
    begin: Time,
    now: Time,
    end: Time,
    bottom: f64,
    top: f64,
    limits: Vec<(Level, f64)>,
}

impl<'a> Plot<'a> {
    /// The picture of a trend; `None` without a single point.
    pub(super) fn of(trend: &'a Trend, report: &Report) -> Option<Self> {
        let points = known(trend);
        let begin = points.first()?.at;
        let now = report.at.max(end_of(points.last()?));
        let limit = report.limits.get(trend.measure);
        let limits = [
            (Level::Critical, limit.critical),
            (Level::Warning, limit.warning),
        ];
        let limits: Vec<(Level, f64)> = limits
            .into_iter()
            .filter_map(|(level, limit)| Some((level, limit.filter(|limit| limit.is_finite())?)))
            .collect();
        let (bottom, top) = heights(trend.measure, &points, &limits);
        let end = end(begin, now, trend.outlook);
        Some(Self {
            trend,
            points,
            begin,
            now,
            end,
            bottom,
            top,
            limits,
        })
    }

    fn x(&self, time: Time) -> f64 {
        (share(self.begin, self.end, time) * WIDTH).clamp(-FAR, FAR)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.bottom) / (self.top - self.bottom);
        (HEIGHT - share * HEIGHT).clamp(-FAR, FAR)
    }

    /// Appends the picture; `outlook` is what it says in words.
    pub(super) fn draw(&self, page: &mut Page, outlook: &str) {
        page.raw("<svg class=\"plot\" viewBox=\"0 0 360 132\" role=\"img\"><title>")
            .text(&self.trend.node);
        page.raw(" · ")
            .word(self.trend.measure)
            .raw(" · ")
            .text(outlook)
            .raw("</title>\n");
        page.raw("<svg y=\"8\" width=\"318\" height=\"100\">");
        self.gaps(page);
        self.band(page);
        if let Outlook::Reaches(arrival) = self.trend.outlook {
            self.forecast(page, &arrival);
        }
        self.limits(page);
        self.line(page);
        page.raw("</svg>\n<path class=\"axis\" d=\"M0 108H318\"/>");
        self.now(page);
        self.values(page);
        page.raw("</svg>\n");
    }

    fn gaps(&self, page: &mut Page) {
        for (from, to) in gaps(self.trend, self.now) {
            let (left, right) = (self.x(from), self.x(to));
            page.raw("<path class=\"gap\" d=\"M")
                .length(left)
                .raw(" 0H")
                .length(right)
                .raw("V100H");
            page.length(left).raw("z\"/>");
        }
    }

    /// The range between smallest and largest, one shape for each stretch without gaps.
    fn band(&self, page: &mut Page) {
        page.raw("<path class=\"range\" d=\"");
        for stretch in stretches(&self.points) {
            let upper = self.corners(stretch, |point| point.max);
            let mut lower = self.corners(stretch, |point| point.min);
            lower.reverse();
            polyline(page, &[upper, lower].concat());
            page.raw("z");
        }
        page.raw("\"/>");
    }

    fn line(&self, page: &mut Page) {
        page.raw("<path class=\"mean\" d=\"");
        for stretch in stretches(&self.points) {
            polyline(page, &self.corners(stretch, |point| point.mean));
        }
        page.raw("\"/>");
    }

    /// The corners of a stretch: the middles of its points, and its two ends, so that a single point is seen, too.
    fn corners(&self, stretch: &[Point], value: impl Fn(&Point) -> f64) -> Vec<(f64, f64)> {
        let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else {
            return Vec::new();
        };
        let corner = |at: Time, point: &Point| (self.x(at), self.y(value(point)));
        let middles = stretch
            .iter()
            .map(|point| corner(middle(point.at, point.lasting), point));
        std::iter::once(corner(first.at, first))
            .chain(middles)
            .chain(std::iter::once(corner(end_of(last), last)))
            .collect()
    }

    /// A ray from the last point to the limit, inside the range of the forecast. What leaves the picture is cut off.
    fn forecast(&self, page: &mut Page, arrival: &Arrival) {
        let Some(last) = self.points.last() else {
            return;
        };
        let from = (self.x(end_of(last)), self.y(last.mean));
        if arrival.at <= end_of(last) || !arrival.limit.is_finite() {
            return;
        }
        let limit = self.y(arrival.limit);
        let late = match arrival.latest {
            Some(latest) => (self.x(latest), limit),
            None => (WIDTH, from.1),
        };
        let early = self.x(arrival.earliest).max(from.0);
        // A limit that may never be reached: the range stays open to the side.
        let corner = (late.0.max(early), limit);
        page.raw("<path class=\"fan\" d=\"");
        polyline(page, &[from, (early, limit), corner, late]);
        page.raw("z\"/><path class=\"ray\" d=\"");
        polyline(page, &[from, (self.x(arrival.at), limit)]);
        page.raw("\"/>");
    }

    fn limits(&self, page: &mut Page) {
        for (level, limit) in &self.limits {
            page.raw("<path class=\"limit ")
                .raw(super::markup::class(*level))
                .raw("\" d=\"M0 ");
            page.length(self.y(*limit)).raw("H318\"/>");
        }
    }

    /// The times below: begin, now, and the end of the future.
    fn now(&self, page: &mut Page) {
        let language = page.language();
        let span = |from: Time, to: Time| say::about(to.since(from), Units::Spaced, language);
        let x = self.x(self.now);
        page.raw("<path class=\"axis\" d=\"M")
            .length(x)
            .raw(" 8V112\"/>");
        page.raw("<text y=\"125\">−")
            .text(&span(self.begin, self.now))
            .raw("</text>");
        let has_future = WIDTH - x > 1.0;
        if has_future && WIDTH - x > 70.0 {
            page.raw("<text y=\"125\" x=\"318\" class=\"end\">+")
                .text(&span(self.now, self.end))
                .raw("</text>");
        }
        page.raw("<text y=\"125\" class=\"")
            .raw(if WIDTH - x > 20.0 { "mid" } else { "end" });
        page.raw("\" x=\"")
            .length(x)
            .raw("\">")
            .word(Word::Now)
            .raw("</text>");
    }

    /// The values at the side, the most important first; one that would lie on another is left out.
    fn values(&self, page: &mut Page) {
        let mut placed: Vec<f64> = Vec::new();
        let ends = [(Level::Ok, self.top), (Level::Ok, self.bottom)];
        for (level, value) in self.limits.iter().copied().chain(ends) {
            let y = (self.y(value) + 12.0).clamp(12.0, 112.0);
            if placed.iter().any(|other| (other - y).abs() < LABEL) {
                continue;
            }
            placed.push(y);
            page.raw("<text x=\"323\" y=\"")
                .length(y)
                .raw("\" class=\"")
                .raw(super::markup::class(level));
            page.raw("\">")
                .text(&say::value(self.trend.measure, value))
                .raw("</text>");
        }
    }
}

/// Appends a line through these corners.
fn polyline(page: &mut Page, corners: &[(f64, f64)]) {
    for (index, (x, y)) in corners.iter().enumerate() {
        page.raw(if index == 0 { "M" } else { "L" })
            .length(*x)
            .raw(" ")
            .length(*y);
    }
}

/// The values at the bottom and at the top. A percentage that is always high is drawn from where it matters; the label
/// at the side says from where.
fn heights(measure: Measure, points: &[Point], limits: &[(Level, f64)]) -> (f64, f64) {
    if measure == Measure::Load {
        let peak = points
            .iter()
            .map(|point| point.max * 1.1)
            .fold(0.1, f64::max);
        let limits = limits.iter().map(|(_, limit)| limit * 1.2);
        return (0.0, limits.fold(peak, f64::max).min(FAR));
    }
    let values = points.iter().map(|point| point.min);
    let lowest = values
        .chain(limits.iter().map(|(_, limit)| *limit))
        .fold(100.0, f64::min);
    (
        ((lowest - 5.0) / 20.0).floor().clamp(0.0, 4.0) * 20.0,
        100.0,
    )
}

/// Where the picture ends: now, or far enough to see the forecast.
fn end(begin: Time, now: Time, outlook: Outlook) -> Time {
    let Outlook::Reaches(arrival) = outlook else {
        return now;
    };
    let past = now.since(begin);
    let wanted = arrival
        .latest
        .unwrap_or(arrival.at.max(arrival.earliest))
        .since(now);
    let wanted = wanted.saturating_add(wanted / 20);
    now.plus(wanted.clamp(past.mul_f64(LEAST_FUTURE), past))
}

fn end_of(point: &Point) -> Time {
    point.at.plus(point.lasting)
}

/// The points that are numbers.
fn known(trend: &Trend) -> Vec<Point> {
    let is_known = |point: &&Point| {
        [point.min, point.mean, point.max]
            .iter()
            .all(|value| value.is_finite())
    };
    trend.points.iter().filter(is_known).copied().collect()
}

/// Whether something is missing after `point`, up to `next`: more than half of what one point stands for.
fn is_gap(point: &Point, next: Time) -> bool {
    next > end_of(point).plus(point.lasting / 2)
}

/// The stretches of points without gaps.
fn stretches(points: &[Point]) -> impl Iterator<Item = &[Point]> {
    points.chunk_by(|one, next| !is_gap(one, next.at))
}

/// The gaps between points, and from the last one to now if that is longer than two points.
pub(super) fn gaps(trend: &Trend, now: Time) -> Vec<(Time, Time)> {
    let points = known(trend);
    let mut gaps: Vec<(Time, Time)> = points
        .windows(2)
        .filter_map(|pair| match pair {
            [one, next] if is_gap(one, next.at) => Some((end_of(one), next.at)),
            _ => None,
        })
        .collect();
    if let Some(last) = points.last()
        && now.since(end_of(last)) > last.lasting.saturating_mul(2).max(Duration::from_secs(1))
    {
        gaps.push((end_of(last), now));
    }
    gaps
}
