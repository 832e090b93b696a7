//! A reading as a number over a bar.

use super::markup::{Page, class};
use crate::model::{Limits, Measure};
use crate::say;
use crate::words::Word;

/// Appends the reading; one that is not known has no bar at all.
pub(super) fn draw(page: &mut Page, measure: Measure, (value, limits): (Option<f64>, &Limits)) {
    let Some(value) = value else {
        page.raw("<span class=\"unknown\">")
            .word(Word::Unknown)
            .raw("</span>");
        return;
    };
    let limit = limits.get(measure);
    let level = limit.level(value);
    let length = share(measure, value, limits) * 100.0;
    page.raw("<span class=\"value ")
        .raw(class(level))
        .raw("\">")
        .text(&say::value(measure, value));
    page.raw("</span><svg class=\"bar\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    page.raw("<path class=\"track\" d=\"M0 0h100v4H0z\"/><path class=\"")
        .raw(class(level));
    page.raw("\" d=\"M0 0h")
        .length(length)
        .raw("v4H0z\"/></svg>");
}

/// The part of the bar that is filled. A load of its critical limit fills half of it.
fn share(measure: Measure, value: f64, limits: &Limits) -> f64 {
    let whole = match measure {
        Measure::Load => {
            2.0 * limits
                .load
                .critical
                .filter(|limit| *limit > 0.0)
                .unwrap_or(1.0)
        }
        Measure::Cpu | Measure::Memory | Measure::Disk | Measure::Inodes | Measure::Pods => 100.0,
    };
    (value / whole).clamp(0.0, 1.0)
}
