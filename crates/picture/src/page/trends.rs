//! The trends: a card for each, with its picture and its forecast in words.

use super::markup::{Page, class};
use super::plot::{Plot, gaps};
use crate::model::{Level, Report, Trend};
use crate::say;
use crate::words::Word;

/// Cards on the page.
const CARDS: usize = 60;

pub(super) fn draw(page: &mut Page, report: &Report) {
    page.raw("<section>\n<h2>")
        .word(Word::Trends)
        .raw("</h2>\n");
    if report.trends.is_empty() {
        page.raw("<p class=\"none\">")
            .word(Word::NoTrends)
            .raw("</p>\n</section>\n");
        return;
    }
    page.raw("<div class=\"cards\">\n");
    for trend in report.trends.iter().take(CARDS) {
        card(page, report, trend);
    }
    page.raw("</div>\n")
        .more(Word::AndMore, report.trends.len(), CARDS)
        .raw("</section>\n");
}

fn card(page: &mut Page, report: &Report, trend: &Trend) {
    let current = report
        .nodes
        .iter()
        .find(|node| node.name == trend.node)
        .and_then(|node| node.readings.get(trend.measure));
    let level = current.map_or(Level::Unknown, |value| {
        report.limits.get(trend.measure).level(value)
    });
    page.raw("<article class=\"card\" data-node=\"")
        .text(&trend.node)
        .raw("\">\n<h3><span>");
    page.text(&trend.node)
        .raw("</span><small>")
        .word(trend.measure)
        .raw("</small><b class=\"value ");
    page.raw(class(level)).raw("\">");
    match current {
        Some(value) => page.text(&say::value(trend.measure, value)),
        None => page.word(Word::Unknown),
    };
    page.raw("</b></h3>\n");
    let words = say::outlook(trend.outlook, trend.measure, (report.at, report.language));
    match Plot::of(trend, report) {
        Some(plot) => plot.draw(page, &words),
        None => {
            page.raw("<p class=\"nothing\">")
                .word(Word::NothingMeasured)
                .raw("</p>\n");
        }
    }
    page.raw("<p class=\"outlook\">").text(&words);
    let gaps = match gaps(trend, report.at).len() {
        0 => None,
        1 => Some(Word::OneGap.say(report.language).to_owned()),
        many => Some(Word::GapsShown.with(report.language, &[&say::number(many)])),
    };
    if let Some(gaps) = gaps {
        page.raw(" <span class=\"quiet\">· ")
            .text(&gaps)
            .raw("</span>");
    }
    page.raw("</p>\n</article>\n");
}
