//! The table of the worst nodes.

use super::bars;
use super::markup::{Page, class};
use crate::model::{Level, Measure, Node, Readiness, Report};
use crate::say::{self, Units};
use crate::words::Word;

/// Rows of the table at most, and with nodes that are well at most.
const ROWS: usize = 50;
const ROWS_WELL: usize = 15;

pub(super) fn draw(page: &mut Page, report: &Report, ranked: &[&Node]) {
    if ranked.is_empty() {
        return;
    }
    page.raw("<section>\n<h2>")
        .word(Word::Worst)
        .raw("</h2>\n<p id=\"filter\" hidden=\"hidden\"><label>");
    page.word(Word::Filter)
        .raw(" <input type=\"search\" autocomplete=\"off\" spellcheck=\"false\"/></label></p>\n");
    page.raw("<table id=\"worst\" role=\"table\">\n<thead role=\"rowgroup\"><tr role=\"row\">");
    let head = [Word::Node, Word::State];
    let tail = [Word::Next, Word::Age];
    for word in head
        .into_iter()
        .chain(Measure::ALL.map(Word::from))
        .chain(tail)
    {
        page.raw("<th scope=\"col\" role=\"columnheader\">")
            .word(word)
            .raw("</th>");
    }
    page.raw("</tr></thead>\n<tbody role=\"rowgroup\">\n");
    let trouble = ranked.iter().filter(|node| node.level != Level::Ok).count();
    let shown = trouble.clamp(ROWS_WELL, ROWS);
    for node in ranked.iter().take(shown) {
        row(page, report, node);
    }
    page.raw("</tbody>\n</table>\n")
        .more(Word::AndMoreNodes, ranked.len(), shown)
        .raw("</section>\n");
}

fn row(page: &mut Page, report: &Report, node: &Node) {
    page.raw("<tr role=\"row\" class=\"")
        .raw(class(node.level))
        .raw("\" data-node=\"")
        .text(&node.name);
    page.raw("\"><th scope=\"row\" role=\"rowheader\" class=\"name\">")
        .text(&node.name);
    if !node.zone.is_empty() {
        page.raw("<small>").text(&node.zone).raw("</small>");
    }
    page.raw("</th>");
    state(page, report, node);
    for measure in Measure::ALL {
        let value = node.readings.get(measure);
        page.raw("<td role=\"cell\" class=\"reading\" data-label=\"")
            .word(measure)
            .raw("\" data-value=\"");
        if let Some(value) = value {
            page.length(value);
        }
        page.raw("\">");
        bars::draw(page, measure, (value, &report.limits));
        page.raw("</td>");
    }
    next(page, report, node);
    age(page, report, node);
    page.raw("</tr>\n");
}

fn state(page: &mut Page, report: &Report, node: &Node) {
    let rank = Level::WORST_FIRST
        .iter()
        .position(|level| *level == node.level);
    page.raw("<td role=\"cell\" class=\"state\" data-label=\"")
        .word(Word::State)
        .raw("\" data-value=\"");
    page.text(&rank.unwrap_or_default().to_string()).raw("\">");
    page.sign(node.level)
        .raw("<span class=\"level ")
        .raw(class(node.level))
        .raw("\">")
        .word(node.level)
        .raw("</span>");
    let notes = [
        (node.readiness == Readiness::NotReady).then_some(Word::NotReady),
        (node.readiness == Readiness::Unheard).then_some(Word::Unheard),
        node.cordoned.then_some(Word::Cordoned),
    ];
    for note in notes.into_iter().flatten() {
        page.raw("<small>").word(note).raw("</small>");
    }
    if let (Some(since), true) = (node.since, node.level != Level::Ok) {
        let span = say::exactly(report.at.since(since), report.language);
        page.raw("<small>")
            .with(Word::For, &[&span])
            .raw("</small>");
    }
    page.raw("</td>");
}

fn next(page: &mut Page, report: &Report, node: &Node) {
    page.raw("<td role=\"cell\" class=\"next");
    page.raw(if node.next.is_none() { " void" } else { "" })
        .raw("\" data-label=\"")
        .word(Word::Next)
        .raw("\" data-value=\"");
    let Some(next) = node.next else {
        page.raw("\"><span class=\"quiet\">–</span></td>");
        return;
    };
    let seconds = next.arrival.at.since(report.at).as_secs();
    let words = say::forecast(&next.arrival, next.measure, (report.at, report.language));
    page.text(&seconds.to_string())
        .raw("\"><b>")
        .word(next.measure)
        .raw("</b> ")
        .text(&words)
        .raw("</td>");
}

fn age(page: &mut Page, report: &Report, node: &Node) {
    page.raw("<td role=\"cell\" class=\"age\" data-label=\"")
        .word(Word::AgeOf)
        .raw("\" data-value=\"");
    match node.read_at {
        Some(at) => {
            let span = report.at.since(at);
            page.text(&span.as_secs().to_string()).raw("\">");
            page.text(&say::about(span, Units::Spaced, report.language))
                .raw("</td>");
        }
        None => {
            page.raw("\"><span class=\"unknown\">")
                .word(Word::Unknown)
                .raw("</span></td>");
        }
    }
}
