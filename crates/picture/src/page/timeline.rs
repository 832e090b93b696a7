//! The timeline: what was wrong from when to when, a row for each node and key.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::markup::{Page, class};
use crate::model::{Incident, Level, Report, Severity};
use crate::say;
use crate::scale::share;
use crate::words::Word;

/// Rows of the timeline.
const ROWS: usize = 40;
/// Length of a row in its own units, and the least length of a bar.
const LENGTH: f64 = 1000.0;
const LEAST: f64 = 4.0;

/// All incidents of one key of one node, by their begin.
struct Row<'a> {
    incidents: Vec<&'a Incident>,
    newest: &'a Incident,
}

fn rows(report: &Report) -> Vec<Row<'_>> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Incident>> = BTreeMap::new();
    let is_shown = |incident: &&Incident| {
        incident.end.is_none_or(|end| end >= report.timeline_from) && incident.begin <= report.at
    };
    for incident in report.incidents.iter().filter(is_shown) {
        groups
            .entry((&incident.node, &incident.key))
            .or_default()
            .push(incident);
    }
    let mut rows: Vec<Row<'_>> = groups
        .into_values()
        .filter_map(|mut incidents| {
            incidents.sort_by_key(|incident| (incident.end.is_none(), incident.begin));
            let newest = *incidents.last()?;
            Some(Row { incidents, newest })
        })
        .collect();
    rows.sort_by_key(|row| match row.newest.end {
        None => (0, Reverse(row.newest.severity), row.newest.begin.millis()),
        Some(end) => (
            1,
            Reverse(Severity::Critical),
            end.millis().saturating_neg(),
        ),
    });
    rows
}

pub(super) fn draw(page: &mut Page, report: &Report) {
    page.raw("<section>\n<h2>")
        .word(Word::Timeline)
        .raw("</h2>\n");
    let rows = rows(report);
    if rows.is_empty() {
        page.raw("<p class=\"none\">")
            .word(Word::NoIncidents)
            .raw("</p>\n</section>\n");
        return;
    }
    page.raw("<p class=\"span\"><span>")
        .text(&say::minute(report.timeline_from));
    page.raw("</span><span>")
        .text(&say::minute(report.at))
        .raw("</span></p>\n<ul class=\"timeline\">\n");
    for row in rows.iter().take(ROWS) {
        draw_row(page, report, row);
    }
    page.raw("</ul>\n")
        .more(Word::AndMore, rows.len(), ROWS)
        .raw("</section>\n");
}

fn draw_row(page: &mut Page, report: &Report, row: &Row<'_>) {
    let newest = row.newest;
    let level = Level::from(newest.severity);
    let words = words(report, row);
    page.raw("<li data-node=\"")
        .text(&newest.node)
        .raw("\"><span class=\"who\">")
        .sign(level);
    page.raw("<b>")
        .text(&newest.node)
        .raw("</b> ")
        .text(&newest.key)
        .raw("</span>");
    page.raw("<svg viewBox=\"0 0 1000 12\" preserveAspectRatio=\"none\" role=\"img\"><title>");
    page.text(&newest.node)
        .raw(" · ")
        .text(&newest.key)
        .raw(" · ")
        .word(level)
        .raw(" · ")
        .text(&words);
    page.raw("</title><path class=\"track\" d=\"M0 6H1000\"/>");
    for incident in &row.incidents {
        bar(page, report, incident);
    }
    page.raw("</svg><span class=\"what\"><span class=\"level ")
        .raw(class(level))
        .raw("\">")
        .word(level);
    page.raw("</span> ").text(&words).raw("</span></li>\n");
}

/// The bar of an incident; one that is open ends in a line across.
fn bar(page: &mut Page, report: &Report, incident: &Incident) {
    let x = |time| (share(report.timeline_from, report.at, time) * LENGTH).clamp(0.0, LENGTH);
    let right = incident.end.map_or(LENGTH, x);
    let left = x(incident.begin).min(right - LEAST).max(0.0);
    page.raw("<path class=\"")
        .raw(class(incident.severity.into()))
        .raw("\" d=\"M")
        .length(left)
        .raw(" 6H");
    page.length(right.max(left + LEAST)).raw("\"/>");
    if incident.end.is_none() {
        page.raw("<path class=\"open\" d=\"M998 0V12\"/>");
    }
}

/// "open for 2 h 10 min", "35 min, ended 03:10", and how often.
fn words(report: &Report, row: &Row<'_>) -> String {
    let language = report.language;
    let incident = row.newest;
    let span = |to: ng_engine::time::Time| say::exactly(to.since(incident.begin), language);
    let mut words = match incident.end {
        None => Word::Open.with(language, &[&span(report.at)]),
        Some(end) => Word::Closed.with(language, &[&span(end), &say::near(end, report.at)]),
    };
    if row.incidents.len() > 1 {
        words.push_str(Word::List.say(language));
        words.push_str(&Word::Times.with(language, &[&say::number(row.incidents.len())]));
    }
    words
}
